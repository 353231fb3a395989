with

expected as (
    select * from {{ ref('stg_intake__expected_report') }}
    where period = '{{ run_period() }}'
),

submissions as (
    select * from {{ ref('stg_intake__submission') }}
    where period = '{{ run_period() }}'
),

accepted as (
    select * from {{ ref('int_accepted_submission') }}
    where period = '{{ run_period() }}'
),

reporters as (
    select * from {{ ref('stg_intake__reporter') }}
),

periods as (
    select * from {{ ref('int_period_maturity') }}
    where period = '{{ run_period() }}'
),

-- Expected reports come from the duty to report, never from what arrived; what arrived unexpectedly stands beside them.
reports as (
    select
        reporter_code,
        form
    from expected

    union

    select
        reporter_code,
        form
    from submissions
),

received as (
    select
        reporter_code,
        form,
        count(*)::integer as version_count,
        max(version) as last_version,
        min(received_at) as received_at,
        bool_or(version = 1 and outcome in ('accepted', 'accepted_with_findings')) as is_first_pass
    from submissions
    group by reporter_code, form
),

-- The version whose rows and findings are counted: the accepted one in use, else the last that came.
counted as (
    select
        received.reporter_code,
        received.form,
        received.version_count,
        received.received_at,
        received.is_first_pass,
        accepted.submission_id is not null as is_accepted,
        accepted.received_at as accepted_at,
        submissions.outcome,
        submissions.rows_read,
        submissions.rows_accepted,
        submissions.rows_held,
        submissions.cells_read,
        submissions.cells_filled,
        submissions.findings_e,
        submissions.findings_r,
        submissions.findings_w,
        submissions.is_sample
    from received
    left join accepted
        on
            received.reporter_code = accepted.reporter_code
            and received.form = accepted.form
    inner join submissions
        on
            received.reporter_code = submissions.reporter_code
            and received.form = submissions.form
            and coalesce(accepted.version, received.last_version) = submissions.version
),

final as (
    select
        periods.period,
        reports.reporter_code,
        reporters.region_code as county_code,
        reporters.city_code,
        reports.form,
        expected.reporter_code is not null as is_expected,
        counted.reporter_code is not null as is_received,
        coalesce(
            {{ beijing_day('counted.received_at') }} <= coalesce(expected.due_on, periods.due_on), false
        ) as is_on_time,
        coalesce(counted.is_accepted, false) as is_accepted,
        coalesce(counted.is_first_pass, false) as is_first_pass,
        coalesce(counted.outcome, 'not_received') as outcome,
        coalesce(counted.version_count, 0) as version_count,
        counted.received_at,
        counted.accepted_at,
        counted.rows_read,
        counted.rows_accepted,
        counted.rows_held,
        counted.cells_read,
        counted.cells_filled,
        counted.findings_e,
        counted.findings_r,
        counted.findings_w,
        coalesce(expected.due_on, periods.due_on) as due_on,
        coalesce(counted.is_sample, false) as is_sample,
        periods.data_maturity
    from reports
    inner join reporters on reports.reporter_code = reporters.reporter_code
    cross join periods
    left join expected
        on
            reports.reporter_code = expected.reporter_code
            and reports.form = expected.form
    left join counted
        on
            reports.reporter_code = counted.reporter_code
            and reports.form = counted.form
)

select * from final
