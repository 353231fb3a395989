"""From figures to released files: collect, reconcile, write, and only then move into place."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psycopg
from psycopg.pq import TransactionStatus

from include.report.excel import write_excel
from include.report.figures import collect_figures
from include.report.html import write_html
from include.report.model import ReportFigures
from include.report.reconcile import ReconciliationFailed, reconcile
from include.report.word import write_word
from include.report.wording import report_title

DRAFT = ".report-"
WRITERS = {"docx": write_word, "xlsx": write_excel, "html": write_html}


@dataclass(frozen=True, slots=True)
class Rendered:
    """A released issue.

    Attributes:
        paths: ``docx``, ``xlsx``, ``html`` to the released file.
        checked: number of figures reconciled.
        figures_sha256: digest of every figure by key; equal figures, equal digest.
    """

    paths: dict[str, Path]
    checked: int
    figures_sha256: str


def render_reports(
    conn: psycopg.Connection,
    period: str,
    folder: Path,
    *,
    maturity: Literal["provisional", "final"],
    maturity_reason: str,
) -> Rendered:
    """Write the report of ``period`` (``YYYY-MM``) into ``folder`` in its three forms.

    Args:
        conn: open connection; figures and their recomputation are read from one snapshot when it is idle.
        folder: made when missing; files of the same name are replaced one by one, each as a whole.
        maturity, maturity_reason: the gate's decision and its sentence, printed in the report.

    Raises:
        NoSuchPeriod: the marts know no expected report of the period.
        ReconciliationFailed: a figure differs from its recomputation; ``folder`` is left as it was.
    """
    with _one_snapshot(conn):
        figures = collect_figures(conn, period)
        result = reconcile(conn, figures)
    if result.mismatches:
        raise ReconciliationFailed(period, {figures.edition: result})
    figures = dataclasses.replace(figures, maturity=maturity, maturity_reason=maturity_reason)
    return Rendered(write_files(figures, folder), result.checked, figures_digest(figures))


def write_files(figures: ReportFigures, folder: Path) -> dict[str, Path]:
    """Write all three forms beside ``folder``'s files and move them in only when all are complete."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = report_title(figures)
    # Of a process that was killed. The caller sees to it that no other renders this period meanwhile.
    for stale in folder.glob(f"{DRAFT}*"):
        shutil.rmtree(stale, ignore_errors=True)
    draft = Path(tempfile.mkdtemp(prefix=DRAFT, dir=folder))
    try:
        for suffix, write in WRITERS.items():
            write(figures, draft / f"{stem}.{suffix}")
        paths = {}
        for suffix in WRITERS:
            paths[suffix] = folder / f"{stem}.{suffix}"
            os.replace(draft / f"{stem}.{suffix}", paths[suffix])
        return paths
    finally:
        shutil.rmtree(draft)


def figures_digest(figures: ReportFigures) -> str:
    """sha256 over every figure (key, unit, value, kind of absence) and the 演示数据 mark, in key order."""
    lines = [
        (key, figure.unit, _stable(figure.value), figure.absence) for key, figure in sorted(figures.figures.items())
    ]
    content = json.dumps([figures.period, figures.edition.key, figures.is_sample, lines], ensure_ascii=False)
    return hashlib.sha256(content.encode()).hexdigest()


def _stable(value: object) -> object:
    if isinstance(value, tuple):
        return list(value)
    if value is None or isinstance(value, (int, str)):
        return value
    # Instants by the moment, not by the zone they happened to be read in.
    return value.timestamp() if hasattr(value, "timestamp") else f"{value.normalize():f}"  # type: ignore[attr-defined]


@contextmanager
def _one_snapshot(conn: psycopg.Connection) -> Iterator[None]:
    """Marts and raw as of one moment, so that a load in between cannot look like a wrong figure."""
    if conn.info.transaction_status is not TransactionStatus.IDLE:
        yield
        return
    with conn.transaction():
        conn.execute("set transaction isolation level repeatable read, read only")
        yield
