"""The five DAGs as Airflow sees them: ids, wiring, docs, and what their parsing costs."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

PROJECT_ROOT = Path(__file__).resolve().parents[2]
TASKS = {
    "collect_submissions": ["collect", "announce", "check_channels"],
    "build_warehouse": ["read", "validate", "load", "build_marts"],
    "publish_report": ["gate", "render", "approve", "deliver"],
    "remind_counties": ["remind"],
    "apply_retention": ["remove", "clean_metadata"],
    "check_health": ["look"],
}
HEAVY = ("pandas", "numpy", "great_expectations", "dbt", "openpyxl", "python_calamine", "docx", "altair")


@pytest.fixture(scope="module")
def dags() -> dict[str, Any]:
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(str(PROJECT_ROOT / "dags"))
    assert bag.import_errors == {}
    return dict(bag.dags)


def test_exactly_these_dags(dags: dict[str, Any]) -> None:
    assert set(dags) == set(TASKS)


@pytest.mark.parametrize("dag_id", TASKS)
def test_one_file_a_dag_named_after_it(dags: dict[str, Any], dag_id: str) -> None:
    assert Path(dags[dag_id].fileloc) == PROJECT_ROOT / "dags" / f"{dag_id}.py"


@pytest.mark.parametrize("dag_id", TASKS)
def test_tasks_follow_one_another_in_this_order(dags: dict[str, Any], dag_id: str) -> None:
    dag = dags[dag_id]
    names = TASKS[dag_id]
    assert set(dag.task_ids) == set(names)
    if dag_id == "collect_submissions":
        # Side by side: what arrived moves on while somebody mends a channel that is down.
        assert dag.get_task("collect").downstream_task_ids == {"announce", "check_channels"}
        names = names[1:2]
    for name, following in zip(names, [*names[1:], None], strict=True):
        # What is delivered is what was rendered, and the approval stands between.
        beside = {"deliver"} if name == "render" else set()
        assert dag.get_task(name).downstream_task_ids == ({following} if following else set()) | beside


def test_a_report_that_waits_for_a_person_holds_no_other_back(dags: dict[str, Any]) -> None:
    dag = dags["publish_report"]
    assert dag.max_active_runs > 12
    assert {task.task_id: task.max_active_tis_per_dag for task in dag.tasks} == {
        "gate": 1, "render": 1, "approve": None, "deliver": 1,
    }  # fmt: skip
    approve = dag.get_task("approve")
    # Airflow would take a task's time limit for the time a person has.
    assert (approve.execution_timeout, approve.response_timeout) == (None, timedelta(hours=1))


@pytest.mark.parametrize("dag_id", TASKS)
def test_one_run_at_a_time_without_catching_up_in_shanghai(dags: dict[str, Any], dag_id: str) -> None:
    dag = dags[dag_id]
    assert dag.max_active_runs == 1 or dag_id == "publish_report"
    assert dag.catchup is False
    assert dag.timezone.name == "Asia/Shanghai"


@pytest.mark.parametrize("dag_id", TASKS)
def test_an_operator_finds_help_in_both_languages(dags: dict[str, Any], dag_id: str) -> None:
    dag = dags[dag_id]
    assert "任务变红时" in dag.doc_md
    assert "When a task is red" in dag.doc_md
    assert "docs/runbooks/red-task.md" in dag.doc_md
    assert (PROJECT_ROOT / "docs" / "runbooks" / "red-task.md").is_file()
    assert any("一" <= letter <= "鿿" for letter in dag.dag_display_name)
    assert "labour" in dag.tags
    for task in dag.tasks:
        assert any("一" <= letter <= "鿿" for letter in task.task_display_name), task.task_id
        assert task.owner == "数据组 data team"


@pytest.mark.parametrize("dag_id", TASKS)
def test_data_errors_are_not_retried_and_lost_connections_are(dags: dict[str, Any], dag_id: str) -> None:
    import psycopg
    from airflow.sdk import RetryAction

    from include.warehouse.connection import WarehouseUnreachableError
    from include.warehouse.dbt import DbtInterrupted, MartBuildFailed, MartBuildInterrupted

    build = ("2026-03", [], 9, Path("dbt.log"))
    for task in dags[dag_id].tasks:
        policy = task.partial_kwargs["retry_policy"] if task.is_mapped else task.retry_policy
        lost = (psycopg.OperationalError(), WarehouseUnreachableError(), ConnectionResetError(), TimeoutError())
        locked = (
            psycopg.errors.DeadlockDetected(), psycopg.errors.LockNotAvailable(), MartBuildInterrupted(*build),
            DbtInterrupted(),
        )  # fmt: skip
        for passing in (*lost, *locked):
            assert policy.evaluate(passing, 1, 2).action is RetryAction.RETRY
        bug = (KeyError("header"), AssertionError(), MartBuildFailed(*build))
        for lasting in (ValueError("bad cell"), psycopg.errors.UniqueViolation(), *bug):
            assert policy.evaluate(lasting, 1, 2).action is RetryAction.FAIL
        assert (task.partial_kwargs["retries"] if task.is_mapped else task.retries) == 2


def test_parsing_imports_nothing_heavy_and_is_quick() -> None:
    """In a process of its own, above what bare Airflow already imported."""
    script = f"""
import json, sys, time
from airflow.dag_processing.dagbag import DagBag
from airflow.timetables.trigger import CronTriggerTimetable
began = time.process_time()
bag = DagBag({str(PROJECT_ROOT / "dags")!r})
print(json.dumps({{
    "seconds": time.process_time() - began,
    "errors": list(bag.import_errors),
    "dags": sorted(bag.dags),
    "heavy": [name for name in {HEAVY!r} if name in sys.modules],
    "pipeline": [name for name in sys.modules if name.startswith("include.pipeline")],
}}))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=PROJECT_ROOT, check=True, timeout=120
    )
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen["errors"] == []
    assert seen["dags"] == sorted(TASKS)
    assert seen["heavy"] == []
    assert seen["pipeline"] == []
    assert seen["seconds"] < 1.0


def test_no_dag_file_looks_like_a_dbt_plugin() -> None:
    assert not list((PROJECT_ROOT / "dags").glob("dbt_*.py"))
