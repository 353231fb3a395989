"""The forms as data: which columns a form has, what they are called, and what may stand in them.

Each form is one YAML file of this folder. A *field* is one physical column of the workbook; a *column* is one column
of the warehouse. Most fields fill one column of the same name; a range field (``月薪（元）``, ``年龄``) fills two.
Adding a template version or an alias is an edit of the YAML, never of code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, cast

import yaml

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
class TemplateVersion:
    """A known layout: the fields it has (by name) and those whose header must be present."""

    name: str
    since: str
    fields: frozenset[str]
    required: frozenset[str]


@dataclass(frozen=True, slots=True)
class Form:
    """A form. ``fields`` is in the order of the official template, ``columns`` maps column name to column in that
    order, ``groups`` maps a group header to its aliases, ``titles`` are the texts a sheet is recognised by."""

    name: str
    title_zh: str
    titles: tuple[str, ...]
    grain_zh: str
    may_be_empty: bool
    versions: Mapping[str, TemplateVersion]
    groups: Mapping[str, tuple[str, ...]]
    fields: tuple[Field, ...]
    columns: Mapping[str, Column]

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
        )
        for part, (name, label) in enumerate(zip(names, labels, strict=True))
    )
    return Field(type=cast(FieldType, kind), columns=columns)


def parse_form(document: Mapping[str, Any]) -> Form:
    """A form from its YAML document; raises :class:`FormError` where the document contradicts itself."""
    name = str(document["form"])
    groups = {str(group): _tuple(aliases) for group, aliases in (document.get("groups") or {}).items()}
    fields = tuple(_field(name, entry, groups) for entry in document["columns"])
    field_names = [field.name for field in fields]
    columns = {column.name: column for field in fields for column in field.columns}
    if len(columns) != sum(len(field.columns) for field in fields):
        raise FormError(f"{name}: a column name stands twice")
    versions = {}
    for version, entry in document["versions"].items():
        without = set(_tuple(entry.get("without")))
        if unknown := without - set(field_names):
            raise FormError(f"{name} {version}: unknown columns {sorted(unknown)}")
        present = frozenset(field_names) - without
        required = frozenset(field.name for field in fields if field.required)
        if missing := required - present:
            raise FormError(f"{name} {version}: required columns {sorted(missing)} cannot be left out")
        versions[str(version)] = TemplateVersion(str(version), str(entry["since"]), present, required)
    return Form(
        name=name,
        title_zh=str(document["title_zh"]),
        titles=_tuple(document["titles"]),
        grain_zh=str(document["grain_zh"]),
        may_be_empty=bool(document.get("may_be_empty", False)),
        versions=versions,
        groups=groups,
        fields=fields,
        columns=columns,
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

    Columns stand in YAML order. A group text stands in the first row above its first leaf and is merged over its
    leaves; a column without a group stands in the first row, merged down over both. For ``['序号', '职工人数/合计',
    '职工人数/管理人员']`` the rows are ``('序号', '职工人数', '')`` and ``('', '合计', '管理人员')``, the merges
    ``(0, 0, 1, 0)`` and ``(0, 1, 0, 2)``. ``version`` leaves out the columns that the version does not have.
    A range field (月薪, 年龄) is one header: write ``3500-5000`` into it.
    """
    layout = form.versions[version] if version else form.current_version
    fields = [field for field in form.fields if field.name in layout.fields]
    top: list[str] = []
    bottom: list[str] = []
    merges: list[tuple[int, int, int, int]] = []
    start = 0
    for index, field in enumerate(fields):
        if field.group is None:
            top.append(field.leaf)
            bottom.append("")
            merges.append((0, index, 1, index))
            start = index + 1
            continue
        if index == start or fields[index - 1].group != field.group:
            start = index
        top.append(field.group if index == start else "")
        bottom.append(field.leaf)
        last_of_group = index + 1 == len(fields) or fields[index + 1].group != field.group
        if last_of_group:
            if index > start:
                merges.append((0, start, 0, index))
            start = index + 1
    return HeaderRows(rows=(tuple(top), tuple(bottom)), merges=tuple(merges))
