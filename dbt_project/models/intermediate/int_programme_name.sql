{{ config(materialized='table') }}

with

programmes as (
    select * from {{ ref('programmes') }}
),

aliases as (
    select * from {{ ref('target_aliases') }}
    where kind = 'programme'
),

written as (
    select
        programmes.programme,
        programmes.region_code,
        {{ name_text('called.name') }} as written_as
    from programmes
    cross join
        lateral (
            values (programmes.programme), (programmes.title_zh), (programmes.document_no)
        ) as called (name)

    union

    select
        programmes.programme,
        programmes.region_code,
        {{ name_text('aliases.alias') }} as written_as
    from aliases
    inner join programmes on aliases.programme = programmes.programme
),

final as (
    select
        programme,
        region_code,
        written_as
    from written
    where written_as <> ''
)

select * from final
