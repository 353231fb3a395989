-- Target x place of one period, of the places that have the target. One of each place of a kind that there is not (no
-- pilot county is listed) is nobody's.
select
    progress.region_code,
    progress.region_name,
    progress.level,
    progress.target_id,
    target.document_no,
    target.clause,
    progress.indicator_zh,
    progress.group_zh,
    progress.basis,
    progress.bound,
    progress.unit,
    progress.target_value,
    progress.done_value,
    progress.missing_reason,
    progress.window_working_days,
    progress.elapsed_working_days,
    progress.lead_lag_points is not null as is_scheduled,
    progress.projected_value,
    progress.status
from marts.mart_programme_progress as progress
inner join marts.dim_policy_target as target on progress.target_id = target.target_id
where progress.period = %(period)s and progress.is_target_place and not progress.is_places_unknown
order by progress.region_code, target.document_no, progress.target_id
