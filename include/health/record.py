"""What was found and what was said about it, in ``intake.health_*``. The caller decides about transactions."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta

import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from include.health.problem import Figure, Problem, Severity
from include.health.rules import limit, span
from include.intake.calendar import SHANGHAI


@dataclass(frozen=True, slots=True)
class Known:
    """A row of ``intake.health_problem``."""

    problem_id: int
    code: str
    subject: str
    severity: Severity
    message_zh: str
    message_en: str
    since: datetime | None
    first_seen: datetime
    told_at: datetime | None
    told_severity: Severity | None
    ended_at: datetime | None

    @property
    def is_new(self) -> bool:
        return self.told_at is None

    @property
    def is_changed(self) -> bool:
        return not self.is_new and self.told_severity != self.severity

    @property
    def started(self) -> datetime:
        return self.since or self.first_seen


_COLUMNS = (
    "problem_id, code, subject, severity, message_zh, message_en, since, first_seen, told_at, told_severity, ended_at"
)


def enter(conn: psycopg.Connection, problems: Iterable[Problem], now: datetime) -> None:
    """Enter what is there now. Seen again, a problem keeps its row; doing this twice changes nothing more."""
    with conn.cursor() as cursor:
        cursor.executemany(
            """
            insert into intake.health_problem
                (code, subject, severity, message_zh, message_en, since, first_seen, last_seen)
            values (%(code)s, %(subject)s, %(severity)s, %(zh)s, %(en)s, %(since)s, %(now)s, %(now)s)
            on conflict (code, subject) where ended_at is null do update set
                severity = excluded.severity, message_zh = excluded.message_zh, message_en = excluded.message_en,
                since = coalesce(intake.health_problem.since, excluded.since), last_seen = excluded.last_seen
            """,
            [
                {
                    "code": problem.code, "subject": problem.subject, "severity": problem.severity,
                    "zh": problem.message_zh, "en": problem.message_en, "since": problem.since, "now": now,
                }
                for problem in problems
            ],
        )  # fmt: skip


def end_missing(conn: psycopg.Connection, checked: Collection[str], now: datetime) -> None:
    """End the problems of these codes that were not seen for a while; one that was never told just goes."""
    conn.execute(
        "update intake.health_problem set ended_at = %(now)s"
        " where ended_at is null and code = any(%(checked)s) and last_seen <= %(before)s",
        {"now": now, "checked": sorted(checked), "before": now - span("ended_after_minutes")},
    )


def open_problems(conn: psycopg.Connection) -> list[Known]:
    """Problems not ended, gravest first, then the oldest."""
    with conn.cursor(row_factory=class_row(Known)) as cursor:
        return cursor.execute(
            f"select {_COLUMNS} from intake.health_problem where ended_at is null"
            " order by severity <> 'critical', first_seen, problem_id"
        ).fetchall()


def ended_untold(conn: psycopg.Connection) -> list[Known]:
    """Problems that people were told of and that have ended since."""
    with conn.cursor(row_factory=class_row(Known)) as cursor:
        return cursor.execute(
            f"select {_COLUMNS} from intake.health_problem"
            " where ended_at is not null and told_at is not null and end_told_at is null order by ended_at, problem_id"
        ).fetchall()


def is_due(conn: psycopg.Connection, known: Sequence[Known], ended: Sequence[Known], now: datetime) -> bool:
    """Whether there is something to say: news, or problems that nobody was reminded of since this morning."""
    if ended or any(problem.is_new or problem.is_changed for problem in known):
        return True
    if not known:
        return False
    row = conn.execute("select max(composed_at) from intake.health_digest").fetchone()
    told = row[0] if row else None
    here = now.astimezone(SHANGHAI)
    morning = datetime.combine(here.date(), time(int(limit("daily_hour"))), tzinfo=SHANGHAI)
    if here < morning:
        morning -= timedelta(days=1)
    return told is None or told < morning


def mark_told(conn: psycopg.Connection, known: Sequence[Known], ended: Sequence[Known], now: datetime) -> None:
    """The digest about these stands: it is sent by itself, however often that takes."""
    conn.execute(
        "update intake.health_problem set told_at = %s, told_severity = severity where problem_id = any(%s)",
        (now, [problem.problem_id for problem in known]),
    )
    conn.execute(
        "update intake.health_problem set end_told_at = %s where problem_id = any(%s)",
        (now, [problem.problem_id for problem in ended]),
    )


def enter_check(
    conn: psycopg.Connection, now: datetime, seconds: float, found: Sequence[Figure], unchecked: Sequence[str]
) -> None:
    """Write that the system was looked at, how long that took, and the figures."""
    values = {f"{figure.name}.{figure.of}" if figure.of else figure.name: figure.value for figure in found}
    conn.execute(
        """
        insert into intake.health_check (checked_at, seconds, figures, unchecked) values (%s, %s, %s, %s)
        on conflict (only_row) do update set
            checked_at = excluded.checked_at, seconds = excluded.seconds, figures = excluded.figures,
            unchecked = excluded.unchecked
        """,
        (now, seconds, Jsonb(values), list(unchecked)),
    )
