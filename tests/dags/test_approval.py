"""The report's DAG through a real Airflow: a person answers over Airflow's own interface, and the ledger has it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from include.ledger import entries
from include.pipeline import publish
from include.settings import get_settings
from include.warehouse.connection import connect
from tests.ready_reports import FIGURES, PERIOD, ReadyReports, changed

DAG = "publish_report"
OTHER = changed(province="43", county_450721="31")


class Airflow:
    """Runs of the DAG, task by task as the scheduler would take them, and the web interface a person uses."""

    def __init__(self, dag: Any, client: Any) -> None:
        self._dag = dag
        self._client = client
        self._runs = 0

    def start(self, period: str = PERIOD) -> str:
        """A run of the period as far as it goes by itself; its id."""
        from airflow.models.dagrun import DagRun
        from airflow.sdk import DagRunState, timezone
        from airflow.utils.session import create_session
        from airflow.utils.types import DagRunTriggeredByType, DagRunType

        self._runs += 1
        run_id = f"run-{self._runs}"
        stored = self._stored()
        with create_session() as session:
            made: DagRun = stored.create_dagrun(
                run_id=run_id,
                logical_date=None,
                data_interval=None,
                run_after=timezone.utcnow(),
                run_type=DagRunType.MANUAL,
                state=DagRunState.RUNNING,
                triggered_by=DagRunTriggeredByType.TEST,
                partition_key=period,
                session=session,
            )
            assert made.partition_key == period
        self.go_on(run_id)
        return run_id

    def _stored(self) -> Any:
        """The DAG as the scheduler knows it, but for its deadline, which the metadata hold in a row of its own."""
        from airflow.serialization.serialized_objects import DagSerialization

        stored = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(self._dag))
        stored.deadline = None
        return stored

    def go_on(self, run_id: str) -> None:
        """Run whatever task can run, until none can."""
        from airflow.models.dagrun import DagRun
        from airflow.sdk import timezone
        from airflow.sdk.definitions.dag import _run_task
        from airflow.settings import Session
        from airflow.utils.state import TaskInstanceState
        from sqlalchemy import select

        session = Session()
        run = session.scalar(select(DagRun).where(DagRun.dag_id == DAG, DagRun.run_id == run_id))
        assert run is not None
        run.dag = self._stored()
        while True:
            session.expire_all()
            for instance in run.update_state(session=session)[0]:
                instance.try_number += 1
                instance.state = TaskInstanceState.SCHEDULED
                instance.scheduled_dttm = timezone.utcnow()
            session.commit()
            ready = [one for one in run.get_task_instances(session=session) if one.state == "scheduled"]
            if not ready:
                break
            for instance in ready:
                _run_task(ti=instance, task=self._dag.task_dict[instance.task_id])
        session.close()

    def states(self, run_id: str) -> dict[str, str]:
        """Task to state."""
        found = self._get(f"dagRuns/{run_id}/taskInstances")["task_instances"]
        return {one["task_id"]: one["state"] for one in found}

    def request(self, run_id: str) -> dict[str, Any]:
        """What a person sees."""
        return self._get(f"dagRuns/{run_id}/taskInstances/approve/-1/hitlDetails")

    def answer(self, run_id: str, option: str, reason: str = "") -> None:
        """What a person clicks; then the run goes on."""
        response = self._client.patch(
            f"/api/v2/dags/{DAG}/dagRuns/{run_id}/taskInstances/approve/-1/hitlDetails",
            json={"chosen_options": [option], "params_input": {"reason": reason}},
        )
        assert response.status_code == 200, response.text
        self.go_on(run_id)

    def let_time_pass(self, run_id: str) -> None:
        """The time limit of every waiting request is over; the scheduler looks after them."""
        from airflow.jobs.job import Job
        from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
        from airflow.models.taskinstance import TaskInstance
        from airflow.sdk import timezone
        from airflow.utils.session import create_session
        from sqlalchemy import update

        with create_session() as session:
            session.execute(
                update(TaskInstance)
                .where(TaskInstance.state == "awaiting_input")
                .values(trigger_timeout=timezone.utcnow() - timedelta(seconds=1))
            )
        SchedulerJobRunner(job=Job()).check_awaiting_input_timeouts()
        self.go_on(run_id)

    def _get(self, path: str) -> Any:
        response = self._client.get(f"/api/v2/dags/{DAG}/{path}")
        assert response.status_code == 200, response.text
        return response.json()


@pytest.fixture(scope="module")
def airflow(airflow_core: Any) -> Iterator[Airflow]:
    """The DAG as it is in ``dags/``, and the web interface as its user sees it."""
    from fastapi.testclient import TestClient

    headers = {"Authorization": f"Bearer {airflow_core.token('李四', 'ADMIN')}"}
    with TestClient(airflow_core.app, headers=headers) as client:
        yield Airflow(airflow_core.dags[DAG], client)


@pytest.fixture
def figures(inbox: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """A month that is built; what the report prints of it can be changed."""
    shown: dict[str, Any] = {"now": FIGURES}
    with connect() as conn:
        conn.execute(
            "insert into intake.reporting_period (period, due_on, closes_on, state)"
            " values (%s, '2026-04-08', '2026-04-15', 'closed')",
            (PERIOD,),
        )
        entries.record_build(conn, PERIOD, "test", entries.input_hash(conn, PERIOD), {})
        conn.commit()
    monkeypatch.setattr(publish, "_Report", lambda: ReadyReports(shown["now"]))
    monkeypatch.setenv("REPORT_APPROVAL", "on")
    get_settings.cache_clear()
    yield shown


def decisions() -> list[tuple[Any, ...]]:
    with connect() as conn:
        return conn.execute(
            "select draft_no, event, actor, reason_zh from intake.report_event where event in ('approved', 'refused')"
            " order by event_id"
        ).fetchall()


def outbox() -> list[str]:
    return sorted(path.name for path in (get_settings().outbox / PERIOD).glob("*.docx"))


def test_approved_it_goes_out(airflow: Airflow, figures: dict[str, Any]) -> None:
    run = airflow.start()
    assert airflow.states(run) == {
        "gate": "success", "render": "success", "approve": "awaiting_input", "deliver": None,
    }  # fmt: skip
    seen = airflow.request(run)
    assert seen["subject"] == "2026年3月月报待批准：定稿"
    assert "6 个数字均由原始数据另行计算核对，全部一致" in seen["body"]
    assert seen["params"]["reason"]["schema"]["title"] == "理由 Reason"
    assert outbox() == []
    airflow.answer(run, "Approve")
    assert set(airflow.states(run).values()) == {"success"}
    assert decisions() == [(1, "approved", "李四", "")]
    assert outbox() == ["月报.docx"]
    # Another run with the same figures asks nobody and sends nothing.
    assert set(airflow.states(airflow.start()).values()) == {"success"}
    assert decisions() == [(1, "approved", "李四", "")]


def test_refused_nothing_goes_out_and_the_same_figures_are_not_asked_about(
    airflow: Airflow, figures: dict[str, Any]
) -> None:
    run = airflow.start()
    airflow.answer(run, "Reject")
    # A refusal needs a reason: the request stands again.
    assert airflow.states(run)["approve"] == "awaiting_input"
    assert decisions() == []
    airflow.answer(run, "Reject", "灵山县数字偏大")
    assert airflow.states(run) == {
        "gate": "success", "render": "success", "approve": "success", "deliver": "skipped",
    }  # fmt: skip
    assert decisions() == [(1, "refused", "李四", "灵山县数字偏大")]
    assert airflow.states(airflow.start()) == {
        "gate": "success", "render": "skipped", "approve": "skipped", "deliver": "skipped",
    }  # fmt: skip
    figures["now"] = OTHER
    other = airflow.start()
    assert airflow.states(other)["approve"] == "awaiting_input"
    airflow.answer(other, "Approve")
    assert outbox() == ["月报.docx"]


def test_two_runs_ask_once_and_an_older_request_lapses(airflow: Airflow, figures: dict[str, Any]) -> None:
    first = airflow.start()
    # The same figures: the request of the first run is still to be seen.
    assert airflow.states(airflow.start())["approve"] == "skipped"
    figures["now"] = OTHER
    second = airflow.start()
    assert [airflow.states(run)["approve"] for run in (first, second)] == ["awaiting_input", "awaiting_input"]
    airflow.answer(first, "Approve")
    assert airflow.states(first)["deliver"] == "skipped"
    assert decisions() == []
    assert outbox() == []
    airflow.answer(second, "Approve")
    assert decisions() == [(2, "approved", "李四", "")]
    assert outbox() == ["月报.docx"]


def test_a_request_that_nobody_answers_looks_now_and_then_whether_it_still_stands(
    airflow: Airflow, figures: dict[str, Any]
) -> None:
    run = airflow.start()
    airflow.let_time_pass(run)
    assert airflow.states(run)["approve"] == "awaiting_input"
    figures["now"] = OTHER
    newer = airflow.start()
    airflow.let_time_pass(run)
    assert airflow.states(run)["approve"] == "skipped"
    airflow.go_on(newer)
    airflow.answer(newer, "Approve")
    assert decisions() == [(2, "approved", "李四", "")]


def test_without_approval_nobody_is_asked(
    airflow: Airflow, figures: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REPORT_APPROVAL", "off")
    get_settings.cache_clear()
    assert set(airflow.states(airflow.start()).values()) == {"success"}
    assert decisions() == [(1, "approved", "系统", "未设审批，自动发布")]
    assert outbox() == ["月报.docx"]
