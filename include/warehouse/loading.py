"""Loading accepted rows by COPY: one transaction a form and run, personal columns into ``restricted``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pandas as pd
import psycopg
from psycopg import sql


def load_rows(conn: psycopg.Connection, form: str, frame: pd.DataFrame) -> int:
    """COPY rows of one form into ``raw.<form>`` and their personal columns into ``restricted.<form>`` (a form without
    personal columns has no such table).

    Args:
        conn: open connection; the caller commits, so that the rows and their ledger entries stand or fall together.
        form: form name, equal to the table name.
        frame: rows to load; the row key, ``period``, ``county_code`` and form columns. Columns the tables do not have
            are ignored, table columns the frame lacks become null.

    Returns:
        Number of rows copied.
    """
    if frame.empty:
        return 0
    for period in sorted(frame["period"].unique()):
        _ensure_partition(conn, form, period)
    for schema in ("raw", "restricted"):
        types = column_types(conn, schema, form)
        if not types and schema == "restricted":
            continue
        columns = [name for name in types if name in frame.columns]
        statement = sql.SQL("copy {}.{} ({}) from stdin").format(
            sql.Identifier(schema), sql.Identifier(form), sql.SQL(", ").join(map(sql.Identifier, columns))
        )
        series = [_as_python(frame[name], types[name]) for name in columns]
        with conn.cursor() as cursor, cursor.copy(statement) as copy:
            for row in zip(*series, strict=True):
                copy.write_row(row)
    return len(frame)


def refresh_statistics(conn: psycopg.Connection, forms: Iterable[str]) -> None:
    """Tell the planner what was just copied: without it a month of new rows counts as empty until autovacuum comes by,
    and joins over it are planned as nested loops."""
    for form in forms:
        conn.execute(sql.SQL("analyze raw.{}").format(sql.Identifier(form)))
    conn.execute("analyze intake.submission, intake.finding, intake.sheet_layout")
    conn.commit()


def _ensure_partition(conn: psycopg.Connection, form: str, period: str) -> None:
    table = f"{form}_{period.replace('-', '_')}"
    # Two runs may open the same month at once; `if not exists` alone still races on the catalogue.
    conn.execute("select pg_advisory_xact_lock(hashtext(%s))", (f"raw.{table}",))
    conn.execute(
        sql.SQL("create table if not exists raw.{} partition of raw.{} for values in ({})").format(
            sql.Identifier(table), sql.Identifier(form), sql.Literal(period)
        )
    )


def column_types(conn: psycopg.Connection, schema: str, table: str) -> dict[str, str]:
    """Column names of a table with their PostgreSQL types, in table order."""
    rows = conn.execute(
        "select column_name, data_type from information_schema.columns where table_schema = %s and table_name = %s"
        " order by ordinal_position",
        (schema, table),
    )
    return dict(rows.fetchall())


def _as_python(series: pd.Series, data_type: str) -> Iterable[Any]:
    """Values as psycopg writes them, missing ones as ``None``."""
    convert: Callable[[Any], Any]
    if data_type in ("integer", "bigint"):
        convert = int
    elif data_type == "numeric":
        convert = _decimal
    elif data_type == "date":
        convert = _date
    elif data_type == "boolean":
        convert = bool
    else:
        convert = str
    return [None if missing else convert(value) for value, missing in zip(series, series.isna(), strict=True)]


def _decimal(value: Any) -> Decimal:
    # repr of a float is its shortest exact form: 3500.1 stays 3500.1
    return value if isinstance(value, Decimal) else Decimal(repr(float(value)))


def _date(value: Any) -> date:
    return value.date() if isinstance(value, datetime) else value
