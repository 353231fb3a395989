with

enterprises as (
    select * from {{ ref('int_enterprise_month') }}
),

posts as (
    select * from {{ ref('int_post_demand') }}
    where employed_persons > 0
),

employed as (
    select
        period,
        county_code,
        city_code,
        uscc,
        occupation_code,
        sum(employed_persons)::bigint as employed_persons
    from posts
    group by period, county_code, city_code, uscc, occupation_code
),

staffed as (
    select
        employed.period,
        employed.county_code,
        employed.city_code,
        employed.uscc,
        employed.occupation_code,
        employed.employed_persons,
        enterprises.operating_state,
        enterprises.leavers_persons,
        sum(employed.employed_persons) over enterprise as enterprise_employed_persons
    from employed
    inner join enterprises
        on
            employed.period = enterprises.period
            and employed.county_code = enterprises.county_code
            and employed.uscc = enterprises.uscc
    where enterprises.operating_state in ('停产', '半停产') or enterprises.leavers_persons > 0
    window enterprise as (partition by employed.period, employed.county_code, employed.uscc)
),

-- Largest remainder in whole numbers: the quotas are exact, so that the parts always add up to the leavers.
quotas as (
    select
        period,
        county_code,
        city_code,
        uscc,
        occupation_code,
        leavers_persons,
        div(leavers_persons * employed_persons, enterprise_employed_persons)::bigint as whole_persons,
        mod(leavers_persons * employed_persons, enterprise_employed_persons) as remainder
    from staffed
    where leavers_persons > 0
),

ranked as (
    select
        period,
        county_code,
        city_code,
        uscc,
        occupation_code,
        whole_persons,
        leavers_persons - sum(whole_persons) over enterprise as persons_left,
        row_number() over (
            partition by period, county_code, uscc
            order by remainder desc, occupation_code asc
        ) as remainder_rank
    from quotas
    window enterprise as (partition by period, county_code, uscc)
),

supply as (
    select
        period,
        county_code,
        city_code,
        uscc,
        occupation_code,
        case operating_state when '停产' then 'stopped' else 'half_stopped' end as supply_kind,
        employed_persons as supply_persons
    from staffed
    where operating_state in ('停产', '半停产')

    union all

    select
        period,
        county_code,
        city_code,
        uscc,
        occupation_code,
        'leavers' as supply_kind,
        whole_persons + case when remainder_rank <= persons_left then 1 else 0 end as supply_persons
    from ranked
),

final as (
    select
        period,
        county_code,
        city_code,
        uscc,
        occupation_code,
        supply_kind,
        supply_persons::bigint as supply_persons
    from supply
    where supply_persons > 0
)

select * from final
