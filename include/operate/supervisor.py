"""Runs Airflow's components as one process group and keeps them running.

``python -m include.operate.supervisor`` is started by :mod:`include.operate.airflow`, in a session of its own.

Most of Airflow's start is imports. So this process imports them once and forks the components from it, and it imports
what the tasks need (pandas, Great Expectations, dbt) before it forks the scheduler: the executor's workers and the
tasks are forks of the scheduler in turn and find these loaded. Modules of this project are never imported here, so an
edited file counts from the next task on. Where forking after imports is unsafe (macOS), every component is a fresh
interpreter instead.

Whatever of the stack is killed is started again: a component, the executor's workers, and (``--postgres``) the embedded
PostgreSQL. What containers' restart policies do in production is done here.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

import psutil

CAN_FORK = sys.platform.startswith("linux")
COMMANDS = {
    "api-server": ["airflow", "api-server"],
    "dag-processor": ["airflow", "dag-processor"],
    # The log server of these two would listen on all interfaces; here the API server reads the files themselves.
    "triggerer": ["airflow", "triggerer", "--skip-serve-logs"],
    "scheduler": ["airflow", "scheduler", "--skip-serve-logs"],
}
SHARED_MODULES = (
    "airflow.cli.commands.db_command",
    "airflow.cli.commands.dag_processor_command",
    "airflow.cli.commands.triggerer_command",
    "airflow.cli.commands.scheduler_command",
    "airflow.executors.local_executor",
    "airflow.models.serialized_dag",
    "airflow.sdk.execution_time.task_runner",
)
API_MODULES = (
    "airflow.cli.commands.api_server_command",
    "airflow.api_fastapi.core_api.app",
    "airflow.api_fastapi.core_api.routes.public",
    "airflow.api_fastapi.core_api.routes.ui",
    "airflow.api_fastapi.execution_api.app",
)
TASK_MODULES = (
    "pandas",
    "great_expectations",
    "dbt.cli.main",
    "dbt.adapters.postgres",
    "openpyxl",
    "python_calamine",
    "psycopg",
    "docx",
    "xlsxwriter",
)
# A component that dies again and again soon after its start will not be mended by one more; one that ran is.
MAX_RESTARTS = 3
SETTLED_SECONDS = 60.0
POLL_SECONDS = 0.2
# Workers and database are looked after this often; a database that does not start is tried again after as long as
# another start may take to help.
CARE_SECONDS = 1.0
DATABASE_PAUSE_SECONDS = 5.0
RELEASE_SECONDS = 20.0
WORKER_TITLE = "airflow worker -- LocalExecutor"
# A component that is not done stopping after this long is killed with the group. These two have nothing to lose (no
# task here is deferred), and now and then hang: in the middle of a round, or asking the API server that is gone first.
STOP_SECONDS = 9.0
PATIENCE = {"dag-processor": 2.0, "triggerer": 2.0}


def say(text: str) -> None:
    """One line into the supervisor's log."""
    print(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}", flush=True)


class Supervisor:
    """Starts the components in order, starts a dead one again, ends all on a signal.

    Args:
        logs, run: folders of log files and of what lasts no longer than the stack.
        parent: process that started this one; all ends with it. ``None``: all outlives it.
        paused: begin with every DAG switched off.
        keeps_postgres: the metadata lie in the embedded PostgreSQL, which is started again when it is gone.
    """

    def __init__(
        self, logs: Path, run: Path, parent: int | None, *, paused: bool = False, keeps_postgres: bool = False
    ) -> None:
        self.logs = logs
        self.paused = paused
        self.keeps_postgres = keeps_postgres
        self.migrated = run / "migrated"
        self.stamp = run / "schema"
        self.parent = parent
        self.children: dict[int, str] = {}
        self.started: dict[str, float] = {}
        self.early_ends: dict[str, int] = {}
        self.workers: set[int] = set()
        self.next_care = 0.0
        self.stopping = False
        self.is_watching = False

    def run(self) -> int:
        """Start all and watch until told to stop; 0 after a stop that was asked for."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        self.migrated.unlink(missing_ok=True)
        # The API server shares little with the others and imports the most: it begins first, on the other core.
        self._start("api-server")
        if CAN_FORK:
            load(SHARED_MODULES)
        if not self._migrate():
            self._end_children()
            return 1
        if self.paused:
            pause_all()
        self.migrated.touch()
        for name in ("dag-processor", "triggerer"):
            self._start(name)
        if CAN_FORK:
            load(TASK_MODULES)
        if self._is_orphaned():
            self._end_children()
            return 0
        self._start("scheduler")
        code = self._watch()
        self._end_children()
        return code

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.stopping = True
        if not self.is_watching:
            # Still importing: no task can be running, and PostgreSQL rolls a half-done migration back.
            say("told to stop while starting: stopped")
            os.killpg(os.getpgrp(), signal.SIGKILL)

    def _migrate(self) -> bool:
        """Bring the metadata database up to date; skipped when the stamp says that it is."""
        wanted = version("apache-airflow-core")
        if self.stamp.exists() and self.stamp.read_text(encoding="ascii") == f"{wanted} {schema_head()}":
            return True
        began = time.monotonic()
        pid = self._fork_or_spawn("migrate", ["airflow", "db", "migrate"])
        status = None
        while status is None and not self.stopping:
            done, code = os.waitpid(pid, os.WNOHANG)
            status = code if done else None
            time.sleep(0.05)
        if status != 0:
            say(f"airflow db migrate failed, see {self.logs / 'migrate.log'}")
            return False
        self.stamp.write_text(f"{wanted} {schema_head()}", encoding="ascii")
        say(f"metadata database migrated in {time.monotonic() - began:.1f} s")
        return True

    def _start(self, name: str) -> None:
        pid = self._fork_or_spawn(name, COMMANDS[name])
        self.children[pid] = name
        self.started[name] = time.monotonic()
        say(f"{name} started as {pid}")

    def _fork_or_spawn(self, name: str, command: list[str]) -> int:
        log = self.logs / f"{name}.log"
        before: Callable[[], None] = self._wait_for_schema if name == "api-server" else _nothing
        if not CAN_FORK:
            with log.open("ab") as handle:
                words = [sys.executable, "-m", "include.operate.supervisor", "--component", name]
                if name == "migrate":
                    words = [sys.executable, "-m", *command]
                return subprocess.Popen(words, stdout=handle, stderr=subprocess.STDOUT).pid
        gc.freeze()
        pid = os.fork()
        if pid:
            gc.unfreeze()
            return pid
        code = 1
        try:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(number, signal.SIG_DFL)
            descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.dup2(descriptor, 1)
            os.dup2(descriptor, 2)
            importlib.import_module("setproctitle").setproctitle(" ".join(command))
            code = run_component(command, before)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _wait_for_schema(self) -> None:
        load(API_MODULES)
        while not self.migrated.exists():
            time.sleep(0.05)

    def _is_orphaned(self) -> bool:
        orphaned = self.parent is not None and os.getppid() != self.parent
        if orphaned:
            say("the process that started this stack is gone: stopping")
        return orphaned

    def _watch(self) -> int:
        self.is_watching = True
        while not self.stopping:
            if self._is_orphaned():
                return 0
            pid, status = _exited()
            if pid and (name := self.children.pop(pid, None)):
                code = os.waitstatus_to_exitcode(status)
                if not self._may_start_again(name):
                    say(f"{name} ended again (exit code {code}): giving up")
                    return 1
                say(f"{name} ended with exit code {code}: starting it again")
                if name == "scheduler":
                    self._clear_up_after_scheduler()
                self._start(name)
                continue
            if time.monotonic() >= self.next_care:
                self.next_care = time.monotonic() + CARE_SECONDS
                self._care_for_postgres()
                self._care_for_workers()
            time.sleep(POLL_SECONDS)
        return 0

    def _may_start_again(self, name: str) -> bool:
        """Whether one more start can help: not when it ended too often in a row soon after it was started.

        An end that came with the database says nothing about the component.
        """
        if self._care_for_postgres():
            return True
        settled = time.monotonic() - self.started[name] > SETTLED_SECONDS
        self.early_ends[name] = 0 if settled else self.early_ends.get(name, 0) + 1
        return self.early_ends[name] <= MAX_RESTARTS

    def _care_for_postgres(self) -> bool:
        """Start the embedded PostgreSQL again if nobody listens at its port; whether it had to be."""
        if not self.keeps_postgres or _is_listening(metadata_address()):
            return False
        say("PostgreSQL is gone: starting it again")
        done = subprocess.run(
            [sys.executable, "-m", "include.warehouse.embedded", "start"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
        say((done.stdout if done.returncode == 0 else done.stderr).strip() or f"exit code {done.returncode}")
        if done.returncode:
            self.next_care = time.monotonic() + DATABASE_PAUSE_SECONDS
        return True

    def _care_for_workers(self) -> None:
        """Start the scheduler again when one of its workers is gone.

        Idle workers take turns at a lock, which one that is killed never gives back: no task would be taken from the
        queue any more. And of a task whose worker died the scheduler would hear only when its heartbeats are overdue.
        """
        scheduler = next((pid for pid, name in self.children.items() if name == "scheduler"), None)
        if scheduler is None:
            return
        alive = _workers_of(scheduler)
        lost = self.workers - alive
        self.workers |= alive
        if lost:
            say(f"worker {', '.join(map(str, sorted(lost)))} of the scheduler is gone: starting the scheduler again")
            with contextlib.suppress(ProcessLookupError):
                os.kill(scheduler, signal.SIGKILL)

    def _clear_up_after_scheduler(self) -> None:
        """What a dead scheduler left: its workers with their tasks, and its claim on what was queued or running.

        Another may run the tasks at once, not when the dead one's last heartbeat is half a minute old. Its workers are
        ended first: nobody hears them any more, and they would keep their memory for as long as the stack lives.
        """
        self.workers.clear()
        for process in self._strays():
            with contextlib.suppress(psutil.NoSuchProcess):
                say(f"ended, left behind: {' '.join(process.cmdline())[:60]} ({process.pid})")
                process.kill()
        try:
            release_tasks()
        except Exception as error:  # then the scheduler itself finds them, later
            say(f"tasks of the dead scheduler are not released: {error}".strip())

    def _strays(self) -> list[psutil.Process]:
        """Processes of this group that descend from none of the components alive."""
        group, mine = os.getpgrp(), os.getpid()
        parents: dict[int, int] = {}
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, ProcessLookupError):
                if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                    parents[process.pid] = process.ppid()

        def is_kept(pid: int) -> bool:
            while pid in parents and pid not in self.children and pid != mine:
                pid = parents[pid]
            return pid in self.children

        found = []
        for pid in parents:
            if pid != mine and not is_kept(pid):
                with contextlib.suppress(psutil.NoSuchProcess):
                    found.append(psutil.Process(pid))
        return found

    def _end_children(self) -> None:
        say("stopping")
        for pid in self.children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        began = time.monotonic()
        while self.children:
            pid, _ = _exited()
            if pid:
                say(f"{self.children.pop(pid, pid)} stopped")
                continue
            waited = time.monotonic() - began
            for overdue in [pid for pid, name in self.children.items() if waited > PATIENCE.get(name, STOP_SECONDS)]:
                say(f"{self.children.pop(overdue)} did not stop in time: killed")
            time.sleep(0.05)
        say("stopped")
        sys.stdout.flush()
        # The group holds what the components forked; this process is its leader and goes with it.
        os.killpg(os.getpgrp(), signal.SIGKILL)


def _nothing() -> None:
    return None


def _is_listening(address: tuple[str, int]) -> bool:
    """Whether a server takes connections there; one too busy to answer is not gone."""
    try:
        with socket.create_connection(address, timeout=5):
            return True
    except ConnectionRefusedError:
        return False
    except OSError:
        return True


def _workers_of(scheduler: int) -> set[int]:
    """Live workers of the executor, by the titles they give themselves."""
    found = set()
    with contextlib.suppress(psutil.NoSuchProcess):
        for child in psutil.Process(scheduler).children():
            with contextlib.suppress(psutil.NoSuchProcess):
                if child.status() != psutil.STATUS_ZOMBIE and " ".join(child.cmdline()).startswith(WORKER_TITLE):
                    found.add(child.pid)
    return found


def _exited() -> tuple[int, int]:
    try:
        return os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return 0, 0


def load(modules: Sequence[str]) -> None:
    """Import modules for the forks to share. One that is missing only costs the fork that needs it."""
    began = time.monotonic()
    for module in modules:
        try:
            importlib.import_module(module)
        except ImportError as error:
            say(f"not loaded ahead: {module} ({error})")
    say(f"{modules[0]} and {len(modules) - 1} more loaded in {time.monotonic() - began:.1f} s")


def run_component(command: list[str], before: Callable[[], None] = _nothing) -> int:
    """Be an ``airflow`` command; returns its exit code."""
    before()
    sys.argv = list(command)
    entry = importlib.import_module("airflow.__main__")
    try:
        entry.main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def metadata_url() -> str:
    """libpq URL of Airflow's metadata database."""
    return os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].replace("+psycopg2", "")


def metadata_address() -> tuple[str, int]:
    """Host and port of the server that holds it."""
    parts = urlsplit(metadata_url())
    return parts.hostname or "localhost", parts.port or 5432


def schema_head() -> str:
    """Revision of the metadata database, empty when it has none yet."""
    import psycopg

    with psycopg.connect(metadata_url(), connect_timeout=10) as conn:
        known = conn.execute("select to_regclass('alembic_version')").fetchone()
        if known is None or known[0] is None:
            return ""
        row = conn.execute("select version_num from alembic_version").fetchone()
        return str(row[0]) if row else ""


def pause_all() -> None:
    """Switch every DAG off before the scheduler looks: it would start what an interrupted stack left queued at once."""
    import psycopg

    with psycopg.connect(metadata_url(), connect_timeout=10) as conn:
        conn.execute("update dag set is_paused = true where not is_paused")


def release_tasks() -> None:
    """Say that no scheduler is alive, which it is not while the only one is being started again."""
    import psycopg

    deadline = time.monotonic() + RELEASE_SECONDS
    while True:
        try:
            with psycopg.connect(metadata_url(), connect_timeout=10) as conn:
                conn.execute(
                    "update job set state = 'failed', end_date = now()"
                    " where job_type = 'SchedulerJob' and state = 'running'"
                )
            return
        except psycopg.OperationalError:  # the server may be recovering
            if time.monotonic() > deadline:
                raise
            time.sleep(POLL_SECONDS)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; see the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m include.operate.supervisor", description=__doc__)
    parser.add_argument("--parent", type=int, help="end when this process, which started this one, ends")
    parser.add_argument("--paused", action="store_true", help="begin with every DAG switched off")
    parser.add_argument("--postgres", action="store_true", help="start the embedded PostgreSQL again when it is gone")
    parser.add_argument("--component", choices=sorted(COMMANDS), help="be this one (where forking is unsafe)")
    chosen = parser.parse_args(arguments)
    root = Path(os.environ["AIRFLOW_HOME"])
    supervisor = Supervisor(
        root / "logs", root / "run", chosen.parent, paused=chosen.paused, keeps_postgres=chosen.postgres
    )
    if chosen.component:
        before = supervisor._wait_for_schema if chosen.component == "api-server" else _nothing
        return run_component(COMMANDS[chosen.component], before)
    return supervisor.run()


if __name__ == "__main__":
    sys.exit(main())
