with

submissions as (
    select * from {{ ref('stg_intake__submission') }}
    where period = '{{ run_period() }}'
),

files as (
    select * from {{ ref('stg_intake__received_file') }}
    where period = '{{ run_period() }}'
),

accepted as (
    select * from {{ ref('int_accepted_submission') }}
    where period = '{{ run_period() }}'
),

accepted_before as (
    select * from {{ ref('int_accepted_submission') }}
    where period = '{{ period_before(1) }}'
),

accepted_year_ago as (
    select * from {{ ref('int_accepted_submission') }}
    where period = '{{ period_before(12) }}'
),

expected as (
    select * from {{ ref('stg_intake__expected_report') }}
    where period = '{{ run_period() }}'
),

reporters as (
    select * from {{ ref('stg_intake__reporter') }}
),

periods as (
    select * from {{ ref('int_period_maturity') }}
    where period = '{{ run_period() }}'
),

sent as (
    select
        submissions.receipt_id,
        submissions.form,
        submissions.submission_id,
        submissions.reporter_code,
        submissions.version,
        submissions.received_at,
        submissions.outcome,
        submissions.rows_read,
        submissions.rows_accepted,
        submissions.rows_held,
        submissions.cells_read,
        submissions.cells_filled,
        submissions.findings_e,
        submissions.findings_r,
        submissions.findings_w,
        row_number() over (
            partition by submissions.reporter_code, submissions.form
            order by submissions.received_at, submissions.version
        ) = 1 as is_first_received,
        submissions.version = 1
        and submissions.outcome in ('accepted', 'accepted_with_findings') as is_first_pass,
        accepted.submission_id is not null as is_in_use,
        -- The version whose rows and findings are counted: the one in use, else the last that came.
        row_number() over (
            partition by submissions.reporter_code, submissions.form
            order by accepted.submission_id is not null desc, submissions.version desc
        ) = 1 as is_counted
    from submissions
    left join accepted on submissions.submission_id = accepted.submission_id
),

-- A file that was refused before its forms were read still was a file.
unread as (
    select
        files.receipt_id,
        'unknown' as form,
        files.reporter_code,
        files.received_at,
        'refused' as outcome
    from files
    left join sent on files.receipt_id = sent.receipt_id
    where
        files.file_outcome = 'refused'
        and sent.receipt_id is null
),

received as (
    select
        receipt_id,
        form,
        reporter_code,
        received_at,
        outcome
    from sent

    union all

    select
        receipt_id,
        form,
        reporter_code,
        received_at,
        outcome
    from unread
),

final as (
    select
        periods.period,
        received.receipt_id,
        received.form,
        sent.submission_id,
        received.reporter_code,
        reporters.region_code as county_code,
        reporters.city_code,
        files.file_name,
        files.sha256,
        sent.version,
        received.received_at,
        received.outcome,
        expected.reporter_code is not null as is_expected,
        coalesce(sent.is_first_received, false) as is_first_received,
        {{ beijing_day('received.received_at') }} <= coalesce(expected.due_on, periods.due_on) as is_on_time,
        coalesce(sent.is_first_pass, false) as is_first_pass,
        coalesce(sent.is_in_use, false) as is_in_use,
        coalesce(sent.is_counted, false) as is_counted,
        coalesce(sent.is_in_use, false) and accepted_before.reporter_code is not null as is_comparable,
        coalesce(sent.is_in_use, false) and accepted_year_ago.reporter_code is not null as is_yoy_comparable,
        -- A refused workbook of several forms is one refused file.
        files.file_outcome = 'refused'
        and row_number() over (partition by received.receipt_id order by received.form) = 1 as is_refused_file,
        sent.rows_read,
        sent.rows_accepted,
        sent.rows_held,
        sent.cells_read,
        sent.cells_filled,
        sent.findings_e,
        sent.findings_r,
        sent.findings_w,
        periods.data_maturity
    from received
    inner join files on received.receipt_id = files.receipt_id
    inner join reporters on received.reporter_code = reporters.reporter_code
    cross join periods
    left join sent
        on
            received.receipt_id = sent.receipt_id
            and received.form = sent.form
    left join expected
        on
            received.reporter_code = expected.reporter_code
            and received.form = expected.form
    left join accepted_before
        on
            received.reporter_code = accepted_before.reporter_code
            and received.form = accepted_before.form
    left join accepted_year_ago
        on
            received.reporter_code = accepted_year_ago.reporter_code
            and received.form = accepted_year_ago.form
)

select * from final
