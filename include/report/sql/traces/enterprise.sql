-- Sheet of 企业情况表, of the period and the month before: its lines as lists, one value a line, blank where a cell is.
select
    period,
    submission_id,
    sheet,
    count(*) as line_count,
    string_agg(source_row::text, ',' order by source_row) as rows,
    string_agg(coalesce(industry_code, ''), chr(10) order by source_row) as key_industry,
    string_agg(coalesce(size_class, ''), chr(10) order by source_row) as key_size,
    string_agg(is_short::int::text, chr(10) order by source_row) as key_short,
    string_agg(is_persistently_short::int::text, chr(10) order by source_row) as key_persistent,
    string_agg(coalesce(headcount_persons::text, ''), ',' order by source_row) as cell_headcount,
    string_agg(coalesce(workers_persons::text, ''), ',' order by source_row) as cell_workers,
    string_agg(coalesce(skilled_persons::text, ''), ',' order by source_row) as cell_skilled_total,
    string_agg(coalesce(skill_junior_persons::text, ''), ',' order by source_row) as cell_skill_junior,
    string_agg(coalesce(skill_intermediate_persons::text, ''), ',' order by source_row) as cell_skill_intermediate,
    string_agg(coalesce(skill_senior_persons::text, ''), ',' order by source_row) as cell_skill_senior,
    string_agg(coalesce(skill_technician_persons::text, ''), ',' order by source_row) as cell_skill_technician,
    string_agg(
        coalesce(skill_senior_technician_persons::text, ''), ',' order by source_row
    ) as cell_skill_senior_technician,
    string_agg(coalesce(skill_master_persons::text, ''), ',' order by source_row) as cell_skill_master,
    string_agg(coalesce(skill_chief_persons::text, ''), ',' order by source_row) as cell_skill_chief,
    string_agg(coalesce(hired_persons::text, ''), ',' order by source_row) as cell_hired,
    string_agg(coalesce(leavers_persons::text, ''), ',' order by source_row) as cell_leavers,
    string_agg(coalesce(shortage_now_persons::text, ''), ',' order by source_row) as cell_shortage_now,
    string_agg(coalesce(shortage_expansion_persons::text, ''), ',' order by source_row) as cell_shortage_expansion
from marts.fct_enterprise_month
where period in (%(period)s, %(previous)s)
group by period, submission_id, sheet
order by period, submission_id, sheet
