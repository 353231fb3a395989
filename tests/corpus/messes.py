"""The ways in which real workbooks go wrong, each as a function that spoils a clean book and says what must be said.

Rows are numbered as in the table 'How real workbooks go wrong'. ``claims`` names what a mess takes for itself: two
messes that claim the same thing contradict each other and are never combined. ``stops`` is what the reader does not
get past: behind a file that is not opened nothing is said about its cells.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from random import Random
from typing import Any

from include.forms.model import Field, load_forms
from include.forms.words import load_words
from include.intake.headers import header_key
from tests.corpus.book import (
    FORMS,
    Book,
    Column,
    Expect,
    Formula,
    Line,
    Page,
    Row,
    clean_page,
    data_line,
    true_row,
)
from tests.corpus.writing import ole_container, with_part

TITLES: dict[int, str] = {
    1: "表头移动、改名、增加、缺少",
    2: "两三行合并表头",
    3: "表头和单元格中的换行、空格、全角字符",
    4: "合计、小计行",
    5: "WPS 的 .xls、.et",
    6: "工作表范围写错",
    7: "网页、XML、文本改名为 .xls",
    8: "扩展名与内容不符",
    9: "隐藏的行、列、工作表",
    10: "合并的数据单元格",
    11: "号码存成数字",
    12: "数字写成文本、约数",
    13: "无、—、/ 等",
    14: "日期和月份的各种写法",
    15: "范围和单位",
    16: "公式未计算",
    17: "报告期、县名的位置和矛盾",
    18: "同一企业重复、名称不一",
    19: "一格多个电话",
    20: "行业用地方叫法",
    21: "一簿多表、一表多簿页",
    22: "同一文件报两次",
    23: "更正后再报",
    24: "未报、迟报、未来月份、已关账月份",
    25: "加密、带宏、海量空行、百万行",
    26: "恶意内容",
    27: "单位写错",
    28: "表尾之后的行、旁边的第二张表",
}

XLSX = ("openpyxl", "xlsxwriter", "by-hand")
ALL = (*XLSX, "xlwt", "odfpy")


@dataclass(frozen=True, slots=True)
class Mess:
    """One way to spoil a book.

    Attributes:
        number, name: row of the table and a name within it.
        plant: spoils the book; takes all chance from the generator given.
        forms, writers: where it can be.
        claims: what it takes for itself.
        elsewhere: tests of the ledger or the rules that cover what reading alone cannot show.
    """

    number: int
    name: str
    plant: Callable[[Book, Random], None]
    forms: tuple[str, ...]
    writers: tuple[str, ...]
    claims: frozenset[str]
    elsewhere: tuple[str, ...]

    def goes_with(self, other: Mess) -> bool:
        """Whether both can be planted in one book."""
        return not self.claims & other.claims


_RULES = ("tests/unit/test_quality_runner.py",)
_CHAIN = "tests/integration/test_chain.py::"
_ROUND_TRIP = "tests/integration/test_round_trip.py::"

MESSES: dict[str, Mess] = {}


def mess(
    number: int,
    name: str,
    *,
    forms: tuple[str, ...] = FORMS,
    writers: tuple[str, ...] = ALL,
    claims: Iterable[str] = (),
    elsewhere: tuple[str, ...] = (),
) -> Callable[[Callable[[Book, Random], None]], Callable[[Book, Random], None]]:
    def enter(plant: Callable[[Book, Random], None]) -> Callable[[Book, Random], None]:
        key = f"{number:02d}-{name}"
        assert key not in MESSES
        MESSES[key] = Mess(number, name, plant, forms, writers, frozenset((*claims, key)), elsewhere)
        return plant

    return enter


STATUS, DEMAND, SUBSIDY = ((one,) for one in FORMS)


# -------------------------------------------------------------------------------------------------------------- tools


def main(book: Book) -> Page:
    return book.pages[0]


def keys(page: Page, *types: str, required: bool | None = None, but: tuple[str, ...] = ()) -> list[str]:
    return [
        one.name
        for one in page.fields().values()
        if one.type in types and (required is None or one.required == required) and one.name not in but
    ]


def numeric(page: Page, required: bool | None = None) -> list[str]:
    return keys(page, "integer", "money", required=required, but=("seq",))


def filled(page: Page, names: Iterable[str]) -> list[str]:
    """Keys that some data line fills."""
    return [name for name in names if any(line.cells.get(name) is not None for line in page.data)]


def code(page: Page, key: str, problem: int) -> str:
    """``R-VAL-...`` where the column is required or the problem never passes, else ``W-VAL-...``."""
    held = page.fields()[key].required or problem in (4, 5, 6, 15)
    return f"{'R' if held else 'W'}-VAL-{problem:03d}"


def blank(page: Page, line: Line, key: str) -> None:
    """Nothing can be loaded from the cell."""
    for column in page.fields()[key].columns:
        line.loaded[column.name] = None


def unknown(book: Book, rng: Random, names: Iterable[str], cell: Any, problem: int) -> None:
    """A cell that cannot be read as what it should be: blank, with a finding of the problem."""
    page = main(book)
    line, key = book.free(rng, page, filled(page, names))
    line.cells[key] = cell(line.truth[key]) if callable(cell) else cell
    blank(page, line, key)
    book.expect(code(page, key, problem), page, line, key)


def untouched(book: Book, rng: Random, page: Page, *names: str) -> Line:
    """A data line in which no mess has been at any of the keys."""
    return rng.choice([line for line in page.data if not {(id(line), name) for name in names} & book.used])


def before_tail(page: Page) -> int:
    return next(number for number, line in enumerate(page.lines) if line.kind == "tail")


def add_row(book: Book, page: Page, row: Row, source: str) -> Line:
    """A further data row behind the last one; totals that stand there already go on saying what they said."""
    line = data_line(page.form, row, source)
    for name in page.form.columns:
        if all(other.loaded.get(name) is None for other in page.data):
            line.loaded[name] = None  # a column that has gone
        if all(other.truth.get(name) is None for other in page.data):
            line.truth[name] = None  # a column that this template never had
    page.lines.insert(page.lines.index(page.data[-1]) + 1, line)
    return line


def extension(book: Book) -> str:
    return {"xlwt": ".xls", "odfpy": ".ods"}.get(book.writer, ".xlsx")


# ---------------------------------------------------------------------------------------------------------- 1 headers


@mess(1, "moved", claims=["neighbours"])
def columns_moved(book: Book, rng: Random) -> None:
    page = main(book)
    groups: dict[str, list[Column]] = {}
    for column in page.columns:
        groups.setdefault(column.group or column.key, []).append(column)
    blocks = list(groups.values())
    rng.shuffle(blocks)
    for block in blocks:
        rng.shuffle(block)
    page.columns = [column for block in blocks for column in block]
    if page.columns[0].key not in page.fields():
        page.columns.reverse()  # the first column stays one of the form's


@mess(1, "renamed")
def headers_renamed(book: Book, rng: Random) -> None:
    page = main(book)
    fields = page.fields()
    candidates = [c for c in page.columns if c.key in fields and fields[c.key].aliases and (0, c.key) not in book.used]
    for column in rng.sample(candidates, min(4, len(candidates))):
        one = fields[column.key]
        column.leaf = rng.choice([alias for alias in one.aliases if _names_only(page, one, alias)] or [column.leaf])
        book.used.add((0, column.key))


def _names_only(page: Page, one: Field, alias: str) -> bool:
    """Whether an alias says which column it is without its group (else it is a word that several columns share)."""
    key = header_key(alias)[0]
    shared = [
        other.name
        for other in page.form.fields
        if other is not one and key in {header_key(text)[0] for text in (other.leaf, *other.aliases)}
    ]
    return not shared and alias not in load_words().needs_group


@mess(1, "added", claims=["neighbours"])
def column_added(book: Book, rng: Random) -> None:
    page = main(book)
    column = Column("own column", None, rng.choice(["园区编号", "网格员", "包联领导"]))
    page.columns.insert(rng.randrange(_group_edge(page, rng), len(page.columns) + 1), column)
    while _splits_group(page, column):
        page.columns.remove(column)
        page.columns.insert(len(page.columns), column)
    page.data[0].cells[column.key] = "演示内容"
    book.expect("W-HDR-001", page, None, column.key)


def _group_edge(page: Page, rng: Random) -> int:
    return rng.randrange(1, len(page.columns))


def _splits_group(page: Page, column: Column) -> bool:
    place = page.columns.index(column)
    if place + 1 == len(page.columns):
        return False
    before, after = page.columns[place - 1].group, page.columns[place + 1].group
    return before is not None and before == after


@mess(1, "dropped", claims=["columns", "neighbours"])
def optional_column_dropped(book: Book, rng: Random) -> None:
    page = main(book)
    spare = {"enterprise_status": "is_key", "labour_demand": "workplace", "subsidy_payment": "person_group"}
    key = spare[page.form.name]
    page.columns.remove(page.column(key))
    for line in page.lines:
        line.loaded[key] = None
    book.expect("W-HDR-002", page)


@mess(1, "required-dropped", claims=["columns", "neighbours", "header stop"])
def required_column_dropped(book: Book, rng: Random) -> None:
    page = main(book)
    drop = {"enterprise_status": "shortage_now", "labour_demand": "shortage_expansion", "subsidy_payment": "fund"}
    page.columns.remove(page.column(drop[page.form.name]))
    book.expect("E-HDR-001", page)


@mess(1, "doubled", claims=["neighbours", "header stop"])
def header_doubled(book: Book, rng: Random) -> None:
    page = main(book)
    key = {"subsidy_payment": "payee_name"}.get(page.form.name, "enterprise_name")
    page.columns.append(Column("second of it", None, page.column(key).leaf))
    book.expect("E-HDR-002", page, None, "second of it")


@mess(1, "older-template", claims=["columns", "neighbours"])
def older_template(book: Book, rng: Random) -> None:
    page = main(book)
    kept = page.form.versions["2022.1"].fields
    gone = [column for column in page.columns if column.key in page.fields() and column.key not in kept]
    names = {part.name for column in gone for part in page.fields()[column.key].columns}
    page.columns = [column for column in page.columns if column not in gone]
    for line in page.lines:
        line.loaded.update(dict.fromkeys(names & line.loaded.keys()))
        line.truth.update(dict.fromkeys(names & line.truth.keys()))


# ------------------------------------------------------------------------------------------------------ 2 header rows


@mess(2, "three-rows", claims=["depth"])
def three_header_rows(book: Book, rng: Random) -> None:
    main(book).depth = 3


@mess(2, "one-row", claims=["depth"])
def joined_header(book: Book, rng: Random) -> None:
    main(book).depth = 1


# -------------------------------------------------------------------------------------------------- 3 blanks and width

_WIDE = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}


@mess(3, "headers")
def headers_spoilt(book: Book, rng: Random) -> None:
    page = main(book)
    for column in page.columns:
        half = len(column.leaf) // 2
        blank_ = rng.choice(["\n", " ", "\u3000", "\u00a0"])
        column.leaf = f"{column.leaf[:half]}{blank_}{column.leaf[half:]}\u00a0".translate(_WIDE)


@mess(3, "cells")
def cells_spoilt(book: Book, rng: Random) -> None:
    page = main(book)
    text = "payee_name" if page.form.name == "subsidy_payment" else "enterprise_name"
    line, key = book.free(rng, page, [text])
    value = line.cells[key]
    line.cells[key] = rng.choice([f" {value[0]}\n{value[1:]} ", f"\u3000{value}\u00a0", f"{value[:2]} {value[2:]}"])
    number = "payee_uscc" if page.form.name == "subsidy_payment" else "uscc"
    line, key = book.free(rng, page, [number])
    value = line.cells[key]
    line.cells[key] = rng.choice([value.translate(_WIDE), f"{value[:9]} {value[9:]}\n", value.lower()])


# ---------------------------------------------------------------------------------------------------------- 4 totals


def total_line(page: Page, lines: list[Line], kind: str, label: str) -> Line:
    """A line of true sums, its label in the first column."""
    sums: dict[str, Any] = {}
    for one in page.fields().values():
        if one.columns[0].additive and len(one.columns) == 1 and one.name in page.form.columns:
            numbers = [line.truth.get(one.name) for line in lines]
            sums[one.name] = round(sum(number for number in numbers if number is not None), 2)
    return Line(kind, sums, fixed={0: label})


_LABELS = ("合计", "合  计", "总 计", "合\u3000计：")


@mess(4, "total", claims=["total"])
def total_right(book: Book, rng: Random) -> None:
    page = main(book)
    page.lines.insert(before_tail(page), total_line(page, page.data, "total", rng.choice(_LABELS)))


@mess(4, "total-wrong", claims=["total"])
def total_wrong(book: Book, rng: Random) -> None:
    page = main(book)
    line = total_line(page, page.data, "total", rng.choice(_LABELS))
    line.cells[rng.choice(filled(page, numeric(page, required=True)))] += 1
    page.lines.insert(before_tail(page), line)


@mess(4, "subtotals", claims=["total"])
def subtotals(book: Book, rng: Random) -> None:
    page = main(book)
    data = page.data
    cut = len(data) // 2
    label = rng.choice(["小计", "小  计"])
    page.lines.insert(page.lines.index(data[cut - 1]) + 1, total_line(page, data[:cut], "subtotal", label))
    end = before_tail(page)
    page.lines.insert(end, total_line(page, data[cut:], "subtotal", label))
    page.lines.insert(end + 1, total_line(page, data, "total", "总计"))


# --------------------------------------------------------------------------------------------- 5 to 8 the file itself


@mess(5, "et", writers=("xlwt",), claims=["extension", "bytes"])
def named_et(book: Book, rng: Random) -> None:
    book.file_name = book.file_name.rpartition(".")[0] + ".et"


@mess(5, "damaged-xls", writers=("xlwt",), claims=["bytes"])
def damaged_xls(book: Book, rng: Random) -> None:
    book.patches.append(lambda data: data[: len(data) * 2 // 3])
    book.stops = "file"
    book.expect("E-FILE-006")


def _dimension(reference: bytes) -> Callable[[bytes], bytes]:
    def change(xml: bytes) -> bytes:
        tag = b'<dimension ref="' + reference + b'"/>'
        changed = re.sub(rb'<dimension ref="[^"]*"\s*/>', tag, xml)
        return changed if tag in changed else xml.replace(b"<sheetData", tag + b"<sheetData", 1)

    return lambda data: with_part(data, "xl/worksheets/sheet1.xml", change)


@mess(6, "too-small", writers=XLSX, claims=["bytes"])
def dimension_too_small(book: Book, rng: Random) -> None:
    book.patches.append(_dimension(rng.choice([b"A1", b"A1:B3"])))


@mess(6, "too-large", writers=XLSX, claims=["bytes"])
def dimension_too_large(book: Book, rng: Random) -> None:
    book.patches.append(_dimension(b"A1:XFD1048576"))


def _dimension_of_xls(rows: int, columns: int) -> Callable[[Book, Random], None]:
    def change(data: bytes) -> bytes:
        place = data.find(struct.pack("<HH", 0x0200, 14))
        assert place > 0
        return data[: place + 4] + struct.pack("<IIHHH", 0, rows, 0, columns, 0) + data[place + 18 :]

    return lambda book, rng: book.patches.append(change)


mess(6, "xls", writers=("xlwt",), claims=["bytes"])(_dimension_of_xls(1, 1))
mess(6, "xls-too-large", writers=("xlwt",), claims=["bytes"])(_dimension_of_xls(65_536, 256))


def _foreign(writer: str) -> Callable[[Book, Random], None]:
    def plant(book: Book, rng: Random) -> None:
        book.writer = writer
        book.file_name = book.file_name.rpartition(".")[0] + ".xls"
        book.stops = "file"
        book.expect("E-FILE-002")

    return plant


for _writer in ("html", "xml2003", "tabbed", "comma"):
    mess(7, _writer, claims=["extension", "bytes"], writers=("openpyxl",))(_foreign(_writer))


@mess(8, "extension", claims=["extension"])
def wrong_extension(book: Book, rng: Random) -> None:
    wrong = [one for one in (".xls", ".xlsx", ".ods", ".et") if one != extension(book)]
    if book.writer == "xlwt":
        wrong.remove(".et")
    book.file_name = book.file_name.rpartition(".")[0] + rng.choice(wrong)
    book.expect("W-FILE-001")


# ------------------------------------------------------------------------------------------------------------ 9 hidden


@mess(9, "row", claims=["hidden row"])
def hidden_row(book: Book, rng: Random) -> None:
    page = main(book)
    line = rng.choice(page.data)
    line.hidden = True
    book.expect("E-HID-001", page, line)


@mess(9, "empty-row", claims=["blank line"])
def hidden_empty_row(book: Book, rng: Random) -> None:
    page = main(book)
    page.lines.insert(before_tail(page), Line("blank", hidden=True))


@mess(9, "column", claims=["hidden column"])
def hidden_column(book: Book, rng: Random) -> None:
    page = main(book)
    key = rng.choice(filled(page, keys(page, "text", "integer", "money", but=("seq",))))
    page.column(key).hidden = True
    book.expect("E-HID-002", page, None, key)


@mess(9, "sheet", claims=["hidden sheet"])
def hidden_sheet(book: Book, rng: Random) -> None:
    main(book).hidden = True
    book.side["封面"] = ([["灵山县报送材料"]], False)
    book.expect("E-HID-003", main(book))


@mess(9, "other-sheet")
def hidden_other_sheet(book: Book, rng: Random) -> None:
    book.side["底稿"] = ([["演示底稿", 12], ["演示底稿", 13]], True)
    book.expected.append(Expect("W-FILE-003", sheet="底稿"))


# ------------------------------------------------------------------------------------------------------------ 10 merges


def _pairs(book: Book, page: Page, names: Iterable[str]) -> list[tuple[Line, Line, str]]:
    """Neighbouring data lines and a key that no other mess has touched in either."""
    return [
        (first, second, key)
        for first, second in zip(page.lines, page.lines[1:], strict=False)
        if first.kind == second.kind == "data" and not first.hidden and not second.hidden
        for key in names
        if not {(id(first), key), (id(second), key)} & book.used
    ]


@mess(10, "text")
def merged_text(book: Book, rng: Random) -> None:
    page = main(book)
    shared = {
        "enterprise_status": ["county", "locality", "industry", "ownership"],
        "labour_demand": ["county", "enterprise_name", "uscc", "benefits"],
        "subsidy_payment": ["item", "fund", "person_group", "payment_type"],
    }[page.form.name]
    present = [key for key in shared if key in page.fields()]
    pairs = [pair for pair in _pairs(book, page, present) if pair[0].truth[pair[2]] == pair[1].truth[pair[2]]]
    first, second, key = rng.choice(pairs)
    del second.cells[key]
    page.merges.append((first, second, key))
    book.take(first, key)
    book.take(second, key)


@mess(10, "plain-blank")
def plain_blank(book: Book, rng: Random) -> None:
    page = main(book)
    line, key = book.free(rng, page, filled(page, keys(page, "text", "uscc", required=True)))
    del line.cells[key]
    blank(page, line, key)
    book.expect("R-VAL-001", page, line, key)


@mess(10, "number")
def merged_number(book: Book, rng: Random) -> None:
    page = main(book)
    first, second, key = rng.choice(_pairs(book, page, filled(page, numeric(page))))
    page.merges.append((first, second, key))
    del second.cells[key]
    blank(page, second, key)
    book.take(first, key)
    book.take(second, key)
    book.expect("R-MRG-001", page, first, key)
    if page.fields()[key].required:
        book.expect("R-VAL-001", page, second, key)


@mess(10, "number-over-columns", claims=["neighbours"])
def number_over_columns(book: Book, rng: Random) -> None:
    page = main(book)
    names = set(filled(page, numeric(page)))
    places = [
        (line, left.key, right.key)
        for left, right in zip(page.columns, page.columns[1:], strict=False)
        if {left.key, right.key} <= names
        for line in page.data
        if not {(id(line), left.key), (id(line), right.key)} & book.used and not line.hidden
    ]
    line, left, right = rng.choice(places)
    del line.cells[right]
    blank(page, line, right)
    page.wide_merges.append((line, left, right))
    book.take(line, left, right)
    book.expect("R-MRG-002", page, line, left)
    if page.fields()[right].required:
        book.expect("R-VAL-001", page, line, right)


# ------------------------------------------------------------------------------------------------- 11 to 13 odd numbers


@mess(11, "code-as-number")
def code_as_number(book: Book, rng: Random) -> None:
    page = main(book)
    names = ["payee_uscc", "person_id", "account"] if page.form.name == "subsidy_payment" else ["uscc"]
    unknown(book, rng, names, rng.choice([914507211234567890.0, 4.5e17]), 6)


@mess(11, "code-as-text-of-number")
def code_in_scientific_text(book: Book, rng: Random) -> None:
    names = ["payee_uscc", "person_id"] if main(book).form.name == "subsidy_payment" else ["uscc"]
    unknown(book, rng, names, rng.choice(["4.5E+17", "9.14507E+17"]), 6)


@mess(11, "mobile-as-number", forms=(*STATUS, *DEMAND))
def mobile_as_number(book: Book, rng: Random) -> None:
    page = main(book)
    line, key = book.free(rng, page, ["phone"])
    line.truth[key] = line.loaded[key] = "13800138000"
    line.cells[key] = 13800138000.0


@mess(11, "phone-without-zero", forms=(*STATUS, *DEMAND))
def phone_that_lost_its_zero(book: Book, rng: Random) -> None:
    page = main(book)
    line, key = book.free(rng, page, ["phone"])
    line.truth[key] = "07776521234"
    line.cells[key] = 7776521234.0
    blank(page, line, key)
    book.expect("W-VAL-023", page, line, key)


@mess(12, "text")
def number_as_text(book: Book, rng: Random) -> None:
    page = main(book)
    line, key = book.free(rng, page, filled(page, numeric(page)))
    value = line.truth[key]
    shapes = ["{}", "{:,}", " {} ", "{}元" if page.fields()[key].type == "money" else "{}人"]
    text = rng.choice(shapes).format(value)
    line.cells[key] = text.translate(_WIDE) if rng.random() < 0.4 else text
    book.expect("W-VAL-020", page, line, key)


@mess(12, "vague")
def vague_number(book: Book, rng: Random) -> None:
    page = main(book)
    shape = rng.choice(["约{}", "{}余", "{}多", "近{}", "{}左右", "{}-99999", "{}以上"])
    unknown(book, rng, numeric(page), lambda value: shape.format(int(value)), 2)


@mess(12, "words")
def number_in_words(book: Book, rng: Random) -> None:
    unknown(book, rng, numeric(main(book)), rng.choice(["三十", "很多", "见附件", "1.2.3", "3/5"]), 3)


@mess(12, "two-in-a-cell")
def two_numbers_in_a_cell(book: Book, rng: Random) -> None:
    unknown(book, rng, numeric(main(book)), rng.choice(["3\n5", "12 7", "3\u30005"]), 3)


@mess(12, "negative")
def negative_number(book: Book, rng: Random) -> None:
    page = main(book)
    line, key = book.free(rng, page, filled(page, numeric(page)))
    line.cells[key] = -abs(line.truth[key]) - 1
    line.counted[key] = float(line.cells[key])
    blank(page, line, key)
    book.expect("R-VAL-004", page, line, key)


@mess(12, "fraction", forms=(*STATUS, *DEMAND))
def fraction_of_a_person(book: Book, rng: Random) -> None:
    page = main(book)
    line, key = book.free(rng, page, filled(page, numeric(page)))
    line.cells[key] = line.truth[key] + 0.5
    line.counted[key] = line.cells[key]
    blank(page, line, key)
    book.expect("R-VAL-005", page, line, key)


@mess(13, "optional")
def nothing_where_optional(book: Book, rng: Random) -> None:
    page = main(book)
    kinds = ("integer", "money", "text", "month", "date", "enum")
    line, key = book.free(rng, page, filled(page, keys(page, *kinds, required=False, but=("seq",))))
    line.cells[key] = rng.choice(["无", "—", "/", "、", "-", "空", " ", "／", "暂无"])
    line.truth[key] = None
    blank(page, line, key)


@mess(13, "required")
def nothing_where_required(book: Book, rng: Random) -> None:
    page = main(book)
    line, key = book.free(rng, page, filled(page, keys(page, "integer", "money", "text", "enum", required=True)))
    line.cells[key] = rng.choice(["无", "—", "/", "、", "-", "空", "／"])
    blank(page, line, key)
    book.expect("R-VAL-001", page, line, key)


# ------------------------------------------------------------------------------------------------ 14, 15 dates, ranges


@mess(14, "months", forms=DEMAND)
def months_written(book: Book, rng: Random) -> None:
    page = main(book)
    line, key = book.free(rng, page, ["expansion_month", "training_month"])
    year, month = (int(part) for part in line.truth[key].split("-"))
    first = date(year, month, 1)
    line.cells[key] = rng.choice(
        [f"{year}.{month}", f"{year}-{month:02d}", f"{year}/{month}", float(f"{year}{month:02d}"), first,
         f"{year}.{month}".translate(_WIDE), f"{year} 年 {month} 月"]
        + ([float(f"{year}.{month}")] if month in (11, 12) else [])
    )  # fmt: skip


@mess(14, "serial", forms=(*DEMAND, *SUBSIDY))
def serial_date(book: Book, rng: Random) -> None:
    page = main(book)
    line, key = book.free(rng, page, filled(page, keys(page, "month", "date")))
    value = line.truth[key]
    day = value if isinstance(value, date) else date(int(value[:4]), int(value[5:]), 15)
    line.cells[key] = float((day - date(1899, 12, 30)).days)
    book.expect("W-VAL-022", page, line, key)


@mess(14, "dates", forms=SUBSIDY)
def dates_written(book: Book, rng: Random) -> None:
    page = main(book)
    line, key = book.free(rng, page, filled(page, keys(page, "date")))
    day = line.truth[key]
    line.cells[key] = rng.choice(
        [f"{day.year}年{day.month}月{day.day}日", f"{day.year}.{day.month}.{day.day}", f"{day:%Y%m%d}",
         float(f"{day:%Y%m%d}"), f"{day:%Y/%m/%d}", f"{day:%Y-%m-%d} 08:30",
         f"{day.year}.{day.month}.{day.day}".translate(_WIDE)]
    )  # fmt: skip


@mess(14, "ambiguous", forms=(*DEMAND, *SUBSIDY))
def ambiguous_date(book: Book, rng: Random) -> None:
    page = main(book)
    months = ["3月", "12月底", 2026.1, "26.3", "四季度", "2026年", 3.0]
    days = ["10月8日", "8/10/2026", "26.10.8", "2026.10", "08-10-26", "10.8", 2026.1]
    kind = "month" if page.form.name == "labour_demand" else "date"
    unknown(book, rng, keys(page, kind), rng.choice(months if kind == "month" else days), 11)


@mess(14, "impossible", forms=(*DEMAND, *SUBSIDY))
def impossible_date(book: Book, rng: Random) -> None:
    page = main(book)
    kind = "month" if page.form.name == "labour_demand" else "date"
    unknown(book, rng, keys(page, kind), "2026年13月" if kind == "month" else "2026年2月30日", 10)


@mess(15, "wage-range", forms=DEMAND)
def wage_written(book: Book, rng: Random) -> None:
    page = main(book)
    line, key = book.free(rng, page, ["wage_min"])
    low, high = int(line.truth["wage_min"]), int(line.truth["wage_max"])
    line.cells[key] = rng.choice(
        [f"{low}～{high}元", f"{low}—{high}元/月", f"{low / 10000:g}-{high / 10000:g}万", f"{low}至{high}",
         f"{low / 1000:g}k-{high / 1000:g}k", f"{low}-{high}".translate(_WIDE), f"{low:,}-{high:,}元"]
    )  # fmt: skip


@mess(15, "wage-open", forms=DEMAND)
def wage_open(book: Book, rng: Random) -> None:
    page = main(book)
    line, key = book.free(rng, page, ["wage_min"])
    line.cells[key] = rng.choice(["面议", "不限", "另议"])
    line.truth.update(wage_min=None, wage_max=None)
    blank(page, line, key)


@mess(15, "wage-reversed", forms=DEMAND)
def wage_reversed(book: Book, rng: Random) -> None:
    unknown(book, rng, ["wage_min"], "5000-3000", 13)


@mess(15, "wage-words", forms=DEMAND)
def wage_in_words(book: Book, rng: Random) -> None:
    unknown(book, rng, ["wage_min"], rng.choice(["3500+提成", "底薪3000", "3000-4000-5000", "按件计"]), 12)


@mess(15, "amount-units", forms=STATUS)
def amount_with_unit(book: Book, rng: Random) -> None:
    page = main(book)
    line, key = book.free(rng, page, ["revenue_wan_yuan", "wage_general", "wage_skilled"])
    value = line.truth[key]
    if key == "revenue_wan_yuan":
        line.cells[key] = rng.choice(
            [f"{value:g}万", f"{value:g}万元", f"{value * 10000:.0f}元", f"{value / 10000:.5f}亿"]
        )
    else:
        line.cells[key] = rng.choice([f"{value:g}元", f"{value / 10000:g}万", f"{value:g}元/月", f"{value / 1000:g}k"])
    book.expect("W-VAL-020", page, line, key)


@mess(15, "amount-range", forms=STATUS)
def amount_range(book: Book, rng: Random) -> None:
    unknown(book, rng, ["wage_general", "wage_skilled"], rng.choice(["3000-4000元", "3000～4000"]), 2)


# ------------------------------------------------------------------------------------------------------- 16 formulas


@mess(16, "cell")
def formula_not_calculated(book: Book, rng: Random) -> None:
    unknown(book, rng, numeric(main(book)), Formula("1+2"), 8)


@mess(16, "total", claims=["total"])
def total_not_calculated(book: Book, rng: Random) -> None:
    page = main(book)
    line = total_line(page, page.data, "total", "合计")
    line.cells[rng.choice(filled(page, numeric(page, required=True)))] = Formula("1+2")
    page.lines.insert(before_tail(page), line)


# ------------------------------------------------------------------------------------------------ 17 period and county


def _nameless(book: Book) -> None:
    for page in book.pages:
        page.title = page.form.title_zh
        page.frame = ["填报单位（盖章）：", "单位：人、元"]


@mess(17, "in-file-name", claims=["frame", "file name", "extension"])
def only_in_the_file_name(book: Book, rng: Random) -> None:
    _nameless(book)
    shape = rng.choice(["灵山县{title}（2026年10月）", "{title}-灵山县-202610", "2026年10月灵山县{title}最终版(2)"])
    book.file_name = shape.format(title=main(book).form.title_zh) + extension(book)
    book.folder = None


@mess(17, "in-folder", claims=["frame", "file name"])
def only_in_the_folder(book: Book, rng: Random) -> None:
    _nameless(book)


@mess(17, "nowhere", claims=["frame", "file name"])
def nowhere(book: Book, rng: Random) -> None:
    _nameless(book)
    book.folder = None
    book.expect("E-IDN-001")
    book.expect("E-IDN-003")


@mess(17, "other-month", claims=["frame"])
def another_month_in_the_folder(book: Book, rng: Random) -> None:
    book.folder = "2026-09/灵山县"
    book.expect("E-IDN-002")


@mess(17, "other-county", claims=["frame"])
def another_county_in_the_folder(book: Book, rng: Random) -> None:
    book.folder = "2026-10/东兴市"
    book.expect("E-IDN-004")


@mess(17, "unknown-county", claims=["frame"])
def county_of_nobody(book: Book, rng: Random) -> None:
    for page in book.pages:
        page.title = f"大新县{page.form.title_zh}"
        page.frame[0] = "填报单位（盖章）：大新县人力资源和社会保障局"
    book.folder = "2026-10"
    book.expect("E-IDN-005")


# ------------------------------------------------------------------------------------------------ 18 to 21 enterprises


@mess(18, "twice", forms=STATUS, claims=["rows"], elsewhere=_RULES)
def enterprise_twice(book: Book, rng: Random) -> None:
    page = main(book)
    # what a rule says of the row it would say of its copy, too
    twin = untouched(book, rng, page, "uscc", "industry", "revenue_wan_yuan")
    book.rules = True
    line = add_row(book, page, {**twin.truth, "seq": len(page.data) + 1, "phone": "0777-6999999"}, twin.source)
    for one in (twin, line):
        book.take(one, "uscc")
        book.expect("R-DUP-001", page, one, "uscc")


@mess(18, "name-of-two-codes", forms=STATUS, claims=["rows"], elsewhere=_RULES)
def name_of_two_codes(book: Book, rng: Random) -> None:
    page = main(book)
    twin = untouched(book, rng, page, "uscc", "enterprise_name")
    book.rules = True
    fresh = true_row(page.form.name, 777)
    line = add_row(book, page, {**fresh, "enterprise_name": twin.truth["enterprise_name"]}, "enterprise_status/777")
    for one in (twin, line):
        book.take(one, "uscc", "enterprise_name")
        book.expect("W-NAM-001", page, one, "enterprise_name")


@mess(19, "phones", forms=(*STATUS, *DEMAND))
def several_phones(book: Book, rng: Random) -> None:
    page = main(book)
    line, key = book.free(rng, page, ["phone"])
    line.truth[key] = line.loaded[key] = "0777-6521234、13800138000"
    between = rng.choice(["、", "\n", "/", "；", " ", ",", " / ", "，\n"])
    line.cells[key] = f"0777-6521234{between}13800138000"


@mess(20, "local-label", forms=STATUS, elsewhere=_RULES)
def local_industry(book: Book, rng: Random) -> None:
    page = main(book)
    line, key = book.free(rng, page, ["industry"])
    line.cells[key] = line.truth[key] = line.loaded[key] = rng.choice(["铝", "糖", "螺蛳粉"])
    book.rules = True


@mess(20, "unknown-label", forms=STATUS, elsewhere=_RULES)
def unknown_industry(book: Book, rng: Random) -> None:
    page = main(book)
    line, key = book.free(rng, page, ["industry"])
    line.cells[key] = line.truth[key] = line.loaded[key] = "演示产业"
    book.rules = True
    book.expect("W-IND-001", page, line, key)


@mess(21, "several-forms", claims=["pages"])
def several_forms(book: Book, rng: Random) -> None:
    other = rng.choice([name for name in FORMS if name != main(book).form.name])
    book.pages.append(_like_first(book, clean_page(other, (1, 2))))


@mess(21, "several-sheets", claims=["pages", "header stop"])
def one_form_over_two_sheets(book: Book, rng: Random) -> None:
    page = main(book)
    book.pages.append(_like_first(book, clean_page(page.form.name, (101, 102), name="第二页")))


def _like_first(book: Book, page: Page) -> Page:
    """Frame of a further page: it must not name what the first page leaves out or contradicts."""
    first = main(book)
    page.title = first.title.replace(first.form.title_zh, page.form.title_zh)
    page.frame = list(first.frame)
    return page


# ------------------------------------------------------------------------------------------------ 22 to 24 the ledger


@mess(
    22,
    "renamed-copy",
    claims=["file name", "extension"],
    elsewhere=(_CHAIN + "test_the_same_bytes_under_another_name_change_nothing",),
)
def sent_again(book: Book, rng: Random) -> None:
    book.file_name = f"最终版(2){extension(book)}"


@mess(
    23,
    "corrected",
    elsewhere=(
        _CHAIN + "test_a_corrected_file_is_the_next_version_and_the_older_one_stays",
        _ROUND_TRIP + "test_a_refused_workbook_mended_and_explained_comes_back_as_version_two",
    ),
)
def corrected(book: Book, rng: Random) -> None:
    page = main(book)
    line, key = book.free(rng, page, filled(page, numeric(page, required=True)))
    line.cells[key] = line.truth[key] = line.loaded[key] = line.truth[key] + 1


@mess(
    24,
    "future-month",
    claims=["frame", "file name"],
    elsewhere=(
        _CHAIN + "test_a_mistyped_year_is_refused_and_opens_no_month",
        _CHAIN + "test_marts_and_report_of_a_month_with_a_county_missing",
        _ROUND_TRIP + "test_a_file_after_closing_waits_and_becomes_a_revision_once_approved",
    ),
)
def future_month(book: Book, rng: Random) -> None:
    for page in book.pages:
        page.frame[2] = "报告期：2062年10月"
    book.folder = "灵山县"


# ----------------------------------------------------------------------------------------------------- 25, 26 hostile


def _replaced(content: bytes, refusal: str) -> Callable[[Book, Random], None]:
    def plant(book: Book, rng: Random) -> None:
        book.patches.append(lambda data: content)
        book.stops = "file"
        book.expect(refusal)

    return plant


mess(25, "password", claims=["bytes"])(_replaced(ole_container("EncryptionInfo", "EncryptedPackage"), "E-FILE-004"))
mess(25, "macro-xls", claims=["bytes"], writers=("xlwt",))(
    _replaced(ole_container("Workbook", "_VBA_PROJECT_CUR"), "E-FILE-005")
)


def _part(name: str, content: bytes | Callable[[bytes], bytes], refusal: str | None) -> Callable[[Book, Random], None]:
    def plant(book: Book, rng: Random) -> None:
        book.patches.append(lambda data: with_part(data, name, content))
        if refusal:
            book.stops = "file"
            book.expect(refusal)

    return plant


mess(25, "macro", claims=["bytes"], writers=XLSX)(_part("xl/vbaProject.bin", b"\0", "E-FILE-005"))
_FIRST_SHEET = "xl/worksheets/sheet1.xml"


def _empty_rows(count: int) -> Callable[[bytes], bytes]:
    row = b'<row r="%d"><c r="B%d" s="0"/><c r="ZZ%d" s="0"/></row>'
    rows = b"".join(row % (n, n, n) for n in range(500, 500 + count))
    return lambda xml: xml.replace(b"</sheetData>", rows + b"</sheetData>")


mess(25, "formatted-rows", claims=["bytes"], writers=XLSX)(_part(_FIRST_SHEET, _empty_rows(2_000), None))


@mess(25, "far-cell", claims=["bytes"], writers=XLSX)
def million_rows(book: Book, rng: Random) -> None:
    cell = b'<row r="1048576"><c r="A1048576"><v>1</v></c></row></sheetData>'
    book.patches.append(lambda data: with_part(data, _FIRST_SHEET, lambda xml: xml.replace(b"</sheetData>", cell)))
    book.stops = "file"
    book.expected.append(Expect("E-FILE-010", page=main(book)))


@mess(26, "lying-size", claims=["bytes"], writers=XLSX)
def zip_bomb(book: Book, rng: Random) -> None:
    name = b"xl/worksheets/sheet9.xml"

    def change(data: bytes) -> bytes:
        bomb = bytearray(with_part(data, name.decode(), bytes(2_000_000)))
        directory = bomb.rfind(name) - 46
        bomb[directory + 24 : directory + 28] = struct.pack("<I", 1000)
        return bytes(bomb)

    book.patches.append(change)
    book.stops = "file"
    book.expect("E-FILE-007")


_ENTITIES = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;&b;">]><sst>&c;</sst>'
mess(26, "entities", claims=["bytes"], writers=XLSX)(_part("xl/sharedStrings.xml", _ENTITIES, "E-FILE-008"))
mess(26, "path", claims=["bytes"], writers=XLSX)(_part("../../演示.xml", b"<a/>", None))


@mess(26, "text")
def hostile_text(book: Book, rng: Random) -> None:
    page = main(book)
    line, key = book.free(rng, page, ["remark"])
    line.cells[key] = line.truth[key] = line.loaded[key] = rng.choice(
        ["=cmd|'/C calc'!A0", "+1+1", "@SUM(1)", "'; drop table raw.enterprise_status; --", "<script>alert(1)</script>",
         '=HYPERLINK("http://example.invalid","x")', "{{7*7}}", "%s%n"]
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------------------ 27, 28


@mess(27, "yuan-for-wan-yuan", forms=STATUS, elsewhere=_RULES)
def yuan_for_wan_yuan(book: Book, rng: Random) -> None:
    page = main(book)
    key = "revenue_wan_yuan"
    # last month's row is found by the code, which no other mess may have been at
    line = untouched(book, rng, page, key, "uscc")
    book.take(line, key, "uscc")
    line.cells[key] = line.loaded[key] = line.truth[key] * 10_000
    book.rules = True
    book.expect("W-JMP-001", page, line, key)


@mess(27, "unit-of-header", forms=STATUS, claims=["header stop"])
def unit_of_the_header(book: Book, rng: Random) -> None:
    page = main(book)
    headers = ["上年度营业收入（元）", "上年度营业收入(亿元)", "年营业收入（千元）"]
    page.column("revenue_wan_yuan").leaf = rng.choice(headers)
    book.used.add((0, "revenue_wan_yuan"))
    book.expect("E-HDR-003", page, None, "revenue_wan_yuan")


@mess(27, "unit-of-sheet", forms=SUBSIDY, claims=["frame", "header stop"])
def unit_of_the_sheet(book: Book, rng: Random) -> None:
    page = main(book)
    page.frame[3] = rng.choice(["单位：万元", "金额单位：万元", "单位：人、千元"])
    for column in page.columns:
        one = page.fields().get(column.key)
        if one and one.columns[0].unit == "元" and header_key(column.leaf)[1] is None:
            book.used.add((0, column.key))
            book.expect("E-HDR-003", page, None, column.key)


@mess(28, "below-tail", claims=["below"])
def row_below_the_tail(book: Book, rng: Random) -> None:
    page = main(book)
    page.lines.append(data_line(page.form, true_row(page.form.name, 900), kind="below"))
    book.expect("E-TBL-001", page, page.lines[-1])


@mess(28, "table-beside")
def second_table_beside(book: Book, rng: Random) -> None:
    page = main(book)
    data = page.data
    for distance, value in ((2, "演示"), (3, 77)):
        for line in data[:2]:
            line.loose[distance] = value
        book.expected.append(Expect("W-HDR-003", page, data[0], loose=distance))


# which of its rows is named first depends on the columns it stands under
@mess(28, "table-under", claims=["below", "neighbours"])
def second_table_under(book: Book, rng: Random) -> None:
    """A small table of another kind under the tail is no row of the form, but is not passed over."""
    page = main(book)
    page.lines.append(Line("other", fixed={0: "附：", 1: "镇名", 2: "村名", 3: "户数"}))
    page.lines.append(Line("other", fixed={1: "演示镇", 2: "演示村", 3: 12, 4: 15}))
    book.expect("E-TBL-001", page, page.lines[-2])


assert set(TITLES) == set(range(1, 29)) == {one.number for one in MESSES.values()}
assert load_forms().keys() >= set(FORMS)
