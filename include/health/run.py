"""Look at everything, write down what was found, say what is new."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from include.health.airflow import AirflowFacts, client_of
from include.health.checks import CHECKS, Check, Scene, figures
from include.health.digest import compose, enter_digest, send_pending, tell_without_database
from include.health.problem import SEVERITIES, Figure, Problem
from include.health.record import end_missing, ended_untold, enter, enter_check, is_due, mark_told, open_problems
from include.health.rules import span
from include.intake.calendar import SHANGHAI
from include.notify.notifier import Attempt, Notifier, configured_channels
from include.operate.client import AirflowRefused
from include.settings import Settings, get_settings
from include.warehouse.connection import WarehouseUnreachableError, connect
from include.warehouse.embedded import EmbeddedPostgresError
from include.warehouse.locking import alone

log = logging.getLogger(__name__)

_ASKING = "airflow_unreachable"
_FAILED = "check_failed"


class DigestNotSent(ConnectionError):
    """The digest is written and waits for a channel; the next check sends it."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one look found.

    Attributes:
        problems: gravest first.
        checked: codes of problems that would have been seen.
        unchecked: names of checks that were not made.
    """

    problems: tuple[Problem, ...]
    checked: frozenset[str]
    unchecked: tuple[str, ...]
    figures: tuple[Figure, ...]
    seconds: float


def look(
    conn: psycopg.Connection[Any],
    settings: Settings,
    now: datetime,
    airflow: AirflowFacts | str | None,
    checks: Iterable[Check] = CHECKS,
) -> Look:
    """Make every check; one that fails is a problem of its own and stops no other.

    Args:
        conn: an autocommit connection.
        airflow: what Airflow says of itself, why it could not be asked, or ``None`` where there is nobody to ask.
    """
    began = time.monotonic()
    problems: list[Problem] = []
    checked = {_FAILED}
    unchecked = []
    facts = airflow if isinstance(airflow, AirflowFacts) else None
    if isinstance(airflow, str):
        problems.append(Problem(_ASKING, "Airflow", "critical", {"error": airflow}))
    if airflow is not None:
        checked.add(_ASKING)
    scene = Scene(conn, settings, now, facts)
    for check in checks:
        if check.asks_airflow and facts is None:
            unchecked.append(check.name)
            continue
        try:
            with conn.transaction():
                problems += check.look(scene)
            checked |= check.codes
        except (psycopg.Error, OSError, ValueError, LookupError, TypeError) as error:
            if conn.broken:
                raise
            log.exception("check %s", check.name)
            unchecked.append(check.name)
            said = f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"
            problems.append(Problem(_FAILED, check.name, "warning", {"error": said[:200]}))
    found = figures(scene)
    problems.sort(key=lambda problem: SEVERITIES.index(problem.severity))
    return Look(tuple(problems), frozenset(checked), tuple(unchecked), tuple(found), time.monotonic() - began)


def ask_airflow(settings: Settings, now: datetime) -> AirflowFacts | str | None:
    """What Airflow says of itself; why it cannot be asked; ``None`` where there is no address or login."""
    client = client_of(settings)
    if client is None:
        return None
    try:
        return client.facts(failed_since=now - span("failed_run_hours"))
    except AirflowRefused as refused:
        return str(refused).splitlines()[0][:200]


def check(now: datetime | None = None, airflow: AirflowFacts | str | None = None) -> dict[str, Any]:
    """Look at everything, write it down, and send the digest when there is something to say.

    Safe to repeat and to kill at any point: what is to be said is written down, in the transaction that marks it as
    said, before it is sent.

    Args:
        now: the moment to act for (aware); the clock's when left out.
        airflow: see :func:`look`; asked for when left out.

    Returns:
        ``{"problems": {severity: number}, "told": whether a digest was written, "sent": messages by channel,
        "waiting": channels that did not take theirs and why, "unchecked": [...], "figures": [[name, of, value], ...]}``

    Raises:
        WarehouseUnreachableError: after saying so through every channel, once a day.
        NotifierConfigError: a setting of mail or webhook cannot be used.
    """
    now = (now or datetime.now(SHANGHAI)).astimezone(SHANGHAI)
    settings = get_settings()
    with Notifier(configured_channels(settings)) as notifier:
        try:
            with alone("health"), connect(autocommit=True) as conn:
                if airflow is None:
                    airflow = ask_airflow(settings, now)
                seen = look(conn, settings, now, airflow)
                with conn.transaction():
                    enter(conn, seen.problems, now)
                    end_missing(conn, seen.checked, now)
                    enter_check(conn, now, seen.seconds, seen.figures, seen.unchecked)
                    is_told = tell(conn, notifier, settings, seen.unchecked, now)
                attempts = send_pending(conn, notifier, settings, now)
        except (WarehouseUnreachableError, EmbeddedPostgresError) as error:
            tell_without_database(notifier, settings, str(error).splitlines()[0][:300], now)
            raise
    return {
        "problems": {name: sum(one.severity == name for one in seen.problems) for name in SEVERITIES},
        "told": is_told,
        **account(attempts),
        "unchecked": list(seen.unchecked),
        "figures": [[figure.name, figure.of, figure.value] for figure in seen.figures],
    }


def tell(
    conn: psycopg.Connection[Any], notifier: Notifier, settings: Settings, unchecked: Sequence[str], now: datetime
) -> bool:
    """Write the digest when one is due; within the caller's transaction, so that it stands with what it says."""
    known, ended = open_problems(conn), ended_untold(conn)
    if not is_due(conn, known, ended, now):
        return False
    enter_digest(conn, compose(known, ended, unchecked, now), notifier, settings, now)
    mark_told(conn, known, ended, now)
    return True


def account(attempts: Sequence[Attempt]) -> dict[str, Any]:
    """Messages taken by channel, and what was not taken and why."""
    sent: dict[str, int] = {}
    for attempt in attempts:
        sent[attempt.channel] = sent.get(attempt.channel, 0) + attempt.is_sent
    waiting = {attempt.channel: attempt.result_zh for attempt in attempts if not attempt.is_sent}
    return {"sent": sent, "waiting": waiting}


def require_sent(result: Mapping[str, Any]) -> None:
    """Make a digest that did not go out visible.

    Raises:
        DigestNotSent: a channel has not taken it.
    """
    if result["waiting"]:
        said = "; ".join(f"{channel}: {reason}" for channel, reason in result["waiting"].items())
        raise DigestNotSent(f"the digest lies in the outbox and waits for a channel; the next check sends it: {said}")
