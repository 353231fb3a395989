"""Building one reporting period: read -> validate -> load -> marts.

Each step is safe to run again: reading starts afresh, validation rewrites its own verdict, loading skips submissions
the ledger already has, and the marts replace exactly the period they are built for.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import psycopg
from psycopg.types.json import Jsonb

from include.forms.model import load_forms
from include.intake import ledger
from include.intake.calendar import SHANGHAI, check_period, load_rules, month_after
from include.intake.landing import LandingStore
from include.intake.reading import FormTable, read_workbook
from include.intake.reporters import Reporter, load_reporters
from include.intake.returns import return_file
from include.pipeline.batch import (
    READ,
    VALIDATED,
    Batch,
    Submission,
    batch_folder,
    has_batch,
    read_batch,
    read_frame,
    remove_batch,
    remove_others,
    write_batch,
)
from include.quality.findings import Finding, column_index, column_letter
from include.settings import get_settings
from include.warehouse.connection import connect
from include.warehouse.loading import column_types, load_rows, person_hash_key, person_key, refresh_statistics
from include.warehouse.locking import alone

if TYPE_CHECKING:
    from include.quality.runner import Validation

log = logging.getLogger(__name__)

_DTYPES = {"integer": "Int64", "bigint": "Int64", "numeric": "Float64", "boolean": "boolean", "date": "object"}


class BatchLost(RuntimeError):
    """The batch folder is gone although its files still wait: the build must start again from reading."""


def read_pending(period: str, run_key: str) -> dict[str, Any]:
    """Read every pending file of the period into a batch folder.

    Args:
        period: ``YYYY-MM``.
        run_key: names the batch; the same key reads into the same folder again.

    Returns:
        ``{"period", "run_key", "folder", "files", "rows": {form: n}, "seconds": {"read": s}}``.
    """
    started = time.monotonic()
    check_period(period)
    settings = get_settings()
    reporters = load_reporters(settings.reporters_file)
    by_code = {reporter.reporter_code: reporter for reporter in reporters}
    store = LandingStore(settings.landing)
    submissions: list[Submission] = []
    receipts: dict[int, list[Finding]] = {}
    parts: dict[str, list[pd.DataFrame]] = {}
    with connect() as conn:
        ledger.open_period(conn, period, reporters, load_rules(settings.reporting_file), datetime.now(SHANGHAI))
        conn.commit()
        types = {
            form: {**column_types(conn, "raw", form), **column_types(conn, "restricted", form)} for form in load_forms()
        }
        for receipt in ledger.pending_receipts(conn, period):
            reading = read_workbook(store.get(receipt.sha256), receipt.file_name, receipt.folder, reporters)
            receipts[receipt.receipt_id] = list(reading.findings)
            if reading.refused:
                continue  # also a reporter that left the list since the file was collected
            assert receipt.reporter_code is not None
            reporter = by_code[receipt.reporter_code]
            for table in reading.tables:
                submission = _submission(receipt, table, reporter)
                submissions.append(submission)
                if not submission.refused:
                    parts.setdefault(table.form, []).append(_frame(table, submission, types[table.form]))
    frames = {form: pd.concat(frames, ignore_index=True) for form, frames in parts.items()}
    folder = batch_folder(period, run_key)
    remove_others(period, run_key)
    write_batch(folder, READ, Batch(period, run_key, submissions, receipts), frames)
    rows = {form: len(frame) for form, frame in frames.items()}
    log.info("period %s: read %d files: %s", period, len(receipts), rows or "nothing pending")
    return {
        "period": period,
        "run_key": run_key,
        "folder": str(folder),
        "files": len(receipts),
        "rows": rows,
        "seconds": {"read": round(time.monotonic() - started, 2)},
    }


def _submission(receipt: ledger.Receipt, table: FormTable, reporter: Reporter) -> Submission:
    # One submission a sending and form: the same file sent again after it was refused or replaced counts anew.
    place = hashlib.sha256(f"{receipt.channel_path} {receipt.received_at.timestamp()}".encode()).hexdigest()[:8]
    assert receipt.period is not None
    return Submission(
        submission_id=f"{receipt.sha256[:12]}-{place}-{table.form}",
        receipt_id=receipt.receipt_id,
        form=table.form,
        period=receipt.period,
        reporter_code=reporter.reporter_code,
        county_code=reporter.region_code,
        template_version=table.template_version,
        sheets=list(table.sheets),
        layout={sheet: dict(columns) for sheet, columns in table.layout.items()},
        received_at=receipt.received_at,
        is_sample=receipt.is_sample,
        rows_read=len(table.source_rows),
        cells_read=table.cells_read,
        cells_filled=table.cells_filled,
        findings=list(table.findings),
    )


def _frame(table: FormTable, submission: Submission, types: Mapping[str, str]) -> pd.DataFrame:
    """Rows of a form as a frame with nullable types, so that a blank stays a blank."""
    rows = len(table.source_rows)
    data: dict[str, Any] = {
        name: pd.Series(table.columns.get(name, [None] * rows), dtype=_DTYPES.get(data_type, "str"))
        for name, data_type in types.items()
        if name not in ("submission_id", "sheet", "source_row", "period", "county_code", "person_key")
    }
    if "person_id" in data:
        key = person_hash_key()
        data["person_key"] = (
            data["person_id"].map(lambda number: person_key(number, key), na_action="ignore").astype("str")
        )
    data["submission_id"] = submission.submission_id
    data["sheet"] = table.sheet_of_row
    data["source_row"] = table.source_rows
    data["period"] = submission.period
    data["county_code"] = submission.county_code
    return pd.DataFrame(data)


def validate_batch(batch: Mapping[str, Any]) -> dict[str, Any]:
    """Run the Great Expectations suites over the batch, once a form over all counties, and keep what they find."""
    from include.quality.runner import examine, examine_cross_form  # imports Great Expectations: seconds

    started = time.monotonic()
    folder = Path(batch["folder"])
    content = _open_batch(folder, READ, batch["period"])
    if content is None:
        return {**batch, "seconds": {**batch["seconds"], "validate": 0.0}, "findings": _tally(content)}
    by_id = {submission.submission_id: submission for submission in content.submissions}
    layouts = {(s.submission_id, sheet): columns for s in content.submissions for sheet, columns in s.layout.items()}
    held = {(s.submission_id, sheet, row) for s in content.submissions for sheet, row in s.held}
    frames = {form: read_frame(folder, form) for form in load_forms()}
    for form, frame in frames.items():
        if not frame.empty:
            context = _previous_month(form, content)
            _attach(by_id, content, examine(form, frame, context, layout_of=layouts, held=held))
    status, demand, older_layouts = _cross_form_frames(content, frames)
    if not status.empty and not demand.empty:
        _attach(by_id, content, examine_cross_form(status, demand, layout_of={**layouts, **older_layouts}))
    write_batch(folder, VALIDATED, content)
    return {
        **batch,
        "seconds": {**batch["seconds"], "validate": round(time.monotonic() - started, 2)},
        "findings": _tally(content),
    }


def _attach(by_id: Mapping[str, Submission], content: Batch, validation: Validation) -> None:
    for row_finding in validation.findings:
        submission = by_id.get(row_finding.submission_id)
        if submission is None:
            content.late_findings.append((row_finding.submission_id, row_finding.finding))
        else:
            submission.findings.append(row_finding.finding)


def _tally(content: Batch | None) -> dict[str, int]:
    tally = {"E": 0, "R": 0, "W": 0}
    if content is not None:
        for findings in [*content.receipts.values(), *(s.findings for s in content.submissions)]:
            for finding in findings:
                tally[finding.severity] += 1
    return tally


def _open_batch(folder: Path, step: str, period: str) -> Batch | None:
    """The batch as a step left it; ``None`` when it was loaded and removed by an earlier try of the same run."""
    if has_batch(folder, step):
        return read_batch(folder, step)
    with connect() as conn:
        waiting = len(ledger.pending_receipts(conn, period))
    if waiting:
        raise BatchLost(f"{folder.name}: batch folder is gone but {waiting} files wait; clear the run from task `read`")
    return None


_PREVIOUS_COLUMNS = ("uscc", "headcount", "revenue_wan_yuan")


def _previous_month(form: str, content: Batch) -> dict[str, pd.DataFrame]:
    """What the rules that compare months need: form 1 of the same reporters a month ago, as accepted."""
    if form != "enterprise_status":
        return {}
    reporters = sorted({submission.reporter_code for submission in content.submissions if submission.form == form})
    rows, _ = _accepted_rows(month_after(content.period, -1), form, _PREVIOUS_COLUMNS, reporters)
    return {"previous": rows} if not rows.empty else {}


_CROSS_COLUMNS = {
    "enterprise_status": ("uscc", "enterprise_name", "shortage_now", "shortage_expansion", "training_needed"),
    "labour_demand": ("uscc", "enterprise_name", "shortage_now", "shortage_expansion", "training_persons"),
}


def _cross_form_frames(
    content: Batch, frames: Mapping[str, pd.DataFrame]
) -> tuple[pd.DataFrame, pd.DataFrame, dict[tuple[str, str], dict[str, tuple[int, str]]]]:
    """Forms 1 and 2 as they stand together: of each reporter the newest version, from this batch or else loaded.

    Rows held back are among them, whichever they come from: an enterprise held back in form 1 was sent all the same.
    """
    newest: dict[tuple[str, str], str] = {}
    for submission in content.submissions:  # in order of arrival
        if not submission.refused:
            newest[submission.form, submission.reporter_code] = submission.submission_id
    result: list[pd.DataFrame] = []
    layouts: dict[tuple[str, str], dict[str, tuple[int, str]]] = {}
    touched = {reporter for form, reporter in newest if form in _CROSS_COLUMNS}
    for form, columns in _CROSS_COLUMNS.items():
        ids = {submission_id for (name, _), submission_id in newest.items() if name == form}
        frame = frames[form]
        now = frame[frame["submission_id"].isin(ids)] if not frame.empty else frame
        missing = sorted(touched - {reporter for (name, reporter) in newest if name == form})
        earlier, earlier_layouts = _accepted_rows(content.period, form, columns, missing, with_held=True)
        layouts.update(earlier_layouts)
        parts = [part for part in (now, earlier) if not part.empty]
        result.append(pd.concat(parts, ignore_index=True) if parts else pd.DataFrame())
    return result[0], result[1], layouts


def _accepted_rows(
    period: str, form: str, columns: tuple[str, ...], reporters: list[str], *, with_held: bool = False
) -> tuple[pd.DataFrame, dict[tuple[str, str], dict[str, tuple[int, str]]]]:
    if not reporters:
        return pd.DataFrame(), {}
    names = ("submission_id", "sheet", "source_row", "period", "county_code", *columns)
    with connect() as conn:
        latest = [
            row[0]
            for row in conn.execute(
                """
                select distinct on (reporter_code) submission_id from intake.submission
                where period = %s and form = %s and reporter_code = any(%s) and outcome <> 'refused'
                order by reporter_code, version desc
                """,
                (period, form, reporters),
            )
        ]
        types = column_types(conn, "raw", form)
        rows = conn.execute(
            f"select {', '.join(names)} from raw.{form} where period = %s and submission_id = any(%s)"
            " order by submission_id, sheet, source_row",
            (period, latest),
        ).fetchall()
        if with_held:
            rows += [
                tuple(values.get(name) for name in names)
                for (values,) in conn.execute(
                    "select row_values from intake.held_row where submission_id = any(%s)"
                    " order by submission_id, sheet, source_row",
                    (latest,),
                )
            ]
        layouts: dict[tuple[str, str], dict[str, tuple[int, str]]] = {}
        for submission_id, sheet, column, letter, header in conn.execute(
            "select submission_id, sheet, column_name, column_letter, header_text from intake.sheet_layout"
            " where submission_id = any(%s)",
            (latest,),
        ):
            layouts.setdefault((submission_id, sheet), {})[column] = (column_index(letter), header)
    data = {
        name: pd.Series([row[position] for row in rows], dtype=_DTYPES.get(types[name], "str"))
        for position, name in enumerate(names)
    }
    return pd.DataFrame(data), layouts


def load_batch(batch: Mapping[str, Any]) -> dict[str, Any]:
    """Load the accepted rows, write the ledger, and return every file of the batch to its sender."""
    started = time.monotonic()
    # A task thought dead may still be loading when its next try begins; that one then finds the work done.
    with alone(f"load {batch['period']}"):
        loaded = _load(Path(batch["folder"]), batch["period"])
    log.info("period %s: loaded %s", batch["period"], loaded or "nothing new")
    return {**batch, "loaded": loaded, "seconds": {**batch["seconds"], "load": round(time.monotonic() - started, 2)}}


def _load(folder: Path, period: str) -> dict[str, int]:
    content = _open_batch(folder, VALIDATED, period)
    loaded: dict[str, int] = {}
    if content is not None:
        now = datetime.now(SHANGHAI)
        # Autocommit: else the first query would open a transaction that holds all the following ones.
        with connect(autocommit=True) as conn:
            for form in load_forms():
                submissions = [s for s in content.submissions if s.form == form]
                if submissions:
                    with conn.transaction():
                        loaded[form] = _load_form(conn, form, submissions, read_frame(folder, form), now)
            with conn.transaction():
                _record_late_findings(conn, content, now)
            for receipt_id in content.receipts:
                _close_receipt(conn, content, receipt_id, now)
            refresh_statistics(conn, loaded)
        remove_batch(folder)
    return loaded


def _load_form(
    conn: psycopg.Connection, form: str, submissions: list[Submission], frame: pd.DataFrame, now: datetime
) -> int:
    known = {
        row[0]
        for row in conn.execute(
            "select submission_id from intake.submission where submission_id = any(%s)",
            ([s.submission_id for s in submissions],),
        )
    }
    rows = 0
    for submission in submissions:
        if submission.submission_id in known:
            continue  # an earlier try of this run loaded it
        accepted, held = _split(frame, submission)
        _record_submission(conn, submission, len(accepted), len(held))
        _record_layout(conn, submission)
        _record_held(conn, form, submission, held)
        ledger.record_findings(
            conn,
            submission.findings,
            receipt_id=submission.receipt_id,
            submission_id=submission.submission_id,
            period=submission.period,
            reporter_code=submission.reporter_code,
            first_seen=now,
        )
        rows += load_rows(conn, form, accepted)
    return rows


def _split(frame: pd.DataFrame, submission: Submission) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows to load and rows held back; a refused submission has neither (its file stays in the landing store)."""
    if submission.refused or frame.empty:
        return frame.iloc[0:0], frame.iloc[0:0]
    own = frame[frame["submission_id"] == submission.submission_id]
    keys = submission.held
    is_held = pd.Series(
        [(sheet, int(row)) in keys for sheet, row in zip(own["sheet"], own["source_row"], strict=True)],
        index=own.index,
        dtype=bool,
    )
    return own[~is_held], own[is_held]


def _record_submission(conn: psycopg.Connection, submission: Submission, accepted: int, held: int) -> None:
    outcome = "accepted_with_findings" if submission.findings else "accepted"
    if submission.refused:
        outcome = "refused"
    version = ledger.next_version(conn, submission.form, submission.period, submission.reporter_code)
    conn.execute(
        """
        insert into intake.submission
            (submission_id, receipt_id, form, period, reporter_code, county_code, version, template_version, sheets,
             received_at, is_sample, outcome, rows_read, rows_accepted, rows_held, cells_read, cells_filled,
             findings_e, findings_r, findings_w)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
        """,
        (
            submission.submission_id, submission.receipt_id, submission.form, submission.period,
            submission.reporter_code, submission.county_code, version, submission.template_version,
            submission.sheets, submission.received_at, submission.is_sample, outcome,
            submission.rows_read, accepted, held, submission.cells_read, submission.cells_filled,
            submission.count("E"), submission.count("R"), submission.count("W"),
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
    with conn.cursor() as cursor:
        cursor.executemany(
            "insert into intake.held_row (submission_id, sheet, source_row, row_values) values (%s, %s, %s, %s)",
            [
                (submission.submission_id, row["sheet"], int(row["source_row"]), Jsonb(_plain(row, public)))
                for row in held.to_dict("records")
            ],
        )


def _plain(row: Mapping[Any, Any], names: list[str]) -> dict[str, Any]:
    """Values as JSON knows them; blanks left out."""
    return {
        name: row[name] if isinstance(row[name], (int, float, str, bool)) else str(row[name])
        for name in names
        if not pd.isna(row[name])
    }


def _record_late_findings(conn: psycopg.Connection, content: Batch, now: datetime) -> None:
    """Findings that a new form raised at rows of a form loaded before; each is entered and counted once."""
    for submission_id, finding in content.late_findings:
        row = conn.execute(
            """
            select receipt_id, period, reporter_code from intake.submission as s
            where submission_id = %s and not exists (
                select 1 from intake.finding as f
                where f.submission_id = s.submission_id and f.code = %s and f.column_name is not distinct from %s
                    and f.sheet is not distinct from %s and f.source_row is not distinct from %s
            )
            """,
            (submission_id, finding.code, finding.column, finding.sheet, finding.row),
        ).fetchone()
        if row is not None:
            ledger.record_findings(
                conn,
                [finding],
                receipt_id=row[0],
                submission_id=submission_id,
                period=row[1],
                reporter_code=row[2],
                first_seen=now,
            )
            # Only warnings come late: the row is loaded, and a rule that holds rows back looks at one form alone.
            conn.execute(
                "update intake.submission set findings_w = findings_w + 1, outcome = 'accepted_with_findings'"
                " where submission_id = %s",
                (submission_id,),
            )


def _close_receipt(conn: psycopg.Connection, content: Batch, receipt_id: int, now: datetime) -> None:
    """Return the file to its sender, then write its outcome: killed in between, the same workbook is written again."""
    row = conn.execute(
        "select sha256, file_name, file_kind, reporter_code, is_sample from intake.received_file where receipt_id = %s",
        (receipt_id,),
    ).fetchone()
    assert row is not None
    sha256, file_name, file_kind, reporter_code, is_sample = row
    settings = get_settings()
    reporters = {r.reporter_code: r for r in load_reporters(settings.reporters_file)}
    file_findings = content.receipts[receipt_id]
    submissions = [s for s in content.submissions if s.receipt_id == receipt_id]
    findings = [*file_findings, *(finding for s in submissions for finding in s.findings)]
    summary = _outcome_zh(conn, submissions, file_findings)
    return_file(
        LandingStore(settings.landing).get(sha256),
        file_name,
        file_kind,
        findings,
        period=content.period,
        reporter=reporters.get(reporter_code),
        is_sample=is_sample,
        summary=summary,
    )
    refused = not submissions or all(s.refused for s in submissions)
    with conn.transaction():
        if file_findings:
            ledger.record_findings(
                conn,
                file_findings,
                receipt_id=receipt_id,
                submission_id=None,
                period=content.period,
                reporter_code=reporter_code,
                first_seen=now,
            )
        ledger.set_file_outcome(conn, receipt_id, "refused" if refused else "processed", summary)


def _outcome_zh(conn: psycopg.Connection, submissions: list[Submission], file_findings: list[Finding]) -> str:
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


def build_marts(period: str, run_key: str = "by hand", seconds: Mapping[str, float] | None = None) -> dict[str, Any]:
    """Build the marts of the period, and of later periods already built from other data.

    A month's comparisons look back at earlier months, so a correction of March is also a change of April.

    Returns:
        ``{"period", "periods": [all periods rebuilt, oldest first], "seconds": {...}}``.

    Raises:
        include.warehouse.dbt.MartBuildFailed: a model or a data test failed; the message names it.
    """
    from include.warehouse.dbt import dbt_build

    started = time.monotonic()
    check_period(period)
    settings = get_settings()
    with connect() as conn:
        reporters, rules = load_reporters(settings.reporters_file), load_rules(settings.reporting_file)
        ledger.sync_reporters(conn, reporters)
        ledger.open_period(conn, period, reporters, rules, datetime.now(SHANGHAI))
        conn.commit()
        outdated = set(ledger.outdated_periods(conn))
        later = [p for p in ledger.built_periods(conn) if p > period and p in outdated]
    spent = dict(seconds or {})
    for target in [period, *later]:
        with connect() as conn:
            digest = ledger.input_hash(conn, target)
        began = time.monotonic()
        dbt_build(target)
        took = {**(spent if target == period else {}), "dbt": round(time.monotonic() - began, 2)}
        with connect() as conn:
            ledger.record_build(conn, target, run_key, digest, took)
            conn.commit()
    log.info("marts of %s built in %.1f s", ", ".join([period, *later]), time.monotonic() - started)
    return {
        "period": period,
        "periods": [period, *later],
        "seconds": {**spent, "dbt": round(time.monotonic() - started, 2)},
    }
