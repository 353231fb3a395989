-- Industry x period over the counties that reported.
select
    shortage.industry_code,
    industry.industry_name,
    sum(shortage.enterprises) as enterprises,
    sum(shortage.short_enterprises) as short_enterprises,
    sum(shortage.headcount_persons) as headcount_persons,
    sum(shortage.shortage_now_persons) as shortage_now_persons,
    sum(shortage.shortage_expansion_persons) as shortage_expansion_persons,
    sum(shortage.lfl_shortage_now_persons) as lfl_shortage_now_persons,
    sum(shortage.lfl_previous_shortage_now_persons) as lfl_previous_shortage_now_persons
from marts.mart_labour_shortage as shortage
inner join marts.dim_industry as industry on shortage.industry_code = industry.industry_code
where shortage.period = %(period)s
group by shortage.industry_code, industry.industry_name
order by shortage.industry_code
