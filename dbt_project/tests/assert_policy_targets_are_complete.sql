-- All targets of the five documents stand in the dimension and in the month's mart, and every 分项 of an indicator that
-- also has a total names that total.
with

targets as (
    select * from {{ ref('dim_policy_target') }}
),

progress as (
    select distinct target_id
    from {{ ref('mart_programme_progress') }}
    where
        period = '{{ run_period() }}'
        and is_target_place
),

expected (programme, targets) as (
    values
    ('gx_bagui_brand_2021', 16),
    ('gx_workforce_2022', 4),
    ('qz_bagui_brand_2022', 16),
    ('sx_labour_brand_2022', 9),
    ('gz_ten_projects_2020', 37)
),

found as (
    select
        programme,
        count(*) as targets
    from targets
    group by programme
)

select
    expected.programme as what,
    '目标数不符' as fault
from expected
full outer join found on expected.programme = found.programme
where expected.targets is distinct from found.targets

union all

select
    targets.target_id as what,
    '报告期内没有这个目标' as fault
from targets
left join progress on targets.target_id = progress.target_id
where progress.target_id is null

union all

select
    parts.target_id as what,
    '分项没有写明总目标' as fault
from targets as parts
inner join targets as totals
    on
        parts.programme = totals.programme
        and parts.indicator = totals.indicator
        and parts.region_code = totals.region_code
        and parts.group_zh is not null
        and totals.group_zh is null
where parts.part_of is distinct from totals.target_id
