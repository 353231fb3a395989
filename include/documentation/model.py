"""The dbt manifest as the dictionary and the diagram need it: tables, their columns, keys and references."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: Generic tests that say "every value here is a key there": the project's own and, for seeds, dbt's.
_REFERENCES_TEST, _DBT_REFERENCE_TEST = "references_hold", "relationships"
_REF = re.compile(r"ref\('(\w+)'\)")
# What people query stands first.
_SCHEMAS = ("marts", "reference", "intermediate", "staging")
_KINDS = {"dim_": "dimension", "fct_": "fact", "mart_": "mart"}


@dataclass(frozen=True, slots=True)
class TableColumn:
    """One column: name, type as contracted (``None`` where the warehouse decides), Chinese description, not null."""

    name: str
    data_type: str | None
    description: str
    is_required: bool


@dataclass(frozen=True, slots=True)
class Reference:
    """``column`` of a table holds values of ``to_column`` of the table ``to``."""

    column: str
    to: str
    to_column: str


@dataclass(frozen=True, slots=True)
class TableDescription:
    """One relation of the dbt project.

    Attributes:
        node_id: dbt's unique id.
        schema, name: where it lies.
        kind: ``dimension``, ``fact``, ``mart``, or the schema's name for what lies outside ``marts``.
        description: Chinese, beginning with the grain.
        materialized: dbt's word: ``incremental``, ``table``, ``view``, ``seed``.
        key: columns of the primary key, in order; empty where none is declared.
        columns: in the order of the model's yml.
        references: what its columns refer to, in the order of the columns.
    """

    node_id: str
    schema: str
    name: str
    kind: str
    description: str
    materialized: str
    key: tuple[str, ...]
    columns: tuple[TableColumn, ...]
    references: tuple[Reference, ...]


def tables_of(manifest: Mapping[str, Any]) -> list[TableDescription]:
    """Models and seeds of the manifest, ``marts`` first, by name."""
    nodes = manifest["nodes"]
    found = [_table(node, nodes) for node in nodes.values() if node["resource_type"] in ("model", "seed")]
    return sorted(found, key=lambda one: (_SCHEMAS.index(one.schema), one.name))


def _table(node: Mapping[str, Any], nodes: Mapping[str, Any]) -> TableDescription:
    kind = next((kind for prefix, kind in _KINDS.items() if node["name"].startswith(prefix)), node["schema"])
    keys = [one["columns"] for one in node.get("constraints", []) if one["type"] == "primary_key"]
    types = node["config"].get("column_types", {})
    columns = tuple(
        TableColumn(
            name=column["name"],
            data_type=column.get("data_type") or types.get(column["name"]),
            description=column["description"],
            is_required=any(one["type"] == "not_null" for one in column.get("constraints", []))
            or column["name"] in (keys[0] if keys else ()),
        )
        for column in node["columns"].values()
    )
    order = {column.name: position for position, column in enumerate(columns)}
    references = sorted(_references(node["unique_id"], nodes), key=lambda one: (order.get(one.column, 0), one.to))
    return TableDescription(
        node_id=node["unique_id"],
        schema=node["schema"],
        name=node["name"],
        kind=kind,
        description=node["description"],
        materialized=node["config"]["materialized"],
        key=tuple(keys[0]) if keys else (),
        columns=columns,
        references=tuple(references),
    )


def _references(node_id: str, nodes: Mapping[str, Any]) -> set[Reference]:
    found = set()
    for node in nodes.values():
        test = node.get("test_metadata") or {}
        if node["resource_type"] != "test" or node.get("attached_node") != node_id:
            continue
        if test["name"] == _REFERENCES_TEST:
            found |= {_reference(one["column"], one) for one in test["kwargs"]["references"]}
        elif test["name"] == _DBT_REFERENCE_TEST:
            found.add(_reference(node["column_name"], test["kwargs"]))
    return found


def _reference(column: str, arguments: Mapping[str, str]) -> Reference:
    named = _REF.fullmatch(arguments["to"].strip("{} "))
    if named is None:
        raise ValueError(f"a reference of {column} must name its model by ref('...'), not {arguments['to']}")
    return Reference(column, named[1], arguments["field"])
