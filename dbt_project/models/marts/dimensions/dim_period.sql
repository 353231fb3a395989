{{ config(tags=['monthly']) }}

with

periods as (
    select * from {{ ref('int_period_maturity') }}
),

dated as (
    select
        *,
        (period || '-01')::date as first_day
    from periods
),

final as (
    select
        period,
        left(period, 4) || '年' || right(period, 2)::integer || '月' as period_zh,
        first_day,
        (first_day + interval '1 month' - interval '1 day')::date as last_day,
        to_char(first_day - interval '1 month', 'YYYY-MM') as previous_period,
        due_on,
        closes_on,
        revision_no,
        data_maturity
    from dated
)

select * from final
