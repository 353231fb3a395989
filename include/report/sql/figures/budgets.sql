-- Region x fund x item of one period, where a budget is given: what was paid of it since January.
select
    region_code,
    fund,
    item_code,
    item,
    budget_yuan,
    paid_year_yuan
from marts.mart_subsidy_disbursement_summary
where period = %(period)s and budget_yuan is not null

union all

select
    county_code as region_code,
    fund,
    item_code,
    item,
    budget_yuan,
    paid_year_yuan
from marts.mart_subsidy_disbursement
where period = %(period)s and budget_yuan is not null
order by region_code, fund, item_code
