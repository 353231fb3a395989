"""What the charts show, taken from the report's tables: one description drawn natively by Word, Excel and HTML.

Which columns of which table a chart draws, and how, stands in ``charts`` of ``texts.yaml``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Literal

from include.report import wording
from include.report.model import Figure, ReportFigures, Table
from include.report.numbers import WAN, percent, rounded
from include.report.wording import cell_text, texts

# The first series and the second; colours that differ in print without colour, too.
COLOURS = ("1F4E79", "C55A11")
# More months than this have no room for the year under each of them.
MONTHS_WITH_YEAR = 6
_PERCENT = "%"
_PERIOD = "period."

Number = int | Decimal


@dataclass(frozen=True, slots=True)
class Series:
    """One row of values over the categories.

    Attributes:
        title: as in the legend, without the unit.
        unit: 人, 万元, % …: that of the values, which are as printed (85.3 for 85.3 %; money in 万元).
        places: decimals shown.
        values: one a category; ``None`` is a gap, not 0.
        draw: ``fill`` for bars or columns, ``line`` for a line with marks.
        is_second: measured on the second axis, its unit being another than the first series'.
    """

    title: str
    unit: str
    places: int
    values: tuple[Number | None, ...]
    draw: Literal["fill", "line"] = "fill"
    is_second: bool = False

    @property
    def name(self) -> str:
        """Title with unit, for legends."""
        return f"{self.title}（{self.unit}）"

    @property
    def is_percent(self) -> bool:
        return self.unit == _PERCENT


@dataclass(frozen=True, slots=True)
class ChartSpec:
    """One chart.

    Attributes:
        shape: ``bars`` (horizontal, for long names) or ``columns`` (upright; only these may carry a line).
        categories: names of the bars, or months for a course over time.
        ticks: the same as written under the columns: of many months only the first of a year bears the year.
        series: of the same length each, at least one; the first is filled.
        absent: categories left out because they have no figure, each with the reason (防城港市未报送).
    """

    key: str
    shape: Literal["bars", "columns"]
    title: str
    categories: tuple[str, ...]
    ticks: tuple[str, ...]
    series: tuple[Series, ...]
    absent: tuple[str, ...] = ()

    @property
    def units(self) -> tuple[str, ...]:
        """The units of the axes, the first axis' first."""
        return tuple(dict.fromkeys(one.unit for one in self.series))

    @property
    def caption(self) -> str:
        """Title with the unit of each axis."""
        return f"{self.title}（{str(texts()['phrases']['joiner']).join(self.units)}）"

    @property
    def note(self) -> str:
        """Which categories have no figure and are not drawn; empty when all are drawn."""
        if not self.absent:
            return ""
        joined = str(texts()["phrases"]["joiner"]).join(self.absent)
        return str(texts()["chart_words"]["absent_note"]).format(names=joined)

    @property
    def axis_tops(self) -> tuple[float, float] | None:
        """Upper ends of the two axes: columns stay in the lower part, the line runs above. ``None`` with one axis."""
        if not any(one.is_second for one in self.series):
            return None
        first, second = ([one for one in self.series if one.is_second is side] for side in (False, True))
        return _round_up(_largest(first) * 1.7), _round_up(_largest(second) * 1.15)

    @property
    def line_range(self) -> tuple[float, float]:
        """Ends of a second axis (not drawn: every point bears its number) that keep the line over the columns.

        The line takes the upper part, between 0.7 and 0.9 of the height at most, and rises there no more steeply than
        on an axis from 0.
        """
        values = [float(value) for one in self.series if one.is_second for value in one.values if value is not None]
        low, high = min(values, default=0.0), max(values, default=1.0)
        length = max((high - low) / 0.2, high, 1.0)
        return low - 0.7 * length, low + 0.3 * length

    def upright(self) -> ChartSpec:
        """The chart for half a line: columns with long names under them become bars with the names in front."""
        return replace(self, shape="bars")


def chart(key: str, figures: ReportFigures) -> ChartSpec | None:
    """The chart of ``texts.yaml``'s ``charts`` entry ``key``, or ``None`` when there is nothing to draw."""
    if not wording.draws(key, figures):
        return None
    entry = texts()["charts"][key]
    table = figures.tables[entry.get("table", key)]
    rows = [row for row in range(len(table.rows)) if not table.rows[row].is_total]
    columns = [table.columns.index(one["column"]) for one in entry["series"] if one["column"] in table.columns]
    named = [one for one in entry["series"] if one["column"] in table.columns]
    label_at = table.columns.index(entry.get("names", "name"))
    absent: tuple[str, ...] = ()
    if not entry.get("keeps_gaps"):
        needed = columns[:1] if entry.get("needs_first") else columns
        empty = [row for row in rows if all(_value(table, row, at) is None for at in needed)]
        absent = tuple(_absence(table, row, label_at, columns[0]) for row in empty)
        rows = [row for row in rows if row not in empty]
    if "top" in entry:
        rows = _largest_rows(table, rows, columns[0], entry["top"])
    drawn = [_series(one, table, rows, at) for one, at in zip(named, columns, strict=True)]
    labels = [table.rows[row].cells[label_at] for row in rows]
    first = drawn[0].unit
    return ChartSpec(
        key=key,
        shape=entry["shape"],
        title=entry["title"],
        categories=tuple(cell_text(label) for label in labels),
        ticks=_ticks(labels),
        series=tuple(replace(one, is_second=one.unit != first) for one in drawn),
        absent=absent,
    )


def _value(table: Table, row: int, column: int) -> Number | None:
    cell = table.rows[row].cells[column]
    return cell.value if isinstance(cell, Figure) and isinstance(cell.value, (int, Decimal)) else None


def _absence(table: Table, row: int, label_at: int, column: int) -> str:
    cell = table.rows[row].cells[column]
    words = texts()["chart_words"]
    reason = cell_text(cell) if isinstance(cell, Figure) and cell.absence not in (None, "undefined") else ""
    return cell_text(table.rows[row].cells[label_at]) + (reason or words["no_figure"])


def _largest_rows(table: Table, rows: Sequence[int], column: int, top: int) -> list[int]:
    """The ``top`` rows by value, the largest first; of a table with ranks those without one (未归类) are left out."""
    if "rank" in table.columns:
        at = table.columns.index("rank")
        rows = [row for row in rows if _value(table, row, at) is not None]
    return sorted(rows, key=lambda row: -(_value(table, row, column) or 0))[:top]


def _series(entry: Mapping[str, Any], table: Table, rows: Sequence[int], column: int) -> Series:
    figures = [cell for row in table.rows if isinstance(cell := row.cells[column], Figure)]
    unit = figures[0].unit
    values = [_value(table, row, column) for row in rows]
    if unit in ("rate", "change"):
        printed = [None if one is None else percent(one) for one in values]
        return Series(entry["title"], _PERCENT, 1, tuple(printed), entry.get("draw", "fill"))
    if unit == "yuan":
        money = [None if one is None else rounded(Decimal(one) / WAN, 2) for one in values]
        return Series(entry["title"], texts()["units"]["wan_yuan"], 2, tuple(money), entry.get("draw", "fill"))
    return Series(entry["title"], texts()["units"].get(unit, ""), 0, tuple(values), entry.get("draw", "fill"))


def _ticks(labels: Sequence[str | Figure]) -> tuple[str, ...]:
    periods = [label.removeprefix(_PERIOD) for label in labels if isinstance(label, str) and label.startswith(_PERIOD)]
    if len(periods) < len(labels) or len(periods) <= MONTHS_WITH_YEAR:
        return tuple(cell_text(label) for label in labels)
    words = texts()["chart_words"]
    found, before = [], ""
    for period in periods:
        year, month = period.split("-")
        found.append(words["month" if year == before else "first_month"].format(year=year, month=int(month)))
        before = year
    return tuple(found)


def _largest(series: Sequence[Series]) -> float:
    return max((float(value) for one in series for value in one.values if value is not None), default=1.0)


def _round_up(value: float) -> float:
    """The next number of the form 1, 1.5, 2, 2.5, 3, 4, 5, 6, 8 x 10^n."""
    if value <= 0:
        return 1.0
    scale = 10.0 ** math.floor(math.log10(value))
    return next(step * scale for step in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10) if step * scale >= value)
