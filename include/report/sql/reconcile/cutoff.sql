-- Receipt of the youngest version in use: edition, key, instant.
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
)

select
    member.edition,
    'reporting.data_cutoff' as key,
    max(submission.received_at) as instant
from intake.submission as submission
inner join member on submission.reporter_code = member.reporter_code
where
    submission.period = %(period)s
    and submission.outcome <> 'refused'
    and not exists (
        select 1
        from intake.submission as newer
        where
            newer.period = submission.period
            and newer.form = submission.form
            and newer.reporter_code = submission.reporter_code
            and newer.outcome <> 'refused'
            and newer.version > submission.version
    )
group by member.edition
