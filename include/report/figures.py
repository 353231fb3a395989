"""The figures of one issue, read from schema ``marts`` once and frozen.

Ratios are formed here from the marts' counts, unrounded, so that a rate printed for a city, an industry or the
province is rounded exactly once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from include.report.model import (
    UNCLASSIFIED,
    Absence,
    Definition,
    Edition,
    Figure,
    FigureValue,
    ReportFigures,
    Row,
    Table,
    Unit,
    is_unclassified,
)
from include.report.numbers import ratio

PROVINCE_CODE = "450000"
PROVINCE = Edition("province", PROVINCE_CODE, "广西壮族自治区")
TREND_MONTHS = 13
PERSISTENT_MONTHS = 3
TRAINING_LEVELS = ("初级工", "中级工", "高级工", "技师", "高级技师", "特级技师", "首席技师")
SKILL_LEVELS = ("junior", "intermediate", "senior", "technician", "senior_technician", "master", "chief")
SIZES = ("大型", "中型", "小型", "微型")
SIZE_CODES = {"大型": "large", "中型": "medium", "小型": "small", "微型": "micro", None: "unstated"}
SUMMARY_FORM = "enterprise_status"
OTHER = "其他"
_SQL = Path(__file__).parent / "sql" / "figures"

RowDict = Mapping[str, Any]


class NoSuchPeriod(LookupError):
    """The marts hold no expected report of the period: run the warehouse build for it first."""


@dataclass(frozen=True, slots=True)
class MartRows:
    """What the queries of ``sql/figures`` return, one field a file, rows as mappings of column to value."""

    submissions: Sequence[RowDict]
    summary: Sequence[RowDict]
    trend: Sequence[RowDict]
    industries: Sequence[RowDict]
    sizes: Sequence[RowDict]
    persistent: Sequence[RowDict]
    posts: Sequence[RowDict]
    training: Sequence[RowDict]
    subsidies: Sequence[RowDict]
    definitions: Sequence[RowDict]


def shift_period(period: str, months: int) -> str:
    """The period ``months`` calendar months away (``shift_period('2026-01', -1) == '2025-12'``)."""
    year, month = map(int, period.split("-"))
    index = year * 12 + month - 1 + months
    return f"{index // 12:04d}-{index % 12 + 1:02d}"


def collect_figures(conn: psycopg.Connection, period: str) -> ReportFigures:
    """The figures of the province for ``period`` (``YYYY-MM``), from schema ``marts`` only.

    Raises:
        NoSuchPeriod: the marts know no expected report of the period.
    """
    return assemble(read_marts(conn, period), period)


def read_marts(conn: psycopg.Connection, period: str) -> MartRows:
    """Run every query of ``sql/figures`` for one period."""
    parameters = {
        "period": period,
        "trend_from": shift_period(period, 1 - TREND_MONTHS),
        "region_code": PROVINCE_CODE,
    }
    with conn.cursor(row_factory=dict_row) as cursor:
        answers = {}
        for one in fields(MartRows):
            statement = (_SQL / f"{one.name}.sql").read_text(encoding="utf-8")
            answers[one.name] = cursor.execute(statement.encode(), parameters).fetchall()
    return MartRows(**answers)


def assemble(rows: MartRows, period: str) -> ReportFigures:
    """Turn mart rows into figures and tables. Pure: the same rows give the same figures.

    Raises:
        NoSuchPeriod: ``rows.submissions`` holds no expected report.
    """
    if not any(row["is_expected"] for row in rows.submissions):
        raise NoSuchPeriod(f"no expected report of {period} in marts.fct_submission; build the warehouse for {period}")
    sheet = _Sheet(rows, period)
    tables = [
        *sheet.reporting(),
        *sheet.overview(),
        *sheet.shortage_by_region(),
        *sheet.shortage_by_industry(),
        *sheet.shortage_by_post(),
        *sheet.shortage_by_size(),
        *sheet.persistent_shortage(),
        *sheet.expansion(),
        *sheet.trend(),
        *sheet.training(),
        *sheet.subsidies(),
    ]
    return ReportFigures(
        period=period,
        previous_period=shift_period(period, -1),
        edition=PROVINCE,
        figures=sheet.figures,
        tables={table.key: table for table in tables},
        definitions=tuple(
            Definition(row["indicator"], row["name_zh"], row["definition_zh"], row["unit"] or "")
            for row in sorted(rows.definitions, key=lambda row: row["indicator"])
        ),
        is_sample=any(row["is_sample"] for row in rows.submissions),
        data_cutoff=sheet.cutoff(),
    )


def _change(current: Any, previous: Any) -> tuple[Decimal | None, Absence | None]:
    if current is None or previous is None:
        return None, "previous_missing"
    if previous == 0:
        return None, "previous_zero"
    return ratio(current - previous, previous), None


def _total(values: Iterable[Any]) -> Any:
    """Sum of what is there; ``None`` when nothing is (never an invented 0)."""
    present = [value for value in values if value is not None]
    return sum(present) if present else None


@dataclass(frozen=True, slots=True)
class _Reporter:
    """What became of one reporter's forms in the period."""

    code: str
    name: str
    county_code: str
    city_code: str
    city_name: str
    pilot_level: str
    forms: tuple[RowDict, ...]

    @property
    def expected(self) -> tuple[RowDict, ...]:
        return tuple(form for form in self.forms if form["is_expected"])

    @property
    def is_received(self) -> bool:
        return all(form["is_received"] for form in self.expected)

    @property
    def is_late(self) -> bool:
        return any(form["is_received"] and not form["is_on_time"] for form in self.expected)

    @property
    def is_on_time(self) -> bool:
        return all(form["is_on_time"] for form in self.expected)

    @property
    def is_accepted(self) -> bool:
        return all(form["is_accepted"] for form in self.expected)

    @property
    def is_refused(self) -> bool:
        return any(form["is_received"] and not form["is_accepted"] for form in self.expected)

    def absence_of(self, form: str) -> Absence | None:
        """Why figures from ``form`` are missing for this reporter, ``None`` when they are there."""
        one = next((row for row in self.forms if row["form"] == form), None)
        if one is None or not one["is_received"]:
            return "not_received"
        return None if one["is_accepted"] else "refused"


class _Sheet:
    """Collects figures by key while the tables are laid out."""

    def __init__(self, rows: MartRows, period: str) -> None:
        self.rows = rows
        self.period = period
        self.figures: dict[str, Figure] = {}
        self.now = {row["region_code"]: row for row in rows.summary}
        self.own = self._covered(self.now.get(PROVINCE_CODE))
        grouped: dict[str, list[RowDict]] = {}
        for row in rows.submissions:
            grouped.setdefault(row["reporter_code"], []).append(row)
        self.reporters = [
            _Reporter(
                code,
                forms[0]["reporter_name"],
                forms[0]["county_code"],
                forms[0]["city_code"],
                forms[0]["city_name"],
                forms[0]["pilot_level"],
                tuple(forms),
            )
            for code, forms in grouped.items()
            if any(form["is_expected"] for form in forms)
        ]
        self.reporters.sort(key=lambda one: (one.city_code, one.code))
        self.cities = {one.city_code: one.city_name for one in self.reporters}

    # -- figures ---------------------------------------------------------------------------------------------------

    def put(self, key: str, value: FigureValue, unit: Unit, absence: Absence | None = None) -> Figure:
        if isinstance(value, Decimal) and unit not in ("rate", "change", "points", "yuan", "days"):
            value = int(value)  # PostgreSQL sums bigint as numeric
        figure = Figure(key, value, unit, (absence or "undefined") if value is None else None)
        if self.figures.setdefault(key, figure) != figure:
            raise ValueError(f"two different figures under one key: {self.figures[key]} and {figure}")
        return figure

    def measure(
        self, scope: str, measure: str, row: RowDict | None, column: str, unit: Unit, gap: Absence | None
    ) -> Figure:
        return self.put(f"{scope}.{measure}", None if row is None else row[column], unit, gap)

    def share(self, key: str, part: Any, whole: Any, gap: Absence | None = None) -> Figure:
        return self.put(key, ratio(part, whole), "rate", gap)

    def shortage_rate(self, scope: str, row: RowDict | None, gap: Absence | None = None) -> Figure:
        if row is None or row["shortage_now_persons"] is None or row["headcount_persons"] is None:
            return self.put(f"{scope}.shortage_rate", None, "rate", gap)
        short = row["shortage_now_persons"]
        return self.share(f"{scope}.shortage_rate", short, row["headcount_persons"] + short)

    def change(self, scope: str, measure: str, row: RowDict | None, column: str, gap: Absence | None = None) -> Figure:
        """Like-for-like change of one column, from the columns ``lfl_`` and ``lfl_previous_``."""
        key = f"{scope}.{measure}.change_lfl"
        if row is None:
            return self.put(key, None, "change", gap)
        value, absence = _change(row[f"lfl_{column}"], row[f"lfl_previous_{column}"])
        return self.put(key, value, "change", absence)

    @staticmethod
    def _covered(row: RowDict | None) -> RowDict | None:
        """A region's row, or ``None`` when no reporter of it is covered (then its sums mean nothing)."""
        return row if row is not None and row["covered_reporters"] else None

    def cutoff(self) -> datetime | None:
        instants = [row["accepted_at"] for row in self.rows.submissions if row["is_accepted"]]
        latest = max(instants, default=None)
        self.put("reporting.data_cutoff", latest, "instant")
        return latest

    # -- 报送情况 --------------------------------------------------------------------------------------------------

    def reporting(self) -> list[Table]:
        expected = [form for one in self.reporters for form in one.expected]

        def form_row(scope: str, label: str, forms: Sequence[RowDict], is_total: bool = False) -> Row:
            def count(measure: str, test: Callable[[RowDict], bool]) -> Figure:
                return self.put(f"{scope}.{measure}", sum(1 for form in forms if test(form)), "forms")

            total = count("expected_forms", lambda form: True)
            received = count("received_forms", lambda form: form["is_received"])
            on_time = count("on_time_forms", lambda form: form["is_on_time"])
            accepted = count("accepted_forms", lambda form: form["is_accepted"])
            first = count("first_pass_forms", lambda form: form["is_first_pass"])
            return Row(
                (
                    label,
                    total,
                    received,
                    on_time,
                    accepted,
                    first,
                    self.share(f"{scope}.received_rate", len_of(received), len_of(total)),
                    self.share(f"{scope}.on_time_rate", len_of(on_time), len_of(total)),
                    self.share(f"{scope}.first_pass_rate", len_of(first), len_of(received)),
                ),
                is_total,
            )

        def len_of(figure: Figure) -> int:
            assert isinstance(figure.value, int)
            return figure.value

        names = sorted({form["form"] for form in expected}, key=_form_order)
        rows = [form_row(f"form.{name}", f"form.{name}", [f for f in expected if f["form"] == name]) for name in names]
        rows.append(form_row("reporting", "total", expected, is_total=True))
        forms_table = Table(
            "reporting_forms",
            (
                "name",
                "expected",
                "received",
                "on_time",
                "accepted",
                "first_pass",
                "received_rate",
                "on_time_rate",
                "first_pass_rate",
            ),
            tuple(rows),
        )

        self.put("reporting.expected_reporters", len(self.reporters), "reporters")
        groups: dict[str, Callable[[_Reporter], bool]] = {
            "received": lambda one: one.is_received,
            "on_time": lambda one: one.is_on_time,
            "accepted": lambda one: one.is_accepted,
            "late": lambda one: one.is_late,
            "absent": lambda one: not any(form["is_received"] for form in one.expected),
            "partial": lambda one: not one.is_received and any(form["is_received"] for form in one.expected),
            "refused": lambda one: one.is_refused,
        }
        for name, test in groups.items():
            members = [one for one in self.reporters if test(one)]
            self.put(f"reporting.{name}_reporters", len(members), "reporters")
            self.put(f"reporting.{name}_names", tuple(one.name for one in members), "names")

        province = self.now.get(PROVINCE_CODE)
        covered = province["covered_reporters"] if province else 0
        self.put("reporting.covered_reporters", covered, "reporters")
        self.share("reporting.coverage_rate", covered, len(self.reporters))
        for measure in ("enterprises", "headcount_persons"):
            name = measure.removesuffix("_persons")
            base = _of(province, f"previous_{measure}")
            again = _of(province, f"lfl_previous_{measure}")
            self.share(f"reporting.{name}_coverage", again, base, "previous_missing")

        reporter_rows = []
        for one in self.reporters:
            scope = f"reporter.{one.code}"
            counts = [
                self.put(f"{scope}.{measure}_forms", sum(1 for form in one.expected if form[f"is_{measure}"]), "forms")
                for measure in ("expected", "received", "on_time", "accepted", "first_pass")
            ]
            findings = [
                self.put(
                    f"{scope}.findings_{severity}",
                    _total(form[f"findings_{severity}"] for form in one.expected if form["is_received"]),
                    "findings",
                    "not_received",
                )
                for severity in ("e", "r", "w")
            ]
            reporter_rows.append(Row((one.city_name, one.name, *counts, *findings)))
        reporters_table = Table(
            "reporting_reporters",
            (
                "city",
                "name",
                "expected",
                "received",
                "on_time",
                "accepted",
                "first_pass",
                "findings_e",
                "findings_r",
                "findings_w",
            ),
            tuple(reporter_rows),
        )
        return [forms_table, reporters_table]

    # -- 总体情况 --------------------------------------------------------------------------------------------------

    def overview(self) -> list[Table]:
        row = self.own
        scope = "region"
        self.put("region.lfl_reporters", row["lfl_reporters"] if row else None, "reporters", "not_received")
        self.measure(scope, "enterprises", row, "enterprises", "enterprises", "not_received")
        for name in ("hired", "leavers", "shortage_expansion"):
            self.measure(scope, name, row, f"{name}_persons", "persons", "not_received")
        hired, left = self.figures["region.hired"].value, self.figures["region.leavers"].value
        net = hired - left if isinstance(hired, int) and isinstance(left, int) else None
        self.put("region.net_hired", net, "persons")

        lines = []
        for measure in ("headcount", "workers", "skilled", "high_skilled", "shortage_now"):
            column = f"{measure}_persons"
            value = self.measure(scope, measure, row, column, "persons", "not_received")
            base = None if row is None or not row["lfl_reporters"] else row[f"lfl_previous_{column}"]
            lfl_now = None if row is None or not row["lfl_reporters"] else row[f"lfl_{column}"]
            now = self.put(f"region.{measure}.lfl", lfl_now, "persons", "previous_missing")
            last = self.put(f"region.{measure}.lfl_previous", base, "persons", "previous_missing")
            ratio_lfl, absent = _change(lfl_now, base)
            change_lfl = self.put(f"region.{measure}.change_lfl", ratio_lfl, "change", absent)
            ratio_plain, absent = _change(value.value, _of(row, f"previous_{column}"))
            change_plain = self.put(f"region.{measure}.change_plain", ratio_plain, "change", absent)
            lines.append(Row((f"measure.{measure}", value, now, last, change_lfl, change_plain)))
        self.share("region.workers_share", _of(row, "workers_persons"), _of(row, "headcount_persons"), "not_received")
        self.share(
            "region.high_skilled_share", _of(row, "high_skilled_persons"), _of(row, "skilled_persons"), "not_received"
        )
        self.points("region.high_skilled_share", row, "high_skilled_persons", ("skilled_persons",))
        table = Table("overview", ("name", "value", "lfl", "lfl_previous", "change_lfl", "change_plain"), tuple(lines))

        skills = []
        total = _of(row, "skilled_persons")
        for level in SKILL_LEVELS:
            count = self.put(f"region.skill_{level}", _of(row, f"skill_{level}_persons"), "persons", "not_received")
            part = count.value if isinstance(count.value, int) else None
            share = self.share(f"region.skill_{level}.share", part, total, "not_received")
            skills.append(Row((f"skill.{level}", count, share)))
        whole = self.share("region.skilled.share", total, total, "not_received")
        skills.append(Row(("total", self.figures["region.skilled"], whole), is_total=True))
        return [table, Table("skill_structure", ("name", "value", "share"), tuple(skills))]

    def points(self, scope: str, row: RowDict | None, part: str, whole: Sequence[str]) -> Figure:
        """Like-for-like difference of a rate in percentage points; ``whole`` are the columns of the denominator."""
        key = f"{scope}.points_lfl"
        if row is None or not row["lfl_reporters"]:
            return self.put(key, None, "points", "previous_missing")
        rates = [
            ratio(row[f"{prefix}{part}"], _total(row[f"{prefix}{column}"] for column in whole))
            for prefix in ("lfl_", "lfl_previous_")
        ]
        value = None if rates[0] is None or rates[1] is None else rates[0] - rates[1]
        return self.put(key, value, "points", "previous_missing")

    # -- 缺工情况 --------------------------------------------------------------------------------------------------

    def shortage_by_region(self) -> list[Table]:
        row = self.own
        self.measure("region", "short_enterprises", row, "short_enterprises", "enterprises", "not_received")
        self.shortage_rate("region", row, "not_received")
        self.points("region.shortage_rate", row, "shortage_now_persons", ("headcount_persons", "shortage_now_persons"))
        self.share(
            "region.short_enterprise_share", _of(row, "short_enterprises"), _of(row, "enterprises"), "not_received"
        )

        def cells(scope: str, region: RowDict | None, gap: Absence | None) -> tuple[Figure, ...]:
            return (
                self.measure(scope, "enterprises", region, "enterprises", "enterprises", gap),
                self.measure(scope, "short_enterprises", region, "short_enterprises", "enterprises", gap),
                self.share(
                    f"{scope}.short_enterprise_share", _of(region, "short_enterprises"), _of(region, "enterprises"), gap
                ),
                self.measure(scope, "headcount", region, "headcount_persons", "persons", gap),
                self.measure(scope, "shortage_now", region, "shortage_now_persons", "persons", gap),
                self.shortage_rate(scope, region, gap),
                self.figures[f"{scope}.shortage_now.change_lfl"]
                if scope == "region"
                else self.change(scope, "shortage_now", region, "shortage_now_persons", gap),
            )

        columns = (
            "enterprises",
            "short_enterprises",
            "short_share",
            "headcount",
            "shortage_now",
            "shortage_rate",
            "change_lfl",
        )
        total = cells("region", row, "not_received")
        city_rows = []
        for code, name in self.cities.items():
            members = [one for one in self.reporters if one.city_code == code]
            region = self.now.get(code)
            covered = self.put(
                f"city.{code}.covered_reporters", region["covered_reporters"] if region else 0, "reporters"
            )
            expected = self.put(f"city.{code}.expected_reporters", len(members), "reporters")
            city_rows.append(
                Row((name, expected, covered, *cells(f"city.{code}", self._covered(region), _gap(members))))
            )
        city_rows.append(
            Row(
                (
                    "total",
                    self.figures["reporting.expected_reporters"],
                    self.figures["reporting.covered_reporters"],
                    *total,
                ),
                is_total=True,
            )
        )
        county_rows = []
        for one in self.reporters:
            region = self._covered(self.now.get(one.county_code))
            county = cells(f"county.{one.county_code}", region, one.absence_of(SUMMARY_FORM))
            workers = self.measure(
                f"county.{one.county_code}",
                "workers",
                region,
                "workers_persons",
                "persons",
                one.absence_of(SUMMARY_FORM),
            )
            county_rows.append(Row((one.city_name, one.name, *county[:4], workers, *county[4:])))
        county_total = (*total[:4], self.figures["region.workers"], *total[4:])
        county_rows.append(Row(("", "total", *county_total), is_total=True))
        county_columns = (*columns[:4], "workers", *columns[4:])
        return [
            Table("shortage_city", ("name", "expected", "covered", *columns), tuple(city_rows)),
            Table("shortage_county", ("city", "name", *county_columns), tuple(county_rows)),
        ]

    def shortage_by_industry(self) -> list[Table]:
        ranked = sorted(self.rows.industries, key=lambda row: (-row["shortage_now_persons"], row["industry_code"]))
        rows, position = [], 0
        for one in ranked:
            scope = f"industry.{one['industry_code']}"
            if one["industry_code"] in UNCLASSIFIED or one["shortage_now_persons"] == 0:
                rank = self.put(f"{scope}.rank", None, "rank")
            else:
                position += 1
                rank = self.put(f"{scope}.rank", position, "rank")
            change = self.change(scope, "shortage_now", one, "shortage_now_persons")
            rows.append(
                Row(
                    (
                        rank,
                        one["industry_name"],
                        self.measure(scope, "enterprises", one, "enterprises", "enterprises", None),
                        self.measure(scope, "short_enterprises", one, "short_enterprises", "enterprises", None),
                        self.measure(scope, "headcount", one, "headcount_persons", "persons", None),
                        self.measure(scope, "shortage_now", one, "shortage_now_persons", "persons", None),
                        self.shortage_rate(scope, one),
                        change,
                    )
                )
            )
        columns = (
            "rank",
            "name",
            "enterprises",
            "short_enterprises",
            "headcount",
            "shortage_now",
            "shortage_rate",
            "change_lfl",
        )
        return [Table("shortage_industry", columns, _ranked_first(rows))]

    def shortage_by_post(self) -> list[Table]:
        ranked = sorted(self.rows.posts, key=lambda row: (-row["shortage_now_persons"], row["occupation_code"]))
        rows, position = [], 0
        for one in ranked:
            scope = f"post.{one['occupation_code']}"
            if one["occupation_code"] in UNCLASSIFIED or one["shortage_now_persons"] == 0:
                rank = self.put(f"{scope}.rank", None, "rank")
            else:
                position += 1
                rank = self.put(f"{scope}.rank", position, "rank")
            rows.append(
                Row(
                    (
                        rank,
                        one["occupation_name"],
                        self.measure(scope, "employed", one, "employed_persons", "persons", None),
                        self.measure(scope, "shortage_now", one, "shortage_now_persons", "persons", None),
                        self.measure(scope, "planned_hires", one, "planned_hires_persons", "persons", None),
                    )
                )
            )
        columns = ("rank", "name", "employed", "shortage_now", "planned_hires")
        return [Table("shortage_post", columns, _ranked_first(rows))]

    def shortage_by_size(self) -> list[Table]:
        found = {row["size_class"]: row for row in self.rows.sizes}
        rows = []
        for size in (*SIZES, None):
            one = found.get(size)
            if one is None:
                continue
            scope = f"size.{SIZE_CODES[size]}"
            rows.append(
                Row(
                    (
                        f"size.{SIZE_CODES[size]}",
                        self.measure(scope, "enterprises", one, "enterprises", "enterprises", None),
                        self.measure(scope, "short_enterprises", one, "short_enterprises", "enterprises", None),
                        self.share(f"{scope}.short_enterprise_share", one["short_enterprises"], one["enterprises"]),
                        self.measure(scope, "headcount", one, "headcount_persons", "persons", None),
                        self.measure(scope, "shortage_now", one, "shortage_now_persons", "persons", None),
                        self.shortage_rate(scope, one),
                    )
                )
            )
        columns = (
            "name",
            "enterprises",
            "short_enterprises",
            "short_share",
            "headcount",
            "shortage_now",
            "shortage_rate",
        )
        return [Table("shortage_size", columns, tuple(rows))]

    def persistent_shortage(self) -> list[Table]:
        window = {shift_period(self.period, -back) for back in range(PERSISTENT_MONTHS)}
        known = {row["period"] for row in self.rows.trend if row["covered_reporters"]}
        if not window <= known:
            # Fewer than three months on file: no enterprise can have been found short for three.
            for name, unit in (("persistently_short_enterprises", "enterprises"), ("persistent_shortage", "persons")):
                self.put(
                    f"region.{name}", None, "enterprises" if unit == "enterprises" else "persons", "previous_missing"
                )
            self.put("region.persistent_share", None, "rate", "previous_missing")
            return []
        found = {row["city_code"]: row for row in self.rows.persistent}
        rows = []
        for code, name in self.cities.items():
            one = found.get(code)
            gap = _gap([reporter for reporter in self.reporters if reporter.city_code == code])
            rows.append(Row((name, *self._persistent_cells(f"city.{code}", one, gap))))
        total = {
            column: _total(row[column] for row in self.rows.persistent)
            for column in ("short_enterprises", "persistently_short_enterprises", "persistent_shortage_persons")
        }
        rows.append(Row(("total", *self._persistent_cells("region", total, None)), is_total=True))
        return [
            Table("shortage_persistent", ("name", "short_enterprises", "persistent", "share", "persons"), tuple(rows))
        ]

    def _persistent_cells(self, scope: str, row: RowDict | None, gap: Absence | None) -> tuple[Figure, ...]:
        return (
            self.measure(scope, "short_enterprises", row, "short_enterprises", "enterprises", gap),
            self.measure(
                scope, "persistently_short_enterprises", row, "persistently_short_enterprises", "enterprises", gap
            ),
            self.share(
                f"{scope}.persistent_share",
                _of(row, "persistently_short_enterprises"),
                _of(row, "short_enterprises"),
                gap if row is None else None,
            ),
            self.measure(scope, "persistent_shortage", row, "persistent_shortage_persons", "persons", gap),
        )

    def expansion(self) -> list[Table]:
        """扩大产能后预计缺工: a stock of its own, in tables of its own, never beside or on top of 当期生产缺工."""
        city_rows = []
        for code, name in self.cities.items():
            members = [one for one in self.reporters if one.city_code == code]
            region = self._covered(self.now.get(code))
            value = self.measure(
                f"city.{code}", "shortage_expansion", region, "shortage_expansion_persons", "persons", _gap(members)
            )
            city_rows.append(Row((name, value)))
        total = self.figures["region.shortage_expansion"]
        city_rows.append(Row(("total", total), is_total=True))
        county_rows = []
        for one in self.reporters:
            region = self._covered(self.now.get(one.county_code))
            scope = f"county.{one.county_code}"
            gap = one.absence_of(SUMMARY_FORM)
            value = self.measure(scope, "shortage_expansion", region, "shortage_expansion_persons", "persons", gap)
            county_rows.append(Row((one.city_name, one.name, value)))
        county_rows.append(Row(("", "total", total), is_total=True))
        ranked = sorted(
            (row for row in self.rows.industries if row["shortage_expansion_persons"]),
            key=lambda row: (
                row["industry_code"] in UNCLASSIFIED,
                -row["shortage_expansion_persons"],
                row["industry_code"],
            ),
        )
        industry_rows = [
            Row(
                (
                    row["industry_name"],
                    self.put(
                        f"industry.{row['industry_code']}.shortage_expansion",
                        row["shortage_expansion_persons"],
                        "persons",
                    ),
                )
            )
            for row in ranked
        ]
        return [
            Table("expansion_city", ("name", "expansion"), tuple(city_rows)),
            Table("expansion_industry", ("name", "expansion"), tuple(industry_rows)),
            Table("expansion_county", ("city", "name", "expansion"), tuple(county_rows)),
        ]

    def trend(self) -> list[Table]:
        found = {row["period"]: row for row in self.rows.trend}
        if not found:
            return []
        rows, period = [], min(found)
        while period <= self.period:
            row = self._covered(found.get(period))
            scope = f"trend.{period}"
            gap: Absence = "not_received"
            rows.append(
                Row(
                    (
                        f"period.{period}",
                        self.measure(scope, "covered_reporters", row, "covered_reporters", "reporters", gap),
                        self.measure(scope, "shortage_now", row, "shortage_now_persons", "persons", gap),
                        self.shortage_rate(scope, row, gap),
                    )
                )
            )
            period = shift_period(period, 1)
        return [Table("trend", ("name", "covered", "shortage_now", "shortage_rate"), tuple(rows))]

    # -- 培训需求 --------------------------------------------------------------------------------------------------

    def training(self) -> list[Table]:
        def cells(scope: str, rows: Sequence[RowDict]) -> tuple[Figure, ...]:
            needed = self.put(f"{scope}.needed", _total(row["needed_persons"] for row in rows), "persons")
            subsidised = self.put(
                f"{scope}.needed_subsidised", _total(row["needed_subsidised_persons"] for row in rows), "persons"
            )
            delivered = self.put(f"{scope}.delivered", _total(row["delivered_persons"] for row in rows), "persons")
            whole = _total(row["needed_both_persons"] for row in rows)
            done = _total(row["delivered_both_persons"] for row in rows)
            return needed, subsidised, delivered, self.share(f"{scope}.delivered_share", done, whole)

        everything = list(self.rows.training)
        if not everything:
            return []
        columns = ("name", "needed", "subsidised", "delivered", "delivered_share")
        total = Row(("total", *cells("training", everything)), is_total=True)
        tables = []
        dimensions: tuple[tuple[str, str, Callable[[RowDict], str | None]], ...] = (
            ("occupation", "occupation_code", lambda row: row["occupation_name"]),
            ("level", "training_level", lambda row: row["training_level"]),
            ("type", "training_type", lambda row: row["training_type"]),
        )
        for dimension, column, label in dimensions:
            groups: dict[Any, list[RowDict]] = {}
            for row in everything:
                groups.setdefault(row[column], []).append(row)
            rows = [
                Row((label(members[0]) or "unstated", *cells(f"training_{dimension}.{code or 'unstated'}", members)))
                for code, members in groups.items()
            ]
            rows.sort(key=_level_order if dimension == "level" else _needed_order)
            tables.append(Table(f"training_{dimension}", columns, (*rows, total)))
        return tables

    # -- 补贴发放 --------------------------------------------------------------------------------------------------

    def subsidies(self) -> list[Table]:
        amounts = ("applied", "approved", "advanced", "paid")

        def cells(scope: str, rows: Sequence[RowDict]) -> tuple[Figure, ...]:
            return (
                self.put(f"{scope}.claims", _total(row["claims"] for row in rows), "claims"),
                *(
                    self.put(f"{scope}.{name}", _money(_total(row[f"{name}_yuan"] for row in rows)), "yuan")
                    for name in amounts
                ),
                self.put(f"{scope}.over_limit_claims", _total(row["over_limit_claims"] for row in rows), "claims"),
            )

        everything = list(self.rows.subsidies)
        if not everything:
            return []
        columns = ("claims", *amounts, "over_limit")
        total = cells("subsidy", everything)
        detail = [
            Row((row["fund"] or "unstated", row["item"] or "unstated", *cells(_subsidy_scope(row), [row])))
            for row in everything
        ]
        detail.append(Row(("", "total", *total), is_total=True))
        tables = []
        for dimension, column, name in (("fund", "fund", "fund"), ("item", "item_code", "item")):
            groups: dict[Any, list[RowDict]] = {}
            for row in everything:
                groups.setdefault(row[column], []).append(row)
            rows = [
                Row((members[0][name] or "unstated", *cells(f"subsidy_{dimension}.{code or 'unstated'}", members)))
                for code, members in groups.items()
            ]
            rows.sort(key=_paid_order)
            tables.append(
                Table(f"subsidy_{dimension}", ("name", *columns), (*rows, Row(("total", *total), is_total=True)))
            )
        return [*tables, Table("subsidy_detail", ("fund", "item", *columns), tuple(detail))]


def _subsidy_scope(row: RowDict) -> str:
    return f"subsidy_detail.{row['fund'] or 'unstated'}.{row['item_code'] or 'unstated'}"


def _form_order(name: str) -> tuple[int, str]:
    order = ("enterprise_status", "labour_demand", "subsidy_payment")
    return (order.index(name) if name in order else len(order), name)


def _gap(members: Sequence[_Reporter]) -> Absence:
    """Why a city has no figures: refused when something of it arrived, else not received."""
    kinds = {one.absence_of(SUMMARY_FORM) for one in members}
    return "refused" if "refused" in kinds else "not_received"


def _of(row: RowDict | None, column: str) -> Any:
    return None if row is None else row[column]


def _money(value: Any) -> Decimal | None:
    return None if value is None else Decimal(value)


def _count(cell: str | Figure) -> int:
    return cell.value if isinstance(cell, Figure) and isinstance(cell.value, int) else 0


def _needed_order(row: Row) -> tuple[bool, int, str]:
    """Most needed first, 未归类 last."""
    return is_unclassified(_key(row.cells[1])), -_count(row.cells[1]), _key(row.cells[1])


def _level_order(row: Row) -> tuple[int, str]:
    """From 初级工 upwards, then what is no skill level."""
    label = str(row.cells[0])
    return (TRAINING_LEVELS.index(label) if label in TRAINING_LEVELS else len(TRAINING_LEVELS), label)


def _paid_order(row: Row) -> tuple[bool, bool, Decimal, str]:
    """Most paid first, then 其他, 未归类 last; the paid amount stands in the column before the last."""
    cell = row.cells[-2]
    paid = cell.value if isinstance(cell, Figure) and isinstance(cell.value, Decimal) else Decimal(0)
    return is_unclassified(_key(cell)), row.cells[0] == OTHER, -paid, _key(cell)


def _key(cell: str | Figure) -> str:
    return cell.key if isinstance(cell, Figure) else cell


def _ranked_first(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Ranked rows in their order, then those without a rank (未归类, or no shortage)."""
    return tuple(sorted(rows, key=lambda row: not _count(row.cells[0])))
