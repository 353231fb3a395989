"""Databases for tests, made and unmade as a whole. The fixtures that hand them out are in the ``conftest.py`` files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from uuid import uuid4

import psycopg
from psycopg import sql

from include.settings import get_settings
from include.warehouse import embedded
from include.warehouse.connection import connect
from include.warehouse.migrate import migrate


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
    # dbt takes most of a minute to set up what holds no period; the server copies it in a second.
    from include.warehouse.dbt import prepare

    name = f"prepared_{uuid4().hex[:12]}"
    _create(name, "template0")
    with warehouse_at(embedded.url(name)):
        with connect() as conn:
            migrate(conn)
        prepare("2026-01")
    return name


def _create(name: str, template: str) -> None:
    embedded.start()
    with psycopg.connect(embedded.url("postgres"), autocommit=True) as admin:
        admin.execute(sql.SQL("create database {} template {}").format(sql.Identifier(name), sql.Identifier(template)))


def _drop(name: str) -> None:
    with psycopg.connect(embedded.url("postgres"), autocommit=True) as admin:
        admin.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))
