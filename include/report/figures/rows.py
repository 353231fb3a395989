"""Mart rows of one period (and the open findings of the ledger): read once, for every edition."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

TREND_MONTHS = 13
#: Months in which a reporter has once told of a target, and is silent when it no longer does.
PROGRESS_MONTHS = 12
_SQL = Path(__file__).parents[1] / "sql" / "figures"

RowDict = Mapping[str, Any]


class NoSuchPeriod(LookupError):
    """The marts hold no expected report of the period: run the warehouse build for it first."""


@dataclass(frozen=True, slots=True)
class MartRows:
    """What the queries of ``sql/figures`` return, one field a file, rows as mappings of column to value.

    Every row but those of ``definitions`` names its county (``county_code``) or its region (``region_code``).
    """

    submissions: Sequence[RowDict]
    summary: Sequence[RowDict]
    trend: Sequence[RowDict]
    industries: Sequence[RowDict]
    sizes: Sequence[RowDict]
    persistent: Sequence[RowDict]
    posts: Sequence[RowDict]
    training: Sequence[RowDict]
    subsidies: Sequence[RowDict]
    alerts: Sequence[RowDict]
    budgets: Sequence[RowDict]
    targets: Sequence[RowDict]
    performance: Sequence[RowDict]
    findings: Sequence[RowDict]
    definitions: Sequence[RowDict]


def shift_period(period: str, months: int) -> str:
    """The period ``months`` calendar months away (``shift_period('2026-01', -1) == '2025-12'``)."""
    year, month = map(int, period.split("-"))
    index = year * 12 + month - 1 + months
    return f"{index // 12:04d}-{index % 12 + 1:02d}"


def read_marts(conn: psycopg.Connection, period: str) -> MartRows:
    """Run every query of ``sql/figures`` for one period (``YYYY-MM``)."""
    parameters = {"period": period, "trend_from": shift_period(period, 1 - TREND_MONTHS)}
    with conn.cursor(row_factory=dict_row) as cursor:
        answers = {}
        for one in fields(MartRows):
            statement = (_SQL / f"{one.name}.sql").read_text(encoding="utf-8")
            answers[one.name] = cursor.execute(statement.encode(), parameters).fetchall()
    return MartRows(**answers)


def total(values: Iterable[Any]) -> Any:
    """Sum of what is there; ``None`` when nothing is (never an invented 0)."""
    present = [value for value in values if value is not None]
    return sum(present) if present else None


def summed(rows: Iterable[RowDict], by: Sequence[str], measures: Sequence[str]) -> list[dict[str, Any]]:
    """Rows added up over the columns ``by`` (blanks are not 0), in the order of ``by``; other columns as first met."""
    groups: dict[tuple[Any, ...], list[RowDict]] = {}
    for row in rows:
        groups.setdefault(tuple(row[column] for column in by), []).append(row)
    ordered = sorted(groups.items(), key=lambda pair: tuple((value is None, value or "") for value in pair[0]))
    return [
        {**members[0], **{measure: total(row[measure] for row in members) for measure in measures}}
        for _, members in ordered
    ]
