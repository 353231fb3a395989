"""What a reading process does with one received file: read it, and write the rows of every form as Parquet.

The rows never pass through the process that asked: it gets what it has to remember of each form. Imports no pandas: a
reading process is ready in a fifth of a second without it, and in a second and a half with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from include.intake.headers import squash
from include.intake.landing import LandingStore
from include.intake.reading import FormTable, read_workbook
from include.intake.reporters import Reporter
from include.intake.workbook import Workbook
from include.pipeline.frames import frame_path, whole
from include.quality.findings import FindingLog
from include.warehouse.person_key import person_key

#: PostgreSQL type -> type of the Parquet column; all others are text.
_TYPES = {
    "integer": pa.int64(),
    "bigint": pa.int64(),
    "numeric": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
}
#: The header over the answers of a returned workbook, looked for in the first rows of each sheet.
_ANSWERS, _ANSWER_ROWS = "情况说明", 40


@dataclass(frozen=True, slots=True)
class ReadTask:
    """What is the same for all files of a batch.

    Attributes:
        landing, batch: root of the landing store; folder that the rows are written to.
        types: form -> column of its tables -> PostgreSQL type.
        person_key: key of :func:`include.warehouse.person_key.person_key`.
    """

    landing: Path
    batch: Path
    period: str
    types: Mapping[str, Mapping[str, str]]
    reporters: Sequence[Reporter]
    person_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """One file of the ledger; ``stem`` begins the ids of its submissions."""

    sha256: str
    file_name: str
    folder: str
    reporter_code: str | None
    stem: str


@dataclass(frozen=True, slots=True)
class FormReading:
    """What is remembered of a form of a file; its rows lie in the batch folder unless it is refused.

    Attributes:
        layout: sheet -> column -> (0-based column index, header text).
    """

    submission_id: str
    form: str
    template_version: str | None
    sheets: list[str]
    layout: dict[str, dict[str, tuple[int, str]]]
    rows_read: int
    cells_read: int
    cells_filled: int
    log: FindingLog


@dataclass(frozen=True, slots=True)
class FileReading:
    """What reading a file gave: findings about the whole of it, its forms (none when it is refused), and the answers
    to findings as (finding key, text)."""

    log: FindingLog
    forms: list[FormReading] = field(default_factory=list)
    explanations: list[tuple[str, str]] = field(default_factory=list)


def read_submissions(task: ReadTask, file: ReceivedFile) -> FileReading:
    """Read one file and write the rows of its forms.

    Raises:
        include.intake.landing.LandingDamaged: the stored file is not what was received.
    """
    data = LandingStore(task.landing).get(file.sha256)
    reading = read_workbook(data, file.file_name, file.folder, task.reporters)
    result = FileReading(FindingLog())
    result.log.extend(reading.findings)
    if reading.refused:
        return result
    county_code = next(r.region_code for r in task.reporters if r.reporter_code == file.reporter_code)
    if reading.opened is not None:
        result.explanations.extend(_explanations(reading.opened))
    for table in reading.tables:
        submission_id = f"{file.stem}-{table.form}"
        result.forms.append(
            FormReading(
                submission_id=submission_id,
                form=table.form,
                template_version=table.template_version,
                sheets=list(table.sheets),
                layout={sheet: dict(columns) for sheet, columns in table.layout.items()},
                rows_read=len(table.source_rows),
                cells_read=table.cells_read,
                cells_filled=table.cells_filled,
                log=table.log,
            )
        )
        if not table.refused:
            rows = arrow_rows(
                table,
                task.types[table.form],
                submission_id=submission_id,
                period=task.period,
                county_code=county_code,
                key=task.person_key,
            )
            with whole(frame_path(task.batch, submission_id)) as unfinished:
                # uncompressed: it lies there for minutes, and is read and written in two thirds of the time
                parquet.write_table(rows, unfinished, compression="none")
    return result


def arrow_rows(
    table: FormTable, types: Mapping[str, str], *, submission_id: str, period: str, county_code: str, key: bytes
) -> pa.Table:
    """Rows of a form under the column names of its tables, blanks as nulls."""
    count = len(table.source_rows)
    given: dict[str, Sequence[Any]] = {
        "submission_id": [submission_id] * count,
        "sheet": table.sheet_of_row,
        "source_row": table.source_rows,
        "source_column": table.source_columns,
        "period": [period] * count,
        "county_code": [county_code] * count,
    }
    if "person_id" in types:
        numbers = table.columns.get("person_id", [None] * count)
        given["person_key"] = [None if number is None else person_key(number, key) for number in numbers]
    return pa.table(
        {
            name: pa.array(
                given[name] if name in given else table.columns.get(name, [None] * count),
                _TYPES.get(data_type, pa.large_string()),
            )
            for name, data_type in types.items()
        }
    )


def _explanations(opened: Workbook) -> list[tuple[str, str]]:
    cells = (cell for sheet in opened.sheets for row in sheet.rows[:_ANSWER_ROWS] for cell in row)
    if not any(isinstance(cell, str) and "情" in cell and _ANSWERS in squash(cell) for cell in cells):
        return []
    from include.returns.feedback import explanations_in  # imports openpyxl: only for the few files with answers

    return [(explanation.key, explanation.text) for explanation in explanations_in(opened)]
