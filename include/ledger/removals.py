"""What was removed because its time was over (``intake.removal``).

All functions take an open psycopg connection and leave committing to the caller.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg


@dataclass(frozen=True, slots=True)
class Removal:
    """Something to be removed, or removed: see the columns of ``intake.removal``."""

    rule: str
    subject: str
    item_count: int
    byte_count: int
    period: str | None = None
    reporter_code: str | None = None
    sha256: str | None = None


def plan_removal(conn: psycopg.Connection[Any], removal: Removal, kept_for: str, run_key: str) -> None:
    """Write down what is about to go; a run that was killed on the way left such a row, which is taken over."""
    conn.execute(
        """
        insert into intake.removal
            (rule, subject, period, reporter_code, sha256, item_count, byte_count, kept_for, run_key)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
        on conflict (rule, subject) where removed_at is null do update set
            item_count = greatest(removal.item_count, excluded.item_count),
            byte_count = greatest(removal.byte_count, excluded.byte_count),
            run_key = excluded.run_key
        """,
        (
            removal.rule, removal.subject, removal.period, removal.reporter_code, removal.sha256, removal.item_count,
            removal.byte_count, kept_for, run_key,
        ),
    )  # fmt: skip


def finish_removals(conn: psycopg.Connection[Any], rule: str, subjects: Sequence[str]) -> None:
    """Write down that these are gone."""
    conn.execute(
        "update intake.removal set removed_at = now() where rule = %s and subject = any(%s) and removed_at is null",
        (rule, list(subjects)),
    )


def unfinished(conn: psycopg.Connection[Any], rule: str) -> list[str]:
    """Subjects whose removal was begun and not finished."""
    rows = conn.execute("select subject from intake.removal where rule = %s and removed_at is null", (rule,))
    return [subject for (subject,) in rows.fetchall()]


def removed_originals(conn: psycopg.Connection[Any], sha256s: Sequence[str]) -> dict[str, datetime]:
    """Of these originals, those that were removed, with the time; whether one came again since is not asked here."""
    rows = conn.execute(
        "select sha256, max(coalesce(removed_at, planned_at)) from intake.removal where sha256 = any(%s) group by 1",
        (list(sha256s),),
    )
    return dict(rows.fetchall())
