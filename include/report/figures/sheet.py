"""The sheet on which one edition's figures are collected by key while its tables are laid out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from include.report.figures.rows import MartRows, RowDict, total
from include.report.model import Absence, Edition, Figure, FigureValue, Unit
from include.report.numbers import ratio

SUMMARY_FORM = "enterprise_status"
_DECIMALS: frozenset[Unit] = frozenset(
    {"rate", "change", "points", "yuan", "amount", "estimate", "per_thousand", "days"}
)


def of(row: RowDict | None, column: str) -> Any:
    """A column of a row that may be missing."""
    return None if row is None else row[column]


def change_between(current: Any, previous: Any) -> tuple[Decimal | None, Absence | None]:
    """Relative change (0.25 is 25 %), or why there is none."""
    if current is None or previous is None:
        return None, "previous_missing"
    if previous == 0:
        return None, "previous_zero"
    return ratio(current - previous, previous), None


@dataclass(frozen=True, slots=True)
class Reporter:
    """What became of one reporter's forms in the period."""

    code: str
    name: str
    county_code: str
    city_code: str
    city_name: str
    pilot_level: str
    forms: tuple[RowDict, ...]

    @property
    def expected(self) -> tuple[RowDict, ...]:
        return tuple(form for form in self.forms if form["is_expected"])

    @property
    def is_received(self) -> bool:
        return all(form["is_received"] for form in self.expected)

    @property
    def is_late(self) -> bool:
        return any(form["is_received"] and not form["is_on_time"] for form in self.expected)

    @property
    def is_on_time(self) -> bool:
        return all(form["is_on_time"] for form in self.expected)

    @property
    def is_accepted(self) -> bool:
        return all(form["is_accepted"] for form in self.expected)

    @property
    def is_refused(self) -> bool:
        return any(form["is_received"] and not form["is_accepted"] for form in self.expected)

    def absence_of(self, form: str) -> Absence | None:
        """Why figures from ``form`` are missing for this reporter, ``None`` when they are there."""
        one = next((row for row in self.forms if row["form"] == form), None)
        if one is None or not one["is_received"]:
            return "not_received"
        return None if one["is_accepted"] else "refused"


class Sheet:
    """Mart rows of one edition, its reporters, and the figures put so far."""

    def __init__(self, rows: MartRows, period: str, edition: Edition, left_out: frozenset[str]) -> None:
        self.rows = rows
        self.period = period
        self.edition = edition
        self.left_out = left_out
        self.figures: dict[str, Figure] = {}
        self.now = {row["region_code"]: row for row in rows.summary}
        self.summary = self.now.get(edition.region_code)
        self.own = covered(self.summary)
        grouped: dict[str, list[RowDict]] = {}
        for row in rows.submissions:
            grouped.setdefault(row["reporter_code"], []).append(row)
        self.reporters = [
            Reporter(
                code,
                forms[0]["reporter_name"],
                forms[0]["county_code"],
                forms[0]["city_code"],
                forms[0]["city_name"],
                forms[0]["pilot_level"],
                tuple(forms),
            )
            for code, forms in grouped.items()
            if any(form["is_expected"] for form in forms)
        ]
        self.reporters.sort(key=lambda one: (one.city_code, one.code))
        self.cities = {one.city_code: one.city_name for one in self.reporters}

    def has(self, table: str) -> bool:
        """Whether this edition prints the table (``texts.yaml``, ``editions``)."""
        return table not in self.left_out

    def put(self, key: str, value: FigureValue, unit: Unit, absence: Absence | None = None) -> Figure:
        """Enter a figure; the same key may be put again with the same value only."""
        if isinstance(value, Decimal) and unit not in _DECIMALS:
            value = int(value)  # PostgreSQL sums bigint as numeric
        figure = Figure(key, value, unit, (absence or "undefined") if value is None else None)
        if self.figures.setdefault(key, figure) != figure:
            raise ValueError(
                f"{self.edition.region_name} {self.period}: two different figures under one key: "
                f"{self.figures[key]} and {figure}; the marts disagree with each other, rebuild them"
            )
        return figure

    def measure(
        self, scope: str, measure: str, row: RowDict | None, column: str, unit: Unit, gap: Absence | None
    ) -> Figure:
        return self.put(f"{scope}.{measure}", of(row, column), unit, gap)

    def share(self, key: str, part: Any, whole: Any, gap: Absence | None = None) -> Figure:
        return self.put(key, ratio(part, whole), "rate", gap)

    def shortage_rate(self, scope: str, row: RowDict | None, gap: Absence | None = None) -> Figure:
        if row is None or row["shortage_now_persons"] is None or row["headcount_persons"] is None:
            return self.put(f"{scope}.shortage_rate", None, "rate", gap)
        short = row["shortage_now_persons"]
        return self.share(f"{scope}.shortage_rate", short, row["headcount_persons"] + short)

    def change(self, scope: str, measure: str, row: RowDict | None, column: str, gap: Absence | None = None) -> Figure:
        """Like-for-like change of one column, from the columns ``lfl_`` and ``lfl_previous_``."""
        key = f"{scope}.{measure}.change_lfl"
        if row is None:
            return self.put(key, None, "change", gap)
        value, absence = change_between(row[f"lfl_{column}"], row[f"lfl_previous_{column}"])
        return self.put(key, value, "change", absence)

    def points(self, scope: str, row: RowDict | None, part: str, whole: Sequence[str]) -> Figure:
        """Like-for-like difference of a rate in percentage points; ``whole`` are the columns of the denominator."""
        key = f"{scope}.points_lfl"
        if row is None or not row["lfl_reporters"]:
            return self.put(key, None, "points", "previous_missing")
        rates = [
            ratio(row[f"{prefix}{part}"], total(row[f"{prefix}{column}"] for column in whole))
            for prefix in ("lfl_", "lfl_previous_")
        ]
        value = None if rates[0] is None or rates[1] is None else rates[0] - rates[1]
        return self.put(key, value, "points", "previous_missing")

    def cutoff(self) -> datetime | None:
        """Receipt of the youngest accepted submission."""
        instants = [row["accepted_at"] for row in self.rows.submissions if row["is_accepted"]]
        latest = max(instants, default=None)
        self.put("reporting.data_cutoff", latest, "instant")
        return latest

    def members(self, city_code: str) -> list[Reporter]:
        return [one for one in self.reporters if one.city_code == city_code]


def covered(row: RowDict | None) -> RowDict | None:
    """A region's row, or ``None`` when no reporter of it is covered (then its sums mean nothing)."""
    return row if row is not None and row["covered_reporters"] else None


def gap_of(members: Sequence[Reporter]) -> Absence:
    """Why a place of several reporters has no figures: refused when something of it arrived, else not received."""
    kinds = {one.absence_of(SUMMARY_FORM) for one in members}
    return "refused" if "refused" in kinds else "not_received"


def count_in(cell: str | Figure) -> int:
    """The count in a table's cell, 0 where there is none: for sorting."""
    return cell.value if isinstance(cell, Figure) and isinstance(cell.value, int) else 0


def key_of(cell: str | Figure) -> str:
    """The figure's key in a table's cell, or its text: for sorting."""
    return cell.key if isinstance(cell, Figure) else cell
