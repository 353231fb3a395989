"""The words of gate, approval and delivery, from ``texts.yaml``."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml


@lru_cache(maxsize=1)
def texts() -> dict[str, Any]:
    """The texts as the YAML has them."""
    loaded: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "texts.yaml").read_text(encoding="utf-8"))
    return loaded


def month_zh(period: str) -> str:
    """``2026年10月`` for ``2026-10``."""
    return str(texts()["month"]).format(year=int(period[:4]), month=int(period[5:]))


def issue_zh(issue_no: int) -> str:
    """``第1次更正`` for 1, empty for the first issue."""
    return str(texts()["correction"]).format(number=issue_no) if issue_no else ""


def maturity_zh(maturity: str) -> str:
    """``定稿`` or ``初步``."""
    return str(texts()["maturity"][maturity])
