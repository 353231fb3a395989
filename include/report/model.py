"""The frozen set of figures of one issue of the monthly report, and the shape in which the three writers read it.

A number is printed only through a :class:`Figure`; the writers know no other source of numbers. That is what lets
``reconcile`` check every printed number by its key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Literal

FigureValue = int | Decimal | str | datetime | tuple[str, ...] | None
Unit = Literal[
    "persons",
    "enterprises",
    "reporters",
    "forms",
    "claims",
    "findings",
    "alerts",
    "targets",
    "rank",
    "rate",
    "change",
    "points",
    "yuan",
    "amount",
    "estimate",
    "per_thousand",
    "days",
    "names",
    "state",
    "instant",
]
# Why a value is absent. A blank is never printed as 0, and the reader is told which kind of blank it is.
Absence = Literal[
    "not_received", "refused", "previous_zero", "previous_missing", "not_comparable", "not_additive", "undefined"
]


UNCLASSIFIED = frozenset({"00", "0-00-00-00", "unclassified"})


def is_unclassified(key: str) -> bool:
    """Whether a figure's key is about 未归类 of industries, occupations or subsidy items."""
    return not UNCLASSIFIED.isdisjoint(key.split("."))


@dataclass(frozen=True, slots=True)
class Figure:
    """One printed number (or list of names) with a stable key.

    Attributes:
        key: ``scope[.code].measure[.variant]``, e.g. ``city.450700.shortage_now`` or
            ``region.headcount.change_lfl``; the same key in every issue.
        value: ``int`` for counts, ``Decimal`` for money (元) and ratios (0.0525 is 5.25 %), a tuple for names,
            an aware ``datetime`` for instants, a word of ``labels`` for states, ``None`` when there is no figure.
        unit: see ``numbers.py`` for the words printed.
        absence: why ``value`` is ``None``.
    """

    key: str
    value: FigureValue
    unit: Unit
    absence: Absence | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One table row: texts and figures in the order of the table's columns."""

    cells: tuple[str | Figure, ...]
    is_total: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """One table. ``key`` and ``columns`` name the entry of ``texts.yaml`` that holds title and headers."""

    key: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    def column(self, name: str) -> tuple[str | Figure, ...]:
        """The cells of one column, totals left out."""
        at = self.columns.index(name)
        return tuple(row.cells[at] for row in self.rows if not row.is_total)


Level = Literal["province", "city", "county"]


@dataclass(frozen=True, slots=True)
class Edition:
    """Whose report it is: figures, tables and findings of this place and the places in it, and of no other.

    Attributes:
        level: ``county`` stands for whatever reports below a city (also a 开发区 or 片区 of its own).
        region_code: six digits of ``dim_region``; what reports is told apart by ``reporter_code``.
        region_name: as printed.
        reporter_code: the reporter of a county's edition, else ``None``.
    """

    level: Level
    region_code: str
    region_name: str
    reporter_code: str | None = None


def edition_key(edition: Edition) -> str:
    """``province``, ``city.450700``, ``county.450721``: one name an edition, in every issue."""
    if edition.level == "province":
        return edition.level
    return f"{edition.level}.{edition.reporter_code or edition.region_code}"


@dataclass(frozen=True, slots=True)
class Definition:
    """One line of 指标口径; ``indicator`` is its name in the seed ``indicators``."""

    indicator: str
    name_zh: str
    definition_zh: str
    unit: str


@dataclass(frozen=True, slots=True)
class Correction:
    """A figure that the issue before printed otherwise; a line of 更正情况.

    Attributes:
        label: the words for the figure's key (table, line and column, or the place in the text).
        before, now: as printed, ``None`` where the figure did not stand in that issue.
    """

    key: str
    label: str
    before: str | None
    now: str | None


@dataclass(frozen=True, slots=True)
class ReportFigures:
    """Everything one issue prints.

    Attributes:
        period: ``YYYY-MM``; ``previous_period`` the calendar month before.
        edition: whose report it is; figures with the key ``region.…`` are of this place.
        figures: every figure by key (read-only).
        tables: every table by key (read-only), in printing order.
        is_sample: some submission of the period is 演示数据; every page says so.
        maturity: ``provisional`` or ``final``; ``maturity_reason`` is the gate's sentence, printed as given.
        issue_no: 0 for the first issue, n for 第n次更正; ``corrections`` what it changes against the issue before.
        data_cutoff: receipt of the youngest accepted submission (aware), ``None`` when nothing was accepted.
    """

    period: str
    previous_period: str
    edition: Edition
    figures: Mapping[str, Figure]
    tables: Mapping[str, Table]
    definitions: tuple[Definition, ...]
    is_sample: bool
    data_cutoff: datetime | None
    maturity: str = "provisional"
    maturity_reason: str = ""
    issue_no: int = 0
    corrections: tuple[Correction, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "figures", MappingProxyType(dict(self.figures)))
        object.__setattr__(self, "tables", MappingProxyType(dict(self.tables)))

    def __reduce__(self) -> tuple[Any, ...]:
        # A read-only view cannot be sent to another process; what it shows can.
        values = (getattr(self, one.name) for one in fields(self))
        return type(self), tuple(dict(value) if isinstance(value, MappingProxyType) else value for value in values)

    def get(self, key: str) -> Figure | None:
        """The figure of ``key``, or ``None`` where this issue has none."""
        return self.figures.get(key)
