{{ config(tags=['prepared']) }}

with

industries as (
    select * from {{ ref('industries') }}
),

final as (
    select
        division_code as industry_code,
        division_name as industry_name,
        category_code,
        category_name,
        sector
    from industries

    union all

    select
        {{ unclassified_industry() }} as industry_code,
        '未归类' as industry_name,
        null as category_code,
        null as category_name,
        null as sector
)

select * from final
