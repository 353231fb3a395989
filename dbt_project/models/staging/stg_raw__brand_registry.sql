with

source as (
    select * from {{ source('raw', 'brand_registry') }}
),

renamed as (
    select
        submission_id,
        sheet,
        source_row,
        period,
        county_code,
        brand_name,
        category,
        county as county_as_sent,
        recognised_level,
        cultivator_name,
        cultivator_uscc,
        employed as employed_persons,
        agreement_persons,
        trained_person_times,
        employment_driven as employment_driven_persons,
        trademark_no,
        entered_on,
        status,
        exit_reason
    from source
)

select * from renamed
