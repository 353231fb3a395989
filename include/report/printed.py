"""Every figure of an issue as it stands on paper, with the words for its place: what a later issue is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from include.report.model import Figure, ReportFigures, Row, Table
from include.report.wording import cell_text, texts


@dataclass(frozen=True, slots=True)
class Printed:
    """``text`` is the figure as printed in a table; ``label`` names table, line and column in Chinese."""

    label: str
    text: str


@lru_cache(maxsize=1)
def words() -> Mapping[str, Any]:
    """The content of ``printed.yaml``."""
    loaded: Mapping[str, Any] = yaml.safe_load((Path(__file__).parent / "printed.yaml").read_text(encoding="utf-8"))
    return loaded


def printed_figures(figures: ReportFigures) -> dict[str, Printed]:
    """Key to what is printed, in the order of the tables; figures that stand in no table follow."""
    found: dict[str, Printed] = {}
    for table in figures.tables.values():
        for row in table.rows:
            for column, cell in zip(table.columns, row.cells, strict=True):
                if isinstance(cell, Figure) and cell.key not in found:
                    found[cell.key] = Printed(_label(table, row, column), cell_text(cell))
    for key, figure in figures.figures.items():
        if key not in found:
            found[key] = Printed(str(words()["figures"].get(key, key)), cell_text(figure))
    return found


def _label(table: Table, row: Row, column: str) -> str:
    known = texts()["tables"].get(table.key, {})
    place = [cell_text(cell) for cell in row.cells if isinstance(cell, str) and cell]
    header = known.get("columns", {}).get(column, column)
    return str(words()["label"]).format(
        table=known.get("title", table.key), row=words()["joiner"].join(place), column=header
    )
