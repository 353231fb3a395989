"""The checks: each looks at one thing and returns the problems it sees. None of them changes anything.

A check names the kinds of problems it can see (``codes``): where it could not be made, those stand as they are, neither
seen again nor ended.
"""

from __future__ import annotations

import os
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from include.health.airflow import AirflowFacts
from include.health.problem import Figure, Problem, texts
from include.health.rules import limit, span
from include.health.working_hours import collecting
from include.intake.calendar import SHANGHAI
from include.intake.channels import LocalFolder
from include.settings import Settings

#: Sessions, locks, problems: named one by one up to here.
_NAMED = 5


@dataclass(frozen=True, slots=True)
class Scene:
    """What the checks look at.

    Attributes:
        conn: connection to the warehouse; the checks only read.
        now: the moment they are made for (aware).
        airflow: what Airflow says of itself, ``None`` where nobody could be asked.
    """

    conn: psycopg.Connection[Any]
    settings: Settings
    now: datetime
    airflow: AirflowFacts | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """A check, the codes of what it may find, and whether it asks Airflow."""

    name: str
    codes: frozenset[str]
    look: Callable[[Scene], Iterable[Problem]]
    asks_airflow: bool = False


# --- the chain


def stuck_periods(scene: Scene) -> Iterator[Problem]:
    """Periods with something to do for which nothing is active: the ledger knows the first, Airflow the second."""
    active = {(run.dag_id, run.period) for run in scene.airflow.active} if scene.airflow else set()
    for period, pending, needs_build, needs_report, changed_at, built_at in scene.conn.execute(
        """
        select
            this.period,
            (select count(*) from intake.received_file as f where f.period = this.period and f.outcome = 'pending'),
            build.input_hash is distinct from this.input_hash,
            issued.input_hash is distinct from this.input_hash
            and not exists (
                select 1 from intake.report_draft as draft
                where draft.period = this.period and draft.input_hash = this.input_hash
                    and (draft.state in ('approved', 'releasing', 'refused')
                        or draft.state = 'waiting' and draft.asked_in is not null)
            ),
            -- What a month is made from: its own and all earlier months' files and deadlines.
            greatest(
                (select max(f.collected_at) from intake.received_file as f where f.period <= this.period),
                (select max(e.happened_at) from intake.period_event as e where e.period <= this.period)
            ),
            build.built_at
        from intake.period_input as this
        left join intake.build on build.period = this.period
        left join lateral (
            select p.input_hash from intake.publication as p
            where p.period = this.period order by p.issue_no desc limit 1
        ) as issued on true
        where exists (select 1 from intake.received_file as file where file.period = this.period)
        order by this.period
        """
    ):
        patience = span("stuck_minutes")
        if pending or needs_build:
            if ("build_warehouse", period) not in active and collecting(changed_at, scene.now) > patience:
                yield Problem("partition_stuck", period, "critical", {"files": pending}, changed_at)
        elif needs_report and ("publish_report", period) not in active:
            since = max(filter(None, (changed_at, built_at)))
            if collecting(since, scene.now) > patience:
                yield Problem("report_stuck", period, "critical", {}, since)


def waiting_partitions(scene: Scene) -> Iterator[Problem]:
    """Partitions that were announced to a DAG which has not started a run of them (apache/airflow#71070)."""
    assert scene.airflow is not None
    for waiting in scene.airflow.waiting:
        if collecting(waiting.announced_at, scene.now) > span("stuck_minutes"):
            subject = f"{waiting.dag_id} {waiting.period}"
            facts = {"dag": dag_zh(waiting.dag_id), "period": waiting.period}
            yield Problem("partition_waiting", subject, "warning", facts, waiting.announced_at)


def late_runs(scene: Scene) -> Iterator[Problem]:
    """Runs whose deadline passed (Airflow reports them, see :mod:`include.health.late`) and that are active still."""
    assert scene.airflow is not None
    active = {f"{run.dag_id} {run.run_id}": run for run in scene.airflow.active}
    for subject, severity, since in scene.conn.execute(
        "select subject, severity, since from intake.health_problem where code = 'run_late' and ended_at is null"
    ):
        run = active.get(subject)
        if run is not None:
            yield late_run(run.dag_id, run.run_id, run.period, since, severity)


def late_run(
    dag_id: str, run_id: str, period: str | None, since: datetime | None, severity: Any = "critical"
) -> Problem:
    """The problem of a run that was not done by its deadline; ``since`` is when it was queued."""
    facts = {
        "dag": dag_zh(dag_id),
        "dag_id": dag_id,
        "period": f" {period} " if period else "",
        "period_en": f"{period} " if period else "",
        "run": run_id,
    }
    return Problem("run_late", f"{dag_id} {run_id}", severity, facts, since)


def failed_runs(scene: Scene) -> Iterator[Problem]:
    """Runs that ended red and that nobody has cleared."""
    assert scene.airflow is not None
    told = set()
    for run in scene.airflow.failed:
        # Without a period one problem a DAG: else each of its ticks would be another. This check's own failure is said
        # by whatever it failed for.
        subject = f"{run.dag_id} {run.period}" if run.period else run.dag_id
        if subject not in told and run.dag_id != "check_health":
            told.add(subject)
            facts = {"dag": dag_zh(run.dag_id), "period": run.period or _shown(run.run_after)}
            yield Problem("run_failed", subject, "critical", facts, run.ended)


def slow_tasks(scene: Scene) -> Iterator[Problem]:
    """Tasks that run, or wait for a worker, longer than they should; not those that wait for a person."""
    assert scene.airflow is not None
    for queued in scene.airflow.tasks:
        if queued.since is None:
            continue
        age = scene.now - queued.since
        task = queued.task
        is_running = task.state == "running"
        name = "task_running" if is_running else "task_queued"
        if age > span(f"{name}_minutes"):
            subject = f"{task.dag_id}.{task.task_id}" + (f"[{task.map_index}]" if task.map_index >= 0 else "")
            subject += f" {task.run_id}"
            facts = {"minutes": int(age / timedelta(minutes=1))}
            severity: Any = "warning" if is_running else "critical"
            yield Problem(f"{name}_long", subject, severity, facts, queued.since)


def import_errors(scene: Scene) -> Iterator[Problem]:
    """DAG files that Airflow cannot read."""
    assert scene.airflow is not None
    for filename, error in scene.airflow.import_errors:
        yield Problem("dag_import_error", Path(filename).name, "critical", {"error": error[:200]})


def silent_components(scene: Scene) -> Iterator[Problem]:
    """Scheduler, triggerer, DAG processor, metadata database without a fresh heartbeat."""
    assert scene.airflow is not None
    for component in scene.airflow.components:
        if not component.is_healthy:
            beat = component.heartbeat
            zh = f"（最后一次 {_shown(beat)}）" if beat else ""
            en = f" since {_shown(beat)}" if beat else ""
            yield Problem("component_silent", component.name, "critical", {"since": zh, "since_en": en}, beat)


# --- files


def pending_files(scene: Scene) -> Iterator[Problem]:
    """Files in the ledger that were not read."""
    hours = limit("pending_hours")
    for period, files, oldest in scene.conn.execute(
        "select period, count(*), min(collected_at) from intake.received_file"
        " where outcome = 'pending' group by period order by period"
    ):
        if collecting(oldest, scene.now) > span("pending_hours"):
            yield Problem("file_pending", period, "critical", {"files": files, "hours": f"{hours:g}"}, oldest)


def files_not_entered(scene: Scene) -> Iterator[Problem]:
    """Files in the inbox that the ledger does not know."""
    inbox = scene.settings.inbox
    if not inbox.is_dir():
        yield Problem("folder_missing", texts()["folders"]["inbox"], "critical", {"path": inbox, "names": "inbox"})
        return
    late = [
        arrival
        for arrival in LocalFolder(inbox).arrivals()
        if collecting(arrival.received_at, scene.now) > span("arrival_hours")
    ]
    if not late:
        return
    known = {
        (path, received_at)
        for path, received_at in scene.conn.execute(
            "select channel_path, received_at from intake.received_file where received_at >= %s",
            (min(arrival.received_at for arrival in late),),
        )
    }
    left = [arrival for arrival in late if (arrival.path_in_channel, arrival.received_at) not in known]
    if left:
        facts = {
            "files": len(left),
            "hours": f"{limit('arrival_hours'):g}",
            "example": left[0].path_in_channel,
        }
        yield Problem("file_not_entered", texts()["folders"]["inbox"], "critical", facts, left[0].received_at)


def originals_not_entered(scene: Scene) -> Iterator[Problem]:
    """Originals in the landing store without a row in the ledger: a collection was ended between the two."""
    landing = scene.settings.landing
    found = [path for path in landing.glob("[0-9a-f][0-9a-f]/*") if len(path.name) == 64]
    known = {sha for (sha,) in scene.conn.execute("select distinct sha256 from intake.received_file")}
    moment = scene.now.timestamp() - limit("arrival_hours") * 3600
    left = sorted(path.name for path in found if path.name not in known and path.stat().st_mtime < moment)
    if left:
        facts = {"files": len(left), "example": left[0][:16]}
        yield Problem("original_not_entered", texts()["folders"]["landing"], "warning", facts)


def undecided_corrections(scene: Scene) -> Iterator[Problem]:
    """Files that came after their month had closed and wait for the office."""
    for period, files, oldest in scene.conn.execute(
        "select period, count(*), min(collected_at) from intake.received_file"
        " where outcome = 'awaiting_approval' group by period order by period"
    ):
        if scene.now - oldest > span("correction_waits_days"):
            facts = {"files": files, "days": (scene.now - oldest).days}
            yield Problem("correction_waits", period, "warning", facts, oldest)


def undecided_drafts(scene: Scene) -> Iterator[Problem]:
    """Reports that wait for approval."""
    for period, rendered_at in scene.conn.execute(
        "select period, rendered_at from intake.report_draft"
        " where state = 'waiting' and asked_in is not null order by period"
    ):
        if scene.now - rendered_at > span("draft_waits_days"):
            yield Problem("draft_waits", period, "warning", {"days": (scene.now - rendered_at).days}, rendered_at)


def unsent_letters(scene: Scene) -> Iterator[Problem]:
    """Reports and reminders that a channel has not taken."""
    before = scene.now - span("unsent_hours")
    for period, number, reason, oldest in scene.conn.execute(
        """
        select period, count(*), min(result_zh), min(entered_at) from intake.delivery
        where state in ('pending', 'sending', 'refused') and entered_at < %s
        group by period order by period
        """,
        (before,),
    ):
        yield Problem("delivery_unsent", period, "warning", {"number": number, "reason": reason}, oldest)
    # A reminder of a month that has closed is of no use to anybody any more.
    for period, number, reason, oldest in scene.conn.execute(
        """
        select r.period, count(*), min(r.result_zh), min(r.sent_at)
        from intake.reminder as r inner join intake.reporting_period as p using (period)
        where not r.is_sent and p.state <> 'closed' and r.sent_at < %s
        group by r.period order by r.period
        """,
        (before,),
    ):
        yield Problem("reminder_unsent", period, "warning", {"number": number, "reason": reason}, oldest)


def channels_down(scene: Scene) -> Iterator[Problem]:
    """Channels from which nothing could be taken for hours."""
    for channel, failures, error, since in scene.conn.execute(
        "select channel, failures, error_zh, down_since from intake.channel_state"
        " where down_since < %s order by channel",
        (scene.now - span("channel_down_hours"),),
    ):
        yield Problem("channel_down", channel, "critical", {"failures": failures, "error": error}, since)


# --- disk and database


def disks(scene: Scene) -> Iterator[Problem]:
    """File systems of the folders that are nearly full; one problem a file system."""
    by_device: dict[int, list[str]] = defaultdict(list)
    where: dict[int, Path] = {}
    for name, folder in folders(scene.settings).items():
        known = next((path for path in (folder, *folder.parents) if path.exists()), None)
        if known is None:
            continue
        device = os.stat(known).st_dev
        by_device[device].append(name)
        where.setdefault(device, known)
    for device, names in by_device.items():
        usage = shutil.disk_usage(where[device])
        share, free = usage.free / usage.total, usage.free / 2**30
        severity = next(
            (
                severity
                for severity in ("critical", "warning")
                if share < limit(f"disk_{_RANK[severity]}_share") or free < limit(f"disk_{_RANK[severity]}_gb")
            ),
            None,
        )
        if severity is not None:
            facts = {"free": size_zh(usage.free), "share": f"{share:.0%}", "names": ", ".join(names)}
            subject = "、".join(texts()["folders"][name] for name in names)
            yield Problem("disk_low", subject, severity, facts)  # type: ignore[arg-type]


_RANK = {"critical": "critical", "warning": "warn"}


def large_folders(scene: Scene) -> Iterator[Problem]:
    """Folders that should stay small and did not."""
    for name in ("work", "logs"):
        size = folder_bytes(folders(scene.settings)[name])
        if size > limit(f"{name}_warn_gb") * 2**30:
            yield Problem("folder_large", texts()["folders"][name], "warning", {"size": size_zh(size), "names": name})


def database_size(scene: Scene) -> Iterator[Problem]:
    """The warehouse's size."""
    name, size = _row(scene, "select current_database(), pg_database_size(current_database())")
    if size > limit("database_warn_gb") * 2**30:
        yield Problem("database_large", name, "warning", {"size": size_zh(size)})


def connections(scene: Scene) -> Iterator[Problem]:
    """Connections of the whole server against its limit."""
    used, allowed = _row(
        scene,
        "select count(*), current_setting('max_connections')::integer"
        " - current_setting('superuser_reserved_connections')::integer"
        " from pg_stat_activity where backend_type = 'client backend'",
    )
    if used > limit("connections_warn_share") * allowed:
        yield Problem("connections_high", "PostgreSQL", "critical", {"used": used, "limit": allowed})


def long_transactions(scene: Scene) -> Iterator[Problem]:
    """Transactions that somebody has left open."""
    for pid, user, application, state, since in scene.conn.execute(
        """
        select pid, usename, application_name, state, xact_start from pg_stat_activity
        where backend_type = 'client backend' and pid <> pg_backend_pid() and datname = current_database()
            and xact_start < clock_timestamp() - %s order by xact_start limit %s
        """,
        (span("transaction_minutes"), _NAMED),
    ):
        minutes = int((datetime.now(SHANGHAI) - since) / timedelta(minutes=1))
        subject = f"{user} {application} pid {pid}"
        yield Problem("transaction_long", subject, "warning", {"minutes": minutes, "state": state}, since)


def long_lock_waits(scene: Scene) -> Iterator[Problem]:
    """Sessions that wait for a lock nobody gives back. Advisory locks queue work on purpose, yet not so long."""
    rows = scene.conn.execute(
        """
        select distinct on (waiting.pid) waiting.pid, waiting.waitstart, pg_blocking_pids(waiting.pid)
        from pg_locks as waiting
        where not waiting.granted and waiting.waitstart < clock_timestamp() - %s
        order by waiting.pid, waiting.waitstart
        """,
        (span("lock_minutes"),),
    ).fetchall()
    if rows:
        since = min(started for _, started, _ in rows)
        waiting = {pid for pid, _, _ in rows}
        # Who waits in the middle of a queue blocks nobody by himself.
        blockers = sorted({pid for _, _, pids in rows for pid in pids if pid not in waiting})
        facts = {
            "number": len(rows),
            "minutes": int((datetime.now(SHANGHAI) - since) / timedelta(minutes=1)),
            "blockers": "、".join(f"pid {pid}" for pid in blockers[:_NAMED]) or "—",
        }
        yield Problem("lock_wait_long", "PostgreSQL", "critical", facts, since)


# --- backup


def backups(scene: Scene) -> Iterator[Problem]:
    """The newest backup: folders with a ``manifest.json``, which is written last. Off where ``BACKUP_DIR`` is no folder."""
    folder = scene.settings.backup
    if not folder.is_dir():
        return
    newest = max((path.stat().st_mtime for path in folder.glob("*/manifest.json")), default=None)
    if newest is None:
        yield Problem("backup_none", str(folder), "critical")
        return
    made_at = datetime.fromtimestamp(newest, tz=SHANGHAI)
    if scene.now - made_at > span("backup_days"):
        yield Problem("backup_old", str(folder), "critical", {"days": (scene.now - made_at).days}, made_at)


CHECKS: tuple[Check, ...] = (
    Check("stuck_periods", frozenset({"partition_stuck", "report_stuck"}), stuck_periods),
    Check("waiting_partitions", frozenset({"partition_waiting"}), waiting_partitions, asks_airflow=True),
    Check("late_runs", frozenset({"run_late"}), late_runs, asks_airflow=True),
    Check("failed_runs", frozenset({"run_failed"}), failed_runs, asks_airflow=True),
    Check("slow_tasks", frozenset({"task_running_long", "task_queued_long"}), slow_tasks, asks_airflow=True),
    Check("import_errors", frozenset({"dag_import_error"}), import_errors, asks_airflow=True),
    Check("silent_components", frozenset({"component_silent"}), silent_components, asks_airflow=True),
    Check("pending_files", frozenset({"file_pending"}), pending_files),
    Check("files_not_entered", frozenset({"file_not_entered", "folder_missing"}), files_not_entered),
    Check("originals_not_entered", frozenset({"original_not_entered"}), originals_not_entered),
    Check("undecided_corrections", frozenset({"correction_waits"}), undecided_corrections),
    Check("undecided_drafts", frozenset({"draft_waits"}), undecided_drafts),
    Check("unsent_letters", frozenset({"delivery_unsent", "reminder_unsent"}), unsent_letters),
    Check("channels_down", frozenset({"channel_down"}), channels_down),
    Check("disks", frozenset({"disk_low"}), disks),
    Check("large_folders", frozenset({"folder_large"}), large_folders),
    Check("database_size", frozenset({"database_large"}), database_size),
    Check("connections", frozenset({"connections_high"}), connections),
    Check("long_transactions", frozenset({"transaction_long"}), long_transactions),
    Check("long_lock_waits", frozenset({"lock_wait_long"}), long_lock_waits),
    Check("backups", frozenset({"backup_none", "backup_old"}), backups),
)


# --- figures


def figures(scene: Scene) -> list[Figure]:
    """Numbers worth watching, whether or not anything is wrong; sizes in bytes."""
    counted = _row(
        scene,
        """
        select
            (select count(*) from intake.received_file where outcome = 'pending'),
            (select count(*) from intake.received_file where outcome = 'awaiting_approval'),
            (select count(*) from intake.reporting_period where state <> 'closed'),
            (select count(*) from intake.report_draft where state = 'waiting'),
            (select count(*) from intake.delivery where state in ('pending', 'sending', 'refused')),
            (select count(*) from intake.channel_state where down_since is not null),
            pg_database_size(current_database())
        """,
    )
    names = (
        ("files_pending", "待读取的文件"),
        ("corrections_waiting", "待批准的更正"),
        ("months_open", "未封账的月份"),
        ("drafts_waiting", "待批准的月报稿"),
        ("deliveries_unsent", "没有送出的月报"),
        ("channels_down", "不通的渠道"),
    )
    found = [Figure(name, label, value, str(value)) for (name, label), value in zip(names, counted, strict=False)]
    found.append(Figure("database_bytes", "数据库", counted[-1], size_zh(counted[-1])))
    for name, folder in folders(scene.settings).items():
        size = folder_bytes(folder)
        label = texts()["folders"][name]
        found.append(Figure("folder_bytes", label, size, size_zh(size), name))
        if folder.exists():
            usage = shutil.disk_usage(folder)
            shown = f"{size_zh(usage.free)}（{usage.free / usage.total:.0%}）"
            found.append(Figure("disk_free_bytes", f"{label}所在磁盘剩余", usage.free, shown, name))
    return found


def folders(settings: Settings) -> dict[str, Path]:
    """The folders whose space counts, by name."""
    return {
        "inbox": settings.inbox, "landing": settings.landing, "outbox": settings.outbox, "work": settings.work,
        "drafts": settings.drafts, "logs": settings.logs,
    }  # fmt: skip


def folder_bytes(folder: Path) -> int:
    """Bytes of all files below a folder; what goes away meanwhile, or cannot be read, counts nothing."""
    total = 0
    stack = [os.fspath(folder)]
    while stack:
        try:
            with os.scandir(stack.pop()) as entries:
                for entry in entries:
                    try:
                        if entry.is_dir(follow_symlinks=False):
                            stack.append(entry.path)
                        else:
                            total += entry.stat(follow_symlinks=False).st_size
                    except FileNotFoundError:
                        continue
        except (FileNotFoundError, PermissionError):
            continue
    return total


def size_zh(size: float) -> str:
    """Bytes as people read them: ``1.5 GB``."""
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit in ("B", "KB") else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TB"


def dag_zh(dag_id: str) -> str:
    """A DAG's name in Chinese."""
    return str(texts()["dags"].get(dag_id, dag_id))


def _row(scene: Scene, query: Any, parameters: Sequence[Any] = ()) -> tuple[Any, ...]:
    row = scene.conn.execute(query, parameters).fetchone()
    assert row is not None
    return row


def _shown(moment: datetime) -> str:
    return f"{moment.astimezone(SHANGHAI):%m-%d %H:%M}"
