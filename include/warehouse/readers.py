"""Logins of those who read the warehouse: ``python -m include.warehouse.readers add|list|password|remove``.

A login belongs to one of the roles ``command_office``, ``city_reader`` (with the city it sees) and ``auditor``; what
these may read is set by migration 0007, dbt_project.yml and the macro ``grants`` (docs/roles.md). Its password is
random and printed once. The server is sent what SCRAM derives from it, so it stands in no statement and no log.

Statement timeout and read-only transactions are defaults that a session may lift. They guard against mishaps; what
keeps a reader from writing is that no privilege to write was given.
"""

from __future__ import annotations

import argparse
import re
import secrets
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import tuple_row

from include.intake.reporters import regions
from include.settings import TIME_ZONE
from include.warehouse.connection import WarehouseUnreachableError, connect
from include.warehouse.embedded import EmbeddedPostgresError
from include.warehouse.provision import READERS, WRITERS

CITY_READER = "city_reader"
STATEMENT_TIMEOUT = "30s"
#: Sessions a login may have at once. Unlike the defaults below, it cannot lift this one itself.
CONNECTION_LIMIT = 10
#: What a session of a reader begins with. An open transaction would keep a table from being rebuilt.
DEFAULTS = {
    "default_transaction_read_only": "on",
    "statement_timeout": STATEMENT_TIMEOUT,
    "idle_in_transaction_session_timeout": "60s",
    "lock_timeout": "10s",
    "search_path": "marts, reference",
    "timezone": TIME_ZONE,
}
_NAME = re.compile(r"[a-z][a-z0-9_]{2,39}")


class ReaderRefused(ValueError):
    """The login cannot be made or changed as asked; the message ends with what to do."""


@dataclass(frozen=True)
class Reader:
    """A login of a reader.

    Attributes:
        name: login name.
        role: ``command_office``, ``city_reader`` or ``auditor``; several, joined by ``+``, where somebody gave it more.
        city_code: the city a ``city_reader`` sees, ``None`` for the others (and for one that sees nothing).
        connection_limit: sessions at once, -1 for any number.
    """

    name: str
    role: str
    city_code: str | None
    connection_limit: int


def add_reader(conn: psycopg.Connection[Any], name: str, role: str, city: str | None = None) -> str:
    """Make a login and return its password. The caller commits.

    Args:
        conn: connection as the owner of the warehouse.
        name: 3 to 40 of ``a-z 0-9 _``, beginning with a letter.
        role: one of :data:`READERS`.
        city: code of a city of ``regions.csv``; for ``city_reader`` and for nobody else.

    Raises:
        ReaderRefused: name, role or city will not do, or the login lacks the right to make others.
    """
    _check_name(name)
    if role not in READERS:
        raise ReaderRefused(f"there is no readers' role {role!r}: take one of {', '.join(READERS)}")
    _check_city(role, city)
    _check_migrated(conn)
    if _one(conn, "select rolname from pg_roles where rolname = %s", name):
        raise ReaderRefused(
            f"the server has a role {name!r} already: choose another name, or give that login a new password "
            f"({name!r} 已存在：请换一个登录名，或用 password 重设密码)"
        )
    password = secrets.token_urlsafe(24)
    try:
        conn.execute(
            sql.SQL("create role {} login password {} connection limit {} in role {}").format(
                sql.Identifier(name),
                sql.Literal(_verifier(conn, name, password)),
                sql.Literal(CONNECTION_LIMIT),
                sql.Identifier(role),
            )
        )
        for setting, value in DEFAULTS.items():
            given = sql.SQL(value) if setting == "search_path" else sql.Literal(value)
            conn.execute(sql.SQL("alter role {} set {} = {}").format(sql.Identifier(name), sql.SQL(setting), given))
        # What an earlier login of this name saw is not inherited.
        conn.execute("delete from intake.reader_city where login_name = %s", [name])
        if city is not None:
            conn.execute("insert into intake.reader_city (login_name, city_code) values (%s, %s)", [name, city])
    except psycopg.errors.InsufficientPrivilege as error:
        raise _not_allowed(conn, role, error) from error
    return password


def new_password(conn: psycopg.Connection[Any], name: str) -> str:
    """Give a reader's login a new password and return it. The caller commits.

    Raises:
        ReaderRefused: there is no such reader, or this login may not change it.
    """
    reader = _find(conn, name)
    password = secrets.token_urlsafe(24)
    try:
        conn.execute(
            sql.SQL("alter role {} password {}").format(
                sql.Identifier(name), sql.Literal(_verifier(conn, name, password))
            )
        )
    except psycopg.errors.InsufficientPrivilege as error:
        raise _not_allowed(conn, reader.role, error) from error
    return password


def remove_reader(conn: psycopg.Connection[Any], name: str) -> int:
    """Drop a reader's login, end its sessions and return their number. The caller commits.

    Raises:
        ReaderRefused: there is no such reader, or this login may not drop it.
    """
    reader = _find(conn, name)
    login = sql.Identifier(name)
    try:
        conn.execute(sql.SQL("alter role {} nologin").format(login))
        # Only a member may end a role's sessions. Before PostgreSQL 16 every member inherits.
        inherits = sql.SQL("with inherit true" if conn.info.server_version >= 160000 else "")
        conn.execute(sql.SQL("grant {} to current_user {}").format(login, inherits))
        ended = conn.execute(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity where usename = %s", [name]
        ).fetchone()
        conn.execute(sql.SQL("drop role {}").format(login))
        conn.execute("delete from intake.reader_city where login_name = %s", [name])
    except psycopg.errors.InsufficientPrivilege as error:
        raise _not_allowed(conn, reader.role, error) from error
    except psycopg.errors.DependentObjectsStillExist as error:
        raise ReaderRefused(
            f"{name} owns or was granted something by hand: {error.diag.message_detail or error}; run "
            f"`drop owned by {name}` in that database as an administrator, then remove it again"
        ) from error
    assert ended is not None
    return int(ended[0])


def readers(conn: psycopg.Connection[Any]) -> list[Reader]:
    """All logins of readers, by name."""
    _check_migrated(conn)
    with conn.cursor(row_factory=tuple_row) as cursor:
        rows = cursor.execute(
            """
            select login.rolname, string_agg(readers.rolname, '+' order by readers.rolname), city.city_code,
                login.rolconnlimit
            from pg_roles as login
            inner join pg_roles as readers
                on readers.rolname = any(%s) and pg_has_role(login.oid, readers.oid, 'usage')
            left join intake.reader_city as city on city.login_name = login.rolname
            where login.rolcanlogin and not login.rolsuper and not pg_has_role(login.oid, %s, 'member')
            group by login.rolname, city.city_code, login.rolconnlimit
            order by login.rolname
            """,
            [list(READERS), WRITERS],
        ).fetchall()
    return [Reader(*row) for row in rows]


def _find(conn: psycopg.Connection[Any], name: str) -> Reader:
    for reader in readers(conn):
        if reader.name == name:
            return reader
    raise ReaderRefused(
        f"there is no reader {name!r}: `python -m include.warehouse.readers list` shows them (没有这个读者登录名)"
    )


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name) or name.startswith("pg_"):
        raise ReaderRefused(
            f"{name!r} is no login name: take 3 to 40 of a-z, 0-9 and _, a letter first, not pg_… "
            f"(登录名须为 3 至 40 位小写字母、数字或下划线，以字母开头，例如 qinzhou_rsj)"
        )


def _check_city(role: str, city: str | None) -> None:
    if role != CITY_READER:
        if city is not None:
            raise ReaderRefused(f"{role} sees every city: leave --city out, or make it a {CITY_READER}")
        return
    cities = {code: region.region_name for code, region in regions().items() if region.level == "city"}
    if city not in cities:
        asked = "no city was given" if city is None else f"{city!r} is no city of regions.csv"
        named = "、".join(f"{code} {name}" for code, name in sorted(cities.items()))
        raise ReaderRefused(f"{asked}: give one as --city (请用 --city 指定设区市代码：{named})")


def _check_migrated(conn: psycopg.Connection[Any]) -> None:
    if not _one(conn, "select to_regclass(%s) is not null", "intake.reader_city"):
        raise ReaderRefused("the warehouse has no readers' roles yet: run `python -m include.warehouse.migrate` first")


def _one(conn: psycopg.Connection[Any], query: str, value: str) -> Any:
    with conn.cursor(row_factory=tuple_row) as cursor:
        row = cursor.execute(query.encode(), [value]).fetchone()
    return row[0] if row else None


def _verifier(conn: psycopg.Connection[Any], name: str, password: str) -> str:
    """What the server keeps of a password; the password itself is not sent."""
    return conn.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256").decode()


def _not_allowed(conn: psycopg.Connection[Any], role: str, error: psycopg.Error) -> ReaderRefused:
    me = conn.info.user
    return ReaderRefused(
        f"{me} may not do this: {error.diag.message_primary}. Let an administrator of the server run: "
        f"alter role {me} createrole; grant {role.replace('+', ', ')} to {me} with admin option;"
    )


def _city_name(code: str | None) -> str:
    if code is None:
        return ""
    region = regions().get(code)
    return f"{code} {region.region_name if region else '?'}"


def _shown(found: Sequence[Reader]) -> str:
    if not found:
        return "no readers yet: add NAME --role command_office (还没有读者登录名)"
    lines = []
    for reader in found:
        sees = _city_name(reader.city_code) if reader.role == CITY_READER else "all cities 全区"
        sees = sees or "nothing 未登记设区市"
        lines.append(f"{reader.name:<24}{reader.role:<16}{reader.connection_limit:>3} connections  {sees}")
    return "\n".join(lines)


def _told(name: str, password: str) -> str:
    return (
        f"login {name}, password {password}\n"
        "It is shown this once and stored nowhere; hand it over by a safe way "
        "(密码只显示这一次，不作保存，请以安全方式转交)"
    )


def _run(conn: psycopg.Connection[Any], chosen: argparse.Namespace) -> str:
    if chosen.command == "list":
        return _shown(readers(conn))
    if chosen.command == "add":
        return _told(chosen.name, add_reader(conn, chosen.name, chosen.role, chosen.city))
    if chosen.command == "password":
        return _told(chosen.name, new_password(conn, chosen.name))
    return f"removed {chosen.name}; {remove_reader(conn, chosen.name)} open sessions ended"


def main(arguments: Sequence[str] | None = None) -> int:
    """``python -m include.warehouse.readers add NAME --role ROLE [--city CODE]``, ``list``, ``password``, ``remove``.

    Returns 1 when refused.
    """
    parser = argparse.ArgumentParser(prog="python -m include.warehouse.readers", description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    add = commands.add_parser("add", help="make a login and print its password once")
    add.add_argument("name")
    add.add_argument("--role", required=True, help=", ".join(READERS))
    add.add_argument("--city", help="code of the city that a city_reader sees, e.g. 450700")
    commands.add_parser("list", help="all logins of readers")
    commands.add_parser("password", help="a new password for a login").add_argument("name")
    commands.add_parser("remove", help="drop a login and end its sessions").add_argument("name")
    chosen = parser.parse_args(arguments)
    try:
        with connect() as conn:
            done = _run(conn, chosen)
    except (ReaderRefused, WarehouseUnreachableError, EmbeddedPostgresError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    # After the commit: a password that was shown is one that works.
    print(done)
    return 0


if __name__ == "__main__":
    sys.exit(main())
