with

source as (
    select * from {{ source('raw', 'programme_progress') }}
),

renamed as (
    select
        submission_id,
        sheet,
        source_row,
        period,
        county_code,
        programme as programme_as_sent,
        indicator as indicator_as_sent,
        indicator_group as group_as_sent,
        unit as unit_as_sent,
        done_this_month,
        done_to_date,
        problems,
        next_steps
    from source
)

select * from renamed
