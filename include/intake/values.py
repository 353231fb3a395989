"""Turns the cells of one column into typed values, and every cell that cannot be turned into a finding.

Work is done a column at a time: a column of clean cells takes a handful of passes at C speed, and only odd cells are
looked at one by one. A blank is ``None`` and never 0; nothing vague becomes a number.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

from include.forms.model import Column, Field
from include.forms.words import load_words
from include.intake.identifiers import masked
from include.quality.findings import Finding, cell_address

#: no county counts that many; a handful of such counts of one row still adds up within the warehouse's 32-bit integers
MAX_INTEGER = 100_000_000
#: numeric(12,2) of the marts: a phone number in a wage column must be held back here, where only its row is lost
MAX_DECIMAL = 1e10
#: a spreadsheet keeps 15 significant digits: a longer code stored as a number has lost its end
EXACT_DIGITS = 1e15
#: day numbers of 1990-01-01 and 2099-12-31 in the 1900 date system of spreadsheets
_FIRST_SERIAL, _LAST_SERIAL = 32_874, 73_050
_SERIAL_ORIGIN = date(1899, 12, 30)
_FIRST_YEAR, _LAST_YEAR = 1990, 2099

# problems of a cell: the number of the R-VAL/W-VAL code that names them
BLANK, VAGUE, NOT_A_NUMBER, NEGATIVE, FRACTION, PRECISION, NOT_LISTED = 1, 2, 3, 4, 5, 6, 7
FORMULA, BROKEN, NOT_A_DATE, UNCLEAR_DATE, NOT_A_RANGE, RANGE_ORDER, NOT_A_FLAG, OUT_OF_RANGE = range(8, 16)
# notes about a whole column
TEXT_NUMBER, ROUNDED, SERIAL_DATE = 20, 21, 22
#: a telephone number whose leading zero went when it was stored as a number
ZERO_LOST = 23
#: these hold the row back whether the column is required or not
_ALWAYS_HELD = frozenset({NEGATIVE, FRACTION, PRECISION, OUT_OF_RANGE})


@dataclass(frozen=True, slots=True)
class Read:
    """What one cell gave: a value (``None`` for blank), the problem met, and the note to count for the column."""

    value: Any = None
    problem: int | None = None
    note: int | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a column stands: form, sheet, 0-based column index, header as written, 1-based row of each value."""

    form: str
    sheet: str
    index: int
    header: str
    rows: Sequence[int]


@dataclass(slots=True)
class ColumnResult:
    """Normalised values by column name (two for a range field) and the findings on the way."""

    values: dict[str, list[Any]]
    findings: list[Finding] = field(default_factory=list)


_NOTHING = Read()


# ------------------------------------------------------------------------------------------------------------- text

_CJK = "\u3400-\u9fff\uf900-\ufaff"
_SPACE = re.compile(r"[\s\u200b-\u200f\u2028-\u202e\u2060\ufeff]+")
_SPACE_BETWEEN_CJK = re.compile(f"(?<=[{_CJK}]) (?=[{_CJK}])")
_FULL_WIDTH = re.compile("[０-９Ａ-Ｚａ-ｚ\u3000]")
_FULL_WIDTH_SPANS = ((0xFF10, 0xFF1A), (0xFF21, 0xFF3B), (0xFF41, 0xFF5B))
_TO_ASCII = {code: code - 0xFEE0 for first, stop in _FULL_WIDTH_SPANS for code in range(first, stop)}
_SCIENTIFIC = re.compile(r"^[0-9](?:\.[0-9]+)?[eE]\+?[0-9]{1,2}$")


def clean_text(text: str) -> str:
    """Text without line breaks, invisible and control characters, full-width letters and digits made ordinary, blanks
    between Chinese characters removed; Chinese punctuation stays as written."""
    text = _SPACE.sub(" ", text.translate(_TO_ASCII))
    if not text.isprintable():
        text = "".join(character for character in text if character.isprintable())
    return _SPACE_BETWEEN_CJK.sub("", text).strip()


def show(value: Any) -> str:
    """A cell as a person saw it: whole floats without a fraction, dates as ISO text."""
    if isinstance(value, float) and value.is_integer() and abs(value) < EXACT_DIGITS:
        return str(int(value))
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value)


def _is_null(text: str) -> bool:
    return not text or text in load_words().null_words


def _number_as_text(value: float | int) -> Read:
    if isinstance(value, float) and not math.isfinite(value):
        return Read(None, PRECISION)
    if abs(value) >= EXACT_DIGITS:
        return Read(None, PRECISION)
    if float(value).is_integer():
        return Read(str(int(value)))
    return Read(repr(value))


def read_text(value: Any) -> Read:
    """Text of a cell; numbers become their digits, a number of more than 15 digits has lost some."""
    if isinstance(value, str):
        text = clean_text(value)
        if _is_null(text):
            return _NOTHING
        return Read(None, BROKEN) if text in load_words().error_words else Read(text)
    if isinstance(value, bool):
        return Read("是" if value else "否")
    if isinstance(value, int | float):
        return _number_as_text(value)
    return Read(show(value))


def read_code(value: Any) -> Read:
    """A code (credit code, identity number, account): upper case without blanks; its check character is not judged."""
    if isinstance(value, str):
        text = _SPACE.sub("", unicodedata.normalize("NFKC", value)).strip("'‘’`").upper()
        if _is_null(text):
            return _NOTHING
        if text in load_words().error_words:
            return Read(None, BROKEN)
        text = "".join(character for character in text if character.isprintable())
        return Read(None, PRECISION) if _SCIENTIFIC.match(text) else Read(text)
    return read_text(value)


_PHONES = re.compile(r"[、，,;；/|\r\n]+|(?<=[0-9]{7})\s+(?=[0-9]{3})")
_MOBILE = re.compile(r"1[3-9][0-9]{9}")
_SERVICE = re.compile(r"[48]00[0-9]{7}")


def read_phone(value: Any) -> Read:
    """Telephone numbers as written; several in one cell come joined by ``、``.

    A number of nine digits or more that is neither a mobile nor a 400 or 800 number began with the 0 of its area code,
    which a spreadsheet drops from numbers: it is not kept.
    """
    if isinstance(value, str):
        text = unicodedata.normalize("NFKC", value).strip()
        if _is_null(clean_text(text)):
            return _NOTHING
        parts = [part for piece in _PHONES.split(text) if (part := clean_text(piece))]
        return read_text("、".join(parts)) if parts else _NOTHING
    read = read_text(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or read.value is None:
        return read
    whole = read.value.isdigit() and len(read.value) >= 9
    if whole and not _MOBILE.fullmatch(read.value) and not _SERVICE.fullmatch(read.value):
        return Read(None, ZERO_LOST)
    return read


def read_industry(value: Any) -> Read:
    """Industry name or division code as text; a code stored as a number gets its leading zero back (1.0: ``01``)."""
    if isinstance(value, float) and value.is_integer() and 0 < value < 100:
        return Read(f"{int(value):02d}")
    return read_text(value)


# ---------------------------------------------------------------------------------------------------------- numbers

_UNITS = "|".join(sorted(map(re.escape, load_words().people_units), key=len, reverse=True))
_NUMBER = re.compile(
    rf"^(?P<sign>[-+]?)(?P<digits>\d+|\d{{1,3}}(?:,\d{{3}})+)(?P<fraction>\.\d+)?(?P<scale>[万千亿k]?)"
    rf"(?P<unit>元|{_UNITS}|岁|周岁)?(?:[/每](?:月|人|人月|(?P<yearly>年)))?$"
)
_SCALES = {"": Decimal(1), "千": Decimal(1000), "k": Decimal(1000), "万": Decimal(10_000), "亿": Decimal(100_000_000)}
_HAS_DIGIT = re.compile(r"\d")


_BLANK_BESIDE_DIGITS = re.compile(r"(?<!\d) | (?!\d)")
_BLANK_GROUPS = re.compile(r"(?<!\d)\d{1,3}(?: \d{3})+(?!\d)")
_TWO_LINES = re.compile(r"\d[^\S\r\n]*[\r\n]\s*\d")


def _plain_number(text: str) -> str:
    """The text without blanks, but for those between digits that are no thousands separators: ``3 5`` is not 35."""
    plain = _SPACE.sub(" ", unicodedata.normalize("NFKC", text)).strip()
    plain = _BLANK_GROUPS.sub(lambda match: match.group().replace(" ", ""), _BLANK_BESIDE_DIGITS.sub("", plain))
    return plain.replace("，", ",").replace("−", "-").lower().lstrip("¥￥")


def parse_number(text: str, unit: str | None) -> tuple[Decimal | None, int | None]:
    """An exact number from text, in the unit of the column: ``'1,234人'`` is 1234, ``'0.3万'`` in 元 is 3000,
    ``'2000万'`` in 万元 is 2000. Returns (number, problem); vague and foreign texts give ``None`` and a problem."""
    plain = _plain_number(text)
    match = _NUMBER.match(plain)
    if match is None:
        vague = _HAS_DIGIT.search(plain) is not None and (
            any(word in plain for word in load_words().vague_words) or re.search(r"\d[-~—–]\d", plain) is not None
        )
        vague = vague or plain in {"若干", "待定", "不定", "不详", "几", "几人", "多人", "数人"}
        return None, VAGUE if vague else NOT_A_NUMBER
    try:
        number = Decimal(match["sign"] + match["digits"].replace(",", "") + (match["fraction"] or ""))
    except InvalidOperation:
        return None, NOT_A_NUMBER
    scale, named = _SCALES[match["scale"]], match["unit"]
    if match["yearly"] and unit == "元":
        return None, NOT_A_NUMBER  # a year's pay in a column of monthly pay is not divided by twelve on a guess
    if unit == "万元":
        # a bare number stands in 万元 already; one that names 元, 万 or 亿 is brought to it
        if match["scale"] or named == "元":
            number = number * scale / Decimal(10_000)
    else:
        number *= scale
    money = unit in ("元", "万元")
    if named == "元" and not money:
        return None, NOT_A_NUMBER
    if named and named != "元" and money:
        return None, NOT_A_NUMBER
    return number, None


def _read_decimal(value: Any, unit: str | None) -> tuple[Decimal | float | None, int | None, int | None]:
    if isinstance(value, str):
        text = clean_text(value)
        if _is_null(text):
            return None, None, None
        if text in load_words().error_words:
            return None, BROKEN, None
        if _TWO_LINES.search(value):
            return None, NOT_A_NUMBER, None  # two numbers, one above the other
        number, problem = parse_number(text, unit)
        return number, problem, TEXT_NUMBER
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None, NOT_A_NUMBER, None
    if not math.isfinite(value):
        return None, NOT_A_NUMBER, None
    return value, None, None


def read_integer(value: Any, unit: str | None = None) -> Read:
    """A count: whole and not negative."""
    number, problem, note = _read_decimal(value, unit)
    if number is None:
        return Read(None, problem)
    if number < 0:
        return Read(None, NEGATIVE)
    if number != int(number):
        return Read(None, FRACTION)
    if number > MAX_INTEGER:
        return Read(None, OUT_OF_RANGE)
    return Read(int(number), None, note)


def read_decimal(value: Any, unit: str | None = None) -> Read:
    """A measure >= 0 as float."""
    number, problem, note = _read_decimal(value, unit)
    if number is None:
        return Read(None, problem)
    if number < 0:
        return Read(None, NEGATIVE)
    if number >= MAX_DECIMAL:
        return Read(None, OUT_OF_RANGE)
    return Read(float(number), None, note)


def read_figure(value: Any) -> Read:
    """A measure >= 0 whose unit stands in another column of the row: digits alone, since what ``1.2万`` or ``30人``
    means depends on that unit."""
    match = _NUMBER.match(_plain_number(clean_text(value))) if isinstance(value, str) else None
    if match and (match["scale"] or match["unit"] or match["yearly"]):
        return Read(None, NOT_A_NUMBER)
    return read_decimal(value)


def read_money(value: Any, unit: str | None = None) -> Read:
    """An amount in 元 >= 0 as float with at most two decimals; more are rounded half up, with a note."""
    read = read_decimal(value, unit)
    if read.value is None:
        return read
    exact = Decimal(repr(read.value))
    cents = exact.quantize(Decimal("0.01"), ROUND_HALF_UP)
    # a formula leaves binary dust (1833.3300000000002) that nobody typed: only a real third decimal is noted
    if abs(exact - cents) > Decimal("0.000001"):
        return Read(float(cents), None, ROUNDED)
    return Read(float(cents), None, read.note)


# ----------------------------------------------------------------------------------------------------------- ranges

_RANGE = re.compile(r"^(.+?)(?:至|到|[-~—–－～]+)(.+)$")
_AT_LEAST = re.compile(r"^(?:不低于|不少于|至少|≥|>=)?(.+?)(?:元|岁|周岁)?(?:/月)?(?:以上|及以上|起)$")
_AT_MOST = re.compile(r"^(?:不超过|不高于|≤|<=)?(.+?)(?:元|岁|周岁)?(?:/月)?(?:以下|以内|及以下)$")


def read_range(value: Any, unit: str | None, part: Callable[[Any, str | None], Read]) -> Read:
    """A range as a pair (low, high): ``3500～5000元`` is (3500, 5000), ``4000`` is (4000, 4000), ``3000以上`` is
    (3000, None), ``面议`` is (None, None). ``part`` reads one end."""
    if isinstance(value, bool | date | time | timedelta):
        return Read((None, None), NOT_A_RANGE)
    if isinstance(value, int | float):
        read = part(value, unit)
        return Read((read.value, read.value), read.problem)
    text = clean_text(str(value))
    if _is_null(text) or text in load_words().open_words:
        return Read((None, None))
    if text in load_words().error_words:
        return Read((None, None), BROKEN)
    plain = _plain_number(text)
    for pattern, low_end in ((_AT_LEAST, True), (_AT_MOST, False)):
        if match := pattern.match(plain):
            read = part(match[1], unit)
            if read.value is None:
                return Read((None, None), NOT_A_RANGE)
            return Read((read.value, None) if low_end else (None, read.value))
    if match := _RANGE.match(plain):
        low_text, high_text = match[1], match[2]
        scaled = re.search(r"[万千k](?=元?(?:/月|每月)?$)", high_text)
        if scaled and re.fullmatch(r"[\d.,]+", low_text) and _smaller(low_text, high_text, scaled.group()):
            low_text += scaled.group()
        low, high = part(low_text, unit), part(high_text, unit)
        if low.value is None or high.value is None:
            return Read((None, None), NOT_A_RANGE)
        if low.value > high.value:
            return Read((None, None), RANGE_ORDER)
        return Read((low.value, high.value))
    read = part(plain, unit)
    if read.value is None:
        return Read((None, None), NOT_A_RANGE)
    return Read((read.value, read.value))


def _smaller(low: str, high: str, scale: str) -> bool:
    """Whether the scale of ``0.3-0.5万`` belongs to both ends: only where the bare low end is no amount by itself."""
    low_number, _ = parse_number(low, None)
    high_number, _ = parse_number(high.split(scale)[0], None)
    return low_number is not None and high_number is not None and low_number <= high_number and low_number < 1000


# ------------------------------------------------------------------------------------------------- months and dates

_YEAR_MONTH = re.compile(r"^(\d{4})(?:年|[-./])(\d{1,2})(?:月份?|月底|月初|月中)?$|^(\d{4})(\d{2})$")
_FULL_DATE = re.compile(
    r"^(\d{4})(?:年|[-./])(\d{1,2})(?:月|[-./])(\d{1,2})日?(?:[T ]?\d{1,2}:\d{2}(?::\d{2})?)?$|^(\d{4})(\d{2})(\d{2})$"
)
_PARTIAL = re.compile(r"^\d{1,4}(?:年|月|日|[-./]).*|^\d{1,2}$|.*季度$|.*[上下]半年$|.*[上中下]旬$|^\d{4}$")


def _serial(value: float) -> date | None:
    return _SERIAL_ORIGIN + timedelta(days=int(value)) if _FIRST_SERIAL <= value <= _LAST_SERIAL else None


def _date(year: int, month: int, day: int) -> date | None:
    if not _FIRST_YEAR <= year <= _LAST_YEAR:
        return None
    try:
        return date(year, month, day)
    except ValueError:
        return None


def read_date(value: Any) -> Read:
    """A day as ``datetime.date``: dates, day numbers, ``20260315``, ``2026年3月15日``, ``2026.3.15``. A text without
    year or day is not completed."""
    if isinstance(value, datetime):
        value = value.date()
    if isinstance(value, date):
        return Read(value) if _FIRST_YEAR <= value.year <= _LAST_YEAR else Read(None, NOT_A_DATE)
    if isinstance(value, bool | time | timedelta):
        return Read(None, NOT_A_DATE)
    if isinstance(value, int | float):
        if found := _serial(value):
            return Read(found, None, SERIAL_DATE)
        if 19900101 <= value <= 20991231 and float(value).is_integer():
            return read_date(str(int(value)))
        return Read(None, UNCLEAR_DATE if 1 <= value <= 209912 else NOT_A_DATE)
    text = clean_text(str(value))
    if _is_null(text):
        return _NOTHING
    if text in load_words().error_words:
        return Read(None, BROKEN)
    plain = unicodedata.normalize("NFKC", text).replace("。", ".").replace("—", "-")
    if match := _FULL_DATE.match(plain.replace(" ", "") if ":" not in plain else plain):
        found = _date(*(int(part) for part in match.groups() if part is not None))
        return Read(found) if found else Read(None, NOT_A_DATE)
    if re.fullmatch(r"\d{5}(?:\.0+)?", plain) and (found := _serial(float(plain))):
        return Read(found, None, SERIAL_DATE)
    return Read(None, UNCLEAR_DATE if _PARTIAL.match(plain) else NOT_A_DATE)


def read_month(value: Any) -> Read:
    """A month as ``'YYYY-MM'``: dates and day numbers (their month), ``202603``, ``2026年3月``, ``2026.3``. The number
    2026.1 may be January or October typed as 2026.10, and ``3月`` names no year: both stay unclear."""
    if isinstance(value, datetime | date):
        read = read_date(value)
        return Read(f"{read.value:%Y-%m}") if read.value else read
    if isinstance(value, bool | time | timedelta):
        return Read(None, NOT_A_DATE)
    if isinstance(value, int | float):
        if found := _serial(value):
            return Read(f"{found:%Y-%m}", None, SERIAL_DATE)
        if _FIRST_YEAR <= value < _LAST_YEAR + 1:
            fraction = f"{value:.2f}".partition(".")[2]
            if float(value).is_integer() or fraction == "10":
                return Read(None, UNCLEAR_DATE)
            month = int(fraction) if fraction[0] == "0" or fraction in ("11", "12") else int(fraction.rstrip("0"))
            return Read(f"{int(value):04d}-{month:02d}") if 1 <= month <= 12 else Read(None, NOT_A_DATE)
        if float(value).is_integer() and 199001 <= value <= 209912:
            return read_month(str(int(value)))
        return Read(None, UNCLEAR_DATE if 1 <= value <= 12 else NOT_A_DATE)
    text = clean_text(str(value))
    if _is_null(text):
        return _NOTHING
    if text in load_words().error_words:
        return Read(None, BROKEN)
    plain = unicodedata.normalize("NFKC", text).replace(" ", "").replace("。", ".").replace("—", "-")
    if match := _YEAR_MONTH.match(plain):
        year, month = (int(part) for part in match.groups() if part is not None)
        return Read(f"{year:04d}-{month:02d}") if _date(year, month, 1) else Read(None, NOT_A_DATE)
    if _FULL_DATE.match(plain):
        read = read_date(plain)
        return Read(f"{read.value:%Y-%m}") if read.value else read
    return Read(None, UNCLEAR_DATE if _PARTIAL.match(plain) else NOT_A_DATE)


# --------------------------------------------------------------------------------------------- enumerations, yes/no


@lru_cache(maxsize=256)
def _list_key(text: str) -> str:
    return re.sub(r"[()/、,，\-·]", "", _SPACE.sub("", unicodedata.normalize("NFKC", text))).upper()


def enumeration(column: Column) -> Mapping[str, str]:
    """Lookup of an enumeration: comparison key of every value and alias -> canonical value."""
    lookup = {_list_key(alias): value for value, aliases in column.values.items() for alias in aliases}
    lookup.update({_list_key(value): value for value in column.values})
    return lookup


def read_enumeration(value: Any, lookup: Mapping[str, str]) -> Read:
    """One of a list, through its aliases; anything else is ``NOT_LISTED``."""
    read = read_text(value)
    if read.value is None:
        return read
    found = lookup.get(_list_key(read.value))
    return Read(found) if found is not None else Read(None, NOT_LISTED)


def read_boolean(value: Any) -> Read:
    """是/否 and what is written for them (√, 有, 1 / ×, 无, 0). ``无`` is No here, not a blank."""
    if isinstance(value, bool):
        return Read(value)
    text = clean_text(show(value))
    words = load_words()
    if text in words.true_words:
        return Read(True)
    if text in words.false_words:
        return Read(False)
    if _is_null(text):
        return _NOTHING
    return Read(None, BROKEN if text in words.error_words else NOT_A_FLAG)


# ---------------------------------------------------------------------------------------------------- whole columns


def normalise(field_: Field, cells: Sequence[Any], place: Place, gaps: Mapping[int, str] | None = None) -> ColumnResult:
    """Values of one field for the data rows.

    Args:
        field_: the form's field.
        cells: raw cells, one per data row, ``""`` for empty.
        place: where they stand, for addresses.
        gaps: position in ``cells`` -> ``"formula"`` (never calculated) or ``"error"``.

    Returns:
        Lists of the same length as ``cells`` under each column name of the field, and findings. ``R-VAL-...`` for a
        required column or a value that must not pass, ``W-VAL-...`` otherwise; notes once a column.
    """
    column = field_.columns[0]
    problems: list[tuple[int, int]] = []
    notes: dict[int, list[int]] = {}
    if gaps:
        cells = list(cells)
        for position in gaps:
            cells[position] = ""
    read = _fast_column(field_, cells)
    if read is None:
        read = _slow_column(field_, cells, problems, notes)
    result = ColumnResult(
        {part.name: [pair[part.range_part] for pair in read] for part in field_.columns}
        if len(field_.columns) == 2
        else {column.name: read}
    )
    problem_at = dict(problems)
    if gaps:
        problem_at.update({position: FORMULA if kind == "formula" else BROKEN for position, kind in gaps.items()})
    if column.required and None in result.values[column.name]:
        for position, value in enumerate(result.values[column.name]):
            if value is None:
                problem_at.setdefault(position, BLANK)
    for position in sorted(problem_at):
        problem = problem_at[position]
        held = problem in _ALWAYS_HELD or column.required
        result.findings.append(
            _finding(column, cells[position], f"{'R' if held else 'W'}-VAL-{problem:03d}", position, place)
        )
    for note, positions in sorted(notes.items()):
        first = positions[0]
        result.findings.append(_finding(column, cells[first], f"W-VAL-{note:03d}", first, place, count=len(positions)))
    return result


def _finding(column: Column, cell: Any, code: str, position: int, place: Place, count: int | None = None) -> Finding:
    shown = show(cell)[:80]
    row = place.rows[position]
    shown = masked(column.name, shown)
    params: dict[str, Any] = {"header": place.header}
    if column.values:
        params["choices"] = "、".join(column.values)
    if count is not None:
        params["count"] = count
    return Finding(
        code,
        form=place.form,
        sheet=place.sheet,
        row=row,
        column=column.name,
        cell=cell_address(row, place.index),
        value=shown,
        params=params,
    )


def _fast_column(field_: Field, cells: Sequence[Any]) -> list[Any] | None:
    """Values of a column without any odd cell, by passes over the whole column; ``None`` when a cell is odd."""
    kinds = set(map(type, cells))
    column = field_.columns[0]
    if field_.type in ("integer", "decimal", "money"):
        return _fast_numbers(field_.type, cells, kinds)
    if kinds <= {str} and field_.type in ("text", "uscc", "identity", "industry"):
        distinct = set(cells)
        joined = "".join(distinct)
        if field_.type in ("uscc", "identity"):
            clean = not joined or (joined.isascii() and joined.isalnum() and joined == joined.upper())
            clean = clean and not any(len(cell) < 12 and _SCIENTIFIC.match(cell) for cell in distinct if "E" in cell)
        else:
            clean = joined.isprintable() and " " not in joined and not _FULL_WIDTH.search(joined)
            clean = clean and (column.name != "phone" or not _PHONES.search(joined))
        words = load_words()
        if clean and words.null_words.isdisjoint(distinct) and words.error_words.isdisjoint(distinct):
            return [cell or None for cell in cells] if "" in distinct else list(cells)
    if kinds <= {str} and column.values:
        lookup: dict[str, str | None] = {value: value for value in column.values}
        lookup[""] = None
        if lookup.keys() >= set(cells):
            return list(map(lookup.__getitem__, cells))
    return None


def _fast_numbers(kind: str, cells: Sequence[Any], kinds: set[type]) -> list[Any] | None:
    if not kinds <= {float, int, str}:
        return None
    numbers = cells
    if str in kinds:
        if any(cell for cell in cells if type(cell) is str):
            return None
        numbers = [cell for cell in cells if cell != ""]
    if not numbers:
        return [None] * len(cells)
    # not-a-number hides from min and max, but not from a sum
    if not (min(numbers) >= 0 and max(numbers) <= MAX_INTEGER and math.isfinite(sum(numbers))):
        return None
    if kind == "integer":
        whole = list(map(int, numbers))
        if whole != list(numbers):
            return None
        if str not in kinds:
            return whole
        return [None if cell == "" else int(cell) for cell in cells]
    if kind == "money" and [round(number, 2) for number in numbers] != list(numbers):
        return None
    return [None if cell == "" else float(cell) for cell in cells] if str in kinds else list(map(float, numbers))


def _reader(field_: Field) -> Callable[[Any], Read]:
    column = field_.columns[0]
    unit = column.unit
    match field_.type:
        case "integer":
            return lambda value: read_integer(value, unit)
        case "decimal":
            return (lambda value: read_decimal(value, unit)) if column.scaled else read_figure
        case "money":
            return lambda value: read_money(value, unit)
        case "integer_range":
            return lambda value: read_range(value, unit, read_integer)
        case "decimal_range":
            return lambda value: read_range(value, unit, read_decimal)
        case "enum":
            lookup = enumeration(column)
            return lambda value: read_enumeration(value, lookup)
        case "boolean":
            return read_boolean
        case "uscc" | "identity":
            return read_code
        case "industry":
            return read_industry
        case "month":
            return read_month
        case "date":
            return read_date
        case _:
            return read_phone if column.name == "phone" else read_text


def _slow_column(
    field_: Field, cells: Sequence[Any], problems: list[tuple[int, int]], notes: dict[int, list[int]]
) -> list[Any]:
    """Cell by cell, each distinct cell read once."""
    reader = _reader(field_)
    blank = (None, None) if len(field_.columns) == 2 else None
    seen: dict[tuple[type, Any], Read] = {}
    values: list[Any] = []
    append = values.append
    for position, cell in enumerate(cells):
        if cell == "":
            append(blank)
            continue
        key = type(cell), cell
        read = seen.get(key)
        if read is None:
            read = seen[key] = reader(cell)
        append(read.value)
        if read.problem is not None:
            problems.append((position, read.problem))
        if read.note is not None:
            notes.setdefault(read.note, []).append(position)
    if blank is not None:
        values = [blank if value is None else value for value in values]
    return values
