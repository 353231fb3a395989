-- Reporter x form of the period: what the figures about reporting count, with the file whose findings are counted.
select
    submission.reporter_code,
    reporter.reporter_name,
    submission.county_code,
    submission.city_code,
    submission.form,
    submission.is_expected,
    submission.is_received,
    submission.is_on_time,
    submission.is_accepted,
    submission.is_first_pass,
    submission.received_at,
    submission.accepted_at,
    submission.findings_e,
    submission.findings_r,
    submission.findings_w,
    submission.cells_read,
    submission.cells_filled,
    file.submission_id,
    file.file_name,
    file.sha256,
    file.version
from marts.fct_submission as submission
inner join marts.dim_reporter as reporter on submission.reporter_code = reporter.reporter_code
left join marts.fct_source_file as file
    on
        submission.period = file.period
        and submission.reporter_code = file.reporter_code
        and submission.form = file.form
        and file.is_counted
where submission.period = %(period)s
order by submission.city_code, submission.reporter_code, submission.form
