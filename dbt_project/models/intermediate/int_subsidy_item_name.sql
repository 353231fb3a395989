{{ config(materialized='table', indexes=[{'columns': ['written_as'], 'unique': true}]) }}

with

items as (
    select * from {{ ref('subsidy_items') }}
),

written as (
    select
        item_code,
        {{ comparable_text('item_name') }} as written_as
    from items

    union all

    select
        items.item_code,
        {{ comparable_text('former.alias') }} as written_as
    from items
    cross join lateral string_to_table(items.aliases, '|') as former (alias)
),

final as (
    select
        written_as,
        min(item_code) as item_code
    from written
    where written_as is not null
    group by written_as
    having count(distinct item_code) = 1
)

select * from final
