"""What changed between two versions of the same report, cell by cell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pandas as pd
import psycopg

from include.forms.model import Form
from include.intake.identifiers import masked
from include.quality.findings import cell_address, column_index
from include.warehouse.loading import column_types

#: Differences kept one by one; a county that sends another month's table by mistake changes every cell. The counts
#: beyond are exact.
DIFFERENCES_KEPT = 2_000
#: columns of the warehouse that are no columns of the form
_BESIDE = frozenset({"submission_id", "sheet", "source_row", "source_column", "period", "county_code", "person_key"})

_Values = Mapping[str, Sequence[Any]]
"""Column -> its values, in the order of the rows."""
Layout = Mapping[str, Mapping[str, tuple[int, str]]]
"""sheet -> column -> (0-based column index, header text)."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One row more or less, or one cell changed; values as a person writes them, masked where personal.

    Attributes:
        row_label: the row in words: its name and code.
        column: ``None`` for a whole row.
    """

    change: Literal["added", "removed", "changed"]
    row_label: str
    column: str | None = None
    sheet_before: str | None = None
    cell_before: str | None = None
    value_before: str | None = None
    sheet_after: str | None = None
    cell_after: str | None = None
    value_after: str | None = None


@dataclass(slots=True)
class Comparison:
    """The counts are exact; ``differences`` holds the first :data:`DIFFERENCES_KEPT`."""

    rows_added: int = 0
    rows_removed: int = 0
    cells_changed: int = 0
    differences: list[Difference] = field(default_factory=list)

    @property
    def is_same(self) -> bool:
        """Whether nothing differs."""
        return not (self.rows_added or self.rows_removed or self.cells_changed)

    @property
    def summary_zh(self) -> str:
        """The counts in words: ``改动3格，增加1行，减少0行``."""
        if self.is_same:
            return "内容与上一版相同"
        return f"改动{self.cells_changed}格，增加{self.rows_added}行，减少{self.rows_removed}行"

    @property
    def _has_room(self) -> bool:
        return len(self.differences) < DIFFERENCES_KEPT


def row_identities(form: Form, frame: pd.DataFrame) -> dict[tuple[str, int], str]:
    """(sheet, row) -> the row's ``row_key`` values joined by blanks; rows whose key is blank are left out.

    Of several rows with the same values the second is told apart by its number, in the order of the sheet.
    """
    if frame.empty:
        return {}
    names = [name for name in form.row_key if name in frame]
    seen: Counter[str] = Counter()
    identities: dict[tuple[str, int], str] = {}
    columns = [frame[name].tolist() for name in names]
    for sheet, row, *values in zip(frame["sheet"].tolist(), frame["source_row"].tolist(), *columns, strict=True):
        text = " ".join(_written(value) for value in values if not pd.isna(value))
        if not text:
            continue
        seen[text] += 1
        # several lines may come from one row of a wide sheet: the first names the row
        identities.setdefault((sheet, int(row)), text if seen[text] == 1 else f"{text} #{seen[text]}")
    return identities


def compare(
    form: Form, before: pd.DataFrame, layout_before: Layout, after: pd.DataFrame, layout_after: Layout
) -> Comparison:
    """Compare two versions of a form, rows known again by the form's ``row_key``.

    Args:
        before, after: rows as stored, held ones too; the form's columns (personal ones do not take part), ``sheet``,
            ``source_row``.
        layout_before, layout_after: where the columns stood.
    """
    comparison = Comparison()
    shared = [
        name
        for name, column in form.columns.items()
        if not column.personal and name != "seq" and name in before and name in after
    ]
    # as lists: taking single values out of a frame costs fifty times as much
    was: _Values = {str(name): before[name].tolist() for name in before}
    now: _Values = {str(name): after[name].tolist() for name in after}
    old, new = _by_identity(form, was), _by_identity(form, now)
    for identity, place in new.items():
        if identity not in old:
            comparison.rows_added += 1
            if comparison._has_room:
                sheet, cell = _address(now, place, layout_after, form.row_key[0])
                label = _label(form, now, place)
                comparison.differences.append(Difference("added", label, sheet_after=sheet, cell_after=cell))
            continue
        for name, value_before, value_after in _changed(shared, was, old[identity], now, place):
            comparison.cells_changed += 1
            if not comparison._has_room:
                continue
            sheet_before, cell_before = _address(was, old[identity], layout_before, name)
            sheet_after, cell_after = _address(now, place, layout_after, name)
            comparison.differences.append(
                Difference(
                    "changed",
                    _label(form, now, place),
                    name,
                    sheet_before,
                    cell_before,
                    masked(name, value_before) or None,
                    sheet_after,
                    cell_after,
                    masked(name, value_after) or None,
                )
            )
    for identity, place in old.items():
        if identity not in new:
            comparison.rows_removed += 1
            if comparison._has_room:
                sheet, cell = _address(was, place, layout_before, form.row_key[0])
                label = _label(form, was, place)
                comparison.differences.append(Difference("removed", label, sheet_before=sheet, cell_before=cell))
    return comparison


def stored_rows(conn: psycopg.Connection, form: Form, submission_id: str, period: str) -> pd.DataFrame:
    """The rows of a loaded version as it was sent: those in ``raw`` and those held back, in the order of the file (of
    several rows with the same key the first must be the first again)."""
    names = [name for name in column_types(conn, "raw", form.name) if name not in ("submission_id", "period")]
    cursor = conn.execute(
        f"select {', '.join(names)} from raw.{form.name} where period = %s and submission_id = %s",
        (period, submission_id),
    )
    rows = [dict(zip(names, row, strict=True)) for row in cursor]
    rows += [
        values
        for (values,) in conn.execute(
            "select row_values || jsonb_build_object('sheet', sheet, 'source_row', source_row)"
            " from intake.held_row where submission_id = %s",
            (submission_id,),
        )
    ]
    frame = pd.DataFrame(rows, columns=names, dtype=object)
    found = conn.execute("select sheets from intake.submission where submission_id = %s", (submission_id,)).fetchone()
    order = {sheet: place for place, sheet in enumerate(found[0] if found else ())}
    frame["sheet_order"] = [order.get(sheet, len(order)) for sheet in frame["sheet"]]
    frame = frame.sort_values(["sheet_order", "sheet", "source_row"], kind="stable", ignore_index=True)
    return frame.drop(columns="sheet_order")


def stored_layout(conn: psycopg.Connection, submission_id: str) -> dict[str, dict[str, tuple[int, str]]]:
    """Where the columns of a loaded version stood."""
    layout: dict[str, dict[str, tuple[int, str]]] = {}
    for sheet, column, letter, header in conn.execute(
        "select sheet, column_name, column_letter, header_text from intake.sheet_layout where submission_id = %s",
        (submission_id,),
    ):
        layout.setdefault(sheet, {})[column] = (column_index(letter), header)
    return layout


def record_comparison(conn: psycopg.Connection, submission_id: str, previous_id: str, comparison: Comparison) -> None:
    """Enter a comparison into the ledger; a second time changes nothing."""
    entered = conn.execute(
        """
        insert into intake.version_comparison
            (submission_id, previous_submission_id, rows_added, rows_removed, cells_changed, stored)
        values (%s, %s, %s, %s, %s, %s) on conflict (submission_id) do nothing returning submission_id
        """,
        (
            submission_id,
            previous_id,
            comparison.rows_added,
            comparison.rows_removed,
            comparison.cells_changed,
            len(comparison.differences),
        ),
    ).fetchone()
    if entered is None:
        return
    with conn.cursor() as cursor:
        cursor.executemany(
            """
            insert into intake.version_difference
                (submission_id, change, row_label, column_name, sheet_before, cell_before, value_before, sheet_after,
                 cell_after, value_after)
            values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
            """,
            [
                (
                    submission_id, d.change, d.row_label, d.column, d.sheet_before, d.cell_before, d.value_before,
                    d.sheet_after, d.cell_after, d.value_after,
                )
                for d in comparison.differences
            ],
        )  # fmt: skip


def _by_identity(form: Form, values: _Values) -> dict[str, int]:
    """Identity -> position of the row; rows without one are known by their own place, lines of a wide row by their
    column too."""
    columns = [values[name] for name in form.row_key if name in values]
    rows = values.get("source_row", [])
    seen: Counter[str] = Counter()
    places: dict[str, int] = {}
    places_of = zip(values.get("sheet", []), rows, values.get("source_column", [""] * len(rows)), strict=True)
    for position, (sheet, row, line) in enumerate(places_of):
        parts = [column[position] for column in columns]
        text = " ".join(_written(part) for part in parts if not pd.isna(part)) or f"{sheet}!{row}{line}"
        seen[text] += 1
        places[text if seen[text] == 1 else f"{text} #{seen[text]}"] = position
    return places


def _changed(
    names: Sequence[str], was: _Values, before: int, now: _Values, after: int
) -> Iterator[tuple[str, str, str]]:
    for name in names:
        value_before, value_after = was[name][before], now[name][after]
        # most are equal as they are; a blank is equal to nothing, not even to itself
        if value_before is value_after or (value_before == value_after) is True:
            continue
        text_before, text_after = _written(value_before), _written(value_after)
        if text_before != text_after:
            yield name, text_before, text_after


def _written(value: Any) -> str:
    """A value as text, equal for equal values whatever they are stored as: 30, 30.0 and Decimal('30.00') are ``30``."""
    if value is None or value is pd.NaT or (not isinstance(value, str) and pd.isna(value)):
        return ""
    if isinstance(value, bool):
        return "是" if value else "否"
    text = str(value)
    if isinstance(value, str):
        # held rows come back from JSON: dates and months as text already, numbers as numbers
        return text
    if isinstance(value, pd.Timestamp):
        return value.strftime("%Y-%m-%d")
    if "." in text and text.replace(".", "", 1).lstrip("-").isdigit():
        text = text.rstrip("0").rstrip(".")
    return text


def _address(values: _Values, position: int, layout: Layout, column: str) -> tuple[str, str | None]:
    sheet, row = str(values["sheet"][position]), int(values["source_row"][position])
    columns = layout.get(sheet, {})
    # in a wide sheet an amount stands in the column of its own line
    line = values["source_column"][position] if "source_column" in values else ""
    place = columns.get(f"{column}:{line}") or columns.get(column)
    return sheet, cell_address(row, place[0]) if place else None


def _label(form: Form, values: _Values, position: int) -> str:
    """The row in words: name and code where the form has them, else its key."""
    names = ["enterprise_name", *form.row_key] if "enterprise_name" in form.columns else list(form.row_key)
    texts = [masked(name, _written(values[name][position])) for name in names if name in values]
    return " ".join(text for text in texts if text) or f"第{int(values['source_row'][position])}行"
