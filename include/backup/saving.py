"""Making a backup while everything runs.

The order is what makes it consistent: first the warehouse's snapshot, then the files. A file goes into the landing
store before its row is committed, and no other process removes one meanwhile (``alone``), so the landing store of the
backup may hold more than its ledger names and never less; that is checked before the backup gets its name.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import tuple_row

from include.backup.content import state_of
from include.backup.files import Earlier, copy, files_under, is_full, megabytes, private_folder, require_space
from include.backup.logins import saved_logins
from include.backup.manifest import (
    AIRFLOW_DUMP,
    FORMAT,
    LOGINS,
    SECRETS,
    TREES,
    WAREHOUSE_DUMP,
    BackupError,
    DatabaseState,
    FileEntry,
    Manifest,
    backups_in,
    sha256_of_file,
    write_manifest,
    write_private,
)
from include.backup.programs import APPLICATION_NAME, dump
from include.backup.secrets import essential_environment, secret_files
from include.intake.calendar import SHANGHAI
from include.settings import get_settings
from include.warehouse.connection import airflow_metadata_url, connect, warehouse_url
from include.warehouse.locking import alone

#: Held by whoever makes a backup or removes what is out of date: one at a time.
STORAGE_LOCK = "backup and retention"
PARTIAL = ".partial"
_PROGRESS_SECONDS = 10.0

Say = Callable[[str], None]


def save(destination: Path | None = None, *, env_file: bytes | None = None, say: Say = print) -> tuple[Path, Manifest]:
    """Make a backup.

    Args:
        destination: folder of the backup, which must not exist; default ``<BACKUP_DIR>/<time>``.
        env_file: content of docker-compose's ``.env``, kept among the secrets.
        say: takes one line of progress at a time.

    Returns:
        The folder and what it holds.

    Raises:
        BackupError: it cannot be made; nothing that looks like a backup is left.
    """
    target = (destination or get_settings().backup / f"{datetime.now(SHANGHAI):%Y%m%d-%H%M%S}").absolute()
    if target.exists():
        raise BackupError(f"{target} exists already: name a folder that does not (DEST=folder)")
    try:
        private_folder(target.parent)
        with one_at_a_time(target.parent), alone(STORAGE_LOCK):
            for leftover in target.parent.glob(f".*{PARTIAL}"):
                say(f"removing {leftover.name}, left by a backup that was interrupted")
                shutil.rmtree(leftover)
            partial = target.parent / f".{target.name}{PARTIAL}"
            partial.mkdir(mode=0o700)
            try:
                manifest = _fill(partial, _earlier(target.parent), env_file, say)
                write_manifest(partial, manifest)
                _sync_folders(partial)
                os.rename(partial, target)
                _sync(target.parent)
            # Ctrl-C and SIGTERM too: half a backup must not stay.
            except BaseException:
                shutil.rmtree(partial, ignore_errors=True)
                raise
    except OSError as error:
        reason = "the disk is full" if is_full(error) else (error.strerror or str(error))
        raise BackupError(
            f"the backup {target} could not be written: {reason} ({error.filename or target}); nothing was left of it. "
            f"Free space or name another folder, and run it again (备份未完成，请清理磁盘或换一个文件夹后重做)"
        ) from error
    return target, manifest


def _fill(folder: Path, earlier: Earlier | None, env_file: bytes | None, say: Say) -> Manifest:
    settings = get_settings()
    files: dict[str, FileEntry] = {}
    for name, data in {**secret_files(env_file), f"{SECRETS}/environment.json": essential_environment()}.items():
        path = folder / name
        private_folder(path.parent)
        write_private(path, data)
    with connect(row_factory=tuple_row) as conn:
        conn.execute("set transaction isolation level repeatable read, read only")
        made_at, snapshot = _one(conn, "select transaction_timestamp(), pg_export_snapshot()")
        say("warehouse: dump")
        files[WAREHOUSE_DUMP] = dump(warehouse_url(), snapshot, folder / WAREHOUSE_DUMP)
        warehouse, ledger = _counted(conn, say), _ledger(conn)
        migrations = dict(conn.execute("select file_name, checksum from intake.schema_migration").fetchall())
        with _administrator() as admin:
            logins = saved_logins(conn, admin)
        conn.rollback()
    write_private(folder / LOGINS, json.dumps(logins, ensure_ascii=False, indent=1).encode())
    airflow = _airflow(folder, files, say)
    landing_bytes = sum(size for sha256, size in ledger.items() if not (earlier and _holds(earlier, sha256)))
    require_space(folder, landing_bytes)
    for tree in TREES:
        _copy_tree(getattr(settings, tree), folder, tree, earlier, files, say)
    _require_originals(ledger, files, settings.landing)
    notes = [f"login {one['name']} comes back without its password" for one in logins["logins"] if not one["verifier"]]
    for name in files_under(folder):
        if name not in files:
            path = folder / name
            files[name] = FileEntry(*_digest_and_size(path))
    return Manifest(FORMAT, made_at.isoformat(), migrations, warehouse, airflow, files, tuple(notes))


def _counted(conn: psycopg.Connection[Any], say: Say) -> DatabaseState:
    state = state_of(conn)
    rows = sum(table.rows for table in state.tables.values())
    say(f"database {state.name}: {len(state.tables)} tables, {rows:,} rows counted and summed")
    return state


def _airflow(folder: Path, files: dict[str, FileEntry], say: Say) -> DatabaseState:
    """Airflow's metadata, a moment younger than the warehouse: what is left to do is read from the ledger alone."""
    url = plain_url(airflow_metadata_url())
    with psycopg.connect(url, application_name=APPLICATION_NAME, connect_timeout=10, row_factory=tuple_row) as conn:
        conn.execute("set transaction isolation level repeatable read, read only")
        [snapshot] = _one(conn, "select pg_export_snapshot()")
        say("Airflow's metadata: dump")
        files[AIRFLOW_DUMP] = dump(url, snapshot, folder / AIRFLOW_DUMP)
        state = _counted(conn, say)
        conn.rollback()
    return state


def plain_url(url: str) -> str:
    """SQLAlchemy's URL as PostgreSQL's own programs read it.

    Raises:
        BackupError: it is of another database than PostgreSQL.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.partition("+")[0] not in ("postgresql", "postgres"):
        raise BackupError(
            f"Airflow's metadata are in {scheme}, not in PostgreSQL: set AIRFLOW__DATABASE__SQL_ALCHEMY_CONN to them"
        )
    return f"postgresql://{rest}"


@contextmanager
def _administrator() -> Iterator[psycopg.Connection[Any] | None]:
    """A superuser's connection, where the environment names one (docker-compose's ``airflow-init``)."""
    url = os.environ.get("ADMIN_URL")
    if not url:
        yield None
        return
    with psycopg.connect(url, application_name=APPLICATION_NAME, connect_timeout=10) as conn:
        yield conn


def _ledger(conn: psycopg.Connection[Any]) -> dict[str, int]:
    """sha256 to bytes of every original that the ledger names, but those that retention removed."""
    removed = _one(conn, "select to_regclass('intake.removal') is not null")[0]
    without = "where not exists (select 1 from intake.removal where removal.sha256 = file.sha256)" if removed else ""
    rows = conn.execute(
        f"select sha256, max(size_bytes) from intake.received_file as file {without} group by sha256".encode()
    )
    return dict(rows.fetchall())


def _require_originals(ledger: Mapping[str, int], files: Mapping[str, FileEntry], landing: Path) -> None:
    missing = [sha256 for sha256 in ledger if f"landing/{sha256[:2]}/{sha256}" not in files]
    if missing:
        raise BackupError(
            f"the ledger names {len(missing)} files that the landing store {landing} lacks, the first {missing[0]}: "
            f"set LANDING_DIR to the store of this warehouse, or bring them back from an earlier backup, then again"
        )


def _holds(earlier: Earlier, sha256: str) -> bool:
    return f"landing/{sha256[:2]}/{sha256}" in earlier.manifest.files


def _copy_tree(
    root: Path, folder: Path, tree: str, earlier: Earlier | None, files: dict[str, FileEntry], say: Say
) -> None:
    started = spoken = time.monotonic()
    linked = copied = 0
    for below in files_under(root):
        path = f"{tree}/{below}"
        destination = folder / path
        private_folder(destination.parent)
        entry = _saved(root / below, path, destination, earlier, is_landing=tree == "landing")
        if entry is None:
            continue
        is_linked = destination.stat().st_nlink > 1
        linked, copied = linked + is_linked, copied + (not is_linked)
        files[path] = entry
        if time.monotonic() - spoken > _PROGRESS_SECONDS:
            spoken = time.monotonic()
            say(f"{tree}: {linked + copied} files so far")
    took = time.monotonic() - started
    say(f"{tree}: {copied} files copied, {linked} unchanged since the backup before, {took:.1f} s")


def _saved(
    source: Path, path: str, destination: Path, earlier: Earlier | None, *, is_landing: bool
) -> FileEntry | None:
    """The file in the backup; ``None`` when it is gone meanwhile (a report that was replaced)."""
    if earlier is not None and path in earlier.manifest.files:
        known = earlier.manifest.files[path].sha256
        # A landed original is named after its bytes; anything else may have changed under its name.
        is_same = is_landing or (
            source.stat().st_size == earlier.manifest.files[path].size and _digest_and_size(source)[0] == known
        )
        linked = earlier.link(path, known, destination) if is_same else None
        if linked is not None:
            return linked
    try:
        entry = copy(source, destination)
    except FileNotFoundError:
        if is_landing:
            raise
        return None
    if is_landing and entry.sha256 != source.name:
        raise BackupError(
            f"{source} is damaged: its bytes do not have the checksum it is named after. Bring it back from an earlier "
            f"backup ({path} there), then run it again (落地区原件已损坏，请先从早先的备份恢复该文件)"
        )
    return entry


def _digest_and_size(path: Path) -> tuple[str, int]:
    return sha256_of_file(path), path.stat().st_size


def _earlier(folder: Path) -> Earlier | None:
    """The newest complete backup beside the new one."""
    found = backups_in(folder)
    return Earlier(*found[-1]) if found else None


def _one(conn: psycopg.Connection[Any], query: str) -> Any:
    row = conn.execute(query.encode()).fetchone()
    assert row is not None
    return row


@contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """The lock of a folder of backups; the operating system frees it when the holder dies."""
    descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BackupError(f"another backup is being made in {folder}: wait for its end") from None
        yield
    finally:
        os.close(descriptor)


def _sync_folders(root: Path) -> None:
    for folder, _, _ in os.walk(root):
        _sync(Path(folder))


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def summary(folder: Path, manifest: Manifest) -> str:
    """The last line of a backup: what was saved, where, how large."""
    counts = {tree: sum(path.startswith(f"{tree}/") for path in manifest.files) for tree in TREES}
    rows = sum(table.rows for table in manifest.warehouse.tables.values())
    return (
        f"备份完成 backup complete: {folder}，{megabytes(manifest.size)}: warehouse {len(manifest.warehouse.tables)} "
        f"tables, {rows:,} rows; Airflow {len(manifest.airflow.tables)} tables; "
        + ", ".join(f"{tree} {count} files" for tree, count in counts.items())
    )
