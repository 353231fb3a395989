"""Roles and databases of a PostgreSQL server of one's own, tried on the session's server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from include.warehouse import embedded
from include.warehouse.migrate import migrate
from include.warehouse.provision import Login, Owner, provision


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


def test_the_owner_of_a_warehouse_may_give_the_readers_roles_and_use_none(owners: list[Owner]) -> None:
    provision(embedded.url("postgres"), owners)
    with open_as("try_warehouse", "first'1", "try_labour") as conn:
        held = conn.execute(
            "select roleid::regrole::text, admin_option, inherit_option, set_option from pg_auth_members"
            " where member = 'try_warehouse'::regrole and grantor <> member order by 1"
        ).fetchall()
        assert held == [
            ("auditor", True, False, False),
            ("city_reader", True, False, False),
            ("command_office", True, False, False),
            ("etl", True, True, True),
        ]
    with open_as("try_airflow", "first'2", "try_metadata") as conn:
        assert conn.execute(
            "select count(*) from pg_auth_members where member = 'try_airflow'::regrole"
        ).fetchone() == (0,)


def test_the_login_of_the_status_page_reads_the_ledger_and_writes_nothing(owners: list[Owner]) -> None:
    login = "try_status_page"
    try:
        for password in ("first", "second'3"):  # the second time changes the password
            provision(embedded.url("postgres"), owners, [Login(login, password, "auditor")])
        with open_as("try_warehouse", "first'1", "try_labour") as conn:
            migrate(conn)
        with open_as(login, "second'3", "try_labour") as conn:
            for table in ("finding", "publication_file", "report_draft", "delivery"):
                assert conn.execute(f"select count(*) from intake.{table}".encode()).fetchone() == (0,)
            for statement in ("delete from intake.finding", "select * from intake.held_row"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege), conn.transaction():
                    conn.execute(statement.encode())
    finally:
        with psycopg.connect(embedded.url("postgres"), autocommit=True) as admin:
            admin.execute(f"drop role if exists {login}".encode())


def test_only_writers_take_advisory_locks_and_nobody_large_objects(owners: list[Owner]) -> None:
    provision(embedded.url("postgres"), owners)
    with open_as("try_warehouse", "first'1", "try_labour") as conn:
        conn.execute("select pg_advisory_xact_lock(1)")
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="permission denied for function lo_create"):
            conn.execute("select lo_create(0)")
        conn.rollback()
        assert conn.execute(
            "select count(*) from pg_proc where proname ~ '^(pg_(try_)?advisory|lo_|loread|lowrite)'"
            " and has_function_privilege('city_reader', oid, 'execute')"
        ).fetchone() == (0,)
    # Airflow's own database keeps what it had.
    with open_as("try_airflow", "first'2", "try_metadata") as conn:
        conn.execute("select pg_advisory_xact_lock(1)")
