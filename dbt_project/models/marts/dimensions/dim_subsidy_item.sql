{{ config(tags=['prepared']) }}

with

items as (
    select * from {{ ref('subsidy_items') }}
),

final as (
    select
        item_code,
        item_name,
        is_training,
        training_type
    from items

    union all

    select
        {{ unclassified_item() }} as item_code,
        '未归类' as item_name,
        false as is_training,
        null as training_type
)

select * from final
