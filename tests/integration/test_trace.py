"""From figures of the marts back to the cells of real workbooks: sums, versions, wide ledgers, .xls, several months."""

from __future__ import annotations

import csv
import time
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import openpyxl
import psycopg
import pytest
from psycopg import sql

from include.forms.model import load_forms
from include.intake.calendar import SHANGHAI
from include.intake.landing import LandingStore
from include.intake.reporters import load_reporters
from include.pipeline.build import build_marts, read_pending
from include.pipeline.collect import collect
from include.pipeline.load import load_batch
from include.pipeline.validate import validate_batch
from include.settings import get_settings
from include.trace import __main__ as command
from include.trace.measures import TraceError, find_measure, load_measures
from include.trace.tracing import Question, Trace, key_columns, mart_columns, trace
from include.trace.verifying import verify
from include.warehouse.connection import connect
from include.warehouse.readers import add_reader, remove_reader
from tests.databases import database, settings_of
from tests.unit.sheets import Layout, to_xls
from tests.workbooks import DEMAND_HEADERS, STATUS_HEADERS, arrives, enterprise, post, uscc, write_form

pytestmark = pytest.mark.slow

FEBRUARY, MARCH = "2026-02", "2026-03"
LINGSHAN, QINNAN = "450721", "450702"  # of 钦州市
BINYANG, HENGZHOU = "450126", "450181"  # of 南宁市
NAMES = {LINGSHAN: "灵山县", QINNAN: "钦南区", BINYANG: "宾阳县", HENGZHOU: "横州市"}
PERSON = "11010519491231002X"  # the example number of GB 11643-1999


def status(
    inbox: Path, period: str, code: str, rows: list[dict[str, Any]], name: str, at: datetime | None = None
) -> Path:
    path = inbox / period / NAMES[code] / name
    return write_form(path, "企业情况表", NAMES[code], period, STATUS_HEADERS, rows, received=at)


def as_xls(path: Path) -> None:
    """The same sheet as an .xls of Excel 97, in place of the workbook."""
    page = openpyxl.load_workbook(path).worksheets[0]
    layout = Layout(title=page.title)
    for row in page.iter_rows():
        for cell in row:
            if cell.value is not None:
                layout.cells[cell.row - 1, cell.column - 1] = cell.value
    layout.merges = [
        (one.min_row - 1, one.min_col - 1, one.max_row - 1, one.max_col - 1) for one in page.merged_cells.ranges
    ]
    other = path.with_suffix(".xls")
    other.write_bytes(to_xls(layout))
    arrives(other, datetime.fromtimestamp(path.stat().st_mtime, SHANGHAI))
    path.unlink()


def ledger(inbox: Path, period: str, code: str, rows: list[dict[str, Any]]) -> None:
    model = load_forms()["subsidy_payment"]
    headers = [(field.group or "", field.leaf, field.name) for field in model.fields]
    known = {"fund": "就业补助资金", "payee_name": f"{NAMES[code]}演示1号木业有限公司", "person_name": "演示甲",
             "person_id": PERSON, "item": "企业新型学徒制补贴"}  # fmt: skip
    path = inbox / period / NAMES[code] / "补贴资金发放台账.xlsx"
    write_form(path, model.title_zh, NAMES[code], period, headers, [known | row for row in rows])


def wide_ledger(inbox: Path) -> None:
    """灵山县 in March: columns H to J are items, K their total; 500 and 300 of one person, 200.5 of another."""
    book = openpyxl.Workbook()
    page = book.active
    page["A1"] = "灵山县补贴资金发放台账"
    page["A2"] = "报告期：2026年3月"
    fixed = ("序号", "资金来源", "申领单位", "姓名", "身份证号", "状态", "拨付日期")
    for column, text in enumerate(fixed, start=1):
        page.cell(3, column, text)
        page.merge_cells(start_row=3, end_row=4, start_column=column, end_column=column)
    page.cell(3, 8, "拨付金额（元）")
    page.merge_cells("H3:K3")
    for column, text in enumerate(("职业培训补贴", "技能鉴定补贴", "企业特色奖补", "小计"), start=8):
        page.cell(4, column, text)
    for number, line in enumerate(((500, 300, None, 800), (None, None, 200.5, 200.5))):
        known = (number + 1, "就业补助资金", "演示木业有限公司", "演示甲", PERSON, "已拨付", "2026-03-20")
        for column, value in enumerate((*known, *line), start=1):
            page.cell(5 + number, column, value)
    path = inbox / MARCH / "灵山县" / "补贴发放台账.xlsx"
    path.parent.mkdir(parents=True, exist_ok=True)
    book.save(path)
    arrives(path, datetime(2026, 4, 2, 10, 30, tzinfo=SHANGHAI))


def send_form(inbox: Path, period: str, code: str, form: str, rows: list[dict[str, Any]]) -> None:
    model = load_forms()[form]
    headers = [(field.group or "", field.leaf, field.name) for field in model.fields]
    path = inbox / period / NAMES[code] / f"{model.title_zh}.xlsx"
    write_form(path, model.title_zh, NAMES[code], period, headers, rows)


def other_forms(inbox: Path) -> None:
    """Forms that are not owed. 灵山县 names two brands and a class in February, one of the brands in March."""
    training = {"programme": "钦政办〔2022〕22号", "indicator": "累计培训", "unit": "人次"}
    province = {
        "programme": "桂政办发〔2021〕141号",
        "indicator": "累计培训",
        "indicator_group": "八桂家政",
        "unit": "人次",
    }
    first = [training | {"done_this_month": 100, "done_to_date": 100}]
    send_form(inbox, FEBRUARY, LINGSHAN, "programme_progress", first)
    second = [training | {"done_this_month": 50, "done_to_date": 150}, province | {"done_to_date": 1500.5}]
    send_form(inbox, MARCH, LINGSHAN, "programme_progress", second)
    send_form(inbox, MARCH, QINNAN, "programme_progress", [training | {"done_to_date": 60}])
    send_form(inbox, MARCH, BINYANG, "programme_progress", [province | {"done_to_date": 300}])
    brand = {"category": "民生保障型", "county": "灵山县", "recognised_level": "县级", "trained_person_times": 12,
             "agreement_persons": 20, "employment_driven": 3, "entered_on": "2026-02-01", "status": "在库"}  # fmt: skip
    one = brand | {"brand_name": "演示米粉师傅", "cultivator_uscc": uscc(LINGSHAN, 1), "employed": 40}
    two = brand | {"brand_name": "演示荔枝师傅", "cultivator_uscc": uscc(LINGSHAN, 2), "employed": 50}
    send_form(inbox, FEBRUARY, LINGSHAN, "brand_registry", [one, two])
    send_form(inbox, MARCH, LINGSHAN, "brand_registry", [one | {"employed": 30}])
    send_form(inbox, FEBRUARY, LINGSHAN, "apprenticeship", [
        {"filing_no": "演示班1", "enterprise_name": "灵山县演示1号木业有限公司", "uscc": uscc(LINGSHAN, 1),
         "occupation": "焊工", "level": "中级工", "materials_on": "2026-01-05", "filed_on": "2026-01-12",
         "filed_persons": 20, "started_on": "2026-02-02", "training_persons": 18, "left_persons": 2},
    ])  # fmt: skip


def send_all(inbox: Path) -> None:
    """Two months of three counties. In March 灵山县 corrects 99 to 7 and 横州市 reports for the first time."""
    mine = [enterprise("灵山县", LINGSHAN, 1, shortage_now=6), enterprise("灵山县", LINGSHAN, 2, shortage_now=0)]
    status(inbox, FEBRUARY, LINGSHAN, mine, "企业情况表.xlsx")
    as_xls(status(inbox, FEBRUARY, BINYANG, [enterprise("宾阳县", BINYANG, 1, shortage_now=4)], "企业情况表.xlsx"))
    status(inbox, MARCH, LINGSHAN, [enterprise("灵山县", LINGSHAN, 1, shortage_now=99)], "第一次.xlsx",
           datetime(2026, 4, 2, 9, tzinfo=SHANGHAI))  # fmt: skip
    mine = [enterprise("灵山县", LINGSHAN, 1), enterprise("灵山县", LINGSHAN, 2, shortage_now=None, skill_master=None)]
    mine += [
        enterprise("灵山县", LINGSHAN, 3, shortage_now=2, industry="农副食品加工业", skill_chief=1, skilled_total=26)
    ]
    status(inbox, MARCH, LINGSHAN, mine, "更正.xlsx", datetime(2026, 4, 3, 9, tzinfo=SHANGHAI))
    theirs = [enterprise("宾阳县", BINYANG, 1, shortage_now=5), enterprise("宾阳县", BINYANG, 2, shortage_now=0)]
    as_xls(status(inbox, MARCH, BINYANG, theirs, "企业情况表.xlsx"))
    status(inbox, MARCH, HENGZHOU, [enterprise("横州市", HENGZHOU, 1, shortage_now=11)], "企业情况表.xlsx")
    posts = [post(mine[0], "焊工", shortage_now=4), post(mine[0], "焊工", shortage_now=3, wage="5000-7000",
                                                    training_persons=None, training_subsidised="否")]  # fmt: skip
    path = inbox / MARCH / "灵山县" / "企业用工需求表.xlsx"
    write_form(path, "企业用工需求表", "灵山县", MARCH, DEMAND_HEADERS, posts)
    advance = {"applied": 5000, "advanced": 1000, "paid": 1000, "payment_type": "预支", "status": "已拨付",
               "paid_on": "2026-02-20", "seq": 1, "batch_no": "一"}  # fmt: skip
    ledger(inbox, FEBRUARY, BINYANG, [advance])
    settled = {"applied": 4000, "approved": 4000, "advanced": 400, "paid": 3600, "payment_type": "结算",
               "status": "已拨付", "applied_on": "2026-01-05", "accepted_on": "2026-01-06", "reviewed_on": "2026-03-06",
               "paid_on": "2026-03-20", "seq": 1, "batch_no": "二"}  # fmt: skip
    back = {"applied": 700, "paid": 700, "payment_type": "追回", "status": "已追回", "paid_on": "2026-03-21", "seq": 2,
            "batch_no": "三"}  # fmt: skip
    ledger(inbox, MARCH, BINYANG, [settled, back])
    wide_ledger(inbox)
    other_forms(inbox)
    # refused as a whole: a web page under the name of a workbook
    page = inbox / MARCH / "横州市" / "企业用工需求表.xls"
    page.write_text("<html><table><tr><td>企业用工需求表</td></tr></table></html>", encoding="utf-8")
    arrives(page, datetime(2026, 4, 2, 11, tzinfo=SHANGHAI))


@pytest.fixture(scope="module")
def office(var_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a warehouse of its own into which the workbooks went by the real chain; settings lead there."""
    folder = tmp_path_factory.mktemp("trace")
    folders = {f"{one}_DIR": str(folder / one.lower()) for one in ("INBOX", "LANDING", "OUTBOX", "WORK")}
    with database("trace") as url, settings_of({"WAREHOUSE_URL": url, **folders}):
        send_all(folder / "inbox")
        collect()
        for period in (FEBRUARY, MARCH):
            load_batch(validate_batch(read_pending(period, "test")))
            build_marts(period)
        yield url


@pytest.fixture
def marts(office: str) -> Iterator[psycopg.Connection[Any]]:
    with connect() as conn:
        yield conn
        conn.rollback()


def traced(
    conn: psycopg.Connection[Any],
    mart: str,
    measure: str,
    region: str | None = None,
    period: str = MARCH,
    **filters: Any,
) -> Trace:
    return trace(
        conn, Question(mart, measure, period, region, filters), find_measure(load_measures(conn), mart, measure)
    )


def addresses(found: Trace) -> list[tuple[str, str | None, Decimal | None, Decimal | None]]:
    return [(one.file_name, one.cell, one.value, one.contribution) for one in found.cells]


def test_a_corrected_county_leads_to_the_cells_of_its_second_file(marts: psycopg.Connection[Any]) -> None:
    """Row 6 lacks its shortage and is held back; the first file, with 99, is out of use."""
    found = traced(marts, "mart_labour_shortage_summary", "shortage_now_persons", LINGSHAN)
    assert addresses(found) == [("更正.xlsx", "AJ5", 7, 7), ("更正.xlsx", "AJ7", 2, 2)]
    assert found.figure == 9 and found.is_equal
    (cell, _) = found.cells
    assert (cell.sheet, cell.source_row, cell.column_letter, cell.version) == ("Sheet1", 5, "AJ", 2)
    assert cell.header == "缺工人数/当期生产缺工"
    with (get_settings().inbox / MARCH / "灵山县" / "更正.xlsx").open("rb") as stream:
        page = openpyxl.load_workbook(stream).worksheets[0]
    assert (page["AJ5"].value, page["AJ7"].value) == (7, 2)


@pytest.mark.parametrize(
    ("region", "figure", "files"),
    [("450000", 25, 3), (None, 25, 3), ("450100", 16, 2), ("450700", 9, 1), (BINYANG, 5, 1), (HENGZHOU, 11, 1)],
)
def test_province_cities_and_counties(
    marts: psycopg.Connection[Any], region: str | None, figure: int, files: int
) -> None:
    """7 + 2 of 灵山县, 5 + 0 of 宾阳县, 11 of 横州市; by region of the summary, and of the table of industries."""
    for mart in ("mart_labour_shortage_summary", "mart_labour_shortage"):
        found = traced(marts, mart, "shortage_now_persons", region)
        assert (found.figure, found.total, found.is_equal) == (figure, figure, True)
        assert len({cell.sha256 for cell in found.cells}) == files


def test_one_industry_and_a_month_before(marts: psycopg.Connection[Any]) -> None:
    found = traced(marts, "mart_labour_shortage", "shortage_now_persons", LINGSHAN, industry_code="13")
    assert addresses(found) == [("更正.xlsx", "AJ7", 2, 2)]
    # 横州市 did not report in February: like for like leaves it out, 6 + 0 of 灵山县 and 4 of 宾阳县 remain
    found = traced(marts, "mart_labour_shortage_summary", "lfl_previous_shortage_now_persons")
    assert [(one.line_period, one.county_code, one.value) for one in found.cells] == [
        (FEBRUARY, BINYANG, 4),
        (FEBRUARY, LINGSHAN, 6),
        (FEBRUARY, LINGSHAN, 0),
    ]
    assert found.is_equal
    found = traced(marts, "mart_labour_shortage_summary", "lfl_shortage_now_persons")
    assert {one.county_code for one in found.cells} == {BINYANG, LINGSHAN} and found.is_equal and found.total == 14


def test_a_figure_of_several_columns_and_a_count(marts: psycopg.Connection[Any]) -> None:
    """高技能人才 of 灵山县: 4 + 2 + 1 + 0 + 0 and 4 + 2 + 1 + 0 + 1 in columns Y to AC."""
    found = traced(marts, "mart_labour_shortage_summary", "high_skilled_persons", LINGSHAN)
    assert [one.cell for one in found.cells] == [
        f"{letter}{row}" for row in (5, 7) for letter in ("Y", "Z", "AA", "AB", "AC")
    ]
    assert found.figure == 15 and found.is_equal
    found = traced(marts, "mart_labour_shortage_summary", "short_enterprises", BINYANG)
    assert addresses(found) == [("企业情况表.xls", "AJ5", 5, 1)]
    # counted by its code, which is a text and stays where it is
    found = traced(marts, "mart_labour_shortage_summary", "enterprises", BINYANG)
    assert addresses(found) == [("企业情况表.xls", "C5", None, 1), ("企业情况表.xls", "C6", None, 1)]


def test_every_line_of_a_wide_ledger_leads_to_its_own_column(marts: psycopg.Connection[Any]) -> None:
    found = traced(marts, "mart_subsidy_disbursement", "paid_yuan", LINGSHAN)
    assert [(one.cell, one.header, one.value) for one in found.cells] == [
        ("H5", "拨付金额（元）/职业培训补贴", 500),
        ("I5", "拨付金额（元）/技能鉴定补贴", 300),
        ("J6", "拨付金额（元）/企业特色奖补", Decimal("200.50")),
    ]
    assert found.figure == Decimal("1000.50") and found.is_equal
    claims = traced(marts, "mart_subsidy_disbursement", "claims", LINGSHAN)
    assert [one.cell for one in claims.cells] == ["H5", "I5", "J6"]


def test_advances_add_up_over_months_with_their_signs(marts: psycopg.Connection[Any]) -> None:
    """1,000 advanced in February, 400 of it settled in March; what was paid back has its own measure."""
    found = traced(marts, "mart_subsidy_disbursement", "outstanding_advance_yuan", BINYANG)
    assert [(one.line_period, one.value, one.contribution) for one in found.cells] == [
        (FEBRUARY, 1000, 1000),
        (MARCH, 400, -400),
    ]
    assert found.figure == 600 and found.is_equal
    found = traced(marts, "mart_subsidy_disbursement", "recovered_yuan", BINYANG)
    assert (found.figure, len(found.cells), found.is_equal) == (700, 1, True)
    found = traced(marts, "mart_subsidy_disbursement", "over_limit_claims", BINYANG)
    assert [(one.value_on, one.contribution) for one in found.cells] == [(date(2026, 3, 6), 1)]


def test_progress_of_a_programme_leads_to_form_4(marts: psycopg.Connection[Any]) -> None:
    """To date 150 and 60 in two counties of 钦州市, with the 100 of February. For the province 1,500.5 and 300."""
    target = {"target_id": "qz_bagui_brand_2022.training"}
    found = traced(marts, "mart_programme_progress", "reported_value", "450700", **target)
    assert [(one.county_code, one.line_period, one.column_name, one.value) for one in found.cells] == [
        (QINNAN, MARCH, "done_to_date", 60),
        (LINGSHAN, MARCH, "done_to_date", 150),
    ]
    assert found.figure == 210 and found.is_equal
    found = traced(marts, "mart_programme_progress", "reported_value", LINGSHAN, **target)
    assert found.figure == 150 and found.is_equal and len(found.cells) == 1
    target = {"target_id": "gx_bagui_brand_2021.training.jiazheng"}
    found = traced(marts, "mart_programme_progress", "reported_value", "450000", **target)
    assert found.figure == Decimal("1800.5") and found.is_equal and found.file_count == 2


def test_what_is_carried_over_leads_to_the_report_that_said_it(marts: psycopg.Connection[Any]) -> None:
    """In March one brand and the class were not reported: they stand as February said, the other brand as in March."""
    found = traced(marts, "mart_brand_coverage", "brands_in_library", LINGSHAN)
    assert [(one.line_period, one.source_row, one.contribution) for one in found.cells] == [
        (FEBRUARY, 6, 1),
        (MARCH, 5, 1),
    ]
    assert found.is_equal
    found = traced(marts, "mart_brand_coverage", "employed_persons", LINGSHAN)
    assert [(one.line_period, one.value) for one in found.cells] == [(MARCH, 30)] and found.is_equal
    found = traced(marts, "mart_apprenticeship_progress", "training_persons", "450700")
    assert [(one.line_period, one.source_row, one.value) for one in found.cells] == [(FEBRUARY, 5, 18)]
    assert found.is_equal


def test_counts_of_reports_lead_to_files(marts: psycopg.Connection[Any]) -> None:
    found = traced(marts, "mart_reporting_performance", "received_forms", LINGSHAN)
    assert {(one.file_name, one.sheet, one.cell, one.contribution) for one in found.cells} == {
        ("企业用工需求表.xlsx", None, None, 1),
        ("第一次.xlsx", None, None, 1),
        ("补贴发放台账.xlsx", None, None, 1),
    }
    assert found.is_equal
    found = traced(marts, "mart_reporting_performance", "refused_files", HENGZHOU)
    assert [one.file_name for one in found.cells] == ["企业用工需求表.xls"] and found.figure == 1


def test_what_is_no_sum_gives_its_lines_or_its_parts(marts: psycopg.Connection[Any]) -> None:
    """One enterprise on two lines is one; the lower wages 3,500 and 5,000 stand in one cell with the upper ones."""
    found = traced(marts, "mart_labour_shortage_by_post", "enterprises", LINGSHAN)
    assert (found.figure, len(found.cells), found.total) == (1, 2, None)
    found = traced(marts, "mart_labour_shortage_by_post", "wage_min_yuan_median", LINGSHAN)
    assert [(one.cell, one.value) for one in found.cells] == [("Q5", 3500), ("Q6", 5000)] and found.figure == 4250
    with pytest.raises(TraceError, match=r"kind ratio .*--measure shortage_now_persons, --measure headcount_persons"):
        traced(marts, "mart_labour_shortage", "shortage_rate")
    with pytest.raises(psycopg.errors.RaiseException, match="leads to no cells"):
        marts.execute("select * from marts.trace('mart_labour_shortage', 'shortage_rate', '2026-03')")


def test_every_figure_is_the_sum_of_its_cells(marts: psycopg.Connection[Any]) -> None:
    """Every additive measure in every row of every mart, in both months."""
    checked = 0
    wrong = []
    for measure in load_measures(marts):
        if not measure.is_additive:
            continue
        keys = key_columns(marts, measure.mart)
        is_region = "region_code" in keys
        rows = marts.execute(
            sql.SQL("select period, {} from marts.{} where {} is not null").format(
                sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(key)) for key in keys),
                sql.Identifier(measure.mart),
                sql.Identifier(measure.measure),
            )
        ).fetchall()
        for period, *values in rows:
            filters = dict(zip(keys, values, strict=True))
            region = filters.pop("region_code") if is_region else None
            found = trace(marts, Question(measure.mart, measure.measure, period, region, filters), measure)
            checked += 1
            if not found.is_equal:
                wrong.append((measure.mart, measure.measure, period, region, filters, found.figure, found.total))
    assert not wrong
    assert checked > 500


def test_a_changed_figure_and_a_lost_column_are_seen(marts: psycopg.Connection[Any]) -> None:
    mart = "mart_labour_shortage_summary"
    marts.execute("update marts.mart_labour_shortage_summary set shortage_now_persons = 26 where level = 'province'")
    found = traced(marts, mart, "shortage_now_persons")
    assert (found.figure, found.total, found.is_equal) == (26, 25, False)
    # a number of the warehouse that is not the one of the file: the sum holds, the file does not
    for table in ("fct_enterprise_month", mart):
        marts.execute(
            sql.SQL("update marts.{} set shortage_now_persons = shortage_now_persons + 1 where period = %s and {} = %s")
            .format(sql.Identifier(table), sql.Identifier("region_code" if table == mart else "county_code")),
            (MARCH, HENGZHOU),
        )  # fmt: skip
    found = traced(marts, mart, "shortage_now_persons", HENGZHOU)
    assert found.is_equal
    (difference,) = verify(
        found, LandingStore(get_settings().landing), load_reporters(get_settings().reporters_file)
    ).differences
    assert (difference.cell.cell, difference.cell.value, difference.found) == ("AJ5", 12, 11)
    marts.execute("delete from marts.fct_source_column where column_name = 'shortage_now'")
    assert [one.cell for one in traced(marts, mart, "shortage_now_persons", HENGZHOU).cells] == [None]


def test_the_cells_read_again_are_the_cells_of_the_warehouse(marts: psycopg.Connection[Any]) -> None:
    store, reporters = LandingStore(get_settings().landing), load_reporters(get_settings().reporters_file)
    counted = 0
    for mart, measure in (
        ("mart_labour_shortage_summary", "high_skilled_persons"),
        ("mart_labour_shortage_summary", "enterprises"),
        ("mart_labour_shortage_by_post", "wage_max_yuan_median"),
        ("mart_subsidy_disbursement", "paid_yuan"),
        ("mart_subsidy_disbursement", "outstanding_advance_yuan"),
        ("mart_subsidy_disbursement", "review_working_days_max"),
        ("fct_enterprise_month", "revenue_wan_yuan"),
    ):
        result = verify(traced(marts, mart, measure), store, reporters)
        assert result.differences == ()
        counted += result.cells
    assert counted == 25 + 5 + 2 + 4 + 2 + 2 + 5


def test_no_personal_data_comes_out(marts: psycopg.Connection[Any]) -> None:
    shown = "".join(
        str(traced(marts, mart, measure).cells)
        for mart, measure in (
            ("mart_subsidy_disbursement", "persons"),
            ("mart_subsidy_disbursement", "claims"),
            ("mart_training_demand", "delivered_persons"),
            ("mart_labour_shortage_summary", "enterprises"),
        )
    )
    assert "补贴发放台账.xlsx" in shown
    for secret in (PERSON, "演示甲", "木业", "0000-0000000"):
        assert secret not in shown


@pytest.mark.parametrize(("role", "city"), [("city_reader", "450700"), ("command_office", None)])
def test_readers_trace_what_they_may_see(
    marts: psycopg.Connection[Any], office: str, role: str, city: str | None
) -> None:
    """Every measure that leads to cells, as the reader: the cells of the own city and of no other, and no refusal."""
    name = f"trace_{role[:4]}_{uuid4().hex[:6]}"
    asked = [measure for measure in load_measures(marts) if measure.fact]
    statement = "select * from marts.trace(%s, %s, %s, %s)"
    regions = [(measure, "450700" if city else None) for measure in asked]
    expected = {
        (one.mart, one.measure): len(marts.execute(statement, (one.mart, one.measure, MARCH, region)).fetchall())
        for one, region in regions
    }
    with connect(autocommit=True) as owner:
        password = add_reader(owner, name, role, city)
    try:
        with psycopg.connect(office, user=name, password=password) as reader:
            seen = set()
            for measure, region in regions:
                rows = reader.execute(statement, (measure.mart, measure.measure, MARCH, region)).fetchall()
                assert len(rows) == expected[measure.mart, measure.measure], (measure.mart, measure.measure)
                seen |= {row[4] for row in rows}
            assert seen == ({LINGSHAN, QINNAN} if city else set(NAMES))
            mart = ("mart_labour_shortage", "shortage_now_persons", MARCH)
            assert len(reader.execute(statement, (*mart, BINYANG)).fetchall()) == (0 if city else 2)
    finally:
        with connect(autocommit=True) as owner:
            remove_reader(owner, name)


def test_ten_figures_at_random(office: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--random", "10", "--seed", "20260331"]) == 0
    printed = capsys.readouterr().out
    with capsys.disabled():
        print(f"\n{printed}")
    assert "10 个中 10 个一致" in printed and printed.count("一致") == 11
    assert float(printed.rsplit("最慢 ", 1)[1].split()[0]) < 1


def test_the_command_prints_a_figure_with_its_cells(
    office: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ask = ["--period", MARCH, "--mart", "mart_labour_shortage", "--measure", "shortage_now_persons"]
    path = tmp_path / "cells.csv"
    started = time.monotonic()
    assert (
        command.main([*ask, "--region", "450700", "--filter", "industry_code=13", "--csv", str(path), "--verify"]) == 0
    )
    assert time.monotonic() - started < 10
    printed = capsys.readouterr().out
    assert "数字：2" in printed and "各格相加：2，与数字一致" in printed and "AJ7" in printed
    assert "已打开 1 份原文件，逐格重读 1 格，0 格不同" in printed
    with path.open(encoding="utf-8-sig", newline="") as handle:
        (row,) = csv.DictReader(handle)
    assert (row["文件名"], row["单元格"], row["值"], row["版本"]) == ("更正.xlsx", "AJ7", "2", "2")
    assert command.main(["--list", "--mart", "mart_labour_shortage"]) == 0
    assert "previous_shortage_now_persons" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"--mart": "mart_labour"}, "there is no mart mart_labour: use one of"),
        ({"--measure": "shortage_persons"}, "use for example shortage_now_persons"),
        ({"--measure": "shortage_rate"}, "trace its parts"),
        ({"--period": "2026-3"}, "2026-3"),
        ({"--period": "2026-01"}, "months built: 2026-02, 2026-03"),
        ({"--region": "999999"}, "check period, region and filters"),
        ({"--filter": "colour=red"}, "has no column colour: filter by period, county_code"),
        ({"--filter": "industry_code"}, "write COLUMN=VALUE"),
        ({"--measure": ""}, "--measure not given"),
        ({"--random": "0"}, "write how many figures"),
    ],
)
def test_a_question_that_cannot_be_answered_says_what_to_do(
    office: str, capsys: pytest.CaptureFixture[str], given: dict[str, str], said: str
) -> None:
    ask = {"--period": MARCH, "--mart": "mart_labour_shortage", "--measure": "shortage_now_persons"} | given
    assert command.main([part for pair in ask.items() for part in pair]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and said in error


def test_a_file_that_is_gone_or_changed_is_told(
    office: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ask = ["--period", MARCH, "--mart", "mart_labour_shortage", "--measure", "workers_persons", "--region", HENGZHOU]
    monkeypatch.setenv("LANDING_DIR", str(tmp_path / "elsewhere"))
    get_settings.cache_clear()
    try:
        assert command.main([*ask, "--verify"]) == 2
        assert "is not in the landing store" in capsys.readouterr().err
    finally:
        monkeypatch.undo()
        get_settings.cache_clear()


def test_the_columns_of_a_trace_are_columns_of_a_mart(marts: psycopg.Connection[Any]) -> None:
    """The function is there after every table of the marts was made anew, and finds the same."""
    before = addresses(traced(marts, "mart_labour_shortage", "workers_persons"))
    assert len(before) == 5 and "county_code" in mart_columns(marts, "mart_labour_shortage")
    marts.rollback()
    from include.warehouse.dbt import dbt_build

    dbt_build(MARCH, full_refresh=True)
    assert addresses(traced(marts, "mart_labour_shortage", "workers_persons")) == before
