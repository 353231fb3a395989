"""Brings the warehouse's ledger and raw tables to the version of this checkout.

Files ``migrations/NNNN_name.sql`` are applied once each, in order, every one in its own transaction together with its
row in ``intake.schema_migration``: a file is applied whole or not at all. An applied file is never edited; its checksum
is compared at every run. What dbt builds (staging, marts) is not migrated here. Where the login is a superuser (the
embedded server), functions of the server that no reader should call are closed as well.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from include.warehouse.connection import WarehouseUnreachableError, connect
from include.warehouse.embedded import EmbeddedPostgresError
from include.warehouse.server_functions import close_server_functions

MIGRATIONS = Path(__file__).resolve().parent / "migrations"

# Any fixed number: it names the lock that keeps two machines from migrating one warehouse at the same time.
_LOCK_KEY = 20260217
_LOCK_TIMEOUT = "120s"
_FILE_NAME = re.compile(r"\d{4}_[a-z0-9_]+\.sql")

_BOOKKEEPING = """\
create schema if not exists intake;
create table if not exists intake.schema_migration (
    file_name  text primary key,
    checksum   text not null,
    applied_at timestamptz not null default now()
);
comment on table intake.schema_migration is '已执行的库表迁移文件（校验和防止事后改动）'
"""


class MigrationError(RuntimeError):
    """The warehouse cannot be migrated; the message ends with what to do about it."""


@dataclass(frozen=True)
class Migration:
    """One migration file: its name, its SQL and the SHA-256 of its text (line ends as ``\\n``)."""

    file_name: str
    statements: str
    checksum: str


def read_migrations(folder: Path = MIGRATIONS) -> list[Migration]:
    """The migration files of a folder in the order in which they apply.

    Raises:
        MigrationError: a name is not ``NNNN_name.sql``, or a number stands twice.
    """
    found: dict[str, Migration] = {}
    for path in sorted(folder.glob("*.sql")):
        if not _FILE_NAME.fullmatch(path.name):
            raise MigrationError(f"{path} is not named like 0001_intake.sql: rename it")
        number = path.name[:4]
        if number in found:
            raise MigrationError(f"{found[number].file_name} and {path.name} have the same number: renumber the newer")
        text = path.read_text(encoding="utf-8").replace("\r\n", "\n")
        found[number] = Migration(path.name, text, hashlib.sha256(text.encode()).hexdigest())
    return [found[number] for number in sorted(found)]


def pending(migrations: Sequence[Migration], applied: dict[str, str]) -> list[Migration]:
    """Migrations still to be applied, given the applied ones as file name -> checksum.

    Raises:
        MigrationError: an applied file was changed or removed, or a new one sorts before an applied one.
    """
    known = {migration.file_name: migration for migration in migrations}
    for name, checksum in sorted(applied.items()):
        if name not in known:
            raise MigrationError(
                f"the warehouse has migration {name}, which this checkout lacks: it is older than the warehouse; "
                f"update the checkout"
            )
        if known[name].checksum != checksum:
            raise MigrationError(
                f"migration {name} was changed after it had been applied: restore the file as it was "
                f"and put the change into a new migration"
            )
    to_apply = [migration for migration in migrations if migration.file_name not in applied]
    if to_apply and applied and to_apply[0].file_name < max(applied):
        raise MigrationError(
            f"migration {to_apply[0].file_name} would run after {max(applied)}: give it the next free number"
        )
    return to_apply


def migrate(conn: psycopg.Connection[Any], folder: Path = MIGRATIONS) -> list[str]:
    """Apply what is missing and return the names of the files applied, in order (none when up to date).

    Waits up to two minutes for another process that migrates the same warehouse. The connection must not be within a
    transaction; it comes back without one.

    Raises:
        MigrationError: the files do not follow on from what was applied, or one failed (it was rolled back).
    """
    migrations = read_migrations(folder)
    if conn.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
        raise MigrationError("migrate() was called within a transaction: commit or roll back first")
    _lock(conn)
    try:
        with conn.transaction():
            conn.execute(_BOOKKEEPING)
        with conn.transaction():
            rows = conn.execute("select file_name, checksum from intake.schema_migration").fetchall()
        to_apply = pending(migrations, {_field(row, 0, "file_name"): _field(row, 1, "checksum") for row in rows})
        for migration in to_apply:
            _apply(conn, migration)
        if folder == MIGRATIONS:
            close_server_functions(conn)
    finally:
        if not conn.closed:
            conn.rollback()
            with conn.transaction():
                conn.execute("select pg_advisory_unlock(%s)", [_LOCK_KEY])
    return [migration.file_name for migration in to_apply]


def _field(row: Any, index: int, name: str) -> str:
    """A value of a row, whatever row factory the caller's connection has."""
    return str(row[name] if isinstance(row, dict) else row[index])


def _lock(conn: psycopg.Connection[Any]) -> None:
    try:
        with conn.transaction():
            conn.execute(f"set local lock_timeout = '{_LOCK_TIMEOUT}'")
            # Of the session, not of the transaction: it has to span the transactions of all files.
            conn.execute("select pg_advisory_lock(%s)", [_LOCK_KEY])
    except psycopg.errors.LockNotAvailable as error:
        raise MigrationError(
            f"another process has been migrating this warehouse for {_LOCK_TIMEOUT}: wait for it and run again"
        ) from error


def _apply(conn: psycopg.Connection[Any], migration: Migration) -> None:
    try:
        with conn.transaction():
            conn.execute(migration.statements.encode())
            conn.execute(
                "insert into intake.schema_migration (file_name, checksum) values (%s, %s)",
                [migration.file_name, migration.checksum],
            )
    except psycopg.Error as error:
        raise MigrationError(
            f"migration {migration.file_name} failed and was rolled back: {str(error).strip()}; "
            f"mend the file, or what it met in the warehouse, and run `python -m include.warehouse.migrate` again"
        ) from error


def main() -> int:
    """``python -m include.warehouse.migrate``: migrate the warehouse of these settings and say what was applied."""
    try:
        with connect() as conn:
            applied = migrate(conn)
    except (MigrationError, WarehouseUnreachableError, EmbeddedPostgresError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"applied {', '.join(applied)}" if applied else "the warehouse is up to date")
    return 0


if __name__ == "__main__":
    sys.exit(main())
