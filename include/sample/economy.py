"""The enterprises of one demo county, month by month: a stable panel whose numbers hang together.

Identities that hold in every row: headcount = managers + professionals + workers = the three household columns;
the skill levels sum to ``skilled_total`` <= professionals + workers; headcount(t) = headcount(t-1) + hired - leavers
for an enterprise that stays; the rows of form 2 sum to form 1's shortages and training need.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from stdnum.cn import uscc

from include.intake.calendar import month_after
from include.sample.profile import Habits, Industry, Post, Province

# The panel is always grown from this month on, so a month's rows do not depend on which months are asked for.
BASE_PERIOD = "2025-12"
SKILL_COLUMNS = (
    "skill_junior",
    "skill_intermediate",
    "skill_senior",
    "skill_technician",
    "skill_senior_technician",
    "skill_master",
    "skill_chief",
)
_SIZES = ("大型", "中型", "小型", "微型")
_STOPPED = ("停产", "半停产")
_ORDINARY_TURNOVER = 0.026
# The columns of form 2, in the order of its rows.
_DEMAND_COLUMNS = (
    "seq", "enterprise_name", "uscc", "county", "post", "post_category", "employed", "shortage_now", "planned_hires",
    "shortage_expansion", "expansion_month", "expansion_reason", "gender", "age_min", "age_max", "education",
    "skill_level", "wage_min", "wage_max", "benefits", "workplace", "training_post", "training_type", "training_level",
    "training_persons", "training_month", "training_mode", "training_subsidised", "contact", "phone", "remark",
)  # fmt: skip
_CODE_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"

Row = dict[str, Any]
_T = TypeVar("_T")


class PeriodBeforeDemo(ValueError):
    """The demo province has no history before its base month."""


@dataclass(slots=True)
class Enterprise:
    """One enterprise of the panel: what stays (name, code, shares) and what moves (headcount, state)."""

    number: int
    name: str
    uscc: str
    industry: Industry
    ownership: str
    size_class: str
    revenue: float
    locality: str
    is_key: bool
    bounds: tuple[int, int]
    shares: Mapping[str, float]
    household: tuple[float, ...]
    levels: tuple[float, ...]
    wage_factor: float
    propensity: float
    expansion: float
    expansion_lag: int
    training: float
    posts: tuple[Post, ...]
    post_weights: tuple[float, ...]
    headcount: int
    state: str = "正常"
    hired: int = 0
    leavers: int = 0


@dataclass(frozen=True, slots=True)
class CountyMonth:
    """True rows of one county and month, before any habit or defect of the office that reports them."""

    period: str
    reporter_code: str
    county: str
    enterprise_status: list[Row] = field(default_factory=list)
    labour_demand: list[Row] = field(default_factory=list)


def month_number_of(period: str) -> int:
    """1 for the first month after the base month, 2 for the next."""
    return (int(period[:4]) - int(BASE_PERIOD[:4])) * 12 + int(period[5:]) - int(BASE_PERIOD[5:])


def social_credit_code(region_code: str, number: int) -> str:
    """A syntactically valid unified social credit code that no office has issued.

    The nine-character organisation code (GB 11714, with its own check character) begins with ``YY``; the whole
    carries the check character of GB 32100-2015.
    """
    high, low = divmod(number, len(_CODE_ALPHABET))
    body = f"YY{region_code[2:]}{_CODE_ALPHABET[high]}{_CODE_ALPHABET[low]}"
    values = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    total = sum(values.index(char) * weight for char, weight in zip(body, (3, 7, 9, 10, 5, 8, 4, 2), strict=True))
    check = "0123456789X0"[11 - total % 11]
    front = f"91{region_code}{body}{check}"
    return front + uscc.calc_check_digit(front)


def grow(province: Province, habits: Habits, county: str, periods: Sequence[str], seed: int) -> dict[str, CountyMonth]:
    """Form 1 and form 2 rows of a county for the periods asked for.

    Raises:
        PeriodBeforeDemo: a period lies before the first month after the base month.
    """
    if min(periods) <= BASE_PERIOD:
        raise PeriodBeforeDemo(f"the demo province begins after {BASE_PERIOD}; asked for {min(periods)}")
    code = int(habits.reporter_code)
    rng = np.random.default_rng([seed, code])
    panel: list[Enterprise] = []
    kinds = list(habits.industries)
    weights = np.array([habits.industries[kind] for kind in kinds], dtype=float)
    for number in range(1, habits.enterprises + 1):
        kind = kinds[int(rng.choice(len(kinds), p=weights / weights.sum()))]
        panel.append(_found(province, habits, county, number, province.industries[kind], rng))
    months: dict[str, CountyMonth] = {}
    period, elapsed, last_number = BASE_PERIOD, 0, habits.enterprises
    while period < max(periods):
        period, elapsed = month_after(period), elapsed + 1
        rng = np.random.default_rng([seed, code, int(period.replace("-", ""))])
        month = province.months[period[5:]]
        panel = [one for one in panel if rng.random() > 0.006 or one.size_class in ("大型", "中型")]
        for one in panel:
            _move(one, month.leave, month.hire + habits.growth, province.states, rng)
            state, since = habits.stopped.get(one.number, (one.state, period))
            if period >= since:
                one.state = state
        for _ in range(int(rng.poisson(0.009 * habits.enterprises))):
            last_number += 1
            kind = kinds[int(rng.choice(len(kinds), p=weights / weights.sum()))]
            newcomer = _found(province, habits, county, last_number, province.industries[kind], rng)
            newcomer.hired = newcomer.headcount
            panel.append(newcomer)
        status, demand = _report(province, habits, county, panel, period, elapsed, rng)
        if period in periods:
            months[period] = CountyMonth(period, habits.reporter_code, county, status, demand)
    return months


def _found(
    province: Province, habits: Habits, county: str, number: int, industry: Industry, rng: np.random.Generator
) -> Enterprise:
    headcount = max(6, int(rng.lognormal(np.log(industry.median_headcount), industry.spread)))
    headcount = min(headcount, 2600)
    size = next(
        (index for index, (persons, _) in enumerate(industry.size_bounds) if headcount >= persons), len(_SIZES) - 1
    )
    lowest = industry.size_bounds[size] if size < 3 else (3, 20)
    ceiling = industry.size_bounds[size - 1][0] - 1 if size else 6000
    per_head = float(rng.lognormal(np.log(38.0), 0.45))
    top = industry.size_bounds[size - 1][1] * 0.98 if size == 3 else float("inf")
    revenue = round(min(top, max(lowest[1] * float(rng.uniform(1.02, 1.4)), headcount * per_head)), 2)
    ownership = province.ownership[_SIZES[size]]
    makes_goods = industry.division_code < "51"
    pool = industry.posts + (province.common_posts if makes_goods else ())
    post_weights = np.array([post.weight for post in pool])
    count = min(len(pool), 1 + int(rng.binomial(3, 0.35 + 0.12 * (size < 2))))
    chosen = sorted(rng.choice(len(pool), size=count, replace=False, p=post_weights / post_weights.sum()))
    posts = tuple(pool[int(index)] for index in chosen)
    product = one_of(industry.products, rng)
    texts = province.texts
    legal = one_of(texts["legal_forms" if makes_goods else "service_legal_forms"], rng)
    return Enterprise(
        number=number,
        name=texts["enterprise_name"].format(county=county, number=number, product=product, legal=legal),
        uscc=social_credit_code(habits.reporter_code, number),
        industry=industry,
        ownership=_pick(ownership, rng),
        size_class=_SIZES[size],
        revenue=revenue,
        locality=f"{county}{one_of(province.locality_forms, rng)}",
        is_key=size < 2 and bool(rng.random() < 0.6),
        bounds=(lowest[0], ceiling),
        shares={
            "managers": industry.shares["managers"] * float(rng.uniform(0.7, 1.3)),
            "professionals": industry.shares["professionals"] * float(rng.uniform(0.5, 1.5)),
            "women": float(np.clip(rng.normal(industry.shares["women"], 0.08), 0.03, 0.95)),
            "skilled": float(np.clip(rng.beta(2.2, 2.2 / industry.shares["skilled"] - 2.2), 0.0, 0.85)),
            "lifted_poverty": float(rng.beta(1.6, 16.0)),
            "dispatched": float(rng.beta(1.2, 9.0)) if rng.random() < (0.45 if size < 2 else 0.08) else 0.0,
            "insured": float(rng.beta(9.0, 2.2) if size < 2 else rng.beta(5.0, 3.0)),
        },
        household=tuple(float(x) for x in rng.dirichlet(province.households[habits.households])),
        levels=tuple(float(x) for x in rng.dirichlet(np.array(province.skill_levels) * 40.0)),
        wage_factor=habits.wage * float(rng.lognormal(0.0, 0.09)) * (1.0 + 0.05 * (size == 0) - 0.04 * (size == 3)),
        propensity=float(rng.gamma(1.8, 1.0)) if rng.random() < 0.56 else 0.0,
        expansion=float(rng.uniform(0.04, 0.22)) if rng.random() < 0.17 else 0.0,
        expansion_lag=int(rng.integers(1, 7)),
        training=float(rng.uniform(0.03, 0.16)) if rng.random() < 0.40 else 0.0,
        posts=posts,
        post_weights=tuple(float(x) for x in rng.dirichlet([4.0 * post.weight + 0.5 for post in posts])),
        headcount=headcount,
    )


def one_of(options: Sequence[_T], rng: np.random.Generator) -> _T:
    """One of the options, all equally likely."""
    return options[int(rng.integers(len(options)))]


def _pick(weights: Mapping[str, float], rng: np.random.Generator) -> str:
    names = list(weights)
    chances = np.array([weights[name] for name in names])
    return names[int(rng.choice(len(names), p=chances / chances.sum()))]


def _move(one: Enterprise, leave: float, hire: float, states: Mapping[str, float], rng: np.random.Generator) -> None:
    """One month of leaving and hiring. Headcount stays inside the enterprise's size class, whose name is yearly."""
    if one.state != "正常" or rng.random() < 0.01:
        one.state = _pick(states, rng) if rng.random() < 0.6 else one.state
    season = one.industry.season
    leave_rate = max(0.004, _ORDINARY_TURNOVER + (leave - _ORDINARY_TURNOVER) * season)
    hire_rate = max(0.004, _ORDINARY_TURNOVER + (hire - _ORDINARY_TURNOVER) * season)
    if one.state == "停产":
        leave_rate, hire_rate = 0.08, 0.0
    leavers = int(rng.binomial(one.headcount, min(0.6, leave_rate * float(rng.uniform(0.6, 1.4)))))
    hired = int(rng.poisson(one.headcount * hire_rate * float(rng.uniform(0.6, 1.4))))
    lowest, highest = one.bounds
    after = one.headcount + hired - leavers
    if after < lowest:
        leavers -= min(leavers, lowest - after)
        hired += max(0, lowest - (one.headcount + hired - leavers))
    elif after > highest:
        hired -= min(hired, after - highest)
    one.hired, one.leavers = hired, leavers
    one.headcount += hired - leavers


def _split(total: int, weights: Sequence[float]) -> list[int]:
    """Whole numbers in proportion to the weights that sum to ``total`` (largest remainder)."""
    exact = [total * weight for weight in weights]
    parts = [int(value) for value in exact]
    order = sorted(range(len(parts)), key=lambda index: parts[index] - exact[index])
    for index in order[: total - sum(parts)]:
        parts[index] += 1
    return parts


def _report(
    province: Province,
    habits: Habits,
    county: str,
    panel: Sequence[Enterprise],
    period: str,
    elapsed: int,
    rng: np.random.Generator,
) -> tuple[list[Row], list[Row]]:
    factor = province.months[period[5:]].shortage
    texts = province.texts
    status: list[Row] = []
    demand: list[Row] = []
    for seq, one in enumerate(panel, start=1):
        head = one.headcount
        managers = max(1, round(one.shares["managers"] * head))
        professionals = round(one.shares["professionals"] * head)
        workers = max(1, head - managers - professionals)
        professionals = head - managers - workers
        other_county, other_province = round(one.household[1] * head), round(one.household[2] * head)
        trained = min(0.95, one.shares["skilled"] * (1.0 + 0.006 * elapsed))
        skilled = round(trained * (professionals + workers))
        levels = _split(skilled, one.levels)
        wage = one.wage_factor * (1.0 + 0.0025 * elapsed)
        active = 0.0 if one.state == "停产" else 1.0
        pressure = 1.0 + (factor - 1.0) * one.industry.season
        expected = workers * one.industry.shortage_rate * one.propensity * pressure
        stray = active * (rng.random() < 0.05) * rng.integers(1, 4)
        now = int(rng.poisson(expected * active) if expected else stray)
        expansion = round(workers * one.expansion * float(rng.uniform(0.8, 1.2)) * active)
        training = round((professionals + workers) * one.training * float(rng.uniform(0.7, 1.3)))
        name_code = one.industry.division_code, one.industry.division_name, one.industry.labels[0]
        row: Row = {
            "seq": seq,
            "enterprise_name": one.name,
            "uscc": one.uscc,
            "county": county,
            "locality": one.locality,
            "industry": name_code[("code", "name", "label").index(habits.industry_as)],
            "ownership": one.ownership,
            "size_class": one.size_class,
            "is_above_scale": one.size_class != "微型" and one.revenue >= 2000,
            "is_key": one.is_key,
            "operating_state": one.state,
            "revenue_wan_yuan": one.revenue,
            "headcount": head,
            "managers": managers,
            "professionals": professionals,
            "workers": workers,
            "women": round(one.shares["women"] * head),
            "local_county": head - other_county - other_province,
            "other_county": other_county,
            "other_province": other_province,
            "lifted_poverty": round(one.shares["lifted_poverty"] * head),
            "dispatched": round(one.shares["dispatched"] * head),
            **dict(zip(SKILL_COLUMNS, levels, strict=True)),
            "skilled_total": skilled,
            "insured": round(one.shares["insured"] * head),
            "hired": one.hired,
            "leavers": one.leavers,
            "wage_general": round(one.industry.wages["general"] * wage, -1),
            "wage_skilled": round(one.industry.wages["skilled"] * wage, -1),
            "shortage_now": now,
            "shortage_expansion": expansion,
            "training_needed": training,
            "contact": texts["contact"].format(number=one.number),
            "phone": f"000{int(habits.reporter_code) % 10000:04d}{one.number:04d}",
            "remark": one_of(texts["remarks"], rng) or None,
        }
        status.append(row)
        if now or expansion or training:
            demand.extend(_demand_rows(one, row, wage, period, county, province, rng))
        if one.state in _STOPPED:
            demand.extend(_idle_posts(one, row, demand, county))
    previous = None
    number = 0
    for row in demand:
        number += row["uscc"] != previous
        previous = row["uscc"]
        row["seq"] = number
    return status, demand


def _idle_posts(one: Enterprise, row: Row, demand: Sequence[Row], county: str) -> list[Row]:
    """The other posts of an enterprise that has stopped or half stopped: it names all its people, wants none of them
    and could spare some."""
    employed = _split(int(row["workers"] * 0.8), one.post_weights)
    named = {other["post"] for other in demand if other["uscc"] == one.uscc}
    return [
        dict.fromkeys(_DEMAND_COLUMNS)
        | {
            "enterprise_name": one.name,
            "uscc": one.uscc,
            "county": county,
            "post": post.name,
            "post_category": post.category,
            "employed": employed[index],
            "shortage_now": 0,
            "planned_hires": 0,
            "shortage_expansion": 0,
            "workplace": one.locality,
            "contact": row["contact"],
            "phone": row["phone"],
        }
        for index, post in enumerate(one.posts)
        if post.name not in named and employed[index]
    ]


def _demand_rows(
    one: Enterprise, row: Row, wage: float, period: str, county: str, province: Province, rng: np.random.Generator
) -> list[Row]:
    now = _split(row["shortage_now"], one.post_weights)
    expansion = _split(row["shortage_expansion"], one.post_weights)
    training = _split(row["training_needed"], one.post_weights)
    employed = _split(int(row["workers"] * 0.8), one.post_weights)
    month = month_after(period, one.expansion_lag)
    texts, training_kinds = province.texts, province.training
    rows: list[Row] = []
    for index, post in enumerate(one.posts):
        if not (now[index] or expansion[index] or training[index]):
            continue
        skilled = post.category in ("技工", "专业技术", "管理")
        base = one.industry.wages["skilled" if skilled else "general"] * post.wage_factor * wage
        open_pay = rng.random() < 0.04
        asked = province.requirements[post.category]
        ages = asked["age"]
        trains = training[index] > 0
        rows.append(
            {
                "seq": None,
                "enterprise_name": one.name,
                "uscc": one.uscc,
                "county": county,
                "post": post.name,
                "post_category": post.category,
                "employed": employed[index],
                "shortage_now": now[index],
                "planned_hires": now[index] + (int(rng.integers(0, 4)) if now[index] else 0),
                "shortage_expansion": expansion[index],
                "expansion_month": month if expansion[index] else None,
                "expansion_reason": one_of(texts["reasons"], rng) if expansion[index] else None,
                "gender": "不限" if rng.random() < 0.86 else ("女" if one.shares["women"] > 0.5 else "男"),
                "age_min": ages[0],
                "age_max": ages[1] + 5 * int(rng.integers(0, 2)),
                "education": one_of(asked["education"], rng),
                "skill_level": one_of(asked["skill_level"], rng),
                "wage_min": None if open_pay else round(base * 0.92, -2),
                "wage_max": None if open_pay else round(base * 1.2, -2),
                "benefits": one_of(texts["benefits"], rng),
                "workplace": one.locality,
                "training_post": post.name if trains else None,
                "training_type": one_of(training_kinds["type"], rng) if trains else None,
                "training_level": one_of(training_kinds["level"], rng) if trains else None,
                "training_persons": training[index] if trains else None,
                "training_month": month_after(period, int(rng.integers(1, 4))) if trains else None,
                "training_mode": one_of(training_kinds["mode"], rng) if trains else None,
                "training_subsidised": bool(rng.random() < 0.7) if trains else None,
                "contact": row["contact"],
                "phone": row["phone"],
                "remark": None,
            }
        )
    return rows
