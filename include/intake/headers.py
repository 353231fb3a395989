"""Finds the columns of a form by the text of its headers, wherever they stand.

Headers of one to three rows are joined through real merge ranges, so that ``合计`` under ``职工人数`` and ``合计``
under ``技能人才`` are two columns. A column is never found by its position. What cannot be told apart is a finding.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from functools import lru_cache
from itertools import islice, pairwise
from typing import Any

from include.forms.model import Field, Form, TemplateVersion, load_forms
from include.forms.words import load_words
from include.intake.scanning import Merge

#: The header is sought in the first rows; real workbooks put titles and notes of up to a dozen rows above it.
SEARCH_ROWS = 30
#: The widest form has some fifty columns; a stray cell in column 65,536 must not make the search take minutes.
SEARCH_COLUMNS = 1_000
#: Deepest header seen: group of groups, group, leaf.
MAX_DEPTH = 3
#: Fewer recognised headers than this are chance, not a header row.
LEAST_MATCHES = 3
#: Two header texts less alike than this are not offered as a renaming (share of matching characters).
ALIKE = 0.5

_BLANKS = re.compile(r"[\s\u200b-\u200f\u2028-\u202e\u2060\ufeff\u00ad]+")
_PUNCTUATION = re.compile(r"[()\[\]{}<>《》【】〔〕“”\"'‘’、,，。.;；:：/\\|·\-—_~*★※#]+")
_BRACKETS = re.compile(r"[(\[【]([^()\[\]【】]*)[)\]】]$")
_FIGURE = re.compile(r"[0-9][0-9A-Z.-]*")
_LABEL = re.compile(r"[:：]")
_NUMBERING = re.compile(r"^(?:[0-9]{1,2}[.、．)]|\([0-9]{1,2}\)|[一二三四五六七八九十]{1,3}、)(?![0-9])")


def squash(text: str) -> str:
    """NFKC, lower case, without blanks, line breaks and invisible characters: ``'企 业\\n名Ａ'`` is ``'企业名a'``."""
    return _BLANKS.sub("", unicodedata.normalize("NFKC", text)).lower()


@lru_cache(maxsize=8192)
def header_key(text: str) -> tuple[str, str | None]:
    """Comparison key of a header text, and the unit it names in trailing brackets.

    ``'上年度营业收入（万元）'`` gives ``('上年度营业收入', '万元')``; numbering, required marks and punctuation go.
    """
    words = load_words()
    plain = _NUMBERING.sub("", squash(text).strip("*★※"))
    unit: str | None = None
    while match := _BRACKETS.search(plain):
        inside = match.group(1)
        if inside in words.header_units:
            unit = unit or words.header_units[inside]
        elif inside not in words.header_marks:
            break
        plain = plain[: match.start()].strip("*★※")
    return _PUNCTUATION.sub("", plain), unit


def _key(text: str) -> str:
    return header_key(text)[0]


@dataclass(frozen=True, slots=True)
class HeaderIndex:
    """Lookup tables of one form: header key -> fields, and group key -> official group.

    For a form with a wide layout also ``measures`` (group key -> amount column, and whether the group says so for
    certain), ``items`` (keys of the known items) and ``totals`` (keys of headers of control totals). ``likely`` are the
    keys by which a header row is looked for.
    """

    form: Form
    by_leaf: Mapping[str, tuple[Field, ...]]
    by_joined: Mapping[str, Field]
    groups: Mapping[str, str]
    generic: frozenset[str]
    measures: Mapping[str, tuple[str, bool]] = field(default_factory=dict)
    items: frozenset[str] = frozenset()
    totals: frozenset[str] = frozenset()
    likely: frozenset[str] = frozenset()


@lru_cache(maxsize=32)
def header_index(form_name: str) -> HeaderIndex:
    """The index of a form of :func:`include.forms.model.load_forms`, built once."""
    form = load_forms()[form_name]
    by_leaf: dict[str, list[Field]] = {}
    by_joined: dict[str, Field] = {}
    groups: dict[str, str] = {}
    written: dict[str, list[str]] = {}
    for group, aliases in form.groups.items():
        for text in (group, *aliases):
            groups[_key(text)] = group
            written.setdefault(group, []).append(text)
    fields = {one.name: one for one in form.fields}
    for one in form.fields:
        leaves = dict.fromkeys(_key(text) for text in (one.leaf, *one.aliases, *_version_leaves(form, one)))
        for leaf in leaves:
            by_leaf.setdefault(leaf, []).append(one)
            if one.group:
                for key, group in groups.items():
                    if group == one.group:
                        by_joined.setdefault(key + leaf, one)
                # in one cell the unit of the group stands in the middle: 月平均工资（元）普工
                for text in written[one.group]:
                    by_joined.setdefault(_PUNCTUATION.sub("", squash(text)) + leaf, one)
    for version in form.versions.values():
        for header in version.headers:
            if header.group and header.group not in form.groups:
                # a group that only this version writes means something together with its leaf alone
                by_joined.setdefault(_key(header.group) + _key(header.leaf), fields[header.field])
    generic = frozenset(_key(text) for text in load_words().needs_group)
    shared = {leaf for leaf, found in by_leaf.items() if len(found) > 1}
    measures: dict[str, tuple[str, bool]] = {}
    if form.wide:
        measures = {_key(text): (form.wide.unstated_measure, False) for text in form.wide.unstated}
        measures |= {_key(text): (name, True) for name, texts in form.wide.measures.items() for text in texts}
    items = frozenset(map(_key, form.wide.items)) if form.wide else frozenset()
    return HeaderIndex(
        form,
        {leaf: tuple(found) for leaf, found in by_leaf.items()},
        by_joined,
        groups,
        generic | shared,
        measures,
        items,
        frozenset(map(_key, load_words().total_words)) if form.wide else frozenset(),
        frozenset((*by_leaf, *by_joined, *items)),
    )


def _version_leaves(form: Form, of: Field) -> list[str]:
    """Leaf texts that some version writes for a field under the field's own group."""
    return [
        header.leaf
        for version in form.versions.values()
        for header in version.headers
        if header.field == of.name and header.group == of.group
    ]


def match_path(index: HeaderIndex, path: Sequence[str]) -> Field | None:
    """The field that a header path (group texts first, leaf last) names, ``None`` when it names none for certain."""
    if not path:
        return None
    *ancestors, leaf = (_key(text) for text in path)
    if any(word in ancestor for ancestor in ancestors for word in load_words().other_time_words):
        return None  # last month's or last year's figures beside this month's
    joined = "".join(ancestors) + leaf
    if field := index.by_joined.get(joined) or index.by_joined.get((ancestors[-1] if ancestors else "") + leaf):
        return field
    candidates = index.by_leaf.get(leaf, ())
    if not candidates:
        return None
    known = {index.groups[ancestor] for ancestor in ancestors if ancestor in index.groups}
    in_group = [one for one in candidates if one.group in known]
    if len(in_group) == 1:
        return in_group[0]
    if len(candidates) > 1 or leaf in index.generic:
        return None
    only = candidates[0]
    if only.group and known:
        return None  # the leaf of one group under the header of another
    return only


@dataclass(frozen=True, slots=True)
class AmountHeader:
    """What a header of the wide layout says of the amounts below it.

    Attributes:
        measure: amount column of the form, ``None`` where the texts above the item do not say which.
        item: text of the item as written, without line breaks.
        is_known: whether the form's list has the item.
        is_stated: whether the header says which amount it is, or the layout's rule does.
        is_total: the column repeats the sum of the items beside it.
    """

    measure: str | None
    item: str
    is_known: bool
    is_stated: bool
    is_total: bool = False


def match_amount(index: HeaderIndex, path: Sequence[str]) -> AmountHeader | None:
    """What a header path means in the wide layout: an amount over an item (``拨付金额/职业培训补贴``), an item over an
    amount, a known item alone, or the total of such columns; ``None`` for every other path."""
    if index.form.wide is None or not path:
        return None
    keys = [_key(text) for text in path]
    if any(word in key for key in keys[:-1] for word in load_words().other_time_words):
        return None
    for key, text in zip(keys[:-1], path, strict=False):
        measure, is_stated = index.measures.get(keys[-1], (None, False))
        if key in index.items and measure and is_stated:
            return AmountHeader(measure, _one_line(text), is_known=True, is_stated=True)
    item, is_known, is_total = _one_line(path[-1]), keys[-1] in index.items, keys[-1] in index.totals
    above = [index.measures[key] for key in reversed(keys[:-1]) if key in index.measures]
    if above:
        # 补贴金额 over 拨付金额: the one that says which amount it is, the innermost of several
        measure, is_stated = next((one for one in above if one[1]), above[0])
        return AmountHeader(measure, item, is_known, is_stated, is_total)
    if not (is_known or is_total):
        return None
    return AmountHeader(None if keys[:-1] else index.form.wide.unstated_measure, item, is_known, False, is_total)


def _one_line(text: str) -> str:
    return " ".join(text.split())


@dataclass(frozen=True, slots=True)
class HeaderColumn:
    """One physical column under a header: 0-based index, header texts as written, the field it was matched to, and
    what it means in the wide layout (``amount``, only where it names no field)."""

    index: int
    path: tuple[str, ...]
    field: Field | None
    amount: AmountHeader | None = None

    @property
    def text(self) -> str:
        """Header as written, group and leaf joined by ``/``, line breaks kept out."""
        return "/".join(map(_one_line, self.path))


@dataclass(frozen=True, slots=True)
class Header:
    """A header found in a sheet: 0-based first and last row, and every column with a header text."""

    first_row: int
    last_row: int
    columns: tuple[HeaderColumn, ...]

    @property
    def matched(self) -> frozenset[str]:
        return frozenset(column.field.name for column in self.columns if column.field)


def header_grid(rows: Sequence[Sequence[Any]], merges: Sequence[Merge]) -> list[list[tuple[str, tuple[int, int]]]]:
    """The first rows as (text, anchor) cells: a merged cell carries the text and the place of its top left corner.

    ``text`` is ``""`` for blanks; numbers and dates are given as text, they are never headers but keep their place.
    """
    height = min(len(rows), SEARCH_ROWS + MAX_DEPTH)
    grid = [
        [
            (value.strip() if isinstance(value, str) else str(value), (r, c))
            for c, value in enumerate(islice(rows[r], SEARCH_COLUMNS))
        ]
        for r in range(height)
    ]
    for first_row, first_column, last_row, last_column in merges:
        if first_row >= height or first_column >= len(grid[first_row]):
            continue
        anchor = grid[first_row][first_column]
        for r in range(first_row, min(last_row, height - 1) + 1):
            for c in range(first_column, min(last_column, len(grid[r]) - 1) + 1):
                grid[r][c] = anchor
    return grid


def _path(grid: Sequence[Sequence[tuple[str, tuple[int, int]]]], first: int, last: int, column: int) -> tuple[str, ...]:
    path: list[str] = []
    anchors: set[tuple[int, int]] = set()
    for r in range(first, last + 1):
        text, anchor = grid[r][column] if column < len(grid[r]) else ("", (-1, -1))
        if text and anchor not in anchors:
            path.append(text)
            anchors.add(anchor)
    return tuple(path)


@lru_cache(maxsize=16384)
def _read_path(form_name: str, path: tuple[str, ...]) -> tuple[Field | None, AmountHeader | None]:
    """The field of a path, or its amount: an item over an amount is an amount, not the field of that name. Kept: the
    next county's file has the same headers."""
    index = header_index(form_name)
    amount = match_amount(index, path)
    if amount and amount.is_known and amount.is_stated:
        return None, amount
    found = match_path(index, path)
    return found, None if found else amount


def _score(
    columns: Sequence[tuple[int, tuple[str, ...]]],
    means: Sequence[tuple[Field | None, AmountHeader | None]],
    top_row: Sequence[tuple[str, tuple[int, int]]],
    leaf_row: Sequence[tuple[str, tuple[int, int]]],
) -> int:
    """How many headers a choice of header rows recognises.

    The text of a group over several columns names none of them. A known item of the wide layout counts more than the
    group above it, which may be a header by itself; and more again together with that group, whatever the group says. A
    title or a part of the frame (``报告期：…``) above the header is no group.
    """
    anchors = [leaf_row[c] if c < len(leaf_row) else ("", (-1, -1)) for c, _ in columns]
    spans = Counter(anchors)
    names = {found.name for (found, _), anchor in zip(means, anchors, strict=True) if found and spans[anchor] == 1}
    count = len(names)
    if any(amount for _, amount in means):
        above = [top_row[c] if c < len(top_row) else ("", (-1, -1)) for c, _ in columns]
        over, titled = Counter(above), {one for one, (found, _) in zip(above, means, strict=True) if found}
        for (_, path), (_, amount), top in zip(columns, means, above, strict=True):
            if amount and amount.is_known:
                if amount.is_stated:
                    count += 3
                elif len(path) == 1 or top in titled or _LABEL.search(path[0]):
                    count += 2
                elif over[top] > 1:  # over one column alone it is the header of a column of items, with its first row
                    count += 3
    return count


Columns = list[tuple[int, tuple[str, ...]]]
"""(column, header texts from top to bottom) of every column."""


@dataclass(slots=True)
class Paths:
    """What was worked out of one grid for the forms asked for before: the keys of each row, and of (first, last) header
    row the columns."""

    keys: list[list[str]] | None = None
    columns: dict[tuple[int, int], Columns] = field(default_factory=dict)


def _keys(grid: Sequence[Sequence[tuple[str, tuple[int, int]]]]) -> list[list[str]]:
    """Keys of the texts of each row that may be headers: of numbers and codes there are many, and none is a header."""
    return [[key for text, _ in row if text and not _FIGURE.fullmatch(text) and (key := _key(text))] for row in grid]


def find_header(
    form: Form, grid: Sequence[Sequence[tuple[str, tuple[int, int]]]], paths: Paths | None = None
) -> Header | None:
    """The header rows of a form in a grid of :func:`header_grid`: the rows that recognise the most headers, the fewest
    rows of them. ``None`` when fewer than three are recognised.

    ``paths`` keeps what was worked out of this grid for the forms asked for before.
    """
    paths = Paths() if paths is None else paths
    index = header_index(form.name)
    keys = paths.keys = _keys(grid) if paths.keys is None else paths.keys
    likely = [sum(map(index.likely.__contains__, row)) for row in keys]
    best: tuple[int, int, int] | None = None
    best_header: Header | None = None
    for last in range(min(len(grid), SEARCH_ROWS)):
        if likely[last] < 1:
            continue
        for depth in range(1, MAX_DEPTH + 1):
            first = last - depth + 1
            if first < 0 or sum(likely[first : last + 1]) < LEAST_MATCHES:
                continue
            if best is not None and 4 * sum(likely[first : last + 1]) < best[0]:
                continue  # a likely cell counts for one field and three more at most
            columns = paths.columns.get((first, last))
            if columns is None:
                columns = paths.columns[first, last] = [
                    (c, _path(grid, first, last, c)) for c in range(len(grid[last]))
                ]
            means = [_read_path(form.name, path) for _, path in columns]
            count = _score(columns, means, grid[first], grid[last])
            if count < LEAST_MATCHES or not any(found for found, _ in means):
                continue
            score = (count, -depth, -last)
            if best is None or score > best:
                best = score
                best_header = Header(
                    first,
                    last,
                    tuple(
                        HeaderColumn(c, path, found, amount)
                        for (c, path), (found, amount) in zip(columns, means, strict=True)
                        if path
                    ),
                )
    return best_header


def nearest_version(form: Form, header: Header) -> TemplateVersion:
    """The template version whose fingerprint a header differs least from: first in which columns it has, then in
    their texts, then in their order; of equals the newest."""
    seen = {column.field.name: column for column in reversed(header.columns) if column.field}
    order = [column.field.name for column in header.columns if column.field]

    def closeness(version: TemplateVersion) -> tuple[int, int, int, str, str]:
        differing = sum(
            1 for one in version.headers if one.field in seen and _joined(seen[one.field].path) != _joined(one.text)
        )
        place = {one.field: number for number, one in enumerate(version.headers)}
        known = [place[name] for name in order if name in place]
        inversions = sum(1 for one, following in pairwise(known) if following < one)
        return (-len(version.fields ^ seen.keys()), -differing, -inversions, version.since, version.name)

    return max(form.versions.values(), key=closeness)


def _joined(path: Sequence[str] | str) -> str:
    return "".join(map(_key, path.split("/") if isinstance(path, str) else path))


def renamed(missing: Sequence[str], extra: Sequence[HeaderColumn]) -> list[tuple[str, HeaderColumn]]:
    """Which foreign header may stand for which missing one: pairs by likeness, each header used once.

    Args:
        missing: header texts that a sheet should have, ``group/leaf`` or the leaf.
        extra: columns whose header names no field.
    """
    alike = [
        (SequenceMatcher(None, key, _key(column.path[-1]), autojunk=False).ratio(), text, column)
        for text in missing
        for key in {_key(text.rpartition("/")[2]), _joined(text)}
        for column in extra
    ]
    pairs: dict[str, HeaderColumn] = {}
    used: set[int] = set()
    for ratio, text, column in sorted(alike, key=lambda one: (-one[0], missing.index(one[1]), one[2].index)):
        if ratio >= ALIKE and text not in pairs and column.index not in used:
            pairs[text] = column
            used.add(column.index)
    return [(text, pairs[text]) for text in missing if text in pairs]
