"""The workbook of the apprenticeship return: a sheet for the province, one a city, two lists, notes."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from itertools import groupby
from typing import Any

import xlsxwriter
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from include.exports.apprenticeship import DueDay, Progress, Row, words
from include.intake.calendar import last_day
from include.report.packaging import repack

_FACE, _HEAD_FACE = "宋体", "黑体"
_A3, _A4 = 8, 9
_GREY, _LIGHT, _RED = "#EDEDED", "#F7F7F7", "#C00000"
_MONEY, _COUNT = "#,##0.00", "#,##0"
#: title, what the figures are as of, what the half-year is, due day, sample mark or blank
_HEADING_ROWS = 5
_MEASURE_WIDTH, _MONEY_WIDTH, _ROW_HEIGHT = 6.6, 13.2, 20


def _width(text: str) -> int:
    """Width in characters: a Chinese one is as wide as two digits."""
    return sum(2 if ord(letter) > 0x2E7F else 1 for letter in text)


def day_zh(day: date) -> str:
    """``2026年5月31日``."""
    return f"{day.year}年{day.month}月{day.day}日"


def month_zh(period: str) -> str:
    """``2026年5月``."""
    return f"{period[:4]}年{int(period[5:])}月"


def due_zh(due: DueDay, line: str, **fills: Any) -> str:
    """The due day in words, with what kind of day it is."""
    kind = str(words()["due_kinds"][due.kind]).format(
        weekday=words()["weekdays"][due.day.weekday()], before_zh=day_zh(due.last_working_day), year=due.day.year
    )
    return line.format(day_zh=day_zh(due.day), **fills) + kind


def workbook_bytes(progress: Progress) -> bytes:
    """The workbook; the same figures give the same bytes."""
    buffer = io.BytesIO()
    book = xlsxwriter.Workbook(
        buffer, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    )
    book.set_properties(
        {
            "title": words()["title"],
            "author": words()["author"],
            "subject": words()["sample_mark"] if progress.is_sample else "",
            # no clock: the figures are those of the month's end
            "created": datetime(progress.as_of.year, progress.as_of.month, progress.as_of.day),
        }
    )
    _Book(book, progress).write()
    book.close()
    return repack(buffer.getvalue())


class _Book:
    """One workbook while it is written."""

    def __init__(self, book: xlsxwriter.Workbook, progress: Progress) -> None:
        self.book = book
        self.progress = progress
        self.measures: Sequence[Mapping[str, str]] = words()["measures"]
        self._formats: dict[tuple[tuple[str, Any], ...], Format] = {}

    def write(self) -> None:
        self._province()
        for city in (row for row in self.progress.regions if row["level"] == "city"):
            self._city(city)
        self._list("enterprises", self.progress.enterprises)
        self._list("institutions", self.progress.institutions)
        self._notes()

    def form(self, **look: Any) -> Format:
        key = tuple(sorted(look.items()))
        if key not in self._formats:
            self._formats[key] = self.book.add_format(
                {"font_name": _FACE, "font_size": 10, "valign": "vcenter", **look}
            )
        return self._formats[key]

    # -- sheets ----------------------------------------------------------------------------------------------------

    def _province(self) -> None:
        page = self._page(words()["sheets"]["province"], _A3)
        region = str(words()["province"])
        labels = [str(words()["place"]["city"])]
        self._heading(page, words()["titles"]["province"].format(region=region), len(labels) + len(self.measures))
        first = self._measure_header(page, labels, [14.0])
        row = first
        for line in self.progress.regions:
            if line["level"] == "province":
                row = self._measure_row(page, row, [words()["total"]], line, is_total=True)
        for line in self.progress.regions:
            if line["level"] == "city":
                row = self._measure_row(page, row, [line["region_name"]], line)
        self._foot(page, row, [*self._coverage(), words()["blank_note"], words()["layout_note"], *self._ledger()])

    def _city(self, city: Row) -> None:
        page = self._page(str(city["region_name"]), _A3)
        labels = [words()["place"]["county"], words()["occupation"], words()["level"]]
        title = words()["titles"]["province"].format(region=city["region_name"])
        self._heading(page, title, len(labels) + len(self.measures))
        row = self._measure_header(page, labels, [14.0, 20.0, 10.0])
        row = self._measure_row(page, row, [words()["total"], "", ""], city, is_total=True)
        lines = [line for line in self.progress.occupations if line["city_code"] == city["city_code"]]
        for code, of_county in groupby(lines, key=lambda line: line["region_code"]):
            county = self.progress.region(code)
            assert county is not None, code
            row = self._measure_row(page, row, [county["region_name"], words()["subtotal"], ""], county, is_total=True)
            for line in of_county:
                name = line["occupation_name"] or words()["unclassified"]
                row = self._measure_row(page, row, [county["region_name"], name, line["training_level"]], line)
        self._foot(page, row, [words()["blank_note"], words()["layout_note"]])

    def _list(self, name: str, rows: Sequence[Row]) -> None:
        page = self._page(words()["sheets"][name], _A4)
        columns = words()["lists"][name]
        year = self.progress.period[:4]
        self._heading(page, words()["titles"][name].format(year=year), len(columns), is_list=True)
        head = self.form(font_name=_HEAD_FACE, border=1, bg_color=_GREY, align="center", text_wrap=True)
        for at, column in enumerate(columns):
            page.set_column(at, at, column["width"])
            # a unit stands in a line of its own where the column is narrow
            fits = _width(column["header"]) < column["width"]
            page.write_string(_HEADING_ROWS, at, column["header"].replace("（", "（" if fits else "\n（"), head)
        page.set_row(_HEADING_ROWS, 32)
        row = _HEADING_ROWS + 1
        for line in rows:
            most = 1
            for at, column in enumerate(columns):
                value = line[column["column"]]
                if isinstance(value, int):
                    page.write_number(row, at, value, self.form(border=1, num_format=_COUNT))
                elif value:
                    page.write_string(row, at, value, self.form(border=1, text_wrap=True))
                    most = max(most, -(-_width(value) // (int(column["width"]) - 1)))
                else:
                    page.write_blank(row, at, None, self.form(border=1))
            page.set_row(row, max(_ROW_HEIGHT, 14 * most + 4))
            row += 1
        page.freeze_panes(_HEADING_ROWS + 1, 0)
        page.repeat_rows(_HEADING_ROWS)
        notes = [words()["list_notes"][name], words()["blank_note"], words()["layout_note"]]
        self._foot(page, row, notes if rows else [words()["none_note"], *notes])

    def _notes(self) -> None:
        page = self._page(words()["sheets"]["notes"], _A4, landscape=False)
        page.set_column(0, 0, 5)
        page.set_column(1, 1, 84)
        page.write_string(0, 0, words()["titles"]["notes"], self.form(font_name=_HEAD_FACE, font_size=16))
        page.set_row(0, 28)
        lines = [words()["layout_note"], *words()["notes"], words()["blank_note"], *self._ledger()]
        if self.progress.is_sample:
            lines.insert(0, words()["sample_notice"])
        for number, text in enumerate(lines, start=1):
            look = {"font_color": _RED} if text == words()["sample_notice"] else {}
            page.write_number(number, 0, number, self.form(align="center", valign="top"))
            page.write_string(number, 1, text, self.form(text_wrap=True, valign="top", **look))
            page.set_row(number, 15 * -(-_width(text) // 82) + 5)

    # -- parts -----------------------------------------------------------------------------------------------------

    def _page(self, name: str, paper: int, *, landscape: bool = True) -> Worksheet:
        page = self.book.add_worksheet(name)
        page.set_paper(paper)
        if landscape:
            page.set_landscape()
        page.set_margins(left=0.5, right=0.5, top=0.7, bottom=0.7)
        page.fit_to_pages(1, 0)
        page.center_horizontally()
        page.hide_gridlines(2)
        if self.progress.is_sample:
            page.set_header(f'&C&"{_HEAD_FACE},Regular"&KC00000{words()["sample_mark"]}')
        page.set_footer(f'&C&"{_FACE},Regular"&9{words()["footer"]}')
        return page

    def _heading(self, page: Worksheet, title: str, width: int, *, is_list: bool = False) -> None:
        """Title; as of when; the half-year; when it is due; unit, or the sample mark."""
        progress = self.progress
        as_of = str(words()["as_of_line"]).format(as_of_zh=day_zh(progress.as_of))
        half = str(words()["half_line"]).format(
            from_zh=month_zh(progress.half_year_from), to_zh=day_zh(last_day(progress.period))
        )
        if is_list:
            due = due_zh(progress.lists_due, words()["due_lists_line"], year=progress.period[:4])
        else:
            due = due_zh(progress.due, words()["due_line"])
        sample = f"{words()['sample_mark']}　" if progress.is_sample else ""
        lines = [as_of if is_list else f"{as_of}　{half}", due, words()["unit_line"]]
        page.merge_range(0, 0, 0, width - 1, title, self.form(font_name=_HEAD_FACE, font_size=16, align="center"))
        page.set_row(0, 30)
        for row, text in enumerate(lines, start=1):
            page.merge_range(row, 0, row, width - 1, text, self.form(align="center" if row < 3 else "right"))
        look = self.form(align="center", font_color=_RED)
        page.merge_range(4, 0, 4, width - 1, words()["sample_notice"] if sample else "", look)
        if not sample:
            page.set_row(4, 3)

    def _measure_header(self, page: Worksheet, labels: Sequence[str], widths: Sequence[float]) -> int:
        """Two rows of headers; returns the first row below them."""
        head = self.form(font_name=_HEAD_FACE, border=1, bg_color=_GREY, align="center", text_wrap=True)
        top, bottom = _HEADING_ROWS, _HEADING_ROWS + 1
        for at, (label, width) in enumerate(zip(labels, widths, strict=True)):
            page.merge_range(top, at, bottom, at, label, head)
            page.set_column(at, at, width)
        at = len(labels)
        for group, members in groupby(self.measures, key=lambda measure: measure["group"]):
            listed = list(members)
            page.merge_range(top, at, top, at + len(listed) - 1, group, head)
            for measure in listed:
                page.write_string(bottom, at, measure["header"], head)
                page.set_column(at, at, _MONEY_WIDTH if measure["column"].endswith("_yuan") else _MEASURE_WIDTH)
                at += 1
        page.set_row(top, 20)
        page.set_row(bottom, 52)
        page.freeze_panes(bottom + 1, len(labels))
        page.repeat_rows(top, bottom)
        return bottom + 1

    def _measure_row(
        self, page: Worksheet, row: int, labels: Sequence[str], line: Row, *, is_total: bool = False
    ) -> int:
        """One region's or one training's figures; returns the next row."""
        look: dict[str, Any] = {"border": 1}
        if is_total:
            look |= {"bold": True, "bg_color": _LIGHT}
        for at, label in enumerate(labels):
            page.write_string(row, at, label, self.form(**look))
        for at, measure in enumerate(self.measures, start=len(labels)):
            value = line[measure["column"]]
            number_format = _MONEY if measure["column"].endswith("_yuan") else _COUNT
            cell = self.form(num_format=number_format, **look)
            if value is None:
                page.write_blank(row, at, None, cell)
            else:
                page.write_number(row, at, value, cell)
        page.set_row(row, _ROW_HEIGHT)
        return row + 1

    def _foot(self, page: Worksheet, row: int, lines: Sequence[str]) -> None:
        for offset, text in enumerate(lines):
            page.write_string(row + 1 + offset, 0, text, self.form(font_color="#595959"))

    def _coverage(self) -> list[str]:
        carried = sum(int(row["unreported_classes"]) for row in self.progress.regions if row["level"] == "province")
        return [
            str(words()["coverage_line"]).format(
                received=self.progress.received, month_zh=month_zh(self.progress.period), carried=carried
            )
        ]

    def _ledger(self) -> list[str]:
        """The ledgers' advances and payments of the half-year against those that found a class."""
        province = [row for row in self.progress.regions if row["level"] == "province"]

        def of_classes(column: str) -> Any:
            return sum((row[column] or 0) for row in province)

        return [
            str(words()["ledger_line"]).format(
                ledger_advanced=f"{self.progress.ledger_advanced_yuan or 0:,.2f}",
                ledger_paid=f"{self.progress.ledger_paid_yuan or 0:,.2f}",
                class_advanced=f"{of_classes('advanced_in_half_yuan'):,.2f}",
                class_paid=f"{of_classes('paid_in_half_yuan'):,.2f}",
            )
        ]
