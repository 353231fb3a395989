-- County x occupation of one period, of the counties that reported.
select
    post.county_code,
    post.occupation_code,
    occupation.occupation_name,
    sum(post.employed_persons) as employed_persons,
    sum(post.shortage_now_persons) as shortage_now_persons,
    sum(post.planned_hires_persons) as planned_hires_persons
from marts.mart_labour_shortage_by_post as post
inner join marts.dim_occupation as occupation on post.occupation_code = occupation.occupation_code
where post.period = %(period)s
group by post.county_code, post.occupation_code, occupation.occupation_name
order by post.county_code, post.occupation_code
