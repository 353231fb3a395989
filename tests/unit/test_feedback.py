"""The returned workbook lists and marks every problem, its answers come back, and a clean month gets a receipt."""

from __future__ import annotations

import io
import re
import stat
import zipfile
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import xlwt
from openpyxl.comments import Comment

from include.intake.reading import read_workbook
from include.quality.findings import Finding
from include.returns import feedback
from include.returns.feedback import (
    PROBLEM_SHEET,
    Explanation,
    FormState,
    ListedFinding,
    ReturnedFile,
    read_explanations,
    write_receipt,
    write_returned_workbook,
)
from tests.corpus.libreoffice import convert, program
from tests.unit.sheets import REPORTERS
from tests.workbooks import DEMAND_HEADERS, STATUS_HEADERS, enterprise, post, write_form

RED, ORANGE, YELLOW = "FFFF9B9B", "FFFFC98A", "FFFFF3A6"
HEADERS = [
    "序号", "级别", "工作表", "单元格", "栏目", "填报内容", "问题", "怎样修改", "情况说明", "处理情况",
    "原文件", "规则", "编号",
]  # fmt: skip

INDUSTRY = Finding("W-IND-001", "enterprise_status", "情况表", 5, "industry", "C5", "铝厂", {"header": "所属行业"})
CODE = Finding("R-USC-002", "enterprise_status", "情况表", 5, "uscc", "B5", "=1+1", {"header": "统一社会信用代码"})
NOTHING = Finding("E-ALL-001", "enterprise_status", "情况表", params={"rows": 1})
LISTED = [
    ListedFinding("000000000017", INDUSTRY, 0),
    ListedFinding("1E5", CODE, 0),
    ListedFinding("a-3", NOTHING, 0),
]
STATES = [
    FormState("企业情况表", "refused", 2, file_name="灵山县企业情况表.xlsx"),
    FormState("企业用工需求表", "missing"),
]


def county_workbook() -> openpyxl.Workbook:
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    sheet.title = "情况表"
    sheet["A1"] = "灵山县企业情况表"
    for column, text in enumerate(["序号", "统一社会信用代码", "所属行业", "合计"], start=1):
        sheet.cell(4, column, text)
    sheet["A5"], sheet["B5"], sheet["C5"], sheet["D5"] = 1, "9145", "铝厂", 30
    return book


def as_bytes(book: openpyxl.Workbook) -> bytes:
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def a_file(data: bytes | None = None, name: str = "灵山县企业情况表.xlsx", **more: Any) -> ReturnedFile:
    return ReturnedFile(as_bytes(county_workbook()) if data is None else data, "xlsx", name, **more)


def returned(
    tmp_path: Path,
    listed: Sequence[ListedFinding] = LISTED,
    files: Sequence[ReturnedFile] | None = None,
    forms: Sequence[FormState] = STATES,
    **more: Any,
) -> Any:
    more = {"reporter_name": "灵山县", "period": "2026-02", **more}
    path = write_returned_workbook([a_file()] if files is None else files, forms, listed, tmp_path / "退.xlsx", **more)
    return openpyxl.load_workbook(path)


def header_row(book: Any) -> int:
    return next(row[0].row for row in book[PROBLEM_SHEET].iter_rows(max_col=1) if row[0].value == "序号")


def rows_of(book: Any) -> list[list[Any]]:
    top = header_row(book)
    rows = [[cell.value for cell in row] for row in book[PROBLEM_SHEET].iter_rows(min_row=top)]
    assert rows[0] == HEADERS
    return rows[1:]


def heading(book: Any) -> list[str]:
    return [
        cell.value
        for row in book[PROBLEM_SHEET].iter_rows(max_row=header_row(book) - 1)
        for cell in row
        if cell.value is not None
    ]


# ------------------------------------------------------------------------------------------------------- the list


def test_the_list_comes_first_ordered_by_severity(tmp_path: Path) -> None:
    book = returned(tmp_path)
    assert book.sheetnames == [PROBLEM_SHEET, "情况表"]
    rows = rows_of(book)
    assert [row[:5] for row in rows] == [
        [1, "整表退回", "情况表", None, None],
        [2, "本行暂扣", "情况表", "B5", "统一社会信用代码"],
        [3, "请核对", "情况表", "C5", "所属行业"],
    ]
    assert rows[1][6] == "“统一社会信用代码”填的“=1+1”不是18位"
    assert rows[1][7].startswith("请填写营业执照上的18位统一社会信用代码")
    assert [row[8] for row in rows] == [None, None, None]
    assert [row[9] for row in rows] == ["待更正", "待更正", "待核对"]
    assert [row[10] for row in rows] == ["灵山县企业情况表.xlsx"] * 3
    assert [row[11:] for row in rows] == [["E-ALL-001", "a-3"], ["R-USC-002", "1E5"], ["W-IND-001", "000000000017"]]


def test_the_heading_says_who_what_became_of_each_form_and_what_to_do(tmp_path: Path) -> None:
    said = heading(returned(tmp_path, due_on=date(2026, 3, 8), is_sample=True))
    assert said[0] == "灵山县2026年2月报表退回表（演示数据）"
    assert said[1] == ("结果：有报表被整表退回，请更正后重新报送。共 3 处：整表退回 1 处，本行暂扣 1 处，请核对 1 处。")
    assert said[2:6] == ["报表", "版本", "结果", "怎样处理"]
    assert said[6:9] == ["企业情况表", "第2版", "整表退回，未入库"]
    assert said[9].startswith("1. 逐条更正")
    assert said[10:12] == ["企业用工需求表", "未报送"]
    assert said[12].startswith("2. 黄色的“请核对”确属实际")
    assert said[13].startswith("3. 请于3月8日前把改好、写好的本工作簿整个报回")
    assert said[14] == "尚未收到：企业用工需求表。请一并报送。"
    assert said[15:] == ["红色：整张表未接收", "橙色：该行暂不入库", "黄色：已入库，请核对", "绿色：请填写"]


def test_a_month_with_warnings_only_is_said_to_be_loaded(tmp_path: Path) -> None:
    forms = [FormState("企业情况表", "accepted", 1, rows=12)]
    said = heading(returned(tmp_path, LISTED[:1], forms=forms))
    assert said[0] == "灵山县2026年2月报表已入库，请核对"
    assert said[1] == "结果：已收到的报表已全部入库，请核对下列各处。共 1 处：请核对 1 处。"
    assert "已入库12行" in said
    assert [text for text in said if "色：" in text] == ["黄色：已入库，请核对", "绿色：请填写"]


def test_rows_held_back_are_told_with_the_form(tmp_path: Path) -> None:
    forms = [FormState("企业情况表", "accepted", 1, rows=12, held=2, note_zh="与第1版相比改动3处。")]
    assert "已入库12行，暂扣2行（与第1版相比改动3处）" in heading(returned(tmp_path, LISTED[:2], forms=forms))


def test_cells_link_to_their_place_and_the_page_fits(tmp_path: Path) -> None:
    book = returned(tmp_path)
    sheet, top = book[PROBLEM_SHEET], header_row(book)
    assert sheet.cell(top + 2, 4).hyperlink.location == "'情况表'!B5"
    assert sheet.cell(top + 2, 4).hyperlink.target is None
    assert sheet.cell(top + 1, 4).hyperlink is None
    # about the whole sheet: its name leads there
    assert sheet.cell(top + 1, 3).hyperlink.location == "'情况表'!A1"
    assert (sheet.page_setup.orientation, sheet.page_setup.paperSize) == ("landscape", 9)
    assert (sheet.page_setup.fitToWidth, sheet.page_setup.fitToHeight) == (1, 0)
    assert sheet.print_title_rows == f"${top}:${top}"
    assert sheet.print_area == f"'问题清单'!$A$1:$J${top + 3}"
    assert sheet.freeze_panes == f"A{top + 1}"
    # every column, or the numbers would stay where they are when the clerk sorts
    assert sheet.auto_filter.ref == f"A{top}:M{top + 3}"


def test_the_answer_column_is_open_and_the_number_is_text(tmp_path: Path) -> None:
    book = returned(tmp_path)
    sheet, top = book[PROBLEM_SHEET], header_row(book)
    answer, key = sheet.cell(top + 2, 9), sheet.cell(top + 2, 13)
    assert answer.protection.locked is False
    assert answer.fill.start_color.rgb == "FFDFF2D8"
    assert (key.value, key.data_type, key.number_format) == ("1E5", "s", "@")
    [limit] = sheet.data_validations.dataValidation
    assert (limit.type, limit.formula1, str(limit.sqref)) == ("textLength", "2000", f"I{top + 1}:I{top + 3}")


def test_answered_findings_show_the_answer_and_what_became_of_it(tmp_path: Path) -> None:
    again = Finding("W-IND-001", "enterprise_status", "情况表", 5, "industry", "D5", "钢", {"header": "所属行业"})
    listed = [
        ListedFinding("k1", INDUSTRY, 0, "accepted", "=确为铝加工", "情况属实"),
        ListedFinding("k2", again, 0, "explained", "确为钢材"),
        ListedFinding("k3", CODE, 0, "rejected", "没有代码", "企业均有代码"),
    ]
    book = returned(tmp_path, listed)
    assert [(row[12], row[8], row[9]) for row in rows_of(book)] == [
        ("k3", "没有代码", "说明未采纳，请更正：企业均有代码"),
        ("k2", "确为钢材", "已说明，待审核"),
        ("k1", "'=确为铝加工", "说明已采纳，不必再改：情况属实"),
    ]
    assert heading(book)[1].endswith("其中 1 处已说明、待审核，1 处说明已采纳。")
    # nothing is left to do there
    assert book["情况表"]["C5"].fill.fill_type is None
    assert book["情况表"]["C5"].comment is None
    assert book["情况表"]["D5"].fill.start_color.rgb == YELLOW


def test_what_is_not_listed_one_by_one_is_counted(tmp_path: Path) -> None:
    book = returned(tmp_path, counts={"W-IND-001": 1500, "R-USC-002": 1, "E-ALL-001": 1, "W-DUP-002": 7})
    rows = rows_of(book)
    assert "共 1509 处：整表退回 1 处，本行暂扣 1 处，请核对 1507 处。" in heading(book)[1]
    assert heading(book)[2].startswith("主要问题：没有一行可以入库（1处）")
    assert rows[3][:3] == [None, "请核对", None]
    assert rows[3][6].endswith("：另有 1499 条同类问题未逐条列出")
    assert rows[4][6] == "岗位行重复：另有 7 条同类问题未逐条列出"
    assert rows[3][12] is None


def test_a_thousand_alike_do_not_hide_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feedback, "DETAIL_LIMIT", 6)
    book = county_workbook()
    sheet = book.worksheets[0]
    for row in range(5, 25):
        sheet.cell(row, 2, "9145")
    many = [
        ListedFinding(f"r{row}", Finding("R-USC-002", "enterprise_status", "情况表", row, "uscc", f"B{row}", "9145"), 0)
        for row in range(5, 15)
    ] + [
        ListedFinding(f"n{row}", Finding("R-VAL-001", "enterprise_status", "情况表", row, "county", f"C{row}"), 0)
        for row in range(5, 7)
    ]
    many = [
        ListedFinding(item.key, Finding(**{**as_dict(item.finding), "params": {"header": "栏"}}), 0) for item in many
    ]
    marked = returned(tmp_path, [LISTED[0], *many], [a_file(as_bytes(book))])
    rows = rows_of(marked)
    assert [row[12] for row in rows] == ["r5", "n5", "r6", "n6", "r7", "r8", None, None]
    assert rows[6][6].endswith("：另有 6 条同类问题未逐条列出")
    # the warning found no room: it is counted at the end
    assert rows[7][1] == "请核对" and rows[7][6].endswith("：另有 1 条同类问题未逐条列出")
    # every cell is coloured all the same, those listed carry a comment
    assert marked["情况表"]["B14"].fill.start_color.rgb == ORANGE
    assert marked["情况表"]["B14"].comment is None
    assert marked["情况表"]["B8"].comment is not None


def as_dict(finding: Finding) -> dict[str, Any]:
    names = ("code", "form", "sheet", "row", "column", "cell", "value", "params")
    return {name: getattr(finding, name) for name in names}


def test_texts_never_become_formulas(tmp_path: Path) -> None:
    evil = "=cmd|' /C calc'!A0"
    listed = [ListedFinding(evil, CODE, 0, "explained", evil, evil)]
    forms = [FormState(evil, "accepted", 1, note_zh=evil)]
    book = returned(tmp_path, listed, [a_file(name=f"{evil}.xlsx")], forms, reporter_name=evil)
    for row in book[PROBLEM_SHEET].iter_rows():
        for cell in row:
            assert cell.data_type != "f"
            assert not str(cell.value or "").startswith(("=", "+", "-", "@"))
    assert rows_of(book)[0][5] == "'=1+1"


# --------------------------------------------------------------------------------------------------------- marks


def test_bad_cells_are_filled_and_commented(tmp_path: Path) -> None:
    sheet = returned(tmp_path)["情况表"]
    assert sheet["B5"].fill.start_color.rgb == ORANGE
    assert sheet["C5"].fill.start_color.rgb == YELLOW
    assert sheet["B5"].comment.text.startswith("【本行暂扣】“统一社会信用代码”填的“=1+1”不是18位。请填写")
    assert sheet["D5"].fill.fill_type is None


def test_two_findings_in_one_cell_take_the_graver_colour(tmp_path: Path) -> None:
    again = Finding("W-IND-001", "enterprise_status", "情况表", 5, "industry", "B5", "铝", {"header": "所属行业"})
    sheet = returned(tmp_path, [ListedFinding("k", again, 0), *LISTED])["情况表"]
    assert sheet["B5"].fill.start_color.rgb == ORANGE
    assert "【本行暂扣】" in sheet["B5"].comment.text and "【请核对】" in sheet["B5"].comment.text


def test_a_finding_inside_a_merge_marks_the_cell_that_shows_the_value(tmp_path: Path) -> None:
    book = county_workbook()
    book.worksheets[0].merge_cells("B5:B7")
    inside = Finding("R-USC-002", "enterprise_status", "情况表", 6, "uscc", "B6", "9145", {"header": "代码"})
    sheet = returned(tmp_path, [ListedFinding("k", inside, 0)], [a_file(as_bytes(book))])["情况表"]
    assert sheet["B5"].fill.start_color.rgb == ORANGE
    assert sheet["B5"].comment is not None


def test_comments_stay_small(tmp_path: Path) -> None:
    long = Finding("W-IND-001", "enterprise_status", "情况表", 5, "industry", "C5", "铝" * 300, {"header": "所属行业"})
    book = returned(tmp_path, [ListedFinding(f"k{number}", long, 0) for number in range(9)])
    assert len(book["情况表"]["C5"].comment.text) <= 400
    assert len(rows_of(book)[0][5]) == 121


def test_a_comment_stands_beside_its_cell(tmp_path: Path) -> None:
    book = county_workbook()
    book.worksheets[0].column_dimensions["D"].width = 20
    returned(tmp_path, LISTED[:1], [a_file(as_bytes(book))])
    with zipfile.ZipFile(tmp_path / "退.xlsx") as package:
        drawing = package.read("xl/drawings/commentsDrawing1.vml").decode()
    height = int(re.findall(r"width:320px;height:([0-9]+)px", drawing)[0])
    [anchor] = re.findall(r"<[a-z0-9]+:Anchor>(.*?)</", drawing)
    # C5 is column 2, row 4: from column D, 15 px in; D is 145 px, E and F 64 px, so 335 px end 62 px into G;
    # rows are 20 px
    assert anchor == f"3, 15, 3, 8, 6, 62, {3 + (8 + height - 1) // 20}, {(8 + height - 1) % 20 + 1}"


# -------------------------------------------------------------------------------------------------- several files


def three_files(tmp_path: Path) -> list[ReturnedFile]:
    """Two forms and a note in three files, every sheet called Sheet1, as counties send them."""
    status = write_form(
        tmp_path / "附件1.xlsx", "企业情况表", "灵山县", "2026-02", STATUS_HEADERS, [enterprise("灵山县", "450721", 1)]
    )
    demand = write_form(
        tmp_path / "附件2.xlsx",
        "企业用工需求表",
        "灵山县",
        "2026-02",
        DEMAND_HEADERS,
        [post(enterprise("灵山县", "450721", 1), "缝纫工")],
    )
    return [
        ReturnedFile(status.read_bytes(), "xlsx", "附件1.xlsx", {"Sheet1": "企业情况表"}),
        ReturnedFile(demand.read_bytes(), "xlsx", "附件2.xlsx", {"Sheet1": "企业用工需求表"}),
        ReturnedFile(b"<html>", None, "附件3.xls"),
    ]


def test_findings_point_into_the_combined_workbook(tmp_path: Path) -> None:
    of_status = Finding("R-USC-002", "enterprise_status", "Sheet1", 5, "uscc", "C5", "9145", {"header": "代码"})
    of_demand = Finding("W-DUP-002", "labour_demand", "Sheet1", 5, "post", "E5", "缝纫工", {"other_rows": "第6行"})
    of_third = Finding("E-FILE-002", params={"file": "附件3.xls", "kind": "网页（HTML）"})
    listed = [ListedFinding("k1", of_status, 0), ListedFinding("k2", of_demand, 1), ListedFinding("k3", of_third, 2)]
    book = returned(tmp_path, listed, three_files(tmp_path))
    assert book.sheetnames == [PROBLEM_SHEET, "企业情况表", "企业用工需求表"]
    assert [(row[2], row[3], row[10]) for row in rows_of(book)] == [
        ("整个文件", None, "附件3.xls"),
        ("企业情况表", "C5", "附件1.xlsx"),
        ("企业用工需求表", "E5", "附件2.xlsx"),
    ]
    top = header_row(book)
    assert book[PROBLEM_SHEET].cell(top + 3, 4).hyperlink.location == "'企业用工需求表'!E5"
    assert book["企业情况表"]["C5"].fill.start_color.rgb == ORANGE
    assert book["企业用工需求表"]["E5"].fill.start_color.rgb == YELLOW
    assert book["企业用工需求表"]["C5"].fill.fill_type is None
    assert "“附件3.xls”无法打开，没有附在本工作簿中，请按清单处理后另行报送。" in heading(book)


def test_the_returned_workbook_is_read_like_what_was_sent(tmp_path: Path) -> None:
    files = three_files(tmp_path)[:2]
    sent = [read_workbook(file.data, file.file_name, "2026-02/灵山县", REPORTERS).tables[0] for file in files]
    mark = Finding("W-IND-001", "enterprise_status", "Sheet1", 5, "industry", "F5", "铝", {"header": "所属行业"})
    path = write_returned_workbook(
        files, STATES, [ListedFinding("k", mark, 0)], tmp_path / "灵山县-退回表.xlsx", reporter_name=None, period=None
    )
    again = read_workbook(path.read_bytes(), path.name, None, REPORTERS)
    assert (again.identification.period, again.identification.reporter_code) == ("2026-02", "450721")
    assert again.findings == []
    assert [table.form for table in again.tables] == ["enterprise_status", "labour_demand"]
    for table, before in zip(again.tables, sent, strict=True):
        assert table.columns == before.columns
        assert table.source_rows == before.source_rows


@pytest.mark.parametrize("kind", [None, "xlsx"])
def test_what_cannot_be_opened_comes_back_as_the_list_alone(tmp_path: Path, kind: str | None) -> None:
    refused = Finding("E-FILE-004", params={"file": "灵山.xlsx"})
    file = ReturnedFile(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1junk", kind, "灵山.xlsx")
    book = returned(tmp_path, [ListedFinding("", refused, 0)], [file], [], period=None, reporter_name=None)
    assert book.sheetnames == [PROBLEM_SHEET]
    assert rows_of(book)[0][1:4] == ["整表退回", "整个文件", None]
    assert heading(book)[0] == "报表退回表"
    assert heading(book)[2:] == [
        "文件", "结果", "怎样处理", "灵山.xlsx", "未登记", "1. 按“怎样修改”一栏，在原文件中逐条更正。",
        "2. 请重新报送改好的文件。", "红色：整张表未接收",
    ]  # fmt: skip


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    files = three_files(tmp_path)

    def written(name: str, listed: Sequence[ListedFinding]) -> bytes:
        path = tmp_path / name
        write_returned_workbook(files, STATES, listed, path, reporter_name="灵山县", period="2026-02")
        return path.read_bytes()

    first = written("a.xlsx", LISTED)
    assert written("b.xlsx", LISTED[::-1]) == first
    with zipfile.ZipFile(io.BytesIO(first)) as package:
        assert {info.date_time for info in package.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert b"2000-01-01T00:00:00Z" in package.read("docProps/core.xml")


def test_the_file_is_its_owner_s_alone_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    (tmp_path / ".退.xlsx.4711").write_bytes(b"half")
    returned(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["退.xlsx"]
    assert stat.S_IMODE((tmp_path / "退.xlsx").stat().st_mode) == 0o600


# ------------------------------------------------------------------------------------------------------- answers


def answered(tmp_path: Path) -> bytes:
    """A returned workbook as a clerk sends it again: answered, sorted the other way round, one row deleted."""
    book = returned(tmp_path)
    sheet, top = book[PROBLEM_SHEET], header_row(book)
    rows = [[cell.value for cell in row] for row in sheet.iter_rows(min_row=top + 1)]
    rows[1][8], rows[2][8] = "'=代码已补", "确为铝加工，\n见附件"
    for number, row in enumerate([rows[2], rows[1]], start=top + 1):
        for column, value in enumerate(row, start=1):
            cell = sheet.cell(number, column)
            cell.value, cell.data_type = value, "n" if isinstance(value, int) else "s"
    sheet.delete_rows(top + 3)
    return as_bytes(book)


ANSWERS = [
    Explanation("000000000017", "情况表", "C5", "W-IND-001", "确为铝加工，\n见附件"),
    Explanation("1E5", "情况表", "B5", "R-USC-002", "=代码已补"),
]


def unchanged(data: bytes) -> bytes:
    return data


def by_libreoffice(data: bytes) -> bytes:
    made, why = convert({"again": data}, "xlsx")
    assert why is None
    return made["again"]


PROGRAMS: list[Callable[[bytes], bytes]] = [unchanged, by_libreoffice] if program() else [unchanged]


@pytest.mark.parametrize("saved_by", PROGRAMS)
def test_answers_come_back_whoever_saved_the_workbook(tmp_path: Path, saved_by: Callable[[bytes], bytes]) -> None:
    assert read_explanations(saved_by(answered(tmp_path)), "再报.xlsx") == ANSWERS


def test_answers_come_back_from_an_xls(tmp_path: Path) -> None:
    old = xlwt.Workbook(encoding="utf-8")
    sheet = old.add_sheet("问题清单(2)")
    for column, text in enumerate(["编 号", "规则", "情况说明", "单元格", "工作表"]):
        sheet.write(7, column, text)
    # typed anew, the number has become one
    for column, value in enumerate([17, "W-IND-001", "确为铝加工", "C5", "情况表"]):
        sheet.write(8, column, value)
    sheet.write(9, 2, "没有编号的说明")
    sheet.write(10, 0, "没有说明的编号")
    buffer = io.BytesIO()
    old.save(buffer)
    assert read_explanations(buffer.getvalue(), "a.xls") == [
        Explanation("17", "情况表", "C5", "W-IND-001", "确为铝加工")
    ]


def test_long_answers_are_cut_and_say_so(tmp_path: Path) -> None:
    book = returned(tmp_path)
    book[PROBLEM_SHEET].cell(header_row(book) + 1, 9).value = "长" * 3000
    [answer] = read_explanations(as_bytes(book), "a.xlsx")
    assert len(answer.text) == 2000
    assert answer.text.endswith("长……（原文超过2000字，已截断）")


def test_an_answer_given_before_is_read_again(tmp_path: Path) -> None:
    data = as_bytes(returned(tmp_path, [ListedFinding("k2", INDUSTRY, 0, "explained", "-确为铝加工")]))
    assert [(answer.key, answer.text) for answer in read_explanations(data, "a.xlsx")] == [("k2", "-确为铝加工")]


def test_no_list_no_answers() -> None:
    assert read_explanations(as_bytes(county_workbook()), "a.xlsx") == []
    assert read_explanations(b"junk", "a.xlsx") == []


@pytest.mark.parametrize("saved_by", PROGRAMS)
def test_marks_of_an_earlier_return_go_the_county_s_own_stay(
    tmp_path: Path, saved_by: Callable[[bytes], bytes]
) -> None:
    own = county_workbook()
    own.worksheets[0]["C5"].comment = Comment("本县批注", "填表人")
    first = returned(tmp_path, files=[a_file(as_bytes(own))])
    assert first["情况表"]["C5"].comment.text.endswith("\n（原批注）本县批注")
    book = returned(tmp_path, LISTED[2:], [a_file(saved_by(as_bytes(first)))])
    assert book.sheetnames == [PROBLEM_SHEET, "情况表"]
    assert book["情况表"]["B5"].comment is None
    assert book["情况表"]["B5"].fill.fill_type is None
    assert book["情况表"]["C5"].comment.text == "本县批注"


# -------------------------------------------------------------------------------------------------------- receipt


def test_receipt(tmp_path: Path) -> None:
    forms = [
        FormState("企业情况表", "accepted", 2, 35, 0, "=灵山.xlsx", datetime(2026, 3, 4, 8, 5, tzinfo=UTC), False),
        FormState("企业用工需求表", "accepted", 1, 80, 0, "附件2.xls", datetime(2026, 3, 9, 1, 0, tzinfo=UTC), True),
    ]
    path = tmp_path / "回执.xlsx"
    write_receipt(path, forms=forms, reporter_name="灵山县", period="2026-02", is_sample=True)
    sheet = openpyxl.load_workbook(path).worksheets[0]
    rows = [[cell.value for cell in row] for row in sheet.iter_rows()]
    assert sheet.title == "回执"
    assert rows[0][0] == "灵山县2026年2月报表报送回执（演示数据）"
    assert rows[1][0] == "填报单位：灵山县　　报告期：2026年2月"
    assert rows[2] == ["报表", "版本", "结果", "报送情况", "收到时间", "文件"]
    assert rows[3] == ["企业情况表", "第2版", "已入库35行", "按时", "2026-03-04 16:05", "'=灵山.xlsx"]
    assert rows[4] == ["企业用工需求表", "第1版", "已入库80行", "迟报", "2026-03-09 09:00", "附件2.xls"]
    assert "不需要更正，也不需要再报，请留存本回执。" in [row[0] for row in rows]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    first = path.read_bytes()
    write_receipt(path, forms=forms, reporter_name="灵山县", period="2026-02", is_sample=True)
    assert path.read_bytes() == first


def test_a_receipt_names_what_has_not_come(tmp_path: Path) -> None:
    forms = [FormState("企业情况表", "accepted", 1, 35), FormState("企业用工需求表", "missing")]
    path = write_receipt(
        tmp_path / "回执.xlsx", forms=forms, reporter_name="灵山县", period="2026-02", due_on=date(2026, 3, 8)
    )
    rows = [[cell.value for cell in row] for row in openpyxl.load_workbook(path).worksheets[0].iter_rows()]
    assert rows[4] == ["企业用工需求表", "—", "未报送", "—", "—", "—"]
    said = [row[0] for row in rows]
    assert "尚未收到：企业用工需求表。请于3月8日前报送。" in said
    assert "不需要更正，也不需要再报，请留存本回执。" not in said
