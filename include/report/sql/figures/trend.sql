-- Region x period over the thirteen months that end with the period.
select
    region_code,
    period,
    shortage_now_persons,
    headcount_persons,
    covered_reporters,
    expected_reporters
from marts.mart_labour_shortage_summary
where period between %(trend_from)s and %(period)s
order by region_code, period
