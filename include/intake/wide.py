"""The wide layout of a form: one amount column per item. Every amount filled in becomes a line of its own.

What the headers mean is data (``wide_layout`` of the form's YAML); here the columns are sorted out and the rows turned.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from include.forms.model import Column, Field, Form, WideLayout
from include.intake.headers import AmountHeader, Header, HeaderColumn, header_key
from include.intake.values import show
from include.quality.findings import Finding, cell_address, column_letter

#: A control total differs when it is off by more than half a cent: sums of floats are not exact.
TOLERANCE = 0.005
#: notes on how a whole column was written; every other finding of a cell makes its amount unusable
_NOTES = frozenset({"W-VAL-020", "W-VAL-021", "W-VAL-022"})


@dataclass(frozen=True, slots=True)
class WideSheet:
    """The amounts of a sheet in the wide layout.

    Attributes:
        layout: the form's rule.
        amounts: item columns from left to right; their field is the amount that they carry.
        totals: columns that repeat the sum of an amount over the items of a row; field as in ``amounts``.
        line_of: amount column -> the column that names its line: the leftmost one of the same item. Columns of one
            item under several amounts (申请金额, 拨付金额) are one line.
    """

    layout: WideLayout
    amounts: tuple[HeaderColumn, ...]
    totals: tuple[HeaderColumn, ...]
    line_of: Mapping[int, int]

    @property
    def provides(self) -> frozenset[str]:
        """Columns of the form that the item columns fill."""
        return frozenset({self.layout.item, *(_measure(column) for column in self.amounts)})

    def placed(self) -> dict[str, tuple[int, str]]:
        """Where item and amounts of each line stand: ``paid:K`` is the amount ``paid`` of the line of column K."""
        places = {}
        for column in self.amounts:
            line = column_letter(self.line_of[column.index])
            places[f"{_measure(column)}:{line}"] = (column.index, column.text)
            places.setdefault(f"{self.layout.item}:{line}", (column.index, column.text))
        return places


@dataclass(frozen=True, slots=True)
class AmountColumn:
    """What an item column gave: one value a data row, and the data rows whose cell holds something unusable."""

    column: HeaderColumn
    values: Sequence[float | None]
    unusable: frozenset[int]


@dataclass(slots=True)
class Lines:
    """The rows turned: for each line its data row, the letter of its column (``""`` for a row without an amount), and
    the values by column name; and what was found on the way."""

    rows: list[int]
    letters: list[str]
    columns: dict[str, list[Any]]
    findings: list[Finding]


def _measure(column: HeaderColumn) -> str:
    assert column.field is not None
    return column.field.name


def _amount(column: HeaderColumn) -> AmountHeader:
    assert column.amount is not None
    return column.amount


def _amount_field(form: Form, measure: str) -> Field:
    column: Column = replace(form.columns[measure], required=False, header_required=False)
    return Field(type="money", columns=(column,))


def sort_out(form: Form, sheet: str, header: Header) -> tuple[WideSheet | None, list[Finding]]:
    """The amounts of a sheet, when it is in the wide layout, and what is unclear about them.

    A sheet is wide when it has item columns and no column of items. Item columns beside a column of items, or below a
    group that does not say which amount they carry beside groups that do, refuse the sheet: nothing is guessed.
    """
    layout = form.wide
    found = [column for column in header.columns if column.amount]
    items = [column for column in found if not _amount(column).is_total]
    if layout is None or not items:
        return None, []
    row = header.last_row + 1

    def finding(code: str, at: HeaderColumn, column: str | None = None, **params: Any) -> Finding:
        cell = cell_address(row, at.index)
        facts = {"header": at.text, **params}
        return Finding(code, form=form.name, sheet=sheet, row=row, column=column, cell=cell, params=facts)

    if layout.item in header.matched:
        known = [column for column in items if _amount(column).is_known]
        listed = "、".join(f"“{column.text}”" for column in known)
        conflict = [finding("E-WID-001", known[0], layout.item, headers=listed)] if known else []
        return None, conflict
    grouped = [column for column in items if len(column.path) > 1 and _amount(column).measure]
    unclear = [c for c in items if _amount(c).measure is None or (grouped and len(c.path) == 1)]
    groups = "、".join(dict.fromkeys(form.columns[measure].leaf for measure in layout.measures))
    if unclear:
        listed = "、".join(f"“{column.text}”" for column in unclear)
        return None, [finding("E-WID-002", unclear[0], None, headers=listed, groups=groups)]
    amounts = [replace(c, field=_amount_field(form, _amount(c).measure or layout.unstated_measure)) for c in items]
    findings: list[Finding] = []
    line_of: dict[int, int] = {}
    seen: dict[tuple[str, str], HeaderColumn] = {}
    first_of: dict[str, int] = {}
    for column in amounts:
        item = header_key(_amount(column).item)[0]
        line_of[column.index] = first_of.setdefault(item, column.index)
        twin = seen.setdefault((_measure(column), item), column)
        if twin is not column:
            cells = f"{cell_address(row, twin.index)}、{cell_address(row, column.index)}"
            findings.append(finding("E-HDR-002", column, _measure(column), cells=cells))
        if not _amount(column).is_known:
            findings.append(finding("W-WID-001", column, layout.item, item=_amount(column).item))
    unstated = [column for column in amounts if not _amount(column).is_stated]
    if unstated:
        read_as = form.columns[layout.unstated_measure].leaf
        listed = "、".join(f"“{column.text}”" for column in unstated)
        found_here = finding("W-WID-003", unstated[0], layout.unstated_measure, headers=listed, read_as=read_as)
        findings.append(found_here)
    measures = {_measure(column) for column in amounts}
    totals = [
        replace(column, field=_amount_field(form, measure))
        for column in found
        if _amount(column).is_total and (measure := _total_of(column, measures)) is not None
    ]
    # an amount of the row beside the same amount by item is their sum
    totals += [column for column in header.columns if column.field and column.field.name in measures]
    return WideSheet(layout, tuple(amounts), tuple(totals), line_of), findings


def _total_of(column: HeaderColumn, measures: set[str]) -> str | None:
    """The amount that a total column sums: its group's, else the only one that the sheet has."""
    if len(column.path) > 1:
        measure = _amount(column).measure
        return measure if measure in measures else None
    return next(iter(measures)) if len(measures) == 1 else None


def usable(findings: Iterable[Finding], rows: Sequence[int]) -> tuple[list[Finding], frozenset[int]]:
    """The findings of an item column as they count in the wide layout, and the positions of the cells concerned.

    An amount is what its line is about: one that cannot be read holds the row back, also where the same column may be
    left blank.
    """
    position = {row: number for number, row in enumerate(rows)}
    counted: list[Finding] = []
    unusable: set[int] = set()
    for found in findings:
        if found.code not in _NOTES and found.row is not None:
            unusable.add(position[found.row])
            found = replace(found, code=f"R{found.code[1:]}")
        counted.append(found)
    return counted, frozenset(unusable)


def turn(
    wide: WideSheet,
    sheet: str,
    form: Form,
    rows: Sequence[int],
    fixed: Mapping[str, Sequence[Any]],
    places: Mapping[str, tuple[int, str]],
    amounts: Sequence[AmountColumn],
) -> Lines:
    """One line per data row and item with an amount.

    Args:
        rows: 1-based row of the sheet of each data row.
        fixed: values of the other columns, one a data row.
        places: where the other columns stand, as in ``FormTable.layout``.
        amounts: the item columns from left to right.

    A row without any amount stays one line, held back. What belongs to the row as a whole (``one_per_row``) goes to its
    line when it has one; several lines get none of it, which is said.
    """
    named = {column.index: _amount(column).item for column in wide.amounts}
    measures = sorted({_measure(amount.column) for amount in amounts})
    lines = Lines([], [], {}, [])
    item: list[str | None] = []
    values: dict[str, list[float | None]] = {measure: [] for measure in measures}
    several: list[bool] = []
    for number, row in enumerate(rows):
        found: dict[int, dict[str, float | None]] = {}
        for amount in amounts:
            value = amount.values[number]
            if value is not None or number in amount.unusable:
                named_by = wide.line_of[amount.column.index]
                found.setdefault(named_by, {})[_measure(amount.column)] = value
        if not found:
            first = wide.amounts[0].index
            cell = cell_address(row, first)
            column = _measure(wide.amounts[0])
            lines.findings.append(Finding("R-WID-001", form=form.name, sheet=sheet, row=row, column=column, cell=cell))
        given: list[tuple[int | None, dict[str, float | None]]] = [*sorted(found.items())] or [(None, {})]
        for line, measured in given:
            lines.rows.append(number)
            lines.letters.append("" if line is None else column_letter(line))
            item.append(None if line is None else named[line])
            several.append(len(found) > 1)
            for measure in measures:
                values[measure].append(measured.get(measure))
        if len(found) > 1:
            lines.findings += _not_divided(wide, sheet, form, row, number, fixed, places)
    for name, column_values in fixed.items():
        whole = name in wide.layout.one_per_row
        lines.columns[name] = [
            None if whole and split else column_values[number]
            for number, split in zip(lines.rows, several, strict=True)
        ]
    lines.columns[wide.layout.item] = item
    lines.columns |= values
    return lines


def _not_divided(
    wide: WideSheet,
    sheet: str,
    form: Form,
    row: int,
    number: int,
    fixed: Mapping[str, Sequence[Any]],
    places: Mapping[str, tuple[int, str]],
) -> Iterable[Finding]:
    for name in wide.layout.one_per_row:
        if name in fixed and fixed[name][number] is not None:
            index, header = places[name]
            yield Finding(
                "W-WID-004",
                form=form.name,
                sheet=sheet,
                row=row,
                column=name,
                cell=cell_address(row, index),
                value=show(fixed[name][number]),
                params={"header": header},
            )


def check_totals(
    wide: WideSheet,
    sheet: str,
    form: Form,
    rows: Sequence[int],
    amounts: Sequence[AmountColumn],
    totals: Mapping[int, Sequence[float | None]],
) -> list[Finding]:
    """Holds each control total of a row against the sum of its amounts; a row with an unreadable amount is left out.

    Args:
        totals: total column -> what it states, one a data row (``None``: nothing).
    """
    findings = []
    for total in wide.totals:
        parts = [amount for amount in amounts if _measure(amount.column) == _measure(total)]
        for number, stated in enumerate(totals[total.index]):
            if stated is None or any(number in part.unusable for part in parts):
                continue
            summed = sum(value for part in parts if (value := part.values[number]) is not None)
            if abs(summed - stated) > TOLERANCE:
                row = rows[number]
                findings.append(
                    Finding(
                        "W-TOT-003",
                        form=form.name,
                        sheet=sheet,
                        row=row,
                        column=_measure(total),
                        cell=cell_address(row, total.index),
                        value=show(stated),
                        params={"row": row, "header": total.text, "sum": show(round(summed, 2))},
                    )
                )
    return findings
