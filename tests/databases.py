"""What tests do to a whole database. The fixtures that hand databases out are in ``conftest.py``."""

from __future__ import annotations

from psycopg import sql

from include.warehouse.connection import connect
from include.warehouse.migrate import migrate


def empty_warehouse() -> None:
    """Drop every schema of the session's warehouse and apply the migrations again."""
    with connect(autocommit=True) as connection:
        schemas = connection.execute(
            r"select nspname from pg_namespace where nspname !~ '^(pg_|information_schema$|public$)'"
        ).fetchall()
        for (schema,) in schemas:
            connection.execute(sql.SQL("drop schema {} cascade").format(sql.Identifier(schema)))
        migrate(connection)
