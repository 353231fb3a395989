"""Helper columns of the expectation suites: what a rule compares is computed here; what it tolerates stands in JSON.

Every function takes the rows of one form (all counties together) and gives new columns aligned with them. ``NaN`` or
``None`` in a helper column means "cannot be judged" (a blank is not a zero), and such a row is not counted as checked.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from include.forms.model import load_forms
from include.intake.identifiers import is_valid_person_id, uscc_fault
from include.intake.reporters import Region, Reporter
from include.quality.size_classes import ruled_size_class
from include.settings import PROJECT_ROOT

SEEDS = PROJECT_ROOT / "dbt_project" / "seeds"
CROSS_FORM = "cross_form_status_demand"

HOUSEHOLD = ("local_county", "other_county", "other_province")
SKILL_LEVELS = (
    "skill_junior",
    "skill_intermediate",
    "skill_senior",
    "skill_technician",
    "skill_senior_technician",
    "skill_master",
    "skill_chief",
)
CLAIM_STEPS = ("applied_on", "accepted_on", "reviewed_on", "decided_on", "paid_on")
TRAINING = (
    "training_post",
    "training_type",
    "training_level",
    "training_persons",
    "training_month",
    "training_mode",
    "training_subsidised",
)
_SAME_POST = (
    "submission_id",
    "uscc",
    "post",
    "post_category",
    "employed",
    "shortage_now",
    "planned_hires",
    "shortage_expansion",
    "education",
    "skill_level",
    "wage_min",
    "wage_max",
    "training_post",
    "training_persons",
)
_SAME_CLAIM = (
    "submission_id",
    "item",
    "fund",
    "batch_no",
    "payee_name",
    "payee_uscc",
    "person_id",
    "occupation",
    "level",
    "certificate_no",
    "covered_from",
    "covered_to",
    "payment_type",
    "applied",
    "applied_on",
)
_ROWS_NAMED = 3
_WHITE = re.compile("[\\s\u200b\ufeff]+")


@dataclass(frozen=True)
class RuleContext:
    """What a rule knows beside the rows.

    Attributes:
        county_names: county code -> every way to write its name, the official one first.
        industry_names: normalised division names, codes and aliases -> division code.
        previous: rows of the month before (``county_code, uscc, headcount, revenue_wan_yuan``), or ``None``.
    """

    county_names: Mapping[str, tuple[str, ...]]
    industry_names: Mapping[str, str]
    previous: pd.DataFrame | None = None


def plain(text: object) -> str:
    """Text as compared: NFKC, no white space (the dbt macro ``comparable_text`` does the same)."""
    return _WHITE.sub("", unicodedata.normalize("NFKC", str(text)))


def county_name_forms(names: Iterable[str], city_name: str) -> tuple[str, ...]:
    """Ways a county's name is written in its own sheets: with or without the city and the region in front, with or
    without its last character (``灵山县``, ``灵山``, ``钦州市灵山县``). The first is the official name."""
    short = [name for name in dict.fromkeys(names) if name]
    stems = [name[:-1] for name in short if len(name) > 2 and name[-1] in "县市区"]
    bases = dict.fromkeys(short + stems)
    fronts = ("", city_name, city_name.removesuffix("市"), f"广西{city_name}", f"广西壮族自治区{city_name}")
    return tuple(dict.fromkeys(plain(front + base) for front in fronts for base in bases))


def county_names(reporters: Sequence[Reporter], regions: Mapping[str, Region]) -> dict[str, tuple[str, ...]]:
    """Name forms of every county, from the regions and the reporters that report under its code."""
    names: dict[str, list[str]] = {}
    cities: dict[str, str] = {}
    for region in regions.values():
        names[region.region_code] = [region.region_name, *region.aliases]
        cities[region.region_code] = region.city_name
    for reporter in reporters:
        mine = names.setdefault(reporter.region_code, [])
        mine[:0] = [reporter.reporter_name]
        mine.extend(reporter.aliases)
        cities.setdefault(reporter.region_code, reporter.city_name)
    return {code: county_name_forms(listed, cities[code]) for code, listed in names.items()}


@lru_cache(maxsize=4)
def industry_names(seeds: Path = SEEDS) -> Mapping[str, str]:
    """Every text that names an industry division: its code (``13``, ``C13``), its name, its aliases; from the seeds
    ``industries.csv`` and, where it exists, ``industry_aliases.csv`` (``alias, division_code``)."""
    divisions: dict[str, set[str]] = {}
    for row in _rows(seeds / "industries.csv"):
        code, name = row["division_code"], row["division_name"]
        lettered = row["category_code"] + code
        older = (row.get("aliases_2011") or "").split("|")
        for text in (code, lettered, name, code + name, lettered + name, *older):
            divisions.setdefault(plain(text), set()).add(code)
    extra = seeds / "industry_aliases.csv"
    for row in _rows(extra) if extra.exists() else ():
        divisions.setdefault(plain(row["alias"]), set()).add(row["division_code"])
    # as in the model int_industry_name: a wording that two divisions claim maps to neither
    return {text: next(iter(codes)) for text, codes in divisions.items() if text and len(codes) == 1}


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as handle:
        return list(csv.DictReader(handle))


# ---------------------------------------------------------------------------------------------- the rows themselves


def typed(form: str, frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with one dtype per kind of column: counts and amounts as float (``NaN`` for a blank), dates as
    datetime, the rest as objects with ``None`` for a blank. Columns that the sheet did not have are added blank.
    The index becomes 0..n-1: the suites name failing rows by their place, which is then turned into the row's key."""
    columns: dict[str, Any] = {}
    n = len(frame)
    for name in ("submission_id", "sheet", "county_code", "period"):
        columns[name] = _objects(frame[name]) if name in frame else np.full(n, None, dtype=object)
    columns["source_row"] = pd.to_numeric(frame["source_row"]).to_numpy() if n else np.array([], dtype=np.int64)
    for name, column in load_forms()[form].columns.items():
        if name not in frame:
            blank: Any = np.full(n, np.nan) if column.type in ("integer", "decimal", "money") else np.full(n, None)
            columns[name] = pd.to_datetime(pd.Series(blank)) if column.type == "date" else blank
        elif column.type in ("integer", "decimal", "money"):
            columns[name] = pd.to_numeric(frame[name], errors="coerce").astype("float64").to_numpy()
        elif column.type == "date":
            columns[name] = pd.to_datetime(pd.Series(frame[name].to_numpy()), errors="coerce")
        else:
            columns[name] = _objects(frame[name])
    return pd.DataFrame(columns, index=pd.RangeIndex(n))


def _objects(series: pd.Series) -> np.ndarray[Any, Any]:
    values = series.to_numpy(dtype=object).copy()
    values[pd.isna(values)] = None
    return values


def _each(series: pd.Series, judge: Callable[[str], Any]) -> pd.Series:
    """``judge`` of every filled cell, computed once per different text; ``None`` where blank."""
    answers = {text: judge(str(text)) for text in series.dropna().unique()}
    return series.map(lambda text: answers.get(text) if text is not None else None).astype(object)


def _sum(frame: pd.DataFrame, parts: Sequence[str]) -> pd.Series:
    """Sum of the filled parts; ``NaN`` where all are blank."""
    return frame[list(parts)].sum(axis=1, min_count=1)


def _gap(frame: pd.DataFrame, total: str, parts: Sequence[str]) -> pd.Series:
    """total - sum of parts. With a part left blank only an excess of the parts counts (a blank is not a zero)."""
    gap = frame[total] - _sum(frame, parts)
    complete = frame[list(parts)].notna().all(axis=1)
    return gap.where(complete | gap.isna(), gap.clip(upper=0))


def _jump(now: pd.Series, before: pd.Series) -> pd.Series:
    """How many times one figure is the other, upwards or downwards; ``NaN`` where either is blank or not positive."""
    both = (now > 0) & (before > 0)
    ratio = now / before
    return ratio.where(ratio >= 1, before / now).where(both)


def _months(period: pd.Series) -> pd.Series:
    """``YYYY-MM`` as a running month number; ``NaN`` where it is not one."""
    parts = period.astype("string").str.extract(r"^(\d{4})-(\d{2})$")
    numbers = parts.apply(pd.to_numeric, errors="coerce").astype("float64")
    return numbers[0] * 12 + numbers[1]


def _row_name(sheet: object, row: int, here: object) -> str:
    return f"第{row}行" if sheet == here else f"“{sheet}”第{row}行"


def _other_rows(frame: pd.DataFrame, keys: Sequence[str], wanted: pd.Series) -> pd.Series:
    """For the wanted rows: the other rows with the same keys, as ``第8行、第9行``; at most three are named."""
    said = pd.Series(None, index=frame.index, dtype=object)
    if not wanted.any():
        return said
    for _, group in frame.loc[wanted, [*keys, "sheet", "source_row"]].groupby(list(keys), dropna=False, sort=False):
        places = list(zip(group.index, group["sheet"], group["source_row"].astype(int), strict=True))
        for index, here, _row in places:
            others = [_row_name(sheet, row, here) for other, sheet, row in places[: _ROWS_NAMED + 1] if other != index]
            others = others[:_ROWS_NAMED]
            more = len(places) - 1 - len(others)
            said[index] = "、".join(others) + (f"等共{len(places) - 1}行" if more else "")
    return said


def _same(frame: pd.DataFrame, keys: Sequence[str], needed: Sequence[str]) -> pd.Series:
    """How many rows share the keys; ``NaN`` where one of the needed keys is blank."""
    count = frame.groupby(list(keys), dropna=False, sort=False)["source_row"].transform("size").astype("float64")
    return count.where(frame[list(needed)].notna().all(axis=1))


def _different(frame: pd.DataFrame, key: str, of: str) -> pd.Series:
    """How many different values of ``of`` stand beside one value of ``key`` in a submission."""
    both = frame[key].notna() & frame[of].notna()
    filled = frame.loc[both, ["submission_id", key, of]]
    count = filled.groupby(["submission_id", key], sort=False)[of].transform("nunique").astype("float64")
    return count.reindex(frame.index)


def _county(frame: pd.DataFrame, context: RuleContext) -> tuple[pd.Series, pd.Series]:
    """Whether the county cell names the reporting county (``None``: blank, or a county nobody knows), and its name."""
    pairs = pd.DataFrame({"code": frame["county_code"], "name": frame["county"]})
    answers: dict[tuple[Any, Any], bool | None] = {}
    for code, name in pairs.drop_duplicates().itertuples(index=False, name=None):
        forms = context.county_names.get(code)
        answers[code, name] = None if name is None or not forms else _names_county(plain(name), forms)
    mine = [answers[pair] for pair in zip(pairs["code"], pairs["name"], strict=True)]
    official = pairs["code"].map(lambda code: (context.county_names.get(code) or (code,))[0])
    return pd.Series(mine, index=frame.index, dtype=object), official


def _names_county(text: str, forms: Sequence[str]) -> bool:
    # a township may follow the full name: 灵山县新圩镇
    return text in forms or any(len(form) > 2 and form[-1] in "县市区" and text.startswith(form) for form in forms)


# --------------------------------------------------------------------------------------- helper columns, form by form


def status_helpers(frame: pd.DataFrame, context: RuleContext) -> pd.DataFrame:
    """Helper columns of ``enterprise_status`` added to the typed frame."""
    rows = frame.copy(deep=False)
    rows["uscc_fault"] = _each(rows["uscc"], lambda code: uscc_fault(code) or "none")
    rows["county_is_reporter"], rows["reporter_name"] = _county(rows, context)
    rows["industry_is_mapped"] = _each(rows["industry"], lambda text: plain(text) in context.industry_names)
    rows["industry_code"] = _each(rows["industry"], lambda text: context.industry_names.get(plain(text)))
    rows["size_class_ruled"] = [
        ruled_size_class(code, headcount, revenue)
        for code, headcount, revenue in zip(
            rows["industry_code"], rows["headcount"], rows["revenue_wan_yuan"], strict=True
        )
    ]
    both = rows["size_class"].notna() & rows["size_class_ruled"].notna()
    rows["size_class_is_as_ruled"] = (rows["size_class"] == rows["size_class_ruled"]).astype(object).where(both, None)

    repeated = rows["uscc"].notna() & rows.duplicated(["submission_id", "uscc"], keep=False)
    rows["other_rows"] = _other_rows(rows, ["submission_id", "uscc"], repeated)
    rows["codes_of_name"] = _different(rows, "enterprise_name", "uscc")
    rows["other_rows_of_name"] = _other_rows(rows, ["submission_id", "enterprise_name"], rows["codes_of_name"] > 1)

    staff = ("managers", "professionals", "workers")
    rows["headcount_parts"] = _sum(rows, staff)
    rows["headcount_gap"] = _gap(rows, "headcount", staff)
    rows["household_parts"] = _sum(rows, HOUSEHOLD)
    rows["household_gap"] = _gap(rows, "headcount", HOUSEHOLD)
    rows["skilled_parts"] = _sum(rows, SKILL_LEVELS)
    rows["skilled_gap"] = _gap(rows, "skilled_total", SKILL_LEVELS)
    rows["skillable"] = rows["professionals"] + rows["workers"]

    before = _previous(rows, context.previous)
    rows["previous_headcount"] = before["headcount"]
    rows["previous_revenue_wan_yuan"] = before["revenue_wan_yuan"]
    rows["headcount_by_flow"] = rows["previous_headcount"] + rows["hired"] - rows["leavers"]
    rows["flow_gap"] = rows["headcount"] - rows["headcount_by_flow"]
    rows["headcount_jump"] = _jump(rows["headcount"], rows["previous_headcount"])
    rows["revenue_jump"] = _jump(rows["revenue_wan_yuan"], rows["previous_revenue_wan_yuan"])
    return rows


def _previous(rows: pd.DataFrame, previous: pd.DataFrame | None) -> pd.DataFrame:
    """Last month's headcount and revenue of each row's enterprise in the same county; ``NaN`` where there is none, or
    where the code stood twice."""
    measures = ["headcount", "revenue_wan_yuan"]
    if previous is None or not len(previous):
        return pd.DataFrame(np.nan, index=rows.index, columns=measures)
    known = previous[["county_code", "uscc"]].astype(object).copy()
    for measure in measures:
        known[measure] = pd.to_numeric(previous[measure], errors="coerce").astype("float64")
    known = known.drop_duplicates(["county_code", "uscc"], keep=False)
    found = rows[["county_code", "uscc"]].merge(known, on=["county_code", "uscc"], how="left", validate="m:1")
    return found[measures].set_axis(rows.index)


def demand_helpers(frame: pd.DataFrame, context: RuleContext) -> pd.DataFrame:
    """Helper columns of ``labour_demand`` added to the typed frame."""
    rows = frame.copy(deep=False)
    rows["uscc_fault"] = _each(rows["uscc"], lambda code: uscc_fault(code) or "none")
    rows["county_is_reporter"], rows["reporter_name"] = _county(rows, context)
    rows["names_of_code"] = _different(rows, "uscc", "enterprise_name")
    rows["other_rows_of_code"] = _other_rows(rows, ["submission_id", "uscc"], rows["names_of_code"] > 1)
    rows["same_lines"] = _same(rows, _SAME_POST, ["uscc", "post"])
    rows["other_rows"] = _other_rows(rows, _SAME_POST, rows["same_lines"] > 1)
    rows["expansion_months_ahead"] = _months(rows["expansion_month"]) - _months(rows["period"])

    asked = pd.Series(False, index=rows.index)
    for name in TRAINING:
        if name == "training_persons":
            asked |= rows[name] > 0
        elif name == "training_subsidised":
            # 否 beside empty cells says that nothing is asked for
            asked |= rows[name].map(lambda value: value is True or value == 1)
        else:
            asked |= rows[name].notna()
    complete = rows["training_post"].notna() & (rows["training_persons"] > 0)
    rows["training_is_complete"] = (~asked | complete).astype(object)
    return rows


def subsidy_helpers(frame: pd.DataFrame, context: RuleContext) -> pd.DataFrame:
    """Helper columns of ``subsidy_payment`` added to the typed frame."""
    rows = frame.copy(deep=False)
    labels = load_forms()["subsidy_payment"].columns
    rows["payee_uscc_fault"] = _each(rows["payee_uscc"], lambda code: uscc_fault(code) or "none")
    rows["person_id_is_valid"] = _each(rows["person_id"], is_valid_person_id)
    rows["same_lines"] = _same(rows, _SAME_CLAIM, ["item", "payee_name", "applied"])
    rows["other_rows"] = _other_rows(rows, _SAME_CLAIM, rows["same_lines"] > 1)
    rows["applied_by_standard_yuan"] = (rows["standard"] * rows["quantity"]).round(2)
    rows["applied_gap_yuan"] = (rows["applied"] - rows["applied_by_standard_yuan"]).round(2)

    month = _months(rows["period"])
    last_day = pd.to_datetime(rows["period"].astype("string"), format="%Y-%m", errors="coerce") + pd.offsets.MonthEnd(0)
    latest = rows[CLAIM_STEPS[0]]
    latest_name = pd.Series(labels[CLAIM_STEPS[0]].label_zh, index=rows.index, dtype=object)
    for step in CLAIM_STEPS:
        day = rows[step]
        rows[f"{step}_days_after_period"] = (day - last_day).dt.days.astype("float64")
        if step != CLAIM_STEPS[0]:
            rows[f"{step}_lag_days"] = (day - latest).dt.days.astype("float64")
            said = latest_name + latest.dt.strftime("%Y-%m-%d").astype(object)
            rows[f"{step}_earlier"] = said.where(latest.notna(), None)
            # steps left blank are passed over: the date is held against the latest filled step before it
            newer = day.notna() & (latest.isna() | (day >= latest))
            latest = latest.where(~newer, day)
            latest_name = latest_name.where(~newer, labels[step].label_zh)
    applied_on = rows["applied_on"]
    rows["applied_on_months_before_period"] = month - (applied_on.dt.year * 12 + applied_on.dt.month)
    return rows


def cross_form_rows(status: pd.DataFrame, demand: pd.DataFrame) -> pd.DataFrame:
    """One frame of the rows that the cross-form suite looks at: the rows of both forms (column ``form``), those of
    form 1 with the sums of the enterprise's rows in form 2 (``demand_…``, 0 where the county sent form 2 and the
    enterprise is not in it), those of form 2 with ``is_in_status``.

    A (county, period) that has only one of the forms is not compared: its helper cells stay blank. Neither is an
    enterprise whose code stands twice in form 1, or one with a required figure blank in form 2.
    """
    key = ["county_code", "period", "uscc"]
    place = ["county_code", "period"]
    measures = {
        "shortage_now": "demand_shortage_now",
        "shortage_expansion": "demand_shortage_expansion",
        "training_persons": "demand_training_persons",
    }
    ours = typed("enterprise_status", status)
    theirs = typed("labour_demand", demand)

    sums = theirs.groupby(key, sort=False)[list(measures)].sum(min_count=1).rename(columns=measures)
    sums["demand_rows"] = theirs.groupby(key, sort=False).size().astype("float64")
    for measure in ("shortage_now", "shortage_expansion"):
        blank = theirs[measure].isna().groupby([theirs[name] for name in key], sort=False).any()
        sums.loc[blank.reindex(sums.index, fill_value=False), measures[measure]] = np.nan
    # 培训人数 is filled only where training is asked for: no figure is no person
    sums[measures["training_persons"]] = sums[measures["training_persons"]].fillna(0.0)

    left = ours[["submission_id", "sheet", "source_row", *key, "shortage_now", "shortage_expansion", "training_needed"]]
    left = left.merge(sums.reset_index(), on=key, how="left")
    sent = pd.MultiIndex.from_frame(theirs[place].drop_duplicates())
    compared = pd.MultiIndex.from_frame(left[place]).isin(sent) & left["uscc"].notna()
    compared &= ~left.duplicated(key, keep=False)
    absent = compared & left["demand_rows"].isna()
    for column in (*measures.values(), "demand_rows"):
        left[column] = left[column].mask(absent, 0.0).where(compared)
    left["shortage_now_gap"] = left["shortage_now"] - left["demand_shortage_now"]
    left["shortage_expansion_gap"] = left["shortage_expansion"] - left["demand_shortage_expansion"]
    left["training_gap"] = left["training_needed"] - left["demand_training_persons"]
    left.insert(0, "form", "enterprise_status")

    right = theirs[["submission_id", "sheet", "source_row", *key]].copy()
    known = pd.MultiIndex.from_frame(ours.loc[ours["uscc"].notna(), key])
    comparable = pd.MultiIndex.from_frame(right[place]).isin(pd.MultiIndex.from_frame(ours[place].drop_duplicates()))
    found = pd.Series(pd.MultiIndex.from_frame(right[key]).isin(known), index=right.index).astype(object)
    right["is_in_status"] = found.where(comparable & right["uscc"].notna(), None)
    right.insert(0, "form", "labour_demand")

    both = pd.concat([left, right], ignore_index=True)
    both["is_in_status"] = _objects(both["is_in_status"])
    return both


HELPERS: Mapping[str, Callable[[pd.DataFrame, RuleContext], pd.DataFrame]] = {
    "enterprise_status": status_helpers,
    "labour_demand": demand_helpers,
    "subsidy_payment": subsidy_helpers,
}
