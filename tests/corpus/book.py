"""A submitted workbook before it is written: known true values, what a clerk made of them, and what must come of it.

A clean book is built from rows whose values are known; a mess (``messes.py``) changes what stands in it and says what
the reader must then say. Only :func:`place` turns lines and columns into rows and addresses, so messes can be combined
in any order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from random import Random
from types import NoneType
from typing import Any

from include.forms.model import Field, Form, load_forms
from include.intake.identifiers import person_id_check_character
from include.quality.findings import cell_address
from tests.workbooks import uscc

COUNTY, COUNTY_CODE, PERIOD = "灵山县", "450721", "2026-10"
FORMS = ("enterprise_status", "labour_demand", "subsidy_payment")
#: codes that are said once for a column, at the first cell concerned
NOTES = frozenset({"W-VAL-020", "W-VAL-021", "W-VAL-022"})

Row = dict[str, Any]
"""True values of one row by column name, as the reader gives them; a missing name is blank."""


@dataclass(frozen=True, slots=True)
class Formula:
    """A formula that was never calculated."""

    text: str


@dataclass(slots=True, eq=False)
class Column:
    """A physical column: ``key`` is the field's name, or a name of its own for a column that the form does not have."""

    key: str
    group: str | None
    leaf: str
    hidden: bool = False


@dataclass(slots=True, eq=False)
class Line:
    """A line under the header.

    Attributes:
        kind: ``data``, ``total``, ``subtotal``, ``tail``, ``below`` (data under the tail) or ``blank``.
        cells: what stands under each column, by key.
        loose: what stands in columns without a header, by distance from the last one (0: the first column behind).
        fixed: what stands in a column of the sheet whatever its header is (labels of total and tail lines), by index.
        truth: true values of a data line.
        loaded: values that must be loaded from it (the truth, but for what cannot be known from the cells).
        counted: numbers that a total of the column is held against, where they differ from ``loaded``.
        source: name of the true row, for manifests.
    """

    kind: str
    cells: dict[str, Any] = field(default_factory=dict)
    loose: dict[int, Any] = field(default_factory=dict)
    fixed: dict[int, Any] = field(default_factory=dict)
    truth: Row = field(default_factory=dict)
    loaded: Row = field(default_factory=dict)
    counted: dict[str, float] = field(default_factory=dict)
    hidden: bool = False
    source: str = ""


@dataclass(slots=True, eq=False)
class Page:
    """One sheet that holds a form. ``depth``: rows of the header; ``merges``: vertical ones, (first, last, key)."""

    form: Form
    name: str
    title: str
    frame: list[str]
    columns: list[Column]
    lines: list[Line]
    depth: int = 2
    merges: list[tuple[Line, Line, str]] = field(default_factory=list)
    wide_merges: list[tuple[Line, str, str]] = field(default_factory=list)
    hidden: bool = False

    @property
    def data(self) -> list[Line]:
        return [line for line in self.lines if line.kind == "data"]

    def column(self, key: str) -> Column:
        return next(column for column in self.columns if column.key == key)

    def fields(self) -> dict[str, Field]:
        present = {column.key for column in self.columns}
        return {one.name: one for one in self.form.fields if one.name in present}


@dataclass(frozen=True, slots=True)
class Expect:
    """A finding that must be made: at a cell, at a header (``line=None``), at a sheet (no key), or at the file."""

    code: str
    page: Page | None = None
    line: Line | None = None
    key: str | None = None
    #: column without a header, as in ``Line.loose``
    loose: int | None = None
    #: sheet that is no page of the book
    sheet: str | None = None


@dataclass(slots=True, eq=False)
class Book:
    """A workbook to be written.

    Attributes:
        rules: whether a rule (not the reader) is to say something; the month before then held the same rows unspoilt.
        stops: ``file`` when the file is not opened, ``header`` when a page's columns are refused: what lies deeper is
            then not read, and not expected to be said.
        side: further sheets: name -> (rows, hidden).
        patches: changes of the written bytes, in order.
        used: places already spoilt, so that two messes never meet in one cell.
    """

    pages: list[Page]
    writer: str
    file_name: str
    folder: str | None = "2026-10/灵山县"
    side: dict[str, tuple[list[list[Any]], bool]] = field(default_factory=dict)
    patches: list[Any] = field(default_factory=list)
    expected: list[Expect] = field(default_factory=list)
    stops: str | None = None
    used: set[tuple[int, str]] = field(default_factory=set)
    rules: bool = False

    def expect(self, code: str, page: Page | None = None, line: Line | None = None, key: str | None = None) -> None:
        self.expected.append(Expect(code, page, line, key))

    def free(self, rng: Random, page: Page, keys: Iterable[str]) -> tuple[Line, str]:
        """A data cell under one of the keys that no other mess has touched; marks it."""
        present = {column.key for column in page.columns}
        cells = [
            (line, key)
            for line in page.data
            for key in keys
            if key in present and line.cells.get(key) is not None
            if (id(line), key) not in self.used and not line.hidden
        ]
        line, key = rng.choice(cells)
        self.used.add((id(line), key))
        return line, key

    def take(self, line: Line, *keys: str) -> None:
        self.used.update((id(line), key) for key in keys)


# ------------------------------------------------------------------------------------------------------- true values


def status_row(rng: Random, number: int) -> Row:
    """A row of form 1 in which every identity of the rules holds."""
    managers, professionals, workers = rng.randint(2, 20), rng.randint(2, 30), rng.randint(20, 200)
    headcount = managers + professionals + workers
    local, other = rng.randint(0, headcount // 2), rng.randint(0, headcount // 4)
    levels = dict(
        zip(
            ("skill_junior", "skill_intermediate", "skill_senior", "skill_technician", "skill_senior_technician"),
            (rng.randint(0, 4) for _ in range(5)),
            strict=True,
        )
    )
    return {
        "seq": number, "enterprise_name": f"{COUNTY}演示{number}号木业有限公司", "uscc": uscc(COUNTY_CODE, number),
        "county": COUNTY, "locality": "演示工业园", "industry": "农副食品加工业", "ownership": "民营",
        "is_above_scale": rng.random() < 0.5, "is_key": False, "operating_state": "正常",
        "revenue_wan_yuan": rng.randint(2_000, 30_000) + 0.5, "headcount": headcount, "managers": managers,
        "professionals": professionals, "workers": workers, "women": rng.randint(1, headcount),
        "local_county": local, "other_county": other, "other_province": headcount - local - other,
        "lifted_poverty": rng.randint(1, 9), "dispatched": rng.randint(1, 9), **levels, "skill_master": 0,
        "skill_chief": 0, "skilled_total": sum(levels.values()), "insured": rng.randint(1, headcount),
        "hired": rng.randint(1, 9), "leavers": rng.randint(1, 9), "wage_general": float(rng.randint(30, 60) * 100),
        "wage_skilled": float(rng.randint(60, 90) * 100), "shortage_now": rng.randint(1, 50),
        "shortage_expansion": rng.randint(1, 30), "training_needed": rng.randint(1, 60), "contact": "演示甲",
        "phone": f"0777-{rng.randint(6_000_000, 6_999_999)}", "remark": f"演示备注{number}",
    }  # fmt: skip


def demand_row(rng: Random, number: int) -> Row:
    """A row of form 2; two posts in a row belong to one enterprise."""
    owner = (number + 1) // 2
    persons = rng.randint(1, 20)
    low = rng.randint(30, 45) * 100
    post = ("车工", "钳工", "焊工", "电工", "缝纫工", "叉车司机")[number % 6]
    return {
        "seq": number, "enterprise_name": f"{COUNTY}演示{owner}号木业有限公司", "uscc": uscc(COUNTY_CODE, owner),
        "county": COUNTY, "post": post, "post_category": "技工", "employed": rng.randint(5, 60),
        "shortage_now": rng.randint(1, 30), "planned_hires": rng.randint(1, 30),
        "shortage_expansion": rng.randint(1, 20), "expansion_month": f"2026-{rng.randint(11, 12)}",
        "expansion_reason": "演示扩产", "gender": "不限", "age_min": 18, "age_max": rng.randint(40, 50),
        "education": "不限", "skill_level": "中级工", "wage_min": float(low), "wage_max": float(low + 1500),
        "benefits": "包食宿", "workplace": f"演示车间{number}", "training_post": post,
        "training_type": "岗位技能提升培训", "training_level": "中级工", "training_persons": persons,
        "training_month": "2026-12", "training_mode": "企业自办", "training_subsidised": True, "contact": "演示甲",
        "phone": f"0777-{rng.randint(6_000_000, 6_999_999)}", "remark": f"演示备注{number}",
    }  # fmt: skip


def claim_row(rng: Random, number: int) -> Row:
    """A line of form 3; the identity number is made up, its check character right."""
    first = f"45072119{rng.randint(70, 99)}0101{number:03d}"
    standard, quantity = float(rng.randint(5, 20) * 100), float(rng.randint(1, 9))
    amount = standard * quantity
    day = rng.randint(1, 9)
    return {
        "seq": number, "item": "职业培训补贴", "fund": "就业补助资金", "batch_no": f"2026-{number}",
        "payee_name": f"{COUNTY}演示{number}号木业有限公司", "payee_uscc": uscc(COUNTY_CODE, number),
        "person_name": "演示乙", "person_id": first + person_id_check_character(first), "person_group": "企业职工",
        "occupation": "焊工", "level": "中级工", "certificate_no": f"YS{number:08d}",
        "covered_from": date(2026, 9, 1), "covered_to": date(2026, 9, 30), "standard": standard, "quantity": quantity,
        "applied": amount, "approved": amount, "paid": amount, "applied_on": date(2026, 10, day),
        "accepted_on": date(2026, 10, day + 1), "reviewed_on": date(2026, 10, day + 3),
        "notice_from": date(2026, 10, day + 4), "notice_to": date(2026, 10, day + 9),
        "decided_on": date(2026, 10, day + 10), "paid_on": date(2026, 10, day + 12), "payment_type": "核拨",
        "status": "已拨付", "account": f"622200{rng.randint(10**11, 10**12 - 1)}", "remark": f"演示备注{number}",
    }  # fmt: skip


TRUE_ROW = {"enterprise_status": status_row, "labour_demand": demand_row, "subsidy_payment": claim_row}


def true_row(form: str, number: int) -> Row:
    """The row of that number: always the same one."""
    return TRUE_ROW[form](Random(f"{form} {number}"), number)


def as_typed(one: Field, row: Mapping[str, Any]) -> Any:
    """The cell that a careful clerk writes for a field."""
    if len(one.columns) == 2:
        low, high = (row.get(column.name) for column in one.columns)
        return None if low is None else f"{low:g}-{high:g}"
    value = row.get(one.name)
    if isinstance(value, bool):
        return "是" if value else "否"
    if one.type == "month" and value is not None:
        return f"{value[:4]}年{int(value[5:])}月"
    return value


# --------------------------------------------------------------------------------------------------------- clean books


def data_line(form: Form, row: Row, source: str = "", kind: str = "data") -> Line:
    full = {name: row.get(name) for name in form.columns}
    cells = {one.name: value for one in form.fields if (value := as_typed(one, row)) is not None}
    return Line(kind, cells, truth=full, loaded=dict(full), source=source)


def clean_page(form_name: str, numbers: Iterable[int], name: str | None = None) -> Page:
    """A form as the official template has it, the rows of these numbers filled in, tail lines below."""
    form = load_forms()[form_name]
    layout = form.current_version
    columns = [Column(one.name, one.group, one.leaf) for one in form.fields if one.name in layout.fields]
    lines = [data_line(form, true_row(form_name, number), f"{form_name}/{number}") for number in numbers]
    lines.append(Line("tail", fixed={0: "单位负责人：", 3: "填表人：演示丙", 5: "联系电话："}))
    lines.append(Line("tail", fixed={0: "注：本表按月填报。"}))
    frame = [
        f"填报单位（盖章）：{COUNTY}人力资源和社会保障局",
        "填报时间：2026年11月3日",
        f"报告期：{PERIOD[:4]}年{int(PERIOD[5:])}月",
        "单位：人、元",
    ]
    return Page(form, name or form.title_zh, f"{COUNTY}{form.title_zh}", frame, columns, lines)


# ------------------------------------------------------------------------------------------------------ rows and cells


@dataclass(slots=True)
class Placed:
    """A page as cells: 0-based (row, column) -> value, merges as (top, left, bottom, right)."""

    page: Page
    cells: dict[tuple[int, int], Any]
    merges: list[tuple[int, int, int, int]]
    row_of: dict[int, int]
    column_of: dict[str, int]
    header_row: int
    hidden_rows: set[int]
    hidden_columns: set[int]

    def address(self, line: Line | None, key: str | None, loose: int | None = None) -> str | None:
        """A1 address of a line and key; of the header without a line; of the first column without a key."""
        row = self.header_row if line is None else self.row_of[id(line)]
        if loose is not None:
            column = len(self.column_of) + loose
        elif key is None:
            column = 0
        else:
            column = self.column_of[key]
        return cell_address(row + 1, column)


def _header(page: Page, cells: dict[tuple[int, int], Any], merges: list[tuple[int, int, int, int]]) -> None:
    top, bottom = 2, 1 + page.depth
    if page.depth == 1:
        for index, column in enumerate(page.columns):
            cells[top, index] = f"{column.group or ''}{column.leaf}"
        return
    start = 0
    for index, column in enumerate(page.columns):
        if column.group is None:
            cells[top, index] = column.leaf
            merges.append((top, index, bottom, index))
            continue
        if index == 0 or page.columns[index - 1].group != column.group:
            start = index
            cells[top, index] = column.group
        cells[bottom, index] = column.leaf
        is_last = index + 1 == len(page.columns) or page.columns[index + 1].group != column.group
        # of a three-row header the group takes the upper two
        if is_last and (index > start or page.depth > 2):
            merges.append((top, start, bottom - 1, index))


def place(page: Page) -> Placed:
    """Cells, merges and addresses of a page."""
    cells: dict[tuple[int, int], Any] = {(0, 0): page.title} if page.title else {}
    merges: list[tuple[int, int, int, int]] = [(0, 0, 0, len(page.columns) - 1)] if page.title else []
    for number, text in enumerate(page.frame):
        cells[1, number * 3] = text
    _header(page, cells, merges)
    column_of = {column.key: index for index, column in enumerate(page.columns)}
    row_of: dict[int, int] = {}
    hidden = set()
    for row, line in enumerate(page.lines, start=2 + page.depth):
        row_of[id(line)] = row
        if line.hidden:
            hidden.add(row)
        for key, value in line.cells.items():
            if key in column_of and value is not None:
                cells[row, column_of[key]] = value
        for distance, value in line.loose.items():
            cells[row, len(page.columns) + distance] = value
        for index, value in line.fixed.items():
            cells[row, index] = value
    for first, last, key in page.merges:
        merges.append((row_of[id(first)], column_of[key], row_of[id(last)], column_of[key]))
    for line, left, right in page.wide_merges:
        ends = sorted((column_of[left], column_of[right]))
        merges.append((row_of[id(line)], ends[0], row_of[id(line)], ends[1]))
    hidden_columns = {index for index, column in enumerate(page.columns) if column.hidden}
    return Placed(page, cells, merges, row_of, column_of, 1 + page.depth, hidden, hidden_columns)


# ------------------------------------------------------------------------------------------------------- what must come

Said = tuple[str, str | None, str | None]
"""Finding code, sheet, A1 address."""


def expected_findings(book: Book, placed: Mapping[int, Placed]) -> list[Said]:
    """Every finding of the reader, sorted: what the messes announced, less what is not reached, plus control totals."""
    said: list[Said] = []
    notes: dict[tuple[str, str, str], list[tuple[int, str]]] = {}
    wanted = list(book.expected)
    if book.stops == "file":
        wanted = [one for one in wanted if one.code.startswith("E-FILE")]
    else:
        wanted += [one for page in book.pages if page_is_read(book, page) for one in _total_findings(page)]
    for one in wanted:
        if one.page is None:
            said.append((one.code, one.sheet, None))
            continue
        if not page_is_read(book, one.page) and not one.code.startswith(("E-HDR", "E-HID-003", "E-FILE")):
            continue
        where = placed[id(one.page)]
        line = one.line
        if one.code == "E-HID-002":
            assert one.key is not None
            line = next(data for data in one.page.data if not isinstance(data.cells.get(one.key), Formula | NoneType))
        at = where.address(line, one.key, one.loose)
        if one.code in ("E-HDR-001", "W-HDR-002", "E-HID-003", "E-TBL-002", "W-TBL-001", "E-FILE-010"):
            at = None
        if one.code in NOTES:
            assert one.line is not None and one.key is not None and at is not None
            notes.setdefault((one.code, one.page.name, one.key), []).append((where.row_of[id(one.line)], at))
            continue
        said.append((one.code, one.page.name, at))
    said += [(code, sheet, min(places)[1]) for (code, sheet, _), places in notes.items()]
    return sorted(said, key=lambda item: tuple(part or "" for part in item))


def page_is_read(book: Book, page: Page) -> bool:
    """Whether the rows of a page are looked at: not where its header, or another sheet's of the form, is refused."""
    if book.stops == "file":
        return False
    return not any(one.code.startswith("E-HDR") and one.page is page for one in book.expected)


def _total_findings(page: Page) -> Iterator[Expect]:
    start = 0
    lines = page.lines
    index = {column.key: number for number, column in enumerate(page.columns)}
    for position, line in enumerate(lines):
        if line.kind not in ("total", "subtotal"):
            continue
        block = [one for one in lines if one.kind == "data"]
        if line.kind == "subtotal":
            block = [one for one in lines[start:position] if one.kind == "data"]
            start = position + 1
        for one in page.fields().values():
            column = one.columns[0]
            stated = line.cells.get(one.name)
            if not column.additive or len(one.columns) != 1 or stated is None or isinstance(stated, str):
                continue
            if index[one.name] in line.fixed:
                continue  # the label stands there
            if isinstance(stated, Formula):
                yield Expect("W-TOT-002", page, line, one.name)
                continue
            numbers = [counted_in(data, one.name) for data in block]
            if abs(sum(number for number in numbers if number is not None) - stated) > 0.005:
                yield Expect("W-TOT-001", page, line, one.name)


def counted_in(line: Line, key: str) -> float | None:
    """The number that a line adds to a control total."""
    if key in line.counted:
        return line.counted[key]
    value = line.loaded.get(key)
    return None if value is None else float(value)
