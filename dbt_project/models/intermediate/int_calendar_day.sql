{{ config(materialized='table', indexes=[{'columns': ['day'], 'unique': true}]) }}

with

workdays as (
    select * from {{ ref('workdays') }}
),

targets as (
    select * from {{ ref('policy_targets') }}
),

reach as (
    select
        least(min(workdays.day), (select min(targets.period_start) from targets)) as first_day,
        greatest(max(workdays.day), (select max(targets.due) from targets))
        + make_interval(years => {{ var('calendar_years_beyond') | int }}) as last_day
    from workdays
),

days as (
    select generate_series(first_day, last_day, interval '1 day')::date as day
    from reach
),

known as (
    select
        days.day,
        -- Outside the published calendar a working day is Monday to Friday.
        coalesce(workdays.is_working_day, extract(isodow from days.day) <= 5) as is_working_day,
        workdays.day is not null as is_calendar_known
    from days
    left join workdays on days.day = workdays.day
),

final as (
    select
        day,
        is_working_day,
        is_calendar_known,
        (count(*) filter (where is_working_day) over (order by day))::integer as working_day_number
    from known
)

select * from final
