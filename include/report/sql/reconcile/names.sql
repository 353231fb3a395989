-- The reporters printed by name: edition, key, names in the order of the list of regions.
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

duty as (
    select
        expected.reporter_code,
        bool_and(arrived.form is not null) as is_complete,
        bool_or(arrived.form is not null) as is_begun,
        bool_and(coalesce(arrived.received_on <= expected.due_on, false)) as is_on_time,
        bool_or(coalesce(arrived.received_on > expected.due_on, false)) as is_late,
        bool_and(coalesce(arrived.is_accepted, false)) as is_accepted,
        bool_or(not coalesce(arrived.is_accepted, true)) as is_refused
    from intake.expected_report as expected
    left join (
        select
            reporter_code,
            form,
            (min(received_at) at time zone 'Asia/Shanghai')::date as received_on,
            bool_or(outcome <> 'refused') as is_accepted
        from intake.submission
        where period = %(period)s
        group by reporter_code, form
    ) as arrived on expected.reporter_code = arrived.reporter_code and expected.form = arrived.form
    where expected.period = %(period)s
    group by expected.reporter_code
)

select
    member.edition,
    'reporting.' || kind.name || '_names' as key,
    coalesce(
        array_agg(reporter.reporter_name order by reporter.city_code, reporter.reporter_code)
            filter (where kind.applies),
        array[]::text[]
    ) as names
from duty
inner join member on duty.reporter_code = member.reporter_code
inner join intake.reporter as reporter on duty.reporter_code = reporter.reporter_code
cross join lateral (
    values
    ('received', duty.is_complete),
    ('on_time', duty.is_on_time),
    ('accepted', duty.is_accepted),
    ('late', duty.is_late),
    ('absent', not duty.is_begun),
    ('partial', duty.is_begun and not duty.is_complete),
    ('refused', duty.is_refused)
) as kind (name, applies)
group by member.edition, kind.name
