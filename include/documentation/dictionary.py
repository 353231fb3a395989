"""The data dictionary (数据字典.xlsx): tables, columns, bus matrix, indicators and forms, in Chinese."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import xlsxwriter
import yaml
from xlsxwriter.worksheet import Worksheet

from include.documentation.model import TableDescription, tables_of
from include.documentation.pages import Described
from include.forms.model import load_forms
from include.report.packaging import repack
from include.settings import get_settings

FACE, HEAD_FACE = "仿宋", "黑体"
_A4 = 9
_LINE_POINTS = 15.5
# The workbook describes a project, not a moment: the same project gives the same bytes on any day.
_CREATED = datetime(2026, 1, 1)
_WIDTHS = {
    "tables": (13, 30, 10, 72, 42, 14, 8),
    "columns": (13, 30, 6, 32, 16, 6, 6, 34, 60),
    "indicators": (24, 22, 90, 10),
    "forms": (24, 20, 34, 24, 14, 10, 6, 24),
}


@lru_cache(maxsize=1)
def texts() -> Mapping[str, Any]:
    """Words of dictionary and diagram."""
    words: Mapping[str, Any] = yaml.safe_load((Path(__file__).parent / "texts.yaml").read_text("utf-8"))
    return words


def write_dictionary(described: Described, path: Path) -> Path:
    """Write the dictionary to ``path`` (.xlsx); the same project and warehouse give the same bytes."""
    path.write_bytes(dictionary_bytes(described))
    return path


def dictionary_bytes(described: Described) -> bytes:
    """The workbook's bytes."""
    words = texts()["dictionary"]
    buffer = io.BytesIO()
    book = xlsxwriter.Workbook(buffer, {"in_memory": True})
    book.set_properties({"title": words["title"], "author": words["author"], "created": _CREATED})
    tables = tables_of(described.manifest)
    types = _types(described.catalog)
    _Dictionary(book, words).write(tables, types)
    book.close()
    return repack(buffer.getvalue())


def _types(catalog: Mapping[str, Any]) -> dict[tuple[str, str], str]:
    """Types as they stand in the warehouse, by (node id, column); none of a relation that was not built yet."""
    return {
        (node_id, name): column["type"]
        for node_id, node in catalog["nodes"].items()
        for name, column in node["columns"].items()
    }


def _lines(row: Sequence[str | int], widths: Sequence[int]) -> int:
    """Lines that the row's longest text takes: a Chinese character is as wide as two Latin ones."""
    cells = zip(row, widths, strict=True)
    return max(
        math.ceil(sum(2 if ord(one) > 0x2E7F else 1 for one in str(value)) * 1.05 / width) or 1
        for value, width in cells
    )


class _Dictionary:
    def __init__(self, book: xlsxwriter.Workbook, words: Mapping[str, Any]) -> None:
        self.book = book
        self.words = words
        cell = {"font_name": FACE, "font_size": 11, "valign": "vcenter", "border": 1, "border_color": "#BFBFBF"}
        self.text = book.add_format({**cell, "text_wrap": True})
        self.centred = book.add_format({**cell, "align": "center"})
        self.head = book.add_format(
            {**cell, "font_name": HEAD_FACE, "bold": True, "bg_color": "#DDE6F0", "align": "center", "text_wrap": True}
        )
        self.turned = book.add_format({**cell, "font_name": HEAD_FACE, "bg_color": "#DDE6F0", "rotation": 90})
        self.title = book.add_format({"font_name": HEAD_FACE, "font_size": 18, "align": "center"})
        self.plain = book.add_format({"font_name": FACE, "font_size": 12, "text_wrap": True, "valign": "vcenter"})

    def write(self, tables: Sequence[TableDescription], types: Mapping[tuple[str, str], str]) -> None:
        kinds, built = self.words["kinds"], self.words["built"]
        self.cover()
        self.table(
            "tables",
            (
                (
                    one.schema, one.name, kinds[one.kind], one.description, "、".join(one.key),
                    built[one.materialized], len(one.columns),
                )
                for one in tables
            ),
        )  # fmt: skip
        self.table("columns", (row for one in tables for row in self.columns(one, types)))
        self.matrix(tables)
        self.table("indicators", _indicators())
        self.table("forms", self.forms())

    def sheet(self, key: str, *, landscape: bool = True) -> Worksheet:
        sheet = self.book.add_worksheet(self.words["sheets"][key])
        sheet.set_paper(_A4)
        if landscape:
            sheet.set_landscape()
        sheet.fit_to_pages(1, 0)
        sheet.set_footer("&C— &P —")
        return sheet

    def cover(self) -> None:
        sheet = self.sheet("cover", landscape=False)
        sheet.hide_gridlines(2)
        sheet.set_column(0, 0, 76)
        sheet.set_row(0, 42)
        sheet.write_string(0, 0, self.words["title"], self.title)
        for row, line in enumerate(self.words["cover"], start=2):
            sheet.set_row(row, 48)
            sheet.write_string(row, 0, line, self.plain)

    def table(self, key: str, rows: Iterable[Sequence[str | int]]) -> None:
        sheet = self.sheet(key)
        heads = self.words["heads"][key]
        for column, (head, width) in enumerate(zip(heads, _WIDTHS[key], strict=True)):
            sheet.set_column(column, column, width)
            sheet.write_string(0, column, head, self.head)
        last = 0
        for last, row in enumerate(rows, start=1):
            sheet.set_row(last, _LINE_POINTS * _lines(row, _WIDTHS[key]))
            for column, value in enumerate(row):
                if isinstance(value, int):
                    sheet.write_number(last, column, value, self.centred)
                elif value:
                    sheet.write_string(last, column, value, self.text)
                else:
                    sheet.write_blank(last, column, None, self.text)
        sheet.freeze_panes(1, 2)
        sheet.repeat_rows(0)
        sheet.autofilter(0, 0, last, len(heads) - 1)

    def columns(self, table: TableDescription, types: Mapping[tuple[str, str], str]) -> Iterable[tuple[str | int, ...]]:
        yes = self.words["affirmed"]
        refers = {one.column: f"{one.to}.{one.to_column}" for one in table.references}
        for number, column in enumerate(table.columns, start=1):
            yield (
                table.schema, table.name, number, column.name,
                types.get((table.node_id, column.name)) or column.data_type or "",
                yes if column.is_required else "", yes if column.name in table.key else "",
                refers.get(column.name, ""), column.description,
            )  # fmt: skip

    def matrix(self, tables: Sequence[TableDescription]) -> None:
        """Kimball's bus matrix: facts and marts down, the dimensions they refer to across."""
        sheet = self.sheet("matrix")
        dimensions = [one.name for one in tables if one.kind == "dimension"]
        sheet.set_column(0, 0, 34)
        sheet.set_column(1, len(dimensions), 5)
        sheet.set_row(0, 130)
        sheet.write_string(0, 0, self.words["matrix_corner"], self.head)
        for column, name in enumerate(dimensions, start=1):
            sheet.write_string(0, column, name, self.turned)
        for row, one in enumerate((one for one in tables if one.kind in ("fact", "mart")), start=1):
            sheet.write_string(row, 0, one.name, self.text)
            referred = {reference.to for reference in one.references}
            for column, name in enumerate(dimensions, start=1):
                if name in referred:
                    sheet.write_string(row, column, self.words["tick"], self.centred)
                else:
                    sheet.write_blank(row, column, None, self.centred)
        sheet.freeze_panes(1, 1)
        sheet.repeat_rows(0)

    def forms(self) -> Iterable[tuple[str, ...]]:
        yes = self.words["affirmed"]
        for form in load_forms().values():
            for column in form.columns.values():
                yield (
                    form.title_zh, form.name, column.header, column.name, column.type, column.unit or "",
                    yes if column.required else "", self.words["personal"] if column.personal else "",
                )  # fmt: skip


def _indicators() -> Iterable[tuple[str, ...]]:
    seed = get_settings().dbt_project / "seeds" / "indicators.csv"
    with seed.open(encoding="utf-8-sig", newline="") as handle:
        for row in csv.DictReader(handle):
            yield row["indicator"], row["name_zh"], row["definition_zh"], row["unit"]
