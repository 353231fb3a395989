"""Opens a workbook by its content, or says in a finding why it is not opened.

The extension is never believed. Everything that is not a plain xls, xlsx, xlsb or ods workbook is refused with what it
is; sizes are bounded before a reader sees the bytes; no formula, macro, link or entity is ever evaluated.
"""

from __future__ import annotations

import codecs
import io
import math
import re
import xml.etree.ElementTree as ElementTree
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import PurePosixPath
from typing import Any, Literal

from python_calamine import CalamineError, CalamineWorkbook, PasswordError, SheetTypeEnum, SheetVisibleEnum

from include.intake.limits import load_limits
from include.intake.scanning import (
    SCAN_ERRORS,
    EntityExpansion,
    Merge,
    SheetScan,
    TooBig,
    biff_stream,
    inflate_member,
    outline_xlsx_sheet,
    refuse_entities,
    refuse_false_counts,
    scan_biff,
    scan_ods,
    scan_xlsb_sheet,
    scan_xlsx_sheet,
    xlsb_sheets,
    xlsx_bounds,
)
from include.quality.findings import Finding

FileKind = Literal["xlsx", "xls", "ods", "xlsb"]

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_EXTENSIONS: dict[str, frozenset[str]] = {
    "xlsx": frozenset({".xlsx"}),
    "xls": frozenset({".xls", ".et"}),
    "ods": frozenset({".ods"}),
    "xlsb": frozenset({".xlsb"}),
}
_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"%PDF", "PDF 文档"),
    (b"Rar!", "RAR 压缩包"),
    (b"7z\xbc\xaf", "7z 压缩包"),
    (b"\x1f\x8b", "gzip 压缩包"),
    (b"\x89PNG", "PNG 图片"),
    (b"\xff\xd8\xff", "JPEG 图片"),
    (b"BM", "BMP 图片"),
    (b"{\\rtf", "RTF 文档"),
    (b"MZ", "可执行程序"),
    (b"SQLite format 3", "数据库文件"),
    (b"\x09\x00\x04\x00", "过旧版本的 Excel 文件"),
    (b"\x09\x02\x06\x00", "过旧版本的 Excel 文件"),
    (b"\x09\x04\x06\x00", "过旧版本的 Excel 文件"),
)
_OLE_DOCUMENTS = (("WordDocument", "Word 文档"), ("PowerPoint Document", "演示文稿"), ("__properties", "邮件"))
#: parts that a reader inflates: pictures may shrink a thousandfold, but nobody unpacks them
_READ_PARTS = (".xml", ".rels", ".bin")
_MACRO_NAMES = ("vbaproject.bin", "xl/macrosheets/", "basic/", "scripts/", "xl/activex/")

_READ_ERRORS: tuple[type[Exception], ...] = (CalamineError, *SCAN_ERRORS)

Cell = Any
"""What calamine gives: float, int, str, bool, date, datetime, time, timedelta; ``""`` for an empty cell."""


class Refused(Exception):
    """The file is not opened; ``finding`` says why."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.code)
        self.finding = finding


@dataclass(slots=True)
class Sheet:
    """One worksheet as a block from A1: ``rows[r][c]`` with 0-based numbers, ``""`` for empty."""

    name: str
    visible: bool
    rows: list[list[Cell]]
    merges: Sequence[Merge]
    scan: SheetScan


@dataclass(slots=True)
class Workbook:
    """An opened workbook: its real kind, its worksheets in order, findings that do not refuse it."""

    kind: FileKind
    sheets: list[Sheet]
    findings: list[Finding]


def _refuse(code: str, file_name: str, **params: Any) -> Refused:
    return Refused(Finding(code, params={"file": file_name, **params}))


def too_large(size_bytes: int, file_name: str) -> Refused:
    """The refusal of a file by its size alone, so that nobody need read it to refuse it."""
    limit = load_limits().file_bytes // 1048576
    return _refuse("E-FILE-003", _shown(file_name), size=f"{size_bytes / 1048576:.1f}", limit=limit)


def _shown(file_name: str) -> str:
    return PurePosixPath(file_name.replace("\\", "/")).name or "（无名）"


def open_workbook(data: bytes, file_name: str, *, outline: bool = False) -> Workbook:
    """The workbook of the bytes.

    Args:
        data: whole file.
        file_name: only for messages and the note on a wrong extension.
        outline: of the long sheets of an .xlsx only the first and the last rows, moved together, and no facts beside
            the cells: a seventh of the work, and enough to see which form a sheet holds. Every limit is kept.

    Raises:
        Refused: with an ``E-FILE-...`` finding, for everything that is not a safe, readable workbook.
    """
    shown = _shown(file_name)
    if not data.strip(b"\0 \t\r\n"):
        raise _refuse("E-FILE-001", shown)
    if len(data) > load_limits().file_bytes:
        raise too_large(len(data), file_name)
    try:
        kind, scans, bounded = _inspect(data, shown, outline)
    except TooBig as error:
        raise _refuse("E-FILE-007", shown, reason=error.args[0]) from error
    except EntityExpansion as error:
        raise _refuse("E-FILE-008", shown) from error
    except SCAN_ERRORS as error:
        raise _refuse("E-FILE-006", shown, reason="文件结构不完整") from error
    for name, scan in scans.items():
        _check_extent(scan.last_row + 1, scan.last_column + 1, name, shown)
    sheets = _read(bounded, scans, shown)
    findings = []
    extension = PurePosixPath(shown).suffix.lower()
    if extension not in _EXTENSIONS[kind]:
        named = extension or "（无）"
        findings.append(Finding("W-FILE-001", params={"file": shown, "extension": named, "kind": f".{kind}"}))
    return Workbook(kind, sheets, findings)


def _check_extent(rows: int, columns: int, sheet: str, file_name: str) -> None:
    if rows * columns > load_limits().cells:
        extent = {"file": file_name, "sheet": sheet, "rows": rows, "columns": columns}
        raise Refused(Finding("E-FILE-010", sheet=sheet, params=extent))


# --------------------------------------------------------------------------------------------- what the bytes are


_Inspected = tuple[FileKind, dict[str, SheetScan], bytes]
"""Kind of a file, the scan of each sheet by name (xls: by position, as ``#0``, ``#1`` ...), the bytes to read."""


def _inspect(data: bytes, file_name: str, outline: bool) -> _Inspected:
    if data[:4] == b"PK\x03\x04":
        return _inspect_zip(data, file_name, outline)
    if data[:8] == _OLE:
        return *_inspect_ole(data, file_name), data
    raise _refuse("E-FILE-002", file_name, kind=_foreign_kind(data))


def _foreign_kind(data: bytes) -> str:
    for magic, kind in _MAGIC:
        if data.startswith(magic):
            return kind
    text = _as_text(data[:65536])
    if text is None:
        return "无法识别的二进制文件"
    head = text.lstrip("\ufeff \t\r\n").lower()
    if head.startswith("mime-version") or "content-type: multipart/related" in head[:2000]:
        return "网页归档文件（MHT）"
    if head.startswith(("<html", "<!doctype html", "<table", "<head", "<body")) or "<table" in head[:4096]:
        return "网页（HTML）"
    if head.startswith("<?xml") or head.startswith("<workbook"):
        return "XML 文本（XML 表格）" if "spreadsheet" in head[:4096] else "XML 文本"
    lines = [line for line in text.splitlines() if line.strip()][:20]
    if lines and sum("\t" in line for line in lines) * 2 > len(lines):
        return "制表符分隔的文本"
    if lines and sum("," in line or "，" in line for line in lines) * 2 > len(lines):
        return "逗号分隔的文本（CSV）"
    return "纯文本"


def _as_text(data: bytes) -> str | None:
    if data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return data.decode("utf-16", errors="replace")
    if b"\0" in data:
        return None
    for encoding in ("utf-8", "gb18030"):
        try:
            return codecs.getincrementaldecoder(encoding)().decode(data)
        except UnicodeDecodeError:
            continue
    return None


def _inspect_ole(data: bytes, file_name: str) -> tuple[FileKind, dict[str, SheetScan]]:
    def holds(name: str) -> bool:
        return name.encode("utf-16-le") + b"\0\0" in data

    if holds("EncryptedPackage") or holds("EncryptionInfo"):
        raise _refuse("E-FILE-004", file_name)
    if not holds("Workbook") and not holds("Book"):
        for name, kind in _OLE_DOCUMENTS:
            if name.encode("utf-16-le") in data:
                raise _refuse("E-FILE-002", file_name, kind=kind)
        raise _refuse("E-FILE-006", file_name, reason="找不到工作簿内容")
    if holds("_VBA_PROJECT_CUR") or holds("_VBA_PROJECT"):
        raise _refuse("E-FILE-005", file_name)
    stream = biff_stream(data)
    if stream is None:
        raise _refuse("E-FILE-006", file_name, reason="找不到工作簿内容")
    scan = scan_biff(stream)
    if scan.encrypted:
        raise _refuse("E-FILE-004", file_name)
    return "xls", {f"#{index}": sheet for index, sheet in enumerate(scan.sheets)}


def _inspect_zip(data: bytes, file_name: str, outline: bool) -> _Inspected:
    archive = zipfile.ZipFile(io.BytesIO(data))
    members = archive.infolist()
    names = [member.filename for member in members]
    lowered = [name.lower() for name in names]
    limits = load_limits()
    if len(members) > limits.members:
        raise TooBig(f"含 {len(members)} 个内部文件")
    if len(set(lowered)) != len(lowered):
        raise zipfile.BadZipFile("a member stands twice")
    total = sum(member.file_size for member in members)
    if total > limits.inflated_bytes:
        raise TooBig(f"解压后 {total // 1048576} MB，上限 {limits.inflated_bytes // 1048576} MB")
    read = [member for member in members if member.filename.endswith(_READ_PARTS)]
    for inflated, stored in (
        # parts may lie over one another in the file: all together they are not stored in more than its size
        (sum(m.file_size for m in read), min(sum(m.compress_size for m in read), len(data))),
        *((member.file_size, member.compress_size) for member in read),
    ):
        if inflated > max(limits.expansion_checked_bytes, limits.expansion_ratio * stored):
            times = f"{inflated // max(stored, 1)} 倍，上限 {limits.expansion_ratio:g} 倍"
            raise TooBig(f"解压后是压缩前的 {times}")
    if any(member.flag_bits & 1 for member in members):
        raise _refuse("E-FILE-004", file_name)
    kind = _zip_kind(archive, set(names), file_name)
    if any(name.endswith(_MACRO_NAMES[0]) or name.startswith(_MACRO_NAMES[1:]) for name in lowered):
        raise _refuse("E-FILE-005", file_name)
    # every part that a reader may inflate is inflated here first, to its declared size and no further
    parts = {
        member.filename: inflate_member(archive, member, data)
        for member in members
        if member.filename.endswith(_READ_PARTS)
    }
    for name, content in parts.items():
        if name.endswith((".xml", ".rels")):
            refuse_entities(content)
    refuse_false_counts(parts)
    if kind == "ods":
        if b"encryption-data" in parts.get("META-INF/manifest.xml", b""):
            raise _refuse("E-FILE-004", file_name)
        return kind, {f"#{index}": scan for index, scan in enumerate(scan_ods(parts["content.xml"]))}, data
    if b"macroEnabled" in parts.get("[Content_Types].xml", b""):
        raise _refuse("E-FILE-005", file_name)
    sheet_parts = _sheet_parts(parts, kind)
    if len(sheet_parts) > limits.sheets:
        raise TooBig(f"含 {len(sheet_parts)} 个工作表")
    if kind == "xlsb":
        return kind, {name: scan_xlsb_sheet(parts[part]) for name, part in sheet_parts.items()}, data
    if outline:
        # what is read is bounded, and nothing else is read
        short = {part: outline_xlsx_sheet(parts[part]) for part in sheet_parts.values()}
        scans = {name: xlsx_bounds(short[part]) for name, part in sheet_parts.items()}
        return kind, scans, _stored_zip(parts | short)
    on_load = re.search(rb'fullCalcOnLoad="(?:1|true)"', parts.get("xl/workbook.xml", b"")) is not None
    facts = {name: scan_xlsx_sheet(parts[part], recalculated_on_load=on_load) for name, part in sheet_parts.items()}
    return kind, facts, data


def _stored_zip(parts: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _zip_kind(archive: zipfile.ZipFile, names: set[str], file_name: str) -> FileKind:
    if "xl/workbook.bin" in names:
        return "xlsb"
    if "xl/workbook.xml" in names:
        return "xlsx"
    kind = "压缩包"
    if "mimetype" in names:
        mimetype = archive.open("mimetype").read(100).decode("ascii", errors="replace")
        if mimetype.startswith("application/vnd.oasis.opendocument.spreadsheet") and "content.xml" in names:
            return "ods"
        kind = "OpenDocument 文档" if "opendocument" in mimetype else kind
    elif any(name.startswith("word/") for name in names):
        kind = "Word 文档"
    elif any(name.startswith("ppt/") for name in names):
        kind = "演示文稿"
    elif any(name.lower().endswith(".xml") and "workbook" in name.lower() for name in names):
        raise zipfile.BadZipFile("workbook part is not where it should be")
    raise _refuse("E-FILE-002", file_name, kind=kind)


_RELATIONSHIP_ID = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_STRICT_RELATIONSHIP_ID = "{http://purl.oclc.org/ooxml/officeDocument/relationships}id"


def _sheet_parts(parts: dict[str, bytes], kind: FileKind) -> dict[str, str]:
    """Name of the worksheet part by sheet name, in workbook order: the number in it says nothing of its sheet."""
    main = "xl/workbook.bin" if kind == "xlsb" else "xl/workbook.xml"
    targets = {}
    for relation in ElementTree.fromstring(parts[f"xl/_rels/{main.removeprefix('xl/')}.rels"]):
        target = relation.get("Target", "")
        targets[relation.get("Id", "")] = target.lstrip("/") if target.startswith("/") else f"xl/{target}"
    if kind == "xlsb":
        named = [(name, targets.get(relation_id, "")) for name, relation_id in xlsb_sheets(parts[main])]
        if len({name for name, _ in named}) != len(named):
            raise zipfile.BadZipFile("two sheets of one name")
        return {name: part for name, part in named if part.startswith("xl/worksheets/") and part in parts}
    sheets = {}
    for element in ElementTree.fromstring(parts[main]).iter():
        if element.tag.rpartition("}")[2] == "sheet":
            relation_id = element.get(_RELATIONSHIP_ID) or element.get(_STRICT_RELATIONSHIP_ID) or ""
            if element.get("name", "") in sheets:
                raise zipfile.BadZipFile("two sheets of one name")  # readers differ in which of them they take
            part = targets.get(relation_id, "")
            content = parts.get(part)
            if content is not None and (b"sheetData" in content or b"<sheetData" in content):
                sheets[element.get("name", "")] = part
    return sheets


# ------------------------------------------------------------------------------------------------ what stands in it


def _read(data: bytes, scans: dict[str, SheetScan], file_name: str) -> list[Sheet]:
    try:
        return _read_sheets(data, scans, file_name)
    except PasswordError as error:
        raise _refuse("E-FILE-004", file_name) from error
    except TooBig as error:
        raise _refuse("E-FILE-007", file_name, reason=error.args[0]) from error
    except _READ_ERRORS as error:
        raise _refuse("E-FILE-006", file_name, reason="读取程序无法打开") from error
    except BaseException as error:
        # a panic of the Rust reader arrives as an exception beside the Exception tree
        if type(error).__module__ != "pyo3_runtime":
            raise
        raise _refuse("E-FILE-006", file_name, reason="读取程序无法打开") from error


def _read_sheets(data: bytes, scans: dict[str, SheetScan], file_name: str) -> list[Sheet]:
    book = CalamineWorkbook.from_filelike(io.BytesIO(data))
    if len(book.sheets_metadata) > load_limits().sheets:
        raise TooBig(f"含 {len(book.sheets_metadata)} 个工作表")
    sheets = []
    for index, metadata in enumerate(book.sheets_metadata):
        if metadata.typ != SheetTypeEnum.WorkSheet:
            continue
        scan = scans.get(metadata.name) or scans.get(f"#{index}")
        if scan is None:
            # nothing bounded it, so it is not read; to pass it over would lose what stands in it
            raise _refuse("E-FILE-006", file_name, reason=f"工作表“{metadata.name}”的内容找不到")
        source = book.get_sheet_by_index(index)
        _check_extent(source.total_height, source.total_width, metadata.name, file_name)
        if scan.merges is None:
            ranges = source.merged_cell_ranges or ()
            merges: Sequence[Merge] = [(r0, c0, r1, c1) for (r0, c0), (r1, c1) in ranges]
        else:
            merges = scan.merges
        visible = metadata.visible == SheetVisibleEnum.Visible
        sheets.append(Sheet(metadata.name, visible, _storable(source.to_python(skip_empty_area=False)), merges, scan))
    return sheets


def _storable(rows: list[list[Cell]]) -> list[list[Cell]]:
    """The rows without what no database column takes: NUL characters, and numbers beyond any number (``1e999``)."""
    # a cell is looked at once however often it stands in the sheet; usually that is all
    if not any(
        "\0" in cell if type(cell) is str else type(cell) is float and not math.isfinite(cell)
        for cell in set(chain.from_iterable(rows))
    ):
        return rows
    for row in rows:
        for index, cell in enumerate(row):
            if type(cell) is str:
                if "\0" in cell:
                    row[index] = cell.replace("\0", "")
            elif type(cell) is float and not math.isfinite(cell):
                row[index] = str(cell)
    return rows
