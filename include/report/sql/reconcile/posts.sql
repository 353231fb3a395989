-- Shortage by occupation from 企业用工需求表: edition, key, value.
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
    select
        submission_id,
        reporter_code
    from (
        select
            submission_id,
            reporter_code,
            row_number() over (partition by reporter_code order by version desc) as age
        from intake.submission
        where
            period = %(period)s
            and form = 'labour_demand'
            and outcome in ('accepted', 'accepted_with_findings')
    ) as versions
    where age = 1
),

spellings as (
    select
        occupation_code,
        true as is_name,
        occupation_name as spelling
    from reference.occupations

    union all

    select
        occupation_code,
        false as is_name,
        unnest(string_to_array(aliases, '|')) as spelling
    from reference.occupations
),

plain as (
    select
        occupation_code,
        is_name,
        regexp_replace(normalize(spelling, nfkc), '[\s\u200b\ufeff]', '', 'g') as spelling
    from spellings
),

-- An official name is stronger than an alias; a spelling of two occupations means neither.
occupation_of as (
    select
        spelling,
        max(occupation_code) as occupation_code
    from plain
    where is_name or spelling not in (select named.spelling from plain as named where named.is_name)
    group by spelling
    having max(occupation_code) = min(occupation_code) and spelling <> ''
),

-- The month's rows are read once; the editions are added up from these few.
sent_posts as (
    select
        used.reporter_code,
        coalesce(occupation_of.occupation_code, '0-00-00-00') as occupation_code,
        sum(sent.employed) as employed,
        sum(sent.shortage_now) as shortage_now,
        sum(sent.planned_hires) as planned_hires
    from raw.labour_demand as sent
    inner join used on sent.submission_id = used.submission_id
    left join occupation_of
        on regexp_replace(normalize(sent.post, nfkc), '[\s\u200b\ufeff]', '', 'g') = occupation_of.spelling
    where sent.period = %(period)s
    group by 1, 2
),

posts as (
    select
        member.edition,
        sent_posts.occupation_code,
        sum(sent_posts.employed) as employed,
        sum(sent_posts.shortage_now) as shortage_now,
        sum(sent_posts.planned_hires) as planned_hires
    from sent_posts
    inner join member on sent_posts.reporter_code = member.reporter_code
    group by member.edition, sent_posts.occupation_code
)

select
    posts.edition,
    'post.' || posts.occupation_code || '.' || measure.name as key,
    measure.value
from posts
cross join lateral (
    values
    ('employed', posts.employed::numeric),
    ('shortage_now', posts.shortage_now),
    ('planned_hires', posts.planned_hires)
) as measure (name, value)
where measure.value is not null

union all

select
    edition,
    'post.' || occupation_code || '.rank' as key,
    row_number() over (partition by edition order by shortage_now desc, occupation_code) as value
from posts
where occupation_code <> '0-00-00-00' and shortage_now > 0
