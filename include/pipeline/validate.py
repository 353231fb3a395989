"""The second step of a build: the rows of a batch against the expectation suites.

The batch is worked through in chunks of whole reporters, so that the forms of a reporter are seen together and memory
does not grow with the province: half a million rows need no more than one chunk. Several chunks go to child processes,
one a core, and are of one size and as many for each: Great Expectations costs a second a chunk however many rows it
has, and each process must import it, which costs as much as a chunk.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

import pandas as pd
import psycopg

from include.forms.model import load_forms
from include.intake.limits import load_limits
from include.intake.workers import Workers
from include.pipeline.batch import READ, VALIDATED, Batch, Submission, open_batch, read_frames, write_batch
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
#: A chunk takes seconds; this is for a machine that does ten other things. Address space is mostly mapped libraries.
_CHUNK_SECONDS, _CHUNK_ADDRESS_SPACE = 1800.0, 8 << 30
_KEY = ("submission_id", "sheet", "source_row", "period", "county_code")


@dataclass(slots=True)
class ChunkFindings:
    """What the suites found in a chunk, and the submissions of earlier batches that were held against it."""

    validation: Validation = field(default_factory=Validation)
    compared: list[str] = field(default_factory=list)


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
    content.comparison_codes = [rule.code for rule in load_suite(CROSS_FORM)]
    chunks = chunks_of(content.submissions, int(limit(ROWS_PER_CHUNK)), load_limits().processes)
    by_id = {submission.submission_id: submission for submission in content.submissions}
    done, total = 0, sum(s.rows_read for s in content.submissions if not s.refused)
    for number, (chunk, found) in enumerate(zip(chunks, _validated(content.period, folder, chunks), strict=True), 1):
        _attach(by_id, content, found.validation)
        content.compared.extend(found.compared)
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


def chunks_of(submissions: Sequence[Submission], rows: int, processes: int) -> list[list[Submission]]:
    """The readable submissions in groups of whole reporters: one group of at most ``rows`` rows, or as few as keep that
    limit (one reporter may be larger) and give each process as many, of about the same size."""
    of_reporter: dict[str, list[Submission]] = {}
    for submission in submissions:
        if not submission.refused:
            of_reporter.setdefault(submission.reporter_code, []).append(submission)
    number = 1
    while True:
        sizes = [0] * number
        chunks: list[list[Submission]] = [[] for _ in sizes]
        for own in of_reporter.values():
            place = sizes.index(min(sizes))
            chunks[place].extend(own)
            sizes[place] += sum(submission.rows_read for submission in own)
        if max(sizes) <= rows or number >= len(of_reporter):
            return [chunk for chunk in chunks if chunk]
        number = number + processes if number >= processes else processes


def _validated(period: str, folder: Path, chunks: Sequence[Sequence[Submission]]) -> Iterator[ChunkFindings]:
    """What each chunk comes to, in the order given."""
    if len(chunks) < 2:
        if chunks:
            # Great Expectations takes seconds to import: meanwhile the first rows are read and their columns computed
            threading.Thread(target=warm_up, name="import Great Expectations", daemon=True).start()
        for chunk in chunks:
            yield validate_chunk(period, folder, chunk)
        return
    limits = replace(load_limits(), seconds=_CHUNK_SECONDS, memory_bytes=_CHUNK_ADDRESS_SPACE)
    with Workers(limits=limits, secrets=True) as workers:
        for outcome in workers.map(validate_chunk, ((period, folder, chunk) for chunk in chunks)):
            yield outcome.get()


def validate_chunk(period: str, folder: Path, chunk: Sequence[Submission]) -> ChunkFindings:
    """Run the suites over some submissions of a batch; in a child process or in this one.

    Args:
        folder: of the batch, with the rows of each submission.
        chunk: every readable submission of some reporters, in order of arrival.
    """
    found = ChunkFindings()
    with connect(autocommit=True) as conn:
        _validate(conn, period, folder, chunk, found)
    return found


def _validate(
    conn: psycopg.Connection[Any], period: str, folder: Path, chunk: Sequence[Submission], found: ChunkFindings
) -> None:
    layouts = {(s.submission_id, sheet): columns for s in chunk for sheet, columns in s.layout.items()}
    held = {(s.submission_id, sheet, row) for s in chunk for sheet, row in s.held}
    compared: dict[str, pd.DataFrame] = {}
    for form in load_forms():
        own = [submission for submission in chunk if submission.form == form]
        if not own:
            continue
        frame = _rows_of(folder, own)
        history = load_history(conn, form, period, {submission.reporter_code for submission in own})
        ids = [submission.submission_id for submission in own]
        found.validation.take(examine(form, frame, history, layout_of=layouts, held=held, submissions=ids))
        if form in CROSS_COLUMNS:
            compared[form] = frame.reindex(columns=[*_KEY, *CROSS_COLUMNS[form]])
    _compare_forms(conn, period, chunk, compared, layouts, found)


def _rows_of(folder: Path, submissions: Sequence[Submission]) -> pd.DataFrame:
    frame = read_frames(folder, [submission.submission_id for submission in submissions], nullable=False)
    if not frame.empty:
        reporters = {submission.submission_id: submission.reporter_code for submission in submissions}
        frame["reporter_code"] = frame["submission_id"].map(reporters)
    return frame


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
    period: str,
    chunk: Sequence[Submission],
    frames: Mapping[str, pd.DataFrame],
    layouts: Layout,
    found: ChunkFindings,
) -> None:
    """Hold forms 1 and 2 against each other as they stand: of each reporter the newest version, from this batch or else
    loaded before. Rows held back are among them, whichever they come from: an enterprise held back was sent all the
    same."""
    both = [submission for submission in chunk if submission.form in CROSS_COLUMNS]
    refused = {submission_id for submission_id, findings in found.validation.logs.items() if findings.refused}
    standing = [submission for submission in both if submission.submission_id not in refused]
    # in order of arrival
    newest = {(submission.form, submission.reporter_code): submission.submission_id for submission in standing}
    touched = {submission.reporter_code for submission in standing}
    sides: dict[str, pd.DataFrame] = {}
    layout_of: dict[tuple[str, str], Mapping[str, tuple[int, str]]] = dict(layouts)
    for form, columns in CROSS_COLUMNS.items():
        now = frames.get(form, pd.DataFrame())
        if not now.empty:
            now = now[now["submission_id"].isin({one for (name, _), one in newest.items() if name == form})]
        absent = sorted(touched - {reporter for (name, reporter) in newest if name == form})
        earlier, earlier_layouts = _accepted_rows(conn, period, form, columns, absent)
        layout_of.update(earlier_layouts)
        if not earlier.empty:
            found.compared.extend(sorted(set(earlier["submission_id"])))
        parts = [part for part in (now, earlier) if not part.empty]
        sides[form] = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    judged: set[str] = set()
    if any(not side.empty for side in sides.values()):
        validation = examine_cross_form(*sides.values(), layout_of=layout_of)
        judged = {result.submission_id for result in validation.results}
        found.validation.take(validation)
    for submission in both:
        if submission.submission_id not in judged:
            is_refused = submission.submission_id in refused
            reason = "refused" if is_refused else "no rows, or a later version of the same batch was compared"
            rest = not_run(submission.form, submission.submission_id, reason, suites=(CROSS_FORM,))
            found.validation.results.extend(rest)


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
