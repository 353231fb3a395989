"""From true rows to the sheet that an office would send: title, fragments, two header rows, data, total, tail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from include.forms.model import Field, Form, TemplateVersion
from include.quality.findings import cell_address
from include.sample.economy import Row
from include.sample.profile import Habits

Value = str | int | float | date | None
Merge = tuple[int, int, int, int]

FRAME_ROWS = 2
HEADER_ROWS = 2
_TAIL_ROWS = 2
# Columns that offices with another taste move forward, behind the column named first.
_MOVED = {
    "enterprise_status": ("county", ("shortage_now", "shortage_expansion", "training_needed")),
    "labour_demand": ("post_category", ("wage_min", "workplace")),
    "subsidy_payment": ("fund", ("status", "payment_type")),
}
_MERGED_DOWN = ("seq", "enterprise_name", "uscc", "county")
_WIDTHS = {
    "seq": 6.0,
    "enterprise_name": 36.0,
    "payee_name": 36.0,
    "uscc": 22.0,
    "payee_uscc": 22.0,
    "person_id": 21.0,
    "account": 22.0,
    "county": 13.0,
    "locality": 25.0,
    "workplace": 25.0,
    "industry": 36.0,
    "item": 21.0,
    "fund": 14.0,
    "batch_no": 12.0,
    "certificate_no": 18.0,
    "person_group": 18.0,
    "post": 21.0,
    "occupation": 21.0,
    "training_post": 21.0,
    "training_type": 18.0,
    "benefits": 23.0,
    "contact": 15.0,
    "phone": 15.0,
    "wage_min": 16.0,
    "remark": 22.0,
    "programme": 40.0,
    "indicator": 30.0,
    "indicator_group": 22.0,
    "problems": 32.0,
    "next_steps": 32.0,
    "brand_name": 22.0,
    "cultivator_name": 32.0,
    "cultivator_uscc": 22.0,
    "exit_reason": 36.0,
    "filing_no": 22.0,
    "training_institution": 30.0,
}
_CENTRED = ("uscc", "identity", "month", "integer_range", "decimal_range", "boolean", "enum")
_KIND_WIDTHS = {"text": 12.0, "code": 14.0, "integer": 8.5, "decimal": 11.0, "money": 12.0, "date": 12.0}
_TYPED_AS_TEXT = frozenset({"women", "insured", "hired", "leavers", "employed", "planned_hires"})
_FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")


@dataclass(slots=True)
class Sheet:
    """A sheet ready to be written by any writer.

    Attributes:
        rows: cell values, every row as long as ``column_kinds``.
        row_kinds: ``title``, ``frame``, ``header``, ``data``, ``total`` or ``tail``, one a row.
        column_kinds: ``text``, ``code``, ``integer``, ``decimal``, ``money`` or ``date`` (of data rows).
        merges: 0-based ``(first row, first column, last row, last column)``.
        widths: column widths in characters.
        hidden_rows: 0-based rows that are hidden.
    """

    name: str
    rows: list[list[Value]]
    row_kinds: list[str]
    column_kinds: list[str]
    merges: list[Merge]
    widths: list[float]
    hidden_rows: list[int]


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the rows of a form came to stand in a sheet. ``texts``: column -> first row that has a number
    written as text."""

    sheet: str
    first_row: int
    columns: Mapping[str, int]
    total_row: int
    texts: Mapping[str, int]

    def cell(self, row_index: int, column: str) -> str:
        """A1 address of the ``row_index``-th (0-based) row of the form."""
        return cell_address(self.first_row + row_index, self.columns[column])

    def line(self, row_index: int) -> str:
        """A1 address of the first cell of a row of the form."""
        return cell_address(self.first_row + row_index, 0)

    @property
    def below_tail(self) -> str:
        """A1 address of the first cell below total and tail."""
        return cell_address(self.total_row + _TAIL_ROWS + 1, 0)

    def total_cell(self, column: str) -> str:
        """A1 address of the total of a column."""
        return cell_address(self.total_row, self.columns[column])


@dataclass(frozen=True, slots=True)
class Frame:
    """Texts around the data of one sheet.

    Attributes:
        sheet: name of the sheet.
        fragments: the parts of row 2.
        total: what the total row is called.
        signature: the parts of the first tail row.
        note: the last tail row.
        headers: header texts to put in place of the official ones (column -> text).
        without: columns to leave out.
        total_off: column -> how much its 合计 differs from the sum.
        version: template version of the layout, ``None`` for the current one.
        hidden_rows: 0-based rows of the form that the sheet hides.
        after_tail: rows of the form that stand below the tail.
    """

    title: str
    sheet: str
    fragments: Sequence[str]
    total: str
    signature: Sequence[str]
    note: str
    headers: Mapping[str, str] = field(default_factory=dict)
    without: frozenset[str] = frozenset()
    total_off: Mapping[str, int] = field(default_factory=dict)
    version: str | None = None
    hidden_rows: Sequence[int] = ()
    after_tail: Sequence[Row] = ()


def _version(form: Form, frame: Frame) -> TemplateVersion:
    return form.versions[frame.version] if frame.version else form.current_version


def fields_of(form: Form, frame: Frame, habits: Habits) -> list[Field]:
    """The columns this office has, in its order."""
    by_name = {one.name: one for one in form.fields}
    fields = [by_name[one.field] for one in _version(form, frame).headers if one.field not in frame.without]
    if habits.order == "shuffled" and form.name in _MOVED:
        behind, moved = _MOVED[form.name]
        kept = [one for one in fields if one.name not in moved]
        front = 1 + next(index for index, one in enumerate(kept) if one.name == behind)
        kept[front:front] = [one for one in fields if one.name in moved]
        fields = kept
    return fields


def build_sheet(form: Form, rows: Sequence[Row], frame: Frame, habits: Habits) -> tuple[Sheet, Placement]:
    """The sheet of a form and where its rows stand in it."""
    fields = fields_of(form, frame, habits)
    width = len(fields)
    merges: list[Merge] = [(0, 0, 0, width - 1)]
    sheet_rows: list[list[Value]] = [_spread([frame.title], width, 0, [])]
    sheet_rows.append(_spread(frame.fragments, width, 1, merges))
    sheet_rows.extend(_headers(_version(form, frame), fields, frame, habits, merges))
    kinds = ["title", "frame", "header", "header"]
    first_row = len(sheet_rows) + 1
    show = _Display(habits)
    for index, row in enumerate(rows):
        sheet_rows.append([show.value(one, row, index) for one in fields])
        kinds.append("data")
    if habits.merge_posts and form.name == "labour_demand":
        _merge_posts(sheet_rows, rows, fields, first_row - 1, merges)
    total_row = len(sheet_rows) + 1
    sheet_rows.append(_totals(fields, rows, frame))
    kinds.append("total")
    sheet_rows.append(_spread(frame.signature, width, len(sheet_rows), merges))
    sheet_rows.append(_spread([frame.note], width, len(sheet_rows), merges))
    kinds += ["tail", "tail"]
    merges.append((len(sheet_rows) - 1, 0, len(sheet_rows) - 1, width - 1))
    below = _Display(habits)
    for row in frame.after_tail:
        sheet_rows.append([below.value(one, row, 0) for one in fields])
        kinds.append("data")
    sheet = Sheet(
        name=frame.sheet,
        rows=sheet_rows,
        row_kinds=kinds,
        column_kinds=[_kind(one, habits) for one in fields],
        merges=merges,
        widths=[_width(one, habits) for one in fields],
        hidden_rows=[first_row - 1 + index for index in frame.hidden_rows],
    )
    columns = {column.name: index for index, one in enumerate(fields) for column in one.columns}
    return sheet, Placement(frame.sheet, first_row, columns, total_row, show.texts)


def _kind(one: Field, habits: Habits) -> str:
    if one.type in ("integer", "decimal", "money"):
        return one.type
    if one.type == "date":
        return "date" if _date_style(habits) == "cell" else "code"
    return "code" if one.type in _CENTRED else "text"


def _width(one: Field, habits: Habits) -> float:
    return _WIDTHS.get(one.name, 12.0 if one.type == "enum" else _KIND_WIDTHS[_kind(one, habits)])


def _spread(parts: Sequence[str], width: int, row: int, merges: list[Merge]) -> list[Value]:
    """Texts spread evenly over a row, each merged over the cells up to the next one."""
    values: list[Value] = [None] * width
    starts = [width * index // len(parts) for index in range(len(parts))] + [width]
    for index, part in enumerate(parts):
        values[starts[index]] = part
        if len(parts) > 1 and starts[index + 1] - starts[index] > 1:
            merges.append((row, starts[index], row, starts[index + 1] - 1))
    return values


def _break(text: str, habits: Habits) -> str:
    if not habits.header_breaks or len(text) < 6:
        return text
    middle = len(text) // 2
    return f"{text[:middle]}\n{text[middle:]}"


def _headers(
    version: TemplateVersion, fields: Sequence[Field], frame: Frame, habits: Habits, merges: list[Merge]
) -> list[list[Value]]:
    texts = {one.field: one for one in version.headers}
    top: list[Value] = [None] * len(fields)
    leaf: list[Value] = [None] * len(fields)
    start = 0
    while start < len(fields):
        group = texts[fields[start].name].group
        end = start
        while group and end + 1 < len(fields) and texts[fields[end + 1].name].group == group:
            end += 1
        for index in range(start, end + 1):
            text = _break(frame.headers.get(fields[index].name, texts[fields[index].name].leaf), habits)
            (leaf if group else top)[index] = text
        if group:
            top[start] = group
            if end > start:
                merges.append((FRAME_ROWS, start, FRAME_ROWS, end))
        else:
            merges.append((FRAME_ROWS, start, FRAME_ROWS + 1, start))
        start = end + 1
    return [top, leaf]


def _totals(fields: Sequence[Field], rows: Sequence[Row], frame: Frame) -> list[Value]:
    totals: list[Value] = [None] * len(fields)
    for index, one in enumerate(fields):
        if one.columns[0].additive:
            numbers = [row[one.name] for row in rows if isinstance(row[one.name], int | float)]
            totals[index] = round(sum(numbers), 2) + frame.total_off.get(one.name, 0)
    totals[0] = frame.total
    return totals


def _merge_posts(
    sheet_rows: list[list[Value]], rows: Sequence[Row], fields: Sequence[Field], offset: int, merges: list[Merge]
) -> None:
    columns = [index for index, one in enumerate(fields) if one.name in _MERGED_DOWN]
    start = 0
    for index in range(1, len(rows) + 1):
        if index < len(rows) and rows[index]["uscc"] == rows[start]["uscc"]:
            continue
        if index - start > 1:
            for column in columns:
                merges.append((offset + start, column, offset + index - 1, column))
                for below in range(start + 1, index):
                    sheet_rows[offset + below][column] = None
        start = index


def _date_style(habits: Habits) -> str:
    if habits.numbers == "text":
        return "dashes"
    return "words" if habits.file_style == "final" else "cell"


class _Display:
    """How one office writes values; a text standing where a number belongs is passed through as written."""

    def __init__(self, habits: Habits) -> None:
        self.habits = habits
        self.dates = _date_style(habits)
        self.worded_ranges = habits.merge_posts
        self.texts: dict[str, int] = {}

    def value(self, one: Field, row: Mapping[str, Any], index: int) -> Value:
        if len(one.columns) == 2:
            return self._range(one, row)
        value = row[one.name]
        if value is None:
            return None
        if isinstance(value, bool):
            return "是" if value else "否"
        if isinstance(value, date):
            return self._date(value)
        if one.type == "month" and isinstance(value, str):
            return value if self.habits.numbers == "text" else f"{value[:4]}年{int(value[5:])}月"
        if isinstance(value, int) and one.type == "integer" and one.name != "seq":
            return self._integer(value, one, index)
        return int(value) if isinstance(value, float) and value.is_integer() else value

    def _date(self, value: date) -> Value:
        if self.dates == "cell":
            return value
        return value.isoformat() if self.dates == "dashes" else f"{value.year}年{value.month}月{value.day}日"

    def _integer(self, value: int, one: Field, index: int) -> Value:
        if self.habits.numbers == "text" and one.name in _TYPED_AS_TEXT:
            self.texts.setdefault(one.name, index)
            return str(value)
        if self.habits.numbers == "fullwidth" and one.name in ("insured", "employed") and index % 37 == 5:
            self.texts.setdefault(one.name, index)
            return str(value).translate(_FULL_WIDTH)
        return value

    def _range(self, one: Field, row: Mapping[str, Any]) -> Value:
        low, high = (row[column.name] for column in one.columns)
        if isinstance(low, str):
            return low
        if low is None:
            return "面议" if one.type == "decimal_range" else None
        if one.type == "decimal_range":
            return f"{int(low)}～{int(high)}元" if self.worded_ranges else f"{int(low)}-{int(high)}"
        return f"{low}-{high}岁" if self.worded_ranges else f"{low}-{high}"
