"""Functions of PostgreSQL itself that everybody may call and no reader should.

PostgreSQL lets every login take advisory locks, by whose number migrations and builds wait for one another, and write
large objects, though it may write no table. Only a superuser may change that, database by database.
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

_OPEN = """
select function.oid::regprocedure::text, function.proname ~ '^pg_(try_)?advisory_'
from pg_proc as function
cross join lateral aclexplode(coalesce(function.proacl, acldefault('f', function.proowner))) as acl
where
    function.pronamespace = 'pg_catalog'::regnamespace
    and (function.proname ~ '^(pg_(try_)?advisory_(xact_)?(lock|unlock)|lo_|lo(read|write)$)'
        or function.proname = 'pg_logical_emit_message')
    and acl.grantee = 0
order by 1
"""


def close_server_functions(conn: psycopg.Connection[Any]) -> list[str]:
    """Take these functions of the connection's database from everybody; those who write (``etl``) keep advisory locks.

    The role ``etl`` must exist. Nothing happens when they are closed already, or when the login is no superuser: then
    an administrator does it (``python -m include.warehouse.provision``, see docs/deployment.md).

    Returns:
        Signatures of the functions that were closed.
    """
    if conn.info.parameter_status("is_superuser") != "on":
        return []
    with conn.transaction(), conn.cursor(row_factory=psycopg.rows.tuple_row) as cursor:
        found = cursor.execute(_OPEN).fetchall()
        for signature, is_lock in found:
            # regprocedure as text is quoted already where it has to be
            function = sql.SQL(signature)
            cursor.execute(sql.SQL("revoke execute on function pg_catalog.{} from public").format(function))
            if is_lock:
                cursor.execute(sql.SQL("grant execute on function pg_catalog.{} to etl").format(function))
    return [signature for signature, _ in found]
