-- Workbook x month before the period: sums of what the trend shows, without its cells.
select
    period,
    submission_id,
    sheet,
    count(*) as line_count,
    sum(shortage_now_persons) as shortage_now,
    sum(headcount_persons) as headcount
from marts.fct_enterprise_month
where
    period >= %(trend_from)s
    and period < %(period)s
group by period, submission_id, sheet
order by period, submission_id, sheet
