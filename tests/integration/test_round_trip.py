"""A county's month from the first sending to the last word: versions, explanations, closing, corrections."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from include.intake.calendar import SHANGHAI
from include.ledger.periods import find_period
from include.operate import office
from include.pipeline.build import build_marts, read_pending
from include.pipeline.collect import CollectResult, collect
from include.pipeline.load import load_batch
from include.pipeline.validate import validate_batch
from include.settings import get_settings
from include.warehouse.connection import connect
from tests.workbooks import DEMAND_HEADERS, STATUS_HEADERS, arrives, enterprise, post, write_form

PERIOD = "2026-03"
COUNTY, CODE = "宾阳县", "450126"
FIRST = datetime(2026, 4, 2, 9, tzinfo=SHANGHAI)  # the month is due on 8 April and closes on 15 April
AFTER_CLOSING = datetime(2026, 4, 20, 9, tzinfo=SHANGHAI)


def query(statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with connect() as conn:
        return conn.execute(statement, parameters).fetchall()


def take_in() -> CollectResult:
    collected = collect()
    load_batch(validate_batch(read_pending(PERIOD, "test")))
    return collected


def send(inbox: Path, rows: list[dict[str, Any]], *, at: datetime = FIRST, name: str = "企业情况表.xlsx") -> Path:
    path = inbox / PERIOD / COUNTY / name
    return write_form(path, "企业情况表", COUNTY, PERIOD, STATUS_HEADERS, rows, received=at)


def returned() -> Path:
    [path] = (get_settings().outbox / PERIOD / "退回表" / COUNTY).iterdir()
    return path


def decide(command: str, reason: str) -> int:
    arguments = ["--period", PERIOD, "--reporter", CODE, "--reason", reason, "--actor", "演示"]
    return office.main([command, *arguments])


def send_demand(path: Path, posts: list[dict[str, Any]], at: datetime) -> None:
    write_form(path, "企业用工需求表", COUNTY, PERIOD, DEMAND_HEADERS, posts, received=at)


def listing_of(book: openpyxl.Workbook) -> tuple[Any, dict[str, int], int]:
    """The sheet of problems, its columns by header, and the row of the headers."""
    sheet = book["问题清单"]
    for row in sheet.iter_rows():
        texts = {str(cell.value): cell.column for cell in row if cell.value}
        if "情况说明" in texts and "规则" in texts:
            return sheet, texts, row[0].row
    raise AssertionError("no table of problems")


def listed_texts() -> list[str]:
    """Every text of the sheet of problems that the county has now."""
    sheet = openpyxl.load_workbook(returned())["问题清单"]
    return [str(cell.value) for row in sheet.iter_rows() for cell in row if cell.value]


def test_a_refused_workbook_mended_and_explained_comes_back_as_version_two(inbox: Path) -> None:
    """Row 5 is fine but its wage is odd (to be explained), row 6 lacks its shortage (to be mended)."""
    send(
        inbox,
        [enterprise(COUNTY, CODE, 1, wage_skilled=36000), enterprise(COUNTY, CODE, 2, shortage_now=None)],
    )
    take_in()
    assert query("select version, outcome, rows_accepted, rows_held from intake.submission") == [
        (1, "accepted_with_findings", 1, 1)
    ]
    assert query("select code, cell, state from intake.finding order by code") == [
        ("R-VAL-001", "AJ6", "open"),
        ("W-WAG-001", "AI5", "open"),
    ]
    back = returned()
    assert back.name == f"{COUNTY}-{PERIOD}-退回表.xlsx"

    # the clerk opens the returned workbook, mends a cell, corrects another figure, explains the wage, sends it back
    book = openpyxl.load_workbook(back)
    book["Sheet1"]["AJ6"] = 4
    book["Sheet1"]["AH5"] = 3900
    sheet, columns, head = listing_of(book)
    for row in range(head + 1, sheet.max_row + 1):
        if sheet.cell(row, columns["规则"]).value == "W-WAG-001":
            sheet.cell(row, columns["情况说明"], "引进高级技师，工资按年薪折算，已核实。")
    again = inbox / PERIOD / COUNTY / "宾阳县退回后修改.xlsx"
    book.save(again)
    arrives(again, FIRST + timedelta(days=1))
    take_in()

    assert query("select version, outcome, rows_accepted, rows_held from intake.submission order by 1") == [
        (1, "accepted_with_findings", 1, 1),
        (2, "accepted_with_findings", 2, 0),
    ]
    # the difference, cell by cell
    assert query("select rows_added, rows_removed, cells_changed from intake.version_comparison") == [(0, 0, 2)]
    assert query(
        "select change, column_name, cell_before, value_before, cell_after, value_after"
        " from intake.version_difference order by cell_after"
    ) == [
        ("changed", "wage_general", "AH5", "3800", "AH5", "3900"),
        ("changed", "shortage_now", "AJ6", None, "AJ6", "4"),
    ]
    # the explanation is kept with the finding, which goes on in version 2 as explained; the blank is mended
    assert query(
        "select f.code, s.version, f.state, f.followed_by is not null from intake.finding as f"
        " join intake.submission as s using (submission_id) order by f.code, s.version"
    ) == [
        ("R-VAL-001", 1, "mended", False),
        ("W-WAG-001", 1, "expired", True),
        ("W-WAG-001", 2, "explained", False),
    ]
    assert query("select text_zh from intake.explanation") == [("引进高级技师，工资按年薪折算，已核实。",)]
    assert query("select count(distinct finding_key), count(distinct first_seen) from intake.finding") == [(2, 1)]
    # figures are the new ones
    assert query(
        "select sum(shortage_now), sum(wage_general) from raw.enterprise_status as r"
        " join intake.submission as s using (submission_id) where s.version = 2"
    ) == [(11, 7700)]
    # nothing is asked any more: the returned workbook gave way to a receipt
    assert returned().name == f"{COUNTY}-{PERIOD}-回执.xlsx"


def test_the_office_reviews_explanations(inbox: Path, capsys: pytest.CaptureFixture[str]) -> None:
    test_a_refused_workbook_mended_and_explained_comes_back_as_version_two(inbox)
    assert office.main([]) == 0
    waiting = capsys.readouterr().out
    assert "W-WAG-001" in waiting and "引进高级技师" in waiting
    assert returned().name.endswith("-回执.xlsx")
    assert decide("decline", "请附工资表") == 0
    # the county is told at once, not with its next file
    assert returned().name.endswith("-请核对.xlsx")
    assert any("请附工资表" in text for text in listed_texts())
    assert query("select state from intake.finding where code = 'W-WAG-001' order by finding_id") == [
        ("expired",),
        ("open",),
    ]
    # nothing left to decide: said so, with exit code 2
    capsys.readouterr()
    assert decide("accept", "同意") == 2
    assert "没有符合条件" in capsys.readouterr().err


def test_an_explanation_given_for_one_value_does_not_cover_another(inbox: Path) -> None:
    test_a_refused_workbook_mended_and_explained_comes_back_as_version_two(inbox)
    rows = [enterprise(COUNTY, CODE, 1, wage_skilled=99000), enterprise(COUNTY, CODE, 2)]
    send(inbox, rows, at=FIRST + timedelta(days=2), name="第三次.xlsx")
    take_in()
    assert query(
        "select s.version, f.value, f.state from intake.finding as f join intake.submission as s using (submission_id)"
        " where f.code = 'W-WAG-001' order by s.version"
    ) == [(1, "36000", "expired"), (2, "36000", "expired"), (3, "99000", "open")]
    assert returned().name == f"{COUNTY}-{PERIOD}-请核对.xlsx"


def test_a_finding_between_two_forms_is_mended_by_either_of_them(inbox: Path) -> None:
    one = enterprise(COUNTY, CODE, 1)
    send(inbox, [one])
    demand = inbox / PERIOD / COUNTY / "企业用工需求表.xlsx"
    send_demand(demand, [post(one, "木工", shortage_now=6)], FIRST)
    take_in()
    assert query("select code, form, state from intake.finding") == [("W-CRS-002", "enterprise_status", "open")]
    send_demand(demand, [post(one, "木工")], FIRST + timedelta(hours=5))
    take_in()
    assert query("select code, form, state, state_reason_zh from intake.finding") == [
        ("W-CRS-002", "enterprise_status", "mended", "另一张表更正后已一致")
    ]
    assert returned().name.endswith("-回执.xlsx")


def test_a_file_after_closing_waits_and_becomes_a_revision_once_approved(
    inbox: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    send(inbox, [enterprise(COUNTY, CODE, 1)])
    take_in()
    send(inbox, [enterprise(COUNTY, CODE, 1, shortage_now=9)], at=AFTER_CLOSING, name="更正.xlsx")
    collected = take_in()
    assert (collected.new, collected.waiting) == (1, 1)
    assert query("select outcome, is_correction from intake.received_file order by receipt_id") == [
        ("processed", False),
        ("awaiting_approval", True),
    ]
    assert query("select count(*) from intake.submission") == [(1,)]
    build_marts(PERIOD)
    assert query("select revision_no, data_maturity from marts.dim_period") == [(0, "final")]

    assert office.main([]) == 0
    assert "更正.xlsx" in capsys.readouterr().out
    assert decide("approve", "企业核实") == 0
    assert collect().periods == [PERIOD]
    take_in()
    assert query("select version, revision_no, is_correction from intake.submission order by 1") == [
        (1, 0, False),
        (2, 1, True),
    ]
    build_marts(PERIOD)
    assert query("select revision_no, data_maturity from marts.dim_period") == [(1, "revised")]
    assert query("select shortage_now_persons from marts.fct_enterprise_month") == [(9,)]
    assert query("select event, actor, reason_zh from intake.period_event order by event_id") == [
        ("closed", "系统", "报送期限已过"),
        ("correction_approved", "演示", "企业核实"),
    ]


def test_a_rejected_correction_changes_nothing_and_stays_on_record(inbox: Path) -> None:
    send(inbox, [enterprise(COUNTY, CODE, 1)])
    take_in()
    send(inbox, [enterprise(COUNTY, CODE, 1, shortage_now=9)], at=AFTER_CLOSING, name="更正.xlsx")
    take_in()
    assert decide("reject", "依据不足") == 0
    take_in()
    assert query("select outcome, outcome_zh from intake.received_file where is_correction") == [
        ("rejected", "更正未获批准：依据不足")
    ]
    assert query("select count(*) from intake.submission") == [(1,)]
    # the same bytes sent once more are a new request, not a duplicate
    arrives(inbox / PERIOD / COUNTY / "更正.xlsx", AFTER_CLOSING + timedelta(days=1))
    assert collect().waiting == 1
    assert query("select outcome from intake.received_file where is_correction order by receipt_id") == [
        ("rejected",),
        ("awaiting_approval",),
    ]


def test_a_reopened_month_takes_what_waits_and_closes_again_by_the_clock(inbox: Path) -> None:
    send(inbox, [enterprise(COUNTY, CODE, 1)])
    take_in()
    send(inbox, [enterprise(COUNTY, CODE, 1, shortage_now=9)], at=AFTER_CLOSING, name="更正.xlsx")
    take_in()
    assert office.main(["reopen", "--period", PERIOD, "--reason", "全区复核", "--actor", "演示"]) == 0
    with connect() as conn:
        month = find_period(conn, PERIOD)
    assert month is not None and month.state == "reopened" and month.takes(AFTER_CLOSING)
    take_in()
    assert query("select version, revision_no from intake.submission order by 1") == [(1, 0), (2, 1)]
    # its days are over: the next collection closes it
    with connect() as conn, conn.transaction():
        conn.execute("update intake.reporting_period set reopened_until = '2026-05-01'")
    collect()
    assert query("select state from intake.reporting_period") == [("closed",)]
    assert query("select event from intake.period_event order by event_id") == [
        ("closed",),
        ("reopened",),
        ("correction_approved",),
        ("closed",),
    ]


def test_closing_or_reopening_the_wrong_month_says_what_is_the_matter(
    inbox: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert office.main(["reopen", "--period", "2026-02", "--reason", "测试", "--actor", "演示"]) == 2
    assert "台账里没有 2026-02" in capsys.readouterr().err
    send(inbox, [enterprise(COUNTY, CODE, 1)])
    take_in()
    assert office.main(["close", "--period", PERIOD, "--reason", "测试", "--actor", "演示"]) == 2
    assert "已经封账" in capsys.readouterr().err


def test_a_refused_file_of_a_known_county_stands_in_its_workbook_until_a_good_one_comes(inbox: Path) -> None:
    folder = inbox / PERIOD / COUNTY
    folder.mkdir(parents=True)
    page = folder / "企业情况表.xls"
    page.write_text("<html><table><tr><td>企业情况表</td></tr></table></html>", encoding="utf-8")
    arrives(page, FIRST)
    take_in()
    assert query("select outcome from intake.received_file") == [("refused",)]
    assert returned().name.endswith("-退回表.xlsx")
    listed = [str(cell.value) for row in openpyxl.load_workbook(returned())["问题清单"].iter_rows() for cell in row]
    assert any("网页" in text for text in listed)
    page.unlink()
    send(inbox, [enterprise(COUNTY, CODE, 1)], at=FIRST + timedelta(hours=1), name="企业情况表.xls")
    take_in()
    assert query("select code, state from intake.finding where submission_id is null order by finding_id") == [
        ("E-FILE-002", "mended"),
        ("W-FILE-001", "open"),
    ]


def test_of_two_files_in_one_batch_the_later_counts_and_answers_of_another_month_are_told(inbox: Path) -> None:
    """The first lacks a number. The second is good, but carries a list of problems that is not this month's."""
    send(inbox, [enterprise(COUNTY, CODE, 1, shortage_now=None), enterprise(COUNTY, CODE, 2)], name="一.xlsx")
    second = send(
        inbox, [enterprise(COUNTY, CODE, 1), enterprise(COUNTY, CODE, 2)], at=FIRST + timedelta(hours=1), name="二.xlsx"
    )
    book = openpyxl.load_workbook(second)
    problems = book.create_sheet("问题清单")
    problems.append(["序号", "规则", "情况说明", "编号"])
    problems.append([1, "W-WAG-001", "上月已说明", "0123456789ab"])
    book.save(second)
    arrives(second, FIRST + timedelta(hours=1))
    take_in()
    assert query("select version, outcome, rows_accepted, rows_held from intake.submission order by 1") == [
        (1, "accepted_with_findings", 1, 1),
        (2, "accepted", 2, 0),
    ]
    assert query("select code, state from intake.finding order by code") == [
        ("R-VAL-001", "mended"),
        ("W-FILE-004", "open"),
    ]
    assert query("select count(*) from intake.explanation") == [(0,)]
    # a row held in version 1 is in version 2: its number is the one cell that changed
    assert query("select column_name, value_before, value_after from intake.version_difference") == [
        ("shortage_now", None, "7")
    ]
    assert returned().name.endswith("-请核对.xlsx")
    assert any("有 1 条的编号不是本单位本月的问题（如 0123456789ab）" in text for text in listed_texts())
