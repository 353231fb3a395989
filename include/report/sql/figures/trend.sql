-- The province over the thirteen months that end with the period.
select
    period,
    shortage_now_persons,
    headcount_persons,
    covered_reporters,
    expected_reporters
from marts.mart_labour_shortage_summary
where region_code = %(region_code)s and period between %(trend_from)s and %(period)s
order by period
