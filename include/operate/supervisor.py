"""Runs Airflow's components as one process group and keeps them running.

``python -m include.operate.supervisor`` is started by :mod:`include.operate.airflow`, in a session of its own.

Most of Airflow's start is imports. So this process imports them once and forks the components from it, and it imports
what the tasks need (pandas, Great Expectations, dbt) before it forks the scheduler: the executor's workers and the
tasks are forks of the scheduler in turn and find these loaded. Modules of this project are never imported here, so an
edited file counts from the next task on. Where forking after imports is unsafe (macOS), every component is a fresh
interpreter instead.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from types import FrameType

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
# A component that keeps dying will not be mended by one more start; one that dies once a month is.
MAX_RESTARTS = 3
RESTART_SECONDS = 600.0
POLL_SECONDS = 0.2
# A component that is not done stopping after this long is killed with the group. These two have nothing to lose (no
# task here is deferred), and now and then hang: in the middle of a round, or asking the API server that is gone first.
STOP_SECONDS = 9.0
PATIENCE = {"dag-processor": 2.0, "triggerer": 2.0}


def say(text: str) -> None:
    """One line into the supervisor's log."""
    print(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}", flush=True)


class Supervisor:
    """Starts the components in order, starts a dead one again, ends all on a signal."""

    def __init__(self, logs: Path, run: Path, parent: int | None, *, paused: bool = False) -> None:
        self.logs = logs
        self.paused = paused
        self.migrated = run / "migrated"
        self.stamp = run / "schema"
        self.parent = parent
        self.children: dict[int, str] = {}
        self.restarts: dict[str, list[float]] = {}
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
                now = time.monotonic()
                lately = [then for then in self.restarts.get(name, []) if now - then < RESTART_SECONDS]
                self.restarts[name] = [*lately, now]
                code = os.waitstatus_to_exitcode(status)
                if len(self.restarts[name]) > MAX_RESTARTS:
                    say(f"{name} ended again (exit code {code}): giving up")
                    return 1
                say(f"{name} ended with exit code {code}: starting it again")
                self._start(name)
                continue
            time.sleep(POLL_SECONDS)
        return 0

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


def schema_head() -> str:
    """Revision of the metadata database, empty when it has none yet."""
    import psycopg

    url = os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].replace("+psycopg2", "")
    with psycopg.connect(url, connect_timeout=10) as conn:
        known = conn.execute("select to_regclass('alembic_version')").fetchone()
        if known is None or known[0] is None:
            return ""
        row = conn.execute("select version_num from alembic_version").fetchone()
        return str(row[0]) if row else ""


def pause_all() -> None:
    """Switch every DAG off before the scheduler looks: it would start what an interrupted stack left queued at once."""
    import psycopg

    url = os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].replace("+psycopg2", "")
    with psycopg.connect(url, connect_timeout=10) as conn:
        conn.execute("update dag set is_paused = true where not is_paused")


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; see the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m include.operate.supervisor", description=__doc__)
    parser.add_argument("--parent", type=int, help="end when this process, which started this one, ends")
    parser.add_argument("--paused", action="store_true", help="begin with every DAG switched off")
    parser.add_argument("--component", choices=sorted(COMMANDS), help="be this one (where forking is unsafe)")
    chosen = parser.parse_args(arguments)
    root = Path(os.environ["AIRFLOW_HOME"])
    supervisor = Supervisor(root / "logs", root / "run", chosen.parent, paused=chosen.paused)
    if chosen.component:
        before = supervisor._wait_for_schema if chosen.component == "api-server" else _nothing
        return run_component(COMMANDS[chosen.component], before)
    return supervisor.run()


if __name__ == "__main__":
    sys.exit(main())
