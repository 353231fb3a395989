"""How a figure is printed: rounding, separators, units. One place for Word, Excel and HTML, and for reconciliation.

Ratios are kept unrounded and rounded half up (四舍五入) only here.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from include.report.model import Figure, Unit
from include.settings import TIME_ZONE

RATIO_DIGITS = 1
WAN = Decimal(10000)
YI = Decimal(100_000_000)
# From here on counts are read in 万.
BIG_COUNT = 100_000
_ZONE = ZoneInfo(TIME_ZONE)
# Decimal places of the printed form, in the printed unit (percent for ratios, 元 for money in tables).
_PLACES: dict[Unit, int] = {
    "rate": RATIO_DIGITS,
    "change": RATIO_DIGITS,
    "points": RATIO_DIGITS,
    "yuan": 2,
    "amount": 2,
    "estimate": 0,
    "per_thousand": 2,
    "days": 1,
}
_RATIOS: frozenset[Unit] = frozenset({"rate", "change", "points"})


def ratio(numerator: int | Decimal | None, denominator: int | Decimal | None) -> Decimal | None:
    """``numerator / denominator`` to 28 digits; ``None`` when either is missing or the denominator is 0."""
    if numerator is None or denominator is None or denominator == 0:
        return None
    exact = Fraction(numerator) / Fraction(denominator)
    return Decimal(exact.numerator) / Decimal(exact.denominator)


def rounded(value: Decimal | int, places: int) -> Decimal:
    """``value`` rounded half up to ``places`` decimals."""
    result = Decimal(value).quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)
    return abs(result) if result == 0 else result  # no "-0.0"


def percent(value: Decimal | int) -> Decimal:
    """A ratio as the printed percentage (0.0525 -> 5.3)."""
    return rounded(Decimal(value) * 100, RATIO_DIGITS)


def printed_value(value: Any, unit: Unit) -> Any:
    """The value at printed precision: what two independently computed figures must agree on."""
    if value is None:
        return None
    if unit == "names":
        return tuple(value)
    if unit == "instant":
        return local_instant(value)
    if unit == "state":
        return value
    if unit in _RATIOS:
        return percent(value)
    return rounded(value, _PLACES.get(unit, 0)) if unit in _PLACES else Decimal(value)


def local_instant(value: datetime) -> datetime:
    """The instant to the minute in the reporting time zone, whatever the process's own zone is."""
    return value.astimezone(_ZONE).replace(second=0, microsecond=0)


def grouped(value: Decimal | int, places: int = 0) -> str:
    """Digits with thousands separators, for tables."""
    return f"{rounded(value, places):,}"


def table_text(figure: Figure, absences: dict[str, str]) -> str:
    """The printed form in a table cell, without unit but with ``%`` on ratios.

    Args:
        absences: words for each kind of absence (``texts.yaml``, ``absences``).
    """
    if figure.value is None:
        return absences[figure.absence or "undefined"]
    value = printed_value(figure.value, figure.unit)
    if figure.unit == "names":
        return "、".join(value)
    if figure.unit == "instant":
        return instant_text(value)
    if figure.unit in ("rate", "change"):
        return f"{value}%"
    if figure.unit in ("points", "state"):
        return f"{value}"
    if figure.unit == "amount":
        return f"{trimmed(value):,f}"
    return f"{value:,}"


def trimmed(value: Decimal) -> Decimal:
    """Without zeros after the decimal point: what is counted in whole pieces is printed so."""
    return value.quantize(Decimal(1)) if value == value.to_integral_value() else value.normalize()


def instant_text(value: datetime) -> str:
    """``2026年5月9日16时05分``."""
    at = local_instant(value)
    return f"{at.year}年{at.month}月{at.day}日{at.hour}时{at.minute:02d}分"


def plain_text(figure: Figure) -> str:
    """The digits of a figure in running text: no separators; money in 万元 with two decimals.

    Raises:
        ValueError: the figure has no value (the caller drops the sentence instead).
    """
    if figure.value is None:
        raise ValueError(f"{figure.key} has no value to print")
    value = printed_value(figure.value, figure.unit)
    if figure.unit == "names":
        return "、".join(value)
    if figure.unit == "instant":
        return instant_text(value)
    if figure.unit == "yuan":
        return f"{rounded(Decimal(str(figure.value)) / WAN, 2)}"
    if figure.unit == "amount":
        return f"{trimmed(value):f}"
    if figure.unit == "days":
        return f"{value.normalize():f}"
    if figure.unit in _RATIOS:
        return f"{abs(value)}"
    return f"{value}"


def big_text(figure: Figure, units: Mapping[str, str]) -> tuple[str, str]:
    """A key figure as read at a glance, in digits and unit: 4,567 人, 45.83 万人, 1,234.56 万元, 1.23 亿元, 5.3 %.

    Args:
        units: words for each unit (``texts.yaml``, ``units``), with ``wan`` and ``yi`` among them.

    Raises:
        ValueError: the figure has no value, or is no number.
    """
    if not isinstance(figure.value, (int, Decimal)):
        raise ValueError(f"{figure.key} is no number")
    if figure.unit in ("rate", "change"):
        return f"{percent(figure.value)}", "%"
    unit = units.get(figure.unit, "")
    value = Decimal(figure.value)
    if figure.unit == "yuan":
        scale, name = (YI, units["yi"]) if abs(value) >= YI else (WAN, units["wan"])
        return grouped(value / scale, 2), name + unit
    if abs(value) >= BIG_COUNT:
        scale, name = (YI, units["yi"]) if abs(value) >= YI else (WAN, units["wan"])
        return grouped(value / scale, 2), name + unit
    return f"{printed_value(figure.value, figure.unit):,}", unit
