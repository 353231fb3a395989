"""Collecting: what lies in the channels goes into the landing store and the ledger."""

from __future__ import annotations

import getpass
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import psycopg

from include.intake.calendar import SHANGHAI, ReportingRules, end_of, load_rules
from include.intake.channels import Arrival, Channel, ChannelDown, InboxNotFound, LocalFolder
from include.intake.channels.configuration import load_channels
from include.intake.landing import LandingStore
from include.intake.limits import load_limits
from include.intake.reading import Identification, unopened
from include.intake.reporters import Reporter, expected_in, load_reporters
from include.intake.workers import Workers
from include.ledger import channel_states, entries
from include.ledger.findings import Owner, record_log
from include.ledger.periods import open_period, reopen_period, unclosed_periods, waiting_corrections
from include.pipeline.gather import Gathered, gather_all
from include.quality.findings import Finding, FindingLog
from include.returns.month import return_reporter, return_unplaced
from include.settings import get_settings
from include.warehouse.connection import connect

log = logging.getLogger(__name__)

#: Findings of files that belong to nobody for certain.
_NOBODYS = {"E-CHN-001", "E-CHN-002", "E-CHN-003"}


@dataclass(frozen=True, slots=True)
class CollectResult:
    """What one collection did.

    Attributes:
        periods: periods with work to do, oldest first: files waiting to be read, or marts or reports out of date.
        files: files lying in the channels.
        new: files entered into the ledger this time; of them ``duplicates``, ``refused`` and ``waiting`` for the
            office's approval.
        unreadable: files that a channel would not hand over; they are tried again at the next collection.
        unfinished: files that are still being written; they are looked at again at the next collection.
        down: channels that could not be read, or not to their end.
    """

    periods: list[str]
    files: int
    new: int
    duplicates: int
    refused: int
    waiting: int = 0
    unreadable: int = 0
    unfinished: int = 0
    down: tuple[str, ...] = ()


class ChannelsDown(RuntimeError):
    """Channels could not be collected; all others were."""


def collect(inbox: Path | None = None, *, reopen: str | None = None) -> CollectResult:
    """Enter every new file of the channels into the landing store and the ledger.

    Files that cannot be placed (unreadable, no period, no known county) are refused here with a returned workbook; one
    that comes after its month has closed waits for the office; all others wait for the build of their period. Running
    it again changes nothing. A channel that is down is recorded (:func:`check_channels`) and stops no other.

    Args:
        inbox: folder to read instead of the configured channels.
        reopen: a month asked for by hand: closed, it is opened again when a file of it would have to wait.

    Raises:
        include.intake.channels.InboxNotFound: ``inbox`` does not exist.
        include.intake.channels.configuration.ChannelsFileError: the channels file is wrong.
    """
    settings = get_settings()
    reporters = load_reporters(settings.reporters_file)
    rules = load_rules(settings.reporting_file)
    file_bytes = load_limits().file_bytes
    channels: list[Channel] = (
        [LocalFolder(inbox)]
        if inbox is not None
        else load_channels(settings.channels_file, inbox=settings.inbox, reporters=reporters, file_bytes=file_bytes)
    )
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
        known = {channel.name: entries.seen_arrivals(conn, channel.name) for channel in channels}
        gathered = gather_all(channels, store, known, channel_states.last_looks(conn), file_bytes)
        if inbox is not None and gathered[0].down is not None:
            # Asked for by hand: whoever did so waits for the answer.
            cause = gathered[0].down.__cause__
            raise cause if isinstance(cause, InboxNotFound) else gathered[0].down
        # Of two files of a county the one that came later is the correction, whatever channels they came through.
        landed = sorted(
            (item for one in gathered for item in one.landed),
            key=lambda item: (item.arrival.received_at, item.arrival.path_in_channel),
        )
        with Workers() as workers:
            jobs = [
                (store.path_of(item.sha256), item.arrival.file_name, item.arrival.folder, reporters)
                for item in landed
                if item.refusal is None
            ]
            identified = workers.identify_all(jobs)
            for item in landed:
                found = next(identified) if item.refusal is None else _unread(item.arrival, item.refusal, reporters)
                # One transaction a file: a file that fails half-way is taken again, the others are safe.
                with conn.transaction():
                    outcome = _enter(conn, store, item.arrival, item.sha256, found, reporters, rules, workers, reopen)
                if outcome:
                    outcomes.append(outcome)
                    log.info("%s: %s: %s", item.arrival.channel, item.arrival.path_in_channel, outcome)
        if inbox is None:
            _close_channels(conn, gathered)
        if reopen is not None and waiting_corrections(conn, reopen):
            with conn.transaction():
                # collected earlier, before the month was asked for
                _reopen(conn, reopen, rules, datetime.now(SHANGHAI))
        periods = sorted({*entries.pending_periods(conn), *entries.outdated_periods(conn)})
    return CollectResult(
        periods=periods,
        files=sum(one.present for one in gathered),
        new=len(outcomes),
        duplicates=outcomes.count("duplicate"),
        refused=outcomes.count("refused"),
        waiting=outcomes.count("awaiting_approval"),
        unreadable=sum(one.unreadable for one in gathered),
        unfinished=sum(one.waiting for one in gathered),
        down=tuple(one.channel.name for one in gathered if one.down is not None),
    )


def check_channels() -> None:
    """Raise :class:`ChannelsDown` naming the channels that the last collection could not read, and why."""
    with connect() as conn:
        down = channel_states.channels_down(conn)
    if down:
        reasons = "；".join(f"{channel}：{error_zh}" for channel, error_zh in down.items())
        raise ChannelsDown(
            f"渠道收取失败：{reasons}。其他渠道照常收取；排除后无需重跑，下次收集自动补收。"
            f" Channels not collected: {', '.join(down)}. All others were; mend these (docs/channels.md), and the next"
            " collection takes what waits there."
        )


def _close_channels(conn: psycopg.Connection, gathered: Sequence[Gathered]) -> None:
    """Mark in the channels what is in the ledger now, and record how each of them answered."""
    for one in gathered:
        channel = one.channel
        if channel.marks and one.down is None:
            try:
                with channel.session():
                    channel.finish(entries.seen_arrivals(conn, channel.name))
            except ChannelDown as down:
                log.error("channel %s: %s", channel.name, down)
                one.down = down
        with conn.transaction():
            channel_states.record_channel(
                conn,
                channel.name,
                channel.kind,
                one.tried_at,
                waiting=one.waiting + one.unreadable,
                error_zh=None if one.down is None else one.down.reason_zh,
            )
    with conn.transaction():
        channel_states.forget_other_channels(conn, [one.channel.name for one in gathered])


def _unread(arrival: Arrival, refusal: Finding, reporters: Sequence[Reporter]) -> Identification:
    """A file refused before anybody looked into it. Where it is refused because nobody knows whose it is, what its name
    says does not count."""
    found = unopened(refusal, arrival.file_name, arrival.folder, reporters)
    return replace(found, period=None, reporter_code=None) if refusal.code in _NOBODYS else found


def _reopen(conn: psycopg.Connection, period: str, rules: ReportingRules, now: datetime) -> None:
    until, _ = reopen_period(conn, period, rules, actor=getpass.getuser(), reason_zh="手工运行该月", now=now)
    log.info("%s was closed; asked for by hand, it is open again until %s", period, until)


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
    is_nobodys = any(finding.code in _NOBODYS for finding in found.findings)
    twin = (
        None
        if is_nobodys
        else entries.same_content(
            conn, sha256, arrival.channel, arrival.path_in_channel, found.period, found.reporter_code
        )
    )
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
