{{ config(tags=['prepared']) }}

with

standards as (
    select * from {{ ref('int_subsidy_standard') }}
),

final as (
    select
        item_code,
        region_code as area_code,
        tier,
        valid_from,
        valid_to,
        standard_name,
        fund,
        payee,
        region_level as area_level,
        level,
        amount,
        amount_kind,
        unit,
        condition_zh,
        source,
        is_verified
    from standards
)

select * from final
