"""What the demo province is like, read from the YAML files beside this module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Post:
    """A post of an industry: ``weight`` is its relative frequency, ``wage_factor`` multiplies the industry's wage."""

    name: str
    category: str
    weight: float
    wage_factor: float


@dataclass(frozen=True, slots=True)
class Industry:
    """Ordinary shares (of headcount), wages (yuan a month) and shortage behaviour of one industry.

    Attributes:
        size_bounds: lower bounds of 大型, 中型, 小型 as (persons, revenue in 万元).
        shortage_rate: vacancies per production worker in an ordinary month.
        season: how strongly the months of ``industries.yaml`` act on it (1 = as written).
    """

    key: str
    division_code: str
    division_name: str
    labels: tuple[str, ...]
    products: tuple[str, ...]
    size_bounds: tuple[tuple[int, int], ...]
    median_headcount: float
    spread: float
    shares: Mapping[str, float]
    wages: Mapping[str, float]
    shortage_rate: float
    season: float
    posts: tuple[Post, ...]


@dataclass(frozen=True, slots=True)
class Month:
    """Rates of leaving and hiring (of headcount) and the factor on shortages in one calendar month."""

    leave: float
    hire: float
    shortage: float


@dataclass(frozen=True, slots=True)
class Habits:
    """How one county's office fills and saves its workbooks, and how its economy differs from the average.

    Attributes:
        writer: ``xlsxwriter``, ``openpyxl``, ``xlwt`` or ``odf``.
        together: all forms as sheets of one workbook.
        merge_posts: form 2 merges the enterprise's cells down over its posts.
        order: ``standard`` or ``shuffled`` (blocks of columns in another order).
        numbers: ``numbers``, ``text`` or ``fullwidth``.
        industry_as: ``name``, ``code`` or ``label``.
        file_style: ``named``, ``attachment`` or ``final``.
        advances: apprenticeship classes are paid in advance and settled later.
        stopped: enterprise number to the state (停产, 半停产) it is in and the month since when.
    """

    reporter_code: str
    enterprises: int
    wage: float
    growth: float
    industries: Mapping[str, int]
    writer: str
    together: bool
    merge_posts: bool
    order: str
    numbers: str
    industry_as: str
    file_style: str
    households: str = "ordinary"
    header_breaks: bool = False
    wide_total: bool = False
    advances: bool = True
    stopped: Mapping[int, tuple[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Province:
    """All of the demo's data files."""

    industries: Mapping[str, Industry]
    common_posts: tuple[Post, ...]
    months: Mapping[str, Month]
    households: Mapping[str, tuple[float, ...]]
    skill_levels: tuple[float, ...]
    states: Mapping[str, float]
    ownership: Mapping[str, Mapping[str, float]]
    habits: Mapping[str, Habits]
    requirements: Mapping[str, Mapping[str, Sequence[Any]]]
    training: Mapping[str, Sequence[str]]
    locality_forms: tuple[str, ...]
    texts: Mapping[str, Any]

    def industry_of(self, written: str) -> Industry:
        """The industry a county wrote by name, code or label.

        Raises:
            KeyError: no profile has it.
        """
        for industry in self.industries.values():
            if written in (industry.division_name, industry.division_code, industry.labels[0]):
                return industry
        raise KeyError(f"no industry profile for {written}")


def read_yaml(name: str) -> Any:
    """A data file of this folder."""
    return yaml.load((FOLDER / name).read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def _posts(entries: list[list[Any]]) -> tuple[Post, ...]:
    return tuple(
        Post(str(name), str(category), float(weight), float(factor)) for name, category, weight, factor in entries
    )


@lru_cache(maxsize=1)
def load_province() -> Province:
    """The demo province as configured in ``industries.yaml``, ``counties.yaml`` and ``texts.yaml``."""
    source, counties = read_yaml("industries.yaml"), read_yaml("counties.yaml")
    industries = {
        key: Industry(
            key=key,
            division_code=entry["division_code"],
            division_name=entry["division_name"],
            labels=tuple(entry["labels"]),
            products=tuple(entry["products"]),
            size_bounds=tuple(
                (int(persons), int(revenue)) for persons, revenue in source["size_rules"][entry["size_rule"]]
            ),
            median_headcount=float(entry["median_headcount"]),
            spread=float(entry["spread"]),
            shares=entry["shares"],
            wages=entry["wages"],
            shortage_rate=float(entry["shortage_rate"]),
            season=float(entry["season"]),
            posts=_posts(entry["posts"]),
        )
        for key, entry in source["profiles"].items()
    }
    return Province(
        industries=industries,
        common_posts=_posts(source["common_posts"]),
        months={month: Month(**rates) for month, rates in source["months"].items()},
        households={kind: tuple(weights) for kind, weights in source["households"].items()},
        skill_levels=tuple(source["skill_levels"]),
        states=source["states"],
        ownership=source["ownership"],
        habits={code: Habits(reporter_code=code, **entry) for code, entry in counties["counties"].items()},
        requirements=source["requirements"],
        training=source["training"],
        locality_forms=tuple(counties["locality_forms"]),
        texts=read_yaml("texts.yaml"),
    )
