"""The processes of a live embedded stack, and a thread that kills one of them at a given moment of a month."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil
import psycopg

from include.operate.chain import BUILD, PUBLISH
from include.operate.supervisor import WORKER_TITLE
from include.warehouse import embedded
from tests.databases import settings_of

# The tasks of a month that work, with the DAG that each belongs to.
STEPS = {"read": BUILD, "validate": BUILD, "load": BUILD, "build_marts": BUILD, "render": PUBLISH, "deliver": PUBLISH}
_LOOK_SECONDS = 0.02
_IDLE = "<idle>"


@dataclass(frozen=True, slots=True)
class Plan:
    """One kill.

    Attributes:
        victim: a key of :data:`VICTIMS`.
        step: a key of :data:`STEPS`; the clock starts when it is first seen running.
        after_seconds: how long it has been running by then.
    """

    victim: str
    step: str
    after_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Kill:
    """What became of a plan.

    Attributes:
        pid: process that was killed.
        at: ``time.monotonic()`` of it.
        running: tasks that ran at that moment, as Airflow had it.
    """

    plan: Plan
    pid: int
    at: float
    running: tuple[str, ...]


def _supervisor(var: Path) -> int:
    return int(json.loads((var / "airflow" / "run" / "stack.json").read_text(encoding="utf-8"))["pid"])


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline()).strip()
    except psutil.Error:
        return ""


def _component(name: str) -> Callable[[Path], int | None]:
    def find(var: Path) -> int | None:
        # Airflow writes the same name with a hyphen here and an underscore there.
        children = psutil.Process(_supervisor(var)).children()
        return next((one.pid for one in children if _title(one).replace("_", "-").startswith(f"airflow {name}")), None)

    return find


def _workers(var: Path, *, is_idle: bool) -> list[psutil.Process]:
    scheduler = _component("scheduler")(var)
    children = psutil.Process(scheduler).children() if scheduler else []
    return [one for one in children if _title(one).startswith(WORKER_TITLE) and (_IDLE in _title(one)) == is_idle]


def _worker(var: Path) -> int | None:
    return next((one.pid for one in _workers(var, is_idle=False)), None)


def _idle_worker(var: Path) -> int | None:
    return next((one.pid for one in _workers(var, is_idle=True)), None)


def _task(var: Path) -> int | None:
    return next((child.pid for worker in _workers(var, is_idle=False) for child in worker.children()), None)


def _postmaster(var: Path) -> int | None:
    with settings_of({"VAR_DIR": str(var)}):
        return embedded.status().pid


def _backend(var: Path) -> int | None:
    """A server process that works for the warehouse if there is one, else for Airflow."""
    with settings_of({"VAR_DIR": str(var)}), psycopg.connect(embedded.url("postgres"), autocommit=True) as conn:
        row = conn.execute(
            "select pid from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()"
            " order by datname = %s desc, state = 'active' desc, backend_start desc limit 1",
            (embedded.WAREHOUSE_DATABASE,),
        ).fetchone()
    return row[0] if row else None


# The worker of the running task and the task's own process are two: one reports for the other. An idle worker holds the
# lock at which the others wait for work.
VICTIMS: dict[str, Callable[[Path], int | None]] = {
    "scheduler": _component("scheduler"),
    "worker": _worker,
    "api-server": _component("api-server"),
    "postgres": _postmaster,
    "task": _task,
    "dag-processor": _component("dag-processor"),
    "idle-worker": _idle_worker,
    "triggerer": _component("triggerer"),
    "postgres-backend": _backend,
    "supervisor": _supervisor,
}


class Killer(threading.Thread):
    """Carries out the plans one after the other while a month runs in the stack of ``var``.

    Attributes:
        kills: what was done so far.
        failure: why it stopped before its time.
    """

    def __init__(self, var: Path, plans: Sequence[Plan]) -> None:
        super().__init__(daemon=True)
        self.var = var
        self.plans = list(plans)
        self.kills: list[Kill] = []
        self.failure: BaseException | None = None
        self.over = threading.Event()

    def run(self) -> None:
        try:
            since = datetime.now(UTC)
            for plan in self.plans:
                self._carry_out(plan, since)
        except BaseException as error:  # told to whoever started the thread
            self.failure = error

    def _metadata(self) -> str:
        with settings_of({"VAR_DIR": str(self.var)}):
            return embedded.url(embedded.AIRFLOW_DATABASE)

    def _carry_out(self, plan: Plan, since: datetime) -> None:
        conn: psycopg.Connection | None = None
        seen: float | None = None
        while not self.over.is_set():
            try:
                conn = conn or psycopg.connect(self._metadata(), autocommit=True)
                # Of tasks of before, a killed one may stand as running for a while.
                rows = conn.execute(
                    "select dag_id, task_id from task_instance where state = 'running' and start_date > %s", (since,)
                ).fetchall()
            except psycopg.OperationalError:  # killed before: coming back
                conn = None
                self.over.wait(0.2)
                continue
            now = time.monotonic()
            running = tuple(task for _, task in rows)
            if (STEPS[plan.step], plan.step) in rows:
                seen = seen or now
            if seen is not None and now - seen >= plan.after_seconds:
                with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError, FileNotFoundError):
                    pid = VICTIMS[plan.victim](self.var)
                    if pid is not None:
                        os.kill(pid, signal.SIGKILL)
                        self.kills.append(Kill(plan, pid, time.monotonic(), running))
                        return
            self.over.wait(_LOOK_SECONDS)
