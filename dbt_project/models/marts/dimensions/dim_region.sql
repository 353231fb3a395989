{{ config(tags=['prepared']) }}

with

regions as (
    select * from {{ ref('regions') }}
),

final as (
    select
        region_code,
        region_name,
        level,
        city_code,
        city_name,
        -- GB/T 2260: the first two digits are the province.
        left(region_code, 2) || '0000' as province_code,
        is_national_key_county
    from regions
)

select * from final
