"""The annex workbook: raw figures, ready to print, charts over its own cells, no formula."""

from __future__ import annotations

import io
import re
import zipfile
from dataclasses import replace
from typing import Any

import openpyxl
import pytest

from include.report import wording
from include.report.excel import excel_bytes, sheet_names
from include.report.model import Correction, Figure, ReportFigures
from tests.report_rows import COUNTIES, report


@pytest.fixture(scope="module")
def figures() -> ReportFigures:
    return report()


@pytest.fixture(scope="module")
def written(figures: ReportFigures) -> bytes:
    return excel_bytes(figures)


@pytest.fixture(scope="module")
def workbook(written: bytes) -> Any:
    return openpyxl.load_workbook(io.BytesIO(written))


def test_the_workbook_holds_every_table_raw_and_ready_to_print(figures: ReportFigures, workbook: Any) -> None:
    names = sheet_names(list(figures.tables))
    assert workbook.sheetnames[0] == "说明" and workbook.sheetnames[-1] == "指标口径"
    for key, table in figures.tables.items():
        sheet = workbook[names[key]]
        assert sheet.freeze_panes and sheet.print_title_rows == "$4:$4"
        assert sheet.page_setup.paperSize == 9 and sheet.print_area
        assert sheet.sheet_properties.pageSetUpPr.fitToPage
        assert sheet.page_setup.fitToWidth in (None, 1)  # left out means 1
        assert sheet.page_setup.fitToHeight == 0 or sheet._charts or 15 < len(table.rows) < 60
        assert "演示数据" in sheet.oddHeader.center.text and "演示数据" in sheet["A2"].value
        assert "&P" in sheet.oddFooter.center.text
        for row, line in enumerate(table.rows, start=5):
            for at, cell in enumerate(line.cells, start=1):
                value = sheet.cell(row, at).value
                if isinstance(cell, Figure) and isinstance(cell.value, int):
                    assert value == cell.value
                elif isinstance(cell, Figure) and cell.value is None:
                    assert value in wording.texts()["absences"].values()


def test_rates_keep_their_digits(figures: ReportFigures, workbook: Any) -> None:
    sheet = workbook["缺工_分市"]
    total = next(row for row in range(5, sheet.max_row) if sheet.cell(row, 1).value == "合计")
    rate = sheet.cell(total, 9)
    assert rate.number_format == "0.0%"
    assert rate.value == pytest.approx(float(figures.figures["region.shortage_rate"].value), abs=1e-12)  # type: ignore[arg-type]


def test_no_cell_is_a_formula(written: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(written)) as package:
        sheets = [name for name in package.namelist() if name.startswith("xl/worksheets/sheet")]
        assert len(sheets) > 20
        assert not any(b"<f>" in package.read(name) or b"<f " in package.read(name) for name in sheets)


def test_the_first_sheet_links_to_every_other_and_each_links_back(workbook: Any) -> None:
    assert links(workbook["说明"]) == [f"'{name}'!A1" for name in workbook.sheetnames[1:]]
    for sheet in workbook.worksheets[1:]:
        assert links(sheet) == ["'说明'!A1"]


def links(sheet: Any) -> list[str]:
    return [cell.hyperlink.location for row in sheet.iter_rows() for cell in row if cell.hyperlink]


def test_names_of_sheets_are_short_and_distinct() -> None:
    keys = list(wording.texts()["tables"])
    names = sheet_names(keys)
    assert list(names) == keys
    assert (
        len({name.lower() for name in names.values()} | {"说明", "更正情况", "图表数据", "指标口径"}) == len(keys) + 4
    )
    assert all(1 <= len(name) <= 31 and not re.search(r"[\[\]:*?/\\]", name) for name in names.values())


def test_charts_read_cells_that_hold_what_they_draw(figures: ReportFigures, written: bytes, workbook: Any) -> None:
    data = workbook["图表数据"]
    with zipfile.ZipFile(io.BytesIO(written)) as package:
        drawn = [package.read(name).decode() for name in package.namelist() if name.startswith("xl/charts/chart")]
    assert len(drawn) == 9
    assert all(set(re.findall(r"<c:f>'?([^'!<]+)'?!", one)) == {"图表数据"} for one in drawn)
    cities = next(one for one in drawn if "各市当期生产缺工人数" in one)
    first, last = re.search(r"\$A\$(\d+):\$A\$(\d+)", cities).groups()  # type: ignore[union-attr]
    values = [(data.cell(row, 1).value, data.cell(row, 2).value) for row in range(int(first), int(last) + 1)]
    table = figures.tables["shortage_city"]
    wanted = [
        (row.cells[0], row.cells[7].value)
        for row in table.rows
        if not row.is_total and isinstance(row.cells[7], Figure) and row.cells[7].value is not None
    ]
    assert values == sorted(wanted, key=lambda pair: -pair[1])


def test_a_month_without_data_is_an_empty_cell_and_a_rate_a_fraction() -> None:
    data = openpyxl.load_workbook(io.BytesIO(excel_bytes(report(absent={"2026-03": set(COUNTIES)}))))["图表数据"]
    months = {data.cell(row, 1).value: row for row in range(1, data.max_row + 1)}
    march, april = months["2026年3月"], months["2026年4月"]
    assert data.cell(march, 2).value is None and data.cell(march, 3).value is None
    assert data.cell(april, 3).number_format == "0.0%" and 0 < data.cell(april, 3).value < 1


def test_a_reissue_has_a_sheet_of_what_changed(figures: ReportFigures, workbook: Any) -> None:
    assert "更正情况" not in workbook.sheetnames
    changes = (Correction("a", "柳州市：当期生产缺工（人）", None, "1,250"),)
    again = openpyxl.load_workbook(io.BytesIO(excel_bytes(replace(figures, issue_no=3, corrections=changes))))
    sheet = again["更正情况"]
    assert again.sheetnames[1] == "更正情况" and "第3次更正" in sheet["A2"].value
    assert [one.value for one in sheet[4][:3]] == ["更正项目", "原数", "更正后"]
    assert [one.value for one in sheet[5][:3]] == ["柳州市：当期生产缺工（人）", "未列", "1,250"]


def test_long_tables_have_filters_that_leave_the_total_alone(workbook: Any) -> None:
    counties = workbook["缺工_分县"]
    assert counties.auto_filter.ref == "A4:J24" and counties.cell(25, 2).value == "合计"


def test_nothing_of_today_is_in_the_file(written: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(written)) as package:
        assert {entry.date_time for entry in package.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        stamps = re.findall(r"\d{4}-\d\d-\d\dT[\d:]*", package.read("docProps/core.xml").decode())
    assert set(stamps) == {"2026-05-08T02:52:00"}


def test_points_stand_as_points_and_states_as_words(figures: ReportFigures, workbook: Any) -> None:
    sheet, table = workbook["目标进度"], figures.tables["target_progress"]
    lead_at, state_at = (table.columns.index(name) for name in ("lead", "state"))
    row = next(at for at, one in enumerate(table.rows) if one.cells[lead_at].value is not None)  # type: ignore[union-attr]
    lead = table.rows[row].cells[lead_at]
    assert isinstance(lead, Figure) and lead.unit == "points"
    cell = sheet.cell(5 + row, lead_at + 1)
    assert cell.value == pytest.approx(float(lead.value) * 100, abs=0.05) and cell.number_format == "0.0"  # type: ignore[arg-type]
    assert sheet.cell(5 + row, state_at + 1).value == wording.cell_text(table.rows[row].cells[state_at])


def test_a_row_or_two_has_no_page_of_its_own(figures: ReportFigures, workbook: Any) -> None:
    assert len(figures.tables["reporting_reporters"].rows) == 20
    assert workbook["报送单位"].page_setup.fitToHeight in (None, 1)  # left out means 1
    assert workbook["报送情况"].page_setup.fitToHeight == 0
