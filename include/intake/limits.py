"""What one received file may cost before it is refused: ``include/config/limits.yaml``, each limit with its reason."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from include.settings import get_settings

_MB = 1024 * 1024


class LimitsError(ValueError):
    """The limits cannot be used; the message names file and limit."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one file.

    Attributes:
        file_bytes, inflated_bytes: the file as received; all its parts inflated.
        expansion_ratio: inflated over stored size, of the whole and of each part that a reader inflates; only what
            inflates beyond ``expansion_checked_bytes`` is held against it.
        members, sheets, cells: parts of the container, sheets of the workbook, cells of one sheet's block.
        seconds: wall-clock time of one job in a reading process.
        memory_bytes: address space of a reading process, the interpreter's own included.
        processes: reading processes side by side.
    """

    file_bytes: int
    inflated_bytes: int
    expansion_ratio: float
    expansion_checked_bytes: int
    members: int
    sheets: int
    cells: int
    seconds: float
    memory_bytes: int
    processes: int


def load_limits() -> Limits:
    """The limits of the configured file (``LIMITS_FILE``), the number of processes from ``READ_WORKERS`` where given.

    Raises:
        LimitsError: the file lacks a limit, has one that nothing reads, or one that is no positive number.
    """
    settings = get_settings()
    limits = read_limits(settings.limits_file)
    return limits if settings.read_workers is None else replace(limits, processes=settings.read_workers)


@lru_cache(maxsize=4)
def read_limits(path: Path) -> Limits:
    """The limits of one file; raises :class:`LimitsError`."""
    entries: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))["limits"]
    values: dict[str, float] = {}
    for name, entry in entries.items():
        value = entry.get("value")
        if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
            raise LimitsError(f"{path.name}: limit {name} must be a number above 0, not {value!r}")
        if not entry.get("reason_zh"):
            raise LimitsError(f"{path.name}: limit {name} needs a reason_zh: why this value")
        values[f"{name.removesuffix('_mb')}_bytes" if name.endswith("_mb") else name] = (
            value * _MB if name.endswith("_mb") else value
        )
    known = {field.name for field in fields(Limits)}
    for name in sorted(known ^ values.keys()):
        raise LimitsError(f"{path.name}: limit {name} is {'missing' if name in known else 'not known'}")
    whole = {name: int(value) for name, value in values.items() if name not in ("expansion_ratio", "seconds")}
    return Limits(**whole, expansion_ratio=values["expansion_ratio"], seconds=values["seconds"])
