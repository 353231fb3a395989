{{ config(tags=['prepared']) }}

with

occupations as (
    select * from {{ ref('occupations') }}
),

final as (
    select
        occupation_code,
        occupation_name,
        major_code,
        major_name,
        code_is_duplicated_in_source as is_code_duplicated_in_source
    from occupations

    union all

    select
        {{ unclassified_occupation() }} as occupation_code,
        '未归类' as occupation_name,
        null as major_code,
        null as major_name,
        false as is_code_duplicated_in_source
)

select * from final
