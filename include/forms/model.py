"""The forms as data: which columns a form has, what they are called, and what may stand in them.

Each form is one YAML file of this folder. A *field* is one physical column of the workbook; a *column* is one column
of the warehouse. Most fields fill one column of the same name; a range field (``月薪（元）``, ``年龄``) fills two.
Adding a template version or an alias is an edit of the YAML, never of code.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, cast

import yaml

from include.settings import PROJECT_ROOT

FORMS_FOLDER = Path(__file__).parent

FieldType = Literal[
    "integer",
    "decimal",
    "money",
    "text",
    "boolean",
    "enum",
    "industry",
    "uscc",
    "identity",
    "month",
    "date",
    "integer_range",
    "decimal_range",
]
ColumnType = Literal[
    "integer", "decimal", "money", "text", "boolean", "enum", "industry", "uscc", "identity", "month", "date"
]

_FIELD_TYPES: frozenset[str] = frozenset(FieldType.__args__)  # type: ignore[attr-defined]
_RANGE_PARTS: Mapping[str, ColumnType] = {"integer_range": "integer", "decimal_range": "decimal"}
#: a value merged over several rows is repeated for these; a number would be counted once per row
_REPEATABLE: frozenset[str] = frozenset({"text", "boolean", "enum", "industry", "uscc", "identity", "month", "date"})


class FormError(ValueError):
    """A form's YAML contradicts itself; the message names file and column."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the warehouse.

    Attributes:
        name: column name in ``raw`` (or ``restricted`` when personal).
        header: full official header, ``group/leaf`` or the leaf alone.
        leaf, group: the two parts of it (``group`` is ``None`` for a column without one).
        aliases: other leaf texts met in real workbooks, as written.
        type: how cells are read.
        required: a blank holds the row back, and the header must exist.
        header_required: the header must exist; a blank cell may still be allowed.
        scaled: ``0.3万`` may be read as 3,000. Not so where another column of the row names the unit.
        personal: goes to ``restricted``; masked in findings.
        unit: 人, 元, 万元, 岁 or ``None``.
        values: canonical value -> aliases, for enumerations; empty otherwise.
        label_zh: what people call the column outside the sheet.
        additive: rows may be summed against a 合计 row.
        fill_down: the value of a vertically merged cell belongs to every row of the merge.
        range_part: 0 or 1 for the lower and upper column of a range field, else ``None``.
    """

    name: str
    header: str
    leaf: str
    group: str | None
    aliases: tuple[str, ...]
    type: ColumnType
    required: bool
    personal: bool
    unit: str | None
    values: Mapping[str, tuple[str, ...]]
    label_zh: str
    additive: bool
    fill_down: bool
    range_part: int | None = None
    header_required: bool = False
    scaled: bool = True


@dataclass(frozen=True, slots=True)
class Field:
    """One physical column of the workbook; ``columns`` holds the one or two warehouse columns that it fills."""

    type: FieldType
    columns: tuple[Column, ...]

    @property
    def name(self) -> str:
        """Name of the (first) column: the key under which a layout keeps the field."""
        return self.columns[0].name

    @property
    def leaf(self) -> str:
        return self.columns[0].leaf

    @property
    def group(self) -> str | None:
        return self.columns[0].group

    @property
    def header(self) -> str:
        return self.columns[0].header

    @property
    def aliases(self) -> tuple[str, ...]:
        return self.columns[0].aliases

    @property
    def required(self) -> bool:
        return self.columns[0].required


@dataclass(frozen=True, slots=True)
class VersionHeader:
    """One column of a template version: the field (by name), and what this version writes above it."""

    field: str
    group: str | None
    leaf: str

    @property
    def text(self) -> str:
        """``group/leaf``, or the leaf alone."""
        return f"{self.group}/{self.leaf}" if self.group else self.leaf


@dataclass(frozen=True, slots=True)
class TemplateVersion:
    """A known layout.

    Attributes:
        headers: its columns in the order in which they stand, each with its own header texts: the fingerprint by
            which a sheet is told to be of this version.
        fields, required: names of the fields it has, and of those whose header must be present.
        note_zh: what is particular about it.
    """

    name: str
    since: str
    note_zh: str
    headers: tuple[VersionHeader, ...]
    fields: frozenset[str]
    required: frozenset[str]

    @property
    def fingerprint(self) -> tuple[str, ...]:
        """The header texts from left to right."""
        return tuple(header.text for header in self.headers)


@dataclass(frozen=True, slots=True)
class WideLayout:
    """A second layout of a form: one amount column per item instead of one row per item.

    Attributes:
        note_zh: what the layout looks like.
        item: column filled with the header text of the amount.
        measures: amount column of the form -> group texts under which the item columns carry it.
        unstated: group texts that do not say which amount stands below them.
        unstated_measure: the amount that such columns, and item columns without any group, carry.
        optional: required columns that a sheet in this layout may lack.
        one_per_row: columns that belong to the whole row and cannot be divided over several amounts.
        items: known item names and aliases, as written.
    """

    note_zh: str
    item: str
    measures: Mapping[str, tuple[str, ...]]
    unstated: tuple[str, ...]
    unstated_measure: str
    optional: frozenset[str]
    one_per_row: tuple[str, ...]
    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Form:
    """A form. ``fields`` is in the order of the official template, ``columns`` maps column name to column in that
    order, ``groups`` maps a group header to its aliases, ``titles`` are the texts a sheet is recognised by, ``row_key``
    names the columns by which a row is known again in the next version of the same report, ``wide`` is the layout with
    one amount column per item, where the form has one."""

    name: str
    title_zh: str
    titles: tuple[str, ...]
    grain_zh: str
    may_be_empty: bool
    row_key: tuple[str, ...]
    versions: Mapping[str, TemplateVersion]
    groups: Mapping[str, tuple[str, ...]]
    fields: tuple[Field, ...]
    columns: Mapping[str, Column]
    wide: WideLayout | None = None

    @property
    def current_version(self) -> TemplateVersion:
        """The newest template version (by ``since``, then name)."""
        return max(self.versions.values(), key=lambda version: (version.since, version.name))

    @property
    def personal_columns(self) -> tuple[str, ...]:
        return tuple(name for name, column in self.columns.items() if column.personal)


@dataclass(frozen=True, slots=True)
class HeaderRows:
    """The official two-row header.

    Attributes:
        rows: two lists of texts of equal length; ``""`` where a merge covers the cell.
        merges: ``(first row, first column, last row, last column)``, all 0-based, relative to the first header row.
    """

    rows: tuple[tuple[str, ...], tuple[str, ...]]
    merges: tuple[tuple[int, int, int, int], ...]


def _tuple(value: Any) -> tuple[str, ...]:
    return tuple(str(item) for item in value or ())


def _field(form: str, entry: Mapping[str, Any], groups: Mapping[str, tuple[str, ...]]) -> Field:
    names = _tuple(entry.get("names") or [entry["name"]])
    kind = str(entry["type"])
    where = f"{form}.{names[0]}"
    if kind not in _FIELD_TYPES:
        raise FormError(f"{where}: unknown type {kind}")
    if (kind in _RANGE_PARTS) != (len(names) == 2):
        raise FormError(f"{where}: a range fills two columns, every other type one")
    group = entry.get("group")
    if group is not None and group not in groups:
        raise FormError(f"{where}: group {group} is not listed under groups")
    values = {str(value): _tuple(aliases) for value, aliases in (entry.get("values") or {}).items()}
    if (kind == "enum") != bool(values):
        raise FormError(f"{where}: values belong to an enumeration, and only there")
    leaf = str(entry["header"])
    labels = _tuple(entry.get("labels_zh") or [entry.get("label_zh", leaf)])
    column_type = _RANGE_PARTS.get(kind, cast(ColumnType, kind))
    counted = kind in ("integer", "decimal", "money")
    columns = tuple(
        Column(
            name=name,
            header=f"{group}/{leaf}" if group else leaf,
            leaf=leaf,
            group=group,
            aliases=_tuple(entry.get("aliases")),
            type=column_type,
            required=bool(entry.get("required", False)),
            personal=bool(entry.get("personal", False)),
            unit=entry.get("unit"),
            values=values,
            label_zh=label,
            additive=bool(entry.get("additive", counted)),
            fill_down=bool(entry.get("fill_down", kind in _REPEATABLE)),
            range_part=part if len(names) == 2 else None,
            header_required=bool(entry.get("header_required", entry.get("required", False))),
            scaled=bool(entry.get("scaled", True)),
        )
        for part, (name, label) in enumerate(zip(names, labels, strict=True))
    )
    return Field(type=cast(FieldType, kind), columns=columns)


def _version(form: str, name: str, entry: Mapping[str, Any], fields: Mapping[str, Field]) -> TemplateVersion:
    """A version from its entry.

    ``without`` leaves fields out; ``order`` gives the fields it names the places that they hold among themselves, in
    the order named; ``headers`` gives other header texts (a leaf, or ``{group, header}``).
    """
    where = f"{form} {name}"
    without, order = set(_tuple(entry.get("without"))), _tuple(entry.get("order"))
    texts: Mapping[str, Any] = entry.get("headers") or {}
    if unknown := {*without, *order, *texts} - set(fields):
        raise FormError(f"{where}: unknown columns {sorted(unknown)}")
    if absent := {*order, *texts} & without:
        raise FormError(f"{where}: columns {sorted(absent)} are left out and described")
    if len(set(order)) != len(order):
        raise FormError(f"{where}: order names a column twice")
    moved = iter(order)
    names = [next(moved) if field in order else field for field in fields if field not in without]
    required = frozenset(field.name for field in fields.values() if field.columns[0].header_required)
    if missing := required - set(names):
        raise FormError(f"{where}: required columns {sorted(missing)} cannot be left out")
    headers = []
    for field in names:
        text = texts.get(field, fields[field].leaf)
        if isinstance(text, Mapping):
            headers.append(VersionHeader(field, text.get("group"), str(text["header"])))
        else:
            headers.append(VersionHeader(field, fields[field].group, str(text)))
    return TemplateVersion(
        name, str(entry["since"]), str(entry.get("note_zh", "")), tuple(headers), frozenset(names), required
    )


def _check_texts(form: str, fields: Sequence[Field], versions: Mapping[str, TemplateVersion]) -> None:
    """One text under one group names one field, in all versions together: else a column would be read by guess."""
    meaning: dict[tuple[str | None, str], str] = {}
    for field in fields:
        for text in (field.leaf, *field.aliases):
            if meaning.setdefault((field.group, text), field.name) != field.name and text == field.leaf:
                raise FormError(f"{form}: header {field.header} names {meaning[field.group, text]} and {field.name}")
    for version in versions.values():
        for header in version.headers:
            if meaning.setdefault((header.group, header.leaf), header.field) != header.field:
                other = meaning[header.group, header.leaf]
                raise FormError(f"{form} {version.name}: header {header.text} names {other} and {header.field}")


def _wide(form: str, entry: Mapping[str, Any], columns: Mapping[str, Column]) -> WideLayout:
    measures = {}
    for measure, groups in entry["measures"].items():
        if measure not in columns or columns[measure].type != "money":
            raise FormError(f"{form} wide_layout: {measure} is no amount column")
        # the amount's own header, as a group, means the same
        measures[measure] = (columns[measure].leaf, *columns[measure].aliases, *_tuple(groups))
    named = {entry["item"], entry["unstated"]["measure"], *entry["optional"], *entry["one_per_row"]}
    if unknown := named - set(columns):
        raise FormError(f"{form} wide_layout: unknown columns {sorted(unknown)}")
    return WideLayout(
        note_zh=str(entry["note_zh"]),
        item=str(entry["item"]),
        measures=measures,
        unstated=_tuple(entry["unstated"]["groups"]),
        unstated_measure=str(entry["unstated"]["measure"]),
        optional=frozenset(entry["optional"]),
        one_per_row=_tuple(entry["one_per_row"]),
        items=_listed(entry["items"]),
    )


def _listed(entry: Mapping[str, Any]) -> tuple[str, ...]:
    """Texts of the named columns of a CSV file of the project; one cell may hold several, divided by ``|``."""
    with (PROJECT_ROOT / entry["file"]).open(encoding="utf-8-sig", newline="") as handle:
        rows = list(csv.DictReader(handle))
    cells = (row[column] or "" for row in rows for column in entry["columns"])
    return tuple(dict.fromkeys(text for cell in cells for text in cell.split("|") if text))


def parse_form(document: Mapping[str, Any]) -> Form:
    """A form from its YAML document; raises :class:`FormError` where the document contradicts itself."""
    name = str(document["form"])
    groups = {str(group): _tuple(aliases) for group, aliases in (document.get("groups") or {}).items()}
    fields = tuple(_field(name, entry, groups) for entry in document["columns"])
    columns = {column.name: column for field in fields for column in field.columns}
    if len(columns) != sum(len(field.columns) for field in fields):
        raise FormError(f"{name}: a column name stands twice")
    by_name = {field.name: field for field in fields}
    versions = {
        str(version): _version(name, str(version), entry, by_name) for version, entry in document["versions"].items()
    }
    _check_texts(name, fields, versions)
    row_key = _tuple(document["row_key"])
    if unknown := set(row_key) - set(columns):
        raise FormError(f"{name}: row_key names unknown columns {sorted(unknown)}")
    return Form(
        name=name,
        title_zh=str(document["title_zh"]),
        titles=_tuple(document["titles"]),
        grain_zh=str(document["grain_zh"]),
        may_be_empty=bool(document.get("may_be_empty", False)),
        row_key=row_key,
        versions=versions,
        groups=groups,
        fields=fields,
        columns=columns,
        wide=_wide(name, document["wide_layout"], columns) if "wide_layout" in document else None,
    )


@lru_cache(maxsize=1)
def load_forms() -> Mapping[str, Form]:
    """All forms by name, from the YAML files of this folder (files without a ``form`` key are vocabulary)."""
    forms: dict[str, Form] = {}
    for path in sorted(FORMS_FOLDER.glob("*.yaml")):
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        if "form" in document:
            form = parse_form(document)
            forms[form.name] = form
    return forms


def header_rows(form: Form, version: str | None = None) -> HeaderRows:
    """The official two-row merged header of a form, for writing templates and samples.

    Columns stand in the version's order (``TemplateVersion.headers``; the current version where none is given), with
    the version's own texts. A group text stands in the first row above its first leaf and is merged over its leaves; a
    column without a group stands in the first row, merged down over both. For ``['序号', '职工人数/合计',
    '职工人数/管理人员']`` the rows are ``('序号', '职工人数', '')`` and ``('', '合计', '管理人员')``, the merges
    ``(0, 0, 1, 0)`` and ``(0, 1, 0, 2)``. A range field (月薪, 年龄) is one header: write ``3500-5000`` into it.
    """
    headers = (form.versions[version] if version else form.current_version).headers
    top: list[str] = []
    bottom: list[str] = []
    merges: list[tuple[int, int, int, int]] = []
    start = 0
    for index, header in enumerate(headers):
        if header.group is None:
            top.append(header.leaf)
            bottom.append("")
            merges.append((0, index, 1, index))
            start = index + 1
            continue
        if index == start or headers[index - 1].group != header.group:
            start = index
        top.append(header.group if index == start else "")
        bottom.append(header.leaf)
        last_of_group = index + 1 == len(headers) or headers[index + 1].group != header.group
        if last_of_group:
            if index > start:
                merges.append((0, start, 0, index))
            start = index + 1
    return HeaderRows(rows=(tuple(top), tuple(bottom)), merges=tuple(merges))
