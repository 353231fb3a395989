-- Reporters compared with each other, from the ledger: edition, key, value, word.
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

form as (
    select
        expected.reporter_code,
        arrived.first_received is not null as is_received,
        coalesce((arrived.first_received at time zone 'Asia/Shanghai')::date <= expected.due_on, false) as is_on_time,
        counted.outcome in ('accepted', 'accepted_with_findings') as is_accepted,
        arrived.is_first_pass,
        counted.findings_e + counted.findings_r + counted.findings_w as findings,
        counted.cells_read,
        counted.cells_filled
    from intake.expected_report as expected
    left join lateral (
        select
            min(submission.received_at) as first_received,
            bool_or(submission.version = 1 and submission.outcome <> 'refused') as is_first_pass,
            coalesce(
                max(submission.version) filter (where submission.outcome <> 'refused'), max(submission.version)
            ) as version
        from intake.submission as submission
        where
            submission.period = expected.period
            and submission.reporter_code = expected.reporter_code
            and submission.form = expected.form
    ) as arrived on true
    left join intake.submission as counted
        on
            expected.period = counted.period
            and expected.reporter_code = counted.reporter_code
            and expected.form = counted.form
            and arrived.version = counted.version
    where expected.period = %(period)s
),

reporter as (
    select
        reporter_code,
        bool_or(is_received) as is_begun,
        bool_and(is_received) as is_complete,
        bool_and(coalesce(is_accepted, false)) as is_accepted,
        count(*) filter (where is_on_time)::numeric / count(*) as on_time_rate,
        count(*) filter (where is_first_pass)::numeric / nullif(count(*) filter (where is_received), 0)
            as first_pass_rate,
        1000 * sum(findings)::numeric / nullif(sum(cells_read), 0) as findings_per_1000,
        sum(cells_filled)::numeric / nullif(sum(cells_read), 0) as completeness
    from form
    group by reporter_code
),

ranked as (
    select
        reporter.*,
        case
            when is_accepted
                then rank() over (
                    partition by is_accepted
                    order by
                        round(on_time_rate, 10) desc,
                        round(first_pass_rate, 10) desc,
                        round(findings_per_1000, 10) asc,
                        round(completeness, 10) desc
                )
        end as place,
        count(*) filter (where is_accepted) over () as ranked_everywhere
    from reporter
),

counted as (
    select
        member.edition,
        max(ranked.ranked_everywhere) as ranked_everywhere,
        count(ranked.place) as ranked_reporters,
        count(*) - count(ranked.place) as not_ranked_reporters,
        max(ranked.place) as place
    from member
    inner join ranked on member.reporter_code = ranked.reporter_code
    group by member.edition
)

select
    counted.edition,
    'ranking.' || measure.name as key,
    measure.value::numeric as value,
    null as word
from counted
cross join lateral (
    values
    ('ranked_everywhere', counted.ranked_everywhere),
    ('ranked_reporters', counted.ranked_reporters),
    ('not_ranked_reporters', counted.not_ranked_reporters)
) as measure (name, value)

union all

select
    edition,
    'region.rank' as key,
    place as value,
    null as word
from counted
where edition like 'county.%%' and place is not null

union all

select
    member.edition,
    'reporter.' || ranked.reporter_code || '.' || measure.name as key,
    measure.value,
    null as word
from member
inner join ranked on member.reporter_code = ranked.reporter_code
cross join lateral (
    values
    ('rank', ranked.place::numeric),
    -- the rates of the forms are those of 报送情况
    ('findings_per_1000', ranked.findings_per_1000),
    ('completeness', ranked.completeness)
) as measure (name, value)
where ranked.place is not null and measure.value is not null

union all

select
    member.edition,
    'reporter.' || ranked.reporter_code || '.unranked_because' as key,
    null as value,
    case
        when not ranked.is_begun then 'absent'
        when not ranked.is_complete then 'partial'
        else 'refused'
    end as word
from member
inner join ranked on member.reporter_code = ranked.reporter_code
where ranked.place is null
