"""Books to bytes, by different programs and by hand; the same book gives the same bytes on any day."""

from __future__ import annotations

import io
import re
import struct
import zipfile
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from html import escape
from typing import Any

import openpyxl
import xlsxwriter
import xlwt
from odf.element import Element
from odf.opendocument import OpenDocumentSpreadsheet
from odf.style import Style, TableColumnProperties, TableProperties
from odf.table import CoveredTableCell, Table, TableCell, TableColumn, TableRow
from odf.text import P

from include.quality.findings import cell_address
from tests.corpus.book import Book, Formula, Placed, place

CREATED = datetime(2026, 11, 3, 8, 0, 0)
_ZIP_TIME = (2026, 11, 3, 8, 0, 0)


class Grid:
    """One sheet to be written."""

    def __init__(self, name: str, placed: Placed | None, rows: Sequence[Sequence[Any]] = (), hidden: bool = False):
        self.name, self.hidden = name, hidden
        self.cells = {
            (r, c): value for r, row in enumerate(rows) for c, value in enumerate(row) if value not in (None, "")
        }
        self.merges: list[tuple[int, int, int, int]] = []
        self.hidden_rows: set[int] = set()
        self.hidden_columns: set[int] = set()
        if placed is not None:
            self.cells, self.merges = placed.cells, placed.merges
            self.hidden_rows, self.hidden_columns = placed.hidden_rows, placed.hidden_columns

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns, covered ones included."""
        rows = [r for r, _ in self.cells] + [bottom for _, _, bottom, _ in self.merges] + [-1]
        columns = [c for _, c in self.cells] + [right for _, _, _, right in self.merges] + [-1]
        return max(rows) + 1, max(columns) + 1


def write_openpyxl(grids: Sequence[Grid]) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    book.properties.created = CREATED
    for grid in grids:
        sheet = book.create_sheet(grid.name)
        sheet.sheet_state = "hidden" if grid.hidden else "visible"
        for (row, column), value in grid.cells.items():
            cell = sheet.cell(row + 1, column + 1)
            if isinstance(value, Formula):
                cell.value = f"={value.text}"
            else:
                cell.value = value
                if isinstance(value, str):
                    cell.data_type = "s"
                elif isinstance(value, date):
                    cell.number_format = "yyyy-mm-dd"
        for top, left, bottom, right in grid.merges:
            sheet.merge_cells(start_row=top + 1, start_column=left + 1, end_row=bottom + 1, end_column=right + 1)
        for row in grid.hidden_rows:
            sheet.row_dimensions[row + 1].hidden = True
        for column in grid.hidden_columns:
            sheet.column_dimensions[openpyxl.utils.get_column_letter(column + 1)].hidden = True
    buffer = io.BytesIO()
    book.save(buffer)
    return fixed_zip(buffer.getvalue())


def write_xlsxwriter(grids: Sequence[Grid]) -> bytes:
    buffer = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    book = xlsxwriter.Workbook(buffer, options)
    book.set_properties({"created": CREATED})
    day = book.add_format({"num_format": "yyyy-mm-dd"})
    front = next((number for number, grid in enumerate(grids) if not grid.hidden), 0)
    for number, grid in enumerate(grids):
        sheet = book.add_worksheet(grid.name)
        if number == front:
            sheet.activate()
            sheet.set_first_sheet()
        if grid.hidden:
            sheet.hide()
        for top, left, bottom, right in grid.merges:
            if (top, left) != (bottom, right):
                sheet.merge_range(top, left, bottom, right, "")
        for (row, column), value in grid.cells.items():
            if isinstance(value, Formula):
                sheet.write_formula(row, column, f"={value.text}")
            elif isinstance(value, str):
                sheet.write_string(row, column, value)
            elif isinstance(value, date):
                sheet.write_datetime(row, column, datetime(value.year, value.month, value.day), day)
            elif isinstance(value, bool):
                sheet.write_boolean(row, column, value)
            else:
                sheet.write_number(row, column, value)
        for row in grid.hidden_rows:
            sheet.set_row(row, None, None, {"hidden": True})
        for column in grid.hidden_columns:
            sheet.set_column(column, column, None, None, {"hidden": True})
    book.close()
    return buffer.getvalue()


_XLS_DAY = xlwt.easyxf(num_format_str="yyyy-mm-dd")


def write_xlwt(grids: Sequence[Grid]) -> bytes:
    book = xlwt.Workbook(encoding="utf-8")
    for number, grid in enumerate(grids):
        sheet = book.add_sheet(grid.name, cell_overwrite_ok=True)
        sheet.visibility = 1 if grid.hidden else 0
        if not grid.hidden and all(other.hidden for other in grids[:number]):
            book.set_active_sheet(number)
        for (row, column), value in grid.cells.items():
            if isinstance(value, Formula):
                sheet.write(row, column, xlwt.Formula(value.text))
            elif isinstance(value, date):
                sheet.write(row, column, value, _XLS_DAY)
            else:
                sheet.write(row, column, value)
        for top, left, bottom, right in grid.merges:
            sheet.merge(top, bottom, left, right)
        for row in grid.hidden_rows:
            sheet.row(row).hidden = True
        for column in grid.hidden_columns:
            sheet.col(column).hidden = True
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def write_odf(grids: Sequence[Grid]) -> bytes:
    # odfpy declares what any document of the process has used so far: every one begins anew here
    Element.namespaces.clear()
    book = OpenDocumentSpreadsheet()
    hidden_style = Style(name="hidden-sheet", family="table")
    hidden_style.addElement(TableProperties(display="false"))
    book.automaticstyles.addElement(hidden_style)
    plain = Style(name="plain-column", family="table-column")
    plain.addElement(TableColumnProperties(columnwidth="2cm"))
    book.automaticstyles.addElement(plain)
    for grid in grids:
        table = Table(name=grid.name, stylename=hidden_style) if grid.hidden else Table(name=grid.name)
        rows, columns = grid.size
        for column in range(columns):
            options = {"visibility": "collapse"} if column in grid.hidden_columns else {}
            table.addElement(TableColumn(stylename=plain, **options))
        spans = {(top, left): (bottom - top + 1, right - left + 1) for top, left, bottom, right in grid.merges}
        covered = {
            (row, column)
            for top, left, bottom, right in grid.merges
            for row in range(top, bottom + 1)
            for column in range(left, right + 1)
        } - spans.keys()
        for row in range(rows):
            line = TableRow(visibility="collapse") if row in grid.hidden_rows else TableRow()
            for column in range(columns):
                if (row, column) in covered:
                    line.addElement(CoveredTableCell())
                    continue
                line.addElement(_odf_cell(grid.cells.get((row, column)), spans.get((row, column))))
            table.addElement(line)
        book.spreadsheet.addElement(table)
    buffer = io.BytesIO()
    book.write(buffer)
    return fixed_zip(buffer.getvalue())


def _odf_cell(value: Any, span: tuple[int, int] | None) -> Any:
    options: dict[str, Any] = {"numberrowsspanned": span[0], "numbercolumnsspanned": span[1]} if span else {}
    if value is None:
        return TableCell(**options)
    if isinstance(value, Formula):
        return TableCell(formula=f"of:={value.text}", **options)
    if isinstance(value, str):
        cell = TableCell(valuetype="string", **options)
    elif isinstance(value, date):
        cell = TableCell(valuetype="date", datevalue=value.isoformat(), **options)
    else:
        cell = TableCell(valuetype="float", value=str(value), **options)
    for text in str(value).split("\n"):
        cell.addElement(P(text=text))
    return cell


_HIDDEN_SHEET, _HIDDEN_ROW = ' state="hidden"', ' hidden="1"'


def write_by_hand(grids: Sequence[Grid]) -> bytes:
    """OOXML written as text: inline strings, no styles but one for dates, no dimension, no shared strings."""
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    head = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    parts = {
        "[Content_Types].xml": f'{head}<Types xmlns="{package}/content-types"><Default Extension="rels" '
        f'ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" '
        f'ContentType="application/xml"/><Override PartName="/xl/workbook.xml" ContentType="{kind}.sheet.main+xml"/>'
        f'<Override PartName="/xl/styles.xml" ContentType="{kind}.styles+xml"/>'
        + "".join(
            f'<Override PartName="/xl/worksheets/sheet{n}.xml" ContentType="{kind}.worksheet+xml"/>'
            for n in range(1, len(grids) + 1)
        )
        + "</Types>",
        "_rels/.rels": f'{head}<Relationships xmlns="{package}/relationships"><Relationship Id="rId1" '
        f'Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'{head}<workbook xmlns="{main}" xmlns:r="{office}"><sheets>'
        + "".join(
            f'<sheet name="{escape(grid.name)}" sheetId="{n}"{_HIDDEN_SHEET if grid.hidden else ""} r:id="rId{n}"/>'
            for n, grid in enumerate(grids, start=1)
        )
        + "</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": f'{head}<Relationships xmlns="{package}/relationships">'
        + "".join(
            f'<Relationship Id="rId{n}" Type="{office}/worksheet" Target="worksheets/sheet{n}.xml"/>'
            for n in range(1, len(grids) + 1)
        )
        + f'<Relationship Id="rId99" Type="{office}/styles" Target="styles.xml"/></Relationships>',
        "xl/styles.xml": f'{head}<styleSheet xmlns="{main}"><fonts count="1"><font/></fonts><fills count="1"><fill/>'
        '</fills><borders count="1"><border/></borders><cellStyleXfs count="1"><xf/></cellStyleXfs><cellXfs count="2">'
        '<xf numFmtId="0"/><xf numFmtId="14" applyNumberFormat="1"/></cellXfs></styleSheet>',
    }
    for number, grid in enumerate(grids, start=1):
        parts[f"xl/worksheets/sheet{number}.xml"] = head + _sheet_xml(grid, main)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            archive.writestr(zipfile.ZipInfo(name, date_time=_ZIP_TIME), text.encode(), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _sheet_xml(grid: Grid, namespace: str) -> str:
    rows: dict[int, list[tuple[int, Any]]] = {row: [] for row in grid.hidden_rows}
    for (row, column), value in sorted(grid.cells.items(), key=lambda item: item[0]):
        rows.setdefault(row, []).append((column, value))
    lines = [f'<worksheet xmlns="{namespace}">']
    if grid.hidden_columns:
        columns = "".join(f'<col min="{c + 1}" max="{c + 1}" hidden="1"/>' for c in sorted(grid.hidden_columns))
        lines.append(f"<cols>{columns}</cols>")
    lines.append("<sheetData>")
    for row in sorted(rows):
        lines.append(f'<row r="{row + 1}"{_HIDDEN_ROW if row in grid.hidden_rows else ""}>')
        for column, value in rows[row]:
            at = cell_address(row + 1, column)
            if isinstance(value, Formula):
                lines.append(f'<c r="{at}"><f>{escape(value.text)}</f></c>')
            elif isinstance(value, str):
                lines.append(f'<c r="{at}" t="inlineStr"><is><t xml:space="preserve">{escape(value)}</t></is></c>')
            elif isinstance(value, date):
                lines.append(f'<c r="{at}" s="1"><v>{(value - date(1899, 12, 30)).days}</v></c>')
            else:
                lines.append(f'<c r="{at}"><v>{value!r}</v></c>')
        lines.append("</row>")
    lines.append("</sheetData>")
    if grid.merges:
        spans = "".join(
            f'<mergeCell ref="{cell_address(top + 1, left)}:{cell_address(bottom + 1, right)}"/>'
            for top, left, bottom, right in grid.merges
            if (top, left) != (bottom, right)
        )
        lines.append(f'<mergeCells count="{len(grid.merges)}">{spans}</mergeCells>')
    lines.append("</worksheet>")
    return "".join(lines)


def _text_rows(grid: Grid) -> list[list[str]]:
    rows, columns = grid.size
    return [
        ["" if (value := grid.cells.get((row, column))) is None else str(value) for column in range(columns)]
        for row in range(rows)
    ]


def write_html(grids: Sequence[Grid]) -> bytes:
    """What a web system exports as .xls."""
    tables = "".join(
        "<table>"
        + "".join("<tr>" + "".join(f"<td>{escape(c)}</td>" for c in row) + "</tr>" for row in _text_rows(grid))
        + "</table>"
        for grid in grids
    )
    return f'<html><head><meta charset="utf-8"></head><body>{tables}</body></html>'.encode()


def write_xml2003(grids: Sequence[Grid]) -> bytes:
    """XML spreadsheet 2003."""
    namespace = "urn:schemas-microsoft-com:office:spreadsheet"
    sheets = "".join(
        f'<Worksheet ss:Name="{escape(grid.name)}"><Table>'
        + "".join(
            "<Row>" + "".join(f'<Cell><Data ss:Type="String">{escape(c)}</Data></Cell>' for c in row) + "</Row>"
            for row in _text_rows(grid)
        )
        + "</Table></Worksheet>"
        for grid in grids
    )
    return f'<?xml version="1.0"?><Workbook xmlns="{namespace}" xmlns:ss="{namespace}">{sheets}</Workbook>'.encode()


def write_tabbed(grids: Sequence[Grid]) -> bytes:
    """Tab-separated text in the code page of Chinese Windows."""
    rows = [row for grid in grids for row in _text_rows(grid)]
    return "\r\n".join("\t".join(" ".join(cell.split()) for cell in row) for row in rows).encode("gb18030")


def write_comma(grids: Sequence[Grid]) -> bytes:
    rows = [row for grid in grids for row in _text_rows(grid)]
    return "\r\n".join(",".join(" ".join(cell.split()) for cell in row) for row in rows).encode()


def fixed_zip(data: bytes) -> bytes:
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
            archive.writestr(fixed, content)
    return target.getvalue()


def with_part(data: bytes, name: str, content: bytes | Callable[[bytes], bytes]) -> bytes:
    """The zip with one part replaced, changed or added."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        old = b""
        for entry in source.infolist():
            if entry.filename == name:
                old = source.read(entry)
            else:
                archive.writestr(zipfile.ZipInfo(entry.filename, _ZIP_TIME), source.read(entry), zipfile.ZIP_DEFLATED)
        new = content if isinstance(content, bytes) else content(old)
        archive.writestr(zipfile.ZipInfo(name, _ZIP_TIME), new, zipfile.ZIP_DEFLATED)
    return target.getvalue()


def ole_container(*streams: str) -> bytes:
    """An OLE file whose directory names these streams: enough to be taken for what the names say."""
    header = bytearray(512)
    header[:8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
    entries = b""
    for name in streams:
        encoded = name.encode("utf-16-le") + b"\0\0"
        entries += encoded.ljust(64, b"\0") + struct.pack("<H", len(encoded)) + bytes(62)
    return bytes(header) + entries


Writer = Callable[[Sequence[Grid]], bytes]
WRITERS: Mapping[str, tuple[str, Writer]] = {
    "openpyxl": (".xlsx", write_openpyxl),
    "xlsxwriter": (".xlsx", write_xlsxwriter),
    "by-hand": (".xlsx", write_by_hand),
    "xlwt": (".xls", write_xlwt),
    "odfpy": (".ods", write_odf),
    "html": (".xls", write_html),
    "xml2003": (".xls", write_xml2003),
    "tabbed": (".xls", write_tabbed),
    "comma": (".xlsx", write_comma),
}
"""Name of a writer -> usual extension and function; ``libreoffice-*`` are converted in one batch."""


def grids_of(book: Book) -> tuple[list[Grid], dict[int, Placed]]:
    """The sheets to write, and where the lines of each page came to stand."""
    placed = {id(page): place(page) for page in book.pages}
    grids = [Grid(page.name, placed[id(page)], hidden=page.hidden) for page in book.pages]
    grids += [Grid(name, None, rows, hidden) for name, (rows, hidden) in book.side.items()]
    return grids, placed


def write(book: Book) -> tuple[bytes, dict[int, Placed]]:
    """Bytes of a book by its writer, patches applied."""
    grids, placed = grids_of(book)
    data = WRITERS[book.writer][1](grids)
    for patch in book.patches:
        data = patch(data)
    return data, placed
