"""The second step of a build: the rows of a batch against the expectation suites.

The batch is worked through in chunks of whole reporters, so that the forms of a reporter are seen together and memory
does not grow with the province: half a million rows need no more than forty thousand.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import pandas as pd
import psycopg

from include.forms.model import load_forms
from include.pipeline.batch import READ, VALIDATED, Batch, Submission, open_batch, read_frame, write_batch
from include.quality.findings import Severity, column_index
from include.quality.history import load_history
from include.quality.rules import CROSS_FORM
from include.quality.runner import (
    ROWS_PER_CHUNK,
    Layout,
    Validation,
    examine,
    examine_cross_form,
    load_suite,
    not_run,
    warm_up,
)
from include.quality.thresholds import limit
from include.warehouse.connection import connect

log = logging.getLogger(__name__)

CROSS_COLUMNS = {
    "enterprise_status": ("uscc", "enterprise_name", "shortage_now", "shortage_expansion", "training_needed"),
    "labour_demand": ("uscc", "enterprise_name", "shortage_now", "shortage_expansion", "training_persons"),
}
_KEY = ("submission_id", "sheet", "source_row", "period", "county_code")


def validate_batch(batch: Mapping[str, Any]) -> dict[str, Any]:
    """Run the suites over the batch and keep what they find: findings and one result a submission and rule.

    Args:
        batch: what :func:`include.pipeline.build.read_pending` returned.

    Returns:
        The same with ``findings`` (``{"E": n, "R": n, "W": n}``) and the seconds taken.
    """
    started = time.monotonic()
    folder = Path(batch["folder"])
    content = open_batch(folder, READ, batch["period"])
    if content is None:
        return {**batch, "seconds": {**batch["seconds"], "validate": 0.0}, "findings": _tally(content)}
    if any(not submission.refused for submission in content.submissions):
        # Great Expectations takes seconds to import: meanwhile the first rows are read and their columns computed
        threading.Thread(target=warm_up, name="import Great Expectations", daemon=True).start()
    content.comparison_codes = [rule.code for rule in load_suite(CROSS_FORM)]
    chunks = list(_chunks(content.submissions, int(limit(ROWS_PER_CHUNK))))
    done, total = 0, sum(s.rows_read for s in content.submissions if not s.refused)
    with connect(autocommit=True) as conn:
        for number, chunk in enumerate(chunks, start=1):
            _validate_chunk(conn, content, chunk, folder)
            done += sum(submission.rows_read for submission in chunk)
            log.info("period %s: validated %d of %d rows (%d of %d)", content.period, done, total, number, len(chunks))
    for submission in content.submissions:
        if not submission.rule_results:
            submission.rule_results = not_run(submission.form, submission.submission_id, "refused when it was read")
    write_batch(folder, VALIDATED, content)
    return {
        **batch,
        "seconds": {**batch["seconds"], "validate": round(time.monotonic() - started, 2)},
        "findings": _tally(content),
    }


def _tally(content: Batch | None) -> dict[str, int]:
    tally = {"E": 0, "R": 0, "W": 0}
    if content is not None:
        for found in [*content.receipts.values(), *(s.log for s in content.submissions)]:
            for severity in get_args(Severity):
                tally[severity] += found.count(severity)
    return tally


def _chunks(submissions: Sequence[Submission], rows: int) -> Iterator[list[Submission]]:
    """The readable submissions in groups of whole reporters of at most ``rows`` rows (or one reporter)."""
    of_reporter: dict[str, list[Submission]] = {}
    for submission in submissions:
        if not submission.refused:
            of_reporter.setdefault(submission.reporter_code, []).append(submission)
    chunk: list[Submission] = []
    size = 0
    for own in of_reporter.values():
        more = sum(submission.rows_read for submission in own)
        if chunk and size + more > rows:
            yield chunk
            chunk, size = [], 0
        chunk.extend(own)
        size += more
    if chunk:
        yield chunk


def _validate_chunk(conn: psycopg.Connection[Any], content: Batch, chunk: Sequence[Submission], folder: Path) -> None:
    by_id = {submission.submission_id: submission for submission in chunk}
    layouts = {(s.submission_id, sheet): columns for s in chunk for sheet, columns in s.layout.items()}
    held = {(s.submission_id, sheet, row) for s in chunk for sheet, row in s.held}
    compared: dict[str, pd.DataFrame] = {}
    for form in load_forms():
        own = [submission for submission in chunk if submission.form == form]
        if not own:
            continue
        frame = _rows_of(folder, own)
        history = load_history(conn, form, content.period, {submission.reporter_code for submission in own})
        ids = [submission.submission_id for submission in own]
        _attach(by_id, content, examine(form, frame, history, layout_of=layouts, held=held, submissions=ids))
        if form in CROSS_COLUMNS:
            compared[form] = frame.reindex(columns=[*_KEY, *CROSS_COLUMNS[form]])
    _compare_forms(conn, content, chunk, compared, layouts)


def _rows_of(folder: Path, submissions: Sequence[Submission]) -> pd.DataFrame:
    frames = []
    for submission in submissions:
        frame = read_frame(folder, submission.submission_id)
        if not frame.empty:
            frames.append(frame.assign(reporter_code=submission.reporter_code))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def _attach(by_id: Mapping[str, Submission], content: Batch, validation: Validation) -> None:
    for submission_id, found in validation.logs.items():
        if submission_id in by_id:
            by_id[submission_id].log.merge(found)
        else:
            content.late_findings.extend((submission_id, finding) for finding in found.detail)
    for result in validation.results:
        if result.submission_id in by_id:
            by_id[result.submission_id].rule_results.append(result)
        else:
            content.late_results.append(result)


def _compare_forms(
    conn: psycopg.Connection[Any],
    content: Batch,
    chunk: Sequence[Submission],
    frames: Mapping[str, pd.DataFrame],
    layouts: Layout,
) -> None:
    """Hold forms 1 and 2 against each other as they stand: of each reporter the newest version, from this batch or else
    loaded before. Rows held back are among them, whichever they come from: an enterprise held back was sent all the
    same."""
    both = [submission for submission in chunk if submission.form in CROSS_COLUMNS]
    # in order of arrival
    newest = {(s.form, s.reporter_code): s.submission_id for s in both if not s.refused}
    touched = {submission.reporter_code for submission in both if not submission.refused}
    sides: dict[str, pd.DataFrame] = {}
    layout_of: dict[tuple[str, str], Mapping[str, tuple[int, str]]] = dict(layouts)
    for form, columns in CROSS_COLUMNS.items():
        now = frames.get(form, pd.DataFrame())
        if not now.empty:
            now = now[now["submission_id"].isin({one for (name, _), one in newest.items() if name == form})]
        absent = sorted(touched - {reporter for (name, reporter) in newest if name == form})
        earlier, earlier_layouts = _accepted_rows(conn, content.period, form, columns, absent)
        layout_of.update(earlier_layouts)
        if not earlier.empty:
            content.compared.extend(sorted(set(earlier["submission_id"])))
        parts = [part for part in (now, earlier) if not part.empty]
        sides[form] = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    if any(not side.empty for side in sides.values()):
        validation = examine_cross_form(*sides.values(), layout_of=layout_of)
        _attach({submission.submission_id: submission for submission in both}, content, validation)
    for submission in both:
        if all(result.suite != CROSS_FORM for result in submission.rule_results):
            reason = "refused" if submission.refused else "no rows, or a later version of the same batch was compared"
            submission.rule_results += not_run(submission.form, submission.submission_id, reason, suites=(CROSS_FORM,))


def _accepted_rows(
    conn: psycopg.Connection[Any], period: str, form: str, columns: Sequence[str], reporters: Sequence[str]
) -> tuple[pd.DataFrame, Layout]:
    """Rows of the reporters' accepted forms, the ones held back too, and where their columns stand."""
    if not reporters:
        return pd.DataFrame(), {}
    latest = [
        row[0]
        for row in conn.execute(
            """
            select distinct on (reporter_code) submission_id from intake.submission
            where period = %s and form = %s and reporter_code = any(%s) and outcome <> 'refused'
            order by reporter_code, version desc
            """,
            (period, form, list(reporters)),
        )
    ]
    names = [*_KEY, *columns]
    rows = conn.execute(
        f"select {', '.join(names)} from raw.{form} where period = %s and submission_id = any(%s)"
        " order by submission_id, sheet, source_row".encode(),
        (period, latest),
    ).fetchall()
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
    return pd.DataFrame(rows, columns=names, dtype=object), layouts
