"""How long what is kept: ``include/config/retention.yaml``, each number with its owner and reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import yaml

#: Every rule with its unit; a file must name all of them, so that none is kept or removed by an oversight.
UNITS: Mapping[str, str] = {
    "landing_originals": "月", "personal_columns": "月", "held_rows": "月", "finding_details": "月",
    "work_leftovers": "日", "old_drafts": "日", "task_logs": "日", "old_backups": "日", "backups_at_least": "份",
}  # fmt: skip
#: What proves a month's figures.
EVIDENCE = ("landing_originals", "personal_columns", "held_rows", "finding_details")


class RetentionError(ValueError):
    """The rules cannot be used; the message names file and rule and says what to do."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule as the office reads it; ``value`` ``None`` keeps for good."""

    name: str
    title_zh: str
    value: int | None
    unit: str
    owner: str
    reason_zh: str

    @property
    def kept_for(self) -> str:
        """``60 月``, or ``长期``."""
        return "长期" if self.value is None else f"{self.value} {self.unit}"

    def cutoff(self, today: date) -> date | None:
        """What ended before this day may go; ``None`` keeps all.

        Months are whole: six months before 31 August is 28 (or 29) February.
        """
        if self.value is None:
            return None
        if self.unit == "日":
            return today - timedelta(days=self.value)
        months = today.year * 12 + today.month - 1 - self.value
        first = date(months // 12, months % 12 + 1, 1)
        following = date((months + 1) // 12, (months + 1) % 12 + 1, 1)
        return first + timedelta(days=min(today.day, (following - first).days) - 1)


@dataclass(frozen=True, slots=True)
class Rules:
    """All rules, and whether evidence goes only when a backup holds it."""

    by_name: Mapping[str, Rule]
    needs_backup: bool

    def __getitem__(self, name: str) -> Rule:
        return self.by_name[name]


def load_retention(path: Path) -> Rules:
    """The rules of a file.

    Raises:
        RetentionError: it cannot be read, lacks a rule, names an unknown one, or a rule is incomplete.
    """
    try:
        document: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise RetentionError(f"retention file {path} cannot be read: {error}") from error
    entries = document.get("rules") if isinstance(document, Mapping) else None
    if not isinstance(entries, Mapping):
        raise RetentionError(f"{path.name}: needs a mapping `rules`: name -> title_zh, value, unit, reason_zh")
    if set(entries) != set(UNITS):
        odd = ", ".join(sorted(map(str, set(entries) ^ set(UNITS))))
        raise RetentionError(f"{path.name}: {odd}: the rules must be exactly {', '.join(UNITS)}; null keeps for good")
    needs_backup = document.get("needs_backup")
    if not isinstance(needs_backup, bool):
        raise RetentionError(f"{path.name}: needs_backup must be true or false")
    return Rules(
        {name: _rule(path, str(name), entry, document.get("owner")) for name, entry in entries.items()}, needs_backup
    )


def _rule(path: Path, name: str, entry: Any, owner: Any) -> Rule:
    if not isinstance(entry, Mapping) or "value" not in entry:
        raise RetentionError(f"{path.name}: rule {name} must give title_zh, value (or null), unit and reason_zh")
    value = entry["value"]
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise RetentionError(f"{path.name}: rule {name} needs a whole number from 1, or null for good, not {value!r}")
    if entry.get("unit") != UNITS[name]:
        raise RetentionError(f"{path.name}: rule {name} is counted in {UNITS[name]}")
    texts = {key: entry.get(key) for key in ("title_zh", "reason_zh")} | {"owner": entry.get("owner", owner)}
    for key, text in texts.items():
        if not isinstance(text, str) or not text.strip():
            raise RetentionError(f"{path.name}: rule {name} lacks {key}; say it in Chinese")
    return Rule(name=name, value=value, unit=UNITS[name], **texts)  # type: ignore[arg-type]
