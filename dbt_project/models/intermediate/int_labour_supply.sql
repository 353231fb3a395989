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

-- No part of this is read twice and every window stays within a period: a month asked for is the only one scanned.
staffed as (
    select
        employed.period,
        employed.county_code,
        employed.city_code,
        employed.uscc,
        employed.occupation_code,
        employed.employed_persons,
        enterprises.operating_state,
        coalesce(enterprises.leavers_persons, 0)::bigint as leavers_persons,
        (sum(employed.employed_persons) over enterprise)::bigint as enterprise_employed_persons
    from employed
    inner join enterprises
        on
            employed.period = enterprises.period
            and employed.county_code = enterprises.county_code
            and employed.uscc = enterprises.uscc
    where enterprises.operating_state in ('停产', '半停产') or enterprises.leavers_persons > 0
    window enterprise as (partition by employed.period, employed.county_code, employed.uscc)
),

-- Largest remainder in whole numbers: the parts always add up to the leavers.
quotas as (
    select
        *,
        leavers_persons * employed_persons / enterprise_employed_persons as whole_persons,
        leavers_persons * employed_persons % enterprise_employed_persons as remainder
    from staffed
),

ranked as (
    select
        *,
        leavers_persons - sum(whole_persons) over enterprise as persons_left,
        row_number() over (
            partition by period, county_code, uscc
            order by remainder desc, occupation_code asc
        ) as remainder_rank
    from quotas
    window enterprise as (partition by period, county_code, uscc)
),

final as (
    select
        ranked.period,
        ranked.county_code,
        ranked.city_code,
        ranked.uscc,
        ranked.occupation_code,
        kinds.supply_kind,
        kinds.supply_persons
    from ranked
    cross join
        lateral (
            values
            ('stopped', case when ranked.operating_state = '停产' then ranked.employed_persons end),
            ('half_stopped', case when ranked.operating_state = '半停产' then ranked.employed_persons end),
            (
                'leavers',
                ranked.whole_persons + case when ranked.remainder_rank <= ranked.persons_left then 1 else 0 end
            )
        ) as kinds (supply_kind, supply_persons)
    where kinds.supply_persons > 0
)

select * from final
