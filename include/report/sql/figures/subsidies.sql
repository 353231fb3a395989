-- Fund x item of one period over the counties that reported.
select
    fund,
    item_code,
    item,
    sum(claims) as claims,
    sum(applied_yuan) as applied_yuan,
    sum(approved_yuan) as approved_yuan,
    sum(advanced_yuan) as advanced_yuan,
    sum(paid_yuan) as paid_yuan,
    sum(over_limit_claims) as over_limit_claims
from marts.mart_subsidy_disbursement
where period = %(period)s
group by fund, item_code, item
-- Lines without a claim this month carry only the balance of old advances, which the report does not print.
having sum(claims) > 0
order by fund, item_code, item
