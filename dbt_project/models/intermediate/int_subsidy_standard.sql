with

standards as (
    select * from {{ ref('subsidy_standards') }}
),

final as (
    select
        item as item_code,
        item_zh as standard_name,
        fund,
        payee,
        region_code,
        case
            when region_code = '000000' then 'nation'
            when right(region_code, 4) = '0000' then 'province'
            when right(region_code, 2) = '00' then 'city'
            else 'county'
        end as region_level,
        case
            when region_code = '000000' then 0
            when right(region_code, 4) = '0000' then 1
            when right(region_code, 2) = '00' then 2
            else 3
        end as specificity,
        coalesce(tier, '') as tier,
        case
            when tier in ('初级工', '中级工', '高级工', '技师', '高级技师', '特级技师', '首席技师') then tier
        end as level,
        amount,
        amount_kind,
        unit,
        condition_zh,
        coalesce(valid_from, '-infinity'::date) as valid_from,
        coalesce(valid_to, 'infinity'::date) as valid_to,
        source,
        verified as is_verified
    from standards
)

select * from final
