"""The thresholds of the health check, from ``include/config/health.yaml``. Light: DAG files read it while parsing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache

from include.quality.thresholds import Threshold, ThresholdError, load_thresholds
from include.settings import PROJECT_ROOT, get_settings

THRESHOLDS = PROJECT_ROOT / "include" / "config" / "health.yaml"


@lru_cache(maxsize=1)
def current() -> Mapping[str, Threshold]:
    """The thresholds of this installation; those of ``HEALTH_FILE`` take the place of the file's."""
    return load_thresholds(THRESHOLDS, get_settings().health_override)


def limit(name: str) -> float:
    """Value of a threshold; raises :class:`ThresholdError` where it is not defined."""
    try:
        return current()[name].value
    except KeyError:
        raise ThresholdError(f"threshold {name} is not defined in {THRESHOLDS.name}: add it") from None


def span(name: str) -> timedelta:
    """A threshold that is a length of time; the end of its name is its unit.

    Raises:
        ThresholdError: not defined.
        KeyError: its name ends with no unit of time.
    """
    unit = name.rsplit("_", 1)[1]
    return limit(name) * {"minutes": timedelta(minutes=1), "hours": timedelta(hours=1), "days": timedelta(days=1)}[unit]
