with

source as (
    select * from {{ source('intake', 'expected_report') }}
),

renamed as (
    select
        period,
        reporter_code,
        form,
        due_on
    from source
)

select * from renamed
