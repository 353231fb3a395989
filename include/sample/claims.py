"""Subsidy claim lines of one demo county and month (form 3). Persons, codes and accounts are plainly fictitious."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Any

import numpy as np
from stdnum.cn import ric

from include.intake.calendar import last_day, month_after
from include.sample.classes import (
    ApprenticeClass,
    apprentice_class,
    class_numbers,
    holds_class,
    read_classes,
    shift_working_days,
    working_days_of,
)
from include.sample.economy import BASE_PERIOD, Row, month_number_of, one_of, social_credit_code
from include.sample.profile import Habits, Province, read_yaml
from include.settings import PROJECT_ROOT

STANDARDS_FILE = PROJECT_ROOT / "dbt_project" / "seeds" / "subsidy_standards.csv"
_DATES = ("applied_on", "accepted_on", "reviewed_on", "notice_from", "notice_to", "decided_on", "paid_on")
# How many of the steps above a status has behind it (公示中: the notice has begun and not ended).
_STEPS_DONE = {
    "申请": 1,
    "受理": 2,
    "审核中": 2,
    "退回补正": 3,
    "审核不通过": 3,
    "审核通过": 3,
    "公示中": 5,
    "公示通过": 6,
    "已拨付": 7,
}
_LEVELS = ("初级工", "中级工", "高级工", "技师", "高级技师")
_CLAIMANT_NUMBERS = 400
# the form has a column of its own for the level that a standard's title carries in brackets
_LEVEL_IN_TITLE = re.compile(r"\(.*\)$")


@dataclass(frozen=True, slots=True)
class Standard:
    """A subsidy standard in yuan per unit: what form 3 may name and pay."""

    item: str
    title: str
    fund: str
    amount: float
    kind: str
    valid_from: str
    valid_to: str

    def covers(self, day: date) -> bool:
        """Whether the standard is in force on the day."""
        text = day.isoformat()
        return self.valid_from <= text and (not self.valid_to or text <= self.valid_to)


@lru_cache(maxsize=1)
def standards() -> tuple[Standard, ...]:
    """Standards with an amount in yuan that hold in the whole autonomous region."""
    with STANDARDS_FILE.open(encoding="utf-8-sig", newline="") as handle:
        return tuple(
            Standard(
                item=row["item"],
                title=row["item_zh"],
                fund=row["fund"],
                amount=float(row["amount"]),
                kind=row["amount_kind"],
                valid_from=row["valid_from"],
                valid_to=row["valid_to"],
            )
            for row in csv.DictReader(handle)
            if row["region_code"] in ("450000", "000000") and row["amount_kind"] in ("fixed", "cap")
        )


def person_number(region_code: str, ordinal: int) -> str:
    """A citizen number with a right check character that nobody carries.

    Its sequence digits are 996 to 999, which are kept for people aged a hundred and more, with birthdays after 1974;
    ``ordinal`` (0..9999) gives a different number each.
    """
    birth = date(1975, 1, 1) + timedelta(days=ordinal * 37 % 10499)
    front = f"{region_code}{birth:%Y%m%d}{996 + ordinal % 4}"
    return front + str(ric.calc_check_digit(front + "0"))


def _between(bounds: Sequence[float], rng: np.random.Generator) -> int:
    return int(rng.integers(int(bounds[0]), int(bounds[1]) + 1))


def claim_rows(
    province: Province, habits: Habits, county: str, period: str, enterprises: Sequence[Row], seed: int
) -> list[Row]:
    """The month's claim lines in order of application.

    Every line stands in exactly one month: the one in which its last step was taken. Amounts are standard x quantity.
    """
    config = read_subsidies()
    code = int(habits.reporter_code)
    rng = np.random.default_rng([seed, code, int(period.replace("-", "")), 3])
    month_number = month_number_of(period)
    lines = int(rng.poisson(config["lines_per_enterprise"] * len(enterprises)))
    days = working_days_of(period)
    names = list(config["items"])
    weights = np.array([config["items"][name]["weight"] for name in names])
    employers = [row for row in enterprises if row["headcount"] >= 20]
    rows: list[Row] = []
    for position in range(lines):
        item = names[int(rng.choice(len(names), p=weights / weights.sum()))]
        ordinal = (month_number * 150 + position) % 10000
        rows.append(_line(province, config, habits, county, days, item, ordinal, employers, rng))
    if habits.advances:
        rows.extend(_advances(province, config, habits, month_number, enterprises))
        if int(rng.integers(config["recovery_one_in"])) == 0:
            rows.append(_recovery(rows, config["recovery_remark"], rng))
    rows.sort(key=lambda row: (row["applied_on"], row["item"], row["payee_name"], row["person_id"] or ""))
    for seq, row in enumerate(rows, start=1):
        row["seq"] = seq
        # money of a class names its filing instead
        row["batch_no"] = row["batch_no"] or f"{period[:4]}{period[5:]}-{1 + seq * 3 // (len(rows) + 1):02d}"
        row["account"] = province.texts["account"].format(reporter=habits.reporter_code, month=month_number, number=seq)
    return rows


@lru_cache(maxsize=1)
def read_subsidies() -> Mapping[str, Any]:
    """The settings of ``subsidies.yaml``."""
    settings: Mapping[str, Any] = read_yaml("subsidies.yaml")
    return settings


def _dates(status: str, days: Sequence[date], config: Mapping[str, Any], slow: bool, rng: np.random.Generator) -> Row:
    """Dates of the steps taken, counted back from the last of them, a working day of the month."""
    steps = config["steps"]
    gaps = [
        _between(steps["accept"], rng),
        _between(config["slow_lines"]["review"] if slow else steps["review"], rng),
        _between(steps["publish"], rng),
        _between(steps["notice"], rng),
        _between(steps["decide"], rng),
        _between(steps["pay"], rng),
    ]
    done = _STEPS_DONE[status]
    last = one_of(days, rng)
    if status == "公示中":
        # still on show at the end of the month: it began in the last days and ends in the next month
        last = shift_working_days(days[-1], _between((1, 3), rng))
    taken = [last]
    for gap in reversed(gaps[: done - 1]):
        taken.append(shift_working_days(taken[-1], -gap))
    taken.reverse()
    return {name: taken[index] if index < done else None for index, name in enumerate(_DATES)}


def _line(
    province: Province,
    config: Mapping[str, Any],
    habits: Habits,
    county: str,
    days: Sequence[date],
    item: str,
    ordinal: int,
    employers: Sequence[Row],
    rng: np.random.Generator,
) -> Row:
    rule = config["items"][item]
    status = list(config["statuses"])[
        int(rng.choice(len(config["statuses"]), p=np.array(list(config["statuses"].values()))))
    ]
    slow = status == "已拨付" and rng.random() < config["slow_lines"]["share"]
    dates = _dates(status, days, config, slow, rng)
    choices = [one for one in standards() if one.item == item and one.covers(days[-1])]
    odds = np.array([0.5**index for index in range(len(choices))])
    chosen = choices[int(rng.choice(len(choices), p=odds / odds.sum()))]
    share = float(rng.uniform(*rule["share"])) if chosen.kind == "cap" else 1.0
    standard = round(chosen.amount * share, -2) if share < 1 else chosen.amount
    quantity = _between(rule["quantity"], rng)
    amount = standard * quantity
    employer = one_of(employers, rng)
    person = None
    if rule["person"]:
        surname = province.texts["surnames"][ordinal % len(province.texts["surnames"])]
        person = province.texts["person_name"].format(surname=surname, number=ordinal)
    if rule["payee"] == "enterprise":
        payee, payee_uscc = employer["enterprise_name"], employer["uscc"]
    elif rule["payee"] == "institution":
        index = int(rng.integers(len(config["institutions"])))
        payee = f"{county}{config['institutions'][index]}"
        payee_uscc = social_credit_code(habits.reporter_code, _CLAIMANT_NUMBERS + index)
    else:
        payee, payee_uscc = person, None
    level = next((name for name in _LEVELS if f"({name})" in chosen.title), None)
    industry = province.industry_of(employer["industry"])
    posts = [post.name for post in industry.posts if post.category == "技工"] or [industry.posts[0].name]
    applied_on = dates["applied_on"]
    span = rule["span_months"] if item != "internship" else quantity
    covered_to = (applied_on.replace(day=1) - timedelta(days=1)) if span else None
    covered_from = _first_of_month(covered_to, span) if covered_to else None
    settled = _STEPS_DONE[status] >= 3 and status not in ("审核不通过", "退回补正")
    return {
        "seq": None,
        "item": _LEVEL_IN_TITLE.sub("", chosen.title),
        "fund": chosen.fund,
        "batch_no": None,
        "payee_name": payee,
        "payee_uscc": payee_uscc,
        "person_name": person,
        "person_id": person_number(habits.reporter_code, ordinal) if person else None,
        "person_group": one_of(province.texts["person_groups"], rng) if person else None,
        "occupation": one_of(posts, rng) if rule["certificate"] else None,
        "level": level,
        "certificate_no": f"YS{habits.reporter_code}{ordinal:08d}" if rule["certificate"] else None,
        "covered_from": covered_from,
        "covered_to": covered_to,
        "standard": standard,
        "quantity": quantity,
        "applied": amount,
        "approved": amount if settled else None,
        "advanced": None,
        "paid": amount if status == "已拨付" else None,
        **dates,
        "payment_type": "核拨" if status == "已拨付" else None,
        "status": status,
        "account": None,
        "remark": None,
    }


def _first_of_month(day: date, months: int) -> date:
    period = month_after(f"{day:%Y-%m}", 1 - months)
    return date(int(period[:4]), int(period[5:]), 1)


def _class_persons_and_dates(config: Mapping[str, Any], habits: Habits, number: int, period: str) -> tuple[int, Row]:
    """Persons of a class, and the steps of the claim paid for it in the period; drawn from the class's own number, so
    that the settlement finds the same persons."""
    rng = np.random.default_rng([int(habits.reporter_code), number, 20])
    persons = _between(config["advance"]["persons"], rng)
    days = working_days_of(period)
    return persons, _dates("已拨付", days[len(days) // 2 :], config, False, rng)


def class_of(province: Province, habits: Habits, number: int, enterprises: Sequence[Row]) -> ApprenticeClass:
    """The apprenticeship class of that number, as its claims and the ledger of classes tell it."""
    config = read_subsidies()
    settled_in = month_after(BASE_PERIOD, number + config["advance"]["settle_after"])
    persons, settlement = _class_persons_and_dates(config, habits, number, settled_in)
    return apprentice_class(province, habits, number, persons, settlement["applied_on"], enterprises)


def classes_of(province: Province, habits: Habits, period: str, enterprises: Sequence[Row]) -> list[ApprenticeClass]:
    """The classes that the county's ledger of the month may show."""
    every_months = read_subsidies()["advance"]["every_months"]
    return [
        class_of(province, habits, number, enterprises)
        for number in class_numbers(month_number_of(period))
        if habits.advances and holds_class(habits, number, every_months)
    ]


def _advances(
    province: Province,
    config: Mapping[str, Any],
    habits: Habits,
    month_number: int,
    enterprises: Sequence[Row],
) -> list[Row]:
    """Apprenticeship classes: an advance while a class trains, the rest settled months later (advance deducted)."""
    rule = config["advance"]
    rows = []
    period = month_after(BASE_PERIOD, month_number)
    standard = next(one for one in standards() if one.item == "apprenticeship" and one.covers(last_day(period)))
    for number in (month_number, month_number - rule["settle_after"]):
        if not holds_class(habits, number, rule["every_months"]):
            continue
        persons, dates = _class_persons_and_dates(config, habits, number, period)
        one = class_of(province, habits, number, enterprises)
        settles = number != month_number
        amount = standard.amount * persons
        advanced = round(amount * rule["share"], 2)
        rows.append(
            {
                "seq": None,
                "item": _LEVEL_IN_TITLE.sub("", standard.title),
                "fund": standard.fund,
                "batch_no": one.filing_no,
                "payee_name": one.enterprise_name,
                "payee_uscc": one.uscc,
                "person_name": None,
                "person_id": None,
                "person_group": None,
                "occupation": one.occupation,
                "level": read_classes()["level"],
                "certificate_no": None,
                "covered_from": one.started_on.replace(day=1),
                "covered_to": last_day(f"{one.completed_on:%Y-%m}"),
                "standard": standard.amount,
                "quantity": persons,
                "applied": amount,
                "approved": amount,
                "advanced": advanced,
                "paid": amount - advanced if settles else advanced,
                **dates,
                "payment_type": "结算" if settles else "预支",
                "status": "已拨付",
                "account": None,
                "remark": rule["settled" if settles else "advanced"].format(number=number),
            }
        )
    return rows


def _recovery(rows: Sequence[Row], remark: str, rng: np.random.Generator) -> Row:
    """One paid line taken back: the amount returned stands in ``paid`` with payment type 追回."""
    paid = [row for row in rows if row["status"] == "已拨付" and row["person_id"] and row["payment_type"] == "核拨"]
    row = dict(one_of(paid, rng))
    # an older claim of the same kind, by a person who does not stand in this month's list
    return row | {
        "person_name": row["person_name"] + "-1",
        "person_id": person_number(row["person_id"][:6], 9000 + int(rng.integers(900))),
        "certificate_no": None,
        "payment_type": "追回",
        "status": "已追回",
        "remark": remark,
    }
