with

targets as (
    select * from {{ ref('dim_policy_target') }}
),

progress as (
    select * from {{ ref('mart_programme_progress') }}
    where
        period = '{{ run_period() }}'
        and is_target_place
),

periods as (
    select * from {{ ref('int_period_maturity') }}
    where period = '{{ run_period() }}'
),

-- An annual part counts once for every year of its window.
parts as (
    select
        targets.part_of,
        targets.target_id,
        targets.basis,
        targets.target_value * case targets.basis
            when 'annual'
                then extract(year from targets.window_end) - extract(year from targets.window_start) + 1
            else 1
        end as target_value,
        progress.done_value
    from targets
    left join progress
        on
            targets.target_id = progress.target_id
            and targets.region_code = progress.region_code
    where targets.part_of is not null
),

summed as (
    select
        part_of,
        count(*)::integer as parts,
        count(done_value)::integer as reported_parts,
        sum(target_value) as parts_target_value,
        -- Comparable with the total's figure only when every part is there and is counted like it.
        case when count(done_value) = count(*) and not bool_or(basis = 'annual') then sum(done_value) end
            as parts_done_value
    from parts
    group by part_of
),

final as (
    select
        periods.period,
        targets.target_id,
        targets.programme,
        targets.document_no,
        targets.clause,
        targets.indicator,
        targets.indicator_zh,
        targets.region_code,
        targets.region_zh as region_name,
        case when targets.region_code not like '__0000' then left(targets.region_code, 4) || '00' end as city_code,
        targets.unit,
        summed.parts,
        summed.parts_target_value,
        targets.target_value as total_target_value,
        summed.parts_target_value - targets.target_value as target_difference,
        case
            when summed.parts_target_value = targets.target_value then 'equal'
            when summed.parts_target_value < targets.target_value then 'parts_below_total'
            else 'parts_above_total'
        end as relation,
        summed.reported_parts,
        summed.parts_done_value,
        progress.done_value as total_done_value,
        summed.parts_done_value - progress.done_value as done_difference,
        targets.note,
        periods.data_maturity
    from summed
    inner join targets on summed.part_of = targets.target_id
    cross join periods
    left join progress
        on
            targets.target_id = progress.target_id
            and targets.region_code = progress.region_code
)

select * from final
