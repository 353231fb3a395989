with

source as (
    select * from {{ source('raw', 'subsidy_payment') }}
),

renamed as (
    select
        submission_id,
        sheet,
        source_row,
        source_column,
        period,
        county_code,
        item as item_as_sent,
        fund,
        batch_no,
        payee_name,
        payee_uscc,
        person_key,
        person_group,
        occupation,
        level,
        certificate_no,
        covered_from,
        covered_to,
        standard as standard_yuan,
        quantity::numeric(14, 2) as quantity,
        applied as applied_yuan,
        approved as approved_yuan,
        advanced as advanced_yuan,
        paid as paid_yuan,
        applied_on,
        accepted_on,
        reviewed_on,
        notice_from,
        notice_to,
        decided_on,
        paid_on,
        payment_type,
        status
    from source
)

select * from renamed
