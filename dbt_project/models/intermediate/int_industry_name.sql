{{ config(materialized='table', indexes=[{'columns': ['written_as'], 'unique': true}]) }}

with

industries as (
    select * from {{ ref('industries') }}
),

aliases as (
    select * from {{ ref('industry_aliases') }}
),

written as (
    select
        division_code as industry_code,
        division_code as written_as
    from industries

    union all

    select
        division_code as industry_code,
        category_code || division_code as written_as
    from industries

    union all

    select
        division_code as industry_code,
        division_name as written_as
    from industries

    union all

    select
        division_code as industry_code,
        division_code || division_name as written_as
    from industries

    union all

    select
        division_code as industry_code,
        category_code || division_code || division_name as written_as
    from industries

    union all

    select
        industries.division_code as industry_code,
        former.written_as
    from industries
    cross join lateral string_to_table(industries.aliases_2011, '|') as former (written_as)

    union all

    select
        division_code as industry_code,
        alias as written_as
    from aliases
),

compared as (
    select
        industry_code,
        {{ comparable_text('written_as') }} as written_as
    from written
),

-- A wording that two divisions claim maps to neither.
final as (
    select
        written_as,
        min(industry_code) as industry_code
    from compared
    where written_as is not null
    group by written_as
    having count(distinct industry_code) = 1
)

select * from final
