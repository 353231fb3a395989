-- Subsidy alerts by rule: edition, key, value. A breach is a judgement over several months and forms; it is counted
-- anew from the lines that break the rule, one step before the mart that is printed.
with

place as (
    select distinct
        edition.edition,
        reporter.region_code
    from intake.reporter as reporter
    cross join lateral (
        values
        ('province'), ('city.' || reporter.city_code), ('county.' || reporter.reporter_code)
    ) as edition (edition)
    where edition.edition = any(%(editions)s)
),

alert as (
    select distinct on (line.alert_id)
        line.alert_id,
        line.rule,
        line.county_code,
        case
            when
                rule.verified
                and bool_and(line.is_verified) over (partition by line.alert_id)
                and rule.effect = 'alert'
                then 'alert'
            else 'hint'
        end as severity
    from marts.fct_subsidy_breach_line as line
    inner join reference.subsidy_rules as rule on line.rule = rule.rule
    where line.period = %(period)s
    order by
        line.alert_id asc,
        line.is_breaking desc,
        line.line_period desc,
        line.county_code desc
),

counted as (
    select
        place.edition,
        alert.rule,
        alert.severity,
        count(*) as alerts
    from alert
    inner join place on alert.county_code = place.region_code
    group by place.edition, alert.rule, alert.severity
)

select
    edition,
    'alert.' || rule || '.' || severity || '.alerts' as key,
    alerts::numeric as value
from counted

union all

select
    place.edition,
    'alerts.' || kind.severity as key,
    coalesce(
        (
            select sum(counted.alerts) from counted
            where counted.edition = place.edition and counted.severity = kind.severity
        ),
        0
    ) as value
from (select distinct edition from place) as place
cross join (values ('alert'), ('hint')) as kind (severity)
