"""Workbooks that are large for no good reason: read where the contents allow it, refused where they do not."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import xlsxwriter

from include.forms.model import load_forms
from include.intake import workbook
from include.intake.limits import load_limits
from include.intake.reading import Identification, identify_workbook, read_workbook
from include.intake.scanning import outline_xlsx_sheet
from include.intake.workbook import Refused, open_workbook
from include.intake.workers import Workers
from tests.unit.sheets import ENTERPRISE, REPORTERS, Layout, lay_out, to_xlsx, with_part

FOLDER = "2026-10/灵山县"


def written(path: Path, layout: Layout, *, empty_rows: int = 0, numbers_below: int = 0) -> Path:
    """The layout as a file, and below it bordered rows without content, or a column of ones."""
    with xlsxwriter.Workbook(path, {"constant_memory": True}) as book:
        sheet = book.add_worksheet(layout.title)
        bordered = book.add_format({"border": 1})
        for (row, column), value in sorted(layout.cells.items()):
            sheet.write(row, column, value)
        # merge_range would write cells of rows that have gone to the disk already
        sheet.merge = [list(merge) for merge in layout.merges]
        first = max(row for row, _ in layout.cells) + 1
        for number in range(first, first + empty_rows):
            for column in range(len(layout.at)):
                sheet.write_blank(number, column, None, bordered)
        for number in range(first, first + numbers_below):
            sheet.write_number(number, 0, 1)
    return path


def test_a_form_followed_by_half_a_million_cells_of_mere_borders_is_read(tmp_path: Path) -> None:
    layout = lay_out(rows=[ENTERPRISE] * 3)
    path = written(tmp_path / "a.xlsx", layout, empty_rows=12_000)
    with zipfile.ZipFile(path) as archive:
        sheet = max(archive.infolist(), key=lambda member: member.file_size)
    assert sheet.file_size > load_limits().expansion_checked_bytes
    assert 5 < sheet.file_size / sheet.compress_size < load_limits().expansion_ratio / 3
    with Workers(1) as workers:
        assert workers.identify(path, path.name, FOLDER, REPORTERS).findings == []
        reading = workers.read(path, path.name, FOLDER, REPORTERS)
    (table,) = reading.tables
    assert reading.findings == [] and table.log.detail == [] and len(table.source_rows) == 3


def test_a_million_rows_are_refused_by_their_extent(tmp_path: Path) -> None:
    path = written(tmp_path / "a.xlsx", lay_out(), numbers_below=1_000_000)
    assert path.stat().st_size < 10_000_000
    with Workers(1) as workers:
        reading = workers.read(path, path.name, FOLDER, REPORTERS)
    (finding,) = reading.findings
    assert finding.code == "E-FILE-010" and "超过可读取的范围" in finding.message_zh
    assert (reading.identification.period, reading.identification.reporter_code) == ("2026-10", "450721")


# ------------------------------------------------------------------------------------------------ expansion


def refused_for(data: bytes) -> str:
    with pytest.raises(Refused) as caught:
        open_workbook(data, "a.xlsx")
    assert caught.value.finding.code == "E-FILE-007"
    return caught.value.finding.message_zh


def test_a_part_that_expands_a_hundredfold_is_refused_and_a_small_or_unread_one_is_not() -> None:
    blanks = b" " * (9 << 20)
    assert "上限 100 倍" in refused_for(with_part(to_xlsx(lay_out()), "xl/extra.xml", blanks))
    assert open_workbook(with_part(to_xlsx(lay_out()), "xl/extra.xml", blanks[: 1 << 20]), "a.xlsx").kind == "xlsx"
    assert open_workbook(with_part(to_xlsx(lay_out()), "xl/media/blank.bmp", blanks), "a.xlsx").kind == "xlsx"


def test_parts_that_together_expand_a_hundredfold_are_refused() -> None:
    data = to_xlsx(lay_out())
    for number in range(10):
        data = with_part(data, f"xl/extra{number}.xml", b" " * (1 << 20))
    assert "上限 100 倍" in refused_for(data)


def test_limits_come_from_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    data = to_xlsx(lay_out())
    for change, code in (
        ({"file_bytes": 1000}, "E-FILE-003"),
        ({"inflated_bytes": 1000}, "E-FILE-007"),
        ({"members": 3}, "E-FILE-007"),
        ({"cells": 10}, "E-FILE-010"),
    ):
        monkeypatch.setattr(workbook, "load_limits", lambda change=change: replace(load_limits(), **change))
        assert read_workbook(data, "a.xlsx", FOLDER, REPORTERS).findings[0].code == code


# ------------------------------------------------------------------------------------------- identifying by outline


def identified(data: bytes) -> Identification:
    """What the outline gives, having checked that it is the same as the whole file gives."""
    short = open_workbook(data, "a.xlsx", outline=True).sheets[0]
    whole = open_workbook(data, "a.xlsx").sheets[0]
    assert len(short.rows) < 110 <= len(whole.rows) and short.rows[:50] == whole.rows[:50]
    assert short.merges == whole.merges
    found = identify_workbook(data, "a.xlsx", FOLDER, REPORTERS)
    assert found == read_workbook(data, "a.xlsx", FOLDER, REPORTERS).identification
    return found


def test_a_long_sheet_is_identified_by_its_first_and_last_rows() -> None:
    found = identified(to_xlsx(lay_out(rows=[ENTERPRISE] * 300)))
    assert (found.period, found.reporter_code, found.forms) == ("2026-10", "450721", ["enterprise_status"])
    assert not found.is_sample


def test_the_mark_of_a_sample_is_found_in_the_last_rows_above_empty_ones(tmp_path: Path) -> None:
    layout = lay_out(rows=[ENTERPRISE] * 300)
    layout.cells[304, 0] = "注：本表为演示数据"
    path = written(tmp_path / "a.xlsx", layout, empty_rows=200)
    assert identified(path.read_bytes()).is_sample


def test_what_is_said_of_a_file_is_said_of_the_whole_of_it() -> None:
    """A sheet that fails its outline is looked at whole before anything is said."""
    unplaced = [ENTERPRISE | {"enterprise_name": f"{number}号"} for number in range(300)]
    data = to_xlsx(lay_out(rows=unplaced))
    other = identify_workbook(data, "东兴市.xlsx", FOLDER, REPORTERS)
    assert [finding.code for finding in other.findings] == ["E-IDN-004"]
    assert other == read_workbook(data, "东兴市.xlsx", FOLDER, REPORTERS).identification


@pytest.mark.parametrize(
    "xml",
    [
        b"<worksheet><sheetData/></worksheet>",
        b"<worksheet><sheetData><row r='1'></row></sheetData></worksheet>",
        b"<x:worksheet><x:sheetData>" + b"<x:row></x:row>" * 200 + b"</x:sheetData></x:worksheet>",
        b"<sheetData>" + b"<row></row>" * 200 + b"<!-- </sheetData> --></sheetData>",
        b"<sheetData>" + b"<row></row>" * 200 + b"</sheetData><sheetData></sheetData>",
        b"no sheet",
    ],
)
def test_a_part_that_is_short_or_unusual_is_not_cut(xml: bytes) -> None:
    assert outline_xlsx_sheet(xml) == xml


def test_cut_rows() -> None:
    rows = [b'<row r="%d"><c r="A%d" t="s"><v>%d</v></c></row>' % (n, n, n) for n in range(1, 301)]
    cut = outline_xlsx_sheet(b"<sheetData>" + b"".join(rows) + b'<row r="301"/></sheetData><mergeCells/>')
    bare = [b'<row><c t="s"><v>%d</v></c></row>' % n for n in range(261, 301)]
    assert cut == b"<sheetData>" + b"".join(rows[:60]) + b"".join(bare) + b"</sheetData><mergeCells/>"


def test_a_sheet_of_mere_borders_is_cut_to_its_head() -> None:
    rows = [b'<row r="%d"><c r="A%d" s="1"/></row>' % (n, n) for n in range(1, 301)]
    cut = outline_xlsx_sheet(b"<sheetData>" + b"".join(rows) + b"</sheetData>")
    assert cut == b"<sheetData>" + b"".join(rows[:60]) + b"</sheetData>"


def test_every_form_is_identified_by_its_outline() -> None:
    for name in load_forms():
        buffer = io.BytesIO(to_xlsx(lay_out(name, [{} for _ in range(3)])))
        assert identify_workbook(buffer.getvalue(), "a.xlsx", FOLDER, REPORTERS).forms == [name]
