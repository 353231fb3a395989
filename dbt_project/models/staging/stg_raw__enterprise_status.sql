with

source as (
    select * from {{ source('raw', 'enterprise_status') }}
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
        locality,
        industry as industry_as_sent,
        ownership,
        size_class,
        is_above_scale,
        is_key,
        operating_state,
        revenue_wan_yuan::numeric(20, 4) as revenue_wan_yuan,
        headcount as headcount_persons,
        managers as managers_persons,
        professionals as professionals_persons,
        workers as workers_persons,
        women as women_persons,
        local_county as local_county_persons,
        other_county as other_county_persons,
        other_province as other_province_persons,
        lifted_poverty as lifted_poverty_persons,
        dispatched as dispatched_persons,
        skill_junior as skill_junior_persons,
        skill_intermediate as skill_intermediate_persons,
        skill_senior as skill_senior_persons,
        skill_technician as skill_technician_persons,
        skill_senior_technician as skill_senior_technician_persons,
        skill_master as skill_master_persons,
        skill_chief as skill_chief_persons,
        skilled_total as skilled_persons,
        insured as insured_persons,
        hired as hired_persons,
        leavers as leavers_persons,
        wage_general::numeric(12, 2) as wage_general_yuan,
        wage_skilled::numeric(12, 2) as wage_skilled_yuan,
        shortage_now as shortage_now_persons,
        shortage_expansion as shortage_expansion_persons,
        training_needed as training_needed_persons
    from source
)

select * from renamed
