"""The embedded PostgreSQL: what it promises about passwords, crashes, ports, concurrent starts and closed folders."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from include.settings import PROJECT_ROOT, get_settings
from include.warehouse import embedded
from include.warehouse.connection import WarehouseUnreachableError, connect


@pytest.fixture
def var(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A ``VAR_DIR`` of its own below a folder that only its owner may enter."""
    closed = Path(tempfile.mkdtemp(prefix="labour-closed-")).resolve()
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    folder = closed / "var"
    monkeypatch.setenv("VAR_DIR", str(folder))
    get_settings.cache_clear()
    yield folder
    embedded.stop()
    monkeypatch.undo()
    get_settings.cache_clear()
    shutil.rmtree(closed)


def run(module: str, *arguments: str, var: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=PROJECT_ROOT,
        env={**os.environ, "VAR_DIR": str(var)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def value(query: str, database: str = "labour") -> object:
    with psycopg.connect(embedded.url(database)) as conn:
        row = conn.execute(query).fetchone()
    assert row is not None
    return row[0]


def remember(number: int) -> None:
    with psycopg.connect(embedded.url()) as conn:
        conn.execute("create table public.remembered as select %s as n", [number])


def kill_postmaster() -> None:
    pid = embedded.status().pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while embedded.status().pid is not None:
        assert time.monotonic() < deadline


def test_a_first_start_makes_a_closed_server_with_both_databases(var: Path) -> None:
    state = embedded.start()
    assert (state.running, state.host) == (True, "127.0.0.1")
    assert embedded.start().pid == state.pid
    assert [value("select current_database()", name) for name in ("labour", "airflow")] == ["labour", "airflow"]
    settings = {
        name: value(f"select current_setting('{name}')")
        for name in (
            "listen_addresses",
            "unix_socket_directories",
            "TimeZone",
            "server_encoding",
            "password_encryption",
        )
    }
    assert settings == {
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "TimeZone": "Asia/Shanghai",
        "server_encoding": "UTF8",
        "password_encryption": "scram-sha-256",
    }
    assert value("select distinct datcollate from pg_database where datname in ('labour', 'airflow')") == "C"
    assert value("select string_agg(distinct auth_method, ',') from pg_hba_file_rules") == "scram-sha-256"
    login = var / "postgres" / "connection.json"
    assert stat.S_IMODE(login.stat().st_mode) == 0o600
    assert len(json.loads(login.read_text())["password"]) >= 32
    assert stat.S_IMODE((var / "postgres" / "data").stat().st_mode) == 0o700


def test_a_folder_closed_to_others_is_used_and_not_opened(var: Path) -> None:
    state = embedded.start()
    assert stat.S_IMODE(var.parent.stat().st_mode) == 0o700
    owner = psutil.Process(state.pid).uids().real
    if os.geteuid() == 0:
        assert owner != 0
        assert "no folder's mode was changed" in state.note
    else:
        assert owner == os.geteuid()
        assert state.note == ""
    assert (var / "postgres" / "data").stat().st_uid == owner
    assert var.stat().st_uid == os.geteuid()


def test_a_wrong_password_is_refused_at_once_and_never_shown(var: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    embedded.start()
    wrong = embedded.url().replace("labour:", "labour:wrong-")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong)
    monkeypatch.setenv("WAREHOUSE_URL", wrong)
    get_settings.cache_clear()
    began = time.monotonic()
    with pytest.raises(WarehouseUnreachableError, match="password authentication failed") as caught:
        connect()
    assert time.monotonic() - began < 5
    assert "wrong-" not in str(caught.value)


def test_after_kill_9_the_data_and_the_port_are_the_same(var: Path) -> None:
    port = embedded.start().port
    remember(42)
    kill_postmaster()
    assert not embedded.status().running
    state = embedded.start()
    assert (state.port, value("select n from public.remembered")) == (port, 42)


def test_connect_starts_a_server_that_was_killed(var: Path) -> None:
    embedded.start()
    remember(7)
    kill_postmaster()
    with connect() as conn:
        assert conn.execute("select n, current_setting('TimeZone') from public.remembered").fetchone() == (
            7,
            "Asia/Shanghai",
        )


def test_busy_processes_of_a_killed_server_are_ended_before_the_next(var: Path) -> None:
    embedded.start()
    remember(1)
    conn = psycopg.connect(embedded.url())
    backend = conn.info.backend_pid
    os.kill(backend, signal.SIGSTOP)  # it cannot notice that its postmaster is gone
    kill_postmaster()
    assert embedded.start().running
    conn.close()
    assert not psutil.pid_exists(backend) or psutil.Process(backend).status() == psutil.STATUS_ZOMBIE
    assert value("select n from public.remembered") == 1


def test_the_number_of_a_dead_server_taken_by_another_program(var: Path) -> None:
    embedded.start()
    remember(5)
    pid_file = var / "postgres" / "data" / "postmaster.pid"
    left = pid_file.read_text().splitlines()
    kill_postmaster()
    pid_file.write_text("\n".join([str(os.getpid()), *left[1:]]) + "\n")
    embedded.start()
    assert value("select n from public.remembered") == 5


def test_a_port_taken_by_another_program_is_given_up(var: Path) -> None:
    port = embedded.start().port
    remember(3)
    assert embedded.stop()
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port or 0))
        other.listen()
        state = embedded.start()
        assert state.running
        assert state.port != port
        assert value("select n from public.remembered") == 3


def test_starts_at_the_same_time_make_one_server(var: Path) -> None:
    command = [sys.executable, "-m", "include.warehouse.embedded", "start"]
    environment = {**os.environ, "VAR_DIR": str(var)}
    several = [
        subprocess.Popen(command, cwd=PROJECT_ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for _ in range(3)
    ]
    outputs = [process.communicate(timeout=120)[0].decode() for process in several]
    assert [process.returncode for process in several] == [0, 0, 0], outputs
    # It outlives those that started it, and each of them was told of the same one.
    state = embedded.status()
    assert state.running
    assert all(f"process {state.pid}," in output for output in outputs)


def test_a_first_start_that_was_interrupted_is_begun_anew(var: Path) -> None:
    partial = var / "postgres" / "data.partial" / "cluster"
    partial.mkdir(parents=True)
    (partial / "PG_VERSION").write_text("18\n")
    embedded.start()
    assert value("select 1") == 1
    assert not partial.parent.exists()


def test_stop_leaves_no_process_and_says_when_there_was_none(var: Path) -> None:
    pid = embedded.start().pid
    children = psutil.Process(pid).children()
    assert embedded.stop()
    for process in [*children, psutil.Process(pid)] if psutil.pid_exists(pid or 0) else children:
        assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    assert not embedded.stop()
    assert not embedded.status().running


def test_a_lost_password_is_an_error_that_says_what_to_do(var: Path) -> None:
    embedded.start()
    embedded.stop()
    (var / "postgres" / "connection.json").unlink()
    with pytest.raises(
        embedded.EmbeddedPostgresError, match=r"restore it from a backup, or remove .* empty warehouse$"
    ):
        embedded.start()


def test_the_commands_and_their_exit_codes(var: Path) -> None:
    idle = run("include.warehouse.embedded", "status", var=var)
    assert (idle.returncode, "is not running" in idle.stdout) == (3, True)
    shell = run("include.warehouse.connection", "psql", "-Atc", "select 40 + 2", var=var)
    assert (shell.returncode, shell.stdout.splitlines()[-1]) == (0, "42")
    listed = run("include.warehouse.connection", "psql", "-Atc", r"\! tr '\0' ' ' < /proc/$PPID/cmdline", var=var)
    assert json.loads((var / "postgres" / "connection.json").read_text())["password"] not in listed.stdout
    assert run("include.warehouse.migrate", var=var).stdout.startswith("applied 0001_intake.sql")
    assert run("include.warehouse.migrate", var=var).stdout == "the warehouse is up to date\n"
    assert run("include.warehouse.embedded", "stop", var=var).stdout == "PostgreSQL stopped\n"
