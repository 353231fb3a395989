"""Reporting months and their deadlines in Chinese working days."""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import chinese_calendar
import yaml

from include.settings import TIME_ZONE

SHANGHAI = ZoneInfo(TIME_ZONE)
_PERIOD = re.compile(r"^\d{4}-(0[1-9]|1[0-2])$")


class PeriodError(ValueError):
    """A reporting period that is not ``YYYY-MM``."""


class ReportingConfigError(ValueError):
    """``reporting.yaml`` lacks a setting or carries one out of range."""


@dataclass(frozen=True, slots=True)
class ReportingRules:
    """Deadlines and thresholds (``include/config/reporting.yaml``).

    Attributes:
        due_working_day: working day of the following month by which a report is on time.
        close_working_day: working day of the following month after which the month is closed.
        reopen_working_days: working days for which a closed month stays open once it is reopened.
        findings_expire_after_days: days after a month's closing day from which nobody asks for its open findings.
        coverage_threshold: share of expected reporters (0..1) from which a month is final before it closes.
        forms: names of the forms every reporter owes.
    """

    due_working_day: int
    close_working_day: int
    reopen_working_days: int
    findings_expire_after_days: int
    coverage_threshold: float
    forms: tuple[str, ...]


def load_rules(path: Path) -> ReportingRules:
    """Rules of a YAML file; raises :class:`ReportingConfigError` naming the setting."""
    document: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    try:
        rules = ReportingRules(
            due_working_day=int(document["due_working_day"]),
            close_working_day=int(document["close_working_day"]),
            reopen_working_days=int(document["reopen_working_days"]),
            findings_expire_after_days=int(document["findings_expire_after_days"]),
            coverage_threshold=float(document["coverage_threshold"]),
            forms=tuple(document["forms"]),
        )
    except KeyError as error:
        raise ReportingConfigError(
            f"{path.name}: setting {error.args[0]} is missing; see the file in include/config/"
        ) from error
    if not 0 < rules.due_working_day <= rules.close_working_day <= 20:
        raise ReportingConfigError(f"{path.name}: need 0 < due_working_day <= close_working_day <= 20")
    if rules.reopen_working_days < 1 or rules.findings_expire_after_days < 1:
        raise ReportingConfigError(
            f"{path.name}: reopen_working_days and findings_expire_after_days must be at least 1"
        )
    if not 0 < rules.coverage_threshold <= 1:
        raise ReportingConfigError(f"{path.name}: coverage_threshold is a share between 0 and 1, e.g. 0.9")
    return rules


def check_period(period: str) -> str:
    """The period itself when it is ``YYYY-MM``; raises :class:`PeriodError` otherwise."""
    if not _PERIOD.match(period):
        raise PeriodError(f"period {period!r} is not a month; write it like 2026-10")
    return period


def month_after(period: str, months: int = 1) -> str:
    """The period ``months`` later (earlier when negative)."""
    index = int(period[:4]) * 12 + int(period[5:]) - 1 + months
    return f"{index // 12:04d}-{index % 12 + 1:02d}"


def last_day(period: str) -> date:
    """Last calendar day of the period."""
    year, month = int(period[:4]), int(period[5:])
    return date(year, month, monthrange(year, month)[1])


@lru_cache(maxsize=4096)
def is_working_day(day: date) -> bool:
    """Working day by the State Council's holiday notices; for a year not yet announced, Monday to Friday.

    ``chinesecalendar`` raises ``NotImplementedError`` for such a year; a deadline must exist all the same, and is
    recomputed once a release of the library knows the year.
    """
    try:
        return bool(chinese_calendar.is_workday(day))
    except NotImplementedError:
        return day.weekday() < 5


@lru_cache(maxsize=64)
def is_calendar_known(year: int) -> bool:
    """Whether the holiday arrangement of the year is published and known to ``chinesecalendar``."""
    try:
        chinese_calendar.is_workday(date(year, 1, 1))
    except NotImplementedError:
        return False
    return True


def nth_working_day(period: str, ordinal: int) -> date:
    """The ``ordinal``-th (1-based) working day of the month after the period."""
    return working_day_after(last_day(period), ordinal)


def working_day_after(day: date, ordinal: int) -> date:
    """The ``ordinal``-th (1-based) working day after a day."""
    while ordinal:
        day += timedelta(days=1)
        ordinal -= is_working_day(day)
    return day


def end_of(day: date) -> datetime:
    """Last moment of a day in Shanghai."""
    return datetime.combine(day, time.max, tzinfo=SHANGHAI)
