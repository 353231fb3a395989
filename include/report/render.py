"""From figures to released files, for all editions of a period: collect, reconcile, write, and only then move into
place.

Editions are written side by side in processes of their own, each of which imports the document libraries once.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psycopg
from psycopg.pq import TransactionStatus

from include.intake.limits import load_limits
from include.intake.workers import Workers
from include.report.excel import write_excel
from include.report.figures import collect_editions
from include.report.html import write_html
from include.report.model import Correction, Edition, ReportFigures, edition_key
from include.report.reconcile import ReconciliationFailed, compare, recompute
from include.report.tracing import Sources, Traces, read_sources, traces
from include.report.word import write_word
from include.report.wording import edition_folder, report_title

log = logging.getLogger(__name__)

DRAFT = ".report-"
WRITERS = {"docx": write_word, "xlsx": write_excel}
FORMS = (*WRITERS, "html")
PROCESSES = 4
# An edition takes seconds; a process that hangs is ended. Address space is not bounded: the JavaScript engine of the
# chart library reserves far more of it than it uses. What the processes use is measured by the benchmark.
_EDITION_SECONDS = 600.0
_ADDRESS_BYTES = 1 << 46
_PROGRESS_EDITIONS = 10


@dataclass(frozen=True, slots=True)
class Collected:
    """The figures of every edition of one period, reconciled; nothing is written yet.

    Attributes:
        editions: the province's first.
        checked: number of figures reconciled.
        figures_sha256: digest of every figure of every edition; equal figures, equal digest.
        sources: the cells behind them, as of the same moment.
    """

    period: str
    editions: tuple[ReportFigures, ...]
    checked: int
    figures_sha256: str
    sources: Sources


@dataclass(frozen=True, slots=True)
class Rendered:
    """A released issue.

    Attributes:
        paths: ``docx``, ``xlsx``, ``html`` to the province's released file.
        checked: number of figures reconciled.
        figures_sha256: digest of every figure of every edition.
        editions: see :func:`include.report.model.edition_key`; each edition's ``docx``, ``xlsx``, ``html`` to the file.
    """

    paths: Mapping[str, Path]
    checked: int
    figures_sha256: str
    editions: Mapping[str, Mapping[str, Path]]


def render_reports(
    conn: psycopg.Connection,
    period: str,
    folder: Path,
    *,
    maturity: Literal["provisional", "final"],
    maturity_reason: str,
) -> Rendered:
    """Write the first issue of ``period`` (``YYYY-MM``), all editions, under ``folder``; see :func:`write_issue`.

    Raises:
        NoSuchPeriod: the marts know no expected report of the period.
        ReconciliationFailed: a figure of any edition differs from its recomputation; ``folder`` is left as it was.
    """
    collected = collect_issue(conn, period)
    paths = write_issue(collected, folder, maturity=maturity, maturity_reason=maturity_reason)
    province = paths[edition_key(collected.editions[0].edition)]
    return Rendered(province, collected.checked, collected.figures_sha256, paths)


def collect_issue(conn: psycopg.Connection, period: str) -> Collected:
    """The figures of every edition of ``period``, each recomputed from raw; nothing is written.

    Args:
        conn: open connection; figures and their recomputation are read from one snapshot when it is idle.

    Raises:
        NoSuchPeriod: the marts know no expected report of the period.
        ReconciliationFailed: a figure differs from its recomputation; the message names edition and figure.
    """
    started = time.monotonic()
    with _one_snapshot(conn):
        editions = tuple(collect_editions(conn, period))
        found = recompute(conn, period, [one.edition for one in editions])
        sources = read_sources(conn, period)
    results = {one.edition: compare(one, found.pop(one.edition)) for one in editions}
    if any(result.mismatches for result in results.values()):
        raise ReconciliationFailed(period, results)
    checked = sum(result.checked for result in results.values())
    log.info(
        "report %s: %d figures of %d editions collected and reconciled in %.1f s",
        period,
        checked,
        len(editions),
        time.monotonic() - started,
    )
    digests = "\n".join(f"{edition_key(one.edition)} {figures_digest(one)}" for one in editions)
    return Collected(period, editions, checked, hashlib.sha256(digests.encode()).hexdigest(), sources)


def write_issue(
    collected: Collected,
    folder: Path,
    *,
    maturity: Literal["provisional", "final"],
    maturity_reason: str,
    issue_no: int = 0,
    corrections: Mapping[str, tuple[Correction, ...]] | None = None,
    processes: int = PROCESSES,
) -> dict[str, dict[str, Path]]:
    """Write every edition under ``folder`` in its three forms: the province's there, the others' in their folders.

    Nothing is moved into place before all are written.

    Args:
        folder: made when missing; files of the same name are replaced one by one, each as a whole.
        maturity, maturity_reason: the gate's decision and its sentence, printed in the report.
        issue_no: 0 for the first issue, n for 第n次更正.
        corrections: what an edition (see :func:`include.report.model.edition_key`) printed otherwise in the issue
            before.
        processes: how many write side by side.

    Returns:
        Edition to ``docx``, ``xlsx``, ``html`` to the file.
    """
    issues = [
        dataclasses.replace(
            figures,
            maturity=maturity,
            maturity_reason=maturity_reason,
            issue_no=issue_no,
            corrections=(corrections or {}).get(edition_key(figures.edition), ()),
        )
        for figures in collected.editions
    ]
    folders = edition_folders([figures.edition for figures in issues])
    with _draft(folder) as draft:
        # Each is sent only the cells of its own place.
        jobs = (
            (figures, draft / folders[figures.edition], collected.sources.of(figures.edition)) for figures in issues
        )
        started = time.monotonic()
        limits = dataclasses.replace(load_limits(), seconds=_EDITION_SECONDS, memory_bytes=_ADDRESS_BYTES)
        with Workers(processes, limits) as workers:
            for done, outcome in enumerate(workers.map(write_edition, jobs), start=1):
                outcome.get()
                if done % _PROGRESS_EDITIONS == 0 or done == len(issues):
                    seconds = time.monotonic() - started
                    log.info(
                        "report %s: %d of %d editions written in %.0f s", collected.period, done, len(issues), seconds
                    )
        written = {}
        for figures in issues:
            place = folder / folders[figures.edition]
            written[edition_key(figures.edition)] = _move(figures, draft / folders[figures.edition], place)
    return written


def edition_folders(editions: Sequence[Edition]) -> dict[Edition, Path]:
    """Where each edition's files lie below the period's folder; of two places of one name each has its code added."""
    plain = {edition: edition_folder(edition) for edition in editions}
    names = list(plain.values())
    return {
        edition: Path(name if names.count(name) == 1 else f"{name}（{edition.reporter_code or edition.region_code}）")
        for edition, name in plain.items()
    }


def write_files(figures: ReportFigures, folder: Path, sources: Sources | None = None) -> dict[str, Path]:
    """Write all three forms of one edition beside ``folder``'s files and move them in only when all are complete."""
    with _draft(folder) as draft:
        write_edition(figures, draft, sources)
        return _move(figures, draft, folder)


def write_edition(figures: ReportFigures, folder: Path, sources: Sources | None = None) -> None:
    """Write all three forms of one edition into ``folder``.

    Args:
        sources: what the page's figures are traced to; without them they do not open.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = {suffix: folder / f"{report_title(figures)}.{suffix}" for suffix in FORMS}
    for suffix, write in WRITERS.items():
        write(figures, paths[suffix])
    write_html(figures, Traces.none() if sources is None else traces(sources, figures), paths["html"])


def _move(figures: ReportFigures, draft: Path, folder: Path) -> dict[str, Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = {suffix: folder / f"{report_title(figures)}.{suffix}" for suffix in FORMS}
    for path in paths.values():
        os.replace(draft / path.name, path)
    return paths


@contextmanager
def _draft(folder: Path) -> Iterator[Path]:
    """A folder to write in beside what is there, gone afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    # Of a process that was killed. The caller sees to it that no other renders this period meanwhile.
    for stale in folder.glob(f"{DRAFT}*"):
        shutil.rmtree(stale, ignore_errors=True)
    draft = Path(tempfile.mkdtemp(prefix=DRAFT, dir=folder))
    try:
        yield draft
    finally:
        shutil.rmtree(draft)


def figures_digest(figures: ReportFigures) -> str:
    """sha256 over every figure (key, unit, value, kind of absence) and the 演示数据 mark, in key order."""
    lines = [
        (key, figure.unit, _stable(figure.value), figure.absence) for key, figure in sorted(figures.figures.items())
    ]
    place = edition_key(figures.edition)
    content = json.dumps([figures.period, place, figures.is_sample, lines], ensure_ascii=False)
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
