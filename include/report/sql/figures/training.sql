-- County x occupation x level x type of one period. The columns `_both` are restricted to the counties whose
-- 企业用工需求表 and 补贴资金发放台账 were both accepted: only there can delivered be compared with needed.
select
    training.county_code,
    training.occupation_code,
    occupation.occupation_name,
    training.training_level,
    training.training_type,
    training.needed_persons,
    training.needed_subsidised_persons,
    training.delivered_persons,
    case when training.delivered_persons is not null then training.needed_persons end as needed_both_persons,
    case when training.needed_persons is not null then training.delivered_persons end as delivered_both_persons
from marts.mart_training_demand as training
inner join marts.dim_occupation as occupation on training.occupation_code = occupation.occupation_code
where training.period = %(period)s
order by training.county_code, training.occupation_code, training.training_level, training.training_type
