-- Every figure of 报送情况, from the ledger: edition, key, value.
with

-- Every edition and the reporters in it.
member as (
    select
        edition.edition,
        reporter.reporter_code
    from intake.reporter as reporter
    cross join lateral (
        values
        ('province'), ('city.' || reporter.city_code), ('county.' || reporter.reporter_code)
    ) as edition (edition)
    where edition.edition = any(%(editions)s)
),

arrived as (
    select
        period,
        reporter_code,
        form,
        min(received_at) as first_received,
        bool_or(outcome <> 'refused') as is_accepted,
        bool_or(version = 1 and outcome <> 'refused') as is_first_pass,
        max(version) filter (where outcome <> 'refused') as accepted_version,
        max(version) as last_version
    from intake.submission
    where period = %(period)s
    group by period, reporter_code, form
),

duty as (
    select
        expected.reporter_code,
        reporter.city_code,
        expected.form,
        arrived.form is not null as is_received,
        coalesce((arrived.first_received at time zone 'Asia/Shanghai')::date <= expected.due_on, false) as is_on_time,
        coalesce(arrived.is_accepted, false) as is_accepted,
        coalesce(arrived.is_first_pass, false) as is_first_pass,
        version.findings_e,
        version.findings_r,
        version.findings_w
    from intake.expected_report as expected
    inner join intake.reporter as reporter on expected.reporter_code = reporter.reporter_code
    left join arrived on expected.reporter_code = arrived.reporter_code and expected.form = arrived.form
    left join intake.submission as version
        on
            arrived.period = version.period
            and arrived.reporter_code = version.reporter_code
            and arrived.form = version.form
            and coalesce(arrived.accepted_version, arrived.last_version) = version.version
    where expected.period = %(period)s
),

forms as (
    select
        member.edition,
        scope.scope,
        count(*) as expected,
        count(*) filter (where is_received) as received,
        count(*) filter (where is_on_time) as on_time,
        count(*) filter (where is_accepted) as accepted,
        count(*) filter (where is_first_pass) as first_pass,
        sum(findings_e) filter (where is_received) as findings_e,
        sum(findings_r) filter (where is_received) as findings_r,
        sum(findings_w) filter (where is_received) as findings_w
    from duty
    inner join member on duty.reporter_code = member.reporter_code
    cross join lateral (
        values ('reporting'), ('form.' || duty.form), ('reporter.' || duty.reporter_code)
    ) as scope (scope)
    group by member.edition, scope.scope
),

reporters as (
    select
        member.edition,
        duty.reporter_code,
        duty.city_code,
        bool_and(is_received) as is_complete,
        bool_or(is_received) as is_begun,
        bool_and(is_on_time) as is_on_time,
        bool_and(is_accepted) as is_accepted,
        bool_or(is_received and not is_on_time) as is_late,
        bool_or(is_received and not is_accepted) as is_refused,
        bool_or(form = 'enterprise_status' and is_accepted) as is_covered
    from duty
    inner join member on duty.reporter_code = member.reporter_code
    group by member.edition, duty.reporter_code, duty.city_code
)

select
    forms.edition,
    forms.scope || '.' || measure.name as key,
    measure.value
from forms
cross join lateral (
    values
    ('expected_forms', forms.expected::numeric),
    ('received_forms', forms.received),
    ('on_time_forms', forms.on_time),
    ('accepted_forms', forms.accepted),
    ('first_pass_forms', forms.first_pass),
    ('received_rate', forms.received::numeric / forms.expected),
    ('on_time_rate', forms.on_time::numeric / forms.expected),
    ('first_pass_rate', forms.first_pass::numeric / nullif(forms.received, 0)),
    ('findings_e', forms.findings_e),
    ('findings_r', forms.findings_r),
    ('findings_w', forms.findings_w)
) as measure (name, value)
where measure.value is not null

union all

select
    total.edition,
    'reporting.' || measure.name as key,
    measure.value
from (
    select
        edition,
        count(*) as expected,
        count(*) filter (where is_complete) as received,
        count(*) filter (where is_on_time) as on_time,
        count(*) filter (where is_accepted) as accepted,
        count(*) filter (where is_late) as late,
        count(*) filter (where not is_begun) as absent,
        count(*) filter (where is_begun and not is_complete) as partial,
        count(*) filter (where is_refused) as refused,
        count(*) filter (where is_covered) as covered
    from reporters
    group by edition
) as total
cross join lateral (
    values
    ('expected_reporters', total.expected::numeric),
    ('received_reporters', total.received),
    ('on_time_reporters', total.on_time),
    ('accepted_reporters', total.accepted),
    ('late_reporters', total.late),
    ('absent_reporters', total.absent),
    ('partial_reporters', total.partial),
    ('refused_reporters', total.refused),
    ('covered_reporters', total.covered),
    ('coverage_rate', total.covered::numeric / nullif(total.expected, 0))
) as measure (name, value)
where measure.value is not null

union all

select
    edition,
    'city.' || city_code || '.expected_reporters' as key,
    count(*) as value
from reporters
where edition = 'province'
group by edition, city_code

union all

select
    edition,
    'city.' || city_code || '.covered_reporters' as key,
    count(*) filter (where is_covered) as value
from reporters
where edition = 'province'
group by edition, city_code
