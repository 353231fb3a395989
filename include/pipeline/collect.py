"""Collecting: what lies in the channels goes into the landing store and the ledger."""

from __future__ import annotations

import getpass
import logging
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import psycopg

from include.intake.calendar import SHANGHAI, ReportingRules, end_of, load_rules
from include.intake.channels import Arrival, Channel, LocalFolder
from include.intake.landing import LandingStore
from include.intake.reading import Identification
from include.intake.reporters import Reporter, expected_in, load_reporters
from include.intake.workers import Workers
from include.ledger import entries
from include.ledger.findings import Owner, record_log
from include.ledger.periods import open_period, reopen_period, unclosed_periods, waiting_corrections
from include.quality.findings import Finding, FindingLog
from include.returns.month import return_reporter, return_unplaced
from include.settings import get_settings
from include.warehouse.connection import connect

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CollectResult:
    """What one collection did.

    Attributes:
        periods: periods with work to do, oldest first: files waiting to be read, or marts or reports out of date.
        files: files lying in the channels.
        new: files entered into the ledger this time; of them ``duplicates``, ``refused`` and ``waiting`` for the
            office's approval.
        unreadable: files that the system would not hand over; they are tried again at the next collection.
    """

    periods: list[str]
    files: int
    new: int
    duplicates: int
    refused: int
    waiting: int = 0
    unreadable: int = 0


def collect(inbox: Path | None = None, *, reopen: str | None = None) -> CollectResult:
    """Enter every new file of the inbox into the landing store and the ledger.

    Files that cannot be placed (unreadable, no period, no known county) are refused here with a returned workbook; one
    that comes after its month has closed waits for the office; all others wait for the build of their period. Running
    it again changes nothing.

    Args:
        inbox: folder to read instead of the configured one.
        reopen: a month asked for by hand: closed, it is opened again when a file of it would have to wait.
    """
    settings = get_settings()
    reporters = load_reporters(settings.reporters_file)
    rules = load_rules(settings.reporting_file)
    channel: Channel = LocalFolder(inbox or settings.inbox)
    store = LandingStore(settings.landing)
    outcomes: list[str] = []
    # Autocommit: else the first query would open a transaction that holds those of all files.
    with connect(autocommit=True) as conn:
        with conn.transaction():
            entries.sync_reporters(conn, reporters)
            # The clock closes a month, not a file: without this a month nobody corrects would stay provisional for
            # good.
            for period in unclosed_periods(conn):
                open_period(conn, period, reporters, rules, datetime.now(SHANGHAI))
        files, landed, unreadable = _land(channel, store, entries.seen_arrivals(conn, channel.name))
        with Workers() as workers:
            jobs = [(store.path_of(sha256), a.file_name, a.folder, reporters) for a, sha256 in landed]
            for (arrival, sha256), found in zip(landed, workers.identify_all(jobs), strict=True):
                # One transaction a file: a file that fails half-way is taken again, the others are safe.
                with conn.transaction():
                    outcome = _enter(conn, store, arrival, sha256, found, reporters, rules, workers, reopen)
                if outcome:
                    outcomes.append(outcome)
                    log.info("%s: %s", arrival.path_in_channel, outcome)
        if reopen is not None and waiting_corrections(conn, reopen):
            with conn.transaction():
                # collected earlier, before the month was asked for
                _reopen(conn, reopen, rules, datetime.now(SHANGHAI))
        periods = sorted({*entries.pending_periods(conn), *entries.outdated_periods(conn)})
    return CollectResult(
        periods=periods,
        files=files,
        new=len(outcomes),
        duplicates=outcomes.count("duplicate"),
        refused=outcomes.count("refused"),
        waiting=outcomes.count("awaiting_approval"),
        unreadable=unreadable,
    )


def _reopen(conn: psycopg.Connection, period: str, rules: ReportingRules, now: datetime) -> None:
    until, _ = reopen_period(conn, period, rules, actor=getpass.getuser(), reason_zh="手工运行该月", now=now)
    log.info("%s was closed; asked for by hand, it is open again until %s", period, until)


def _land(
    channel: Channel, store: LandingStore, seen: Container[tuple[str, datetime, int]]
) -> tuple[int, list[tuple[Arrival, str]], int]:
    """Copy every file not in the ledger yet into the landing store: what is looked at from now on is this copy,
    whatever happens to the original. Returns the number of files lying there, the landed ones with their checksum, and
    how many could not be read."""
    files = unreadable = 0
    landed = []
    for arrival in channel.arrivals():
        files += 1
        if (arrival.path_in_channel, arrival.received_at, arrival.size_bytes) in seen:
            continue
        try:
            landed.append((arrival, store.put(arrival.location)))
        except OSError as error:
            unreadable += 1
            log.error("%s cannot be read: %s; mend its permissions", arrival.path_in_channel, error.strerror)
    return files, landed, unreadable


def _enter(
    conn: psycopg.Connection,
    store: LandingStore,
    arrival: Arrival,
    sha256: str,
    identified: Identification,
    reporters: Sequence[Reporter],
    rules: ReportingRules,
    workers: Workers,
    reopen: str | None,
) -> entries.FileOutcome | None:
    """Write the ledger row of a landed file; ``None`` when it already has one."""
    now = datetime.now(SHANGHAI)
    outcome: entries.FileOutcome
    found = _within_range(identified, arrival, reporters, now)
    month = open_period(conn, found.period, reporters, rules, now) if found.period is not None else None
    is_correction = month is not None and arrival.received_at > end_of(month.closes_on)
    twin = entries.same_content(conn, sha256, arrival.path_in_channel, found.period, found.reporter_code)
    if twin is not None:
        outcome, outcome_zh = "duplicate", f"重复报送：内容与已收到的“{twin.file_name}”完全相同，未作处理"
    elif not _is_placed(found):
        outcome, outcome_zh = "refused", "退回：" + "；".join(f.message_zh for f in found.findings if f.severity == "E")
    elif month is not None and not month.takes(arrival.received_at) and month.period != reopen:
        outcome = "awaiting_approval"
        outcome_zh = f"{month.period}已于{month.closes_on}封账，作为更正等待指挥部批准"
    else:
        outcome, outcome_zh = "pending", "待读取"
        if month is not None and not month.takes(arrival.received_at):
            _reopen(conn, month.period, rules, now)
    receipt_id = entries.record_file(
        conn,
        arrival,
        sha256,
        outcome=outcome,
        outcome_zh=outcome_zh,
        file_kind=found.file_kind,
        period=found.period,
        reporter_code=found.reporter_code,
        is_sample=found.is_sample,
        is_correction=is_correction,
    )
    if receipt_id is None:
        return None
    reporter = next((r for r in reporters if r.reporter_code == found.reporter_code), None)
    if outcome == "refused":
        found_log = FindingLog()
        found_log.extend(found.findings)
        owner = Owner(receipt_id, None, found.period, found.reporter_code)
        record_log(conn, found_log, owner, now, {})
    if outcome in ("refused", "awaiting_approval"):
        if found.period is not None and reporter is not None:
            return_reporter(conn, found.period, reporter, workers)
        else:
            return_unplaced(
                store.path_of(sha256),
                arrival.file_name,
                found.file_kind,
                found.findings,
                period=found.period,
                reporter=reporter,
                is_sample=found.is_sample,
                workers=workers,
            )
    return outcome


def _within_range(
    found: Identification, arrival: Arrival, reporters: Sequence[Reporter], now: datetime
) -> Identification:
    """The same without its period, and refused, when the year was mistyped: a month not begun yet, or one in which
    nobody had to report. Such a month must not be opened, since it would be built and published.

    A copied file may carry any time of arrival, so the later of it and the clock counts.
    """
    if found.period is None:
        return found
    if found.period > f"{max(now, arrival.received_at):%Y-%m}":
        reason = "该月尚未开始"
    elif not expected_in(reporters, found.period):
        reason = "该月没有应报单位"
    else:
        return found
    period_zh = f"{int(found.period[:4])}年{int(found.period[5:])}月"
    params = {"file": arrival.file_name, "period": period_zh, "reason": reason}
    return replace(found, period=None, findings=[*found.findings, Finding("E-IDN-006", params=params)])


def _is_placed(found: Identification) -> bool:
    blocked = any(finding.severity == "E" for finding in found.findings)
    return found.period is not None and found.reporter_code is not None and bool(found.forms) and not blocked
