"""Restoring a backup into an empty place, and proving that what came back is what was saved.

A place counts as empty when nothing is in it but what the restore itself would put there. So a restore that was killed
is simply run again: each database is loaded in one transaction, each file appears whole, and what is there already is
compared instead of written.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import tuple_row

from include.backup.checking import check
from include.backup.content import DATABASE_PRIVILEGES, differences, is_empty, state_of
from include.backup.files import copy, files_under, is_full, megabytes, private_folder, require_space, shared_mode
from include.backup.logins import restore_database_privileges, restore_groups, restore_logins
from include.backup.manifest import (
    AIRFLOW_DUMP,
    LOGINS,
    TREES,
    WAREHOUSE_DUMP,
    BackupError,
    DatabaseState,
    Manifest,
    sha256_of_file,
)
from include.backup.programs import APPLICATION_NAME, load
from include.backup.saving import plain_url
from include.backup.secrets import require_same_secrets, restore_secrets
from include.intake.calendar import SHANGHAI
from include.ledger.entries import changed_builds
from include.settings import get_settings
from include.warehouse.connection import airflow_metadata_url, connect, warehouse_url
from include.warehouse.migrate import MigrationError, migrate, pending, read_migrations

_SESSIONS_SECONDS = 15.0

# What a restore that replaces begins with, in its own transaction: all or nothing of it happens.
_EMPTY = """
do $empty$
declare
    gone text;
begin
    for gone in
        select format('drop schema %I cascade', nspname) from pg_namespace
        where nspname !~ '^pg_' and nspname not in ('information_schema', 'public')
    loop
        execute gone;
    end loop;
    for gone in
        select format('drop %s if exists public.%I cascade',
            case relkind
                when 'v' then 'view' when 'm' then 'materialized view' when 'S' then 'sequence' else 'table'
            end,
            relname)
        from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'v', 'm', 'S')
    loop
        execute gone;
    end loop;
    for gone in
        select format('drop routine if exists %s cascade', oid::regprocedure) from pg_proc
        where pronamespace = 'public'::regnamespace
    loop
        execute gone;
    end loop;
    for gone in
        select format('drop type if exists public.%I cascade', typname) from pg_type
        where typnamespace = 'public'::regnamespace and typtype in ('e', 'd')
    loop
        execute gone;
    end loop;
end
$empty$;
"""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did.

    Attributes:
        manifest: of the backup.
        differences: between the backup and what stands now, one line each; none is success.
        migrated: migrations applied after the comparison, when the checkout is newer than the backup.
        logins, without_password: readers' logins made, and those among them that need a new password.
        changed_months: months whose marts are not up to date, as they were when the backup was made.
    """

    manifest: Manifest
    differences: tuple[str, ...]
    migrated: tuple[str, ...] = ()
    logins: tuple[str, ...] = ()
    without_password: tuple[str, ...] = ()
    changed_months: tuple[str, ...] = ()


def restore(folder: Path, *, replace: bool = False, say: Say = print) -> Restored:
    """Restore a backup into the warehouse, the metadata and the folders of these settings.

    Args:
        folder: of the backup.
        replace: remove what is there. Reports and drafts are moved into ``.before-restore-<time>`` beside them,
            originals stay, databases are replaced.
        say: takes one line of progress at a time.

    Raises:
        BackupError: the backup is damaged, from a newer checkout, or the place is not empty; nothing was changed.
    """
    started = time.monotonic()
    manifest, problems = check(folder)
    if problems:
        raise BackupError(
            f"{folder} is damaged, nothing was restored: " + "; ".join(problems[:5]) + _more(problems) + ". Take "
            "another backup (备份已损坏，未作任何恢复；请换用另一份备份)"
        )
    say(f"{len(manifest.files)} files, {megabytes(manifest.size)}: every checksum is right")
    _require_known_migrations(manifest)
    require_same_secrets(folder)
    try:
        with _place() as (warehouse, airflow):
            ready = _require_empty(manifest, warehouse, airflow, replace=replace)
            written = restore_secrets(folder)
            say(f"secrets: {len(written)} files")
            if replace:
                _move_aside(manifest, say)
            for tree in TREES:
                _restore_tree(folder, manifest, tree, say)
            saved = json.loads((folder / LOGINS).read_text(encoding="utf-8"))
            with _login_maker(warehouse) as maker:
                restore_groups(maker, saved)
            preamble = _EMPTY if replace else ""
            urls = (warehouse_url(), plain_url(airflow_metadata_url()))
            targets = (
                (warehouse, urls[0], WAREHOUSE_DUMP, manifest.warehouse),
                (airflow, urls[1], AIRFLOW_DUMP, manifest.airflow),
            )
            for (conn, url, name, state), is_there in zip(targets, ready, strict=True):
                if is_there:
                    say(f"database {conn.info.dbname}: restored already")
                    continue
                say(f"database {conn.info.dbname}: restoring {name}")
                load(url, folder / name, manifest.files[name], conn.info.server_version, preamble)
                conn.execute("analyze")
                say(f"database {conn.info.dbname}: {len(state.tables)} tables")
            restore_database_privileges(warehouse, saved)
            with _login_maker(warehouse) as maker:
                logins, without = restore_logins(maker, saved)
            found = [*_database_differences(manifest, warehouse, airflow), *_file_differences(manifest)]
            say(f"compared: {len(found)} differences, {time.monotonic() - started:.1f} s so far")
            if found:
                return Restored(manifest, tuple(found), (), tuple(logins), tuple(without))
            migrated = _migrate()
            changed = changed_builds(warehouse)
    except OSError as error:
        reason = "the disk is full" if is_full(error) else (error.strerror or str(error))
        raise BackupError(
            f"the restore stopped: {reason} ({error.filename or ''}). Mend that and run the same command again: it "
            f"goes on where it stopped (恢复未完成，排除原因后再次运行同一命令即可接着做)"
        ) from error
    return Restored(manifest, (), tuple(migrated), tuple(logins), tuple(without), tuple(changed))


def _more(lines: Sequence[str]) -> str:
    return f" and {len(lines) - 5} more" if len(lines) > 5 else ""


def _require_known_migrations(manifest: Manifest) -> None:
    try:
        pending(read_migrations(), dict(manifest.migrations))
    except MigrationError as error:
        raise BackupError(
            f"the backup was made by another version of this system (up to migration {manifest.level}): {error}. "
            f"Restore with the checkout that made it or a newer one (备份来自更新的版本，请用同版或更新的程序恢复)"
        ) from error


@contextmanager
def _place() -> Iterator[tuple[psycopg.Connection[Any], psycopg.Connection[Any]]]:
    """Connections to the two databases, which nobody else uses meanwhile."""
    url = plain_url(airflow_metadata_url())
    with (
        connect(autocommit=True, row_factory=tuple_row, application_name=APPLICATION_NAME) as warehouse,
        psycopg.connect(url, autocommit=True, application_name=APPLICATION_NAME, row_factory=tuple_row) as airflow,
    ):
        for conn in (warehouse, airflow):
            _require_alone(conn)
        yield warehouse, airflow


def _require_alone(conn: psycopg.Connection[Any]) -> None:
    # The session of a restore that was killed a moment ago is still being rolled back.
    deadline = time.monotonic() + _SESSIONS_SECONDS
    while True:
        others = conn.execute(
            "select coalesce(nullif(application_name, ''), usename) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid() and usename is not null"
        ).fetchall()
        if not others:
            return
        if time.monotonic() > deadline:
            names = ", ".join(sorted({str(name) for (name,) in others}))
            raise BackupError(
                f"the database {conn.info.dbname} is in use by {names}: stop Airflow and close every session first "
                f"(`make down`, or `docker-compose stop`), then restore (请先停止 Airflow 并断开所有连接)"
            )
        time.sleep(0.2)


def _require_empty(
    manifest: Manifest,
    warehouse: psycopg.Connection[Any],
    airflow: psycopg.Connection[Any],
    *,
    replace: bool,
) -> tuple[bool, bool]:
    """Which of the two databases hold the backup already.

    Raises:
        BackupError: something else is there, or the login may not own what is restored.
    """
    there = []
    for conn, state in ((warehouse, manifest.warehouse), (airflow, manifest.airflow)):
        if conn.info.user != state.owner:
            raise BackupError(
                f"the backup's database {state.name} belongs to {state.owner}, and the login here is {conn.info.user}: "
                f"restore into the same shape (embedded or docker-compose), or with a login of that name"
            )
        if is_empty(conn) or replace:
            there.append(False)
            continue
        # Who may connect is set after both databases: a restore that was killed before that goes on.
        kept = [line for line in differences(state, _state(conn)) if not line.endswith(DATABASE_PRIVILEGES)]
        if kept:
            raise BackupError(
                f"the database {conn.info.dbname} holds data that are not this backup's ({kept[0]}): restore into an "
                f"empty VAR_DIR or an empty server, or replace them with ARGS=--replace "
                f"(目标数据库不是空的：请恢复到空目录或空库，确要覆盖时加 ARGS=--replace)"
            )
        there.append(True)
    strange = [] if replace else [line for tree in TREES for line in _strange_files(manifest, tree)]
    if strange:
        raise BackupError(
            f"{strange[0]} is not of this backup, nor are {len(strange) - 1} other files: restore into empty folders, "
            f"or replace them with ARGS=--replace (目标文件夹不是空的)"
        )
    needed = sum(manifest.files[path].size for tree in TREES for path in _of_tree(manifest, tree))
    get_settings().var.mkdir(parents=True, exist_ok=True)
    require_space(get_settings().var, 0 if any(there) else needed)
    return there[0], there[1]


def _of_tree(manifest: Manifest, tree: str) -> list[str]:
    return [path for path in sorted(manifest.files) if path.startswith(f"{tree}/")]


def _root(tree: str) -> Path:
    root: Path = getattr(get_settings(), tree)
    return root


def _strange_files(manifest: Manifest, tree: str) -> list[Path]:
    root = _root(tree)
    return [
        root / below
        for below in files_under(root)
        if (entry := manifest.files.get(f"{tree}/{below}")) is None or sha256_of_file(root / below) != entry.sha256
    ]


def _move_aside(manifest: Manifest, say: Say) -> None:
    for tree in ("outbox", "drafts"):
        root = _root(tree)
        if not _strange_files(manifest, tree):
            continue
        aside = root / f".before-restore-{datetime.now(SHANGHAI):%Y%m%d-%H%M%S}"
        aside.mkdir(mode=0o700)
        for path in list(root.iterdir()):
            if not path.name.startswith(".before-restore-"):
                path.rename(aside / path.name)
        say(f"{tree}: what was there lies in {aside}")


def _restore_tree(folder: Path, manifest: Manifest, tree: str, say: Say) -> None:
    root, written = _root(tree), 0
    is_private = tree == "landing"
    root.mkdir(parents=True, exist_ok=True)
    for leftover in root.rglob(".restoring-*"):
        leftover.unlink()
    paths = _of_tree(manifest, tree)
    for path in paths:
        target = root / path.partition("/")[2]
        if target.is_file() and sha256_of_file(target) == manifest.files[path].sha256:
            continue
        private_folder(target.parent) if is_private else target.parent.mkdir(parents=True, exist_ok=True)
        fresh = target.with_name(f".restoring-{target.name}")
        copy(folder / path, fresh, mode=0o400 if is_private else shared_mode())
        os.replace(fresh, target)
        written += 1
    say(f"{tree}: {written} files restored, {len(paths) - written} there already")


@contextmanager
def _login_maker(warehouse: psycopg.Connection[Any]) -> Iterator[psycopg.Connection[Any]]:
    """Who may make logins: the administrator where the environment names one, else the owner of the warehouse."""
    url = os.environ.get("ADMIN_URL")
    if not url:
        yield warehouse
        return
    with psycopg.connect(url, autocommit=True, application_name=APPLICATION_NAME, connect_timeout=10) as conn:
        yield conn


def _state(conn: psycopg.Connection[Any]) -> DatabaseState:
    with conn.transaction(force_rollback=True):
        conn.execute("set transaction isolation level repeatable read, read only")
        return state_of(conn)


def _database_differences(
    manifest: Manifest, warehouse: psycopg.Connection[Any], airflow: psycopg.Connection[Any]
) -> list[str]:
    pairs: Mapping[str, tuple[DatabaseState, psycopg.Connection[Any]]] = {
        "warehouse": (manifest.warehouse, warehouse),
        "Airflow's metadata": (manifest.airflow, airflow),
    }
    return [f"{name}: {line}" for name, (state, conn) in pairs.items() for line in differences(state, _state(conn))]


def _file_differences(manifest: Manifest) -> list[str]:
    lines = []
    for tree in TREES:
        for path in _of_tree(manifest, tree):
            target = _root(tree) / path.partition("/")[2]
            if not target.is_file():
                lines.append(f"{target} is missing")
            elif sha256_of_file(target) != manifest.files[path].sha256:
                lines.append(f"{target} has another content than in the backup")
    return lines


def _migrate() -> list[str]:
    with connect() as conn:
        return migrate(conn)


def summary(folder: Path, done: Restored) -> str:
    """The last lines of a restore."""
    manifest = done.manifest
    rows = sum(table.rows for table in manifest.warehouse.tables.values())
    lines = [
        f"恢复完成，全部校验和一致 restored and compared, all checksums equal: {folder} of {manifest.made_at}; "
        f"warehouse {len(manifest.warehouse.tables)} tables, {rows:,} rows; "
        f"Airflow {len(manifest.airflow.tables)} tables; "
        f"{sum(len(_of_tree(manifest, tree)) for tree in TREES)} files"
    ]
    if done.migrated:
        lines.append(f"migrated to this checkout: {', '.join(done.migrated)}")
    if done.logins:
        lines.append(f"readers' logins made: {', '.join(done.logins)}")
    if done.without_password:
        names = ", ".join(done.without_password)
        lines.append(f'without a password yet, give each a new one (make reader ARGS="password NAME"): {names}')
    if done.changed_months:
        lines.append(f"months to be built again, as when the backup was made: {', '.join(done.changed_months)}")
    else:
        lines.append("every built month is up to date (已建各月均为最新，无需重建)")
    return "\n".join(lines)
