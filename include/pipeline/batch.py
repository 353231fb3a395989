"""The batch folder: what one build hands from step to step. Only its path crosses between tasks, never the rows.

``<work>/<period>/<run key>/`` holds ``read.json`` (submissions and what reading found), ``validated.json`` (the same
and what validation found) and one Parquet file a form. It carries personal columns, so it is readable by its owner only
and removed once the rows are loaded. Every file appears whole or not at all: a step may be killed while it writes one,
and run again while the killed one's process still writes.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from include.quality.findings import Finding
from include.settings import get_settings

READ, VALIDATED = "read", "validated"

Layout = dict[str, dict[str, tuple[int, str]]]


@dataclass(slots=True)
class Submission:
    """One form of one file on its way through the build.

    Attributes:
        layout: sheet -> column -> (0-based column index, header text).
        findings: problems found so far; the steps add to it.
        held: row keys (sheet, row) held back by R findings.
        refused: set by an E finding.
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
    findings: list[Finding] = field(default_factory=list)

    @property
    def refused(self) -> bool:
        return any(finding.severity == "E" for finding in self.findings)

    @property
    def held(self) -> set[tuple[str, int]]:
        return {
            (finding.sheet, finding.row)
            for finding in self.findings
            if finding.severity == "R" and finding.sheet is not None and finding.row is not None
        }

    def count(self, severity: str) -> int:
        """Number of findings of a severity."""
        return sum(finding.severity == severity for finding in self.findings)


@dataclass(slots=True)
class Batch:
    """All pending submissions of a period.

    Attributes:
        receipts: receipt id -> findings about the whole file.
        late_findings: findings at rows loaded by an earlier batch, as (submission id, finding).
    """

    period: str
    run_key: str
    submissions: list[Submission]
    receipts: dict[int, list[Finding]]
    late_findings: list[tuple[str, Finding]] = field(default_factory=list)


def batch_folder(period: str, run_key: str) -> Path:
    """Folder of a batch, made when missing, readable by its owner only."""
    folder = get_settings().work / period / re.sub(r"[^A-Za-z0-9_.+-]", "_", run_key)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def write_batch(folder: Path, step: str, batch: Batch, frames: Mapping[str, pd.DataFrame] | None = None) -> None:
    """Write the batch as a step leaves it (and the frames, when given) into its folder.

    Each step has its own document: one that wrote over what it read would, when run again, find its findings twice.
    """
    for form, frame in (frames or {}).items():
        with _whole(folder / f"{form}.parquet") as unfinished:
            frame.to_parquet(unfinished, index=False)
    document = {
        "period": batch.period,
        "run_key": batch.run_key,
        "submissions": [
            {**asdict(s), "findings": [asdict(f) for f in s.findings], "received_at": s.received_at.isoformat()}
            for s in batch.submissions
        ],
        "receipts": {str(key): [asdict(f) for f in findings] for key, findings in batch.receipts.items()},
        "late_findings": [[submission_id, asdict(f)] for submission_id, f in batch.late_findings],
    }
    with _whole(folder / f"{step}.json") as unfinished:
        unfinished.write_text(json.dumps(document, ensure_ascii=False, default=str), encoding="utf-8")


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    yield unfinished
    unfinished.replace(path)


def has_batch(folder: Path, step: str) -> bool:
    """Whether the step left its document in the folder."""
    return (folder / f"{step}.json").exists()


def read_batch(folder: Path, step: str) -> Batch:
    """Read back a batch as a step left it."""
    document: dict[str, Any] = json.loads((folder / f"{step}.json").read_text(encoding="utf-8"))
    submissions = []
    for item in document["submissions"]:
        item["findings"] = [Finding(**finding) for finding in item["findings"]]
        item["received_at"] = datetime.fromisoformat(item["received_at"])
        item["layout"] = {
            sheet: {column: (place[0], place[1]) for column, place in columns.items()}
            for sheet, columns in item["layout"].items()
        }
        submissions.append(Submission(**item))
    return Batch(
        period=document["period"],
        run_key=document["run_key"],
        submissions=submissions,
        receipts={int(key): [Finding(**f) for f in findings] for key, findings in document["receipts"].items()},
        late_findings=[(submission_id, Finding(**f)) for submission_id, f in document["late_findings"]],
    )


def read_frame(folder: Path, form: str) -> pd.DataFrame:
    """Rows of a form of the batch; an empty frame when the batch has none."""
    path = folder / f"{form}.parquet"
    return pd.read_parquet(path) if path.exists() else pd.DataFrame()


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
