"""Checksums over what the marts hold, of one period or in all, independent of row order."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql


def table_checksums(conn: psycopg.Connection[Any]) -> dict[str, str]:
    """Table to number and md5 of all its rows, of every month: facts, marts and dimensions alike."""
    rows = conn.execute(
        "select table_name from information_schema.tables"
        " where table_schema = 'marts' and table_type = 'BASE TABLE' order by table_name"
    )
    found = {}
    for (table,) in rows.fetchall():
        row = conn.execute(
            sql.SQL(
                "select count(*) || ':' || md5(coalesce(string_agg(t::text, '|' order by t::text collate \"C\"), ''))"
                " from marts.{} as t"
            ).format(sql.Identifier(table))
        ).fetchone()
        assert row is not None
        found[table] = row[0]
    return found


def period_tables(conn: psycopg.Connection[Any]) -> list[str]:
    """Facts and marts: every table of schema ``marts`` but the dimensions."""
    rows = conn.execute(
        "select table_name from information_schema.tables"
        " where table_schema = 'marts' and table_type = 'BASE TABLE' and table_name !~ '^dim_' order by table_name"
    )
    return [row[0] for row in rows]


def period_checksums(conn: psycopg.Connection[Any], period: str) -> dict[str, str]:
    """Table to md5 of its rows of the period, as text and sorted."""
    found = {}
    for table in period_tables(conn):
        row = conn.execute(
            sql.SQL(
                "select count(*) || ':' || md5(coalesce(string_agg(line, '|' order by line collate \"C\"), ''))"
                " from (select t::text as line from marts.{} as t where t.period = %s) as lines"
            ).format(sql.Identifier(table)),
            (period,),
        ).fetchone()
        assert row is not None
        found[table] = row[0]
    return found
