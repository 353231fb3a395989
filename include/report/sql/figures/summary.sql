-- Region x period: counties, cities and the province, with the same measures of the month before.
select *
from marts.mart_labour_shortage_summary
where period = %(period)s
order by level, region_code
