with

reports as (
    select * from {{ ref('fct_submission') }}
    where
        period = '{{ run_period() }}'
        and is_expected
),

files as (
    select * from {{ ref('stg_intake__received_file') }}
    where period = '{{ run_period() }}'
),

refused_files as (
    select
        reporter_code,
        count(*) as refused_files
    from files
    where file_outcome = 'refused'
    group by reporter_code
),

counted as (
    select
        period,
        reporter_code,
        county_code,
        city_code,
        data_maturity,
        count(*) as expected_forms,
        count(*) filter (where is_received) as received_forms,
        count(*) filter (where is_on_time) as on_time_forms,
        count(*) filter (where is_accepted) as accepted_forms,
        count(*) filter (where is_first_pass) as first_pass_forms,
        bool_and(is_received) as is_received,
        bool_and(is_on_time) as is_on_time,
        bool_and(is_accepted) as is_accepted,
        sum(rows_read) as rows_read,
        sum(rows_accepted) as rows_accepted,
        sum(rows_held) as rows_held,
        sum(findings_e) as findings_e,
        sum(findings_r) as findings_r,
        sum(findings_w) as findings_w,
        sum(cells_read) as cells_read,
        sum(cells_filled) as cells_filled
    from reports
    group by period, reporter_code, county_code, city_code, data_maturity
),

rated as (
    select
        *,
        {{ ratio('received_forms', 'expected_forms') }} as received_rate,
        {{ ratio('on_time_forms', 'expected_forms') }} as on_time_rate,
        {{ ratio('accepted_forms', 'expected_forms') }} as accepted_rate,
        {{ ratio('first_pass_forms', 'received_forms') }} as first_pass_rate,
        {{ ratio('(findings_e + findings_r + findings_w) * 1000', 'cells_read') }} as findings_per_1000_cells,
        {{ ratio('cells_filled', 'cells_read') }} as content_completeness
    from counted
),

-- Only complete reporters are comparable; equal ones share a rank.
ranked as (
    select
        reporter_code,
        rank() over (
            order by
                on_time_rate desc,
                first_pass_rate desc,
                findings_per_1000_cells asc,
                content_completeness desc
        ) as rank
    from rated
    where is_accepted
),

final as (
    select
        rated.period,
        rated.reporter_code,
        rated.county_code,
        rated.city_code,
        rated.expected_forms,
        rated.received_forms,
        rated.on_time_forms,
        rated.accepted_forms,
        rated.first_pass_forms,
        coalesce(refused_files.refused_files, 0) as refused_files,
        rated.is_received,
        rated.is_on_time,
        rated.is_accepted,
        rated.received_rate,
        rated.on_time_rate,
        rated.accepted_rate,
        rated.first_pass_rate,
        rated.rows_read,
        rated.rows_accepted,
        rated.rows_held,
        rated.findings_e,
        rated.findings_r,
        rated.findings_w,
        rated.cells_read,
        rated.cells_filled,
        rated.findings_per_1000_cells,
        rated.content_completeness,
        ranked.rank,
        rated.data_maturity
    from rated
    left join ranked on rated.reporter_code = ranked.reporter_code
    left join refused_files on rated.reporter_code = refused_files.reporter_code
)

select * from final
