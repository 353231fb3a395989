"""The health check's DAG, the chain's deadlines, what Airflow's API tells the check, metrics on their way."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)

from include.health.airflow import HealthClient
from include.health.rules import span
from include.operate.client import AirflowClient, AirflowRefused
from include.operate.metrics import metrics_environment
from include.settings import Settings, get_settings
from tests.receivers import HOST, free_port

PROJECT_ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def dags() -> dict[str, Any]:
    from airflow.dag_processing.dagbag import DagBag

    return dict(DagBag(str(PROJECT_ROOT / "dags")).dags)


# --- the DAG


def run(dag: Any, monkeypatch: pytest.MonkeyPatch, waiting: dict[str, str]) -> list[tuple[str, float, Any]]:
    """Run the task over a check that found these; the gauges it set."""
    from airflow.sdk.observability import stats

    import include.health.run as health

    gauges: list[tuple[str, float, Any]] = []
    monkeypatch.setattr(stats, "gauge", lambda name, value, tags=None: gauges.append((name, value, tags)))
    figures = [["files_pending", "", 3], ["folder_bytes", "outbox", 10]]
    monkeypatch.setattr(health, "check", lambda: {"figures": figures, "waiting": waiting})
    dag.get_task("look").python_callable()
    return gauges


def test_figures_become_metrics(dags: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(dags["check_health"], monkeypatch, {}) == [
        ("labour.files_pending", 3, None),
        ("labour.folder_bytes", 10, {"folder": "outbox"}),
    ]


def test_a_digest_that_waits_is_tried_again(dags: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.sdk import RetryAction

    from include.health.run import DigestNotSent

    with pytest.raises(DigestNotSent, match="smtp: 连接不上") as waits:
        run(dags["check_health"], monkeypatch, {"smtp": "连接不上"})
    policy = dags["check_health"].get_task("look").retry_policy
    assert policy.evaluate(waits.value, 1, 2).action is RetryAction.RETRY


def test_it_looks_every_half_hour_day_and_night(dags: dict[str, Any]) -> None:
    assert dags["check_health"].timetable.summary == "*/30 * * * *"


# --- deadlines


@pytest.mark.parametrize(
    ("dag_id", "threshold"),
    [
        ("collect_submissions", "late_collect_minutes"),
        ("build_warehouse", "late_build_minutes"),
        ("publish_report", "late_publish_minutes"),
    ],
)
def test_a_run_that_is_late_is_reported_on_a_worker(dags: dict[str, Any], dag_id: str, threshold: str) -> None:
    from airflow.sdk.definitions.callback import SyncCallback
    from airflow.sdk.definitions.deadline import DeadlineReference
    from airflow.serialization.serialized_objects import DagSerialization

    [alert] = dags[dag_id].deadline
    assert alert.reference == DeadlineReference.DAGRUN_QUEUED_AT
    assert alert.interval == span(threshold) > timedelta()
    assert isinstance(alert.callback, SyncCallback)
    assert alert.callback.path == "include.health.late.run_is_late"
    # Airflow stores it and finds it again.
    DagSerialization.from_dict(DagSerialization.to_dict(dags[dag_id]))


# --- what the API says


@pytest.fixture(scope="module")
def api(airflow_core: Any) -> Iterator[str]:
    """Airflow's API on a port."""
    import uvicorn

    server = uvicorn.Server(uvicorn.Config(airflow_core.app, host=HOST, port=free_port(), log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://{HOST}:{server.config.port}"
    server.should_exit = True
    thread.join()


def test_airflow_tells_a_viewer_what_runs_and_what_failed(api: str, airflow_core: Any) -> None:
    admin = AirflowClient(api, "admin", "", is_up=lambda: False)
    admin._token = airflow_core.token("admin", "admin")
    viewer = HealthClient(api, "health", "")
    viewer._token = airflow_core.token("health", "viewer")
    since = datetime.now(UTC) - timedelta(hours=1)

    first = admin.trigger("collect_submissions")
    facts = viewer.facts(failed_since=since)
    assert [(run.run_id, run.state) for run in facts.active] == [(first.run_id, "queued")]
    assert facts.failed == facts.import_errors == facts.waiting == ()
    # The metadata answers; no scheduler has ever run here.
    assert {part.name: part.is_healthy for part in facts.components}["metadatabase"]
    assert not {part.name: part.is_healthy for part in facts.components}["scheduler"]

    admin.fail(first)
    facts = viewer.facts(failed_since=since)
    assert (facts.active, [run.run_id for run in facts.failed]) == ((), [first.run_id])
    assert viewer.facts(failed_since=datetime.now(UTC) + timedelta(hours=1)).failed == ()

    # A later run that went well takes its place.
    second = admin.trigger("collect_submissions")
    path = f"/api/v2/dags/collect_submissions/dagRuns/{second.run_id.replace('+', '%2B')}?update_mask=state"
    admin._send("PATCH", path, {"state": "success"})
    assert viewer.facts(failed_since=since).failed == ()


def test_a_server_that_is_gone_and_a_login_that_is_refused_are_said_at_once(api: str) -> None:
    began = time.monotonic()
    with pytest.raises(AirflowRefused, match="does not answer"):
        HealthClient(f"http://{HOST}:{free_port()}", "health", "x").components()
    refused = HealthClient(api, "health", "wrong")
    assert [part.name for part in refused.components()]
    with pytest.raises(AirflowRefused):
        refused.facts(failed_since=datetime.now(UTC))
    assert time.monotonic() - began < 10


# --- metrics


class Collector:
    """An OpenTelemetry collector: what arrived, by name of the metric."""

    def __init__(self) -> None:
        self.seen: dict[str, list[dict[str, str]]] = {}
        self.services: set[str] = set()
        self.paths: set[str] = set()

    def take(self, path: str, body: bytes) -> bytes:
        self.paths.add(path)
        for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
            self.services |= {
                pair.value.string_value for pair in resource.resource.attributes if pair.key == "service.name"
            }
            for metric in (metric for scope in resource.scope_metrics for metric in scope.metrics):
                for point in getattr(metric, metric.WhichOneof("data")).data_points:
                    tags = {pair.key: pair.value.string_value for pair in point.attributes}
                    self.seen.setdefault(metric.name, []).append(tags)
        return ExportMetricsServiceResponse().SerializeToString()


@pytest.fixture
def collector() -> Iterator[tuple[str, Collector]]:
    """A collector on the loopback interface: OTLP over HTTP, messages as opentelemetry-proto has them."""
    record = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            answer = record.take(
                self.path, gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body
            )
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *arguments: Any) -> None:
            """Nothing on the terminal."""

    with ThreadingHTTPServer((HOST, 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://{HOST}:{server.server_address[1]}", record
        server.shutdown()
        thread.join()


RUN_THE_CHECK = """
from airflow.dag_processing.dagbag import DagBag
from airflow._shared.observability.metrics import stats
from airflow.observability.metrics import stats_utils
stats.initialize(factory=stats_utils.get_stats_factory(), export_legacy_names=False)
run = DagBag().dags["check_health"].test()
assert run.state == "success", run.state
"""


def test_one_setting_sends_airflows_metrics_and_ours(
    collector: tuple[str, Collector], airflow_core: Any, clean_warehouse: str, tmp_path: Path
) -> None:
    url, record = collector
    # This DAG alone: to test one, Airflow reads the whole folder.
    shutil.copy(PROJECT_ROOT / "dags" / "check_health.py", tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "include.operate.metrics", sys.executable, "-c", RUN_THE_CHECK],
        cwd=PROJECT_ROOT,
        env={
            **os.environ,
            "METRICS_URL": url,
            "PYTHONPATH": str(PROJECT_ROOT),
            "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path),
        },
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert (record.services, record.paths) == ({"labour-reporting"}, {"/v1/metrics"})
    assert any(tags["dag_id"] == "check_health" for tags in record.seen["airflow.dagrun.duration.success"])
    assert any(tags.get("task_id") == "look" for tags in record.seen["airflow.ti.finish"])
    assert record.seen["airflow.labour.files_pending"] == [{}]
    folders = {tags["folder"] for tags in record.seen["airflow.labour.folder_bytes"]}
    assert folders == {"inbox", "landing", "outbox", "work", "drafts", "logs"}


def test_without_the_setting_nothing_is_switched_on() -> None:
    import dataclasses

    settings: Settings = get_settings()
    assert metrics_environment(settings) == {}
    on = metrics_environment(dataclasses.replace(settings, metrics_url="http://collector:4318/"))
    assert on["AIRFLOW__METRICS__OTEL_ON"] == "True"
    assert on["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://collector:4318"
    shown = subprocess.run(
        [sys.executable, "-m", "include.operate.metrics", "env"],
        cwd=PROJECT_ROOT, env={**os.environ, "METRICS_URL": ""}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "OTEL" not in shown.stdout


def test_airflow_knows_every_setting_of_the_metrics() -> None:
    import dataclasses

    from airflow.configuration import conf

    on = metrics_environment(dataclasses.replace(get_settings(), metrics_url="http://collector:4318"))
    for name in on:
        if name.startswith("AIRFLOW__"):
            section, key = name.removeprefix("AIRFLOW__").lower().split("__")
            assert key in conf.configuration_description[section]["options"], name
