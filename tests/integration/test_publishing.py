"""Drafts, approval, issues and delivery, over a small renderer and real receivers of mail and webhook."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import shutil
import urllib.parse
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from include.intake.calendar import SHANGHAI
from include.ledger import entries
from include.operate import office, summary
from include.pipeline.publish import (
    ReportRefused,
    ReportSuperseded,
    ReportWaits,
    approval_request,
    decide_report,
    deliver,
    render,
)
from include.publishing import releasing
from include.publishing.approval import DecisionRefused
from include.publishing.drafts import DraftDamaged, latest_draft
from include.publishing.sending import DeliveriesRefused, DeliveriesWait, OutboxChanged
from include.settings import get_settings
from include.warehouse.connection import connect
from include.warehouse.migrate import MIGRATIONS, migrate
from tests.ready_reports import EDITIONS, FIGURES, PERIOD, ReadyReports, changed, gate
from tests.receivers import HOST, Hook, Mailbox, free_port, hook_server, mail_server

CONTACTS = "reporter_code,email\n450000,office@example.cn\n450700,qinzhou@example.cn\n450721,lingshan@example.cn\n"
OTHER = changed(province="43", city_450700="43", county_450721="31")


@pytest.fixture
def place(inbox: Path, tmp_path: Path) -> Path:
    """An empty warehouse; the folder in which outbox and drafts lie."""
    return tmp_path


@pytest.fixture
def set_up(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Sets environment variables as an installation would."""

    def setting(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        get_settings.cache_clear()

    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    yield setting
    monkeypatch.undo()
    get_settings.cache_clear()


def query(statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with connect() as conn:
        return conn.execute(statement, parameters).fetchall()


def publish(figures: dict[str, dict[str, str]] = FIGURES, maturity: str = "final", **other: Any) -> dict[str, Any]:
    return deliver(render(gate(maturity, **other), ReadyReports(figures)))


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


ALL_FILES = {
    f"{place}月报.{suffix}"
    for place in ("", "分市/钦州市/", "分县/钦南区/", "分县/灵山县/")
    for suffix in ("docx", "xlsx", "html")
}


# --- drafts and release


def test_a_draft_waits_outside_the_outbox_and_is_released_as_a_whole(place: Path) -> None:
    rendered = render(gate(), ReadyReports(FIGURES))
    assert (rendered["draft_no"], rendered["issue_no"], rendered["state"]) == (1, 0, "waiting")
    assert files(place / "drafts" / PERIOD / "1" / "files") == ALL_FILES
    assert not (place / "outbox").exists()
    delivered = deliver(rendered)
    assert files(place / "outbox" / PERIOD) == ALL_FILES
    assert Path(delivered["files"]["docx"]) == place / "outbox" / PERIOD / "月报.docx"
    assert not list((place / "drafts").rglob("*.docx"))
    assert query("select edition, channel, recipient, state, attempts, result_zh from intake.delivery order by 1") == [
        ("city.450700", "outbox", "钦州市人力资源和社会保障局", "sent", 1, "已放入发件箱"),
        ("county.450702", "outbox", "钦南区", "sent", 1, "已放入发件箱"),
        ("county.450721", "outbox", "灵山县", "sent", 1, "已放入发件箱"),
        ("province", "outbox", "专项行动指挥部", "sent", 1, "已放入发件箱"),
    ]
    lying = {
        name: hashlib.sha256((place / "outbox" / PERIOD / name).read_bytes()).hexdigest() for name in sorted(ALL_FILES)
    }
    assert dict(query("select file_name, sha256 from intake.publication_file")) == lying
    province = "\n".join(f"{name} {lying[name]}" for name in ("月报.docx", "月报.html", "月报.xlsx"))
    assert query("select sha256 from intake.delivery where edition = 'province'") == [
        (hashlib.sha256(province.encode()).hexdigest(),)
    ]
    assert query(
        "select edition, key, label, printed from intake.publication_figure where starts_with(edition, 'county')"
        " order by 1"
    ) == [
        ("county.450702", "region.shortage_now", "region.shortage_now的说明", "12"),
        ("county.450721", "region.shortage_now", "region.shortage_now的说明", "30"),
    ]  # fmt: skip


def test_the_same_figures_again_change_nothing_but_the_note_of_what_they_were_made_from(place: Path) -> None:
    publish()
    before = {path: path.stat().st_mtime_ns for path in (place / "outbox").rglob("*")}
    cutoff = {**FIGURES, "province": {**FIGURES["province"], "reporting.data_cutoff": "6日"}}
    again = publish(cutoff, input_hash="the same county sent the same once more")
    assert again["issue_no"] == 0 and again["sent"] == {}
    assert {path: path.stat().st_mtime_ns for path in (place / "outbox").rglob("*")} == before
    assert query("select count(*), max(input_hash) from intake.publication") == [
        (1, "the same county sent the same once more")
    ]
    assert query("select count(*) from intake.report_draft") == [(1,)]


def test_a_provisional_report_is_replaced_under_its_number_until_it_is_final(place: Path) -> None:
    steps = (
        (FIGURES, "provisional", 0), (OTHER, "provisional", 0), (FIGURES, "provisional", 0), (FIGURES, "final", 0),
        (FIGURES, "final", 0), (OTHER, "final", 1), (FIGURES, "final", 2), (FIGURES, "provisional", 2),
    )  # fmt: skip
    assert [publish(figures, maturity)["issue_no"] for figures, maturity, _ in steps] == [
        number for *_, number in steps
    ]
    assert query("select issue_no, maturity, draft_no from intake.publication order by 1") == [
        (0, "final", 4), (1, "final", 5), (2, "final", 6),
    ]  # fmt: skip
    # Each file says what it is: 0 figures were corrected when the provisional one was replaced.
    said = json.loads((place / "outbox" / PERIOD / "月报.docx").read_text())
    assert said[3] == {"issue_no": 2, "maturity": "final", "maturity_reason": gate()["reason_zh"]}


def test_a_correction_lists_what_the_issue_before_printed_otherwise(place: Path) -> None:
    publish()
    with_new_line = {**OTHER, "county.450721": {"region.enterprises": "3"}}
    assert publish(with_new_line)["issue_no"] == 1
    folders = {"province": "", "city": "分市/钦州市", "qinnan": "分县/钦南区", "lingshan": "分县/灵山县"}
    corrections = {
        key: json.loads((place / "outbox" / PERIOD / folder / "月报.html").read_text())[4]
        for key, folder in folders.items()
    }
    assert corrections == {
        "province": ["region.shortage_now的说明 42 43"],
        "city": ["region.shortage_now的说明 42 43"],
        "qinnan": [],
        # A figure that stands in one of the two alone is listed with them.
        "lingshan": ["region.enterprises的说明 None 3", "region.shortage_now的说明 30 None"],
    }


def test_figures_that_a_newer_version_prints_besides_are_no_correction(place: Path) -> None:
    publish()
    more = {**FIGURES, "province": {**FIGURES["province"], "region.enterprises": "3"}}
    assert publish(more)["issue_no"] == 0
    assert query("select count(*) from intake.report_draft") == [(1,)]


def test_an_edition_that_is_no_more_leaves_the_outbox_with_the_next_issue(place: Path) -> None:
    publish()
    (place / "outbox" / PERIOD / "分县" / "钦南区" / "手写.txt").write_text("kept")
    (place / "outbox" / PERIOD / "退回表").mkdir()
    (place / "outbox" / PERIOD / "退回表" / "a.xlsx").write_text("kept")
    publish({key: printed for key, printed in OTHER.items() if key != "county.450702"})
    left = {name for name in files(place / "outbox" / PERIOD) if not name.startswith("分县/钦南区/月报")}
    assert files(place / "outbox" / PERIOD) == left
    assert left == {name for name in ALL_FILES if "钦南区" not in name} | {"分县/钦南区/手写.txt", "退回表/a.xlsx"}


def test_a_draft_that_was_touched_is_not_released_and_is_mended_by_rendering_again(place: Path) -> None:
    rendered = render(gate(), ReadyReports(FIGURES))
    draft = place / "drafts" / PERIOD / "1" / "files" / "月报.docx"
    draft.write_text("forged")
    with pytest.raises(DraftDamaged, match="not what was approved: clear the task render"):
        deliver(rendered)
    assert not (place / "outbox").exists()
    again = render(gate(), ReadyReports(FIGURES))
    assert (again["draft_no"], again["files_sha256"]) == (1, rendered["files_sha256"])
    deliver(again)
    assert "forged" not in (place / "outbox" / PERIOD / "月报.docx").read_text()


class Killed(BaseException):
    """Stands for SIGKILL: nothing that catches errors catches it."""


@pytest.fixture
def begun(place: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A release that was killed after its files had been moved and before the ledger had it."""
    rendered = render(gate(), ReadyReports(FIGURES))

    def dying(*arguments: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(releasing, "remove_stale", dying)
        with pytest.raises(Killed):
            deliver(rendered)
    assert query("select state from intake.report_draft") == [("releasing",)]
    return rendered


def test_a_release_that_was_begun_is_ended_before_other_figures_become_its_correction(
    place: Path, begun: dict[str, Any]
) -> None:
    corrected = render(gate(), ReadyReports(OTHER))
    assert (corrected["issue_no"], corrected["draft_no"]) == (1, 2)
    assert query("select issue_no, draft_no from intake.publication") == [(0, 1)]
    assert deliver(begun)["sent"] == {}
    assert deliver(corrected)["issue_no"] == 1


def test_a_release_that_was_begun_and_lost_its_draft_is_ended_with_the_same_files_rendered_anew(
    place: Path, begun: dict[str, Any]
) -> None:
    shutil.rmtree(place / "drafts")
    again = render(gate(), ReadyReports(FIGURES))
    assert (again["draft_no"], again["state"], again["files_sha256"]) == (1, "approved", begun["files_sha256"])
    deliver(again)
    assert files(place / "outbox" / PERIOD) == ALL_FILES


# --- approval


def test_nothing_goes_out_before_a_person_approved_these_very_files(place: Path, set_up: Any) -> None:
    set_up(REPORT_APPROVAL="on")
    rendered = render(gate(missing=["横州市"]), ReadyReports(FIGURES))
    with pytest.raises(ReportWaits, match="尚未批准"):
        deliver(rendered)
    request = approval_request(rendered, "run 1")
    assert request is not None
    assert request.subject == "2026年3月月报待批准：定稿"
    for fact in (
        "6 个数字",
        "100.0%",
        "（1 个）：横州市",
        "仍未处理的问题**：无",
        "首次发布",
        rendered["files_sha256"][:16],
    ):
        assert fact in request.body
    with pytest.raises(DecisionRefused, match="不是请示时的文件"):
        decide_report({**rendered, "files_sha256": "other"}, is_approved=True, actor="李四", reason_zh="")
    decide_report(rendered, is_approved=True, actor="李四", reason_zh="", now=datetime(2026, 4, 9, 9, tzinfo=SHANGHAI))
    assert approval_request(rendered, "run 1") is None
    deliver(rendered)
    assert files(place / "outbox" / PERIOD) == ALL_FILES
    assert query("select approved_by, approved_at, files_sha256 from intake.publication") == [
        ("李四", datetime(2026, 4, 9, 1, tzinfo=UTC), rendered["files_sha256"])
    ]
    assert [event for (event,) in query("select event from intake.report_event order by event_id")] == [
        "rendered", "asked", "approved", "issued",
    ]  # fmt: skip


def test_a_refusal_is_stored_with_its_reason_and_the_same_figures_are_not_asked_again(place: Path, set_up: Any) -> None:
    set_up(REPORT_APPROVAL="on")
    rendered = render(gate(), ReadyReports(FIGURES))
    approval_request(rendered, "run 1")
    with pytest.raises(DecisionRefused, match="不批准须写明理由"):
        decide_report(rendered, is_approved=False, actor="李四", reason_zh="  ")
    decide_report(rendered, is_approved=False, actor="李四", reason_zh="灵山县数字偏大，请核")
    assert query("select event, actor, reason_zh, files_sha256 from intake.report_event where event = 'refused'") == [
        ("refused", "李四", "灵山县数字偏大，请核", rendered["files_sha256"])
    ]
    for attempt in (lambda: deliver(rendered), lambda: render(gate(), ReadyReports(FIGURES)),
                    lambda: approval_request(rendered, "run 2")):  # fmt: skip
        with pytest.raises(ReportRefused, match="李四：灵山县数字偏大，请核"):
            attempt()
    assert not (place / "outbox").exists()
    with pytest.raises(DecisionRefused, match="未批准，不再等待决定"):
        decide_report(rendered, is_approved=True, actor="王五", reason_zh="")
    # Other figures are asked about.
    other = render(gate(), ReadyReports(OTHER))
    assert (other["draft_no"], other["state"]) == (2, "waiting")
    assert approval_request(other, "run 3") is not None


def test_the_office_lets_a_refused_report_be_asked_about_again(
    place: Path, set_up: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up(REPORT_APPROVAL="on")
    assert office.main(["resubmit", "--period", PERIOD, "--reason", "x"]) == 2
    assert "没有未批准或待批准的月报稿" in capsys.readouterr().err
    rendered = render(gate(), ReadyReports(FIGURES))
    approval_request(rendered, "run 1")
    decide_report(rendered, is_approved=False, actor="李四", reason_zh="偏大")
    assert office.main([]) == 0
    listed = capsys.readouterr().out
    assert "未批准" in listed and "李四" in listed and "偏大" in listed and "resubmit" in listed
    assert office.main(["resubmit", "--period", PERIOD, "--reason", "已核实无误", "--actor", "王五"]) == 0
    again = render(gate(), ReadyReports(FIGURES))
    assert (again["draft_no"], again["state"]) == (1, "waiting")
    assert approval_request(again, "run 2") is not None
    decide_report(again, is_approved=True, actor="李四", reason_zh="")
    deliver(again)
    assert query(
        "select event, actor, reason_zh from intake.report_event"
        " where event in ('refused', 'resubmitted', 'approved') order by event_id"
    ) == [
        ("refused", "李四", "偏大"), ("resubmitted", "王五", "已核实无误"), ("approved", "李四", ""),
    ]  # fmt: skip


def test_an_older_request_lapses_when_the_figures_change(place: Path, set_up: Any) -> None:
    set_up(REPORT_APPROVAL="on")
    old = render(gate(), ReadyReports(FIGURES))
    approval_request(old, "run 1")
    new = render(gate(), ReadyReports(OTHER))
    for attempt in (lambda: deliver(old), lambda: approval_request(old, "run 1")):
        with pytest.raises(ReportSuperseded, match="第1份稿已被新的数字代替"):
            attempt()
    with pytest.raises(DecisionRefused, match="已被代替"):
        decide_report(old, is_approved=True, actor="李四", reason_zh="")
    # An approved one, too, as long as none of it is out.
    approval_request(new, "run 2")
    decide_report(new, is_approved=True, actor="李四", reason_zh="")
    render(gate(), ReadyReports(FIGURES))
    with pytest.raises(ReportSuperseded):
        deliver(new)
    assert not (place / "outbox").exists()


def test_one_draft_is_asked_about_once_and_one_run_asks_about_one_draft(place: Path, set_up: Any) -> None:
    set_up(REPORT_APPROVAL="on")
    rendered = render(gate(), ReadyReports(FIGURES))
    assert approval_request(rendered, "run 1") is not None
    with pytest.raises(ReportWaits, match="run 1"):
        approval_request(rendered, "run 2", lambda run: run == "run 1")
    # That run is gone: a person sees no request, so there has to be another.
    assert approval_request(rendered, "run 2", lambda run: False) is not None
    other = render(gate(), ReadyReports(OTHER))
    with pytest.raises(DecisionRefused, match="重新触发 publish_report"):
        approval_request(other, "run 2")


def test_a_correction_is_shown_to_the_person_who_approves_it(place: Path, set_up: Any) -> None:
    publish()
    set_up(REPORT_APPROVAL="on")
    request = approval_request(render(gate(), ReadyReports(OTHER)), "run 1")
    assert request is not None
    assert request.subject == "2026年3月月报待批准：定稿，第1次更正"
    assert "3 个数字不同，涉及 3 个版本" in request.body
    assert "| region.shortage_now的说明 | 42 | 43 |" in request.body


def test_what_a_person_decides_about_is_no_work_left_for_the_collection(place: Path, set_up: Any) -> None:
    set_up(REPORT_APPROVAL="on")
    with connect() as conn:
        conn.execute(
            "insert into intake.reporting_period (period, due_on, closes_on) values (%s, '2026-04-08', '2026-04-15')",
            (PERIOD,),
        )
        conn.execute(
            "insert into intake.received_file (sha256, file_name, channel, channel_path, size_bytes, received_at,"
            " period, outcome, outcome_zh) values ('a', 'a', 'local', 'a', 1, now(), %s, 'processed', '')",
            (PERIOD,),
        )
        entries.record_build(conn, PERIOD, "test", entries.input_hash(conn, PERIOD), {})
        conn.commit()
        work_left = []
        rendered = render(gate(input_hash=entries.input_hash(conn, PERIOD)), ReadyReports(FIGURES))
        for step in (
            lambda: None,
            lambda: approval_request(rendered, "run 1"),
            lambda: decide_report(rendered, is_approved=False, actor="李四", reason_zh="偏大"),
            lambda: office.main(["resubmit", "--period", PERIOD, "--reason", "x"]),
        ):
            step()
            work_left.append(entries.outdated_periods(conn))
            conn.commit()
        assert work_left == [[PERIOD], [], [], [PERIOD]]
        approval_request(rendered, "run 2")
        decide_report(rendered, is_approved=True, actor="李四", reason_zh="")
        deliver(rendered)
        assert entries.outdated_periods(conn) == []


# --- mail and webhook


@pytest.fixture
def contacts(place: Path, set_up: Any) -> Path:
    path = place / "contacts.csv"
    path.write_text(CONTACTS)
    set_up(CONTACTS_FILE=str(path), MAIL_FROM="office@example.cn")
    return path


def test_each_edition_is_mailed_once_to_whom_it_is_for(contacts: Path, set_up: Any) -> None:
    with mail_server() as (port, box):
        set_up(SMTP_URL=f"smtp://{HOST}:{port}")
        assert publish()["sent"] == {"smtp": 3}
        assert publish()["sent"] == {}
        publish(OTHER)
        corrected = [mail for mail in box.mails if "第1次更正" in str(mail["Subject"])]
        first = [mail for mail in box.mails if mail not in corrected]
    # 钦南区 has no mailbox.
    assert [str(mail["To"].addresses[0].addr_spec) for mail in first] == [
        "office@example.cn", "qinzhou@example.cn", "lingshan@example.cn",
    ]  # fmt: skip
    mail = first[2]
    assert str(mail["Subject"]) == "【演示数据】灵山县：2026年3月用工专项行动月报（定稿）"
    attached = {part.get_filename(): part.get_content() for part in mail.iter_attachments()}
    assert set(attached) == {"月报.docx", "月报.xlsx", "月报.html"}
    assert json.loads(attached["月报.docx"])[0] == "county.450721"
    assert len({str(mail["Message-ID"]) for mail in box.mails}) == len(box.mails) == 6
    assert query(
        "select recipient, state, attempts from intake.delivery"
        " where channel = 'smtp' and issue_no = 0 and starts_with(edition, 'county')"
    ) == [
        ("lingshan@example.cn", "sent", 1)
    ]  # fmt: skip


def test_a_correction_is_not_sent_to_whom_it_does_not_concern(contacts: Path, set_up: Any) -> None:
    with mail_server() as (port, box):
        set_up(SMTP_URL=f"smtp://{HOST}:{port}")
        publish()
        box.mails.clear()
        publish(changed(province="41", city_450700="41", county_450702="11"))
        assert [mail["To"].addresses[0].addr_spec for mail in box.mails] == ["office@example.cn", "qinzhou@example.cn"]
    # It lies in the outbox all the same.
    assert query("select count(*) from intake.delivery where issue_no = 1 and channel = 'outbox'") == [(4,)]


def test_a_server_that_is_down_leaves_the_report_in_the_outbox_and_the_mails_waiting(
    contacts: Path, place: Path, set_up: Any
) -> None:
    port = free_port()
    set_up(SMTP_URL=f"smtp://{HOST}:{port}")
    rendered = render(gate(), ReadyReports(FIGURES))
    with pytest.raises(DeliveriesWait, match="3 messages of 2026-03 wait"):
        deliver(rendered)
    assert files(place / "outbox" / PERIOD) == ALL_FILES
    assert query("select state, count(*) from intake.delivery where channel = 'smtp' group by 1") == [("pending", 3)]
    with mail_server(port) as (_, box):
        assert deliver(rendered)["sent"] == {"smtp": 3}
        assert len(box.mails) == 3


def test_mails_that_wait_are_not_sent_after_a_correction(contacts: Path, set_up: Any) -> None:
    port = free_port()
    set_up(SMTP_URL=f"smtp://{HOST}:{port}")
    with pytest.raises(DeliveriesWait):
        publish()
    with mail_server(port) as (_, box):
        assert publish(OTHER)["sent"] == {"smtp": 3}
        assert all("第1次更正" in str(mail["Subject"]) for mail in box.mails)
    assert query(
        "select state, result_zh, count(*) from intake.delivery where issue_no = 0 and channel = 'smtp' group by 1, 2"
    ) == [
        ("superseded", "已被后一份稿代替，未发送", 3)
    ]  # fmt: skip


def test_a_refused_mailbox_turns_the_task_red_and_is_tried_again_after_it_was_mended(
    contacts: Path, set_up: Any
) -> None:
    with mail_server(mailbox=Mailbox(unknown={"qinzhou@example.cn"})) as (port, box):
        set_up(SMTP_URL=f"smtp://{HOST}:{port}")
        rendered = render(gate(), ReadyReports(FIGURES))
        with pytest.raises(DeliveriesRefused, match=r"city\.450700 smtp: .*qinzhou@example\.cn（550）"):
            deliver(rendered)
        assert len(box.mails) == 2
        contacts.write_text(CONTACTS.replace("qinzhou@", "qz@"))
        assert deliver(rendered)["sent"] == {"smtp": 1}
        assert len(box.mails) == 3
    assert query(
        "select recipient, attempts from intake.delivery where edition = 'city.450700' and channel = 'smtp'"
    ) == [
        ("qz@example.cn", 2)
    ]  # fmt: skip


def test_a_web_address_gets_every_edition_with_the_digests_of_its_files(place: Path, set_up: Any) -> None:
    with hook_server() as (port, hook):
        set_up(WEBHOOK_URL=f"http://{HOST}:{port}/hook", WEBHOOK_SECRET="secret")
        assert publish()["sent"] == {"webhook": 4}
        publish()
    assert [document["data"]["recipient"] for document in hook.documents] == [
        "专项行动指挥部", "钦州市人力资源和社会保障局", "钦南区", "灵山县",
    ]  # fmt: skip
    data = hook.documents[3]["data"]
    digest = hashlib.sha256((place / "outbox" / PERIOD / "分县/灵山县/月报.docx").read_bytes()).hexdigest()
    assert {"name": "月报.docx", "sha256": digest} in data["files"]
    headers, _ = hook.calls[3]
    assert headers["idempotency-key"] == data["id"]


@pytest.mark.parametrize("style", ["wecom", "dingtalk"])
def test_a_group_robot_is_told_of_the_provinces_report(place: Path, set_up: Any, style: str) -> None:
    with hook_server(hook=Hook(answer=200, body=b'{"errcode": 0, "errmsg": "ok"}')) as (port, hook):
        set_up(WEBHOOK_URL=f"http://{HOST}:{port}/send?key=k", WEBHOOK_SECRET="SEC1", WEBHOOK_STYLE=style)
        assert publish()["sent"] == {"webhook": 1}
    [document] = hook.documents
    assert document["msgtype"] == "text"
    text = document["text"]["content"]
    assert text.startswith("【演示数据】广西壮族自治区：2026年3月用工专项行动月报（定稿）\n")
    assert text.endswith("）") and "（编号 report.2026-03.1.province." in text
    assert len(text.encode()) <= 2048
    [path] = hook.paths
    asked = urllib.parse.parse_qs(urllib.parse.urlsplit(path).query)
    assert asked["key"] == ["k"]
    if style == "dingtalk":
        [timestamp], [sign] = asked["timestamp"], asked["sign"]
        expected = hmac.new(b"SEC1", f"{timestamp}\nSEC1".encode(), hashlib.sha256).digest()
        assert base64.b64decode(sign) == expected
    else:
        assert set(asked) == {"key"}


@pytest.mark.parametrize(
    ("code", "kind"), [(45009, DeliveriesWait), (93000, DeliveriesWait), (45002, DeliveriesRefused)]
)
def test_a_robot_that_says_no_with_200_did_not_take_the_message(
    place: Path, set_up: Any, code: int, kind: type[Exception]
) -> None:
    with hook_server(hook=Hook(answer=200, body=json.dumps({"errcode": code, "errmsg": "no"}).encode())) as (
        port,
        hook,
    ):
        set_up(WEBHOOK_URL=f"http://{HOST}:{port}/send?key=k", WEBHOOK_STYLE="wecom")
        with pytest.raises(kind, match=str(code)):
            publish()
        hook.body = b'{"errcode": 0}'
        assert publish()["sent"] == {"webhook": 1}


def test_files_that_changed_after_they_were_issued_are_not_mailed(contacts: Path, place: Path, set_up: Any) -> None:
    set_up(SMTP_URL=f"smtp://{HOST}:{free_port()}")
    rendered = render(gate(), ReadyReports(FIGURES))
    with pytest.raises(DeliveriesWait):
        deliver(rendered)
    for folder in (place / "drafts" / PERIOD / "1" / "files", place / "outbox" / PERIOD):
        (folder / "月报.docx").write_text("forged")
    with pytest.raises(OutboxChanged, match=r"月报\.docx of 2026-03 is neither"):
        deliver(rendered)


# --- what others read


def test_the_summary_of_a_drive_names_files_editions_and_refusals(contacts: Path, place: Path, set_up: Any) -> None:
    with mail_server() as (port, _):
        set_up(SMTP_URL=f"smtp://{HOST}:{port}")
        publish()
    with connect() as conn:
        assert [path.name for path in summary.report_files(conn, place / "outbox", PERIOD)] == [
            "月报.docx", "月报.html", "月报.xlsx",
        ]  # fmt: skip
        assert summary.edition_line(conn, PERIOD) == "分市 1，分县 2，smtp 3/3"
        assert summary.refusal_line(conn, PERIOD) is None
        set_up(REPORT_APPROVAL="on")
        rendered = render(gate(), ReadyReports(OTHER))
        decide_report(rendered, is_approved=False, actor="李四", reason_zh="偏大")
        assert "李四：偏大" in str(summary.refusal_line(conn, PERIOD))
        assert "月报稿 1 份" in str(summary.waiting_line(conn))


def test_the_ledger_of_a_month_shows_how_its_report_came_about(
    contacts: Path, set_up: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with mail_server() as (port, _):
        set_up(SMTP_URL=f"smtp://{HOST}:{port}")
        publish()
    with connect() as conn:
        conn.execute(
            "insert into intake.reporting_period (period, due_on, closes_on) values (%s, '2026-04-08', '2026-04-15')",
            (PERIOD,),
        )
        conn.commit()
    assert office.main(["show", "--period", PERIOD]) == 0
    shown = capsys.readouterr().out
    assert "未设审批，自动发布" in shown and "lingshan@example.cn" in shown and "已送达" in shown


def test_reports_published_before_drafts_were_kept_stay_as_they_were(scratch_database: str, tmp_path: Path) -> None:
    older = tmp_path / "migrations"
    older.mkdir()
    for path in MIGRATIONS.glob("*.sql"):
        if path.name < "0008":
            (older / path.name).write_bytes(path.read_bytes())
    with psycopg.connect(scratch_database) as conn:
        migrate(conn, older)
        for issue_no in (0, 1):
            conn.execute(
                "insert into intake.publication (period, issue_no, maturity, reason_zh, coverage, input_hash,"
                " figures_sha256, figures_checked, seconds) values ('2026-01', %s, 'final', 'r', 1, 'i', %s, 5, 2.5)",
                (issue_no, f"digest {issue_no}"),
            )
            for suffix in ("docx", "xlsx"):
                conn.execute(
                    "insert into intake.delivery (period, issue_no, channel, recipient, file_name, sha256, result)"
                    " values ('2026-01', %s, 'outbox', '专项行动指挥部', %s, 'abc', '已放入发件箱')",
                    (issue_no, f"月报.{suffix}"),
                )
        conn.commit()
        assert migrate(conn)[0] == "0008_publishing.sql"
        issues = conn.execute("select issue_no, draft_no, files_sha256 from intake.publication order by 1").fetchall()
        assert issues == [(0, 1, None), (1, 2, None)]
        rows = conn.execute("select issue_no, edition, channel, recipient, state from intake.delivery order by 1")
        assert rows.fetchall() == [(number, "province", "outbox", "专项行动指挥部", "sent") for number in (0, 1)]
        files_of = "select file_name, sha256 from intake.publication_file where issue_no = 1 order by 1"
        assert conn.execute(files_of).fetchall() == [("月报.docx", "abc"), ("月报.xlsx", "abc")]
        latest = latest_draft(conn, "2026-01")
        assert latest is not None and (latest.draft_no, latest.state) == (2, "issued")


def test_an_issue_that_kept_no_figures_is_corrected_when_the_ledger_changed_and_left_alone_else(place: Path) -> None:
    publish(input_hash="before")
    with connect() as conn:
        conn.execute("delete from intake.publication_figure")
        conn.commit()
    assert publish(OTHER, input_hash="before")["issue_no"] == 0
    assert publish(OTHER, input_hash="after")["issue_no"] == 1
    assert json.loads((place / "outbox" / PERIOD / "月报.html").read_text())[4] == []


def test_the_editions_of_the_test_are_those_of_the_configured_list() -> None:
    from include.intake.reporters import load_reporters

    known = {one.reporter_code: one.reporter_name for one in load_reporters(get_settings().reporters_file)}
    counties = {one.reporter_code: one.region_name for one in EDITIONS.values() if one.level == "county"}
    assert counties.items() <= known.items()
