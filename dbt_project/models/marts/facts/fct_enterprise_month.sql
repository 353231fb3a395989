with

enterprises as (
    select * from {{ ref('int_enterprise_month') }}
    where period = '{{ run_period() }}'
),

periods as (
    select * from {{ ref('int_period_maturity') }}
),

-- Shortages are looked up in the accepted rows of earlier periods, not in this table: the order of builds is free.
short_months as (
    select distinct
        county_code,
        uscc,
        {{ month_index('period') }} as month_number
    from {{ ref('int_enterprise_month') }}
    where
        period in (
            {%- for months in range(var('streak_lookback_months') | int) %}
            '{{ period_before(months) }}'{{ ',' if not loop.last }}
            {%- endfor %}
        )
        and shortage_now_persons > 0
),

-- Counted backwards, consecutive months keep month_number + position constant.
positioned as (
    select
        county_code,
        uscc,
        month_number + row_number() over (partition by county_code, uscc order by month_number desc) as run_number
    from short_months
),

streaks as (
    select
        county_code,
        uscc,
        count(*)::integer as short_streak_months
    from positioned
    where run_number = {{ month_index("'" ~ run_period() ~ "'") }} + 1
    group by county_code, uscc
),

final as (
    select
        enterprises.period,
        enterprises.reporter_code,
        enterprises.county_code,
        enterprises.city_code,
        enterprises.uscc,
        enterprises.enterprise_name,
        enterprises.locality,
        enterprises.industry_as_sent,
        enterprises.industry_code,
        enterprises.ownership,
        enterprises.size_class,
        enterprises.operating_state,
        enterprises.is_above_scale,
        enterprises.is_key,
        enterprises.revenue_wan_yuan,
        enterprises.headcount_persons,
        enterprises.managers_persons,
        enterprises.professionals_persons,
        enterprises.workers_persons,
        enterprises.women_persons,
        enterprises.local_county_persons,
        enterprises.other_county_persons,
        enterprises.other_province_persons,
        enterprises.lifted_poverty_persons,
        enterprises.dispatched_persons,
        enterprises.skill_junior_persons,
        enterprises.skill_intermediate_persons,
        enterprises.skill_senior_persons,
        enterprises.skill_technician_persons,
        enterprises.skill_senior_technician_persons,
        enterprises.skill_master_persons,
        enterprises.skill_chief_persons,
        enterprises.skilled_persons,
        enterprises.high_skilled_persons,
        enterprises.insured_persons,
        enterprises.hired_persons,
        enterprises.leavers_persons,
        enterprises.wage_general_yuan,
        enterprises.wage_skilled_yuan,
        enterprises.shortage_now_persons,
        enterprises.shortage_expansion_persons,
        enterprises.training_needed_persons,
        enterprises.is_short,
        coalesce(streaks.short_streak_months, 0) as short_streak_months,
        coalesce(streaks.short_streak_months, 0) >= {{ var('persistent_months') }} as is_persistently_short,
        enterprises.submission_id,
        enterprises.sheet,
        enterprises.source_row,
        periods.data_maturity
    from enterprises
    inner join periods on enterprises.period = periods.period
    left join streaks
        on
            enterprises.county_code = streaks.county_code
            and enterprises.uscc = streaks.uscc
)

select * from final
