with

accepted as (
    select * from {{ ref('int_accepted_submission') }}
    where period = '{{ run_period() }}'
),

layouts as (
    select * from {{ ref('stg_intake__sheet_layout') }}
),

periods as (
    select * from {{ ref('int_period_maturity') }}
    where period = '{{ run_period() }}'
),

final as (
    select
        periods.period,
        accepted.submission_id,
        layouts.sheet,
        layouts.column_name,
        accepted.county_code,
        accepted.city_code,
        layouts.column_letter,
        layouts.header_text,
        periods.data_maturity
    from accepted
    inner join layouts on accepted.submission_id = layouts.submission_id
    cross join periods
)

select * from final
