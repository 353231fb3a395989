"""What a database holds, in numbers that two databases can be compared by."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import tuple_row

from include.backup.manifest import DatabaseState, TableSum

#: Rows are compared as text: nothing of the session may decide how a value is written.
_FIXED = {
    "timezone": "UTC", "datestyle": "ISO, YMD", "intervalstyle": "iso_8601", "extra_float_digits": "1",
    "bytea_output": "hex", "row_security": "off", "search_path": "pg_catalog", "xmlbinary": "base64",
}  # fmt: skip

_TABLES = """
select namespace.nspname, class.relname from pg_class as class
inner join pg_namespace as namespace on namespace.oid = class.relnamespace
where class.relkind in ('r', 'm') and namespace.nspname !~ '^pg_' and namespace.nspname <> 'information_schema'
order by 1, 2
"""

# A sum of digests does not ask for an order, and one changed, missing or doubled row changes it.
_SUM = """
select count(*), coalesce(sum(
    ('x' || left(digest, 16))::bit(64)::bigint::numeric * 18446744073709551616
    + ('x' || right(digest, 16))::bit(64)::bigint::numeric
), 0)::text
from (select md5(line::text) as digest from only {} as line) as digested
"""

_OWN = "nspname !~ '^pg_' and nspname <> 'information_schema'"
#: What a dump lacks of its database, as :func:`differences` names it.
DATABASE_PRIVILEGES = "privilege on the database"
_DEFINITIONS: Mapping[str, str] = {
    "trigger": f"""
        select pg_get_triggerdef(one.oid) || one.tgenabled::text from pg_trigger as one
        inner join pg_class on pg_class.oid = one.tgrelid
        inner join pg_namespace on pg_namespace.oid = relnamespace where not tgisinternal and {_OWN}
    """,
    "function": f"""
        select pg_get_functiondef(one.oid) from pg_proc as one
        inner join pg_namespace on pg_namespace.oid = pronamespace where prokind in ('f', 'p') and {_OWN}
    """,
    "policy": """
        select concat_ws('|', schemaname, tablename, policyname, permissive, roles, cmd, qual, with_check)
        from pg_policies
    """,
    "row security": f"""
        select concat_ws('|', nspname, relname, relrowsecurity, relforcerowsecurity) from pg_class
        inner join pg_namespace on pg_namespace.oid = relnamespace where relkind in ('r', 'p') and {_OWN}
    """,
    "view": f"""
        select concat_ws('|', nspname, relname, reloptions, pg_get_viewdef(pg_class.oid)) from pg_class
        inner join pg_namespace on pg_namespace.oid = relnamespace where relkind = 'v' and {_OWN}
    """,
    "constraint": f"""
        select concat_ws('|', nspname, conrelid::regclass, conname, pg_get_constraintdef(one.oid))
        from pg_constraint as one inner join pg_namespace on pg_namespace.oid = connamespace
        where contype <> 'n' and {_OWN}
    """,
    "index": "select indexdef from pg_indexes where schemaname !~ '^pg_'",
    "column": f"""
        select concat_ws('|', nspname, relname, attname, format_type(atttypid, atttypmod), attnotnull, attidentity)
        from pg_attribute inner join pg_class on pg_class.oid = attrelid
        inner join pg_namespace on pg_namespace.oid = relnamespace
        where attnum > 0 and not attisdropped and relkind in ('r', 'p', 'v', 'm') and {_OWN}
    """,
    "privilege on tables": f"""
        select concat_ws('|', nspname, relname, grantee::regrole, privilege_type, is_grantable) from pg_class
        inner join pg_namespace on pg_namespace.oid = relnamespace
        cross join aclexplode(relacl) where relacl is not null and grantee <> relowner and {_OWN}
    """,
    "privilege on columns": f"""
        select concat_ws('|', nspname, relname, attname, grantee::regrole, privilege_type) from pg_attribute
        inner join pg_class on pg_class.oid = attrelid
        inner join pg_namespace on pg_namespace.oid = relnamespace
        cross join aclexplode(attacl) where attacl is not null and grantee <> relowner and {_OWN}
    """,
    "privilege on schemas": f"""
        select concat_ws('|', nspname, grantee::regrole, privilege_type) from pg_namespace
        cross join aclexplode(nspacl) where grantee <> nspowner and {_OWN}
    """,
    "privilege on functions": f"""
        select concat_ws('|', one.oid::regprocedure, grantee::regrole, privilege_type) from pg_proc as one
        inner join pg_namespace on pg_namespace.oid = pronamespace
        cross join aclexplode(coalesce(proacl, acldefault('f', proowner))) where grantee <> proowner and {_OWN}
    """,
    "default privilege": f"""
        select concat_ws('|', nspname, defaclobjtype, grantee::regrole, privilege_type) from pg_default_acl
        inner join pg_namespace on pg_namespace.oid = defaclnamespace
        cross join aclexplode(defaclacl) where grantee <> defaclrole and {_OWN}
    """,
    DATABASE_PRIVILEGES: """
        select concat_ws('|', case grantee when 0 then 'public' else grantee::regrole::text end, privilege_type)
        from pg_database cross join aclexplode(coalesce(datacl, acldefault('d', datdba)))
        where datname = current_database() and grantee <> datdba
    """,
}


def state_of(conn: psycopg.Connection[Any]) -> DatabaseState:
    """Content and definitions of the connection's database, in the snapshot of its transaction.

    The caller opens the transaction (``repeatable read``) and ends it by a rollback: settings are changed in it.
    """
    with conn.cursor(row_factory=tuple_row) as cursor:
        for name, value in _FIXED.items():
            cursor.execute("select set_config(%s, %s, true)", (name, value))
        tables = {}
        for schema, table in cursor.execute(_TABLES).fetchall():
            row = cursor.execute(sql.SQL(_SUM).format(sql.Identifier(schema, table))).fetchone()
            assert row is not None
            tables[f"{schema}.{table}"] = TableSum(*row)
        definitions = {kind: _digest(cursor.execute(query.encode()).fetchall()) for kind, query in _DEFINITIONS.items()}
    info = conn.info
    return DatabaseState(info.dbname, info.user, info.server_version, tables, definitions)


def _digest(rows: list[tuple[str | None]]) -> str:
    return hashlib.sha256("\n".join(sorted(str(text) for (text,) in rows)).encode()).hexdigest()


def differences(expected: DatabaseState, found: DatabaseState) -> list[str]:
    """What differs between two databases, one line a table or kind of definition; empty when nothing does.

    Definitions are compared between servers of one major version only: each version writes them its own way.
    """
    lines = []
    for name in sorted(expected.tables.keys() | found.tables.keys()):
        before, now = expected.tables.get(name), found.tables.get(name)
        if before is None:
            lines.append(f"table {name} is not in the backup")
        elif now is None:
            lines.append(f"table {name} is missing ({before.rows} rows in the backup)")
        elif before.rows != now.rows:
            lines.append(f"table {name} has {now.rows} rows instead of {before.rows}")
        elif before != now:
            lines.append(f"table {name}: the content of its {now.rows} rows differs")
    if expected.server_version // 10000 == found.server_version // 10000:
        lines += [
            f"the definitions differ: {kind}"
            for kind, digest in sorted(expected.definitions.items())
            if found.definitions.get(kind, digest) != digest
        ]
    return lines


def is_empty(conn: psycopg.Connection[Any]) -> bool:
    """Whether the database holds no table of ours."""
    with conn.cursor(row_factory=tuple_row) as cursor:
        return cursor.execute(_TABLES.encode()).fetchone() is None
