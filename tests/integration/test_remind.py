"""Reminders over a real ledger: before, on and after the due day, each once, whatever is down or killed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from include.intake.calendar import SHANGHAI, PeriodError, load_rules
from include.intake.channels import LocalFolder
from include.intake.reporters import load_reporters
from include.ledger import entries, periods
from include.ledger.findings import Owner, record_log
from include.pipeline.remind import (
    ChannelsDown,
    DigestsRefused,
    NothingToRemind,
    main,
    remind,
    require_delivered,
)
from include.quality.findings import Finding, FindingLog
from include.settings import get_settings
from include.warehouse.connection import connect
from tests import receivers
from tests.receivers import HOST, free_port, hook_server

PERIOD = "2026-10"
# October 2026 is due on Friday 6 November and closes on Friday 13 November.
BEFORE, ON, AFTER = "2026-11-04", "2026-11-06", "2026-11-09"
FORMS = ("enterprise_status", "labour_demand", "subsidy_payment")
REPORTERS = """\
reporter_code,reporter_name,region_code,city_code,pilot_level,valid_from,valid_to,is_sample
450126,宾阳县,450126,450100,市级试点,2022-02-25,,true
450721,灵山县,450721,450700,市级试点,2022-02-25,,true
"""


def at(day: str, time: str = "08:30") -> datetime:
    return datetime.fromisoformat(f"{day}T{time}:00").replace(tzinfo=SHANGHAI)


@pytest.fixture
def outbox(clean_warehouse: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty ledger, two counties, and an outbox of this test alone."""
    (tmp_path / "reporters.csv").write_text(REPORTERS, encoding="utf-8")
    (tmp_path / "contacts.csv").write_text("reporter_code,email\n450721,lingshan@example.cn\n", encoding="utf-8")
    for name, path in (
        ("OUTBOX_DIR", "outbox"),
        ("REPORTERS_FILE", "reporters.csv"),
        ("CONTACTS_FILE", "contacts.csv"),
    ):
        monkeypatch.setenv(name, str(tmp_path / path))
    for proxy in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(proxy, raising=False)
        monkeypatch.delenv(proxy.lower(), raising=False)
    get_settings.cache_clear()
    yield tmp_path / "outbox"
    monkeypatch.undo()
    get_settings.cache_clear()


def use_channels(monkeypatch: pytest.MonkeyPatch, *, smtp: int | None = None, hook: int | None = None) -> None:
    if smtp is not None:
        monkeypatch.setenv("SMTP_URL", f"smtp://{HOST}:{smtp}")
        monkeypatch.setenv("MAIL_FROM", "office@example.cn")
    if hook is not None:
        monkeypatch.setenv("WEBHOOK_URL", f"http://{HOST}:{hook}/hook")
    get_settings.cache_clear()


def query(statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with connect() as conn:
        return conn.execute(statement, parameters).fetchall()


def submit(
    code: str,
    forms: tuple[str, ...] = FORMS,
    *,
    outcome: str = "accepted",
    received: str = "2026-11-03",
    held: int = 0,
    findings: tuple[Finding, ...] = (),
    period: str = PERIOD,
) -> None:
    """Enter one file with these forms into the ledger as the chain does; the findings belong to the first form."""
    settings = get_settings()
    with connect() as conn:
        entries.sync_reporters(conn, load_reporters(settings.reporters_file))
        reporters, rules = load_reporters(settings.reporters_file), load_rules(settings.reporting_file)
        periods.open_period(conn, period, reporters, rules, at(received))
        row = conn.execute(
            """
            insert into intake.received_file (sha256, file_name, channel, channel_path, size_bytes, received_at, period,
                reporter_code, outcome, outcome_zh)
            values (%s, '报表.xlsx', %s, %s, 1, %s, %s, %s, 'processed', '') returning receipt_id
            """,
            (f"{code}{received}{outcome}", LocalFolder.name, f"{code}/{received}", at(received), period, code),
        ).fetchone()
        assert row is not None
        for number, form in enumerate(forms):
            version = entries.next_version(conn, form, period, code)
            submission_id = f"{code}-{form}-{version}"
            conn.execute(
                """
                insert into intake.submission (submission_id, receipt_id, form, period, reporter_code, county_code,
                    version, sheets, received_at, outcome, rows_read, rows_accepted, rows_held, cells_read,
                    cells_filled, findings_e, findings_r, findings_w)
                values (%s, %s, %s, %s, %s, %s, %s, '{}', %s, %s, 9, 9, %s, 9, 9, 0, 0, 0)
                """,
                (submission_id, row[0], form, period, code, code, version, at(received), outcome, held),
            )
            if number == 0 and findings:
                log = FindingLog()
                log.extend(findings)
                record_log(conn, log, Owner(row[0], submission_id, period, code), at(received), {})


def letter(outbox: Path, county: str, name: str, period: str = PERIOD) -> str:
    return (outbox / period / "提醒" / county / f"{name}.html").read_text(encoding="utf-8")


def files(outbox: Path, period: str = PERIOD) -> list[str]:
    folder = outbox / period / "提醒"
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def month(result: dict[str, Any], period: str = PERIOD) -> dict[str, Any]:
    (found,) = [one for one in result["periods"] if one["period"] == period]
    return dict(found)


def rows() -> list[tuple[Any, ...]]:
    return query("select reporter_code, stage, channel, is_sent from intake.reminder order by 1, 2, 3")


def test_a_month_in_which_nobody_sends_anything_is_known_and_reminded(outbox: Path) -> None:
    quiet = remind(at("2026-11-02"))
    assert month(quiet)["stage"] is None
    assert query("select period, state from intake.reporting_period") == [(PERIOD, "open")]
    assert query("select count(*) from intake.expected_report") == [(6,)]
    assert rows() == []
    result = remind(at(BEFORE))
    assert month(result) == {
        "period": PERIOD, "stage": "before_due", "deadline": "2026-11-06", "digests": 2, "settled": 0,
        "sent": {"outbox": 2}, "folder": str(outbox / PERIOD / "提醒"),
    }  # fmt: skip
    text = letter(outbox, "灵山县", "1-截止前提醒")
    assert "企业情况表" in text and "企业用工需求表" in text and "补贴资金发放台账" in text
    assert "距截止还有2个工作日" in text and "演示数据" in text
    json.dumps(result)


def test_each_stage_writes_once_and_running_again_writes_nothing(outbox: Path) -> None:
    for day, digests in ((BEFORE, 2), ("2026-11-05", 0), (ON, 2), (ON, 0), (AFTER, 2), ("2026-11-13", 0)):
        assert month(remind(at(day)))["digests"] == digests, day
        before = {path: path.stat().st_mtime_ns for path in outbox.rglob("*.html")}
        assert month(remind(at(day, "15:00")))["digests"] == 0
        assert {path: path.stat().st_mtime_ns for path in outbox.rglob("*.html")} == before
    names = ["1-截止前提醒.html", "2-截止日提醒.html", "3-逾期催办.html"]
    assert files(outbox) == [
        "专项行动指挥部/1-截止前情况.html", "专项行动指挥部/2-截止日情况.html", "专项行动指挥部/3-逾期情况.html",
        *(f"{who}/{name}" for who in ("宾阳县", "灵山县") for name in names),
    ]  # fmt: skip
    assert len(rows()) == 6
    # On the eleventh working day the month is closed: nobody is reminded any more.
    assert remind(at("2026-11-16"))["periods"] == []
    assert query("select state from intake.reporting_period") == [("closed",)]


def test_who_sent_everything_without_open_questions_is_left_alone(outbox: Path) -> None:
    submit("450126")
    submit("450721", FORMS[:2])
    result = month(remind(at(ON)))
    assert (result["digests"], result["settled"]) == (1, 1)
    assert files(outbox) == ["专项行动指挥部/2-截止日情况.html", "灵山县/2-截止日提醒.html"]
    assert "补贴资金发放台账" in letter(outbox, "灵山县", "2-截止日提醒")
    assert "企业情况表" not in letter(outbox, "灵山县", "2-截止日提醒")
    submit("450721", FORMS[2:], received="2026-11-08")
    result = month(remind(at(AFTER)))
    assert (result["digests"], result["settled"]) == (0, 2)
    # The office still learns who was late: received on Sunday, due on Friday.
    assert "补贴资金发放台账" in letter(outbox, "专项行动指挥部", "3-逾期情况")


def test_all_accepted_and_on_time_writes_nothing(outbox: Path) -> None:
    submit("450126")
    submit("450721")
    assert month(remind(at(ON)))["digests"] == 0
    assert not outbox.exists()


def test_a_digest_tells_refusals_held_rows_and_warnings_of_the_ledger(outbox: Path) -> None:
    submit("450126")
    submit(
        "450721", FORMS[:1], held=2, findings=(
            Finding("R-USC-001", "enterprise_status", "Sheet1", 5, "uscc", "C5", "9145", {"header": "代码"}),
            Finding("R-USC-001", "enterprise_status", "Sheet1", 8, "uscc", "C8", "9146", {"header": "代码"}),
            *(
                Finding(
                    "W-WAG-001", "enterprise_status", "Sheet1", number, "wage_general", f"AG{number}", "9",
                    {"header": "普工", "min_value": 1000, "max_value": 30000},
                )
                for number in range(5, 1505)
            ),
        ),
    )  # fmt: skip
    refusal = Finding("E-HDR-002", "labour_demand", "Sheet1", params={"header": "岗位", "cells": "F3、G3"})
    submit("450721", FORMS[1:2], outcome="refused", received="2026-11-02", findings=(refusal,))
    returned = outbox / PERIOD / "退回表" / "灵山县"
    returned.mkdir(parents=True)
    (returned / "灵山县2026年10月-退回表.xlsx").touch()
    (returned / "灵山县2026年10月-回执.xlsx").touch()
    remind(at(ON))
    text = letter(outbox, "灵山县", "2-截止日提醒")
    assert "未报送1张表、退回1张表、暂扣2行、待说明1500处" in text
    assert "统一社会信用代码校验码不符（2处）" in text and "“Sheet1”第5、8行" in text
    # 1,000 of the 1,500 are kept one by one; the number is exact all the same.
    assert "工资超出合理范围（1500处）" in text and "AG5、AG6、AG7、AG8、AG9、AG10、AG11、AG12等1500处" in text
    assert "企业用工需求表（第1版）" in text
    assert "表头“岗位”对应了多列（F3、G3）" in text
    assert "2026-10/退回表/灵山县/灵山县2026年10月-退回表.xlsx" in text
    assert "回执.xlsx" not in text
    office = letter(outbox, "专项行动指挥部", "2-截止日情况")
    assert "宾阳县" in office and "1500处" in office


def test_an_explained_warning_needs_no_reminder(outbox: Path) -> None:
    warning = Finding(
        "W-WAG-001", "enterprise_status", "Sheet1", 5, "wage_general", "AG5", "9",
        {"header": "普工", "min_value": 1000, "max_value": 30000},
    )  # fmt: skip
    submit("450126")
    submit("450721", findings=(warning,))
    assert month(remind(at(BEFORE)))["digests"] == 1
    with connect() as conn:
        conn.execute("update intake.finding set state = 'explained'")
    result = month(remind(at(ON)))
    assert (result["stage"], result["digests"], result["settled"]) == ("due", 0, 2)


def test_a_reopened_month_is_reminded_anew_of_its_new_deadline(outbox: Path) -> None:
    submit("450126")
    for day in (BEFORE, ON, AFTER):
        remind(at(day))
    settings = get_settings()
    with connect() as conn:
        rules = load_rules(settings.reporting_file)
        periods.open_period(conn, PERIOD, load_reporters(settings.reporters_file), rules, at("2026-11-14"))
        until, _ = periods.reopen_period(
            conn, PERIOD, rules, actor="指挥部", reason_zh="补报", now=at("2026-11-16", "10:00")
        )
    # Five working days after Monday 16 November.
    assert until.isoformat() == "2026-11-23"
    assert month(remind(at("2026-11-18")))["stage"] is None
    result = month(remind(at("2026-11-19")))
    assert (result["stage"], result["deadline"], result["digests"]) == ("before_due", "2026-11-23", 1)
    assert month(remind(at("2026-11-20")))["digests"] == 0
    assert month(remind(at("2026-11-23")))["digests"] == 1
    assert "重新开放至" in letter(outbox, "灵山县", "重新开放第1次-2-截止日提醒")
    assert len(files(outbox)) == 3 + 3 + 2 + 2
    assert remind(at("2026-11-24"))["periods"] == []


def test_days_off_are_left_alone_and_a_worked_saturday_is_not(outbox: Path) -> None:
    # 11 October 2026 is a Sunday; Saturday 10 October is worked, two working days before Tuesday 13.
    assert remind(at("2026-10-11")) == {
        "day": "2026-10-11", "is_working_day": False, "periods": [], "expired": 0, "down": [], "refused": [],
    }  # fmt: skip
    assert query("select 1 from intake.reporting_period") == []
    assert month(remind(at("2026-10-10")), "2026-09")["stage"] == "before_due"
    # Asked for by hand, a month is done on any day.
    by_hand = remind(at("2026-10-11"), "2026-09")
    assert (month(by_hand, "2026-09")["stage"], month(by_hand, "2026-09")["digests"]) == ("before_due", 0)


def test_a_year_without_announced_holidays_is_said(outbox: Path) -> None:
    result = month(remind(at("2099-01-05")), "2098-12")
    assert (result["stage"], result["deadline"]) == ("before_due", "2099-01-07")
    assert query("select is_calendar_known from intake.reporting_period") == [(False,)]
    assert "2099年的放假调休安排尚未收录" in letter(outbox, "灵山县", "1-截止前提醒", "2098-12")


@pytest.mark.parametrize(
    ("period", "error"), [("2026-08", NothingToRemind), ("2026-11", NothingToRemind), ("202610", PeriodError)]
)
def test_a_month_that_nobody_owes_is_refused(outbox: Path, period: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        remind(at(BEFORE), period)


def test_a_closed_month_asked_for_is_left_alone(outbox: Path) -> None:
    remind(at(BEFORE))
    remind(at("2026-11-16"))
    due_before = query("select due_on, state from intake.reporting_period where period = %s", PERIOD)
    assert remind(at("2026-11-17"), PERIOD)["periods"] == []
    assert query("select due_on, state from intake.reporting_period where period = %s", PERIOD) == due_before


# --- mail and webhook


def test_every_channel_gets_each_digest_once(outbox: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with receivers.mail_server() as (smtp, box), hook_server() as (port, hook):
        use_channels(monkeypatch, smtp=smtp, hook=port)
        result = remind(at(BEFORE))
        assert month(result)["sent"] == {"outbox": 2, "smtp": 1, "webhook": 2}
        assert month(remind(at("2026-11-05")))["sent"] == {}
        require_delivered(result)
    # 宾阳县 has no mailbox; the office's digest is for the outbox alone.
    assert [str(mail["To"]) for mail in box.mails] == ["灵山县 <lingshan@example.cn>"]
    assert [document["data"]["recipient"] for document in hook.documents] == ["宾阳县", "灵山县"]
    html = box.mails[0].get_body(("html",))
    assert html is not None
    assert html.get_content().splitlines() == letter(outbox, "灵山县", "1-截止前提醒").splitlines()


def test_a_channel_that_is_down_is_tried_again_by_the_next_run(outbox: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    smtp, port = free_port(), free_port()
    use_channels(monkeypatch, smtp=smtp, hook=port)
    first = remind(at(BEFORE))
    assert month(first)["sent"] == {"outbox": 2}
    assert [line.partition("（")[0] for line in first["down"]] == [
        "消息推送：消息推送地址连接不上", "邮件：邮件服务器连接不上",
    ]  # fmt: skip
    with pytest.raises(ChannelsDown, match="邮件服务器连接不上") as down:
        require_delivered(first)
    assert isinstance(down.value, ConnectionError)
    assert rows() == [
        ("450126", "before_due", "outbox", True), ("450126", "before_due", "webhook", False),
        ("450721", "before_due", "outbox", True), ("450721", "before_due", "smtp", False),
        ("450721", "before_due", "webhook", False),
    ]  # fmt: skip
    with receivers.mail_server(smtp) as (_, box), hook_server(port) as (_, hook):
        second = remind(at(BEFORE, "08:31"))
    assert month(second)["sent"] == {"smtp": 1, "webhook": 2}
    assert second["down"] == []
    assert (len(box.mails), len(hook.calls)) == (1, 2)
    assert all(sent for *_, sent in rows())


def test_a_refused_mailbox_stops_nobody_else(outbox: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    get_settings().contacts_file.write_text(
        "reporter_code,email\n450126,gone@example.cn\n450721,lingshan@example.cn\n", encoding="utf-8"
    )
    with receivers.mail_server(mailbox=receivers.Mailbox(unknown={"gone@example.cn"})) as (smtp, box):
        use_channels(monkeypatch, smtp=smtp)
        result = remind(at(BEFORE))
    assert month(result)["sent"] == {"outbox": 2, "smtp": 1}
    assert [str(mail["To"]) for mail in box.mails] == ["灵山县 <lingshan@example.cn>"]
    with pytest.raises(DigestsRefused, match=r"宾阳县 邮件：未送达：.*gone@example\.cn（550）"):
        require_delivered(result)


def test_killed_between_sending_and_recording_sends_one_double_that_can_be_told(
    outbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger refuses the row of one mail, as if the process had ended just before it."""
    with connect() as conn:
        conn.execute(
            """
            create function intake.refuse_mail() returns trigger language plpgsql as $$
            begin raise exception 'the process ends here'; end $$;
            create trigger refuse_mail before insert on intake.reminder
                for each row when (new.channel = 'smtp') execute function intake.refuse_mail();
            """
        )
    with receivers.mail_server() as (smtp, box), hook_server() as (port, hook):
        use_channels(monkeypatch, smtp=smtp, hook=port)
        with pytest.raises(psycopg.errors.RaiseException, match="ends here"):
            remind(at(BEFORE))
        assert [row[:3] for row in rows()] == [
            ("450126", "before_due", "outbox"), ("450126", "before_due", "webhook"), ("450721", "before_due", "outbox"),
        ]  # fmt: skip
        with connect() as conn:
            conn.execute("drop function intake.refuse_mail() cascade")
        assert month(remind(at(BEFORE, "08:31")))["sent"] == {"smtp": 1, "webhook": 1}
        assert month(remind(at(BEFORE, "08:32")))["sent"] == {}
    assert [mail["Message-ID"] for mail in box.mails] == ["<reminder.2026-10.450721.before_due.0@example.cn>"] * 2
    assert [headers["idempotency-key"] for headers, _ in hook.calls] == [
        "reminder.2026-10.450126.before_due.0", "reminder.2026-10.450721.before_due.0",
    ]  # fmt: skip
    assert len(rows()) == 5


# --- by hand


def test_the_command_says_how_many_and_where(outbox: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On whatever day the test runs: the month just over is opened, and its stage depends on the day."""
    assert main([]) == 0
    said = capsys.readouterr().out
    assert "催报提醒 reminders" in said
    assert main(["--period", "2019-01"]) == 1
    assert "2019-01 is not in the ledger" in capsys.readouterr().err
