"""Roles and databases on a PostgreSQL server of one's own: warehouse and Airflow's metadata, kept apart.

The role ``warehouse`` owns the database ``labour``, the role ``airflow`` owns the database ``airflow``; neither may
connect to the other's. The roles of those who read and write the warehouse (docs/roles.md) are made here too, and
``warehouse`` may give them to logins. ``status_page`` is the login of the page inside Airflow's UI: an auditor.

Safe to run at every start: what is missing is made, and passwords are set to the given ones, so a changed password in
``.env`` takes effect with a restart.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from include.warehouse.server_functions import close_server_functions

WRITERS = "etl"
READERS = ("command_office", "city_reader", "auditor")
#: Sessions the web server may have at once.
CONNECTION_LIMIT = 20

ADMIN_URL = "ADMIN_URL"
WAREHOUSE_PASSWORD = "WAREHOUSE_PASSWORD"
AIRFLOW_DB_PASSWORD = "AIRFLOW_DB_PASSWORD"
STATUS_PAGE_PASSWORD = "STATUS_PAGE_PASSWORD"


@dataclass(frozen=True)
class Owner:
    """A login and the database it owns.

    Attributes:
        role, database, password: names, and the login's password.
        is_warehouse: the database is a warehouse: the login writes as ``etl``, makes logins and gives them the readers'
            roles, and what no reader should call is closed in the database.
    """

    role: str
    database: str
    password: str
    is_warehouse: bool = False


@dataclass(frozen=True)
class Login:
    """A login that reads: its name, its password, and the one of :data:`READERS` that it is in."""

    role: str
    password: str
    reader: str


def provision(admin_url: str, owners: list[Owner], logins: Sequence[Login] = ()) -> None:
    """Make roles and databases where missing, and set the roles' passwords.

    Args:
        admin_url: a superuser's URL of any database of the server.
        logins: of readers that the installation itself needs; people's are made by ``make reader``.

    Raises:
        psycopg.Error: the server is not reachable, or the user is no superuser.
    """
    with psycopg.connect(admin_url, autocommit=True, connect_timeout=10) as conn:
        # A password stands in the statement that sets it: keep the statement out of the server's log.
        conn.execute("set log_statement = 'none'")
        conn.execute("set log_min_error_statement = 'panic'")
        roles = {name for (name,) in conn.execute("select rolname from pg_roles")}
        for group in {WRITERS, *READERS} - roles if any(owner.is_warehouse for owner in owners) else ():
            conn.execute(sql.SQL("create role {} nologin").format(sql.Identifier(group)))
        databases = {name for (name,) in conn.execute("select datname from pg_database")}
        for owner in owners:
            verb = "alter" if owner.role in roles else "create"
            conn.execute(
                sql.SQL("{} role {} login {} password {}").format(
                    sql.SQL(verb),
                    sql.Identifier(owner.role),
                    sql.SQL("createrole" if owner.is_warehouse else ""),
                    sql.Literal(owner.password),
                )
            )
            if owner.database not in databases:
                conn.execute(
                    sql.SQL("create database {} owner {} template template0 encoding 'UTF8' locale 'C'").format(
                        sql.Identifier(owner.database), sql.Identifier(owner.role)
                    )
                )
            conn.execute(
                sql.SQL("revoke connect, temporary on database {} from public").format(sql.Identifier(owner.database))
            )
            if owner.is_warehouse:
                _give_roles(conn, owner.role)
                with psycopg.connect(admin_url, dbname=owner.database, connect_timeout=10) as database:
                    close_server_functions(database)
        for login in logins:
            conn.execute(
                sql.SQL("{} role {} login password {} connection limit {}").format(
                    sql.SQL("alter" if login.role in roles else "create"),
                    sql.Identifier(login.role),
                    sql.Literal(login.password),
                    sql.Literal(CONNECTION_LIMIT),
                )
            )
            conn.execute(sql.SQL("grant {} to {}").format(sql.Identifier(login.reader), sql.Identifier(login.role)))


def _give_roles(conn: psycopg.Connection[Any], owner: str) -> None:
    # Before PostgreSQL 16 a membership says only whether it may be passed on; its holder inherits and may become it.
    says_more = conn.info.server_version >= 160000
    writes, gives = (
        ("inherit true, admin true", "admin true, inherit false, set false")
        if says_more
        else ("admin option", "admin option")
    )
    conn.execute(
        sql.SQL("grant {} to {} with {}").format(sql.Identifier(WRITERS), sql.Identifier(owner), sql.SQL(writes))
    )
    # To give away only: as a member the owner of the tables would gain nothing.
    conn.execute(
        sql.SQL("grant {} to {} with {}").format(
            sql.SQL(", ").join(map(sql.Identifier, READERS)), sql.Identifier(owner), sql.SQL(gives)
        )
    )


def main() -> int:
    """``python -m include.warehouse.provision`` with ADMIN_URL and the passwords set that ``make env`` writes."""
    names = (ADMIN_URL, WAREHOUSE_PASSWORD, AIRFLOW_DB_PASSWORD, STATUS_PAGE_PASSWORD)
    missing = [name for name in names if not os.environ.get(name)]
    if missing:
        print(f"error: {', '.join(missing)} not set: run `make env` and start with docker-compose", file=sys.stderr)
        return 2
    owners = [
        Owner("warehouse", "labour", os.environ[WAREHOUSE_PASSWORD], is_warehouse=True),
        Owner("airflow", "airflow", os.environ[AIRFLOW_DB_PASSWORD]),
    ]
    logins = [Login("status_page", os.environ[STATUS_PAGE_PASSWORD], "auditor")]
    try:
        provision(os.environ[ADMIN_URL], owners, logins)
    except psycopg.Error as error:
        print(
            f"error: {str(error).strip()}: check that the server runs and POSTGRES_PASSWORD is right", file=sys.stderr
        )
        return 1
    print("roles and databases are in place: " + ", ".join(f"{owner.role} -> {owner.database}" for owner in owners))
    return 0


if __name__ == "__main__":
    sys.exit(main())
