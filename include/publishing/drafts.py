"""Drafts: rendered reports outside the outbox, until they are approved and released. The ledger has a row of each.

A draft lies in ``drafts/<period>/<draft_no>/``: its files under ``files/``, as they will lie in ``outbox/<period>/``,
and ``manifest.json`` with what they print. The folder is made as a whole; a row without an intact folder is written
anew, a folder without a row is thrown away.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import psycopg
from psycopg.rows import class_row

from include.publishing.wording import texts
from include.report.model import Edition
from include.report.printed import Printed

State = Literal["waiting", "approved", "releasing", "issued", "refused", "superseded"]
OPEN: tuple[State, ...] = ("waiting", "approved", "releasing")
FILES, MANIFEST = "files", "manifest.json"


class DraftDamaged(RuntimeError):
    """A draft's files are not what was approved; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A row of ``intake.report_draft``."""

    period: str
    draft_no: int
    issue_no: int
    maturity: str
    reason_zh: str
    coverage: float
    missing: list[str]
    data_cutoff: datetime | None
    input_hash: str
    figures_sha256: str
    printed_sha256: str
    files_sha256: str
    figures_checked: int
    seconds: float
    state: State
    rendered_at: datetime
    asked_in: str | None
    decided_by: str | None
    decided_at: datetime | None
    decision_reason_zh: str | None


@dataclass(frozen=True, slots=True)
class EditionDraft:
    """What a draft holds of one edition.

    Attributes:
        key: see :func:`include.report.model.edition_key`.
        files: path below ``outbox/<period>/`` to sha256, in the order in which they are listed.
        printed: every printed figure by key.
        differing: number of figures that the issue before printed otherwise; 0 unless it is a correction.
    """

    key: str
    edition: Edition
    is_sample: bool
    files: Mapping[str, str]
    printed: Mapping[str, Printed]
    differing: int

    @property
    def sha256(self) -> str:
        """Digest of the edition's files."""
        return files_digest(self.files)


_COLUMNS = ", ".join(field.name for field in fields(Draft))


def files_digest(files: Mapping[str, str]) -> str:
    """sha256 over the lines ``path sha256``, sorted by path."""
    return hashlib.sha256("\n".join(f"{name} {files[name]}" for name in sorted(files)).encode()).hexdigest()


def file_sha256(path: Path) -> str:
    """sha256 of a file's bytes."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def find_draft(conn: psycopg.Connection[Any], period: str, draft_no: int, *, lock: bool = False) -> Draft | None:
    """The draft, locked for the transaction when asked."""
    return _one(conn, f"where period = %s and draft_no = %s{' for update' if lock else ''}", (period, draft_no))


def latest_draft(conn: psycopg.Connection[Any], period: str) -> Draft | None:
    """The draft made last of a period, whatever became of it."""
    return _one(conn, "where period = %s order by draft_no desc limit 1", (period,))


def drafts_in(conn: psycopg.Connection[Any], states: Sequence[State], period: str | None = None) -> list[Draft]:
    """Drafts in these states, by period and number."""
    with conn.cursor(row_factory=class_row(Draft)) as cursor:
        return cursor.execute(
            f"select {_COLUMNS} from intake.report_draft where state = any(%s) and period = coalesce(%s, period)"
            " order by period, draft_no",
            (list(states), period),
        ).fetchall()


def _one(conn: psycopg.Connection[Any], clause: str, parameters: Sequence[Any]) -> Draft | None:
    with conn.cursor(row_factory=class_row(Draft)) as cursor:
        return cursor.execute(f"select {_COLUMNS} from intake.report_draft {clause}", parameters).fetchone()


def enter_draft(conn: psycopg.Connection[Any], draft: Draft) -> None:
    """Enter a new draft; what was open of its period is superseded. Commit is the caller's."""
    for older in drafts_in(conn, OPEN, draft.period):
        set_state(conn, older, "superseded", draft.rendered_at)
    names = [field.name for field in fields(Draft)]
    conn.execute(
        f"insert into intake.report_draft ({_COLUMNS}) values ({', '.join('%s' for _ in names)})",
        [getattr(draft, name) for name in names],
    )
    record(conn, draft, "rendered", texts()["system"], "", draft.rendered_at)


def set_state(
    conn: psycopg.Connection[Any], draft: Draft, state: State, now: datetime, *, actor: str = "", reason_zh: str = ""
) -> None:
    """Move a draft on and enter it into its history."""
    conn.execute(
        "update intake.report_draft set state = %s where period = %s and draft_no = %s",
        (state, draft.period, draft.draft_no),
    )
    if state in ("superseded", "issued"):
        record(conn, draft, state, actor or texts()["system"], reason_zh, now)


def record(conn: psycopg.Connection[Any], draft: Draft, event: str, actor: str, reason_zh: str, now: datetime) -> None:
    """One line of the draft's history."""
    conn.execute(
        "insert into intake.report_event (period, draft_no, event, files_sha256, actor, reason_zh, happened_at)"
        " values (%s, %s, %s, %s, %s, %s, %s)",
        (draft.period, draft.draft_no, event, draft.files_sha256, actor, reason_zh, now),
    )


# --- folders


def folder_of(drafts: Path, period: str, draft_no: int) -> Path:
    """Where a draft lies."""
    return drafts / period / str(draft_no)


def write_manifest(folder: Path, editions: Sequence[EditionDraft]) -> None:
    """Write what the files print beside them."""
    document = [
        {
            "key": one.key,
            "edition": [
                one.edition.level, one.edition.region_code, one.edition.region_name, one.edition.reporter_code,
            ],
            "is_sample": one.is_sample,
            "files": dict(one.files),
            "printed": [[key, printed.label, printed.text] for key, printed in one.printed.items()],
            "differing": one.differing,
        }
        for one in editions
    ]  # fmt: skip
    (folder / MANIFEST).write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")


def read_manifest(folder: Path) -> list[EditionDraft]:
    """The editions of a draft, the province's first.

    Raises:
        DraftDamaged: there is none, or it cannot be read.
    """
    try:
        document = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DraftDamaged(f"the draft {folder} is gone or broken: clear the task render, which writes it anew") from (
            error
        )
    return [
        EditionDraft(
            key=one["key"],
            edition=Edition(*one["edition"]),
            is_sample=one["is_sample"],
            files=one["files"],
            printed={key: Printed(label, text) for key, label, text in one["printed"]},
            differing=one["differing"],
        )
        for one in document
    ]


def all_files(editions: Sequence[EditionDraft]) -> dict[str, str]:
    """Path to sha256 of every file of every edition."""
    return {name: digest for one in editions for name, digest in one.files.items()}


def is_intact(folder: Path, draft: Draft) -> bool:
    """Whether the folder holds, byte for byte, what the row says."""
    try:
        files = all_files(read_manifest(folder))
        return files_digest(files) == draft.files_sha256 and all(
            file_sha256(folder / FILES / name) == digest for name, digest in files.items()
        )
    except (OSError, DraftDamaged):
        return False


def put_in_place(fresh: Path, folder: Path) -> None:
    """Move a finished draft folder to its place, as a whole; what lay there was of no draft, or damaged."""
    if folder.exists():
        shutil.rmtree(folder)
    os.replace(fresh, folder)


def clear_away(conn: psycopg.Connection[Any], drafts: Path, period: str) -> None:
    """Remove folders that nobody needs: of superseded drafts, of issued ones with all deliveries done, of none."""
    kept = {
        str(number)
        for (number,) in conn.execute(
            """
            select draft.draft_no from intake.report_draft as draft
            where draft.period = %s and (
                draft.state in ('waiting', 'approved', 'releasing', 'refused')
                or draft.state = 'issued' and exists (
                    select 1 from intake.delivery
                    where delivery.period = draft.period and delivery.draft_no = draft.draft_no
                        and delivery.state in ('pending', 'sending', 'refused')
                )
            )
            """,
            (period,),
        )
    }
    place = drafts / period
    if not place.is_dir():
        return
    for folder in place.iterdir():
        if folder.name not in kept:
            shutil.rmtree(folder, ignore_errors=True)
    if not kept:
        # Another period's draft has a folder of its own; this one is empty now.
        shutil.rmtree(place, ignore_errors=True)
