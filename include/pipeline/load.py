"""Loading one batch: accepted rows into the warehouse, everything else into the ledger, workbooks back to the counties.

One transaction a submission; then what concerns the reporter's month as a whole. Whatever was done by an earlier try
of the same batch is found done: a load killed between any two writes ends the same.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg
from psycopg.types.json import Jsonb

from include.forms.model import Form, load_forms
from include.intake.calendar import SHANGHAI
from include.intake.reporters import load_reporters
from include.intake.workers import Workers
from include.ledger import entries, findings
from include.ledger.periods import revision_of
from include.ledger.versions import (
    Comparison,
    compare,
    record_comparison,
    row_identities,
    stored_layout,
    stored_rows,
)
from include.pipeline.batch import VALIDATED, Batch, Submission, open_batch, read_frame, remove_batch
from include.quality.findings import Finding, FindingLog, column_letter
from include.quality.runner import RuleResult
from include.returns.month import return_reporters
from include.settings import get_settings
from include.warehouse.connection import connect
from include.warehouse.loading import column_types, load_rows, refresh_statistics
from include.warehouse.locking import alone

log = logging.getLogger(__name__)
#: Numbers of unknown problems named in a finding; a whole list of another month has hundreds.
_KEYS_SAID = 5


@dataclass(frozen=True, slots=True)
class _Previous:
    """The version in force before this one."""

    submission_id: str
    version: int


def load_batch(batch: Mapping[str, Any]) -> dict[str, Any]:
    """Load the accepted rows, write the ledger, and give every reporter of the batch its workbook back.

    Args:
        batch: what ``validate_batch`` returned.

    Returns:
        The same with ``loaded`` (form -> rows) and the seconds of this step.
    """
    started = time.monotonic()
    # A task thought dead may still be loading when its next try begins; that one then finds the work done.
    with alone(f"load {batch['period']}"):
        loaded = _load(Path(batch["folder"]), batch["period"])
    log.info("period %s: loaded %s", batch["period"], loaded or "nothing new")
    return {**batch, "loaded": loaded, "seconds": {**batch["seconds"], "load": round(time.monotonic() - started, 2)}}


def _load(folder: Path, period: str) -> dict[str, int]:
    content = open_batch(folder, VALIDATED, period)
    loaded: dict[str, int] = {}
    if content is None:
        return loaded
    now = datetime.now(SHANGHAI)
    forms = load_forms()
    # Autocommit: else the first query would open a transaction that holds all the following ones.
    with connect(autocommit=True) as conn:
        corrections = _corrections(conn, content)
        revision_no = _revision_no(conn, content, corrections)
        for number, submission in enumerate(content.submissions, start=1):
            with conn.transaction():
                revised = revision_no if submission.receipt_id in corrections else None
                rows = _load_submission(conn, forms[submission.form], submission, folder, revised, now)
            if rows is not None:
                loaded[submission.form] = loaded.get(submission.form, 0) + rows
            if number % 50 == 0:
                log.info("period %s: loaded %d of %d reports", period, number, len(content.submissions))
        with conn.transaction():
            _record_late_findings(conn, content, now)
            _record_rule_results(conn, content.late_results)
        _close_receipts(conn, content, now)
        refresh_statistics(conn, loaded)
    remove_batch(folder)
    return loaded


def _corrections(conn: psycopg.Connection, content: Batch) -> set[int]:
    """Receipts of the batch that arrived after the month had closed."""
    rows = conn.execute(
        "select receipt_id from intake.received_file where receipt_id = any(%s) and is_correction",
        (list(content.receipts),),
    )
    return {row[0] for row in rows}


def _revision_no(conn: psycopg.Connection, content: Batch, corrections: set[int]) -> int:
    """The revision that the corrections of this batch make together; the one an earlier try began is gone on with."""
    ids = [s.submission_id for s in content.submissions if s.receipt_id in corrections]
    row = conn.execute(
        "select max(revision_no) from intake.submission where submission_id = any(%s)", (ids,)
    ).fetchone()
    begun = row[0] if row else None
    return int(begun) if begun else revision_of(conn, content.period) + 1


def _load_submission(
    conn: psycopg.Connection, form: Form, submission: Submission, folder: Path, revision_no: int | None, now: datetime
) -> int | None:
    """Enter one submission with its rows, findings, rule results and its difference to the version before; returns the
    rows loaded, ``None`` when an earlier try of this batch entered it."""
    known = conn.execute(
        "select 1 from intake.submission where submission_id = %s", (submission.submission_id,)
    ).fetchone()
    if known:
        return None
    frame = read_frame(folder, submission.submission_id)
    accepted, held = _split(frame, submission)
    previous = _previous(conn, submission)
    _record_submission(conn, submission, len(accepted), len(held), revision_no)
    _record_layout(conn, submission)
    _record_held(conn, form.name, submission, held)
    _record_rule_results(conn, submission.rule_results)
    owner = _owner(submission)
    findings.record_log(conn, submission.log, owner, now, row_identities(form, frame))
    findings.settle_replaced(conn, submission.submission_id, now)
    rows = load_rows(conn, form.name, accepted)
    if previous is not None and not submission.refused:
        comparison = _compare(conn, form, submission, frame, previous)
        record_comparison(conn, submission.submission_id, previous.submission_id, comparison)
    return rows


def _owner(submission: Submission) -> findings.Owner:
    return findings.Owner(submission.receipt_id, submission.submission_id, submission.period, submission.reporter_code)


def _previous(conn: psycopg.Connection, submission: Submission) -> _Previous | None:
    row = conn.execute(
        """
        select submission_id, version from intake.submission
        where form = %s and period = %s and reporter_code = %s and outcome <> 'refused'
        order by version desc limit 1
        """,
        (submission.form, submission.period, submission.reporter_code),
    ).fetchone()
    return _Previous(*row) if row else None


def _compare(
    conn: psycopg.Connection, form: Form, submission: Submission, frame: pd.DataFrame, previous: _Previous
) -> Comparison:
    before = stored_rows(conn, form, previous.submission_id, submission.period)
    return compare(form, before, stored_layout(conn, previous.submission_id), frame, submission.layout)


def _split(frame: pd.DataFrame, submission: Submission) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows to load and rows held back; a refused submission has neither (its file stays in the landing store)."""
    if submission.refused or frame.empty:
        return frame.iloc[0:0], frame.iloc[0:0]
    keys = submission.held
    is_held = pd.Series(
        [(sheet, int(row)) in keys for sheet, row in zip(frame["sheet"], frame["source_row"], strict=True)],
        index=frame.index,
        dtype=bool,
    )
    return frame[~is_held], frame[is_held]


def _record_submission(
    conn: psycopg.Connection, submission: Submission, accepted: int, held: int, revision_no: int | None
) -> None:
    """``revision_no``: of a correction; ``None``: it came in time. A refused correction changes nothing and takes no
    number."""
    outcome = "accepted_with_findings" if submission.log.counts else "accepted"
    if submission.refused:
        outcome = "refused"
    version = entries.next_version(conn, submission.form, submission.period, submission.reporter_code)
    conn.execute(
        """
        insert into intake.submission
            (submission_id, receipt_id, form, period, reporter_code, county_code, version, template_version, sheets,
             received_at, is_sample, outcome, rows_read, rows_accepted, rows_held, cells_read, cells_filled,
             findings_e, findings_r, findings_w, is_correction, revision_no)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
        """,
        (
            submission.submission_id, submission.receipt_id, submission.form, submission.period,
            submission.reporter_code, submission.county_code, version, submission.template_version,
            submission.sheets, submission.received_at, submission.is_sample, outcome,
            submission.rows_read, accepted, held, submission.cells_read, submission.cells_filled,
            submission.count("E"), submission.count("R"), submission.count("W"), revision_no is not None,
            0 if revision_no is None or submission.refused else revision_no,
        ),
    )  # fmt: skip


def _record_layout(conn: psycopg.Connection, submission: Submission) -> None:
    with conn.cursor() as cursor:
        cursor.executemany(
            "insert into intake.sheet_layout (submission_id, sheet, column_name, column_letter, header_text)"
            " values (%s, %s, %s, %s, %s)",
            [
                (submission.submission_id, sheet, column, column_letter(index), header)
                for sheet, columns in submission.layout.items()
                for column, (index, header) in columns.items()
            ],
        )


def _record_held(conn: psycopg.Connection, form: str, submission: Submission, held: pd.DataFrame) -> None:
    if held.empty:
        return
    public = [name for name in column_types(conn, "raw", form) if name in held.columns]
    lines = held["source_column"].tolist() if "source_column" in held else [""] * len(held)
    with conn.cursor() as cursor:
        cursor.executemany(
            "insert into intake.held_row (submission_id, sheet, source_row, source_column, row_values)"
            " values (%s, %s, %s, %s, %s)",
            [
                (submission.submission_id, row["sheet"], int(row["source_row"]), line, Jsonb(_plain(row, public)))
                for row, line in zip(held.to_dict("records"), lines, strict=True)
            ],
        )


def _plain(row: Mapping[Any, Any], names: list[str]) -> dict[str, Any]:
    """Values as JSON knows them; blanks left out."""
    return {
        name: row[name] if isinstance(row[name], (int, float, str, bool)) else str(row[name])
        for name in names
        if not pd.isna(row[name])
    }


def _record_rule_results(conn: psycopg.Connection, results: Sequence[RuleResult]) -> None:
    with conn.cursor() as cursor:
        cursor.executemany(
            """
            insert into intake.rule_result (submission_id, suite, code, column_name, state, checked, failed, detail)
            values (%s, %s, %s, %s, %s, %s, %s, %s)
            on conflict (submission_id, suite, code, column_name) do update set
                state = excluded.state, checked = excluded.checked, failed = excluded.failed, detail = excluded.detail
            """,
            [(r.submission_id, r.suite, r.code, r.column, r.state, r.checked, r.failed, r.detail) for r in results],
        )


def _record_late_findings(conn: psycopg.Connection, content: Batch, now: datetime) -> None:
    """Findings that a new form raised at rows of a form loaded before; each is entered and counted once. What the same
    comparison found there earlier and does not find now is mended."""
    by_submission: dict[str, list[Finding]] = {submission_id: [] for submission_id in content.compared}
    for submission_id, finding in content.late_findings:
        by_submission.setdefault(submission_id, []).append(finding)
    for submission_id, raised in by_submission.items():
        row = conn.execute(
            "select receipt_id, form, period, reporter_code from intake.submission where submission_id = %s",
            (submission_id,),
        ).fetchone()
        if row is None:
            continue
        receipt_id, form, period, reporter_code = row
        owner = findings.Owner(receipt_id, submission_id, period, reporter_code)
        identities = {}
        if raised:
            rows = stored_rows(conn, load_forms()[form], submission_id, period)
            identities = row_identities(load_forms()[form], rows)
        keys = findings.finding_keys(raised, owner, identities)
        findings.settle_compared(conn, submission_id, content.comparison_codes, keys, now)
        entered = findings.refresh_compared(conn, submission_id, dict(zip(keys, raised, strict=True)), now)
        new = FindingLog()
        new.extend(finding for finding, key in zip(raised, keys, strict=True) if key not in entered)
        if new.counts:
            findings.record_log(conn, new, owner, now, identities)
            # Only warnings come late: the row is loaded, and a rule that holds rows back looks at one form alone.
            conn.execute(
                "update intake.submission set findings_w = findings_w + %s, outcome = 'accepted_with_findings'"
                " where submission_id = %s",
                (new.count("W"), submission_id),
            )


def _close_receipts(conn: psycopg.Connection, content: Batch, now: datetime) -> None:
    """Enter what is wrong with whole files and what the counties explained, give every reporter its workbook back, and
    only then write what became of each file: killed in between, the same workbooks are written again."""
    settings = get_settings()
    reporters = {r.reporter_code: r for r in load_reporters(settings.reporters_file)}
    receipts = {receipt.receipt_id: receipt for receipt in entries.receipts(conn, list(content.receipts))}
    for receipt_id, found in content.receipts.items():
        receipt = receipts[receipt_id]
        assert receipt.period is not None and receipt.reporter_code is not None
        owner = findings.Owner(receipt_id, None, receipt.period, receipt.reporter_code)
        with conn.transaction():
            unknown = findings.record_explanations(
                conn,
                content.explanations.get(receipt_id, ()),
                receipt_id=receipt_id,
                period=receipt.period,
                reporter_code=receipt.reporter_code,
                received_at=receipt.received_at,
            )
            if not findings.has_tallies(conn, owner):
                if unknown:
                    params = {"file": receipt.file_name, "count": len(unknown), "keys": "、".join(unknown[:_KEYS_SAID])}
                    found.add(Finding("W-FILE-004", params=params))
                findings.record_log(conn, found, owner, now, {})
    touched = sorted({r.reporter_code for r in receipts.values() if r.reporter_code} | _compared(conn, content))
    for reporter_code in touched:
        with conn.transaction():
            findings.settle_files(conn, content.period, reporter_code, now)
    listed = [reporters[reporter_code] for reporter_code in touched if reporter_code in reporters]
    with Workers() as workers:
        for number, _ in enumerate(return_reporters(conn, content.period, listed, workers), start=1):
            if number % 50 == 0:
                log.info("period %s: returned %d of %d workbooks", content.period, number, len(listed))
    for receipt_id, found in content.receipts.items():
        submissions = [s for s in content.submissions if s.receipt_id == receipt_id]
        refused = not submissions or all(s.refused for s in submissions)
        outcome_zh = _outcome_zh(conn, submissions, found.detail)
        entries.set_file_outcome(conn, receipt_id, "refused" if refused else "processed", outcome_zh)


def _compared(conn: psycopg.Connection, content: Batch) -> set[str]:
    """Reporters whose loaded forms were compared anew."""
    rows = conn.execute(
        "select distinct reporter_code from intake.submission where submission_id = any(%s)", (list(content.compared),)
    )
    return {row[0] for row in rows}


def _outcome_zh(conn: psycopg.Connection, submissions: list[Submission], file_findings: Sequence[Finding]) -> str:
    blocking = [finding.message_zh for finding in file_findings if finding.severity == "E"]
    if blocking:
        return "退回：" + "；".join(blocking)
    titles = {name: form.title_zh for name, form in load_forms().items()}
    parts = []
    for submission in submissions:
        row = conn.execute(
            "select version, rows_accepted, rows_held, outcome from intake.submission where submission_id = %s",
            (submission.submission_id,),
        ).fetchone()
        assert row is not None
        version, accepted, held, outcome = row
        verdict = "退回" if outcome == "refused" else f"入库{accepted}行" + (f"，暂扣{held}行" if held else "")
        parts.append(f"{titles[submission.form]}第{version}版{verdict}")
    return "；".join(parts)
