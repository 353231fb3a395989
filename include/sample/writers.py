"""Sheets to bytes, by the programs that offices use. The same sheets give the same bytes on any day."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from datetime import date, datetime
from functools import lru_cache
from html import escape
from typing import Any

import openpyxl
import xlsxwriter
import xlwt
from odf import opendocument
from odf import style as odf_style
from odf import table as odf_table
from odf.text import P
from openpyxl.styles import Alignment, Border, Font, Side
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.properties import PageSetupProperties

from include.sample.layout import FRAME_ROWS, HEADER_ROWS, Sheet, Value

CREATED = datetime(2026, 1, 1, 8, 0, 0)
_ZIP_TIME = (2026, 1, 1, 8, 0, 0)
_FORMATS = {"money": "0.00", "date": "yyyy-mm-dd"}
_HEIGHTS = {"title": 33.0, "frame": 21.0, "header": 32.0, "data": 17.0, "total": 19.0, "tail": 19.0}
_A3 = 8
_TITLE_POINTS, _TEXT_POINTS = 20, 10


def _cell_kind(sheet: Sheet, row: int, column: int) -> str:
    kind = sheet.row_kinds[row]
    return sheet.column_kinds[column] if kind == "data" else kind


def write_xlsx(sheets: Sequence[Sheet]) -> bytes:
    """A workbook as Excel or WPS saves it, by XlsxWriter."""
    buffer = io.BytesIO()
    book = xlsxwriter.Workbook(buffer, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False})
    book.set_properties({"author": "演示", "created": CREATED})
    styles = {kind: book.add_format(options) for kind, options in _xlsx_styles().items()}
    for sheet in sheets:
        page = book.add_worksheet(sheet.name)
        page.set_landscape()
        page.set_paper(_A3)
        page.fit_to_pages(1, 0)
        page.repeat_rows(0, FRAME_ROWS + HEADER_ROWS - 1)
        page.freeze_panes(FRAME_ROWS + HEADER_ROWS, 2)
        for column, width in enumerate(sheet.widths):
            page.set_column(column, column, width)
        column_styles = [styles[kind] for kind in sheet.column_kinds]
        covered: dict[int, set[int]] = {}
        for top, left, bottom, right in sheet.merges:
            for row in range(top, bottom + 1):
                covered.setdefault(row, set()).update(range(left, right + 1))
        for number, values in enumerate(sheet.rows):
            kind = sheet.row_kinds[number]
            page.set_row(number, _HEIGHTS[kind], None, {"hidden": number in sheet.hidden_rows})
            row_styles = column_styles if kind == "data" else [styles[kind]] * len(values)
            skip = covered.get(number, set())
            for column, value in enumerate(values):
                if column in skip:
                    continue
                style = row_styles[column]
                if value is None:
                    page.write_blank(number, column, None, style)
                elif isinstance(value, str):
                    page.write_string(number, column, value, style)
                elif isinstance(value, date):
                    page.write_datetime(number, column, datetime(value.year, value.month, value.day), style)
                else:
                    page.write_number(number, column, value, style)
        for top, left, bottom, right in sheet.merges:
            style = styles[_cell_kind(sheet, top, left)]
            page.merge_range(top, left, bottom, right, sheet.rows[top][left], style)
    book.close()
    return buffer.getvalue()


def _xlsx_styles() -> dict[str, dict[str, Any]]:
    plain = {"font_name": "宋体", "font_size": _TEXT_POINTS, "valign": "vcenter"}
    boxed = plain | {"border": 1}
    styles: dict[str, dict[str, Any]] = {
        "title": plain | {"font_name": "黑体", "font_size": _TITLE_POINTS, "bold": True, "align": "center"},
        "frame": plain,
        "tail": plain,
        "header": boxed | {"bold": True, "align": "center", "text_wrap": True},
        "total": boxed | {"bold": True, "align": "center"},
        "text": boxed,
    }
    for kind in ("code", "integer", "decimal"):
        styles[kind] = boxed | {"align": "center"}
    for kind, number_format in _FORMATS.items():
        styles[kind] = boxed | {"align": "center", "num_format": number_format}
    return styles


@lru_cache(maxsize=1)
def _xls_styles() -> Mapping[str, Any]:
    box = "borders: left thin, right thin, top thin, bottom thin;"
    plain = f"font: name 宋体, height {_TEXT_POINTS * 20};"
    bold = plain.replace(",", ", bold on,", 1)
    title = bold.replace("宋体", "黑体").replace(str(_TEXT_POINTS * 20), str(_TITLE_POINTS * 20))
    styles = {
        "title": xlwt.easyxf(f"{title} align: horiz center, vert center;"),
        "frame": xlwt.easyxf(f"{plain} align: vert center;"),
        "tail": xlwt.easyxf(f"{plain} align: vert center;"),
        "header": xlwt.easyxf(f"{bold} align: horiz center, vert center, wrap on; {box}"),
        "total": xlwt.easyxf(f"{bold} align: horiz center, vert center; {box}"),
        "text": xlwt.easyxf(f"{plain} align: vert center; {box}"),
    }
    for kind in ("code", "integer", "decimal"):
        styles[kind] = xlwt.easyxf(f"{plain} align: horiz center, vert center; {box}")
    for kind, number_format in _FORMATS.items():
        styles[kind] = xlwt.easyxf(f"{plain} align: horiz center, vert center; {box}", num_format_str=number_format)
    return styles


def write_xls(sheets: Sequence[Sheet]) -> bytes:
    """A BIFF8 workbook, by xlwt."""
    styles = _xls_styles()
    book = xlwt.Workbook(encoding="utf-8")
    for sheet in sheets:
        page = book.add_sheet(sheet.name, cell_overwrite_ok=True)
        page.portrait = False
        page.paper_size_code = _A3
        page.fit_num_pages = 1
        page.fit_width_to_pages, page.fit_height_to_pages = 1, 0
        page.panes_frozen = True
        page.horz_split_pos = FRAME_ROWS + HEADER_ROWS
        page.vert_split_pos = 2
        for column, width in enumerate(sheet.widths):
            page.col(column).width = int(width * 256)
        for number, values in enumerate(sheet.rows):
            row = page.row(number)
            row.height_mismatch = True
            row.height = int(_HEIGHTS[sheet.row_kinds[number]] * 20)
            for column, value in enumerate(values):
                row.write(column, "" if value is None else value, styles[_cell_kind(sheet, number, column)])
        for top, left, bottom, right in sheet.merges:
            page.merge(top, bottom, left, right)
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def write_openpyxl(sheets: Sequence[Sheet]) -> bytes:
    """A workbook by openpyxl, as offices that use scripts of their own would send it."""
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    book.properties.creator = "演示"
    book.properties.created = CREATED
    thin = Side(style="thin")
    box = Border(left=thin, right=thin, top=thin, bottom=thin)
    for sheet in sheets:
        page = book.create_sheet(sheet.name)
        page.page_setup.orientation = "landscape"
        page.page_setup.paperSize = _A3
        page.page_setup.fitToHeight = 0
        page.sheet_properties.pageSetUpPr = PageSetupProperties(fitToPage=True)
        page.freeze_panes = page.cell(FRAME_ROWS + HEADER_ROWS + 1, 3).coordinate
        styles = {}
        for position, (kind, options) in enumerate(_xlsx_styles().items()):
            model = page.cell(1 + position, 1)
            model.font = Font(name=options["font_name"], size=options["font_size"], bold=options.get("bold", False))
            model.alignment = Alignment(
                horizontal=options.get("align"), vertical="center", wrap_text=options.get("text_wrap", False)
            )
            if "border" in options:
                model.border = box
            model.number_format = options.get("num_format", "General")
            styles[kind] = copy(model._style)
        for column, width in enumerate(sheet.widths, start=1):
            page.column_dimensions[get_column_letter(column)].width = width
        for number, values in enumerate(sheet.rows):
            page.row_dimensions[number + 1].height = _HEIGHTS[sheet.row_kinds[number]]
            for column, value in enumerate(values):
                cell = page.cell(number + 1, column + 1, value)
                # the array of style indices is shared by value; setting font, border … per cell is ten times slower
                cell._style = copy(styles[_cell_kind(sheet, number, column)])
        for top, left, bottom, right in sheet.merges:
            page.merge_cells(start_row=top + 1, start_column=left + 1, end_row=bottom + 1, end_column=right + 1)
    buffer = io.BytesIO()
    book.save(buffer)
    return _fixed_zip(buffer.getvalue())


def write_ods(sheets: Sequence[Sheet]) -> bytes:
    """An OpenDocument spreadsheet, by odfpy."""
    book = opendocument.OpenDocumentSpreadsheet()
    for kind, options in _xlsx_styles().items():
        style = odf_style.Style(name=f"c-{kind}", family="table-cell")
        border = {"border": "0.5pt solid #000000"} if "border" in options else {}
        style.addElement(
            odf_style.TableCellProperties(
                verticalalign="middle", wrapoption="wrap" if options.get("text_wrap") else "no-wrap", **border
            )
        )
        style.addElement(odf_style.ParagraphProperties(textalign=options.get("align", "start")))
        weight = {"fontweight": "bold", "fontweightasian": "bold"} if options.get("bold") else {}
        size = f"{options['font_size']}pt"
        style.addElement(odf_style.TextProperties(fontsize=size, fontsizeasian=size, **weight))
        book.automaticstyles.addElement(style)
    for width in sorted({width for sheet in sheets for width in sheet.widths}):
        style = odf_style.Style(name=f"w-{width:g}", family="table-column")
        style.addElement(odf_style.TableColumnProperties(columnwidth=f"{width * 0.19:.2f}cm"))
        book.automaticstyles.addElement(style)
    for sheet in sheets:
        page = odf_table.Table(name=sheet.name)
        for width in sheet.widths:
            page.addElement(odf_table.TableColumn(stylename=f"w-{width:g}"))
        spans = {(top, left): (bottom - top + 1, right - left + 1) for top, left, bottom, right in sheet.merges}
        covered = {
            (row, column)
            for top, left, bottom, right in sheet.merges
            for row in range(top, bottom + 1)
            for column in range(left, right + 1)
            if (row, column) != (top, left)
        }
        for number, values in enumerate(sheet.rows):
            row = odf_table.TableRow()
            for column, value in enumerate(values):
                style_name = f"c-{_cell_kind(sheet, number, column)}"
                if (number, column) in covered:
                    row.addElement(odf_table.CoveredTableCell(stylename=style_name))
                else:
                    row.addElement(_ods_cell(value, style_name, spans.get((number, column))))
            page.addElement(row)
        book.spreadsheet.addElement(page)
    buffer = io.BytesIO()
    book.write(buffer)
    return _fixed_zip(buffer.getvalue())


def _ods_cell(value: Value, style_name: str, span: tuple[int, int] | None) -> Any:
    options: dict[str, Any] = {"stylename": style_name}
    if span:
        options |= {"numberrowsspanned": span[0], "numbercolumnsspanned": span[1]}
    if value is None:
        return odf_table.TableCell(**options)
    if isinstance(value, str):
        cell = odf_table.TableCell(valuetype="string", **options)
    elif isinstance(value, date):
        cell = odf_table.TableCell(valuetype="date", datevalue=value.isoformat(), **options)
    else:
        cell = odf_table.TableCell(valuetype="float", value=str(value), **options)
    cell.addElement(P(text=str(value)))
    return cell


def write_html(sheets: Sequence[Sheet]) -> bytes:
    """A web page with a table: what a browser export named .xls really is."""
    lines = ['<html><head><meta charset="utf-8"></head><body>']
    for sheet in sheets:
        lines.append("<table border=1>")
        for values in sheet.rows:
            cells = "".join(f"<td>{'' if value is None else escape(str(value))}</td>" for value in values)
            lines.append(f"<tr>{cells}</tr>")
        lines.append("</table>")
    return "\n".join([*lines, "</body></html>"]).encode("utf-8")


def _fixed_zip(data: bytes) -> bytes:
    """The same archive with fixed times, in names and in the document's own properties."""
    stamp = CREATED.strftime("%Y-%m-%dT%H:%M:%SZ").encode()
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(target, "w") as archive:
        for entry in source.infolist():
            content = source.read(entry)
            if entry.filename == "docProps/core.xml":
                content = re.sub(rb"(<dcterms:modified[^>]*>)[^<]*", rb"\g<1>" + stamp, content)
            fixed = zipfile.ZipInfo(entry.filename, date_time=_ZIP_TIME)
            fixed.compress_type = zipfile.ZIP_STORED if entry.filename == "mimetype" else zipfile.ZIP_DEFLATED
            archive.writestr(fixed, content, compresslevel=6)
    return target.getvalue()


WRITERS: Mapping[str, tuple[str, Callable[[Sequence[Sheet]], bytes]]] = {
    "xlsxwriter": (".xlsx", write_xlsx),
    "openpyxl": (".xlsx", write_openpyxl),
    "xlwt": (".xls", write_xls),
    "odf": (".ods", write_ods),
}
"""Writer name of ``counties.yaml`` to file extension and function."""
