"""A run that was not done by its deadline: Airflow calls here, on a worker (``DeadlineAlert`` of the chain's DAGs).

Light to import: DAG files name this function while they are parsed.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any


def run_is_late(context: Mapping[str, Any]) -> None:
    """Enter the run as a problem and say so at once; the health check ends it when the run is over.

    Args:
        context: ``{"dag_run": as the REST API describes it, "deadline": {...}}``.
    """
    from include.health.checks import late_run
    from include.health.digest import send_pending
    from include.health.record import enter
    from include.health.run import account, require_sent, tell
    from include.intake.calendar import SHANGHAI
    from include.notify.notifier import Notifier, configured_channels
    from include.settings import get_settings
    from include.warehouse.connection import connect
    from include.warehouse.locking import alone

    run = context["dag_run"]
    queued = run.get("queued_at") or run.get("run_after")
    since = datetime.fromisoformat(queued) if isinstance(queued, str) else queued
    problem = late_run(run["dag_id"], run["dag_run_id"], run.get("partition_key"), since)
    now = datetime.now(SHANGHAI)
    settings = get_settings()
    with Notifier(configured_channels(settings)) as notifier, alone("health"), connect(autocommit=True) as conn:
        with conn.transaction():
            enter(conn, [problem], now)
            tell(conn, notifier, settings, [], now)
        require_sent(account(send_pending(conn, notifier, settings, now)))
