{%- set lookback = (var('progress_lookback_months') | int) - 1 -%}
with

targets as (
    select * from {{ ref('dim_policy_target') }}
),

windows as (
    select * from {{ ref('int_target_window') }}
),

days as (
    select * from {{ ref('int_calendar_day') }}
),

regions as (
    select * from {{ ref('dim_region') }}
),

reporters as (
    select * from {{ ref('dim_reporter') }}
),

submissions as (
    select * from {{ ref('fct_submission') }}
    where
        period = '{{ run_period() }}'
        and is_expected
),

brands as (
    select * from {{ ref('mart_brand_coverage') }}
    where period = '{{ run_period() }}'
),

classes as (
    select * from {{ ref('fct_apprenticeship_month') }}
    where period = '{{ run_period() }}'
),

-- A year at most: the months that the figure of an annual target is added up from.
lines as (
    select * from {{ ref('fct_indicator_progress') }}
    where
        period between '{{ period_before(lookback) }}' and '{{ run_period() }}'
        and target_id is not null
),

periods as (
    select
        period,
        data_maturity,
        (period || '-01')::date as first_day,
        ((period || '-01')::date + interval '1 month' - interval '1 day')::date as last_day
    from {{ ref('int_period_maturity') }}
    where period = '{{ run_period() }}'
),

-- The window the month lies in, else the last one before it, else the first one.
current_windows as (
    select distinct on (windows.target_id)
        windows.target_id,
        windows.window_start,
        windows.window_end,
        windows.window_working_days,
        windows.is_calendar_known
    from windows
    cross join periods
    order by
        windows.target_id asc,
        windows.window_start > periods.last_day asc,
        case when windows.window_start > periods.last_day then windows.window_start end asc,
        windows.window_start desc
),

-- Working days of the window up to the month's end; the whole window once it is over, none before it began.
timed as (
    select
        targets.target_id,
        case when targets.basis = 'monthly' then periods.first_day else current_windows.window_start end
            as window_start,
        case when targets.basis = 'monthly' then periods.last_day else current_windows.window_end end as window_end,
        current_windows.window_start > periods.last_day as is_not_started,
        case
            when targets.basis = 'monthly' then {{ working_days_inclusive('month_first', 'month_last') }}
            else current_windows.window_working_days
        end as window_working_days,
        case
            when targets.basis = 'monthly' then {{ working_days_inclusive('month_first', 'month_last') }}
            when current_windows.window_end is null then null
            when current_windows.window_start > periods.last_day then 0
            when current_windows.window_end <= periods.last_day then current_windows.window_working_days
            else {{ working_days_inclusive('first', 'month_last') }}
        end as elapsed_working_days,
        current_windows.is_calendar_known and month_last.is_calendar_known as is_calendar_known
    from targets
    cross join periods
    left join current_windows on targets.target_id = current_windows.target_id
    left join days as first on current_windows.window_start = first.day
    left join days as month_first on periods.first_day = month_first.day
    left join days as month_last on periods.last_day = month_last.day
),

-- One row a target and reporter: this month's figures, the year's sum, the month of its last line.
reported as (
    select
        lines.target_id,
        lines.reporter_code,
        lines.county_code as region_code,
        lines.city_code,
        max(lines.period) as last_reported_period,
        max(lines.done_this_month) filter (where lines.is_comparable and lines.period = periods.period)
            as done_this_month,
        max(lines.done_to_date) filter (where lines.is_comparable and lines.period = periods.period) as done_to_date,
        sum(lines.done_this_month) filter (
            where
            lines.is_comparable
            and lines.period >= to_char(timed.window_start, 'YYYY-MM')
            and lines.period <= to_char(timed.window_end, 'YYYY-MM')
        ) as done_this_year,
        count(distinct lines.period) filter (
            where
            lines.is_comparable
            and lines.done_this_month is not null
            and lines.period >= to_char(timed.window_start, 'YYYY-MM')
            and lines.period <= to_char(timed.window_end, 'YYYY-MM')
        ) as months_this_year,
        count(*) filter (where not lines.is_comparable and lines.period = periods.period) as not_comparable_lines
    from lines
    cross join periods
    inner join timed on lines.target_id = timed.target_id
    group by lines.target_id, lines.reporter_code, lines.county_code, lines.city_code
),

-- Cumulative targets and stocks take the figure to date, annual ones the sum of the year's months, monthly ones the
-- month's, rates and averages the rate as reported (累计完成).
valued as (
    select
        reported.target_id,
        reported.region_code,
        reported.city_code,
        reported.last_reported_period,
        reported.not_comparable_lines,
        targets.is_additive,
        targets.region_code as target_region_code,
        case targets.basis
            when 'annual' then reported.done_this_year
            when 'monthly' then reported.done_this_month
            else reported.done_to_date
        end as value,
        targets.basis = 'annual'
        and reported.months_this_year < (
            {{ month_index("least(periods.period, to_char(timed.window_end, 'YYYY-MM'))") }}
            - {{ month_index("to_char(timed.window_start, 'YYYY-MM')") }}
            + 1
        ) as is_year_incomplete
    from reported
    cross join periods
    inner join targets on reported.target_id = targets.target_id
    inner join timed on reported.target_id = timed.target_id
),

-- As reported for a place. Two reporters of one place add up where their figures may.
places as (
    select
        target_id,
        region_code,
        city_code,
        target_region_code,
        is_additive,
        case when is_additive or count(value) = 1 then sum(value) end as value,
        count(value) as reporting_reporters,
        count(*) filter (where value is null or is_year_incomplete) as silent_reporters,
        sum(not_comparable_lines) as not_comparable_lines,
        max(last_reported_period) as last_reported_period
    from valued
    group by target_id, region_code, city_code, target_region_code, is_additive
),

-- A city's own report stands before the sum of its counties, and is whole whether or not they report.
cities as (
    select
        target_id,
        city_code as region_code,
        city_code,
        target_region_code,
        coalesce(max(value) filter (where region_code = city_code), sum(value)) as value,
        sum(reporting_reporters) as reporting_reporters,
        case
            when count(value) filter (where region_code = city_code) > 0
                then sum(silent_reporters) filter (where region_code = city_code)
            else sum(silent_reporters)
        end as silent_reporters,
        sum(not_comparable_lines) as not_comparable_lines,
        max(last_reported_period) as last_reported_period,
        count(value) filter (where region_code = city_code) = 0 as is_sum
    from places
    where is_additive
    group by target_id, city_code, target_region_code
),

provinces as (
    select
        target_id,
        target_region_code as region_code,
        null::text as city_code,
        sum(value) as value,
        sum(reporting_reporters) as reporting_reporters,
        sum(silent_reporters) as silent_reporters,
        sum(not_comparable_lines) as not_comparable_lines,
        max(last_reported_period) as last_reported_period
    from cities
    where target_region_code like '__0000'
    group by target_id, target_region_code
),

figures as (
    select
        target_id,
        region_code,
        city_code,
        value,
        reporting_reporters,
        silent_reporters,
        not_comparable_lines,
        last_reported_period,
        false as is_sum
    from places
    where not is_additive or region_code <> city_code

    union all

    select
        target_id,
        region_code,
        city_code,
        value,
        reporting_reporters,
        silent_reporters,
        not_comparable_lines,
        last_reported_period,
        is_sum
    from cities

    union all

    select
        target_id,
        region_code,
        city_code,
        value,
        reporting_reporters,
        silent_reporters,
        not_comparable_lines,
        last_reported_period,
        true as is_sum
    from provinces
),

duties as (
    select reporters.*
    from reporters
    cross join periods
    where
        reporters.valid_from <= periods.last_day
        and (reporters.valid_to is null or reporters.valid_to >= periods.first_day)
),

pilot_counties as (
    select distinct
        region_code,
        city_code
    from duties
    where pilot_level = '自治区级试点'
),

known as (
    -- The list of reporters is the register of pilots: a city without one in it has none.
    select
        'city_pilot_counties' as measure,
        regions.region_code,
        count(distinct duties.region_code) filter (where duties.pilot_level = '市级试点')::numeric as value
    from regions
    left join duties on regions.region_code = duties.city_code
    where regions.level = 'city'
    group by regions.region_code

    union all

    select
        'city_monthly_report' as measure,
        city_code as region_code,
        bool_and(is_received)::integer::numeric as value
    from submissions
    group by city_code

    union all

    select
        'pilot_monthly_report' as measure,
        submissions.county_code as region_code,
        bool_and(submissions.is_received)::integer::numeric as value
    from submissions
    inner join pilot_counties on submissions.county_code = pilot_counties.region_code
    group by submissions.county_code

    union all

    select
        counted.measure,
        brands.region_code,
        counted.value
    from brands
    cross join
        lateral (
            values
            ('brands_in_library', brands.brands_in_library::numeric),
            ('brands_national', brands.brands_national::numeric),
            ('brands_skilled', brands.brands_skilled::numeric),
            ('brands_service', brands.brands_service::numeric),
            ('brands_culture', brands.brands_culture::numeric),
            ('brands_livelihood', brands.brands_livelihood::numeric),
            ('county_brand_coverage', brands.coverage_rate * 100)
        ) as counted (measure, value)
    -- Where nobody ever sent the list nothing is known; coverage is null there.
    where brands.coverage_rate is not null

    union all

    select
        targets.known_measure as measure,
        placed.region_code,
        sum(classes.passed_persons)::numeric as value
    from targets
    cross join periods
    inner join timed on targets.target_id = timed.target_id
    inner join classes
        on classes.completed_on between timed.window_start and least(timed.window_end, periods.last_day)
    cross join
        lateral (
            values (classes.county_code), (classes.city_code), (left(classes.county_code, 2) || '0000')
        ) as placed (region_code)
    where targets.known_measure = 'apprentices_passed'
    group by targets.known_measure, placed.region_code
),

wanted_places as (
    select
        target_id,
        region_code
    from targets
    where scope = 'region'

    union

    select
        targets.target_id,
        regions.region_code
    from targets
    inner join regions
        on targets.region_code in (regions.region_code, regions.city_code, regions.province_code)
    where
        targets.scope = 'each_command'
        or (targets.scope = 'each_city' and regions.level = 'city')
        or (targets.scope = 'each_county' and regions.level = 'county')
        or (targets.scope = 'each_key_county' and regions.level = 'county' and regions.is_national_key_county)

    union

    select
        targets.target_id,
        pilot_counties.region_code
    from targets
    inner join pilot_counties
        on
            targets.region_code in (
                pilot_counties.region_code, pilot_counties.city_code, left(pilot_counties.region_code, 2) || '0000'
            )
    where targets.scope = 'each_pilot_county'
),

spine as (
    select
        target_id,
        region_code,
        true as is_target_place,
        false as is_places_unknown
    from wanted_places

    union all

    -- A target of each place in a region whose places are not known stands once, at the region.
    select
        targets.target_id,
        targets.region_code,
        true as is_target_place,
        true as is_places_unknown
    from targets
    where
        not exists (
            select 1 from wanted_places
            where wanted_places.target_id = targets.target_id
        )

    union all

    select
        figures.target_id,
        figures.region_code,
        false as is_target_place,
        false as is_places_unknown
    from figures
    where
        not exists (
            select 1 from wanted_places
            where
                wanted_places.target_id = figures.target_id
                and wanted_places.region_code = figures.region_code
        )
        and not exists (
            select 1 from targets
            where
                targets.target_id = figures.target_id
                and targets.region_code = figures.region_code
                and targets.scope <> 'region'
                and not exists (
                    select 1 from wanted_places
                    where wanted_places.target_id = targets.target_id
                )
        )
),

-- Lower places sent figures that cannot be added up to the region's.
sent_below as (
    select distinct target_id
    from places
    where
        not is_additive
        and reporting_reporters > 0
),

compared as (
    select
        spine.target_id,
        spine.region_code,
        spine.is_target_place,
        spine.is_places_unknown,
        targets.programme,
        targets.indicator,
        targets.indicator_zh,
        targets.group_zh,
        targets.scope,
        targets.basis,
        targets.bound,
        targets.unit,
        targets.region_zh,
        case when spine.is_target_place then targets.target_value end as target_value,
        timed.window_start,
        timed.window_end,
        timed.window_working_days,
        timed.elapsed_working_days,
        coalesce(timed.is_not_started, false) as is_not_started,
        coalesce(timed.is_calendar_known, true) as is_calendar_known,
        figures.value as reported_value,
        known.value as known_value,
        case when known.value is not null then targets.known_from end as known_from,
        coalesce(known.value, figures.value) as done_value,
        case
            when known.value is not null then targets.known_from
            when figures.value is not null then 'fct_indicator_progress'
            else 'none'
        end as done_source,
        known.value is null and figures.value is not null and figures.is_sum as is_sum,
        coalesce(figures.reporting_reporters, 0) as reporting_reporters,
        coalesce(figures.silent_reporters, 0) as silent_reporters,
        known.value is null and figures.value is not null and figures.silent_reporters > 0 as is_partial,
        case
            when coalesce(known.value, figures.value) is not null then null
            when spine.is_places_unknown then 'places_unknown'
            when figures.not_comparable_lines > 0 then 'not_comparable'
            when sent_below.target_id is not null and spine.region_code = targets.region_code then 'not_additive'
            else 'not_reported'
        end as missing_reason,
        figures.last_reported_period
    from spine
    inner join targets on spine.target_id = targets.target_id
    inner join timed on spine.target_id = timed.target_id
    left join figures
        on
            spine.target_id = figures.target_id
            and spine.region_code = figures.region_code
    left join known
        on
            targets.known_measure = known.measure
            and spine.region_code = known.region_code
    left join sent_below on spine.target_id = sent_below.target_id
),

rated as (
    select
        compared.*,
        periods.period,
        periods.data_maturity,
        periods.last_day,
        {{ ratio('compared.done_value', 'compared.target_value') }} as completion_rate,
        {{ ratio('compared.elapsed_working_days', 'compared.window_working_days') }} as time_elapsed_rate,
        -- 'due' judges at the end of the window, 'schedule' against the time that has passed, 'standing' at any time.
        case
            when compared.basis in ('rate', 'average', 'monthly') then 'standing'
            when compared.window_end is null then 'none'
            else 'schedule'
        end as judged_by,
        case
            when not compared.is_target_place then 'no_target'
            when compared.basis in ('rate', 'average', 'monthly') then 'not_scheduled'
            when compared.window_end is null then 'no_window'
            when compared.done_value is null then 'no_figure'
            when compared.is_not_started or compared.elapsed_working_days = 0 then 'not_started'
            when periods.last_day > compared.window_end then 'after_due'
            when compared.is_partial then 'incomplete'
            else 'linear_working_days'
        end as projection_method
    from compared
    cross join periods
),

projected as (
    select
        *,
        case
            when projection_method = 'linear_working_days'
                then done_value * window_working_days / elapsed_working_days
        end as projected_value,
        case
            when judged_by = 'schedule' and not is_not_started
                then
                    100 * case bound
                        when 'max' then time_elapsed_rate - completion_rate
                        else completion_rate - time_elapsed_rate
                    end
        end as lead_lag_points
    from rated
),

judged as (
    select
        *,
        case
            when not is_target_place then 'no_target'
            when is_not_started then 'not_started'
            when done_value is null then 'not_reported'
            when bound = 'min' and done_value >= target_value then 'done'
            when is_partial and bound = 'min' then 'incomplete'
            when bound = 'max' and done_value <= target_value and judged_by = 'standing' then 'done'
            when bound = 'max' and done_value <= target_value and last_day >= window_end
                then case when is_partial then 'incomplete' else 'done' end
            when judged_by <> 'none' and basis <> 'monthly' and last_day > window_end then 'overdue'
            when judged_by = 'standing' or (bound = 'max' and done_value > target_value) then 'behind'
            when judged_by = 'none' then 'no_window'
            when is_partial then 'incomplete'
            when lead_lag_points >= 0 then 'on_schedule'
            else 'behind'
        end as status
    from projected
),

final as (
    select
        judged.period,
        judged.target_id,
        judged.region_code,
        coalesce(regions.region_name, judged.region_zh) as region_name,
        coalesce(regions.level, case when judged.region_code like '__0000' then 'province' else 'city' end) as level,
        case
            when judged.region_code not like '__0000'
                then coalesce(regions.city_code, left(judged.region_code, 4) || '00')
        end as city_code,
        judged.programme,
        judged.indicator,
        judged.indicator_zh,
        judged.group_zh,
        judged.scope,
        judged.basis,
        judged.bound,
        judged.unit,
        judged.is_target_place,
        judged.is_places_unknown,
        judged.target_value,
        judged.reported_value,
        judged.known_value,
        judged.known_from,
        judged.reported_value - judged.known_value as reported_minus_known,
        judged.done_value,
        judged.done_source,
        judged.is_sum,
        judged.reporting_reporters::integer as reporting_reporters,
        judged.silent_reporters::integer as silent_reporters,
        judged.is_partial,
        judged.missing_reason,
        judged.completion_rate,
        judged.window_start,
        judged.window_end,
        judged.window_working_days,
        judged.elapsed_working_days,
        judged.is_calendar_known,
        judged.time_elapsed_rate,
        judged.lead_lag_points::numeric(20, 8) as lead_lag_points,
        judged.projected_value::numeric(20, 4) as projected_value,
        {{ ratio('judged.projected_value', 'judged.target_value') }} as projected_completion_rate,
        judged.projection_method,
        judged.status,
        judged.last_reported_period,
        {{ month_index('judged.period') }}
        - {{ month_index('judged.last_reported_period') }} as months_since_last_report,
        judged.data_maturity
    from judged
    left join regions on judged.region_code = regions.region_code
)

select * from final
