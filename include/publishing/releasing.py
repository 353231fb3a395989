"""An approved draft becomes the issue that lies in the outbox, as a whole.

The draft is marked ``releasing``; its files are copied beside their places and then moved in, one rename each, within
milliseconds; then one transaction enters issue, files, printed figures and deliveries, and marks the draft ``issued``.
Killed anywhere before that commit, all of it is done again from the draft, which is still there; after it, nothing is.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg

from include.publishing.drafts import (
    FILES,
    Draft,
    DraftDamaged,
    EditionDraft,
    all_files,
    file_sha256,
    folder_of,
    is_intact,
    read_manifest,
    set_state,
)
from include.publishing.sending import Recipients, enter_deliveries
from include.settings import Settings

STAGE = ".issue-"


def release(
    conn: psycopg.Connection[Any], draft: Draft, settings: Settings, recipients: Recipients, now: datetime
) -> None:
    """Move the draft's files into the outbox and enter the issue. The connection is in autocommit.

    Raises:
        DraftDamaged: the draft's files are not those that were approved.
    """
    folder = folder_of(settings.drafts, draft.period, draft.draft_no)
    if not is_intact(folder, draft):
        raise DraftDamaged(
            f"draft {draft.draft_no} of {draft.period} in {folder} is not what was approved: clear the task render, "
            "which writes it anew"
        )
    editions = read_manifest(folder)
    set_state(conn, draft, "releasing", now)
    files = all_files(editions)
    outbox = settings.outbox / draft.period
    stage_files(folder / FILES, outbox, draft.draft_no, files)
    move_in(outbox, draft.draft_no, files)
    remove_stale(outbox, files, _files_before(conn, draft.period))
    with conn.transaction():
        _enter_issue(conn, draft, editions, now)
        enter_deliveries(conn, draft, editions, recipients, now)
        set_state(conn, draft, "issued", now)


def stage_files(source: Path, outbox: Path, draft_no: int, files: Mapping[str, str]) -> None:
    """Copy every file into a hidden folder of the outbox: drafts may lie on another disk, where nothing can be moved
    from at once."""
    if outbox.is_dir():
        for left in outbox.glob(f"{STAGE}*"):
            shutil.rmtree(left)
    stage = outbox / f"{STAGE}{draft_no}"
    for name in files:
        target = stage / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, target)
        with target.open("rb") as handle:
            os.fsync(handle.fileno())


def move_in(outbox: Path, draft_no: int, files: Mapping[str, str]) -> None:
    """Move the staged files to their places, the province's last: who sees it sees all."""
    stage = outbox / f"{STAGE}{draft_no}"
    for name in sorted(files, key=lambda name: (-name.count("/"), name)):
        target = outbox / name
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(stage / name, target)
    shutil.rmtree(stage)


def remove_stale(outbox: Path, files: Mapping[str, str], before: Mapping[str, str]) -> None:
    """Take away files of the issue before that this one has no more, unless somebody changed them by hand."""
    for name in sorted(set(before) - set(files)):
        path = outbox / name
        if path.is_file() and file_sha256(path) == before[name]:
            path.unlink()
            with contextlib.suppress(OSError):  # others may have put something there
                path.parent.rmdir()


def _files_before(conn: psycopg.Connection[Any], period: str) -> dict[str, str]:
    return dict(
        conn.execute(
            "select file_name, sha256 from intake.publication_file where period = %(period)s and issue_no ="
            " (select max(issue_no) from intake.publication where period = %(period)s)",
            {"period": period},
        ).fetchall()
    )


def _enter_issue(conn: psycopg.Connection[Any], draft: Draft, editions: Sequence[EditionDraft], now: datetime) -> None:
    conn.execute(
        """
        insert into intake.publication
            (period, issue_no, maturity, reason_zh, coverage, data_cutoff, input_hash, figures_sha256,
             figures_checked, seconds, published_at, draft_no, files_sha256, approved_by, approved_at)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
        on conflict (period, issue_no) do update set
            maturity = excluded.maturity, reason_zh = excluded.reason_zh, coverage = excluded.coverage,
            data_cutoff = excluded.data_cutoff, input_hash = excluded.input_hash,
            figures_sha256 = excluded.figures_sha256, figures_checked = excluded.figures_checked,
            seconds = excluded.seconds, published_at = excluded.published_at, draft_no = excluded.draft_no,
            files_sha256 = excluded.files_sha256, approved_by = excluded.approved_by, approved_at = excluded.approved_at
        """,
        (
            draft.period, draft.issue_no, draft.maturity, draft.reason_zh, draft.coverage, draft.data_cutoff,
            draft.input_hash, draft.figures_sha256, draft.figures_checked, draft.seconds, now, draft.draft_no,
            draft.files_sha256, draft.decided_by, draft.decided_at if draft.decided_by else None,
        ),
    )  # fmt: skip
    key = (draft.period, draft.issue_no)
    for table in ("publication_file", "publication_figure"):
        conn.execute(f"delete from intake.{table} where period = %s and issue_no = %s", key)
    with conn.cursor() as cursor:
        with cursor.copy(
            "copy intake.publication_file (period, issue_no, edition, file_name, sha256) from stdin"
        ) as copy:
            for one in editions:
                for name, digest in one.files.items():
                    copy.write_row((*key, one.key, name, digest))
        with cursor.copy(
            "copy intake.publication_figure (period, issue_no, edition, key, position, label, printed) from stdin"
        ) as copy:
            for one in editions:
                for position, (figure, printed) in enumerate(one.printed.items()):
                    copy.write_row((*key, one.key, figure, position, printed.label, printed.text))
