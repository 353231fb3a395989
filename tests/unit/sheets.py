"""Small ugly workbooks for the reader's tests: one form laid out cell by cell, then written by a real library."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import openpyxl
import xlwt
from odf.opendocument import OpenDocumentSpreadsheet
from odf.table import CoveredTableCell, Table, TableCell, TableRow
from odf.text import P

from include.forms.model import header_rows, load_forms
from include.intake.reading import FormTable, WorkbookReading, read_workbook
from include.intake.reporters import Reporter


def reporter(code: str, name: str, city_code: str, city_name: str) -> Reporter:
    return Reporter(code, name, code, city_code, city_name, "市级试点", date(2022, 1, 1), None, True)


LINGSHAN = reporter("450721", "灵山县", "450700", "钦州市")
DONGXING = reporter("450681", "东兴市", "450600", "防城港市")
RONGXIAN = reporter("450921", "容县", "450900", "玉林市")
REPORTERS = (LINGSHAN, DONGXING, RONGXIAN)

ENTERPRISE: dict[str, Any] = {
    "enterprise_name": "灵山糖业有限公司",
    "uscc": "91450721MA5K1A2B3C",
    "county": "灵山县",
    "industry": "农副食品加工业",
    "operating_state": "正常",
    "headcount": 100,
    "managers": 10,
    "professionals": 20,
    "workers": 70,
    "skilled_total": 9,
    "shortage_now": 5,
    "shortage_expansion": 2,
    "training_needed": 3,
}
POST: dict[str, Any] = {
    "enterprise_name": "灵山糖业有限公司",
    "uscc": "91450721MA5K1A2B3C",
    "county": "灵山县",
    "post": "车工",
    "post_category": "技工",
    "shortage_now": 3,
    "shortage_expansion": 1,
}
CLAIM: dict[str, Any] = {
    "item": "职业培训补贴",
    "fund": "就业补助资金",
    "payee_name": "灵山糖业有限公司",
    "applied": 1500.0,
    "status": "申请",
}


@dataclass
class Layout:
    """A sheet before it is written: ``cells`` by 0-based (row, column), ``merges`` as (top, left, bottom, right)."""

    title: str = "Sheet1"
    cells: dict[tuple[int, int], Any] = field(default_factory=dict)
    merges: list[tuple[int, int, int, int]] = field(default_factory=list)
    #: 0-based column of each field of the form
    at: dict[str, int] = field(default_factory=dict)
    #: 0-based row of the first data row
    first: int = 4

    def put(self, row: int, name: str, value: Any) -> None:
        """Writes into data row ``row`` (0-based), column of the field."""
        self.cells[self.first + row, self.at[name]] = value


def lay_out(
    form: str = "enterprise_status",
    rows: Sequence[Mapping[str, Any]] = (ENTERPRISE,),
    *,
    title: str | None = None,
    second_row: Sequence[str] = ("填报单位（盖章）：灵山县人社局", "报告期：2026年10月"),
    order: Sequence[str] | None = None,
    rename: Callable[[str], str] = lambda text: text,
    without: Sequence[str] = (),
    version: str | None = None,
    sheet: str = "Sheet1",
) -> Layout:
    """The official two-row layout of a form with the rows under it; ``order`` reorders columns (groups stay merged
    only where their leaves stay together), ``rename`` changes header texts, ``without`` drops columns."""
    model = load_forms()[form]
    header = header_rows(model, version)
    columns = (model.versions[version] if version else model.current_version).headers
    names = [column.field for column in columns]
    groups = {column.field: column.group for column in columns}
    leaves = {column.field: column.leaf for column in columns}
    assert len(header.rows[0]) == len(names)
    chosen = [name for name in (order or names) if name not in without]
    layout = Layout(sheet)
    layout.cells[0, 0] = title if title is not None else f"灵山县{model.title_zh}"
    for column, text in enumerate(second_row):
        layout.cells[1, column * 4] = text
    start = 0
    for column, name in enumerate(chosen):
        layout.at[name] = column
        group = groups[name]
        if group is None:
            layout.cells[2, column] = rename(leaves[name])
            layout.merges.append((2, column, 3, column))
            continue
        if column == 0 or groups[chosen[column - 1]] != group:
            start = column
            layout.cells[2, column] = rename(group)
        layout.cells[3, column] = rename(leaves[name])
        if (column + 1 == len(chosen) or groups[chosen[column + 1]] != group) and column > start:
            layout.merges.append((2, start, 2, column))
    for number, row in enumerate(rows):
        for name, value in row.items():
            if name in layout.at:
                layout.put(number, name, value)
        if "seq" in layout.at and "seq" not in row:
            layout.put(number, "seq", number + 1)
    return layout


def to_xlsx(*layouts: Layout, adjust: Callable[[openpyxl.Workbook], None] | None = None) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    for layout in layouts:
        sheet = book.create_sheet(layout.title)
        for (row, column), value in layout.cells.items():
            sheet.cell(row + 1, column + 1, value)
        for top, left, bottom, right in layout.merges:
            sheet.merge_cells(start_row=top + 1, start_column=left + 1, end_row=bottom + 1, end_column=right + 1)
    if adjust:
        adjust(book)
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def to_xls(*layouts: Layout, adjust: Callable[[xlwt.Workbook], None] | None = None) -> bytes:
    book = xlwt.Workbook()
    for layout in layouts:
        sheet = book.add_sheet(layout.title)
        merged = {(top, left): (bottom, right) for top, left, bottom, right in layout.merges}
        for (row, column), value in layout.cells.items():
            if (row, column) in merged:
                bottom, right = merged[row, column]
                sheet.write_merge(row, bottom, column, right, value)
            else:
                sheet.write(row, column, value)
    if adjust:
        adjust(book)
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def to_ods(*layouts: Layout) -> bytes:
    document = OpenDocumentSpreadsheet()
    for layout in layouts:
        table = Table(name=layout.title)
        merged = {(top, left): (bottom, right) for top, left, bottom, right in layout.merges}
        covered = {
            (row, column)
            for top, left, bottom, right in layout.merges
            for row in range(top, bottom + 1)
            for column in range(left, right + 1)
        } - merged.keys()
        for row in range(max(key[0] for key in layout.cells) + 1):
            line = TableRow()
            for column in range(max(key[1] for key in layout.cells) + 1):
                value = layout.cells.get((row, column))
                if (row, column) in covered:
                    line.addElement(CoveredTableCell())
                    continue
                options: dict[str, Any] = {}
                if (row, column) in merged:
                    bottom, right = merged[row, column]
                    options = {"numberrowsspanned": bottom - row + 1, "numbercolumnsspanned": right - column + 1}
                if isinstance(value, int | float):
                    cell = TableCell(valuetype="float", value=str(value), **options)
                else:
                    cell = TableCell(valuetype="string", **options) if value is not None else TableCell(**options)
                if value is not None:
                    cell.addElement(P(text=str(value)))
                line.addElement(cell)
            table.addElement(line)
        document.spreadsheet.addElement(table)
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def with_part(data: bytes, name: str, content: bytes | Callable[[bytes], bytes]) -> bytes:
    """The zip with one part replaced, changed or added."""
    source = zipfile.ZipFile(io.BytesIO(data))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as target:
        for item in source.namelist():
            if item != name:
                target.writestr(item, source.read(item))
        old = source.read(name) if name in source.namelist() else b""
        target.writestr(name, content if isinstance(content, bytes) else content(old))
    return buffer.getvalue()


def read(data: bytes, file_name: str = "附件1.xlsx", folder: str | None = None) -> WorkbookReading:
    return read_workbook(data, file_name, folder, REPORTERS)


def only_table(data: bytes, file_name: str = "附件1.xlsx") -> FormTable:
    (table,) = read(data, file_name).tables
    return table


def codes(findings: Sequence[Any]) -> list[str]:
    return [finding.code for finding in findings]
