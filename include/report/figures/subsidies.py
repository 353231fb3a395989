"""补贴发放: claims and money by fund and item."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from include.report.figures.rows import RowDict, summed, total
from include.report.figures.sheet import Sheet, key_of
from include.report.model import Figure, Row, Table, is_unclassified

OTHER = "其他"
_MEASURES = ("claims", "applied_yuan", "approved_yuan", "advanced_yuan", "paid_yuan", "over_limit_claims")


def subsidies(sheet: Sheet) -> list[Table]:
    amounts = ("applied", "approved", "advanced", "paid")

    def cells(scope: str, rows: Sequence[RowDict]) -> tuple[Figure, ...]:
        return (
            sheet.put(f"{scope}.claims", total(row["claims"] for row in rows), "claims"),
            *(
                sheet.put(f"{scope}.{name}", _money(total(row[f"{name}_yuan"] for row in rows)), "yuan")
                for name in amounts
            ),
            sheet.put(f"{scope}.over_limit_claims", total(row["over_limit_claims"] for row in rows), "claims"),
        )

    everything = summed(sheet.rows.subsidies, ("fund", "item_code", "item"), _MEASURES)
    if not everything:
        return []
    columns = ("claims", *amounts, "over_limit")
    whole = cells("subsidy", everything)
    detail = [
        Row((row["fund"] or "unstated", row["item"] or "unstated", *cells(_subsidy_scope(row), [row])))
        for row in everything
    ]
    detail.append(Row(("", "total", *whole), is_total=True))
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
        tables.append(Table(f"subsidy_{dimension}", ("name", *columns), (*rows, Row(("total", *whole), is_total=True))))
    return [*tables, Table("subsidy_detail", ("fund", "item", *columns), tuple(detail))]


def alerts(sheet: Sheet) -> list[Table]:
    """Subsidy alerts by kind: how many, and nothing of a person or a payee. Without a ledger nothing was checked."""
    if not sheet.rows.subsidies and not sheet.rows.alerts:
        return []
    found = summed(sheet.rows.alerts, ("severity", "rule"), ("alerts",))
    for severity in ("alert", "hint"):
        of_kind = total(row["alerts"] for row in found if row["severity"] == severity) or 0
        sheet.put(f"alerts.{severity}", of_kind, "alerts")
    found.sort(key=lambda row: (row["severity"], -row["alerts"], row["rule"]))
    rows = tuple(
        Row(
            (
                row["rule_zh"],
                f"severity.{row['severity']}",
                sheet.put(f"alert.{row['rule']}.{row['severity']}.alerts", row["alerts"], "alerts"),
            )
        )
        for row in found
    )
    return [Table("subsidy_alerts", ("name", "severity", "count"), rows)] if rows else []


def execution(sheet: Sheet) -> list[Table]:
    """What was paid of each budget since January; without a budget there is no rate."""
    own = [row for row in sheet.rows.budgets if row["region_code"] == sheet.edition.region_code]
    if not own:
        return []

    def cells(scope: str, budget: Any, paid: Any) -> tuple[Figure, ...]:
        return (
            sheet.put(f"{scope}.budget", _money(budget), "yuan"),
            sheet.put(f"{scope}.paid", _money(paid), "yuan"),
            sheet.share(f"{scope}.rate", paid, budget),
        )

    rows = [
        Row(
            (
                row["fund"],
                row["item"],
                *cells(f"execution.{row['fund']}.{row['item_code']}", row["budget_yuan"], row["paid_year_yuan"]),
            )
        )
        for row in own
    ]
    whole = cells("execution", total(row["budget_yuan"] for row in own), total(row["paid_year_yuan"] for row in own))
    rows.append(Row(("", "total", *whole), is_total=True))
    return [Table("subsidy_execution", ("fund", "name", "budget", "paid_year", "rate"), tuple(rows))]


def _subsidy_scope(row: RowDict) -> str:
    return f"subsidy_detail.{row['fund'] or 'unstated'}.{row['item_code'] or 'unstated'}"


def _money(value: Any) -> Decimal | None:
    return None if value is None else Decimal(value)


def _paid_order(row: Row) -> tuple[bool, bool, Decimal, str]:
    """Most paid first, then 其他, 未归类 last; the paid amount stands in the column before the last."""
    cell = row.cells[-2]
    paid = cell.value if isinstance(cell, Figure) and isinstance(cell.value, Decimal) else Decimal(0)
    return is_unclassified(key_of(cell)), row.cells[0] == OTHER, -paid, key_of(cell)
