"""What goes back to a county: one workbook per reporter and month, always showing how the month stands now.

``outbox/<period>/退回表/<reporter>/`` holds one of three: ``…-退回表.xlsx`` (something must be mended),
``…-请核对.xlsx`` (all is loaded, some figures are to be checked or explained), ``…-回执.xlsx`` (nothing to do). It is
written from the ledger and the landing store alone, so writing it again gives the same bytes. A file that belongs to
no reporter or no month comes back by itself, under ``未识别``.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path

import psycopg

from include.forms.model import load_forms
from include.intake.calendar import SHANGHAI
from include.intake.landing import LandingStore
from include.intake.reporters import Reporter
from include.intake.workers import JobKilled, Workers
from include.ledger.findings import StoredFinding, current_findings
from include.ledger.removals import removed_originals
from include.quality.findings import Finding
from include.returns.feedback import (
    FormState,
    ListedFinding,
    ReturnedFile,
    write_receipt,
    write_returned_workbook,
)
from include.returns.places import RECEIPT, TO_CHECK, TO_MEND, return_file, return_folder, safe_stem
from include.settings import get_settings

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _File:
    """A received file as the writing child gets it: its place in the landing store instead of its bytes."""

    path: str
    file_kind: str | None
    file_name: str
    titles: dict[str, str]
    sheets: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Month:
    """How a reporter's month stands: what its returned workbook is written from."""

    reporter_name: str | None
    period: str | None
    is_sample: bool
    due_on: date | None
    forms: tuple[FormState, ...]
    files: tuple[_File, ...]
    listed: tuple[ListedFinding, ...]
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """Which of the three the county gets."""
        open_ones = [item for item in self.listed if item.state in ("open", "rejected")]
        if any(item.finding.severity in "ER" for item in self.listed):
            return TO_MEND
        return TO_CHECK if open_ones else RECEIPT


@dataclass(frozen=True, slots=True)
class _Version:
    """The newest submission of a form, and what is said of the one in force."""

    submission_id: str
    receipt_id: int
    form: str
    version: int
    outcome: str
    sheets: Sequence[str]
    rows_accepted: int
    rows_held: int
    received_at: datetime
    accepted_version: int | None
    compared_with: int | None
    rows_added: int | None
    rows_removed: int | None
    cells_changed: int | None


def _make(folder: Path) -> None:
    """The folder, made when missing. What the counties get back carries personal columns: ``退回表`` is closed to
    others, as its files are."""
    folder.parent.parent.mkdir(parents=True, exist_ok=True)
    for closed in (folder.parent, folder):
        closed.mkdir(mode=0o700, exist_ok=True)


def return_reporter(conn: psycopg.Connection, period: str, reporter: Reporter, workers: Workers) -> Path:
    """Write the reporter's workbook of the month as the ledger has it now; the one it had before goes.

    The county's files are copied in a child process with limits. A file that cannot be copied within them is named in
    the list of problems all the same.
    """
    [destination] = return_reporters(conn, period, [reporter], workers)
    return destination


def return_reporters(
    conn: psycopg.Connection, period: str, reporters: Iterable[Reporter], workers: Workers
) -> Iterator[Path]:
    """:func:`return_reporter` for many, written side by side; the paths in the order given, as they are done."""
    waiting: deque[tuple[Month, Path]] = deque()

    def jobs() -> Iterator[tuple[Month, Path]]:
        for reporter in reporters:
            month = month_of(conn, period, reporter)
            folder = return_folder(period, reporter.reporter_name)
            _make(folder)
            waiting.append((month, return_file(folder, period, month.kind)))
            yield waiting[-1]

    for outcome in workers.map(write_month, jobs()):
        month, destination = waiting.popleft()
        if outcome.error is not None:
            _write_list_alone(month, destination, outcome.error, workers)
        for kind in {TO_MEND, TO_CHECK, RECEIPT} - {month.kind}:
            return_file(destination.parent, period, kind).unlink(missing_ok=True)
        yield destination


def return_unplaced(
    path: Path,
    file_name: str,
    file_kind: str | None,
    findings: Sequence[Finding],
    *,
    period: str | None,
    reporter: Reporter | None,
    is_sample: bool,
    workers: Workers,
) -> Path:
    """Write the returned workbook of one file that could not be placed: no month, or no reporter.

    Its name ends with the first digits of the file's checksum, so that two files of one name do not overwrite each
    other's return.
    """
    folder = return_folder(period, reporter.reporter_name if reporter else None)
    _make(folder)
    month = Month(
        reporter_name=reporter.reporter_name if reporter else None,
        period=period,
        is_sample=is_sample,
        due_on=None,
        forms=(),
        files=(_File(str(path), file_kind, file_name, {}, None),),
        listed=tuple(ListedFinding(key="", finding=finding, file=0) for finding in findings),
    )
    destination = folder / f"{safe_stem(file_name)}-{path.name[:8]}-{TO_MEND}.xlsx"
    [outcome] = workers.map(write_month, [(month, destination)])
    if outcome.error is not None:
        _write_list_alone(month, destination, outcome.error, workers)
    return destination


def _write_list_alone(month: Month, destination: Path, error: BaseException, workers: Workers) -> None:
    """The month without its files, for when one of them is more than the copying program can bear. One county's odd
    workbook must not keep the whole province from its report."""
    if not isinstance(error, JobKilled):
        log.error(
            "%s: the files of the county cannot be copied, its problems alone are listed", destination, exc_info=error
        )
    workers.run(
        write_month, replace(month, files=tuple(replace(file, file_kind=None) for file in month.files)), destination
    )


def write_month(month: Month, destination: Path) -> None:
    """Write a month's workbook or receipt; runs in a child process."""
    if month.kind == RECEIPT:
        write_receipt(
            destination,
            forms=month.forms,
            reporter_name=month.reporter_name,
            period=month.period,
            is_sample=month.is_sample,
        )
        return
    files = [
        ReturnedFile(
            data=Path(file.path).read_bytes() if file.file_kind else b"",
            file_kind=file.file_kind,
            file_name=file.file_name,
            titles=file.titles,
            sheets=file.sheets,
        )
        for file in month.files
    ]
    write_returned_workbook(
        files,
        month.forms,
        month.listed,
        destination,
        reporter_name=month.reporter_name,
        period=month.period,
        counts=month.counts or None,
        due_on=month.due_on,
        is_sample=month.is_sample,
    )


def month_of(conn: psycopg.Connection, period: str, reporter: Reporter) -> Month:
    """How the reporter's month stands in the ledger."""
    store = LandingStore(get_settings().landing)
    versions = _newest_versions(conn, period, reporter.reporter_code)
    current = {version.submission_id for version in versions}
    findings = [
        item
        for item in current_findings(conn, period, reporter.reporter_code)
        if item.submission_id is None or item.submission_id in current
    ]
    receipt_ids = list(dict.fromkeys([v.receipt_id for v in versions] + [f.receipt_id for f in findings]))
    files, is_sample, names = _files(conn, store, receipt_ids, versions)
    position = {receipt_id: place for place, receipt_id in enumerate(receipt_ids)}
    return Month(
        reporter_name=reporter.reporter_name,
        period=period,
        is_sample=is_sample,
        due_on=_still_open_until(conn, period),
        forms=tuple(_form_states(conn, period, reporter.reporter_code, versions, names)),
        files=files,
        listed=tuple(_listed(item, position[item.receipt_id]) for item in findings),
        counts=_counts(conn, findings, receipt_ids, current),
    )


def _newest_versions(conn: psycopg.Connection, period: str, reporter_code: str) -> list[_Version]:
    order = list(load_forms())
    rows = conn.execute(
        """
        select distinct on (newest.form)
            newest.submission_id, newest.receipt_id, newest.form, newest.version, newest.outcome, newest.sheets,
            newest.rows_accepted, newest.rows_held, newest.received_at,
            (
                select max(s.version) from intake.submission as s
                where s.form = newest.form and s.period = newest.period and s.reporter_code = newest.reporter_code
                    and s.outcome <> 'refused'
            ),
            previous.version, compared.rows_added, compared.rows_removed, compared.cells_changed
        from intake.submission as newest
        left join intake.version_comparison as compared using (submission_id)
        left join intake.submission as previous on previous.submission_id = compared.previous_submission_id
        where newest.period = %s and newest.reporter_code = %s
        order by newest.form, newest.version desc
        """,
        (period, reporter_code),
    ).fetchall()
    versions = [_Version(*row) for row in rows]
    return sorted(versions, key=lambda version: order.index(version.form))


def _files(
    conn: psycopg.Connection, store: LandingStore, receipt_ids: Sequence[int], versions: Sequence[_Version]
) -> tuple[tuple[_File, ...], bool, dict[int, str]]:
    known = {
        row[0]: row[1:]
        for row in conn.execute(
            "select receipt_id, sha256, file_name, file_kind, is_sample from intake.received_file"
            " where receipt_id = any(%s)",
            (list(receipt_ids),),
        )
    }
    forms_of: dict[int, int] = {
        row[0]: row[1]
        for row in conn.execute(
            "select receipt_id, count(*) from intake.submission where receipt_id = any(%s) group by receipt_id",
            (list(receipt_ids),),
        )
    }
    titles = {name: form.title_zh for name, form in load_forms().items()}
    removed = removed_originals(conn, [row[0] for row in known.values()])
    files = []
    for receipt_id in receipt_ids:
        sha256, file_name, file_kind, _ = known[receipt_id]
        own = [version for version in versions if version.receipt_id == receipt_id]
        sheets = {sheet: titles[version.form] for version in own for sheet in version.sheets}
        is_whole = not own or len(own) == forms_of.get(receipt_id, 0)
        path = store.path_of(sha256)
        if sha256 in removed and not path.exists():
            file_kind = None  # removed when its time was over: its problems are listed, its sheets cannot be copied
        files.append(_File(str(path), file_kind, file_name, sheets, None if is_whole else tuple(sheets)))
    names = {receipt_id: row[1] for receipt_id, row in known.items()}
    return tuple(files), any(row[3] for row in known.values()), names


def _form_states(
    conn: psycopg.Connection,
    period: str,
    reporter_code: str,
    versions: Sequence[_Version],
    names: dict[int, str],
) -> list[FormState]:
    owed = {
        form: due_on
        for form, due_on in conn.execute(
            "select form, due_on from intake.expected_report where period = %s and reporter_code = %s",
            (period, reporter_code),
        )
    }
    first: dict[str, datetime] = dict(
        conn.execute(
            "select form, min(received_at) from intake.submission where period = %s and reporter_code = %s"
            " group by form",
            (period, reporter_code),
        ).fetchall()
    )
    by_form = {version.form: version for version in versions}
    states = []
    for name, form in load_forms().items():
        version = by_form.get(name)
        if version is None:
            if name in owed:
                states.append(FormState(form.title_zh, "missing"))
            continue
        due_on = owed.get(name)
        states.append(
            FormState(
                form.title_zh,
                "refused" if version.outcome == "refused" else "accepted",
                version=version.version,
                rows=version.rows_accepted,
                held=version.rows_held,
                file_name=names[version.receipt_id],
                received_at=version.received_at,
                is_late=None if due_on is None else first[name].astimezone(SHANGHAI).date() > due_on,
                note_zh=_note(version),
            )
        )
    for file_name, received_at, outcome, outcome_zh in conn.execute(
        """
        select file_name, received_at, outcome, outcome_zh from intake.received_file as file
        where period = %s and reporter_code = %s and (
            outcome = 'awaiting_approval'
            -- said until something else comes
            or outcome = 'rejected' and not exists (
                select 1 from intake.received_file as later
                where later.period = file.period and later.reporter_code = file.reporter_code
                    and later.receipt_id > file.receipt_id and later.outcome not in ('duplicate', 'rejected')
            )
        )
        order by receipt_id
        """,
        (period, reporter_code),
    ):
        note = outcome_zh.partition("：")[2] if outcome == "rejected" else ""
        states.append(FormState("更正文件", outcome, file_name=file_name, received_at=received_at, note_zh=note))
    return states


def _note(version: _Version) -> str:
    if version.outcome == "refused":
        return f"目前采用第{version.accepted_version}版" if version.accepted_version else ""
    if version.compared_with is None:
        return ""
    if not (version.rows_added or version.rows_removed or version.cells_changed):
        return f"与第{version.compared_with}版内容相同"
    return (
        f"与第{version.compared_with}版相比改动{version.cells_changed}格、增加{version.rows_added}行、"
        f"减少{version.rows_removed}行"
    )


def _still_open_until(conn: psycopg.Connection, period: str) -> date | None:
    row = conn.execute(
        "select state, closes_on, reopened_until from intake.reporting_period where period = %s", (period,)
    ).fetchone()
    if row is None or row[0] == "closed":
        return None
    return row[1] if row[0] == "open" else row[2]


def _listed(item: StoredFinding, place: int) -> ListedFinding:
    state = item.state
    if state == "open" and item.decision == "rejected":
        state = "rejected"
    return ListedFinding(
        key=item.finding_key,
        finding=item.finding,
        file=place,
        state=state,  # type: ignore[arg-type]  # the living states of the ledger and 'rejected' are its values
        explanation=item.explanation,
        reason_zh=item.decision_reason_zh or "",
    )


def _counts(
    conn: psycopg.Connection, findings: Sequence[StoredFinding], receipt_ids: Sequence[int], current: set[str]
) -> dict[str, int]:
    """Exact number of each code: what is listed, and what was counted without being kept one by one."""
    counts = Counter(item.code for item in findings)
    for submission_id, code, beyond in conn.execute(
        "select submission_id, code, found - stored from intake.finding_tally"
        " where receipt_id = any(%s) and found > stored",
        (list(receipt_ids),),
    ):
        if submission_id is None or submission_id in current:
            counts[code] += beyond
    return dict(counts)
