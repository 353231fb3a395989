-- The counties' lines of the progress mart, by occupation and level.
select
    progress.*,
    coalesce(occupations.occupation_name, '') as occupation_name
from marts.mart_apprenticeship_progress as progress
left join marts.dim_occupation as occupations on progress.occupation_code = occupations.occupation_code
where progress.period = %(period)s and progress.level = 'county'
order by progress.region_code, progress.occupation_code, progress.training_level
