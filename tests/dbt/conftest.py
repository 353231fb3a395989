"""A warehouse of its own for the dbt tests, filled with the small province and built once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from include.warehouse.connection import connect
from tests.databases import database, warehouse_at
from tests.dbt.province import fill


@contextmanager
def filled_database() -> Iterator[str]:
    """URL of a prepared database of its own with ledger and raw rows of the small province; dropped at the end."""
    with database("dbt") as url:
        with psycopg.connect(url) as conn:
            fill(conn)
        yield url


@pytest.fixture(scope="session")
def small_province(var_dir: Path) -> Iterator[str]:
    """URL of a database with ledger and raw rows of the small province."""
    with filled_database() as url:
        yield url


@pytest.fixture(autouse=True)
def in_small_province(request: pytest.FixtureRequest) -> Iterator[None]:
    """Settings of a test that uses the small province lead there, and nobody else's do."""
    if "small_province" not in request.fixturenames:
        yield
        return
    with warehouse_at(request.getfixturevalue("small_province")):
        yield


@pytest.fixture(scope="session")
def built(small_province: str) -> dict[str, Any]:
    """The three months built by asking for the last one, what each held then, and the last one built once more."""
    from include.warehouse.dbt import dbt_build
    from tests.dbt.checksums import period_checksums

    results = {}
    with warehouse_at(small_province):
        results["2026-03"] = dbt_build("2026-03")
        with connect() as conn:
            checksums = {period: period_checksums(conn, period) for period in ("2026-01", "2026-02", "2026-03")}
        results["again"] = dbt_build("2026-03")
    return {"results": results, "checksums": checksums}


@pytest.fixture
def marts(built: dict[str, Any]) -> Iterator[psycopg.Connection[Any]]:
    """A connection to the built warehouse."""
    with connect() as conn:
        yield conn
        conn.rollback()
