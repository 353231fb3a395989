"""Databases for tests, made and unmade as a whole. The fixtures that hand them out are in the ``conftest.py`` files."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from uuid import uuid4

import psycopg
from psycopg import sql

from include.settings import get_settings
from include.warehouse import embedded
from include.warehouse.connection import connect
from include.warehouse.migrate import migrate

# Names the folder that the processes of one test session share; set by conftest.py.
SHARED_FOLDER = "LABOUR_TEST_SHARED"
PARSED = "partial_parse.msgpack"


@contextmanager
def settings_of(environment: Mapping[str, str]) -> Iterator[None]:
    """Settings are read from these variables meanwhile."""
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    get_settings.cache_clear()
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        get_settings.cache_clear()


@contextmanager
def warehouse_at(url: str) -> Iterator[None]:
    """Settings lead to the database meanwhile."""
    with settings_of({"WAREHOUSE_URL": url}):
        yield


@contextmanager
def database(prefix: str, *, is_prepared: bool = True) -> Iterator[str]:
    """URL of a migrated database of the session's server, dropped at the end.

    Args:
        is_prepared: seeds, views and dimensions without a period are set up already (copied, not built again).
    """
    name = f"{prefix}_{uuid4().hex[:12]}"
    _create(name, _prepared_template() if is_prepared else "template0")
    url = embedded.url(name)
    try:
        if not is_prepared:
            with psycopg.connect(url) as conn:
                migrate(conn)
        yield url
    finally:
        _drop(name)


def empty_warehouse(*, is_prepared: bool = False) -> None:
    """The session's own warehouse made anew: migrated, and ``is_prepared`` as of :func:`database`."""
    if is_prepared:
        template = _prepared_template()
        _drop(embedded.WAREHOUSE_DATABASE)
        _create(embedded.WAREHOUSE_DATABASE, template)
        return
    with connect(autocommit=True) as connection:
        schemas = connection.execute(
            r"select nspname from pg_namespace where nspname !~ '^(pg_|information_schema$|public$)'"
        ).fetchall()
        for (schema,) in schemas:
            connection.execute(sql.SQL("drop schema {} cascade").format(sql.Identifier(schema)))
        migrate(connection)


@lru_cache(maxsize=1)
def _prepared_template() -> str:
    """Name of a prepared database of this process's server; it is copied in a second."""
    name = f"prepared_{uuid4().hex[:12]}"
    _create(name, "template0")
    shared = os.environ.get(SHARED_FOLDER)
    if shared is None:
        _prepare(embedded.url(name))
    else:
        _prepare_once(embedded.url(name), Path(shared))
    return name


def _prepare(url: str) -> None:
    from include.warehouse.dbt import prepare

    with warehouse_at(url):
        with connect() as conn:
            migrate(conn)
        assert prepare("2026-01") is True


def _prepare_once(url: str, shared: Path) -> None:
    """Prepare the database, or take over what another process of this session has prepared.

    dbt takes most of a minute to set up what holds no period. The processes have a server each, so it goes from one to
    the other as a dump, and the parsed dbt project with it.
    """
    dump, parsed = shared / "prepared.dump", shared / PARSED
    ours = get_settings().var / "dbt" / PARSED
    shared.mkdir(parents=True, exist_ok=True)
    with (shared / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not dump.exists():
            _prepare(url)
            fresh = dump.with_suffix(".fresh")
            _run_program("pg_dump", "--format=custom", "--compress=1", f"--file={fresh}", f"--dbname={url}")
            shutil.copyfile(ours, parsed)
            fresh.rename(dump)
            return
    _restore(url, dump)
    if not ours.exists():
        ours.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(parsed, ours)


def prepared_dump() -> Path:
    """A prepared warehouse as a file, for :func:`restore_prepared`."""
    _prepared_template()
    return Path(os.environ[SHARED_FOLDER]) / "prepared.dump"


def restore_prepared(dump: Path) -> None:
    """Make the warehouse that settings lead to, on the embedded server, anew from the dump."""
    embedded.start()
    _drop(embedded.WAREHOUSE_DATABASE)
    with psycopg.connect(embedded.url("postgres"), autocommit=True) as admin:
        admin.execute(
            sql.SQL("create database {} template template0").format(sql.Identifier(embedded.WAREHOUSE_DATABASE))
        )
    _restore(embedded.url(), dump)


def _restore(url: str, dump: Path) -> None:
    # Roles belong to the server: migrating makes them, and what it makes inside the database is replaced.
    with psycopg.connect(url) as conn:
        migrate(conn)
    _run_program("pg_restore", "--clean", "--if-exists", "--exit-on-error", f"--dbname={url}", str(dump))


def _run_program(name: str, *arguments: str) -> None:
    done = subprocess.run([str(embedded.binary(name)), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{name}: {done.stderr[-2000:]}"


@lru_cache(maxsize=1)
def start_server() -> None:
    """Start this process's server, which nobody pulls the plug on: it need not wait for the disk."""
    embedded.start()
    with psycopg.connect(embedded.url("postgres"), autocommit=True) as admin:
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):
            admin.execute(sql.SQL("alter system set {} = off").format(sql.Identifier(setting)))
        admin.execute("select pg_reload_conf()")


def _create(name: str, template: str) -> None:
    start_server()
    embedded.start()
    with psycopg.connect(embedded.url("postgres"), autocommit=True) as admin:
        admin.execute(sql.SQL("create database {} template {}").format(sql.Identifier(name), sql.Identifier(template)))


def _drop(name: str) -> None:
    with psycopg.connect(embedded.url("postgres"), autocommit=True) as admin:
        admin.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))
