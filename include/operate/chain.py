"""Drives collect -> build -> publish through a live Airflow until the periods asked for are published.

What is left to do is read from the ledger, never from Airflow: so a chain that was interrupted anywhere is taken up
where it stands, and a chain that is done is left alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from include.operate.airflow import DAG_IDS
from include.operate.client import ACTIVE, PATIENCE_SECONDS, AirflowClient, AirflowRefused, DagRun, TaskRun
from include.warehouse.connection import WarehouseUnreachableError

COLLECT, BUILD, PUBLISH = DAG_IDS
# A partition event starts its run within seconds. Where none has started after this long, it is started by hand:
# a partition run can stay pending (apache/airflow#71070).
HAND_AFTER_SECONDS = 25.0
POLL_SECONDS = 1.0
QUIET_SECONDS = 15.0
SETTLE_SECONDS = 15.0
TASKS_ZH = {
    "collect": "收集", "announce": "通知", "check_channels": "渠道", "read": "读取", "validate": "校验", "load": "入库",
    "build_marts": "生成集市", "gate": "把关", "render": "生成报告", "approve": "批准", "deliver": "送达",
}  # fmt: skip
DAGS_ZH = {COLLECT: "收集", BUILD: "建库", PUBLISH: "发布"}

Say = Callable[[str], None]


class ChainFailed(RuntimeError):
    """A run failed, or a period was not published; the message says which and why."""


@dataclass(frozen=True, slots=True)
class PeriodState:
    """Where a period stands.

    Attributes:
        pending: files not yet read.
        is_built: the marts were built from what the ledger holds now.
        is_published: the report last issued was, too, or a person did not approve one of these data.
    """

    period: str
    pending: int
    is_built: bool
    is_published: bool

    @property
    def needs_build(self) -> bool:
        return self.pending > 0 or not self.is_built

    @property
    def is_done(self) -> bool:
        return not self.needs_build and self.is_published


@dataclass(slots=True)
class ChainResult:
    """What a drive did: the runs it saw ending, with their tasks, oldest first."""

    runs: list[tuple[DagRun, list[TaskRun]]] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def period_states(conn: psycopg.Connection) -> dict[str, PeriodState]:
    """State of every period of which anything arrived; one known only because its counties are reminded is not due."""
    rows = conn.execute(
        """
        select
            this.period,
            (select count(*) from intake.received_file as f where f.period = this.period and f.outcome = 'pending'),
            build.input_hash is not distinct from this.input_hash,
            issued.input_hash is not distinct from this.input_hash
            or exists (
                select 1 from intake.report_draft as draft
                where draft.period = this.period and draft.input_hash = this.input_hash and draft.state = 'refused'
            )
        from intake.period_input as this
        left join intake.build on build.period = this.period
        left join lateral (
            select p.input_hash from intake.publication as p
            where p.period = this.period order by p.issue_no desc limit 1
        ) as issued on true
        where exists (select 1 from intake.received_file as file where file.period = this.period)
        order by this.period
        """
    ).fetchall()
    return {period: PeriodState(period, pending, built, published) for period, pending, built, published in rows}


def _states(warehouse: Callable[[], psycopg.Connection]) -> dict[str, PeriodState]:
    """:func:`period_states`, through a restart of the server."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return period_states(warehouse())
        except (psycopg.OperationalError, WarehouseUnreachableError):
            if time.monotonic() > deadline:
                raise
            time.sleep(POLL_SECONDS)


def end_interrupted(client: AirflowClient, say: Say) -> None:
    """Mark as failed the runs whose processes ended with an earlier stack. Call only while the DAGs are switched off.

    They are not cleared: a cleared run queues up behind later months. The collection announces what the ledger still
    lists as open anew, oldest month first. An event whose run Airflow had no time to make gets it first, for the same
    reason: left alone, it would start a later month before an earlier one.
    """
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        announced = [period for dag_id in (BUILD, PUBLISH) for period in client.announced(dag_id)]
        for dag_id in DAG_IDS:
            for run in client.runs(dag_id, states=ACTIVE):
                say(f"上次中断的运行标为失败，随后重做 / interrupted earlier, done anew: {run.period or ''} {dag_id}")
                client.fail(run)
        if not announced or time.monotonic() > deadline:
            return
        time.sleep(POLL_SECONDS / 2)


def drive(
    client: AirflowClient,
    warehouse: Callable[[], psycopg.Connection],
    *,
    inbox: Path,
    periods: Sequence[str],
    say: Say,
    seconds: float,
    reopen: bool = False,
) -> ChainResult:
    """Collect the folder, then wait until the periods are published and no run is active.

    Args:
        warehouse: gives an autocommit connection to the warehouse, another one where the last was lost.
        inbox: folder to collect (absolute).
        periods: periods that must end up published; empty: all that the collection touches.
        seconds: give up after this long.
        reopen: open a closed month among the periods again when files of it arrive.

    Raises:
        ChainFailed: the collection failed or the time is over. Failed builds and reports are in the result.
    """
    result = ChainResult()
    watch = _Watch(client, say, result)
    for dag_id in DAG_IDS:
        client.unpause(dag_id)
    deadline = time.monotonic() + seconds
    watch.ignore_finished()
    # One collection a period, as month after month would have it; each announces its own period alone.
    for period in periods or (None,):
        _collect(client, inbox, period, watch, deadline, reopen=reopen)
    idle_since: dict[tuple[str, str], float] = {}
    by_hand: set[tuple[str, str]] = set()
    began = time.monotonic()
    while True:
        active = watch.poll()
        states = _states(warehouse)
        wanted = [states.get(period) for period in (periods or states)]
        if any(state is None for state in wanted):
            # Nothing of this period arrived: there is nothing to wait for but what is running.
            wanted = [state for state in wanted if state is not None]
        open_states = [s for s in wanted if s is not None and not s.is_done and s.period not in watch.failed_periods]
        if not active and not open_states:
            if _is_settled(client, [s.period for s in wanted if s is not None], watch, by_hand, say):
                return result
            time.sleep(POLL_SECONDS)
            continue
        now = time.monotonic()
        for state in open_states:
            step = (BUILD if state.needs_build else PUBLISH, state.period)
            if any(run.period == state.period for run in active):
                idle_since[step] = now
                continue
            if now - max(idle_since.get(step, began), began) < HAND_AFTER_SECONDS:
                continue
            if step in by_hand:
                watch.failed_periods.add(state.period)
                result.failed.append(f"{state.period} {step[0]}: ran, and the ledger still lists it as not done")
                continue
            by_hand.add(step)
            idle_since[step] = now
            say(f"{state.period} {DAGS_ZH[step[0]]}：未自动触发，手动触发 / not started by its event, started by hand")
            client.trigger(step[0], period=state.period)
        if now > deadline:
            left = ", ".join(f"{s.period} ({s})" for s in open_states) or ", ".join(r.run_id for r in active)
            raise ChainFailed(f"not done after {seconds:.0f} s: {left}")
        time.sleep(POLL_SECONDS)


def _is_settled(
    client: AirflowClient, periods: Sequence[str], watch: _Watch, by_hand: set[tuple[str, str]], say: Say
) -> bool:
    """Whether Airflow's account agrees with the ledger's, which says that all is done; starts what is missing.

    A run that was interrupted between the last word in the ledger and its own end counts as failed although nothing is
    left to do. Running it once more changes nothing but that.
    """
    if any(client.announced(dag_id) for dag_id in (BUILD, PUBLISH)):
        return False
    started = False
    for period in periods:
        for dag_id in (BUILD, PUBLISH):
            runs = [run for run in client.runs(dag_id) if run.period == period]
            latest = max(runs, key=lambda run: run.run_after, default=None)
            if latest is None or latest.state == "success" or period in watch.failed_periods:
                continue
            if (dag_id, period) not in by_hand:
                by_hand.add((dag_id, period))
                say(f"{period} {DAGS_ZH[dag_id]}：上次在收尾时中断，再运行一次 / interrupted at its end, run once more")
                client.trigger(dag_id, period=period)
                started = True
                break  # the report follows from the marts
    return not started


def _collect(
    client: AirflowClient, inbox: Path, period: str | None, watch: _Watch, deadline: float, *, reopen: bool
) -> None:
    run = client.trigger(COLLECT, conf={"inbox": str(inbox), "reopen": reopen}, period=period)
    while (run := client.run(COLLECT, run.run_id)).is_active:
        watch.poll()
        if time.monotonic() > deadline:
            raise ChainFailed(f"{COLLECT} is still {run.state}; its log is under var/airflow/logs")
        time.sleep(POLL_SECONDS / 2)
    watch.poll()
    if run.state != "success":
        raise ChainFailed(f"{COLLECT} ended as {run.state}; its log is above")


class _Watch:
    """Follows the runs of the three DAGs and says each one's end, and what goes on while it is quiet."""

    def __init__(self, client: AirflowClient, say: Say, result: ChainResult) -> None:
        self._client = client
        self._say = say
        self._result = result
        self._told: set[tuple[str, str]] = set()
        self._last_words = time.monotonic()
        self.failed_periods: set[str] = set()

    def ignore_finished(self) -> None:
        """What ended before is no news."""
        for dag_id in DAG_IDS:
            self._told |= {(dag_id, run.run_id) for run in self._client.runs(dag_id) if not run.is_active}

    def poll(self) -> list[DagRun]:
        """Look once; returns the active runs."""
        runs = [run for dag_id in DAG_IDS for run in self._client.runs(dag_id)]
        for run in sorted(runs, key=lambda run: (run.ended is None, run.ended or run.run_after)):
            if not run.is_active and (run.dag_id, run.run_id) not in self._told:
                self._told.add((run.dag_id, run.run_id))
                self._tell_end(run)
        active = [run for run in runs if run.is_active]
        if time.monotonic() - self._last_words > QUIET_SECONDS:
            self._tell_progress(active)
        return active

    def _tell_end(self, run: DagRun) -> None:
        tasks = self._client.tasks(run)
        self._result.runs.append((run, tasks))
        steps = " · ".join(f"{TASKS_ZH.get(t.task_id, t.task_id)} {t.seconds:.1f}s" for t in _steps(tasks))
        mark = "✓" if run.state == "success" else "✗"
        self._speak(f"{mark} {run.period or '':7} {DAGS_ZH[run.dag_id]} {run.dag_id}  {run.seconds or 0:.1f}s  {steps}")
        if run.state == "success":
            return
        name = f"{run.period or ''} {run.dag_id}".strip()
        for task in tasks:
            if task.state == "failed":
                self._speak(f"--- {name}.{task.task_id}: 日志末尾 / end of its log\n{self._log_tail(task)}\n---")
        if run.period:
            self.failed_periods.add(run.period)
        if run.dag_id != COLLECT:
            failed = ", ".join(task.task_id for task in tasks if task.state == "failed")
            self._result.failed.append(f"{name}: {run.state} ({failed or 'no task failed'})")

    def _log_tail(self, task: TaskRun) -> str:
        try:
            return self._client.log_tail(task)
        except AirflowRefused as error:  # a process that was killed may leave none
            return str(error)

    def _tell_progress(self, active: Sequence[DagRun]) -> None:
        parts = []
        for run in active:
            if run.state != "running":
                continue
            tasks = self._client.tasks(run)
            now = [TASKS_ZH.get(task.task_id, task.task_id) for task in tasks if task.state == "running"]
            if any(task.state == "awaiting_input" for task in tasks):
                now.append("等待批准，请在网页上决定 / waits for approval in the web page")
            parts.append(f"{run.period or ''} {DAGS_ZH[run.dag_id]}{'：' + '、'.join(now) if now else ''}".strip())
        queued = sum(run.state == "queued" for run in active)
        if queued:
            parts.append(f"排队 queued {queued}")
        self._speak("… " + ("；".join(parts) or "等待 Airflow 触发下一步 / waiting for the next run"))

    def _speak(self, text: str) -> None:
        self._last_words = time.monotonic()
        self._say(text)


def _steps(tasks: Sequence[TaskRun]) -> list[TaskRun]:
    return [task for task in tasks if task.seconds is not None and task.map_index < 1]
