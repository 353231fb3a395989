-- The reporters that a comparison names: edition, key, names; equal ranks in the order of the list of regions.
with

-- Every edition and the reporters in it.
member as (
    select
        edition.edition,
        reporter.reporter_code,
        reporter.reporter_name,
        reporter.city_code
    from intake.reporter as reporter
    cross join lateral (
        values
        ('province'), ('city.' || reporter.city_code), ('county.' || reporter.reporter_code)
    ) as edition (edition)
    where edition.edition = any(%(editions)s)
),

used as (
    select
        expected.reporter_code,
        expected.due_on,
        arrived.*
    from intake.expected_report as expected
    left join lateral (
        select
            min(submission.received_at) over () as first_received,
            bool_or(submission.version = 1 and submission.outcome <> 'refused') over () as is_first_pass,
            submission.outcome <> 'refused' as is_accepted,
            submission.findings_e + submission.findings_r + submission.findings_w as findings,
            submission.cells_read,
            submission.cells_filled
        from intake.submission as submission
        where
            submission.period = expected.period
            and submission.reporter_code = expected.reporter_code
            and submission.form = expected.form
        order by (submission.outcome <> 'refused') desc, submission.version desc
        limit 1
    ) as arrived on true
    where expected.period = %(period)s
),

reporter as (
    select
        reporter_code,
        bool_and(coalesce(is_accepted, false)) as is_accepted,
        count(*) filter (where (first_received at time zone 'Asia/Shanghai')::date <= due_on)::numeric
        / count(*) as on_time_rate,
        count(*) filter (where is_first_pass)::numeric / nullif(count(first_received), 0) as first_pass_rate,
        sum(findings)::numeric / nullif(sum(cells_read), 0) as findings_share,
        sum(cells_filled)::numeric / nullif(sum(cells_read), 0) as completeness
    from used
    group by reporter_code
),

-- Better than another: earlier in the first thing in which they differ.
placed as (
    select
        one.reporter_code,
        1 + (
            select count(*) from reporter as other
            where
                other.is_accepted
                and (
                    -round(other.on_time_rate, 10),
                    -round(other.first_pass_rate, 10),
                    round(1000 * other.findings_share, 10),
                    -round(other.completeness, 10)
                ) < (
                    -round(one.on_time_rate, 10),
                    -round(one.first_pass_rate, 10),
                    round(1000 * one.findings_share, 10),
                    -round(one.completeness, 10)
                )
        ) as place,
        (select count(*) from reporter as other where other.is_accepted) as everywhere
    from reporter as one
    where one.is_accepted
)

select
    member.edition,
    'ranking.' || list.name || '_names' as key,
    coalesce(
        array_agg(member.reporter_name order by list.place, member.city_code, member.reporter_code)
            filter (where list.is_in),
        array[]::text[]
    ) as names
from member
inner join reporter on member.reporter_code = reporter.reporter_code
left join placed on member.reporter_code = placed.reporter_code
cross join lateral (
    values
    ('first', placed.place, coalesce(placed.place <= 3, false)),
    ('last', placed.place, coalesce(placed.place > placed.everywhere - 3 and placed.everywhere >= 10, false)),
    ('not_ranked', null, placed.place is null)
) as list (name, place, is_in)
group by member.edition, list.name
