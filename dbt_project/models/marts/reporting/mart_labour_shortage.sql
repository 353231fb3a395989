with

months as (
    select * from {{ ref('fct_industry_month') }}
    where period in ('{{ run_period() }}', '{{ period_before(1) }}', '{{ period_before(12) }}')
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
        and period in ('{{ run_period() }}', '{{ period_before(1) }}', '{{ period_before(12) }}')
),

periods as (
    select * from {{ ref('int_period_maturity') }}
    where period = '{{ run_period() }}'
),

reporters as (
    select
        reporter_code,
        bool_or(period = '{{ run_period() }}') and bool_or(period = '{{ period_before(1) }}') as is_comparable,
        bool_or(period = '{{ run_period() }}') and bool_or(period = '{{ period_before(12) }}') as is_yoy_comparable
    from accepted
    group by reporter_code
),

counties as (
    select
        accepted.county_code,
        max(accepted.city_code) filter (where accepted.period = '{{ run_period() }}') as city_code,
        bool_or(accepted.period = '{{ run_period() }}') as is_reported,
        bool_or(accepted.period = '{{ period_before(1) }}') as is_reported_last_month,
        bool_or(accepted.period = '{{ period_before(12) }}') as is_reported_year_ago,
        bool_or(reporters.is_comparable) as is_comparable,
        bool_or(reporters.is_yoy_comparable) as is_yoy_comparable
    from accepted
    inner join reporters on accepted.reporter_code = reporters.reporter_code
    group by accepted.county_code
),

sums as (
    select
        months.county_code,
        months.industry_code,
        bool_or(months.period = '{{ run_period() }}') as is_here,
        bool_or(months.period = '{{ period_before(1) }}') as was_here_last_month,
        bool_or(months.period = '{{ period_before(12) }}') as was_here_year_ago,
        sum(months.enterprises) filter (where months.period = '{{ run_period() }}') as enterprises,
        sum(months.short_enterprises) filter (where months.period = '{{ run_period() }}') as short_enterprises,
        sum(months.persistently_short_enterprises) filter (
            where months.period = '{{ run_period() }}'
        ) as persistently_short_enterprises,
        sum(months.headcount_persons) filter (where months.period = '{{ run_period() }}') as headcount_persons,
        sum(months.workers_persons) filter (where months.period = '{{ run_period() }}') as workers_persons,
        sum(months.shortage_now_persons) filter (
            where months.period = '{{ run_period() }}'
        ) as shortage_now_persons,
        sum(months.shortage_expansion_persons) filter (
            where months.period = '{{ run_period() }}'
        ) as shortage_expansion_persons,
        sum(months.shortage_now_persons) filter (
            where months.period = '{{ run_period() }}' and reporters.is_comparable
        ) as lfl_shortage_now_persons,
        sum(months.shortage_now_persons) filter (
            where months.period = '{{ period_before(1) }}' and reporters.is_comparable
        ) as lfl_previous_shortage_now_persons,
        sum(months.shortage_now_persons) filter (
            where months.period = '{{ period_before(1) }}'
        ) as previous_shortage_now_persons,
        sum(months.shortage_now_persons) filter (
            where months.period = '{{ run_period() }}' and reporters.is_yoy_comparable
        ) as lfl_yoy_shortage_now_persons,
        sum(months.shortage_now_persons) filter (
            where months.period = '{{ period_before(12) }}' and reporters.is_yoy_comparable
        ) as lfl_year_ago_shortage_now_persons,
        sum(months.shortage_now_persons) filter (
            where months.period = '{{ period_before(12) }}'
        ) as year_ago_shortage_now_persons
    from months
    left join reporters on months.reporter_code = reporters.reporter_code
    group by months.county_code, months.industry_code
),

-- An industry that left a county between two reports is 0 now; a county that did not report has no row at all.
measured as (
    select
        sums.county_code,
        counties.city_code,
        sums.industry_code,
        coalesce(sums.enterprises, 0)::bigint as enterprises,
        coalesce(sums.short_enterprises, 0)::bigint as short_enterprises,
        coalesce(sums.persistently_short_enterprises, 0)::bigint as persistently_short_enterprises,
        coalesce(sums.headcount_persons, 0)::bigint as headcount_persons,
        coalesce(sums.workers_persons, 0)::bigint as workers_persons,
        coalesce(sums.shortage_now_persons, 0)::bigint as shortage_now_persons,
        coalesce(sums.shortage_expansion_persons, 0)::bigint as shortage_expansion_persons,
        case
            when counties.is_comparable then coalesce(sums.lfl_shortage_now_persons, 0)::bigint
        end as lfl_shortage_now_persons,
        case
            when counties.is_comparable then coalesce(sums.lfl_previous_shortage_now_persons, 0)::bigint
        end as lfl_previous_shortage_now_persons,
        case
            when counties.is_reported_last_month then coalesce(sums.previous_shortage_now_persons, 0)::bigint
        end as previous_shortage_now_persons,
        case
            when counties.is_yoy_comparable then coalesce(sums.lfl_yoy_shortage_now_persons, 0)::bigint
        end as lfl_yoy_shortage_now_persons,
        case
            when counties.is_yoy_comparable then coalesce(sums.lfl_year_ago_shortage_now_persons, 0)::bigint
        end as lfl_year_ago_shortage_now_persons,
        case
            when counties.is_reported_year_ago then coalesce(sums.year_ago_shortage_now_persons, 0)::bigint
        end as year_ago_shortage_now_persons
    from sums
    inner join counties on sums.county_code = counties.county_code
    where
        counties.is_reported
        and (
            sums.is_here
            or (sums.was_here_last_month and counties.is_comparable)
            or (sums.was_here_year_ago and counties.is_yoy_comparable)
        )
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
        measured.lfl_yoy_shortage_now_persons,
        measured.lfl_year_ago_shortage_now_persons,
        measured.year_ago_shortage_now_persons,
        {{ change_rate(
            'measured.lfl_yoy_shortage_now_persons', 'measured.lfl_year_ago_shortage_now_persons'
        ) }} as shortage_yoy_rate_lfl,
        {{ change_rate(
            'measured.shortage_now_persons', 'measured.year_ago_shortage_now_persons'
        ) }} as shortage_yoy_rate_plain,
        periods.data_maturity
    from measured
    cross join periods
)

select * from final
