"""The whole chain, step by step in one process, over workbooks made by hand: files in, marts and report out."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import openpyxl
import psycopg
import pytest

from include.forms.model import load_forms
from include.intake.calendar import SHANGHAI, load_rules
from include.intake.channels import LocalFolder
from include.intake.reporters import load_reporters
from include.ledger import entries
from include.ledger.periods import open_period
from include.operate import summary
from include.pipeline.batch import BatchLost
from include.pipeline.build import build_marts, read_pending
from include.pipeline.collect import CollectResult, collect
from include.pipeline.load import load_batch
from include.pipeline.publish import NothingToPublish, check_gate, deliver, render
from include.pipeline.validate import validate_batch
from include.publishing.issues import plan_issue
from include.report.model import edition_key
from include.report.printed import printed_figures
from include.report.render import collect_issue, write_files
from include.settings import get_settings
from include.warehouse.connection import connect
from tests.workbooks import DEMAND_HEADERS, STATUS_HEADERS, arrives, enterprise, post, uscc, write_form

PERIOD = "2026-03"
COUNTY, CODE = "宾阳县", "450126"
OTHER, OTHER_CODE = "灵山县", "450721"
ON_TIME = datetime(2026, 4, 2, 9, 30, tzinfo=SHANGHAI)


def query(statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with connect() as conn:
        return conn.execute(statement, parameters).fetchall()


def load(period: str = PERIOD) -> tuple[CollectResult, dict[str, Any]]:
    collected = collect()
    return collected, load_batch(validate_batch(read_pending(period, "test")))


def status_file(
    inbox: Path, rows: list[dict[str, Any]], *, county: str = COUNTY, period: str = PERIOD, **options: Any
) -> Path:
    path = inbox / period / county / options.pop("name", "企业情况表.xlsx")
    return write_form(path, "企业情况表", county, period, options.pop("headers", STATUS_HEADERS), rows, **options)


def demand_file(
    inbox: Path, rows: list[dict[str, Any]], *, county: str = COUNTY, period: str = PERIOD, **options: Any
) -> Path:
    path = inbox / period / county / "企业用工需求表.xlsx"
    return write_form(path, "企业用工需求表", county, period, options.pop("headers", DEMAND_HEADERS), rows, **options)


def subsidy_file(inbox: Path, rows: list[dict[str, Any]], *, county: str = COUNTY) -> Path:
    headers = [("", field.header, field.name) for field in load_forms()["subsidy_payment"].fields]
    path = inbox / PERIOD / county / "补贴资金发放台账.xlsx"
    return write_form(path, "补贴资金发放台账", county, PERIOD, headers, rows, frame=False)


def rows_of(form: str) -> list[dict[str, Any]]:
    with connect() as conn, conn.cursor() as cursor:
        cursor.execute(f"select * from raw.{form} order by source_row")
        names = [column.name for column in cursor.description or []]
        return [
            {n: v for n, v in zip(names, row, strict=True) if n not in ("submission_id", "sheet", "source_row")}
            for row in cursor.fetchall()
        ]


def test_a_clean_county_loads_whole_and_gets_a_receipt(inbox: Path) -> None:
    one, two = enterprise(COUNTY, CODE, 1), enterprise(COUNTY, CODE, 2, shortage_now=0, shortage_expansion=11)
    status_file(inbox, [one, two])
    demand_file(inbox, [post(one, "木工"), post(two, "木工")])
    collected, batch = load()
    assert (collected.periods, collected.new, collected.refused) == ([PERIOD], 2, 0)
    assert batch["loaded"] == {"enterprise_status": 2, "labour_demand": 2}
    assert query("select code, cell, message_zh from intake.finding") == []
    assert query("select sum(headcount), sum(shortage_now), sum(shortage_expansion) from raw.enterprise_status") == [
        (200, 7, 16)
    ]
    assert query("select form, outcome, version from intake.submission order by form") == [
        ("enterprise_status", "accepted", 1),
        ("labour_demand", "accepted", 1),
    ]
    returned = sorted(p.name for p in (get_settings().outbox / PERIOD / "退回表" / COUNTY).iterdir())
    assert returned == [f"{COUNTY}-{PERIOD}-回执.xlsx"]


def test_personal_columns_lie_apart(inbox: Path) -> None:
    status_file(inbox, [enterprise(COUNTY, CODE, 1)])
    load()
    assert query("select contact, phone from restricted.enterprise_status") == [("演示甲", "0000-0000000")]
    columns = {row[0] for row in query("select column_name from information_schema.columns where table_schema = 'raw'")}
    assert columns.isdisjoint({"contact", "phone", "person_name", "person_id", "account"})


def test_shuffled_columns_with_broken_and_full_width_headers_load_the_same_rows(inbox: Path) -> None:
    rows = [enterprise(COUNTY, CODE, 1), enterprise(COUNTY, CODE, 2, headcount=120, workers=95, other_county=50)]
    status_file(inbox, rows)
    load()
    straight = rows_of("enterprise_status")
    with connect() as conn:
        conn.execute("truncate intake.received_file, raw.enterprise_status, restricted.enterprise_status cascade")
        conn.commit()

    # the groups stay together, as a county that moves columns would leave them
    groups: dict[str, list[tuple[str, str, str]]] = {}
    for position, header in enumerate(STATUS_HEADERS):
        groups.setdefault(header[0] or f"alone {position}", []).append(header)
    order = random.Random(7)
    blocks = list(groups.values())
    order.shuffle(blocks)
    for block in blocks:
        order.shuffle(block)
    headers = [header for block in blocks for header in block]
    assert headers != list(STATUS_HEADERS)
    status_file(
        inbox,
        rows,
        headers=headers,
        rename={
            "uscc": "统一社会\n信用代码",
            "revenue_wan_yuan": "上年度营业收入(万元)",
            "shortage_now": "当期\r\n生产缺工",
            "county": "县\u3000（市、区）",
            "training_needed": "职业技能培训\u00a0需求人数",
        },
    )
    load()
    assert rows_of("enterprise_status") == straight


def test_a_missing_required_header_refuses_the_form_and_names_it(inbox: Path) -> None:
    status_file(inbox, [enterprise(COUNTY, CODE, 1)], headers=[h for h in STATUS_HEADERS if h[2] != "shortage_now"])
    load()
    [(message,)] = query("select message_zh from intake.finding where severity = 'E'")
    assert "当期生产缺工" in message
    assert query("select outcome, rows_accepted from intake.submission") == [("refused", 0)]
    assert query("select outcome from intake.received_file") == [("refused",)]
    assert query("select count(*) from raw.enterprise_status") == [(0,)]


def test_a_blank_shortage_is_a_finding_and_no_zero(inbox: Path) -> None:
    status_file(inbox, [enterprise(COUNTY, CODE, 1), enterprise(COUNTY, CODE, 2, shortage_now=None)])
    load()
    [(severity, sheet, cell, message)] = query(
        "select severity, sheet, cell, message_zh from intake.finding where column_name = 'shortage_now'"
    )
    # row 6 is the second enterprise, AJ the 36th column
    assert (severity, sheet, cell) == ("R", "Sheet1", "AJ6")
    assert "当期生产缺工" in message
    assert query("select shortage_now from raw.enterprise_status") == [(7,)]
    assert query(
        "select row_values ->> 'headcount', row_values ? 'shortage_now', row_values ? 'phone' from intake.held_row"
    ) == [("100", False, False)]


def test_the_returned_workbook_marks_the_cell(inbox: Path) -> None:
    status_file(inbox, [enterprise(COUNTY, CODE, 1), enterprise(COUNTY, CODE, 2, shortage_now=None)])
    load()
    [path] = (get_settings().outbox / PERIOD / "退回表" / COUNTY).glob("*-退回表.xlsx")
    book = openpyxl.load_workbook(path)
    assert book.sheetnames[0] == "问题清单"
    marked = book["Sheet1"]["AJ6"]
    assert marked.fill.fill_type == "solid"
    assert marked.comment is not None and "当期生产缺工" in marked.comment.text
    listed = [cell.value for row in book["问题清单"].iter_rows() for cell in row]
    assert "AJ6" in listed


def test_the_two_forms_are_held_against_each_other(inbox: Path) -> None:
    one = enterprise(COUNTY, CODE, 1)
    stranger = enterprise(COUNTY, CODE, 9)
    status_file(inbox, [one])
    demand_file(inbox, [post(one, "木工", shortage_now=6), post(stranger, "焊工")])
    load()
    found = query("select severity, form, cell, message_zh from intake.finding order by form, cell")
    assert {(severity, form) for severity, form, _, _ in found} == {("W", "enterprise_status"), ("W", "labour_demand")}
    texts = "\n".join(message for *_, message in found)
    assert "7人" in texts and "6人" in texts
    assert query("select count(*) from raw.labour_demand") == [(2,)]


def test_form_two_sent_later_is_held_against_the_form_one_already_loaded(inbox: Path) -> None:
    one = enterprise(COUNTY, CODE, 1)
    status_file(inbox, [one])
    load()
    demand_file(inbox, [post(one, "木工", shortage_now=6)])
    load()
    assert query("select form, cell from intake.finding") == [("enterprise_status", "AJ5")]
    collect()
    assert query("select count(*) from intake.finding") == [(1,)]


def test_the_same_bytes_under_another_name_change_nothing(inbox: Path) -> None:
    path = status_file(inbox, [enterprise(COUNTY, CODE, 1)])
    load()
    (path.parent / "企业情况表-最终版(2).xlsx").write_bytes(path.read_bytes())
    collected, batch = load()
    assert (collected.new, collected.duplicates, batch["loaded"]) == (1, 1, {})
    [(outcome, text)] = query("select outcome, outcome_zh from intake.received_file order by receipt_id desc limit 1")
    assert outcome == "duplicate" and "重复报送" in text and "企业情况表.xlsx" in text
    assert query("select count(*) from raw.enterprise_status") == [(1,)]


def test_the_same_bytes_from_two_counties_are_two_reports(inbox: Path) -> None:
    """An empty ledger of subsidies names no county: only its folder does."""
    first = subsidy_file(inbox, [])
    second = inbox / PERIOD / OTHER / first.name
    second.parent.mkdir(parents=True)
    second.write_bytes(first.read_bytes())
    arrives(second, ON_TIME)
    collected, _ = load()
    assert (collected.new, collected.duplicates, collected.refused) == (2, 0, 0)
    assert query("select reporter_code, outcome from intake.submission order by 1") == [
        (CODE, "accepted_with_findings"),
        (OTHER_CODE, "accepted_with_findings"),
    ]


def test_a_corrected_file_is_the_next_version_and_the_older_one_stays(inbox: Path) -> None:
    status_file(inbox, [enterprise(COUNTY, CODE, 1)])
    load()
    status_file(inbox, [enterprise(COUNTY, CODE, 1, shortage_now=12)], name="企业情况表（更正）.xlsx")
    load()
    assert query("select version, outcome from intake.submission order by version") == [
        (1, "accepted"),
        (2, "accepted"),
    ]
    assert query("select shortage_now from raw.enterprise_status order by 1") == [(7,), (12,)]


def test_every_sending_has_a_row_and_going_back_to_the_first_file_is_a_version(inbox: Path) -> None:
    path = status_file(inbox, [enterprise(COUNTY, CODE, 1)])
    first = path.read_bytes()
    load()
    for hours, content in enumerate((first, b"", first, first), start=1):
        if content:
            path.write_bytes(content)
        else:
            status_file(inbox, [enterprise(COUNTY, CODE, 1, shortage_now=12)])
        moment = 1_775_000_000 + hours * 3600
        os.utime(path, (moment, moment))
        load()
    assert query("select outcome from intake.received_file order by receipt_id") == [
        ("processed",),  # the first file
        ("duplicate",),  # touched, not changed
        ("processed",),  # corrected
        ("processed",),  # the first one after all
        ("duplicate",),
    ]
    shortages = query(
        "select version, shortage_now from intake.submission inner join raw.enterprise_status using (submission_id)"
        " order by version"
    )
    assert shortages == [(1, 7), (2, 12), (3, 7)]


def test_a_file_nobody_can_read_is_refused_in_chinese_and_stops_nothing_else(inbox: Path) -> None:
    status_file(inbox, [enterprise(COUNTY, CODE, 1)])
    (inbox / PERIOD / OTHER).mkdir(parents=True)
    (inbox / PERIOD / OTHER / "企业情况表.xls").write_text("<html><table><tr><td>企业情况表</td></tr></table></html>")
    collected, batch = load()
    assert (collected.new, collected.refused, batch["loaded"]) == (2, 1, {"enterprise_status": 1})
    [(outcome, text)] = query("select outcome, outcome_zh from intake.received_file where file_name = '企业情况表.xls'")
    assert outcome == "refused" and "另存为" in text


def test_the_account_lists_what_still_stands_after_a_correction(inbox: Path) -> None:
    status_file(inbox, [enterprise(COUNTY, CODE, 1, shortage_now=None), enterprise(COUNTY, CODE, 2)])
    broken = inbox / PERIOD / OTHER / "企业情况表.xlsx"
    broken.parent.mkdir(parents=True)
    broken.write_bytes(b"")
    load()
    with connect() as conn:
        rows = {row[0]: row[1:] for row in summary.reporter_rows(conn, PERIOD)}
        found = summary.findings_table(conn, PERIOD)
    # nothing that could be read arrived: neither in time nor late
    assert rows[OTHER] == ("0/3", "—", "退回", 0, 0, "1/0/0")
    assert rows[COUNTY][2:] == ("部分通过 1/3", 1, 1, "0/1/0")
    assert "R-VAL-001" in found and "E-FILE-001" in found and "（共 2 条）" in found

    status_file(inbox, [enterprise(COUNTY, CODE, 1), enterprise(COUNTY, CODE, 2)])
    status_file(inbox, [enterprise(OTHER, OTHER_CODE, 1)], county=OTHER)
    load()
    with connect() as conn:
        rows = {row[0]: row[1:] for row in summary.reporter_rows(conn, PERIOD)}
        found = summary.findings_table(conn, PERIOD)
    assert rows[COUNTY][2:] == ("部分通过 1/3", 2, 0, "0/0/0")
    assert rows[OTHER][2:] == ("部分通过 1/3", 1, 0, "0/0/0")
    assert found.startswith("没有发现问题") and "另有 2 条" in found


def test_period_and_county_must_not_contradict_each_other(inbox: Path) -> None:
    write_form(
        inbox / "2026-02" / OTHER / "企业情况表.xlsx",
        "企业情况表",
        COUNTY,
        PERIOD,
        STATUS_HEADERS,
        [enterprise(COUNTY, CODE, 1)],
    )
    collected, _ = load()
    assert collected.refused == 1
    texts = " ".join(row[0] for row in query("select message_zh from intake.finding"))
    assert "2026年2月" in texts or "2026-02" in texts
    assert COUNTY in texts and OTHER in texts


def test_steps_run_again_after_a_kill_load_every_row_once(inbox: Path) -> None:
    status_file(inbox, [enterprise(COUNTY, CODE, 1)])
    demand_file(inbox, [post(enterprise(COUNTY, CODE, 1), "木工")])
    collect()
    read_pending(PERIOD, "first try")  # killed after reading
    batch = validate_batch(read_pending(PERIOD, "second try"))
    batch = validate_batch(batch)
    load_batch(batch)
    load_batch(batch)
    assert query("select count(*) from raw.enterprise_status") == [(1,)]
    assert query("select count(*) from raw.labour_demand") == [(1,)]


def test_a_batch_folder_lost_before_loading_asks_for_a_new_start(inbox: Path) -> None:
    status_file(inbox, [enterprise(COUNTY, CODE, 1)])
    collect()
    batch = read_pending(PERIOD, "test")
    shutil.rmtree(batch["folder"])
    with pytest.raises(BatchLost, match="clear the run from task `read`"):
        validate_batch(batch)
    assert query("select outcome from intake.received_file") == [("pending",)]


def test_a_mistyped_year_is_refused_and_opens_no_month(inbox: Path) -> None:
    status_file(inbox, [enterprise(COUNTY, CODE, 1)], period="2062-03", received=ON_TIME)
    status_file(inbox, [enterprise(COUNTY, CODE, 1)], period="2016-03", received=ON_TIME)
    collected = collect()
    assert (collected.periods, collected.refused) == ([], 2)
    assert query("select period from intake.reporting_period") == []
    messages = [row[0] for row in query("select message_zh from intake.finding where code = 'E-IDN-006' order by 1")]
    assert "2016年3月，该月没有应报单位" in messages[0] and "2062年3月，该月尚未开始" in messages[1]


def test_a_file_that_cannot_be_opened_waits_and_stops_no_other(inbox: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    status_file(inbox, [enterprise(COUNTY, CODE, 1)])
    status_file(inbox, [enterprise(OTHER, OTHER_CODE, 1)], county=OTHER)
    blocks = LocalFolder._blocks

    def refused(channel: LocalFolder, path: str) -> Iterator[bytes]:
        if COUNTY in path:
            raise PermissionError(13, "Permission denied")
        return blocks(channel, path)

    monkeypatch.setattr(LocalFolder, "_blocks", refused)
    collected = collect()
    assert (collected.files, collected.new, collected.unreadable) == (2, 1, 1)
    monkeypatch.undo()
    collected = collect()
    assert (collected.new, collected.unreadable) == (1, 0)


def test_of_two_files_waiting_the_one_entered_later_is_the_correction(inbox: Path) -> None:
    """The copy sent second carries the older time, as a file restored from a backup or an archive does."""
    path = status_file(inbox, [enterprise(COUNTY, CODE, 1)])
    collect()
    status_file(inbox, [enterprise(COUNTY, CODE, 1, shortage_now=12)])
    os.utime(path, (1_775_000_000, 1_775_000_000))
    load()
    assert query(
        "select s.version, r.shortage_now from intake.submission as s"
        " inner join raw.enterprise_status as r on s.submission_id = r.submission_id order by 1"
    ) == [(1, 7), (2, 12)]


def test_an_enterprise_held_back_in_form_one_counts_as_sent_when_form_two_comes_later(inbox: Path) -> None:
    one, blank = enterprise(COUNTY, CODE, 1), enterprise(COUNTY, CODE, 2, headcount=None)
    status_file(inbox, [one, blank])
    load()
    held = query("select code, cell from intake.finding")
    demand_file(inbox, [post(one, "木工"), post(blank, "木工")])
    load()
    assert query("select code, cell from intake.finding") == held


def test_a_late_finding_is_entered_at_every_sheet_and_counted(inbox: Path) -> None:
    """Two sheets of form 1 whose first rows have the same address: both are short by one in form 2."""
    one, two = enterprise(COUNTY, CODE, 1), enterprise(COUNTY, CODE, 2)
    path = status_file(inbox, [one])
    book = openpyxl.load_workbook(path)
    copy = book.copy_worksheet(book["Sheet1"])
    copy.title = "Sheet2"
    copy["B5"], copy["C5"] = two["enterprise_name"], two["uscc"]
    book.save(path)
    arrives(path, ON_TIME)
    load()
    demand_file(inbox, [post(one, "木工", shortage_now=6), post(two, "木工", shortage_now=6)])
    load()
    assert query("select sheet, cell from intake.finding order by 1") == [("Sheet1", "AJ5"), ("Sheet2", "AJ5")]
    assert query("select outcome, findings_w from intake.submission where form = 'enterprise_status'") == [
        ("accepted_with_findings", 2)
    ]


def test_a_month_closes_by_the_clock_without_any_file(inbox: Path) -> None:
    status_file(inbox, [enterprise(COUNTY, CODE, 1)])
    load()
    with connect() as conn:
        conn.execute("update intake.reporting_period set state = 'open'")
        entries.record_build(conn, PERIOD, "test", entries.input_hash(conn, PERIOD), {})
        conn.commit()
    assert check_gate(PERIOD)["maturity"] == "provisional"
    # its last day is long over: the next collection, with nothing new in the inbox, closes and announces it
    collected = collect()
    assert (collected.new, collected.periods) == (0, [PERIOD])
    gate = check_gate(PERIOD)
    assert (gate["maturity"], gate["coverage"]) == ("final", 0)


@pytest.mark.parametrize(("complete", "maturity"), [(17, "provisional"), (18, "final")])
def test_a_month_is_final_before_its_close_from_nine_tenths_on(inbox: Path, complete: int, maturity: str) -> None:
    """Of 20 reporters 17 are 85 %, 18 are 90 %; a refused form does not count."""
    reporters = load_reporters(get_settings().reporters_file)
    rules = load_rules(get_settings().reporting_file)
    with connect() as conn:
        entries.sync_reporters(conn, reporters)
        open_period(conn, PERIOD, reporters, rules, datetime(2026, 4, 2, tzinfo=SHANGHAI))
        for number, reporter in enumerate(reporters):
            for form in rules.forms:
                is_last = form == rules.forms[-1]
                outcome = "refused" if number >= complete and is_last else "accepted"
                enter_submission(conn, reporter.reporter_code, form, outcome)
        entries.record_build(conn, PERIOD, "test", entries.input_hash(conn, PERIOD), {})
        conn.commit()
    gate = check_gate(PERIOD)
    assert (gate["maturity"], gate["coverage"]) == (maturity, complete / 20)


def enter_submission(conn: psycopg.Connection[Any], reporter_code: str, form: str, outcome: str) -> None:
    """A ledger row as loading writes it, without rows behind it."""
    conn.execute(
        """
        with receipt as (
            insert into intake.received_file
                (sha256, file_name, channel, channel_path, size_bytes, received_at, outcome, outcome_zh)
            values (%(id)s, 'a.xlsx', 'local', %(id)s, 1, '2026-04-02', 'processed', '')
            returning receipt_id
        )
        insert into intake.submission
            (submission_id, receipt_id, form, period, reporter_code, county_code, version, sheets, received_at, outcome,
             rows_read, rows_accepted, rows_held, cells_read, cells_filled, findings_e, findings_r, findings_w)
        select %(id)s, receipt_id, %(form)s, %(period)s, %(code)s, %(code)s, 1, '{}', '2026-04-02', %(outcome)s,
            0, 0, 0, 0, 0, 0, 0, 0
        from receipt
        """,
        {"id": f"{reporter_code}-{form}", "form": form, "period": PERIOD, "code": reporter_code, "outcome": outcome},
    )


def test_publishing_a_month_never_built_says_so(inbox: Path) -> None:
    with pytest.raises(NothingToPublish, match="run build_warehouse"):
        check_gate(PERIOD)


def test_a_corrected_month_rebuilds_the_later_ones_and_their_comparison(inbox: Path) -> None:
    for period, short in (("2026-02", 10), (PERIOD, 12)):
        status_file(inbox, [enterprise(COUNTY, CODE, 1, shortage_now=short)], period=period)
    collect()
    for period in ("2026-02", PERIOD):
        load_batch(validate_batch(read_pending(period, "test")))
    with connect() as conn:
        for period in ("2026-02", PERIOD):  # as after their builds
            entries.record_build(conn, period, "test", entries.input_hash(conn, period), {})
        conn.commit()
    status_file(inbox, [enterprise(COUNTY, CODE, 1, shortage_now=16)], period="2026-02", name="企业情况表（更正）.xlsx")
    load("2026-02")
    assert build_marts("2026-02")["periods"] == ["2026-02", PERIOD]
    # (12 - 16) / 16
    assert query(
        "select shortage_now_persons, shortage_change_rate_lfl::float from marts.mart_labour_shortage_summary"
        " where period = %s and level = 'province'",
        PERIOD,
    ) == [(12, -0.25)]


def test_marts_and_report_of_a_month_with_a_county_missing(inbox: Path, tmp_path: Path) -> None:
    """Two of twenty counties report: hand-computed shares, 未报送 by name, provisional never as a zero."""
    for period, short in (("2026-02", 10), (PERIOD, 12)):
        one = enterprise(COUNTY, CODE, 1, shortage_now=short)
        status_file(inbox, [one, enterprise(COUNTY, CODE, 2, shortage_now=0, shortage_expansion=0)], period=period)
        demand_file(
            inbox,
            [post(one, "焊工"), post(enterprise(COUNTY, CODE, 2, shortage_now=0, shortage_expansion=0), "焊工")],
            period=period,
        )
    late = enterprise(OTHER, OTHER_CODE, 1, shortage_now=30)
    status_file(inbox, [late], county=OTHER)
    assert collect().periods == ["2026-02", PERIOD]
    for period in ("2026-02", PERIOD):
        load_batch(validate_batch(read_pending(period, "test")))
        build_marts(period)
    # 42 short of 300 employed: 42 / 342; like for like only 宾阳县: (12 - 10) / 10
    [row] = query(
        """
        select shortage_now_persons, headcount_persons, round(shortage_rate, 6), round(shortage_change_rate_lfl, 6)
        from marts.mart_labour_shortage_summary where period = %s and level = 'province'
        """,
        PERIOD,
    )
    assert row[:2] == (42, 300)
    assert float(row[2]) == round(42 / 342, 6)
    assert float(row[3]) == 0.2
    by_county = query(
        "select county_code, sum(shortage_now_persons), sum(shortage_expansion_persons) from marts.mart_labour_shortage"
        " where period = %s group by 1 order by 1",
        PERIOD,
    )
    assert by_county == [(CODE, 12, 5), (OTHER_CODE, 30, 5)]

    gate = check_gate(PERIOD)
    assert gate["coverage"] == 0  # no county has sent all three forms
    rendered = render(gate)
    assert rendered["figures_checked"] > 50
    delivered = deliver(rendered)
    assert delivered["issue_no"] == 0
    html = Path(delivered["files"]["html"]).read_text(encoding="utf-8")
    assert "未报送" in html and "横州市" in html
    before = {kind: Path(path).read_bytes() for kind, path in delivered["files"].items()}
    build_marts(PERIOD)
    again = deliver(render(check_gate(PERIOD)))
    assert again["issue_no"] == 0
    # Made anew, the province's files are the same; of the other editions that is shown elsewhere.
    with connect() as conn:
        collected = collect_issue(conn, PERIOD)
        province = replace(collected.editions[0], maturity=gate["maturity"], maturity_reason=gate["reason_zh"])
        anew = write_files(province, tmp_path / "anew", collected.sources)
        assert {kind: path.read_bytes() for kind, path in anew.items()} == before
        # Had the final issue printed otherwise, this would be a correction of it.
        printed_otherwise = (
            "update intake.publication_figure set printed = '41'"
            " where edition = 'province' and key = 'region.shortage_now'"
        )
        assert conn.execute(printed_otherwise).rowcount == 1
        printed = {edition_key(one.edition): printed_figures(one) for one in collected.editions}
        plan = plan_issue(conn, PERIOD, gate["maturity"], gate["input_hash"], printed)
        assert (plan.issue_no, plan.differing) == (1, 1)
        [line] = plan.corrections["province"]
        assert (line.before, line.now) == ("41", "42")
        assert "当期生产缺工" in line.label
    assert datetime.now(SHANGHAI) > datetime(2026, 4, 15, tzinfo=SHANGHAI)


def test_codes_are_unique_in_the_helpers() -> None:
    assert len({uscc(CODE, n) for n in range(100)}) == 100
