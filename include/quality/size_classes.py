"""Size class of an enterprise by 《统计上大中小微型企业划分办法（2017）》 (国统字〔2017〕213号).

The limits stand in ``size_classes.csv`` (persons employed, operating revenue in ten thousand yuan). Only sectors judged
by those two figures are listed: the form asks for no total assets, so construction, real estate and leasing are not
judged, nor are divisions that the method splits between two sectors.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

LIMITS_FILE = Path(__file__).with_name("size_classes.csv")
CLASSES = ("大型", "中型", "小型")
SMALLEST = "微型"


@dataclass(frozen=True, slots=True)
class SizeLimits:
    """Lower limits of large, medium and small; ``persons`` is ``None`` where the sector is judged by revenue alone."""

    persons: tuple[float, float, float] | None
    revenue_wan_yuan: tuple[float, float, float]


@lru_cache(maxsize=1)
def size_limits() -> Mapping[str, SizeLimits]:
    """Limits by two-digit industry division."""
    limits: dict[str, SizeLimits] = {}
    with LIMITS_FILE.open(encoding="utf-8", newline="") as handle:
        for row in csv.DictReader(handle):
            first, _, last = row["divisions"].partition("-")
            persons = [row[f"{size}_persons"] for size in ("large", "medium", "small")]
            revenue = [float(row[f"{size}_revenue_wan_yuan"]) for size in ("large", "medium", "small")]
            entry = SizeLimits(
                persons=(float(persons[0]), float(persons[1]), float(persons[2])) if persons[0] else None,
                revenue_wan_yuan=(revenue[0], revenue[1], revenue[2]),
            )
            for division in range(int(first), int(last or first) + 1):
                limits[f"{division:02d}"] = entry
    return limits


def ruled_size_class(division_code: str | None, persons: float, revenue_wan_yuan: float) -> str | None:
    """Size class that the figures give: large, medium and small need every lower limit, else one class down.

    ``None`` where the division is unknown or not judged, or a figure is missing (``NaN``). An industrial enterprise
    with 300 persons and 1,999 (wan yuan) is small, with 2,000 medium.
    """
    limits = size_limits().get(division_code or "")
    if limits is None or math.isnan(revenue_wan_yuan) or (limits.persons is not None and math.isnan(persons)):
        return None
    for place, size in enumerate(CLASSES):
        enough_persons = limits.persons is None or persons >= limits.persons[place]
        if enough_persons and revenue_wan_yuan >= limits.revenue_wan_yuan[place]:
            return size
    return SMALLEST
