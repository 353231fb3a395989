"""Holds what the reader made of a book against what is true: findings, held rows, and every loaded cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from include.intake.reading import FormTable, WorkbookReading, read_workbook
from include.intake.reporters import Reporter
from include.quality.findings import Finding, column_letter
from tests.corpus.book import Book, Placed, Said
from tests.unit.sheets import REPORTERS

#: findings about a column as a whole: its cells are blank, and that is said once
_COLUMN_CODES = frozenset({"W-HDR-002", "W-HDR-001"})


@dataclass(frozen=True, slots=True)
class Truth:
    """True values of one row by column name, and where it stands."""

    sheet: str
    row: int
    values: Mapping[str, Any]


def read_book(
    data: bytes, file_name: str, folder: str | None, reporters: Sequence[Reporter] = REPORTERS
) -> WorkbookReading:
    return read_workbook(data, file_name, folder, reporters)


def said_by(reading: WorkbookReading) -> list[Said]:
    """Every finding of a reading as (code, sheet, cell), sorted."""
    findings = [*reading.findings, *(one for table in reading.tables for one in table.findings)]
    said = [(one.code, one.sheet, one.cell) for one in findings]
    return sorted(said, key=lambda item: tuple(part or "" for part in item))


def truths(book: Book, placed: Mapping[int, Placed]) -> dict[str, list[Truth]]:
    """Rows of every form that a faultless reader would load."""
    found: dict[str, list[Truth]] = {}
    for page in book.pages:
        rows = found.setdefault(page.form.name, [])
        rows += [Truth(page.name, placed[id(page)].row_of[id(line)] + 1, line.truth) for line in page.data]
    return found


def outcome_of(reading: WorkbookReading, further: Sequence[Finding] = ()) -> str:
    """``refused`` (the file or every form of it), ``row held``, ``accepted with findings`` or ``accepted``."""
    findings = [*reading.findings, *(one for table in reading.tables for one in table.findings), *further]
    if reading.refused or (reading.tables and all(table.refused for table in reading.tables)):
        return "refused"
    if any(one.severity == "E" for one in findings):
        return "one form refused"
    if any(one.severity == "R" for one in findings):
        return "row held"
    return "accepted with findings" if findings else "accepted"


def silently_wrong(
    reading: WorkbookReading, true_rows: Mapping[str, Sequence[Truth]], further: Sequence[Finding] = ()
) -> list[str]:
    """Loaded cells that are neither true, nor blank or doubted with a finding at the cell; rows lost or made up.

    ``further``: findings of the rules, which name cells as the reader's do.
    """
    if reading.refused:
        return []
    wrong: list[str] = []
    read = {table.form for table in reading.tables}
    wrong += [f"{form} was not read and nothing says so" for form in true_rows if form not in read]
    for table in reading.tables:
        if not table.refused:
            wrong += _wrong_cells(table, true_rows.get(table.form, ()), further)
    return wrong


def _wrong_cells(table: FormTable, true_rows: Sequence[Truth], further: Sequence[Finding]) -> list[str]:
    findings = [*table.findings, *(one for one in further if one.form == table.form)]
    held = {(one.sheet, one.row) for one in findings if one.severity == "R" and one.row is not None}
    at_cell = {(one.sheet, one.cell) for one in findings if one.cell}
    at_column = {(one.sheet, one.column) for one in findings if one.code in _COLUMN_CODES}
    in_merge = {
        (one.sheet, row, one.column)
        for one in findings
        if one.code == "R-MRG-001"
        for row in range(one.params["first"], one.params["last"] + 1)
    }
    by_place = {(one.sheet, one.row): one for one in true_rows}
    wrong: list[str] = []
    places = list(zip(table.sheet_of_row, table.source_rows, strict=True))
    wrong += [f"{sheet} row {row} was not loaded and nothing says so" for sheet, row in by_place.keys() - set(places)]
    for number, place in enumerate(places):
        if place in held:
            continue
        true_row = by_place.get(place)
        if true_row is None:
            wrong.append(f"{place[0]} row {place[1]} is no row of the form, and was loaded")
            continue
        for name, column in table.columns.items():
            value, true_value = column[number], true_row.values.get(name)
            if value == true_value:
                continue
            layout = table.layout.get(place[0], {}).get(name)
            cell = f"{column_letter(layout[0])}{place[1]}" if layout else None
            said = (place[0], cell) in at_cell or (place[0], name) in at_column or (*place, name) in in_merge
            if value is None and said:
                continue
            if said and any(one.cell == cell and one.code.startswith("W-JMP") for one in findings):
                continue  # loaded as written, and doubted by a comparison of months
            wrong.append(f"{place[0]} row {place[1]} {name}: {value!r} loaded, {true_value!r} is true")
    return wrong
