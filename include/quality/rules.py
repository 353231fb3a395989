"""Helper columns of the expectation suites: what a rule compares is computed here; what it tolerates stands in the
suites and in ``include/config/thresholds.yaml``.

Every function takes the rows of one form (all counties together) and gives new columns aligned with them. ``NaN`` or
``None`` in a helper column means "cannot be judged" (a blank is not a zero), and such a row is not counted as checked.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from include.forms.model import load_forms
from include.intake.identifiers import is_valid_person_id, uscc_fault
from include.intake.reporters import Region, Reporter
from include.quality.season import season_zh
from include.quality.size_classes import ruled_size_class
from include.quality.thresholds import limit
from include.settings import PROJECT_ROOT

SEEDS = PROJECT_ROOT / "dbt_project" / "seeds"
CROSS_FORM = "cross_form_status_demand"
HISTORY_STATUS = "history_enterprise_status"

#: Figures of form 1 that a wrong unit would multiply by thousands from one month to the next.
JUMP_MEASURES = (
    "revenue_wan_yuan",
    "headcount",
    "shortage_now",
    "shortage_expansion",
    "wage_general",
    "wage_skilled",
)
#: Figures of form 1 held against the enterprise's own usual figures (last year's revenue stands still all year).
ENTERPRISE_MEASURES = ("headcount", "shortage_now", "wage_general", "wage_skilled")
#: Figures of form 1 whose sum over an industry of the county is held against its usual sums.
INDUSTRY_MEASURES = ("headcount", "shortage_now")
_WAGES = ("wage_general", "wage_skilled")
_SHORTAGES = ("shortage_now",)
#: The standard deviation of normally distributed figures, in median absolute deviations.
_MAD_TO_SIGMA = 1.4826

THRESHOLDS_USED = (
    "wage_lowest_yuan",
    "wage_highest_yuan",
    "unit_jump_factor",
    "new_enterprises_ignored",
    "vanished_enterprises_ignored",
    "outlier_multiple_enterprise",
    "outlier_multiple_industry",
    "outlier_floor_share_level",
    "outlier_floor_share_shortage",
    "outlier_floor_persons_enterprise",
    "outlier_floor_persons_industry",
    "outlier_floor_yuan",
    "outlier_industry_lowest_enterprises",
)

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
CLASS_STEPS = ("materials_on", "filed_on", "started_on", "completed_on")
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
# GB 32100-2015: the sum of (place in the alphabet x weight) over 17 characters and the check character is 0 modulo 31
_USCC = re.compile("[0-9ANY][0-9A-HJ-NPQRTUWXY][0-9]{6}[0-9A-HJ-NPQRTUWXY]{10}")
_USCC_WEIGHTS = np.array([pow(3, place, 31) for place in range(17)])
_USCC_PLACE = np.zeros(128, dtype=np.int64)
_USCC_PLACE[[ord(letter) for letter in "0123456789ABCDEFGHJKLMNPQRTUWXY"]] = range(31)
# GB 11643-1999: the same with weights 2^(17 - place) modulo 11, remainder 1, and X for 10
_PERSON_ID = re.compile("[0-9]{17}[0-9X]")
_PERSON_ID_WEIGHTS = np.array([pow(2, 17 - place, 11) for place in range(17)])
_PERIOD = re.compile(r"(\d{4})-(\d{2})")
_WHITE = re.compile("[\\s\u200b\ufeff]+")


@dataclass(frozen=True)
class RuleContext:
    """What a rule knows beside the rows.

    Attributes:
        county_names: county code -> every way to write its name, the official one first.
        industry_names: normalised division names, codes and aliases -> division code.
        history: earlier months, as :func:`include.quality.history.load_history` gives them.
    """

    county_names: Mapping[str, tuple[str, ...]]
    industry_names: Mapping[str, str]
    history: Mapping[str, pd.DataFrame] = field(default_factory=dict)


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
        columns[name] = _texts(frame[name]) if name in frame else np.full(n, None, dtype=object)
    columns["reporter_code"] = _texts(frame["reporter_code"]) if "reporter_code" in frame else columns["county_code"]
    columns["source_row"] = pd.to_numeric(frame["source_row"]).to_numpy() if n else np.array([], dtype=np.int64)
    columns["source_column"] = frame["source_column"].fillna("").to_numpy() if "source_column" in frame else ""
    for name, column in load_forms()[form].columns.items():
        if name not in frame:
            blank: Any = np.full(n, np.nan) if column.type in ("integer", "decimal", "money") else np.full(n, None)
            columns[name] = pd.to_datetime(pd.Series(blank)) if column.type == "date" else blank
        elif column.type in ("integer", "decimal", "money"):
            columns[name] = pd.to_numeric(frame[name], errors="coerce").astype("float64").to_numpy()
        elif column.type == "date":
            columns[name] = pd.to_datetime(pd.Series(frame[name].to_numpy()), errors="coerce")
        else:
            columns[name] = _texts(frame[name])
    return pd.DataFrame(columns, index=pd.RangeIndex(n))


def _texts(series: pd.Series) -> Any:
    """A column of texts as it came from Parquet; any other one as objects with ``None`` for a blank."""
    if isinstance(series.dtype, pd.StringDtype) and series.dtype.na_value is np.nan and series.notna().any():
        return series.array
    return _objects(series)


def _objects(series: pd.Series) -> np.ndarray[Any, Any]:
    values = series.to_numpy(dtype=object).copy()
    values[pd.isna(values)] = None
    return values


def _each(series: pd.Series, judge: Callable[[str], Any]) -> pd.Series:
    """``judge`` of every filled cell, computed once per different text; ``None`` where blank."""
    places, texts = pd.factorize(series)
    answers = np.empty(len(texts) + 1, dtype=object)  # the last is that of a blank, whose place is -1
    for number, text in enumerate(texts):
        answers[number] = judge(str(text))
    return pd.Series(answers[places], index=series.index, dtype=object)


def uscc_faults(codes: pd.Series) -> pd.Series:
    """:func:`~include.intake.identifiers.uscc_fault` of every filled cell (``none`` where there is no fault), ``None``
    where blank. The check character of the codes that look right is computed for all of them at once."""
    texts = codes.dropna().unique()
    answers: dict[str, str] = {}
    plain_codes = [text for text in texts if _USCC.fullmatch(text)]
    if plain_codes:
        places = _USCC_PLACE[_characters(plain_codes, 18)]
        right = (places[:, :17] @ _USCC_WEIGHTS + places[:, 17]) % 31 == 0
        answers = {code: "none" for code, is_right in zip(plain_codes, right, strict=True) if is_right}
    return _each(codes, lambda text: answers.get(text) or uscc_fault(text) or "none")


def person_ids_are_valid(numbers: pd.Series) -> pd.Series:
    """:func:`~include.intake.identifiers.is_valid_person_id` of every filled cell, ``None`` where blank. Check
    characters are computed at once, birth dates judged once each."""
    plain_numbers = [text for text in numbers.dropna().unique() if _PERSON_ID.fullmatch(text)]
    answers: dict[str, bool] = {}
    if plain_numbers:
        figures = _characters(plain_numbers, 18).astype(np.int64) - ord("0")
        last = np.where(figures[:, 17] == ord("X") - ord("0"), 10, figures[:, 17])
        right = (figures[:, :17] @ _PERSON_ID_WEIGHTS + last) % 11 == 1
        births: dict[str, bool] = {}
        for number, is_right in zip(plain_numbers, right, strict=True):
            if is_right and number[6:14] not in births:
                births[number[6:14]] = is_valid_person_id(number)
            answers[number] = bool(is_right) and births[number[6:14]]
    return _each(numbers, lambda text: answers[text] if text in answers else is_valid_person_id(text))


def _characters(texts: Sequence[str], length: int) -> npt.NDArray[np.uint8]:
    """ASCII texts of one length as a table of character codes."""
    return np.array(texts, dtype=f"S{length}").view(np.uint8).reshape(len(texts), length)


def _sum(frame: pd.DataFrame, parts: Sequence[str]) -> pd.Series:
    """Sum of the filled parts; ``NaN`` where all are blank."""
    return frame[list(parts)].sum(axis=1, min_count=1)


def _gap(frame: pd.DataFrame, total: str, parts: Sequence[str]) -> pd.Series:
    """|total - sum of parts|. With a part left blank only an excess of the parts counts (a blank is not a zero)."""
    gap = frame[total] - _sum(frame, parts)
    complete = frame[list(parts)].notna().all(axis=1)
    return gap.where(complete | gap.isna(), gap.clip(upper=0)).abs()


def _jump(now: pd.Series, before: pd.Series) -> pd.Series:
    """How many times one figure is the other, upwards or downwards; ``NaN`` where either is blank or not positive."""
    both = (now > 0) & (before > 0)
    ratio = now / before
    return ratio.where(ratio >= 1, before / now).where(both)


def _months(period: pd.Series) -> pd.Series:
    """``YYYY-MM`` as a running month number; ``NaN`` where it is not one."""

    def number(text: str) -> float:
        match = _PERIOD.fullmatch(text)
        return int(match[1]) * 12 + int(match[2]) if match else np.nan

    return _each(period, number).astype("float64")


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
    count = pd.Series(1.0, index=frame.index)
    # most rows differ in what is needed already: only the others are held against each other in every key
    alike = frame.duplicated(list(dict.fromkeys(["submission_id", *needed])), keep=False)
    if alike.any():
        groups = frame.loc[alike, [*keys, "source_row"]].groupby(list(keys), dropna=False, sort=False)
        count[alike] = groups["source_row"].transform("size").astype("float64")
    return count.where(frame[list(needed)].notna().all(axis=1))


def _different(frame: pd.DataFrame, key: str, of: str) -> pd.Series:
    """How many different values of ``of`` stand beside one value of ``key`` in a submission."""
    both = frame[key].notna() & frame[of].notna()
    filled = frame.loc[both, ["submission_id", key, of]]
    group = filled.groupby(["submission_id", key], sort=False).ngroup().to_numpy()
    first = ~pd.DataFrame({"group": group, "of": pd.factorize(filled[of])[0]}).duplicated().to_numpy()
    count = pd.Series(np.bincount(group[first])[group].astype("float64"), index=filled.index)
    return count.reindex(frame.index)


def _county(frame: pd.DataFrame, context: RuleContext) -> tuple[pd.Series, pd.Series]:
    """Whether the county cell names the reporting county (``None``: blank, or a county nobody knows), and its name."""
    code_places, codes = pd.factorize(frame["county_code"])
    name_places, names = pd.factorize(frame["county"])
    # one place a pair of different texts; a blank has the last row or column
    pairs, answer_of = np.unique(code_places * (len(names) + 1) + name_places, return_inverse=True)
    answers = np.empty(len(pairs), dtype=object)
    for number, (code, name) in enumerate(zip(*np.divmod(pairs, len(names) + 1), strict=True)):
        forms = context.county_names.get(codes[code]) if code >= 0 and name < len(names) else None
        answers[number] = _names_county(plain(names[name]), forms) if forms else None
    official = _each(frame["county_code"], lambda code: (context.county_names.get(code) or (code,))[0])
    return pd.Series(answers[answer_of], index=frame.index, dtype=object), official


def _names_county(text: str, forms: Sequence[str]) -> bool:
    # a township may follow the full name: 灵山县新圩镇
    return text in forms or any(len(form) > 2 and form[-1] in "县市区" and text.startswith(form) for form in forms)


# --------------------------------------------------------------------------------------- helper columns, form by form


def status_helpers(frame: pd.DataFrame, context: RuleContext) -> pd.DataFrame:
    """Helper columns of ``enterprise_status`` added to the typed frame."""
    rows = frame.copy(deep=False)
    rows["uscc_fault"] = uscc_faults(rows["uscc"])
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

    before = _previous(rows, context.history.get("previous"))
    rows["headcount_by_flow"] = before["headcount"] + rows["hired"] - rows["leavers"]
    rows["flow_gap"] = (rows["headcount"] - rows["headcount_by_flow"]).abs()
    # what another rule says of the same cell is not said again: a wage out of range, then a wrong unit
    said = {wage: ~rows[wage].between(limit("wage_lowest_yuan"), limit("wage_highest_yuan")) for wage in _WAGES}
    for measure in JUMP_MEASURES:
        rows[f"previous_{measure}"] = before[measure]
        jump = _jump(rows[measure], before[measure])
        rows[f"{measure}_jump"] = jump.mask(said[measure]) if measure in said else jump
    rows["season"] = _each(rows["period"], season_zh)
    usual = _usual(rows, context.history.get("enterprise"), ["county_code", "uscc"], ENTERPRISE_MEASURES)
    for measure in ENTERPRISE_MEASURES:
        floor = "outlier_floor_yuan" if measure in _WAGES else "outlier_floor_persons_enterprise"
        deviation = _deviation(rows, usual, measure, limit(floor), limit("outlier_multiple_enterprise"))
        known = rows[f"{measure}_jump"] >= limit("unit_jump_factor")
        known |= said.get(measure, False)
        deviation["deviation"] = deviation["deviation"].mask(known)
        for name in deviation:
            rows[f"{measure}_{name}"] = deviation[name]
    return rows


def _previous(rows: pd.DataFrame, previous: pd.DataFrame | None) -> pd.DataFrame:
    """Last month's figures of each row's enterprise in the same county; ``NaN`` where there is none, or where the code
    stood twice."""
    measures = list(JUMP_MEASURES)
    if previous is None or not len(previous):
        return pd.DataFrame(np.nan, index=rows.index, columns=measures)
    known = previous[["county_code", "uscc"]].astype(object).copy()
    for measure in measures:
        given = previous.get(measure, np.nan)
        known[measure] = pd.to_numeric(given, errors="coerce")
    known = known[known["uscc"].notna()].drop_duplicates(["county_code", "uscc"], keep=False)
    found = rows[["county_code", "uscc"]].merge(known, on=["county_code", "uscc"], how="left", validate="m:1")
    return found[measures].astype("float64").set_axis(rows.index)


def _usual(
    rows: pd.DataFrame, history: pd.DataFrame | None, keys: Sequence[str], measures: Sequence[str]
) -> pd.DataFrame:
    """``<measure>_median``, ``_mad`` and ``_months`` of each row, ``NaN`` where there is no (or not enough) history."""
    names = [f"{measure}_{part}" for measure in measures for part in ("median", "mad", "months")]
    if history is None or not len(history):
        return pd.DataFrame(np.nan, index=rows.index, columns=names)
    known = history[list(keys)].astype(object).reset_index(drop=True)
    known[names] = history.reindex(columns=names).astype("float64").to_numpy()
    found = rows[list(keys)].merge(known, on=list(keys), how="left", validate="m:1")
    return found[names].set_axis(rows.index)


def _deviation(rows: pd.DataFrame, usual: pd.DataFrame, measure: str, floor: float, multiple: float) -> pd.DataFrame:
    """How far a figure lies from its median: ``deviation`` in robust standard deviations (never below ``floor``, nor
    below a share of the median), with ``median``, ``months`` and the ordinary range ``low`` to ``high``."""
    share = limit("outlier_floor_share_shortage" if measure in _SHORTAGES else "outlier_floor_share_level")
    median = usual[f"{measure}_median"]
    sigma = np.maximum(np.maximum(_MAD_TO_SIGMA * usual[f"{measure}_mad"], share * median), floor)
    return pd.DataFrame(
        {
            "deviation": (rows[measure] - median).abs() / sigma,
            "median": median,
            "months": usual[f"{measure}_months"],
            "low": (median - multiple * sigma).clip(lower=0).round(),
            "high": (median + multiple * sigma).round(),
        }
    )


def status_totals(rows: pd.DataFrame, context: RuleContext) -> pd.DataFrame:
    """What the history suite of form 1 looks at, from the rows of :func:`status_helpers`: one row a submission
    (``vanished_share``, ``new_share``) and one a submission and industry division (sums against usual sums).
    ``source_row`` is 0: such a row stands for no row of the sheet. Rows held back count: they were sent."""
    first = rows.groupby("submission_id", sort=False)[["sheet", "county_code", "reporter_code", "period"]].first()
    first["season"] = _each(first["period"], season_zh)
    whole = first.join(_comings_and_goings(rows, context.history.get("previous")))
    once = rows[~(rows["uscc"].notna() & rows.duplicated(["submission_id", "uscc"]))]
    industries = once.groupby(["submission_id", "industry_code"], sort=False)
    sums = industries[list(INDUSTRY_MEASURES)].sum(min_count=1)
    sums["industry_name"] = industries["industry"].first()
    sums["enterprises"] = industries.size().astype("float64")
    sums = sums.reset_index().rename(columns={"industry_code": "division"})
    sums = sums.join(first, on="submission_id")
    usual = _usual(sums, context.history.get("industry"), ["reporter_code", "division"], INDUSTRY_MEASURES)
    many = sums["enterprises"] >= limit("outlier_industry_lowest_enterprises")
    floor, multiple = limit("outlier_floor_persons_industry"), limit("outlier_multiple_industry")
    for measure in INDUSTRY_MEASURES:
        deviation = _deviation(sums, usual, measure, floor, multiple)
        deviation["deviation"] = deviation["deviation"].where(many)
        for name in deviation:
            sums[f"{measure}_{name}"] = deviation[name]
    totals = pd.concat([whole.reset_index(), sums], ignore_index=True)
    # the column that a finding of the submission as a whole points at
    totals["uscc"] = None
    totals["source_row"] = 0
    return totals


def _comings_and_goings(rows: pd.DataFrame, previous: pd.DataFrame | None) -> pd.DataFrame:
    """Of each submission: ``enterprises``, ``vanished`` (accepted last month, now neither their code nor their name is
    in the sheet), ``new`` (not sent last month), their shares of ``previous_enterprises`` and ``enterprises`` (0 where
    they are too few to matter), and the first few by name. ``NaN`` where the reporter has no accepted form of last
    month."""
    known = {}
    if previous is not None and len(previous):
        known = dict(iter(previous.groupby("reporter_code", sort=False)))
    lines = []
    for submission_id, own in rows.groupby("submission_id", sort=False):
        here = dict(zip(own["uscc"].tolist(), own["enterprise_name"].tolist(), strict=True))
        here.pop(None, None)
        line: dict[str, Any] = {"submission_id": submission_id, "enterprises": float(len(here))}
        before = known.get(own["reporter_code"].iloc[0])
        if before is not None:
            then = list(zip(before["uscc"], before["enterprise_name"], before["is_held"], strict=True))
            accepted = [(code, name) for code, name, is_held in then if not is_held]
            gone = [(code, name) for code, name in accepted if code not in here]
            if gone:
                names = {plain(name) for name in own["enterprise_name"].dropna()}
                gone = [(code, name) for code, name in gone if plain(name) not in names]
            ignored = limit("vanished_enterprises_ignored")
            sent = {code for code, _, _ in then}
            new = [(code, name) for code, name in here.items() if code not in sent]
            few = len(new) <= limit("new_enterprises_ignored")
            line |= {
                "previous_enterprises": float(len(accepted)),
                "vanished": float(len(gone)),
                "vanished_share": 0.0 if len(gone) <= ignored else len(gone) / len(accepted),
                "vanished_names": _named(gone),
                "new": float(len(new)),
                "new_share": 0.0 if few else len(new) / len(here),
                "new_names": _named(new),
            }
        lines.append(line)
    gone_columns = ["previous_enterprises", "vanished", "vanished_share", "vanished_names"]
    columns = ["submission_id", "enterprises", *gone_columns, "new", "new_share", "new_names"]
    return pd.DataFrame(lines, columns=columns).set_index("submission_id")


def _named(enterprises: Sequence[tuple[str, str | None]]) -> str:
    """The first few of (code, name): ``甲公司（91450000…）、乙公司（…）等``."""
    said = [f"{name or '（未填名称）'}（{code}）" for code, name in enterprises[:_ROWS_NAMED]]
    return "、".join(said) + ("等" if len(enterprises) > _ROWS_NAMED else "")


def demand_helpers(frame: pd.DataFrame, context: RuleContext) -> pd.DataFrame:
    """Helper columns of ``labour_demand`` added to the typed frame."""
    rows = frame.copy(deep=False)
    rows["uscc_fault"] = uscc_faults(rows["uscc"])
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


def _days_after_period(rows: pd.DataFrame, steps: Sequence[str]) -> None:
    """Adds ``<step>_days_after_period``: how many days a date lies behind the last day of the reporting month."""
    last_day = pd.to_datetime(rows["period"].astype("string"), format="%Y-%m", errors="coerce") + pd.offsets.MonthEnd(0)
    for step in steps:
        rows[f"{step}_days_after_period"] = (rows[step] - last_day).dt.days.astype("float64")


def _step_lags(rows: pd.DataFrame, form: str, steps: Sequence[str]) -> None:
    """Adds ``<step>_lag_days`` for every step but the first, and ``<step>_earlier``, the step it is held against as
    ``受理日期2026-03-02``. Steps left blank are passed over: a date is held against the latest filled one before it."""
    labels = load_forms()[form].columns
    latest = rows[steps[0]]
    latest_name = pd.Series(labels[steps[0]].label_zh, index=rows.index, dtype=object)
    for step in steps[1:]:
        day = rows[step]
        rows[f"{step}_lag_days"] = (day - latest).dt.days.astype("float64")
        written = _each(latest, lambda text: text[:10])  # a timestamp begins with its day in ISO form
        rows[f"{step}_earlier"] = (latest_name + written).where(latest.notna(), None)
        newer = day.notna() & (latest.isna() | (day >= latest))
        latest = latest.where(~newer, day)
        latest_name = latest_name.where(~newer, labels[step].label_zh)


def subsidy_helpers(frame: pd.DataFrame, context: RuleContext) -> pd.DataFrame:
    """Helper columns of ``subsidy_payment`` added to the typed frame."""
    rows = frame.copy(deep=False)
    rows["payee_uscc_fault"] = uscc_faults(rows["payee_uscc"])
    rows["person_id_is_valid"] = person_ids_are_valid(rows["person_id"])
    rows["same_lines"] = _same(rows, _SAME_CLAIM, ["item", "payee_name", "applied"])
    rows["other_rows"] = _other_rows(rows, _SAME_CLAIM, rows["same_lines"] > 1)
    rows["applied_by_standard_yuan"] = (rows["standard"] * rows["quantity"]).round(2)
    rows["applied_gap_yuan"] = (rows["applied"] - rows["applied_by_standard_yuan"]).round(2).abs()

    month = _months(rows["period"])
    _step_lags(rows, "subsidy_payment", CLAIM_STEPS)
    _days_after_period(rows, CLAIM_STEPS)
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
    left["shortage_now_gap"] = (left["shortage_now"] - left["demand_shortage_now"]).abs()
    left["shortage_expansion_gap"] = (left["shortage_expansion"] - left["demand_shortage_expansion"]).abs()
    left["training_gap"] = (left["training_needed"] - left["demand_training_persons"]).abs()
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


# ------------------------------------------------------------------------------------ programmes and labour brands

_MARKS = re.compile(r"[“”\"'‘’《》〈〉「」()（）\[\]【】〔〕、,，.。·\-—_/]+")
#: A name shorter than this stands inside too many titles to name one of them.
_SHORTEST_NAME = 4


@dataclass(frozen=True)
class Target:
    """An indicator of a programme: names as compared (:func:`_name`), the unit as written."""

    programme: str
    indicator: str
    indicator_zh: str
    group: str
    region_code: str
    unit: str


def _name(text: Any) -> str:
    """A name as compared: :func:`plain`, without quotation marks, brackets and other punctuation, lower case; a blank
    is ``""``."""
    return "" if pd.isna(text) else _MARKS.sub("", plain(text)).lower()


@dataclass(frozen=True)
class Programme:
    """A programme: its code, its title as written, where it applies, and the texts that name it as compared."""

    code: str
    title_zh: str
    region_code: str
    names: tuple[str, ...]


@lru_cache(maxsize=2)
def policy_targets(seeds: Path = SEEDS) -> tuple[tuple[Programme, ...], tuple[Target, ...]]:
    """All programmes and targets, from the seeds ``programmes.csv``, ``policy_targets.csv`` and ``target_aliases.csv``.

    A target stands once for every way to write its indicator and 分项; ``fct_indicator_progress`` does alike.
    """
    aliases: dict[tuple[str, str, str], list[str]] = {}
    for row in _rows(seeds / "target_aliases.csv"):
        aliases.setdefault((row["programme"], row["kind"], row["name_zh"]), []).append(row["alias"])

    def ways(programme: str, kind: str, name: str) -> list[str]:
        return [_name(one) for one in (name, *aliases.get((programme, kind, name), ()))]

    programmes = tuple(
        Programme(
            row["programme"],
            row["title_zh"],
            row["region_code"],
            (
                *(_name(row[column]) for column in ("programme", "document_no")),
                *ways(row["programme"], "programme", row["title_zh"]),
            ),
        )
        for row in _rows(seeds / "programmes.csv")
    )
    targets = tuple(
        Target(row["programme"], indicator, row["indicator_zh"], group, row["region_code"], row["unit"])
        for row in _rows(seeds / "policy_targets.csv")
        for indicator in ways(row["programme"], "indicator", row["indicator_zh"])
        for group in ways(row["programme"], "group", row["group_zh"])
    )
    return programmes, targets


def _regions_above(county_code: object) -> frozenset[str]:
    """The county, its city and its region: ``450721``, ``450700``, ``450000``."""
    code = str(county_code)
    return frozenset({code, f"{code[:4]}00", f"{code[:2]}0000"})


def _programmes_of(county_code: object, programme: object) -> list[Programme]:
    """The programmes of a county, its city and its region that a text names: by code, title or document number, or by
    four and more characters of a title."""
    said, regions = _name(programme), _regions_above(county_code)
    return [
        one
        for one in policy_targets()[0]
        if one.region_code in regions
        and (said in one.names or (len(said) >= _SHORTEST_NAME and any(said in name for name in one.names)))
    ]


def _targets_of(county_code: object, programme: object, indicator: object, group: object) -> list[Target]:
    """The targets that a row names. A row without a 分项 names the total; where the indicator has no total, every 分项
    of it."""
    codes = {one.code for one in _programmes_of(county_code, programme)}
    wanted, part = _name(indicator), _name(group)
    found = [target for target in policy_targets()[1] if target.programme in codes and target.indicator == wanted]
    exact = [target for target in found if target.group == part]
    return exact or ([] if part else found)


def _choices_of(county_code: object, programme: object) -> str:
    """What may be written: the indicators of the programme, or the programmes where the text names none."""
    named = _programmes_of(county_code, programme)
    if named:
        codes = {one.code for one in named}
        names = dict.fromkeys(target.indicator_zh for target in policy_targets()[1] if target.programme in codes)
        return f"该项目的指标有：{'、'.join(names)}"
    regions = _regions_above(county_code)
    return "本县的项目有：" + "、".join(one.title_zh for one in policy_targets()[0] if one.region_code in regions)


def programme_helpers(frame: pd.DataFrame, context: RuleContext) -> pd.DataFrame:
    """Helper columns of ``programme_progress`` added to the typed frame. Figures are compared as written: 人 and 人次,
    人 and 万人 are different units."""
    rows = frame.copy(deep=False)
    keys = ["county_code", "programme", "indicator", "indicator_group"]
    lines = [tuple(None if pd.isna(cell) else cell for cell in line) for line in rows[keys].to_numpy(dtype=object)]
    answers = {line: _targets_of(*line) for line in set(lines)}
    found = [answers[line] for line in lines]
    rows["indicator_is_known"] = pd.Series([bool(one) for one in found], index=rows.index, dtype=object)
    choices = {line[:2]: _choices_of(*line[:2]) for line in answers}
    rows["choices"] = pd.Series([choices[line[:2]] for line in lines], index=rows.index, dtype=object)
    units = [tuple(dict.fromkeys(target.unit for target in one)) for one in found]
    rows["target_unit"] = pd.Series(["、".join(one) or None for one in units], index=rows.index, dtype=object)
    same = [
        None if pd.isna(unit) or not of_target else plain(unit) in {plain(one) for one in of_target}
        for unit, of_target in zip(rows["unit"], units, strict=True)
    ]
    rows["unit_is_targets"] = pd.Series(same, index=rows.index, dtype=object)
    rows["done_to_date_is_given"] = rows["done_to_date"].notna().astype(object)
    percent = rows["unit"].map(lambda unit: not pd.isna(unit) and plain(unit) in ("%", "百分比")).astype(bool)
    rows["percent_done"] = rows["done_to_date"].where(percent & (rows["done_to_date"] > 0))

    named = rows["indicator"].notna()
    line = pd.DataFrame({name: _each(rows[name], _name) for name in keys[1:]}).fillna("")
    line[["submission_id", "sheet", "source_row"]] = rows[["submission_id", "sheet", "source_row"]]
    same_line = ["submission_id", *keys[1:]]
    rows["same_lines"] = _same(line, same_line, ["submission_id"]).where(named)
    rows["other_rows"] = _other_rows(line, same_line, rows["same_lines"] > 1)
    return rows


def brand_helpers(frame: pd.DataFrame, context: RuleContext) -> pd.DataFrame:
    """Helper columns of ``brand_registry`` added to the typed frame."""
    rows = frame.copy(deep=False)
    rows["cultivator_uscc_fault"] = _each(rows["cultivator_uscc"], lambda code: uscc_fault(code) or "none")
    rows["county_is_reporter"], rows["reporter_name"] = _county(rows, context)
    line = rows[["submission_id", "sheet", "source_row"]].copy()
    # 灵山 and 灵山县 are one county; another county's brand may have the same name
    line["county"] = (
        rows["county"]
        .map(lambda text: "" if pd.isna(text) else plain(text))
        .mask(rows["county_is_reporter"].eq(True), "")
    )
    line["brand"] = _each(rows["brand_name"], _name)
    same_line = ["submission_id", "county", "brand"]
    rows["same_lines"] = _same(line, same_line, ["brand"])
    rows["other_rows"] = _other_rows(line, same_line, rows["same_lines"] > 1)
    left = rows["status"] == "退出"
    rows["exit_is_explained"] = rows["exit_reason"].notna().astype(object).where(left, None)
    _days_after_period(rows, ("entered_on",))
    return rows


def apprenticeship_helpers(frame: pd.DataFrame, context: RuleContext) -> pd.DataFrame:
    """Helper columns of ``apprenticeship`` added to the typed frame."""
    rows = frame.copy(deep=False)
    rows["uscc_fault"] = uscc_faults(rows["uscc"])
    # a class under review has no number yet: enterprise, occupation, level and the day of its papers stand for it
    unnumbered = rows["filing_no"].isna()
    line = rows[["submission_id", "sheet", "source_row", "filing_no"]].copy()
    for name in ("uscc", "occupation", "level"):
        line[name] = _each(rows[name], plain).where(unnumbered, "")
    line["materials_on"] = rows["materials_on"].where(unnumbered)
    same_line = ["submission_id", "filing_no", "uscc", "occupation", "level", "materials_on"]
    rows["same_lines"] = _same(line, same_line, ["submission_id", "uscc"])
    rows["other_rows"] = _other_rows(line, same_line, rows["same_lines"] > 1)

    _step_lags(rows, "apprenticeship", CLASS_STEPS)
    _step_lags(rows, "apprenticeship", ("started_on", "left_on"))
    _step_lags(rows, "apprenticeship", ("left_on", "left_reported_on"))
    _days_after_period(rows, (*CLASS_STEPS, "left_on", "left_reported_on"))

    rows["persons_accounted"] = _sum(rows, ("training_persons", "passed_persons", "left_persons"))
    over = (rows["persons_accounted"] - rows["filed_persons"]).clip(lower=0)
    # where those who passed alone are too many, that is said of them
    rows["persons_over_filed"] = over.mask(rows["passed_persons"] > rows["filed_persons"])
    some_left = rows["left_persons"] > 0
    rows["leaving_is_dated"] = rows["left_on"].notna().astype(object).where(some_left, None)
    rows["leavers_are_counted"] = some_left.astype(object).where(rows["left_on"].notna(), None)
    in_training = rows["training_persons"] > 0
    rows["training_has_begun"] = rows["started_on"].notna().astype(object).where(in_training, None)
    rows["training_goes_on"] = rows["completed_on"].isna().astype(object).where(in_training, None)
    filed = rows["filed_on"].notna()
    rows["filing_is_numbered"] = rows["filing_no"].notna().astype(object).where(filed, None)
    for step in ("filed", "completed"):
        rows[f"{step}_day"] = _each(rows[f"{step}_on"], lambda text: text[:10])
    rows["filing_is_dated"] = (filed | rows["materials_on"].notna()).astype(object)
    some_passed = rows["passed_persons"] > 0
    rows["passing_follows_completion"] = rows["completed_on"].notna().astype(object).where(some_passed, None)
    return rows


HELPERS: Mapping[str, Callable[[pd.DataFrame, RuleContext], pd.DataFrame]] = {
    "enterprise_status": status_helpers,
    "labour_demand": demand_helpers,
    "subsidy_payment": subsidy_helpers,
    "programme_progress": programme_helpers,
    "brand_registry": brand_helpers,
    "apprenticeship": apprenticeship_helpers,
}

#: Rows of a form as a whole, from the form's rows with their helper columns: form -> (suite, function).
TOTALS: Mapping[str, tuple[str, Callable[[pd.DataFrame, RuleContext], pd.DataFrame]]] = {
    "enterprise_status": (HISTORY_STATUS, status_totals),
}
