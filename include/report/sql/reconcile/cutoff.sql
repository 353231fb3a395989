-- Receipt of the youngest version in use: key, instant.
select
    'reporting.data_cutoff' as key,
    max(submission.received_at) as instant
from intake.submission as submission
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
having max(submission.received_at) is not null
