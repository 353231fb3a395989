"""缺工情况: 当期生产缺工 by place, industry, post, size; persistent; 扩大产能后预计缺工 apart; the months before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from include.report.figures.rows import RowDict, shift_period, summed, total
from include.report.figures.sheet import SUMMARY_FORM, Sheet, count_in, covered, gap_of, of
from include.report.model import UNCLASSIFIED, Absence, Figure, Row, Table

PERSISTENT_MONTHS = 3
_INDUSTRY_MEASURES = (
    "enterprises",
    "short_enterprises",
    "headcount_persons",
    "shortage_now_persons",
    "shortage_expansion_persons",
    "lfl_shortage_now_persons",
    "lfl_previous_shortage_now_persons",
)
SIZES = ("大型", "中型", "小型", "微型")
SIZE_CODES = {"大型": "large", "中型": "medium", "小型": "small", "微型": "micro", None: "unstated"}


def shortage_by_region(sheet: Sheet) -> list[Table]:
    row = sheet.own
    sheet.measure("region", "short_enterprises", row, "short_enterprises", "enterprises", "not_received")
    sheet.shortage_rate("region", row, "not_received")
    sheet.points("region.shortage_rate", row, "shortage_now_persons", ("headcount_persons", "shortage_now_persons"))
    sheet.share("region.short_enterprise_share", of(row, "short_enterprises"), of(row, "enterprises"), "not_received")

    def cells(scope: str, region: RowDict | None, gap: Absence | None) -> tuple[Figure, ...]:
        return (
            sheet.measure(scope, "enterprises", region, "enterprises", "enterprises", gap),
            sheet.measure(scope, "short_enterprises", region, "short_enterprises", "enterprises", gap),
            sheet.share(
                f"{scope}.short_enterprise_share", of(region, "short_enterprises"), of(region, "enterprises"), gap
            ),
            sheet.measure(scope, "headcount", region, "headcount_persons", "persons", gap),
            sheet.measure(scope, "shortage_now", region, "shortage_now_persons", "persons", gap),
            sheet.shortage_rate(scope, region, gap),
            sheet.figures[f"{scope}.shortage_now.change_lfl"]
            if scope == "region"
            else sheet.change(scope, "shortage_now", region, "shortage_now_persons", gap),
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
    everything = cells("region", row, "not_received")
    tables = []
    if sheet.has("shortage_city"):
        city_rows = []
        for code, name in sheet.cities.items():
            members = sheet.members(code)
            region = sheet.now.get(code)
            answered = sheet.put(
                f"city.{code}.covered_reporters", region["covered_reporters"] if region else 0, "reporters"
            )
            expected = sheet.put(f"city.{code}.expected_reporters", len(members), "reporters")
            city_rows.append(Row((name, expected, answered, *cells(f"city.{code}", covered(region), gap_of(members)))))
        reported = (sheet.figures["reporting.expected_reporters"], sheet.figures["reporting.covered_reporters"])
        city_rows.append(Row(("total", *reported, *everything), is_total=True))
        tables.append(Table("shortage_city", ("name", "expected", "covered", *columns), tuple(city_rows)))
    if sheet.has("shortage_county"):
        county_rows = []
        for one in sheet.reporters:
            region = covered(sheet.now.get(one.county_code))
            scope, gap = f"county.{one.county_code}", one.absence_of(SUMMARY_FORM)
            county = cells(scope, region, gap)
            workers = sheet.measure(scope, "workers", region, "workers_persons", "persons", gap)
            county_rows.append(Row((one.city_name, one.name, *county[:4], workers, *county[4:])))
        county_total = (*everything[:4], sheet.figures["region.workers"], *everything[4:])
        county_rows.append(Row(("", "total", *county_total), is_total=True))
        county_columns = ("city", "name", *columns[:4], "workers", *columns[4:])
        tables.append(Table("shortage_county", county_columns, tuple(county_rows)))
    return tables


def shortage_by_industry(sheet: Sheet) -> list[Table]:
    found = industries(sheet)
    ranked = sorted(found, key=lambda row: (-row["shortage_now_persons"], row["industry_code"]))
    rows, position = [], 0
    for one in ranked:
        scope = f"industry.{one['industry_code']}"
        if one["industry_code"] in UNCLASSIFIED or one["shortage_now_persons"] == 0:
            rank = sheet.put(f"{scope}.rank", None, "rank")
        else:
            position += 1
            rank = sheet.put(f"{scope}.rank", position, "rank")
        change = sheet.change(scope, "shortage_now", one, "shortage_now_persons")
        rows.append(
            Row(
                (
                    rank,
                    one["industry_name"],
                    sheet.measure(scope, "enterprises", one, "enterprises", "enterprises", None),
                    sheet.measure(scope, "short_enterprises", one, "short_enterprises", "enterprises", None),
                    sheet.measure(scope, "headcount", one, "headcount_persons", "persons", None),
                    sheet.measure(scope, "shortage_now", one, "shortage_now_persons", "persons", None),
                    sheet.shortage_rate(scope, one),
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


def shortage_by_post(sheet: Sheet) -> list[Table]:
    measures = ("employed_persons", "shortage_now_persons", "planned_hires_persons")
    found = summed(sheet.rows.posts, ("occupation_code",), measures)
    ranked = sorted(found, key=lambda row: (-row["shortage_now_persons"], row["occupation_code"]))
    rows, position = [], 0
    for one in ranked:
        scope = f"post.{one['occupation_code']}"
        if one["occupation_code"] in UNCLASSIFIED or one["shortage_now_persons"] == 0:
            rank = sheet.put(f"{scope}.rank", None, "rank")
        else:
            position += 1
            rank = sheet.put(f"{scope}.rank", position, "rank")
        rows.append(
            Row(
                (
                    rank,
                    one["occupation_name"],
                    sheet.measure(scope, "employed", one, "employed_persons", "persons", None),
                    sheet.measure(scope, "shortage_now", one, "shortage_now_persons", "persons", None),
                    sheet.measure(scope, "planned_hires", one, "planned_hires_persons", "persons", None),
                )
            )
        )
    columns = ("rank", "name", "employed", "shortage_now", "planned_hires")
    return [Table("shortage_post", columns, _ranked_first(rows))]


def shortage_by_size(sheet: Sheet) -> list[Table]:
    measures = ("enterprises", "short_enterprises", "headcount_persons", "shortage_now_persons")
    found = {row["size_class"]: row for row in summed(sheet.rows.sizes, ("size_class",), measures)}
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
                    sheet.measure(scope, "enterprises", one, "enterprises", "enterprises", None),
                    sheet.measure(scope, "short_enterprises", one, "short_enterprises", "enterprises", None),
                    sheet.share(f"{scope}.short_enterprise_share", one["short_enterprises"], one["enterprises"]),
                    sheet.measure(scope, "headcount", one, "headcount_persons", "persons", None),
                    sheet.measure(scope, "shortage_now", one, "shortage_now_persons", "persons", None),
                    sheet.shortage_rate(scope, one),
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


def persistent_shortage(sheet: Sheet) -> list[Table]:
    window = {shift_period(sheet.period, -back) for back in range(PERSISTENT_MONTHS)}
    known = {row["period"] for row in _own_months(sheet) if row["covered_reporters"]}
    if not window <= known:
        # Fewer than three months on file: no enterprise can have been found short for three.
        for name, unit in (("persistently_short_enterprises", "enterprises"), ("persistent_shortage", "persons")):
            sheet.put(f"region.{name}", None, "enterprises" if unit == "enterprises" else "persons", "previous_missing")
        sheet.put("region.persistent_share", None, "rate", "previous_missing")
        return []
    measures = ("short_enterprises", "persistently_short_enterprises", "persistent_shortage_persons")
    everything = {name: total(row[name] for row in sheet.rows.persistent) for name in measures}
    whole = _persistent_cells(sheet, "region", everything, None)
    tables = []
    columns = ("name", "short_enterprises", "persistent", "share", "persons")
    # By city in the province, by county in a city.
    for key, column in (("shortage_persistent", "city_code"), ("shortage_persistent_county", "county_code")):
        if not sheet.has(key):
            continue
        found = {row[column]: row for row in summed(sheet.rows.persistent, (column,), measures)}
        rows = [
            Row((name, *_persistent_cells(sheet, f"{column.removesuffix('_code')}.{code}", found.get(code), gap)))
            for code, name, gap in _places(sheet, column)
        ]
        tables.append(Table(key, columns, (*rows, Row(("total", *whole), is_total=True))))
    return tables


def _places(sheet: Sheet, column: str) -> list[tuple[str, str, Absence | None]]:
    """Code, name and reason of a blank of the cities, or of the counties that report."""
    if column == "city_code":
        return [(code, name, gap_of(sheet.members(code))) for code, name in sheet.cities.items()]
    return [(one.county_code, one.name, one.absence_of(SUMMARY_FORM)) for one in sheet.reporters]


def _persistent_cells(sheet: Sheet, scope: str, row: RowDict | None, gap: Absence | None) -> tuple[Figure, ...]:
    return (
        sheet.measure(scope, "short_enterprises", row, "short_enterprises", "enterprises", gap),
        sheet.measure(
            scope, "persistently_short_enterprises", row, "persistently_short_enterprises", "enterprises", gap
        ),
        sheet.share(
            f"{scope}.persistent_share",
            of(row, "persistently_short_enterprises"),
            of(row, "short_enterprises"),
            gap if row is None else None,
        ),
        sheet.measure(scope, "persistent_shortage", row, "persistent_shortage_persons", "persons", gap),
    )


def expansion(sheet: Sheet) -> list[Table]:
    """扩大产能后预计缺工: a stock of its own, in tables of its own, never beside or on top of 当期生产缺工."""

    def expected(scope: str, code: str, gap: Absence | None) -> Figure:
        region = covered(sheet.now.get(code))
        return sheet.measure(scope, "shortage_expansion", region, "shortage_expansion_persons", "persons", gap)

    everything = sheet.figures["region.shortage_expansion"]
    tables = []
    if sheet.has("expansion_city"):
        rows = [
            Row((name, expected(f"city.{code}", code, gap_of(sheet.members(code)))))
            for code, name in sheet.cities.items()
        ]
        rows.append(Row(("total", everything), is_total=True))
        tables.append(Table("expansion_city", ("name", "expansion"), tuple(rows)))
    ranked = sorted(
        (row for row in industries(sheet) if row["shortage_expansion_persons"]),
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
                sheet.put(
                    f"industry.{row['industry_code']}.shortage_expansion",
                    row["shortage_expansion_persons"],
                    "persons",
                ),
            )
        )
        for row in ranked
    ]
    tables.append(Table("expansion_industry", ("name", "expansion"), tuple(industry_rows)))
    if sheet.has("expansion_county"):
        rows = [
            Row(
                (
                    one.city_name,
                    one.name,
                    expected(f"county.{one.county_code}", one.county_code, one.absence_of(SUMMARY_FORM)),
                )
            )
            for one in sheet.reporters
        ]
        rows.append(Row(("", "total", everything), is_total=True))
        tables.append(Table("expansion_county", ("city", "name", "expansion"), tuple(rows)))
    return tables


def trend(sheet: Sheet) -> list[Table]:
    found = {row["period"]: row for row in _own_months(sheet)}
    if not found:
        return []
    rows, period = [], min(found)
    while period <= sheet.period:
        row = covered(found.get(period))
        scope = f"trend.{period}"
        gap: Absence = "not_received"
        rows.append(
            Row(
                (
                    f"period.{period}",
                    sheet.measure(scope, "covered_reporters", row, "covered_reporters", "reporters", gap),
                    sheet.measure(scope, "shortage_now", row, "shortage_now_persons", "persons", gap),
                    sheet.shortage_rate(scope, row, gap),
                )
            )
        )
        period = shift_period(period, 1)
    return [Table("trend", ("name", "covered", "shortage_now", "shortage_rate"), tuple(rows))]


def _ranked_first(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Ranked rows in their order, then those without a rank (未归类, or no shortage)."""
    return tuple(sorted(rows, key=lambda row: not count_in(row.cells[0])))


def _own_months(sheet: Sheet) -> list[RowDict]:
    return [row for row in sheet.rows.trend if row["region_code"] == sheet.edition.region_code]


def industries(sheet: Sheet) -> list[dict[str, Any]]:
    """The edition's industries, counties added up."""
    return summed(sheet.rows.industries, ("industry_code",), _INDUSTRY_MEASURES)
