"""Removing what has outlived its time, and recording it.

Rows go in one transaction with their record. Files go after their record was committed and before it is completed: a
run that is killed leaves a record without an end, and the next one takes both up. Input digests of months do not change
by any of it, so nothing is built or issued again.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import date, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from psycopg import sql

from include.backup.saving import STORAGE_LOCK, one_at_a_time
from include.intake.calendar import SHANGHAI
from include.intake.landing import LandingStore
from include.ledger.removals import Removal, finish_removals, plan_removal, unfinished
from include.retention.finding_out import GONE_ZH, SETTLED, Found, Scene, find_all, is_fresh, old_files, summed
from include.retention.rules import load_retention
from include.settings import get_settings
from include.warehouse.connection import connect
from include.warehouse.locking import alone

log = logging.getLogger(__name__)

_BATCH = 500
REMOVING = ".removing"

Say = Callable[[str], None]


def survey(today: date | None = None) -> list[Found]:
    """What would go today; changes nothing.

    Raises:
        include.retention.rules.RetentionError: the rules cannot be used.
    """
    with _scene(today) as scene:
        return find_all(scene)


def apply(run_key: str, today: date | None = None, *, say: Say = print) -> list[Found]:
    """Remove what has outlived its time and record it; returns what was removed. Running it again changes nothing.

    Args:
        run_key: names the run in the record.
        today: the day to count from; default the day in Shanghai.
    """
    with alone(STORAGE_LOCK), _scene(today) as scene:
        found = find_all(scene)
        for one in found:
            if one.kept_back:
                say(f"{one.rule.title_zh}: kept, {one.kept_back} (最近一次备份中没有，暂不清除)")
            remover = _FILES.get(one.rule.name)
            if remover is None:
                _remove_rows(scene, one, run_key)
            else:
                with _backups_locked(scene, one):
                    _remove_files(scene, one, run_key, remover)
            if one.removals:
                items = sum(removal.item_count for removal in one.removals)
                size = sum(removal.byte_count for removal in one.removals)
                say(f"{one.rule.title_zh}: {items} removed, {size / 1e6:,.1f} MB (kept for {one.rule.kept_for})")
    return found


def run_retention(run_key: str, *, dry_run: bool = False) -> dict[str, Any]:
    """What the DAG does: :func:`apply`, or :func:`survey` for a dry run.

    Returns:
        ``{"removed": {rule: [items, bytes]}, "kept_back": {rule: why}, "metadata_days": days or None}``; the last is
        how long Airflow's own records of runs are kept.
    """
    found = survey() if dry_run else apply(run_key, say=log.info)
    days = next(one.rule.value for one in found if one.rule.name == "task_logs")
    return {
        "removed": {name: list(sums) for name, sums in summed(found).items()},
        "kept_back": {one.rule.name: one.kept_back for one in found if one.kept_back},
        "metadata_days": days,
    }


@contextmanager
def _scene(today: date | None) -> Iterator[Scene]:
    settings = get_settings()
    rules = load_retention(settings.retention_file)
    with connect(autocommit=True) as conn:
        yield Scene(conn, settings, rules, today or datetime.now(SHANGHAI).date())


# ------------------------------------------------------------------------------------------------------------- rows


def _remove_rows(scene: Scene, found: Found, run_key: str) -> None:
    """One transaction a table, month and reporter: the rows and their record, or neither."""
    for removal in found.removals:
        if removal.rule == "finding_details":
            statement = sql.SQL(
                "update intake.finding set value = null, params = '{{}}', message_zh = {gone}"
                " where period = {period} and reporter_code is not distinct from {reporter} and state = any({states})"
                " and message_zh <> {gone}"
            ).format(gone=GONE_ZH, period=removal.period, reporter=removal.reporter_code, states=list(SETTLED))
        else:
            statement = sql.SQL(
                "delete from {table} as line using intake.submission as submission"
                " where submission.submission_id = line.submission_id and submission.period = {period}"
                " and submission.reporter_code = {reporter}"
            ).format(
                table=sql.Identifier(*removal.subject.split(".")),
                period=removal.period, reporter=removal.reporter_code,
            )  # fmt: skip
        with scene.conn.transaction():
            gone = scene.conn.execute(statement).rowcount
            if gone:
                _plan(scene, removal, found, run_key, count=gone)
                finish_removals(scene.conn, removal.rule, [removal.subject])


def _plan(scene: Scene, removal: Removal, found: Found, run_key: str, *, count: int | None = None) -> None:
    one = removal if count is None else Removal(
        removal.rule, removal.subject, count, removal.byte_count, removal.period, removal.reporter_code
    )  # fmt: skip
    plan_removal(scene.conn, one, found.rule.kept_for, run_key)


# ------------------------------------------------------------------------------------------------ files and folders


def _remove_files(scene: Scene, found: Found, run_key: str, remove: Callable[[Scene, Found, Removal], None]) -> None:
    for batch in _batches(found.removals):
        with scene.conn.transaction():
            for removal in batch:
                _plan(scene, removal, found, run_key)
        for removal in batch:
            remove(scene, found, removal)
        gone = [one.subject for one in batch if one.rule == "task_logs" or not _place(scene, one.subject).exists()]
        finish_removals(scene.conn, found.rule.name, gone)
    # Begun by a run that was killed, and gone by now: only the end of the record was missing.
    left = unfinished(scene.conn, found.rule.name)
    finish_removals(scene.conn, found.rule.name, [one for one in left if not _place(scene, one).exists()])


def _place(scene: Scene, subject: str) -> Path:
    """Where a removal's file or folder lies."""
    kind, _, below = subject.partition("/")
    if kind == "landing":
        return LandingStore(scene.settings.landing).path_of(below)
    root: Path = getattr(scene.settings, kind)
    return root / below


def _remove_original(scene: Scene, _: Found, removal: Removal) -> None:
    path = _place(scene, removal.subject)
    if path.exists() and not is_fresh(path, scene.today):
        LandingStore(scene.settings.landing).remove(path.name)


def _remove_folder(scene: Scene, _: Found, removal: Removal) -> None:
    """First its name goes: half a folder is never taken for a whole one."""
    folder = _place(scene, removal.subject)
    gone = folder.with_name(f".{folder.name}{REMOVING}")
    if folder.exists():
        if gone.exists():
            shutil.rmtree(gone)
        os.rename(folder, gone)
    if gone.exists():
        shutil.rmtree(gone)
    if removal.rule == "work_leftovers" and not any(folder.parent.iterdir()):
        folder.parent.rmdir()


def _remove_logs(scene: Scene, found: Found, removal: Removal) -> None:
    folder = _place(scene, removal.subject)
    cutoff = found.rule.cutoff(scene.today)
    assert cutoff is not None
    for path in old_files(folder, cutoff):
        path.unlink(missing_ok=True)
    for base, _, _ in os.walk(folder, topdown=False):
        if base != str(folder) and not any(os.scandir(base)):
            os.rmdir(base)


_FILES: dict[str, Callable[[Scene, Found, Removal], None]] = {
    "landing_originals": _remove_original,
    "work_leftovers": _remove_folder,
    "old_drafts": _remove_folder,
    "task_logs": _remove_logs,
    "old_backups": _remove_folder,
}


@contextmanager
def _backups_locked(scene: Scene, found: Found) -> Iterator[None]:
    """No backup is being made in the folder while old ones go from it."""
    is_needed = found.rule.name == "old_backups" and scene.settings.backup.is_dir()
    with one_at_a_time(scene.settings.backup) if is_needed else nullcontext():
        for leftover in scene.settings.backup.glob(f".*{REMOVING}") if is_needed else ():
            shutil.rmtree(leftover)
        yield


def _batches(removals: Sequence[Removal]) -> Iterable[list[Removal]]:
    remaining = iter(removals)
    while batch := list(islice(remaining, _BATCH)):
        yield batch
