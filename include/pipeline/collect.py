"""Collecting: what lies in the channels goes into the landing store and the ledger."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import psycopg

from include.intake import ledger
from include.intake.calendar import SHANGHAI, ReportingRules, load_rules
from include.intake.channels import Arrival, Channel, LocalFolder
from include.intake.landing import LandingStore
from include.intake.reading import Identification, identify_workbook
from include.intake.reporters import Reporter, expected_in, load_reporters
from include.intake.returns import return_file
from include.quality.findings import Finding
from include.settings import get_settings
from include.warehouse.connection import connect

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CollectResult:
    """What one collection did.

    Attributes:
        periods: periods with work to do, oldest first: files waiting to be read, or marts or reports out of date.
        files: files lying in the channels.
        new: files entered into the ledger this time; of them ``duplicates`` and ``refused``.
        unreadable: files that the system would not hand over; they are tried again at the next collection.
    """

    periods: list[str]
    files: int
    new: int
    duplicates: int
    refused: int
    unreadable: int = 0


def collect(inbox: Path | None = None) -> CollectResult:
    """Enter every new file of the inbox into the landing store and the ledger.

    Files that cannot be placed (unreadable, no period, no known county) are refused here with a returned workbook;
    all others wait for the build of their period. Running it again changes nothing.

    Args:
        inbox: folder to read instead of the configured one.
    """
    settings = get_settings()
    reporters = load_reporters(settings.reporters_file)
    rules = load_rules(settings.reporting_file)
    channel: Channel = LocalFolder(inbox or settings.inbox)
    store = LandingStore(settings.landing)
    outcomes: list[str] = []
    files = unreadable = 0
    # Autocommit: else the first query would open a transaction that holds those of all files.
    with connect(autocommit=True) as conn:
        with conn.transaction():
            ledger.sync_reporters(conn, reporters)
            # The clock closes a month, not a file: without this a month nobody corrects would stay provisional for
            # good.
            for period in ledger.open_periods(conn):
                ledger.open_period(conn, period, reporters, rules, datetime.now(SHANGHAI))
        seen = ledger.seen_arrivals(conn, channel.name)
        for arrival in channel.arrivals():
            files += 1
            if (arrival.path_in_channel, arrival.received_at, arrival.size_bytes) in seen:
                continue
            try:
                data = arrival.read()
            except OSError as error:
                unreadable += 1
                log.error("%s cannot be read: %s; mend its permissions", arrival.path_in_channel, error.strerror)
                continue
            # One transaction a file: a file that fails half-way is taken again, the others are safe.
            with conn.transaction():
                outcome = _enter(conn, store, arrival, data, reporters, rules)
            if outcome:
                outcomes.append(outcome)
                log.info("%s: %s", arrival.path_in_channel, outcome)
        periods = sorted({*ledger.pending_periods(conn), *ledger.outdated_periods(conn)})
    return CollectResult(
        periods=periods,
        files=files,
        new=len(outcomes),
        duplicates=outcomes.count("duplicate"),
        refused=outcomes.count("refused"),
        unreadable=unreadable,
    )


def _enter(
    conn: psycopg.Connection,
    store: LandingStore,
    arrival: Arrival,
    data: bytes,
    reporters: Sequence[Reporter],
    rules: ReportingRules,
) -> ledger.FileOutcome | None:
    """Land one file and write its ledger row; ``None`` when it already has one."""
    outcome: ledger.FileOutcome
    sha256 = store.put(data)
    found = identify_workbook(data, arrival.file_name, arrival.folder, reporters)
    found = _within_range(found, arrival, reporters, datetime.now(SHANGHAI))
    twin = ledger.same_content(conn, sha256, arrival.path_in_channel, found.period, found.reporter_code)
    if twin is not None:
        outcome, outcome_zh = "duplicate", f"重复报送：内容与已收到的“{twin.file_name}”完全相同，未作处理"
    elif _is_placed(found):
        outcome, outcome_zh = "pending", "待读取"
        assert found.period is not None
        ledger.open_period(conn, found.period, reporters, rules, datetime.now(SHANGHAI))
    else:
        outcome, outcome_zh = "refused", "退回：" + "；".join(f.message_zh for f in found.findings if f.severity == "E")
    receipt_id = ledger.record_file(
        conn,
        arrival,
        sha256,
        outcome=outcome,
        outcome_zh=outcome_zh,
        file_kind=found.file_kind,
        period=found.period,
        reporter_code=found.reporter_code,
        is_sample=found.is_sample,
    )
    if receipt_id is None:
        return None
    if outcome == "refused":
        if found.period is not None:
            ledger.open_period(conn, found.period, reporters, rules, datetime.now(SHANGHAI))
        ledger.record_findings(
            conn,
            found.findings,
            receipt_id=receipt_id,
            submission_id=None,
            period=found.period,
            reporter_code=found.reporter_code,
            first_seen=datetime.now(SHANGHAI),
        )
        return_file(
            data,
            arrival.file_name,
            found.file_kind,
            found.findings,
            period=found.period,
            reporter=next((r for r in reporters if r.reporter_code == found.reporter_code), None),
            is_sample=found.is_sample,
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
