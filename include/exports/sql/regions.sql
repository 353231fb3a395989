-- One row a region (province, city, county): sums of the progress mart, and enterprises counted once over its lines.
with

progress as (
    select
        region_code,
        region_name,
        level,
        city_code,
        min(half_year_from) as half_year_from,
        sum(filed_classes) as filed_classes,
        sum(filed_persons) as filed_persons,
        sum(filed_in_half_classes) as filed_in_half_classes,
        sum(filed_in_half_persons) as filed_in_half_persons,
        sum(under_review_classes) as under_review_classes,
        sum(not_started_classes) as not_started_classes,
        sum(start_lapsed_classes) as start_lapsed_classes,
        sum(training_classes) as training_classes,
        sum(completed_classes) as completed_classes,
        sum(claim_lapsed_classes) as claim_lapsed_classes,
        sum(settled_classes) as settled_classes,
        sum(unreported_classes) as unreported_classes,
        sum(training_persons) as training_persons,
        sum(completed_persons) as completed_persons,
        sum(passed_persons) as passed_persons,
        sum(left_persons) as left_persons,
        sum(applied_yuan) as applied_yuan,
        sum(approved_yuan) as approved_yuan,
        sum(advanced_yuan) as advanced_yuan,
        sum(paid_yuan) as paid_yuan,
        sum(recovered_yuan) as recovered_yuan,
        sum(outstanding_advance_yuan) as outstanding_advance_yuan,
        sum(advanced_in_half_yuan) as advanced_in_half_yuan,
        sum(paid_in_half_yuan) as paid_in_half_yuan
    from marts.mart_apprenticeship_progress
    where period = %(period)s
    group by region_code, region_name, level, city_code
),

enterprises as (
    select
        areas.region_code,
        count(distinct classes.uscc) as filed_enterprises,
        count(distinct classes.uscc) filter (
            where to_char(classes.filed_on, 'YYYY-MM') >= progress.half_year_from
        ) as filed_in_half_enterprises
    from marts.fct_apprenticeship_month as classes
    cross join lateral (
        values (left(classes.city_code, 2) || '0000'), (classes.city_code), (classes.county_code)
    ) as areas (region_code)
    inner join progress on areas.region_code = progress.region_code
    where classes.period = %(period)s and classes.filed_on is not null
    group by areas.region_code
)

select
    progress.*,
    coalesce(enterprises.filed_enterprises, 0) as filed_enterprises,
    coalesce(enterprises.filed_in_half_enterprises, 0) as filed_in_half_enterprises
from progress
left join enterprises on progress.region_code = enterprises.region_code
order by progress.region_code
