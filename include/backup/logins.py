"""Roles, readers' logins and privileges on the database: what belongs to the server and is in no dump of a database.

A login's password is kept as the server keeps it (SCRAM verifier), which only a superuser may read. Without one
(``ADMIN_URL`` in docker-compose) the logins come back without a password, and the restore names them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import tuple_row

from include.warehouse.provision import READERS, WRITERS
from include.warehouse.readers import readers

_PLAIN_LIST = re.compile(r"[a-z_, \"$]+")


def saved_logins(warehouse: psycopg.Connection[Any], admin: psycopg.Connection[Any] | None) -> dict[str, Any]:
    """Roles, logins and privileges as plain data.

    Args:
        warehouse: connection to the warehouse as its owner.
        admin: connection as a superuser, if there is one; otherwise the passwords' verifiers are left out, unless the
            owner is one.
    """
    groups = _rows(
        warehouse,
        "select rolname, shobj_description(oid, 'pg_authid') from pg_roles where rolname = any(%s) order by 1",
        [[WRITERS, *READERS]],
    )
    found = [(reader.name, reader.role.split("+"), reader.connection_limit) for reader in readers(warehouse)]
    names = [name for name, _, _ in found]
    settings = dict(_rows(warehouse, "select rolname, rolconfig from pg_roles where rolname = any(%s)", [names]))
    verifiers: dict[str, str | None] = {}
    reader = admin or warehouse
    if reader.info.parameter_status("is_superuser") == "on":
        verifiers = dict(_rows(reader, "select rolname, rolpassword from pg_authid where rolname = any(%s)", [names]))
    privileges = _rows(
        warehouse,
        "select case grantee when 0 then null else grantee::regrole::text end, privilege_type"
        " from pg_database cross join aclexplode(coalesce(datacl, acldefault('d', datdba)))"
        " where datname = current_database() and grantee <> datdba order by 1, 2",
        [],
    )
    return {
        "groups": [{"name": name, "comment": comment} for name, comment in groups],
        "logins": [
            {
                "name": name,
                "roles": roles,
                "connection_limit": limit,
                "settings": settings.get(name) or [],
                "verifier": verifiers.get(name),
            }
            for name, roles, limit in found
        ],
        "database": [list(one) for one in privileges],
    }


def restore_groups(conn: psycopg.Connection[Any], saved: Mapping[str, Any]) -> None:
    """Make the roles without a login that are missing: the dump gives them privileges."""
    present = {name for (name,) in _rows(conn, "select rolname from pg_roles", [])}
    for group in saved["groups"]:
        name = sql.Identifier(group["name"])
        if group["name"] in present:
            continue
        conn.execute(sql.SQL("create role {} nologin").format(name))
        if group["comment"]:
            conn.execute(sql.SQL("comment on role {} is {}").format(name, sql.Literal(group["comment"])))
        if group["name"] == WRITERS:
            conn.execute(sql.SQL("grant {} to current_user").format(name))


def restore_database_privileges(conn: psycopg.Connection[Any], saved: Mapping[str, Any]) -> None:
    """Who may connect to the database, and who may make temporary tables in it; by its owner."""
    database = sql.Identifier(conn.info.dbname)
    present = {name for (name,) in _rows(conn, "select rolname from pg_roles", [])}
    conn.execute(sql.SQL("revoke all on database {} from public").format(database))
    for grantee, privilege in saved["database"]:
        if grantee is None or grantee.strip('"') in present:
            who = sql.SQL("public") if grantee is None else sql.Identifier(grantee.strip('"'))
            conn.execute(sql.SQL("grant {} on database {} to {}").format(sql.SQL(privilege), database, who))


def restore_logins(conn: psycopg.Connection[Any], saved: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Make the readers' logins that are missing; one that is there stays as it is.

    Returns:
        Names of the logins made, and of those among them that have no password yet.
    """
    present = {name for (name,) in _rows(conn, "select rolname from pg_roles", [])}
    made, without = [], []
    for login in saved["logins"]:
        if login["name"] in present:
            continue
        name = sql.Identifier(login["name"])
        password = sql.Literal(login["verifier"]) if login["verifier"] else sql.SQL("null")
        conn.execute(
            sql.SQL("create role {} login password {} connection limit {} in role {}").format(
                name,
                password,
                sql.Literal(login["connection_limit"]),
                sql.SQL(", ").join(map(sql.Identifier, login["roles"])),
            )
        )
        for setting in login["settings"]:
            key, _, value = setting.partition("=")
            # A list of names is written as such; as a literal it would be one name.
            is_list = key == "search_path" and _PLAIN_LIST.fullmatch(value)
            given = sql.SQL(value) if is_list else sql.Literal(value)
            conn.execute(sql.SQL("alter role {} set {} = {}").format(name, sql.Identifier(key), given))
        made.append(login["name"])
        if not login["verifier"]:
            without.append(login["name"])
    return made, without


def _rows(conn: psycopg.Connection[Any], query: str, values: Sequence[Any]) -> list[Any]:
    with conn.cursor(row_factory=tuple_row) as cursor:
        return cursor.execute(query.encode(), values).fetchall()
