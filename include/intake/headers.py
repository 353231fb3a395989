"""Finds the columns of a form by the text of its headers, wherever they stand.

Headers of one to three rows are joined through real merge ranges, so that ``合计`` under ``职工人数`` and ``合计``
under ``技能人才`` are two columns. A column is never found by its position. What cannot be told apart is a finding.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from include.forms.model import Field, Form, TemplateVersion, load_forms
from include.forms.words import load_words
from include.intake.scanning import Merge

#: The header is sought in the first rows; real workbooks put titles and notes of up to a dozen rows above it.
SEARCH_ROWS = 30
#: Deepest header seen: group of groups, group, leaf.
MAX_DEPTH = 3
#: Fewer recognised headers than this are chance, not a header row.
LEAST_MATCHES = 3

_BLANKS = re.compile(r"[\s\u200b-\u200f\u2028-\u202e\u2060\ufeff\u00ad]+")
_PUNCTUATION = re.compile(r"[()\[\]{}<>《》【】〔〕“”\"'‘’、,，。.;；:：/\\|·\-—_~*★※#]+")
_BRACKETS = re.compile(r"[(\[【]([^()\[\]【】]*)[)\]】]$")
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
    """Lookup tables of one form: header key -> fields, and group key -> official group."""

    form: Form
    by_leaf: Mapping[str, tuple[Field, ...]]
    by_joined: Mapping[str, Field]
    groups: Mapping[str, str]
    generic: frozenset[str]


@lru_cache(maxsize=32)
def header_index(form_name: str) -> HeaderIndex:
    """The index of a form of :func:`include.forms.model.load_forms`, built once."""
    form = load_forms()[form_name]
    by_leaf: dict[str, list[Field]] = {}
    by_joined: dict[str, Field] = {}
    groups: dict[str, str] = {}
    for group, aliases in form.groups.items():
        for text in (group, *aliases):
            groups[_key(text)] = group
    for field in form.fields:
        leaves = dict.fromkeys(_key(text) for text in (field.leaf, *field.aliases))
        for leaf in leaves:
            by_leaf.setdefault(leaf, []).append(field)
            if field.group:
                for key, group in groups.items():
                    if group == field.group:
                        by_joined.setdefault(key + leaf, field)
    generic = frozenset(_key(text) for text in load_words().needs_group)
    shared = {leaf for leaf, fields in by_leaf.items() if len(fields) > 1}
    return HeaderIndex(
        form, {leaf: tuple(found) for leaf, found in by_leaf.items()}, by_joined, groups, generic | shared
    )


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
    in_group = [field for field in candidates if field.group in known]
    if len(in_group) == 1:
        return in_group[0]
    if len(candidates) > 1 or leaf in index.generic:
        return None
    field = candidates[0]
    if field.group and known:
        return None  # the leaf of one group under the header of another
    return field


@dataclass(frozen=True, slots=True)
class HeaderColumn:
    """One physical column under a header: 0-based index, header texts as written, the field it was matched to."""

    index: int
    path: tuple[str, ...]
    field: Field | None

    @property
    def text(self) -> str:
        """Header as written, group and leaf joined by ``/``, line breaks kept out."""
        return "/".join(" ".join(part.split()) for part in self.path)


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
        [(value.strip() if isinstance(value, str) else str(value), (r, c)) for c, value in enumerate(rows[r])]
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


def find_header(form: Form, grid: Sequence[Sequence[tuple[str, tuple[int, int]]]]) -> Header | None:
    """The header rows of a form in a grid of :func:`header_grid`: the rows that match the most fields, the fewest
    rows of them. ``None`` when fewer than three headers are recognised."""
    index = header_index(form.name)
    likely = [
        sum(1 for text, _ in row if text and (key := _key(text)) and (key in index.by_leaf or key in index.by_joined))
        for row in grid
    ]
    best: tuple[int, int, int] | None = None
    best_header: Header | None = None
    for last in range(min(len(grid), SEARCH_ROWS)):
        if likely[last] < 1:
            continue
        for depth in range(1, MAX_DEPTH + 1):
            first = last - depth + 1
            if first < 0 or sum(likely[first : last + 1]) < LEAST_MATCHES:
                continue
            columns = [(c, _path(grid, first, last, c)) for c in range(len(grid[last]))]
            fields = [match_path(index, path) for _, path in columns]
            count = len({field.name for field in fields if field})
            if count < LEAST_MATCHES:
                continue
            score = (count, -depth, -last)
            if best is None or score > best:
                best = score
                best_header = Header(
                    first,
                    last,
                    tuple(
                        HeaderColumn(c, path, field) for (c, path), field in zip(columns, fields, strict=True) if path
                    ),
                )
    return best_header


def nearest_version(form: Form, matched: frozenset[str]) -> TemplateVersion:
    """The template version whose columns differ least from the matched ones; of equals the newest."""
    return max(
        form.versions.values(),
        key=lambda version: (-len(version.fields ^ matched), version.since, version.name),
    )
