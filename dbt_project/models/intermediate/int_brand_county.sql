{{ config(materialized='table', indexes=[{'columns': ['written_as'], 'unique': true}]) }}

with

counties as (
    select * from {{ ref('regions') }}
    where level = 'county'
),

-- 灵山 for 灵山县; two-character names keep their last character.
named as (
    select
        region_code,
        city_code,
        city_name,
        region_name as written
    from counties

    union all

    select
        region_code,
        city_code,
        city_name,
        left(region_name, -1) as written
    from counties
    where length(region_name) > 2

    union all

    select
        counties.region_code,
        counties.city_code,
        counties.city_name,
        former.written
    from counties
    cross join lateral string_to_table(counties.aliases, '|') as former (written)
),

written as (
    select
        region_code,
        city_code,
        {{ comparable_text('written') }} as written_as
    from named

    union all

    select
        region_code,
        city_code,
        {{ comparable_text('city_name || written') }} as written_as
    from named

    union all

    select
        region_code,
        city_code,
        region_code as written_as
    from counties
),

-- A wording that two counties claim leads to neither.
final as (
    select
        written_as,
        min(region_code) as county_code,
        min(city_code) as city_code
    from written
    where written_as is not null
    group by written_as
    having count(distinct region_code) = 1
)

select * from final
