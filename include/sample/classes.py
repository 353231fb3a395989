"""Apprenticeship classes of the demo counties: the one calendar that form 3 (money) and form 6 (training) both follow.

A class is drawn from its own number, so that every month tells the same of it: filing, beginning, advance, completion,
settlement. Persons, enterprises and training institutions are fictitious.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Any

import numpy as np

from include.intake.calendar import is_working_day, last_day, month_after
from include.sample.economy import BASE_PERIOD, Row
from include.sample.profile import Habits, Province, read_yaml

_SIZES_THAT_STAY = ("大型", "中型")
_EMPLOYERS = 4


@dataclass(frozen=True, slots=True)
class ApprenticeClass:
    """One class, from its papers to its end.

    Attributes:
        number: demo month (1 = 2026-01) in which the advance is paid.
        started_on, completed_on: ``completed_on`` lies a few working days before the settlement is applied for.
        left: persons who left before the end.
    """

    number: int
    filing_no: str
    enterprise_name: str
    uscc: str
    occupation: str
    persons: int
    materials_on: date
    filed_on: date
    started_on: date
    completed_on: date
    left: int
    left_on: date | None
    left_reported_on: date | None


@lru_cache(maxsize=1)
def read_classes() -> Mapping[str, Any]:
    """The settings of ``apprenticeship.yaml``."""
    settings: Mapping[str, Any] = read_yaml("apprenticeship.yaml")
    return settings


def shift_working_days(day: date, count: int) -> date:
    """The working day ``count`` working days after (before when negative) the day."""
    step = timedelta(days=1 if count > 0 else -1)
    for _ in range(abs(count)):
        day += step
        while not is_working_day(day):
            day += step
    return day


def working_days_of(period: str) -> list[date]:
    """The working days of a month."""
    end = last_day(period)
    return [day for day in (end.replace(day=number) for number in range(1, end.day + 1)) if is_working_day(day)]


def holds_class(habits: Habits, number: int, every_months: int) -> bool:
    """Whether the county has a class of that number: one in every so many, its code says which."""
    return number >= 1 and number % every_months == int(habits.reporter_code) % every_months


def class_numbers(month_number: int) -> range:
    """Numbers of the classes whose papers may have come in by the end of a month, up to two months before filing."""
    return range(1, month_number + int(read_classes()["filed_before_months"]) + 3)


def apprentice_class(
    province: Province,
    habits: Habits,
    number: int,
    persons: int,
    settlement_applied_on: date,
    enterprises: Sequence[Row],
) -> ApprenticeClass:
    """The class of that number.

    Args:
        persons: apprentices filed.
        settlement_applied_on: the day on which the rest of its subsidy is applied for.
        enterprises: form 1 rows of any month: large and medium enterprises stay, so every month names the same one.
    """
    config = read_classes()
    rng = np.random.default_rng([int(habits.reporter_code), number, 21])
    staying = sorted(
        (row for row in enterprises if row["size_class"] in _SIZES_THAT_STAY),
        key=lambda row: int(row["phone"][-4:]),  # its number: who was there first
    )[:_EMPLOYERS]
    employer = staying[number % len(staying)]
    industry = province.industry_of(employer["industry"])
    posts = [post.name for post in industry.posts if post.category == "技工"] or [industry.posts[0].name]
    differs = config["classes"].get(habits.reporter_code, {}).get(number, {})
    filed_in = month_after(BASE_PERIOD, number - config["filed_before_months"])
    days = working_days_of(filed_in)
    filed_on = days[int(rng.integers(len(days)))]
    filing_after = int(rng.integers(config["filing"][0], config["filing"][1] + 1))
    start_after = int(rng.integers(config["start"][0], config["start"][1] + 1))
    settle_after = int(rng.integers(config["settlement"][0], config["settlement"][1] + 1))
    return ApprenticeClass(
        number=number,
        filing_no=config["filing_no"].format(reporter=habits.reporter_code, number=number),
        enterprise_name=employer["enterprise_name"],
        uscc=employer["uscc"],
        occupation=posts[number % len(posts)],
        persons=persons,
        materials_on=shift_working_days(filed_on, -differs.get("filing_after", filing_after)),
        filed_on=filed_on,
        started_on=shift_working_days(filed_on, differs.get("started_after", start_after)),
        completed_on=shift_working_days(settlement_applied_on, -differs.get("settled_after", settle_after)),
        left=differs.get("left", 0),
        left_on=differs.get("left_on"),
        left_reported_on=differs.get("left_reported_on"),
    )


def class_rows(county: str, period: str, classes: Sequence[ApprenticeClass]) -> list[Row]:
    """Form 6 at the end of the month: what has happened by then, of every class whose papers have come in."""
    config, end = read_classes(), last_day(period)

    def by_then(day: date | None) -> date | None:
        return day if day is not None and day <= end else None

    rows: list[Row] = []
    for one in classes:
        if one.materials_on > end:
            continue
        started, completed = by_then(one.started_on), by_then(one.completed_on)
        left = one.left if by_then(one.left_on) else 0
        rows.append(
            {
                "filing_no": one.filing_no if by_then(one.filed_on) else None,
                "enterprise_name": one.enterprise_name,
                "uscc": one.uscc,
                "training_institution": config["institution"].format(county=county),
                "occupation": one.occupation,
                "level": config["level"],
                "materials_on": one.materials_on,
                "filed_on": by_then(one.filed_on),
                "filed_persons": one.persons,
                "started_on": started,
                "completed_on": completed,
                "training_persons": one.persons - left if started and not completed else 0,
                "passed_persons": one.persons - left if completed else None,
                "left_persons": left,
                "left_on": by_then(one.left_on),
                "left_reported_on": by_then(one.left_reported_on),
                "remark": config["remark"],
            }
        )
    return rows
