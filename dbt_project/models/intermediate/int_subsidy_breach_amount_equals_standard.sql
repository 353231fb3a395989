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
        dated.submission_id,
        dated.sheet,
        dated.source_row,
        dated.source_column,
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

in_force as (
    select
        submission_id,
        sheet,
        source_row,
        source_column,
        min(amount) as lowest,
        max(amount) as highest,
        string_agg(
            case when amount_kind = 'cap' then '≤' else '' end || amount::numeric(18, 2), ' / ' order by amount
        ) as amounts,
        bool_and(is_verified) as is_verified
    from applicable
    where nearness = 1
    group by submission_id, sheet, source_row, source_column
),

unlike as (
    select
        dated.*,
        in_force.amounts,
        in_force.highest,
        in_force.is_verified
    from dated
    inner join in_force
        on
            dated.submission_id = in_force.submission_id
            and dated.sheet = in_force.sheet
            and dated.source_row = in_force.source_row
            and dated.source_column = in_force.source_column
    cross join rules
    where
        not exists (
            select 1 from applicable
            where
                applicable.nearness = 1
                and applicable.submission_id = dated.submission_id
                and applicable.sheet = dated.sheet
                and applicable.source_row = dated.source_row
                and applicable.source_column = dated.source_column
                and (
                    abs(dated.standard_yuan - applicable.amount) <= rules.value::numeric
                    or (applicable.amount_kind = 'cap' and dated.standard_yuan < applicable.amount)
                )
        )
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
        unlike.is_verified
    from unlike
    where
        unlike.standard_yuan is not null
)

select * from final
