with

source as (
    select * from {{ source('analysis', 'shortage_series') }}
),

renamed as (
    select
        period,
        city_code,
        industry_code,
        status,
        months_available,
        months_needed,
        panel_counties,
        expected_counties,
        panel_shortage_now_persons,
        horizon_months,
        interval_level
    from source
)

select * from renamed
