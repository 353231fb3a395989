"""What the charts show, taken from the report's tables: one description drawn natively by Word, Excel and HTML."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from include.report.model import Figure, ReportFigures, Table
from include.report.numbers import percent
from include.report.wording import cell_text, texts

BAR_LIMIT = 15
COLOUR = "1F4E79"
LINE_COLOUR = "C55A11"


@dataclass(frozen=True, slots=True)
class ChartSpec:
    """One chart.

    Attributes:
        kind: ``bar`` (horizontal, largest first), ``column``, or ``combo`` (columns and a line on a second axis).
        categories, values: same length; ``None`` is a gap, not 0.
        line: percentages for ``combo``, else empty.
        absent: categories left out because they have no figure, each with the reason (防城港市未报送).
    """

    key: str
    kind: Literal["bar", "column", "combo"]
    title: str
    unit: str
    categories: tuple[str, ...]
    values: tuple[int | None, ...]
    line_title: str = ""
    line: tuple[Decimal | None, ...] = ()
    line_unit: str = ""
    absent: tuple[str, ...] = ()

    @property
    def caption(self) -> str:
        """Title with the unit of each axis."""
        units = str(texts()["phrases"]["joiner"]).join(filter(None, (self.unit, self.line_unit)))
        return f"{self.title}（{units}）"

    @property
    def note(self) -> str:
        """Which categories have no figure and are not drawn; empty when all are drawn."""
        if not self.absent:
            return ""
        joined = str(texts()["phrases"]["joiner"]).join(self.absent)
        return str(texts()["charts"]["absent_note"]).format(names=joined)


def chart(key: str, figures: ReportFigures) -> ChartSpec | None:
    """The chart of ``texts.yaml``'s ``charts`` entry ``key``, or ``None`` when there is nothing to draw."""
    table = figures.tables.get(key)
    if table is None:
        return None
    words = texts()["charts"][key]
    column = "value" if key == "skill_structure" else "shortage_now"
    pairs = _pairs(table, column)
    if not any(value for _, value in pairs):
        return None
    if key == "trend":
        if len(pairs) < 2:  # one month is no course
            return None
        rates = table.column("shortage_rate")
        line = tuple(
            percent(rate.value) if isinstance(rate, Figure) and isinstance(rate.value, (int, Decimal)) else None
            for rate in rates
        )
        names = tuple(name for name, _ in pairs)
        return ChartSpec(
            key,
            "combo",
            words["title"],
            words["unit"],
            names,
            tuple(value for _, value in pairs),
            words["rate"],
            line,
            words["rate_unit"],
        )
    absent = tuple(
        f"{cell_text(name)}{cell_text(value)}"
        for name, value in zip(table.column("name"), table.column(column), strict=True)
        if isinstance(value, Figure) and value.value is None
    )
    drawn = [(name, value) for name, value in pairs if value is not None]
    if key == "skill_structure":
        return ChartSpec(key, "column", words["title"], words["unit"], *_split(drawn), absent=absent)
    ranked = sorted(drawn, key=lambda pair: -pair[1])
    if "rank" in table.columns:
        ranks = table.column("rank")
        labelled = {
            cell_text(name)
            for name, rank in zip(table.column("name"), ranks, strict=True)
            if isinstance(rank, Figure) and rank.value is not None
        }
        ranked = [pair for pair in ranked if pair[0] in labelled][:10]
    return ChartSpec(key, "bar", words["title"], words["unit"], *_split(ranked[:BAR_LIMIT]), absent=absent)


def _pairs(table: Table, column: str) -> list[tuple[str, int | None]]:
    values = table.column(column)
    return [
        (cell_text(name), value.value if isinstance(value, Figure) and isinstance(value.value, int) else None)
        for name, value in zip(table.column("name"), values, strict=True)
    ]


def _split(pairs: Sequence[tuple[str, int]]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    return tuple(name for name, _ in pairs), tuple(value for _, value in pairs)


def axis_tops(spec: ChartSpec) -> tuple[float, float]:
    """Upper ends of the two axes of a ``combo``: the columns stay in the lower part, the line runs above them."""
    columns = max((value for value in spec.values if value is not None), default=1)
    line = max((float(value) for value in spec.line if value is not None), default=1.0)
    return _round_up(columns * 1.7), _round_up(line * 1.15)


def _round_up(value: float) -> float:
    """The next number of the form 1, 1.5, 2, 2.5, 3, 4, 5, 6, 8 x 10^n."""
    if value <= 0:
        return 1.0
    scale = 10.0 ** math.floor(math.log10(value))
    return next(step * scale for step in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10) if step * scale >= value)
