"""Reminding: who is missing, whose report came back, who owes an answer; one digest a reporter, month and stage.

Order of things, for each digest and channel: send, then write the row of ``intake.reminder`` that says so. A process
killed in between sends that one digest a second time at its next run, under the same message id, by which the receiver
knows it (in the outbox it overwrites its own file); none is ever lost. A channel that is down leaves a row that says
so and is tried again by every run of the stage; the others go on.

``python -m include.pipeline.remind [--period 2026-10]`` does it by hand.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import PurePosixPath
from typing import Any

import psycopg

from include.intake.calendar import (
    SHANGHAI,
    PeriodError,
    ReportingConfigError,
    ReportingRules,
    check_period,
    is_working_day,
    load_rules,
    month_after,
)
from include.intake.reporters import Reporter, ReporterListError, expected_in, load_reporters
from include.ledger import entries
from include.ledger.findings import expire_findings
from include.ledger.periods import ReportingPeriod, find_period, open_period, unclosed_periods
from include.ledger.standing import Standing, standings
from include.notify import wording
from include.notify.contacts import known_codes, load_contacts
from include.notify.message import Message, NotifierConfigError
from include.notify.notifier import Attempt, Notifier, configured_channels
from include.notify.outbox import OutboxFolder
from include.pipeline.reminders import (
    Occasion,
    ReminderRules,
    Stage,
    has_news_for_office,
    load_reminder_rules,
    office_message,
    reporter_message,
    stage_on,
    texts,
)
from include.returns.places import RECEIPT, RETURNS
from include.settings import Settings, get_settings
from include.warehouse.connection import WarehouseUnreachableError, connect
from include.warehouse.embedded import EmbeddedPostgresError
from include.warehouse.locking import alone
from include.warehouse.migrate import MigrationError, migrate

log = logging.getLogger(__name__)


class NothingToRemind(LookupError):
    """The month asked for is not in the ledger and nobody owes a report for it."""


class ChannelsDown(ConnectionError):
    """Digests wait for a channel that takes nothing at present; running again sends them."""


class DigestsRefused(RuntimeError):
    """A channel refused single digests; running again helps only after the cause was mended."""


@dataclass(frozen=True, slots=True)
class _Work:
    conn: psycopg.Connection[Any]
    notifier: Notifier
    settings: Settings
    rules: ReportingRules
    contacts: Mapping[str, str]


def remind(now: datetime | None = None, period: str | None = None) -> dict[str, Any]:
    """Send every digest that is due and was not sent yet.

    Without ``period`` the months looked at are those not closed and the calendar month before, which is entered into
    the ledger when nobody has sent anything yet; on a day that is no working day nothing is done. With ``period`` only
    that month is looked at, on any day.

    Args:
        now: the moment to act for (aware); the clock's when left out.

    Open findings of months closed long ago expire on the way.

    Returns:
        ``{"day", "is_working_day", "periods": [{"period", "stage", "deadline", "digests", "settled", "sent",
        "folder"}], "expired", "down", "refused"}``: ``digests`` reporters newly written to, ``settled`` reporters with
        nothing to do, ``sent`` messages by channel, ``folder`` where the files lie; ``down`` and ``refused`` name what
        was not delivered, in Chinese. Ids, numbers and paths only.

    Raises:
        NothingToRemind: the month asked for is unknown.
        PeriodError, ReportingConfigError, ReporterListError, NotifierConfigError: with what to write instead.
    """
    now = (now or datetime.now(SHANGHAI)).astimezone(SHANGHAI)
    settings = get_settings()
    result: dict[str, Any] = {
        "day": now.date().isoformat(),
        "is_working_day": is_working_day(now.date()),
        "periods": [],
        "expired": 0,
        "down": [],
        "refused": [],
    }
    if period is None and not result["is_working_day"]:
        log.info("%s is no working day: nobody is reminded", result["day"])
        return result
    reporters = load_reporters(settings.reporters_file)
    rules = load_rules(settings.reporting_file)
    reminder_rules = load_reminder_rules(settings.reporting_file)
    contacts = load_contacts(settings.contacts_file, known_codes(reporters))
    with (
        Notifier(configured_channels(settings)) as notifier,
        alone("remind"),
        # Autocommit: a row says that something was sent, so it must stand at once, whatever happens to the next one.
        connect(autocommit=True) as conn,
    ):
        with conn.transaction():
            entries.sync_reporters(conn, reporters)
            months = _months(conn, reporters, rules, now, period)
            result["expired"] = expire_findings(conn, now - timedelta(days=rules.findings_expire_after_days), now)
        work = _Work(conn, notifier, settings, rules, contacts)
        for month in months:
            result["periods"].append(_remind_of(work, month, reminder_rules, now, result))
        result["down"] = [f"{channel_zh(channel)}：{why}" for channel, why in notifier.down.items()]
    return result


def require_delivered(result: Mapping[str, Any]) -> None:
    """Make undelivered digests visible once all others are out.

    Raises:
        ChannelsDown: a channel was down: try again.
        DigestsRefused: a channel refused single digests.
    """
    if result["down"]:
        raise ChannelsDown(
            "some reminders wait for a channel that is down; all others are out, and running again sends these: "
            + "; ".join(result["down"])
        )
    if result["refused"]:
        raise DigestsRefused(
            "some reminders were refused; all others are out. Mend what is named, then run again: "
            + "; ".join(result["refused"])
        )


def _months(
    conn: psycopg.Connection[Any],
    reporters: Sequence[Reporter],
    rules: ReportingRules,
    now: datetime,
    period: str | None,
) -> list[ReportingPeriod]:
    """The months to look at that are not closed, oldest first, each with its deadlines of today."""
    previous = month_after(f"{now:%Y-%m}", -1)
    if period is None:
        wanted = {*unclosed_periods(conn)}
        # A month in which nobody sends anything is known to no file: the clock enters it.
        if expected_in(reporters, previous) and find_period(conn, previous) is None:
            wanted.add(previous)
    else:
        known = find_period(conn, check_period(period))
        if known is None and not (period == previous and expected_in(reporters, period)):
            raise NothingToRemind(
                f"period {period} is not in the ledger: name a month that has files, or the one just over"
            )
        # A closed month keeps the deadlines it was closed with.
        wanted = {period} if known is None or known.state != "closed" else set()
    opened = [open_period(conn, month, reporters, rules, now) for month in sorted(wanted)]
    return [month for month in opened if month.state != "closed"]


def _remind_of(
    work: _Work, month: ReportingPeriod, rules: ReminderRules, now: datetime, result: dict[str, Any]
) -> dict[str, Any]:
    """Send what is due for one month; what a channel refused is added to ``result``."""
    reopened = month.state == "reopened" and month.reopened_until is not None
    deadline = month.reopened_until if reopened and month.reopened_until is not None else month.due_on
    stage = stage_on(now.date(), deadline, rules)
    folder = work.settings.outbox / month.period / texts()["folder"]
    account: dict[str, Any] = {
        "period": month.period,
        "stage": stage,
        "deadline": deadline.isoformat(),
        "digests": 0,
        "settled": 0,
        "sent": {},
        "folder": str(folder),
    }
    if stage is None:
        return account
    reopenings, since = _reopenings(work.conn, month.period)
    occasion = Occasion(month.period, stage, deadline, month.closes_on, reopenings if reopened else 0, now)
    done = _sent_before(work.conn, month.period, stage, since if reopened else None)
    everyone = standings(work.conn, month.period, work.rules.forms, places=int(texts()["places_named"]))
    sent: Counter[str] = Counter()
    for standing in everyone:
        if standing.is_settled:
            account["settled"] += 1
            continue
        attempts = _send_to(work, standing, occasion, done.get(standing.reporter_code, frozenset()))
        sent.update(attempt.channel for attempt in attempts if attempt.is_sent)
        account["digests"] += any(attempt.channel == OutboxFolder.name and attempt.is_sent for attempt in attempts)
        _note_refusals(attempts, month.period, standing.reporter_name, result)
    if has_news_for_office(everyone):
        attempt = _file_for_office(work, office_message(everyone, occasion))
        if attempt is not None:
            _note_refusals([attempt], month.period, texts()["office"], result)
    account["sent"] = dict(sorted(sent.items()))
    log.info("%s %s: %d new digests, %d reporters settled", month.period, stage, account["digests"], account["settled"])
    return account


def _send_to(work: _Work, standing: Standing, occasion: Occasion, done: frozenset[str]) -> list[Attempt]:
    message = reporter_message(
        standing,
        occasion,
        address=work.contacts.get(standing.reporter_code),
        returned=_returned_workbooks(work.settings, occasion.period, standing.reporter_name),
    )
    attempts = []
    for channel in work.notifier.ways(message, done=done):
        attempt = work.notifier.send(message, channel)
        _record(work.conn, occasion, standing.reporter_code, message, attempt)
        attempts.append(attempt)
    return attempts


def _file_for_office(work: _Work, message: Message) -> Attempt | None:
    """The office's digest goes to the outbox alone; ``None`` when it lies there. Its file is its record: the office is
    no reporter, which ``intake.reminder`` is about."""
    for channel in work.notifier.channels:
        if isinstance(channel, OutboxFolder) and not channel.path_of(message).exists():
            return work.notifier.send(message, channel)
    return None


def _note_refusals(attempts: Sequence[Attempt], period: str, recipient: str, result: dict[str, Any]) -> None:
    result["refused"] += [
        f"{period} {recipient} {channel_zh(attempt.channel)}：{attempt.result_zh}"
        for attempt in attempts
        if not attempt.is_sent and not attempt.is_down
    ]


def channel_zh(channel: str) -> str:
    """Name of a channel in Chinese."""
    return str(wording.texts()["channels"].get(channel, channel))


def _returned_workbooks(settings: Settings, period: str, reporter_name: str) -> list[PurePosixPath]:
    """Returned workbooks of a reporter and month as paths under the outbox, without the receipts."""
    folder = settings.outbox / period / RETURNS / reporter_name
    if not folder.is_dir():
        return []
    names = sorted(path.name for path in folder.glob("[!.~]*.xlsx") if not path.stem.endswith(RECEIPT))
    return [PurePosixPath(period, RETURNS, reporter_name, name) for name in names]


def _reopenings(conn: psycopg.Connection[Any], period: str) -> tuple[int, datetime | None]:
    """How often the month was reopened, and when last."""
    row = conn.execute(
        "select count(*), max(happened_at) from intake.period_event where period = %s and event = 'reopened'", (period,)
    ).fetchone()
    assert row is not None
    return int(row[0]), row[1]


def _sent_before(
    conn: psycopg.Connection[Any], period: str, stage: Stage, since: datetime | None
) -> dict[str, frozenset[str]]:
    """Channels by reporter that have the stage's digest; of a reopened month since it was reopened last."""
    found: dict[str, set[str]] = {}
    for code, channel in conn.execute(
        """
        select reporter_code, channel from intake.reminder
        where period = %s and stage = %s and is_sent and (%s::timestamptz is null or sent_at >= %s)
        """,
        (period, stage, since, since),
    ):
        found.setdefault(code, set()).add(channel)
    return {code: frozenset(channels) for code, channels in found.items()}


def _record(
    conn: psycopg.Connection[Any], occasion: Occasion, reporter_code: str, message: Message, attempt: Attempt
) -> None:
    conn.execute(
        """
        insert into intake.reminder
            (period, reporter_code, stage, channel, recipient, subject_zh, body_sha256, is_sent, result_zh, sent_at)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
        on conflict (period, reporter_code, stage, channel) do update set
            recipient = excluded.recipient, subject_zh = excluded.subject_zh, body_sha256 = excluded.body_sha256,
            is_sent = excluded.is_sent, result_zh = excluded.result_zh, sent_at = excluded.sent_at
        """,
        (
            occasion.period, reporter_code, occasion.stage, attempt.channel, attempt.recipient, message.subject,
            hashlib.sha256(message.body_text.encode("utf-8")).hexdigest(), attempt.is_sent, attempt.result_zh,
            occasion.now,
        ),
    )  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; prints how many digests were written and where."""
    parser = argparse.ArgumentParser(prog="python -m include.pipeline.remind", description=__doc__)
    parser.add_argument("--period", help="one reporting month, e.g. 2026-10; on any day")
    chosen = parser.parse_args(arguments)
    try:
        with connect(autocommit=True) as conn:
            migrate(conn)
        result = remind(period=chosen.period or None)
        print(account_zh(result))
        require_delivered(result)
    except (
        ChannelsDown,
        DigestsRefused,
        EmbeddedPostgresError,
        MigrationError,
        NothingToRemind,
        NotifierConfigError,
        PeriodError,
        ReporterListError,
        ReportingConfigError,
        WarehouseUnreachableError,
    ) as error:
        print(f"error: {error.args[0] if error.args else error}", file=sys.stderr)
        return 1
    return 0


def account_zh(result: Mapping[str, Any]) -> str:
    """What a run did, for the terminal, in Chinese and English."""
    words = texts()["account"]
    lines = [words["day"].format(**result)]
    if not result["periods"]:
        lines.append(words["nothing"] if result["is_working_day"] else words["no_working_day"])
    if result["expired"]:
        lines.append(words["expired"].format(**result))
    for month in result["periods"]:
        if month["stage"] is None:
            lines.append(words["not_yet"].format(**month))
            continue
        lines.append(words["month"].format(**{**month, "stage": texts()["stages"][month["stage"]]}))
        for channel, number in month["sent"].items():
            lines.append(words["channel"].format(channel=channel_zh(channel), number=number))
        lines.append(words["folder"].format(**month))
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
