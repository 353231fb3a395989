"""What calamine does not tell: hidden rows and columns, formulas never calculated, merges of ods and xlsb.

Also the guard that must run *before* calamine: it lays every sheet out as a dense block, so one stray cell in the far
corner of a sheet would ask for hundreds of gigabytes and end the process. The scanners read the bytes of the container
directly, touch no formula and expand no entity. All rows and columns are 0-based here.
"""

from __future__ import annotations

import io
import re
import struct
import xml.etree.ElementTree as ElementTree
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from xlrd import compdoc

Merge = tuple[int, int, int, int]
"""First row, first column, last row, last column."""
Gap = Literal["formula", "error"]

#: what a damaged or hostile container can raise out of the parsers used here
SCAN_ERRORS: tuple[type[Exception], ...] = (
    zipfile.BadZipFile,
    zlib.error,
    ElementTree.ParseError,
    compdoc.CompDocError,
    struct.error,
    ValueError,
    LookupError,
    EOFError,
    AssertionError,
    NotImplementedError,
    OverflowError,
    TypeError,
    RecursionError,
    OSError,
)


class TooBig(Exception):
    """Inflated size or extent over the limit; ``args[0]`` says in Chinese what was met."""


class EntityExpansion(Exception):
    """An XML part declares a document type: never needed in a workbook, only in an attack."""


@dataclass(slots=True)
class SheetScan:
    """Facts of one sheet.

    ``last_row``/``last_column`` bound the cells with content; ``gaps`` maps (row, column) to ``formula`` (never
    calculated) or ``error`` (#REF! and the like); ``merges`` is ``None`` where calamine gives them.
    """

    last_row: int = -1
    last_column: int = -1
    hidden_rows: set[int] = field(default_factory=set)
    hidden_columns: list[tuple[int, int]] = field(default_factory=list)
    gaps: dict[tuple[int, int], Gap] = field(default_factory=dict)
    merges: list[Merge] | None = None

    def is_column_hidden(self, column: int) -> bool:
        return any(first <= column <= last for first, last in self.hidden_columns)


# --------------------------------------------------------------------------------------------------------------- zip


def inflate_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, data: bytes) -> bytes:
    """Bytes of a member, inflated to its declared size and not one byte more.

    The declared size of a zip directory can lie; a member that goes on after it is refused here, before another
    reader inflates it without a limit. Raises :class:`TooBig`, ``zipfile.BadZipFile``, ``zlib.error``.
    """
    if info.compress_type == zipfile.ZIP_STORED:
        return archive.read(info)
    if info.compress_type != zipfile.ZIP_DEFLATED or info.flag_bits & 1:
        raise zipfile.BadZipFile(f"compression method {info.compress_type}")
    head = info.header_offset
    name_length, extra_length = struct.unpack_from("<HH", data, head + 26)
    start = head + 30 + name_length + extra_length
    stream = zlib.decompressobj(-15)
    content = stream.decompress(data[start : start + info.compress_size], info.file_size + 1)
    if len(content) > info.file_size:
        raise TooBig("压缩包内文件的实际大小超过其声明大小")
    if len(content) < info.file_size:
        raise zipfile.BadZipFile("member is shorter than declared")
    if zlib.crc32(content) != info.CRC:
        # a damaged stream often still inflates, to other figures; not every reader looks at the checksum
        raise zipfile.BadZipFile("member does not match its checksum")
    return content


_ENCODING = re.compile(rb"""<\?xml[^>]{0,200}?\bencoding\s*=\s*["']([^"']*)""")


def refuse_entities(content: bytes) -> None:
    """Raises :class:`EntityExpansion` where an XML part carries a document type declaration, and ``ValueError`` where
    it is written in a character set in which such a declaration would not be seen: every program writes UTF-8."""
    # a single byte is sought ten times as fast as a word, and hardly any part has an exclamation mark
    declares = b"!" in content and (b"<!DOCTYPE" in content or b"<!ENTITY" in content)
    if declares or content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise EntityExpansion
    named = _ENCODING.match(content.removeprefix(b"\xef\xbb\xbf").lstrip())
    if b"\0" in content[:4] or (named and named.group(1).lower() not in (b"utf-8", b"utf8", b"us-ascii", b"ascii")):
        raise ValueError("an XML part is not written in UTF-8")


_STRING_TABLE = re.compile(rb"<(?:[\w.-]+:)?sst\b[^>]*>")
_STATED_COUNT = re.compile(rb"\buniqueCount\s*=\s*[\"']([0-9]+)")


def refuse_false_counts(parts: Mapping[str, bytes]) -> None:
    """Raises ``ValueError`` where a table of strings states more of them than it has bytes: a reader makes room for
    as many as are stated before it looks for them."""
    for name, part in parts.items():
        stated: list[int] = []
        if name.lower().endswith("sharedstrings.xml") and (tag := _STRING_TABLE.search(part)):
            stated = [int(number) for number in _STATED_COUNT.findall(tag.group())]
        elif name.lower().endswith("sharedstrings.bin") and part[:2] == b"\x9f\x01" and len(part) >= 11:
            stated = [struct.unpack_from("<I", part, 7)[0]]
        if any(number > len(part) for number in stated):
            raise ValueError("a table of strings states more of them than it holds")


# -------------------------------------------------------------------------------------------------------------- xlsx

_CELL_REFERENCE = re.compile(rb'\br="([A-Z]{1,3})([0-9]{1,7})"')
_NOT_A_NEAR_CELL = re.compile(rb'<c(?! r="[Aa]?[A-Za-z][0-9]{1,5}")')
_CELL_TAG = re.compile(rb"<c((?:\s+[\w:.-]+\s*=\s*(?:\"[^\"]*\"|'[^']*'))*)\s*(/?)>\s*(</c)?")
_ANY_REFERENCE = re.compile(rb"\sr\s*=\s*[\"']([A-Za-z]+)([0-9]+)[\"']")
_ANY_ROW_NUMBER = re.compile(rb"<row\b[^>]*?\sr\s*=\s*[\"']([0-9]+)[\"']")
# one pass of an expression takes a third of the time of two searches by `in`
_PREFIXED = re.compile(rb":(?:c|row)")
_ANY_PREFIX = re.compile(rb"<(/?)[A-Za-z_][\w.-]*:")
_ROW_NUMBER = re.compile(rb'<row\b[^>]*?\br="([0-9]{1,7})"')
_HIDDEN_ROW = re.compile(rb'<row\b[^>]*?\bhidden="(?:1|true)"[^>]*>')
_HIDDEN = re.compile(rb'hidden="')
_ERROR_TYPE = re.compile(rb't="e"')
_COLUMN = re.compile(rb"<col\b[^>]*>")
_ATTRIBUTE = re.compile(rb'\b(min|max|hidden)="([^"]*)"')
_FORMULA = re.compile(rb"<f[ >/]")
_VALUE = re.compile(rb"<v>([^<]*)</v>")
#: what a sheet without a far cell is bounded by: fewer than 100,000 rows, columns A to AZ
_NEAR_ROWS, _NEAR_COLUMNS = 99_999, 52


def column_number(letters: bytes) -> int:
    """``b'A'`` is 0, ``b'AB'`` is 27."""
    number = 0
    for letter in letters.upper():
        number = number * 26 + letter - 64
    return number - 1


def scan_xlsx_sheet(xml: bytes, *, recalculated_on_load: bool) -> SheetScan:
    """Facts of a worksheet part. ``recalculated_on_load`` says that the program that wrote the workbook left the
    calculation to the reader (``fullCalcOnLoad``): a formula whose stored value is 0 then counts as not calculated."""
    if _PREFIXED.search(xml):
        xml = _ANY_PREFIX.sub(rb"<\1", xml)
    scan = SheetScan()
    body_start = max(xml.find(b"<sheetData"), 0)
    body_end = xml.rfind(b"</sheetData>")
    body_end = len(xml) if body_end < 0 else body_end
    scan.last_row, scan.last_column = _xlsx_extent(xml, body_start + 10, body_end)
    if _HIDDEN.search(xml):
        for match in _HIDDEN_ROW.finditer(xml):
            number = _ROW_NUMBER.match(match.group())
            if number:
                scan.hidden_rows.add(int(number.group(1)) - 1)
        for match in _COLUMN.finditer(xml, 0, body_start):
            attributes = dict(_ATTRIBUTE.findall(match.group()))
            if attributes.get(b"hidden") in (b"1", b"true"):
                scan.hidden_columns.append((int(attributes[b"min"]) - 1, int(attributes[b"max"]) - 1))
    scan.gaps = dict(_xlsx_gaps(xml, body_end, recalculated_on_load))
    return scan


def xlsx_bounds(xml: bytes) -> SheetScan:
    """The extent of a worksheet part and nothing else of what :func:`scan_xlsx_sheet` gives."""
    if _PREFIXED.search(xml):
        xml = _ANY_PREFIX.sub(rb"<\1", xml)
    start, end = max(xml.find(b"<sheetData"), 0), xml.rfind(b"</sheetData>")
    scan = SheetScan()
    scan.last_row, scan.last_column = _xlsx_extent(xml, start + 10, len(xml) if end < 0 else end)
    return scan


#: Rows of an outline: more than a header is sought in, and more than a tail is looked for in.
_OUTLINE_HEAD, _OUTLINE_TAIL = 60, 40
_ROW_END = b"</row>"
_PLACED = re.compile(rb"(<(?:row|c)\b[^>]*?)\sr=\"[A-Z]*[0-9]+\"")


def outline_xlsx_sheet(xml: bytes) -> bytes:
    """The part with the first rows and the last rows that hold something, the latter right below the former.

    A part that is short, or not written as programs usually write it, is given back as it is.
    """
    start, end = xml.find(b"<sheetData>"), xml.rfind(b"</sheetData>")
    if start < 0 or xml.rfind(b"<sheetData") != start or b"<!" in xml or b":row" in xml:
        return xml
    head = start
    for _ in range(_OUTLINE_HEAD):
        found = xml.find(_ROW_END, head, end)
        if found < 0:
            return xml
        head = found + len(_ROW_END)
    last = max(xml.rfind(b"</v>", head, end), xml.rfind(b"</is>", head, end))
    if last < 0:
        return xml[:head] + xml[end:]
    stop = xml.find(_ROW_END, last, end) + len(_ROW_END)
    tail = stop - len(_ROW_END)
    for _ in range(_OUTLINE_TAIL):
        tail = xml.rfind(_ROW_END, head, tail)
        if tail < 0:
            return xml
    # without a place of its own, a row stands behind the row before it, and a cell behind its neighbour
    return xml[:head] + _PLACED.sub(rb"\1", xml[tail + len(_ROW_END) : stop]) + xml[end:]


def _xlsx_extent(xml: bytes, start: int, end: int) -> tuple[int, int]:
    """Bound of the cells with content as (last row, last column).

    Usual sheets are settled by one pass at C speed. Anything written otherwise, or reaching far, is gone through
    tag by tag, by the rules of XML rather than by the habits of known writers: the bound must hold for hostile bytes.
    """
    if xml.find(b"<c", start, end) < 0:
        return -1, -1
    if not _NOT_A_NEAR_CELL.search(xml, start, end):
        return _NEAR_ROWS - 1, _NEAR_COLUMNS - 1
    last_row = last_column = -1
    tags = 0
    unplaced = False
    for tag in _CELL_TAG.finditer(xml, start, end):
        tags += 1
        if tag.group(2) or tag.group(3):
            continue  # formatted, but empty
        if reference := _ANY_REFERENCE.search(tag.group(1)):
            last_row = max(last_row, int(reference.group(2)) - 1)
            last_column = max(last_column, column_number(reference.group(1)))
        else:
            unplaced = True
    if tags != xml.count(b"<c", start, end):
        raise ValueError("a cell tag is not well formed")
    if unplaced:
        # a cell without a reference stands behind its neighbour, in the row that its row element names or counts to
        rows = [int(number) - 1 for number in _ANY_ROW_NUMBER.findall(xml, start, end)]
        last_row = max([last_row, xml.count(b"<row", start, end) - 1, *rows])
        last_column = max(last_column, *(block.count(b"<c") - 1 for block in xml[start:end].split(b"<row")))
    return last_row, last_column


def _xlsx_gaps(xml: bytes, end: int, recalculated_on_load: bool) -> Iterator[tuple[tuple[int, int], Gap]]:
    starts: set[int] = set()
    if b"f" in xml and b"<f" in xml:  # see refuse_entities
        starts.update(xml.rfind(b"<c", 0, match.start()) for match in _FORMULA.finditer(xml, 0, end))
    if error := _ERROR_TYPE.search(xml):
        position = error.start()
        while 0 <= position < end:
            starts.add(xml.rfind(b"<c", 0, position))
            position = xml.find(b't="e"', position + 1)
    for start in sorted(starts):
        stop = xml.find(b"</c>", start)
        cell = xml[start : stop if stop >= 0 else end]
        tag, _, inner = cell.partition(b">")
        reference = _CELL_REFERENCE.search(tag)
        if reference is None:
            continue
        place = int(reference.group(2)) - 1, column_number(reference.group(1))
        value = _VALUE.search(inner)
        if b't="e"' in tag:
            yield place, "error"
        elif b't="str"' in tag or (value is None and b"<is>" in inner):
            continue
        elif value is None or not value.group(1).strip() or (recalculated_on_load and value.group(1).strip() == b"0"):
            yield place, "formula"


# --------------------------------------------------------------------------------------------------------------- ods

_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"


def scan_ods(content: bytes) -> list[SheetScan]:
    """Facts of every table of an OpenDocument ``content.xml``, in order, with merges, within stored repeats."""
    scans: list[SheetScan] = []
    scan = SheetScan(merges=[])
    row = column = next_column = depth = 0
    for event, element in ElementTree.iterparse(io.BytesIO(content), events=("start", "end")):
        tag = element.tag
        if event == "start":
            if tag == _TABLE + "table":
                depth += 1
                if depth == 1:
                    scan, row, next_column = SheetScan(merges=[]), 0, 0
                    scans.append(scan)
            elif tag == _TABLE + "table-row":
                column = 0
            continue
        if tag == _TABLE + "table":
            depth -= 1
            element.clear()
        elif tag == _TABLE + "table-column":
            repeat = int(element.get(_TABLE + "number-columns-repeated", "1"))
            if element.get(_TABLE + "visibility") in ("collapse", "filter"):
                scan.hidden_columns.append((next_column, next_column + repeat - 1))
            next_column += repeat
        elif tag in (_TABLE + "table-cell", _TABLE + "covered-table-cell"):
            repeat = int(element.get(_TABLE + "number-columns-repeated", "1"))
            # a value without text (date, boolean) and text that is no paragraph ask the reader for room all the same
            if len(element) or any(name.startswith(_OFFICE) for name in element.attrib):
                scan.last_row = max(scan.last_row, row)
                scan.last_column = max(scan.last_column, column + repeat - 1)
            spans = (
                int(element.get(_TABLE + "number-rows-spanned", "1")),
                int(element.get(_TABLE + "number-columns-spanned", "1")),
            )
            if spans != (1, 1) and scan.merges is not None:
                scan.merges.append((row, column, row + spans[0] - 1, column + spans[1] - 1))
            if element.get(_TABLE + "formula"):
                text = "".join(element.itertext()).strip()
                if element.get(_OFFICE + "value-type") is None and not text:
                    scan.gaps[row, column] = "formula"
                elif text.startswith(("#", "Err:")) and element.get(_OFFICE + "value-type") == "string":
                    scan.gaps[row, column] = "error"
            column += repeat
        elif tag == _TABLE + "table-row":
            repeat = int(element.get(_TABLE + "number-rows-repeated", "1"))
            if scan.last_row == row:
                scan.last_row = row + repeat - 1
            if element.get(_TABLE + "visibility") in ("collapse", "filter") and repeat < 100_000:
                scan.hidden_rows.update(range(row, row + repeat))
            row += repeat
            element.clear()
    return scans


# -------------------------------------------------------------------------------------------------------------- BIFF

_BIFF_CELLS = frozenset({0x0006, 0x0203, 0x0204, 0x027E, 0x00BD, 0x00FD, 0x00D6, 0x0205, 0x0406, 0x0206})
_BIFF_ERRORS = frozenset({0x00, 0x07, 0x0F, 0x17, 0x1D, 0x24, 0x2A})
_BIFF_ROWS, _BIFF_COLUMNS = 65_536, 256


@dataclass(slots=True)
class BiffScan:
    """Facts of a BIFF workbook stream: ``encrypted`` by FILEPASS, sheets in workbook order."""

    encrypted: bool
    sheets: list[SheetScan]


def biff_stream(data: bytes) -> bytes | None:
    """The workbook stream of an OLE file, ``None`` when it has none. Raises one of ``SCAN_ERRORS``."""
    document = compdoc.CompDoc(data, logfile=io.StringIO(), ignore_workbook_corruption=True)
    for name in ("Workbook", "Book"):
        memory, base, length = document.locate_named_stream(name)
        if memory:
            return bytes(memory[base : base + length])
    return None


def scan_biff(stream: bytes) -> BiffScan:
    """Walks the records of the workbook globals and of every sheet; raises ``struct.error`` where they end early."""
    offsets: list[int] = []
    for identifier, start, length in _records(stream, 0):
        if identifier == 0x002F:
            return BiffScan(encrypted=True, sheets=[])
        if identifier == 0x0085 and length >= 6:
            offsets.append(struct.unpack_from("<I", stream, start)[0])
        elif identifier == 0x000A:
            break
    return BiffScan(encrypted=False, sheets=[_scan_biff_sheet(stream, offset) for offset in offsets])


def _records(stream: bytes, position: int) -> Iterator[tuple[int, int, int]]:
    unpack = struct.Struct("<HH").unpack_from
    end = len(stream) - 4
    while 0 <= position <= end:
        identifier, length = unpack(stream, position)
        if position + 4 + length > len(stream):
            raise struct.error("a record is cut off")
        yield identifier, position + 4, length
        position += 4 + length


def _scan_biff_sheet(stream: bytes, offset: int) -> SheetScan:
    scan = SheetScan()
    place = struct.Struct("<HH").unpack_from
    last_row = last_column = -1
    nested = 0
    for identifier, start, length in _records(stream, offset):
        if identifier in _BIFF_CELLS:
            row, column = place(stream, start)
            if row > last_row:
                last_row = row
            if column > last_column:
                last_column = column
            if identifier == 0x00BD:
                last_column = max(last_column, struct.unpack_from("<H", stream, start + length - 2)[0])
            elif identifier in (0x0006, 0x0406, 0x0206):
                # a result of 0xFFFF....03 is the empty text: what writers store that leave calculating to others
                if stream[start + 12 : start + 14] == b"\xff\xff":
                    if stream[start + 6] == 3:
                        scan.gaps[row, column] = "formula"
                    elif stream[start + 6] == 2:
                        scan.gaps[row, column] = "error"
            elif identifier == 0x0205 and stream[start + 7] == 1 and stream[start + 6] in _BIFF_ERRORS:
                scan.gaps[row, column] = "error"
        elif identifier == 0x0208:
            if length >= 16 and stream[start + 12] & 0x20:
                scan.hidden_rows.add(struct.unpack_from("<H", stream, start)[0])
        elif identifier == 0x0200 and length >= 14:
            _, rows, _, columns = struct.unpack_from("<IIHH", stream, start)
            if rows > _BIFF_ROWS or columns > _BIFF_COLUMNS:
                # a reader makes room for as many cells before it looks for them
                raise ValueError("a sheet is said to be larger than the format allows")
        elif identifier == 0x007D:
            first, last, _, _, options = struct.unpack_from("<5H", stream, start)
            if options & 1:
                scan.hidden_columns.append((first, last))
        elif identifier == 0x0809:
            nested += 1
        elif identifier == 0x000A:
            nested -= 1
            if nested <= 0:
                break
    else:
        raise struct.error("a sheet has no end")
    scan.last_row, scan.last_column = last_row, last_column
    return scan


# -------------------------------------------------------------------------------------------------------------- xlsb


def scan_xlsb_sheet(part: bytes) -> SheetScan:
    """Facts of a binary worksheet part (MS-XLSB): extent, hidden rows and columns, merges, error cells."""
    scan = SheetScan(merges=[])
    assert scan.merges is not None
    row = 0
    position = 0
    while position < len(part):
        identifier, position = _xlsb_number(part, position, 2)
        length, position = _xlsb_number(part, position, 4)
        if identifier == 0:
            row = struct.unpack_from("<I", part, position)[0]
            if part[position + 11] & 0x10:
                scan.hidden_rows.add(row)
        elif 2 <= identifier <= 11:
            column = struct.unpack_from("<I", part, position)[0]
            scan.last_row = max(scan.last_row, row)
            scan.last_column = max(scan.last_column, column)
            if identifier in (3, 11):
                scan.gaps[row, column] = "error"
        elif identifier == 60:
            first, last, _, _, options = struct.unpack_from("<4IH", part, position)
            if options & 1:
                scan.hidden_columns.append((first, last))
        elif identifier == 176:
            first_row, last_row, first_column, last_column = struct.unpack_from("<4I", part, position)
            scan.merges.append((first_row, first_column, last_row, last_column))
        position += length
    return scan


def xlsb_sheets(workbook: bytes) -> list[tuple[str, str]]:
    """(name, relationship id) of the sheets of ``xl/workbook.bin``, in the order of their tabs."""
    sheets: list[tuple[str, str]] = []
    position = 0
    while position < len(workbook):
        identifier, position = _xlsb_number(workbook, position, 2)
        length, position = _xlsb_number(workbook, position, 4)
        if identifier == 156:
            relation_id, after = _xlsb_text(workbook, position + 8)
            sheets.append((_xlsb_text(workbook, after)[0], relation_id))
        position += length
    return sheets


def _xlsb_text(part: bytes, position: int) -> tuple[str, int]:
    characters = struct.unpack_from("<I", part, position)[0]
    if characters == 0xFFFFFFFF:
        return "", position + 4
    end = position + 4 + 2 * characters
    return part[position + 4 : end].decode("utf-16-le"), end


def _xlsb_number(part: bytes, position: int, at_most: int) -> tuple[int, int]:
    number = 0
    for index in range(at_most):
        byte = part[position]
        position += 1
        number |= (byte & 0x7F) << (7 * index)
        if not byte & 0x80:
            break
    return number, position
