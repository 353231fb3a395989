"""The status page over a real ledger: what it counts, what it hands out, what it refuses."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from psycopg import sql
from starlette.exceptions import HTTPException

from include.intake.calendar import SHANGHAI
from include.ledger.standing import OpenCount, open_counts, standings
from include.status import queries
from include.status.app import create_app
from include.status.reading import reading
from include.warehouse import embedded
from include.warehouse.connection import connect
from include.warehouse.migrate import migrate
from tests.integration.demo_province import settings_of

PERIOD, BEFORE = "2026-10", "2026-09"
FORMS = ("enterprise_status", "labour_demand", "subsidy_payment")
BINYANG, LINGSHAN, QINNAN = "450126", "450721", "450702"
# A county cannot choose its name, but it does choose the names of its files.
HOSTILE = '<img src=x onerror="alert(1)">.xlsx'
REPORT = "月报（2026年10月）.docx"
COUNTY_REPORT = "分县/灵山县/月报（灵山县2026年10月）.xlsx"


def at(day: str, time: str = "10:00") -> datetime:
    return datetime.fromisoformat(f"{day}T{time}:00").replace(tzinfo=SHANGHAI)


class Ledger:
    """Writes rows of the ledger."""

    def __init__(self, conn: psycopg.Connection[Any]) -> None:
        self.conn = conn

    def reporter(self, code: str, name: str) -> None:
        self.conn.execute(
            "insert into intake.reporter values (%s, %s, %s, %s, '市级试点', '2022-02-25', null, true)",
            (code, name, code, code[:4] + "00"),
        )

    def period(self, period: str, due_on: str, closes_on: str, state: str, reporters: tuple[str, ...]) -> None:
        self.conn.execute(
            "insert into intake.reporting_period (period, due_on, closes_on, state) values (%s, %s, %s, %s)",
            (period, due_on, closes_on, state),
        )
        for code in reporters:
            for form in FORMS:
                self.conn.execute(
                    "insert into intake.expected_report values (%s, %s, %s, %s)", (period, code, form, due_on)
                )

    def file(self, code: str | None, received: datetime, outcome: str, name: str, period: str | None = PERIOD) -> int:
        row = self.conn.execute(
            """
            insert into intake.received_file
                (sha256, file_name, channel, channel_path, size_bytes, received_at, period, reporter_code, outcome,
                 outcome_zh)
            values (%s, %s, 'local', %s, 1, %s, %s, %s, %s, %s) returning receipt_id
            """,
            (uuid4().hex, name, uuid4().hex, received, period, code, outcome, f"结果：{outcome}"),
        ).fetchone()
        assert row is not None
        return int(row[0])

    def version(
        self, code: str, form: str, version: int, received: datetime, outcome: str = "accepted", held: int = 0,
        name: str = "报表.xlsx",
    ) -> tuple[int, str]:  # fmt: skip
        receipt = self.file(code, received, "processed", name)
        submission = f"{form}-{code}-{version}"
        self.conn.execute(
            """
            insert into intake.submission
                (submission_id, receipt_id, form, period, reporter_code, county_code, version, sheets, received_at,
                 outcome, rows_read, rows_accepted, rows_held, cells_read, cells_filled, findings_e, findings_r,
                 findings_w)
            values (%s, %s, %s, %s, %s, %s, %s, '{}', %s, %s, 10, 9, %s, 1, 1, 0, 0, 0)
            """,
            (submission, receipt, form, PERIOD, code, code, version, received, outcome, held),
        )
        return receipt, submission

    def finding(
        self, of: tuple[int, str | None], code: str, rule: str, form: str | None, cell: str | None, state: str = "open",
        reporter: str = LINGSHAN, message: str = "请改正。",
    ) -> int:  # fmt: skip
        row = self.conn.execute(
            """
            insert into intake.finding
                (receipt_id, submission_id, period, reporter_code, code, severity, form, sheet, source_row, cell,
                 message_zh, rule, first_seen, state, finding_key)
            values (%s, %s, %s, %s, %s, %s, %s, '企业情况表', 5, %s, %s, %s, now(), %s, %s) returning finding_id
            """,
            (*of, PERIOD, reporter, rule, rule[0], form, cell, message, f"规则{rule}", state, code),
        ).fetchone()
        assert row is not None
        return int(row[0])


def fill(conn: psycopg.Connection[Any]) -> None:
    """October: 宾阳县 complete, one form late after a refusal; 灵山县 with one form refused, one missing and a
    correction that waits; 钦南区 silent. September: nobody sent anything, nothing was issued."""
    ledger = Ledger(conn)
    for code, name in ((BINYANG, "宾阳县"), (LINGSHAN, "灵山县"), (QINNAN, "钦南区")):
        ledger.reporter(code, name)
    ledger.period(BEFORE, "2026-10-15", "2026-10-22", "open", (BINYANG,))
    ledger.period(PERIOD, "2026-11-06", "2026-11-13", "closed", (BINYANG, LINGSHAN, QINNAN))

    ledger.version(BINYANG, "enterprise_status", 1, at("2026-11-06", "09:00"), "refused")
    warned = ledger.version(BINYANG, "enterprise_status", 2, at("2026-11-07", "00:00"), "accepted_with_findings")
    ledger.version(BINYANG, "labour_demand", 1, at("2026-11-06", "23:59"))
    ledger.version(BINYANG, "subsidy_payment", 1, at("2026-11-05"))
    ledger.version(BINYANG, "brand_registry", 1, at("2026-11-05"))
    for cell in ("Q5", "Q6"):
        ledger.finding(warned, f"b-{cell}", "W-VAL-020", "enterprise_status", cell, reporter=BINYANG)
    # Two of five were kept one by one.
    conn.execute(
        "insert into intake.finding_tally (receipt_id, submission_id, code, severity, found, stored)"
        " values (%s, %s, 'W-VAL-020', 'W', 5, 2)",
        warned,
    )

    held = ledger.version(
        LINGSHAN, "enterprise_status", 1, at("2026-11-04"), "accepted_with_findings", held=3, name=HOSTILE
    )
    refused = ledger.version(LINGSHAN, "labour_demand", 1, at("2026-11-05"), "refused")
    ledger.finding(held, "l-1", "R-USC-001", "enterprise_status", "C19", message="“<b>码</b>”校验不通过。")
    ledger.finding(refused, "l-2", "E-HDR-001", "labour_demand", None)
    said = ledger.finding(held, "l-3", "W-WAG-001", "enterprise_status", "AG5", state="explained")
    ledger.finding(held, "l-4", "W-WAG-002", "enterprise_status", "AG6", state="mended")
    conn.execute(
        "insert into intake.explanation (finding_id, receipt_id, text_zh, received_at)"
        " values (%s, %s, '张三已核实', now())",
        (said, held[0]),
    )
    ledger.file(LINGSHAN, at("2026-11-20"), "awaiting_approval", "更正.xlsx")
    ledger.file(None, at("2026-11-03"), "refused", "谁的表.xls", period=None)

    conn.execute(
        "insert into intake.build (period, run_key, input_hash, seconds) values (%s, 'manual__2026:1', '', '{}')",
        (PERIOD,),
    )


def issue(conn: psycopg.Connection[Any], outbox: Path) -> None:
    """October was issued, then corrected (a webhook had refused an earlier draft of that), and another draft waits."""
    for draft_no, issue_no, state, maturity, asked in (
        (1, 0, "issued", "provisional", None), (2, 1, "issued", "final", "run__2"),
        (3, 2, "refused", "final", "run__3"), (4, 2, "waiting", "final", "manual__2026-12-01T08:00:00+08:00"),
    ):  # fmt: skip
        conn.execute(
            """
            insert into intake.report_draft
                (period, draft_no, issue_no, maturity, reason_zh, coverage, missing, input_hash, figures_sha256,
                 printed_sha256, files_sha256, figures_checked, seconds, state, rendered_at, asked_in, decided_by,
                 decided_at, decision_reason_zh)
            values (%s, %s, %s, %s, '应报3个', 0.333, '{灵山县,钦南区}', '', '', '', '', 1603, 1,
                %s, %s, %s, %s, %s, %s)
            """,
            (
                PERIOD, draft_no, issue_no, maturity, state, at("2026-12-01"), asked,
                *(("wang", at("2026-12-01"), "第3项有疑问") if state == "refused" else (None, None, None)),
            ),
        )  # fmt: skip
    for issue_no, maturity, approved in ((0, "provisional", None), (1, "final", "wang")):
        conn.execute(
            """
            insert into intake.publication
                (period, issue_no, maturity, reason_zh, coverage, data_cutoff, input_hash, figures_sha256,
                 figures_checked, seconds, published_at, draft_no, approved_by, approved_at)
            values (%s, %s, %s, '应报单位3个', 0.333, %s, '', '', 1603, 1, %s, %s, %s, %s)
            """,
            (PERIOD, issue_no, maturity, at("2026-11-20"), at("2026-11-21"), issue_no + 1, approved, at("2026-11-21")),
        )
    (outbox / PERIOD / COUNTY_REPORT).parent.mkdir(parents=True)
    for edition, name, suffix in (("province", REPORT, b"docx"), (f"county.{LINGSHAN}", COUNTY_REPORT, b"xlsx")):
        for issue_no in (0, 1):
            content = b"%s of issue %d" % (suffix, issue_no)
            (outbox / PERIOD / name).write_bytes(content)
            conn.execute(
                "insert into intake.publication_file values (%s, %s, %s, %s, %s)",
                (PERIOD, issue_no, edition, name, hashlib.sha256(content).hexdigest()),
            )
    figures = {0: {"a": "10", "b": "20", "c": "30"}, 1: {"a": "10", "b": "21", "d": "40"}}
    for issue_no, printed in figures.items():
        for position, (key, text) in enumerate(printed.items()):
            conn.execute(
                "insert into intake.publication_figure values (%s, %s, 'province', %s, %s, %s, %s)",
                (PERIOD, issue_no, key, position, f"指标{key}", text),
            )
    for draft_no, issue_no, edition, channel, state in (
        (2, 1, "province", "smtp", "sent"), (2, 1, "province", "webhook", "sent"),
        (2, 1, f"county.{LINGSHAN}", "smtp", "refused"), (1, 1, "province", "webhook", "refused"),
    ):  # fmt: skip
        conn.execute(
            """
            insert into intake.delivery
                (period, draft_no, issue_no, edition, channel, recipient, message_id, sha256, state, attempts,
                 result_zh, entered_at, tried_at)
            values (%s, %s, %s, %s, %s, 'office@example.cn', %s, '', %s, 1, '邮件服务器拒收这封邮件（550）', now(),
                now())
            """,
            (PERIOD, draft_no, issue_no, edition, channel, f"{draft_no}.{edition}.{channel}", state),
        )


@pytest.fixture(scope="module")
def outbox(var_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A ledger in a database of its own, and the outbox that belongs to it."""
    embedded.start()
    name = f"status_{uuid4().hex[:12]}"
    folder = tmp_path_factory.mktemp("outbox")
    with psycopg.connect(embedded.url("postgres"), autocommit=True) as admin:
        admin.execute(sql.SQL("create database {} template template0").format(sql.Identifier(name)))
        with settings_of({"WAREHOUSE_URL": embedded.url(name), "OUTBOX_DIR": str(folder)}):
            with connect() as conn:
                migrate(conn)
                fill(conn)
                issue(conn, folder)
            returned = folder / PERIOD / "退回表" / "灵山县"
            returned.mkdir(parents=True)
            (returned / f"灵山县-{PERIOD}-退回表.xlsx").write_bytes(b"")
            yield folder
        admin.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


@pytest.fixture
def conn(outbox: Path) -> Iterator[psycopg.Connection[Any]]:
    """The page's own connection."""
    with reading() as connection:
        yield connection


@pytest.fixture(scope="module")
def app(outbox: Path) -> FastAPI:
    """The page with everybody let in."""
    return create_app(lambda: None)


def ask(app: FastAPI, path: str, method: str = "GET") -> httpx.Response:
    async def send() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://status") as client:
            return await client.request(method, path)

    return asyncio.run(send())


def text_of(answer: httpx.Response) -> str:
    """What a reader sees: tags out, blanks run together."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.text))


def row_of(answer: httpx.Response, first: str) -> str:
    """The row of a table that begins with this, as a reader sees it."""
    for row in re.findall(r"<tr>.*?</tr>", answer.text, re.DOTALL):
        seen = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", row)).strip()
        if seen.startswith(first):
            return seen
    raise AssertionError(f"no row begins with {first}")


def headed(answer: httpx.Response) -> list[str]:
    """Reporters that have a section of their own."""
    return re.findall(r"<h2><a[^>]*>([^<]+)</a>", answer.text)


# --- what is counted


def test_a_month_is_counted_by_reporters(conn: psycopg.Connection[Any]) -> None:
    october, september = queries.month_lines(conn)
    assert (october.period, september.period) == (PERIOD, BEFORE)
    # 宾阳县 covers all it owes; 灵山县 lacks one form and had one refused; 钦南区 sent nothing.
    assert (october.expected, october.covered, october.missing, october.refused) == (3, 1, 2, 1)
    # 宾阳县's enterprises came on the due day, but were accepted only on the day after.
    assert october.late == 1
    assert (october.to_mend, october.to_answer, october.awaiting_approval) == (1, 1, 1)
    assert (october.issue_no, october.maturity, october.coverage) == (1, "final", Decimal("0.333"))
    assert (october.draft_state, october.unsent, october.build_run) == ("waiting", 1, "manual__2026:1")
    assert (september.expected, september.missing, september.issue_no) == (1, 1, None)
    assert queries.month_lines(conn, period="2030-01") == []
    assert [line.period for line in queries.month_lines(conn, offset=1, limit=1)] == [BEFORE]


def test_open_findings_are_counted_exactly(conn: psycopg.Connection[Any]) -> None:
    assert open_counts(conn, PERIOD) == [
        OpenCount(BINYANG, "enterprise_status", "W", "W-VAL-020", 5),
        OpenCount(LINGSHAN, "labour_demand", "E", "E-HDR-001", 1),
        OpenCount(LINGSHAN, "enterprise_status", "R", "R-USC-001", 1),
    ]
    # The same numbers that reminders tell.
    told = standings(conn, PERIOD, FORMS, places=1)
    assert [found.number for one in told for found in one.findings] == [5, 1, 1]
    [lingshan] = standings(conn, PERIOD, FORMS, places=1, reporters=[LINGSHAN])
    assert lingshan == told[2]
    assert [one.findings for one in standings(conn, PERIOD, FORMS, places=0)] == [(), (), ()]


def test_what_a_correction_changed(conn: psycopg.Connection[Any]) -> None:
    assert queries.changed(conn, PERIOD, 1) == [
        queries.Changed("指标b", "20", "21"),
        queries.Changed("指标c", "30", None),
        queries.Changed("指标d", None, "40"),
    ]
    # Before the first issue nothing was printed, so nothing was corrected.
    assert queries.changed(conn, PERIOD, 0) == []


def test_what_waits_for_the_office(conn: psycopg.Connection[Any], app: FastAPI) -> None:
    assert queries.explained(conn) == [queries.Explained(PERIOD, LINGSHAN, "灵山县", "W-WAG-001", "规则W-WAG-001", 1)]
    page = ask(app, "/waiting")
    assert "张三" not in page.text  # what a county wrote may name persons
    seen = text_of(page)
    assert "待批准的封账后更正 1" in seen and "更正.xlsx" in seen
    assert "待批准的月报稿 1" in seen and "第4稿 第2次更正" in seen
    assert "无法归属的文件 1" in seen and "谁的表.xls" in seen
    run = "manual__2026-12-01T08%3A00%3A00%2B08%3A00"
    assert f'href="../dags/publish_report/runs/{run}/tasks/approve/required_actions"' in page.text


# --- what is shown


def test_a_line_a_reporter_and_a_column_a_form(app: FastAPI) -> None:
    page = ask(app, f"/month?period={PERIOD}")
    assert row_of(page, "宾阳县") == (
        "宾阳县 450126 采用 第2版 迟报 2026-11-07 00:00 采用 按时 2026-11-06 23:59 采用 按时 2026-11-05 10:00 W 5 "
        "劳务品牌资源库表 —"
    )
    assert row_of(page, "灵山县") == (
        "灵山县 450721 待批准1个文件 采用 按时 暂扣3行 2026-11-04 10:00 退回 2026-11-05 10:00 未报送 E 1 R 1 — "
        "灵山县-2026-10-退回表.xlsx"
    )
    assert row_of(page, "钦南区") == "钦南区 450702 未报送 未报送 未报送 — — —"
    assert 'href="../dags/build_warehouse/runs/manual__2026%3A1"' in page.text


@pytest.mark.parametrize(
    ("only", "reporters"),
    [
        ("all", ["宾阳县", "钦南区", "灵山县"]),
        ("settled", []),
        ("problems", ["宾阳县", "钦南区", "灵山县"]),
        ("missing", ["钦南区", "灵山县"]),
        ("refused", ["灵山县"]),
        ("late", ["宾阳县"]),
        ("findings", ["宾阳县", "灵山县"]),
        ("waiting", ["灵山县"]),
    ],
)
def test_the_month_is_filtered(app: FastAPI, only: str, reporters: list[str]) -> None:
    page = ask(app, f"/month?period={PERIOD}&only={only}")
    assert re.findall(r'<th scope="row"[^>]*><a[^>]*>([^<]+)</a>', page.text) == reporters
    chip = re.search(r'aria-current="true">[^<]*<b>(\d+)</b>', page.text)
    assert chip and int(chip.group(1)) == len(reporters)


def test_findings_by_reporter_with_their_cells(app: FastAPI) -> None:
    page = ask(app, f"/findings?period={PERIOD}")
    assert headed(page) == ["宾阳县", "灵山县"]
    assert row_of(page, "W-VAL-020 规则W-VAL-020").endswith("5 请改正。 “企业情况表” Q5 Q6 等5处 报表.xlsx")
    assert "W-WAG" not in page.text  # explained and mended ones ask for nothing
    assert re.findall(r"<h2><a[^>]*>([^<]+)</a>", ask(app, f"/findings?period={PERIOD}&severity=W").text) == ["宾阳县"]
    assert re.findall(r"<h2><a[^>]*>([^<]+)</a>", ask(app, f"/findings?period={PERIOD}&code=E-HDR-001").text) == [
        "灵山县"
    ]
    assert "没有待处理的问题" in ask(app, f"/findings?period={BEFORE}").text


def test_what_counties_write_is_shown_as_text(app: FastAPI) -> None:
    for path in (f"/reporter?period={PERIOD}&reporter={LINGSHAN}", f"/findings?period={PERIOD}"):
        page = ask(app, path).text
        assert "<img" not in page and "&lt;img src=x onerror=" in page
        assert "<b>码" not in page and "“&lt;b&gt;码&lt;/b&gt;”" in page


def test_a_reporter_has_its_files_its_findings_and_the_name_of_its_returned_workbook(app: FastAPI) -> None:
    page = ask(app, f"/reporter?period={PERIOD}&reporter={LINGSHAN}")
    seen = text_of(page)
    assert f"灵山县-{PERIOD}-退回表.xlsx" in seen
    assert "更正.xlsx 2026-11-20 10:00 local 结果：awaiting_approval" in seen
    assert "R-USC-001" in seen and "C19" in seen
    assert ask(app, f"/reporter?period={BEFORE}&reporter={LINGSHAN}").status_code == 404


def test_the_reports_of_a_month_with_drafts_issues_and_deliveries(app: FastAPI) -> None:
    page = ask(app, f"/reports?period={PERIOD}")
    seen = text_of(page)
    assert re.findall(r"<h2>([^<]+) <span", page.text) == ["第1次更正", "首次发布"]
    assert "第3稿 第2次更正 定稿 未批准" in seen and "第3项有疑问" in seen
    assert "更正的数字（3个）" in seen and "指标b 20 21" in seen
    assert "覆盖率 33.3%" in seen and "1603个，全部一致" in seen and "批准 wang 2026-11-21 10:00" in seen
    assert "邮件 已送达 1" in seen and "邮件 被拒收 1" in seen and "消息推送 已送达 1" in seen
    assert "消息推送 被拒收" not in seen.split("未送达（1条）")[0]
    assert "灵山县 2 邮件 office@example.cn 被拒收 1 邮件服务器拒收这封邮件（550）" in seen
    # Only what lies in the outbox is offered: the files of the newest issue.
    assert len(re.findall(r'href="download\?', page.text)) == 2
    assert "issue=0" not in page.text
    assert "本期还没有发布月报" in ask(app, f"/reports?period={BEFORE}").text


def test_the_newest_month_is_shown_when_none_is_asked_for(app: FastAPI) -> None:
    for path in ("/month", "/findings", "/reports"):
        assert f"<option selected>{PERIOD}</option>" in ask(app, path).text
    assert "演示数据" in ask(app, "/").text


# --- what is handed out


def download(app: FastAPI, file: str, issue_no: int = 1, period: str = PERIOD) -> httpx.Response:
    query = httpx.QueryParams({"period": period, "issue": issue_no, "file": file})
    return ask(app, f"/download?{query}")


def test_a_released_file_is_handed_out_to_be_saved(app: FastAPI) -> None:
    answer = download(app, REPORT)
    assert (answer.status_code, answer.content) == (200, b"docx of issue 1")
    assert answer.headers["content-type"].startswith("application/vnd.openxmlformats-officedocument.wordprocessingml")
    assert answer.headers["content-disposition"] == (
        "attachment; filename*=UTF-8''%E6%9C%88%E6%8A%A5%EF%BC%882026%E5%B9%B410%E6%9C%88%EF%BC%89.docx"
    )
    assert "sandbox" in answer.headers["content-security-policy"]
    assert download(app, COUNTY_REPORT).content == b"xlsx of issue 1"


@pytest.mark.parametrize(
    ("file", "issue_no", "period"),
    [
        (f"../{PERIOD}/{REPORT}", 1, PERIOD),
        (f"./{REPORT}", 1, PERIOD),
        ("../../../../etc/passwd", 1, PERIOD),
        ("/etc/passwd", 1, PERIOD),
        (f"退回表/灵山县/灵山县-{PERIOD}-退回表.xlsx", 1, PERIOD),
        (REPORT, 2, PERIOD),
        (REPORT, 1, BEFORE),
        (f"{REPORT}' or '1'='1", 1, PERIOD),
    ],
)
def test_what_the_ledger_does_not_name_is_not_there(app: FastAPI, file: str, issue_no: int, period: str) -> None:
    answer = download(app, file, issue_no, period)
    assert answer.status_code == 404
    assert "没有这一页" in answer.text


def test_a_file_that_is_not_the_one_released_is_kept_back(app: FastAPI, outbox: Path, tmp_path: Path) -> None:
    # An earlier issue: its place was taken by the correction.
    assert download(app, REPORT, issue_no=0).status_code == 409
    report, kept = outbox / PERIOD / REPORT, (outbox / PERIOD / REPORT).read_bytes()
    try:
        report.write_bytes(kept + b" and more")
        assert download(app, REPORT).status_code == 409
        report.unlink()
        assert download(app, REPORT).status_code == 409
        # The very bytes, but by way of a link out of the outbox.
        (tmp_path / "elsewhere").write_bytes(kept)
        report.symlink_to(tmp_path / "elsewhere")
        assert download(app, REPORT).status_code == 409
    finally:
        report.unlink(missing_ok=True)
        report.write_bytes(kept)
    folder = (outbox / PERIOD / COUNTY_REPORT).parent
    moved = folder.rename(tmp_path / "moved")
    try:
        folder.symlink_to(moved)
        assert download(app, COUNTY_REPORT).status_code == 409
    finally:
        folder.unlink()
        moved.rename(folder)
    assert download(app, COUNTY_REPORT).status_code == 200


@pytest.mark.parametrize("name", ["../secret.docx", "分县/../../secret.docx", "secret.key"])
def test_a_ledger_that_names_a_place_outside_is_not_believed(app: FastAPI, outbox: Path, name: str) -> None:
    (outbox / "secret.docx").write_bytes(b"secret")
    (outbox / PERIOD / "secret.key").write_bytes(b"secret")
    with connect() as owner:
        owner.execute(
            "insert into intake.publication_file values (%s, 1, 'province', %s, %s)",
            (PERIOD, name, hashlib.sha256(b"secret").hexdigest()),
        )
    try:
        answer = download(app, name)
        assert answer.status_code == 409
        assert "secret" not in answer.text
    finally:
        with connect() as owner:
            owner.execute("delete from intake.publication_file where file_name = %s", (name,))


# --- who is let in, and what a connection may do


def addresses(app: FastAPI) -> list[str]:
    return [route.path for route in app.routes if isinstance(route, APIRoute)]


def test_every_address_asks_first_whether_somebody_may_see_it(outbox: Path) -> None:
    asked: list[str] = []

    def nobody() -> None:
        asked.append("asked")
        raise HTTPException(401, "Not authenticated")

    closed = create_app(nobody)
    paths = addresses(closed)
    assert len(paths) == 11
    # Also where the rest of the address is wrong, and where the warehouse would not answer.
    with settings_of({"WAREHOUSE_URL": "postgresql://nobody@127.0.0.1:1/none"}):
        for path in [*paths, "/month?period=nonsense", f"/reporter?period={PERIOD}&reporter={LINGSHAN}"]:
            asked.clear()
            answer = ask(closed, path)
            assert (answer.status_code, asked) == (401, ["asked"]), path
            assert "请先登录" in answer.text and "灵山县" not in answer.text


def test_nothing_but_reading_is_possible(app: FastAPI) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        for path in addresses(app):
            assert ask(app, path, method).status_code == 405


def test_the_page_reads_as_an_auditor_and_cannot_write(conn: psycopg.Connection[Any]) -> None:
    assert conn.execute("select current_user").fetchone() == ("auditor",)
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        conn.execute("delete from intake.finding")
    for statement in (
        "delete from intake.finding",
        "select * from intake.held_row",
        "select * from restricted.subsidy_payment",
        "select * from raw.subsidy_payment",
        "create temporary table t ()",
    ):
        conn.rollback()
        conn.execute("set transaction read write")  # a session may lift its defaults
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute(statement.encode())


def test_headers_keep_other_sites_and_scripts_out(app: FastAPI) -> None:
    for path in ("/", f"/month?period={PERIOD}", "/nowhere", "/month?period=2026-13", "/page.css", "/page.js"):
        headers = ask(app, path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "script-src 'self'" in policy and "frame-ancestors 'self'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
    # Which would break anything written into the page itself.
    for path in ("/", "/month", "/findings", "/reports", "/waiting", f"/reporter?period={PERIOD}&reporter={LINGSHAN}"):
        assert not re.search(r"<style|<script(?! src=)|<[^>]*\s(on\w+|style)=|javascript:", ask(app, path).text)


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/month?period=2026-13", 422, "地址有误"),
        ("/month?only=everything", 422, "地址有误"),
        ("/findings?code=%3Cscript%3E", 422, "地址有误"),
        ("/?page=0", 422, "地址有误"),
        ("/month?period=2030-01", 404, "没有这一页"),
        ("/reporter?reporter=000000", 404, "没有这一页"),
        ("/nowhere", 404, "没有这一页"),
    ],
)
def test_a_wrong_address_is_told_in_words(app: FastAPI, path: str, status: int, words: str) -> None:
    answer = ask(app, path)
    assert answer.status_code == status
    assert words in answer.text and "<script>" not in answer.text


def test_a_warehouse_that_does_not_answer_is_told_in_words(app: FastAPI, scratch_database: str) -> None:
    with settings_of({"WAREHOUSE_URL": "postgresql://nobody:secret@127.0.0.1:1/none"}):
        down = ask(app, "/")
    assert down.status_code == 503 and "数据仓库暂不可用" in down.text and "secret" not in down.text
    with settings_of({"WAREHOUSE_URL": scratch_database}):
        empty = ask(app, "/")
    assert empty.status_code == 503 and "数据仓库还没有台账" in empty.text


def test_a_ledger_without_any_month_says_so(app: FastAPI, scratch_database: str) -> None:
    with settings_of({"WAREHOUSE_URL": scratch_database}):
        with connect() as owner:
            migrate(owner)
        for path in ("/", "/month", "/findings", "/reports"):
            assert "台账里还没有报告期" in ask(app, path).text
        assert "没有。" in ask(app, "/waiting").text
