-- County x enterprise size of one period.
select
    county_code,
    size_class,
    count(*) as enterprises,
    count(*) filter (where is_short) as short_enterprises,
    sum(headcount_persons) as headcount_persons,
    sum(shortage_now_persons) as shortage_now_persons
from marts.fct_enterprise_month
where period = %(period)s
group by county_code, size_class
order by county_code, size_class
