"""What the rules that compare months know of earlier months: last month's rows, and the usual figures.

"Usual" is the median of the latest months of the same kind (see :mod:`include.quality.season`), with the median
absolute deviation (MAD).

Medians and MADs of enterprises are computed by PostgreSQL (a county has a thousand enterprises, a year of them is not
to be carried over); the sums of a county's industries are few and come as they are.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import psycopg

from include.intake.calendar import month_after
from include.quality.rules import ENTERPRISE_MEASURES, INDUSTRY_MEASURES, JUMP_MEASURES, industry_names, plain
from include.quality.season import comparable_months, months_needed

FORM = "enterprise_status"

# The version of each report that counts: the newest that was not refused.
_ACCEPTED = """
    select distinct on (reporter_code, period) reporter_code, period, submission_id
    from intake.submission
    where form = 'enterprise_status' and period = any(%(periods)s) and reporter_code = any(%(reporters)s)
        and outcome <> 'refused'
    order by reporter_code, period, version desc
"""


def load_history(
    conn: psycopg.Connection, form: str, period: str, reporter_codes: Collection[str]
) -> dict[str, pd.DataFrame]:
    """Earlier months of the given reporters, as far as the form's rules compare months.

    Returns:
        Empty for a form without such rules. Else three frames, blanks as ``None`` or ``NaN``:

        - ``previous``: last month's rows, ``reporter_code, county_code, uscc, enterprise_name, is_held`` and the
          figures of ``JUMP_MEASURES`` (persons, yuan, 万元); a row held back was sent all the same, so it is there, its
          figures blank;
        - ``enterprise``: ``county_code, uscc`` and ``<measure>_median``, ``_mad``, ``_months`` of
          ``ENTERPRISE_MEASURES``;
        - ``industry``: ``reporter_code, division`` and the same of the sums of ``INDUSTRY_MEASURES``.

        Enterprises, industries and measures with fewer months than :func:`~include.quality.season.months_needed` are
        left out or blank.
    """
    if form != FORM:
        return {}
    reporters = sorted(reporter_codes)
    months = comparable_months(period)
    return {
        "previous": _previous(conn, month_after(period, -1), reporters),
        "enterprise": _enterprises(conn, months, reporters, months_needed(period)),
        "industry": _industries(conn, months, reporters, months_needed(period)),
    }


def _frame(conn: psycopg.Connection, statement: str, parameters: Mapping[str, Any]) -> pd.DataFrame:
    cursor = conn.execute(statement.encode(), parameters)
    names = [column.name for column in cursor.description or ()]
    rows = cursor.fetchall()
    columns = zip(*rows, strict=True) if rows else [()] * len(names)
    return pd.DataFrame(
        {name: np.array(values, dtype=object) for name, values in zip(names, columns, strict=True)}, columns=names
    )


def _numbers(frame: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """The frame with the named columns as floats, ``NaN`` for a blank."""
    for name in names:
        frame[name] = pd.to_numeric(frame[name], errors="coerce").astype("float64")
    return frame


def _previous(conn: psycopg.Connection, month: str, reporters: Sequence[str]) -> pd.DataFrame:
    figures = ", ".join(f"{measure}::float8" for measure in JUMP_MEASURES)
    blanks = ", ".join("null" for _ in JUMP_MEASURES)
    statement = f"""
        with accepted as ({_ACCEPTED})
        select reporter_code, county_code, uscc, enterprise_name, false as is_held, {figures}
        from accepted inner join raw.enterprise_status as rows using (period, submission_id)
        where rows.period = any(%(periods)s)
        union all
        select accepted.reporter_code, submission.county_code, held.row_values ->> 'uscc',
            held.row_values ->> 'enterprise_name', true, {blanks}
        from accepted
        inner join intake.submission as submission using (submission_id)
        inner join intake.held_row as held using (submission_id)
    """
    found = _frame(conn, statement, {"periods": [month], "reporters": list(reporters)})
    return _numbers(found, JUMP_MEASURES)


def _enterprises(
    conn: psycopg.Connection, months: Sequence[str], reporters: Sequence[str], needed: int
) -> pd.DataFrame:
    middles = ", ".join(
        f"percentile_cont(0.5) within group (order by {m}) as {m}_median, count({m}) as {m}_months"
        for m in ENTERPRISE_MEASURES
    )
    spreads = ", ".join(
        f"max({m}_median) as {m}_median, max({m}_months) as {m}_months,"
        f" percentile_cont(0.5) within group (order by abs({m} - {m}_median)) as {m}_mad"
        for m in ENTERPRISE_MEASURES
    )
    figures = ", ".join(f"{m}::float8 as {m}" for m in ENTERPRISE_MEASURES)
    statement = f"""
        with accepted as ({_ACCEPTED}),
        figures as materialized (
            select rows.county_code, rows.uscc, {figures}
            from accepted inner join raw.enterprise_status as rows using (period, submission_id)
            where rows.period = any(%(periods)s) and rows.uscc is not null
        ),
        middles as (
            select county_code, uscc, {middles} from figures group by county_code, uscc having count(*) >= %(needed)s
        )
        select county_code, uscc, {spreads}
        from figures inner join middles using (county_code, uscc)
        group by county_code, uscc
    """
    parameters = {"periods": list(months), "reporters": list(reporters), "needed": needed}
    found = _frame(conn, statement, parameters)
    return _enough(found, ENTERPRISE_MEASURES, needed)


def _industries(conn: psycopg.Connection, months: Sequence[str], reporters: Sequence[str], needed: int) -> pd.DataFrame:
    sums = ", ".join(f"sum({measure})::float8 as {measure}" for measure in INDUSTRY_MEASURES)
    statement = f"""
        with accepted as ({_ACCEPTED})
        select reporter_code, period, industry, {sums}
        from accepted inner join raw.enterprise_status as rows using (period, submission_id)
        where rows.period = any(%(periods)s) and rows.industry is not null
        group by reporter_code, period, industry
    """
    found = _frame(conn, statement, {"periods": list(months), "reporters": list(reporters)})
    names = industry_names()
    found["division"] = found["industry"].map({text: names.get(plain(text)) for text in found["industry"].unique()})
    found = _numbers(found, INDUSTRY_MEASURES)
    monthly = found.groupby(["reporter_code", "division", "period"])[list(INDUSTRY_MEASURES)].sum(min_count=1)
    places = monthly.groupby(["reporter_code", "division"])
    parts: dict[str, pd.Series] = {}
    for measure in INDUSTRY_MEASURES:
        parts[f"{measure}_median"] = places[measure].median()
        parts[f"{measure}_months"] = places[measure].count()
        away = (monthly[measure] - places[measure].transform("median")).abs()
        parts[f"{measure}_mad"] = away.groupby(["reporter_code", "division"]).median()
    return _enough(pd.DataFrame(parts).reset_index(), INDUSTRY_MEASURES, needed)


def _enough(found: pd.DataFrame, measures: Sequence[str], needed: int) -> pd.DataFrame:
    """The frame as floats, without the figures of a measure that was given in too few months."""
    for measure in measures:
        names = [f"{measure}_{part}" for part in ("median", "mad", "months")]
        found = _numbers(found, names)
        found.loc[~(found[f"{measure}_months"] >= needed), names] = np.nan
    return found
