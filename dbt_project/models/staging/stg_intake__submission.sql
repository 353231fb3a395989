with

source as (
    select * from {{ source('intake', 'submission') }}
),

renamed as (
    select
        submission_id,
        receipt_id,
        form,
        period,
        reporter_code,
        county_code,
        version,
        template_version,
        received_at,
        is_sample,
        revision_no,
        outcome,
        rows_read,
        rows_accepted,
        rows_held,
        cells_read,
        cells_filled,
        findings_e,
        findings_r,
        findings_w
    from source
)

select * from renamed
