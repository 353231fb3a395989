"""The batch folder: what one build hands from step to step. Only its path crosses between tasks, never the rows.

``<work>/<period>/<run key>/`` holds ``read.json`` (submissions and what reading found), ``validated.json`` (the same
and what validation found) and one Parquet file a submission, so that no step has to hold the rows of a whole month.
It carries personal columns, so it is readable by its owner only and removed once the rows are loaded. Every file
appears whole or not at all: a step may be killed while it writes one, and run again while the killed one's process
still writes.
"""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from include.ledger import entries
from include.pipeline.frames import frame_path, whole
from include.quality.findings import Finding, FindingLog, Severity
from include.quality.runner import RuleResult
from include.settings import get_settings
from include.warehouse.connection import connect

READ, VALIDATED = "read", "validated"

_NULLABLE = {pa.int64(): pd.Int64Dtype(), pa.float64(): pd.Float64Dtype(), pa.bool_(): pd.BooleanDtype()}

Layout = dict[str, dict[str, tuple[int, str]]]


class BatchLost(RuntimeError):
    """The batch folder is gone although its files still wait: the build must start again from reading."""


@dataclass(slots=True)
class Submission:
    """One form of one file on its way through the build.

    Attributes:
        layout: sheet -> column -> (0-based column index, header text).
        log: problems found so far, and the rows they hold back; the steps add to it.
        rule_results: one result a rule of the suites, once validated.
    """

    submission_id: str
    receipt_id: int
    form: str
    period: str
    reporter_code: str
    county_code: str
    template_version: str | None
    sheets: list[str]
    layout: Layout
    received_at: datetime
    is_sample: bool
    rows_read: int
    cells_read: int
    cells_filled: int
    log: FindingLog = field(default_factory=FindingLog)
    rule_results: list[RuleResult] = field(default_factory=list)

    @property
    def refused(self) -> bool:
        """Whether an ``E`` finding blocks the form."""
        return self.log.refused

    @property
    def held(self) -> set[tuple[str, int]]:
        """(sheet, row) of every row that an ``R`` finding holds back."""
        return self.log.held

    def count(self, severity: Severity) -> int:
        """Findings met of a severity, exact."""
        return self.log.count(severity)


@dataclass(slots=True)
class Batch:
    """All pending submissions of a period.

    Attributes:
        receipts: receipt id -> findings about the whole file.
        late_findings: findings at rows loaded by an earlier batch, as (submission id, finding).
        compared: submissions loaded by an earlier batch whose rows were held against another form of this one.
        late_results: results of the rules of such a comparison for submissions loaded by an earlier batch.
        comparison_codes: codes that such a comparison may give.
        explanations: receipt id -> (finding key, text) that the county wrote into 情况说明.
    """

    period: str
    run_key: str
    submissions: list[Submission]
    receipts: dict[int, FindingLog]
    late_findings: list[tuple[str, Finding]] = field(default_factory=list)
    compared: list[str] = field(default_factory=list)
    comparison_codes: list[str] = field(default_factory=list)
    late_results: list[RuleResult] = field(default_factory=list)
    explanations: dict[int, list[tuple[str, str]]] = field(default_factory=dict)


def batch_folder(period: str, run_key: str) -> Path:
    """Folder of a batch, made when missing, readable by its owner only."""
    folder = get_settings().work / period / re.sub(r"[^A-Za-z0-9_.+-]", "_", run_key)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def write_batch(folder: Path, step: str, batch: Batch) -> None:
    """Write the batch as a step leaves it into its folder.

    Each step has its own document: one that wrote over what it read would, when run again, find its findings twice.
    """
    document = {
        "period": batch.period,
        "run_key": batch.run_key,
        "submissions": [_submission_document(submission) for submission in batch.submissions],
        "receipts": {str(key): _log_document(log) for key, log in batch.receipts.items()},
        "late_findings": [[submission_id, asdict(finding)] for submission_id, finding in batch.late_findings],
        "compared": batch.compared,
        "comparison_codes": batch.comparison_codes,
        "late_results": [asdict(result) for result in batch.late_results],
        "explanations": {str(key): answers for key, answers in batch.explanations.items()},
    }
    with whole(folder / f"{step}.json") as unfinished:
        unfinished.write_text(json.dumps(document, ensure_ascii=False, default=str), encoding="utf-8")


def _submission_document(submission: Submission) -> dict[str, Any]:
    document = {part.name: getattr(submission, part.name) for part in fields(submission)}
    return document | {
        "received_at": submission.received_at.isoformat(),
        "log": _log_document(submission.log),
        "rule_results": [asdict(result) for result in submission.rule_results],
    }


def _submission_of(document: dict[str, Any]) -> Submission:
    return Submission(
        **document
        | {
            "received_at": datetime.fromisoformat(document["received_at"]),
            "layout": {
                sheet: {column: (place[0], place[1]) for column, place in columns.items()}
                for sheet, columns in document["layout"].items()
            },
            "log": _log_of(document["log"]),
            "rule_results": [RuleResult(**result) for result in document["rule_results"]],
        }
    )


def _log_document(log: FindingLog) -> dict[str, Any]:
    held: dict[str, list[int]] = {}
    for sheet, row in sorted(log.held):
        held.setdefault(sheet, []).append(row)
    return {"detail": [asdict(finding) for finding in log.detail], "counts": dict(log.counts), "held": held}


def _log_of(document: dict[str, Any]) -> FindingLog:
    return FindingLog(
        detail=[Finding(**finding) for finding in document["detail"]],
        counts=Counter(document["counts"]),
        held={(sheet, row) for sheet, rows in document["held"].items() for row in rows},
    )


def has_batch(folder: Path, step: str) -> bool:
    """Whether the step left its document in the folder."""
    return (folder / f"{step}.json").exists()


def read_batch(folder: Path, step: str) -> Batch:
    """Read back a batch as a step left it."""
    document: dict[str, Any] = json.loads((folder / f"{step}.json").read_text(encoding="utf-8"))
    return Batch(
        period=document["period"],
        run_key=document["run_key"],
        submissions=[_submission_of(item) for item in document["submissions"]],
        receipts={int(key): _log_of(log) for key, log in document["receipts"].items()},
        late_findings=[(submission_id, Finding(**finding)) for submission_id, finding in document["late_findings"]],
        compared=document["compared"],
        comparison_codes=document["comparison_codes"],
        late_results=[RuleResult(**result) for result in document["late_results"]],
        explanations={int(key): [(k, text) for k, text in a] for key, a in document["explanations"].items()},
    )


def open_batch(folder: Path, step: str, period: str) -> Batch | None:
    """The batch as a step left it; ``None`` when it was loaded and removed by an earlier try of the same run.

    Raises:
        BatchLost: the folder is gone although files of the period still wait.
    """
    if has_batch(folder, step):
        return read_batch(folder, step)
    with connect() as conn:
        waiting = len(entries.pending_receipts(conn, period))
    if waiting:
        raise BatchLost(f"{folder.name}: batch folder is gone but {waiting} files wait; clear the run from task `read`")
    return None


def write_frame(folder: Path, submission_id: str, frame: pd.DataFrame) -> None:
    """Write the rows of one submission into the folder of its batch."""
    with whole(frame_path(folder, submission_id)) as unfinished:
        frame.to_parquet(unfinished, index=False)


def read_frame(folder: Path, submission_id: str) -> pd.DataFrame:
    """Rows of a submission, in nullable types, so that a blank stays a blank; an empty frame without columns when it
    has none (a refused one)."""
    return read_frames(folder, [submission_id])


def read_frames(folder: Path, submission_ids: Iterable[str], *, nullable: bool = True) -> pd.DataFrame:
    """Rows of several submissions of one form, in the order given, as :func:`read_frame` gives those of one. Turning
    them into a frame once instead of one by one takes a fifth of the time.

    Args:
        nullable: ``False`` for the types that compute faster: a column of integers with a blank is one of floats, a
            blank among flags is ``None``.
    """
    paths = [path for path in (frame_path(folder, one) for one in submission_ids) if path.exists()]
    if not paths:
        return pd.DataFrame()
    rows = pa.concat_tables([parquet.ParquetFile(path).read(use_threads=False) for path in paths])
    types = _NULLABLE.get if nullable else None
    frame = rows.combine_chunks().to_pandas(types_mapper=types, use_threads=False)
    return frame.astype({"source_row": "int64"})


def remove_others(period: str, run_key: str) -> None:
    """Remove what interrupted builds of the period left: it carries personal columns, and nobody comes back for it."""
    kept = batch_folder(period, run_key)
    for folder in kept.parent.iterdir():
        if folder != kept:
            shutil.rmtree(folder, ignore_errors=True)


def remove_batch(folder: Path) -> None:
    """Remove the folder and, when it was the last, the period's folder."""
    shutil.rmtree(folder, ignore_errors=True)
    if folder.parent.is_dir() and not any(folder.parent.iterdir()):
        folder.parent.rmdir()
