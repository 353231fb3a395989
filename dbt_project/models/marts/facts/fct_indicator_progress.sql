with

lines as (
    select * from {{ ref('int_indicator_line') }}
    where period = '{{ run_period() }}'
),

programme_names as (
    select * from {{ ref('int_programme_name') }}
),

target_names as (
    select * from {{ ref('int_target_name') }}
),

targets as (
    select * from {{ ref('dim_policy_target') }}
),

units as (
    select * from {{ ref('target_units') }}
),

periods as (
    select * from {{ ref('int_period_maturity') }}
    where period = '{{ run_period() }}'
),

said as (
    select distinct
        county_code,
        city_code,
        left(county_code, 2) || '0000' as province_code,
        programme_name,
        indicator_name,
        group_name
    from lines
),

-- A programme of the county, its city or its province: named in full, or by four and more characters of a name.
called as (
    select
        said.county_code,
        said.programme_name,
        said.indicator_name,
        said.group_name,
        programme_names.programme,
        bool_or(said.programme_name = programme_names.written_as) as is_in_full
    from said
    inner join programme_names
        on
            programme_names.region_code in (said.county_code, said.city_code, said.province_code)
            and (
                said.programme_name = programme_names.written_as
                or (
                    char_length(said.programme_name) >= 4
                    and strpos(programme_names.written_as, said.programme_name) > 0
                )
            )
    group by
        said.county_code, said.programme_name, said.indicator_name, said.group_name, programme_names.programme
),

ranked as (
    select
        *,
        bool_or(is_in_full) over (
            partition by county_code, programme_name, indicator_name, group_name
        ) as is_any_in_full
    from called
),

programmes_meant as (
    select * from ranked
    where is_in_full or not is_any_in_full
),

-- A line without 分项 names the total; where the indicator has no total, its only 分项.
candidates as (
    select
        programmes_meant.county_code,
        programmes_meant.programme_name,
        programmes_meant.indicator_name,
        programmes_meant.group_name,
        target_names.target_id,
        target_names.programme,
        target_names.indicator_zh,
        target_names.group_zh,
        target_names.period_start,
        programmes_meant.group_name = target_names.group_name as is_group_named,
        bool_or(programmes_meant.group_name = target_names.group_name) over (
            partition by
                programmes_meant.county_code,
                programmes_meant.programme_name,
                programmes_meant.indicator_name,
                programmes_meant.group_name
        ) as is_any_group_named
    from programmes_meant
    inner join target_names
        on
            programmes_meant.programme = target_names.programme
            and programmes_meant.indicator_name = target_names.indicator_name
),

-- Of targets that differ by their window only, the one whose window the month lies in, or the last before it.
in_window as (
    select distinct on (
        county_code, programme_name, indicator_name, group_name, programme, indicator_zh, group_zh
    )
        county_code,
        programme_name,
        indicator_name,
        group_name,
        target_id
    from candidates
    where is_group_named or (group_name = '' and not is_any_group_named)
    order by
        county_code asc,
        programme_name asc,
        indicator_name asc,
        group_name asc,
        programme asc,
        indicator_zh asc,
        group_zh asc,
        coalesce(period_start > ('{{ run_period() }}-01')::date + interval '1 month' - interval '1 day', false) asc,
        period_start desc
),

resolved as (
    select
        programmes_meant.county_code,
        programmes_meant.programme_name,
        programmes_meant.indicator_name,
        programmes_meant.group_name,
        count(distinct programmes_meant.programme) as programmes,
        min(programmes_meant.programme) as programme,
        count(distinct candidates.target_id) as candidates,
        count(distinct in_window.target_id) as targets,
        min(in_window.target_id) as target_id
    from programmes_meant
    left join candidates
        on
            programmes_meant.county_code = candidates.county_code
            and programmes_meant.programme_name = candidates.programme_name
            and programmes_meant.indicator_name = candidates.indicator_name
            and programmes_meant.group_name = candidates.group_name
    left join in_window
        on
            programmes_meant.county_code = in_window.county_code
            and programmes_meant.programme_name = in_window.programme_name
            and programmes_meant.indicator_name = in_window.indicator_name
            and programmes_meant.group_name = in_window.group_name
    group by
        programmes_meant.county_code,
        programmes_meant.programme_name,
        programmes_meant.indicator_name,
        programmes_meant.group_name
),

named as (
    select
        lines.*,
        case when resolved.targets = 1 then resolved.target_id end as target_id,
        case when resolved.programmes = 1 then resolved.programme end as programme_meant,
        case
            when resolved.programmes is null then 'programme_unknown'
            when resolved.candidates = 0 then 'indicator_unknown'
            when resolved.targets = 0 then 'group_unknown'
            when resolved.targets > 1 then 'ambiguous'
            when
                count(*) over (
                    partition by
                        lines.submission_id, case when resolved.targets = 1 then resolved.target_id end
                ) > 1
                then 'repeated'
            else 'matched'
        end as match_status
    from lines
    left join resolved
        on
            lines.county_code = resolved.county_code
            and lines.programme_name = resolved.programme_name
            and lines.indicator_name = resolved.indicator_name
            and lines.group_name = resolved.group_name
),

measured as (
    select
        named.*,
        targets.programme,
        targets.indicator,
        targets.indicator_zh,
        targets.group_zh,
        targets.unit as target_unit,
        units.unit_kind,
        case
            when named.target_id is null then 'no_target'
            when named.unit_name is null then 'missing'
            when units.unit_kind is null then 'unknown'
            when units.unit_kind = targets.unit_kind then 'same'
            else 'differs'
        end as unit_status
    from named
    left join targets on named.target_id = targets.target_id
    left join units on named.unit_name = units.written_as
),

final as (
    select
        periods.period,
        measured.reporter_code,
        measured.county_code,
        measured.city_code,
        measured.target_id,
        coalesce(measured.programme, measured.programme_meant) as programme,
        measured.indicator,
        measured.indicator_zh,
        measured.group_zh,
        measured.match_status,
        measured.unit_kind,
        measured.target_unit,
        measured.unit_status,
        measured.match_status = 'matched' and measured.unit_status = 'same' as is_comparable,
        measured.done_this_month,
        measured.done_to_date,
        measured.programme_as_sent,
        measured.indicator_as_sent,
        measured.group_as_sent,
        measured.unit_as_sent,
        measured.problems,
        measured.next_steps,
        measured.submission_id,
        measured.sheet,
        measured.source_row,
        periods.data_maturity
    from measured
    cross join periods
)

select * from final
