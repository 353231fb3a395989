"""Building one reporting period: read -> validate -> load -> marts.

Each step is safe to run again: reading starts afresh, validation rewrites its own verdict, loading skips submissions
the ledger already has, and the marts replace exactly the period they are built for.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import psycopg

from include.forms.model import load_forms
from include.intake.calendar import SHANGHAI, check_period, load_rules
from include.intake.reading import unopened
from include.intake.reporters import Reporter, load_reporters
from include.intake.workers import JobKilled, Outcome, Workers
from include.ledger import entries
from include.ledger.periods import open_period
from include.pipeline.batch import (
    READ,
    Batch,
    Submission,
    batch_folder,
    remove_others,
    write_batch,
)
from include.pipeline.reading_job import FileReading, FormReading, ReadTask, ReceivedFile, read_submissions
from include.quality.findings import FindingLog
from include.settings import get_settings
from include.warehouse.connection import connect
from include.warehouse.loading import column_types
from include.warehouse.person_key import person_hash_key

log = logging.getLogger(__name__)

#: Files between two lines of the log.
_PROGRESS_FILES = 50


def read_pending(period: str, run_key: str) -> dict[str, Any]:
    """Read every pending file of the period into a batch folder.

    Args:
        period: ``YYYY-MM``.
        run_key: names the batch; the same key reads into the same folder again.

    Returns:
        ``{"period", "run_key", "folder", "files", "rows": {form: n}, "seconds": {"read": s}, "peak_mb": n}``;
        the last is the largest resident size of a reading process.
    """
    started = time.monotonic()
    check_period(period)
    settings = get_settings()
    reporters = load_reporters(settings.reporters_file)
    by_code = {reporter.reporter_code: reporter for reporter in reporters}
    folder = batch_folder(period, run_key)
    remove_others(period, run_key)
    with connect() as conn:
        open_period(conn, period, reporters, load_rules(settings.reporting_file), datetime.now(SHANGHAI))
        conn.commit()
        types = {
            form: {**column_types(conn, "raw", form), **column_types(conn, "restricted", form)} for form in load_forms()
        }
        receipts = entries.pending_receipts(conn, period)
    task = ReadTask(settings.landing, folder, period, types, reporters, person_hash_key())
    content = Batch(period, run_key, [], {})
    rows: Counter[str] = Counter()
    with Workers() as workers:
        outcomes = workers.map(read_submissions, ((task, _received(receipt)) for receipt in receipts))
        for number, (receipt, outcome) in enumerate(zip(receipts, outcomes, strict=True), start=1):
            read = _outcome(outcome, receipt, reporters, workers)
            content.receipts[receipt.receipt_id] = read.log
            if read.explanations:
                content.explanations[receipt.receipt_id] = read.explanations
            if read.forms:  # none of a reporter that left the list since the file was collected
                assert receipt.reporter_code is not None
                submissions = [_submission(receipt, form, by_code[receipt.reporter_code]) for form in read.forms]
                content.submissions += submissions
                rows.update({one.form: one.rows_read for one in submissions if not one.refused})
            if number % _PROGRESS_FILES == 0:
                log.info("period %s: read %d of %d files", period, number, len(receipts))
    write_batch(folder, READ, content)
    peak_mb = workers.peak_bytes // 1_000_000
    log.info(
        "period %s: read %d files: %s; a reading process took at most %d MB",
        period,
        len(receipts),
        dict(rows) or "nothing pending",
        peak_mb,
    )
    return {
        "period": period,
        "run_key": run_key,
        "folder": str(folder),
        "files": len(receipts),
        "rows": dict(rows),
        "seconds": {"read": round(time.monotonic() - started, 2)},
        "peak_mb": peak_mb,
    }


def _received(receipt: entries.Receipt) -> ReceivedFile:
    # One submission a sending and form: the same file sent again after it was refused or replaced counts anew.
    place = hashlib.sha256(f"{receipt.channel_path} {receipt.received_at.timestamp()}".encode()).hexdigest()[:8]
    stem = f"{receipt.sha256[:12]}-{place}"
    return ReceivedFile(receipt.sha256, receipt.file_name, receipt.folder, receipt.reporter_code, stem)


def _outcome(
    outcome: Outcome, receipt: entries.Receipt, reporters: Sequence[Reporter], workers: Workers
) -> FileReading:
    """What reading gave; a reading process that had to be killed gives a refused file."""
    if isinstance(outcome.error, JobKilled):
        finding = workers.finding(outcome.error, receipt.file_name)
        refused = FileReading(FindingLog())
        refused.log.extend(unopened(finding, receipt.file_name, receipt.folder, reporters).findings)
        return refused
    read: FileReading = outcome.get()
    return read


def _submission(receipt: entries.Receipt, form: FormReading, reporter: Reporter) -> Submission:
    assert receipt.period is not None
    return Submission(
        submission_id=form.submission_id,
        receipt_id=receipt.receipt_id,
        form=form.form,
        period=receipt.period,
        reporter_code=reporter.reporter_code,
        county_code=reporter.region_code,
        template_version=form.template_version,
        sheets=form.sheets,
        layout=form.layout,
        received_at=receipt.received_at,
        is_sample=receipt.is_sample,
        rows_read=form.rows_read,
        cells_read=form.cells_read,
        cells_filled=form.cells_filled,
        log=form.log,
    )


def build_marts(period: str, run_key: str = "by hand", seconds: Mapping[str, float] | None = None) -> dict[str, Any]:
    """Build the marts of the period, of earlier ones that are not up to date, and of later ones on changed data.

    A month's comparisons look back at what the marts hold of earlier months, so months are built oldest first: an
    earlier month with submissions that was never built, or whose correction was loaded and not built yet, comes before
    it with all that follow, and a correction of March is also a change of April. Later months built already are built
    again when their own input changed, and all of them when this month's or an earlier one's did: they were made from
    a month that held something else.

    A month that cannot be built holds the later ones back: its error names it, and them.

    Returns:
        ``{"period", "periods": [all periods rebuilt, oldest first], "seconds": {...}}``.

    Raises:
        include.warehouse.dbt.MartBuildFailed: a model or a data test failed; the message names it.
    """
    from include.analysis.run import analyse
    from include.warehouse.dbt import dbt_build, holding_back, prepare

    started = time.monotonic()
    check_period(period)
    settings = get_settings()
    with connect() as conn:
        reporters, rules = load_reporters(settings.reporters_file), load_rules(settings.reporting_file)
        entries.sync_reporters(conn, reporters)
        open_period(conn, period, reporters, rules, datetime.now(SHANGHAI))
        conn.commit()
        earlier = _earlier(conn, period)
        later = _later(conn, period, is_past_changed=bool(earlier))
    spent = dict(seconds or {})
    built = [*earlier, period, *later]
    for number, target in enumerate(built, start=1):
        with connect() as conn:
            digest = entries.input_hash(conn, target)
        began = time.monotonic()
        with holding_back(built[number:]):
            prepare(target)
            analyse(target)
            dbt_build(target)
        took = {**(spent if target == period else {}), "dbt": round(time.monotonic() - began, 2)}
        with connect() as conn:
            entries.record_build(conn, target, run_key, digest, took)
            conn.commit()
    log.info("marts of %s built in %.1f s", ", ".join(built), time.monotonic() - started)
    return {
        "period": period,
        "periods": built,
        "seconds": {**spent, "dbt": round(time.monotonic() - started, 2)},
    }


def _earlier(conn: psycopg.Connection[Any], period: str) -> list[str]:
    """Periods to be built before ``period``, oldest first: all from the first that is not up to date."""
    from include.warehouse.dbt import unbuilt_before

    unbuilt = unbuilt_before(conn, period)
    stale = [*unbuilt, *(one for one in entries.changed_builds(conn) if one < period)]
    if not stale:
        return []
    return sorted({*unbuilt, *(one for one in entries.built_periods(conn) if min(stale) <= one < period)})


def _later(conn: psycopg.Connection[Any], period: str, *, is_past_changed: bool) -> list[str]:
    """Periods after ``period``, built already, that must be built again once it and those before it are."""
    standing = [one for one in entries.built_periods(conn) if one > period]
    if not standing:
        return []
    if is_past_changed or entries.built_input(conn, period) != entries.input_hash(conn, period):
        return standing
    outdated = set(entries.outdated_periods(conn))
    return [one for one in standing if one in outdated]
