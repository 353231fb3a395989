"""Labour brands of one demo county and month (form 5), from ``brands.yaml``. None of them exists."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from include.sample.economy import Row, month_number_of, social_credit_code
from include.sample.profile import read_yaml

# Above the numbers of enterprises and below those of the other fictitious units.
_CULTIVATOR_NUMBERS = 500


@lru_cache(maxsize=1)
def read_brands() -> Mapping[str, Any]:
    """The settings of ``brands.yaml``."""
    settings: Mapping[str, Any] = read_yaml("brands.yaml")
    return settings


def brand_rows(reporter_code: str, county: str, period: str, seed: int) -> list[Row] | None:
    """The month's rows of form 5; ``None`` where the county does not send the form.

    A brand's figures of a month do not depend on which months are asked for.
    """
    config = read_brands()
    brands = config["brands"].get(reporter_code)
    if brands is None:
        return None
    month = month_number_of(period)
    season = config["season"].get(period[5:], 1.0)
    rows: list[Row] = []
    for position, brand in enumerate(brands):
        differs = brand.get("months", {}).get(period, {})
        if differs == "absent":
            continue
        rng = np.random.default_rng([seed, int(reporter_code), int(period.replace("-", "")), 5, position])
        employed = round(brand["employed"] * (1 + brand["growth"]) ** month)
        rows.append(
            {
                "brand_name": brand["name"],
                "category": brand["category"],
                "county": county,
                "recognised_level": brand.get("level"),
                "cultivator_name": config["cultivator"].format(county=county, number=brand["cultivator"]),
                "cultivator_uscc": social_credit_code(reporter_code, _CULTIVATOR_NUMBERS + brand["cultivator"]),
                "employed": employed,
                "agreement_persons": int(employed * brand["signed"]),
                "trained_person_times": _about(brand["trained"] * season, rng),
                "employment_driven": _about(brand["driven"] * season, rng),
                "trademark_no": brand.get("trademark"),
                "entered_on": brand.get("entered"),
                "status": brand["status"],
                "exit_reason": None,
                "remark": None,
            }
            | differs
        )
    return rows


def _about(ordinary: float, rng: np.random.Generator) -> int:
    """A number within a tenth of the ordinary one; 0 only where that is 0."""
    return max(1, round(ordinary * float(rng.uniform(0.9, 1.1)))) if ordinary else 0
