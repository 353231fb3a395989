-- Workbook x month before the period: sums of what the trend and the year before show, without their cells.
select
    period,
    submission_id,
    sheet,
    count(*) as line_count,
    sum(shortage_now_persons) as shortage_now,
    sum(headcount_persons) as headcount,
    sum(workers_persons) as workers,
    sum(skilled_persons) as skilled_total,
    sum(skill_senior_persons) as skill_senior,
    sum(skill_technician_persons) as skill_technician,
    sum(skill_senior_technician_persons) as skill_senior_technician,
    sum(skill_master_persons) as skill_master,
    sum(skill_chief_persons) as skill_chief
from marts.fct_enterprise_month
where
    period >= %(trend_from)s
    and period < %(period)s
group by period, submission_id, sheet
order by period, submission_id, sheet
