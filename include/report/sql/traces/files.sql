-- Files of the period and the twelve months before it that figures come from, and older ones that alerts are about.
-- `is_lfl`, `is_yoy`: the reporter's form was accepted in the period, and in the month or the year before.
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
    coalesce(twin.is_comparable, false) as is_lfl,
    coalesce(twin.is_yoy_comparable, false) as is_yoy
from marts.fct_source_file as file
inner join marts.dim_reporter as reporter on file.reporter_code = reporter.reporter_code
left join marts.fct_source_file as twin
    on
        twin.period = %(period)s
        and file.reporter_code = twin.reporter_code
        and file.form = twin.form
        and twin.is_in_use
where
    file.is_in_use
    and (
        file.period between %(trend_from)s and %(period)s
        or file.submission_id in (
            select line.submission_id
            from marts.mart_subsidy_alert_lines as line
            where line.period = %(period)s
        )
    )
order by file.period, file.city_code, file.reporter_code, file.form
