"""Files that are no workbook of ours: other programs' formats, other kinds of document, damage, and plain nonsense.

Every one is made here, by hand or by a library; what only LibreOffice writes is added where it is installed.
"""

from __future__ import annotations

import gzip
import io
import shutil
import struct
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from random import Random

import docx
import pptx

from tests.corpus.book import Book, clean_page
from tests.corpus.libreoffice import program
from tests.corpus.writing import WRITERS, grids_of, write

#: what a file may come to: the code that refuses it, or ``read``
Foreign = tuple[str, str, bytes, str]
"""Name of the case, file name, bytes, expected outcome."""


def clean(writer: str = "openpyxl") -> bytes:
    """A clean 企业情况表 by one of the writers."""
    return write(Book([clean_page("enterprise_status", (1, 2, 3))], writer, ""))[0]


def by_hand() -> Iterator[Foreign]:
    """Everything that needs no other program."""
    yield "empty file", "企业情况表.xlsx", b"", "E-FILE-001"
    yield "blanks only", "企业情况表.xls", b"\r\n  \0\0\0" * 100, "E-FILE-001"
    for length in (1, 2, 7, 64, 511, 512, 4096, 100_000):
        yield f"{length} random bytes", "企业情况表.xlsx", Random(length).randbytes(length), "any E"
    for writer, (suffix, _) in WRITERS.items():
        data = clean(writer)
        refusal = "any E"
        for part in (0.02, 0.1, 0.33, 0.5, 0.75, 0.9, 0.97):
            yield f"{writer} cut at {part:.0%}", f"a{suffix}", data[: int(len(data) * part)], refusal
        yield f"{writer} less its last byte", f"a{suffix}", data[:-1], "any"
        yield f"{writer} with a tail", f"a{suffix}", data + b"\0" * 1000, "any"
        yield f"{writer} with a head", f"a{suffix}", b"junk" + data, "any E"
    for suffix in (".xlsx", ".xls", ".et", ".pdf", ".txt", "", ".xlsm", ".ods"):
        yield f"xlsx named {suffix or 'without extension'}", f"附件1{suffix}", clean(), "read"
        yield f"xls named {suffix or 'without extension'}", f"附件1{suffix}", clean("xlwt"), "read"
    yield "web page", "a.xls", clean("html"), "E-FILE-002"
    yield "XML spreadsheet 2003", "a.xls", clean("xml2003"), "E-FILE-002"
    yield "tab-separated", "a.xls", clean("tabbed"), "E-FILE-002"
    yield "comma-separated", "a.csv", clean("comma"), "E-FILE-002"
    yield "comma-separated, UTF-16", "a.csv", clean("comma").decode().encode("utf-16"), "E-FILE-002"
    yield "flat OpenDocument", "a.fods", _flat_opendocument(), "E-FILE-002"
    yield "Gnumeric", "a.gnumeric", gzip.compress(b'<?xml version="1.0"?><gnm:Workbook/>', mtime=0), "E-FILE-002"
    yield "SYLK", "a.slk", b'ID;PWXL;N;E\r\nC;Y1;X1;K"a"\r\nE\r\n', "E-FILE-002"
    yield "DIF", "a.dif", b'TABLE\r\n0,1\r\n"EXCEL"\r\nVECTORS\r\n0,1\r\n', "E-FILE-002"
    yield "dBase", "a.dbf", b"\x03\x7e\x0b\x03" + bytes(28) + b"\r", "E-FILE-002"
    yield "BIFF2 worksheet", "a.xls", struct.pack("<HHHH", 0x0009, 4, 2, 0x10) + b"\x0a\0\0\0", "E-FILE-002"
    yield "Numbers", "a.numbers", _zip({"Index/Document.iwa": b"\0\1", "Metadata/Properties.plist": b"x"}), "E-FILE-002"
    yield "zip of workbooks", "全县报表.zip", _zip({"灵山县/企业情况表.xlsx": clean()}), "E-FILE-002"
    yield "zip of nothing", "a.xlsx", b"PK\x05\x06" + bytes(18), "E-FILE-002"
    yield "rar", "a.rar", b"Rar!\x1a\x07\x00" + bytes(50), "E-FILE-002"
    yield "7z", "a.7z", b"7z\xbc\xaf\x27\x1c" + bytes(50), "E-FILE-002"
    yield "PDF", "a.xlsx", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n", "E-FILE-002"
    yield "PNG", "a.xlsx", b"\x89PNG\r\n\x1a\n" + bytes(60), "E-FILE-002"
    yield "JPEG", "扫描件.xls", b"\xff\xd8\xff\xe0\0\x10JFIF" + bytes(60), "E-FILE-002"
    yield "program", "a.xls", b"MZ" + bytes(60), "E-FILE-002"
    yield "note", "a.xlsx", "本月无变化。".encode(), "E-FILE-002"
    yield "Word", "企业情况表.docx", _saved(docx.Document()), "E-FILE-002"
    yield "slides", "a.xlsx", _saved(pptx.Presentation()), "E-FILE-002"
    yield "strict OOXML", "a.xlsx", _strict(clean("by-hand")), "any"
    yield "workbook of charts only", "a.xlsx", _without_sheets(clean("by-hand")), "any E"
    yield "another form", "a.xlsx", _another_form(), "E-FILE-009"


def _zip(parts: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()


def _saved(document: object) -> bytes:
    buffer = io.BytesIO()
    document.save(buffer)  # type: ignore[attr-defined]
    return buffer.getvalue()


def _flat_opendocument() -> bytes:
    name = "urn:oasis:names:tc:opendocument:xmlns:office:1.0"
    kind = "application/vnd.oasis.opendocument.spreadsheet"
    return f'<?xml version="1.0"?><office:document xmlns:office="{name}" office:mimetype="{kind}"/>'.encode()


def _changed(data: bytes, *pairs: tuple[bytes, bytes]) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    for old, new in pairs:
        parts = {name: content.replace(old, new) for name, content in parts.items()}
    return _zip(parts)


def _strict(data: bytes) -> bytes:
    """The same workbook in the strict variant of the format, as Excel offers it."""
    return _changed(
        data,
        (
            b"http://schemas.openxmlformats.org/spreadsheetml/2006/main",
            b"http://purl.oclc.org/ooxml/spreadsheetml/main",
        ),
        (
            b"http://schemas.openxmlformats.org/officeDocument/2006/relationships",
            b"http://purl.oclc.org/ooxml/officeDocument/relationships",
        ),
    )


def _without_sheets(data: bytes) -> bytes:
    return _changed(data, (b"relationships/worksheet", b"relationships/chartsheet"), (b"worksheets/", b"chartsheets/"))


def _another_form() -> bytes:
    book = Book([], "openpyxl", "")
    book.side["通讯录"] = ([["姓名", "职务", "办公室"], ["演示甲", "主任", "201"]], False)
    return WRITERS["openpyxl"][1](grids_of(book)[0])


#: filter of LibreOffice -> extension of the file
_FILTERS = {
    "fods": "fods", "xls:MS Excel 5.0/95": "xls", "xls:MS Excel 95": "xls", "ots": "ots", "xlsm": "xlsm", "csv": "csv",
    "html": "html", "dif": "dif", "slk": "slk", "pdf": "pdf", "uos": "uos", "xlt": "xlt",
}  # fmt: skip


def by_libreoffice() -> tuple[list[Foreign], str | None]:
    """The clean form as other formats that LibreOffice writes, and why there is none where there is none."""
    soffice = program()
    if soffice is None:
        return [], "LibreOffice is not installed"
    made: list[Foreign] = []
    with tempfile.TemporaryDirectory(prefix="foreign-") as name:
        folder = Path(name)
        source = folder / "企业情况表.xlsx"
        source.write_bytes(clean())
        for wanted, suffix in _FILTERS.items():
            out = folder / "out"
            command = [
                soffice, f"-env:UserInstallation={(folder / 'profile').as_uri()}", "--headless", "--convert-to", wanted,
                "--outdir", str(out), str(source),
            ]  # fmt: skip
            subprocess.run(command, capture_output=True, timeout=120, check=False)
            for path in sorted(out.glob("*")) if out.exists() else []:
                made.append((f"LibreOffice {wanted}", f"a.{suffix}", path.read_bytes(), "any"))
            shutil.rmtree(out, ignore_errors=True)
    return made, None
