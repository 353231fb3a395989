"""Roles and databases of a PostgreSQL server of one's own, tried on the session's server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from include.warehouse import embedded
from include.warehouse.migrate import migrate
from include.warehouse.provision import Owner, provision


@pytest.fixture
def owners(var_dir: Path) -> Iterator[list[Owner]]:
    embedded.start()
    made = [
        Owner("try_warehouse", "try_labour", "first'1", is_warehouse=True),
        Owner("try_airflow", "try_metadata", "first'2"),
    ]
    yield made
    with psycopg.connect(embedded.url("postgres"), autocommit=True) as admin:
        for owner in made:
            admin.execute(f"drop database if exists {owner.database} with (force)")
            admin.execute(f"drop role if exists {owner.role}")


def open_as(role: str, password: str, database: str) -> psycopg.Connection:
    state = embedded.status()
    return psycopg.connect(host=state.host, port=state.port, user=role, password=password, dbname=database)


def test_each_role_reaches_its_own_database_only(owners: list[Owner]) -> None:
    provision(embedded.url("postgres"), owners)
    with open_as("try_warehouse", "first'1", "try_labour") as conn:
        assert migrate(conn)[0] == "0001_intake.sql"
    with pytest.raises(psycopg.OperationalError, match='permission denied for database "try_metadata"'):
        open_as("try_warehouse", "first'1", "try_metadata")
    with pytest.raises(psycopg.OperationalError, match='permission denied for database "try_labour"'):
        open_as("try_airflow", "first'2", "try_labour")


def test_a_second_time_changes_nothing_but_the_password(owners: list[Owner]) -> None:
    provision(embedded.url("postgres"), owners)
    with open_as("try_airflow", "first'2", "try_metadata") as conn:
        conn.execute("create table kept (n int)")
    provision(embedded.url("postgres"), [owners[0], Owner("try_airflow", "try_metadata", "second")])
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        open_as("try_airflow", "first'2", "try_metadata")
    with open_as("try_airflow", "second", "try_metadata") as conn:
        assert conn.execute("select count(*) from kept").fetchone() == (0,)
