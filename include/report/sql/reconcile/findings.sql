-- Findings not yet settled, from the ledger: edition, key, value.
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
    where
        edition.edition = any(%(editions)s)
        and reporter.reporter_code in (
            select arrived.reporter_code from intake.submission as arrived
            where arrived.period = %(period)s
            union
            select expected.reporter_code from intake.expected_report as expected
            where expected.period = %(period)s
        )
),

-- The detail kept of each code of a file or form, and what was found beyond it.
kept as (
    select
        reporter_code,
        coalesce(form, 'file') as form,
        code,
        severity,
        receipt_id,
        submission_id,
        count(*) as findings
    from intake.finding
    where period = %(period)s and state not in ('accepted', 'mended', 'expired')
    group by 1, 2, 3, 4, 5, 6
),

counted as (
    select
        kept.reporter_code,
        kept.form,
        kept.code,
        kept.severity,
        sum(kept.findings) as listed,
        sum(kept.findings + coalesce(tally.found - tally.stored, 0)) as findings
    from kept
    left join intake.finding_tally as tally
        on
            kept.receipt_id = tally.receipt_id
            and kept.submission_id is not distinct from tally.submission_id
            and kept.code = tally.code
    group by kept.reporter_code, kept.form, kept.code, kept.severity
),

summed as (
    select
        member.edition,
        coalesce(sum(counted.findings), 0) as findings,
        coalesce(sum(counted.findings) filter (where counted.severity = 'E'), 0) as findings_e,
        coalesce(sum(counted.findings) filter (where counted.severity = 'R'), 0) as findings_r,
        coalesce(sum(counted.findings) filter (where counted.severity = 'W'), 0) as findings_w,
        coalesce(sum(counted.listed), 0) as listed
    from member
    left join counted on member.reporter_code = counted.reporter_code
    group by member.edition
)

select
    summed.edition,
    'findings.' || measure.name as key,
    measure.value::numeric as value
from summed
cross join lateral (
    values
    ('open', summed.findings),
    ('open_e', summed.findings_e),
    ('open_r', summed.findings_r),
    ('open_w', summed.findings_w),
    ('not_listed', case when summed.findings > 0 then summed.findings - least(summed.listed, 2000) end)
) as measure (name, value)
where measure.value is not null

union all

select
    member.edition,
    'finding.' || counted.reporter_code || '.' || counted.form || '.' || counted.code || '.open' as key,
    counted.findings as value
from member
inner join counted on member.reporter_code = counted.reporter_code
