"""The life of a reporting month: it opens, closes by the clock, is reopened by the office, and is corrected.

Until its closing day a month takes every file. Afterwards a file waits (``awaiting_approval``) until the office
approves it or reopens the month; what is then accepted is a correction (更正) with a revision number. Every such step
leaves a row in ``intake.period_event``.

All functions take an open psycopg connection and leave committing to the caller.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Literal

import psycopg
from psycopg.rows import class_row

from include.intake.calendar import (
    ReportingRules,
    check_period,
    end_of,
    is_calendar_known,
    nth_working_day,
    working_day_after,
)
from include.intake.reporters import Reporter, expected_in

PeriodStatus = Literal["open", "closed", "reopened"]
CLOCK = "系统"
_CLOSED_BY_CLOCK = "报送期限已过"


class PeriodRefused(ValueError):
    """The month cannot be closed, reopened or corrected as asked; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class ReportingPeriod:
    """A row of ``intake.reporting_period``."""

    period: str
    due_on: date
    closes_on: date
    state: PeriodStatus
    reopened_until: date | None
    is_calendar_known: bool

    def takes(self, received_at: datetime) -> bool:
        """Whether a file that arrived then is taken without being asked for, also when it is collected later."""
        return received_at <= end_of(self.reopened_until or self.closes_on) or self.state == "reopened"


@dataclass(frozen=True, slots=True)
class WaitingCorrection:
    """A file that arrived after its month had closed and waits for the office."""

    receipt_id: int
    period: str
    reporter_code: str
    reporter_name: str
    file_name: str
    received_at: datetime


def find_period(conn: psycopg.Connection, period: str) -> ReportingPeriod | None:
    """The month as the ledger has it, ``None`` when it was never opened."""
    with conn.cursor(row_factory=class_row(ReportingPeriod)) as cursor:
        return cursor.execute(
            "select period, due_on, closes_on, state, reopened_until, is_calendar_known from intake.reporting_period"
            " where period = %s",
            (period,),
        ).fetchone()


def open_period(
    conn: psycopg.Connection, period: str, reporters: Sequence[Reporter], rules: ReportingRules, now: datetime
) -> ReportingPeriod:
    """Make sure the month has its deadlines, its state by the clock and its expected reports; returns it.

    While the month is open its deadlines follow the configured rules and its expected reports the configured list; once
    closed they no longer change: a rule changed later must not open an old month again, nor make its reports late.
    """
    check_period(period)
    before = find_period(conn, period)
    if before is not None and before.state != "open":
        due_on, closes_on, known = before.due_on, before.closes_on, before.is_calendar_known
    else:
        due_on = nth_working_day(period, rules.due_working_day)
        closes_on = nth_working_day(period, rules.close_working_day)
        known = is_calendar_known(due_on.year) and is_calendar_known(closes_on.year)
    reopened_until = before.reopened_until if before else None
    state = _by_the_clock(closes_on, reopened_until, now)
    conn.execute(
        """
        insert into intake.reporting_period (period, due_on, closes_on, state, reopened_until, is_calendar_known)
        values (%s, %s, %s, %s, %s, %s)
        on conflict (period) do update set
            due_on = excluded.due_on, closes_on = excluded.closes_on, state = excluded.state,
            is_calendar_known = excluded.is_calendar_known
        """,
        (period, due_on, closes_on, state, reopened_until, known),
    )
    if state == "closed" and (before is None or before.state != "closed"):
        _record(conn, period, "closed", CLOCK, _CLOSED_BY_CLOCK, now)
    if before is None or state == "open":
        _expect(
            conn, period, {(r.reporter_code, f, due_on) for r in expected_in(reporters, period) for f in rules.forms}
        )
    return ReportingPeriod(period, due_on, closes_on, state, reopened_until, known)


def _expect(conn: psycopg.Connection, period: str, expected: set[tuple[str, str, date]]) -> None:
    """Write the expected reports where they differ; this is asked for with every file."""
    rows = conn.execute("select reporter_code, form, due_on from intake.expected_report where period = %s", (period,))
    if set(rows.fetchall()) == expected:
        return
    conn.execute("delete from intake.expected_report where period = %s", (period,))
    with conn.cursor() as cursor:
        cursor.executemany(
            "insert into intake.expected_report (period, reporter_code, form, due_on) values (%s, %s, %s, %s)",
            [(period, *one) for one in sorted(expected)],
        )


def unclosed_periods(conn: psycopg.Connection) -> list[str]:
    """Months that are open or reopened, oldest first."""
    rows = conn.execute("select period from intake.reporting_period where state <> 'closed' order by period")
    return [row[0] for row in rows]


def reopen_period(
    conn: psycopg.Connection, period: str, rules: ReportingRules, *, actor: str, reason_zh: str, now: datetime
) -> tuple[date, int]:
    """Open a closed month again; files that wait for approval are taken.

    Returns:
        The day through which it stays open, and the number of waiting files taken.

    Raises:
        PeriodRefused: the ledger does not know the month, or it is not closed.
    """
    known = _known(conn, period, now)
    if known.state == "open":
        raise PeriodRefused(f"{period} 尚未封账，{known.closes_on} 才截止，无需重新开放")
    until = working_day_after(now.date(), rules.reopen_working_days)
    conn.execute(
        "update intake.reporting_period set state = 'reopened', reopened_until = %s where period = %s", (until, period)
    )
    _record(conn, period, "reopened", actor, reason_zh, now)
    taken = waiting_corrections(conn, period)
    return until, sum(approve_correction(conn, waiting, actor, reason_zh, now) for waiting in taken)


def close_period(conn: psycopg.Connection, period: str, *, actor: str, reason_zh: str, now: datetime) -> None:
    """Close a reopened month before its time.

    Raises:
        PeriodRefused: the ledger does not know the month, or it is not reopened (an open month closes by the clock).
    """
    known = _known(conn, period, now)
    if known.state == "open":
        raise PeriodRefused(f"{period} 到 {known.closes_on} 自动封账；报送期限内不能提前封账")
    if known.state == "closed":
        raise PeriodRefused(f"{period} 已经封账")
    conn.execute(
        "update intake.reporting_period set state = 'closed', reopened_until = %s where period = %s",
        (now.date() - timedelta(days=1), period),
    )
    _record(conn, period, "closed", actor, reason_zh, now)


def waiting_corrections(conn: psycopg.Connection, period: str | None = None) -> list[WaitingCorrection]:
    """Files waiting for the office, in the order they were entered; of one month, or of all."""
    with conn.cursor(row_factory=class_row(WaitingCorrection)) as cursor:
        return cursor.execute(
            """
            select file.receipt_id, file.period, file.reporter_code, reporter.reporter_name, file.file_name,
                file.received_at
            from intake.received_file as file
            join intake.reporter as reporter using (reporter_code)
            where file.outcome = 'awaiting_approval' and file.period = coalesce(%s, file.period)
            order by file.receipt_id
            """,
            (period,),
        ).fetchall()


def approve_correction(
    conn: psycopg.Connection, waiting: WaitingCorrection, actor: str, reason_zh: str, now: datetime
) -> bool:
    """Let a waiting file in: the next collection announces its month, and the build takes it as a new version.

    ``False`` when somebody else decided meanwhile: then nothing changes.
    """
    if not _decided(conn, waiting, "pending", "更正已批准，待读取"):
        return False
    _record(conn, waiting.period, "correction_approved", actor, reason_zh, now, waiting)
    return True


def reject_correction(
    conn: psycopg.Connection, waiting: WaitingCorrection, actor: str, reason_zh: str, now: datetime
) -> bool:
    """Turn a waiting file down; it stays in the landing store, and its ledger row says why it was not taken.

    ``False`` when somebody else decided meanwhile: then nothing changes.
    """
    if not _decided(conn, waiting, "rejected", f"更正未获批准：{reason_zh}"):
        return False
    _record(conn, waiting.period, "correction_rejected", actor, reason_zh, now, waiting)
    return True


def _decided(conn: psycopg.Connection, waiting: WaitingCorrection, outcome: str, outcome_zh: str) -> bool:
    """Write the decision where the file still waits: of two at once the first stands."""
    cursor = conn.execute(
        "update intake.received_file set outcome = %s, outcome_zh = %s"
        " where receipt_id = %s and outcome = 'awaiting_approval'",
        (outcome, outcome_zh, waiting.receipt_id),
    )
    return cursor.rowcount == 1


def revision_of(conn: psycopg.Connection, period: str) -> int:
    """How often the month was corrected after its closing; 0 when never."""
    row = conn.execute(
        "select coalesce(max(revision_no), 0) from intake.submission where period = %s and outcome <> 'refused'",
        (period,),
    ).fetchone()
    assert row is not None
    return int(row[0])


def _known(conn: psycopg.Connection, period: str, now: datetime) -> ReportingPeriod:
    """The month with its state by the clock, whether or not a collection ran since."""
    known = find_period(conn, check_period(period))
    if known is None:
        raise PeriodRefused(f"台账里没有 {period}：还没有收到过这个月的报表，请检查报告期是否写对")
    state = _by_the_clock(known.closes_on, known.reopened_until, now)
    if state != known.state:
        conn.execute("update intake.reporting_period set state = %s where period = %s", (state, period))
        if state == "closed":
            _record(conn, period, "closed", CLOCK, _CLOSED_BY_CLOCK, now)
    return replace(known, state=state)


def _by_the_clock(closes_on: date, reopened_until: date | None, now: datetime) -> PeriodStatus:
    if reopened_until is not None:
        return "closed" if now > end_of(reopened_until) else "reopened"
    return "closed" if now > end_of(closes_on) else "open"


def _record(
    conn: psycopg.Connection,
    period: str,
    event: str,
    actor: str,
    reason_zh: str,
    now: datetime,
    waiting: WaitingCorrection | None = None,
) -> None:
    conn.execute(
        """
        insert into intake.period_event (period, event, reporter_code, receipt_id, actor, reason_zh, happened_at)
        values (%s, %s, %s, %s, %s, %s, %s)
        """,
        (
            period,
            event,
            waiting.reporter_code if waiting else None,
            waiting.receipt_id if waiting else None,
            actor,
            reason_zh,
            now,
        ),
    )
