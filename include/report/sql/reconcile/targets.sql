-- Targets of the programmes: what raw rows and the ledger say is done, and how that stands: edition, key, value.
with

-- Every edition and the reporters in it.
member as (
    select
        edition.edition,
        reporter.reporter_code,
        reporter.region_code,
        reporter.city_code
    from intake.reporter as reporter
    cross join lateral (
        values
        ('province'), ('city.' || reporter.city_code), ('county.' || reporter.reporter_code)
    ) as edition (edition)
    where edition.edition = any(%(editions)s)
),

month as (
    select
        %(period)s::text as period,
        (%(period)s || '-01')::date as first_day,
        ((%(period)s || '-01')::date + interval '1 month' - interval '1 day')::date as last_day
),

target as (
    select
        wanted.*,
        unit.unit_kind,
        coalesce(unit.is_additive, false)
        and wanted.scope = 'region'
        and wanted.basis in ('stock', 'cumulative', 'period', 'annual') as adds_up,
        wanted.basis in ('rate', 'average', 'monthly') as stands
    from reference.policy_targets as wanted
    left join reference.target_units as unit
        on regexp_replace(normalize(wanted.unit, nfkc), '[\s\u200b\ufeff]+', '', 'g') = unit.written_as
),

-- Names as they are written, without blanks and marks.
spelling as (
    select
        'programme' as kind,
        programme.programme,
        '' as name_zh,
        written.written
    from reference.programmes as programme
    cross join lateral (
        values (programme.programme), (programme.title_zh), (programme.document_no)
    ) as written (written)

    union all

    select
        'indicator' as kind,
        programme,
        indicator_zh as name_zh,
        indicator_zh as written
    from reference.policy_targets

    union all

    select
        'group' as kind,
        programme,
        group_zh as name_zh,
        group_zh as written
    from reference.policy_targets
    where group_zh is not null

    union all

    select
        kind,
        programme,
        case when kind <> 'programme' then name_zh else '' end as name_zh,
        alias as written
    from reference.target_aliases
),

plain as (
    select distinct
        kind,
        programme,
        name_zh,
        lower(
            regexp_replace(
                normalize(written, nfkc), '[][\s\u200b\ufeff“”"''‘’《》〈〉「」()（）【】〔〕、,，.。·—_/-]+', '', 'g'
            )
        ) as written
    from spelling
),

line as (
    select
        sent.period,
        submission.reporter_code,
        submission.submission_id,
        sent.sheet,
        sent.source_row,
        reporter.region_code,
        reporter.city_code,
        sent.done_this_month,
        sent.done_to_date,
        unit.unit_kind,
        ((sent.period || '-01')::date + interval '1 month' - interval '1 day')::date as last_day,
        name.programme,
        name.indicator,
        name.series
    from (
        select distinct on (period, reporter_code)
            submission_id,
            period,
            reporter_code
        from intake.submission
        where
            form = 'programme_progress'
            and outcome in ('accepted', 'accepted_with_findings')
            and period between %(progress_from)s and %(period)s
        order by period asc, reporter_code asc, version desc
    ) as submission
    inner join intake.reporter as reporter on submission.reporter_code = reporter.reporter_code
    inner join raw.programme_progress as sent
        on submission.period = sent.period and submission.submission_id = sent.submission_id
    left join reference.target_units as unit
        on regexp_replace(normalize(sent.unit, nfkc), '[\s\u200b\ufeff]+', '', 'g') = unit.written_as
    cross join lateral (
        select
            max(cleaned.written) filter (where cleaned.kind = 1) as programme,
            max(cleaned.written) filter (where cleaned.kind = 2) as indicator,
            coalesce(max(cleaned.written) filter (where cleaned.kind = 3), '') as series
        from (
            select
                cell.kind,
                lower(
                    regexp_replace(
                        normalize(cell.text, nfkc),
                        '[][\s\u200b\ufeff“”"''‘’《》〈〉「」()（）【】〔〕、,，.。·—_/-]+',
                        '',
                        'g'
                    )
                ) as written
            from (values (1, sent.programme), (2, sent.indicator), (3, sent.indicator_group)) as cell (kind, text)
        ) as cleaned
    ) as name
),

-- The programmes a line may mean: by a full name, and only else by a part of four characters.
meant as (
    select
        line.*,
        candidate.programme as programme_meant,
        candidate.is_full,
        bool_or(candidate.is_full) over (
            partition by line.submission_id, line.sheet, line.source_row
        ) as is_any_full
    from line
    inner join lateral (
        select
            programme.programme,
            bool_or(plain.written = line.programme) as is_full
        from reference.programmes as programme
        inner join plain on programme.programme = plain.programme and plain.kind = 'programme' and plain.written <> ''
        where
            programme.region_code in (line.region_code, line.city_code, left(line.region_code, 2) || '0000')
            and (
                plain.written = line.programme
                or (length(line.programme) >= 4 and position(line.programme in plain.written) > 0)
            )
        group by programme.programme
    ) as candidate on true
),

candidate as (
    select
        meant.*,
        target.target_id,
        target.indicator_zh,
        target.group_zh,
        target.period_start,
        called.is_series,
        bool_or(called.is_series) over (
            partition by meant.submission_id, meant.sheet, meant.source_row
        ) as is_any_series
    from meant
    inner join target on meant.programme_meant = target.programme
    cross join lateral (
        select
            case
                when target.group_zh is null then meant.series = ''
                else exists (
                    select 1 from plain
                    where
                        plain.kind = 'group'
                        and plain.programme = target.programme
                        and plain.name_zh = target.group_zh
                        and plain.written = meant.series
                )
            end as is_series
    ) as called
    where
        (meant.is_full or not meant.is_any_full)
        and exists (
            select 1 from plain
            where
                plain.kind = 'indicator'
                and plain.programme = target.programme
                and plain.name_zh = target.indicator_zh
                and plain.written = meant.indicator
        )
),

-- Of targets that differ by their window only, the one that the line's month is in or after.
aimed as (
    select distinct on (submission_id, sheet, source_row, programme_meant, indicator_zh, group_zh)
        *
    from candidate
    where is_series or (series = '' and not is_any_series)
    order by
        submission_id asc,
        sheet asc,
        source_row asc,
        programme_meant asc,
        indicator_zh asc,
        group_zh asc,
        coalesce(period_start > last_day, false) asc,
        period_start desc
),

single as (
    select
        *,
        count(*) over (partition by submission_id, target_id) as lines_of_target
    from (
        select
            *,
            count(*) over (partition by submission_id, sheet, source_row) as targets_of_line
        from aimed
    ) as counted
    where targets_of_line = 1
),

day as (
    select
        span.day::date as day,
        coalesce(known.is_working_day, extract(isodow from span.day) <= 5) as is_working_day
    from generate_series(
        (select least(min(target.period_start), (select month.first_day from month)) from target)::timestamp,
        (select greatest(max(target.due), (select month.last_day from month)) from target)::timestamp,
        interval '1 day'
    ) as span (day)
    left join reference.workdays as known on span.day::date = known.day
),

-- The window of each target at the month's end; an annual one is of one year.
timed as (
    select
        target.*,
        month.period,
        month.last_day,
        span.window_start,
        span.window_end,
        coalesce(span.window_start > month.last_day, false) as is_ahead,
        case
            when span.window_end is not null then (
                select count(*) from day
                where day.is_working_day and day.day between span.window_start and span.window_end
            )
        end as whole_days,
        case
            when span.window_end is not null then (
                select count(*) from day
                where
                    day.is_working_day
                    and day.day between span.window_start and least(span.window_end, month.last_day)
            )
        end as passed_days
    from target
    cross join month
    left join lateral (
        select
            case
                when target.basis = 'monthly' then month.first_day
                when target.basis = 'annual' then greatest(target.period_start, make_date(of_year.year, 1, 1))
                else target.period_start
            end as window_start,
            case
                when target.basis = 'monthly' then month.last_day
                when target.basis = 'annual' then least(target.due, make_date(of_year.year, 12, 31))
                else target.due
            end as window_end
        from (
            select
                greatest(
                    least(extract(year from month.last_day)::integer, extract(year from target.due)::integer),
                    extract(year from target.period_start)::integer
                ) as year
        ) as of_year
        where target.period_start is not null
    ) as span on true
),

-- One row a target and reporter: the figure its basis asks for, null when it has none this month.
told as (
    select
        single.target_id,
        single.reporter_code,
        single.region_code,
        single.city_code,
        case timed.basis
            when 'annual' then sum(single.done_this_month) filter (where fits.fits and fits.is_in_window)
            when 'monthly' then max(single.done_this_month) filter (where fits.fits and single.period = timed.period)
            else max(single.done_to_date) filter (where fits.fits and single.period = timed.period)
        end as value,
        timed.basis = 'annual'
        and count(distinct single.period) filter (
            where fits.fits and fits.is_in_window and single.done_this_month is not null
        ) < (
            (extract(year from least(timed.last_day, timed.window_end)) * 12
                + extract(month from least(timed.last_day, timed.window_end)))
            - (extract(year from timed.window_start) * 12 + extract(month from timed.window_start)) + 1
        ) as has_gaps
    from single
    inner join timed on single.target_id = timed.target_id
    cross join lateral (
        select
            single.lines_of_target = 1 and single.unit_kind = timed.unit_kind as fits,
            (single.period || '-01')::date between date_trunc('month', timed.window_start) and timed.window_end
                as is_in_window
    ) as fits
    group by
        single.target_id, single.reporter_code, single.region_code, single.city_code, timed.basis, timed.last_day,
        timed.window_start, timed.window_end
),

-- A place's own figure; several reporters of it only where figures add up.
placed as (
    select
        told.target_id,
        told.region_code,
        told.city_code,
        case when target.adds_up or count(told.value) = 1 then sum(told.value) end as value,
        count(*) filter (where told.value is null or told.has_gaps) as silent
    from told
    inner join target on told.target_id = target.target_id
    group by told.target_id, told.region_code, told.city_code, target.adds_up
),

-- A city's own report stands before the sum of its counties.
city as (
    select
        placed.target_id,
        placed.city_code,
        coalesce(max(placed.value) filter (where placed.region_code = placed.city_code), sum(placed.value)) as value,
        case
            when count(placed.value) filter (where placed.region_code = placed.city_code) > 0
                then sum(placed.silent) filter (where placed.region_code = placed.city_code)
            else sum(placed.silent)
        end as silent
    from placed
    inner join target on placed.target_id = target.target_id and target.adds_up
    group by placed.target_id, placed.city_code
),

reported as (
    select
        placed.target_id,
        placed.region_code,
        placed.value,
        placed.silent
    from placed
    inner join target on placed.target_id = target.target_id
    where not target.adds_up or placed.region_code <> placed.city_code

    union all

    select
        target_id,
        city_code as region_code,
        value,
        silent
    from city

    union all

    select
        city.target_id,
        target.region_code,
        sum(city.value) as value,
        sum(city.silent) as silent
    from city
    inner join target on city.target_id = target.target_id and target.region_code like '__0000'
    group by city.target_id, target.region_code
),

-- What other forms and the ledger know: pilot counties, monthly reports, brands of the library.
pilot as (
    select distinct
        region_code,
        city_code,
        pilot_level
    from intake.reporter
    cross join month
    where valid_from <= month.last_day and (valid_to is null or valid_to >= month.first_day)
),

duty as (
    select
        reporter.region_code,
        reporter.city_code,
        bool_and(exists (
            select 1 from intake.submission as arrived
            where
                arrived.period = expected.period
                and arrived.reporter_code = expected.reporter_code
                and arrived.form = expected.form
        )) as is_received
    from intake.expected_report as expected
    inner join intake.reporter as reporter on expected.reporter_code = reporter.reporter_code
    where expected.period = %(period)s
    group by reporter.region_code, reporter.city_code
),

county_spelling as (
    select
        written.written,
        min(county.region_code) as region_code,
        min(county.city_code) as city_code
    from reference.regions as county
    cross join lateral (
        select county.region_name as bare
        union
        select left(county.region_name, -1) where length(county.region_name) > 2
        union
        select former.bare from string_to_table(county.aliases, '|') as former (bare)
    ) as called
    cross join lateral (
        select regexp_replace(normalize(wording.wording, nfkc), '[\s\u200b\ufeff]+', '', 'g') as written
        from (values (called.bare), (county.city_name || called.bare), (county.region_code)) as wording (wording)
    ) as written
    where county.level = 'county' and written.written <> ''
    group by written.written
    having count(distinct county.region_code) = 1
),

brand_line as (
    select
        sent.period,
        submission.reporter_code,
        coalesce(county_spelling.region_code, reporter.region_code) as region_code,
        coalesce(county_spelling.city_code, reporter.city_code) as city_code,
        reporter.region_code as sender_region_code,
        sent.sheet,
        sent.source_row,
        sent.status,
        sent.recognised_level,
        sent.category,
        coalesce(
            nullif(
                regexp_replace(
                    regexp_replace(
                        lower(regexp_replace(normalize(sent.brand_name, nfkc), '[\s\u200b\ufeff]+', '', 'g')),
                        '["''“”‘’《》〈〉「」『』()\[\]【】〔〕、,.。·—_/-]+',
                        '',
                        'g'
                    ),
                    '劳务品牌$',
                    ''
                ),
                ''
            ),
            regexp_replace(normalize(sent.brand_name, nfkc), '[\s\u200b\ufeff]+', '', 'g')
        ) as brand
    from (
        select distinct on (period, reporter_code)
            submission_id,
            period,
            reporter_code
        from intake.submission
        where
            form = 'brand_registry'
            and outcome in ('accepted', 'accepted_with_findings')
            and period <= %(period)s
        order by period asc, reporter_code asc, version desc
    ) as submission
    inner join intake.reporter as reporter on submission.reporter_code = reporter.reporter_code
    inner join raw.brand_registry as sent
        on submission.period = sent.period and submission.submission_id = sent.submission_id
    left join county_spelling
        on regexp_replace(normalize(sent.county, nfkc), '[\s\u200b\ufeff]+', '', 'g') = county_spelling.written
),

-- As last reported, in whatever month; a blank status says nothing new.
brand as (
    select
        region_code,
        city_code,
        brand,
        (array_agg(recognised_level order by period desc, is_second, reporter_code, sheet, source_row))[1]
            as recognised_level,
        (array_agg(category order by period desc, is_second, reporter_code, sheet, source_row))[1] as category,
        (
            array_agg(status order by period desc, is_second, reporter_code, sheet, source_row)
                filter (where status is not null)
        )[1] in ('在库', '预警') as is_in_library
    from (
        select
            brand_line.*,
            sender_region_code <> region_code as is_second
        from brand_line
    ) as ordered
    group by region_code, city_code, brand
),

library as (
    select
        place.region_code,
        count(*) filter (where brand.is_in_library) as in_library,
        count(*) filter (where brand.is_in_library and brand.recognised_level = '国家级') as national,
        count(*) filter (where brand.is_in_library and brand.category = '中高端技能型') as skilled,
        count(*) filter (where brand.is_in_library and brand.category = '高品质服务型') as service,
        count(*) filter (where brand.is_in_library and brand.category = '文化和旅游类') as culture,
        count(*) filter (where brand.is_in_library and brand.category = '民生保障型') as livelihood,
        count(distinct brand.region_code) filter (where brand.is_in_library) as covered_counties
    from brand
    cross join lateral (
        values (brand.region_code), (brand.city_code), (left(brand.region_code, 2) || '0000')
    ) as place (region_code)
    group by place.region_code
),

listing as (
    select
        region.region_code,
        library.covered_counties,
        library.in_library,
        library.national,
        library.skilled,
        library.service,
        library.culture,
        library.livelihood,
        (
            select count(*) from reference.regions as county
            where
                county.level = 'county'
                and region.region_code
                in (county.region_code, county.city_code, left(county.region_code, 2) || '0000')
        ) as counties
    from reference.regions as region
    left join library on region.region_code = library.region_code
    where
        coalesce(library.covered_counties, 0) > 0
        or exists (
            select 1 from brand_line
            inner join intake.reporter as sender on brand_line.reporter_code = sender.reporter_code
            where
                brand_line.period = %(period)s
                and region.region_code
                in (sender.region_code, sender.city_code, left(sender.region_code, 2) || '0000')
        )
),

known as (
    select
        'city_pilot_counties' as measure,
        region.region_code,
        count(distinct pilot.region_code) filter (where pilot.pilot_level = '市级试点')::numeric as value
    from reference.regions as region
    left join pilot on region.region_code = pilot.city_code
    where region.level = 'city'
    group by region.region_code

    union all

    select
        'city_monthly_report' as measure,
        city_code as region_code,
        bool_and(is_received)::integer as value
    from duty
    group by city_code

    union all

    select
        'pilot_monthly_report' as measure,
        region_code,
        is_received::integer as value
    from duty
    where region_code in (select pilot.region_code from pilot where pilot.pilot_level = '自治区级试点')

    union all

    select
        measure.name as measure,
        listing.region_code,
        measure.value
    from listing
    cross join lateral (
        values
        ('brands_in_library', coalesce(listing.in_library, 0)::numeric),
        ('brands_national', coalesce(listing.national, 0)),
        ('brands_skilled', coalesce(listing.skilled, 0)),
        ('brands_service', coalesce(listing.service, 0)),
        ('brands_culture', coalesce(listing.culture, 0)),
        ('brands_livelihood', coalesce(listing.livelihood, 0)),
        ('county_brand_coverage', 100 * coalesce(listing.covered_counties, 0)::numeric / listing.counties)
    ) as measure (name, value)
),

-- The places that have each target.
wanted as (
    select
        target.target_id,
        target.region_code
    from target
    where target.scope = 'region'

    union

    select
        target.target_id,
        region.region_code
    from target
    inner join reference.regions as region
        on
            target.region_code in (region.region_code, region.city_code, left(region.region_code, 2) || '0000')
            and (
                target.scope = 'each_command'
                or (target.scope = 'each_city' and region.level = 'city')
                or (target.scope = 'each_county' and region.level = 'county')
                or (target.scope = 'each_key_county' and region.level = 'county' and region.is_national_key_county)
                or (
                    target.scope = 'each_pilot_county'
                    and region.region_code in (
                        select pilot.region_code from pilot where pilot.pilot_level = '自治区级试点'
                    )
                )
            )
),

measured as (
    select
        wanted.region_code,
        timed.target_id,
        timed.basis,
        timed.bound,
        timed.stands,
        timed.target::numeric as target,
        timed.last_day,
        timed.window_end,
        timed.is_ahead,
        timed.whole_days::numeric as whole_days,
        timed.passed_days::numeric as passed_days,
        coalesce(known.value, reported.value)::numeric as done,
        known.value is null and reported.value is not null and reported.silent > 0 as is_partial,
        coalesce(known.value, reported.value)::numeric / nullif(timed.target, 0) as completion,
        timed.passed_days::numeric / nullif(timed.whole_days, 0) as elapsed
    from wanted
    inner join timed on wanted.target_id = timed.target_id
    left join reference.target_sources as source on timed.target_id = source.target_id
    left join known on source.measure = known.measure and wanted.region_code = known.region_code
    left join reported on timed.target_id = reported.target_id and wanted.region_code = reported.region_code
),

judged as (
    select
        measured.*,
        case
            when not stands and window_end is not null and not is_ahead
                then case bound when 'max' then elapsed - completion else completion - elapsed end
        end as lead,
        case
            when
                not stands and window_end is not null and not is_ahead and passed_days > 0
                and last_day <= window_end and not is_partial
                then done * whole_days / passed_days
        end as projected
    from measured
),

stated as (
    select
        judged.*,
        case
            when is_ahead then 'not_started'
            when done is null then 'not_reported'
            when bound = 'min' and done >= target then 'done'
            when bound = 'min' and is_partial then 'incomplete'
            when bound = 'max' and done <= target and (stands or last_day >= window_end)
                then case when is_partial and not stands then 'incomplete' else 'done' end
            when basis <> 'monthly' and last_day > window_end then 'overdue'
            when stands then 'unmet'
            when bound = 'max' and done > target then 'behind'
            when window_end is null then 'no_window'
            when is_partial then 'incomplete'
            when lead >= 0 then 'on_schedule'
            else 'behind'
        end as state
    from judged
),

-- Whose report prints the place: its own, and above a county those of the places that it lies in.
printed as (
    select distinct
        member.edition,
        place.region_code,
        place.is_own
    from member
    cross join lateral (
        values
        (member.region_code, member.edition like 'county.%%'),
        (case when member.edition not like 'county.%%' then member.city_code end, member.edition like 'city.%%'),
        (case when member.edition = 'province' then left(member.region_code, 2) || '0000' end, true)
    ) as place (region_code, is_own)
    where place.region_code is not null
),

counted as (
    select
        printed.edition,
        stated.state,
        count(*) as targets
    from printed
    inner join stated on printed.region_code = stated.region_code
    where printed.is_own
    group by printed.edition, stated.state
)

select
    printed.edition,
    'target.' || stated.region_code || '.' || stated.target_id || '.' || measure.name as key,
    measure.value,
    null as word
from printed
inner join stated on printed.region_code = stated.region_code
cross join lateral (
    values
    ('done', stated.done),
    ('target', stated.target),
    ('completion', stated.completion),
    ('elapsed', stated.elapsed),
    ('lead', stated.lead),
    ('projected', stated.projected)
) as measure (name, value)
where measure.value is not null

union all

select
    printed.edition,
    'target.' || stated.region_code || '.' || stated.target_id || '.state' as key,
    null as value,
    stated.state as word
from printed
inner join stated on printed.region_code = stated.region_code

union all

select
    edition.edition,
    'targets.' || state.state as key,
    coalesce(counted.targets, 0) as value,
    null as word
from (select distinct member.edition from member) as edition
cross join (
    values
    ('done'),
    ('on_schedule'),
    ('behind'),
    ('unmet'),
    ('overdue'),
    ('not_started'),
    ('no_window'),
    ('incomplete'),
    ('not_reported')
) as state (state)
left join counted on edition.edition = counted.edition and state.state = counted.state

union all

select
    edition.edition,
    'targets.count' as key,
    coalesce((select sum(counted.targets) from counted where counted.edition = edition.edition), 0) as value,
    null as word
from (select distinct member.edition from member) as edition
