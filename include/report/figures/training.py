"""培训需求: persons asked for and trained, by occupation, level and type."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from include.report.figures.rows import RowDict, total
from include.report.figures.sheet import Sheet, count_in, key_of
from include.report.model import Figure, Row, Table, is_unclassified

TRAINING_LEVELS = ("初级工", "中级工", "高级工", "技师", "高级技师", "特级技师", "首席技师")


def training(sheet: Sheet) -> list[Table]:
    def cells(scope: str, rows: Sequence[RowDict]) -> tuple[Figure, ...]:
        needed = sheet.put(f"{scope}.needed", total(row["needed_persons"] for row in rows), "persons")
        subsidised = sheet.put(
            f"{scope}.needed_subsidised", total(row["needed_subsidised_persons"] for row in rows), "persons"
        )
        delivered = sheet.put(f"{scope}.delivered", total(row["delivered_persons"] for row in rows), "persons")
        whole = total(row["needed_both_persons"] for row in rows)
        done = total(row["delivered_both_persons"] for row in rows)
        return needed, subsidised, delivered, sheet.share(f"{scope}.delivered_share", done, whole)

    everything = list(sheet.rows.training)
    if not everything:
        return []
    columns = ("name", "needed", "subsidised", "delivered", "delivered_share")
    last = Row(("total", *cells("training", everything)), is_total=True)
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
        tables.append(Table(f"training_{dimension}", columns, (*rows, last)))
    return tables


def _needed_order(row: Row) -> tuple[bool, int, str]:
    """Most needed first, 未归类 last."""
    return is_unclassified(key_of(row.cells[1])), -count_in(row.cells[1]), key_of(row.cells[1])


def _level_order(row: Row) -> tuple[int, str]:
    """From 初级工 upwards, then what is no skill level."""
    label = str(row.cells[0])
    return (TRAINING_LEVELS.index(label) if label in TRAINING_LEVELS else len(TRAINING_LEVELS), label)
