with

source as (
    select * from {{ source('intake', 'reporter') }}
),

renamed as (
    select
        reporter_code,
        reporter_name,
        region_code,
        city_code,
        pilot_level,
        valid_from,
        valid_to,
        is_sample
    from source
)

select * from renamed
