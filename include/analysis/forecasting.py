"""Three months ahead of one series, by exponential smoothing with an additive yearly season.

The model is ETS(A,N,A) of statsmodels on the square root of the persons, which evens out the variance of counts: large
months vary more than small ones, zeros are no special case, and neither forecast nor interval falls below zero. On
logarithms a series that begins with a year of zeros runs away. No trend: over three months it costs more than it earns.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor

import numpy as np
import pandas as pd
from statsmodels.tsa.exponential_smoothing.ets import ETSModel

SEASON_MONTHS = 12
#: A point beyond this multiple of the highest month ever seen is no forecast but a model that has lost its way.
_MOST_TIMES_THE_HIGHEST = 2


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
    roots = pd.Series(np.sqrt(np.asarray(values, dtype=float)))
    with warnings.catch_warnings():
        # A flat likelihood (zeros, constants) ends the search early; where it ended is as good as any other place.
        warnings.simplefilter("ignore")
        try:
            model = ETSModel(
                roots, error="add", seasonal="add", seasonal_periods=SEASON_MONTHS, initialization_method="heuristic"
            )
            prediction = model.fit(disp=False).get_prediction(start=len(roots), end=len(roots) + months - 1)
            limits = prediction.pred_int(alpha=1 - level).to_numpy()
        except np.linalg.LinAlgError as error:
            raise MethodFailedError(str(error)) from error
    points = np.column_stack([prediction.predicted_mean.to_numpy(), limits])
    persons = np.square(np.maximum(points, 0))
    if not np.isfinite(points).all() or persons[:, 0].max() > _MOST_TIMES_THE_HIGHEST * max(values):
        raise MethodFailedError(f"the model says {persons[:, 0].round().tolist()} persons after at most {max(values)}")
    return [_whole(*row) for row in persons.tolist()]


def seasonal_naive(values: Sequence[int], months: int) -> list[int]:
    """The baseline: each month ahead as the same month a year before; ``months`` at most 12."""
    return [values[len(values) - SEASON_MONTHS + ahead] for ahead in range(months)]


def _whole(point: float, lower: float, upper: float) -> Forecast:
    persons = floor(point + 0.5)
    # Rounding errors of roots and squares must not widen an interval by a person.
    return Forecast(persons, min(floor(lower + 1e-6), persons), max(ceil(upper - 1e-6), persons))
