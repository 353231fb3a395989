"""Who must report: the configured list of reporters, read from CSV and mirrored into ``intake.reporter``."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path

from include.settings import PROJECT_ROOT

REGIONS_FILE = PROJECT_ROOT / "dbt_project" / "seeds" / "regions.csv"
PILOT_LEVELS = ("自治区级试点", "市级试点")
HEADER = (
    "reporter_code",
    "reporter_name",
    "region_code",
    "city_code",
    "pilot_level",
    "valid_from",
    "valid_to",
    "is_sample",
)


class ReporterListError(ValueError):
    """The configured list of reporters cannot be used; the message names the line and what to write."""


@dataclass(frozen=True, slots=True)
class Reporter:
    """One reporting unit.

    Attributes:
        reporter_code: key; the six-digit region code where one exists.
        region_code: GB/T 2260 code under which its figures are counted.
        city_code, city_name: the prefecture-level city it belongs to.
        aliases: other names under which it may sign.
        valid_from, valid_to: first and last day of the duty to report (``None``: no end).
    """

    reporter_code: str
    reporter_name: str
    region_code: str
    city_code: str
    city_name: str
    pilot_level: str
    valid_from: date
    valid_to: date | None
    is_sample: bool
    aliases: tuple[str, ...] = ()

    def reports_in(self, period: str) -> bool:
        """Whether the reporter must report the month ``YYYY-MM``."""
        first = date(int(period[:4]), int(period[5:]), 1)
        return self.valid_from <= first and (self.valid_to is None or first <= self.valid_to)


@dataclass(frozen=True, slots=True)
class Region:
    """A row of the regions seed."""

    region_code: str
    region_name: str
    level: str
    city_code: str
    city_name: str
    aliases: tuple[str, ...]


@lru_cache(maxsize=1)
def regions() -> dict[str, Region]:
    """Regions of Guangxi by code (source: the seed ``regions.csv``)."""
    with REGIONS_FILE.open(encoding="utf-8-sig", newline="") as handle:
        return {
            row["region_code"]: Region(
                region_code=row["region_code"],
                region_name=row["region_name"],
                level=row["level"],
                city_code=row["city_code"],
                city_name=row["city_name"],
                aliases=tuple(alias for alias in row["aliases"].replace("，", "、").split("、") if alias),
            )
            for row in csv.DictReader(handle)
        }


def load_reporters(path: Path) -> tuple[Reporter, ...]:
    """Reporters of a CSV file in file order.

    Raises:
        ReporterListError: a column is missing, a code is unknown or stands twice, or a date cannot be read.
    """
    known = regions()
    reporters: list[Reporter] = []
    with path.open(encoding="utf-8-sig", newline="") as handle:
        reader = csv.DictReader(handle)
        missing = [name for name in HEADER if name not in (reader.fieldnames or [])]
        if missing:
            raise ReporterListError(f"{path.name}: columns missing: {', '.join(missing)}; expected {','.join(HEADER)}")
        for number, row in enumerate(reader, start=2):
            reporters.append(_reporter(row, known, f"{path.name} line {number}"))
    codes = [reporter.reporter_code for reporter in reporters]
    doubled = sorted({code for code in codes if codes.count(code) > 1})
    if doubled:
        raise ReporterListError(f"{path.name}: reporter_code stands twice: {', '.join(doubled)}; keep one line each")
    if not reporters:
        raise ReporterListError(f"{path.name}: no reporter is listed; add one line for each county that must report")
    return tuple(reporters)


def _reporter(row: dict[str, str], known: dict[str, Region], where: str) -> Reporter:
    region = known.get(row["region_code"])
    if region is None:
        raise ReporterListError(
            f"{where}: region_code {row['region_code']!r} is not in regions.csv; use its six digits"
        )
    if row["pilot_level"] not in PILOT_LEVELS:
        raise ReporterListError(f"{where}: pilot_level must be one of {', '.join(PILOT_LEVELS)}")
    try:
        valid_from = date.fromisoformat(row["valid_from"])
        valid_to = date.fromisoformat(row["valid_to"]) if row["valid_to"] else None
    except ValueError as error:
        raise ReporterListError(f"{where}: dates must look like 2026-01-01 ({error})") from error
    return Reporter(
        reporter_code=row["reporter_code"],
        reporter_name=row["reporter_name"],
        region_code=row["region_code"],
        city_code=row["city_code"],
        city_name=known[row["city_code"]].region_name if row["city_code"] in known else region.city_name,
        pilot_level=row["pilot_level"],
        valid_from=valid_from,
        valid_to=valid_to,
        is_sample=row["is_sample"].strip().lower() in {"true", "1", "t", "yes", "是"},
        aliases=region.aliases,
    )


def expected_in(reporters: Sequence[Reporter], period: str) -> tuple[Reporter, ...]:
    """The reporters whose duty covers the period."""
    return tuple(reporter for reporter in reporters if reporter.reports_in(period))
