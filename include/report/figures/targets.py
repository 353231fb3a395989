"""目标进度: each target of the programmes, what is done of it, and how that stands to the time that has passed."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from include.report.figures.rows import RowDict
from include.report.figures.sheet import Sheet
from include.report.model import Absence, Figure, Row, Table
from include.report.numbers import ratio

COLUMNS = ("name", "clause", "unit", "done", "target", "completion", "elapsed", "lead", "projected", "state")
# In the order in which they are counted; a rate or an average that misses its value is 未达标, not 落后.
STATES = (
    "done",
    "on_schedule",
    "behind",
    "unmet",
    "overdue",
    "not_started",
    "no_window",
    "incomplete",
    "not_reported",
)
_STANDING = ("rate", "average", "monthly")
_MISSING: dict[str, Absence] = {"not_comparable": "not_comparable", "not_additive": "not_additive"}


def targets(sheet: Sheet) -> list[Table]:
    """The edition's own targets, how many stand how, and the targets of the places in it."""
    own = [row for row in sheet.rows.targets if row["region_code"] == sheet.edition.region_code]
    tables = []
    if own:
        tables.append(Table("target_progress", COLUMNS, tuple(Row(cells(sheet, row)) for row in own)))
    sheet.put("targets.count", len(own), "targets")
    counts = []
    for state in STATES:
        members = [row for row in own if state_of(row) == state]
        counts.append(Row((f"state.{state}", sheet.put(f"targets.{state}", len(members), "targets"))))
    if own:
        tables.append(Table("target_states", ("name", "count"), tuple(counts)))
    if sheet.has("target_places"):
        inside = [row for row in sheet.rows.targets if _is_inside(sheet, row)]
        if inside:
            rows = tuple(Row((row["region_name"], *cells(sheet, row))) for row in inside)
            tables.append(Table("target_places", ("place", *COLUMNS), rows))
    return tables


def _is_inside(sheet: Sheet, row: RowDict) -> bool:
    """Cities and the counties that report: of the many that do not, every line would be blank."""
    places: Iterable[str] = {one.county_code for one in sheet.reporters}
    if sheet.edition.level == "province":
        places = {*places, *sheet.cities}
    return row["region_code"] in places and row["region_code"] != sheet.edition.region_code


def state_of(row: RowDict) -> str:
    """The mart's status, with 未达标 told apart from 落后."""
    return "unmet" if row["status"] == "behind" and row["basis"] in _STANDING else str(row["status"])


def cells(sheet: Sheet, row: RowDict) -> tuple[str | Figure, ...]:
    """One line; every figure has the key ``target.<place>.<target>.<measure>``."""
    scope = f"target.{row['region_code']}.{row['target_id']}"
    done, target = row["done_value"], row["target_value"]
    gap: Absence | None = _MISSING.get(row["missing_reason"], "not_received") if done is None else None
    completion = sheet.put(f"{scope}.completion", ratio(done, target), "rate", gap)
    elapsed = sheet.put(
        f"{scope}.elapsed", ratio(row["elapsed_working_days"], row["window_working_days"]), "rate", "undefined"
    )
    lead = None
    if row["is_scheduled"] and isinstance(completion.value, Decimal) and isinstance(elapsed.value, Decimal):
        lead = completion.value - elapsed.value if row["bound"] == "min" else elapsed.value - completion.value
    return (
        name_of(row),
        f"{row['document_no']} {row['clause']}",
        row["unit"],
        sheet.put(f"{scope}.done", _amount(done), "amount", gap),
        sheet.put(f"{scope}.target", _amount(target), "amount"),
        completion,
        elapsed,
        sheet.put(f"{scope}.lead", lead, "points", gap or "undefined"),
        sheet.put(f"{scope}.projected", _amount(row["projected_value"]), "estimate", gap or "undefined"),
        sheet.put(f"{scope}.state", state_of(row), "state"),
    )


def name_of(row: RowDict) -> str:
    return f"{row['indicator_zh']}（{row['group_zh']}）" if row["group_zh"] else str(row["indicator_zh"])


def _amount(value: Any) -> Decimal | None:
    return None if value is None else Decimal(value)
