{{ config(tags=['prepared']) }}

with

programmes as (
    select * from {{ ref('programmes') }}
),

final as (
    select
        programme,
        title_zh,
        document_no,
        issued_on,
        region_code,
        region_zh,
        -- GB/T 2260: the first four digits are the city; a province has none.
        case when region_code not like '__0000' then left(region_code, 4) || '00' end as city_code
    from programmes
)

select * from final
