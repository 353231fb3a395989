{{ config(materialized='ephemeral') }}

with

-- `not materialized` here and `offset 0` below keep every look at earlier months an index scan by key.
ledger as not materialized (
    select * from {{ ref('int_subsidy_ledger') }}
),

this_month as (
    select distinct claim_key
    from ledger
    where
        period = '{{ run_period() }}'
        and paid_yuan is not null
),

-- What is taken back has been mended. Two alike claims of one month are two, so approvals of a month are added; the
-- same claim paid in parts over months states its approval again, so of the months the largest counts.
months as (
    select
        lines.claim_key,
        lines.period,
        sum(case when lines.is_recovery then -abs(lines.paid_yuan) else lines.paid_yuan end) as paid_yuan,
        sum(lines.approved_yuan) filter (where not lines.is_recovery) as approved_yuan
    from this_month
    cross join
        lateral (
            select ledger.* from ledger
            where
                ledger.claim_key = this_month.claim_key
                and ledger.period <= '{{ run_period() }}'
            order by ledger.period
            offset 0
        ) as lines
    group by lines.claim_key, lines.period
),

totals as (
    select
        claim_key,
        sum(paid_yuan) as paid_yuan,
        max(approved_yuan) as approved_yuan
    from months
    group by claim_key
),

broken as (
    select
        ledger.*,
        totals.approved_yuan as all_approved_yuan,
        totals.paid_yuan as all_paid_yuan,
        row_number() over (
            partition by ledger.claim_key order by {{ subsidy_line_order('ledger') }} desc
        ) as line_no
    from totals
    cross join
        lateral (
            select ledger.* from ledger
            where
                ledger.claim_key = totals.claim_key
                and ledger.period <= '{{ run_period() }}'
                and ledger.paid_yuan is not null
            order by ledger.period
            offset 0
        ) as ledger
    where totals.paid_yuan > totals.approved_yuan
),

final as (
    select
        '{{ run_period() }}' as period,
        'paid_not_over_approved' as rule,
        'claim' as aspect,
        broken.claim_key as breach_key,
        {{ subsidy_breach_line('broken') }},
        broken.period = '{{ run_period() }}' as is_breaking,
        broken.all_approved_yuan::text as expected_value,
        broken.all_paid_yuan::text as actual_value,
        (case when broken.line_no = 1 then broken.all_paid_yuan - broken.all_approved_yuan end)::numeric(18, 2) as at_stake_yuan,
        true as is_verified
    from broken
    where
        true
)

select * from final
