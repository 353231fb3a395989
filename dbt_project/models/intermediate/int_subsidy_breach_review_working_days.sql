{{ config(materialized='ephemeral') }}

with

claims as (
    select * from {{ ref('int_subsidy_ledger') }}
    where period = '{{ run_period() }}'
),

rules as (
    select * from {{ ref('subsidy_rules') }}
    where rule = 'review_working_days'
),

workdays as (
    select * from {{ ref('workdays') }}
),

-- Read on its own: taken from the import above, the calendar would be gone through once a claim.
month_end as (
    select
        day,
        working_day_number
    from {{ ref('workdays') }}
    where day = ('{{ run_period() }}-01'::date + interval '1 month - 1 day')::date
),

-- A review that has not ended by the end of the month has lasted that long already. Papers sent back stop the clock.
measured as (
    select
        claims.*,
        claims.reviewed_on is null as is_pending,
        case
            when claims.reviewed_on is not null then claims.review_working_days
            when claims.status in ('受理', '审核中')
                then {{ working_days_between('received', 'month_end') }}
        end as working_days
    from claims
    left join workdays as received on claims.accepted_on = received.day
    left join month_end on true
),

final as (
    select
        '{{ run_period() }}' as period,
        'review_working_days' as rule,
        case when measured.is_pending then 'pending' else 'claim' end as aspect,
        measured.claim_key as breach_key,
        {{ subsidy_breach_line('measured') }},
        true as is_breaking,
        rules.value as expected_value,
        measured.working_days::text as actual_value,
        null::numeric(18, 2) as at_stake_yuan,
        true as is_verified
    from measured
    cross join rules
    where measured.working_days > rules.value::numeric
)

select * from final
