with

accepted as (
    select * from {{ ref('int_accepted_submission') }}
    where form = 'enterprise_status'
),

enterprise_rows as (
    select * from {{ ref('stg_raw__enterprise_status') }}
),

industry_names as (
    select * from {{ ref('int_industry_name') }}
),

final as (
    select
        enterprise_rows.period,
        accepted.reporter_code,
        accepted.county_code,
        accepted.city_code,
        enterprise_rows.uscc,
        enterprise_rows.enterprise_name,
        enterprise_rows.locality,
        enterprise_rows.industry_as_sent,
        coalesce(industry_names.industry_code, {{ unclassified_industry() }}) as industry_code,
        enterprise_rows.ownership,
        enterprise_rows.size_class,
        enterprise_rows.operating_state,
        enterprise_rows.is_above_scale,
        enterprise_rows.is_key,
        enterprise_rows.revenue_wan_yuan,
        enterprise_rows.headcount_persons,
        enterprise_rows.managers_persons,
        enterprise_rows.professionals_persons,
        enterprise_rows.workers_persons,
        enterprise_rows.women_persons,
        enterprise_rows.local_county_persons,
        enterprise_rows.other_county_persons,
        enterprise_rows.other_province_persons,
        enterprise_rows.lifted_poverty_persons,
        enterprise_rows.dispatched_persons,
        enterprise_rows.skill_junior_persons,
        enterprise_rows.skill_intermediate_persons,
        enterprise_rows.skill_senior_persons,
        enterprise_rows.skill_technician_persons,
        enterprise_rows.skill_senior_technician_persons,
        enterprise_rows.skill_master_persons,
        enterprise_rows.skill_chief_persons,
        enterprise_rows.skilled_persons,
        {{ sum_of([
            'enterprise_rows.skill_senior_persons',
            'enterprise_rows.skill_technician_persons',
            'enterprise_rows.skill_senior_technician_persons',
            'enterprise_rows.skill_master_persons',
            'enterprise_rows.skill_chief_persons',
        ]) }} as high_skilled_persons,
        enterprise_rows.insured_persons,
        enterprise_rows.hired_persons,
        enterprise_rows.leavers_persons,
        enterprise_rows.wage_general_yuan,
        enterprise_rows.wage_skilled_yuan,
        enterprise_rows.shortage_now_persons,
        enterprise_rows.shortage_expansion_persons,
        enterprise_rows.training_needed_persons,
        enterprise_rows.shortage_now_persons > 0 as is_short,
        enterprise_rows.submission_id,
        enterprise_rows.sheet,
        enterprise_rows.source_row
    from enterprise_rows
    inner join accepted
        on
            enterprise_rows.period = accepted.period
            and enterprise_rows.submission_id = accepted.submission_id
    left join industry_names
        on {{ comparable_text('enterprise_rows.industry_as_sent') }} = industry_names.written_as
)

select * from final
