"""The transport problem: whom to send where so that as many as possible are placed over the shortest distance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

#: Reduced costs below this (metres a person) count as zero: distances are whole metres.
_TOLERANCE_M = 1e-3


class NoPlanError(RuntimeError):
    """The solver found no optimum; the problem always has one, so this is a defect."""


def cheapest_plan(
    demand: Sequence[int], supply: Sequence[int], distance_m: NDArray[np.int64] | Sequence[Sequence[int]]
) -> NDArray[np.int64]:
    """Persons to send, so that min(sum of demand, sum of supply) are placed at the least sum of persons x metres.

    The vertices of a transport problem with whole margins are whole, and HiGHS' simplex method gives a vertex. Among
    equally short plans the one is taken that serves the earlier demands from the earlier supplies first, whatever the
    solver would have come upon: give both in a fixed order.

    Args:
        demand: persons wanted, length d, none negative.
        supply: persons offered, length s, none negative.
        distance_m: whole metres from each supply to each demand, shape (d, s).

    Returns:
        Persons, shape (d, s).

    Raises:
        NoPlanError: the solver gave up, or its plan is not whole.
    """
    wanted, offered = np.asarray(demand, dtype=np.int64), np.asarray(supply, dtype=np.int64)
    metres = np.asarray(distance_m, dtype=np.int64).reshape(wanted.size, offered.size)
    rows, columns = np.flatnonzero(wanted), np.flatnonzero(offered)
    plan = np.zeros((wanted.size, offered.size), dtype=np.int64)
    if rows.size and columns.size:
        plan[np.ix_(rows, columns)] = _solve(wanted[rows], offered[columns], metres[np.ix_(rows, columns)])
    return plan


def _solve(wanted: NDArray[np.int64], offered: NDArray[np.int64], metres: NDArray[np.int64]) -> NDArray[np.int64]:
    d, s = metres.shape
    # The scarcer side is used up, the other at most: that is the most that can be placed.
    by_demand, by_supply = np.kron(np.eye(d), np.ones(s)), np.kron(np.ones(d), np.eye(s))
    if wanted.sum() <= offered.sum():
        constraints: dict[str, Any] = {"A_eq": by_demand, "b_eq": wanted, "A_ub": by_supply, "b_ub": offered}
    else:
        constraints = {"A_eq": by_supply, "b_eq": offered, "A_ub": by_demand, "b_ub": wanted}
    first = _simplex(metres.ravel(), constraints, None)
    # Every optimum keeps to the arcs without reduced cost; among those a strictly Monge cost prefers the earlier.
    reduced = metres.ravel() - constraints["A_eq"].T @ first.eqlin.marginals
    reduced -= constraints["A_ub"].T @ first.ineqlin.marginals
    preference = -np.multiply.outer(np.arange(d, 0, -1), np.arange(s, 0, -1)).ravel()
    slack = first.ineqlin.marginals < -_TOLERANCE_M
    # A limit with a price is binding in every optimum.
    if slack.any():
        constraints["A_eq"] = np.vstack([constraints["A_eq"], constraints["A_ub"][slack]])
        constraints["b_eq"] = np.concatenate([constraints["b_eq"], constraints["b_ub"][slack]])
    second = _simplex(preference, constraints, reduced > _TOLERANCE_M)
    plan = np.rint(second.x).astype(np.int64).reshape(d, s)
    if np.abs(second.x - plan.ravel()).max() > 1e-6:
        raise NoPlanError("the transport plan is not whole")
    return plan


def _simplex(cost: NDArray[Any], constraints: dict[str, Any], forbidden: NDArray[np.bool_] | None) -> Any:
    bounds = np.zeros((cost.size, 2))
    bounds[:, 1] = np.inf if forbidden is None else np.where(forbidden, 0, np.inf)
    result = linprog(cost, **constraints, bounds=bounds, method="highs-ds")
    if not result.success:
        raise NoPlanError(f"no transport plan: {result.message}")
    return result
