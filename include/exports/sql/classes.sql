-- Classes of the year for the yearly lists: filed, and not completed before the year began.
select
    classes.*,
    counties.region_name as county_name,
    counties.city_name
from marts.fct_apprenticeship_month as classes
left join marts.dim_region as counties on classes.county_code = counties.region_code
where
    classes.period = %(period)s
    and classes.filed_on is not null
    and (classes.completed_on is null or classes.completed_on >= %(year_begins)s)
order by classes.county_code, classes.enterprise_name, classes.uscc, classes.filed_on, classes.class_key
