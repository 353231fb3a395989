with

demand as (
    select * from {{ ref('fct_post_demand') }}
    where period = '{{ run_period() }}'
),

final as (
    select
        period,
        county_code,
        city_code,
        occupation_code,
        post_category,
        count(*) as posts,
        count(distinct uscc) as enterprises,
        sum(employed_persons) as employed_persons,
        sum(shortage_now_persons) as shortage_now_persons,
        sum(planned_hires_persons) as planned_hires_persons,
        sum(shortage_expansion_persons) as shortage_expansion_persons,
        (percentile_cont(0.5) within group (order by wage_min_yuan))::numeric(12, 2) as wage_min_yuan_median,
        (percentile_cont(0.5) within group (order by wage_max_yuan))::numeric(12, 2) as wage_max_yuan_median,
        data_maturity
    from demand
    group by period, county_code, city_code, occupation_code, post_category, data_maturity
)

select * from final
