-- Reporter x period: what a comparison of reporters goes by, and the rank among those whose forms were all accepted.
select
    reporter_code,
    county_code,
    city_code,
    expected_forms,
    received_forms,
    on_time_forms,
    accepted_forms,
    first_pass_forms,
    findings_e + findings_r + findings_w as findings,
    cells_read,
    cells_filled,
    is_accepted,
    rank,
    count(rank) over () as ranked_reporters
from marts.mart_reporting_performance
where period = %(period)s
order by city_code, reporter_code
