"""Sentences of the report from the templates of ``texts.yaml``: words there, rules here.

Rules: growth with %, differences of rates in percentage points; a last month of 0 or without data is said, never
computed; a sentence whose figure is missing is not written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from include.report.model import Edition, Figure, ReportFigures, Row, Table, is_unclassified
from include.report.numbers import instant_text, percent, plain_text, table_text

_PLACE = re.compile(r"\{([^{}|]+)(?:\|([a-z_0-9]+))?\}")
_ANNEX = "annex."
_NUMERALS = "一二三四五六七八九十"


@dataclass(frozen=True, slots=True)
class Heading:
    """``level`` 1 is 一、, 2 is （一）; ``text`` includes the number."""

    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    text: str


@dataclass(frozen=True, slots=True)
class TableBlock:
    """``table`` cut to the rows that are printed in the text; ``is_cut`` when rows were left to the annex."""

    table: Table
    is_cut: bool


@dataclass(frozen=True, slots=True)
class ChartBlock:
    key: str


Block = Heading | Paragraph | TableBlock | ChartBlock

# What a writer makes of a figure in running text, given its key and its words.
Mark = Callable[[str, str], str]


def unmarked(key: str, text: str) -> str:
    """Running text as it is: for writers that do nothing with the figures in it."""
    return text


@lru_cache(maxsize=1)
def texts() -> Mapping[str, Any]:
    """The content of ``texts.yaml``."""
    loaded: Mapping[str, Any] = yaml.safe_load((Path(__file__).parent / "texts.yaml").read_text(encoding="utf-8"))
    return loaded


def month_text(period: str) -> str:
    """``2026年4月`` for ``2026-04``."""
    year, month = period.split("-")
    return str(texts()["month"]).format(year=int(year), month=int(month))


def place_text(figures: ReportFigures) -> str:
    """The edition's place as it stands in titles, ``""`` for the province."""
    words: str = texts()["editions"][figures.edition.level]["title_place"]
    return words.format(region=figures.edition.region_name)


def edition_folder(edition: Edition) -> str:
    """Where the edition's files lie below the period's folder: ``""``, ``分市/钦州市``, ``分县/灵山县``."""
    words: str = texts()["editions"][edition.level]["folder"]
    return words.format(region=edition.region_name.replace("/", "／"))


def report_title(figures: ReportFigures) -> str:
    """Full title with place and month, also the file name's stem."""
    return f"{place_text(figures)}{texts()['title']}（{month_text(figures.period)}）".replace("/", "／")


def title_lines(figures: ReportFigures) -> list[str]:
    """The title without the month, broken by sense; the place of a city or county stands in a line before."""
    place = place_text(figures)
    return [*([place] if place else []), *texts()["title_lines"]]


def cutoff_text(figures: ReportFigures) -> str:
    """``数据截至2026年5月9日16时05分``, or that nothing has been accepted yet."""
    if figures.data_cutoff is None:
        return str(texts()["no_cutoff"])
    return str(texts()["cutoff"]).format(instant=instant_text(figures.data_cutoff))


def maturity_text(figures: ReportFigures) -> str:
    return str(texts()["maturity"][figures.maturity])


def cell_text(cell: str | Figure) -> str:
    """A table cell as printed: a figure by its unit, a label by ``texts.yaml``, any other text as it is."""
    if isinstance(cell, Figure):
        if cell.unit == "state":
            return state_text(cell)
        return table_text(cell, texts()["absences"])
    if cell.startswith("period."):
        return month_text(cell.removeprefix("period."))
    return str(texts()["labels"].get(cell, cell))


def state_text(figure: Figure) -> str:
    """The word for a state, e.g. ``达到时序进度``."""
    return str(texts()["labels"][f"state.{figure.value}"])


def with_unit(figure: Figure) -> str:
    """A figure in running text with its unit (money in 万元)."""
    units = texts()["units"]
    if figure.unit == "state":
        return state_text(figure)
    if figure.unit in ("rate", "change"):
        return f"{_signed(figure)}%"
    if figure.unit == "yuan":
        return f"{plain_text(figure)}{units['wan_yuan']}"
    return f"{plain_text(figure)}{units.get(figure.unit, '')}"


def _signed(figure: Figure) -> str:
    assert isinstance(figure.value, (int, Decimal))
    return f"{percent(figure.value)}"


def comparison(figure: Figure, phrases: str) -> str:
    """A change in words, e.g. ``环比增长3.2%``, ``比上月降低0.4个百分点``, ``上月为0，不作环比``.

    Args:
        figure: of unit ``change`` or ``points``.
        phrases: entry of ``phrases`` in ``texts.yaml`` (``change``, ``plain_change``, ``points``, ``yoy``).
    """
    words = texts()["phrases"]
    if figure.value is None:
        return str(words["previous_zero" if figure.absence == "previous_zero" else "previous_missing"])
    assert isinstance(figure.value, (int, Decimal))
    kind = words[phrases]
    if figure.value == 0:
        return str(kind["flat"])
    printed = percent(figure.value)
    if printed == 0:
        return str(kind["nearly"])
    return str(kind["up" if printed > 0 else "down"]).format(value=abs(printed))


_SAME = "same as "
_LIMITS = ("below ", "above ")
# Targets of which the text says how little of them is done.
_LAGGING = frozenset({"behind", "unmet", "overdue"})


def holds(condition: Mapping[str, str] | None, figures: ReportFigures) -> bool:
    """Whether every ``when`` entry (figure key to state) is met."""
    for key, state in (condition or {}).items():
        figure = figures.get(key)
        value = figure.value if figure else None
        if state.startswith(_SAME):
            other = figures.get(state.removeprefix(_SAME))
            if figure is None or other is None or cell_text(figure) != cell_text(other):
                return False
            continue
        if state in ("present", "absent"):
            if (value is not None) != (state == "present"):
                return False
            continue
        if not isinstance(value, (int, Decimal)):
            return False
        if state.startswith(_LIMITS):
            side, limit = state.split()
            if not (value < Decimal(limit) if side == "below" else value > Decimal(limit)):
                return False
            continue
        if not {"positive": value > 0, "zero": value == 0, "negative": value < 0}[state]:
            return False
    return True


def stands(entry: Mapping[str, Any], figures: ReportFigures) -> bool:
    """Whether a sentence, subtitle or block is for reports of this level (``levels``; all when it names none)."""
    return "levels" not in entry or figures.edition.level in entry["levels"]


def sentence(entry: Mapping[str, Any], figures: ReportFigures, mark: Mark = unmarked) -> str | None:
    """One sentence of ``texts.yaml``, or ``None`` when its condition fails or one of its figures is missing."""
    if not stands(entry, figures) or not holds(entry.get("when"), figures):
        return None
    if "unless" in entry and holds(entry["unless"], figures):
        return None
    parts: list[str] = []
    at = 0
    text = str(entry["text"])
    for place in _PLACE.finditer(text):
        printed = _place(place.group(1), place.group(2), figures, mark)
        if printed is None:
            return None
        parts += (text[at : place.start()], printed)
        at = place.end()
    return "".join(parts) + text[at:]


def _place(name: str, style: str | None, figures: ReportFigures, mark: Mark) -> str | None:
    fixed: Mapping[str, str] = {
        "period": month_text(figures.period),
        "region": figures.edition.region_name,
        "cutoff": cutoff_text(figures),
        "maturity": maturity_text(figures),
        "maturity_reason": figures.maturity_reason.rstrip("。"),
    }
    if name == "place":
        return place_text(figures)
    if name in fixed:
        return fixed[name] or None
    if name.startswith(_ANNEX):
        return _annex_mark(name.removeprefix(_ANNEX), figures)
    if "/" in name:
        return _listing(name, style or "each", figures, mark)
    figure = figures.get(name)
    if figure is None:
        return None
    if style in ("change", "plain_change", "points", "yoy"):
        words = comparison(figure, style)
        return words if figure.value is None else mark(figure.key, words)
    if figure.value is None or figure.value == ():
        return None
    if style == "magnitude":
        assert isinstance(figure.value, int)
        return mark(figure.key, with_unit(Figure(figure.key, abs(figure.value), figure.unit)))
    return mark(figure.key, plain_text(figure) if style == "number" else with_unit(figure))


def _annex_mark(table: str, figures: ReportFigures) -> str | None:
    found = annexes(figures)
    for number, annex in enumerate(found, start=1):
        if annex.get("table") == table:
            return annex_mark(number, len(found))
    return None


def annex_mark(number: int, count: int) -> str:
    """``附件2``; a lone annex has no number."""
    return str(texts()["annex_mark"]).format(number=number) if count > 1 else str(texts()["annexes_title"])


def _listing(name: str, style: str, figures: ReportFigures, mark: Mark) -> str | None:
    """``柳州市1200人、南宁市900人``: the largest rows of a column, each row above 0 in table order, or the lagging.

    未归类 is no industry, occupation or item, so it is never among the largest.
    """
    table_key, column = name.split("/")
    table = figures.tables.get(table_key)
    if table is None:
        return None
    label_at, value_at = table.columns.index("name"), table.columns.index(column)
    ranked: list[tuple[str, Figure]] = []
    for row in table.rows:
        figure = row.cells[value_at]
        if row.is_total or not isinstance(figure, Figure) or not isinstance(figure.value, (int, Decimal)):
            continue
        if "rank" in table.columns and row.cells[table.columns.index("rank")].value is None:  # type: ignore[union-attr]
            continue
        if style.startswith("lagging") and not _lags(table, row):
            continue
        ranked.append((cell_text(row.cells[label_at]), figure))
    if style.startswith("lagging"):
        ranked = sorted(ranked, key=lambda pair: (pair[1].value, pair[1].key))
        ranked = ranked[: int(style.removeprefix("lagging"))]
    else:
        ranked = [pair for pair in ranked if pair[1].value]
    if style.startswith("quoted"):
        style = f"top{style.removeprefix('quoted') or len(ranked)}"
        ranked = [(str(texts()["phrases"]["quoted"]).format(label=label), figure) for label, figure in ranked]
    if style.startswith("top"):
        known = [pair for pair in ranked if not is_unclassified(pair[1].key)]
        ranked = sorted(known, key=lambda pair: (-pair[1].value, pair[1].key))  # type: ignore[operator]
        ranked = ranked[: int(style.removeprefix("top"))]
    if not ranked:
        return None
    words = texts()["phrases"]
    # Names that hold the joiner themselves (计算机、通信和…) are set apart by a stronger mark.
    is_plain = not any(words["joiner"] in label for label, _ in ranked)
    return str(words["joiner" if is_plain else "strong_joiner"]).join(
        label + mark(figure.key, with_unit(figure)) for label, figure in ranked
    )


def _lags(table: Table, row: Row) -> bool:
    state = row.cells[table.columns.index("state")]
    return isinstance(state, Figure) and state.value in _LAGGING


def problems(figures: ReportFigures, part: str, mark: Mark = unmarked) -> list[str]:
    """The numbered sentences of 存在问题 (``part`` is ``problem``) or of 下一步工作 (``step``), by the rules that hold.

    A step stands only where its problem does.
    """
    found = []
    for rule in texts()["problems"]:
        said = sentence({**rule, "text": rule["problem"]}, figures, mark)
        step = sentence({**rule, "text": rule["step"]}, figures, mark) if said else None
        text = said if part == "problem" else step
        if text and text not in found:
            found.append(text)
    return [f"{number}. {text}" for number, text in enumerate(found, start=1)]


def paragraph(entries: Sequence[Mapping[str, Any]], figures: ReportFigures, mark: Mark = unmarked) -> str:
    """The sentences that can be written, joined; empty when none can."""
    return "".join(filter(None, (sentence(entry, figures, mark) for entry in entries)))


def definitions(figures: ReportFigures) -> list[tuple[str, str, str]]:
    """指标口径 of the indicators the report prints, as (name, definition, unit) in the order of ``texts.yaml``."""
    order = {name: at for at, name in enumerate(texts()["definitions_order"])}
    printed = [one for one in figures.definitions if one.indicator in order]
    ranked = sorted(printed, key=lambda one: order[one.indicator])
    return [(one.name_zh, one.definition_zh, one.unit) for one in ranked]


def annexes(figures: ReportFigures) -> list[Mapping[str, Any]]:
    """The annexes of ``texts.yaml`` that this issue has something for, in the order of their numbers."""
    return [one for one in texts()["annexes"] if stands(one, figures) and _is_filled(one, figures)]


def _is_filled(annex: Mapping[str, Any], figures: ReportFigures) -> bool:
    if annex.get("definitions"):
        return True
    table = figures.tables.get(annex["table"])
    return table is not None and bool(table.rows)


def preamble(figures: ReportFigures, mark: Mark = unmarked) -> str:
    return paragraph(texts()["preamble"], figures, mark)


def blocks(figures: ReportFigures, mark: Mark = unmarked) -> Iterator[Block]:
    """The body of the report in order; headings that would stand over nothing are left out.

    Args:
        mark: what to make of each figure in running text.
    """
    section_number = 0
    for section in texts()["sections"]:
        inner = list(_section_blocks(section["blocks"], figures, mark))
        if not inner:
            continue
        yield Heading(1, f"{_NUMERALS[section_number]}、{section['title']}")
        section_number += 1
        yield from inner


def _section_blocks(entries: Sequence[Mapping[str, Any]], figures: ReportFigures, mark: Mark) -> Iterator[Block]:
    number = 0
    pending: str | None = None
    for entry in entries:
        if not stands(entry, figures):
            continue
        if "subtitle" in entry:
            pending = entry["subtitle"]
            continue
        for found in _blocks_of(entry, figures, mark):
            if pending is not None:
                yield Heading(2, f"（{_NUMERALS[number]}）{pending}")
                number += 1
                pending = None
            yield found


def _blocks_of(entry: Mapping[str, Any], figures: ReportFigures, mark: Mark) -> Iterator[Block]:
    if "rules" in entry:
        yield from map(Paragraph, problems(figures, entry["rules"], mark))
        return
    found = _block(entry, figures, mark)
    if found is not None:
        yield found


def _block(entry: Mapping[str, Any], figures: ReportFigures, mark: Mark) -> Block | None:
    if "paragraph" in entry:
        text = paragraph(entry["paragraph"], figures, mark) if holds(entry.get("when"), figures) else ""
        return Paragraph(text) if text else None
    if "chart" in entry:
        return ChartBlock(entry["chart"]) if draws(entry["chart"], figures) else None
    table = figures.tables.get(entry["table"]["key"])
    if table is None or not table.rows:
        return None
    top = entry["table"].get("top")
    return TableBlock(*cut(table, top)) if top else TableBlock(table, False)


def draws(key: str, figures: ReportFigures) -> bool:
    """Whether the chart ``key`` of ``texts.yaml`` would show anything: one month is no course, and all 0 is none."""
    entry = texts()["charts"][key]
    table = figures.tables.get(entry.get("table", key))
    if table is None:
        return False
    columns = [table.columns.index(one["column"]) for one in entry["series"] if one["column"] in table.columns]
    if entry.get("needs_first"):
        columns = columns[:1]
    rank_at = table.columns.index("rank") if "top" in entry and "rank" in table.columns else None
    shown = [
        row
        for row in table.rows
        if not row.is_total
        and any(isinstance(cell := row.cells[at], Figure) and bool(cell.value) for at in columns)
        # what has no rank (未归类) is not among the largest
        and (rank_at is None or (isinstance(rank := row.cells[rank_at], Figure) and rank.value is not None))
    ]
    return len(shown) >= int(entry.get("least", 1))


def cut(table: Table, top: int) -> tuple[Table, bool]:
    """The first ``top`` rows and the totals, and whether rows were left out: in a ranking the unranked first of all."""
    body = [row for row in table.rows if not row.is_total]
    kept = body
    if "rank" in table.columns:
        at = table.columns.index("rank")
        kept = [row for row in body if isinstance(row.cells[at], Figure) and row.cells[at].value is not None]  # type: ignore[union-attr]
    kept = body if len(kept) <= top and len(body) <= top + 1 else kept[:top]
    if not kept:
        kept = body[:top]
    totals: list[Row] = [row for row in table.rows if row.is_total]
    return Table(table.key, table.columns, (*kept, *totals)), len(kept) < len(body)


def table_note(table: Table, shown: int | None = None) -> str:
    """The note under a table, or ``""``: rows left out, what the comparison is, what a blank means."""
    notes = texts()["table_notes"]
    figures = [cell for row in table.rows for cell in row.cells if isinstance(cell, Figure)]
    found: list[str] = []
    if shown is not None:
        found.append(notes["top_rows"].format(count=shown))
    kind = texts()["tables"][table.key].get("note")
    if kind:
        found.append(notes[kind])
    absences = {figure.absence for figure in figures if figure.value is None}
    found += [notes[name] for name in ("not_received", "refused", "previous_missing", "undefined") if name in absences]
    if absences & {"not_received", "refused"}:
        found.append(notes["gap"])
    return notes["lead"] + "".join(found) if found else ""


def header_pieces(title: str) -> list[str]:
    """The parts of a column's header between which a line may break: its words, and its unit in brackets."""
    breaks: Mapping[str, str] = _header_breaks()
    name, bracket, unit = title.partition("（")
    pieces = breaks.get(name, name).split("|") if name else []
    return [*pieces, *([bracket + unit] if bracket else [])]


def header_lines(title: str, room: float) -> list[str]:
    """A column's header in lines of at most ``room`` Chinese characters where its pieces allow."""
    if len(title) <= room:
        return [title]
    lines: list[str] = []
    for piece in header_pieces(title):
        if lines and not piece.startswith("（") and len(lines[-1] + piece) <= room:
            lines[-1] += piece
        else:
            lines.append(piece)
    return lines


@lru_cache(maxsize=1)
def _header_breaks() -> Mapping[str, str]:
    return {one.replace("|", ""): one for one in texts()["header_breaks"]}


def spanning_absences() -> frozenset[str]:
    """Words of the absences that fill a whole line (未报送 …); a lone — stays in its cell."""
    return frozenset(words for kind, words in texts()["absences"].items() if kind != "undefined")


def spans(cells: Sequence[str], numeric: Sequence[bool], absences: frozenset[str]) -> list[tuple[int, int]]:
    """(first column, number of columns) of each cell: a run of the same absence becomes one cell across."""
    found: list[tuple[int, int]] = []
    for at, text in enumerate(cells):
        if found and numeric[at] and text in absences and cells[found[-1][0]] == text and numeric[found[-1][0]]:
            found[-1] = (found[-1][0], found[-1][1] + 1)
        else:
            found.append((at, 1))
    return found
