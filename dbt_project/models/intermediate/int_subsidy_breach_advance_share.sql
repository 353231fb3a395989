{{ config(materialized='ephemeral') }}

with

-- `not materialized` here and `offset 0` below keep every look at earlier months an index scan by key.
ledger as not materialized (
    select * from {{ ref('int_subsidy_ledger') }}
),

rules as (
    select * from {{ ref('subsidy_rules') }}
    where rule = 'advance_share'
),

this_month as (
    select distinct claim_key
    from ledger
    where
        period = '{{ run_period() }}'
        and payment_type = '预支'
        and coalesce(status, '') in ('审核通过', '公示中', '公示通过', '已拨付')
),

-- A claim in its next state states its advance again: of each month the sum, of the months the largest.
months as (
    select
        lines.claim_key,
        lines.period,
        sum(lines.advanced_yuan) filter (where lines.status = '已拨付') as paid_out_yuan,
        sum(lines.advanced_yuan) filter (where lines.status <> '已拨付') as agreed_yuan,
        sum(lines.standard_yuan * lines.quantity) as base_yuan
    from this_month
    cross join
        lateral (
            select ledger.* from ledger
            where
                ledger.claim_key = this_month.claim_key
                and ledger.period <= '{{ run_period() }}'
                and ledger.payment_type = '预支'
                and ledger.status in ('审核通过', '公示中', '公示通过', '已拨付')
            order by ledger.period
            offset 0
        ) as lines
    group by lines.claim_key, lines.period
),

advances as (
    select
        claim_key,
        greatest(sum(paid_out_yuan), max(agreed_yuan)) as advanced_yuan,
        max(base_yuan) as base_yuan
    from months
    group by claim_key
),

broken as (
    select
        ledger.*,
        (rules.value::numeric * advances.base_yuan)::numeric(18, 2) as limit_yuan,
        advances.advanced_yuan as all_advanced_yuan,
        row_number() over (
            partition by ledger.claim_key order by {{ subsidy_line_order('ledger') }}
        ) as line_no
    from advances
    inner join ledger on advances.claim_key = ledger.claim_key
    cross join rules
    where
        ledger.period = '{{ run_period() }}'
        and ledger.payment_type = '预支'
        and advances.advanced_yuan > (rules.value::numeric * advances.base_yuan)::numeric(18, 2)
),

final as (
    select
        '{{ run_period() }}' as period,
        'advance_share' as rule,
        'claim' as aspect,
        broken.claim_key as breach_key,
        {{ subsidy_breach_line('broken') }},
        true as is_breaking,
        broken.limit_yuan::text as expected_value,
        broken.all_advanced_yuan::text as actual_value,
        (case when broken.line_no = 1 then broken.all_advanced_yuan - broken.limit_yuan end)::numeric(18, 2) as at_stake_yuan,
        true as is_verified
    from broken
    where
        true
)

select * from final
