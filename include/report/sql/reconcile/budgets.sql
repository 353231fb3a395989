-- Budgets of the year and what was paid of them by the month's end: edition, key, value.
with

-- Every edition, its place and the reporters in it.
member as (
    select
        edition.edition,
        edition.place,
        reporter.reporter_code
    from intake.reporter as reporter
    cross join lateral (
        values
        ('province', '450000'),
        ('city.' || reporter.city_code, reporter.city_code),
        ('county.' || reporter.reporter_code, reporter.region_code)
    ) as edition (edition, place)
    where edition.edition = any(%(editions)s)
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

budget as (
    select distinct
        member.edition,
        given.fund,
        given.item_code,
        given.budget_yuan::numeric as budget
    from reference.subsidy_budgets as given
    inner join member on given.region_code = member.place
    where given.budget_year::text = left(%(period)s, 4)
),

used as (
    select distinct on (period, reporter_code)
        submission_id,
        period,
        reporter_code
    from intake.submission
    where
        form = 'subsidy_payment'
        and outcome in ('accepted', 'accepted_with_findings')
        and period between left(%(period)s, 4) || '-01' and %(period)s
        -- the year's ledgers are added up only where somebody gave a budget
        and exists (select 1 from budget)
    order by period asc, reporter_code asc, version desc
),

paid as (
    select
        member.edition,
        sent.fund,
        coalesce(item_of.item_code, 'unclassified') as item_code,
        sum(sent.paid) as paid
    from used
    inner join raw.subsidy_payment as sent on used.period = sent.period and used.submission_id = sent.submission_id
    inner join member on used.reporter_code = member.reporter_code
    left join item_of on regexp_replace(normalize(sent.item, nfkc), '[\s\u200b\ufeff]', '', 'g') = item_of.spelling
    where sent.payment_type is distinct from '追回'
    group by member.edition, sent.fund, coalesce(item_of.item_code, 'unclassified')
),

executed as (
    select
        budget.edition,
        'execution.' || budget.fund || '.' || budget.item_code as scope,
        budget.budget,
        paid.paid
    from budget
    left join paid
        on budget.edition = paid.edition and budget.fund = paid.fund and budget.item_code = paid.item_code
),

summed as (
    select
        edition,
        scope,
        budget,
        paid
    from executed

    union all

    select
        edition,
        'execution' as scope,
        sum(budget) as budget,
        sum(paid) as paid
    from executed
    group by edition
)

select
    summed.edition,
    summed.scope || '.' || measure.name as key,
    measure.value
from summed
cross join lateral (
    values
    ('budget', summed.budget),
    ('paid', summed.paid),
    ('rate', summed.paid / nullif(summed.budget, 0))
) as measure (name, value)
where measure.value is not null
