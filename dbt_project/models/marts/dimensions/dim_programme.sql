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
        region_code
    from programmes
)

select * from final
