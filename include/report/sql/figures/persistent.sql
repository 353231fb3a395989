-- County x period: enterprises short in three or more consecutive periods.
select
    county_code,
    city_code,
    count(*) filter (where is_short) as short_enterprises,
    count(*) filter (where is_persistently_short) as persistently_short_enterprises,
    coalesce(sum(shortage_now_persons) filter (where is_persistently_short), 0) as persistent_shortage_persons
from marts.fct_enterprise_month
where period = %(period)s
group by county_code, city_code
order by county_code
