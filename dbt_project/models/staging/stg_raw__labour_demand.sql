with

source as (
    select * from {{ source('raw', 'labour_demand') }}
),

renamed as (
    select
        submission_id,
        sheet,
        source_row,
        period,
        county_code,
        enterprise_name,
        uscc,
        post,
        post_category,
        employed as employed_persons,
        shortage_now as shortage_now_persons,
        planned_hires as planned_hires_persons,
        shortage_expansion as shortage_expansion_persons,
        expansion_month,
        expansion_reason,
        gender,
        age_min,
        age_max,
        education,
        skill_level,
        wage_min::numeric(12, 2) as wage_min_yuan,
        wage_max::numeric(12, 2) as wage_max_yuan,
        training_post,
        training_type,
        training_level,
        training_persons as training_needed_persons,
        training_month,
        training_mode,
        training_subsidised as is_training_subsidised
    from source
)

select * from renamed
