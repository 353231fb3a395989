"""Three months ahead of one series, by exponential smoothing with an additive yearly season.

The model is ETS(A,N,A) of statsmodels on log(1 + persons): the season then works in proportion, as it does for people,
and neither forecast nor interval can fall below zero. No trend: over three months it costs more in error than it earns.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, isfinite

import numpy as np
import pandas as pd
from statsmodels.tsa.exponential_smoothing.ets import ETSModel

SEASON_MONTHS = 12
#: More persons than the region has: a model that says so has lost its way.
_NONSENSE_PERSONS = 100_000_000


class MethodFailedError(RuntimeError):
    """The method gives no usable figures for this series."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """Persons in a month to come: the point rounded half up, the interval outward to whole persons, never below 0."""

    persons: int
    lower: int
    upper: int


def forecast(values: Sequence[int], months: int, level: float) -> list[Forecast]:
    """Forecast the months after a series.

    Args:
        values: persons, one a month without gap, at least two years, oldest first.
        months: how many months ahead.
        level: probability the interval is meant to hold.

    Returns:
        One forecast a month ahead, nearest first.

    Raises:
        ValueError: the series is shorter than two years or has a negative value.
        MethodFailedError: what the fitted model says is no number of persons.
    """
    if len(values) < 2 * SEASON_MONTHS or min(values) < 0:
        raise ValueError("needs at least 24 months of persons, none negative")
    logs = pd.Series(np.log1p(np.asarray(values, dtype=float)))
    with warnings.catch_warnings():
        # A flat likelihood (zeros, constants) ends the search early; where it ended is as good as any other place.
        warnings.simplefilter("ignore")
        try:
            model = ETSModel(
                logs, error="add", seasonal="add", seasonal_periods=SEASON_MONTHS, initialization_method="heuristic"
            )
            prediction = model.fit(disp=False).get_prediction(start=len(logs), end=len(logs) + months - 1)
            limits = prediction.pred_int(alpha=1 - level).to_numpy()
            persons = np.expm1(np.column_stack([prediction.predicted_mean.to_numpy(), limits]))
        except np.linalg.LinAlgError as error:
            raise MethodFailedError(str(error)) from error
    return [_whole(*row) for row in persons.tolist()]


def seasonal_naive(values: Sequence[int], months: int) -> list[int]:
    """The baseline: each month ahead as the same month a year before; ``months`` at most 12."""
    return [values[len(values) - SEASON_MONTHS + ahead] for ahead in range(months)]


def _whole(point: float, lower: float, upper: float) -> Forecast:
    if not all(map(isfinite, (point, lower, upper))) or upper > _NONSENSE_PERSONS:
        raise MethodFailedError(f"the model says {point}, {lower} to {upper} persons")
    persons = max(0, floor(point + 0.5))
    # Rounding errors of log and exp must not widen an interval by a person.
    low, high = max(0, floor(lower + 1e-6)), ceil(upper - 1e-6)
    return Forecast(persons, min(low, persons), max(high, persons))
