"""The entity-relationship diagram of the marts, drawn from the manifest as one SVG.

Dimensions stand in the middle, facts on the left and marts on the right; a line is a reference that every build tests.
Boxes are put in the order that keeps lines short (each beside the mean position of what it refers to).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, select_autoescape

from include.documentation.dictionary import texts
from include.documentation.model import Reference, TableDescription, tables_of

_LINE, _HEAD, _GAP, _TOP = 17, 40, 18, 92
_WIDTH = 300
# Dimensions stand between facts and marts, so that no line runs behind a box.
_LEFT = {"fact": 30, "dimension": 560, "mart": 1090}
_MARGIN = 30
# Paul Tol's "muted" scheme, told apart by the colour-blind too.
_COLOURS = (
    "#332288",
    "#117733",
    "#882255",
    "#44AA99",
    "#999933",
    "#AA4499",
    "#88CCEE",
    "#CC6677",
    "#661100",
    "#6699CC",
)
_ORDER_ROUNDS = 4


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a box: a column, underlined where it belongs to the primary key; ``y`` in pixels of the page."""

    name: str
    is_key: bool
    y: int


@dataclass(frozen=True, slots=True)
class Box:
    """One table as drawn, in pixels of the page."""

    table: TableDescription
    subtitle: str
    x: int
    y: int
    width: int
    height: int
    lines: tuple[Line, ...]
    colour: str

    def middle_of(self, column: str) -> int:
        """Where a line to the column ends."""
        return next((line.y - 4 for line in self.lines if line.name == column), self.y + 14)


@dataclass(frozen=True, slots=True)
class Edge:
    """One reference as drawn: a cubic curve from the referring box's column to the dimension's key."""

    path: str
    colour: str
    label: str


def write_diagram(manifest: Mapping[str, Any], path: Path) -> Path:
    """Write the diagram to ``path`` (.svg); the same manifest gives the same bytes."""
    path.write_text(diagram(manifest), encoding="utf-8")
    return path


def diagram(manifest: Mapping[str, Any]) -> str:
    """The SVG's text."""
    tables = [one for one in tables_of(manifest) if one.kind in _LEFT]
    boxes = _boxes(tables)
    page = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=select_autoescape(default=True),
        trim_blocks=True,
        lstrip_blocks=True,
    ).get_template("er.svg.j2")
    height = max((box.y + box.height for box in boxes.values()), default=_TOP) + _MARGIN
    return page.render(
        words=texts()["diagram"], left=_LEFT, boxes=boxes.values(), edges=_edges(boxes),
        width=max(_LEFT.values()) + _WIDTH + _MARGIN, height=height, head=_HEAD,
    )  # fmt: skip


def _boxes(tables: Sequence[TableDescription]) -> dict[str, Box]:
    columns = _ordered(tables)
    colours = {one.name: _COLOURS[place % len(_COLOURS)] for place, one in enumerate(columns["dimension"])}
    heights = {one.name: _HEAD + _LINE * len(_shown(one)) + 6 for one in tables}
    filled = {kind: sum(heights[one.name] for one in column) for kind, column in columns.items()}
    longest = max((filled[kind] + _GAP * len(column) for kind, column in columns.items()), default=0)
    boxes: dict[str, Box] = {}
    for kind, x in _LEFT.items():
        y = _TOP
        # Every column is spread over the whole height.
        gap = max(_GAP, (longest - filled[kind]) // max(len(columns[kind]), 1))
        for table in columns[kind]:
            lines = tuple(
                Line(name, name in table.key, y + _HEAD + _LINE * place + 12)
                for place, name in enumerate(_shown(table))
            )
            colour = colours.get(table.name, "#555555")
            boxes[table.name] = Box(table, _subtitle(table), x, y, _WIDTH, heights[table.name], lines, colour)
            y += heights[table.name] + gap
    return boxes


def _shown(table: TableDescription) -> list[str]:
    referring = {one.column for one in table.references}
    return [one.name for one in table.columns if one.name in table.key or one.name in referring]


def _subtitle(table: TableDescription) -> str:
    grain = table.description.removeprefix("粒度：").partition("。")[0]
    return grain if len(grain) <= 24 else grain[:23] + "…"


def _ordered(tables: Sequence[TableDescription]) -> dict[str, list[TableDescription]]:
    """Tables of each column of the page, neighbours of what they refer to near them (barycentre method)."""
    by_name = {one.name: one for one in tables}
    columns = {kind: sorted((one for one in tables if one.kind == kind), key=lambda one: one.name) for kind in _LEFT}
    neighbours: dict[str, set[str]] = {one.name: set() for one in tables}
    for one in tables:
        for reference in _drawn(one, by_name):
            neighbours[one.name].add(reference.to)
            neighbours[reference.to].add(one.name)
    for _ in range(_ORDER_ROUNDS):
        for kind in _LEFT:
            place = {one.name: at / len(column) for column in columns.values() for at, one in enumerate(column)}
            columns[kind].sort(
                key=lambda one, place=place: (  # type: ignore[misc]
                    sum(place[name] for name in neighbours[one.name]) / len(neighbours[one.name])
                    if neighbours[one.name]
                    else 1.0,
                    one.name,
                )
            )
    return columns


def _drawn(table: TableDescription, known: Mapping[str, Any]) -> list[Reference]:
    return [one for one in table.references if one.to in known and one.to != table.name]


def _edges(boxes: Mapping[str, Box]) -> list[Edge]:
    edges = []
    for box in boxes.values():
        for reference in _drawn(box.table, boxes):
            target = boxes[reference.to]
            # Out of the side that faces the other box; within the dimensions' own column, out and in on the right.
            away = 1 if box.x <= target.x else -1
            back = 1 if box.x == target.x else -away
            start_x, start_y = box.x + (box.width if away > 0 else 0), box.middle_of(reference.column)
            end_x, end_y = target.x + (target.width if back > 0 else 0), target.middle_of(reference.to_column)
            bend = max(60, abs(end_x - start_x) // 2)
            edges.append(
                Edge(
                    f"M{start_x},{start_y} C{start_x + away * bend},{start_y}"
                    f" {end_x + back * bend},{end_y} {end_x},{end_y}",
                    target.colour,
                    f"{box.table.name}.{reference.column} → {reference.to}.{reference.to_column}",
                )
            )
    return edges
