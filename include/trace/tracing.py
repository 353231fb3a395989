"""A figure of a mart, the cells behind it, and whether they add up to it."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from include.trace.measures import Measure, TraceError

#: What a figure drawn at random is: one row of its mart, or all rows of its county, city or the province.
_AROUND = ("row", "row", "county", "city", "province")


_CELLS = """
with found as materialized (
    select * from marts.trace(%s, %s, %s, %s, %s)
),

files as (
    select count(*) as file_count from (select sha256 from found group by sha256) as one
),

counted as (
    select count(*) as cell_count, sum(contribution) as total from found
)

select counted.*, files.*, listed.*
from counted
cross join files
left join lateral (
    select * from found
    order by
        line_period, reporter_code, received_at, file_name collate "C", sha256 collate "C", sheet collate "C",
        source_row, length(column_letter), column_letter, column_name collate "C"
    limit %s
) as listed on true
"""


@dataclass(frozen=True, slots=True)
class Question:
    """Which figure. Without a region the whole province is meant; filters name columns of the mart and their values
    (``None``: blank), e.g. ``{"industry_code": "32"}``."""

    mart: str
    measure: str
    period: str
    region_code: str | None = None
    filters: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell behind a figure, or one file where the trace ends at files (``sheet`` and what follows ``None``).

    Attributes:
        line_period: month of the report the cell stands in; not the figure's month where that looks back.
        cell: address such as ``AJ5``; ``None`` when the file has no such column.
        column_name: column of the form.
        value, value_on: what was read there, if a number or a date; other contents are not shown.
        contribution: what it adds to the figure; ``None`` where cells do not add up.
    """

    file_name: str
    sha256: str
    submission_id: str | None
    reporter_code: str
    county_code: str
    line_period: str
    sheet: str | None
    cell: str | None
    source_row: int | None
    column_letter: str | None
    header: str | None
    column_name: str | None
    value: Decimal | None
    value_on: date | None
    contribution: Decimal | None
    received_at: datetime
    version: int | None


@dataclass(frozen=True, slots=True)
class Trace:
    """A figure with its cells.

    Attributes:
        figure: as the mart has it; ``None`` when nothing was reported.
        cells: as many as were asked for, by month, reporter, file and place in it.
        cell_count, file_count: of all cells.
        total: sum of the contributions of all cells; ``None`` without any.
        seconds: what finding the cells took.
    """

    question: Question
    measure: Measure
    figure: Decimal | None
    cells: tuple[Cell, ...]
    cell_count: int
    file_count: int
    total: Decimal | None
    seconds: float

    @property
    def is_equal(self) -> bool:
        """Whether the cells add up to the figure: no cells, no figure or 0."""
        if self.figure is None:
            return self.total is None
        return self.figure == (self.total or 0)


def trace(conn: psycopg.Connection[Any], question: Question, measure: Measure, *, limit: int | None = None) -> Trace:
    """Find the cells behind a figure.

    Args:
        limit: cells to hand back, ``None`` for all; counts and sum are over all of them in any case.

    Raises:
        TraceError: nothing leads from this measure to cells, the region or a filter is unknown, or the month was built
            before figures could be traced.
    """
    if measure.fact is None:
        parts = [f"--measure {part}" for part in measure.made_of]
        mend = f"trace its parts: {', '.join(parts)}" if parts else "it comes from no form; nothing to trace"
        raise TraceError(f"{measure.mart}.{measure.measure} is of kind {measure.kind} ({measure.note_zh}): {mend}")
    figure = figure_of(conn, question)
    if not conn.execute("select 1 from marts.fct_source_file where period = %s limit 1", (question.period,)).fetchone():
        raise TraceError(f"no source file of {question.period} is known: build the month again, then trace")
    asked = (question.mart, question.measure, question.period, question.region_code, Jsonb(question.filters), limit)
    started = time.monotonic()
    try:
        with conn.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute(_CELLS, asked).fetchall()
    except (psycopg.errors.UndefinedFunction, psycopg.errors.InvalidTextRepresentation) as error:
        raise TraceError(f"{str(error).splitlines()[0]}: check the filters, or build a month again") from error
    seconds = time.monotonic() - started
    names = [part.name for part in fields(Cell)]
    cells = tuple(Cell(**{name: row[name] for name in names}) for row in rows if row["sha256"] is not None)
    first = rows[0]
    counts = (first["cell_count"], first["file_count"], first["total"])
    return Trace(question, measure, figure, cells, *counts, round(seconds, 3))


def figure_of(conn: psycopg.Connection[Any], question: Question) -> Decimal | None:
    """The figure as the mart has it, summed over the rows that the question names.

    Raises:
        TraceError: no row is meant, or a filter is no column of the mart.
    """
    columns = mart_columns(conn, question.mart)
    if unknown := sorted(set(question.filters) - set(columns)):
        raise TraceError(f"{question.mart} has no column {', '.join(unknown)}: filter by {', '.join(columns)}")
    conditions: list[sql.Composable] = [sql.SQL("period = {}").format(question.period)]
    region_row = conn.execute("select level from marts.dim_region where region_code = %s", (question.region_code,))
    level = next((found for (found,) in region_row), None)
    if "region_code" in columns:
        if question.region_code is None:
            conditions.append(sql.SQL("level = 'province'"))
        else:
            conditions.append(sql.SQL("region_code = {}").format(question.region_code))
    elif question.region_code is not None and level != "province":
        column = sql.Identifier("city_code" if level == "city" else "county_code")
        conditions.append(sql.SQL("{} = {}").format(column, question.region_code))
    for name, value in question.filters.items():
        column = sql.Identifier(name)
        blank = value is None
        conditions.append(
            sql.SQL("{} is null" if blank else "{}::text = {}").format(column, *([] if blank else [value]))
        )
    statement = sql.SQL("select count(*), sum({}) from marts.{} where {}").format(
        sql.Identifier(question.measure), sql.Identifier(question.mart), sql.SQL(" and ").join(conditions)
    )
    row = conn.execute(statement).fetchone()
    assert row is not None
    if row[0] == 0:
        raise TraceError(
            f"{question.mart} has no row for {described(question)}: check period, region and filters (months built: "
            f"{', '.join(built_periods(conn, question.mart)) or 'none'})"
        )
    return None if row[1] is None else Decimal(row[1])


def random_questions(
    conn: psycopg.Connection[Any], measures: Sequence[Measure], number: int, seed: int
) -> list[Question]:
    """Figures drawn at random: additive measures of the marts, each of a row in which it is not 0, or of the county,
    city or province around that row.

    The same seed over the same marts draws the same figures.

    Raises:
        TraceError: the marts hold no such figure.
    """
    rows: list[tuple[Measure, int]] = []
    for measure in measures:
        if measure.is_additive and measure.mart.startswith("mart_"):
            statement = sql.SQL("select count(*) from marts.{} where {} <> 0").format(
                sql.Identifier(measure.mart), sql.Identifier(measure.measure)
            )
            counted = conn.execute(statement).fetchone()
            if counted is not None and counted[0]:
                rows.append((measure, counted[0]))
    if not rows:
        raise TraceError("the marts hold no figure to trace: build a month first")
    draw = random.Random(seed)
    drawn = draw.choices(rows, k=number)
    return [_drawn(conn, measure, draw.randrange(count), draw.choice(_AROUND)) for measure, count in drawn]


def described(question: Question) -> str:
    """The question in one line."""
    filters = "".join(f" {name}={'' if value is None else value}" for name, value in question.filters.items())
    return f"{question.mart}.{question.measure} {question.period} {question.region_code or 'province'}{filters}"


def mart_columns(conn: psycopg.Connection[Any], mart: str) -> list[str]:
    """Columns of a mart in table order."""
    rows = conn.execute(
        "select attname from pg_attribute where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped"
        " order by attnum",
        (f"marts.{mart}",),
    )
    return [name for (name,) in rows]


def key_columns(conn: psycopg.Connection[Any], mart: str) -> list[str]:
    """Columns of the key of a mart, without its period."""
    rows = conn.execute(
        """
        select own.attname
        from (
            select conrelid, conkey from pg_constraint
            where conrelid = to_regclass(%s) and contype in ('p', 'u') order by contype limit 1
        ) as unique_key
        cross join unnest(unique_key.conkey) with ordinality as part (number, place)
        inner join pg_attribute as own on own.attrelid = unique_key.conrelid and own.attnum = part.number
        where own.attname <> 'period'
        order by part.place
        """,
        (f"marts.{mart}",),
    )
    return [name for (name,) in rows]


def built_periods(conn: psycopg.Connection[Any], mart: str) -> list[str]:
    """Months of which the mart has rows."""
    statement = sql.SQL("select distinct period from marts.{} order by period").format(sql.Identifier(mart))
    return [period for (period,) in conn.execute(statement)]


def _drawn(conn: psycopg.Connection[Any], measure: Measure, position: int, around: str) -> Question:
    columns = mart_columns(conn, measure.mart)
    keys = list(dict.fromkeys([*key_columns(conn, measure.mart), *sorted({"county_code", "city_code"} & set(columns))]))
    names = [sql.Identifier(name) for name in keys]
    row = conn.execute(
        sql.SQL("select period, {} from marts.{} where {} <> 0 order by period, {} offset {} limit 1").format(
            sql.SQL(", ").join(sql.SQL("{}::text").format(name) for name in names),
            sql.Identifier(measure.mart),
            sql.Identifier(measure.measure),
            sql.SQL(", ").join(names),
            position,
        )
    ).fetchone()
    assert row is not None
    values = dict(zip(keys, row[1:], strict=True))
    period, measure_name = row[0], measure.measure
    if "region_code" in values:
        region, _ = values.pop("region_code"), values.pop("city_code", None)
        return Question(measure.mart, measure_name, period, region, values)
    places = {name: values.pop(name) for name in ("county_code", "city_code") if name in values}
    region = {"row": places.get("county_code"), **{name[:-5]: code for name, code in places.items()}}.get(around)
    return Question(measure.mart, measure_name, period, region, values if around == "row" else {})
