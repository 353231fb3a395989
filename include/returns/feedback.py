"""What a county gets back for a month: its own sheets with every problem marked and listed, or a receipt.

The returned workbook (退回表) is always an ``.xlsx``, one for a reporter and period, whatever number of files came. It
begins with the list of problems (问题清单), whose 情况说明 column is read back when the workbook returns. Nothing in an
outgoing workbook can run, and every text written here is neutralised. The same input gives the same bytes.
"""

from __future__ import annotations

import gc
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, Literal, cast

import openpyxl
import yaml
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE, Cell, MergedCell
from openpyxl.comments import Comment
from openpyxl.styles import Alignment, Font, PatternFill, Protection
from openpyxl.styles.cell_style import StyleArray
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.hyperlink import Hyperlink
from openpyxl.worksheet.worksheet import Worksheet

from include.forms.model import load_forms
from include.intake.calendar import SHANGHAI
from include.intake.headers import squash
from include.intake.workbook import Refused, Workbook, open_workbook
from include.quality.findings import Finding, Severity, entry, severity_of
from include.returns.combining import (
    BOX,
    FACE,
    HEADER_FILL,
    MARK_AUTHOR,
    MARK_COLOURS,
    OWN_COMMENT,
    PROBLEM_SHEET,
    Combined,
    Part,
    combine,
    fit_page,
    fixed_zip,
    lines_of,
    neutral,
    save,
)

__all__ = [
    "DETAIL_LIMIT",
    "EXPLANATION_LIMIT",
    "PROBLEM_SHEET",
    "Explanation",
    "FormState",
    "ListedFinding",
    "ReturnedFile",
    "explanations_in",
    "fixed_zip",
    "neutral",
    "read_explanations",
    "write_receipt",
    "write_returned_workbook",
]

DETAIL_LIMIT = 1_000
"""Findings listed and commented. A clerk mends a thousand at a time; a comment costs 2 KB and opening time."""

EXPLANATION_LIMIT = 2_000
"""Characters of an explanation that are kept."""

ANSWER, KEY, RULE = "情况说明", "编号", "规则"
SHEET, CELL = "工作表", "单元格"

_TEXTS = Path(__file__).with_suffix(".yaml")
_COMMENT_FINDINGS = 3
_COMMENT_CHARACTERS = 400
_VALUE_CHARACTERS = 120
_MANY = 20
_NAMED_KINDS = 6
_HEADER_SEARCH_ROWS = 60

_SEVERITIES: tuple[Severity, ...] = ("E", "R", "W")
_ORDER: Mapping[Severity, int] = {"E": 0, "R": 1, "W": 2}
_FILLS: Mapping[Severity, PatternFill] = {
    severity: PatternFill("solid", start_color=colour, end_color=colour)
    for severity, colour in zip(_SEVERITIES, MARK_COLOURS, strict=True)
}
_ANSWER_FILL = PatternFill("solid", start_color="FFDFF2D8", end_color="FFDFF2D8")
_QUIET_FILL = PatternFill("solid", start_color="FFF2F2F2", end_color="FFF2F2F2")
_QUIET, _LINK = "FF7F7F7F", "FF0563C1"
#: 序号 级别 工作表 单元格 栏目 填报内容 问题 怎样修改 情况说明 处理情况 原文件 规则 编号, in half-width characters
_WIDTHS = (5.5, 10, 16, 8.5, 22, 18, 40, 40, 30, 17, 22, 11, 18)
_PRINTED = 10
_CENTRED = frozenset({1, 2, 4, 10})
_DISPLAYED_ON_FORMS = 6
"""Columns under which the states of the forms stand; the steps stand to the right of them."""

Outcome = Literal["accepted", "refused", "missing", "awaiting_approval", "rejected"]
State = Literal["open", "explained", "accepted", "rejected"]


@dataclass(frozen=True, slots=True)
class ReturnedFile:
    """A received file to be given back.

    Attributes:
        data: whole file. It is opened only after the same limits as at reading; refused, it is not copied.
        file_kind: what the reader recognised (``xlsx``, ``xls``, ``ods``, ``xlsb``); ``None``: it is not opened.
        file_name: name under which the county sent it.
        titles: sheet title in the file -> title of the form it holds, to name sheets that collide.
        sheets: form sheets to copy, where the file is current for some of its forms only; ``None``: all.
    """

    data: bytes
    file_kind: str | None
    file_name: str
    titles: Mapping[str, str] = field(default_factory=dict)
    sheets: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class FormState:
    """What became of one form of the month.

    Attributes:
        form_zh: title of the form.
        outcome: ``accepted`` (with or without rows held), ``refused``, ``missing``, ``awaiting_approval``,
            ``rejected`` (a correction turned down).
        version: number of the submission.
        rows, held: rows loaded and rows held back.
        file_name, received_at, is_late: for the receipt; ``received_at`` is aware.
        note_zh: one more short sentence about this form.
    """

    form_zh: str
    outcome: Outcome
    version: int | None = None
    rows: int = 0
    held: int = 0
    file_name: str = ""
    received_at: datetime | None = None
    is_late: bool | None = None
    note_zh: str = ""


@dataclass(frozen=True, slots=True)
class ListedFinding:
    """A finding as the list shows it.

    Attributes:
        key: stable number of the problem (问题编号); the answer is matched by it.
        finding: with sheet and cell as in the received file; its value masked already.
        file: position of its file among the files returned; ``None``: about none of them.
        state: ``rejected``: the explanation was not accepted, the finding is open again.
        explanation: what the county wrote.
        reason_zh: what the reviewer said to it.
    """

    key: str
    finding: Finding
    file: int | None
    state: State = "open"
    explanation: str | None = None
    reason_zh: str = ""


@dataclass(frozen=True, slots=True)
class Explanation:
    """An answer that a county wrote into 情况说明: the problem it answers, where that stood in the returned workbook,
    the rule, and the text."""

    key: str
    sheet: str
    cell: str
    code: str
    text: str


@lru_cache(maxsize=1)
def _texts() -> Mapping[str, Any]:
    texts: Mapping[str, Any] = yaml.safe_load(_TEXTS.read_text(encoding="utf-8"))
    return texts


# ------------------------------------------------------------------------------------------------------- public


def write_returned_workbook(
    files: Sequence[ReturnedFile],
    forms: Sequence[FormState],
    listed: Sequence[ListedFinding],
    destination: Path,
    *,
    reporter_name: str | None,
    period: str | None,
    counts: Mapping[str, int] | None = None,
    due_on: date | None = None,
    is_sample: bool = False,
) -> Path:
    """Write a county's sheets back in one workbook, with its findings marked and listed.

    Args:
        files: in the order in which their sheets shall stand.
        forms: state of every form of the month, in order.
        listed: in any order; listed by severity, sheet, row, with the answered and accepted ones last.
        destination: an ``.xlsx`` path; its folder must exist. Replaced in one step, mode 0600.
        reporter_name, period: for the title (``YYYY-MM``); left out when unknown.
        counts: finding code -> exact number; ``None``: what is listed is all there is.
        due_on: last day for sending again.
        is_sample: prints 演示数据 in the title.

    Returns:
        The destination.
    """
    with _no_collection():
        return _write(files, forms, listed, destination, reporter_name, period, counts, due_on, is_sample)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Without garbage collection: hundreds of thousands of cells come to stay, looking through them again and again
    takes a quarter of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _write(
    files: Sequence[ReturnedFile],
    forms: Sequence[FormState],
    listed: Sequence[ListedFinding],
    destination: Path,
    reporter_name: str | None,
    period: str | None,
    counts: Mapping[str, int] | None,
    due_on: date | None,
    is_sample: bool,
) -> Path:
    combined = combine([Part(f.data, f.file_kind, f.file_name, f.titles, f.sheets) for f in files])
    ordered = sorted(listed, key=lambda item: _listed_order(item, files))
    exact = Counter(item.finding.code for item in ordered)
    for code, count in (counts or {}).items():
        exact[code] = max(count, exact[code])
    chosen = _chosen(ordered)
    _mark_cells(combined, ordered, {id(item) for item in chosen})
    listing = combined.book.create_sheet(PROBLEM_SHEET, 0)
    combined.book.active = 0
    page = _Listing(listing, combined, files, forms, chosen, exact, due_on)
    page.write(_title(ordered, exact, reporter_name, period, is_sample))
    return save(combined.book, destination, combined.values)


def write_receipt(
    destination: Path,
    *,
    forms: Sequence[FormState],
    reporter_name: str | None,
    period: str | None,
    due_on: date | None = None,
    is_sample: bool = False,
) -> Path:
    """Write the one-page receipt (回执) of a month without findings: a line for every form, and what happens next."""
    words, texts = _texts()["receipt"], _texts()
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    sheet.title = words["sheet"]
    widths = (26, 8, 18, 10, 18, 44)
    for column, width in enumerate(widths, start=1):
        sheet.column_dimensions[get_column_letter(column)].width = width
    last = get_column_letter(len(widths))
    who, month = neutral(reporter_name or ""), _month_zh(period)
    title = texts["titles"]["receipt"].format(who=who, month=month) + (texts["titles"]["sample"] if is_sample else "")
    _put(sheet, 1, 1, neutral(title), size=18, bold=True, centred=True, height=46)
    sheet.merge_cells(f"A1:{last}1")
    about = [f"{words[label]}：{text}" for label, text in (("unit", who), ("month", month)) if text]
    _put(sheet, 2, 1, "　　".join(about), size=12, height=26)
    sheet.merge_cells(f"A2:{last}2")
    for column, text in enumerate(words["headers"], start=1):
        cell = _put(sheet, 3, column, text, size=11, bold=True, centred=True, height=26)
        cell.fill, cell.border = HEADER_FILL, BOX
    for row, form in enumerate(forms, start=4):
        timeliness = words["none"] if form.is_late is None else words["late" if form.is_late else "on_time"]
        received = f"{form.received_at.astimezone(SHANGHAI):%Y-%m-%d %H:%M}" if form.received_at else words["none"]
        line = (
            form.form_zh,
            _version_zh(form) or words["none"],
            _outcome_zh(form),
            timeliness,
            received,
            form.file_name or words["none"],
        )
        height = max(lines_of(text, width - 2) for text, width in zip(line, widths, strict=True))
        for column, text in enumerate(line, start=1):
            cell = _put(sheet, row, column, neutral(text), size=11, centred=column not in (1, 6))
            cell.border = BOX
        sheet.row_dimensions[row].height = max(26, 16 * height + 8)
    missing = "、".join(form.form_zh for form in forms if form.outcome == "missing")
    closing = [words["clean"]]
    closing.append(
        words["missing"].format(forms=missing, please=_please(due_on)) if missing else words["nothing_to_do"]
    )
    closing.append(words["changes"])
    for row, text in enumerate(closing, start=len(forms) + 5):
        _put(sheet, row, 1, neutral(text), size=12, height=18 * lines_of(text, sum(widths) - 14) + 8)
        sheet.merge_cells(f"A{row}:{last}{row}")
    sheet.sheet_view.showGridLines = False
    sheet.print_area = f"A1:{last}{len(forms) + 4 + len(closing)}"
    fit_page(sheet, landscape=True)
    sheet.page_setup.fitToHeight = 1
    return save(book, destination)


def read_explanations(data: bytes, file_name: str) -> list[Explanation]:
    """Answers that a county wrote into the 情况说明 column of a returned workbook it sent again; empty when the file
    has no 问题清单 or cannot be opened."""
    try:
        return explanations_in(open_workbook(data, file_name))
    except Refused:
        return []


def explanations_in(opened: Workbook) -> list[Explanation]:
    """The answers in an opened workbook, in the order in which they stand; one problem answered twice in the same words
    is given once. Texts are at most :data:`EXPLANATION_LIMIT` characters; one that was cut says so at its end.

    Columns are found by their headers, so rows may be sorted, filtered or deleted, and columns moved.
    """
    found: dict[tuple[str, str], Explanation] = {}
    for sheet in opened.sheets:
        columns: dict[str, int] = {}
        for number, row in enumerate(sheet.rows):
            if not columns:
                if number >= _HEADER_SEARCH_ROWS:
                    break
                headers = {squash(str(value)): place for place, value in enumerate(row) if value != ""}
                if ANSWER in headers and KEY in headers:
                    columns = headers
                continue
            key, text = _read_cell(row[columns[KEY]]), _read_cell(row[columns[ANSWER]])
            if key and text:
                rest = (_read_cell(row[columns[name]]) if name in columns else "" for name in (SHEET, CELL, RULE))
                place, cell, code = rest
                found.setdefault((key, text), Explanation(key, place, cell, code, _cut(text)))
    return list(found.values())


def _read_cell(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip().removeprefix("'").strip()


def _cut(text: str) -> str:
    if len(text) <= EXPLANATION_LIMIT:
        return text
    word = str(_texts()["cut"]).format(limit=EXPLANATION_LIMIT)
    return text[: EXPLANATION_LIMIT - len(word)] + word


# ------------------------------------------------------------------------------------------------ order and choice


def _listed_order(item: ListedFinding, files: Sequence[ReturnedFile]) -> tuple[Any, ...]:
    finding = item.finding
    return (
        # nothing is left to do with these
        item.state == "accepted",
        _ORDER[finding.severity],
        len(files) if item.file is None else item.file,
        finding.sheet or "",
        finding.row or 0,
        # column A before column AA
        (finding.cell or "").rjust(12),
        finding.code,
        finding.column or "",
        item.key,
    )


def _chosen(ordered: Sequence[ListedFinding]) -> list[ListedFinding]:
    """At most :data:`DETAIL_LIMIT` findings, in order. Where there are more, every severity goes before the next, and
    the codes of one severity share the room, so that a column of a thousand alike does not hide the others."""
    if len(ordered) <= DETAIL_LIMIT:
        return list(ordered)
    room = DETAIL_LIMIT
    allowed: dict[str, int] = {}
    for severity in _SEVERITIES:
        counts = Counter(item.finding.code for item in ordered if item.finding.severity == severity)
        for place, (code, count) in enumerate(sorted(counts.items(), key=lambda pair: (pair[1], pair[0]))):
            allowed[code] = min(count, room // (len(counts) - place))
            room -= allowed[code]
    chosen = []
    for item in ordered:
        if allowed[item.finding.code] > 0:
            allowed[item.finding.code] -= 1
            chosen.append(item)
    return chosen


def _words_of(finding: Finding) -> tuple[str, str]:
    """What is wrong, and what to do."""
    words = entry(finding.code)
    facts: dict[str, Any] = {"value": finding.value if finding.value not in (None, "") else "（空）"}
    facts["cell"] = finding.cell or ""
    facts.update(finding.params)
    return words.message_zh.format_map(facts).rstrip("。"), words.mend_zh.format_map(facts)


def _level(severity: Severity) -> str:
    return str(_texts()["levels"][severity])


# --------------------------------------------------------------------------------------------------------- marks


def _mark_cells(combined: Combined, findings: Sequence[ListedFinding], commented: set[int]) -> None:
    """Fills every cell with an open problem; comments on those that are listed."""
    by_cell: dict[tuple[str, str], list[ListedFinding]] = defaultdict(list)
    sheets: dict[str, Worksheet] = {}
    for item in findings:
        sheet = _sheet_of(item, combined)
        if sheet is None or not item.finding.row or item.state == "accepted":
            continue
        sheets[sheet.title] = sheet
        address = item.finding.cell or f"A{item.finding.row}"
        by_cell[sheet.title, _anchor(sheet, address).coordinate].append(item)
    # Findings of one cell come gravest first.
    for (title, address), here in by_cell.items():
        cell = cast(Any, sheets[title][address])
        if cell._style is not None:
            cell._style = copy(cell._style)
        cell.fill = _FILLS[here[0].finding.severity]
        if not any(id(item) in commented for item in here):
            continue
        text = _comment_text([item.finding for item in here])
        if cell.comment is not None:
            text = f"{text}{OWN_COMMENT}{cell.comment.text}"
        comment = Comment(text[: 2 * _COMMENT_CHARACTERS], MARK_AUTHOR)
        comment.width, comment.height = 320, 24 + 18 * lines_of(text, 42)
        cell.comment = comment


def _sheet_of(item: ListedFinding, combined: Combined) -> Worksheet | None:
    """The sheet of a finding as it stands in the returned workbook."""
    if item.file is None or item.finding.sheet is None:
        return None
    return combined.sheets.get((item.file, item.finding.sheet))


def _anchor(sheet: Worksheet, address: str) -> Cell:
    """The cell of the address; inside a merge the one that holds its value."""
    cell = sheet[address]
    if isinstance(cell, MergedCell):
        for merge in sheet.merged_cells.ranges:
            if address in merge:
                return cast(Cell, sheet.cell(merge.min_row, merge.min_col))
    return cast(Cell, cell)


def _comment_text(findings: Sequence[Finding]) -> str:
    said = []
    for finding in findings[:_COMMENT_FINDINGS]:
        problem, mend = _words_of(finding)
        said.append(f"【{_level(finding.severity)}】{problem}。{mend}")
    if len(findings) > _COMMENT_FINDINGS:
        said.append(_texts()["comment_more"].format(count=len(findings), sheet=PROBLEM_SHEET))
    return str(ILLEGAL_CHARACTERS_RE.sub("", "\n".join(said)))[:_COMMENT_CHARACTERS]


# ------------------------------------------------------------------------------------------------------- the list


def _title(
    findings: Sequence[ListedFinding],
    exact: Mapping[str, int],
    reporter_name: str | None,
    period: str | None,
    is_sample: bool,
) -> str:
    titles = _texts()["titles"]
    to_mend = any(severity_of(code) != "W" and count for code, count in exact.items())
    to_mend = to_mend or any(item.finding.severity != "W" for item in findings)
    title = str(titles["returned" if to_mend else "check"])
    return title.format(who=reporter_name or "", month=_month_zh(period)) + (titles["sample"] if is_sample else "")


@dataclass(slots=True)
class _Listing:
    """Writes 问题清单: heading, states of the forms beside the steps to take, legend, table."""

    sheet: Worksheet
    combined: Combined
    files: Sequence[ReturnedFile]
    forms: Sequence[FormState]
    listed: Sequence[ListedFinding]
    exact: Mapping[str, int]
    due_on: date | None
    looks: dict[tuple[Any, ...], StyleArray] = field(default_factory=dict)

    def write(self, title: str) -> None:
        sheet = self.sheet
        for column, width in enumerate(_WIDTHS, start=1):
            sheet.column_dimensions[get_column_letter(column)].width = width
        _put(sheet, 1, 1, neutral(title), size=18, bold=True, centred=True, height=34)
        sheet.merge_cells(start_row=1, end_row=1, start_column=1, end_column=_PRINTED)
        row = self._verdict(2)
        row = self._states_and_steps(row)
        top = self._legend(row)
        bottom = self._table(top)
        sheet.freeze_panes = f"A{top + 1}"
        # every column belongs to it: one outside would not move along when the clerk sorts
        sheet.auto_filter.ref = f"A{top}:{get_column_letter(len(_WIDTHS))}{bottom}"
        sheet.print_title_rows = f"{top}:{top}"
        sheet.print_area = f"A1:{get_column_letter(_PRINTED)}{bottom}"
        sheet.sheet_view.showGridLines = False
        sheet.sheet_view.zoomScale = 100
        cast(Any, sheet.oddFooter).center.text = _texts()["footer"]
        fit_page(sheet, landscape=True)

    def _count(self, severity: Severity) -> int:
        return sum(count for code, count in self.exact.items() if severity_of(code) == severity)

    def _verdict(self, row: int) -> int:
        """One coloured line with the result and the exact totals; where there are many, the main kinds below it."""
        texts = _texts()
        worst = next((severity for severity in _SEVERITIES if self._count(severity)), None)
        parts = "，".join(
            f"{_level(severity)} {self._count(severity)} 处" for severity in _SEVERITIES if self._count(severity)
        )
        total = sum(self.exact.values())
        text = str(texts["verdicts"][worst or "none"])
        if total:
            text += texts["totals"].format(total=total, parts=parts)
        states = Counter(item.state for item in self.listed)
        if states["explained"] or states["accepted"]:
            text += texts["answered"].format(explained=states["explained"], accepted=states["accepted"])
        cell = _put(self.sheet, row, 1, text, size=12, bold=True)
        self._across(row, text, 12)
        if worst:
            for column in range(1, _PRINTED + 1):
                self.sheet.cell(row, column).fill = _FILLS[worst]
        cell.border = BOX
        if total <= _MANY:
            return row + 1
        ranked = sorted(self.exact.items(), key=lambda pair: (_ORDER[severity_of(pair[0])], -pair[1], pair[0]))
        kinds = [texts["kind"].format(title=entry(code).title_zh, count=count) for code, count in ranked if count]
        more = "等" if len(kinds) > _NAMED_KINDS else ""
        text = texts["kinds"].format(kinds="，".join(kinds[:_NAMED_KINDS]) + more)
        _put(self.sheet, row + 1, 1, neutral(text), size=10)
        self._across(row + 1, text, 10)
        return row + 2

    def _across(self, row: int, text: str, size: int) -> None:
        """Merges a line over the printed columns and gives it the height that its text takes."""
        width = sum(_WIDTHS[:_PRINTED]) * 10 / size - 4
        self.sheet.merge_cells(start_row=row, end_row=row, start_column=1, end_column=_PRINTED)
        self.sheet.row_dimensions[row].height = (size + 5) * lines_of(text, width) + 4

    def _states_and_steps(self, row: int) -> int:
        """Left, a line for each form; right, what to do in a few numbered steps."""
        states = [(form.form_zh, _version_zh(form), _outcome_zh(form)) for form in self.forms]
        steps = self._steps()
        head = _texts()["states_heading" if states else "files_heading"]
        # a file that belongs to no form is at least called by its name
        states = states or [(_base_name(file.file_name), "", _texts()["not_placed"]) for file in self.files]
        spans = ((1, 3), (4, 4), (5, _DISPLAYED_ON_FORMS))
        right = (_DISPLAYED_ON_FORMS + 1, _PRINTED)
        for number in range(max(len(states), len(steps)) + 1):
            at = row + number
            state = head if number == 0 else states[number - 1] if number <= len(states) else None
            for span, text in zip(spans, state or ("", "", ""), strict=True):
                self._span(at, span, text, header=number == 0, boxed=state is not None)
            step = _texts()["steps_heading"] if number == 0 else steps[number - 1] if number <= len(steps) else ""
            self._span(at, right, step, header=number == 0, boxed=number <= len(steps), left=number > 0)
            texts_here = [
                (text, sum(_WIDTHS[first - 1 : last]))
                for (first, last), text in [*zip(spans, state or ("", "", ""), strict=True), (right, step)]
            ]
            height = max(lines_of(text, width - 2) for text, width in texts_here)
            self.sheet.row_dimensions[at].height = 14.5 * height + 4
        return row + max(len(states), len(steps)) + 1

    def _span(
        self, row: int, span: tuple[int, int], text: str, *, header: bool, boxed: bool, left: bool = False
    ) -> None:
        first, last = span
        _put(self.sheet, row, first, neutral(text), size=10, bold=header, centred=not left and first != 1)
        if boxed:
            for column in range(first, last + 1):
                cell = self.sheet.cell(row, column)
                cell.border = BOX
                if header:
                    cell.fill = HEADER_FILL
        if last > first:
            self.sheet.merge_cells(start_row=row, end_row=row, start_column=first, end_column=last)

    def _steps(self) -> list[str]:
        words = _texts()["steps"]
        to_mend = bool(self._count("E") or self._count("R"))
        copied = bool(self.combined.sheets)
        please = _please(self.due_on)
        steps = [words["mend" if copied else "mend_uncopied"] if to_mend else words["check"]]
        if self._count("W") or any(item.state == "explained" for item in self.listed):
            steps.append(words["explain"].format(limit=EXPLANATION_LIMIT))
        elif copied:
            steps.append(words["explain_none"])
        steps.append(words["send" if copied else "send_uncopied"].format(please=please))
        steps = [f"{number}. {text}" for number, text in enumerate(steps, start=1)]
        for reason in ("unopened", "too_large") if copied else ():
            names = [self.files[at].file_name for at, why in self.combined.left_out.items() if why == reason]
            if names:
                steps.append(_texts()["left_out"][reason].format(files="”“".join(map(_base_name, names))))
        if not copied and "too_large" in self.combined.left_out.values():
            names = [_base_name(self.files[at].file_name) for at in self.combined.left_out]
            steps.append(_texts()["left_out"]["too_large"].format(files="”“".join(names)))
        missing = "、".join(form.form_zh for form in self.forms if form.outcome == "missing")
        if missing:
            steps.append(words["missing"].format(forms=missing))
        return steps

    def _legend(self, row: int) -> int:
        """One line that says what the colours mean; returns the row of the table's header."""
        words = _texts()["legend"]
        shown: list[tuple[str, PatternFill]] = [
            (words[severity], _FILLS[severity]) for severity in _SEVERITIES if self._count(severity)
        ]
        spans = [(1, 4), (5, 6), (7, 7)]
        placed = list(zip(shown, spans, strict=False))
        if any(item.key for item in self.listed):
            placed.append(((words["answer"], _ANSWER_FILL), (_column_of(ANSWER), _column_of(ANSWER))))
        for (text, fill), (first, last) in placed:
            _put(self.sheet, row, first, text, size=10, centred=True)
            for column in range(first, last + 1):
                self.sheet.cell(row, column).fill = fill
            if last > first:
                self.sheet.merge_cells(start_row=row, end_row=row, start_column=first, end_column=last)
        self.sheet.row_dimensions[row].height = 18
        return row + 1

    def _table(self, top: int) -> int:
        """Header and rows; returns the last row."""
        headers = _texts()["headers"]
        for column, text in enumerate(headers, start=1):
            cell = _put(self.sheet, top, column, text, size=11, bold=True, centred=True, height=24)
            cell.border = BOX
            cell.fill = HEADER_FILL if column <= _PRINTED else _QUIET_FILL
        self.sheet.cell(top, _column_of(ANSWER)).fill = _ANSWER_FILL
        left = {code: self.exact[code] - count for code, count in Counter(i.finding.code for i in self.listed).items()}
        unlisted = {code: count for code, count in self.exact.items() if count and code not in left}
        last_of = {item.finding.code: place for place, item in enumerate(self.listed) if item.state != "accepted"}
        row = top
        for place, item in enumerate(self.listed):
            row += 1
            self._write_finding(row, place + 1, item)
            code = item.finding.code
            if left[code] > 0 and last_of.get(code) == place:
                row += 1
                self._write_rest(row, code, left[code])
        for code, count in sorted(unlisted.items()):
            row += 1
            self._write_rest(row, code, count)
        if row > top:
            limit = DataValidation(
                type="textLength", operator="lessThanOrEqual", formula1=str(EXPLANATION_LIMIT), allow_blank=True
            )
            limit.errorTitle, limit.error = ANSWER, _texts()["too_long"].format(limit=EXPLANATION_LIMIT)
            limit.showErrorMessage = True
            letter = get_column_letter(_column_of(ANSWER))
            limit.add(f"{letter}{top + 1}:{letter}{row}")
            self.sheet.add_data_validation(limit)
        return row

    def _write_finding(self, row: int, place: int, item: ListedFinding) -> None:
        finding, texts = item.finding, _texts()
        problem, mend = _words_of(finding)
        at = finding.cell or (texts["whole_row"].format(row=finding.row) if finding.row else "")
        value = finding.value or ""
        value = value if len(value) <= _VALUE_CHARACTERS else value[:_VALUE_CHARACTERS] + "…"
        here = _sheet_of(item, self.combined)
        sheet_title = here.title if here is not None else finding.sheet or texts["whole_file"]
        state = texts["states"][item.state]
        state = state[finding.severity] if isinstance(state, dict) else state
        said = f"{state}：{item.reason_zh}" if item.reason_zh else state
        file_name = _base_name(self.files[item.file].file_name) if item.file is not None else ""
        line = [
            "", _level(finding.severity), sheet_title, at, _header_of(finding), value, problem, mend,
            item.explanation or "", said, file_name, finding.code, item.key,
        ]  # fmt: skip
        done = item.state == "accepted"
        fill = None if done else finding.severity
        self._write_line(row, line, place, fill=fill, done=done, open_to_answer=bool(item.key) and not done)
        if here is not None:
            column = _column_of(CELL) if at else _column_of(SHEET)
            self._link(row, column, here.title, finding.cell or f"A{finding.row or 1}")

    def _write_rest(self, row: int, code: str, count: int) -> None:
        """The row that stands for all findings of a code which are not listed one by one."""
        texts, severity = _texts(), severity_of(code)
        said = f"{entry(code).title_zh}：{texts['not_listed'].format(count=count)}"
        line = ["", _level(severity), "", "", "", "", said, texts["not_listed_mend"], "", "", "", code, ""]
        self._write_line(row, line, None, fill=severity, done=False, open_to_answer=False)

    def _write_line(
        self,
        row: int,
        line: Sequence[str],
        place: int | None,
        *,
        fill: Severity | None,
        done: bool,
        open_to_answer: bool,
    ) -> None:
        for column, text in enumerate(line, start=1):
            cell = cast(Cell, self.sheet.cell(row, column))
            style = cast(Any, cell)
            if column == 1:
                cell.value = place
            elif text:
                # as text always: a number of 12 digits, or 1E5, would not come back as it went
                style._value, style.data_type = neutral(text), "s"
            is_answer = column == _column_of(ANSWER) and open_to_answer
            look = (column, fill if column == 2 else None, done, is_answer)
            if look not in self.looks:
                self._style(cell, column, fill, done=done, is_answer=is_answer)
                self.looks[look] = copy(style._style)
            style._style = copy(self.looks[look])
        height = max(lines_of(text, width - 1.5) for text, width in zip(line[:-3], _WIDTHS, strict=False))
        self.sheet.row_dimensions[row].height = min(max(20, 14 * height + 6), 400)

    def _style(self, cell: Cell, column: int, fill: Severity | None, *, done: bool, is_answer: bool) -> None:
        quiet = done or column > _PRINTED
        cell.font = Font(name=FACE, size=9 if column > _PRINTED else 10, charset=134, color=_QUIET if quiet else None)
        cell.border = BOX
        horizontal = "center" if column in _CENTRED else "left"
        cell.alignment = Alignment(horizontal=horizontal, vertical="center", wrap_text=column <= _PRINTED + 1)
        if column != 1:
            cell.number_format = "@"
        if column == 2 and fill is not None:
            cell.fill = _FILLS[fill]
        if is_answer:
            cell.fill, cell.protection = _ANSWER_FILL, Protection(locked=False)

    def _link(self, row: int, column: int, title: str, address: str) -> None:
        cell = cast(Cell, self.sheet.cell(row, column))
        target = title.replace("'", "''")
        cell.hyperlink = Hyperlink(ref=cell.coordinate, location=f"'{target}'!{address}", display=str(cell.value))
        style = cast(Any, cell)
        look = ("link", column)
        if look not in self.looks:
            cell.font = Font(name=FACE, size=10, charset=134, underline="single", color=_LINK)
            self.looks[look] = copy(style._style)
        style._style = copy(self.looks[look])


@lru_cache(maxsize=16)
def _column_of(header: str) -> int:
    """1-based column of a header of the list."""
    return int(_texts()["headers"].index(header)) + 1


def _header_of(finding: Finding) -> str:
    """Header text of the finding's column, as the clerk knows it."""
    header = finding.params.get("header")
    if not header and finding.form and finding.column:
        column = load_forms()[finding.form].columns.get(finding.column)
        header = column.header if column else finding.column
    return re.sub(r"\s+", "", str(header or ""))


# ------------------------------------------------------------------------------------------------------ small texts


def _put(
    sheet: Worksheet,
    row: int,
    column: int,
    text: str,
    *,
    size: int,
    bold: bool = False,
    centred: bool = False,
    height: float | None = None,
) -> Cell:
    cell = sheet.cell(row, column, text or None)
    cell.font = Font(name=FACE, size=size, bold=bold, charset=134)
    cell.alignment = Alignment(horizontal="center" if centred else "left", vertical="center", wrap_text=True)
    if height is not None:
        sheet.row_dimensions[row].height = height
    return cell


def _base_name(file_name: str) -> str:
    return PurePosixPath(file_name.replace("\\", "/")).name


def _please(due_on: date | None) -> str:
    texts = _texts()
    return str(texts["by_date"]).format(month=due_on.month, day=due_on.day) if due_on else str(texts["please"])


def _version_zh(form: FormState) -> str:
    return "" if form.version is None else str(_texts()["version"]).format(version=form.version)


def _outcome_zh(form: FormState) -> str:
    outcome = "held" if form.outcome == "accepted" and form.held else form.outcome
    said = str(_texts()["outcomes"][outcome]).format(rows=form.rows, held=form.held)
    return f"{said}（{form.note_zh.rstrip('。')}）" if form.note_zh else said


def _month_zh(period: str | None) -> str:
    return f"{period[:4]}年{int(period[5:])}月" if period else ""
