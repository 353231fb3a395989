"""Cases of the ledger, each with rows made by hand: findings through versions, explanations, deadlines, returned files.

All but the last few work in a transaction that is rolled back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import psycopg
import pytest

from include.forms.model import load_forms
from include.intake.calendar import SHANGHAI, end_of, load_rules
from include.intake.channels import Arrival
from include.intake.reporters import Reporter
from include.intake.workers import Workers
from include.ledger import entries
from include.ledger.findings import (
    Owner,
    current_findings,
    decide_explanations,
    expire_findings,
    finding_keys,
    record_explanations,
    record_log,
    refresh_compared,
    settle_files,
    settle_replaced,
)
from include.ledger.periods import (
    PeriodRefused,
    approve_correction,
    close_period,
    find_period,
    open_period,
    reject_correction,
    reopen_period,
    revision_of,
    waiting_corrections,
)
from include.ledger.versions import row_identities, stored_rows
from include.operate import office
from include.operate.chain import period_states
from include.operate.summary import table
from include.pipeline.collect import collect
from include.quality.findings import DETAIL_PER_CODE, Finding, FindingLog
from include.returns.month import month_of, return_reporter
from include.returns.places import return_folder, safe_stem
from include.settings import get_settings
from include.warehouse.connection import connect
from include.warehouse.loading import load_rows
from tests.workbooks import STATUS_HEADERS, enterprise, write_form

# April 2019 closes on Thursday 16 May: ten working days from Sunday 5 May, worked for the holiday of 1 May
PERIOD = "2019-04"
IN_TIME = datetime(2019, 5, 6, 9, tzinfo=SHANGHAI)
LONG_AFTER = datetime(2019, 7, 1, 9, tzinfo=SHANGHAI)
FORM = "enterprise_status"
ONE = Reporter(
    "990001", "演示甲县", "450126", "450100", "南宁市", "市级试点", date(2019, 1, 1), None, is_sample=True
)  # fmt: skip
TWO = replace(ONE, reporter_code="990002", reporter_name="演示乙县")
HEADER = {"header": "月平均工资（元）/技工"}
_numbers = count(1)


@pytest.fixture
def month(conn: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    """An open month with two reporters."""
    entries.sync_reporters(conn, [ONE, TWO])
    open_period(conn, PERIOD, [ONE, TWO], load_rules(get_settings().reporting_file), IN_TIME)
    return conn


def put_file(
    conn: psycopg.Connection[Any], outcome: Any = "processed", *, name: str = "报表.xlsx", of: Reporter | None = ONE,
    correction: bool = False,
) -> int:  # fmt: skip
    number = next(_numbers)
    arrival = Arrival("local", f"{number}/{name}", name, "", IN_TIME + timedelta(minutes=number), 1)
    receipt_id = entries.record_file(
        conn, arrival, f"{number:064d}", outcome=outcome, outcome_zh="", file_kind="xlsx",
        period=PERIOD if of else None, reporter_code=of.reporter_code if of else None, is_correction=correction,
    )  # fmt: skip
    assert receipt_id is not None
    return receipt_id


def put_version(
    conn: psycopg.Connection[Any], receipt_id: int, findings: Sequence[Finding] = (), *, form: str = FORM,
    of: Reporter = ONE, identities: Mapping[tuple[str, int], str] | None = None, sheets: Sequence[str] = ("Sheet1",),
    revision_no: int = 0,
) -> str:  # fmt: skip
    """A version with its findings, settled as the load step does it."""
    log = FindingLog()
    log.extend(findings)
    submission_id = f"{receipt_id}-{form}"
    version = entries.next_version(conn, form, PERIOD, of.reporter_code)
    conn.execute(
        """
        insert into intake.submission
            (submission_id, receipt_id, form, period, reporter_code, county_code, version, sheets, received_at, outcome,
             rows_read, rows_accepted, rows_held, cells_read, cells_filled, findings_e, findings_r, findings_w,
             revision_no)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 2, 2, 0, 1, 1, %s, %s, %s, %s)
        """,
        (
            submission_id, receipt_id, form, PERIOD, of.reporter_code, of.region_code, version, list(sheets), IN_TIME,
            "refused" if log.refused else "accepted", log.count("E"), log.count("R"), log.count("W"), revision_no,
        ),
    )  # fmt: skip
    owner = Owner(receipt_id, submission_id, PERIOD, of.reporter_code)
    record_log(conn, log, owner, IN_TIME, identities or {("Sheet1", 5): "A", ("Sheet1", 6): "B"})
    settle_replaced(conn, submission_id, IN_TIME)
    return submission_id


def wage(row: int = 5, value: str = "36000", code: str = "W-VAL-003") -> Finding:
    return Finding(code, FORM, "Sheet1", row, "wage_skilled", f"AI{row}", value, HEADER)


def blank(row: int = 6) -> Finding:
    return Finding("R-VAL-001", FORM, "Sheet1", row, "insured", f"AE{row}", "", {"header": "参保人数"})


def headless(row: int = 3) -> Finding:
    facts = {name: "" for name in ("form_zh", "missing", "version", "lacking", "extra", "nearest")}
    return Finding("E-HDR-001", FORM, "Sheet1", row, params=facts)


def explain(conn: psycopg.Connection[Any], receipt_id: int, *answers: tuple[str, str], of: Reporter = ONE) -> list[str]:
    return record_explanations(
        conn, answers, receipt_id=receipt_id, period=PERIOD, reporter_code=of.reporter_code, received_at=IN_TIME
    )


def states(conn: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    return conn.execute(
        "select coalesce(s.version, 0), f.code, f.state from intake.finding as f"
        " left join intake.submission as s using (submission_id)"
        " where f.reporter_code like '9900%%' order by f.finding_id"
    ).fetchall()


def key_of(conn: psycopg.Connection[Any], submission_id: str, code: str = "W-VAL-003") -> str:
    row = conn.execute(
        "select finding_key from intake.finding where submission_id = %s and code = %s", (submission_id, code)
    ).fetchone()
    assert row is not None
    return str(row[0])


# ------------------------------------------------------------------------------------------------------------- keys


def test_a_key_follows_the_row_and_tells_everything_else_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    owner = Owner(1, "one", PERIOD, "450126")
    [key] = finding_keys([wage(5)], owner, {("Sheet1", 5): "A"})
    assert len(key) == 12 and set(key) <= set("0123456789abcdef")
    # the row moved, to another sheet too; another file of the same month
    moved = replace(wage(9), sheet="改名")
    assert finding_keys([moved], Owner(2, "two", PERIOD, "450126"), {("改名", 9): "A"}) == [key]
    others = [
        finding_keys([wage(5)], owner, {("Sheet1", 5): "B"}),
        finding_keys([wage(5)], owner, {}),
        finding_keys([replace(wage(5), column="wage_general")], owner, {("Sheet1", 5): "A"}),
        finding_keys([wage(5, code="W-VAL-001")], owner, {("Sheet1", 5): "A"}),
        finding_keys([wage(5)], replace(owner, reporter_code="450721"), {("Sheet1", 5): "A"}),
        finding_keys([wage(5)], replace(owner, period="2019-05"), {("Sheet1", 5): "A"}),
    ]
    assert len({key, *(one for [one] in others)}) == 7
    # the second of the same is told apart, the first keeps its number
    first, second = finding_keys([wage(5), wage(5)], owner, {("Sheet1", 5): "A"})
    assert first == key != second
    # what blocks the form is about the form, wherever it was met
    assert finding_keys([headless(3)], owner, {}) == finding_keys([headless(4)], owner, {})
    # who does not have the key of this warehouse cannot try names until one fits
    monkeypatch.setenv("PERSON_HASH_KEY", "another")
    assert finding_keys([wage(5)], owner, {("Sheet1", 5): "A"}) != [key]


def test_rows_of_the_same_key_on_two_sheets_keep_their_order_once_stored(month: psycopg.Connection[Any]) -> None:
    """The second sheet of the file comes first in the alphabet."""
    rows = pd.DataFrame(
        {
            "sheet": ["甲表", "甲表", "乙表"], "source_row": [5, 6, 5], "period": PERIOD, "county_code": "450126",
            "uscc": ["A", "B", "A"], "enterprise_name": "演示", "headcount": [10, 20, 30],
        }
    )  # fmt: skip
    submission_id = put_version(month, put_file(month), sheets=("甲表", "乙表"))
    load_rows(month, FORM, rows.assign(submission_id=submission_id))
    sent = row_identities(load_forms()[FORM], rows)
    assert sent == {("甲表", 5): "A", ("甲表", 6): "B", ("乙表", 5): "A #2"}
    assert row_identities(load_forms()[FORM], stored_rows(month, load_forms()[FORM], submission_id, PERIOD)) == sent


# ----------------------------------------------------------------------------------------------------- life of findings


def test_a_refused_version_between_two_accepted_ones_carries_the_problem_through(
    month: psycopg.Connection[Any],
) -> None:
    put_version(month, put_file(month), [wage(), blank()])
    put_version(month, put_file(month), [wage(), headless()])
    assert states(month) == [
        (1, "W-VAL-003", "expired"), (1, "R-VAL-001", "open"), (2, "W-VAL-003", "open"), (2, "E-HDR-001", "open"),
    ]  # fmt: skip
    put_version(month, put_file(month), [wage()])
    assert states(month) == [
        (1, "W-VAL-003", "expired"), (1, "R-VAL-001", "mended"), (2, "W-VAL-003", "expired"),
        (2, "E-HDR-001", "mended"), (3, "W-VAL-003", "open"),
    ]  # fmt: skip
    followed = month.execute(
        "select count(*) from intake.finding where followed_by is not null and reporter_code = %s", (ONE.reporter_code,)
    ).fetchone()
    assert followed == (2,)


def test_one_code_beyond_what_is_kept_does_not_hold_up_the_others(month: psycopg.Connection[Any]) -> None:
    put_version(month, put_file(month), [wage(5), wage(6), blank()])
    many = [wage(row) for row in range(10, 10 + DETAIL_PER_CODE + 1)]
    places = {("Sheet1", row): f"row {row}" for row in range(5, 2000)}
    submission_id = put_version(month, put_file(month), many, identities=places)
    assert states(month)[:3] == [
        (1, "W-VAL-003", "expired"), (1, "W-VAL-003", "expired"), (1, "R-VAL-001", "mended"),
    ]  # fmt: skip
    assert month.execute(
        "select found, stored from intake.finding_tally where submission_id = %s", (submission_id,)
    ).fetchall() == [(1001, 1000)]
    # fewer again: what was kept one by one and is gone is mended
    put_version(month, put_file(month), many[:2], identities=places)
    assert sum(state == "mended" for version, _, state in states(month) if version == 2) == 998


def test_a_comparison_with_other_figures_asks_again(month: psycopg.Connection[Any]) -> None:
    def differs(total: int) -> Finding:
        return Finding(
            "W-CRS-002", FORM, "Sheet1", 5, "shortage_now", "AJ5", "7", {"demand_rows": 1, "demand_shortage_now": total}
        )

    receipt_id = put_file(month)
    submission_id = put_version(month, receipt_id, [differs(6)])
    key = key_of(month, submission_id, "W-CRS-002")
    assert explain(month, receipt_id, (key, "另一张表有误")) == []
    assert states(month) == [(1, "W-CRS-002", "explained")]
    assert refresh_compared(month, submission_id, {key: differs(6)}, IN_TIME) == {key}
    assert states(month) == [(1, "W-CRS-002", "explained")]
    refresh_compared(month, submission_id, {key: differs(5)}, IN_TIME)
    [asked] = current_findings(month, PERIOD, ONE.reporter_code)
    assert (asked.state, asked.explanation, asked.params["demand_shortage_now"]) == ("open", None, 5)
    # the county may say the same of the new figures
    explain(month, put_file(month), (key, "另一张表有误"))
    assert states(month) == [(1, "W-CRS-002", "explained")]


def test_a_file_refused_twice_is_asked_for_once_and_mended_by_a_good_one(month: psycopg.Connection[Any]) -> None:
    page = Finding("E-FILE-002", params={"file": "报表.xlsx", "kind": "网页"})
    for _ in range(2):
        log = FindingLog()
        log.add(page)
        record_log(month, log, Owner(put_file(month, "refused"), None, PERIOD, ONE.reporter_code), IN_TIME, {})
    settle_files(month, PERIOD, ONE.reporter_code, IN_TIME)
    assert [state for _, _, state in states(month)] == ["expired", "open"]
    put_version(month, put_file(month))
    settle_files(month, PERIOD, TWO.reporter_code, IN_TIME)
    assert [state for _, _, state in states(month)] == ["expired", "open"]
    settle_files(month, PERIOD, ONE.reporter_code, IN_TIME)
    assert [state for _, _, state in states(month)] == ["expired", "mended"]


def test_a_note_on_a_file_lives_as_long_as_one_of_its_forms_is_the_newest(month: psycopg.Connection[Any]) -> None:
    both = put_file(month, name="两表.xlsx")
    log = FindingLog()
    log.add(Finding("W-FILE-002", sheet="说明", params={"sheet": "说明", "file": "两表.xlsx"}))
    record_log(month, log, Owner(both, None, PERIOD, ONE.reporter_code), IN_TIME, {})
    put_version(month, both)
    put_version(month, both, form="labour_demand")
    put_version(month, put_file(month, name="一.xlsx"))
    settle_files(month, PERIOD, ONE.reporter_code, IN_TIME)
    assert [state for _, _, state in states(month)] == ["open"]
    # of the combined file only the sheet of the form it still stands for goes back
    files = {file.file_name: file.sheets for file in month_of(month, PERIOD, ONE).files}
    assert files == {"两表.xlsx": ("Sheet1",), "一.xlsx": None}
    put_version(month, put_file(month, name="二.xlsx"), form="labour_demand")
    settle_files(month, PERIOD, ONE.reporter_code, IN_TIME)
    assert [state for _, _, state in states(month)] == ["mended"]


def test_files_of_nobody_are_no_versions_of_each_other(month: psycopg.Connection[Any]) -> None:
    receipts = []
    for _ in range(2):
        log = FindingLog()
        log.add(Finding("E-IDN-003", params={"file": "报表.xlsx"}))
        receipts.append(put_file(month, "refused", of=None))
        record_log(month, log, Owner(receipts[-1], None, None, None), IN_TIME, {})
    found = month.execute("select state from intake.finding where receipt_id = any(%s)", (receipts,)).fetchall()
    assert found == [("open",), ("open",)]


def test_findings_nobody_answered_expire_long_after_the_closing_day(month: psycopg.Connection[Any]) -> None:
    receipt_id = put_file(month)
    submission_id = put_version(month, receipt_id, [wage(), blank()])
    explain(month, receipt_id, (key_of(month, submission_id), "已核实"))
    assert expire_findings(month, LONG_AFTER, LONG_AFTER) == 0  # the month is still open
    open_period(month, PERIOD, [ONE, TWO], load_rules(get_settings().reporting_file), LONG_AFTER)
    closing_day = datetime(2019, 5, 16, tzinfo=SHANGHAI)
    assert expire_findings(month, closing_day, LONG_AFTER) == 0
    assert expire_findings(month, closing_day + timedelta(days=1), LONG_AFTER) == 1
    assert states(month) == [(1, "W-VAL-003", "explained"), (1, "R-VAL-001", "expired")]
    assert expire_findings(month, closing_day + timedelta(days=1), LONG_AFTER) == 0


# --------------------------------------------------------------------------------------------------------- explanations


def test_an_answer_to_a_problem_of_somebody_else_is_not_kept_and_told(month: psycopg.Connection[Any]) -> None:
    receipt_id = put_file(month)
    theirs = key_of(month, put_version(month, put_file(month, of=TWO), [wage()], of=TWO))
    own = key_of(month, put_version(month, receipt_id, [wage()]))
    hostile = "'); drop table intake.explanation; --"
    assert explain(month, receipt_id, (theirs, "说明"), (own, hostile), ("no such", "说明")) == [theirs, "no such"]
    assert [(f.state, f.explanation) for f in current_findings(month, PERIOD, ONE.reporter_code)] == [
        ("explained", hostile)
    ]
    assert [(f.state, f.explanation) for f in current_findings(month, PERIOD, TWO.reporter_code)] == [("open", None)]


def test_what_was_declined_is_not_answered_by_the_same_words_again(month: psycopg.Connection[Any]) -> None:
    first, second, third = (put_file(month) for _ in range(3))
    key = key_of(month, put_version(month, first, [wage()]))
    assert explain(month, first, (key, "已核实"), (key, "附件另报")) == []
    [asked] = current_findings(month, PERIOD, ONE.reporter_code)
    assert (asked.state, asked.explanation) == ("explained", "已核实；附件另报")
    decision = {"accept": False, "actor": "演示", "reason_zh": "请附工资表", "now": IN_TIME}
    assert decide_explanations(month, [asked.finding_id], **decision) == 1
    assert decide_explanations(month, [asked.finding_id], **decision) == 0
    # the returned workbook carries the words along
    put_version(month, second, [wage()])
    explain(month, second, (key, "已核实；附件另报"))
    [asked] = current_findings(month, PERIOD, ONE.reporter_code)
    assert (asked.state, asked.decision, asked.decision_reason_zh) == ("open", "rejected", "请附工资表")
    # other words are another answer, and accepted it holds for the next version
    explain(month, third, (key, "工资表已报"))
    [asked] = current_findings(month, PERIOD, ONE.reporter_code)
    assert (asked.state, asked.explanation, asked.decision) == ("explained", "工资表已报", None)
    assert decide_explanations(month, [asked.finding_id], **(decision | {"accept": True})) == 1
    put_version(month, third, [wage()])
    [asked] = current_findings(month, PERIOD, ONE.reporter_code)
    assert (asked.state, asked.explanation, asked.decision) == ("accepted", "工资表已报", "accepted")
    # for another value it was not said
    put_version(month, put_file(month), [wage(value="99000")])
    [asked] = current_findings(month, PERIOD, ONE.reporter_code)
    assert (asked.state, asked.explanation, asked.decision) == ("open", None, None)
    explain(month, put_file(month), (key, "工资表已报"))
    assert current_findings(month, PERIOD, ONE.reporter_code)[0].state == "explained"


def test_an_explanation_of_what_must_be_mended_is_shown_to_the_office(
    month: psycopg.Connection[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    receipt_id = put_file(month)
    submission_id = put_version(month, receipt_id, [blank()])
    explain(month, receipt_id, (key_of(month, submission_id, "R-VAL-001"), "企业停产，无人\x00参保\ud800\x1b[2J"))
    assert states(month) == [(1, "R-VAL-001", "open")]
    chosen = office.parser().parse_args(
        ["decline", "--period", PERIOD, "--reporter", ONE.reporter_name, "--reason", "a"]
    )
    shown = office.waiting(month, chosen)
    assert "必须改正的问题上的情况说明" in shown and "企业停产，无人参保 [2J" in shown and "\x1b" not in shown
    with pytest.raises(PeriodRefused, match="没有符合条件"):
        chosen.code = None
        office.accept(month, chosen)
    assert "未采纳了 1 条" in office.decline(month, chosen)
    assert office.waiting(month, chosen) == "没有等待决定的事项"
    [asked] = current_findings(month, PERIOD, ONE.reporter_code)
    assert (asked.state, asked.decision, asked.decision_reason_zh) == ("open", "rejected", "a")


def test_texts_that_the_database_does_not_take_are_stored_without_what_it_refuses(
    month: psycopg.Connection[Any],
) -> None:
    """Strings of old binary workbooks can carry NUL; a fact can be no number at all."""
    put_version(month, put_file(month), [wage(value="长" * 32_767)])
    [kept] = current_findings(month, PERIOD, ONE.reporter_code)
    assert kept.value == "长" * 500 + "……"
    bad = replace(wage(value="1\x002\ud800"), params=HEADER | {"low": float("nan"), "note": "a\x00b"})
    put_version(month, put_file(month), [bad])
    [kept] = current_findings(month, PERIOD, ONE.reporter_code)
    assert (kept.value, kept.params["low"], kept.params["note"]) == ("12", "nan", "ab")
    put_version(month, put_file(month), [bad])
    assert [state for _, _, state in states(month)] == ["expired", "expired", "open"]


def test_a_table_on_the_terminal_stays_a_table() -> None:
    assert table(("说明",), [["一\n二\x1b[31m三"]]).splitlines() == ["说明", "------------", "一 二 [31m三"]


# -------------------------------------------------------------------------------------------------------------- months


def test_a_closed_month_keeps_its_deadlines_when_the_rules_change(month: psycopg.Connection[Any]) -> None:
    rules = load_rules(get_settings().reporting_file)
    closed = open_period(month, PERIOD, [ONE], rules, LONG_AFTER)
    assert closed.state == "closed"
    later = replace(rules, due_working_day=19, close_working_day=20)
    again = open_period(month, PERIOD, [TWO], later, datetime(2019, 5, 20, tzinfo=SHANGHAI))
    assert (again.state, again.due_on, again.closes_on) == ("closed", closed.due_on, closed.closes_on)
    expected = month.execute("select distinct reporter_code from intake.expected_report where period = %s", (PERIOD,))
    assert expected.fetchall() == [(ONE.reporter_code,), (TWO.reporter_code,)]
    events = month.execute("select event, actor from intake.period_event where period = %s", (PERIOD,)).fetchall()
    assert events == [("closed", "系统")]


def test_an_open_month_follows_the_rules_and_says_when_the_calendar_is_a_guess(
    conn: psycopg.Connection[Any],
) -> None:
    rules = load_rules(get_settings().reporting_file)
    now = datetime(2041, 1, 3, tzinfo=SHANGHAI)
    first = open_period(conn, "2040-12", [], rules, now)
    later = open_period(conn, "2040-12", [], replace(rules, close_working_day=rules.close_working_day + 1), now)
    assert first.state == later.state == "open" and later.closes_on > first.closes_on
    assert not later.is_calendar_known


def test_what_arrived_in_time_is_taken_when_it_is_collected_later(month: psycopg.Connection[Any]) -> None:
    rules = load_rules(get_settings().reporting_file)
    last_minute = datetime(2019, 5, 16, 23, 59, tzinfo=SHANGHAI)
    next_morning = open_period(month, PERIOD, [ONE], rules, datetime(2019, 5, 17, 8, tzinfo=SHANGHAI))
    assert next_morning.closes_on == date(2019, 5, 16) and next_morning.state == "closed"
    assert next_morning.takes(last_minute) and not next_morning.takes(last_minute + timedelta(minutes=2))
    until, taken = reopen_period(month, PERIOD, rules, actor="演示", reason_zh="复核", now=LONG_AFTER)
    assert (until, taken) == (date(2019, 7, 8), 0)
    # asked for twice: the days count anew
    assert reopen_period(month, PERIOD, rules, actor="演示", reason_zh="复核", now=LONG_AFTER + timedelta(days=1)) == (
        date(2019, 7, 9),
        0,
    )
    over = open_period(month, PERIOD, [ONE], rules, datetime(2019, 7, 10, 8, tzinfo=SHANGHAI))
    assert over.state == "closed"
    assert over.takes(end_of(date(2019, 7, 9))) and not over.takes(datetime(2019, 7, 10, 1, tzinfo=SHANGHAI))


def test_the_office_sees_the_month_by_the_clock_though_nothing_was_collected_since(
    month: psycopg.Connection[Any],
) -> None:
    rules = load_rules(get_settings().reporting_file)
    found = find_period(month, PERIOD)
    assert found is not None and found.state == "open"
    reopen_period(month, PERIOD, rules, actor="演示", reason_zh="复核", now=LONG_AFTER)
    with pytest.raises(PeriodRefused, match="已经封账"):
        close_period(month, PERIOD, actor="演示", reason_zh="完", now=LONG_AFTER + timedelta(days=30))
    events = month.execute("select event from intake.period_event where period = %s order by event_id", (PERIOD,))
    assert [event for (event,) in events] == ["closed", "reopened", "closed"]


def test_of_two_decisions_about_a_correction_the_first_stands(month: psycopg.Connection[Any]) -> None:
    receipt_id = put_file(month, "awaiting_approval", correction=True)
    [waiting] = [one for one in waiting_corrections(month, PERIOD) if one.receipt_id == receipt_id]
    assert approve_correction(month, waiting, "演示甲", "核实", LONG_AFTER)
    month.execute("update intake.received_file set outcome = 'processed' where receipt_id = %s", (receipt_id,))
    # somebody else had the same list before him
    assert not approve_correction(month, waiting, "演示乙", "核实", LONG_AFTER)
    assert not reject_correction(month, waiting, "演示丙", "不核实", LONG_AFTER)
    rows = month.execute("select outcome from intake.received_file where receipt_id = %s", (receipt_id,)).fetchall()
    assert rows == [("processed",)]
    assert month.execute("select actor from intake.period_event where receipt_id = %s", (receipt_id,)).fetchall() == [
        ("演示甲",)
    ]


def test_a_refused_correction_takes_no_number(month: psycopg.Connection[Any]) -> None:
    put_version(month, put_file(month), revision_no=1)
    put_version(month, put_file(month), [headless()], revision_no=2)
    assert revision_of(month, PERIOD) == 1


def test_a_month_known_from_reminders_alone_is_not_due(month: psycopg.Connection[Any]) -> None:
    assert PERIOD not in period_states(month)
    put_file(month, "pending")
    assert period_states(month)[PERIOD].pending == 1


# ------------------------------------------------------------------------------------------------------- returned files


@pytest.mark.parametrize(
    ("sent", "kept"),
    [("..\\..\\企业:情况?表.xlsx", "企业_情况_表"), ("CON.xlsx", "_CON"), (".xlsx", "文件"),
     ("a" * 300 + ".xls", "a" * 80),
     ("表\u202exslx.exe", "表_xslx"), ("LPT1.表.xlsx", "_LPT1.表"), ("x. .xlsx", "x")],
)  # fmt: skip
def test_names_are_such_that_windows_takes_them(sent: str, kept: str) -> None:
    assert safe_stem(sent) == kept


def test_a_county_whose_file_cannot_be_copied_gets_its_list_all_the_same(
    month: psycopg.Connection[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its file is gone from the landing store; the other counties must get theirs. Nothing of it is open to others."""
    monkeypatch.setenv("OUTBOX_DIR", str(tmp_path / "outbox"))
    monkeypatch.setenv("LANDING_DIR", str(tmp_path / "landing"))
    get_settings.cache_clear()
    try:
        odd = replace(ONE, reporter_name="演示/甲:县")
        put_version(month, put_file(month), [wage()])
        put_file(month, "rejected", name="更正.xlsx", correction=True)
        month.execute(
            "update intake.received_file set outcome_zh = '更正未获批准：依据不足' where outcome = 'rejected'"
        )
        with Workers() as workers:
            path = return_reporter(month, PERIOD, odd, workers)
        assert path == return_folder(PERIOD, odd.reporter_name) / f"演示_甲_县-{PERIOD}-请核对.xlsx"
        assert [part.stat().st_mode & 0o777 for part in (path, path.parent, path.parent.parent)] == [
            0o600,
            0o700,
            0o700,
        ]
        sheet = openpyxl.load_workbook(path)["问题清单"]
        texts = [str(cell.value) for row in sheet.iter_rows() for cell in row if cell.value]
        assert "W-VAL-003" in texts
        assert any("未获批准（依据不足）" in text for text in texts)
    finally:
        monkeypatch.undo()
        get_settings.cache_clear()


# ---------------------------------------------------------------------------------------------------- asked for by hand


def test_a_month_is_reopened_by_hand_only_where_something_would_wait(inbox: Path) -> None:
    def send(period: str, name: str, number: int, at: datetime) -> None:
        rows = [enterprise("宾阳县", "450126", number)]
        path = inbox / period / "宾阳县" / name
        write_form(path, "企业情况表", "宾阳县", period, STATUS_HEADERS, rows, received=at)

    def months() -> list[tuple[Any, ...]]:
        with connect() as conn:
            return conn.execute("select period, state from intake.reporting_period order by 1").fetchall()

    ahead = f"{datetime.now(SHANGHAI).year + 1}-05"
    in_time, late = datetime(2026, 4, 2, 9, tzinfo=SHANGHAI), datetime(2026, 4, 20, 9, tzinfo=SHANGHAI)
    send("2026-03", "企业情况表.xlsx", 1, in_time)
    send(ahead, "企业情况表.xlsx", 1, in_time)
    assert collect(reopen="2026-03").refused == 1
    # in time, though collected long after: nothing to reopen
    assert months() == [("2026-03", "closed")]
    # a month not begun is not opened for being asked for
    send(ahead, "再报.xlsx", 2, in_time)
    assert collect(reopen=ahead).refused == 1
    assert months() == [("2026-03", "closed")]
    send("2026-03", "更正.xlsx", 3, late)
    assert collect().waiting == 1
    # the file was collected before the month was asked for
    taken = collect(reopen="2026-03")
    assert (taken.new, taken.periods) == (0, ["2026-03"])
    assert months() == [("2026-03", "reopened")]
    with connect() as conn:
        outcomes = conn.execute("select outcome from intake.received_file where is_correction").fetchall()
    assert outcomes == [("pending",)]


# What the ledger's lines say, read again whole: what the digest kept by triggers must be equal to.
RECOMPUTED = """
    select period, kind, sum(intake.line_weight(text)) from (
        select period, 'reporting_period' as kind, intake.ledger_line(line) as text from intake.reporting_period as line
        union all
        select period, 'expected_report', intake.ledger_line(line) from intake.expected_report as line
        union all
        select period, 'submission', intake.ledger_line(line) from intake.submission as line
        union all
        select period, 'received_file', intake.ledger_line(line) from intake.received_file as line
    ) as lines
    where text is not null
    group by period, kind
"""


def digests(conn: psycopg.Connection[Any]) -> set[tuple[Any, ...]]:
    return set(conn.execute("select period, kind, weight from intake.ledger_digest where weight <> 0").fetchall())


def test_the_digest_of_the_ledger_follows_every_write(month: psycopg.Connection[Any]) -> None:
    def check() -> str:
        assert digests(month) == set(month.execute(RECOMPUTED).fetchall())
        return entries.input_hash(month, PERIOD)

    seen = [check()]
    writes = (
        "insert into intake.received_file (sha256, file_name, channel, channel_path, size_bytes, received_at, period,"
        " reporter_code, outcome, outcome_zh) select 'digest-' || n, 'f', 'folder', 'digest-' || n, 1, now(),"
        " %(period)s, '990001', 'refused', '退回' from generate_series(1, 3) as n",
        "update intake.received_file set outcome = 'rejected' where sha256 = 'digest-1'",
        "update intake.reporting_period set state = 'closed' where period = %(period)s",
        "delete from intake.expected_report where period = %(period)s and reporter_code = '990002'",
        "delete from intake.received_file where sha256 = 'digest-2'",
    )
    for statement in writes:
        month.execute(statement.encode(), {"period": PERIOD})
        seen.append(check())
    assert len(set(seen)) == len(seen), "each of these writes changes what marts and report are made from"

    month.execute("update intake.received_file set file_name = 'g' where sha256 = 'digest-3'")
    assert check() == seen[-1], "a file's name changes nothing"
    month.execute(
        "delete from intake.received_file where sha256 = 'digest-3'; "
        "insert into intake.received_file (sha256, file_name, channel, channel_path, size_bytes, received_at, period,"
        " reporter_code, outcome, outcome_zh) values ('digest-3', 'f', 'folder', 'x', 1, now(),"
        f" '{PERIOD}', '990001', 'refused', '退回')"
    )
    assert check() == seen[-1], "the same line again gives the same digest"
    month.execute("truncate intake.received_file cascade")
    assert check() not in seen[-1:]


def test_a_month_is_out_of_date_when_one_before_it_changed(month: psycopg.Connection[Any]) -> None:
    later = "2019-05"
    open_period(month, later, [ONE, TWO], load_rules(get_settings().reporting_file), IN_TIME)
    before = {period: entries.input_hash(month, period) for period in (PERIOD, later)}
    month.execute("delete from intake.expected_report where period = %s and reporter_code = '990002'", (later,))
    assert entries.input_hash(month, PERIOD) == before[PERIOD], "a later month is none of its input"
    assert entries.input_hash(month, later) != before[later]
    standing = entries.input_hash(month, later)
    month.execute("delete from intake.expected_report where period = %s and reporter_code = '990002'", (PERIOD,))
    assert entries.input_hash(month, later) != standing
