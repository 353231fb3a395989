with

this_month as (
    select * from {{ ref('fct_enterprise_month') }}
    where period = '{{ run_period() }}'
),

last_month as (
    select * from {{ ref('int_enterprise_month') }}
    where period = '{{ period_before(1) }}'
),

accepted as (
    select
        reporter_code,
        county_code,
        city_code,
        period
    from {{ ref('int_accepted_submission') }}
    where
        form = 'enterprise_status'
        and period in ('{{ run_period() }}', '{{ period_before(1) }}')
),

periods as (
    select * from {{ ref('int_period_maturity') }}
    where period = '{{ run_period() }}'
),

comparable_reporters as (
    select reporter_code
    from accepted
    group by reporter_code
    having count(distinct period) = 2
),

counties as (
    select distinct
        county_code,
        city_code
    from accepted
    where period = '{{ run_period() }}'
),

this_sums as (
    select
        this_month.county_code,
        this_month.industry_code,
        count(*) as enterprises,
        count(*) filter (where this_month.is_short) as short_enterprises,
        count(*) filter (where this_month.is_persistently_short) as persistently_short_enterprises,
        sum(this_month.headcount_persons) as headcount_persons,
        sum(this_month.workers_persons) as workers_persons,
        sum(this_month.shortage_now_persons) as shortage_now_persons,
        sum(this_month.shortage_expansion_persons) as shortage_expansion_persons,
        sum(this_month.shortage_now_persons) filter (
            where comparable_reporters.reporter_code is not null
        ) as lfl_shortage_now_persons
    from this_month
    left join comparable_reporters on this_month.reporter_code = comparable_reporters.reporter_code
    group by this_month.county_code, this_month.industry_code
),

last_sums as (
    select
        last_month.county_code,
        last_month.industry_code,
        sum(last_month.shortage_now_persons) as shortage_now_persons,
        sum(last_month.shortage_now_persons) filter (
            where comparable_reporters.reporter_code is not null
        ) as lfl_shortage_now_persons
    from last_month
    left join comparable_reporters on last_month.reporter_code = comparable_reporters.reporter_code
    group by last_month.county_code, last_month.industry_code
),

county_comparability as (
    select distinct accepted.county_code
    from accepted
    inner join comparable_reporters on accepted.reporter_code = comparable_reporters.reporter_code
),

counties_last_month as (
    select distinct county_code
    from accepted
    where period = '{{ period_before(1) }}'
),

-- An industry that left a county between two reports is 0 now; a county that did not report has no row at all.
industries as (
    select
        county_code,
        industry_code
    from this_sums

    union

    select
        last_sums.county_code,
        last_sums.industry_code
    from last_sums
    inner join county_comparability on last_sums.county_code = county_comparability.county_code
),

measured as (
    select
        industries.county_code,
        counties.city_code,
        industries.industry_code,
        coalesce(this_sums.enterprises, 0) as enterprises,
        coalesce(this_sums.short_enterprises, 0) as short_enterprises,
        coalesce(this_sums.persistently_short_enterprises, 0) as persistently_short_enterprises,
        coalesce(this_sums.headcount_persons, 0) as headcount_persons,
        coalesce(this_sums.workers_persons, 0) as workers_persons,
        coalesce(this_sums.shortage_now_persons, 0) as shortage_now_persons,
        coalesce(this_sums.shortage_expansion_persons, 0) as shortage_expansion_persons,
        case
            when county_comparability.county_code is not null
                then coalesce(this_sums.lfl_shortage_now_persons, 0)
        end as lfl_shortage_now_persons,
        case
            when county_comparability.county_code is not null
                then coalesce(last_sums.lfl_shortage_now_persons, 0)
        end as lfl_previous_shortage_now_persons,
        case
            when counties_last_month.county_code is not null
                then coalesce(last_sums.shortage_now_persons, 0)
        end as previous_shortage_now_persons
    from industries
    inner join counties on industries.county_code = counties.county_code
    left join this_sums
        on
            industries.county_code = this_sums.county_code
            and industries.industry_code = this_sums.industry_code
    left join last_sums
        on
            industries.county_code = last_sums.county_code
            and industries.industry_code = last_sums.industry_code
    left join county_comparability on industries.county_code = county_comparability.county_code
    left join counties_last_month on industries.county_code = counties_last_month.county_code
),

final as (
    select
        periods.period,
        measured.county_code,
        measured.city_code,
        measured.industry_code,
        measured.enterprises,
        measured.short_enterprises,
        measured.persistently_short_enterprises,
        measured.headcount_persons,
        measured.workers_persons,
        measured.shortage_now_persons,
        measured.shortage_expansion_persons,
        {{ shortage_rate('measured.shortage_now_persons', 'measured.headcount_persons') }} as shortage_rate,
        {{ ratio('measured.short_enterprises', 'measured.enterprises') }} as short_enterprise_share,
        measured.lfl_shortage_now_persons,
        measured.lfl_previous_shortage_now_persons,
        measured.previous_shortage_now_persons,
        {{ change_rate(
            'measured.lfl_shortage_now_persons', 'measured.lfl_previous_shortage_now_persons'
        ) }} as shortage_change_rate_lfl,
        {{ change_rate(
            'measured.shortage_now_persons', 'measured.previous_shortage_now_persons'
        ) }} as shortage_change_rate_plain,
        periods.data_maturity
    from measured
    cross join periods
)

select * from final
