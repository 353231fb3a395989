{{ config(materialized='ephemeral') }}

with

pairs as (
    select * from {{ ref('int_subsidy_person_pair') }}
    where period = '{{ run_period() }}'
),

sides as (
    select * from {{ ref('subsidy_rule_items') }}
    where rule = 'expansion_or_driving'
),

forbidden as (
    select
        pairs.*,
        pairs.person_key as breach_key,
        one.verified and other.verified as is_verified
    from pairs
    inner join sides as one on pairs.later_item_code = one.item_code
    inner join sides as other
        on
            pairs.earlier_item_code = other.item_code
            and one.side <> other.side
),

final as (
    {{ subsidy_breach_pair('expansion_or_driving', 'forbidden') }}
)

select * from final
