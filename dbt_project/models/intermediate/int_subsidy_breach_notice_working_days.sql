{{ config(materialized='ephemeral') }}

with

claims as (
    select * from {{ ref('int_subsidy_ledger') }}
    where period = '{{ run_period() }}'
),

rules as (
    select * from {{ ref('subsidy_rules') }}
    where rule = 'notice_working_days'
),

final as (
    select
        '{{ run_period() }}' as period,
        'notice_working_days' as rule,
        'claim' as aspect,
        claims.claim_key as breach_key,
        {{ subsidy_breach_line('claims') }},
        true as is_breaking,
        rules.value as expected_value,
        claims.notice_working_days::text as actual_value,
        ({{ subsidy_amount('claims') }})::numeric(18, 2) as at_stake_yuan,
        true as is_verified
    from claims
    cross join rules
    where
        not claims.is_recovery
        and claims.notice_working_days < rules.value::numeric

    union all

    select
        '{{ run_period() }}' as period,
        'notice_working_days' as rule,
        'paid_early' as aspect,
        claims.claim_key || ':paid_early' as breach_key,
        {{ subsidy_breach_line('claims') }},
        true as is_breaking,
        coalesce(claims.notice_to, claims.notice_from)::text as expected_value,
        claims.paid_on::text as actual_value,
        claims.paid_yuan::numeric(18, 2) as at_stake_yuan,
        true as is_verified
    from claims
    where
        not claims.is_recovery
        -- the notice stands on its last day too; of one without a last day, its first
        and claims.paid_on <= coalesce(claims.notice_to, claims.notice_from)
)

select * from final
