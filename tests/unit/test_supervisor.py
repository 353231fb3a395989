"""What the supervisor does about each process that is killed. The processes are real; none of them is Airflow."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from include.operate import supervisor
from include.operate.supervisor import MAX_RESTARTS, SETTLED_SECONDS, WORKER_TITLE, Supervisor
from include.settings import PROJECT_ROOT, get_settings
from include.warehouse import embedded

# Stands for the scheduler: two workers under the titles that Airflow's have, each with a task of its own.
SCHEDULER = f"""
import subprocess, sys, time
from multiprocessing import Process
from setproctitle import setproctitle

def work():
    setproctitle("{WORKER_TITLE}: <idle>")
    subprocess.run(["sleep", "60"])

workers = [Process(target=work) for _ in range(2)]
for one in workers:
    one.start()
print("working", flush=True)
time.sleep(60)
"""
# Stands for the supervisor of such a scheduler that is killed: what it left is ended, another component's child is not.
CLEARING = f"""
import os, signal, subprocess, sys, time
from pathlib import Path
from include.operate import supervisor

def start(text):
    process = subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE)
    process.stdout.readline()
    return process

supervisor.release_tasks = lambda: print("released", flush=True)
own = supervisor.Supervisor(Path("."), Path("."), None)
scheduler, other = start({SCHEDULER!r}), start({SCHEDULER!r})
own.children = {{other.pid: "triggerer"}}
time.sleep(1)
before = len(own._strays())
scheduler.kill(); scheduler.wait()
kept = {{child.pid for child in supervisor.psutil.Process(other.pid).children(recursive=True)}}
own._clear_up_after_scheduler()
time.sleep(0.5)
print(before, len(own._strays()), all(supervisor.psutil.pid_exists(pid) for pid in kept), len(kept), flush=True)
os.killpg(os.getpgrp(), signal.SIGKILL)
"""


def own(tmp_path: Path, **options: bool) -> Supervisor:
    return Supervisor(tmp_path, tmp_path, None, **options)


def until(holds: Callable[[], object], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def test_a_component_is_given_up_only_when_it_keeps_dying_at_its_start(tmp_path: Path) -> None:
    one = own(tmp_path)
    one.started["scheduler"] = time.monotonic()
    assert [one._may_start_again("scheduler") for _ in range(MAX_RESTARTS + 1)] == [True] * MAX_RESTARTS + [False]
    # One that ran for a while begins anew, however often that was.
    for _ in range(2 * MAX_RESTARTS):
        one.started["scheduler"] = time.monotonic() - SETTLED_SECONDS - 1
        assert one._may_start_again("scheduler")


@pytest.fixture
def scheduler() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", SCHEDULER], stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == b"working\n"
    yield process
    process.kill()
    process.wait()


def test_the_scheduler_of_a_killed_worker_is_started_again(tmp_path: Path, scheduler: subprocess.Popen[bytes]) -> None:
    one = own(tmp_path)
    one.children = {scheduler.pid: "scheduler"}
    until(lambda: len(supervisor._workers_of(scheduler.pid)) == 2)
    one._care_for_workers()
    one._care_for_workers()
    assert scheduler.poll() is None and len(one.workers) == 2
    tasks = [child.children()[0] for child in psutil.Process(scheduler.pid).children()]
    os.kill(min(one.workers), signal.SIGKILL)
    until(lambda: len(supervisor._workers_of(scheduler.pid)) == 1)
    one._care_for_workers()
    assert scheduler.wait(10) == -signal.SIGKILL
    for process in [*map(psutil.Process, one.workers - {min(one.workers)}), *tasks]:
        process.kill()


def test_what_a_dead_scheduler_left_is_ended_and_its_tasks_are_released() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CLEARING],
        cwd=PROJECT_ROOT, start_new_session=True, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    # Before: the scheduler (of which nothing is known here), two workers, two tasks. Kept: the other one's four.
    assert "released" in done.stdout, done.stderr
    assert done.stdout.splitlines()[-1] == "5 0 True 4", done.stdout + done.stderr


def test_a_killed_postgres_is_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Not below pytest's folder, which is closed to the server's user.
    var = get_settings().var.parent / "supervised"
    monkeypatch.setenv("VAR_DIR", str(var))
    get_settings.cache_clear()
    try:
        pid = embedded.start().pid
        url = embedded.url(embedded.AIRFLOW_DATABASE)
        monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", url.replace("postgresql:", "postgresql+psycopg2:"))
        one = own(tmp_path, keeps_postgres=True)
        assert one._care_for_postgres() is False
        with psycopg.connect(url, autocommit=True) as conn:
            conn.execute("create table job (job_type text, state text, end_date timestamptz)")
            conn.execute("insert into job values ('SchedulerJob', 'running'), ('TriggererJob', 'running')")
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
        assert own(tmp_path)._care_for_postgres() is False  # not one's own
        # The end of a component that came with it is not counted against the component.
        one.started["scheduler"] = time.monotonic()
        assert one._may_start_again("scheduler") and one.early_ends == {}
        assert embedded.status().running and embedded.status().pid != pid
        supervisor.release_tasks()
        with psycopg.connect(url) as conn:
            rows = conn.execute("select job_type, state, end_date is not null from job order by 1").fetchall()
        assert rows == [("SchedulerJob", "failed", True), ("TriggererJob", "running", False)]
    finally:
        embedded.stop()
        monkeypatch.undo()
        get_settings.cache_clear()
