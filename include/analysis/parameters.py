"""The numbers the analyses start from: ``parameters.yaml``, each with its unit, owner and reason."""

from __future__ import annotations

from dataclasses import dataclass, fields
from fractions import Fraction
from pathlib import Path
from typing import Any

import yaml

PARAMETERS = Path(__file__).resolve().parent / "parameters.yaml"
_SHARES = ("stopped_share", "half_stopped_share", "leavers_share", "interval_level", "panel_share_needed")


class ParameterError(ValueError):
    """The parameters cannot be used; the message names the one that is wrong."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """What ``parameters.yaml`` says.

    Attributes:
        stopped_share, half_stopped_share, leavers_share: share, 0 to 1, of the workers of stopped and half-stopped
            enterprises and of the month's leavers that counts as available.
        history_months_needed: consecutive months below which nothing is forecast; two years at least.
        history_months_read: months looked back at most.
        horizon_months: months forecast.
        interval_level: probability that the interval is meant to hold, between 0 and 1.
        panel_share_needed: share of a city's expected counties that must have reported all the months needed.
    """

    stopped_share: Fraction
    half_stopped_share: Fraction
    leavers_share: Fraction
    history_months_needed: int
    history_months_read: int
    horizon_months: int
    interval_level: Fraction
    panel_share_needed: Fraction


def load_parameters(path: Path = PARAMETERS) -> Parameters:
    """Read and check the parameters.

    Raises:
        ParameterError: one is missing, unknown, without reason, or outside what it can mean.
    """
    document: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    entries: dict[str, Any] = document["parameters"]
    names = [field.name for field in fields(Parameters)]
    if set(entries) != set(names):
        raise ParameterError(f"{path.name}: wants exactly {', '.join(names)}; has {', '.join(entries)}")
    values: dict[str, Any] = {}
    for name, entry in entries.items():
        for text in ("unit", "reason_zh"):
            if not str(entry.get(text) or "").strip():
                raise ParameterError(f"{path.name}: {name} lacks {text}; say it in Chinese")
        # By way of its text, 0.3 is three tenths and not the nearest double.
        values[name] = Fraction(str(entry["value"])) if name in _SHARES else entry["value"]
    for name in _SHARES:
        if not 0 <= values[name] <= 1:
            raise ParameterError(f"{path.name}: {name} is a share between 0 and 1, not {entries[name]['value']}")
    if not 0 < values["interval_level"] < 1:
        raise ParameterError(f"{path.name}: interval_level must lie between 0 and 1")
    if not 24 <= values["history_months_needed"] <= values["history_months_read"]:
        raise ParameterError(f"{path.name}: history_months_needed must lie between 24 and history_months_read")
    if not 1 <= values["horizon_months"] <= 12:
        raise ParameterError(f"{path.name}: horizon_months must lie between 1 and 12")
    return Parameters(**values)
