with

demand as (
    select * from {{ ref('int_post_demand') }}
    where period = '{{ run_period() }}'
),

periods as (
    select * from {{ ref('int_period_maturity') }}
),

final as (
    select
        demand.period,
        demand.reporter_code,
        demand.county_code,
        demand.city_code,
        demand.uscc,
        demand.post,
        demand.occupation_code,
        demand.post_category,
        demand.employed_persons,
        demand.shortage_now_persons,
        demand.planned_hires_persons,
        demand.shortage_expansion_persons,
        demand.expansion_month,
        demand.education,
        demand.skill_level,
        demand.wage_min_yuan,
        demand.wage_max_yuan,
        demand.submission_id,
        demand.sheet,
        demand.source_row,
        periods.data_maturity
    from demand
    inner join periods on demand.period = periods.period
)

select * from final
