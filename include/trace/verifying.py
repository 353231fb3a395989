"""Reading the traced cells once more out of the files that were received, with the reader that read them first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from include.intake.landing import LandingStore
from include.intake.reading import FormTable, read_workbook
from include.intake.reporters import Reporter
from include.quality.findings import column_letter
from include.trace.measures import TraceError
from include.trace.tracing import Cell, Trace


@dataclass(frozen=True, slots=True)
class Difference:
    """A cell that does not read as the warehouse has it; ``found`` is ``None`` when nothing is read there."""

    cell: Cell
    found: Decimal | date | None


@dataclass(frozen=True, slots=True)
class RemovedFile:
    """An original that retention removed, with the number of traced cells in it that cannot be read again."""

    file_name: str
    sha256: str
    removed_at: datetime
    cells: int


@dataclass(frozen=True, slots=True)
class Verification:
    """Cells read again and files opened; ``differences`` is empty when every cell reads as the warehouse has it.
    Files that were removed under retention are counted apart."""

    cells: int
    files: int
    differences: tuple[Difference, ...]
    removed: tuple[RemovedFile, ...] = ()


_Contents = Mapping[tuple[str, str, str], Any]
"""(sheet, address, column of the form) -> value as read."""


def verify(
    trace: Trace, store: LandingStore, reporters: Sequence[Reporter], removals: Mapping[str, datetime] | None = None
) -> Verification:
    """Open each file of a trace in the landing store, check its checksum, and read its cells again.

    Args:
        removals: sha256 of originals that retention removed, and when (:mod:`include.ledger.removals`).

    Raises:
        TraceError: the trace ends at files, or a file is not in the store and was never removed.
        include.intake.landing.LandingDamaged: a file is not what was received.
    """
    form = trace.measure.form
    if form is None:
        raise TraceError(f"{trace.measure.measure} counts files, not cells: there is no cell to read again")
    by_file: dict[str, list[Cell]] = {}
    for cell in trace.cells:
        by_file.setdefault(cell.sha256, []).append(cell)
    differences: list[Difference] = []
    removed: list[RemovedFile] = []
    for sha256, cells in by_file.items():
        try:
            data = store.get(sha256)
        except FileNotFoundError as error:
            if removals and sha256 in removals:
                removed.append(RemovedFile(cells[0].file_name, sha256, removals[sha256], len(cells)))
                continue
            raise TraceError(
                f"{cells[0].file_name} ({sha256}) is not in the landing store {store.root}: set LANDING_DIR to the "
                f"store of this warehouse, or restore it from backup"
            ) from error
        tables = {table.form: table for table in read_workbook(data, cells[0].file_name, None, reporters).tables}
        contents = _contents(tables[form], trace.measure.form_columns) if form in tables else {}
        for cell in cells:
            found = contents.get((cell.sheet or "", cell.cell or "", cell.column_name or ""))
            if not _same(cell, found):
                shown = found if isinstance(found, (Decimal, date)) else None
                differences.append(Difference(cell, shown))
    unread = sum(one.cells for one in removed)
    return Verification(len(trace.cells) - unread, len(by_file) - len(removed), tuple(differences), tuple(removed))


def _contents(table: FormTable, columns: Sequence[str]) -> _Contents:
    contents: dict[tuple[str, str, str], Any] = {}
    for name in columns:
        if name not in table.columns:
            continue
        rows = zip(table.sheet_of_row, table.source_rows, table.source_columns, table.columns[name], strict=True)
        for sheet, row, line, value in rows:
            layout = table.layout[sheet]
            place = layout.get(f"{name}:{line}") or layout.get(name)
            if place is not None and value is not None:
                contents[sheet, f"{column_letter(place[0])}{row}", name] = _exact(value)
    return contents


def _exact(value: Any) -> Any:
    """A number as the warehouse keeps it: the shortest decimal of a float."""
    return Decimal(repr(value)) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


def _same(cell: Cell, found: Any) -> bool:
    if cell.value is not None:
        if not isinstance(found, Decimal):
            return False
        # Money is kept with two decimals, also where a cell has more.
        exponent = cell.value.as_tuple().exponent
        kept = found.quantize(cell.value, ROUND_HALF_UP) if isinstance(exponent, int) and exponent < 0 else found
        return kept == cell.value
    if cell.value_on is not None:
        return bool(found == cell.value_on)
    return found is not None
