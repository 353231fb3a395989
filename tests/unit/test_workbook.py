"""Files are opened by content or refused in plain Chinese; no bytes bring the reader down."""

import io
import re
import struct
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import docx
import openpyxl
import pytest
import xlsxwriter
import xlwt
from hypothesis import given
from hypothesis import strategies as st

from include.intake import workbook
from include.intake.limits import load_limits
from include.intake.reading import read_workbook
from include.intake.scanning import biff_stream, scan_biff, scan_ods, scan_xlsb_sheet, scan_xlsx_sheet, xlsb_sheets
from include.intake.workbook import Refused, open_workbook
from include.quality.findings import Finding
from tests.unit.sheets import REPORTERS, lay_out, to_ods, to_xls, to_xlsx, with_part


def refusal(data: bytes, file_name: str = "表.xls") -> Finding:
    with pytest.raises(Refused) as caught:
        open_workbook(data, file_name)
    assert caught.value.finding.message_zh.endswith("。")
    return caught.value.finding


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"<html><body><table><tr><td>1</td></tr></table></body></html>", "网页（HTML）"),
        ("\ufeff<table><tr><td>企业</td></tr></table>".encode(), "网页（HTML）"),
        (
            b'<?xml version="1.0"?><Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet"/>',
            "XML 文本（XML 表格）",
        ),
        ("序号\t企业名称\n1\t甲\n2\t乙\n".encode("gb18030"), "制表符分隔的文本"),
        ("序号,企业名称\n1,甲\n".encode(), "逗号分隔的文本（CSV）"),
        (b"%PDF-1.7 ...", "PDF 文档"),
        (b"\x00\x01\x02\xff" * 20, "无法识别的二进制文件"),
        (b"MIME-Version: 1.0\nContent-Type: multipart/related", "网页归档文件（MHT）"),
    ],
)
def test_what_is_no_spreadsheet_is_named(data: bytes, kind: str) -> None:
    finding = refusal(data)
    assert finding.code == "E-FILE-002" and kind in finding.message_zh
    assert "另存为 .xlsx" in finding.message_zh


def test_word_document_named_xlsx() -> None:
    buffer = io.BytesIO()
    docx.Document().save(buffer)
    assert "Word 文档" in refusal(buffer.getvalue(), "企业情况表.xlsx").message_zh


def test_empty_file() -> None:
    assert refusal(b"").code == "E-FILE-001"


def test_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbook, "load_limits", lambda: replace(load_limits(), file_bytes=1000))
    assert refusal(to_xlsx(lay_out())).code == "E-FILE-003"


def test_xlsx_named_xls_is_read_and_noted() -> None:
    book = open_workbook(to_xlsx(lay_out()), "企业情况表.xls")
    assert book.kind == "xlsx" and [finding.code for finding in book.findings] == ["W-FILE-001"]


def test_et_is_read_as_xls() -> None:
    book = open_workbook(to_xls(lay_out()), "企业情况表.et")
    assert book.kind == "xls" and book.findings == []


def test_ods_with_merges() -> None:
    book = open_workbook(to_ods(lay_out()), "企业情况表.ods")
    assert book.kind == "ods"
    assert (2, 12, 2, 15) in book.sheets[0].merges


def ole(*streams: str) -> bytes:
    """An OLE file with empty streams of these names in its directory."""
    header = bytearray(512)
    header[:8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
    entries = b""
    for name in streams:
        encoded = name.encode("utf-16-le") + b"\0\0"
        entries += encoded.ljust(64, b"\0") + struct.pack("<H", len(encoded)) + bytes(62)
    return bytes(header) + entries


def test_password_protected_xlsx() -> None:
    assert refusal(ole("EncryptionInfo", "EncryptedPackage"), "加密.xlsx").code == "E-FILE-004"


def test_password_protected_xls() -> None:
    stream = struct.pack("<HH", 0x0809, 16) + bytes(16) + struct.pack("<HH", 0x002F, 54) + bytes(54)
    assert scan_biff(stream).encrypted


def test_word_document_in_ole() -> None:
    assert "Word 文档" in refusal(ole("WordDocument")).message_zh


def test_macro_workbook() -> None:
    data = with_part(to_xlsx(lay_out()), "xl/vbaProject.bin", b"\0")
    assert refusal(data, "表.xlsm").code == "E-FILE-005"
    typed = with_part(
        to_xlsx(lay_out()),
        "[Content_Types].xml",
        lambda old: old.replace(b"spreadsheetml.sheet.main", b"sheet.macroEnabled.main"),
    )
    assert refusal(typed, "表.xlsm").code == "E-FILE-005"


def test_macro_in_xls() -> None:
    assert refusal(ole("Workbook", "_VBA_PROJECT_CUR")).code == "E-FILE-005"


def test_zip_bomb_by_declared_size() -> None:
    data = with_part(to_xlsx(lay_out()), "xl/media/a.xml", bytes(260 * 1024 * 1024))
    assert len(data) < 1024 * 1024
    assert refusal(data).code == "E-FILE-007"


def test_zip_bomb_that_lies_about_its_size() -> None:
    data = bytearray(with_part(to_xlsx(lay_out()), "xl/worksheets/sheet9.xml", bytes(50_000_000)))
    directory = data.rfind(b"xl/worksheets/sheet9.xml") - 46
    assert data[directory : directory + 4] == b"PK\x01\x02"
    data[directory + 24 : directory + 28] = struct.pack("<I", 1000)
    assert refusal(bytes(data)).code == "E-FILE-007"


def test_entity_expansion() -> None:
    bomb = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;&b;">]><a>&c;</a>'
    assert refusal(with_part(to_xlsx(lay_out()), "xl/sharedStrings.xml", bomb)).code == "E-FILE-008"


def test_truncated_files() -> None:
    for data in (to_xlsx(lay_out()), to_xls(lay_out()), to_ods(lay_out())):
        assert refusal(data[: len(data) * 2 // 3]).code == "E-FILE-006"


@pytest.mark.parametrize("named", [b"UTF-16", b"cp037", b"no such set", b"utf-7"])
def test_xml_in_another_character_set_is_not_looked_into(named: bytes) -> None:
    """A declaration written in it would not be seen; and every program writes UTF-8."""

    def change(old: bytes) -> bytes:
        return b'<?xml version="1.0" encoding="' + named + b'"?>' + old[old.find(b"<workbook") :]

    assert refusal(with_part(to_xlsx(lay_out()), "xl/workbook.xml", change)).code == "E-FILE-006"


def test_a_table_of_strings_that_states_two_thousand_million_is_refused_before_room_is_made_for_them() -> None:
    def lie(old: bytes) -> bytes:
        return re.sub(rb'uniqueCount="[0-9]+"', b'uniqueCount="2147483648"', old)

    assert refusal(with_part(to_xlsx(lay_out()), "xl/sharedStrings.xml", lie)).code == "E-FILE-006"


def test_damaged_parts_that_still_inflate_are_refused_by_their_checksum() -> None:
    """4700 in the sheet becomes 4800 by one flipped bit of the archive: nothing but the checksum tells."""
    data = to_xlsx(lay_out())
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        right = archive.getinfo("xl/worksheets/sheet1.xml").CRC
    assert struct.pack("<I", right) in data
    changed = data.replace(struct.pack("<I", right), struct.pack("<I", right ^ 1))
    assert refusal(changed).code == "E-FILE-006"


def with_dimension(rows: int, columns: int) -> bytes:
    data = to_xls(lay_out())
    place = data.find(struct.pack("<HH", 0x0200, 14)) + 4
    return data[:place] + struct.pack("<IIHHH", 0, rows, 0, columns, 0) + data[place + 14 :]


def test_dimension_of_xls_is_not_believed_and_one_beyond_the_format_is_refused() -> None:
    """Room is made for as many cells as are stated: 134 million rows of 29 columns would ask for 155 GB."""
    for rows, columns in ((1, 1), (65_536, 256)):
        assert len(open_workbook(with_dimension(rows, columns), "a.xls").sheets[0].rows) == 5
    assert refusal(with_dimension(0x0800000D, 29)).code == "E-FILE-006"


def test_xls_whose_records_end_early_is_refused() -> None:
    stream = biff_stream(to_xls(lay_out()))
    assert stream is not None
    end = stream.find(struct.pack("<HH", 0x0200, 14))
    for cut in (stream[: end + 8], stream[: end + 18]):
        with pytest.raises(struct.error):
            scan_biff(cut)


def test_two_sheets_of_one_name_are_refused() -> None:
    """Which of them is bounded and which is read would be left to chance."""
    data = with_part(
        to_xlsx(lay_out(sheet="甲"), lay_out(sheet="乙")),
        "xl/workbook.xml",
        lambda old: old.replace("乙".encode(), "甲".encode()),
    )
    assert refusal(data).code == "E-FILE-006"


def sheet_xml(cells: bytes) -> bytes:
    return (
        b'<?xml version="1.0"?><worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
        b"<sheetData>" + cells + b"</sheetData></worksheet>"
    )


@pytest.mark.parametrize(
    "cells",
    [
        b'<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>1</v></c></row>',
        b"<row r='1'><c r='A1'><v>1</v></c></row><row r='1048576'><c r='XFD1048576'><v>1</v></c></row>",
        b'<row><c s="0" r="A1"><v>1</v></c></row><row><c s="0"\n r="xfd1048576"><v>1</v></c></row>',
        b'<row><c r="A1"><v>1</v></c><c x=">" r="XFD1048576"><v>1</v></c></row>',
        b'<row r="1048576"><c r="A1"><v>1</v></c><c r="ZZ1"><v>1</v></c><c><v>1</v></c></row>',
        b'<row r="1"><c r="A1"><v>1</v></c><y:c xmlns:y="u" r="XFD1048576"><v>1</v></y:c></row>',
        b'<row r="1"><c r="A1"><v>1</v></c><c r="H99999999999999999999"><v>1</v></c></row>',
        b'<row r="99999999999999999999"><c><v>1</v></c><c r="A1"><v>1</v></c></row>',
    ],
)
def test_a_cell_in_the_far_corner_is_refused_before_it_is_laid_out(cells: bytes) -> None:
    data = with_part(to_xlsx(lay_out()), "xl/worksheets/sheet1.xml", sheet_xml(cells))
    assert refusal(data).code == "E-FILE-010"


def test_formatted_empty_cells_in_the_far_corner_are_no_content() -> None:
    cells = b'<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576" s="1"/></row>'
    data = with_part(to_xlsx(lay_out()), "xl/worksheets/sheet1.xml", sheet_xml(cells))
    assert open_workbook(data, "a.xlsx").sheets[0].rows == [[1.0]]


def test_wrong_dimension_is_not_believed() -> None:
    def shrink(old: bytes) -> bytes:
        assert b'<dimension ref="A1:AO5"' in old
        return old.replace(b'<dimension ref="A1:AO5"', b'<dimension ref="A1"')

    data = with_part(to_xlsx(lay_out()), "xl/worksheets/sheet1.xml", shrink)
    assert len(open_workbook(data, "a.xlsx").sheets[0].rows) == 5


def test_far_cell_in_xls_is_refused() -> None:
    def far(book: xlwt.Workbook) -> None:
        book.get_sheet(0).write(65535, 255, 1)

    assert refusal(to_xls(lay_out(), adjust=far)).code == "E-FILE-010"


def test_scan_of_xlsx_sees_hidden_rows_columns_and_uncalculated_formulas() -> None:
    xml = sheet_xml(
        b'<row r="3" hidden="1"><c r="A3"><v>1</v></c></row>'
        b'<row r="4"><c r="B4"><f>A3+1</f><v></v></c><c r="C4"><f>A3+1</f></c><c r="D4"><f>A3+1</f><v>2</v></c>'
        b'<c r="E4" t="str"><f>A1&amp;""</f><v></v></c><c r="F4" t="e"><f>1/0</f><v>#DIV/0!</v></c>'
        b'<c r="G4"><f>A3</f><v>0</v></c></row>'
    ).replace(b"<sheetData>", b'<cols><col min="2" max="3" hidden="1"/></cols><sheetData>')
    scan = scan_xlsx_sheet(xml, recalculated_on_load=False)
    assert scan.hidden_rows == {2}
    assert [scan.is_column_hidden(column) for column in range(4)] == [False, True, True, False]
    assert scan.gaps == {(3, 1): "formula", (3, 2): "formula", (3, 5): "error"}
    assert scan_xlsx_sheet(xml, recalculated_on_load=True).gaps[3, 6] == "formula"


def test_formula_written_by_xlsxwriter_is_not_calculated() -> None:
    buffer = io.BytesIO()
    book = xlsxwriter.Workbook(buffer, {"in_memory": True})
    sheet = book.add_worksheet()
    sheet.write(0, 0, 5)
    sheet.write_formula(0, 1, "=A1+1")
    book.close()
    assert open_workbook(buffer.getvalue(), "a.xlsx").sheets[0].scan.gaps == {(0, 1): "formula"}


def test_formula_written_by_xlwt_is_not_calculated_and_hidden_parts_are_seen() -> None:
    def change(book: xlwt.Workbook) -> None:
        sheet = book.get_sheet(0)
        sheet.write(4, 12, xlwt.Formula("N5+O5+P5"))
        sheet.row(4).hidden = True
        sheet.col(3).hidden = True

    layout = lay_out()
    del layout.cells[4, 12]
    scan = open_workbook(to_xls(layout, adjust=change), "a.xls").sheets[0].scan
    assert scan.gaps == {(4, 12): "formula"}
    assert 4 in scan.hidden_rows and scan.is_column_hidden(3) and not scan.is_column_hidden(4)


def xlsb_record(identifier: int, content: bytes) -> bytes:
    number = bytes([identifier]) if identifier < 128 else bytes([identifier & 0x7F | 0x80, identifier >> 7])
    return number + bytes([len(content)]) + content


def test_scan_of_xlsb() -> None:
    row = xlsb_record(0, struct.pack("<IIHBBB", 7, 0, 300, 0, 0x10, 0) + bytes(4))
    cell = xlsb_record(5, struct.pack("<IId", 3, 0, 1.5))
    merge = xlsb_record(176, struct.pack("<4I", 0, 1, 2, 4))
    scan = scan_xlsb_sheet(row + cell + merge)
    assert (scan.last_row, scan.last_column, scan.hidden_rows) == (7, 3, {7})
    assert scan.merges == [(0, 2, 1, 4)]


def test_sheets_of_an_xlsb_are_told_by_their_relation_not_by_the_number_of_their_part() -> None:
    def text(value: str) -> bytes:
        return struct.pack("<I", len(value)) + value.encode("utf-16-le")

    sheets = [("企业情况表", "rId2"), ("代码表", "rId1")]
    listed = b"".join(
        xlsb_record(156, struct.pack("<II", 0, n) + text(rid) + text(name)) for n, (name, rid) in enumerate(sheets)
    )
    assert xlsb_sheets(xlsb_record(131, b"") + listed + xlsb_record(132, b"")) == sheets
    relations = (
        '<Relationships><Relationship Id="rId1" Target="worksheets/sheet1.bin"/>'
        '<Relationship Id="rId2" Target="worksheets/sheet2.bin"/></Relationships>'
    )
    parts = {
        "xl/workbook.bin": listed,
        "xl/_rels/workbook.bin.rels": relations.encode(),
        "xl/worksheets/sheet1.bin": b"codes",
        "xl/worksheets/sheet2.bin": b"form",
    }
    assert workbook._sheet_parts(parts, "xlsb") == {
        "企业情况表": "xl/worksheets/sheet2.bin",
        "代码表": "xl/worksheets/sheet1.bin",
    }


def test_a_worksheet_whose_part_cannot_be_found_refuses_the_file_and_is_not_passed_over() -> None:
    data = with_part(
        to_xlsx(lay_out(), lay_out("labour_demand", sheet="用工")),
        "xl/_rels/workbook.xml.rels",
        lambda old: old.replace(b"/xl/worksheets/sheet2.xml", b"./worksheets/sheet2.xml"),
    )
    assert refusal(data).code == "E-FILE-006"


@pytest.mark.parametrize(
    "cell",
    [
        'office:value-type="boolean" office:boolean-value="true"/>',
        'office:value-type="date" office:date-value="2026-01-01"/>',
        'office:value-type="string" office:string-value="甲"/>',
        ">\n<text:h>甲</text:h></table:table-cell>",
    ],
)
def test_repeated_ods_cells_of_every_kind_count_before_the_reader_lays_them_out(cell: str) -> None:
    spaces = " ".join(
        f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"' for name in ("office", "table", "text")
    )
    content = (
        f"<office:document-content {spaces}><table:table><table:table-row table:number-rows-repeated='9000'>"
        f"<table:table-cell table:number-columns-repeated='9000' {cell}</table:table-row></table:table>"
        "</office:document-content>"
    )
    (scan,) = scan_ods(content.encode())
    assert (scan.last_row, scan.last_column) == (8999, 8999)


def test_what_a_database_cannot_store_does_not_leave_the_reader() -> None:
    layout = lay_out()
    layout.put(0, "enterprise_name", "广西\x00演示")
    (sheet,) = open_workbook(to_xls(layout), "a.xls").sheets
    assert sheet.rows[4][layout.at["enterprise_name"]] == "广西演示"

    def endless(old: bytes) -> bytes:
        return re.sub(rb"<v>[0-9.]+</v>", b"<v>1e999</v>", old)

    data = with_part(to_xlsx(lay_out()), "xl/worksheets/sheet1.xml", endless)
    (sheet,) = open_workbook(data, "a.xlsx").sheets
    assert "inf" in sheet.rows[4]
    assert not any(isinstance(cell, float) for cell in sheet.rows[4])


def test_sheet_name_and_path_tricks_touch_nothing(tmp_path: Path) -> None:
    data = with_part(to_xlsx(lay_out()), "../../evil.xml", b"<a/>")
    assert open_workbook(data, "../../a.xlsx").kind == "xlsx"
    assert list(tmp_path.iterdir()) == []


def test_a_million_formatted_rows_are_trimmed() -> None:
    def paint(book: openpyxl.Workbook) -> None:
        sheet = book.worksheets[0]
        for row in range(10, 3000):
            sheet.cell(row, 60).font = openpyxl.styles.Font(bold=True)

    assert len(open_workbook(to_xlsx(lay_out(), adjust=paint), "a.xlsx").sheets[0].rows) == 5


@given(
    st.binary(max_size=200),
    st.sampled_from([b"", b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"<html>", b"\x09\x08"]),
)
def test_random_bytes_never_raise(data: bytes, head: bytes) -> None:
    reading = read_workbook(head + data, "a.xlsx", None, REPORTERS)
    assert reading.refused and reading.tables == []
    assert all(finding.message_zh for finding in reading.findings)


@pytest.fixture(scope="module")
def originals() -> tuple[bytes, ...]:
    return to_xlsx(lay_out()), to_xls(lay_out()), to_ods(lay_out())


@given(st.integers(0, 2), st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), min_size=1, max_size=30))
def test_damaged_workbooks_never_raise(originals: Any, which: int, damage: list[tuple[float, int]]) -> None:
    data = bytearray(originals[which])
    for place, byte in damage:
        data[int(place * len(data))] = byte
    reading = read_workbook(bytes(data), "a.xlsx", "2026-10/灵山县", REPORTERS)
    assert all(finding.message_zh for finding in reading.findings)


@given(st.lists(st.tuples(st.floats(0, 0.999), st.binary(min_size=1, max_size=4)), min_size=1, max_size=10))
def test_damaged_xml_inside_never_raises(originals: Any, damage: list[tuple[float, bytes]]) -> None:
    part = bytearray(zipfile.ZipFile(io.BytesIO(originals[0])).read("xl/worksheets/sheet1.xml"))
    for place, content in damage:
        start = int(place * len(part))
        part[start : start + len(content)] = content
    data = with_part(originals[0], "xl/worksheets/sheet1.xml", bytes(part))
    reading = read_workbook(data, "a.xlsx", "2026-10/灵山县", REPORTERS)
    assert all(finding.message_zh for finding in reading.findings)
