with

source as (
    select * from {{ source('raw', 'apprenticeship') }}
),

renamed as (
    select
        submission_id,
        sheet,
        source_row,
        period,
        county_code,
        filing_no,
        enterprise_name,
        uscc,
        training_institution,
        occupation,
        level,
        materials_on,
        filed_on,
        filed_persons,
        started_on,
        completed_on,
        training_persons,
        passed_persons,
        left_persons,
        left_on,
        left_reported_on
    from source
)

select * from renamed
