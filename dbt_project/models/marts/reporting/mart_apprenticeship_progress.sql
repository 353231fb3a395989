{%- set amounts = ['applied', 'approved', 'advanced', 'paid', 'recovered', 'outstanding_advance', 'advanced_in_half', 'paid_in_half'] -%}
with

classes as (
    select
        *,
        to_char(filed_on, 'YYYY-MM') >= '{{ half_year_begin() }}' as is_filed_in_half,
        to_char(started_on, 'YYYY-MM') >= '{{ half_year_begin() }}' as is_started_in_half,
        to_char(completed_on, 'YYYY-MM') >= '{{ half_year_begin() }}' as is_completed_in_half
    from {{ ref('fct_apprenticeship_month') }}
    where period = '{{ run_period() }}'
),

regions as (
    select * from {{ ref('dim_region') }}
),

placed as (
    select
        classes.*,
        areas.region_code,
        areas.region_level,
        areas.region_city_code
    from classes
    cross join lateral (
        values
        (left(classes.city_code, 2) || '0000', 'province', null),
        (classes.city_code, 'city', classes.city_code),
        (classes.county_code, 'county', classes.city_code)
    ) as areas (region_code, region_level, region_city_code)
),

measured as (
    select
        region_code,
        region_level,
        region_city_code,
        occupation_code,
        level as training_level,
        count(distinct uscc) as enterprises,
        count(distinct uscc) filter (where filed_on is not null) as filed_enterprises,
        count(distinct uscc) filter (where is_filed_in_half) as filed_in_half_enterprises,
        count(*) as classes,
        count(*) filter (where filed_on is not null) as filed_classes,
        count(*) filter (where is_filed_in_half) as filed_in_half_classes,
        count(*) filter (where is_started_in_half) as started_in_half_classes,
        count(*) filter (where is_completed_in_half) as completed_in_half_classes,
        count(*) filter (where state = 'under_review') as under_review_classes,
        count(*) filter (where state in ('filed', 'start_lapsed')) as not_started_classes,
        count(*) filter (where state = 'training') as training_classes,
        count(*) filter (where completed_on is not null) as completed_classes,
        count(*) filter (where state = 'settled') as settled_classes,
        count(*) filter (where state = 'start_lapsed') as start_lapsed_classes,
        count(*) filter (where state = 'claim_lapsed') as claim_lapsed_classes,
        count(*) filter (where months_without_report > 0) as unreported_classes,
        sum(filed_persons) filter (where filed_on is not null) as filed_persons,
        sum(filed_persons) filter (where is_filed_in_half) as filed_in_half_persons,
        sum(training_persons) as training_persons,
        sum(filed_persons - left_persons) filter (where completed_on is not null) as completed_persons,
        sum(passed_persons) as passed_persons,
        sum(passed_persons) filter (where is_completed_in_half) as passed_in_half_persons,
        sum(left_persons) as left_persons,
        {%- for amount in amounts %}
        sum({{ amount }}_yuan) as {{ amount }}_yuan,
        {%- endfor %}
        max(data_maturity) as data_maturity
    from placed
    group by region_code, region_level, region_city_code, occupation_code, level
),

final as (
    select
        '{{ run_period() }}' as period,
        '{{ half_year_begin() }}' as half_year_from,
        measured.region_code,
        regions.region_name,
        measured.region_level as level,
        measured.region_city_code as city_code,
        measured.occupation_code,
        measured.training_level,
        measured.enterprises,
        measured.filed_enterprises,
        measured.filed_in_half_enterprises,
        measured.classes,
        measured.filed_classes,
        measured.filed_in_half_classes,
        measured.started_in_half_classes,
        measured.completed_in_half_classes,
        measured.under_review_classes,
        measured.not_started_classes,
        measured.training_classes,
        measured.completed_classes,
        measured.settled_classes,
        measured.start_lapsed_classes,
        measured.claim_lapsed_classes,
        measured.unreported_classes,
        measured.filed_persons,
        measured.filed_in_half_persons,
        measured.training_persons,
        measured.completed_persons,
        measured.passed_persons,
        measured.passed_in_half_persons,
        measured.left_persons,
        {%- for amount in amounts %}
        measured.{{ amount }}_yuan::numeric(18, 2) as {{ amount }}_yuan,
        {%- endfor %}
        measured.data_maturity
    from measured
    left join regions on measured.region_code = regions.region_code
)

select * from final
