with

accepted as (
    select * from {{ ref('int_accepted_submission') }}
    where form = 'programme_progress'
),

sent as (
    select * from {{ ref('stg_raw__programme_progress') }}
),

final as (
    select
        sent.period,
        accepted.reporter_code,
        sent.county_code,
        accepted.city_code,
        sent.programme_as_sent,
        sent.indicator_as_sent,
        sent.group_as_sent,
        sent.unit_as_sent,
        {{ name_text('sent.programme_as_sent') }} as programme_name,
        {{ name_text('sent.indicator_as_sent') }} as indicator_name,
        {{ name_text('sent.group_as_sent') }} as group_name,
        {{ comparable_text('sent.unit_as_sent') }} as unit_name,
        sent.done_this_month,
        sent.done_to_date,
        sent.problems,
        sent.next_steps,
        sent.submission_id,
        sent.sheet,
        sent.source_row
    from sent
    inner join accepted
        on
            sent.period = accepted.period
            and sent.submission_id = accepted.submission_id
)

select * from final
