{{ config(materialized='table') }}

with

targets as (
    select * from {{ ref('policy_targets') }}
    where period_start is not null
),

days as (
    select * from {{ ref('int_calendar_day') }}
),

-- An annual target is due anew at the end of every year of its window.
yearly as (
    select
        targets.target_id,
        greatest(targets.period_start, make_date(years.year, 1, 1)) as window_start,
        least(targets.due, make_date(years.year, 12, 31)) as window_end
    from targets
    cross join
        lateral generate_series(
            extract(year from targets.period_start)::integer, extract(year from targets.due)::integer
        ) as years (year)
    where targets.basis = 'annual'
),

windows as (
    select
        target_id,
        period_start as window_start,
        due as window_end
    from targets
    where basis <> 'annual'

    union all

    select
        target_id,
        window_start,
        window_end
    from yearly
),

final as (
    select
        windows.target_id,
        windows.window_start,
        windows.window_end,
        {{ working_days_inclusive('first', 'last') }} as window_working_days,
        first.is_calendar_known and coalesce(last.is_calendar_known, true) as is_calendar_known
    from windows
    left join days as first on windows.window_start = first.day
    left join days as last on windows.window_end = last.day
)

select * from final
