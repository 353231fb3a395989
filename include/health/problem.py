"""What a check finds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import yaml

Severity = Literal["critical", "warning"]
SEVERITIES: tuple[Severity, ...] = ("critical", "warning")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        code: what kind, a key of ``problems`` in ``texts.yaml``: that says what to do and which page helps.
        subject: what it is about; with the code it tells one problem from another, so it holds no changing number.
        severity: ``critical`` when data or reports stop or are about to, else ``warning``.
        facts: what the messages are filled with; names as in ``texts.yaml``.
        since: since when, where that is known (aware).
    """

    code: str
    subject: str
    severity: Severity
    facts: Mapping[str, object] = field(default_factory=dict)
    since: datetime | None = None

    @property
    def message_zh(self) -> str:
        return str(texts()["problems"][self.code]["zh"]).format(subject=self.subject, **self.facts)

    @property
    def message_en(self) -> str:
        return str(texts()["problems"][self.code]["en"]).format(subject=self.subject, **self.facts)


@dataclass(frozen=True, slots=True)
class Figure:
    """A number worth watching.

    Attributes:
        name: of the metric, without prefix; the unit ends it.
        label_zh: name for people.
        of: what it is about, e.g. a folder; ``""`` when there is one.
        shown: the value as people read it.
    """

    name: str
    label_zh: str
    value: float
    shown: str
    of: str = ""


@lru_cache(maxsize=1)
def texts() -> dict[str, Any]:
    """The words, from ``texts.yaml``."""
    return yaml.safe_load((Path(__file__).parent / "texts.yaml").read_text(encoding="utf-8"))
