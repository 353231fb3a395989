"""What Airflow and the ledger would say, for the tests of the health check."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import psycopg

from include.intake.calendar import SHANGHAI
from include.operate.client import DagRun, TaskRun

#: A Wednesday, two in the afternoon: six of its collecting hours are over.
NOW = datetime(2026, 11, 25, 14, 0, tzinfo=SHANGHAI)


def ago(**span: float) -> datetime:
    """So long before :data:`NOW`."""
    return NOW - timedelta(**span)


def dag_run(dag_id: str = "build_warehouse", state: str = "running", period: str | None = "2026-10") -> DagRun:
    """A run that began an hour ago."""
    began = ago(hours=1)
    ended = None if state in ("running", "queued") else NOW
    return DagRun(dag_id, f"manual__{period}", state, period, "manual", began, began, ended)


def task_run(state: str = "running", map_index: int = -1) -> TaskRun:
    """A task of :func:`dag_run`."""
    return TaskRun("build_warehouse", "manual__2026-10", "load", map_index, state, 1, ago(hours=2), None)


def month(conn: psycopg.Connection[Any], period: str = "2026-10", state: str = "open") -> None:
    """A reporting month with one reporter that owes one form."""
    conn.execute(
        "insert into intake.reporter values ('450721', '灵山县', '450721', '450700', '市级试点', '2026-01-01')"
        " on conflict do nothing"
    )
    conn.execute(
        "insert into intake.reporting_period (period, due_on, closes_on, state) values (%s, %s, %s, %s)",
        (period, ago(days=10).date(), ago(days=-10).date(), state),
    )


def received(
    conn: psycopg.Connection[Any],
    outcome: str,
    collected_at: datetime,
    *,
    period: str = "2026-10",
    name: str = "表.xlsx",
) -> None:
    """A file in the ledger."""
    conn.execute(
        """
        insert into intake.received_file
            (sha256, file_name, channel, channel_path, size_bytes, received_at, collected_at, period, reporter_code,
             outcome, outcome_zh)
        values (repeat('a', 64), %s, 'local', %s, 1, %s, %s, %s, '450721', %s, '')
        """,
        (name, name, collected_at, collected_at, period, outcome),
    )


def built(conn: psycopg.Connection[Any], built_at: datetime, *, period: str = "2026-10") -> None:
    """The month's marts, made from what the ledger holds now."""
    conn.execute(
        "insert into intake.build (period, run_key, input_hash, seconds, built_at)"
        " select period, 'run', input_hash, '{}', %s from intake.period_input where period = %s",
        (built_at, period),
    )


def draft(conn: psycopg.Connection[Any], state: str, rendered_at: datetime, *, asked_in: str | None = "run") -> None:
    """A report of October made from what the ledger holds now."""
    conn.execute(
        """
        insert into intake.report_draft
            (period, draft_no, issue_no, maturity, reason_zh, coverage, input_hash, figures_sha256, printed_sha256,
             files_sha256, figures_checked, seconds, state, rendered_at, asked_in)
        select period, 1, 0, 'final', '', 1, input_hash, '', '', '', 1, 1, %s, %s, %s
        from intake.period_input where period = '2026-10'
        """,
        (state, rendered_at, asked_in),
    )
