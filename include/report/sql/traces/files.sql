-- Files of the period and the twelve months before it that figures come from. `is_lfl`: the reporter's 企业情况表 was
-- accepted in the period and in the month before.
select
    file.period,
    file.form,
    file.submission_id,
    file.reporter_code,
    file.county_code,
    file.city_code,
    reporter.reporter_name,
    file.file_name,
    file.sha256,
    file.version,
    file.received_at,
    file.is_expected,
    exists (
        select
        from marts.fct_source_file as twin
        where
            twin.period = %(period)s
            and twin.reporter_code = file.reporter_code
            and twin.form = file.form
            and twin.is_comparable
    ) as is_lfl
from marts.fct_source_file as file
inner join marts.dim_reporter as reporter on file.reporter_code = reporter.reporter_code
where
    file.period between %(trend_from)s and %(period)s
    and file.is_in_use
order by file.period, file.city_code, file.reporter_code, file.form
