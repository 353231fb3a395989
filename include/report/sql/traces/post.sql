-- Sheet of 企业用工需求表: its lines of posts as lists.
select
    period,
    submission_id,
    sheet,
    count(*) as line_count,
    string_agg(source_row::text, ',' order by source_row) as rows,
    string_agg(coalesce(occupation_code, ''), chr(10) order by source_row) as key_occupation,
    string_agg(coalesce(employed_persons::text, ''), ',' order by source_row) as cell_employed,
    string_agg(coalesce(shortage_now_persons::text, ''), ',' order by source_row) as cell_shortage_now,
    string_agg(coalesce(planned_hires_persons::text, ''), ',' order by source_row) as cell_planned_hires
from marts.fct_post_demand
where period = %(period)s
group by period, submission_id, sheet
order by period, submission_id, sheet
