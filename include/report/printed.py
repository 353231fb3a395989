"""Every figure of an issue as it stands on paper, with the words for its place: what a later issue is compared with."""

from __future__ import annotations

from dataclasses import dataclass

from include.report.model import Figure, ReportFigures, Row, Table
from include.report.numbers import table_text
from include.report.wording import cell_text, texts


@dataclass(frozen=True, slots=True)
class Printed:
    """``text`` is the figure as printed in a table; ``label`` names table, line and column in Chinese."""

    label: str
    text: str


def printed_figures(figures: ReportFigures) -> dict[str, Printed]:
    """Key to what is printed, in the order of the tables; figures that stand in no table follow."""
    absences = texts()["absences"]
    found: dict[str, Printed] = {}
    for table in figures.tables.values():
        for row in table.rows:
            for column, cell in zip(table.columns, row.cells, strict=True):
                if isinstance(cell, Figure) and cell.key not in found:
                    found[cell.key] = Printed(_label(table, row, column), table_text(cell, absences))
    for key, figure in figures.figures.items():
        if key not in found:
            found[key] = Printed(str(texts()["printed"].get(key, key)), table_text(figure, absences))
    return found


def _label(table: Table, row: Row, column: str) -> str:
    known = texts()["tables"].get(table.key, {})
    place = [cell_text(cell) for cell in row.cells if isinstance(cell, str) and cell]
    header = known.get("columns", {}).get(column, column)
    return str(texts()["printed_label"]).format(
        table=known.get("title", table.key), row=texts()["printed_joiner"].join(place), column=header
    )
