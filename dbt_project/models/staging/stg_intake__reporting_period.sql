with

source as (
    select * from {{ source('intake', 'reporting_period') }}
),

renamed as (
    select
        period,
        due_on,
        closes_on,
        state
    from source
)

select * from renamed
