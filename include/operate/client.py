"""A small client of Airflow's REST API (``/api/v2``): what the drivers need and no more."""

from __future__ import annotations

import http.client
import json
import secrets
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

CONFLICT = 409
ACTIVE = frozenset({"queued", "running"})
# A server that died is started again within a quarter of a minute, on a machine that has nothing else to do; and one
# whose database is away answers with these until that is back.
PATIENCE_SECONDS = 180.0
PASSING = frozenset({500, 502, 503, 504})


class AirflowRefused(RuntimeError):
    """The REST API answered with an error; the message carries its status and reason."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class DagRun:
    """One run of a DAG. Times are aware datetimes; ``period`` is its partition key."""

    dag_id: str
    run_id: str
    state: str
    period: str | None
    run_type: str
    run_after: datetime
    started: datetime | None
    ended: datetime | None

    @property
    def is_active(self) -> bool:
        return self.state in ACTIVE

    @property
    def seconds(self) -> float | None:
        """Duration, ``None`` until it ended."""
        return (self.ended - self.started).total_seconds() if self.started and self.ended else None


@dataclass(frozen=True, slots=True)
class TaskRun:
    """One task of a run."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    state: str | None
    try_number: int
    started: datetime | None
    ended: datetime | None

    @property
    def seconds(self) -> float | None:
        return (self.ended - self.started).total_seconds() if self.started and self.ended else None


class AirflowClient:
    """Talks to one API server.

    Args:
        url: base URL without a trailing slash.
        user, password: login of the simple auth manager.
        is_up: whether there is still a server to wait for when it does not answer; without it, there is.
    """

    def __init__(self, url: str, user: str, password: str, *, is_up: Callable[[], bool] | None = None) -> None:
        self.url = url
        self._is_up = is_up or (lambda: True)
        self._login = {"username": user, "password": password}
        self._token: str | None = None
        # Never through a proxy: the server is on this machine.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def is_healthy(self) -> bool:
        """Whether API server, metadata database, scheduler, DAG processor and triggerer all say so."""
        try:
            # The part that serves the tasks builds itself at its first request, seconds that no task should wait for.
            self._send("GET", "/execution/health", authorised=False, patience=0.0)
            health = self._send("GET", "/api/v2/monitor/health", authorised=False, patience=0.0)
        except (AirflowRefused, OSError):
            return False
        return all((part or {}).get("status") == "healthy" for part in health.values())

    def knows(self, dag_ids: Iterable[str]) -> bool:
        """Whether these DAGs have been parsed.

        Raises:
            AirflowRefused: a DAG file has an import error.
        """
        listed = self._get("/dags", exclude_stale="true", limit=100)
        known = {dag["dag_id"] for dag in listed["dags"]}
        if set(dag_ids) <= known:
            return True
        errors = self._get("/importErrors")["import_errors"]
        if errors:
            raise AirflowRefused(0, f"{errors[0]['filename']} does not import:\n{errors[0]['stack_trace']}")
        return False

    def unpause(self, dag_id: str) -> None:
        """Switch a DAG on."""
        self._send("PATCH", f"/api/v2/dags/{dag_id}?update_mask=is_paused", {"is_paused": False})

    def trigger(self, dag_id: str, *, conf: Mapping[str, Any] | None = None, period: str | None = None) -> DagRun:
        """Start a run by hand, of a period where the DAG is partitioned. Once, also where the answer was lost."""
        run_id = f"manual__{datetime.now(UTC).isoformat()}_{secrets.token_hex(4)}"
        body: dict[str, Any] = {"dag_run_id": run_id, "logical_date": None, "conf": dict(conf or {})}
        if period:
            body["partition_key"] = period
        try:
            return run_of(self._send("POST", f"/api/v2/dags/{dag_id}/dagRuns", body, is_repeatable=True))
        except AirflowRefused as refused:
            if refused.status != CONFLICT:
                raise
            return self.run(dag_id, run_id)

    def run(self, dag_id: str, run_id: str) -> DagRun:
        """One run."""
        return run_of(self._get(f"/dags/{dag_id}/dagRuns/{_quote(run_id)}"))

    def runs(self, dag_id: str, *, states: Iterable[str] = ()) -> list[DagRun]:
        """The latest hundred runs, newest first."""
        found = self._get(f"/dags/{dag_id}/dagRuns", order_by="-run_after", limit=100, state=list(states))
        return [run_of(item) for item in found["dag_runs"]]

    def announced(self, dag_id: str) -> list[str]:
        """Partitions that an event has announced to the DAG and that have no run yet."""
        found = self._send("GET", f"/ui/partitioned_dag_runs?dag_id={dag_id}&has_created_dag_run_id=false")
        return [str(item["partition_key"]) for item in found["partitioned_dag_runs"]]

    def tasks(self, run: DagRun) -> list[TaskRun]:
        """Tasks of a run, in the order they started."""
        found = self._get(f"/dags/{run.dag_id}/dagRuns/{_quote(run.run_id)}/taskInstances", limit=100)
        tasks = [task_of(item) for item in found["task_instances"]]
        return sorted(tasks, key=lambda task: (task.started is None, task.started or 0, task.map_index))

    def fail(self, run: DagRun) -> None:
        """Mark a run failed, ending its tasks."""
        self._send(
            "PATCH", f"/api/v2/dags/{run.dag_id}/dagRuns/{_quote(run.run_id)}?update_mask=state", {"state": "failed"}
        )

    def log_tail(self, task: TaskRun, lines: int = 25) -> str:
        """Last lines of a task's latest attempt."""
        path = f"/dags/{task.dag_id}/dagRuns/{_quote(task.run_id)}/taskInstances/{task.task_id}/logs/{task.try_number}"
        content = self._get(path, map_index=task.map_index)["content"]
        texts: list[str] = []
        for entry in content if isinstance(content, list) else [content]:
            if not isinstance(entry, dict):
                texts.append(str(entry))
                continue
            texts.append(str(entry.get("event", "")))
            for error in entry.get("error_detail") or []:
                texts += [f"  {f['filename']}:{f['lineno']} in {f['name']}" for f in error.get("frames", [])[-6:]]
                texts.append(f"{error.get('exc_type')}: {error.get('exc_value')}")
        return "\n".join("\n".join(texts).splitlines()[-lines:])

    def _get(self, path: str, **query: Any) -> Any:
        pairs = [(k, v) for k, value in query.items() for v in (value if isinstance(value, list) else [value])]
        return self._send("GET", f"/api/v2{path}" + (f"?{urllib.parse.urlencode(pairs)}" if pairs else ""))

    def _send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        authorised: bool = True,
        is_repeatable: bool | None = None,
        patience: float = PATIENCE_SECONDS,
    ) -> Any:
        """One request; a server too busy to answer, or being started again, is asked again, an old token renewed.

        Args:
            is_repeatable: whether to carry it out twice is the same as once; by default so of all but an authorised
                POST, which is asked again only where it met no server.

        Raises:
            AirflowRefused: an answer that is an error, or (status 0) none within ``patience`` seconds.
        """
        deadline = time.monotonic() + patience
        data = None if body is None else json.dumps(body).encode()
        renewed = False
        if is_repeatable is None:
            is_repeatable = method != "POST" or not authorised
        while True:
            headers = {"Content-Type": "application/json", "Accept": "application/json"}
            if authorised:
                headers["Authorization"] = f"Bearer {self._token or self._new_token()}"
            request = urllib.request.Request(self.url + path, data=data, headers=headers, method=method)
            try:
                with self._opener.open(request, timeout=30) as response:
                    text = response.read()
                return json.loads(text) if text else None
            except urllib.error.HTTPError as error:
                if error.code == 401 and authorised and not renewed:
                    self._token, renewed = None, True
                    continue
                if error.code in PASSING and is_repeatable and time.monotonic() < deadline and self._is_up():
                    time.sleep(0.5)
                    continue
                detail = error.read().decode(errors="replace")[:500]
                raise AirflowRefused(error.code, f"{method} {path}: HTTP {error.code} {detail}") from error
            except (OSError, http.client.HTTPException) as error:
                reason = getattr(error, "reason", error)
                # A POST may have been carried out before the answer was lost; one that met no server was not.
                is_safe = is_repeatable or isinstance(reason, ConnectionRefusedError)
                if not is_safe or time.monotonic() > deadline or not self._is_up():
                    raise AirflowRefused(0, f"{method} {path}: the API server does not answer ({reason})") from error
                time.sleep(0.5)

    def _new_token(self) -> str:
        answer = self._send("POST", "/auth/token", self._login, authorised=False)
        self._token = str(answer["access_token"])
        return self._token


def _quote(text: str) -> str:
    return urllib.parse.quote(text, safe="")


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def run_of(item: Mapping[str, Any]) -> DagRun:
    """A run as the API describes it."""
    return DagRun(
        dag_id=item["dag_id"],
        run_id=item["dag_run_id"],
        state=item["state"],
        period=item.get("partition_key"),
        run_type=item["run_type"],
        run_after=datetime.fromisoformat(item["run_after"]),
        started=_time(item.get("start_date")),
        ended=_time(item.get("end_date")),
    )


def task_of(item: Mapping[str, Any]) -> TaskRun:
    """A task as the API describes it."""
    return TaskRun(
        dag_id=item["dag_id"],
        run_id=item["dag_run_id"],
        task_id=item["task_id"],
        map_index=item["map_index"],
        state=item["state"],
        try_number=item["try_number"],
        started=_time(item.get("start_date")),
        ended=_time(item.get("end_date")),
    )
