"""The page's words, from ``texts.yaml``."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml


@lru_cache(maxsize=1)
def texts() -> dict[str, Any]:
    """The texts as the YAML has them."""
    return yaml.safe_load((Path(__file__).parent / "texts.yaml").read_text(encoding="utf-8"))
