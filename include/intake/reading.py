"""Reads a submitted workbook: which forms it holds, whose and for which month, every row, every problem.

Two entries: :func:`identify_workbook` for the ledger, :func:`read_workbook` for the load. Neither raises on a bad file:
what is wrong with it comes back as findings.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import compress
from pathlib import Path
from typing import Any

from include.forms.model import Field, Form, load_forms
from include.forms.words import load_words
from include.intake.headers import (
    Header,
    HeaderColumn,
    Paths,
    find_header,
    header_grid,
    header_key,
    nearest_version,
    renamed,
    squash,
)
from include.intake.identity import (
    Evidence,
    evidence_of_folder,
    evidence_of_frame,
    evidence_of_meta,
    evidence_of_name,
    identify,
)
from include.intake.limits import load_limits
from include.intake.reporters import Reporter
from include.intake.values import Place, normalise, parse_number, show
from include.intake.wide import TOLERANCE, AmountColumn, WideSheet, check_totals, sort_out, turn, usable
from include.intake.workbook import FileKind, Refused, Sheet, Workbook, open_workbook, too_large
from include.quality.findings import Finding, FindingLog, cell_address, column_letter

log = logging.getLogger(__name__)

META_SHEET = "_meta"
_FRAME_UNITS = re.compile(r"单位:((?:[万千亿]?元|人|[、,/和])+)")
_MONEY_UNITS = re.compile(r"[万千亿]?元")
_BLANK = "R-VAL-001"
_COUNTED = ("integer", "decimal", "money")
#: Rows named one by one in a message; the count is always exact.
_NAMED_ROWS = 20


@dataclass(slots=True)
class FormTable:
    """One form of a workbook, all its sheets together.

    Attributes:
        form, template_version: form name; nearest known version, ``None`` when the header was refused.
        sheets: titles of the sheets read, in workbook order.
        columns: column name -> values (``None`` for blank), every column of the form, all of one length. Integers are
            ``int``, decimals and money ``float``, months ``'YYYY-MM'``, dates ``datetime.date``, else ``str``/``bool``.
        sheet_of_row, source_rows: sheet and 1-based row of each row.
        source_columns: letter of the column whose amount a row of the wide layout stands for, ``""`` everywhere else:
            there several rows may come from one row of the sheet.
        layout: sheet -> column name -> (0-based column index, header text); both columns of a range share one cell. In
            the wide layout ``paid:K`` is the place of ``paid`` in the rows whose source column is K.
        log: problems of this form, with addresses.
        cells_read, cells_filled: cells under recognised headers in data rows, and those of them not empty.
    """

    form: str
    template_version: str | None = None
    sheets: list[str] = field(default_factory=list)
    columns: dict[str, list[Any]] = field(default_factory=dict)
    sheet_of_row: list[str] = field(default_factory=list)
    source_rows: list[int] = field(default_factory=list)
    source_columns: list[str] = field(default_factory=list)
    layout: dict[str, dict[str, tuple[int, str]]] = field(default_factory=dict)
    log: FindingLog = field(default_factory=FindingLog)
    cells_read: int = 0
    cells_filled: int = 0

    @property
    def findings(self) -> list[Finding]:
        """The findings kept one by one."""
        return self.log.detail

    @property
    def refused(self) -> bool:
        """Whether any finding blocks the form."""
        return self.log.refused


@dataclass(frozen=True, slots=True)
class Identification:
    """What a file is. ``findings`` concern the file as a whole: any ``E`` among them refuses it.

    ``period`` (``YYYY-MM``) and ``reporter_code`` are given as far as known, also for a file that cannot be opened
    (from its name and folder), so that the ledger can say who sent it.
    """

    file_kind: FileKind | None
    period: str | None
    reporter_code: str | None
    forms: list[str]
    is_sample: bool
    findings: list[Finding]

    @property
    def refused(self) -> bool:
        return any(finding.severity == "E" for finding in self.findings)


@dataclass(frozen=True, slots=True)
class WorkbookReading:
    """A read workbook: what it is, its forms, and the findings about the file as a whole; ``opened`` is the workbook
    itself where it could be opened and did not have to come from another process."""

    identification: Identification
    tables: list[FormTable]
    findings: list[Finding]
    opened: Workbook | None = field(default=None, repr=False, compare=False)

    @property
    def refused(self) -> bool:
        """Whether the file as a whole is refused (single forms: ``FormTable.refused``)."""
        return any(finding.severity == "E" for finding in self.findings)


@dataclass(frozen=True, slots=True)
class _FormSheet:
    sheet: Sheet
    form: Form
    header: Header


@dataclass(frozen=True, slots=True)
class _Survey:
    book: Workbook
    sheets: list[_FormSheet]
    identification: Identification


def identify_workbook(data: bytes, file_name: str, folder: str | None, reporters: Sequence[Reporter]) -> Identification:
    """What a file is, without reading its rows.

    Args:
        data: whole file.
        file_name: name as received; only a hint.
        folder: path of the file inside its channel (``2026-10/灵山县``), or ``None``.
        reporters: who may report.
    """
    try:
        found = _survey(data, file_name, folder, reporters, outline=True).identification
        if found.refused or found.findings:
            # what is said of a file is said of the whole of it
            found = _survey(data, file_name, folder, reporters).identification
        return found
    except Refused as refusal:
        return unopened(refusal.finding, file_name, folder, reporters)
    except MemoryError:
        raise  # no fault of the reader: whoever set the limit says what it means
    except Exception as error:  # a file that no test foresaw must not stop the other counties
        return unopened(_unforeseen(error, file_name), file_name, folder, reporters)


def identify_file(path: Path, file_name: str, folder: str | None, reporters: Sequence[Reporter]) -> Identification:
    """:func:`identify_workbook` of a file on disk; one beyond the size limit is refused without being read."""
    try:
        data = _bytes_of(path, file_name)
    except Refused as refusal:
        return unopened(refusal.finding, file_name, folder, reporters)
    return identify_workbook(data, file_name, folder, reporters)


def read_file(path: Path, file_name: str, folder: str | None, reporters: Sequence[Reporter]) -> WorkbookReading:
    """:func:`read_workbook` of a file on disk; one beyond the size limit is refused without being read."""
    try:
        data = _bytes_of(path, file_name)
    except Refused as refusal:
        identification = unopened(refusal.finding, file_name, folder, reporters)
        return WorkbookReading(identification, [], list(identification.findings))
    return replace(read_workbook(data, file_name, folder, reporters), opened=None)


def _bytes_of(path: Path, file_name: str) -> bytes:
    limit = load_limits().file_bytes
    size = path.stat().st_size
    if size > limit:
        raise too_large(size, file_name)
    with path.open("rb") as stream:
        return stream.read(limit + 1)  # it may have grown since


def read_workbook(data: bytes, file_name: str, folder: str | None, reporters: Sequence[Reporter]) -> WorkbookReading:
    """All forms of a workbook. Arguments as in :func:`identify_workbook`; never raises on a bad file, except
    ``MemoryError`` where the process has a limit."""
    try:
        survey = _survey(data, file_name, folder, reporters)
        tables: dict[str, FormTable] = {}
        for item in survey.sheets:
            table = tables.setdefault(item.form.name, FormTable(item.form.name))
            _read_sheet(item, table)
        for table in tables.values():
            _finish(table)
    except Refused as refusal:
        identification = unopened(refusal.finding, file_name, folder, reporters)
        return WorkbookReading(identification, [], list(identification.findings))
    except MemoryError:
        raise  # as in identify_workbook
    except Exception as error:  # as in identify_workbook
        identification = unopened(_unforeseen(error, file_name), file_name, folder, reporters)
        return WorkbookReading(identification, [], list(identification.findings))
    whole = survey.identification
    return WorkbookReading(whole, list(tables.values()), list(whole.findings), survey.book)


def _unforeseen(error: Exception, file_name: str) -> Finding:
    """The finding for a fault of the reader. The log names the place in the code; the exception's own text stays out
    of it, since it may quote a cell."""
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    place = f"{last.tb_frame.f_code.co_filename}:{last.tb_lineno}" if last else "?"
    log.error("the reader failed on %s: %s at %s", file_name, type(error).__name__, place)
    return Finding("E-FILE-011", params={"file": file_name})


def unopened(finding: Finding, file_name: str, folder: str | None, reporters: Sequence[Reporter]) -> Identification:
    """A file that is not opened is still attributed by its name and folder, silently where they say nothing."""
    known = identify(
        [evidence_of_name(file_name, reporters), evidence_of_folder(folder, reporters)], reporters, file_name
    )
    return Identification(None, known.period, known.reporter_code, [], False, [finding])


# --------------------------------------------------------------------------------------------- which sheet is what


def _survey(
    data: bytes, file_name: str, folder: str | None, reporters: Sequence[Reporter], *, outline: bool = False
) -> _Survey:
    book = open_workbook(data, file_name, outline=outline)
    findings = list(book.findings)
    evidence: list[Evidence] = []
    found: list[_FormSheet] = []
    unread: list[str] = []
    is_sample = False
    for sheet in book.sheets:
        if squash(sheet.name) == META_SHEET:
            evidence.insert(0, evidence_of_meta(sheet.rows, reporters))
            continue
        if not _has_content(sheet):
            continue
        item = _form_of(sheet)
        if (sheet.name.startswith("_") or _is_side_sheet(sheet.name)) and not _is_whole(item):
            continue
        if item is None:
            unread.append(sheet.name)
            code = "W-FILE-002" if sheet.visible else "W-FILE-003"
            findings.append(Finding(code, sheet=sheet.name, params={"sheet": sheet.name}))
            continue
        found.append(item)
        evidence.append(evidence_of_frame(sheet.rows[: item.header.first_row], reporters, sheet.name))
        is_sample = is_sample or _says_sample(item)
    if not found:
        named = f"工作表：{'、'.join(unread[:5])}" if unread else "所有工作表都是空的"
        findings.append(Finding("E-FILE-009", params={"file": file_name, "sheets": named}))
    evidence += [evidence_of_name(file_name, reporters), evidence_of_folder(folder, reporters)]
    known = identify(evidence, reporters, file_name)
    if found:
        findings += known.findings
    forms = list(dict.fromkeys(item.form.name for item in found))
    identification = Identification(book.kind, known.period, known.reporter_code, forms, is_sample, findings)
    return _Survey(book, found, identification)


def _is_side_sheet(name: str) -> bool:
    """Whether a sheet goes with a form and carries no data: ``填表说明``, also as a copy: ``填表说明（2）``."""
    return re.sub(r"\([^()]*\)$", "", squash(name)) in load_words().side_sheets


def _is_whole(item: _FormSheet | None) -> bool:
    """Whether a sheet is a form all the same: a table that a county keeps under a name like ``说明``."""
    return item is not None and item.form.current_version.required <= item.header.matched


def _has_content(sheet: Sheet) -> bool:
    return any(cell != "" and not (isinstance(cell, str) and cell.isspace()) for row in sheet.rows for cell in row)


def _form_of(sheet: Sheet) -> _FormSheet | None:
    """The form that a sheet holds: named by a title in its first rows, else by its own name, else by its headers."""
    grid = header_grid(sheet.rows, sheet.merges)
    paths = Paths()
    headers = {name: header for name, form in load_forms().items() if (header := find_header(form, grid, paths))}
    if not headers:
        return None
    first = min(header.first_row for header in headers.values())
    frame = [
        squash(cell) for row in sheet.rows[: first + 1] for cell in row if isinstance(cell, str) and len(cell) < 80
    ]
    for texts in (frame, [squash(sheet.name)]):
        named = [
            (len(title), name)
            for name in headers
            for title in map(squash, load_forms()[name].titles)
            if any(title in text for text in texts)
        ]
        if named:
            name = max(named)[1]
            return _FormSheet(sheet, load_forms()[name], headers[name])

    def share(name: str) -> float:
        """Half of a form's required headers make it that form; fewer are another table that shares a few words."""
        required = load_forms()[name].current_version.required
        return len(headers[name].matched & required) / len(required)

    best = max(headers, key=lambda name: (share(name), len(headers[name].matched)))
    return _FormSheet(sheet, load_forms()[best], headers[best]) if share(best) >= 0.5 else None


def _says_sample(item: _FormSheet) -> bool:
    mark = load_words().sample_mark
    rows = item.sheet.rows
    return any(
        isinstance(cell, str) and mark in cell
        for row in (*rows[: item.header.first_row], *rows[max(item.header.last_row + 1, len(rows) - 30) :])
        for cell in row
    )


# ---------------------------------------------------------------------------------------------------- one sheet


@dataclass(slots=True)
class _Body:
    """The rows under a header, sorted out: 0-based positions in ``rows``, of which ``first`` is the row number."""

    rows: Sequence[Sequence[Any]]
    first: int
    data: list[int]
    totals: list[int]
    tail: int | None
    below_tail: list[int]


def _read_sheet(item: _FormSheet, table: FormTable) -> None:
    sheet, form, header = item.sheet, item.form, item.header
    table.sheets.append(sheet.name)
    table.template_version = nearest_version(form, header).name
    if not sheet.visible:
        params = {"sheet": sheet.name, "form_zh": form.title_zh}
        table.log.add(Finding("E-HID-003", form=form.name, sheet=sheet.name, params=params))
    wide, unclear = sort_out(form, sheet.name, header)
    table.log.extend(unclear)
    fields = _check_header(item, wide, table)
    item_columns = {column.index for column in wide.amounts} if wide else set()
    table.layout[sheet.name] = {
        part.name: (column.index, column.text)
        for column in fields
        if column.index not in item_columns
        for part in _field(column).columns
    } | (wide.placed() if wide else {})
    if any(finding.code.startswith(("E-HDR", "E-WID")) for finding in table.findings):
        return
    first = header.last_row + 1
    raw = sheet.rows[first:]
    cells: dict[int, list[Any]] = {column.index: [] for column in fields}
    if raw:
        by_column = list(zip(*raw, strict=True))
        read = (*fields, *(wide.totals if wide else ()))
        cells = {column.index: list(by_column[column.index]) for column in read}
        _check_strays(item, by_column, table)
    merged_numbers = _fill_down(item, fields, cells, first)
    body = _sort_rows(fields, cells, raw, first)
    _check_body(item, fields, body, table)
    _check_hidden(item, fields, body, table)
    _take_rows(item, fields, wide, cells, body, table)
    _check_wide_merges(item, fields, body, table)
    for column, top, bottom, value in merged_numbers:
        table.log.add(_merged_number(item, column, top, bottom, value))
    _check_totals(item, fields, cells, body, table)


def _field(column: HeaderColumn) -> Field:
    assert column.field is not None
    return column.field


def _check_header(item: _FormSheet, wide: WideSheet | None, table: FormTable) -> list[HeaderColumn]:
    """Columns to read, those of the wide layout among them; findings for missing, doubled, foreign and wrongly
    measured ones."""
    form, sheet, header = item.form, item.sheet, item.header
    version = nearest_version(form, header)
    texts = {one.field: one.text for one in version.headers}
    optional = wide.layout.optional if wide else frozenset[str]()
    provided = wide.provides if wide else frozenset[str]()
    turned = {column.index for column in (*wide.amounts, *wide.totals)} if wide else set()
    fields_by_name = {field_.name: field_ for field_ in form.fields}
    by_field: dict[str, list[HeaderColumn]] = {}
    extra: list[HeaderColumn] = []
    for column in header.columns:
        if column.index in turned:
            continue
        if column.field is None:
            extra.append(column)
        else:
            by_field.setdefault(column.field.name, []).append(column)

    def finding(code: str, column: str | None = None, at: HeaderColumn | None = None, **params: Any) -> Finding:
        cell = cell_address(header.last_row + 1, at.index) if at else None
        row = header.last_row + 1
        return Finding(code, form=form.name, sheet=sheet.name, row=row, column=column, cell=cell, params=params)

    lacking = [name for name in texts if name not in by_field and name not in provided]
    missing = [name for name in lacking if name in version.required and name not in optional]
    body_filled = {column.index for column in extra if _column_filled(sheet, header, column.index)}
    if missing:
        table.log.add(
            finding(
                "E-HDR-001",
                missing[0],
                form_zh=form.title_zh,
                version=f"{version.name}（{version.note_zh}）" if version.note_zh else version.name,
                missing="、".join(f"“{texts[name]}”" for name in missing),
                lacking="、".join(texts[name] for name in lacking),
                extra="、".join(column.text for column in extra) or "无",
                nearest=_nearest([texts[name] for name in lacking], extra),
            )
        )
    if wide:
        given = "、".join(_labels(form, provided - {wide.layout.item}))
        table.log.extend(
            finding("W-WID-002", name, header=texts[name], given=given) for name in lacking if name in optional
        )
    table.log.extend(
        finding("W-HDR-002", name, header=texts[name])
        for name in lacking
        if name not in missing and name not in optional
    )
    if not missing:
        table.log.extend(
            finding("W-HDR-001", None, column, header=column.text) for column in extra if column.index in body_filled
        )
    sheet_unit = _money_unit_of_frame(sheet.rows[: header.first_row])
    kept: list[HeaderColumn] = []
    for name, columns in by_field.items():
        if len(columns) > 1:
            cells = "、".join(cell_address(header.last_row + 1, column.index) for column in columns)
            table.log.add(finding("E-HDR-002", name, columns[1], header=columns[0].text, cells=cells))
            continue
        column = columns[0]
        kept.append(replace(column, field=_relaxed(fields_by_name[name])) if name in optional else column)
    kept = sorted((*kept, *(wide.amounts if wide else ())), key=lambda column: column.index)
    wrong: set[int] = set()
    for column in kept:
        expected = _field(column).columns[0].unit
        found = next((unit for text in reversed(column.path) if (unit := header_key(text)[1])), None)
        # the usual frame names 元 for the whole sheet, beside a column of 万元 that may not name its unit
        if found is None and (expected == "元" or (expected == "万元" and sheet_unit != "元")):
            found = sheet_unit
        if found and expected and found != expected:
            name = _field(column).name
            table.log.add(finding("E-HDR-003", name, column, header=column.text, found=found, unit=expected))
            wrong.add(column.index)
    return [column for column in kept if column.index not in wrong]


def _relaxed(of: Field) -> Field:
    """The field where the layout lets its cells be blank."""
    return replace(of, columns=tuple(replace(column, required=False) for column in of.columns))


def _labels(form: Form, names: Iterable[str]) -> list[str]:
    """Names of columns as people know them, in the order of the form."""
    return [column.label_zh for name, column in form.columns.items() if name in set(names)]


def _nearest(lacking: Sequence[str], extra: Sequence[HeaderColumn]) -> str:
    """The foreign headers that may be renamed ones, as the end of a sentence; empty when none is alike."""
    pairs = [
        f"“{column.text}”（{column_letter(column.index)}列）可能是“{text}”" for text, column in renamed(lacking, extra)
    ]
    return f"；最接近的表头：{'、'.join(pairs)}" if pairs else ""


def _money_unit_of_frame(rows: Sequence[Sequence[Any]]) -> str | None:
    """The unit of money that the frame gives for the whole sheet (``单位：万元``), where it gives exactly one."""
    texts = [squash(cell) for row in rows for cell in row if isinstance(cell, str) and "单位" in cell]
    units = {unit for text in texts for listed in _FRAME_UNITS.findall(text) for unit in _MONEY_UNITS.findall(listed)}
    return units.pop() if len(units) == 1 else None


def _column_filled(sheet: Sheet, header: Header, index: int) -> bool:
    return any(row[index] != "" for row in sheet.rows[header.last_row + 1 :])


def _check_strays(item: _FormSheet, by_column: Sequence[Sequence[Any]], table: FormTable) -> None:
    """Filled columns without any header text: a second table beside the first, or a slipped paste."""
    titled = {column.index for column in item.header.columns}
    for index, values in enumerate(by_column):
        if index in titled or values.count("") == len(values):
            continue
        filled = [
            row for row, value in enumerate(values) if value != "" and not (isinstance(value, str) and value.isspace())
        ]
        # a tail or a total may run wider than the header; that alone is no lost data
        filled = [row for row in filled if not _is_frame_row(item, row)]
        if filled:
            address = cell_address(item.header.last_row + 2 + filled[0], index)
            letter = re.sub(r"\d", "", address)
            table.log.add(
                Finding(
                    "W-HDR-003",
                    form=item.form.name,
                    sheet=item.sheet.name,
                    row=item.header.last_row + 2 + filled[0],
                    cell=address,
                    params={"letter": letter, "count": len(filled)},
                )
            )


def _is_frame_row(item: _FormSheet, position: int) -> bool:
    texts = [cell for cell in item.sheet.rows[item.header.last_row + 1 + position] if isinstance(cell, str) and cell]
    marked = [text for text in texts if "计" in text or "：" in text or ":" in text]
    return any(_is_total_text(text) or _TAIL.match(squash(text)) for text in marked)


def _fill_down(
    item: _FormSheet, fields: Sequence[HeaderColumn], cells: dict[int, list[Any]], first: int
) -> list[tuple[HeaderColumn, int, int, Any]]:
    """Repeats vertically merged values down their merge; returns merged numbers, which cannot be repeated.

    A number merged over several rows would be counted once a row: it stays in the first and is reported.
    """
    by_index = {column.index: column for column in fields}
    numbers: list[tuple[HeaderColumn, int, int, Any]] = []
    for top, left, bottom, _ in item.sheet.merges:
        if bottom <= top or bottom < first or left not in by_index:
            continue
        column = by_index[left]
        values = cells[left]
        start = max(top - first, 0)
        value = values[start] if top >= first and start < len(values) else ""
        if value == "":
            continue
        stop = min(bottom - first, len(values) - 1)
        if _field(column).columns[0].fill_down:
            for position in range(start + 1, stop + 1):
                values[position] = value
        else:
            for position in range(start + 1, stop + 1):
                values[position] = ""  # covered by the merge: whatever is left in them, nobody sees it
            numbers.append((column, top, first + stop, value))
    return numbers


def _check_wide_merges(item: _FormSheet, fields: Sequence[HeaderColumn], body: _Body, table: FormTable) -> None:
    """Numbers merged over several columns: which of the columns they belong to cannot be told."""
    by_index = {column.index: column for column in fields}
    data = {body.first + position for position in body.data}
    for top, left, bottom, right in item.sheet.merges:
        if right <= left or top not in data:
            continue
        covered = [by_index[index] for index in range(left, min(right, max(by_index)) + 1) if index in by_index]
        value = item.sheet.rows[top][left]
        if value == "" or len(covered) < 2 or all(_field(column).columns[0].fill_down for column in covered):
            continue
        headers = "、".join(f"“{column.text}”" for column in covered)
        for row in range(top, bottom + 1):
            if row in data:
                cell = cell_address(row + 1, covered[0].index)
                place: dict[str, Any] = {"form": item.form.name, "sheet": item.sheet.name, "row": row + 1}
                place |= {"column": _field(covered[0]).name, "cell": cell, "value": show(value)}
                table.log.add(Finding("R-MRG-002", **place, params={"headers": headers}))


def _merged_number(item: _FormSheet, column: HeaderColumn, top: int, bottom: int, value: Any) -> Finding:
    return Finding(
        "R-MRG-001",
        form=item.form.name,
        sheet=item.sheet.name,
        row=top + 1,
        column=_field(column).name,
        cell=cell_address(top + 1, column.index),
        value=show(value),
        params={"header": column.text, "first": top + 1, "last": bottom + 1},
    )


# ------------------------------------------------------------------------------------------- sorting out the rows

_TOTAL = re.compile(rf"^(?:[\u4e00-\u9fff]{{0,8}}?)(?:{'|'.join(load_words().total_words)})[:：]?$")
_TAIL = re.compile(
    rf"^(?:{'|'.join(sorted(map(squash, load_words().tail_words), key=len, reverse=True))})(?:\(.{{0,8}}\))?[:：]"
)
_NUMBERED = re.compile(r"^(?:[甲乙丙丁戊己庚辛]|栏次|\(?\d{1,3}\)?|\d{1,3}=.*|[A-Z]{1,2})$")


def _is_total_text(text: str) -> bool:
    return "计" in text and _TOTAL.match(squash(text)) is not None


def _sort_rows(
    fields: Sequence[HeaderColumn],
    cells: Mapping[int, list[Any]],
    raw: Sequence[Sequence[Any]],
    first: int,
) -> _Body:
    """Data, totals, tail and what lies below it.

    Only rows that look unlike data are looked at one by one: those with a blank or the header's own text among the
    required columns, or with the word of a total in one of the first columns.
    """
    body = _Body(raw, first, [], [], None, [])
    if not raw:
        return body
    odd: set[int] = {0}
    for column in fields:
        values = cells[column.index]
        if _field(column).required:
            suspects = {"", *column.path}.intersection(values)
            if suspects:
                odd.update(position for position, value in enumerate(values) if value in suspects)
        if _field(column).type in ("text", "integer", "uscc") and column.index < fields[0].index + 8:
            totals = {value for value in values if type(value) is str and "计" in value and _is_total_text(value)}
            if totals:
                odd.update(position for position, value in enumerate(values) if value in totals)
    mapped = {column.index: column for column in fields}
    sequence = {index for index, column in mapped.items() if _field(column).name == "seq"}
    not_data = bytearray(len(raw))
    for position in sorted(odd):
        row = raw[position]
        kind = _row_kind(row, mapped, sequence, position == 0)
        if kind == "data" and body.tail is None:
            continue
        not_data[position] = 1
        if kind == "total":
            body.totals.append(position)
        elif kind == "tail" and body.tail is None:
            body.tail = position
        elif kind == "data" and body.tail is not None:
            body.below_tail.append(position)
    if body.tail is None:
        body.data = list(range(len(raw))) if not any(not_data) else [p for p in range(len(raw)) if not not_data[p]]
        return body
    body.data = [position for position in range(body.tail) if not not_data[position]]
    complete = set(range(body.tail + 1, len(raw))) - odd
    below = {position for position in body.below_tail if _looks_like_data(raw[position], mapped, sequence)}
    body.below_tail = sorted(complete | below)
    return body


def _row_kind(row: Sequence[Any], mapped: Mapping[int, HeaderColumn], sequence: set[int], is_first: bool) -> str:
    filled = [
        (index, cell) for index, cell in enumerate(row) if cell != "" and not (type(cell) is str and cell.isspace())
    ]
    in_form = [(index, cell) for index, cell in filled if index in mapped and index not in sequence]
    texts = [cell for _, cell in filled if type(cell) is str]
    if not filled or (not in_form and not texts):
        return "blank"
    leading = [cell for index, cell in filled if type(cell) is str and index <= min(mapped, default=0) + 7]
    if any(_is_total_text(text) for text in leading) and not _is_named_so(row, mapped):
        return "total"
    if any(_TAIL.match(squash(text)) for text in texts) and not _looks_like_data(row, mapped, sequence):
        return "tail"
    if is_first and len(in_form) >= 5 and all(_NUMBERED.match(squash(show(cell))) for _, cell in filled):
        return "numbering"
    names = sum(1 for index, cell in in_form if type(cell) is str and _is_own_header(mapped[index], cell))
    if names >= 3 and names * 2 > len(in_form):
        return "header"
    return "data" if in_form else "blank"


def _is_named_so(row: Sequence[Any], mapped: Mapping[int, HeaderColumn]) -> bool:
    """Whether the word of a total is the end of an enterprise's name: beside it stands the enterprise's code."""
    kinds = {_field(column).name: row[index] for index, column in mapped.items() if index < len(row)}
    names = (kinds.get(name) for name in ("enterprise_name", "payee_name"))
    codes = (kinds.get(name) for name in ("uscc", "payee_uscc"))
    named = any(isinstance(name, str) and _is_total_text(name) and len(squash(name)) > 4 for name in names)
    return named and any(isinstance(code, str) and len(squash(code)) == 18 for code in codes)


def _is_own_header(column: HeaderColumn, cell: str) -> bool:
    return header_key(cell)[0] in {header_key(text)[0] for text in column.path}


def _looks_like_data(row: Sequence[Any], mapped: Mapping[int, HeaderColumn], sequence: set[int]) -> bool:
    """At least three cells under the form's headers that are no labels, and more of them than labels."""
    cells = [row[index] for index in mapped if index not in sequence and index < len(row) and row[index] != ""]
    labels = sum(
        1 for cell in cells if type(cell) is str and (_TAIL.match(squash(cell)) or "：" in cell or ":" in cell)
    )
    return len(cells) - labels >= 3 and len(cells) - labels > labels


def _row_list(rows: Iterable[int]) -> str:
    """``[5, 6, 7, 12]`` as ``5-7、12``; long lists end with 等."""
    spans: list[list[int]] = []
    for row in sorted(rows):
        if spans and row == spans[-1][1] + 1:
            spans[-1][1] = row
        else:
            spans.append([row, row])
    shown = [f"{first}-{last}" if last > first else str(first) for first, last in spans[:_NAMED_ROWS]]
    return "、".join(shown) + ("等" if len(spans) > _NAMED_ROWS else "")


def _check_body(item: _FormSheet, fields: Sequence[HeaderColumn], body: _Body, table: FormTable) -> None:
    if not body.below_tail or body.tail is None:
        return
    rows = [body.first + position + 1 for position in body.below_tail]
    # the label alone: behind it stand names and phone numbers
    labels = (_TAIL.match(squash(cell)) for cell in body.rows[body.tail] if isinstance(cell, str))
    tail = next((label.group().rstrip(":：") for label in labels if label), "")
    cell = cell_address(rows[0], fields[0].index)
    params = {"tail": tail, "rows": _row_list(rows), "count": len(rows)}
    table.log.add(
        Finding("E-TBL-001", form=item.form.name, sheet=item.sheet.name, row=rows[0], cell=cell, params=params)
    )


def _check_hidden(item: _FormSheet, fields: Sequence[HeaderColumn], body: _Body, table: FormTable) -> None:
    scan = item.sheet.scan
    form, sheet = item.form.name, item.sheet.name
    if scan.hidden_rows:
        rows = [body.first + position + 1 for position in body.data if body.first + position in scan.hidden_rows]
        if rows:
            params = {"rows": _row_list(rows), "count": len(rows)}
            cell = cell_address(rows[0], fields[0].index)
            table.log.add(Finding("E-HID-001", form=form, sheet=sheet, row=rows[0], cell=cell, params=params))
    for column in fields:
        if scan.hidden_columns and scan.is_column_hidden(column.index):
            filled = next((position for position in body.data if body.rows[position][column.index] != ""), None)
            if filled is not None:
                row = body.first + filled + 1
                cell = cell_address(row, column.index)
                params = {"header": column.text, "letter": re.sub(r"\d", "", cell)}
                name = _field(column).name
                table.log.add(
                    Finding("E-HID-002", form=form, sheet=sheet, row=row, column=name, cell=cell, params=params)
                )


def _take_rows(
    item: _FormSheet,
    fields: Sequence[HeaderColumn],
    wide: WideSheet | None,
    cells: Mapping[int, list[Any]],
    body: _Body,
    table: FormTable,
) -> None:
    rows = [body.first + position + 1 for position in body.data]
    mask: list[bool] | None = None
    if len(rows) != len(body.rows):
        chosen = set(body.data)
        mask = [position in chosen for position in range(len(body.rows))]
    gaps: dict[int, dict[int, str]] = {}
    if item.sheet.scan.gaps:
        number_of = {position: number for number, position in enumerate(body.data)}
        for (row, index), kind in item.sheet.scan.gaps.items():
            number = number_of.get(row - body.first)
            if number is not None:
                gaps.setdefault(index, {})[number] = kind
    untouched = _untouched_rows(fields, cells, body) if wide is None else {}
    table.log.extend(_untouched(item, column, row) for row, column in untouched.items())
    line_of = wide.line_of if wide else {}
    taken: dict[str, list[Any]] = {}
    amounts: list[AmountColumn] = []
    for column in fields:
        values: Sequence[Any] = cells[column.index]
        if mask is not None:
            values = list(compress(values, mask))
        place = Place(item.form.name, item.sheet.name, column.index, column.text, rows)
        result = normalise(_field(column), values, place, gaps.get(column.index))
        findings = result.findings
        if column.index in line_of:
            findings, unusable = usable(findings, rows)
            amounts.append(AmountColumn(column, result.values[_field(column).name], unusable))
        else:
            taken |= result.values
        table.log.extend(f for f in findings if f.code != _BLANK or f.row not in untouched)
        table.cells_read += len(rows)
        table.cells_filled += len(rows) - values.count("")
    letters = [""] * len(rows)
    if wide is not None:
        totals = _row_totals(item, wide, cells, body, table)
        table.log.extend(check_totals(wide, item.sheet.name, item.form, rows, amounts, totals))
        lines = turn(wide, item.sheet.name, item.form, rows, taken, table.layout[item.sheet.name], amounts)
        table.log.extend(lines.findings)
        rows, letters, taken = [rows[number] for number in lines.rows], lines.letters, lines.columns
    for name in item.form.columns:
        column_values = table.columns.setdefault(name, [None] * len(table.source_rows))
        column_values.extend(taken[name] if name in taken else [None] * len(rows))
    table.sheet_of_row += [item.sheet.name] * len(rows)
    table.source_rows += rows
    table.source_columns += letters


def _untouched_rows(
    fields: Sequence[HeaderColumn], cells: Mapping[int, list[Any]], body: _Body
) -> dict[int, HeaderColumn]:
    """1-based rows in which no figure at all was filled in, with the first column that asks for one: an enterprise that
    the template listed and nobody reported. One problem to its clerk, not one a column."""
    asked = [column for column in fields if _field(column).required and _field(column).columns[0].type in _COUNTED]
    if len(asked) < 2:
        return {}
    values = [cells[column.index] for column in asked]
    return {
        body.first + position + 1: asked[0]
        for position in body.data
        if all(column[position] == "" for column in values)
    }


def _untouched(item: _FormSheet, column: HeaderColumn, row: int) -> Finding:
    return Finding(
        "R-ROW-001",
        form=item.form.name,
        sheet=item.sheet.name,
        row=row,
        column=_field(column).name,
        cell=cell_address(row, column.index),
        params={"row": row},
    )


def _row_totals(
    item: _FormSheet, wide: WideSheet, cells: Mapping[int, list[Any]], body: _Body, table: FormTable
) -> dict[int, list[float | None]]:
    """What the control totals of the data rows state, by column; one never calculated is a finding."""
    stated: dict[int, list[float | None]] = {}
    for column in wide.totals:
        values = [cells[column.index][position] for position in body.data]
        stated[column.index] = [_amount(value, column) for value in values]
        table.cells_read += len(values)
        table.cells_filled += len(values) - values.count("")
        for position in body.data:
            row = body.first + position + 1
            if (row - 1, column.index) in item.sheet.scan.gaps:
                params = {"label": f"第{row}", "header": column.text}
                place: dict[str, Any] = {"form": item.form.name, "sheet": item.sheet.name, "row": row}
                place |= {"column": _field(column).name, "cell": cell_address(row, column.index)}
                table.log.add(Finding("W-TOT-002", **place, params=params))
    return stated


def _check_totals(
    item: _FormSheet, fields: Sequence[HeaderColumn], cells: Mapping[int, list[Any]], body: _Body, table: FormTable
) -> None:
    """Compares 合计, 总计 rows with the sum of all data rows, a 小计 row with the rows since the one before it."""
    if not body.totals:
        return
    start_of_block = 0
    summable = [column for column in fields if _field(column).columns[0].additive and len(_field(column).columns) == 1]
    numbers = {
        column.index: [value if type(value) is float else _amount(value, column) for value in cells[column.index]]
        for column in summable
    }
    for position in body.totals:
        label = next(squash(cell) for cell in body.rows[position] if isinstance(cell, str) and _is_total_text(cell))
        chosen = body.data
        if "小计" in label:
            chosen = [data for data in body.data if start_of_block <= data < position]
            start_of_block = position + 1
            if not chosen:
                continue  # a subtotal above its rows cannot be told from one without rows
        row = body.first + position + 1
        for column in summable:
            place: dict[str, Any] = {"form": item.form.name, "sheet": item.sheet.name, "row": row}
            place |= {"column": _field(column).name, "cell": cell_address(row, column.index)}
            params: dict[str, Any] = {"label": label, "header": column.text}
            if (row - 1, column.index) in item.sheet.scan.gaps:
                table.log.add(Finding("W-TOT-002", **place, params=params))
                continue
            stated = numbers[column.index][position]
            if stated is None:
                continue
            total = sum(number for data in chosen if (number := numbers[column.index][data]) is not None)
            if abs(total - stated) > TOLERANCE:
                params |= {"count": len(chosen), "sum": show(round(total, 2))}
                table.log.add(Finding("W-TOT-001", **place, value=show(stated), params=params))


def _amount(value: Any, column: HeaderColumn) -> float | None:
    if type(value) is int or type(value) is float:
        return float(value)
    if not isinstance(value, str) or not value:
        return None
    number, _ = parse_number(value, _field(column).columns[0].unit)
    return None if number is None else float(number)


def _finish(table: FormTable) -> None:
    """The same length for every column, and a word about a form without rows."""
    form = load_forms()[table.form]
    for name in form.columns:
        table.columns.setdefault(name, [])
    table.columns = {name: table.columns[name] for name in form.columns}
    if not table.source_rows and not table.refused:
        code = "W-TBL-001" if form.may_be_empty else "E-TBL-002"
        sheet = table.sheets[0] if table.sheets else None
        table.log.add(Finding(code, form=table.form, sheet=sheet, params={"form_zh": form.title_zh}))
