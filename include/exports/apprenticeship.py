"""企业新型学徒制实施进展情况表: the half-yearly return and the two yearly lists, as of the end of a reporting month.

Read from ``marts.mart_apprenticeship_progress`` and ``marts.fct_apprenticeship_month``; due days, columns and words
stand in ``apprenticeship.yaml``. The layout of the original form is not public, and every sheet says so.

``python -m include.exports.apprenticeship --period 2026-05 [--folder path]``
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import psycopg
import yaml
from psycopg.rows import dict_row

from include.intake.calendar import PeriodError, check_period, is_calendar_known, is_working_day, last_day
from include.settings import get_settings
from include.warehouse.connection import WarehouseUnreachableError, connect
from include.warehouse.embedded import EmbeddedPostgresError

WORDS_FILE = Path(__file__).with_suffix(".yaml")
_SQL = Path(__file__).parent / "sql"

DayKind = Literal["working", "resting", "unknown"]
Row = Mapping[str, Any]


class NoSuchMonthError(LookupError):
    """The marts hold nothing of the month: build the warehouse for it first."""


@dataclass(frozen=True, slots=True)
class DueDay:
    """A day by which something is to be sent.

    Attributes:
        day: the day the document names.
        kind: whether it is a working day; ``unknown`` where the year's holidays are not yet announced.
        last_working_day: the day itself, or the last working day before it.
    """

    day: date
    kind: DayKind
    last_working_day: date


@dataclass(frozen=True, slots=True)
class Progress:
    """Everything that the workbook shows, frozen.

    Attributes:
        period: reporting month at whose end the figures stand.
        regions: one row a region that has a class, by code: province, cities, counties.
        occupations: the counties' lines by occupation and level.
        enterprises, institutions: the year's lists, in the order of places and names.
        received: reporters whose ledger of the month was accepted.
        is_sample: the month holds 演示数据.
        ledger_advanced_yuan, ledger_paid_yuan: of the half-year, in the subsidy ledgers, with a class or without.
    """

    period: str
    half_year_from: str
    due: DueDay
    lists_due: DueDay
    regions: Sequence[Row]
    occupations: Sequence[Row]
    enterprises: Sequence[Row]
    institutions: Sequence[Row]
    received: int
    is_sample: bool
    ledger_advanced_yuan: Any
    ledger_paid_yuan: Any

    @property
    def as_of(self) -> date:
        """Last day of the month."""
        return last_day(self.period)

    def region(self, code: str) -> Row | None:
        """The row of a region, ``None`` where it has no class."""
        return next((row for row in self.regions if row["region_code"] == code), None)


@lru_cache(maxsize=1)
def words() -> Mapping[str, Any]:
    """The document ``apprenticeship.yaml``."""
    document: Mapping[str, Any] = yaml.safe_load(WORDS_FILE.read_text(encoding="utf-8"))
    return document


# --------------------------------------------------------------------------------------------------------- due days


def due_day(day: date) -> DueDay:
    """What kind of day a due day is, and the last working day up to it."""
    before = day
    while not is_working_day(before):
        before -= timedelta(days=1)
    if not is_calendar_known(day.year):
        return DueDay(day, "unknown", before)
    return DueDay(day, "working" if before == day else "resting", before)


def next_due(days: Sequence[Sequence[int]], period: str) -> DueDay:
    """The first of the yearly days (month, day) after the last day of the month."""
    end = last_day(period)
    candidates = [date(year, month, day) for year in (end.year, end.year + 1) for month, day in days]
    return due_day(min(day for day in candidates if day > end))


def lists_due(days: Sequence[Sequence[int]], period: str) -> DueDay:
    """The day in the month's own year: the lists are the year's, also when the month lies behind it."""
    ((month, day),) = days
    return due_day(date(int(period[:4]), month, day))


def half_year_begin(period: str) -> str:
    """First month of the half-year of the return: ``2026-05`` is of the one from ``2025-12``, ``2026-06`` begins one.

    The macro of the same name in the dbt project says the same of the marts' half-year columns.
    """
    year, month = int(period[:4]), int(period[5:])
    if month < 6:
        return f"{year - 1}-12"
    return f"{year}-06" if month < 12 else period


# ---------------------------------------------------------------------------------------------------------- figures


def read_progress(conn: psycopg.Connection[Any], period: str) -> Progress:
    """The figures of a month from schema ``marts``.

    Raises:
        PeriodError: the month is not ``YYYY-MM``.
        NoSuchMonthError: the marts do not hold it.
    """
    check_period(period)
    half_year_from = half_year_begin(period)
    asked = {"period": period, "half_year_from": half_year_from, "year_begins": date(int(period[:4]), 1, 1)}
    rows = {name: _rows(conn, name, asked) for name in ("state", "regions", "occupations", "classes")}
    (state,) = rows["state"]
    if not state["periods"]:
        raise NoSuchMonthError(f"the warehouse holds no month {period}: collect and build it first, e.g. make run")
    return Progress(
        period=period,
        half_year_from=half_year_from,
        due=next_due(words()["due"]["progress"], period),
        lists_due=lists_due(words()["due"]["lists"], period),
        regions=rows["regions"],
        occupations=rows["occupations"],
        enterprises=list_enterprises(rows["classes"]),
        institutions=list_institutions(rows["classes"]),
        received=state["received"],
        is_sample=state["is_sample"],
        ledger_advanced_yuan=state["ledger_advanced_yuan"],
        ledger_paid_yuan=state["ledger_paid_yuan"],
    )


def _rows(conn: psycopg.Connection[Any], name: str, asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    with conn.cursor(row_factory=dict_row) as cursor:
        return cursor.execute((_SQL / f"{name}.sql").read_bytes(), asked).fetchall()


def list_enterprises(classes: Sequence[Row]) -> list[dict[str, Any]]:
    """One row an enterprise and county: its classes, what they train, with whom, and their persons."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in classes:
        groups.setdefault((row["county_code"], row["uscc"]), []).append(row)
    return [
        {
            "number": number,
            "city_name": rows[0]["city_name"],
            "county_name": rows[0]["county_name"],
            "enterprise_name": rows[-1]["enterprise_name"],
            "uscc": rows[0]["uscc"],
            "classes": len(rows),
            "trainings": _trainings(rows),
            "institutions": _joined(row["training_institution"] for row in rows),
            **_persons(rows),
        }
        for number, rows in enumerate(groups.values(), start=1)
    ]


def list_institutions(classes: Sequence[Row]) -> list[dict[str, Any]]:
    """One row an institution by its name; classes without one are in no row."""
    groups: dict[str, list[Row]] = {}
    for row in classes:
        if row["training_institution"]:
            groups.setdefault(row["training_institution"], []).append(row)
    return [
        {
            "number": number,
            "training_institution": name,
            "places": _joined(row["county_name"] for row in groups[name]),
            "enterprises": len({row["uscc"] for row in groups[name]}),
            "classes": len(groups[name]),
            "trainings": _trainings(groups[name]),
            **_persons(groups[name]),
        }
        for number, name in enumerate(sorted(groups), start=1)
    ]


def _persons(rows: Sequence[Row]) -> dict[str, int | None]:
    """Sums of what was filled in; ``None``, not 0, where nothing was."""
    sums: dict[str, int | None] = {}
    for name in ("filed_persons", "training_persons", "passed_persons", "left_persons"):
        given = [int(row[name]) for row in rows if row[name] is not None]
        sums[name] = sum(given) if given else None
    return sums


def _trainings(rows: Sequence[Row]) -> str:
    return _joined(f"{row['occupation']}（{row['level']}）" for row in rows)


def _joined(texts: Any) -> str:
    return str(words()["listing_joint"]).join(dict.fromkeys(text for text in texts if text))


# ----------------------------------------------------------------------------------------------------------- writing


def write_export(progress: Progress, folder: Path) -> Path:
    """Write the workbook into a folder; the same figures give the same bytes."""
    from include.exports.apprenticeship_book import day_zh, workbook_bytes

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / str(words()["file_name"]).format(as_of_zh=day_zh(progress.as_of))
    partial = path.with_name(f".{path.name}.part")
    partial.write_bytes(workbook_bytes(progress))
    os.replace(partial, path)
    return path


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line and write the workbook; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m include.exports.apprenticeship",
        description="write the half-yearly apprenticeship return and the year's lists",
    )
    parser.add_argument("--period", metavar="YYYY-MM", required=True, help="reporting month whose end the figures show")
    parser.add_argument("--folder", type=Path, help="where to write (default: <outbox>/<period>/企业新型学徒制)")
    options = parser.parse_args(arguments)
    try:
        check_period(options.period)
        with connect() as conn:
            progress = read_progress(conn, options.period)
        path = write_export(progress, options.folder or get_settings().outbox / options.period / words()["folder"])
    except (PeriodError, NoSuchMonthError, WarehouseUnreachableError, EmbeddedPostgresError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: the workbook cannot be written: {error.strerror}: {error.filename}", file=sys.stderr)
        return 1
    province = progress.region(next((row["region_code"] for row in progress.regions), ""))
    classes = 0 if province is None else int(province["filed_classes"])
    print(
        f"{path}: {classes} filed classes, {len(progress.enterprises)} enterprises and {len(progress.institutions)} "
        f"institutions of {options.period[:4]}; return due {progress.due.day} "
        f"({progress.due.kind}, last working day {progress.due.last_working_day}), lists due {progress.lists_due.day}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
