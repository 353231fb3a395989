with

source as (
    select * from {{ source('analysis', 'forecast_outcome') }}
),

renamed as (
    select
        period,
        origin_period,
        city_code,
        industry_code,
        shortage_now_persons
    from source
)

select * from renamed
