{{ config(materialized='ephemeral') }}

with

claims as (
    select * from {{ ref('int_subsidy_ledger') }}
    where period = '{{ run_period() }}'
),

rules as (
    select * from {{ ref('subsidy_rules') }}
    where rule = 'amount_equals_standard'
),

standards as (
    select * from {{ ref('int_subsidy_standard') }}
),

-- Items whose standard is a share of something else have no product in yuan.
shares as (
    select distinct item_code
    from standards
    where amount_kind = 'share'
),

products as (
    select
        claims.*,
        (claims.standard_yuan * claims.quantity)::numeric(18, 2) as product_yuan
    from claims
    where
        not claims.is_recovery
        and claims.item_code not in (select shares.item_code from shares)
),

dated as (
    select
        claims.*,
        coalesce(claims.applied_on, claims.accepted_on, claims.reviewed_on, claims.decided_on, claims.paid_on) as claimed_on
    from claims
    where
        not claims.is_recovery
        and claims.standard_yuan is not null
),

-- Standards in force on the day for the claim's level. Of one tier only the one nearest to the county counts; tiers that
-- the ledger does not state (级别、企业规模) all stay possible.
applicable as (
    select
        dated.*,
        standards.amount,
        standards.amount_kind,
        standards.is_verified,
        rank() over (
            partition by
                dated.submission_id, dated.sheet, dated.source_row, dated.source_column, standards.tier
            order by standards.specificity desc
        ) as nearness
    from dated
    inner join standards
        on
            dated.item_code = standards.item_code
            and standards.amount_kind in ('fixed', 'cap')
            and standards.region_code in (
                dated.county_code,
                dated.city_code,
                left(dated.county_code, 2) || '0000',
                '000000'
            )
            and dated.claimed_on between standards.valid_from and standards.valid_to
            and (standards.level is null or dated.level = standards.level)
),

-- Looked at line by line through a window: joined back to the claims, a month would cost the square of its lines.
in_force as (
    select
        applicable.*,
        string_agg(
            case when applicable.amount_kind = 'cap' then '≤' else '' end || applicable.amount::numeric(18, 2), ' / '
        ) over line as amounts,
        max(applicable.amount) over line as highest,
        bool_and(applicable.is_verified) over line as are_verified,
        bool_or(
            abs(applicable.standard_yuan - applicable.amount) <= rules.value::numeric
            or (applicable.amount_kind = 'cap' and applicable.standard_yuan < applicable.amount)
        ) over line as is_like_one,
        row_number() over line as standard_no
    from applicable
    cross join rules
    where applicable.nearness = 1
    window
        line as (
            partition by
                applicable.submission_id, applicable.sheet, applicable.source_row, applicable.source_column
            order by applicable.amount, applicable.amount_kind
            rows between unbounded preceding and unbounded following
        )
),

unlike as (
    select * from in_force
    where
        standard_no = 1
        and not is_like_one
),

final as (
    select
        '{{ run_period() }}' as period,
        'amount_equals_standard' as rule,
        'claim' as aspect,
        products.claim_key as breach_key,
        {{ subsidy_breach_line('products') }},
        true as is_breaking,
        products.product_yuan::text as expected_value,
        products.applied_yuan::text as actual_value,
        (abs(products.applied_yuan - products.product_yuan))::numeric(18, 2) as at_stake_yuan,
        true as is_verified
    from products
    cross join rules
    where
        abs(products.applied_yuan - products.product_yuan) > rules.value::numeric

    union all

    select
        '{{ run_period() }}' as period,
        'amount_equals_standard' as rule,
        'standard' as aspect,
        unlike.claim_key || ':standard' as breach_key,
        {{ subsidy_breach_line('unlike') }},
        true as is_breaking,
        unlike.amounts as expected_value,
        unlike.standard_yuan::text as actual_value,
        (abs(unlike.standard_yuan - unlike.highest) * unlike.quantity)::numeric(18, 2) as at_stake_yuan,
        unlike.are_verified as is_verified
    from unlike
)

select * from final
