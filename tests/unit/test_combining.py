"""A county's sheets come together in one workbook with their look, and nothing in it can run."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import xlsxwriter
import xlwt
from odf.opendocument import OpenDocumentSpreadsheet
from odf.table import Table, TableCell, TableRow
from odf.text import P
from openpyxl.chart import BarChart, Reference
from openpyxl.formatting.rule import FormulaRule
from openpyxl.styles import Border, Font, PatternFill, Side
from openpyxl.workbook.defined_name import DefinedName
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.table import Table as ListTable

from include.intake.workbook import open_workbook
from include.returns import combining
from include.returns.combining import Combined, Part, combine, fixed_zip, neutral, save


def county_workbook(title: str = "情况表") -> openpyxl.Workbook:
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    sheet.title = title
    sheet.merge_cells("A1:D1")
    sheet["A1"] = "灵山县企业情况表"
    for column, text in enumerate(["序号", "统一社会信用代码", "所属行业", "合计"], start=1):
        sheet.cell(4, column, text)
    sheet["A5"], sheet["B5"], sheet["C5"], sheet["D5"] = 1, "9145", "铝厂", 30
    sheet["D6"] = "=SUM(D5:D5)"
    return book


def as_bytes(book: openpyxl.Workbook) -> bytes:
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def part(book: openpyxl.Workbook | bytes, name: str = "灵山县企业情况表.xlsx", **more: Any) -> Part:
    return Part(book if isinstance(book, bytes) else as_bytes(book), name.rpartition(".")[2], name, **more)


def written(combined: Combined, tmp_path: Path) -> Path:
    return save(combined.book, tmp_path / "合并.xlsx", combined.values)


def reloaded(parts: Sequence[Part], tmp_path: Path) -> Any:
    return openpyxl.load_workbook(written(combine(parts), tmp_path))


# ------------------------------------------------------------------------------------------------------ the look


def look(shade: str, face: str, width: float) -> openpyxl.Workbook:
    book = county_workbook("Sheet1")
    sheet: Any = book.worksheets[0]
    sheet["A1"].font = Font(name=face, size=20)
    sheet["D5"].fill = PatternFill("solid", start_color=shade)
    sheet["D5"].border = Border(left=Side(style="thick"))
    sheet["D5"].number_format = '0.000"人"'
    sheet.column_dimensions["B"].width = width
    sheet.row_dimensions[5].height = 40
    sheet.freeze_panes = "C5"
    sheet.print_title_rows = "4:4"
    sheet.print_area = "A1:D6"
    sheet.page_setup.orientation = "landscape"
    return book


def test_sheets_of_three_files_keep_their_look(tmp_path: Path) -> None:
    shades, faces, widths = ("FF00FF00", "FF0000FF", "FFABCDEF"), ("黑体", "楷体", "仿宋"), (33, 21, 17)
    parts = [
        part(look(*of), f"附件{number}.xlsx", titles={"Sheet1": title})
        for number, (of, title) in enumerate(
            zip(zip(shades, faces, widths, strict=True), ("情况表", "需求表", "台账"), strict=True), start=1
        )
    ]
    book = reloaded(parts, tmp_path)
    assert book.sheetnames == ["情况表", "需求表", "台账"]
    for sheet, shade, face, width in zip(book.worksheets, shades, faces, widths, strict=True):
        assert (sheet["A1"].font.name, sheet["A1"].font.size) == (face, 20)
        assert sheet["D5"].fill.start_color.rgb == shade
        assert sheet["D5"].border.left.style == "thick"
        assert sheet["D5"].number_format == '0.000"人"'
        assert (sheet.column_dimensions["B"].width, sheet.row_dimensions[5].height) == (width, 40)
        assert [str(merge) for merge in sheet.merged_cells.ranges] == ["A1:D1"]
        assert (sheet.freeze_panes, sheet.print_title_rows) == ("C5", "$4:$4")
        assert sheet.print_area == f"'{sheet.title}'!$A$1:$D$6"
        assert sheet.page_setup.orientation == "landscape"
        assert sheet["D6"].value == "=SUM(D5:D5)"


def test_a_sheet_without_print_set_up_is_fitted_to_the_page(tmp_path: Path) -> None:
    sheet = reloaded([part(county_workbook())], tmp_path)["情况表"]
    assert (sheet.page_setup.orientation, sheet.page_setup.fitToWidth, sheet.page_setup.fitToHeight) == (
        "landscape",
        1,
        0,
    )


# ---------------------------------------------------------------------------------------------------- sheet titles


def test_sheets_of_one_name_are_told_by_form_else_by_file(tmp_path: Path) -> None:
    parts = [
        part(county_workbook("Sheet1"), "a.xlsx", titles={"Sheet1": "企业情况表"}),
        part(look("FF00FF00", "黑体", 9), "b/乙 表.xlsx"),
        part(look("FF00FF01", "黑体", 9), "c.xlsx", titles={"Sheet1": "企业情况表"}),
    ]
    combined = combine(parts)
    assert combined.book.sheetnames == ["企业情况表", "Sheet1", "企业情况表（2）"]
    assert combined.sheets[2, "Sheet1"].title == "企业情况表（2）"


def test_forms_that_are_called_alike_are_told_by_their_file() -> None:
    parts = [
        part(county_workbook("企业情况表"), "东片.xlsx", titles={"企业情况表": "企业情况表"}),
        part(look("FF00FF00", "黑体", 9), "x.xlsx", titles={"Sheet1": "需求表"}),
        part(county_workbook("企业情况表 "), "西片.xlsx", titles={"企业情况表 ": "企业情况表"}),
    ]
    # a blank at its end makes it another name
    assert combine(parts).book.sheetnames == ["企业情况表", "Sheet1", "企业情况表 "]
    alike = county_workbook("企业情况表")
    alike.worksheets[0]["A5"] = 2
    parts[2] = part(alike, "西片.xlsx", titles={"企业情况表": "企业情况表"})
    assert combine(parts).book.sheetnames == ["企业情况表（东片）", "Sheet1", "企业情况表（西片）"]


def test_the_same_bytes_are_copied_once() -> None:
    data = as_bytes(county_workbook())
    combined = combine([part(data, "a.xlsx"), part(data, "b.xlsx")])
    assert combined.book.sheetnames == ["情况表"]
    assert combined.sheets[0, "情况表"] is combined.sheets[1, "情况表"]


def test_only_the_sheets_wanted_come_with_what_belongs_to_them() -> None:
    book = county_workbook("情况表")
    for name in ("需求表", "_meta", "填表说明"):
        book.create_sheet(name)["A1"] = name
    titles = {"情况表": "企业情况表", "需求表": "企业用工需求表"}
    combined = combine([part(book, titles=titles, sheets=("情况表",))])
    assert combined.book.sheetnames == ["情况表", "_meta", "填表说明"]
    assert set(combined.sheets) == {(0, "情况表"), (0, "_meta"), (0, "填表说明")}


def test_accompanying_sheets_that_are_alike_come_once(tmp_path: Path) -> None:
    parts = []
    for number, note in ((1, "一样"), (2, "一样"), (3, "不同")):
        book = county_workbook(f"表{number}")
        book.create_sheet("填表说明")["A1"] = note
        lists = book.create_sheet("_lists")
        lists["A1"] = f"列表{number}"
        lists.sheet_state = "hidden"
        parts.append(part(book, f"{number}.xlsx", titles={f"表{number}": f"报表{number}"}))
    book = reloaded(parts, tmp_path)
    assert book.sheetnames == ["表1", "表2", "表3", "填表说明", "_lists", "_lists2", "填表说明（报表3）", "_lists3"]
    assert book["_lists3"].sheet_state == "hidden"


def test_one_meta_sheet_stays_with_what_all_agree_on(tmp_path: Path) -> None:
    parts = []
    for number, form in ((1, "enterprise_status"), (2, "labour_demand")):
        book = county_workbook(f"表{number}")
        meta = book.create_sheet("_meta")
        for line in (("form", form), ("county_code", "450721"), ("period", "2026-02")):
            meta.append(line)
        parts.append(part(book, f"{number}.xlsx"))
    book = reloaded(parts, tmp_path)
    assert book.sheetnames == ["表1", "_meta", "表2"]
    assert [[cell.value for cell in row] for row in book["_meta"].iter_rows()] == [
        [None, None],
        ["county_code", "450721"],
        ["period", "2026-02"],
    ]


# -------------------------------------------------------------------------------------- what stays of formulas, lists


def test_formulas_lists_and_names_follow_the_sheet_they_speak_of(tmp_path: Path) -> None:
    parts = []
    for number in (1, 2):
        book = county_workbook("Sheet1")
        sheet: Any = book.worksheets[0]
        lists = book.create_sheet("_lists")
        lists["A1"], lists["A2"] = f"甲{number}", f"乙{number}"
        sheet["E5"] = "=_lists!A1"
        sheet["E6"] = "=SUM(Sheet1!D5:D5,'Sheet1'!$D$6)"
        sheet["E7"] = "=INDEX(kinds,1)"
        book.defined_names["kinds"] = DefinedName("kinds", attr_text="_lists!$A$1:$A$2")
        for source in ("_lists!$A$1:$A$2", "kinds", '"是,否"'):
            rule = DataValidation(type="list", formula1=source)
            rule.add("F5")
            sheet.add_data_validation(rule)
        sheet.conditional_formatting.add("D5", FormulaRule(["Sheet1!$D$5>1"], fill=PatternFill("solid")))
        parts.append(part(book, f"{number}.xlsx", titles={"Sheet1": f"报表{number}"}))
    book = reloaded(parts, tmp_path)
    assert book.sheetnames == ["报表1", "报表2", "_lists", "_lists2"]
    first, second = book["报表1"], book["报表2"]
    assert [first[f"E{row}"].value for row in (5, 6, 7)] == [
        "='_lists'!A1",
        "=SUM('报表1'!D5:D5,'报表1'!$D$6)",
        "=INDEX(kinds,1)",
    ]
    assert second["E5"].value == "='_lists2'!A1"
    assert second["E6"].value == "=SUM('报表2'!D5:D5,'报表2'!$D$6)"
    assert second["E7"].value == "=INDEX(kinds_2,1)"
    assert book.defined_names["kinds_2"].attr_text.replace("'", "") == "_lists2!$A$1:$A$2"
    sources = [rule.formula1.replace("'", "") for rule in second.data_validations.dataValidation]
    assert sources == ["_lists2!$A$1:$A$2", "kinds_2", '"是,否"']
    [area] = list(second.conditional_formatting)
    assert area.rules[0].formula == ["'报表2'!$D$5>1"]


def calculated_workbook(formula: str, value: Any) -> bytes:
    """As Excel saves it: a formula with its value."""
    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer, {"in_memory": True}) as book:
        sheet = book.add_worksheet("情况表")
        sheet.write_formula("B2", formula, None, value)
        sheet.write("A1", "灵山县")
    return without_recalculation(buffer.getvalue())


def without_recalculation(data: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(target, "w") as new:
        for info in old.infolist():
            new.writestr(info, re.sub(rb' fullCalcOnLoad="1"', b"", old.read(info)))
    return target.getvalue()


@pytest.mark.parametrize(("value", "read"), [(41, 41.0), ("甲<乙", "甲<乙"), (True, True), (0, 0.0)])
def test_a_formula_keeps_the_value_the_county_saw(tmp_path: Path, value: Any, read: Any) -> None:
    path = written(combine([part(calculated_workbook("=SUM(A1:A2)", value))]), tmp_path)
    assert openpyxl.load_workbook(path)["情况表"]["B2"].value == "=SUM(A1:A2)"
    sheet = open_workbook(path.read_bytes(), "a.xlsx").sheets[0]
    assert sheet.rows[1][1] == read
    assert sheet.scan.gaps == {}


def test_a_formula_that_goes_leaves_its_value(tmp_path: Path) -> None:
    acting = calculated_workbook('=WEBSERVICE("http://x.invalid")', 17)
    assert reloaded([part(acting)], tmp_path)["情况表"]["B2"].value == 17


def test_a_formula_about_a_sheet_that_stays_away_leaves_its_value(tmp_path: Path) -> None:
    book = county_workbook("情况表")
    book.create_sheet("需求表")["A1"] = 5
    book.worksheets[0]["E5"] = "=需求表!A1"
    titles = {"情况表": "企业情况表", "需求表": "企业用工需求表"}
    sheet = reloaded([part(book, titles=titles, sheets=("情况表",))], tmp_path)["情况表"]
    # never calculated here, so there is only its text
    assert (sheet["E5"].value, sheet["E5"].data_type) == ("'=需求表!A1", "s")
    assert sheet["D6"].value == "=SUM(D5:D5)"


# ------------------------------------------------------------------------------------------------- nothing can run


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("=1+1", "'=1+1"),
        ("+86", "'+86"),
        ("-5", "'-5"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("＝1", "'＝1"),
        ("甲公司=乙公司", "甲公司=乙公司"),
        ("\x00\x07=1", "'=1"),
        ("", ""),
    ],
)
def test_neutral(text: str, safe: str) -> None:
    assert neutral(text) == safe


def test_formulas_that_act_and_links_to_outside_are_taken_out(tmp_path: Path) -> None:
    book = county_workbook()
    sheet = book.worksheets[0]
    acting = ["=cmd|' /C calc'!A0", '=HYPERLINK("x","y")', "=[1]Sheet1!A1", "=WEBSERVICE(A1)", "=_xlfn.CALL(A1)"]
    for row, formula in enumerate(acting, start=10):
        sheet.cell(row, 1, formula)
    sheet["B5"].hyperlink = "https://example.invalid/"
    marked = reloaded([part(book)], tmp_path)["情况表"]
    assert [marked.cell(row, 1).value for row in range(10, 15)] == ["'" + formula for formula in acting]
    assert {marked.cell(row, 1).data_type for row in range(10, 15)} == {"s"}
    assert marked["B5"].hyperlink is None


def test_what_acts_beside_the_cells_is_taken_out(tmp_path: Path) -> None:
    book = county_workbook()
    sheet: Any = book.worksheets[0]
    for source in ("[1]Sheet1!$A$1:$A$2", "INDIRECT($A$5)", "WEBSERVICE($A$5)"):
        rule = DataValidation(type="list", formula1=source)
        rule.add("F5")
        sheet.add_data_validation(rule)
    sheet.conditional_formatting.add("D5", FormulaRule(["CALL($D$5)"], fill=PatternFill("solid")))
    book.defined_names["run"] = DefinedName("run", attr_text="CALL(1)")
    book.defined_names["Auto_Open"] = DefinedName("Auto_Open", attr_text="情况表!$A$1", xlm=True, function=True)
    chart = BarChart()
    chart.add_data(Reference(sheet, min_col=4, min_row=4, max_row=5))
    sheet.add_chart(chart)
    table = ListTable(displayName="t", ref="A4:D5")
    sheet.add_table(table)
    table._initialise_columns()
    table.tableColumns[3].calculatedColumnFormula = openpyxl.worksheet.table.TableFormula(attr_text="CALL(1)")
    for column, text in zip(table.tableColumns, ("序号", "统一社会信用代码", "所属行业", "合计"), strict=True):
        column.name = text
    path = written(combine([part(book)]), tmp_path)
    sheet = openpyxl.load_workbook(path)["情况表"]
    assert [rule.formula1 for rule in sheet.data_validations.dataValidation] == ["INDIRECT($A$5)"]
    assert list(sheet.conditional_formatting) == []
    assert dict(sheet.parent.defined_names) == {}
    with zipfile.ZipFile(path) as package:
        everything = b"".join(package.read(name) for name in package.namelist())
        assert not [name for name in package.namelist() if "chart" in name or "external" in name]
    assert b"CALL" not in everything


def test_entity_expansion_is_not_loaded() -> None:
    hostile = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(as_bytes(county_workbook()))) as old, zipfile.ZipFile(hostile, "w") as new:
        for info in old.infolist():
            content = old.read(info)
            if info.filename == "xl/workbook.xml":
                content = b'<!DOCTYPE x [<!ENTITY a "b">]>' + content
            new.writestr(info, content)
    combined = combine([part(hostile.getvalue())])
    assert combined.left_out == {0: "unopened"}
    assert combined.book.worksheets == []


def test_the_county_s_own_colours_stay(tmp_path: Path) -> None:
    book = county_workbook()
    book.worksheets[0]["D5"].fill = PatternFill("solid", start_color="FF00FF00")
    assert reloaded([part(book)], tmp_path)["情况表"]["D5"].fill.start_color.rgb == "FF00FF00"


# --------------------------------------------------------------------------------------------------- other kinds


def an_xls() -> bytes:
    old = xlwt.Workbook(encoding="utf-8")
    sheet = old.add_sheet("情况表")
    sheet.write_merge(0, 0, 0, 4, "灵山县企业情况表")
    sheet.write(1, 0, "填报单位（盖章）：灵山县")
    for column, text in enumerate(["序号", "统一社会信用代码", "所属行业", "填表日期", "联系电话", "备注"]):
        sheet.write(3, column, text)
    for column, value in enumerate([1, "9145", "=铝厂"]):
        sheet.write(4, column, value)
    sheet.write(4, 3, datetime(2026, 3, 3), xlwt.easyxf(num_format_str="yyyy-mm-dd"))
    sheet.write(4, 4, 13800000000)
    sheet.write(4, 5, "-")
    buffer = io.BytesIO()
    old.save(buffer)
    return buffer.getvalue()


def test_xls_comes_back_as_xlsx_with_values_and_merges(tmp_path: Path) -> None:
    path = written(combine([part(an_xls(), "a.xls")]), tmp_path)
    sheet = openpyxl.load_workbook(path)["情况表"]
    assert [str(merge) for merge in sheet.merged_cells.ranges] == ["A1:E1"]
    assert [cell.value for cell in sheet[4]][:4] == ["序号", "统一社会信用代码", "所属行业", "填表日期"]
    assert [cell.value for cell in sheet[5]][:3] == [1, "9145", "'=铝厂"]
    assert (sheet["D5"].value, sheet["D5"].number_format) == (datetime(2026, 3, 3), "yyyy-mm-dd")
    assert (sheet["E5"].value, sheet["E5"].number_format) == (13800000000, "0")
    assert sheet["B4"].font.bold and sheet["B4"].alignment.wrap_text
    assert sheet["B5"].border.left.style == "thin"
    # a dash means none, and must still mean it when the workbook comes back
    assert (sheet["F5"].value, sheet["F5"].data_type, sheet["F5"].quotePrefix) == ("-", "s", True)
    assert open_workbook(path.read_bytes(), "a.xlsx").sheets[0].rows[4][5] == "-"


def test_xls_and_xlsx_stand_in_the_order_of_the_files(tmp_path: Path) -> None:
    book = reloaded([part(an_xls(), "a.xls"), part(look("FF00FF00", "黑体", 9), "b.xlsx")], tmp_path)
    assert book.sheetnames == ["情况表", "Sheet1"]
    assert book["Sheet1"]["A1"].font.name == "黑体"
    assert book["情况表"]["B5"].value == "9145"


def test_ods_comes_back_as_xlsx(tmp_path: Path) -> None:
    document = OpenDocumentSpreadsheet()
    table = Table(name="情况表")
    for texts in [["序号", "代码", "行业", "人数"], ["1", "9145", "铝厂", "30"]]:
        row = TableRow()
        for text in texts:
            cell = TableCell(valuetype="string")
            cell.addElement(P(text=text))
            row.addElement(cell)
        table.addElement(row)
    document.spreadsheet.addElement(table)
    buffer = io.BytesIO()
    document.write(buffer)
    sheet = reloaded([part(buffer.getvalue(), "a.ods")], tmp_path)["情况表"]
    assert [cell.value for cell in sheet[2]] == ["1", "9145", "铝厂", "30"]


def test_one_file_too_large_does_not_keep_the_others_out(monkeypatch: pytest.MonkeyPatch) -> None:
    large = county_workbook("大表")
    for row in range(10, 400):
        large.worksheets[0].cell(row, 1, f"企业{row}")
    small = part(county_workbook("小表"), "小.xlsx")
    room = combining._sheet_bytes(small.data)
    monkeypatch.setattr(combining, "MAX_COPIED_SHEET_BYTES", room)
    rebuilt = combine([part(large, "大.xlsx"), small])
    assert rebuilt.book.sheetnames == ["大表", "小表"] and rebuilt.left_out == {}
    monkeypatch.setattr(combining, "MAX_REBUILT_CELLS", 5)
    combined = combine([part(large, "大.xlsx"), small])
    assert combined.book.sheetnames == ["小表"]
    assert combined.left_out == {0: "too_large"}


# -------------------------------------------------------------------------------------------------------- the bytes


def test_fixed_zip_keeps_the_content() -> None:
    data = as_bytes(county_workbook())
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(io.BytesIO(fixed_zip(data))) as new:
        assert old.namelist() == new.namelist()
        assert old.read("xl/worksheets/sheet1.xml") == new.read("xl/worksheets/sheet1.xml")
