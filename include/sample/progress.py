"""Progress of the programmes in one demo county and month (form 4), from ``progress.yaml``. All figures are made up."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from include.intake.calendar import month_after
from include.sample.economy import BASE_PERIOD, Row, month_number_of, one_of
from include.sample.profile import Habits, read_yaml
from include.settings import PROJECT_ROOT

SEEDS = PROJECT_ROOT / "dbt_project" / "seeds"


@lru_cache(maxsize=1)
def read_progress() -> Mapping[str, Any]:
    """The settings of ``progress.yaml``."""
    settings: Mapping[str, Any] = read_yaml("progress.yaml")
    return settings


@lru_cache(maxsize=1)
def _names() -> tuple[Mapping[tuple[str, str, str], tuple[str, str]], Mapping[str, tuple[str, str]]]:
    """(programme, indicator, 分项) to the indicator's name and unit, and programme to its title and document number."""
    with (SEEDS / "policy_targets.csv").open(encoding="utf-8-sig", newline="") as handle:
        targets = {
            (row["programme"], row["indicator"], row["group_zh"]): (row["indicator_zh"], row["unit"])
            for row in csv.DictReader(handle)
        }
    with (SEEDS / "programmes.csv").open(encoding="utf-8-sig", newline="") as handle:
        programmes = {row["programme"]: (row["title_zh"], row["document_no"]) for row in csv.DictReader(handle)}
    return targets, programmes


def progress_rows(habits: Habits, period: str, seed: int) -> list[Row] | None:
    """The month's rows of form 4; ``None`` where the county does not send the form.

    Counties that write file names of their own name a programme by its document number, the others by its title.
    What is done to date is what was done before the demo and in each of its months.
    """
    targets, programmes = _names()
    rows: list[Row] = []
    for programme, entry in read_progress()["programmes"].items():
        weight = entry["counties"].get(habits.reporter_code)
        if weight is None:
            continue
        figures = _figures(habits, programme, entry, weight, period, seed)
        rng = np.random.default_rng([seed, int(habits.reporter_code), int(period.replace("-", "")), 6])
        for one in entry["indicators"]:
            figure = figures.get((one["indicator"], one["group"]))
            if figure is None:
                continue
            name, unit = targets[programme, one["indicator"], one["group"]]
            is_flow = one["kind"] in ("flow", "total")
            rows.append(
                {
                    "programme": programmes[programme][0 if habits.file_style == "named" else 1],
                    "indicator": name,
                    "indicator_group": one["group"] or None,
                    "unit": unit,
                    "done_this_month": figure[0],
                    "done_to_date": figure[1],
                    "problems": one_of(read_progress()["problems"], rng) if is_flow and not one["group"] else None,
                    "next_steps": one_of(read_progress()["next_steps"], rng) if is_flow and not one["group"] else None,
                }
            )
    return rows or None


def _figures(
    habits: Habits, programme: str, entry: Mapping[str, Any], weight: float, period: str, seed: int
) -> dict[tuple[str, str], tuple[float, float]]:
    """(indicator, 分项) to what was done in the month and to its end."""
    figures: dict[tuple[str, str], tuple[float, float]] = {}
    for position, one in enumerate(entry["indicators"]):
        key, kind = (one["indicator"], one["group"]), one["kind"]
        if kind == "flow":
            months = _months(habits, programme, position, one["month"] * weight, period, seed)
            figures[key] = (months[-1], round(one["to_date"] * weight) + sum(months))
        elif kind == "total":
            parts = [figure for (indicator, group), figure in figures.items() if indicator == key[0] and group]
            figures[key] = (sum(part[0] for part in parts), sum(part[1] for part in parts))
        elif kind == "stock":
            if habits.reporter_code in one["stock_of"]:
                figures[key] = (0, one["value"])
        elif kind == "monthly":
            figures[key] = (1, 1)
        else:
            rng = np.random.default_rng([seed, int(habits.reporter_code), int(period.replace("-", "")), 8, position])
            figure = round(float(rng.uniform(*one["between"])), 1)
            figures[key] = (figure, figure)
    return figures


def _months(habits: Habits, programme: str, position: int, ordinary: float, period: str, seed: int) -> list[int]:
    """What was done in each month of the demo up to the period."""
    season = read_progress()["season"]
    done = []
    for number in range(1, month_number_of(period) + 1):
        month = month_after(BASE_PERIOD, number)
        draw = [seed, int(habits.reporter_code), int(month.replace("-", "")), 7, len(programme), position]
        factor = season.get(month[5:], 1.0) * float(np.random.default_rng(draw).uniform(0.85, 1.15))
        done.append(max(1, round(ordinary * factor)))
    return done
