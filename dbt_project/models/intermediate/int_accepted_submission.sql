with

submissions as (
    select * from {{ ref('stg_intake__submission') }}
),

reporters as (
    select * from {{ ref('stg_intake__reporter') }}
),

-- Versions are numbered per reporter; a later version that was refused leaves the accepted one standing.
latest_accepted as (
    select distinct on (form, period, reporter_code)
        submission_id,
        form,
        period,
        reporter_code,
        county_code,
        version,
        received_at,
        outcome
    from submissions
    where outcome in ('accepted', 'accepted_with_findings')
    order by form asc, period asc, reporter_code asc, version desc
),

final as (
    select
        latest_accepted.submission_id,
        latest_accepted.form,
        latest_accepted.period,
        latest_accepted.reporter_code,
        latest_accepted.county_code,
        reporters.city_code,
        latest_accepted.version,
        latest_accepted.received_at,
        latest_accepted.outcome
    from latest_accepted
    left join reporters on latest_accepted.reporter_code = reporters.reporter_code
)

select * from final
