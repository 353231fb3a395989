{{ config(materialized='table') }}

with

targets as (
    select * from {{ ref('policy_targets') }}
),

aliases as (
    select * from {{ ref('target_aliases') }}
),

indicator_names as (
    select
        targets.target_id,
        {{ name_text('targets.indicator_zh') }} as indicator_name
    from targets

    union

    select
        targets.target_id,
        {{ name_text('aliases.alias') }} as indicator_name
    from targets
    inner join aliases
        on
            targets.programme = aliases.programme
            and targets.indicator_zh = aliases.name_zh
            and aliases.kind = 'indicator'
),

group_names as (
    select
        targets.target_id,
        {{ name_text('targets.group_zh') }} as group_name
    from targets

    union

    select
        targets.target_id,
        {{ name_text('aliases.alias') }} as group_name
    from targets
    inner join aliases
        on
            targets.programme = aliases.programme
            and targets.group_zh = aliases.name_zh
            and aliases.kind = 'group'
),

final as (
    select
        targets.target_id,
        targets.programme,
        targets.indicator_zh,
        coalesce(targets.group_zh, '') as group_zh,
        targets.period_start,
        indicator_names.indicator_name,
        group_names.group_name
    from targets
    inner join indicator_names on targets.target_id = indicator_names.target_id
    inner join group_names on targets.target_id = group_names.target_id
)

select * from final
