"""Each check of the health check, red and green, over a real PostgreSQL and real folders."""

from __future__ import annotations

import dataclasses
import os
import shutil
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from include.health import checks, rules
from include.health.airflow import AirflowFacts, Component, QueuedTask, Waiting
from include.health.checks import CHECKS, Scene
from include.health.problem import SEVERITIES, Problem, texts
from include.health.working_hours import collecting
from include.intake.calendar import SHANGHAI
from include.settings import PROJECT_ROOT, Settings, get_settings
from tests.databases import empty_warehouse
from tests.health_facts import NOW, ago, built, dag_run, draft, month, received, task_run


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings with empty folders of this test alone."""
    names = ("inbox", "landing", "outbox", "work", "drafts", "logs")
    for name in names:
        (tmp_path / name).mkdir()
    return dataclasses.replace(get_settings(), **{name: tmp_path / name for name in names})


@pytest.fixture(scope="module", autouse=True)
def nothing_arrived(warehouse: str) -> None:
    """What earlier tests left in the warehouse is gone; the tests here roll back what they write."""
    empty_warehouse()


@pytest.fixture
def scene(conn: psycopg.Connection[Any], settings: Settings) -> Scene:
    """Nothing has arrived, nothing runs."""
    return Scene(conn, settings, NOW, AirflowFacts())


def set_limits(monkeypatch: pytest.MonkeyPatch, **values: float) -> None:
    """Thresholds that differ for a test."""
    changed = {name: dataclasses.replace(rules.current()[name], value=value) for name, value in values.items()}
    known = {**rules.current(), **changed}
    monkeypatch.setattr(rules, "current", lambda: known)


def seen(problems: Iterator[Problem]) -> list[tuple[str, str, str]]:
    """Code, subject and severity; the texts are filled in on the way."""
    found = []
    for problem in problems:
        assert "{" not in problem.message_zh + problem.message_en
        assert not any("一" <= letter <= "鿿" for letter in problem.message_en), problem.message_en
        found.append((problem.code, problem.subject, problem.severity))
    return found


def test_an_empty_system_is_well(scene: Scene) -> None:
    found = {check.name: list(check.look(scene)) for check in CHECKS}
    disk = found.pop("disks")
    assert {name: problems for name, problems in found.items() if problems} == {}
    # A full disk of the machine that tests is no fault of the system's.
    assert {problem.code for problem in disk} <= {"disk_low"}


@pytest.mark.parametrize(
    ("start", "end", "hours"),
    [
        ("2026-11-25 09:00", "2026-11-25 11:30", 2.5),
        ("2026-11-25 07:00", "2026-11-25 09:00", 1.0),
        # Friday 18:00 to Monday 8:30: half an hour here, half an hour there.
        ("2026-11-27 18:00", "2026-11-30 08:30", 1.0),
        ("2026-11-28 09:00", "2026-11-29 20:00", 0.0),
        ("2026-11-23 08:00", "2026-11-25 08:00", 21.0),
        ("2026-11-25 11:00", "2026-11-25 09:00", 0.0),
    ],
)
def test_collecting_hours(start: str, end: str, hours: float) -> None:
    moments = [datetime.fromisoformat(text).replace(tzinfo=SHANGHAI) for text in (start, end)]
    assert collecting(*moments) == timedelta(hours=hours)


# --- the chain


def test_a_period_with_files_and_no_run_is_stuck(scene: Scene) -> None:
    month(scene.conn)
    received(scene.conn, "pending", ago(minutes=70))
    stuck = [("partition_stuck", "2026-10", "critical")]
    assert seen(checks.stuck_periods(scene)) == stuck
    for run, expected in (
        (dag_run(), []),
        (dag_run(state="queued"), []),
        (dag_run(period="2026-09"), stuck),
        (dag_run("publish_report"), stuck),
    ):
        facts = AirflowFacts(active=(run,))
        assert seen(checks.stuck_periods(dataclasses.replace(scene, airflow=facts))) == expected


def test_a_period_is_given_time_and_not_at_night(scene: Scene) -> None:
    month(scene.conn)
    received(scene.conn, "pending", ago(minutes=50))
    assert seen(checks.stuck_periods(scene)) == []
    evening = NOW.replace(hour=18, minute=30)
    scene.conn.execute("update intake.received_file set collected_at = %s", (evening,))
    for hours, count in ((13, 0), (14, 0), (15, 1)):  # 7:30, 8:30 and 9:30 of the next morning
        later = dataclasses.replace(scene, now=evening + timedelta(hours=hours))
        assert len(seen(checks.stuck_periods(later))) == count, hours


def test_a_built_month_without_a_report_is_stuck_unless_a_person_is_asked(scene: Scene) -> None:
    month(scene.conn)
    received(scene.conn, "processed", ago(hours=5))
    built(scene.conn, ago(hours=3))
    stuck = [("report_stuck", "2026-10", "critical")]
    assert seen(checks.stuck_periods(scene)) == stuck
    facts = AirflowFacts(active=(dag_run("publish_report"),))
    assert seen(checks.stuck_periods(dataclasses.replace(scene, airflow=facts))) == []
    draft(scene.conn, "waiting", ago(hours=2), asked_in=None)
    assert seen(checks.stuck_periods(scene)) == stuck
    scene.conn.execute("update intake.report_draft set asked_in = 'run'")
    assert seen(checks.stuck_periods(scene)) == []


def test_marts_made_from_other_data_are_stuck(scene: Scene) -> None:
    month(scene.conn)
    received(scene.conn, "processed", ago(hours=5))
    built(scene.conn, ago(hours=4))
    scene.conn.execute("update intake.build set input_hash = 'other'")
    assert seen(checks.stuck_periods(scene)) == [("partition_stuck", "2026-10", "critical")]


def test_a_month_nobody_reported_is_not_stuck(scene: Scene) -> None:
    month(scene.conn)
    assert seen(checks.stuck_periods(scene)) == []


@pytest.mark.parametrize(("minutes", "count"), [(50, 0), (70, 1)])
def test_an_announced_partition_without_a_run(scene: Scene, minutes: int, count: int) -> None:
    facts = AirflowFacts(waiting=(Waiting("build_warehouse", "2026-10", ago(minutes=minutes)),))
    found = seen(checks.waiting_partitions(dataclasses.replace(scene, airflow=facts)))
    assert found == [("partition_waiting", "build_warehouse 2026-10", "warning")] * count


def test_a_late_run_stays_a_problem_while_it_is_active(scene: Scene) -> None:
    from include.health.record import enter

    run = dag_run()
    enter(scene.conn, [checks.late_run(run.dag_id, run.run_id, run.period, run.started)], NOW)
    late = [("run_late", "build_warehouse manual__2026-10", "critical")]
    assert seen(checks.late_runs(dataclasses.replace(scene, airflow=AirflowFacts(active=(run,))))) == late
    assert seen(checks.late_runs(scene)) == []


def test_failed_runs_one_line_a_month(scene: Scene) -> None:
    failed = dag_run(state="failed")
    facts = AirflowFacts(failed=(failed, dataclasses.replace(failed, run_id="again")))
    found = seen(checks.failed_runs(dataclasses.replace(scene, airflow=facts)))
    assert found == [("run_failed", "build_warehouse 2026-10", "critical")]
    ticks = tuple(
        dataclasses.replace(failed, dag_id=dag_id, period=None, run_id=run_id)
        for dag_id in ("collect_submissions", "check_health")
        for run_id in ("first", "second")
    )
    found = seen(checks.failed_runs(dataclasses.replace(scene, airflow=AirflowFacts(failed=ticks))))
    assert found == [("run_failed", "collect_submissions", "critical")]


@pytest.mark.parametrize(
    ("state", "minutes", "expected"),
    [
        ("running", 74, []),
        ("running", 76, [("task_running_long", "warning")]),
        ("queued", 14, []),
        ("queued", 16, [("task_queued_long", "critical")]),
    ],
)
def test_slow_tasks(scene: Scene, state: str, minutes: int, expected: list[tuple[str, str]]) -> None:
    facts = AirflowFacts(tasks=(QueuedTask(task_run(state), ago(minutes=minutes)), QueuedTask(task_run(state), None)))
    found = seen(checks.slow_tasks(dataclasses.replace(scene, airflow=facts)))
    assert [(code, severity) for code, _, severity in found] == expected


def test_import_errors_and_silent_components(scene: Scene) -> None:
    facts = AirflowFacts(
        import_errors=(("/opt/labour/dags/build_warehouse.py", "SyntaxError: invalid syntax"),),
        components=(
            Component("scheduler", True, NOW),
            Component("triggerer", False, ago(hours=1)),
            Component("dag_processor", False, None),
        ),
    )
    told = dataclasses.replace(scene, airflow=facts)
    assert seen(checks.import_errors(told)) == [("dag_import_error", "build_warehouse.py", "critical")]
    assert [subject for _, subject, _ in seen(checks.silent_components(told))] == ["triggerer", "dag_processor"]


# --- files


@pytest.mark.parametrize(("outcome", "hours", "count"), [("pending", 3, 0), ("pending", 5, 1), ("processed", 5, 0)])
def test_files_that_were_not_read(scene: Scene, outcome: str, hours: int, count: int) -> None:
    month(scene.conn)
    received(scene.conn, outcome, ago(hours=hours))
    assert seen(checks.pending_files(scene)) == [("file_pending", "2026-10", "critical")] * count


def test_files_in_the_inbox_that_the_ledger_does_not_know(scene: Scene) -> None:
    lying = scene.settings.inbox / "灵山县" / "表.xlsx"
    lying.parent.mkdir()
    lying.write_bytes(b"x")
    os.utime(lying, (ago(hours=1).timestamp(),) * 2)
    assert seen(checks.files_not_entered(scene)) == []
    arrived = ago(hours=3)
    os.utime(lying, (arrived.timestamp(),) * 2)
    assert seen(checks.files_not_entered(scene)) == [("file_not_entered", "收件夹", "critical")]
    month(scene.conn)
    received(scene.conn, "processed", arrived, name="灵山县/表.xlsx")
    assert seen(checks.files_not_entered(scene)) == []


def test_an_inbox_that_is_gone(scene: Scene) -> None:
    scene.settings.inbox.rmdir()
    assert seen(checks.files_not_entered(scene)) == [("folder_missing", "收件夹", "critical")]


def test_originals_without_a_row(scene: Scene) -> None:
    folder = scene.settings.landing / "aa"
    folder.mkdir()
    for name in ("a" * 64, "a" * 63 + "b", ".incoming-x"):
        (folder / name).write_bytes(b"x")
        os.utime(folder / name, (ago(hours=3).timestamp(),) * 2)
    month(scene.conn)
    received(scene.conn, "processed", ago(hours=3))
    [problem] = checks.originals_not_entered(scene)
    assert (problem.code, problem.facts["files"]) == ("original_not_entered", 1)
    os.utime(folder / ("a" * 63 + "b"), (ago(hours=1).timestamp(),) * 2)
    assert list(checks.originals_not_entered(scene)) == []


@pytest.mark.parametrize(("days", "count"), [(4, 0), (6, 1)])
def test_corrections_nobody_decided(scene: Scene, days: int, count: int) -> None:
    month(scene.conn, state="closed")
    received(scene.conn, "awaiting_approval", ago(days=days))
    assert seen(checks.undecided_corrections(scene)) == [("correction_waits", "2026-10", "warning")] * count


@pytest.mark.parametrize(("state", "days", "count"), [("waiting", 2, 0), ("waiting", 4, 1), ("refused", 4, 0)])
def test_reports_nobody_decided(scene: Scene, state: str, days: int, count: int) -> None:
    month(scene.conn)
    draft(scene.conn, state, ago(days=days))
    assert seen(checks.undecided_drafts(scene)) == [("draft_waits", "2026-10", "warning")] * count


@pytest.mark.parametrize(
    ("state", "hours", "count"), [("pending", 3, 0), ("pending", 5, 1), ("refused", 5, 1), ("sent", 5, 0)]
)
def test_reports_not_sent(scene: Scene, state: str, hours: int, count: int) -> None:
    month(scene.conn)
    draft(scene.conn, "issued", ago(hours=6))
    scene.conn.execute(
        "insert into intake.delivery (period, draft_no, issue_no, edition, channel, recipient, message_id, sha256,"
        " state, result_zh, entered_at) values ('2026-10', 1, 0, 'province', 'smtp', 'x', 'x', '', %s, '连接不上', %s)",
        (state, ago(hours=hours)),
    )
    assert seen(checks.unsent_letters(scene)) == [("delivery_unsent", "2026-10", "warning")] * count


@pytest.mark.parametrize(("is_sent", "state", "count"), [(False, "open", 1), (True, "open", 0), (False, "closed", 0)])
def test_reminders_not_sent(scene: Scene, is_sent: bool, state: str, count: int) -> None:
    month(scene.conn, state=state)
    scene.conn.execute(
        "insert into intake.reminder values ('2026-10', '450721', 'due', 'smtp', 'x', 'x', '', '被拒', %s, %s)",
        (is_sent, ago(hours=5)),
    )
    assert seen(checks.unsent_letters(scene)) == [("reminder_unsent", "2026-10", "warning")] * count


@pytest.mark.parametrize(("hours", "count"), [(1, 0), (3, 1), (None, 0)])
def test_channels_that_are_down(scene: Scene, hours: int | None, count: int) -> None:
    is_down = hours is not None
    scene.conn.execute(
        "insert into intake.channel_state (channel, kind, last_tried_at, down_since, failures, error_zh)"
        " values ('sftp-qinzhou', 'sftp', %s, %s, %s, %s)",
        (NOW, ago(hours=hours) if is_down else None, 4 if is_down else 0, "登录被拒" if is_down else None),
    )
    problems = list(checks.channels_down(scene))
    assert [(one.code, one.subject, one.severity) for one in problems] == [
        ("channel_down", "sftp-qinzhou", "critical")
    ] * count


# --- disk and database


@pytest.mark.parametrize(
    ("warn", "critical", "severity"), [(0.0, 0.0, None), (1.1, 0.0, "warning"), (1.1, 1.1, "critical")]
)
def test_a_disk_that_runs_full(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, warn: float, critical: float, severity: str | None
) -> None:
    set_limits(monkeypatch, disk_warn_share=warn, disk_critical_share=critical, disk_warn_gb=0, disk_critical_gb=0)
    everything = "、".join(texts()["folders"].values())
    found = [(one.code, one.subject, one.severity) for one in checks.disks(scene)]
    assert found == ([("disk_low", everything, severity)] if severity else [])


def test_a_disk_is_judged_by_what_is_left_too(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    shares = {"disk_warn_share": 0.0, "disk_critical_share": 0.0}
    free = shutil.disk_usage(scene.settings.work).free / 2**30
    set_limits(monkeypatch, **shares, disk_warn_gb=free + 100, disk_critical_gb=0)
    assert [one.severity for one in checks.disks(scene)] == ["warning"]


def test_folders_that_should_stay_small(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    set_limits(monkeypatch, logs_warn_gb=1000 / 2**30, work_warn_gb=1000 / 2**30)
    deep = scene.settings.logs / "a" / "b"
    deep.mkdir(parents=True)
    (deep / "x.log").write_bytes(b"x" * 1000)
    assert seen(checks.large_folders(scene)) == []
    (deep / "y.log").write_bytes(b"x")
    assert checks.folder_bytes(scene.settings.logs) == 1001
    assert seen(checks.large_folders(scene)) == [("folder_large", "日志", "warning")]


def test_database_size_and_connections(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [*checks.database_size(scene), *checks.connections(scene)] == []
    set_limits(monkeypatch, database_warn_gb=0, connections_warn_share=0)
    assert [code for code, _, _ in seen(checks.database_size(scene))] == ["database_large"]
    [problem] = checks.connections(scene)
    assert problem.facts["used"] >= 1
    assert problem.facts["limit"] > problem.facts["used"]


def test_transactions_left_open(scene: Scene, warehouse: str, monkeypatch: pytest.MonkeyPatch) -> None:
    set_limits(monkeypatch, transaction_minutes=0)
    with psycopg.connect(warehouse, application_name="forgotten") as other:
        pid = other.info.backend_pid
        assert [one for one in checks.long_transactions(scene) if f"pid {pid}" in one.subject] == []
        other.execute("select 1")
        # PostgreSQL shows its activity as it was at the first look of a transaction; each check has one of its own.
        scene.conn.execute("select pg_stat_clear_snapshot()")
        [problem] = [one for one in checks.long_transactions(scene) if "forgotten" in one.subject]
    assert problem.facts["state"] == "idle in transaction"
    assert problem.subject.endswith(f"pid {pid}")


def test_waiting_for_a_lock(scene: Scene, warehouse: str, monkeypatch: pytest.MonkeyPatch) -> None:
    set_limits(monkeypatch, lock_minutes=0)
    assert list(checks.long_lock_waits(scene)) == []
    with psycopg.connect(warehouse) as holder, psycopg.connect(warehouse, autocommit=True) as waiter:
        holder.execute("lock table intake.schema_migration in access exclusive mode")
        waiting = threading.Thread(target=waiter.execute, args=("select count(*) from intake.schema_migration",))
        waiting.start()
        try:
            deadline = datetime.now(SHANGHAI) + timedelta(seconds=20)
            problems: list[Problem] = []
            while not problems and datetime.now(SHANGHAI) < deadline:
                problems = list(checks.long_lock_waits(scene))
        finally:
            holder.rollback()
            waiting.join()
        pid = holder.info.backend_pid
    assert [(one.code, one.facts["number"], one.facts["blockers"]) for one in problems] == [
        ("lock_wait_long", 1, f"pid {pid}")
    ]


# --- backup


def test_backups(scene: Scene, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    watched = dataclasses.replace(scene, settings=dataclasses.replace(scene.settings, backup=folder))
    assert seen(checks.backups(watched)) == []
    folder.mkdir()
    assert [code for code, _, _ in seen(checks.backups(watched))] == ["backup_none"]
    manifest = folder / "2026-11-22" / "manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text("{}")
    os.utime(manifest, (ago(days=3).timestamp(),) * 2)
    assert [code for code, _, _ in seen(checks.backups(watched))] == ["backup_old"]
    os.utime(manifest, (ago(days=1).timestamp(),) * 2)
    assert seen(checks.backups(watched)) == []


# --- words and thresholds


def test_every_kind_of_problem_says_what_it_is_and_what_to_do() -> None:
    codes = {code for check in CHECKS for code in check.codes}
    beyond_the_checks = {"airflow_unreachable", "check_failed", "warehouse_unreachable"}
    assert set(texts()["problems"]) == codes | beyond_the_checks
    for code, kind in texts()["problems"].items():
        assert {"name", "zh", "en", "do", "page"} == set(kind), code
        assert all(set(kind[key]) == {"zh", "en"} for key in ("name", "do")), code
    assert list(texts()["severities"]) == list(SEVERITIES)


def test_every_page_that_helps_exists() -> None:
    pages = {kind["page"] for kind in texts()["problems"].values()}
    missing = {page for page in pages if not (PROJECT_ROOT / "docs" / page).is_file()}
    # Pages of other parts of the system, which keep their own.
    assert missing <= {"backup.md", "channels.md", "runbooks/disk-full.md"}


def test_every_threshold_is_used_and_every_used_one_is_defined() -> None:
    used = "".join(
        path.read_text(encoding="utf-8")
        for folder in ("include/health", "dags")
        for path in (PROJECT_ROOT / folder).glob("*.py")
    )
    composed = {"task_running_minutes", "task_queued_minutes", "logs_warn_gb", "work_warn_gb"} | {
        f"disk_{rank}_{unit}" for rank in ("warn", "critical") for unit in ("share", "gb")
    }
    unused = {name for name in rules.current() if f'"{name}"' not in used} - composed
    assert unused == set()


def test_figures_count_what_waits(scene: Scene) -> None:
    month(scene.conn)
    received(scene.conn, "pending", ago(hours=1))
    received(scene.conn, "awaiting_approval", ago(hours=1), name="更正.xlsx")
    (scene.settings.outbox / "x").write_bytes(b"x" * 10)
    found = {(figure.name, figure.of): figure.value for figure in checks.figures(scene)}
    assert found["files_pending", ""] == found["corrections_waiting", ""] == found["months_open", ""] == 1
    assert found["folder_bytes", "outbox"] == 10
    assert found["database_bytes", ""] > 1_000_000
