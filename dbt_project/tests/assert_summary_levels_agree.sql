-- The province, the sum of its cities, the sum of its counties and the enterprises behind them agree.
with

summary as (
    select
        level,
        sum(headcount_persons) as headcount_persons,
        sum(shortage_now_persons) as shortage_now_persons,
        sum(expected_reporters) as expected_reporters
    from {{ ref('mart_labour_shortage_summary') }}
    where
        period = '{{ run_period() }}'
        and level in ('province', 'city')
    group by level
),

enterprises as (
    select
        'enterprises' as level,
        sum(headcount_persons) as headcount_persons,
        sum(shortage_now_persons) as shortage_now_persons
    from {{ ref('fct_enterprise_month') }}
    where period = '{{ run_period() }}'
),

expected as (
    select count(*) as expected_reporters
    from {{ ref('fct_submission') }}
    where
        period = '{{ run_period() }}'
        and form = 'enterprise_status'
        and is_expected
)

select
    summary.level,
    summary.headcount_persons,
    summary.shortage_now_persons,
    summary.expected_reporters
from summary
cross join enterprises
cross join expected
where
    summary.headcount_persons is distinct from enterprises.headcount_persons
    or summary.shortage_now_persons is distinct from enterprises.shortage_now_persons
    or summary.expected_reporters is distinct from expected.expected_reporters
