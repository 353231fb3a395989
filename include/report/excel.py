"""The annex workbook: every table with its raw figures, native charts, definitions."""

from __future__ import annotations

import io
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import xlsxwriter
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from include.report import wording
from include.report.charts import COLOUR, LINE_COLOUR, ChartSpec, axis_tops, chart
from include.report.model import Figure, ReportFigures, Table
from include.report.numbers import rounded
from include.report.packaging import document_instant, repack
from include.report.wording import cell_text, texts

FACE = "仿宋"
HEAD_FACE = "黑体"
# Ratios go in unrounded, so that the reader can compute on; the number format rounds what is seen.
NUMBER_FORMATS = {"rate": "0.0%", "change": "0.0%", "points": "0.0", "yuan": "#,##0.00", "days": "0.0"}
FIRST_ROW = 3
ROWS_BESIDE_CHART = 20
CHART_CHARACTERS = 84
_A4 = 9
_PIXELS_PER_CHARACTER, _PIXELS_PER_ROW = 7, 20


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


class _Book:
    def __init__(self, book: xlsxwriter.Workbook, figures: ReportFigures) -> None:
        self.book = book
        self.figures = figures
        self.words = texts()["workbook"]
        self._formats: dict[tuple[tuple[str, Any], ...], Format] = {}

    def write(self) -> None:
        self.cover()
        for key, table in self.figures.tables.items():
            if table.rows:
                self.table(key, table)
        self.definitions()

    def form(self, **look: Any) -> Format:
        key = tuple(sorted(look.items()))
        if key not in self._formats:
            self._formats[key] = self.book.add_format({"font_name": FACE, "font_size": 11, "valign": "vcenter", **look})
        return self._formats[key]

    # -- sheets ----------------------------------------------------------------------------------------------------

    def sheet(self, name: str, *, landscape: bool = True) -> Worksheet:
        sheet = self.book.add_worksheet(name)
        sheet.set_paper(_A4)
        if landscape:
            sheet.set_landscape()
        sheet.set_margins(left=0.6, right=0.6, top=0.9, bottom=0.8)
        sheet.fit_to_pages(1, 0)
        sheet.center_horizontally()
        sheet.hide_gridlines(2)
        mark = texts()["sample_mark"]
        sheet.set_header(f'&C&"{HEAD_FACE}"&KC00000{mark}' if self.figures.is_sample else "")
        sheet.set_footer(f'&C&"{FACE}"— &P —')
        return sheet

    def heading(self, sheet: Worksheet, title: str, width: int) -> None:
        """Title row, and under it the data cut-off and the 演示数据 mark."""
        sheet.set_row(0, 30)
        sheet.set_row(1, 20)
        last = max(width - 1, 1)
        sheet.merge_range(
            0,
            0,
            0,
            last,
            f"{title}（{wording.month_text(self.figures.period)}）",
            self.form(font_name=HEAD_FACE, font_size=16, align="center"),
        )
        line = f"{wording.cutoff_text(self.figures)}　{wording.maturity_text(self.figures)}"
        look: dict[str, Any] = {"align": "center", "font_color": "#595959"}
        if self.figures.is_sample:
            line = f"{texts()['sample_mark']}　{line}"
            look["font_color"] = "#C00000"
        sheet.merge_range(1, 0, 1, last, line, self.form(**look))

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
            (words["cutoff"], wording.cutoff_text(figures)),
            (words["maturity"], wording.maturity_text(figures)),
            (words["reason"], figures.maturity_reason),
            (words["coverage"], wording.paragraph(texts()["page"]["coverage"], figures)),
            (
                words["notes"],
                "".join(notes[name] for name in words["notes_of"]),
            ),
        ]
        if figures.is_sample:
            lines.insert(0, (texts()["sample_mark"], texts()["sample_notice"]))
        row = FIRST_ROW
        for label, text in lines:
            if text:
                sheet.write_string(row, 0, label, self.form(bold=True, border=1, bg_color="#EDEDED"))
                sheet.write_string(row, 1, text, self.form(border=1, text_wrap=True))
                sheet.set_row(row, 18 * max(1, -(-len(text) // 38)))
                row += 1
        row += 1
        sheet.write_string(row, 0, words["contents"], self.form(font_name=HEAD_FACE))
        for key, table in figures.tables.items():
            if table.rows:
                row += 1
                name = self.words["sheets"][key]
                sheet.write_string(row, 0, name, self.form())
                title = texts()["tables"][key]["title"]
                sheet.write_url(row, 1, f"internal:'{name}'!A1", self.form(font_color="#1F4E79", underline=1), title)

    def definitions(self) -> None:
        sheet = self.sheet(self.words["definitions_sheet"], landscape=False)
        self.heading(sheet, texts()["definitions_title"], 3)
        for at, width in enumerate((24, 90, 10)):
            sheet.set_column(at, at, width)
        head = self.form(font_name=HEAD_FACE, border=1, bg_color="#EDEDED", align="center")
        for at, label in enumerate(texts()["definitions_columns"].values()):
            sheet.write_string(FIRST_ROW, at, label, head)
        for row, line in enumerate(wording.definitions(self.figures), start=FIRST_ROW + 1):
            sheet.set_row(row, 18 * max(1, -(-len(line[1]) // 42)))
            for at, text in enumerate(line):
                sheet.write_string(
                    row, at, text, self.form(border=1, text_wrap=True, align="center" if at == 2 else "left")
                )
        sheet.freeze_panes(FIRST_ROW + 1, 0)
        sheet.repeat_rows(FIRST_ROW)

    def table(self, key: str, table: Table) -> None:
        entry = texts()["tables"][key]
        sheet = self.sheet(self.words["sheets"][key])
        self.heading(sheet, entry["title"], len(table.columns))
        head = self.form(font_name=HEAD_FACE, border=1, bg_color="#EDEDED", align="center", text_wrap=True)
        labels = sum(1 for name in table.columns if name in ("city", "name", "fund", "item", "rank"))
        widths = [self.width(table, at, entry["columns"][name]) for at, name in enumerate(table.columns)]
        # The merged title must fit over the columns, however few they are.
        least = 2.9 * (len(entry["title"]) + 10)
        if key in texts()["charts"]:
            least = max(least, CHART_CHARACTERS)
        stretch = max(1.0, least / sum(widths))
        most = 1
        for at, name in enumerate(table.columns):
            lines = wording.header_lines(entry["columns"][name], (widths[at] * stretch - 1) / 2)
            most = max(most, len(lines))
            sheet.write_string(FIRST_ROW, at, "\n".join(lines), head)
            sheet.set_column(at, at, widths[at] * stretch)
        sheet.set_row(FIRST_ROW, max(34, 16 * most + 4))
        for row, line in enumerate(table.rows, start=FIRST_ROW + 1):
            for at, cell in enumerate(line.cells):
                self.cell(sheet, row, at, cell, is_total=line.is_total)
        last = FIRST_ROW + len(table.rows)
        note = wording.table_note(table)
        if note:
            sheet.write_string(last + 1, 0, note, self.form(font_size=10, font_color="#595959"))
        sheet.freeze_panes(FIRST_ROW + 1, labels)
        sheet.repeat_rows(FIRST_ROW)
        self.chart(sheet, key, table, sum(width * stretch for width in widths))

    def width(self, table: Table, at: int, title: str) -> float:
        longest = max(
            (sum(2 if ord(char) > 0x2E7F else 1 for char in cell_text(row.cells[at])) for row in table.rows), default=0
        )
        return max(min(longest + 3, 44), min(2 * len(title) + 2, 14))

    def cell(self, sheet: Worksheet, row: int, at: int, cell: str | Figure, *, is_total: bool) -> None:
        look: dict[str, Any] = {"border": 1, "bold": is_total}
        if isinstance(cell, str):
            sheet.write_string(row, at, cell_text(cell), self.form(**look))
            return
        look["align"] = "right"
        value = cell.value
        if value is None or isinstance(value, (str, tuple, datetime)):
            sheet.write_string(row, at, cell_text(cell), self.form(**look, font_color="#7F7F7F"))
            return
        if cell.unit == "yuan" and isinstance(value, Decimal):
            value = rounded(value, 2)
        sheet.write_number(row, at, float(value), self.form(**look, num_format=NUMBER_FORMATS.get(cell.unit, "#,##0")))

    # -- charts ----------------------------------------------------------------------------------------------------

    def chart(self, sheet: Worksheet, key: str, table: Table, characters: float) -> None:
        """A native chart over the sheet's own cells, under the table and no wider than it.

        Table and chart print on one page; beside a long table the chart stays on the screen.
        """
        if key not in texts()["charts"]:
            return
        spec = chart(key, self.figures)
        if spec is None:
            return
        name = self.words["sheets"][key]
        kind = {"bar": "bar", "column": "column", "combo": "column"}[spec.kind]
        drawn = self.book.add_chart({"type": kind})
        value_at = table.columns.index("value" if key == "skill_structure" else "shortage_now")
        rows = self.chart_rows(sheet, spec, table, value_at)
        font = {"name": FACE, "size": 10}
        drawn.add_series(
            {
                "name": texts()["tables"][key]["columns"][table.columns[value_at]],
                "categories": [name, rows[0], rows[2], rows[1], rows[2]],
                "values": [name, rows[0], rows[3], rows[1], rows[3]],
                "fill": {"color": f"#{COLOUR}"},
                "gap": 60,
                "data_labels": {"value": True, "num_format": "#,##0", "font": {"name": FACE, "size": 9}},
            }
        )
        drawn.set_title({"name": spec.caption, "name_font": {"name": HEAD_FACE, "size": 12, "bold": False}})
        drawn.set_x_axis({"num_font": font})
        drawn.set_y_axis(
            {
                "num_font": font,
                "num_format": "#,##0",
                "major_gridlines": {"visible": True, "line": {"color": "#D9D9D9"}},
            }
        )
        if spec.kind == "bar":
            drawn.set_y_axis({"reverse": True, "num_font": font})
            drawn.set_x_axis({"visible": False, "major_gridlines": {"visible": False}})
        drawn.set_legend({"none": True})
        if spec.kind == "combo":
            columns_top, line_top = axis_tops(spec)
            drawn.set_y_axis(
                {
                    "num_font": font,
                    "num_format": "#,##0",
                    "min": 0,
                    "max": columns_top,
                    "major_gridlines": {"visible": True, "line": {"color": "#D9D9D9"}},
                }
            )
            rate_at = table.columns.index("shortage_rate")
            line = self.book.add_chart({"type": "line"})
            line.add_series(
                {
                    "name": spec.line_title,
                    "categories": [name, rows[0], rows[2], rows[1], rows[2]],
                    "values": [name, rows[0], rate_at, rows[1], rate_at],
                    "y2_axis": True,
                    "line": {"color": f"#{LINE_COLOUR}", "width": 2.25},
                    "marker": {
                        "type": "circle",
                        "size": 6,
                        "fill": {"color": f"#{LINE_COLOUR}"},
                        "border": {"color": f"#{LINE_COLOUR}"},
                    },
                    "data_labels": {
                        "value": True,
                        "num_format": "0.0%",
                        "position": "above",
                        "font": {"name": FACE, "size": 9},
                    },
                }
            )
            line.set_y2_axis({"num_font": font, "num_format": "0.0%", "min": 0, "max": line_top / 100})
            drawn.combine(line)
            drawn.set_legend({"position": "bottom", "font": font})
        height = 90 + 26 * len(spec.categories) if spec.kind == "bar" else 340
        width = min(int(characters * _PIXELS_PER_CHARACTER), 760)
        drawn.set_size({"width": width, "height": height})
        last = FIRST_ROW + len(table.rows) + 1
        sheet.insert_chart(last + 2, 0, drawn)
        if len(table.rows) <= ROWS_BESIDE_CHART:
            sheet.fit_to_pages(1, 1)
            last += 3 + height // _PIXELS_PER_ROW
        sheet.print_area(0, 0, last, len(table.columns) - 1)

    def chart_rows(self, sheet: Worksheet, spec: ChartSpec, table: Table, value_at: int) -> tuple[int, int, int, int]:
        """(first row, last row, category column, value column) of the plotted cells.

        A ranked chart of an unranked table reads a sorted copy put beside the printed area, since a chart draws cells
        in order.
        """
        if spec.kind != "bar" or "rank" in table.columns:
            return FIRST_ROW + 1, FIRST_ROW + len(spec.categories), table.columns.index("name"), value_at
        left = len(table.columns) + 2
        for offset, (name, value) in enumerate(zip(spec.categories, spec.values, strict=True), start=FIRST_ROW + 1):
            sheet.write_string(offset, left, name, self.form(font_color="#7F7F7F"))
            sheet.write_number(offset, left + 1, value or 0, self.form(font_color="#7F7F7F", num_format="#,##0"))
        sheet.write_string(FIRST_ROW, left, spec.title, self.form(font_color="#7F7F7F"))
        return FIRST_ROW + 1, FIRST_ROW + len(spec.categories), left, left + 1
