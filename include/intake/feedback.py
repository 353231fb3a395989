"""What a county gets back: its own workbook with every problem marked, or a short receipt when there is none.

The returned workbook (退回表) is always an ``.xlsx``. An ``.xlsx`` keeps its own look; other kinds are rebuilt from
their values and merges; what cannot be opened safely, or is too large to be copied cell by cell, comes back as the
list of problems alone. Nothing in an outgoing workbook can run: macros, links to other files and formulas beyond plain
arithmetic are taken out, and every text written here is neutralised. The same input gives the same bytes.
"""

from __future__ import annotations

import glob
import io
import logging
import math
import os
import re
import unicodedata
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any, cast

import openpyxl
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE, Cell, MergedCell
from openpyxl.comments import Comment
from openpyxl.styles import Alignment, Border, Font, PatternFill, Protection, Side
from openpyxl.utils import get_column_letter
from openpyxl.workbook.child import INVALID_TITLE_REGEX
from openpyxl.worksheet.hyperlink import Hyperlink
from openpyxl.worksheet.properties import PageSetupProperties
from openpyxl.worksheet.worksheet import Worksheet

from include.forms.model import load_forms
from include.intake.workbook import Refused, Sheet, Workbook, open_workbook
from include.quality.findings import Finding, Severity, entry

logger = logging.getLogger(__name__)

PROBLEM_SHEET = "问题清单"
MARK_AUTHOR = "数据质量检查"
PROBLEM_HEADERS = (
    "序号",
    "级别",
    "工作表",
    "单元格",
    "栏目",
    "填报内容",
    "问题",
    "怎样修改",
    "情况说明",
    "规则",
)
EXPLANATION = "情况说明"
RULE = "规则"

DETAIL_LIMIT = 1_000
"""Findings written out and marked. A clerk mends a thousand at a time; a comment costs 2 KB and opening time."""

MAX_COPIED_SHEET_BYTES = 24 * 1024 * 1024
"""Inflated worksheet XML up to which an .xlsx is copied with its look: some 600,000 formatted cells."""

MAX_REBUILT_CELLS = 600_000

_FIXED_TIME = datetime(2000, 1, 1)
_FIXED_ZIP_TIME = (1980, 1, 1, 0, 0, 0)
_COMMENT_FINDINGS = 3
_COMMENT_CHARACTERS = 400
_VALUE_CHARACTERS = 120

_ORDER: Mapping[Severity, int] = {"E": 0, "R": 1, "W": 2}
_LEVELS: Mapping[Severity, str] = {"E": "整表退回", "R": "本行暂扣", "W": "请核对"}
_RESULTS: Mapping[Severity, str] = {
    "E": "结果：有报表被整表退回，请更正后重新报送。",
    "R": "结果：报表已接收，标橙色的行暂不入库，请更正后重新报送。",
    "W": "结果：报表已接收入库，请核对下列各条。",
}
_COLOURS: Mapping[Severity, str] = {"E": "FFFF9B9B", "R": "FFFFC98A", "W": "FFFFF3A6"}
_FILLS: Mapping[Severity, PatternFill] = {
    severity: PatternFill("solid", start_color=colour, end_color=colour) for severity, colour in _COLOURS.items()
}
_FONT = "宋体"
_HAIR = Side(style="thin", color="FF9AA5B1")
_BOX = Border(left=_HAIR, right=_HAIR, top=_HAIR, bottom=_HAIR)
_HEADER_FILL = PatternFill("solid", start_color="FFDCE6F1", end_color="FFDCE6F1")
_ANSWER_FILL = PatternFill("solid", start_color="FFF4FAF0", end_color="FFF4FAF0")
_WIDTHS = (5, 10, 15, 9, 18, 18, 40, 40, 26, 10)
_HOW_TO = (
    "红色：整张表未接收，更正后请重新报送。橙色：该行暂不入库，更正后请重新报送。黄色：已入库，请核对；"
    "确属实际情况的，请在“情况说明”栏写明，连同本工作簿一并报回。"
)
_COPIED = "点“单元格”可跳到要改的位置，该处另有批注。"
_NOT_COPIED = "原文件无法打开或过大，这里未附原表，请在原文件中按清单更正。"

_UNSAFE_START = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_PLAIN_FUNCTIONS = frozenset(
    re.findall(
        r"\w+",
        """
        SUM SUBTOTAL SUMIF SUMIFS SUMPRODUCT COUNT COUNTA COUNTIF COUNTIFS AVERAGE PRODUCT MOD INT ABS MIN MAX
        ROUND ROUNDUP ROUNDDOWN IF IFERROR AND OR NOT ROW COLUMN VLOOKUP HLOOKUP LOOKUP INDEX MATCH
        TEXT VALUE LEFT RIGHT MID LEN TRIM CONCATENATE DATE YEAR MONTH DAY
        """,
    )
)
_FUNCTION = re.compile(r"([A-Z_][A-Z0-9_.]*)\s*\(")


@dataclass(frozen=True, slots=True)
class Explanation:
    """An answer that a county wrote into 情况说明: the place and the rule it answers, and the text."""

    sheet: str
    cell: str
    code: str
    text: str


# ------------------------------------------------------------------------------------------------------- public


def write_returned_workbook(
    original: bytes,
    file_kind: str,
    findings: Sequence[Finding],
    destination: Path,
    *,
    file_name: str,
    county_name: str | None = None,
    period: str | None = None,
    is_sample: bool = False,
) -> Path:
    """Write a county's workbook back with its findings marked and listed.

    Args:
        original: the received file. It is opened only after the same limits as at reading; refused, it is not copied.
        file_kind: what the reader recognised (``xlsx``, ``xls``, ``ods``, ``xlsb``); anything else is not copied.
        findings: in any order; listed by severity, sheet, row. Values must be masked already.
        destination: an ``.xlsx`` path; its folder must exist. Replaced in one step.
        file_name: the name under which the county sent it.
        county_name, period: for the title (``YYYY-MM``); left out when unknown.
        is_sample: prints 演示数据 in the title.

    Returns:
        The destination.
    """
    ordered = sorted(findings, key=_listed_order)
    opened = _opened(original, file_name) if file_kind else None
    book = _copy_of(original, opened) if opened else None
    answers = {(a.sheet, a.cell, a.code): a.text for a in _explanations(opened)} if opened else {}
    copied = book is not None
    if book is None:
        book = openpyxl.Workbook()
        book.remove(book.worksheets[0])
    if PROBLEM_SHEET in book.sheetnames:
        del book[PROBLEM_SHEET]
    _mark_cells(book, ordered[:DETAIL_LIMIT])
    for sheet in book.worksheets:
        sheet.sheet_view.tabSelected = False
    listing = book.create_sheet(PROBLEM_SHEET, 0)
    book.active = 0
    title = f"{county_name or ''}{_period_zh(period)}报表问题清单" + ("（演示数据）" if is_sample else "")
    _write_listing(listing, ordered, title, file_name, answers, known_sheets=book.sheetnames, copied=copied)
    return _save(book, destination)


def write_receipt(
    destination: Path,
    *,
    file_name: str,
    summary: str = "",
    county_name: str | None = None,
    period: str | None = None,
    is_sample: bool = False,
) -> Path:
    """Write the one-page receipt (回执) of a file without findings; ``summary`` says what was accepted."""
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    sheet.title = "回执"
    rows = [
        ("报送单位", county_name or ""),
        ("报告期", _period_zh(period)),
        ("文件", file_name),
        ("处理结果", summary or "已接收"),
        ("说明", "本文件经检查未发现问题，无需更正，也无需再报。请留存本回执。"),
    ]
    sheet.column_dimensions["A"].width = 14
    sheet.column_dimensions["B"].width = 68
    sheet.merge_cells("A1:B1")
    sheet["A1"] = "报送回执" + ("（演示数据）" if is_sample else "")
    sheet["A1"].font = Font(name=_FONT, size=18, bold=True)
    sheet["A1"].alignment = Alignment(horizontal="center", vertical="center")
    sheet.row_dimensions[1].height = 44
    for number, (label, text) in enumerate([row for row in rows if row[1]], start=2):
        name, value = sheet.cell(number, 1, label), sheet.cell(number, 2, neutral(text))
        name.font, value.font = Font(name=_FONT, size=12, bold=True), Font(name=_FONT, size=12)
        name.fill = _HEADER_FILL
        name.alignment = Alignment(horizontal="center", vertical="center")
        value.alignment = Alignment(horizontal="left", vertical="center", wrap_text=True, indent=1)
        name.border = value.border = _BOX
        sheet.row_dimensions[number].height = max(30, 18 * _lines(text, 60) + 10)
    sheet.sheet_view.showGridLines = False
    _fit_page(sheet, landscape=False)
    return _save(book, destination)


def read_explanations(data: bytes, file_name: str) -> list[Explanation]:
    """Answers that a county wrote into the 情况说明 column of a returned workbook it sent again; empty when the file
    has no 问题清单 or cannot be opened."""
    opened = _opened(data, file_name)
    return _explanations(opened) if opened else []


def neutral(text: str) -> str:
    """Text that no spreadsheet takes for a formula: ``=1+1`` becomes ``'=1+1``; control characters are dropped."""
    clean = str(ILLEGAL_CHARACTERS_RE.sub("", text))
    return "'" + clean if clean.startswith(_UNSAFE_START) else clean


def fixed_zip(data: bytes) -> bytes:
    """The same OOXML package with fixed entry times and a fixed modification time, so equal content is equal bytes."""
    stamp = _FIXED_TIME.strftime("%Y-%m-%dT%H:%M:%SZ").encode()
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            content = old.read(info)
            if info.filename == "docProps/core.xml":
                content = re.sub(rb"(<dcterms:modified[^>]*>)[^<]*", rb"\g<1>" + stamp, content)
            entry_info = zipfile.ZipInfo(info.filename, _FIXED_ZIP_TIME)
            entry_info.compress_type = zipfile.ZIP_DEFLATED
            entry_info.external_attr = 0o600 << 16
            new.writestr(entry_info, content)
    return target.getvalue()


# ------------------------------------------------------------------------------------------- the county's workbook


def _opened(data: bytes, file_name: str) -> Workbook | None:
    try:
        return open_workbook(data, file_name)
    except Refused:
        return None


def _copy_of(original: bytes, opened: Workbook) -> openpyxl.Workbook | None:
    """The workbook to be marked: copied with its look, or rebuilt from its values, or ``None`` when it is too large."""
    if opened.kind == "xlsx" and _sheet_bytes(original) <= MAX_COPIED_SHEET_BYTES:
        copied = _loaded(original)
        if copied is not None:
            return copied
    if sum(len(sheet.rows) * len(sheet.rows[0]) for sheet in opened.sheets if sheet.rows) > MAX_REBUILT_CELLS:
        return None
    return _rebuilt(opened)


def _sheet_bytes(data: bytes) -> int:
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        return sum(info.file_size for info in package.infolist() if info.filename.startswith("xl/worksheets/"))


def _loaded(original: bytes) -> openpyxl.Workbook | None:
    try:
        book = openpyxl.load_workbook(io.BytesIO(original), keep_vba=False, keep_links=False)
    except Exception as error:
        # openpyxl raises whatever its parsers meet; the reader opened the file, so its values can still be given back
        logger.warning("workbook is rebuilt from its values, openpyxl cannot load it: %s", type(error).__name__)
        return None
    if not book.worksheets:
        return None
    for sheet in book.worksheets:
        _disarm(sheet)
        if not _has_print_setup(sheet):
            _fit_page(sheet, landscape=True)
    cast(Any, book).calculation.fullCalcOnLoad = True
    return book


def _disarm(sheet: Worksheet) -> None:
    """Takes out what could act: formulas beyond plain arithmetic, links to outside; and the marks of an earlier return.
    Plain formulas stay, the county needs its totals."""
    sheet.legacy_drawing = None
    for row in sheet.iter_rows():
        for cell in row:
            if isinstance(cell, MergedCell):
                continue
            if cell.data_type == "f" and not _is_plain_formula(cell.value):
                cell.value = neutral(str(getattr(cell.value, "text", cell.value)))
            if cell.hyperlink is not None and cell.hyperlink.target:
                cell.hyperlink = None
            if cell.comment is not None and cell.comment.author == MARK_AUTHOR:
                cell.comment = None
                if cell.fill.start_color.rgb in _COLOURS.values():
                    cell.fill = PatternFill()


def _is_plain_formula(formula: Any) -> bool:
    if not isinstance(formula, str):
        return False
    # quoted names first: a sheet may be called 附件(1)
    bare = re.sub(r"'[^']*'|\"[^\"]*\"", "", formula).upper()
    if any(mark in formula for mark in "|[]"):
        return False
    return all(name in _PLAIN_FUNCTIONS for name in _FUNCTION.findall(bare))


def _rebuilt(opened: Workbook) -> openpyxl.Workbook:
    """A workbook of the same values, merges and sheet names, in a plain readable look."""
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    for sheet in opened.sheets:
        # a name the .xlsx format cannot carry is mended, or the whole return would fail
        title = INVALID_TITLE_REGEX.sub("_", sheet.name)[:31] or "Sheet"
        target = book.create_sheet(title)
        if not sheet.visible:
            target.sheet_state = "hidden"
        _fill_rebuilt(target, sheet)
    return book


def _fill_rebuilt(target: Worksheet, sheet: Sheet) -> None:
    head, first_data = _header_span(sheet)
    widths: dict[int, int] = defaultdict(int)
    for r, row in enumerate(sheet.rows, start=1):
        is_header = head < r <= first_data
        # above the table, and the signatures and notes below it
        is_title = r <= head or (first_data < r and first_data > 0 and sum(value != "" for value in row) < 4)
        for c, value in enumerate(row, start=1):
            if value == "" and is_title:
                continue
            cell = cast(Cell, target.cell(r, c))
            _set_value(cell, value)
            is_first = r == 1 and is_title
            cell.font = Font(name=_FONT, size=16 if is_first else 10, bold=is_header or is_first)
            if is_header:
                cell.alignment = Alignment(horizontal="center", vertical="center", wrap_text=True)
                cell.fill = _HEADER_FILL
            else:
                cell.alignment = Alignment(vertical="center", wrap_text=isinstance(value, str) and not is_title)
            if not is_title:
                cell.border = _BOX
                text_width = _width(str(value))
                widths[c] = max(widths[c], min(text_width, 14) if is_header else min(text_width, 34))
    for c, width in widths.items():
        target.column_dimensions[get_column_letter(c)].width = max(7, width + 2)
    for top, left, bottom, right in sheet.merges:
        if (top, left) != (bottom, right):
            target.merge_cells(start_row=top + 1, start_column=left + 1, end_row=bottom + 1, end_column=right + 1)
            if top == 0 and top < head:
                target.cell(1, left + 1).alignment = Alignment(horizontal="center", vertical="center")
    if first_data:
        for r in range(head + 1, first_data + 1):
            target.row_dimensions[r].height = 30
        target.freeze_panes = f"A{first_data + 1}"
        target.print_title_rows = f"{head + 1}:{first_data}"
    _fit_page(target, landscape=True)


def _header_span(sheet: Sheet) -> tuple[int, int]:
    """Rows above the header, and the header's last row (1-based): from the first row with four filled cells of which
    the leftmost is not a number, down to the row before the first that begins with one. ``(0, 0)`` when none is met."""
    head: int | None = None
    for r, row in enumerate(sheet.rows[:40]):
        filled = [value for value in row if value != ""]
        numeric = bool(filled) and re.fullmatch(r"\d+(\.0)?", str(filled[0]).strip()) is not None
        if head is None:
            if len(filled) >= 4 and not numeric and not str(filled[0]).startswith("填报单位"):
                head = r
        elif numeric:
            return head, r
    return (head, head + 1) if head is not None else (0, 0)


def _set_value(cell: Cell, value: Any) -> None:
    if value == "":
        return
    if isinstance(value, str):
        cell.value = neutral(value)
    elif isinstance(value, bool | int | datetime | date | time | timedelta):
        cell.value = value
    elif isinstance(value, float) and math.isfinite(value):
        cell.value = int(value) if value.is_integer() and abs(value) < 1e15 else value
    else:
        cell.value = neutral(str(value))


# --------------------------------------------------------------------------------------------------------- marks


def _listed_order(finding: Finding) -> tuple[int, str, int, str, str, str]:
    return (
        _ORDER[finding.severity],
        finding.sheet or "",
        finding.row or 0,
        # column A before column AA
        (finding.cell or "").rjust(12),
        finding.code,
        finding.column or "",
    )


def _texts(finding: Finding) -> tuple[str, str]:
    """What is wrong, and what to do."""
    words = entry(finding.code)
    facts: dict[str, Any] = {"value": finding.value if finding.value not in (None, "") else "（空）"}
    facts["cell"] = finding.cell or ""
    facts.update(finding.params)
    return words.message_zh.format_map(facts).rstrip("。"), words.mend_zh.format_map(facts)


def _mark_cells(book: openpyxl.Workbook, findings: Iterable[Finding]) -> None:
    by_cell: dict[tuple[str, str], list[Finding]] = defaultdict(list)
    for finding in findings:
        address = finding.cell or (f"A{finding.row}" if finding.row else None)
        if finding.sheet in book.sheetnames and address:
            by_cell[finding.sheet or "", address].append(finding)
    for (sheet_name, address), here in by_cell.items():
        sheet = book[sheet_name]
        cell = _anchor(sheet, address)
        cell.fill = _FILLS[here[0].severity]
        text = _comment_text(here)
        if cell.comment is not None:
            text = f"{text}\n（原批注）{cell.comment.text}"[:_COMMENT_CHARACTERS]
        comment = Comment(text, MARK_AUTHOR)
        comment.width, comment.height = 320, 24 + 18 * _lines(text, 42)
        cell.comment = comment


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
        problem, mend = _texts(finding)
        said.append(f"【{_LEVELS[finding.severity]}】{problem}。{mend}")
    if len(findings) > _COMMENT_FINDINGS:
        said.append(f"此处共{len(findings)}个问题，其余见“{PROBLEM_SHEET}”。")
    return str(ILLEGAL_CHARACTERS_RE.sub("", "\n".join(said)))[:_COMMENT_CHARACTERS]


# ------------------------------------------------------------------------------------------------------- the list


def _write_listing(
    sheet: Worksheet,
    findings: Sequence[Finding],
    title: str,
    file_name: str,
    answers: Mapping[tuple[str, str, str], str],
    *,
    known_sheets: Sequence[str],
    copied: bool,
) -> None:
    last = len(PROBLEM_HEADERS) - 1
    counts = Counter(finding.severity for finding in findings)
    number = "，".join(f"{_LEVELS[severity]} {counts[severity]} 条" for severity in _ORDER if counts[severity])
    cap = f"问题较多，本表只列出最要紧的前 {DETAIL_LIMIT} 条。" if len(findings) > DETAIL_LIMIT else ""
    result = _RESULTS[min((finding.severity for finding in findings), key=_ORDER.__getitem__, default="W")]
    summary = f"文件：{file_name}　　{result}　　共 {len(findings)} 条：{number}。{cap}"
    lines = [title, summary, _HOW_TO + (_COPIED if copied else _NOT_COPIED)]
    for row, text in enumerate(lines, start=1):
        sheet.merge_cells(start_row=row, start_column=1, end_row=row, end_column=last)
        cell = sheet.cell(row, 1, neutral(text))
        cell.font = Font(name=_FONT, size=(16, 11, 10)[row - 1], bold=row == 1, color=None if row < 3 else "FF555555")
        cell.alignment = Alignment(horizontal="center" if row == 1 else "left", vertical="center", wrap_text=True)
        width = sum(_WIDTHS[:last])
        sheet.row_dimensions[row].height = (32, 0, 0)[row - 1] or 16 * _lines(text, width - 4) + 6

    top = len(lines) + 1
    for column, text in enumerate(PROBLEM_HEADERS, start=1):
        cell = sheet.cell(top, column, text)
        cell.font = Font(name=_FONT, size=11, bold=True)
        cell.fill, cell.border = _HEADER_FILL, _BOX
        cell.alignment = Alignment(horizontal="center", vertical="center", wrap_text=True)
        sheet.column_dimensions[get_column_letter(column)].width = _WIDTHS[column - 1]
    sheet.row_dimensions[top].height = 24
    sheet.column_dimensions[get_column_letter(last + 1)].hidden = True

    for place, finding in enumerate(findings[:DETAIL_LIMIT], start=1):
        _write_listed(sheet, top + place, place, finding, answers, known_sheets)
    bottom = top + min(len(findings), DETAIL_LIMIT)
    sheet.freeze_panes = f"A{top + 1}"
    sheet.auto_filter.ref = f"A{top}:{get_column_letter(last)}{bottom}"
    sheet.print_title_rows = f"{top}:{top}"
    sheet.print_area = f"A1:{get_column_letter(last)}{bottom}"
    sheet.sheet_view.showGridLines = False
    cast(Any, sheet.oddFooter).center.text = "第 &P 页 共 &N 页"
    _fit_page(sheet, landscape=True)


def _write_listed(
    sheet: Worksheet,
    row: int,
    place: int,
    finding: Finding,
    answers: Mapping[tuple[str, str, str], str],
    known_sheets: Sequence[str],
) -> None:
    problem, mend = _texts(finding)
    at = finding.cell or (f"第{finding.row}行" if finding.row else "")
    value = finding.value or ""
    value = value if len(value) <= _VALUE_CHARACTERS else value[:_VALUE_CHARACTERS] + "…"
    texts = [
        str(place),
        _LEVELS[finding.severity],
        finding.sheet or "整个文件",
        at,
        _header_of(finding),
        value,
        problem,
        mend,
        answers.get((finding.sheet or "", finding.cell or "", finding.code), ""),
        finding.code,
    ]
    for column, text in enumerate(texts, start=1):
        cell = cast(Cell, sheet.cell(row, column))
        cell.value = place if column == 1 else neutral(text)
        cell.font = Font(name=_FONT, size=10)
        cell.border = _BOX
        cell.alignment = Alignment(
            horizontal="center" if column in (1, 2, 4) else "left", vertical="center", wrap_text=True
        )
    sheet.cell(row, 2).fill = _FILLS[finding.severity]
    answer = sheet.cell(row, 9)
    answer.fill, answer.protection = _ANSWER_FILL, Protection(locked=False)
    if at and finding.sheet in known_sheets:
        link = cast(Cell, sheet.cell(row, 4))
        target = (finding.sheet or "").replace("'", "''")
        link.hyperlink = Hyperlink(
            ref=link.coordinate, location=f"'{target}'!{finding.cell or f'A{finding.row}'}", display=at
        )
        link.font = Font(name=_FONT, size=10, underline="single", color="FF0563C1")
    height = max(_lines(text, width - 1.5) for text, width in zip(texts[:9], _WIDTHS, strict=False))
    sheet.row_dimensions[row].height = max(20, 14 * height + 6)


def _header_of(finding: Finding) -> str:
    """Header text of the finding's column, as the clerk knows it."""
    header = finding.params.get("header")
    if not header and finding.form and finding.column:
        column = load_forms()[finding.form].columns.get(finding.column)
        header = column.header if column else finding.column
    return re.sub(r"\s+", "", str(header or ""))


def _explanations(opened: Workbook) -> list[Explanation]:
    listing = next((sheet for sheet in opened.sheets if sheet.name == PROBLEM_SHEET), None)
    if listing is None:
        return []
    columns: dict[str, int] = {}
    found: list[Explanation] = []
    for row in listing.rows:
        texts = [str(value).strip() for value in row]
        if not columns:
            if EXPLANATION in texts and RULE in texts:
                columns = {text: place for place, text in enumerate(texts) if text}
            continue
        sheet, cell, code, text = (texts[columns[name]] for name in ("工作表", "单元格", RULE, EXPLANATION))
        if text and code:
            found.append(Explanation(sheet=sheet.removeprefix("'"), cell=cell, code=code, text=text.removeprefix("'")))
    return found


# ---------------------------------------------------------------------------------------------------- page and file


def _width(text: str) -> int:
    """Width in half-width characters of the widest line."""
    widths = (sum(2 if unicodedata.east_asian_width(ch) in "WFA" else 1 for ch in line) for line in text.split("\n"))
    return max(widths, default=0)


def _lines(text: str, width: float) -> int:
    """Lines that a text takes in a column of that many half-width characters."""
    return sum(max(1, math.ceil(_width(line) / max(width, 2))) for line in text.split("\n"))


def _fit_page(sheet: Worksheet, *, landscape: bool) -> None:
    wide = sheet.max_column > 20
    sheet.page_setup.paperSize = 8 if wide else 9  # A3, A4
    sheet.page_setup.orientation = "landscape" if landscape else "portrait"
    sheet.sheet_properties.pageSetUpPr = PageSetupProperties(fitToPage=True)
    sheet.page_setup.fitToWidth = 1
    sheet.page_setup.fitToHeight = 0
    sheet.print_options.horizontalCentered = True
    margins = sheet.page_margins
    margins.left = margins.right = 0.4
    margins.top, margins.bottom = 0.5, 0.7
    margins.header = margins.footer = 0.3


def _has_print_setup(sheet: Worksheet) -> bool:
    """Whether the county chose how its sheet prints: fitted to pages, scaled, or turned."""
    fitted = sheet.sheet_properties.pageSetUpPr
    setup = sheet.page_setup
    turned = setup.orientation not in (None, "default", "portrait")
    return bool(fitted and fitted.fitToPage) or setup.scale not in (None, 100) or turned


def _period_zh(period: str | None) -> str:
    return f"{period[:4]}年{int(period[5:])}月" if period else ""


def _save(book: openpyxl.Workbook, destination: Path) -> Path:
    book.properties.creator = book.properties.lastModifiedBy = MARK_AUTHOR
    book.properties.created = book.properties.modified = _FIXED_TIME
    buffer = io.BytesIO()
    book.save(buffer)
    # What a process left that was killed while it wrote this very workbook.
    for stale in destination.parent.glob(f".{glob.escape(destination.name)}.*"):
        stale.unlink(missing_ok=True)
    unfinished = destination.with_name(f".{destination.name}.{os.getpid()}")
    unfinished.write_bytes(fixed_zip(buffer.getvalue()))
    unfinished.replace(destination)
    return destination
