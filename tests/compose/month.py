"""A month on its way through the stack: announced, built, approved, issued; and what it left behind."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import psycopg

from include.operate.chain import DAG_IDS, period_states
from include.operate.client import AirflowRefused, DagRun, TaskRun
from tests.compose.stack import Stack, StackFailed
from tests.dbt.checksums import period_checksums

COLLECT, BUILD, PUBLISH = DAG_IDS
# A partition event starts its run within seconds, or stays pending (apache/airflow#71070); then whoever is on duty
# collects once more, which announces every period with work left (docs/runbooks/red-task.md).
ANNOUNCE_AGAIN_SECONDS = 240.0
QUIET_SECONDS = 30.0


class Month:
    """Follows some periods until their reports are out, approving each as the office would.

    Args:
        stack: where.
        periods: which must end up issued.
        meanwhile: called about once a second with the tasks now running; may raise to stop.
    """

    def __init__(
        self, stack: Stack, periods: Sequence[str], meanwhile: Callable[[list[TaskRun]], None] | None = None
    ) -> None:
        self.stack = stack
        self.periods = list(periods)
        self.meanwhile = meanwhile
        self.announced = 0
        self.approved = 0
        self._began = datetime.now(UTC)

    def collect(self) -> None:
        """Start the collection by hand, as the button in the web page does."""
        # A restart may swallow the answer: the collection that was started all the same changes nothing twice.
        for _ in range(3):
            try:
                self.stack.client.trigger(COLLECT)
                break
            except AirflowRefused as error:
                if error.status not in (0, 409, 500, 502, 503):
                    raise
                time.sleep(5)
        self.announced += 1

    def finish(self, seconds: float) -> float:
        """Seconds until every period is issued and nothing runs any more.

        Raises:
            StackFailed: it takes longer; the message says what is left.
        """
        began = told = time.monotonic()
        idle_since = began
        while True:
            now = time.monotonic()
            active, left = self._look()
            if active:
                idle_since = now
            if active is not None and not active and not left:
                return now - began
            if now - began > seconds:
                raise StackFailed(f"not done after {seconds:.0f} s; left: {left}; running: {active}")
            if left and now - idle_since > ANNOUNCE_AGAIN_SECONDS:
                self.stack.say("… nothing runs although work is left: collecting once more")
                self.collect()
                idle_since = now
            if now - told > QUIET_SECONDS:
                told = now
                self.stack.say(f"… {', '.join(left) or 'all issued'}; running: {', '.join(active or []) or 'nothing'}")
            time.sleep(1)

    def _look(self) -> tuple[list[str] | None, list[str]]:
        """What runs (``None`` when nobody can say) and what is left to do."""
        try:
            self.approved += self.stack.approve_all()
            runs = [run for dag_id in DAG_IDS for run in self.stack.client.runs(dag_id) if run.is_active]
            tasks = [task for run in runs if run.state == "running" for task in self.stack.client.tasks(run)]
            with self.stack.warehouse() as conn:
                states = period_states(conn)
        except (AirflowRefused, psycopg.OperationalError):
            return None, self.periods  # just killed: looked at again in a second
        if self.meanwhile is not None:
            self.meanwhile([task for task in tasks if task.state == "running"])
        left = [period for period in self.periods if period not in states or not states[period].is_done]
        return [f"{run.dag_id} {run.period or ''} ({run.state})".replace("  ", " ") for run in runs], left

    def failed_runs(self) -> list[DagRun]:
        """Runs that began after this month was taken in hand and ended red."""
        return [
            run for dag_id in DAG_IDS for run in self.stack.client.runs(dag_id)
            if run.state == "failed" and run.run_after > self._began
        ]  # fmt: skip


def fingerprint(stack: Stack, periods: Sequence[str]) -> dict[str, str]:
    """Checksum of every fact and mart of the periods, and of every file in the outbox."""
    found: dict[str, str] = {}
    with stack.warehouse() as conn:
        for period in periods:
            found |= {f"{period} {table}": digest for table, digest in period_checksums(conn, period).items()}
    for path in sorted(stack.outbox.rglob("*")):
        if path.is_file():
            found[str(path.relative_to(stack.outbox))] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def differences(expected: dict[str, str], actual: dict[str, str]) -> list[str]:
    """Names of what is missing, additional or different."""
    return sorted(name for name in expected.keys() | actual.keys() if expected.get(name) != actual.get(name))
