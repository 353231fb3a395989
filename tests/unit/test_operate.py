"""The drivers' own parts: one at a time, patience with a server that restarts, and taking up what was interrupted."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from include.operate import airflow, chain
from include.operate.client import AirflowClient, AirflowRefused, DagRun
from include.settings import PROJECT_ROOT, get_settings


@pytest.fixture
def var(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("VAR_DIR", str(tmp_path))
    get_settings.cache_clear()
    yield tmp_path
    monkeypatch.undo()
    get_settings.cache_clear()


def start_driver(var: Path) -> subprocess.Popen[str]:
    """Another process that drives, until it is ended."""
    words = "import sys, time; from include.operate import airflow; sys.argv = ['-m', 'include.operate']\n"
    words += "with airflow.driving('demo'):\n    print('driving', flush=True); time.sleep(60)"
    process = subprocess.Popen(
        [sys.executable, "-c", words, "include.operate"],
        cwd=PROJECT_ROOT, env={**os.environ, "VAR_DIR": str(var)}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None and process.stdout.readline() == "driving\n"
    return process


def test_a_second_demo_is_refused_and_told_who_drives(var: Path) -> None:
    first = start_driver(var)
    try:
        with (
            pytest.raises(
                airflow.AirflowNotStarted, match=rf"another `make demo` is under way \(process {first.pid}\)"
            ),
            airflow.driving("run"),
        ):
            pytest.fail("two drive at once")
    finally:
        first.kill()
        first.wait()
    # A driver that was killed holds nothing.
    with airflow.driving("run"):
        pass


def test_down_ends_the_driver_first(var: Path) -> None:
    assert airflow.end_driver() is False
    first = start_driver(var)
    began = time.monotonic()
    assert airflow.end_driver() is True
    assert first.wait(5) == -signal.SIGTERM
    assert time.monotonic() - began < 10
    assert airflow.end_driver() is False


def test_a_stack_without_a_browser_takes_none_of_the_known_ports() -> None:
    with socket.socket() as taken:
        taken.bind((airflow.HOST, 0))
        taken.listen()
        assert airflow._port(taken.getsockname()[1]) in airflow.PORTS
    assert airflow._port(None) in airflow.PORTS


class _Server(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self._answer({"access_token": "t"} if self.path == "/auth/token" else {})

    def do_GET(self) -> None:
        self._answer({"seen": self.path})

    def _answer(self, document: Any) -> None:
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


def test_a_server_that_is_being_started_again_is_waited_for() -> None:
    with socket.socket() as probe:
        probe.bind((airflow.HOST, 0))
        port = probe.getsockname()[1]
    servers: list[HTTPServer] = []

    def start() -> None:
        time.sleep(1.2)
        servers.append(HTTPServer((airflow.HOST, port), _Server))
        servers[0].serve_forever()

    thread = threading.Thread(target=start)
    thread.start()
    client = AirflowClient(f"http://{airflow.HOST}:{port}", "u", "p")
    try:
        # Both: the POST met no server at all, so it cannot have been carried out.
        assert client._send("POST", "/api/v2/x", {}) == {}
        assert client._get("/y") == {"seen": "/api/v2/y"}
    finally:
        servers[0].shutdown()
        servers[0].server_close()
        thread.join()
    began = time.monotonic()
    with pytest.raises(AirflowRefused, match="does not answer"):
        AirflowClient(client.url, "u", "p", is_up=lambda: False)._get("/y")
    assert time.monotonic() - began < 5
    assert client.is_healthy() is False


class _Shaky(_Server):
    """Its database is away at first, and it loses the answer to the first run that it starts."""

    refused = 2
    runs: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        if type(self).refused:
            type(self).refused -= 1
            self.send_error(500)
        elif self.path.startswith("/api/v2/dags/d/dagRuns/"):
            run_id = urllib.parse.unquote(self.path.rsplit("/", 1)[1])
            self._answer({"dag_id": "d", "dag_run_id": run_id, "state": "queued", "run_type": "manual",
                          "run_after": "2026-11-22T12:00:00Z"})  # fmt: skip
        else:
            super().do_GET()

    def do_POST(self) -> None:
        if not self.path.endswith("/dagRuns"):
            super().do_POST()
            return
        run_id = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["dag_run_id"]
        if run_id in self.runs:
            self.send_error(409)
            return
        self.runs.append(run_id)
        self.connection.close()


def test_a_server_whose_database_is_away_is_waited_for_and_starts_a_run_once() -> None:
    server = HTTPServer((airflow.HOST, 0), _Shaky)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        client = AirflowClient(f"http://{airflow.HOST}:{server.server_port}", "u", "p")
        assert client._get("/y") == {"seen": "/api/v2/y"}
        assert _Shaky.refused == 0
        run = client.trigger("d", period="2026-01")
        assert [run.run_id] == _Shaky.runs and run.is_active
        _Shaky.refused = 1
        with pytest.raises(AirflowRefused, match="HTTP 500"):
            client._send("GET", "/z", patience=0.0)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def dag_run(dag_id: str, period: str, state: str, minute: int) -> DagRun:
    at = NOON + timedelta(minutes=minute)
    return DagRun(dag_id, f"{dag_id} {period} {minute}", state, period, "manual", at, at, at)


class _Airflow:
    """As much of Airflow as the two functions below ask of it."""

    def __init__(self, runs: list[DagRun], announced: list[str]) -> None:
        self.all = runs
        self.waiting = announced
        self.triggered: list[tuple[str, str]] = []

    def runs(self, dag_id: str, *, states: Any = ()) -> list[DagRun]:
        return [run for run in self.all if run.dag_id == dag_id and (not states or run.state in states)]

    def announced(self, dag_id: str) -> list[str]:
        if dag_id != chain.BUILD or not self.waiting:
            return []
        period = self.waiting.pop(0)
        self.all.append(dag_run(chain.BUILD, period, "queued", 9))
        return [period]

    def fail(self, run: DagRun) -> None:
        self.all[self.all.index(run)] = replace(run, state="failed")

    def trigger(self, dag_id: str, *, conf: Any = None, period: str | None = None) -> DagRun:
        self.triggered.append((dag_id, period or ""))
        run = dag_run(dag_id, period or "", "success", 10)
        self.all.append(run)
        return run


def test_what_was_interrupted_is_failed_with_the_events_that_had_no_run_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain, "POLL_SECONDS", 0.0)
    runs = [dag_run(chain.BUILD, "2026-01", "running", 1), dag_run(chain.PUBLISH, "2026-01", "success", 0)]
    server = _Airflow(runs, ["2026-02", "2026-03"])
    chain.end_interrupted(server, lambda _: None)  # type: ignore[arg-type]
    states = {(run.dag_id, run.period): run.state for run in server.all}
    assert states == {
        (chain.BUILD, "2026-01"): "failed",
        (chain.PUBLISH, "2026-01"): "success",
        (chain.BUILD, "2026-02"): "failed",
        (chain.BUILD, "2026-03"): "failed",
    }


def test_a_run_killed_after_its_last_word_in_the_ledger_is_run_once_more() -> None:
    runs = [
        dag_run(chain.BUILD, "2026-01", "failed", 1),
        dag_run(chain.BUILD, "2026-01", "success", 2),
        dag_run(chain.PUBLISH, "2026-01", "failed", 3),
    ]
    server = _Airflow(runs, [])
    watch = chain._Watch(server, lambda _: None, chain.ChainResult())  # type: ignore[arg-type]
    by_hand: set[tuple[str, str]] = set()
    told: list[str] = []
    assert chain._is_settled(server, ["2026-01"], watch, by_hand, told.append) is False  # type: ignore[arg-type]
    assert server.triggered == [(chain.PUBLISH, "2026-01")]
    assert chain._is_settled(server, ["2026-01"], watch, by_hand, told.append) is True  # type: ignore[arg-type]
    assert len(server.triggered) == len(told) == 1
