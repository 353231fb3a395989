"""The source cells of the made-up province of ``report_rows``: a workbook a county and form, by plain loops."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from include.report.figures import MartRows, shift_period
from include.report.tracing import CELL_FACTS, Sources
from tests.report_rows import PERIODS, enterprises, reporters

RECEIVED = datetime(2026, 5, 6, 2, 30, tzinfo=UTC)
ENTERPRISE_CELLS = {
    "headcount": "headcount",
    "workers": "workers",
    "skilled_total": "skilled",
    **{f"skill_{level}": f"skill_{level}" for level in ("junior", "intermediate", "senior", "technician")},
    **{f"skill_{level}": f"skill_{level}" for level in ("senior_technician", "master", "chief")},
    "hired": "hired",
    "leavers": "leavers",
    "shortage_now": "shortage_now",
    "shortage_expansion": "shortage_expansion",
}
COLUMNS = [
    "uscc", *ENTERPRISE_CELLS, "employed", "planned_hires", "training_persons", "item", "reviewed_on",
    "applied", "approved", "advanced", "paid",
]  # fmt: skip


def trace_sources(
    rows: MartRows,
    period: str = "2026-04",
    seed: int = 7,
    *,
    absent: Mapping[str, set[str]] | None = None,
    refused: Sequence[str] | set[str] = (),
) -> Sources:
    """Files, columns, ledger and lines that ``rows`` (of ``mart_rows`` with the same arguments) were summed from."""
    missing = {one: set((absent or {}).get(one, ())) for one in PERIODS}
    missing[period] |= set(refused)
    listed = {one["region_code"]: one for one in reporters()}
    previous = shift_period(period, -1)
    lines: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in enterprises(seed):
        if row["period"] <= period and row["county"] not in missing[row["period"]]:
            lines[row["period"], row["county"]].append(row)
    short = {(one["id"], at) for (at, _), found in lines.items() for one in found if one["shortage_now"] > 0}
    window = [period, previous, shift_period(period, -2)]

    files: dict[str, dict[str, Any]] = {}
    for at, county in sorted(lines):
        is_lfl = (period, county) in lines and (previous, county) in lines
        name = _file(files, listed[county], at, "enterprise_status", is_lfl=is_lfl)
        assert name
    current = sorted({county for at, county in lines if at == period})
    for county in current:
        for form in ("labour_demand", "subsidy_payment"):
            _file(files, listed[county], period, form)

    sheets: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for (at, county), found in sorted(lines.items()):
        name = f"{at}-{county}-enterprise_status"
        if at not in (period, previous):
            total = {column: sum(one[column] for one in found) for column in ("shortage_now", "headcount")}
            sheets["trend"].append(
                {"period": at, "submission_id": name, "sheet": "企业情况表", "line_count": len(found), **total}
            )
            continue
        keys = {
            "industry": [one["industry"] for one in found],
            "size": [one["size"] or "" for one in found],
            "short": [str(int(one["shortage_now"] > 0)) for one in found],
            "persistent": [str(int(all((one["id"], month) in short for month in window))) for one in found],
        }
        cells = {column: [str(one[measure]) for one in found] for column, measure in ENTERPRISE_CELLS.items()}
        sheets["enterprise"].append(_sheet(at, name, "企业情况表", keys, cells))
    for county in current:
        posts = [row for row in rows.posts if row["county_code"] == county]
        demand = f"{period}-{county}-labour_demand"
        keys = {"occupation": [row["occupation_code"] for row in posts]}
        cells = {
            column: [str(row[f"{column}_persons"]) for row in posts]
            for column in ("employed", "shortage_now", "planned_hires")
        }
        sheets["post"].append(_sheet(period, demand, "用工需求", keys, cells))
        # The part to be subsidised on a line of its own.
        needs = [
            (row, persons, is_subsidised)
            for row in rows.training
            if row["county_code"] == county
            for persons, is_subsidised in _parts(row)
        ]
        keys = {
            "occupation": [row["occupation_code"] for row, _, _ in needs],
            "level": [row["training_level"] or "" for row, _, _ in needs],
            "type": [row["training_type"] for row, _, _ in needs],
            "subsidised": ["1" if is_subsidised else "" for _, _, is_subsidised in needs],
        }
        cells = {"training_persons": [str(persons) for _, persons, _ in needs]}
        sheets["training"].append(_sheet(period, demand, "用工需求", keys, cells))
        sheets["claim"].append(_claims(rows, period, county))
        if alerts := [row for row in rows.alerts if row["county_code"] == county]:
            sheets["alert"].append(_alerts(alerts, period, listed[county]))
    return Sources(
        period,
        files,
        {
            (row["submission_id"], row["sheet"]): {
                column: (_letter(place), f"表头/{column}") for place, column in enumerate(COLUMNS)
            }
            for fact in ("enterprise", "post", "training", "claim")
            for row in sheets[fact]
        },
        tuple(_ledger_line(row, files, period) for row in rows.submissions),
        {(row["region_code"], row["target_id"]): "fct_submission" for row in rows.targets},
        {fact: tuple(sheets[fact]) for fact in ("trend", *CELL_FACTS)},
    )


def _file(
    files: dict[str, dict[str, Any]], reporter: Mapping[str, str], period: str, form: str, *, is_lfl: bool = False
) -> str:
    name = f"{period}-{reporter['region_code']}-{form}"
    files[name] = {
        "period": period,
        "form": form,
        "submission_id": name,
        "reporter_code": reporter["reporter_code"],
        "county_code": reporter["region_code"],
        "city_code": reporter["city_code"],
        "reporter_name": reporter["reporter_name"],
        "file_name": f"{reporter['reporter_name']}{form}<{period}>.xlsx",
        "sha256": hashlib.sha256(name.encode()).hexdigest(),
        "version": 1,
        "received_at": RECEIVED,
        "is_expected": True,
        "is_lfl": is_lfl,
    }
    return name


def _sheet(
    period: str, name: str, sheet: str, keys: Mapping[str, list[str]], cells: Mapping[str, list[str]],
    rows: list[str] | None = None,
) -> dict[str, Any]:  # fmt: skip
    count = len(next(iter(cells.values())))
    return {
        "period": period,
        "submission_id": name,
        "sheet": sheet,
        "line_count": count,
        "rows": ",".join(rows or [str(5 + line) for line in range(count)]),
        **{f"key_{key}": "\n".join(values) for key, values in keys.items()},
        **{f"cell_{column}": ",".join(values) for column, values in cells.items()},
    }


def _parts(row: Mapping[str, Any]) -> list[tuple[int, bool]]:
    subsidised = row["needed_subsidised_persons"]
    return [(subsidised, True), (row["needed_persons"] - subsidised, False)]


def _claims(rows: MartRows, period: str, county: str) -> dict[str, Any]:
    """A line a claim; the first of an item carries its amounts."""
    found = [(row, line) for row in rows.subsidies if row["county_code"] == county for line in range(row["claims"])]
    keys = {
        "fund": [row["fund"] for row, _ in found],
        "item": [row["item_code"] for row, _ in found],
        **{name: [""] * len(found) for name in ("occupation", "level", "type")},
        **{name: ["0"] * len(found) for name in ("recovery", "delivered")},
        "advance": ["1" if line == 0 else "0" for _, line in found],
        "over_limit": ["1" if line < row["over_limit_claims"] else "0" for row, line in found],
    }
    cells = {
        column: ["" if line else str(int(row[f"{column}_yuan"] * 100)) for row, line in found]
        for column in ("applied", "approved", "advanced", "paid")
    }
    return _sheet(period, f"{period}-{county}-subsidy_payment", "台账", keys, cells)


def _alerts(alerts: Sequence[Mapping[str, Any]], period: str, reporter: Mapping[str, str]) -> dict[str, Any]:
    """Each alert is about two lines of the ledger, and counts once."""
    county = reporter["region_code"]
    found = [
        (row, f"{county}-{row['rule']}-{number}") for row in alerts for number in range(row["alerts"]) for _ in range(2)
    ]
    keys = {
        "alert": [name for _, name in found],
        "rule": [row["rule"] for row, _ in found],
        "severity": [row["severity"] for row, _ in found],
    }
    count = {"item": ["0"] * len(found)}
    sheet = _sheet(period, f"{period}-{county}-subsidy_payment", "台账", keys, count)
    del sheet["cell_item"]
    return sheet | {"county_code": county, "city_code": reporter["city_code"]}


def _ledger_line(row: Mapping[str, Any], files: Mapping[str, Mapping[str, Any]], period: str) -> dict[str, Any]:
    name = f"{period}-{row['county_code']}-{row['form']}"
    file = files.get(name) if row["is_received"] else None
    return {
        **row,
        "received_at": RECEIVED if row["is_received"] else None,
        "cells_read": 1000 if file else None,
        "cells_filled": 900 if file else None,
        "submission_id": file["submission_id"] if file else None,
        "file_name": file["file_name"] if file else None,
        "sha256": file["sha256"] if file else None,
        "version": 1 if file else None,
    }


def _letter(place: int) -> str:
    return chr(ord("A") + place) if place < 26 else "A" + chr(ord("A") + place - 26)
