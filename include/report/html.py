"""The report as one self-contained page: no script, no font, no picture from anywhere else."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from include.report import wording
from include.report.charts import ChartSpec, chart
from include.report.model import Figure, ReportFigures, Table
from include.report.svg_charts import chart_svg
from include.report.wording import cell_text, texts

WIDE, NARROW = 720, 320
_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True, slots=True)
class Cell:
    """One table cell of the page: ``span`` columns wide; ``figure`` names the figure for tracing."""

    text: str
    span: int
    is_number: bool
    figure: str | None


@dataclass(frozen=True, slots=True)
class Card:
    label: str
    number: str
    unit: str
    change: str
    key: str


def write_html(figures: ReportFigures, path: Path) -> None:
    """Write the page to ``path`` (.html, UTF-8); the same figures give the same bytes."""
    path.write_bytes(html_text(figures).encode("utf-8"))


def html_text(figures: ReportFigures) -> str:
    """The page's text."""
    sections: list[dict[str, Any]] = []
    for block in wording.blocks(figures):
        match block:
            case wording.Heading(1, text):
                sections.append({"title": text, "id": f"s{len(sections) + 1}", "blocks": []})
            case wording.Heading(_, text):
                sections[-1]["blocks"].append({"kind": "subtitle", "text": text})
            case wording.Paragraph(text):
                sections[-1]["blocks"].append({"kind": "text", "text": text})
            case wording.TableBlock(table, _):
                # The page has room for every row.
                sections[-1]["blocks"].append(_table(figures.tables[table.key]))
            case wording.ChartBlock(key):
                spec = chart(key, figures)
                if spec is not None:
                    sections[-1]["blocks"].append(_chart(spec))
    annexes = [
        {
            "title": texts()["page"]["annex_heading"].format(number=number, title=one["title"]),
            "id": f"a{number}",
            "table": _table(figures.tables[one["table"]], titled=False),
        }
        for number, one in enumerate((one for one in texts()["annexes"] if one.get("table") in figures.tables), start=1)
    ]
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            figures=figures,
            words=texts(),
            page=texts()["page"],
            title=wording.report_title(figures),
            month=wording.month_text(figures.period),
            cutoff=wording.cutoff_text(figures),
            maturity=wording.maturity_text(figures),
            preamble=wording.preamble(figures),
            coverage=wording.paragraph(texts()["page"]["coverage"], figures),
            cards=_cards(figures),
            sections=sections,
            annexes=annexes,
            definitions=wording.definitions(figures),
            style=Markup((_TEMPLATES / "report.css").read_text(encoding="utf-8")),
        )
    )


@lru_cache(maxsize=1)
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _chart(spec: ChartSpec) -> dict[str, Any]:
    return {
        "kind": "chart",
        "title": spec.caption,
        "note": spec.note,
        "wide": Markup(chart_svg(spec, WIDE)),
        "narrow": Markup(chart_svg(spec, NARROW)),
    }


def _table(table: Table, *, titled: bool = True) -> dict[str, Any]:
    entry = texts()["tables"][table.key]
    numeric = [any(isinstance(row.cells[at], Figure) for row in table.rows) for at in range(len(table.columns))]
    rows = []
    for row in table.rows:
        printed = [cell_text(cell) for cell in row.cells]
        cells = []
        for at, span in wording.spans(printed, numeric, wording.spanning_absences()):
            cell = row.cells[at]
            key = cell.key if isinstance(cell, Figure) and cell.value is not None else None
            cells.append(Cell(printed[at], span, numeric[at], key))
        rows.append({"cells": cells, "is_total": row.is_total})
    return {
        "kind": "table",
        "title": entry["title"],
        "titled": titled,
        "columns": [wording.header_pieces(entry["columns"][name]) for name in table.columns],
        "label_at": table.columns.index("name") if "name" in table.columns else 0,
        "rows": rows,
        "note": wording.table_note(table),
    }


def _cards(figures: ReportFigures) -> list[Card]:
    """Key figures that this issue has; one without a figure gets no card."""
    cards = []
    for entry in texts()["page"]["cards"]:
        figure = figures.get(entry["key"])
        if figure is None or figure.value is None:
            continue
        printed = wording.with_unit(figure)
        digits = printed.rstrip("".join(texts()["units"].values()))
        unit = printed[len(digits) :]
        number = cell_text(figure) if figure.unit in ("persons", "enterprises") else digits
        change = ""
        for style in ("change", "points"):
            other = figures.get(entry.get(style, ""))
            if other is not None:
                change = wording.comparison(other, style)
        cards.append(Card(entry["label"], number, unit, change, figure.key))
    return cards
