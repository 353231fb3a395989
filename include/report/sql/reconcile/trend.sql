-- The months of the trend, from raw rows: edition, key, value.
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

used as (
    select distinct on (submission.period, submission.reporter_code)
        submission.submission_id,
        submission.period,
        submission.reporter_code,
        expected.reporter_code is not null as is_expected
    from intake.submission as submission
    left join intake.expected_report as expected
        on
            submission.period = expected.period
            and submission.reporter_code = expected.reporter_code
            and submission.form = expected.form
    where
        submission.form = 'enterprise_status'
        and submission.outcome in ('accepted', 'accepted_with_findings')
        and submission.period between %(trend_from)s and %(period)s
    order by submission.period, submission.reporter_code, submission.version desc
),

-- A row a reporter and month: the editions share them.
reporters as (
    select
        used.period,
        used.reporter_code,
        bool_or(used.is_expected) as is_expected,
        sum(sent.shortage_now) as shortage_now,
        sum(sent.headcount) as headcount
    from used
    left join raw.enterprise_status as sent on used.period = sent.period and used.submission_id = sent.submission_id
    group by used.period, used.reporter_code
),

months as (
    select
        member.edition,
        reporters.period,
        count(*) filter (where reporters.is_expected) as covered,
        sum(reporters.shortage_now) as shortage_now,
        sum(reporters.headcount) as headcount
    from reporters
    inner join member on reporters.reporter_code = member.reporter_code
    group by member.edition, reporters.period
)

select
    months.edition,
    'trend.' || months.period || '.' || measure.name as key,
    measure.value
from months
cross join lateral (
    values
    ('covered_reporters', months.covered::numeric),
    ('shortage_now', months.shortage_now),
    ('shortage_rate', months.shortage_now::numeric / nullif(months.headcount + months.shortage_now, 0))
) as measure (name, value)
where measure.value is not null and months.covered > 0
