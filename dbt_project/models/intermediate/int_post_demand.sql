with

accepted as (
    select * from {{ ref('int_accepted_submission') }}
    where form = 'labour_demand'
),

demand_rows as (
    select * from {{ ref('stg_raw__labour_demand') }}
),

occupation_names as (
    select * from {{ ref('int_occupation_name') }}
),

final as (
    select
        demand_rows.period,
        accepted.reporter_code,
        accepted.county_code,
        accepted.city_code,
        demand_rows.uscc,
        demand_rows.post,
        coalesce(posts.occupation_code, {{ unclassified_occupation() }}) as occupation_code,
        demand_rows.post_category,
        demand_rows.employed_persons,
        demand_rows.shortage_now_persons,
        demand_rows.planned_hires_persons,
        demand_rows.shortage_expansion_persons,
        demand_rows.expansion_month,
        demand_rows.education,
        demand_rows.skill_level,
        demand_rows.wage_min_yuan,
        demand_rows.wage_max_yuan,
        demand_rows.training_post,
        coalesce(trainings.occupation_code, {{ unclassified_occupation() }}) as training_occupation_code,
        demand_rows.training_type,
        demand_rows.training_level,
        demand_rows.training_mode,
        demand_rows.training_needed_persons,
        demand_rows.is_training_subsidised,
        demand_rows.submission_id,
        demand_rows.sheet,
        demand_rows.source_row
    from demand_rows
    inner join accepted
        on
            demand_rows.period = accepted.period
            and demand_rows.submission_id = accepted.submission_id
    left join occupation_names as posts
        on {{ comparable_text('demand_rows.post') }} = posts.written_as
    left join occupation_names as trainings
        on {{ comparable_text('demand_rows.training_post') }} = trainings.written_as
)

select * from final
