with

enterprises as (
    select * from {{ ref('int_enterprise_month') }}
    where period = '{{ run_period() }}'
),

periods as (
    select * from {{ ref('int_period_maturity') }}
),

{% if is_incremental() %}
-- A streak goes on from the month before as this table holds it: months are built oldest first.
last_month as (
    select
        reporter_code,
        uscc,
        short_streak_months
    from {{ this }}
    where period = '{{ period_before(1) }}'
),

streaks as (
    select
        enterprises.reporter_code,
        enterprises.uscc,
        coalesce(last_month.short_streak_months, 0) + 1 as short_streak_months
    from enterprises
    left join last_month
        on
            enterprises.reporter_code = last_month.reporter_code
            and enterprises.uscc = last_month.uscc
    where enterprises.is_short
),
{% else %}
-- The first month ever built has none before it.
streaks as (
    select
        reporter_code,
        uscc,
        1 as short_streak_months
    from enterprises
    where is_short
),
{% endif %}

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
            enterprises.reporter_code = streaks.reporter_code
            and enterprises.uscc = streaks.uscc
)

select * from final
