-- Training needed (企业用工需求表) and delivered (补贴资金发放台账): edition, key, value.
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

-- Figures of training are counted by county: the counties of each edition.
place as (
    select distinct
        member.edition,
        reporter.region_code as county_code
    from member
    inner join intake.reporter as reporter on member.reporter_code = reporter.reporter_code
),

used as (
    select
        submission_id,
        form,
        county_code
    from (
        select
            submission_id,
            form,
            county_code,
            row_number() over (partition by form, reporter_code order by version desc) as age
        from intake.submission
        where period = %(period)s and outcome in ('accepted', 'accepted_with_findings')
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

occupation_of as (
    select
        spelling,
        max(occupation_code) as occupation_code
    from plain
    where is_name or spelling not in (select named.spelling from plain as named where named.is_name)
    group by spelling
    having max(occupation_code) = min(occupation_code) and spelling <> ''
),

training_items as (
    select
        regexp_replace(normalize(spelling.spelling, nfkc), '[\s\u200b\ufeff]', '', 'g') as spelling,
        bool_and(item.is_training) as is_training,
        max(item.training_type) as training_type
    from reference.subsidy_items as item
    cross join lateral unnest(
        array[item.item_name] || coalesce(string_to_array(item.aliases, '|'), array[]::text[])
    ) as spelling (spelling)
    group by regexp_replace(normalize(spelling.spelling, nfkc), '[\s\u200b\ufeff]', '', 'g')
    having count(distinct item.item_code) = 1
),

needs as (
    select
        used.county_code,
        coalesce(occupation_of.occupation_code, '0-00-00-00') as occupation,
        sent.training_level as level,
        sent.training_type as type,
        sum(sent.training_persons) as needed,
        sum(case sent.training_subsidised when true then sent.training_persons when false then 0 end) as subsidised
    from raw.labour_demand as sent
    inner join used on sent.submission_id = used.submission_id and used.form = 'labour_demand'
    left join occupation_of
        on regexp_replace(normalize(sent.training_post, nfkc), '[\s\u200b\ufeff]', '', 'g') = occupation_of.spelling
    where sent.period = %(period)s and sent.training_persons is not null
    group by 1, 2, 3, 4
),

done as (
    select
        used.county_code,
        coalesce(occupation_of.occupation_code, '0-00-00-00') as occupation,
        sent.level,
        training_items.training_type as type,
        count(distinct sent.person_key)
        + coalesce(sum(case when sent.person_key is null then sent.quantity end), 0)::bigint as delivered
    from raw.subsidy_payment as sent
    inner join used on sent.submission_id = used.submission_id and used.form = 'subsidy_payment'
    inner join training_items
        on
            regexp_replace(normalize(sent.item, nfkc), '[\s\u200b\ufeff]', '', 'g') = training_items.spelling
            and training_items.is_training
    left join occupation_of
        on regexp_replace(normalize(sent.occupation, nfkc), '[\s\u200b\ufeff]', '', 'g') = occupation_of.spelling
    where
        sent.period = %(period)s
        and sent.status in ('审核通过', '公示中', '公示通过', '已拨付')
        and sent.payment_type is distinct from '预支'
        and sent.payment_type is distinct from '追回'
    group by 1, 2, 3, 4
),

cells as (
    select
        county_code,
        occupation,
        level,
        type,
        sum(needed) as needed,
        sum(subsidised) as subsidised,
        sum(delivered) as delivered,
        bool_or(is_need) as has_need
    from (
        select
            county_code, occupation, level, type, needed, subsidised, null::bigint as delivered, true as is_need
        from needs
        union all
        select
            county_code, occupation, level, type, null as needed, null as subsidised, delivered, false as is_need
        from done
    ) as both_sides
    group by county_code, occupation, level, type
),

-- A county whose form was accepted and names nothing stands for 0; one without the form for nothing at all.
known as (
    select
        cells.county_code,
        cells.occupation,
        cells.level,
        cells.type,
        case when demand.county_code is not null then coalesce(cells.needed, 0) end as needed,
        case when demand.county_code is not null and not cells.has_need then 0 else cells.subsidised end as subsidised,
        case when ledger.county_code is not null then coalesce(cells.delivered, 0) end as delivered
    from cells
    left join (select distinct county_code from used where form = 'labour_demand') as demand
        on cells.county_code = demand.county_code
    left join (select distinct county_code from used where form = 'subsidy_payment') as ledger
        on cells.county_code = ledger.county_code
),

summed as (
    select
        place.edition,
        scope.scope,
        sum(known.needed) as needed,
        sum(known.subsidised) as subsidised,
        sum(known.delivered) as delivered,
        -- a share of both: only where both forms were accepted
        sum(case when known.delivered is not null then known.needed end) as needed_both,
        sum(case when known.needed is not null then known.delivered end) as delivered_both
    from known
    inner join place on known.county_code = place.county_code
    cross join lateral (
        values
        ('training'),
        ('training_occupation.' || known.occupation),
        ('training_level.' || coalesce(known.level, 'unstated')),
        ('training_type.' || coalesce(known.type, 'unstated'))
    ) as scope (scope)
    group by place.edition, scope.scope
)

select
    summed.edition,
    summed.scope || '.' || measure.name as key,
    measure.value
from summed
cross join lateral (
    values
    ('needed', summed.needed::numeric),
    ('needed_subsidised', summed.subsidised),
    ('delivered', summed.delivered),
    ('delivered_share', summed.delivered_both / nullif(summed.needed_both, 0))
) as measure (name, value)
where measure.value is not null
