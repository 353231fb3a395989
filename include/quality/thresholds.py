"""The thresholds of the rules: numbers with a unit, an owner and a reason, from ``include/config/thresholds.yaml``.

A suite refers to one by ``{"$PARAMETER": "name"}`` (Great Expectations' own parameters), a helper column by name. A
name that nothing defines, and a threshold that nothing uses, are both refused when the suites are loaded: a number in a
file that no rule reads would look like a rule.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from include.settings import PROJECT_ROOT, get_settings

THRESHOLDS = PROJECT_ROOT / "include" / "config" / "thresholds.yaml"


class ThresholdError(ValueError):
    """The thresholds cannot be used; the message names file and threshold and says what to do."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """One threshold, as the command office reads it: ``unit``, ``owner`` and ``reason_zh`` are Chinese texts."""

    name: str
    value: float
    unit: str
    owner: str
    reason_zh: str


def load_thresholds(path: Path = THRESHOLDS, override: Path | None = None) -> Mapping[str, Threshold]:
    """Thresholds by name; those of ``override`` take the place of the file's.

    Raises:
        ThresholdError: an entry is incomplete, not a finite number, or (in the override) not known.
    """
    thresholds = _read(path)
    if override is not None:
        changed = _read(override)
        unknown = sorted(set(changed) - set(thresholds))
        if unknown:
            raise ThresholdError(
                f"{override.name}: threshold {unknown[0]} is not one of {path.name}; only those can be changed"
            )
        thresholds |= changed
    return thresholds


def _read(path: Path) -> dict[str, Threshold]:
    try:
        document: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ThresholdError(f"thresholds file {path} cannot be read: {error}") from error
    entries = document.get("thresholds") if isinstance(document, Mapping) else None
    if not isinstance(entries, Mapping) or not entries:
        raise ThresholdError(f"{path.name}: needs a mapping `thresholds`: name -> value, unit, reason_zh (and owner)")
    thresholds = {}
    for name, entry in entries.items():
        if not isinstance(entry, Mapping):
            raise ThresholdError(f"{path.name}: threshold {name} must give value, unit, owner and reason_zh")
        texts: dict[str, Any] = {key: entry.get(key) for key in ("unit", "reason_zh")}
        texts["owner"] = entry.get("owner", document.get("owner"))
        for key, text in texts.items():
            if not isinstance(text, str) or not text.strip():
                raise ThresholdError(f"{path.name}: threshold {name} lacks {key}; say it in Chinese")
        value = entry.get("value")
        # `not abs(value) < inf` is also true of a NaN
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < float("inf"):
            raise ThresholdError(f"{path.name}: threshold {name} must have a number as its value, not {value!r}")
        thresholds[str(name)] = Threshold(name=str(name), value=value, **texts)
    return thresholds


def check_use(thresholds: Mapping[str, Threshold], used: Mapping[str, str]) -> None:
    """Hold the thresholds against the places that use them (name -> place).

    Raises:
        ThresholdError: a name is used that nothing defines, or defined and used nowhere.
    """
    for name, place in used.items():
        if name not in thresholds:
            raise ThresholdError(
                f"{place} uses threshold {name}, which include/config/thresholds.yaml does not define: add it there"
                " with value, unit, owner and reason_zh"
            )
    unused = sorted(set(thresholds) - set(used))
    if unused:
        raise ThresholdError(
            f"thresholds.yaml defines {', '.join(unused)}, which no suite and no helper column uses: remove it, or"
            ' refer to it by {"$PARAMETER": "name"}'
        )


def values(thresholds: Mapping[str, Threshold], names: Collection[str] | None = None) -> dict[str, float]:
    """Name -> value, of all or of the named."""
    return {name: threshold.value for name, threshold in thresholds.items() if names is None or name in names}


@lru_cache(maxsize=1)
def current() -> Mapping[str, Threshold]:
    """The thresholds of this installation."""
    return load_thresholds(override=get_settings().thresholds_override)


def limit(name: str) -> float:
    """Value of a threshold of this installation; raises :class:`ThresholdError` where it is not defined."""
    try:
        return current()[name].value
    except KeyError:
        raise ThresholdError(f"threshold {name} is not defined in include/config/thresholds.yaml: add it") from None
