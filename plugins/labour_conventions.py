"""What the DAGs have in common: the assets that join them, retries, owner, time zone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pendulum
from airflow.sdk import (  # type: ignore[attr-defined]  # its stub lacks the deadlines
    Asset,
    DeadlineAlert,
    DeadlineReference,
    ExceptionRetryPolicy,
    RetryAction,
    RetryRule,
    SyncCallback,
)

from include.health.late import run_is_late
from include.health.rules import span

TIME_ZONE = "Asia/Shanghai"
START_DATE = pendulum.datetime(2026, 1, 1, tz=TIME_ZONE)

# Partition key of both: the reporting period, YYYY-MM.
COUNTY_SUBMISSIONS = Asset("county_submissions")
LABOUR_MARTS = Asset("labour_marts")

# A lost connection or a lock passes with time; a wrong cell does not, nor does a bug. Psycopg raises locks, deadlocks,
# serialisation failures and lost connections as OperationalError.
RETRY_ONLY_WHAT_PASSES = ExceptionRetryPolicy(
    rules=[
        RetryRule(
            exception=[
                "psycopg.OperationalError",
                "include.warehouse.connection.WarehouseUnreachableError",
                "include.warehouse.dbt.MartBuildInterrupted",
                "include.warehouse.dbt.DbtInterrupted",
                # What the task asked of the API server while that was being started again.
                "airflow.sdk.exceptions.AirflowRuntimeError",
                ConnectionError,
                TimeoutError,
            ],
            action=RetryAction.RETRY,
            retry_delay=timedelta(seconds=20),
            reason="connection or lock: tried again",
        )
    ],
    default=RetryAction.FAIL,
)

DEFAULT_ARGS: dict[str, Any] = {
    "owner": "数据组 data team",
    # Also how often a task is started again whose process was killed: the policy above is asked only when the task
    # itself could still report its exception.
    "retries": 2,
    "retry_delay": timedelta(seconds=20),
    "retry_policy": RETRY_ONLY_WHAT_PASSES,
    "execution_timeout": timedelta(hours=1),
}


def done_within(threshold: str) -> DeadlineAlert:
    """A run not done this long after it was queued is reported (``include/config/health.yaml``): on a worker, which is
    where letters are sent from."""
    return DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT, interval=span(threshold), callback=SyncCallback(run_is_late)
    )
