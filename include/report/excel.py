"""The annex workbook: every table with its raw figures, native charts, definitions. No formula in it."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import xlsxwriter
from xlsxwriter.chart import Chart
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from include.report import wording
from include.report.charts import COLOURS, ChartSpec, Series, chart
from include.report.model import Figure, ReportFigures, Table
from include.report.numbers import percent, rounded
from include.report.packaging import document_instant, repack
from include.report.wording import cell_text, texts

FACE = "仿宋"
HEAD_FACE = "黑体"
# Ratios go in unrounded, so that the reader can compute on; the number format rounds what is seen.
NUMBER_FORMATS = {"rate": "0.0%", "change": "0.0%", "points": "0.0", "yuan": "#,##0.00", "days": "0.0"}
FIRST_ROW = 3
# A table of at most this many rows prints on one page with its chart; under a longer one the chart stays on screen.
ROWS_WITH_CHART = 20
# A table that runs over its page by this share of it is drawn smaller instead.
ROWS_OVER = 0.25
# From this many rows on, the header has filter buttons.
FILTER_ROWS = 12
# Widths in characters of Excel's default type: the most a column takes before it wraps, the least under a chart, and
# what an upright A4 page shows in full size.
WIDEST, CHART_WIDTH, UPRIGHT_WIDTH = 46, 84, 92
# Columns that stay when the rest is scrolled may take this much of the screen.
FROZEN_COLUMNS, FROZEN_WIDTH = 3, 64
_SHEET_NAME = 31  # characters; a longer name makes Excel repair the file
_A4 = 9
_ROW_HEIGHT, _LINE_HEIGHT = 18, 16  # points
_PIXELS_PER_CHARACTER, _PIXELS_PER_ROW, _POINTS_PER_CHARACTER = 7, 24, 5.4
_HEAD_FILL, _QUIET, _LINK, _MARK = "#EDEDED", "#595959", "#1F4E79", "#C00000"


def write_excel(figures: ReportFigures, path: Path) -> None:
    """Write the annex workbook to ``path`` (.xlsx); the same figures give the same bytes."""
    path.write_bytes(excel_bytes(figures))


def excel_bytes(figures: ReportFigures) -> bytes:
    """The workbook's bytes."""
    buffer = io.BytesIO()
    book = xlsxwriter.Workbook(buffer, {"in_memory": True, "default_date_format": "yyyy-mm-dd"})
    book.set_properties(
        {
            "title": wording.report_title(figures),
            "author": texts()["author"],
            "subject": texts()["sample_mark"] if figures.is_sample else "",
            "created": document_instant(figures),
        }
    )
    _Book(book, figures).write()
    book.close()
    return repack(buffer.getvalue())


def sheet_names(keys: Sequence[str]) -> dict[str, str]:
    """A name for the sheet of each table: ``workbook.sheets`` of ``texts.yaml``, else the title; all distinct."""
    known = texts()["workbook"]["sheets"]
    names: dict[str, str] = {}
    taken = {
        texts()["workbook"][one] for one in ("cover_sheet", "corrections_sheet", "charts_sheet", "definitions_sheet")
    }
    for key in keys:
        wanted = re.sub(r"[\[\]:*?/\\]", "", known.get(key) or texts()["tables"][key]["title"])[:_SHEET_NAME]
        name, number = wanted, 2
        while name in taken:
            name = f"{wanted[: _SHEET_NAME - 3]}_{number}"
            number += 1
        taken.add(name)
        names[key] = name
    return names


class _Book:
    def __init__(self, book: xlsxwriter.Workbook, figures: ReportFigures) -> None:
        self.book = book
        self.figures = figures
        self.words = texts()["workbook"]
        self.tables = {key: table for key, table in figures.tables.items() if table.rows}
        self.names = sheet_names(list(self.tables))
        charts = {key: chart(key, figures) for key in texts()["charts"]}
        self.charts = {key: spec for key, spec in charts.items() if spec is not None}
        self.plotted: dict[str, int] = {}
        self._formats: dict[tuple[tuple[str, Any], ...], Format] = {}

    def write(self) -> None:
        self.cover()
        if self.figures.issue_no:
            self.corrections()
        sheets = {key: self.table(key, table) for key, table in self.tables.items()}
        if self.charts:
            self.plot_data()
        for key, spec in self.charts.items():
            under = texts()["charts"][key].get("table", key)
            self.chart(sheets[under], under, spec)
        self.definitions()

    def form(self, **look: Any) -> Format:
        key = tuple(sorted(look.items()))
        if key not in self._formats:
            self._formats[key] = self.book.add_format({"font_name": FACE, "font_size": 11, "valign": "vcenter", **look})
        return self._formats[key]

    # -- sheets ----------------------------------------------------------------------------------------------------

    def sheet(self, name: str, *, landscape: bool) -> Worksheet:
        sheet = self.book.add_worksheet(name)
        sheet.set_paper(_A4)
        if landscape:
            sheet.set_landscape()
        sheet.set_margins(left=0.6, right=0.6, top=0.9, bottom=0.8)
        sheet.fit_to_pages(1, 0)
        sheet.center_horizontally()
        sheet.hide_gridlines(2)
        sheet.set_default_row(_ROW_HEIGHT)
        mark = texts()["sample_mark"]
        sheet.set_header(f'&C&"{HEAD_FACE}"&K{_MARK[1:]}{mark}' if self.figures.is_sample else "")
        sheet.set_footer(f'&C&"{FACE}"— &P —')
        return sheet

    def heading(self, sheet: Worksheet, title: str, width: int) -> None:
        """Title row, and under it the data cut-off and the 演示数据 mark; ``width`` in columns."""
        sheet.set_row(0, 30)
        sheet.set_row(1, 20)
        self.across(sheet, 0, width, title, font_name=HEAD_FACE, font_size=16, align="center")
        place = self.figures.edition.region_name
        parts = [place, wording.month_text(self.figures.period), self.issue_text()]
        parts += [wording.cutoff_text(self.figures), wording.maturity_text(self.figures)]
        look: dict[str, Any] = {"align": "center", "font_color": _QUIET}
        if self.figures.is_sample:
            parts.insert(0, texts()["sample_mark"])
            look["font_color"] = _MARK
        self.across(sheet, 1, width, "　".join(filter(None, parts)), **look)
        if sheet.get_name() != self.words["cover_sheet"]:
            back = self.form(font_color=_LINK, underline=1)
            sheet.write_url(0, width, f"internal:'{self.words['cover_sheet']}'!A1", back, self.words["back"])
            sheet.set_column(width, width, 10)

    def across(self, sheet: Worksheet, row: int, width: int, text: str, **look: Any) -> None:
        """A text over the first ``width`` columns."""
        if width > 1:
            sheet.merge_range(row, 0, row, width - 1, text, self.form(**look))
        else:
            sheet.write_string(row, 0, text, self.form(**look))

    def issue_text(self) -> str:
        number = self.figures.issue_no
        return str(texts()["reissue"]["mark"]).format(number=number) if number else ""

    def cover(self) -> None:
        words, figures = self.words["cover"], self.figures
        sheet = self.sheet(self.words["cover_sheet"], landscape=False)
        sheet.set_column(0, 0, 16)
        sheet.set_column(1, 1, 76)
        self.heading(sheet, texts()["title"], 2)
        notes = texts()["table_notes"]
        lines = [
            (words["period"], wording.month_text(figures.period)),
            (words["region"], figures.edition.region_name),
            (words["issue"], self.issue_text()),
            (words["cutoff"], wording.cutoff_text(figures)),
            (words["maturity"], wording.maturity_text(figures)),
            (words["reason"], figures.maturity_reason),
            (words["coverage"], wording.paragraph(texts()["page"]["coverage"], figures)),
            (words["notes"], "".join(notes[name] for name in words["notes_of"])),
        ]
        if figures.is_sample:
            lines.insert(0, (texts()["sample_mark"], texts()["sample_notice"]))
        row = FIRST_ROW
        for label, text in lines:
            if text:
                sheet.write_string(row, 0, label, self.form(bold=True, border=1, bg_color=_HEAD_FILL))
                sheet.write_string(row, 1, text, self.form(border=1, text_wrap=True))
                sheet.set_row(row, 18 * _lines(text, 74))
                row += 1
        row += 1
        sheet.write_string(row, 0, words["contents"], self.form(font_name=HEAD_FACE))
        for name, title in self.contents():
            row += 1
            sheet.write_string(row, 0, name, self.form())
            link = f"internal:'{name}'!A1"
            sheet.write_url(row, 1, link, self.form(font_color=_LINK, underline=1), title)
        sheet.print_area(0, 0, row, 1)

    def contents(self) -> list[tuple[str, str]]:
        """(sheet, title) of every sheet after the first."""
        found = [(self.words["corrections_sheet"], texts()["reissue"]["title"])] if self.figures.issue_no else []
        found += [(self.names[key], texts()["tables"][key]["title"]) for key in self.tables]
        if self.charts:
            found.append((self.words["charts_sheet"], self.words["charts_title"]))
        return [*found, (self.words["definitions_sheet"], texts()["definitions_title"])]

    def definitions(self) -> None:
        columns = texts()["definitions_columns"].values()
        title = texts()["definitions_title"]
        self.plain(self.words["definitions_sheet"], title, columns, wording.definitions(self.figures), (24, 88, 10))

    def corrections(self) -> None:
        words = texts()["reissue"]
        lines = [
            (one.label, *(words["not_listed"] if text is None else text for text in (one.before, one.now)))
            for one in self.figures.corrections
        ]
        self.plain(self.words["corrections_sheet"], words["title"], words["columns"].values(), lines, (70, 24, 24))

    def plain(
        self, name: str, title: str, columns: Any, lines: Sequence[Sequence[str]], widths: tuple[int, ...]
    ) -> None:
        """A sheet of texts."""
        sheet = self.sheet(name, landscape=sum(widths) > UPRIGHT_WIDTH + 40)
        self.heading(sheet, title, len(widths))
        for at, width in enumerate(widths):
            sheet.set_column(at, at, width)
        head = self.form(font_name=HEAD_FACE, border=1, bg_color=_HEAD_FILL, align="center")
        for at, label in enumerate(columns):
            sheet.write_string(FIRST_ROW, at, label, head)
        for row, line in enumerate(lines, start=FIRST_ROW + 1):
            sheet.set_row(row, 18 * max(_lines(text, width - 2) for text, width in zip(line, widths, strict=True)))
            for at, text in enumerate(line):
                side = "left" if at in (0, 1) and widths[at] > 20 and at < len(line) - 1 else "center"
                sheet.write_string(row, at, text, self.form(border=1, text_wrap=True, align=side))
        sheet.freeze_panes(FIRST_ROW + 1, 0)
        sheet.repeat_rows(FIRST_ROW)
        sheet.print_area(0, 0, FIRST_ROW + len(lines), len(widths) - 1)

    # -- tables ----------------------------------------------------------------------------------------------------

    def table(self, key: str, table: Table) -> Worksheet:
        entry = texts()["tables"][key]
        widths = self.widths(table, entry)
        landscape = sum(widths) > UPRIGHT_WIDTH
        sheet = self.sheet(self.names[key], landscape=landscape)
        self.heading(sheet, entry["title"], len(table.columns))
        head = self.form(font_name=HEAD_FACE, border=1, bg_color=_HEAD_FILL, align="center", text_wrap=True)
        most = 1
        for at, name in enumerate(table.columns):
            lines = wording.header_lines(entry["columns"][name], (widths[at] - 1) / 2)
            most = max(most, len(lines))
            sheet.write_string(FIRST_ROW, at, "\n".join(lines), head)
            sheet.set_column(at, at, widths[at])
        sheet.set_row(FIRST_ROW, max(34, _LINE_HEIGHT * most + 4))
        height = 110.0 + _LINE_HEIGHT * most
        for row, line in enumerate(table.rows, start=FIRST_ROW + 1):
            printed = [cell_text(cell) for cell in line.cells]
            lines_needed = max(_lines(text, width - 2) for text, width in zip(printed, widths, strict=True))
            if lines_needed > 1:
                sheet.set_row(row, _LINE_HEIGHT * lines_needed + 4)
            height += max(_ROW_HEIGHT, _LINE_HEIGHT * lines_needed + 4)
            for at, cell in enumerate(line.cells):
                self.cell(sheet, row, at, cell, is_total=line.is_total)
        last = FIRST_ROW + len(table.rows)
        note = wording.table_note(table)
        if note:
            look = {"font_size": 10, "font_color": _QUIET, "text_wrap": True, "valign": "top"}
            sheet.set_row(last + 1, _LINE_HEIGHT * _lines(note, sum(widths) - 2))
            self.across(sheet, last + 1, len(table.columns), note, **look)
        sheet.freeze_panes(FIRST_ROW + 1, self.frozen(table, widths))
        sheet.repeat_rows(FIRST_ROW)
        body = sum(1 for row in table.rows if not row.is_total)
        if body >= FILTER_ROWS and all(not row.is_total for row in table.rows[:body]):
            sheet.autofilter(FIRST_ROW, 0, FIRST_ROW + body, len(table.columns) - 1)
        sheet.print_area(0, 0, last + 1, len(table.columns) - 1)
        if 1 < _pages(sum(widths), height, landscape=landscape) <= 1 + ROWS_OVER:
            sheet.fit_to_pages(1, 1)
        return sheet

    def widths(self, table: Table, entry: Mapping[str, Any]) -> list[float]:
        """Widths of the columns in characters; together wide enough for the lines over them and a chart below."""
        found: list[float] = []
        for at, name in enumerate(table.columns):
            longest = max(_columns(cell_text(row.cells[at])) for row in table.rows)
            pieces = max(2 * len(piece) for piece in wording.header_pieces(entry["columns"][name]))
            found.append(max(min(longest + 3, WIDEST), min(2 * len(entry["columns"][name]) + 2, max(pieces + 4, 10))))
        # The merged title must fit over the columns, however few they are.
        least = max(2.9 * (len(entry["title"]) + 4), CHART_WIDTH)
        stretch = max(1.0, least / sum(found))
        return [round(width * stretch, 2) for width in found]

    def frozen(self, table: Table, widths: Sequence[float]) -> int:
        """How many columns stay in sight: the leading ones that name the row."""
        count = 0
        for at in range(min(FROZEN_COLUMNS, len(table.columns) - 1)):
            cell = table.rows[0].cells[at]
            if (isinstance(cell, Figure) and cell.unit != "rank") or sum(widths[: at + 1]) > FROZEN_WIDTH:
                break
            count = at + 1
        return count

    def cell(self, sheet: Worksheet, row: int, at: int, cell: str | Figure, *, is_total: bool) -> None:
        look: dict[str, Any] = {"border": 1, "bold": is_total}
        if isinstance(cell, str):
            sheet.write_string(row, at, cell_text(cell), self.form(**look, text_wrap=True))
            return
        value = cell.value
        if isinstance(value, (str, tuple)):
            sheet.write_string(row, at, cell_text(cell), self.form(**look, text_wrap=True))
            return
        look["align"] = "right"
        if value is None or isinstance(value, datetime):
            sheet.write_string(row, at, cell_text(cell), self.form(**look, font_color="#7F7F7F"))
            return
        if cell.unit == "points":
            value = percent(value)  # percentage points are no fraction of anything
        elif cell.unit == "yuan" and isinstance(value, Decimal):
            value = rounded(value, 2)
        sheet.write_number(row, at, float(value), self.form(**look, num_format=NUMBER_FORMATS.get(cell.unit, "#,##0")))

    # -- charts ----------------------------------------------------------------------------------------------------

    def plot_data(self) -> None:
        """One sheet with what the charts draw, in their order and units: a chart draws cells as they stand."""
        width = 1 + max(len(spec.series) for spec in self.charts.values())
        sheet = self.sheet(self.words["charts_sheet"], landscape=False)
        sheet.set_column(0, 0, 44)
        sheet.set_column(1, width - 1, 24)
        self.heading(sheet, self.words["charts_title"], width)
        head = self.form(font_name=HEAD_FACE, border=1, bg_color=_HEAD_FILL, align="center")
        row = FIRST_ROW
        for key, spec in self.charts.items():
            sheet.write_string(row, 0, spec.title, head)
            for at, series in enumerate(spec.series, start=1):
                sheet.write_string(row, at, series.name, head)
            self.plotted[key] = row
            for name in range(len(spec.categories)):
                row += 1
                sheet.write_string(row, 0, spec.ticks[name].replace("\n", ""), self.form(border=1))
                for at, series in enumerate(spec.series, start=1):
                    value = series.values[name]
                    form = self.form(border=1, align="right", num_format=_number_format(series))
                    if value is None:
                        sheet.write_blank(row, at, None, form)
                    else:
                        sheet.write_number(row, at, float(value) / (100 if series.is_percent else 1), form)
            row += 2
        sheet.print_area(0, 0, row, width - 1)

    def chart(self, sheet: Worksheet, under: str, spec: ChartSpec) -> None:
        """A native chart under its table and no wider than it, printed on one page with it."""
        table = self.tables[under]
        widths = self.widths(table, texts()["tables"][under])
        drawn = self.drawing(spec)
        height = 90 + (10 + 18 * len(spec.series)) * len(spec.categories) if spec.shape == "bars" else 340
        drawn.set_size({"width": min(int(sum(widths) * _PIXELS_PER_CHARACTER), 760), "height": height})
        last = FIRST_ROW + len(table.rows) + 1
        sheet.insert_chart(last + 2, 0, drawn, {"description": spec.caption})
        if len(table.rows) <= ROWS_WITH_CHART:
            sheet.fit_to_pages(1, 1)
            sheet.print_area(0, 0, last + 3 + height // _PIXELS_PER_ROW, len(table.columns) - 1)

    def drawing(self, spec: ChartSpec) -> Chart:
        font = {"name": FACE, "size": 10}
        lies = spec.shape == "bars"
        drawn = self.book.add_chart({"type": "bar" if lies else "column"})
        for at, series in enumerate(spec.series):
            if series.draw == "fill":
                fill = {"color": f"#{COLOURS[at]}"}
                drawn.add_series({**self.series(spec, at), "fill": fill, "gap": 60, "overlap": 0})
        tops = spec.axis_tops
        grid: dict[str, Any] = {"visible": True, "line": {"color": "#D9D9D9"}}
        names: dict[str, Any] = {"num_font": font}
        values: dict[str, Any] = {"num_font": font, "num_format": _number_format(spec.series[0]), "min": 0}
        if lies:
            # Of lying bars the y axis bears the names. The first on top; the labels make the numbers' axis redundant.
            drawn.set_y_axis({**names, "reverse": True, "major_tick_mark": "none", "interval_unit": 1})
            drawn.set_x_axis({**values, "visible": False, "major_gridlines": {"visible": False}})
        else:
            drawn.set_x_axis(names)
            drawn.set_y_axis({**values, "major_gridlines": grid, **({"max": tops[0]} if tops else {})})
        lines = [at for at, series in enumerate(spec.series) if series.draw == "line"]
        if lines:
            over = self.book.add_chart({"type": "line"})
            for at in lines:
                over.add_series({**self.series(spec, at), **_line_look(COLOURS[at], spec.series[at])})
            if tops:
                scale = 100 if spec.series[lines[0]].is_percent else 1
                low, high = (end / scale for end in spec.line_range)
                bare = {"label_position": "none", "line": {"none": True}, "major_tick_mark": "none"}
                over.set_y2_axis({"min": low, "max": high, **bare})
            drawn.combine(over)
        drawn.set_title({"name": spec.caption, "name_font": {"name": HEAD_FACE, "size": 12, "bold": False}})
        if len(spec.series) > 1:
            drawn.set_legend({"position": "bottom", "font": font})
        else:
            drawn.set_legend({"none": True})
        return drawn

    def series(self, spec: ChartSpec, at: int) -> dict[str, Any]:
        """Where a series' cells are, and its labels."""
        name, top = self.words["charts_sheet"], self.plotted[spec.key]
        last = top + len(spec.categories)
        label = {"value": True, "num_format": _number_format(spec.series[at]), "font": {"name": FACE, "size": 9}}
        return {
            "name": spec.series[at].name,
            "categories": [name, top + 1, 0, last, 0],
            "values": [name, top + 1, at + 1, last, at + 1],
            "data_labels": label,
        }


def _line_look(colour: str, series: Series) -> dict[str, Any]:
    mark = {"color": f"#{colour}"}
    font = {"name": FACE, "size": 9, "color": f"#{colour}"}
    return {
        "y2_axis": series.is_second,
        "line": {**mark, "width": 2.25},
        "marker": {"type": "circle", "size": 6, "fill": mark, "border": mark},
        "data_labels": {"value": True, "num_format": _number_format(series), "position": "above", "font": font},
    }


def _number_format(series: Series) -> str:
    digits = "0." + "0" * series.places if series.places else "0"
    return f"{digits}%" if series.is_percent else f"#,##{digits}"


def _pages(width: float, height: float, *, landscape: bool) -> float:
    """How many pages a sheet of ``width`` characters and ``height`` points takes, drawn no wider than the page."""
    across, down = (842 - 86, 595 - 122) if landscape else (595 - 86, 842 - 122)  # A4 less the margins
    return height * min(1.0, across / (width * _POINTS_PER_CHARACTER)) / down


def _columns(text: str) -> int:
    """Width of a text in characters of the default type: a Chinese one counts two."""
    return sum(2 if ord(char) > 0x2E7F else 1 for char in text)


def _lines(text: str, room: float) -> int:
    return max(1, -(-_columns(text) // max(int(room), 1)))
