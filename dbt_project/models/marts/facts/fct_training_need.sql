with

demand as (
    select * from {{ ref('int_post_demand') }}
    where
        period = '{{ run_period() }}'
        and training_needed_persons is not null
),

periods as (
    select * from {{ ref('int_period_maturity') }}
),

final as (
    select
        demand.period,
        demand.reporter_code,
        demand.county_code,
        demand.city_code,
        demand.uscc,
        demand.training_post,
        demand.training_occupation_code as occupation_code,
        demand.training_type,
        demand.training_level,
        demand.training_mode,
        demand.training_needed_persons as needed_persons,
        -- Blank 是否需要补贴 stays unknown.
        case demand.is_training_subsidised
            when true then demand.training_needed_persons
            when false then 0
        end as needed_subsidised_persons,
        demand.submission_id,
        demand.sheet,
        demand.source_row,
        periods.data_maturity
    from demand
    inner join periods on demand.period = periods.period
)

select * from final
