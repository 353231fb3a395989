"""Templates: what a clerk fills into them passes without a finding, and everything they say comes from the forms."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pytest
import xlwt
from openpyxl.cell.rich_text import CellRichText
from openpyxl.workbook import Workbook
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.worksheet import Worksheet

from include.forms.model import Field, load_forms
from include.intake.reading import WorkbookReading, identify_workbook, read_workbook
from include.intake.reporters import load_reporters
from include.intake.values import MAX_INTEGER, read_date, read_integer
from include.quality.runner import examine, examine_cross_form
from include.sample.claims import person_number
from include.settings import get_settings
from include.templates import write as templates
from include.templates.book import FIRST_DATA_ROW, HEADER_ROW
from include.templates.rules import (
    FIRST_DAY,
    LAST_DAY,
    YES_NO,
    TemplateError,
    cell_rule,
    hint,
    row_checks,
    seed,
    template_fields,
    words,
)
from include.templates.write import KnownEnterprise, write_template, write_templates
from tests.workbooks import enterprise, post, uscc

PERIOD = "2026-11"
FORMS = sorted(load_forms())
REPORTERS = load_reporters(get_settings().reporters_file)
LINGSHAN = next(reporter for reporter in REPORTERS if reporter.reporter_name == "灵山县")
KNOWN = [
    KnownEnterprise("灵山县演示1号木业有限公司", uscc("450721", 1), "木材加工和木、竹、藤、棕、草制品业"),
    KnownEnterprise("灵山县演示2号木业有限公司", uscc("450721", 2), "糖"),
]
INDICATORS = 36  # 20 of the two documents of the region and 16 of 钦州市, to which 灵山县 belongs
FIRST = FIRST_DATA_ROW + 1  # 1-based, as openpyxl counts


def typed_rows(form: str) -> list[dict[str, Any]]:
    """What a clerk types, by field name: two enterprises with their posts, two claims, two indicators, two classes, two
    brands."""
    status = [enterprise("灵山县", "450721", number) for number in (1, 2)]
    if form == "enterprise_status":
        return status
    if form == "labour_demand":
        more = {
            "expansion_month": "2026年12月", "expansion_reason": "新增生产线", "gender": "不限", "age_min": "18-45",
            "skill_level": "初级工", "wage_min": "3500-5000", "benefits": "包吃住", "workplace": "灵山县工业区",
            "training_month": "2027年1月", "training_mode": "院校", "contact": "演示甲", "phone": "0000-0000000",
        }  # fmt: skip
        return [post(one, "木工", **more) for one in status]
    if form == "subsidy_payment":
        claim = {
            "seq": 1, "item": "职业培训补贴", "fund": "就业补助资金", "batch_no": "2026-11-01",
            "payee_name": KNOWN[0].enterprise_name, "payee_uscc": KNOWN[0].uscc, "person_name": "演示甲",
            "person_id": "11010519491231002X", "person_group": "企业在职职工", "occupation": "木工", "level": "初级工",
            "certificate_no": "S000045072126000001", "covered_from": date(2026, 10, 1),
            "covered_to": date(2026, 10, 31), "standard": 800, "quantity": 1, "applied": 800, "approved": 800,
            "paid": 800, "applied_on": date(2026, 11, 2), "accepted_on": date(2026, 11, 3),
            "reviewed_on": date(2026, 11, 9), "notice_from": date(2026, 11, 10), "notice_to": date(2026, 11, 16),
            "decided_on": date(2026, 11, 18), "paid_on": date(2026, 11, 27), "payment_type": "核拨",
            "status": "已拨付", "account": "演示0000000000000001", "remark": "演示",
        }  # fmt: skip
        return [
            claim,
            claim | {"seq": 2, "person_id": person_number("450721", 2), "certificate_no": "S000045072126000002"},
        ]
    if form == "programme_progress":
        return [
            {"done_this_month": 3, "done_to_date": 12, "problems": "师资不足", "next_steps": "增开班次"}
        ] * INDICATORS
    if form == "apprenticeship":
        trained = {
            "filing_no": "灵学徒2026-01", "enterprise_name": KNOWN[0].enterprise_name, "uscc": KNOWN[0].uscc,
            "training_institution": "灵山县演示技工学校", "occupation": "木工", "level": "中级工",
            "materials_on": date(2026, 3, 2), "filed_on": date(2026, 3, 20), "filed_persons": 30,
            "started_on": date(2026, 4, 1), "completed_on": date(2026, 10, 30), "training_persons": 0,
            "passed_persons": 27, "left_persons": 2, "left_on": date(2026, 6, 5), "left_reported_on": date(2026, 6, 8),
        }  # fmt: skip
        applied_for = {name: trained[name] for name in ("enterprise_name", "uscc", "occupation")}
        return [
            trained,
            applied_for | {"level": "高级工", "materials_on": date(2026, 11, 16), "filed_persons": 12},
        ]
    return [
        {
            "brand_name": f"灵山演示品牌{number}", "category": "民生保障型", "county": "灵山县",
            "recognised_level": "市级", "cultivator_name": KNOWN[0].enterprise_name, "cultivator_uscc": KNOWN[0].uscc,
            "employed": 300, "agreement_persons": 120, "trained_person_times": 40, "employment_driven": 25,
            "trademark_no": f"0000000{number}", "entered_on": date(2026, 5, 8), "status": "在库",
        }
        for number in (1, 2)
    ]  # fmt: skip


def template(folder: Path, form: str, known: Sequence[KnownEnterprise] = (), **options: Any) -> Path:
    return write_template(form, LINGSHAN, PERIOD, folder / f"{form}.xlsx", known, **options)


def data_page(book: Workbook) -> Worksheet:
    page = book.worksheets[0]
    assert page.sheet_state == "visible"
    return page


def fill(path: Path, form: str, rows: Sequence[Mapping[str, Any]]) -> Workbook:
    """Type rows into the unlocked cells as a clerk does, over what stands there already."""
    book = openpyxl.load_workbook(path)
    page = data_page(book)
    fields = template_fields(load_forms()[form])
    for offset, row in enumerate(rows):
        for index, one in enumerate(fields):
            if (value := row.get(one.name)) is None:
                continue
            cell = page.cell(FIRST + offset, index + 1)
            assert not cell.protection.locked, cell.coordinate
            cell.value = value
    for row in page.iter_rows(min_row=3, max_row=3):
        for cell in row:
            if cell.value:
                assert not cell.protection.locked
                typed = {"填报时间：": "2026年12月3日", "联系电话：": "0000-0000000"}.get(cell.value, "演示乙")
                cell.value = f"{cell.value}{typed}"
    return book


def saved(book: Workbook) -> bytes:
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def as_xls(book: Workbook) -> bytes:
    """The same workbook in the old format: values, merges, hidden sheets."""
    old = xlwt.Workbook(encoding="utf-8")
    day = xlwt.easyxf(num_format_str="yyyy-mm-dd")
    for page in book.worksheets:
        target = old.add_sheet(page.title)
        target.visibility = 0 if page.sheet_state == "visible" else 1
        for row in page.iter_rows():
            for cell in row:
                value = str(cell.value) if isinstance(cell.value, CellRichText) else cell.value
                if value is not None:
                    style = [day] if isinstance(value, date | datetime) else []
                    target.write(cell.row - 1, cell.column - 1, value, *style)
        for area in page.merged_cells.ranges:
            target.merge(area.min_row - 1, area.max_row - 1, area.min_col - 1, area.max_col - 1)
    buffer = io.BytesIO()
    old.save(buffer)
    return buffer.getvalue()


def read(data: bytes, name: str = "报表.xlsx") -> WorkbookReading:
    return read_workbook(data, name, None, REPORTERS)


def frame_of(reading: WorkbookReading) -> pd.DataFrame:
    [table] = reading.tables
    place = {"submission_id": "s", "sheet": table.sheet_of_row, "source_row": table.source_rows}
    where = {"county_code": "450721", "reporter_code": "450721", "period": PERIOD}
    return pd.DataFrame({**table.columns, **place}).assign(**where)


def codes(reading: WorkbookReading) -> list[str]:
    found = list(reading.findings)
    for table in reading.tables:
        found += table.log.detail
    return [finding.code for finding in found]


# --------------------------------------------------------------------------------------------- filled in and read


@pytest.mark.parametrize("kind", ["xlsx", "xls"])
@pytest.mark.parametrize("form", FORMS)
def test_a_filled_template_passes_without_a_finding(tmp_path: Path, form: str, kind: str) -> None:
    book = fill(template(tmp_path, form, KNOWN), form, typed_rows(form))
    reading = read(saved(book) if kind == "xlsx" else as_xls(book), f"附件.{kind}")
    assert codes(reading) == []
    assert (reading.identification.reporter_code, reading.identification.period) == ("450721", PERIOD)
    [table] = reading.tables
    assert (table.form, table.template_version) == (form, "2026.1")
    assert len(table.source_rows) == len(typed_rows(form))
    validation = examine(form, frame_of(reading))
    assert [finding for _, finding in validation.findings] == []


@pytest.mark.parametrize("kind", ["xlsx", "xls"])
def test_a_template_that_libreoffice_saved_passes_as_well(kind: str) -> None:
    """The template of form 1, filled in with ``typed_rows``, opened and saved by LibreOffice 7.4 in both formats."""
    reading = read((Path(__file__).parent / "templates" / f"libreoffice.{kind}").read_bytes(), f"附件1.{kind}")
    assert codes(reading) == []
    assert (reading.identification.reporter_code, reading.identification.period) == ("450721", PERIOD)
    assert reading.identification.is_sample
    assert reading.tables[0].template_version == "2026.1"
    assert reading.tables[0].columns["uscc"] == [one.uscc for one in KNOWN]
    assert [finding for _, finding in examine("enterprise_status", frame_of(reading)).findings] == []


def test_what_was_typed_is_what_is_read(tmp_path: Path) -> None:
    rows = typed_rows("labour_demand")
    [table] = read(saved(fill(template(tmp_path, "labour_demand", KNOWN), "labour_demand", rows))).tables
    first = {name: values[0] for name, values in table.columns.items()}
    assert first["uscc"] == KNOWN[0].uscc
    assert (first["age_min"], first["age_max"], first["wage_min"], first["wage_max"]) == (18, 45, 3500.0, 5000.0)
    assert (first["expansion_month"], first["training_month"]) == ("2026-12", "2027-01")
    assert first["training_subsidised"] is True


def test_codes_and_accounts_of_digits_alone_keep_every_digit(tmp_path: Path) -> None:
    rows = [typed_rows("subsidy_payment")[0] | {"account": "0123456789012345678"}]
    book = fill(template(tmp_path, "subsidy_payment"), "subsidy_payment", rows)
    page = data_page(book)
    fields = [one.name for one in template_fields(load_forms()["subsidy_payment"])]
    for name in ("payee_uscc", "person_id", "account", "certificate_no"):
        assert page.cell(FIRST, fields.index(name) + 1).number_format == "@"
    [table] = read(saved(book)).tables
    assert table.columns["account"] == ["0123456789012345678"]


def test_both_forms_of_one_month_agree_with_each_other(tmp_path: Path) -> None:
    frames = [
        frame_of(read(saved(fill(template(tmp_path, form, KNOWN), form, typed_rows(form)))))
        for form in ("enterprise_status", "labour_demand")
    ]
    assert [finding for _, finding in examine_cross_form(*frames).findings] == []


def test_an_untouched_template_is_refused_with_one_clear_finding(tmp_path: Path) -> None:
    for form, expected in (
        ("enterprise_status", ["E-TBL-002"]),
        ("labour_demand", ["E-TBL-002"]),
        ("subsidy_payment", ["W-TBL-001"]),
        ("brand_registry", ["W-TBL-001"]),
        ("apprenticeship", ["W-TBL-001"]),
    ):
        reading = read(template(tmp_path, form).read_bytes())
        assert codes(reading) == expected, form
        assert reading.identification.period == PERIOD


def test_an_enterprise_left_untouched_is_held_and_takes_no_other_row_with_it(tmp_path: Path) -> None:
    book = fill(
        template(tmp_path, "enterprise_status", KNOWN), "enterprise_status", typed_rows("enterprise_status")[:1]
    )
    [table] = read(saved(book)).tables
    assert not table.refused
    assert {row for _, row in table.log.held} == {FIRST + 1}


# ------------------------------------------------------------------------------------------------ what it looks like


@pytest.mark.parametrize("form", FORMS)
def test_the_frame_names_county_month_and_form(tmp_path: Path, form: str) -> None:
    page = data_page(openpyxl.load_workbook(template(tmp_path, form)))
    title = load_forms()[form].title_zh
    assert page["A1"].value == f"灵山县{title}"
    frame = [cell.value for cell in page[2] if cell.value]
    assert frame[:2] == ["填报单位（盖章）：灵山县人力资源和社会保障局", "报告期：2026年11月"]
    assert [cell.value for cell in page[3] if cell.value] == ["单位负责人：", "填表人：", "联系电话：", "填报时间："]


def test_a_demonstration_says_so_and_is_read_as_one(tmp_path: Path) -> None:
    path = template(tmp_path, "enterprise_status", KNOWN, is_sample=True)
    assert data_page(openpyxl.load_workbook(path))["A1"].value == "灵山县企业情况表（演示数据）"
    assert read(path.read_bytes()).identification.is_sample
    assert not read(template(tmp_path, "enterprise_status", KNOWN).read_bytes()).identification.is_sample


def test_enterprises_known_stand_in_form_1_and_can_be_looked_up_in_form_2(tmp_path: Path) -> None:
    page = data_page(openpyxl.load_workbook(template(tmp_path, "enterprise_status", KNOWN)))
    rows = [[page.cell(FIRST + n, c).value for c in (1, 2, 3, 4, 6)] for n in (0, 1, 2)]
    assert rows == [
        [1, KNOWN[0].enterprise_name, KNOWN[0].uscc, "灵山县", "木材加工和木、竹、藤、棕、草制品业"],
        [2, KNOWN[1].enterprise_name, KNOWN[1].uscc, "灵山县", "农副食品加工业"],  # 糖 is a local name of division 13
        [None] * 5,
    ]
    book = openpyxl.load_workbook(template(tmp_path, "labour_demand", KNOWN, source_period="2026-10"))
    assert data_page(book).cell(FIRST, 2).value is None
    listed = [[cell.value for cell in row] for row in book["代码表"].iter_rows(min_row=3)]
    assert listed == [
        ["2026年10月报表中的企业", None, None],
        ["序号", "企业名称", "统一社会信用代码"],
        ["1", KNOWN[0].enterprise_name, KNOWN[0].uscc],
        ["2", KNOWN[1].enterprise_name, KNOWN[1].uscc],
    ]


def test_indicators_of_the_region_and_of_the_countys_city_stand_in_form_4(tmp_path: Path) -> None:
    page = data_page(openpyxl.load_workbook(template(tmp_path, "programme_progress")))
    rows = [tuple(cell.value for cell in row[:4]) for row in page.iter_rows(min_row=FIRST) if row[0].value]
    assert len(rows) == INDICATORS
    assert rows[0] == ("打造“八桂系列”劳务品牌促进就业实施方案", "全国知名劳务品牌", None, "个")
    assert ("钦州市推进“八桂系列”劳务品牌建设促进就业行动实施方案", "累计培训", "八桂家政", "人次") in rows
    elsewhere = replace(LINGSHAN, reporter_code="450126", region_code="450126", city_code="450100")
    path = write_template("programme_progress", elsewhere, PERIOD, tmp_path / "elsewhere.xlsx")
    page = data_page(openpyxl.load_workbook(path))
    assert sum(1 for row in page.iter_rows(min_row=FIRST) if row[0].value) == 20


@pytest.mark.parametrize("form", FORMS)
def test_headers_are_locked_and_marked_and_data_cells_are_open(tmp_path: Path, form: str) -> None:
    page = data_page(openpyxl.load_workbook(template(tmp_path, form, KNOWN), rich_text=True))
    protection = page.protection
    assert protection.sheet and not protection.password
    # in the file, 0 means that the protected sheet allows it
    allowed = ("insertRows", "deleteRows", "formatColumns", "formatRows", "sort", "autoFilter")
    assert [name for name in allowed if getattr(protection, name)] == []
    for index, one in enumerate(template_fields(load_forms()[form]), start=1):
        leaf = page.cell(HEADER_ROW + (2 if one.group else 1), index)
        text = "".join(str(leaf.value).split())
        assert text.startswith("*") == one.required, text
        assert text.lstrip("*").startswith(one.leaf), text
        for row in (1, 2, HEADER_ROW + 1, HEADER_ROW + 2):
            assert page.cell(row, index).protection.locked
        assert not page.cell(FIRST, index).protection.locked
        dimension = page.column_dimensions[openpyxl.utils.get_column_letter(index)]
        assert dimension.width > 4
    # a row can be deleted only where every cell of it is open, those beside the table too
    beside = page.column_dimensions[openpyxl.utils.get_column_letter(len(template_fields(load_forms()[form])) + 1)]
    assert beside.hidden and not beside.protection.locked and beside.max == 16_384
    if any(one.required for one in template_fields(load_forms()[form])):
        assert isinstance(next(c.value for c in page[HEADER_ROW + 1] if str(c.value).startswith("*")), CellRichText)


def test_units_stand_in_the_headers_and_are_read_as_the_forms_own(tmp_path: Path) -> None:
    page = data_page(openpyxl.load_workbook(template(tmp_path, "enterprise_status")))
    texts = {"".join(str(cell.value).split()) for row in page["A4:AO5"] for cell in row if cell.value}
    assert {"职工人数（人）", "*职业技能培训需求人数（人）", "月平均工资（元）", "上年度营业收入（万元）"} <= texts


@pytest.mark.parametrize("form", FORMS)
def test_it_is_set_up_for_printing(tmp_path: Path, form: str) -> None:
    book = openpyxl.load_workbook(template(tmp_path, form))
    page = data_page(book)
    assert page.page_setup.orientation == "landscape"
    assert page.page_setup.paperSize == (9 if form in ("programme_progress", "brand_registry", "apprenticeship") else 8)
    assert (page.page_setup.fitToWidth, page.page_setup.fitToHeight) in ((1, 0), (None, 0))
    assert page.print_title_rows == "$4:$5"
    assert page.freeze_panes and page.freeze_panes.endswith(str(FIRST))
    assert "第 &P 页 共 &N 页" in page.oddFooter.center.text or "第 &P 页 共 &N 页" in str(page.HeaderFooter.oddFooter)
    assert [sheet.sheet_state for sheet in book.worksheets if sheet.title.startswith("_")] == ["hidden", "hidden"]


def test_the_hidden_marks_name_form_version_county_and_month(tmp_path: Path) -> None:
    for form in FORMS:
        rows = openpyxl.load_workbook(template(tmp_path, form))["_meta"].values
        assert dict(rows) == {"form": form, "version": "2026.1", "county_code": "450721", "period": PERIOD}


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    first = template(tmp_path, "enterprise_status", KNOWN).read_bytes()
    assert template(tmp_path, "enterprise_status", KNOWN).read_bytes() == first
    assert [path.name for path in tmp_path.iterdir()] == ["enterprise_status.xlsx"]


# ------------------------------------------------------------------------------------------- validation and guide


def validations(page: Worksheet) -> dict[int, DataValidation]:
    """0-based column -> validation of its data cells."""
    found: dict[int, DataValidation] = {}
    for rule in page.data_validations.dataValidation:
        for area in rule.sqref.ranges:
            if area.min_row == FIRST:
                assert area.max_row == 1_048_576
                for column in range(area.min_col - 1, area.max_col):
                    assert column not in found
                    found[column] = rule
    return found


@pytest.mark.parametrize("form", FORMS)
def test_every_column_has_the_validation_of_its_type(tmp_path: Path, form: str) -> None:
    book = openpyxl.load_workbook(template(tmp_path, form, KNOWN))
    rules = validations(data_page(book))
    fields = template_fields(load_forms()[form])
    assert sorted(rules) == list(range(len(fields)))
    for index, one in enumerate(fields):
        rule = rules[index]
        assert rule.error and len(rule.error) <= 255 and len(rule.prompt or "") <= 255
        if one.type == "enum":
            assert rule.formula1 == f'"{",".join(one.columns[0].values)}"'
            assert rule.errorStyle in (None, "stop")
        elif one.type == "boolean":
            assert rule.formula1 == '"是,否"'
        elif one.name == "county":
            assert rule.formula1 == '"灵山县"'
        elif one.type == "industry":
            assert listed(book, rule.formula1) == [row["division_name"] for row in seed("industries")]
            assert len(listed(book, rule.formula1)) == 97
        elif one.type == "integer":
            assert (rule.type, rule.operator, rule.formula1, rule.formula2) == ("whole", None, "0", str(MAX_INTEGER))
            assert rule.errorStyle in (None, "stop")
        elif one.type in ("decimal", "money"):
            assert (rule.type, rule.formula1, rule.errorStyle in (None, "stop")) == ("decimal", "0", True)
        elif one.type == "date":
            assert (rule.type, rule.formula1, rule.formula2) == ("date", "32874", "73050")
        elif one.type == "uscc":
            assert (rule.type, rule.operator, rule.formula1, rule.errorStyle) == (
                "textLength", "equal", "18", "information",
            )  # fmt: skip
        elif one.type == "month":
            assert rule.formula1.startswith('"2026年11月,2026年12月,2027年1月,')
            assert rule.errorStyle == "information"
        else:
            assert rule.type in ("textLength", "list") and rule.errorStyle == "information"


def listed(book: Workbook, name: str) -> list[str]:
    """Values behind a defined name."""
    [(sheet, area)] = list(book.defined_names[name].destinations)
    return [row[0].value for row in book[sheet][area]]


def test_lists_too_long_for_a_cell_are_ranges_of_a_hidden_sheet(tmp_path: Path) -> None:
    form = load_forms()["labour_demand"]
    many = [KnownEnterprise(f"灵山县演示{n}号木业有限公司", uscc("450721", n), None) for n in range(1, 41)]
    book = openpyxl.load_workbook(template(tmp_path, "labour_demand", many))
    index = [one.name for one in template_fields(form)].index("enterprise_name")
    rule = validations(data_page(book))[index]
    assert rule.formula1 == "list_enterprise_name" and rule.errorStyle == "information"
    assert listed(book, rule.formula1) == [one.enterprise_name for one in many]
    assert listed(book, "known_codes") == [one.uscc for one in many]
    book = openpyxl.load_workbook(template(tmp_path, "subsidy_payment"))
    items = validations(data_page(book))[1]
    assert items.formula1.startswith('"职业培训补贴,岗前培训补贴,') and items.errorStyle == "information"


def test_limits_are_those_of_the_reader() -> None:
    assert read_integer(MAX_INTEGER).problem is None and read_integer(MAX_INTEGER + 1).problem is not None
    assert read_date(FIRST_DAY).value == FIRST_DAY and read_date(LAST_DAY).value == LAST_DAY
    assert read_date(date(1989, 12, 31)).value is None and read_date(date(2100, 1, 1)).value is None
    assert YES_NO == ("是", "否")


@pytest.mark.parametrize("form", FORMS)
def test_the_guide_says_of_every_column_what_the_form_says(tmp_path: Path, form: str) -> None:
    path = template(tmp_path, form, KNOWN)
    book = openpyxl.load_workbook(path)
    lines = {row[1]: row for row in book["填表说明"].values if row[0] and re.fullmatch(r"\d+", str(row[0]))}
    for number, one in enumerate(template_fields(load_forms()[form]), start=1):
        line = lines[one.header]
        assert (line[0], line[4] == "是") == (str(number), one.required)
        assert line[2] and line[3] and line[5]
        if one.columns[0].unit:
            assert f"（{one.columns[0].unit}）" in line[3]
        if one.columns[0].values:
            assert line[5] == "、".join(one.columns[0].values)
    assert book["填表说明"].protection.sheet


def test_the_guide_names_the_working_day_by_which_a_form_is_due(tmp_path: Path) -> None:
    def text(form: str) -> str:
        page = openpyxl.load_workbook(template(tmp_path, form))["填表说明"]
        return "\n".join(str(cell) for row in page.values for cell in row if cell)

    # Tuesday 1 December 2026 is the first working day, Monday 7 December the fifth
    assert "请于2026年12月7日（2026年11月结束后第5个工作日）前报送。" in text("enterprise_status")
    assert "职工人数合计 = 管理人员 + 专业技术人员 + 生产操作人员" in text("enterprise_status")


def test_every_sentence_belongs_to_a_column_that_exists() -> None:
    forms = load_forms()
    assert set(words()["about"]) == set(forms)
    for name, hints in words()["hints"].items():
        known = {c for f in forms.values() for c in f.columns} if name == "common" else set(forms[name].columns)
        assert set(hints) <= known, name
    for name in FORMS:
        assert all(hint(forms[name], one) for one in template_fields(forms[name])), name
        prefill = words()["prefill"].get(name, {"columns": []})
        assert set(prefill["columns"]) <= set(forms[name].columns), name
        row_checks(forms[name])


def test_a_check_of_a_column_that_is_gone_is_refused() -> None:
    form = load_forms()["enterprise_status"]
    shorter = replace(form, fields=tuple(one for one in form.fields if one.name != "insured"))
    with pytest.raises(TemplateError, match="insured"):
        row_checks(shorter)


def test_prompts_are_short_enough_for_every_program() -> None:
    for form in load_forms().values():
        for one in template_fields(form):
            rule = cell_rule(form, one, "融水苗族自治县", PERIOD)
            assert len(rule.prompt) <= 80 and len(rule.error) <= 80 and len(one.leaf) <= 32


# -------------------------------------------------------------------------------- marks while the sheet is filled in


def conditions(page: Worksheet, fields: Sequence[Field], name: str) -> list[str]:
    column = [one.name for one in fields].index(name) + 1
    letter = openpyxl.utils.get_column_letter(column)
    return [
        rule.formula[0]
        for area in page.conditional_formatting
        if str(area.sqref).startswith(f"{letter}{FIRST}:")
        for rule in sorted(area.rules, key=lambda rule: rule.priority)
    ]


def test_contradictions_and_gaps_are_marked_by_conditions_never_by_formulas(tmp_path: Path) -> None:
    book = openpyxl.load_workbook(template(tmp_path, "enterprise_status", KNOWN))
    page = data_page(book)
    fields = template_fields(load_forms()["enterprise_status"])
    assert conditions(page, fields, "headcount") == [
        "AND(COUNT($M6,$N6,$O6,$P6)=4,ABS($M6-SUM($N6,$O6,$P6))>0.005)",
        "AND(COUNT($M6,$R6,$S6,$T6)=4,ABS($M6-SUM($R6,$S6,$T6))>0.005)",
        'AND($B6<>"",$M6="")',
        "COUNTA($A6:$AO6)>0",
    ]
    assert conditions(page, fields, "women") == ["AND(COUNT($M6,$Q6)=2,$Q6>$M6)", "COUNTA($A6:$AO6)>0"]
    assert conditions(page, fields, "enterprise_name")[0] == 'AND($B6="",COUNTA($C6:$AO6)>0)'
    assert conditions(page, fields, "uscc")[0] == 'AND($C6<>"",SUMPRODUCT(--($C$6:$C$5005=$C6))>1)'
    for sheet in book.worksheets:
        assert not any(cell.data_type == "f" for row in sheet.iter_rows() for cell in row)


# ------------------------------------------------------------------------------------------------- the command


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A VAR_DIR in which no warehouse was ever made."""
    for name, folder in (("VAR_DIR", "var"), ("OUTBOX_DIR", "outbox")):
        monkeypatch.setenv(name, str(tmp_path / folder))
    get_settings.cache_clear()
    yield tmp_path
    monkeypatch.undo()
    get_settings.cache_clear()


def test_without_a_warehouse_blank_templates_of_one_county_are_written(
    elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert templates.main(["--period", PERIOD, "--reporter", "450721"]) == 0
    folder = elsewhere / "outbox" / PERIOD / "报表模板" / "450721"
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        f"灵山县-{form.title_zh}-2026年11月.xlsx" for form in load_forms().values()
    )
    said = capsys.readouterr().out
    assert f"{len(FORMS)} templates of 2026-11 for 1 reporter in {folder.parent}" in said
    assert "no earlier report is known" in said
    assert not (elsewhere / "var").exists()


def test_without_a_period_the_current_month_is_taken_and_said(
    elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert templates.main(["--reporter", "450721", "--folder", str(elsewhere / "folder")]) == 0
    said = capsys.readouterr().out
    period = re.search(r"of (\d{4}-\d{2}) \(the current month; choose another with --period\)", said)
    assert period is not None
    [path] = [p for p in (elsewhere / "folder" / "450721").iterdir() if "企业情况表" in p.name]
    assert read(path.read_bytes(), path.name).identification.period == period[1]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--period", "2026-13"], "period '2026-13' is not a month; write it like 2026-10"),
        (["--period", PERIOD, "--reporter", "999999"], "unknown reporter 999999: use a reporter_code of the list"),
        (["--period", "2019-01", "--reporter", "450721"], "reporter 450721 owes no report for 2019-01"),
        (["--period", "2019-01"], "no reporter owes a report for 2019-01"),
    ],
)
def test_a_wrong_call_ends_with_what_to_do(
    elsewhere: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    assert templates.main(arguments) == 1
    assert says in capsys.readouterr().err
    assert not (elsewhere / "outbox").exists()


def test_every_form_is_written_for_every_reporter_asked_for(elsewhere: Path) -> None:
    written = write_templates(PERIOD, ["450126", "450721"], elsewhere / "all")
    assert len({path.name for path in written.paths}) == len(written.paths) == 2 * len(FORMS)
    assert {path.parent.name for path in written.paths} == {"450126", "450721"}


def test_the_template_of_every_county_is_known_as_its_own(tmp_path: Path) -> None:
    for reporter in REPORTERS:
        path = write_template("brand_registry", reporter, PERIOD, tmp_path / f"{reporter.reporter_name}.xlsx")
        identification = identify_workbook(path.read_bytes(), path.name, None, REPORTERS)
        assert (identification.reporter_code, identification.period) == (reporter.reporter_code, PERIOD)
        assert identification.findings == []
