-- County x industry of one period, of the counties that reported.
select
    shortage.county_code,
    shortage.industry_code,
    industry.industry_name,
    shortage.enterprises,
    shortage.short_enterprises,
    shortage.headcount_persons,
    shortage.shortage_now_persons,
    shortage.shortage_expansion_persons,
    shortage.lfl_shortage_now_persons,
    shortage.lfl_previous_shortage_now_persons,
    shortage.lfl_yoy_shortage_now_persons,
    shortage.lfl_year_ago_shortage_now_persons
from marts.mart_labour_shortage as shortage
inner join marts.dim_industry as industry on shortage.industry_code = industry.industry_code
where shortage.period = %(period)s
order by shortage.county_code, shortage.industry_code
