"""What Airflow knows of itself, by its REST API: components, runs, tasks, files that do not import."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from include.operate import airflow as embedded_airflow
from include.operate.client import ACTIVE, AirflowClient, DagRun, TaskRun, run_of, task_of
from include.settings import Settings

#: DAGs whose runs are started by partitions of an asset.
PARTITIONED = ("build_warehouse", "publish_report")
_MANY = 100


@dataclass(frozen=True, slots=True)
class Component:
    """A part of Airflow. ``heartbeat`` is ``None`` where it never had one."""

    name: str
    is_healthy: bool
    heartbeat: datetime | None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A partition that was announced to a DAG and has no run."""

    dag_id: str
    period: str
    announced_at: datetime


@dataclass(frozen=True, slots=True)
class QueuedTask:
    """A task that runs, or waits for a worker; ``since`` is when it began to."""

    task: TaskRun
    since: datetime | None


@dataclass(frozen=True, slots=True)
class AirflowFacts:
    """Airflow as it stands.

    Attributes:
        active: runs queued or running.
        failed: runs that ended as failed since the time asked for and were neither cleared nor followed by a
            successful run of the same DAG and period.
        tasks: tasks that run or are queued.
        import_errors: DAG file and the last line of its error.
    """

    components: tuple[Component, ...] = ()
    active: tuple[DagRun, ...] = ()
    failed: tuple[DagRun, ...] = ()
    tasks: tuple[QueuedTask, ...] = ()
    waiting: tuple[Waiting, ...] = ()
    import_errors: tuple[tuple[str, str], ...] = ()


class HealthClient(AirflowClient):
    """Reads; a server that does not answer is not waited for."""

    def __init__(self, url: str, user: str, password: str) -> None:
        super().__init__(url, user, password, is_up=lambda: False)

    def components(self) -> tuple[Component, ...]:
        """Every component with its heartbeat; needs no login."""
        answer: Mapping[str, Any] = self._send("GET", "/api/v2/monitor/health", authorised=False)
        found = []
        for name, part in answer.items():
            beat = next((part[key] for key in part or {} if key.startswith("latest_")), None)
            found.append(Component(name, (part or {}).get("status") == "healthy", _moment(beat)))
        return tuple(found)

    def facts(self, *, failed_since: datetime) -> AirflowFacts:
        """Everything the checks ask for.

        Raises:
            AirflowRefused: the server does not answer, or does not let this login read.
        """
        return AirflowFacts(
            components=self.components(),
            active=tuple(self._runs(ACTIVE)),
            failed=tuple(self._failed(failed_since)),
            tasks=tuple(self._tasks()),
            waiting=tuple(one for dag_id in PARTITIONED for one in self._waiting(dag_id)),
            import_errors=tuple(
                (error["filename"], (error["stack_trace"] or "").strip().splitlines()[-1])
                for error in self._get("/importErrors")["import_errors"]
            ),
        )

    def _runs(self, states: Iterable[str], **query: str) -> list[DagRun]:
        found = self._get("/dags/~/dagRuns", state=list(states), limit=_MANY, order_by="-run_after", **query)
        return [run_of(item) for item in found["dag_runs"]]

    def _failed(self, since: datetime) -> list[DagRun]:
        left = []
        latest: dict[str, list[DagRun]] = {}
        for run in self._runs(["failed"], end_date_gte=since.isoformat()):
            if run.dag_id not in latest:
                latest[run.dag_id] = self.runs(run.dag_id, states=["success"])
            if not any(other.period == run.period and other.run_after > run.run_after for other in latest[run.dag_id]):
                left.append(run)
        return left

    def _tasks(self) -> list[QueuedTask]:
        found = self._get("/dags/~/dagRuns/~/taskInstances", state=["running", "queued"], limit=_MANY)
        return [
            QueuedTask(
                task_of(item), _moment(item["start_date"] if item["state"] == "running" else item["queued_when"])
            )
            for item in found["task_instances"]
        ]

    def _waiting(self, dag_id: str) -> list[Waiting]:
        found = self._send("GET", f"/ui/partitioned_dag_runs?dag_id={dag_id}&has_created_dag_run_id=false")
        return [
            Waiting(dag_id, str(item["partition_key"]), moment)
            for item in found["partitioned_dag_runs"]
            if (moment := _moment(item["created_at"])) is not None
        ]


def client_of(settings: Settings) -> HealthClient | None:
    """Who to ask: the stack under ``var/airflow`` while it runs, else the address and login of the settings; ``None``
    without either."""
    running = embedded_airflow.status()
    if running is not None:
        return HealthClient(running.url, running.user, running.password)
    if settings.airflow_url and settings.airflow_password:
        return HealthClient(settings.airflow_url, settings.airflow_user, settings.airflow_password)
    return None


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
