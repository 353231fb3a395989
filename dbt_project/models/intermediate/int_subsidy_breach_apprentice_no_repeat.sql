{{ config(materialized='ephemeral') }}

with

pairs as (
    select * from {{ ref('int_subsidy_person_pair') }}
    where period = '{{ run_period() }}'
),

forbidden as (
    select
        *,
        person_key || ':' || later_occupation_key || ':' || later_level as breach_key,
        true as is_verified
    from pairs
    where
        later_item_code = 'apprenticeship'
        and earlier_item_code = 'apprenticeship'
        and later_occupation_key = earlier_occupation_key
        and later_level = earlier_level
),

final as (
    {{ subsidy_breach_pair('apprentice_no_repeat', 'forbidden') }}
)

select * from final
