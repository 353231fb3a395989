-- County x fund x item of one period, of the counties that reported.
select
    county_code,
    fund,
    item_code,
    item,
    claims,
    applied_yuan,
    approved_yuan,
    advanced_yuan,
    paid_yuan,
    over_limit_claims
from marts.mart_subsidy_disbursement
-- Lines without a claim this month carry only the balance of old advances, which the report does not print.
where period = %(period)s and claims > 0
order by county_code, fund, item_code, item
