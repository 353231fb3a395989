{{ config(materialized='ephemeral') }}

with

pairs as (
    select * from {{ ref('int_subsidy_person_pair') }}
    where period = '{{ run_period() }}'
),

forbidden as (
    select
        *,
        person_key || ':' || later_item_key as breach_key,
        true as is_verified
    from pairs
    where
        later_item_key = earlier_item_key
        and case
            -- A period of which one end is missing is sure of its other end only.
            when
                num_nonnulls(later_covered_from, later_covered_to) > 0
                and num_nonnulls(earlier_covered_from, earlier_covered_to) > 0
                then
                    coalesce(later_covered_from, later_covered_to) <= coalesce(earlier_covered_to, earlier_covered_from)
                    and coalesce(earlier_covered_from, earlier_covered_to)
                    <= coalesce(later_covered_to, later_covered_from)
            -- An item paid once, without a period: the same certificate is the same occasion.
            when
                num_nonnulls(
                    later_covered_from, later_covered_to, earlier_covered_from, earlier_covered_to
                ) = 0
                then later_certificate_mark = earlier_certificate_mark
        end
),

final as (
    {{ subsidy_breach_pair('duplicate_payment', 'forbidden') }}
)

select * from final
