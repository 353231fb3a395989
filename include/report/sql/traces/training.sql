-- Sheet of 企业用工需求表: its lines of training as lists. `key_subsidised` is blank where the form does not say.
select
    period,
    submission_id,
    sheet,
    count(*) as line_count,
    string_agg(source_row::text, ',' order by source_row) as rows,
    string_agg(coalesce(occupation_code, ''), chr(10) order by source_row) as key_occupation,
    string_agg(coalesce(training_level, ''), chr(10) order by source_row) as key_level,
    string_agg(coalesce(training_type, ''), chr(10) order by source_row) as key_type,
    string_agg(
        case when needed_subsidised_persons = needed_persons then '1' else '' end, chr(10) order by source_row
    ) as key_subsidised,
    string_agg(coalesce(needed_persons::text, ''), ',' order by source_row) as cell_training_persons
from marts.fct_training_need
where period = %(period)s
group by period, submission_id, sheet
order by period, submission_id, sheet
