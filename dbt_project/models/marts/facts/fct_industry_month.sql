with

enterprises as (
    select * from {{ ref('fct_enterprise_month') }}
    where period = '{{ run_period() }}'
),

final as (
    select
        period,
        reporter_code,
        county_code,
        city_code,
        industry_code,
        count(*) as enterprises,
        count(*) filter (where is_short) as short_enterprises,
        count(*) filter (where is_persistently_short) as persistently_short_enterprises,
        sum(headcount_persons) as headcount_persons,
        sum(managers_persons) as managers_persons,
        sum(professionals_persons) as professionals_persons,
        sum(workers_persons) as workers_persons,
        sum(women_persons) as women_persons,
        sum(local_county_persons) as local_county_persons,
        sum(other_county_persons) as other_county_persons,
        sum(other_province_persons) as other_province_persons,
        sum(lifted_poverty_persons) as lifted_poverty_persons,
        sum(dispatched_persons) as dispatched_persons,
        sum(skill_junior_persons) as skill_junior_persons,
        sum(skill_intermediate_persons) as skill_intermediate_persons,
        sum(skill_senior_persons) as skill_senior_persons,
        sum(skill_technician_persons) as skill_technician_persons,
        sum(skill_senior_technician_persons) as skill_senior_technician_persons,
        sum(skill_master_persons) as skill_master_persons,
        sum(skill_chief_persons) as skill_chief_persons,
        sum(skilled_persons) as skilled_persons,
        sum(high_skilled_persons) as high_skilled_persons,
        sum(insured_persons) as insured_persons,
        sum(hired_persons) as hired_persons,
        sum(leavers_persons) as leavers_persons,
        sum(shortage_now_persons) as shortage_now_persons,
        sum(shortage_expansion_persons) as shortage_expansion_persons,
        sum(training_needed_persons) as training_needed_persons,
        data_maturity
    from enterprises
    group by period, reporter_code, county_code, city_code, industry_code, data_maturity
)

select * from final
