"""Celery workers import what the tasks need before they fork, as the embedded stack does.

Else every task, which is a process of its own, would begin with the imports of pandas, Great Expectations and dbt:
most of its time in a small month. ``CELERY_CONFIG`` is named by ``[celery] celery_config_options`` in
``docker-compose.yaml``; of these settings only a worker acts upon ``imports``.
"""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    # Every component loads every file of this folder; Celery is read in by those that ask for its settings.
    if name != "CELERY_CONFIG":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from airflow.providers.celery.executors.default_celery import DEFAULT_CELERY_CONFIG

    from include.operate.supervisor import TASK_MODULES

    return {**DEFAULT_CELERY_CONFIG, "imports": list(TASK_MODULES)}
