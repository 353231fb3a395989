-- Training occupation x level x type of one period. The columns `_both` are restricted to the counties whose
-- 企业用工需求表 and 补贴资金发放台账 were both accepted: only there can delivered be compared with needed.
select
    training.occupation_code,
    occupation.occupation_name,
    training.training_level,
    training.training_type,
    sum(training.needed_persons) as needed_persons,
    sum(training.needed_subsidised_persons) as needed_subsidised_persons,
    sum(training.delivered_persons) as delivered_persons,
    sum(training.needed_persons) filter (where training.delivered_persons is not null) as needed_both_persons,
    sum(training.delivered_persons) filter (where training.needed_persons is not null) as delivered_both_persons
from marts.mart_training_demand as training
inner join marts.dim_occupation as occupation on training.occupation_code = occupation.occupation_code
where training.period = %(period)s
group by training.occupation_code, occupation.occupation_name, training.training_level, training.training_type
order by training.occupation_code, training.training_level, training.training_type
