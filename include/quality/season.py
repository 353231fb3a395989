"""Which earlier months a month is compared with: like with like.

Around 春节 (Spring Festival) enterprises stand half empty every year, so a month touched by the festival is compared
with such months of earlier years, and any other month with months that are not touched.

A month counts as touched when at least ``spring_month_lowest_days`` of its days lie between ``spring_margin_days``
before the first and ``spring_margin_days`` after the last day of the festival's public holiday. With 15 and 15: in 2025
the holiday is 01-28..02-04, the span 01-13..02-19, so January (19 days) and February (19 days); in 2026 the holiday is
02-15..02-23, the span 01-31..03-10, so February alone (January has 1 day of it, March 10).
The holidays come from ``chinesecalendar``; for a year whose notice it does not know yet, January and February count:
the lunar new year never falls outside 01-21..02-20.
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache

from chinese_calendar.constants import Holiday, holidays

from include.intake.calendar import last_day, month_after
from include.quality.thresholds import limit

ORDINARY_ZH, SPRING_ZH = "平常月份", "春节所在月份"

THRESHOLDS_USED = (
    "history_longest_months",
    "history_used_months",
    "outlier_months_lowest",
    "outlier_spring_months_lowest",
    "spring_margin_days",
    "spring_month_lowest_days",
)


@lru_cache(maxsize=256)
def is_spring_festival_month(period: str) -> bool:
    """Whether the month (``YYYY-MM``) is compared with the Spring Festival months of other years."""
    year, month = int(period[:4]), int(period[5:])
    days = sorted(day for day, name in holidays.items() if day.year == year and name == Holiday.spring_festival.value)
    if not days:
        return month <= 2
    margin = timedelta(days=limit("spring_margin_days"))
    begin, end = max(date(year, month, 1), days[0] - margin), min(last_day(period), days[-1] + margin)
    return (end - begin).days + 1 >= limit("spring_month_lowest_days")


def season_zh(period: str) -> str:
    """How the months that a month is compared with are called."""
    return SPRING_ZH if is_spring_festival_month(period) else ORDINARY_ZH


def comparable_months(period: str) -> list[str]:
    """Earlier months of the same kind, newest first: at most ``history_used_months``, none older than
    ``history_longest_months``."""
    kind = is_spring_festival_month(period)
    earlier = [month_after(period, -back) for back in range(1, int(limit("history_longest_months")) + 1)]
    return [month for month in earlier if is_spring_festival_month(month) == kind][: int(limit("history_used_months"))]


def months_needed(period: str) -> int:
    """Months of history below which nothing is called unusual."""
    spring = is_spring_festival_month(period)
    return int(limit("outlier_spring_months_lowest" if spring else "outlier_months_lowest"))
