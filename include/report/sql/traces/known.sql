-- Targets whose value other data of the warehouse know: it is taken before what was reported.
select
    region_code,
    target_id,
    known_from
from marts.mart_programme_progress
where
    period = %(period)s
    and is_target_place
    and known_value is not null
order by region_code, target_id
