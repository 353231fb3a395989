{{ config(tags=['prepared']) }}

with

targets as (
    select * from {{ ref('policy_targets') }}
),

programmes as (
    select * from {{ ref('programmes') }}
),

units as (
    select * from {{ ref('target_units') }}
),

sources as (
    select * from {{ ref('target_sources') }}
),

final as (
    select
        targets.target_id,
        targets.programme,
        programmes.title_zh,
        programmes.document_no,
        targets.clause,
        targets.indicator,
        targets.indicator_zh,
        targets.group_zh,
        targets.region_code,
        programmes.region_zh,
        -- GB/T 2260: the first four digits are the city; a province has none.
        case when targets.region_code not like '__0000' then left(targets.region_code, 4) || '00' end as city_code,
        targets.scope,
        targets.unit,
        units.unit_kind,
        units.unit_kind_zh,
        targets.bound,
        targets.target as target_value,
        targets.basis,
        targets.period_start as window_start,
        targets.due as window_end,
        targets.period_start_basis,
        targets.part_of,
        -- Only what is counted once in one place adds up: no rate, no average, no target of each single place.
        units.is_additive
        and targets.scope = 'region'
        and targets.basis in ('stock', 'cumulative', 'period', 'annual') as is_additive,
        sources.measure as known_measure,
        sources.source_model as known_from,
        sources.definition_zh as known_definition_zh,
        targets.note
    from targets
    inner join programmes on targets.programme = programmes.programme
    left join units on {{ comparable_text('targets.unit') }} = units.written_as
    left join sources on targets.target_id = sources.target_id
)

select * from final
