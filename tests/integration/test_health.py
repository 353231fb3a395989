"""The health check as a whole: what is recorded, when a digest goes out, to real receivers, killed at every point."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from include.health import run
from include.health.airflow import AirflowFacts
from include.health.checks import Check, Scene
from include.health.problem import Figure, Problem
from include.health.run import DigestNotSent, check, require_sent
from include.settings import PROJECT_ROOT, get_settings
from include.warehouse.connection import WarehouseUnreachableError, connect
from tests.databases import settings_of
from tests.health_facts import NOW, dag_run, month, received
from tests.receivers import Mailbox, free_port, hook_server, mail_server

FULL = Problem("disk_low", "收件夹", "warning", {"free": "9.0 GB", "share": "8%", "names": "inbox"})
FULLER = Problem("disk_low", "收件夹", "critical", {"free": "1.0 GB", "share": "1%", "names": "inbox"})
DOWN = Problem(
    "channel_down", "sftp-qinzhou", "critical", {"failures": 4, "error": "登录被拒"}, NOW - timedelta(hours=3)
)
HALF_AN_HOUR = timedelta(minutes=30)


class World:
    """What the checks find; set by a test."""

    problems: tuple[Problem, ...] = ()

    def look(self, scene: Scene) -> Iterator[Problem]:
        yield from self.problems


@pytest.fixture
def world(clean_warehouse: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """An empty warehouse and outbox, and checks that find what the test says."""
    for name in ("INBOX", "LANDING", "OUTBOX", "WORK", "DRAFTS"):
        monkeypatch.setenv(f"{name}_DIR", str(tmp_path / name.lower()))
        (tmp_path / name.lower()).mkdir()
    get_settings.cache_clear()
    world = World()
    codes = frozenset({"disk_low", "channel_down"})
    monkeypatch.setattr(run.look, "__defaults__", ((Check("world", codes, world.look),),))
    yield world
    monkeypatch.undo()
    get_settings.cache_clear()


def rows(query: str) -> list[Any]:
    with connect() as conn:
        return conn.execute(query).fetchall()


def letters() -> list[str]:
    """Names of the letters in the outbox, in order."""
    return sorted(path.name for path in get_settings().outbox.rglob("*.html"))


def test_all_well_all_quiet(world: World) -> None:
    result = check(NOW, AirflowFacts())
    assert (result["problems"], result["told"], result["sent"]) == ({"critical": 0, "warning": 0}, False, {})
    assert letters() == []
    [(checked_at, figures)] = rows("select checked_at, figures from intake.health_check")
    assert (checked_at, figures["files_pending"]) == (NOW, 0)


def test_told_when_it_appears_changes_and_ends_and_each_morning(world: World) -> None:
    told = []
    story: list[tuple[datetime, tuple[Problem, ...]]] = [
        (NOW, ()),
        (NOW + HALF_AN_HOUR, (FULL,)),  # appears
        (NOW + 2 * HALF_AN_HOUR, (FULL,)),
        (NOW + 3 * HALF_AN_HOUR, (FULLER,)),  # changes
        (NOW + 4 * HALF_AN_HOUR, (FULLER, DOWN)),  # another appears
        (NOW.replace(hour=23), (FULLER, DOWN)),
        (NOW.replace(day=26, hour=7, minute=30), (FULLER, DOWN)),
        (NOW.replace(day=26, hour=8), (FULLER, DOWN)),  # the next morning
        (NOW.replace(day=26, hour=8, minute=30), (FULLER, DOWN)),
        (NOW.replace(day=26, hour=9), (DOWN,)),
        (NOW.replace(day=26, hour=9, minute=30), (DOWN,)),  # absent twice: ended
        (NOW.replace(day=26, hour=10), (DOWN,)),
        (NOW.replace(day=26, hour=10, minute=30), ()),
        (NOW.replace(day=26, hour=11), ()),  # all is well again
        (NOW.replace(day=26, hour=11, minute=30), ()),
        (NOW.replace(day=27, hour=9), ()),
    ]
    for moment, problems in story:
        world.problems = problems
        told.append(check(moment, AirflowFacts())["told"])
    assert [index for index, is_told in enumerate(told) if is_told] == [1, 3, 4, 7, 10, 13]
    assert [subject for (subject,) in rows("select subject_zh from intake.health_digest order by digest_no")] == [
        "运行状况：注意1项",
        "运行状况：严重1项",
        "运行状况：严重2项",
        "运行状况：严重2项",
        "运行状况：严重1项",
        "运行状况：已恢复正常",
    ]
    assert len(letters()) == 6
    assert rows("select count(*), count(ended_at), count(end_told_at) from intake.health_problem") == [(2, 2, 2)]
    assert rows("select distinct state from intake.health_delivery") == [("sent",)]


def test_what_comes_and_goes_says_nothing_each_time(world: World) -> None:
    told = []
    for number in range(12):
        world.problems = (DOWN,) if number % 2 == 0 else ()
        told.append(check(NOW + number * HALF_AN_HOUR, AirflowFacts())["told"])
    assert told == [True] + [False] * 11


def test_the_same_moment_twice_changes_nothing(world: World) -> None:
    world.problems = (FULL, DOWN)
    check(NOW, AirflowFacts())
    tables = ("problem", "digest", "delivery")
    before = [rows(f"select * from intake.health_{table} order by 1") for table in tables]
    assert not check(NOW, AirflowFacts())["told"]
    assert [rows(f"select * from intake.health_{table} order by 1") for table in tables] == before


def test_the_letter(world: World) -> None:
    world.problems = (FULL, DOWN)
    check(NOW, AirflowFacts())
    [(text, html)] = rows("select body_text, body_html from intake.health_digest")
    assert "自动检查发现2个问题，其中新发现2个。\nHealth check: 1 critical, 1 warning, 0 ended.\n" in text
    # Gravest first.
    order = [
        "一、严重",
        "渠道 sftp-qinzhou 收不到文件（连续4次）：登录被拒（自11:00）。",
        "二、注意",
        "收件夹所在磁盘只剩9.0 GB",
    ]
    assert [text.index(words) for words in order] == sorted(text.index(words) for words in order)
    assert "docs/runbooks/disk-full.md" in text
    assert "Channel sftp-qinzhou has not answered 4 times in a row." in html
    assert rows("select place from intake.health_digest") == [("运行状况/2026-11/2026-11-25-1400-1",)]


def test_mail_and_webhook_get_it_once_and_a_mailbox_without_address_none(world: World) -> None:
    world.problems = (DOWN,)
    with mail_server() as (mail_port, box), hook_server() as (hook_port, hook):
        ways = {
            "SMTP_URL": f"smtp://127.0.0.1:{mail_port}",
            "MAIL_FROM": "office@example.cn",
            "WEBHOOK_URL": f"http://127.0.0.1:{hook_port}/",
        }
        with settings_of(ways):
            check(NOW, AirflowFacts())
        assert (len(box.mails), len(hook.calls)) == (0, 1)
        world.problems = (DOWN, FULL)
        with settings_of({**ways, "HEALTH_MAIL": "ops@example.cn"}):
            check(NOW + HALF_AN_HOUR, AirflowFacts())
            check(NOW + 2 * HALF_AN_HOUR, AirflowFacts())
    [mail] = box.mails
    assert (mail["To"], mail["Subject"]) == ("系统运维 <ops@example.cn>", "运行状况：严重1项、注意1项")
    assert [document["type"] for document in hook.documents] == ["health", "health"]
    ids = [message_id for (message_id,) in rows("select message_id from intake.health_digest order by digest_no")]
    assert [headers["webhook-id"] for headers, _ in hook.calls] == ids
    assert ids[1] in mail["Message-ID"]


def test_a_channel_that_is_down_gets_it_later_and_only_what_is_not_a_day_old(world: World) -> None:
    port = free_port()
    ways = {"SMTP_URL": f"smtp://127.0.0.1:{port}", "MAIL_FROM": "office@example.cn", "HEALTH_MAIL": "ops@example.cn"}
    with settings_of(ways):
        world.problems = (DOWN,)
        result = check(NOW, AirflowFacts())
        assert list(result["waiting"]) == ["smtp"]
        with pytest.raises(DigestNotSent, match="waits for a channel"):
            require_sent(result)
        check(NOW + timedelta(days=1), AirflowFacts())
        check(NOW + timedelta(days=2), AirflowFacts())
        box = Mailbox()
        with mail_server(port, box):
            check(NOW + timedelta(days=2, minutes=30), AirflowFacts())
            check(NOW + timedelta(days=2, minutes=60), AirflowFacts())
    # The digest of the first day has been overtaken; those not older than a day are sent, in order.
    assert [mail["Message-ID"].split(".")[1] for mail in box.mails] == ["20261127T140000"]
    assert sorted(rows("select state from intake.health_delivery where channel = 'smtp'")) == [
        ("expired",), ("expired",), ("sent",),
    ]  # fmt: skip
    assert len(letters()) == 3


class _Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("point", ["open_problems", "mark_told", "send_pending", "after_sending"])
def test_killed_anywhere_it_is_said_once(world: World, monkeypatch: pytest.MonkeyPatch, point: str) -> None:
    """Killed before the digest stands, it is written next time; afterwards the same one is sent."""
    from include.notify.webhook import WebhookChannel

    def kill(*arguments: Any, **options: Any) -> Any:
        raise _Killed

    world.problems = (DOWN,)
    with hook_server() as (port, hook), settings_of({"WEBHOOK_URL": f"http://127.0.0.1:{port}/"}):
        with monkeypatch.context() as killing:
            if point == "after_sending":
                sending = WebhookChannel.send

                def send_and_die(self: WebhookChannel, message: Any) -> None:
                    sending(self, message)
                    raise _Killed

                killing.setattr(WebhookChannel, "send", send_and_die)
            else:
                killing.setattr(run, point, kill)
            with pytest.raises(_Killed):
                check(NOW, AirflowFacts())
        check(NOW + HALF_AN_HOUR, AirflowFacts())
        check(NOW + 2 * HALF_AN_HOUR, AirflowFacts())
    assert len({headers["webhook-id"] for headers, _ in hook.calls}) == 1
    assert len(hook.calls) == (2 if point == "after_sending" else 1)
    assert len(letters()) == 1
    assert rows("select count(*) from intake.health_digest") == [(1,)]


def test_a_check_that_fails_is_a_problem_of_its_own_and_stops_no_other(world: World, monkeypatch: Any) -> None:
    def broken(scene: Scene) -> Iterator[Problem]:
        scene.conn.execute("select * from intake.no_such_table")
        yield DOWN

    world.problems = (FULL,)
    both = (
        Check("broken", frozenset({"channel_down"}), broken),
        Check("world", frozenset({"disk_low"}), world.look),
        Check("asks", frozenset({"run_failed"}), world.look, asks_airflow=True),
    )
    monkeypatch.setattr(run.look, "__defaults__", (both,))
    with connect(autocommit=True) as conn:
        seen = run.look(conn, get_settings(), NOW, "HTTP 502")
    assert [(one.code, one.subject) for one in seen.problems] == [
        ("airflow_unreachable", "Airflow"),
        ("check_failed", "broken"),
        ("disk_low", "收件夹"),
    ]
    assert seen.unchecked == ("broken", "asks")
    assert "no_such_table" in seen.problems[1].message_en
    # What could not be looked at is not taken for mended.
    assert not seen.checked & {"channel_down", "run_failed"}


def test_a_late_run_is_told_at_once_and_ends_with_the_run(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from include.health.checks import CHECKS
    from include.health.late import run_is_late

    monkeypatch.setattr(run.look, "__defaults__", (tuple(one for one in CHECKS if one.name == "late_runs"),))
    late = {
        "dag_id": "build_warehouse",
        "dag_run_id": "manual__2026-10",
        "partition_key": "2026-10",
        "queued_at": "2026-11-25T01:00:00Z",
    }
    run_is_late({"dag_run": late, "deadline": {"id": "x"}})
    run_is_late({"dag_run": late, "deadline": {"id": "x"}})
    [(text,)] = rows("select body_text from intake.health_digest")
    assert "建库 2026-10 到时限仍未完成（manual__2026-10）" in text
    now = datetime.now(NOW.tzinfo)
    assert not check(now + HALF_AN_HOUR, AirflowFacts(active=(dag_run(),)))["told"]
    assert not check(now + 2 * HALF_AN_HOUR, AirflowFacts())["told"]
    assert check(now + 3 * HALF_AN_HOUR, AirflowFacts())["told"]


def test_an_unreachable_warehouse_is_said_once_a_day(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import include.warehouse.connection as connection

    monkeypatch.setattr(connection.connect, "__kwdefaults__", {"wait_seconds": 0.0})
    nowhere = f"postgresql://nobody@127.0.0.1:{free_port()}/labour"
    with hook_server() as (port, hook):
        ways = {"WEBHOOK_URL": f"http://127.0.0.1:{port}/", "WAREHOUSE_URL": nowhere}
        with settings_of(ways):
            for moment in (NOW, NOW + HALF_AN_HOUR, NOW + timedelta(days=1)):
                with pytest.raises(WarehouseUnreachableError):
                    check(moment, AirflowFacts())
    assert [headers["webhook-id"] for headers, _ in hook.calls] == ["health.down.20261125", "health.down.20261126"]
    assert letters() == ["2026-11-25-数据库连接不上.html", "2026-11-26-数据库连接不上.html"]


def test_the_terminal_says_the_same_and_fails_on_what_is_critical(world: World) -> None:
    with connect() as conn:
        month(conn)
        received(conn, "pending", NOW - timedelta(days=30))
    done = subprocess.run(
        [sys.executable, "-m", "include.health"], capture_output=True, text=True, cwd=PROJECT_ROOT, timeout=120
    )
    assert done.returncode == 1, done.stderr
    assert "[严重 Critical] 建库停滞 Build stuck" in done.stdout
    assert "2026-10有1个文件待读取或集市已过时，没有建库在运行" in done.stdout
    assert re.search("没能检查 / not checked: waiting_partitions, .*silent_components", done.stdout)
    assert "待读取的文件：1" in done.stdout
    # It only looks.
    assert rows("select count(*) from intake.health_problem") == [(0,)]


def test_the_auditor_reads_the_record(world: World) -> None:
    world.problems = (DOWN,)
    check(NOW, AirflowFacts())
    with connect() as conn:
        conn.execute("set role auditor")
        assert conn.execute("select count(*) from intake.health_problem").fetchone() == (1,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute("delete from intake.health_problem")


def test_figures_go_into_the_record_by_name(world: World) -> None:
    from include.health.record import enter_check

    with connect() as conn:
        figures = [Figure("folder_bytes", "发件箱", 10, "10 B", "outbox"), Figure("months_open", "月份", 2, "2")]
        enter_check(conn, NOW, 1.0, figures, ["backups"])
    assert rows("select figures, unchecked from intake.health_check") == [
        ({"folder_bytes.outbox": 10, "months_open": 2}, ["backups"])
    ]
