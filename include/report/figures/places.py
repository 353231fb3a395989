"""Whose report: the editions of a period, and of all mart rows those that belong to one of them."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

import psycopg
from psycopg.rows import dict_row

from include.report.figures.rows import MartRows, NoSuchPeriod, RowDict
from include.report.model import Edition

log = logging.getLogger(__name__)

PROVINCE = Edition("province", "450000", "广西壮族自治区")
_SUBMISSIONS = Path(__file__).parents[1] / "sql" / "figures" / "submissions.sql"


def editions(conn: psycopg.Connection, period: str) -> tuple[Edition, ...]:
    """The editions of ``period`` (``YYYY-MM``): the province, its cities with reporters, every expected reporter.

    Raises:
        NoSuchPeriod: the marts know no expected report of the period.
    """
    with conn.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(_SUBMISSIONS.read_bytes(), {"period": period}).fetchall()
    return editions_of(rows, period)


def editions_of(submissions: Sequence[RowDict], period: str) -> tuple[Edition, ...]:
    """As :func:`editions`, from the rows of ``submissions``; cities and reporters in the order of their codes.

    Figures are counted by county. Reporters that share one (a 开发区 counted under its county) get no edition of their
    own, since it would show the other's figures too.

    Raises:
        NoSuchPeriod: no report of them is expected.
    """
    expected = {row["reporter_code"]: row for row in submissions if row["is_expected"]}
    if not expected:
        raise NoSuchPeriod(f"no expected report of {period} in marts.fct_submission; build the warehouse for {period}")
    cities = {row["city_code"]: row["city_name"] for row in expected.values()}
    # Whoever's rows lie in a county counts, expected this month or not.
    sharing = Counter(county for county, _ in {(row["county_code"], row["reporter_code"]) for row in submissions})
    found = [PROVINCE, *(Edition("city", code, name) for code, name in sorted(cities.items()))]
    for code, row in sorted(expected.items(), key=lambda pair: (pair[1]["city_code"], pair[0])):
        if sharing[row["county_code"]] > 1 or row["county_code"] == row["city_code"]:
            log.warning("%s of %s: its figures are not counted apart; no edition of its own", code, period)
            continue
        found.append(Edition("county", row["county_code"], row["reporter_name"], code))
    return tuple(found)


class Places:
    """Mart rows laid out by county, so that an edition takes its own without looking at the others'."""

    def __init__(self, rows: MartRows) -> None:
        self._rows = rows
        self._counties: dict[str, dict[str, list[RowDict]]] = {}
        self._regions: dict[str, dict[str, list[RowDict]]] = {}
        for one in fields(MartRows):
            everything: Sequence[RowDict] = getattr(rows, one.name)
            column = next((name for name in ("county_code", "region_code") if everything and name in everything[0]), "")
            if not column:
                continue
            split: dict[str, list[RowDict]] = defaultdict(list)
            for row in everything:
                split[row[column]].append(row)
            (self._counties if column == "county_code" else self._regions)[one.name] = split
        self._cities: dict[str, set[str]] = defaultdict(set)
        for row in rows.submissions:
            self._cities[row["city_code"]].add(row["county_code"])

    def of(self, edition: Edition) -> MartRows:
        """The rows of the edition's place and of the places in it, in the order they were read."""
        if edition.level == "province":
            return self._rows
        inside = sorted(self._cities[edition.region_code]) if edition.level == "city" else [edition.region_code]
        own = [edition.region_code, *(code for code in inside if code != edition.region_code)]
        chosen = {
            name: [row for code in codes for row in split.get(code, ())]
            for codes, splits in ((inside, self._counties), (own, self._regions))
            for name, split in splits.items()
        }
        return replace(self._rows, **chosen)
