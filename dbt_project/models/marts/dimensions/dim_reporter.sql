{{ config(tags=['monthly']) }}

with

reporters as (
    select * from {{ ref('stg_intake__reporter') }}
),

cities as (
    select * from {{ ref('dim_region') }}
    where level = 'city'
),

final as (
    select
        reporters.reporter_code,
        reporters.reporter_name,
        reporters.region_code,
        reporters.city_code,
        cities.region_name as city_name,
        reporters.pilot_level,
        reporters.valid_from,
        reporters.valid_to,
        reporters.is_sample
    from reporters
    left join cities on reporters.city_code = cities.region_code
)

select * from final
