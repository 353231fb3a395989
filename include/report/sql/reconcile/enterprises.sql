-- Every figure that comes from 企业情况表, from raw rows of the accepted versions: edition, key, value, absence.
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

versions as (
    select
        submission_id,
        period,
        reporter_code,
        row_number() over (partition by period, reporter_code order by version desc) as age
    from intake.submission
    where
        form = 'enterprise_status'
        and outcome in ('accepted', 'accepted_with_findings')
        and period in (%(period)s, %(previous_period)s, %(period_before_previous)s, %(period_year_ago)s)
),

used as (
    select
        versions.submission_id,
        versions.period,
        versions.reporter_code,
        reporter.region_code,
        reporter.city_code,
        count(*) filter (where versions.period in (%(period)s, %(previous_period)s))
            over (partition by versions.reporter_code) = 2 as again,
        count(*) filter (where versions.period in (%(period)s, %(period_year_ago)s))
            over (partition by versions.reporter_code) = 2 as a_year_after
    from versions
    inner join intake.reporter as reporter on versions.reporter_code = reporter.reporter_code
    where versions.age = 1
),

spellings as (
    select
        division_code,
        unnest(array[
            division_code,
            division_name,
            category_code || division_code,
            division_code || division_name,
            category_code || division_code || division_name
        ] || coalesce(string_to_array(aliases_2011, '|'), array[]::text[])) as spelling
    from reference.industries

    union all

    select
        division_code,
        alias as spelling
    from reference.industry_aliases
),

industry_of as (
    select
        regexp_replace(normalize(spelling, nfkc), '[\s\u200b\ufeff]', '', 'g') as spelling,
        max(division_code) as division_code
    from spellings
    group by regexp_replace(normalize(spelling, nfkc), '[\s\u200b\ufeff]', '', 'g')
    having max(division_code) = min(division_code)
),

enterprise as (
    select
        sent.*,
        used.region_code,
        used.city_code,
        used.reporter_code,
        used.again,
        used.a_year_after,
        coalesce(industry_of.division_code, '00') as industry_code,
        case sent.size_class
            when '大型' then 'large'
            when '中型' then 'medium'
            when '小型' then 'small'
            when '微型' then 'micro'
            else 'unstated'
        end as size_key,
        case
            when num_nonnulls(
                sent.skill_senior, sent.skill_technician, sent.skill_senior_technician, sent.skill_master, sent.skill_chief
            ) > 0
                then
                    coalesce(sent.skill_senior, 0) + coalesce(sent.skill_technician, 0)
                    + coalesce(sent.skill_senior_technician, 0) + coalesce(sent.skill_master, 0)
                    + coalesce(sent.skill_chief, 0)
        end as high_skilled,
        sent.period = %(period)s as is_now,
        sent.period = %(previous_period)s as is_last,
        sent.period = %(period_year_ago)s as is_year_ago
    from raw.enterprise_status as sent
    inner join used on sent.period = used.period and sent.submission_id = used.submission_id
    left join industry_of
        on regexp_replace(normalize(sent.industry, nfkc), '[\s\u200b\ufeff]', '', 'g') = industry_of.spelling
),

short_for_three as (
    select
        region_code,
        uscc
    from enterprise
    where shortage_now > 0 and not is_year_ago
    group by region_code, uscc
    having count(distinct period) = 3
),

-- The month's rows are read once; every edition and scope is added up from these few.
cells as (
    select
        enterprise.reporter_code,
        enterprise.region_code,
        enterprise.city_code,
        enterprise.industry_code,
        enterprise.size_key,
        enterprise.again,
        enterprise.a_year_after,
        enterprise.is_now,
        enterprise.is_last,
        enterprise.is_year_ago,
        short_for_three.uscc is not null as is_persistent,
        count(*) as enterprises,
        count(*) filter (where enterprise.shortage_now > 0) as short_enterprises,
        sum(enterprise.headcount) as headcount,
        sum(enterprise.workers) as workers,
        sum(enterprise.skilled_total) as skilled_total,
        sum(enterprise.high_skilled) as high_skilled,
        sum(enterprise.skill_junior) as skill_junior,
        sum(enterprise.skill_intermediate) as skill_intermediate,
        sum(enterprise.skill_senior) as skill_senior,
        sum(enterprise.skill_technician) as skill_technician,
        sum(enterprise.skill_senior_technician) as skill_senior_technician,
        sum(enterprise.skill_master) as skill_master,
        sum(enterprise.skill_chief) as skill_chief,
        sum(enterprise.hired) as hired,
        sum(enterprise.leavers) as leavers,
        sum(enterprise.shortage_now) as shortage_now,
        sum(enterprise.shortage_expansion) as shortage_expansion
    from enterprise
    left join short_for_three
        on enterprise.region_code = short_for_three.region_code and enterprise.uscc = short_for_three.uscc
    group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
),

scoped as (
    select
        member.edition,
        scope.scope,
        cells.*
    from cells
    inner join member on cells.reporter_code = member.reporter_code
    cross join lateral (
        values
        ('region'),
        (case when member.edition = 'province' then 'city.' || cells.city_code end),
        (case when member.edition not like 'county.%%' then 'county.' || cells.region_code end),
        ('industry.' || cells.industry_code),
        ('size.' || cells.size_key)
    ) as scope (scope)
    where scope.scope is not null
),

summed as (
    select
        edition,
        scope,
        coalesce(sum(enterprises) filter (where is_now), 0) as enterprises,
        coalesce(sum(short_enterprises) filter (where is_now), 0) as short_enterprises,
        coalesce(sum(enterprises) filter (where is_now and is_persistent), 0) as persistently_short_enterprises,
        coalesce(sum(shortage_now) filter (where is_now and is_persistent), 0) as persistent_shortage,
        sum(headcount) filter (where is_now) as headcount,
        sum(workers) filter (where is_now) as workers,
        sum(skilled_total) filter (where is_now) as skilled,
        sum(high_skilled) filter (where is_now) as high_skilled,
        sum(skill_junior) filter (where is_now) as skill_junior,
        sum(skill_intermediate) filter (where is_now) as skill_intermediate,
        sum(skill_senior) filter (where is_now) as skill_senior,
        sum(skill_technician) filter (where is_now) as skill_technician,
        sum(skill_senior_technician) filter (where is_now) as skill_senior_technician,
        sum(skill_master) filter (where is_now) as skill_master,
        sum(skill_chief) filter (where is_now) as skill_chief,
        sum(hired) filter (where is_now) as hired,
        sum(leavers) filter (where is_now) as leavers,
        sum(shortage_now) filter (where is_now) as shortage_now,
        sum(shortage_expansion) filter (where is_now) as shortage_expansion,
        coalesce(sum(enterprises) filter (where again and (is_now or is_last)), 0) as comparable_rows,
        sum(headcount) filter (where is_now and again) as headcount_lfl,
        sum(headcount) filter (where is_last and again) as headcount_base,
        sum(workers) filter (where is_now and again) as workers_lfl,
        sum(workers) filter (where is_last and again) as workers_base,
        sum(skilled_total) filter (where is_now and again) as skilled_lfl,
        sum(skilled_total) filter (where is_last and again) as skilled_base,
        sum(high_skilled) filter (where is_now and again) as high_skilled_lfl,
        sum(high_skilled) filter (where is_last and again) as high_skilled_base,
        coalesce(sum(shortage_now) filter (where is_now and again), 0) as shortage_now_lfl,
        coalesce(sum(shortage_now) filter (where is_last and again), 0) as shortage_now_base,
        sum(headcount) filter (where is_now and a_year_after) as headcount_yoy,
        sum(headcount) filter (where is_year_ago and a_year_after) as headcount_year_ago,
        sum(workers) filter (where is_now and a_year_after) as workers_yoy,
        sum(workers) filter (where is_year_ago and a_year_after) as workers_year_ago,
        sum(skilled_total) filter (where is_now and a_year_after) as skilled_yoy,
        sum(skilled_total) filter (where is_year_ago and a_year_after) as skilled_year_ago,
        sum(high_skilled) filter (where is_now and a_year_after) as high_skilled_yoy,
        sum(high_skilled) filter (where is_year_ago and a_year_after) as high_skilled_year_ago,
        sum(shortage_now) filter (where is_now and a_year_after) as shortage_now_yoy,
        sum(shortage_now) filter (where is_year_ago and a_year_after) as shortage_now_year_ago,
        sum(headcount) filter (where is_last) as headcount_last,
        sum(workers) filter (where is_last) as workers_last,
        sum(skilled_total) filter (where is_last) as skilled_last,
        sum(high_skilled) filter (where is_last) as high_skilled_last,
        sum(shortage_now) filter (where is_last) as shortage_now_last,
        coalesce(sum(enterprises) filter (where is_last), 0) as enterprises_last,
        coalesce(sum(enterprises) filter (where is_last and again), 0) as enterprises_base
    from scoped
    group by edition, scope
),

window_of_three as (
    select
        member.edition,
        count(distinct used.period) filter (where used.period <> %(period_year_ago)s) = 3 as is_full
    from used
    inner join member on used.reporter_code = member.reporter_code
    group by member.edition
),

ranked as (
    select
        edition,
        scope,
        row_number() over (partition by edition order by shortage_now desc, scope) as place
    from summed
    where scope like 'industry.%%' and scope <> 'industry.00' and shortage_now > 0
),

measured as (
    select
        summed.edition,
        summed.scope || '.' || measure.name as key,
        measure.value::numeric as value
    from summed
    inner join window_of_three on summed.edition = window_of_three.edition
    cross join lateral (
        values
        ('enterprises', summed.enterprises::numeric),
        ('short_enterprises', summed.short_enterprises),
        ('headcount', coalesce(summed.headcount, case when summed.scope like 'industry.%%' then 0 end)),
        ('workers', summed.workers),
        ('skilled', summed.skilled),
        ('high_skilled', summed.high_skilled),
        ('skill_junior', summed.skill_junior),
        ('skill_intermediate', summed.skill_intermediate),
        ('skill_senior', summed.skill_senior),
        ('skill_technician', summed.skill_technician),
        ('skill_senior_technician', summed.skill_senior_technician),
        ('skill_master', summed.skill_master),
        ('skill_chief', summed.skill_chief),
        ('skill_junior.share', summed.skill_junior::numeric / nullif(summed.skilled, 0)),
        ('skill_intermediate.share', summed.skill_intermediate::numeric / nullif(summed.skilled, 0)),
        ('skill_senior.share', summed.skill_senior::numeric / nullif(summed.skilled, 0)),
        ('skill_technician.share', summed.skill_technician::numeric / nullif(summed.skilled, 0)),
        ('skill_senior_technician.share', summed.skill_senior_technician::numeric / nullif(summed.skilled, 0)),
        ('skill_master.share', summed.skill_master::numeric / nullif(summed.skilled, 0)),
        ('skill_chief.share', summed.skill_chief::numeric / nullif(summed.skilled, 0)),
        ('skilled.share', summed.skilled::numeric / nullif(summed.skilled, 0)),
        ('headcount.yoy', case when summed.scope = 'region' then summed.headcount_yoy end),
        ('headcount.year_ago', case when summed.scope = 'region' then summed.headcount_year_ago end),
        ('workers.yoy', case when summed.scope = 'region' then summed.workers_yoy end),
        ('workers.year_ago', case when summed.scope = 'region' then summed.workers_year_ago end),
        ('skilled.yoy', case when summed.scope = 'region' then summed.skilled_yoy end),
        ('skilled.year_ago', case when summed.scope = 'region' then summed.skilled_year_ago end),
        ('high_skilled.yoy', case when summed.scope = 'region' then summed.high_skilled_yoy end),
        ('high_skilled.year_ago', case when summed.scope = 'region' then summed.high_skilled_year_ago end),
        ('shortage_now.yoy', case when summed.scope = 'region' then summed.shortage_now_yoy end),
        ('shortage_now.year_ago', case when summed.scope = 'region' then summed.shortage_now_year_ago end),
        ('hired', summed.hired),
        ('leavers', summed.leavers),
        ('net_hired', summed.hired - summed.leavers),
        ('shortage_now', coalesce(summed.shortage_now, case when summed.scope like 'industry.%%' then 0 end)),
        ('shortage_expansion', summed.shortage_expansion),
        ('shortage_rate', summed.shortage_now::numeric / nullif(summed.headcount + summed.shortage_now, 0)),
        ('short_enterprise_share', summed.short_enterprises::numeric / nullif(summed.enterprises, 0)),
        ('workers_share', summed.workers::numeric / nullif(summed.headcount, 0)),
        ('high_skilled_share', summed.high_skilled::numeric / nullif(summed.skilled, 0)),
        (
            'persistently_short_enterprises',
            case when window_of_three.is_full then summed.persistently_short_enterprises end
        ),
        ('persistent_shortage', case when window_of_three.is_full then summed.persistent_shortage end),
        (
            'persistent_share',
            case
                when window_of_three.is_full
                    then summed.persistently_short_enterprises::numeric / nullif(summed.short_enterprises, 0)
            end
        )
    ) as measure (name, value)
    where summed.enterprises > 0 or (summed.scope like 'industry.%%' and summed.comparable_rows > 0)
),

compared as (
    select
        summed.edition,
        summed.scope || '.' || pair.name as key,
        (pair.this_month - pair.base)::numeric / nullif(pair.base, 0) as value,
        case when pair.base = 0 then 'previous_zero' else 'previous_missing' end as absence
    from summed
    cross join lateral (
        values
        ('headcount.change_lfl', summed.headcount_lfl::numeric, summed.headcount_base::numeric),
        ('workers.change_lfl', summed.workers_lfl, summed.workers_base),
        ('skilled.change_lfl', summed.skilled_lfl, summed.skilled_base),
        ('high_skilled.change_lfl', summed.high_skilled_lfl, summed.high_skilled_base),
        (
            'shortage_now.change_lfl',
            case when summed.comparable_rows > 0 then summed.shortage_now_lfl end,
            case when summed.comparable_rows > 0 then summed.shortage_now_base end
        ),
        ('headcount.change_plain', summed.headcount, summed.headcount_last),
        ('workers.change_plain', summed.workers, summed.workers_last),
        ('skilled.change_plain', summed.skilled, summed.skilled_last),
        ('high_skilled.change_plain', summed.high_skilled, summed.high_skilled_last),
        ('shortage_now.change_plain', summed.shortage_now, summed.shortage_now_last),
        ('headcount.change_yoy', summed.headcount_yoy, summed.headcount_year_ago),
        ('workers.change_yoy', summed.workers_yoy, summed.workers_year_ago),
        ('skilled.change_yoy', summed.skilled_yoy, summed.skilled_year_ago),
        ('high_skilled.change_yoy', summed.high_skilled_yoy, summed.high_skilled_year_ago),
        ('shortage_now.change_yoy', summed.shortage_now_yoy, summed.shortage_now_year_ago)
    ) as pair (name, this_month, base)
    where pair.this_month is not null
),

comparable as (
    select
        summed.edition,
        summed.scope || '.' || measure.name as key,
        measure.value
    from summed
    cross join lateral (
        values
        ('headcount.lfl', summed.headcount_lfl::numeric),
        ('headcount.lfl_previous', summed.headcount_base),
        ('workers.lfl', summed.workers_lfl),
        ('workers.lfl_previous', summed.workers_base),
        ('skilled.lfl', summed.skilled_lfl),
        ('skilled.lfl_previous', summed.skilled_base),
        ('high_skilled.lfl', summed.high_skilled_lfl),
        ('high_skilled.lfl_previous', summed.high_skilled_base),
        ('shortage_now.lfl', summed.shortage_now_lfl),
        ('shortage_now.lfl_previous', summed.shortage_now_base),
        (
            'shortage_rate.points_lfl',
            summed.shortage_now_lfl::numeric / nullif(summed.headcount_lfl + summed.shortage_now_lfl, 0)
            - summed.shortage_now_base::numeric / nullif(summed.headcount_base + summed.shortage_now_base, 0)
        ),
        (
            'high_skilled_share.points_lfl',
            summed.high_skilled_lfl::numeric / nullif(summed.skilled_lfl, 0)
            - summed.high_skilled_base::numeric / nullif(summed.skilled_base, 0)
        )
    ) as measure (name, value)
    where summed.scope = 'region' and summed.comparable_rows > 0
)

select
    edition,
    key,
    value,
    null::text as absence
from measured
where value is not null

union all

select
    edition,
    key,
    value,
    case when value is null then absence end as absence
from compared

union all

select
    edition,
    key,
    value,
    null as absence
from comparable
where value is not null

union all

select
    edition,
    scope || '.rank' as key,
    place as value,
    null as absence
from ranked

union all

select
    edition,
    'reporting.enterprises_coverage' as key,
    enterprises_base::numeric / nullif(enterprises_last, 0) as value,
    null as absence
from summed
where scope = 'region' and enterprises_base > 0

union all

select
    edition,
    'reporting.headcount_coverage' as key,
    headcount_base::numeric / nullif(headcount_last, 0) as value,
    null as absence
from summed
where scope = 'region' and headcount_base is not null

union all

select
    member.edition,
    'region.lfl_reporters' as key,
    count(*) filter (where used.again) as value,
    null as absence
from used
inner join member on used.reporter_code = member.reporter_code
where used.period = %(period)s
group by member.edition
