{{ config(materialized='table', indexes=[{'columns': ['written_as'], 'unique': true}]) }}

with

occupations as (
    select * from {{ ref('occupations') }}
),

names as (
    select
        occupation_code,
        {{ comparable_text('occupation_name') }} as written_as
    from occupations
),

aliases as (
    select
        occupations.occupation_code,
        {{ comparable_text('everyday.alias') }} as written_as
    from occupations
    cross join lateral string_to_table(occupations.aliases, '|') as everyday (alias)
),

-- The official name wins over an alias of another occupation.
written as (
    select
        occupation_code,
        written_as,
        'name' as matched_by
    from names

    union all

    select
        occupation_code,
        written_as,
        'alias' as matched_by
    from aliases
    where written_as not in (select names.written_as from names)
),

-- A wording that two occupations claim maps to neither.
final as (
    select
        written_as,
        min(occupation_code) as occupation_code,
        min(matched_by) as matched_by
    from written
    where written_as is not null
    group by written_as
    having count(distinct occupation_code) = 1
)

select * from final
