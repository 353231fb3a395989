with

needs as (
    select * from {{ ref('fct_training_need') }}
    where period = '{{ run_period() }}'
),

claims as (
    select * from {{ ref('fct_subsidy_claim') }}
    where period = '{{ run_period() }}'
),

accepted as (
    select * from {{ ref('int_accepted_submission') }}
    where period = '{{ run_period() }}'
),

periods as (
    select * from {{ ref('int_period_maturity') }}
    where period = '{{ run_period() }}'
),

counties as (
    select
        county_code,
        city_code,
        bool_or(form = 'labour_demand') as has_demand,
        bool_or(form = 'subsidy_payment') as has_claims
    from accepted
    group by county_code, city_code
),

needed as (
    select
        county_code,
        occupation_code,
        training_level,
        training_type,
        sum(needed_persons) as needed_persons,
        sum(needed_subsidised_persons) as needed_subsidised_persons
    from needs
    group by county_code, occupation_code, training_level, training_type
),

-- Persons, not person-times: one who stands on two lines of the same training counts once. A line that names nobody
-- is a class or a batch: its quantity is its persons.
delivered as (
    select
        county_code,
        occupation_code,
        level as training_level,
        training_type,
        count(distinct person_key)
        + coalesce(sum(quantity) filter (where person_key is null), 0)::bigint as delivered_persons
    from claims
    where
        is_training
        and status in ('审核通过', '公示中', '公示通过', '已拨付')
        and coalesce(payment_type, '') not in ('预支', '追回')
    group by county_code, occupation_code, level, training_type
),

trainings as (
    select
        county_code,
        occupation_code,
        training_level,
        training_type
    from needed

    union

    select
        county_code,
        occupation_code,
        training_level,
        training_type
    from delivered
),

-- A ledger that was accepted and names nobody is 0; one that is missing leaves the number unknown.
measured as (
    select
        trainings.county_code,
        counties.city_code,
        trainings.occupation_code,
        trainings.training_level,
        trainings.training_type,
        case when counties.has_demand then coalesce(needed.needed_persons, 0) end as needed_persons,
        case
            when counties.has_demand and needed.county_code is null then 0
            else needed.needed_subsidised_persons
        end as needed_subsidised_persons,
        case when counties.has_claims then coalesce(delivered.delivered_persons, 0) end as delivered_persons
    from trainings
    inner join counties on trainings.county_code = counties.county_code
    left join needed
        on
            trainings.county_code = needed.county_code
            and trainings.occupation_code = needed.occupation_code
            and trainings.training_level is not distinct from needed.training_level
            and trainings.training_type is not distinct from needed.training_type
    left join delivered
        on
            trainings.county_code = delivered.county_code
            and trainings.occupation_code = delivered.occupation_code
            and trainings.training_level is not distinct from delivered.training_level
            and trainings.training_type is not distinct from delivered.training_type
),

final as (
    select
        periods.period,
        measured.county_code,
        measured.city_code,
        measured.occupation_code,
        measured.training_level,
        measured.training_type,
        measured.needed_persons,
        measured.needed_subsidised_persons,
        measured.delivered_persons,
        measured.needed_persons - measured.delivered_persons as gap_persons,
        periods.data_maturity
    from measured
    cross join periods
)

select * from final
