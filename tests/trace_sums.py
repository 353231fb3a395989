"""The cells that a page embeds for a figure, found and added up from the page's own data as its script does it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any


@dataclass(frozen=True)
class Line:
    """One line that meets a figure's conditions; ``amount`` is what it adds, ``lines`` how many cells stand in it."""

    block: Mapping[str, Any]
    at: int
    amount: int
    lines: int


def lines(data: Mapping[str, Any], entry: Mapping[str, Any]) -> Iterator[Line]:
    """The lines behind an entry of kind ``sum``."""
    in_file = {"city", "county", "lfl", "yoy", "both"}
    seen: set[str] = set()
    for block in data["blocks"]:
        if (block["f"], block["p"]) != (entry["f"], entry["p"]):
            continue
        cells = {name: text.split(",") for name, text in block.get("c", {}).items()}
        keys = {name: text.split("\n") for name, text in block.get("k", {}).items()}
        asked = {name for name in entry["w"] if name in keys or name not in in_file}
        if "lines" in cells and set(keys) != asked:
            continue
        flags = data["files"][block["i"]][5] if "i" in block else {}
        for at in range(block["n"]):
            found = [
                (keys[name][at] if name in keys else flags.get(name), wanted) for name, wanted in entry["w"].items()
            ]
            if not all(value in wanted if isinstance(wanted, list) else value == wanted for value, wanted in found):
                continue
            count = int(cells["lines"][at]) if "lines" in cells else 1
            if "d" in entry:
                amount = 0 if keys[entry["d"]][at] in seen else 1
                seen.add(keys[entry["d"]][at])
            elif "n" in entry:
                amount = count
            elif "l" in entry:
                amount = 0
            else:
                amount = sum(int(cells[name][at] or 0) for name in entry["c"])
            yield Line(block, at, amount, count)


def total(data: Mapping[str, Any], key: str) -> int:
    """Sum of what the lines add."""
    return sum(line.amount for line in lines(data, data["entries"][key]))


def recomputed(data: Mapping[str, Any], key: str) -> Fraction | int | None:
    """A figure from its cells, whatever it is made of; ``None`` where a denominator is 0 or a part does not add up."""
    entry = data["entries"][key]
    kind = entry["t"]
    if kind == "sum":
        return None if "l" in entry else total(data, key)
    over = [recomputed(data, part) for part in entry.get("o", ())]
    under = [recomputed(data, part) for part in entry.get("u", ())]
    if kind in ("note", "order", "standing", "lead") or None in over or None in under:
        return None
    if kind == "difference":
        return sum(over) - sum(under)  # type: ignore[arg-type]
    if kind == "points":
        half, last = len(over) // 2, len(under) // 2
        now, before = sum(under[:last]), sum(under[last:])  # type: ignore[arg-type]
        if not now or not before:
            return None
        return Fraction(sum(over[:half]), now) - Fraction(sum(over[half:]), before)  # type: ignore[arg-type]
    whole, base = sum(over), sum(under)  # type: ignore[arg-type]
    if not base:
        return None
    return Fraction({"change": whole - base, "per_thousand": 1000 * whole}.get(kind, whole), base)
