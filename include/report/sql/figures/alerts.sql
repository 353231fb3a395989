-- County x rule x severity of one period: subsidy alerts, counted; no person, no payee.
select
    county_code,
    rule,
    rule_zh,
    severity,
    count(*) as alerts
from marts.mart_subsidy_alerts
where period = %(period)s
group by county_code, rule, rule_zh, severity
order by county_code, rule, severity
