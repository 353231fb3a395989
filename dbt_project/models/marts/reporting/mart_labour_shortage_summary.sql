-- noqa: disable=layout.indent
{#
    Measures that add up over enterprises; those in `compared` are also set against the month before (环比) and the month
    a year ago (同比). The lists are looped over, which the linter's indentation rule cannot follow.
-#}
{%- set sums = [
    'headcount_persons', 'managers_persons', 'professionals_persons', 'workers_persons', 'women_persons',
    'local_county_persons', 'other_county_persons', 'other_province_persons', 'lifted_poverty_persons',
    'dispatched_persons', 'skill_junior_persons', 'skill_intermediate_persons', 'skill_senior_persons',
    'skill_technician_persons', 'skill_senior_technician_persons', 'skill_master_persons', 'skill_chief_persons',
    'skilled_persons', 'high_skilled_persons', 'insured_persons', 'hired_persons', 'leavers_persons',
    'shortage_now_persons', 'shortage_expansion_persons', 'training_needed_persons',
] -%}
{%- set counts = ['enterprises', 'short_enterprises', 'persistently_short_enterprises'] -%}
{%- set compared = [
    'enterprises', 'headcount_persons', 'workers_persons', 'skilled_persons', 'high_skilled_persons',
    'shortage_now_persons', 'training_needed_persons',
] -%}
with

months as (
    select * from {{ ref('fct_industry_month') }}
    where period in ('{{ run_period() }}', '{{ period_before(1) }}', '{{ period_before(12) }}')
),

accepted as (
    select * from {{ ref('int_accepted_submission') }}
    where
        form = 'enterprise_status'
        and period in ('{{ run_period() }}', '{{ period_before(1) }}', '{{ period_before(12) }}')
),

expected as (
    select * from {{ ref('stg_intake__expected_report') }}
    where
        form = 'enterprise_status'
        and period = '{{ run_period() }}'
),

reporters as (
    select * from {{ ref('stg_intake__reporter') }}
),

regions as (
    select * from {{ ref('dim_region') }}
),

periods as (
    select * from {{ ref('int_period_maturity') }}
    where period = '{{ run_period() }}'
),

reported as (
    select
        reporter_code,
        bool_or(period = '{{ run_period() }}') as is_accepted,
        bool_or(period = '{{ period_before(1) }}') as is_accepted_last_month,
        bool_or(period = '{{ period_before(12) }}') as is_accepted_year_ago
    from accepted
    group by reporter_code
),

coverage as (
    select
        reporters.reporter_code,
        reporters.region_code as county_code,
        reporters.city_code,
        expected.reporter_code is not null as is_expected,
        coalesce(reported.is_accepted, false) as is_accepted,
        coalesce(reported.is_accepted and reported.is_accepted_last_month, false) as is_comparable,
        coalesce(reported.is_accepted and reported.is_accepted_year_ago, false) as is_yoy_comparable
    from reporters
    left join expected on reporters.reporter_code = expected.reporter_code
    left join reported on reporters.reporter_code = reported.reporter_code
    where
        expected.reporter_code is not null
        or reported.reporter_code is not null
),

this_sums as (
    select
        reporter_code,
        {%- for measure in counts + sums %}
        sum({{ measure }}) as {{ measure }}{{ ',' if not loop.last }}
        {%- endfor %}
    from months
    where period = '{{ run_period() }}'
    group by reporter_code
),

last_sums as (
    select
        reporter_code,
        {%- for measure in compared %}
        sum({{ measure }}) as {{ measure }}{{ ',' if not loop.last }}
        {%- endfor %}
    from months
    where period = '{{ period_before(1) }}'
    group by reporter_code
),

year_ago_sums as (
    select
        reporter_code,
        {%- for measure in compared %}
        sum({{ measure }}) as {{ measure }}{{ ',' if not loop.last }}
        {%- endfor %}
    from months
    where period = '{{ period_before(12) }}'
    group by reporter_code
),

-- Each reporter counts for its county, its city and the province; one without a county code of its own for the latter.
region_reporters as (
    select
        coverage.*,
        member.region_code
    from coverage
    left join regions on coverage.city_code = regions.region_code
    cross join lateral (
        select coverage.county_code as region_code
        union
        select coverage.city_code as region_code
        union
        select regions.province_code as region_code
    ) as member
    where member.region_code is not null
),

summed as (
    select
        region_reporters.region_code,
        count(*) filter (where region_reporters.is_expected) as expected_reporters,
        count(*) filter (
            where region_reporters.is_expected and region_reporters.is_accepted
        ) as covered_reporters,
        count(*) filter (where region_reporters.is_comparable) as lfl_reporters,
        count(*) filter (where region_reporters.is_yoy_comparable) as lfl_yoy_reporters,
        {%- for measure in counts + sums %}
        sum(this_sums.{{ measure }})::bigint as {{ measure }},
        {%- endfor %}
        {%- for measure in compared %}
        (sum(this_sums.{{ measure }}) filter (where region_reporters.is_comparable))::bigint as lfl_{{ measure }},
        (sum(last_sums.{{ measure }}) filter (where region_reporters.is_comparable))::bigint as lfl_previous_{{ measure }},
        sum(last_sums.{{ measure }})::bigint as previous_{{ measure }},
        (sum(this_sums.{{ measure }}) filter (where region_reporters.is_yoy_comparable))::bigint as lfl_yoy_{{ measure }},
        (
            sum(year_ago_sums.{{ measure }}) filter (where region_reporters.is_yoy_comparable)
        )::bigint as lfl_year_ago_{{ measure }},
        sum(year_ago_sums.{{ measure }})::bigint as year_ago_{{ measure }}{{ ',' if not loop.last }}
        {%- endfor %}
    from region_reporters
    left join this_sums on region_reporters.reporter_code = this_sums.reporter_code
    left join last_sums on region_reporters.reporter_code = last_sums.reporter_code
    left join year_ago_sums on region_reporters.reporter_code = year_ago_sums.reporter_code
    group by region_reporters.region_code
),

final as (
    select
        periods.period,
        regions.level,
        regions.region_code,
        regions.region_name,
        regions.city_code,
        summed.expected_reporters,
        summed.covered_reporters,
        {{ ratio('summed.covered_reporters', 'summed.expected_reporters') }} as coverage_rate,
        summed.lfl_reporters,
        summed.lfl_yoy_reporters,
        {%- for measure in counts + sums %}
        summed.{{ measure }},
        {%- endfor %}
        {{ shortage_rate('summed.shortage_now_persons', 'summed.headcount_persons') }} as shortage_rate,
        {{ ratio('summed.short_enterprises', 'summed.enterprises') }} as short_enterprise_share,
        {{ ratio('summed.high_skilled_persons', 'summed.skilled_persons') }} as high_skilled_share,
        {%- for measure in compared %}
        {%- set name = measure.removesuffix('_persons').removesuffix('_now') %}
        summed.lfl_{{ measure }},
        summed.lfl_previous_{{ measure }},
        summed.previous_{{ measure }},
        {{ change_rate('summed.lfl_' ~ measure, 'summed.lfl_previous_' ~ measure) }} as {{ name }}_change_rate_lfl,
        {{ change_rate('summed.' ~ measure, 'summed.previous_' ~ measure) }} as {{ name }}_change_rate_plain,
        summed.lfl_yoy_{{ measure }},
        summed.lfl_year_ago_{{ measure }},
        summed.year_ago_{{ measure }},
        {{ change_rate('summed.lfl_yoy_' ~ measure, 'summed.lfl_year_ago_' ~ measure) }} as {{ name }}_yoy_rate_lfl,
        {{ change_rate('summed.' ~ measure, 'summed.year_ago_' ~ measure) }} as {{ name }}_yoy_rate_plain,
        {%- endfor %}
        periods.data_maturity
    from summed
    inner join regions on summed.region_code = regions.region_code
    cross join periods
)

select * from final
