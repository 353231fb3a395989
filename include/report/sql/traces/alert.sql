-- Lines of the ledgers that alerts of the period are about, by the county that the alert is of. A duplicate payment has
-- lines in two counties: a county's page takes those of its own files only. No person, payee or amount is read.
with alerts as (
    select
        alert.alert_id,
        alert.rule,
        alert.severity,
        alert.county_code,
        alert.city_code,
        dense_rank() over (order by alert.alert_id collate "C")::text as number
    from marts.mart_subsidy_alerts as alert
    where alert.period = %(period)s
)

select
    %(period)s as period,
    alerts.county_code,
    alerts.city_code,
    line.submission_id,
    line.sheet,
    count(*) as line_count,
    string_agg(
        line.source_row || case when line.source_column = '' then '' else ':' || line.source_column end,
        ',' order by alerts.number, line.line_no
    ) as rows,
    string_agg(alerts.number, chr(10) order by alerts.number, line.line_no) as key_alert,
    string_agg(alerts.rule, chr(10) order by alerts.number, line.line_no) as key_rule,
    string_agg(alerts.severity, chr(10) order by alerts.number, line.line_no) as key_severity
from alerts
inner join marts.mart_subsidy_alert_lines as line
    on
        alerts.alert_id = line.alert_id
        and line.period = %(period)s
group by alerts.county_code, alerts.city_code, line.submission_id, line.sheet
order by alerts.city_code, alerts.county_code, line.submission_id, line.sheet
