"""The report as one self-contained page: nothing is fetched, everything is read without script as well.

What the page adds with script (filter, sort, live charts, traces) is laid over a complete document; its own script is
``templates/report.js``, its charts are Vega's. The policy in the head allows these two by hash and nothing else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Set
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from include.report import wording
from include.report.chart_library import chart_library, pack, script_hash
from include.report.charts import ChartSpec, chart
from include.report.model import Figure, ReportFigures, Row, Table
from include.report.numbers import big_text, percent, rounded
from include.report.svg_charts import chart_svg
from include.report.tracing import Traces
from include.report.wording import cell_text, texts

WIDTH = 720
# Figures that are read, not compared by size.
_WORDS = frozenset({"names", "instant", "state"})
_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True, slots=True)
class Cell:
    """One table cell of the page.

    Attributes:
        span: columns it goes across.
        figure: key of its figure, for the trace; ``None`` for text and where there is no figure.
        order: what the column is sorted and drawn by, in the printed unit (percent for ratios); ``None`` sorts last.
    """

    text: str
    span: int
    is_number: bool
    figure: str | None
    order: str | None


@dataclass(frozen=True, slots=True)
class Card:
    """A key figure: ``number`` is short (45.83 with the unit 万人), ``exact`` in full where that differs."""

    label: str
    number: str
    unit: str
    exact: str
    change: str
    key: str


def write_html(figures: ReportFigures, traces: Traces, path: Path) -> None:
    """Write the page to ``path`` (.html, UTF-8); the same figures and traces give the same bytes."""
    path.write_bytes(html_text(figures, traces).encode("utf-8"))


def html_text(figures: ReportFigures, traces: Traces | None = None) -> str:
    """The page's text; without traces its figures do not open."""
    traces = traces if traces is not None else Traces.none()
    sections: list[dict[str, Any]] = []
    for block in wording.blocks(figures, _mark):
        match block:
            case wording.Heading(1, text):
                sections.append({"title": text, "id": f"s{len(sections) + 1}", "blocks": []})
            case wording.Heading(_, text):
                sections[-1]["blocks"].append({"kind": "subtitle", "text": text})
            case wording.Paragraph(text):
                sections[-1]["blocks"].append({"kind": "text", "pieces": _pieces(text)})
            case wording.TableBlock(table, _):
                # The page has room for every row.
                sections[-1]["blocks"].append(_table(figures.tables[table.key]))
            case wording.ChartBlock(key):
                spec = chart(key, figures)
                if spec is not None:
                    sections[-1]["blocks"].append(_chart(spec))
    shown = {(block["kind"], block["key"]) for one in sections for block in one["blocks"] if "key" in block}
    listed = wording.annexes(figures)
    annexes = [_annex(at, len(listed), entry, figures, shown) for at, entry in enumerate(listed, start=1)]
    page = texts()["page"]
    style = (_TEMPLATES / "report.css").read_text(encoding="utf-8")
    script = (_TEMPLATES / "report.js").read_text(encoding="utf-8")
    library = chart_library()
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            figures=figures,
            words=texts(),
            page=page,
            title=wording.report_title(figures),
            title_lines=wording.title_lines(figures),
            month=wording.month_text(figures.period),
            cutoff=wording.cutoff_text(figures),
            maturity=wording.maturity_text(figures),
            preamble=_pieces(wording.preamble(figures, _mark)),
            coverage=_pieces(wording.paragraph(page["coverage"], figures, _mark)),
            is_complete=wording.holds(page["complete_when"], figures),
            cards=_cards(figures),
            comparisons=_comparisons(figures),
            cities=_cities(figures),
            sections=sections,
            annexes=annexes,
            style=Markup(style),
            script=Markup(script),
            hashes={"style": script_hash(style), "scripts": [script_hash(script), library.script_hash]},
            library=Markup(library.packed),
            charts=_data(library.charts),
            script_words=_data(page["script"] | {"forms": _forms()}),
            traces=Markup(pack(_json(traces.payload()))),
            has_traces=bool(traces.entries),
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


# Around a figure in running text; letters that no text has.
_OPEN, _KEY, _CLOSE = "\ue000", "\ue001", "\ue002"
_MARKED = re.compile(f"{_OPEN}([^{_KEY}]*){_KEY}([^{_CLOSE}]*){_CLOSE}")


def _mark(key: str, text: str) -> str:
    return f"{_OPEN}{key}{_KEY}{text}{_CLOSE}"


def _pieces(text: str) -> list[Cell]:
    """Running text cut at its figures."""
    found, at = [], 0
    for figure in _MARKED.finditer(text):
        found += [Cell(text[at : figure.start()], 1, False, None, None)]
        found += [Cell(figure.group(2), 1, True, figure.group(1), None)]
        at = figure.end()
    return [*found, Cell(text[at:], 1, False, None, None)]


def _json(content: Any) -> str:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


def _data(content: Any) -> Markup:
    """JSON to stand inside a script element: no ``<`` that could end it."""
    return Markup(_json(content).replace("<", "\\u003c"))


def _annex(
    number: int, count: int, entry: Mapping[str, Any], figures: ReportFigures, shown: Set[tuple[str, str]]
) -> dict[str, Any]:
    """An annex under its number; what the text shows in full already is not shown again."""
    found: dict[str, Any] = {
        "title": f"{wording.annex_mark(number, count)}　{entry['title']}",
        "id": f"a{number}",
        "blocks": [],
        "see": "",
        "definitions": wording.definitions(figures) if entry.get("definitions") else [],
    }
    table = entry.get("table", "")
    if ("table", table) in shown:
        found["see"] = f"t-{table}"
    elif table:
        is_drawn = table not in texts()["charts"] or ("chart", table) in shown
        spec = None if is_drawn else chart(table, figures)
        found["blocks"] = [*([_chart(spec)] if spec is not None else []), _table(figures.tables[table], titled=False)]
    return found


def _forms() -> dict[str, str]:
    labels = texts()["labels"]
    return {key.removeprefix("form."): name for key, name in labels.items() if key.startswith("form.")}


def _chart(spec: ChartSpec) -> dict[str, Any]:
    entry = texts()["charts"][spec.key]
    return {
        "kind": "chart",
        "key": spec.key,
        "title": spec.caption,
        "table": entry.get("table", spec.key),
        "column": entry["series"][0]["column"],
        "line": next((one["column"] for one in entry["series"] if one.get("draw") == "line"), ""),
        "shape": spec.shape,
        "top": entry.get("top", 15),
        # A live chart shows one series: those of two are read better side by side.
        "is_live": len([one for one in spec.series if one.draw == "fill"]) == 1,
        "note": spec.note,
        "drawn": Markup(chart_svg(spec, WIDTH)),
    }


def _table(table: Table, *, titled: bool = True) -> dict[str, Any]:
    entry = texts()["tables"][table.key]
    numeric = [any(_is_number(row.cells[at]) for row in table.rows) for at in range(len(table.columns))]
    city_at = next((at for at, name in enumerate(table.columns) if _is_city(entry["columns"][name])), None)
    rows = []
    for row in table.rows:
        city = "" if city_at is None or row.is_total else cell_text(row.cells[city_at])
        rows.append({"cells": _cells(row, numeric), "is_total": row.is_total, "city": city})
    return {
        "kind": "table",
        "key": table.key,
        "title": entry["title"],
        "titled": titled,
        "columns": [
            {"name": name, "pieces": wording.header_pieces(entry["columns"][name]), "is_number": numeric[at]}
            for at, name in enumerate(table.columns)
        ],
        "label_at": table.columns.index("name") if "name" in table.columns else 0,
        "rows": rows,
        "note": wording.table_note(table),
    }


def _is_number(cell: str | Figure) -> bool:
    return isinstance(cell, Figure) and cell.unit not in _WORDS


def _is_city(header: str) -> bool:
    return bool(header == texts()["page"]["city_header"])


def _cells(row: Row, numeric: list[bool]) -> list[Cell]:
    printed = [cell_text(cell) for cell in row.cells]
    found = []
    for at, span in wording.spans(printed, numeric, wording.spanning_absences()):
        cell = row.cells[at]
        key = cell.key if isinstance(cell, Figure) and cell.value is not None else None
        found.append(Cell(printed[at], span, numeric[at], key, _order(cell)))
    return found


def _order(cell: str | Figure) -> str | None:
    if not isinstance(cell, Figure) or not isinstance(cell.value, (int, Decimal)):
        return None
    if cell.unit in ("rate", "change", "points"):
        return f"{rounded(Decimal(cell.value) * 100, 6).normalize():f}"
    return f"{Decimal(cell.value).normalize():f}"


def _cities(figures: ReportFigures) -> list[str]:
    """The cities that rows of some table stand in, in the order of the tables; for choosing, so none when it is one."""
    found: dict[str, None] = {}
    for table in figures.tables.values():
        columns = texts()["tables"][table.key]["columns"]
        for name in table.columns:
            if _is_city(columns[name]):
                found |= dict.fromkeys(cell_text(cell) for cell in table.column(name))
    return list(found) if len(found) > 1 else []


def _cards(figures: ReportFigures) -> list[Card]:
    """Key figures that this issue has; one without a figure gets no card."""
    cards = []
    for entry in texts()["page"]["cards"]:
        figure = figures.get(entry["key"])
        if figure is None or figure.value is None:
            continue
        number, unit = big_text(figure, texts()["units"])
        change = ""
        for style in ("change", "points"):
            other = figures.get(entry.get(style, ""))
            if other is not None:
                change = wording.comparison(other, style)
        exact = cell_text(figure)
        if figure.unit == "yuan":
            exact += texts()["units"]["yuan"]
        elif figure.unit in texts()["units"]:
            exact += texts()["units"][figure.unit]
        is_short = number.replace(",", "") not in exact.replace(",", "")
        cards.append(Card(entry["label"], number, unit, exact if is_short else "", change, figure.key))
    return cards


# -- this month beside earlier ones ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Comparison:
    """This month beside an earlier one.

    Attributes:
        basis: which reporters both sides cover, and whether that is like for like.
        rows: label, this month, that month, the difference in words, each figure as a cell.
    """

    period: str
    title: str
    basis: str
    rows: tuple[tuple[str, Cell, Cell, Cell], ...]


def _comparisons(figures: ReportFigures) -> list[Comparison]:
    """This month beside the month before like for like, then beside each earlier month of the trend as it was sent."""
    words = texts()["page"]["compare"]
    found: list[Comparison] = []
    overview = figures.tables.get("overview")
    reporters = figures.get("region.lfl_reporters")
    if overview is not None and reporters is not None and reporters.value:
        rows = []
        for row in overview.rows:
            name, *_ = row.cells
            now, last, change = (
                row.cells[overview.columns.index(one)] for one in ("lfl", "lfl_previous", "change_lfl")
            )
            assert isinstance(now, Figure) and isinstance(last, Figure) and isinstance(change, Figure)
            if now.value is not None and last.value is not None:
                rows.append(
                    (cell_text(name), _cell(now), _cell(last), _cell(change, wording.comparison(change, "change")))
                )
        if rows:
            basis = words["like_for_like"].format(reporters=wording.with_unit(reporters))
            title = words["previous"].format(month=wording.month_text(figures.previous_period))
            found.append(Comparison(f"lfl-{figures.previous_period}", title, basis, tuple(rows)))
    trend = figures.tables.get("trend")
    if trend is None or len(trend.rows) < 2:
        return found
    months = [str(row.cells[0]).removeprefix("period.") for row in trend.rows]
    now_row = trend.rows[-1]
    for month, row in sorted(zip(months[:-1], trend.rows[:-1], strict=True), reverse=True):
        rows = []
        for name, now, then in zip(trend.columns[1:], now_row.cells[1:], row.cells[1:], strict=True):
            if not isinstance(now, Figure) or not isinstance(then, Figure) or now.value is None or then.value is None:
                continue
            label = texts()["tables"]["trend"]["columns"][name]
            difference = _difference(now, then, f"compare.{month}.{now.key.split('.')[-1]}")
            rows.append((label, _cell(now), _cell(then), difference))
        if rows:
            title = words["month"].format(month=wording.month_text(month))
            found.append(Comparison(month, title, words["as_sent"], tuple(rows)))
    return found


def _cell(figure: Figure, text: str | None = None) -> Cell:
    return Cell(cell_text(figure) if text is None else text, 1, True, figure.key, _order(figure))


def _difference(now: Figure, then: Figure, key: str) -> Cell:
    """The difference in words, rounded once: persons, or percentage points."""
    words = texts()["page"]["compare"]
    assert isinstance(now.value, (int, Decimal)) and isinstance(then.value, (int, Decimal))
    if now.unit == "rate":
        value: Decimal | int = percent(Decimal(now.value) - Decimal(then.value))
        unit = texts()["units"]["points"]
    else:
        value = int(now.value - then.value)
        unit = texts()["units"].get(now.unit, "")
    if value == 0:
        return Cell(words["same"], 1, True, key, "0")
    kind = words["more" if value > 0 else "less"] if now.unit != "rate" else words["higher" if value > 0 else "lower"]
    return Cell(f"{kind}{abs(value):,}{unit}", 1, True, key, str(value))
