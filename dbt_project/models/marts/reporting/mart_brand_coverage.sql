-- noqa: disable=layout.indent
{# Brands of the library by what the list says of them; the loop below counts each. -#}
{%- set in_library = "brands.last_known_status in ('在库', '预警')" -%}
{%- set counts = {
    'brands_in_library': in_library,
    'brands_warned': "brands.last_known_status = '预警'",
    'brands_cultivating': "brands.last_known_status = '培育'",
    'brands_exited': "brands.status = '退出'",
    'brands_unreported': in_library ~ " and not brands.is_reported",
    'brands_skilled': in_library ~ " and brands.category = '中高端技能型'",
    'brands_service': in_library ~ " and brands.category = '高品质服务型'",
    'brands_culture': in_library ~ " and brands.category = '文化和旅游类'",
    'brands_livelihood': in_library ~ " and brands.category = '民生保障型'",
    'brands_national': in_library ~ " and brands.recognised_level = '国家级'",
    'brands_provincial': in_library ~ " and brands.recognised_level = '省级'",
    'brands_city': in_library ~ " and brands.recognised_level = '市级'",
    'brands_county': in_library ~ " and brands.recognised_level = '县级'",
    'brands_level_unknown': in_library ~ " and brands.recognised_level is null",
} -%}
{%- set sums = [
    'employed_persons', 'agreement_persons', 'trained_person_times', 'employment_driven_persons',
] -%}
with

brands as (
    select * from {{ ref('fct_brand_month') }}
    where period = '{{ run_period() }}'
),

counties as (
    select * from {{ ref('dim_region') }}
    where level = 'county'
),

regions as (
    select * from {{ ref('dim_region') }}
),

reported_counties as (
    select distinct county_code
    from {{ ref('int_accepted_submission') }}
    where
        form = 'brand_registry'
        and period = '{{ run_period() }}'
),

periods as (
    select * from {{ ref('int_period_maturity') }}
    where period = '{{ run_period() }}'
),

brand_counts as (
    select
        brands.county_code,
        {%- for name, condition in counts.items() %}
        count(*) filter (where {{ condition }}) as {{ name }},
        {%- endfor %}
        {%- for column in sums %}
        sum(brands.{{ column }}) filter (where {{ in_library }}) as {{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    from brands
    group by brands.county_code
),

county_rows as (
    select
        counties.region_code,
        counties.city_code,
        counties.province_code,
        reported_counties.county_code is not null as is_reporting,
        coalesce(brand_counts.brands_in_library, 0) > 0 as is_covered,
        {%- for name in counts %}
        coalesce(brand_counts.{{ name }}, 0) as {{ name }},
        {%- endfor %}
        {%- for column in sums %}
        brand_counts.{{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    from counties
    left join reported_counties on counties.region_code = reported_counties.county_code
    left join brand_counts on counties.region_code = brand_counts.county_code
),

-- Each county counts in itself, in its city and in its province.
placed as (
    select
        regions.region_code,
        regions.region_name,
        regions.level,
        regions.city_code,
        county_rows.is_reporting,
        county_rows.is_covered,
        {%- for column in counts.keys() | list + sums %}
        county_rows.{{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    from regions
    inner join county_rows
        on regions.region_code in (county_rows.region_code, county_rows.city_code, county_rows.province_code)
),

summed as (
    select
        region_code,
        region_name,
        level,
        city_code,
        count(*) as counties,
        count(*) filter (where is_covered) as covered_counties,
        count(*) filter (where is_reporting) as reporting_counties,
        count(*) filter (where is_reporting and is_covered) as reporting_covered_counties,
        {%- for name in counts %}
        sum({{ name }})::bigint as {{ name }},
        {%- endfor %}
        {%- for column in sums %}
        sum({{ column }})::bigint as {{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    from placed
    group by region_code, region_name, level, city_code
),

final as (
    select
        periods.period,
        summed.region_code,
        summed.region_name,
        summed.level,
        summed.city_code,
        summed.counties,
        summed.covered_counties,
        -- Where nobody ever sent the list, nothing is known: no rate, not 0.
        case
            when summed.reporting_counties > 0 or summed.covered_counties > 0
                then {{ ratio('summed.covered_counties', 'summed.counties') }}
        end::numeric(20, 10) as coverage_rate,
        summed.reporting_counties,
        summed.reporting_covered_counties,
        {{ ratio('summed.reporting_covered_counties', 'summed.reporting_counties') }} as reporting_coverage_rate,
        {%- for column in counts.keys() | list + sums %}
        summed.{{ column }},
        {%- endfor %}
        periods.data_maturity
    from summed
    cross join periods
)

select * from final
