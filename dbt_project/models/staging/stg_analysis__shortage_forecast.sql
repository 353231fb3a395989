with

source as (
    select * from {{ source('analysis', 'shortage_forecast') }}
),

renamed as (
    select
        period,
        city_code,
        industry_code,
        horizon_months,
        target_period,
        forecast_persons,
        lower_persons,
        upper_persons,
        seasonal_naive_persons
    from source
)

select * from renamed
