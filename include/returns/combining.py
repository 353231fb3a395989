"""A county's own sheets, from one file or several, brought together in one ``.xlsx`` in which nothing can run.

An ``.xlsx`` keeps its look (styles, merges, widths, heights, formats, panes, print set-up); sheets of other kinds are
rebuilt from their values and merges. Macros, links, pivot tables, charts and formulas beyond plain arithmetic are taken
out; a formula that goes leaves the value that the county's program had calculated. Formulas that stay keep that value
too, so that the workbook reads the same in a previewer, and here, without being calculated again.
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
from copy import copy
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from pathlib import Path, PurePosixPath
from typing import Any, cast

import openpyxl
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE, Cell, MergedCell
from openpyxl.comments import Comment
from openpyxl.formula.tokenizer import Token, Tokenizer, TokenizerError
from openpyxl.packaging.core import DocumentProperties
from openpyxl.packaging.custom import CustomPropertyList
from openpyxl.styles import Alignment, Border, Font, PatternFill, Side
from openpyxl.styles.cell_style import StyleArray
from openpyxl.utils import get_column_letter, quote_sheetname
from openpyxl.utils.datetime import to_excel
from openpyxl.workbook.child import INVALID_TITLE_REGEX
from openpyxl.workbook.defined_name import DefinedName
from openpyxl.workbook.properties import CalcProperties
from openpyxl.workbook.views import BookView
from openpyxl.worksheet.properties import PageSetupProperties
from openpyxl.worksheet.scenario import ScenarioList
from openpyxl.worksheet.worksheet import Worksheet

from include.intake.headers import squash
from include.intake.workbook import Refused, Sheet, Workbook, open_workbook

logger = logging.getLogger(__name__)

PROBLEM_SHEET = "问题清单"
META_SHEET = "_meta"
MARK_AUTHOR = "数据质量检查"
OWN_COMMENT = "\n（原批注）"
MARK_STARTS = ("【整表退回】", "【本行暂扣】", "【请核对】")
MARK_COLOURS = ("FFFF9B9B", "FFFFC98A", "FFFFF3A6")
"""Fills of E, R and W. They are taken out of a workbook that comes back, or the marks of two months would mix."""

MAX_COPIED_SHEET_BYTES = 24 * 1024 * 1024
"""Inflated worksheet XML of all files together up to which they are copied with their look: 600,000 formatted cells."""

MAX_REBUILT_CELLS = 600_000

FACE = "宋体"
HAIR = Side(style="thin", color="FF9AA5B1")
BOX = Border(left=HAIR, right=HAIR, top=HAIR, bottom=HAIR)
HEADER_FILL = PatternFill("solid", start_color="FFDCE6F1", end_color="FFDCE6F1")

_TITLE_CHARACTERS = 31
_FIXED_TIME = datetime(2000, 1, 1)
_FIXED_ZIP_TIME = (1980, 1, 1, 0, 0, 0)
_BUILTIN_FORMATS = 164
_UNSAFE_START = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
#: A dash for "none", a signed number, a telephone number with its country: no spreadsheet can make more of these.
_HARMLESS = re.compile(r"[-+－＋—–\s\d.,()（）/]*")
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
#: Lists that depend on another cell are built with these; they look up cells of this workbook, nothing else.
_LIST_FUNCTIONS = _PLAIN_FUNCTIONS | {"INDIRECT", "OFFSET"}
_FUNCTION = re.compile(r"([A-Z_][A-Z0-9_.]*)\s*\(")
_CELL_NAME = re.compile(r"\$?[A-Za-z]{0,3}\$?\d*(?::\$?[A-Za-z]{0,3}\$?\d*)?")


@dataclass(frozen=True, slots=True)
class Part:
    """A received file as it goes into the combined workbook.

    Attributes:
        data: whole file.
        file_kind: kind the reader recognised; ``None`` or ``""``: it is not opened.
        file_name: name as received.
        titles: sheet title -> title of the form that it holds.
        sheets: form sheets wanted; ``None``: every sheet. Sheets that hold no form come along in either case.
    """

    data: bytes
    file_kind: str | None
    file_name: str
    titles: Mapping[str, str] = field(default_factory=dict)
    sheets: tuple[str, ...] | None = None


@dataclass(slots=True)
class Combined:
    """The combined workbook.

    Attributes:
        book: without sheets when nothing could be copied.
        sheets: (position of the file, sheet title in that file) -> the sheet as it stands here.
        left_out: positions of the files that are not copied: ``unopened`` or ``too_large``.
        values: sheet title here -> address -> calculated value of the formula there.
    """

    book: openpyxl.Workbook
    sheets: dict[tuple[int, str], Worksheet] = field(default_factory=dict)
    left_out: dict[int, str] = field(default_factory=dict)
    values: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(slots=True)
class _Source:
    """One distinct file: the positions at which it was given, what calamine reads, which sheets go under which title
    (``None``: this very sheet is there already, or it stays away)."""

    part: Part
    positions: list[int]
    opened: Workbook
    names: list[str]
    loaded: openpyxl.Workbook | None = None
    titles: dict[str, str] = field(default_factory=dict)
    twins: dict[str, str] = field(default_factory=dict)

    @property
    def label(self) -> str:
        return PurePosixPath(self.part.file_name.replace("\\", "/")).stem or "文件"

    def sheet(self, name: str) -> Sheet:
        return next(sheet for sheet in self.opened.sheets if sheet.name == name)


# ------------------------------------------------------------------------------------------------------ combining


def combine(parts: Sequence[Part]) -> Combined:
    """The sheets of all files in one workbook, in the order of the files; sheets that hold no form after the forms.

    The same bytes twice are copied once. Sheets of one name are told apart by the title of their form, or by their
    file; an accompanying sheet that stands alike in several files comes once. Of several ``_meta`` sheets one is kept,
    with the entries on which all agree.
    """
    sources, left_out = _sources(parts)
    _choose_titles(sources)
    base = next((source.loaded for source in sources if source.loaded is not None), None)
    if base is None:
        book = openpyxl.Workbook()
        book.remove(book.worksheets[0])
        cast(Any, book)._fonts[0] = Font(name=FACE, size=11, family=3, charset=134)
    else:
        book = base
    result = Combined(book, left_out=left_out)
    taken_names: dict[str, str] = {}
    order: list[Worksheet] = []
    for source in sources:
        if source.loaded is None:
            order += _add_rebuilt(result, source)
        else:
            order += _add_loaded(result, source, taken_names)
    if len(sources) > 1:
        # the forms of all files first, then the notes and lists that came with them
        beside = {
            source.titles[name]
            for source in sources
            for name in source.titles
            if source.part.titles and name not in source.part.titles
        }
        order.sort(key=lambda sheet: sheet.title in beside)
    cast(Any, book)._sheets = order
    _clear_workbook(book, {name: DefinedName(name, attr_text=text) for name, text in taken_names.items()})
    for source in sources:
        for name in source.names:
            sheet = next(sheet for sheet in order if sheet.title == (source.twins.get(name) or source.titles[name]))
            for position in source.positions:
                result.sheets[position, name] = sheet
    _agree_on_meta(sources, result)
    return result


def _sources(parts: Sequence[Part]) -> tuple[list[_Source], dict[int, str]]:
    left_out: dict[int, str] = {}
    by_data: dict[bytes, _Source] = {}
    wanted: dict[bytes, set[str] | None] = {}
    for position, part in enumerate(parts):
        known = by_data.get(part.data)
        if known is None:
            opened = _opened(part) if part.file_kind else None
            if opened is None:
                left_out[position] = "unopened"
                continue
            known = by_data[part.data] = _Source(part, [], opened, [])
            wanted[part.data] = set()
        known.positions.append(position)
        so_far = wanted[part.data]
        wanted[part.data] = None if so_far is None or part.sheets is None else so_far | set(part.sheets)
        if part.titles:
            known.part = Part(part.data, part.file_kind, part.file_name, {**known.part.titles, **part.titles})
    room_bytes, room_cells = MAX_COPIED_SHEET_BYTES, MAX_REBUILT_CELLS
    fitting: list[_Source] = []
    # the small ones first: one file out of all measure must not keep the others out
    for source in sorted(by_data.values(), key=lambda source: len(source.part.data)):
        source.names = [sheet.name for sheet in source.opened.sheets if _is_wanted(sheet.name, source, wanted)]
        size = _sheet_bytes(source.part.data) if source.opened.kind == "xlsx" else None
        if size is not None and size <= room_bytes:
            source.loaded = _loaded(source.part.data)
        if source.loaded is not None and size is not None:
            room_bytes -= size
        else:
            chosen = (source.sheet(name) for name in source.names)
            cells = sum(len(sheet.rows) * len(sheet.rows[0]) for sheet in chosen if sheet.rows)
            if cells > room_cells:
                left_out.update(dict.fromkeys(source.positions, "too_large"))
                continue
            room_cells -= cells
        fitting.append(source)
    return sorted(fitting, key=lambda source: source.positions[0]), left_out


def _is_wanted(name: str, source: _Source, wanted: Mapping[bytes, set[str] | None]) -> bool:
    if is_listing(name):
        return False
    sheets = wanted[source.part.data]
    if sheets is None or name in sheets or name.startswith("_"):
        return True
    return bool(source.part.titles) and name not in source.part.titles


def is_listing(name: str) -> bool:
    """Whether a sheet is a list of problems of ours (``问题清单``, ``问题清单(2)``)."""
    return squash(name).startswith(PROBLEM_SHEET)


def _opened(part: Part) -> Workbook | None:
    try:
        return open_workbook(part.data, part.file_name)
    except Refused:
        return None


def _sheet_bytes(data: bytes) -> int:
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        return sum(info.file_size for info in package.infolist() if info.filename.startswith("xl/worksheets/"))


def _loaded(data: bytes) -> openpyxl.Workbook | None:
    try:
        book = openpyxl.load_workbook(io.BytesIO(data), keep_vba=False, keep_links=False)
    except Exception as error:
        # openpyxl raises whatever its parsers meet; the reader opened the file, so its values can still be given back
        logger.warning("workbook is rebuilt from its values, openpyxl cannot load it: %s", type(error).__name__)
        return None
    return book if book.worksheets else None


# --------------------------------------------------------------------------------------------------- sheet titles


def _choose_titles(sources: Sequence[_Source]) -> None:
    """Gives every sheet a title of its own here, and finds the sheets that stand alike in several files."""
    for source in sources:
        if source.loaded is not None:
            loaded = set(source.loaded.sheetnames)
            source.names = [name for name in source.names if name in loaded]
    count = Counter(_valid_title(name).casefold() for source in sources for name in source.names)
    taken: set[str] = {PROBLEM_SHEET}
    first: dict[str, tuple[_Source, str]] = {}
    for source in sources:
        forms = list(dict.fromkeys(source.part.titles.get(name, "") for name in source.names))
        about = next((form for form in forms if form), source.label)
        for name in source.names:
            valid = _valid_title(name)
            alone = count[valid.casefold()] == 1
            form = source.part.titles.get(name)
            if not alone and form is None:
                known = first.setdefault(valid.casefold(), (source, name))
                if known[0] is not source and (
                    squash(name) == META_SHEET or known[0].sheet(known[1]).rows == source.sheet(name).rows
                ):
                    source.twins[name] = known[0].titles[known[1]]
                    continue
            if alone or (form is None and valid not in taken):
                title = valid
            elif form is not None:
                # 企业情况表 says more than Sheet1; a sheet that has the form in its name already is told by its file
                title = form if form not in valid else f"{valid}（{source.label}）"
            elif name.startswith("_"):
                title = valid
            else:
                title = f"{valid}（{about}）"
            source.titles[name] = _unique_title(title, taken)
            taken.add(source.titles[name])


def _valid_title(name: str) -> str:
    """A title that the .xlsx format can carry: another would make the whole return fail."""
    return INVALID_TITLE_REGEX.sub("_", str(ILLEGAL_CHARACTERS_RE.sub("", name))).strip("'")[:_TITLE_CHARACTERS] or "_"


def _unique_title(title: str, taken: Iterable[str]) -> str:
    used = {name.casefold() for name in taken}
    title = _valid_title(title)
    if title.casefold() not in used:
        return title
    numbered = (
        f"{title[: _TITLE_CHARACTERS - len(str(number))]}{number}"
        if title.startswith("_")
        else f"{title[: _TITLE_CHARACTERS - len(str(number)) - 2]}（{number}）"
        for number in range(2, 10_000)
    )
    return next(candidate for candidate in numbered if candidate.casefold() not in used)


def _agree_on_meta(sources: Sequence[_Source], result: Combined) -> None:
    """Blanks the entries of the one ``_meta`` sheet on which the files do not agree (form, version)."""
    metas = [source.sheet(name) for source in sources for name in source.names if squash(name) == META_SHEET]
    if len(metas) < 2:
        return
    entries = [{str(row[0]).strip().lower(): str(row[1]) for row in meta.rows if len(row) > 1} for meta in metas]
    sheet = next(sheet for (_, name), sheet in result.sheets.items() if squash(name) == META_SHEET)
    for row in sheet.iter_rows(max_col=2):
        key = str(row[0].value or "").strip().lower()
        if len({known.get(key) for known in entries}) > 1:
            for cell in row:
                if not isinstance(cell, MergedCell):
                    cell.value = None


# ------------------------------------------------------------------------------------------------ copied workbooks


def _add_loaded(result: Combined, source: _Source, taken_names: dict[str, str]) -> list[Worksheet]:
    """Disarmed sheets of a loaded workbook, under their titles, in the combined workbook."""
    loaded = source.loaded
    assert loaded is not None
    renames = _Renames(
        {name.casefold(): source.titles.get(name) or source.twins.get(name) for name in source.names},
        {},
        is_changed=any(source.titles.get(name) != name for name in (*source.names, *loaded.sheetnames)),
    )
    for name, defined in loaded.defined_names.items():
        renames.names[name.casefold()] = _take_name(name, defined, renames, taken_names)
    sheets = [cast(Worksheet, sheet) for sheet in loaded.worksheets if sheet.title in source.titles]
    titles = [source.titles[sheet.title] for sheet in sheets]
    for sheet in sheets:
        values = _disarm(sheet, source.sheet(sheet.title), renames)
        result.values[source.titles[sheet.title]] = values
    for number, sheet in enumerate(sheets):
        # Two steps, or a sheet could not take a name that another still has.
        sheet.title = f"\ue000{number}"
    for sheet, title in zip(sheets, titles, strict=True):
        if loaded is not result.book:
            _adopt(result.book, sheet)
        sheet.title = title
    return sheets


def _adopt(book: openpyxl.Workbook, sheet: Worksheet) -> None:
    """Moves a sheet into another workbook: cells keep their objects, styles are entered in the other's tables.

    openpyxl has no public way; copying cell by cell costs ten times as much.
    """
    home, source = cast(Any, book), cast(Any, sheet.parent)
    known: dict[tuple[int, ...], StyleArray] = {}

    def there(style: Any) -> StyleArray:
        key = tuple(style)
        if key not in known:
            new = copy(style)
            new.fontId = home._fonts.add(source._fonts[style.fontId])
            new.fillId = home._fills.add(source._fills[style.fillId])
            new.borderId = home._borders.add(source._borders[style.borderId])
            new.alignmentId = home._alignments.add(source._alignments[style.alignmentId])
            new.protectionId = home._protections.add(source._protections[style.protectionId])
            if style.numFmtId >= _BUILTIN_FORMATS:
                code = source._number_formats[style.numFmtId - _BUILTIN_FORMATS]
                new.numFmtId = home._number_formats.add(code) + _BUILTIN_FORMATS
            new.xfId = 0
            known[key] = new
        return copy(known[key])

    own = cast(Any, sheet)
    styled = [*own._cells.values(), *sheet.column_dimensions.values(), *sheet.row_dimensions.values()]
    for item in styled:
        if item._style:
            item._style = there(item._style)
    for table in list(sheet.tables.values()):
        while home._duplicate_name(table.displayName):
            table.displayName = table.name = f"{table.displayName}_"
    own._parent = book


def _clear_workbook(book: openpyxl.Workbook, names: Mapping[str, DefinedName]) -> None:
    """What a workbook carries beside its sheets goes: nothing of it is the county's data."""
    inner = cast(Any, book)
    inner._external_links = []
    inner._pivots = []
    inner.vba_archive = None
    inner.security = None
    inner.code_name = None
    inner.custom_doc_props = CustomPropertyList()
    inner.properties = DocumentProperties()
    inner.views = [BookView()]
    inner.defined_names.clear()
    inner.defined_names.update(names)


@dataclass(slots=True)
class _Renames:
    """Sheets and names of one file (case-folded) -> what they are called here; ``None`` or missing: not here."""

    sheets: Mapping[str, str | None]
    names: dict[str, str | None]
    is_changed: bool

    def applied(self, formula: str) -> str | None:
        """The formula (with its ``=``) as it reads here; ``None`` when it speaks of what is not here."""
        renamed = any(new is None or new.casefold() != old for old, new in self.names.items())
        if not renamed and not (self.is_changed and "!" in formula):
            return formula
        try:
            tokens = Tokenizer(formula).items
        except (TokenizerError, IndexError):
            return None
        written = []
        for token in tokens:
            text = self._operand(token.value) if _is_reference(token) else token.value
            if text is None:
                return None
            written.append(text)
        return "=" + "".join(written)

    def _operand(self, text: str) -> str | None:
        sheet, mark, reference = text.rpartition("!")
        if mark:
            title = self.sheets.get(sheet.strip("'").replace("''", "'").casefold())
            return None if title is None else f"{quote_sheetname(title)}!{reference}"
        if _CELL_NAME.fullmatch(text) or text.casefold() not in self.names:
            return text
        return self.names[text.casefold()]


def _is_reference(token: Token) -> bool:
    return bool(token.type == Token.OPERAND and token.subtype == Token.RANGE)


def _take_name(name: str, defined: Any, renames: _Renames, taken: dict[str, str]) -> str | None:
    """The name under which a defined name goes on here: another when two files mean different things by one."""
    text = renames.applied(f"={defined.attr_text}") if _is_kept_name(defined) else None
    if text is None:
        return None
    text = text[1:]
    new, number = name, 1
    while taken.get(new, text) != text:
        number += 1
        new = f"{name}_{number}"
    taken[new] = text
    return new


def _is_kept_name(defined: Any) -> bool:
    text = defined.attr_text or ""
    acts = defined.function or defined.vbProcedure or defined.xlm or defined.is_external
    return not acts and not defined.is_reserved and "#REF!" not in text and _is_plain_formula(f"={text}")


def _disarm(sheet: Worksheet, opened: Sheet, renames: _Renames) -> dict[str, Any]:
    """Takes out of a sheet what could act, and the marks of an earlier return. Plain formulas stay: the county
    needs its totals.

    Returns:
        Address -> calculated value of every formula that stays and has one.
    """
    values: dict[str, Any] = {}
    inner = cast(Any, sheet)
    cleared: dict[int, bool] = {}
    for (row, column), cell in inner._cells.items():
        style = cell._style
        if style is not None and style.fillId:
            if style.fillId not in cleared:
                cleared[style.fillId] = cell.fill.start_color.rgb in MARK_COLOURS
            if cleared[style.fillId]:
                cell.fill = PatternFill()
        if isinstance(cell, MergedCell):
            continue
        if cell.data_type == "f":
            value = _calculated(opened, row - 1, column - 1)
            formula = renames.applied(cell.value) if _is_plain_formula(cell.value) else None
            if formula is not None:
                cell._value = formula
                if value is not None:
                    values[cell.coordinate] = value
            elif value is not None:
                _set_value(cell, value)
            else:
                cell.value = neutral(str(getattr(cell.value, "text", cell.value)))
        if cell.hyperlink is not None:
            _disarm_link(cell, renames)
        if cell.comment is not None:
            _unmark(cell)
    _disarm_rest(sheet, renames)
    if not _has_print_setup(sheet):
        fit_page(sheet, landscape=True)
    return values


def _disarm_link(cell: Cell, renames: _Renames) -> None:
    """A link to a place in this workbook stays, every other goes."""
    link = cast(Any, cell.hyperlink)
    location = renames.applied(f"={link.location}") if link.location and "!" in link.location else None
    if link.target or location is None:
        cell.hyperlink = None
    else:
        link.location = location[1:]


def _unmark(cell: Cell) -> None:
    """Takes our comment off a cell; the county's own, that was kept below ours, is put back."""
    comment = cast(Comment, cell.comment)
    text = comment.text or ""
    if comment.author != MARK_AUTHOR and not text.startswith(MARK_STARTS):
        return
    cell.comment = None
    _, kept, own = text.partition(OWN_COMMENT)
    if kept:
        cell.comment = Comment(own, "")


def _disarm_rest(sheet: Worksheet, renames: _Renames) -> None:
    inner = cast(Any, sheet)
    inner.legacy_drawing = None
    inner._pivots = []
    # Series of a chart name sheets and other workbooks in a dozen places.
    inner._charts = []
    inner.scenarios = ScenarioList()
    inner.page_setup.id = None
    inner.sheet_properties.codeName = None
    inner.sheet_view.tabSelected = False
    for name in list(sheet.defined_names):
        defined = sheet.defined_names[name]
        text = renames.applied(f"={defined.attr_text}") if _is_kept_name(defined) else None
        if text is None:
            del sheet.defined_names[name]
        else:
            defined.attr_text = text[1:]
    kept = []
    for validation in sheet.data_validations.dataValidation:
        formulas = [_list_formula(text, renames) for text in (validation.formula1, validation.formula2)]
        if None not in formulas:
            validation.formula1, validation.formula2 = (text or None for text in formulas)
            kept.append(validation)
    sheet.data_validations.dataValidation = kept
    rules = sheet.conditional_formatting
    sheet.conditional_formatting = type(rules)()
    for area in rules:
        for rule in area.rules:
            formulas = [_list_formula(text, renames) for text in rule.formula]
            if None not in formulas:
                rule.formula = formulas
                sheet.conditional_formatting.add(str(area.sqref), rule)
    for table in sheet.tables.values():
        for column in table.tableColumns:
            column.calculatedColumnFormula = column.totalsRowFormula = None


def _list_formula(text: str | None, renames: _Renames) -> str | None:
    """A formula of a list or a conditional format as it reads here: ``""`` for none, ``None`` when it has to go."""
    if not text:
        return ""
    if not _is_plain_formula(f"={text}", _LIST_FUNCTIONS):
        return None
    applied = renames.applied(f"={text}")
    return None if applied is None else applied[1:]


def _calculated(opened: Sheet, row: int, column: int) -> Any:
    """What the county's program had calculated at a place (0-based); ``None`` when nothing, or an error."""
    if (row, column) in opened.scan.gaps or row >= len(opened.rows) or column >= len(opened.rows[row]):
        return None
    value = opened.rows[row][column]
    return None if value == "" else value


def _is_plain_formula(formula: Any, functions: frozenset[str] = _PLAIN_FUNCTIONS) -> bool:
    if not isinstance(formula, str):
        return False
    # quoted names first: a sheet may be called 附件(1)
    bare = re.sub(r"'[^']*'|\"[^\"]*\"", "", formula).upper()
    if any(mark in formula for mark in "|[]"):
        return False
    return all(name in functions for name in _FUNCTION.findall(bare))


# ------------------------------------------------------------------------------------------------- rebuilt workbooks


def _add_rebuilt(result: Combined, source: _Source) -> list[Worksheet]:
    """Sheets of the same values and merges, in a plain readable look."""
    added = []
    for name in source.names:
        if name not in source.titles:
            continue
        sheet = source.sheet(name)
        target = result.book.create_sheet()
        # openpyxl would number a title that it thinks is taken
        cast(Any, target)._WorkbookChild__title = source.titles[name]
        if not sheet.visible:
            target.sheet_state = "hidden"
        _fill_rebuilt(target, sheet)
        added.append(target)
    return added


def _fill_rebuilt(target: Worksheet, sheet: Sheet) -> None:
    head, first_data = _header_span(sheet)
    widths: dict[int, int] = defaultdict(int)
    looks: dict[tuple[Any, ...], StyleArray] = {}
    for r, row in enumerate(sheet.rows, start=1):
        is_header = head < r <= first_data
        # above the table, and the signatures and notes below it
        is_title = r <= head or (first_data < r and first_data > 0 and sum(value != "" for value in row) < 4)
        for c, value in enumerate(row, start=1):
            if value == "" and is_title:
                continue
            cell = cast(Cell, target.cell(r, c))
            _set_value(cell, value)
            style = cast(Any, cell)
            look = (is_header, is_title, is_title and r == 1, isinstance(value, str), cell.number_format)
            if look in looks:
                style._style = copy(looks[look])
            else:
                _style_rebuilt(cell, is_header=is_header, is_title=is_title)
                looks[look] = copy(style._style)
            if cell.data_type == "s" and str(cell.value).startswith(_UNSAFE_START):
                style.quotePrefix = True
            if not is_title:
                text_width = width_of(_shown(value))
                widths[c] = max(widths[c], min(text_width, 14) if is_header else min(text_width, 34))
    for c, width in widths.items():
        target.column_dimensions[get_column_letter(c)].width = max(7, width + 2)
    for top, left, bottom, right in sheet.merges:
        if (top, left) != (bottom, right):
            target.merge_cells(start_row=top + 1, start_column=left + 1, end_row=bottom + 1, end_column=right + 1)
            if top == 0 and top < head:
                target.cell(1, left + 1).alignment = Alignment(horizontal="center", vertical="center")
                target.row_dimensions[1].height = 30
    if first_data:
        for r in range(head + 1, first_data + 1):
            target.row_dimensions[r].height = 30
        target.freeze_panes = f"A{first_data + 1}"
        target.print_title_rows = f"{head + 1}:{first_data}"
    fit_page(target, landscape=True)


def _style_rebuilt(cell: Cell, *, is_header: bool, is_title: bool) -> None:
    is_first = cell.row == 1 and is_title
    cell.font = Font(name=FACE, size=16 if is_first else 10, bold=is_header or is_first, charset=134)
    if is_header:
        cell.alignment = Alignment(horizontal="center", vertical="center", wrap_text=True)
        cell.fill = HEADER_FILL
    else:
        cell.alignment = Alignment(vertical="center", wrap_text=isinstance(cell.value, str) and not is_title)
    if not is_title:
        cell.border = BOX


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


def _shown(value: Any) -> str:
    if isinstance(value, datetime) and value.time() == time():
        return f"{value:%Y-%m-%d}"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _set_value(cell: Cell, value: Any) -> None:
    if value == "":
        return
    if isinstance(value, str):
        clean = str(ILLEGAL_CHARACTERS_RE.sub("", value))
        cell.value = None
        # as text, whatever it looks like; what no spreadsheet could act upon keeps its wording, or 无 as "-" would not
        # be understood when the workbook comes back
        inner = cast(Any, cell)
        inner._value = clean if _HARMLESS.fullmatch(clean) else neutral(clean)
        inner.data_type = "s"
    elif isinstance(value, datetime) and value.time() == time():
        cell.value = value
        cell.number_format = "yyyy-mm-dd"
    elif isinstance(value, bool | datetime | date | time | timedelta):
        cell.value = value
    elif isinstance(value, int | float) and math.isfinite(value):
        whole = float(value).is_integer() and abs(value) < 1e15
        cell.value = int(value) if whole else value
        if whole and abs(value) >= 1e10:
            # a telephone or account number, not 1.38E+10 where the column is narrow
            cell.number_format = "0"
    else:
        cell.value = neutral(str(value))


# --------------------------------------------------------------------------------------------------- texts and pages


def neutral(text: str) -> str:
    """Text that no spreadsheet takes for a formula: ``=1+1`` becomes ``'=1+1``; control characters are dropped."""
    clean = str(ILLEGAL_CHARACTERS_RE.sub("", text))
    return "'" + clean if clean.startswith(_UNSAFE_START) else clean


def width_of(text: str) -> int:
    """Width in half-width characters of the widest line."""
    widths = (sum(2 if unicodedata.east_asian_width(ch) in "WFA" else 1 for ch in line) for line in text.split("\n"))
    return max(widths, default=0)


def lines_of(text: str, width: float) -> int:
    """Lines that a text takes in a column of that many half-width characters."""
    return sum(max(1, math.ceil(width_of(line) / max(width, 2))) for line in text.split("\n"))


def fit_page(sheet: Worksheet, *, landscape: bool) -> None:
    """One page wide, as many high as it takes; A3 where a sheet has more than 20 columns."""
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


# ------------------------------------------------------------------------------------------------------- the file


def save(book: openpyxl.Workbook, destination: Path, values: Mapping[str, Mapping[str, Any]] | None = None) -> Path:
    """Writes the workbook in one step, readable by its owner alone (it may carry the county's personal columns).

    Args:
        values: sheet title -> address -> calculated value, entered beside the formula there.
    """
    values = values or {}
    book.properties.creator = book.properties.lastModifiedBy = MARK_AUTHOR
    book.properties.created = book.properties.modified = _FIXED_TIME
    without = any(
        cell.data_type == "f" and cell.coordinate not in values.get(sheet.title, {})
        for sheet in book.worksheets
        for cell in cast(Any, sheet)._cells.values()
    )
    book.calculation = CalcProperties(fullCalcOnLoad=without)
    parts = {
        f"xl/worksheets/sheet{number}.xml": values[sheet.title]
        for number, sheet in enumerate(book.worksheets, start=1)
        if values.get(sheet.title)
    }
    commented = [sheet for sheet in book.worksheets if any(c.comment for c in cast(Any, sheet)._cells.values())]
    drawings = {f"xl/drawings/commentsDrawing{n}.vml": _Grid(sheet) for n, sheet in enumerate(commented, start=1)}
    buffer = io.BytesIO()
    book.save(buffer)
    # What a process left that was killed while it wrote this very workbook.
    for stale in destination.parent.glob(f".{glob.escape(destination.name)}.*"):
        stale.unlink(missing_ok=True)
    unfinished = destination.with_name(f".{destination.name}.{os.getpid()}")
    with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(fixed_zip(buffer.getvalue(), parts, book.epoch, drawings))
    unfinished.replace(destination)
    return destination


class _Grid:
    """Sizes of a sheet's rows and columns in pixels, to say where a comment's box ends."""

    def __init__(self, sheet: Worksheet) -> None:
        self.columns: dict[int, float] = {}
        for dimension in sheet.column_dimensions.values():
            pixels = 0.0 if dimension.hidden else dimension.width * 7 + 5
            for column in range(dimension.min or 1, min(dimension.max or 1, _WIDEST) + 1):
                self.columns[column - 1] = pixels
        self.rows = {
            row - 1: 0.0 if dimension.hidden else (dimension.height or 15) * 4 / 3
            for row, dimension in sheet.row_dimensions.items()
        }
        self.default_row = (sheet.sheet_format.defaultRowHeight or 15) * 4 / 3

    def anchor(self, row: int, column: int, width: float, height: float) -> str:
        """Anchor of a box of that size to the right of a cell (0-based), a little above it."""
        top = max(row - 1, 0)
        right = _walk(self.columns, 64.0, column + 1, 15 + width)
        bottom = _walk(self.rows, self.default_row, top, 8 + height)
        return f"{column + 1}, 15, {top}, 8, {right[0]}, {right[1]}, {bottom[0]}, {bottom[1]}"


_WIDEST = 1_000


def _walk(sizes: Mapping[int, float], default: float, start: int, length: float) -> tuple[int, int]:
    """The line in which one ends who goes so many pixels from the beginning of a line, and how far into it."""
    line = start
    while line < start + _WIDEST and length > sizes.get(line, default):
        length -= sizes.get(line, default)
        line += 1
    return line, int(length)


def fixed_zip(
    data: bytes,
    values: Mapping[str, Mapping[str, Any]] | None = None,
    epoch: datetime = datetime(1899, 12, 30),
    drawings: Mapping[str, _Grid] | None = None,
) -> bytes:
    """The same OOXML package with fixed entry times and a fixed modification time, so equal content is equal bytes.

    ``values`` maps a worksheet part to address -> calculated value: openpyxl writes a formula without its value.
    ``drawings`` maps a drawing of comments to its sheet's sizes: openpyxl does not say where a box stands, and a
    program that shows all comments at once would heap them up in the corner.
    """
    stamp = _FIXED_TIME.strftime("%Y-%m-%dT%H:%M:%SZ").encode()
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            content = old.read(info)
            if info.filename == "docProps/core.xml":
                content = re.sub(rb"(<dcterms:modified[^>]*>)[^<]*", rb"\g<1>" + stamp, content)
            if values and info.filename in values:
                content = _with_values(content, values[info.filename], epoch)
            if drawings and info.filename in drawings:
                content = _with_anchors(content, drawings[info.filename])
            entry_info = zipfile.ZipInfo(info.filename, _FIXED_ZIP_TIME)
            entry_info.compress_type = zipfile.ZIP_DEFLATED
            entry_info.external_attr = 0o600 << 16
            new.writestr(entry_info, content)
    return target.getvalue()


_FORMULA_CELL = re.compile(rb'<c r="([A-Z]+[0-9]+)"([^>]*)>(<f>[^<]*</f>)<v ?/?>(?:</v>)?</c>')


def _with_values(xml: bytes, values: Mapping[str, Any], epoch: datetime) -> bytes:
    def written(match: re.Match[bytes]) -> bytes:
        value = values.get(match[1].decode())
        if value is None:
            return match[0]
        kind = b""
        if isinstance(value, bool):
            kind, text = b' t="b"', str(int(value))
        elif isinstance(value, int | float):
            text = repr(value)
        elif isinstance(value, datetime | date | time | timedelta):
            text = repr(to_excel(value, epoch))
        else:
            kind = b' t="str"'
            clean = str(ILLEGAL_CHARACTERS_RE.sub("", str(value)))
            text = clean.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        return b'<c r="%b"%b%b>%b<v>%b</v></c>' % (match[1], match[2], kind, match[3], text.encode())

    return _FORMULA_CELL.sub(written, xml)


_SHAPE = re.compile(
    rb"width:([0-9.]+)px;height:([0-9.]+)px;((?:(?!</[a-z0-9]+:shape>).)*?)<([a-z0-9]+):AutoFill>"
    rb"((?:(?!</[a-z0-9]+:shape>).)*?):Row>([0-9]+)<((?:(?!</[a-z0-9]+:shape>).)*?):Column>([0-9]+)<",
    re.DOTALL,
)


def _with_anchors(vml: bytes, grid: _Grid) -> bytes:
    def written(match: re.Match[bytes]) -> bytes:
        place = grid.anchor(int(match[6]), int(match[8]), float(match[1]), float(match[2])).encode()
        at = match.start(4) - 1 - match.start()
        anchor = b"<%b:Anchor>%b</%b:Anchor>" % (match[4], place, match[4])
        return match[0][:at] + anchor + match[0][at:]

    return _SHAPE.sub(written, vml)
