"""How long something has lain there in hours in which files are collected: Monday to Friday, 8:00 to 18:30."""

from __future__ import annotations

from datetime import datetime, time, timedelta

from include.intake.calendar import SHANGHAI

# As the schedule of `collect_submissions` has it.
OPENS, CLOSES = time(8, 0), time(18, 30)


def collecting(start: datetime, end: datetime) -> timedelta:
    """The time between two moments (aware) that lies within collecting hours; zero when the end is the earlier."""
    start, end = start.astimezone(SHANGHAI), end.astimezone(SHANGHAI)
    total = timedelta()
    day = start.date()
    while day <= end.date():
        if day.weekday() < 5:
            opens, closes = (datetime.combine(day, at, tzinfo=SHANGHAI) for at in (OPENS, CLOSES))
            total += max(min(end, closes) - max(start, opens), timedelta())
        day += timedelta(days=1)
    return total
