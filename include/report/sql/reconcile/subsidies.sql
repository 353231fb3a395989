-- Money of 补贴资金发放台账 by fund and item: edition, key, value.
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
            and form = 'subsidy_payment'
            and outcome in ('accepted', 'accepted_with_findings')
    ) as versions
    where age = 1
),

item_of as (
    select
        regexp_replace(normalize(spelling.spelling, nfkc), '[\s\u200b\ufeff]', '', 'g') as spelling,
        max(item.item_code) as item_code
    from reference.subsidy_items as item
    cross join lateral unnest(
        array[item.item_name] || coalesce(string_to_array(item.aliases, '|'), array[]::text[])
    ) as spelling (spelling)
    group by regexp_replace(normalize(spelling.spelling, nfkc), '[\s\u200b\ufeff]', '', 'g')
    having max(item.item_code) = min(item.item_code)
),

claims as (
    select
        used.reporter_code,
        coalesce(sent.fund, 'unstated') as fund,
        coalesce(item_of.item_code, 'unclassified') as item_code,
        sent.applied,
        sent.approved,
        sent.advanced,
        sent.paid,
        sent.payment_type,
        -- Days outside the calendar cannot be counted, so such a step has no duration.
        case
            when
                sent.accepted_on >= (select min(first.day) from reference.workdays as first)
                and sent.reviewed_on <= (select max(last.day) from reference.workdays as last)
                then (
                    select count(*)
                    from reference.workdays as day
                    where day.is_working_day and day.day > sent.accepted_on and day.day <= sent.reviewed_on
                )
        end as review_days
    from raw.subsidy_payment as sent
    inner join used on sent.submission_id = used.submission_id
    left join item_of on regexp_replace(normalize(sent.item, nfkc), '[\s\u200b\ufeff]', '', 'g') = item_of.spelling
    where sent.period = %(period)s
),

-- The month's rows are read once; the editions are added up from these few.
items as (
    select
        reporter_code,
        fund,
        item_code,
        count(*) as claims,
        sum(applied) filter (where payment_type is distinct from '追回') as applied,
        sum(approved) filter (where payment_type is distinct from '追回') as approved,
        sum(advanced) filter (where payment_type = '预支') as advanced,
        sum(paid) filter (where payment_type is distinct from '追回') as paid,
        count(*) filter (
            where review_days > (
                select max(rule.value::numeric) from reference.subsidy_rules as rule where rule.rule = 'review_working_days'
            )
        ) as over_limit
    from claims
    group by reporter_code, fund, item_code
),

summed as (
    select
        member.edition,
        scope.scope,
        sum(items.claims) as claims,
        sum(items.applied) as applied,
        sum(items.approved) as approved,
        sum(items.advanced) as advanced,
        sum(items.paid) as paid,
        sum(items.over_limit) as over_limit
    from items
    inner join member on items.reporter_code = member.reporter_code
    cross join lateral (
        values
        ('subsidy'),
        ('subsidy_fund.' || items.fund),
        ('subsidy_item.' || items.item_code),
        ('subsidy_detail.' || items.fund || '.' || items.item_code)
    ) as scope (scope)
    group by member.edition, scope.scope
)

select
    summed.edition,
    summed.scope || '.' || measure.name as key,
    measure.value
from summed
cross join lateral (
    values
    ('claims', summed.claims::numeric),
    ('applied', summed.applied),
    ('approved', summed.approved),
    ('advanced', summed.advanced),
    ('paid', summed.paid),
    ('over_limit_claims', summed.over_limit)
) as measure (name, value)
where measure.value is not null
