-- Training occupation x level x type of one period.
select
    training.occupation_code,
    occupation.occupation_name,
    training.training_level,
    training.training_type,
    sum(training.needed_persons) as needed_persons,
    sum(training.needed_subsidised_persons) as needed_subsidised_persons,
    sum(training.delivered_persons) as delivered_persons
from marts.mart_training_demand as training
inner join marts.dim_occupation as occupation on training.occupation_code = occupation.occupation_code
where training.period = %(period)s
group by training.occupation_code, occupation.occupation_name, training.training_level, training.training_type
order by training.occupation_code, training.training_level, training.training_type
