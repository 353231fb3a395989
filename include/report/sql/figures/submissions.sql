-- Reporter x form of one period, expected or not.
select
    submission.reporter_code,
    reporter.reporter_name,
    submission.county_code,
    submission.city_code,
    reporter.city_name,
    reporter.pilot_level,
    submission.form,
    submission.is_expected,
    submission.is_received,
    submission.is_on_time,
    submission.is_accepted,
    submission.is_first_pass,
    submission.accepted_at,
    submission.findings_e,
    submission.findings_r,
    submission.findings_w,
    submission.is_sample
from marts.fct_submission as submission
inner join marts.dim_reporter as reporter on submission.reporter_code = reporter.reporter_code
where submission.period = %(period)s
order by submission.city_code, submission.reporter_code, submission.form
