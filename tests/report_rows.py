"""Mart rows of a made-up province, summed from enterprise rows by plain loops: no SQL, no code of the report."""

from __future__ import annotations

import csv
import random
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from include.report.figures import MartRows, assemble
from include.report.model import ReportFigures

ROOT = Path(__file__).parents[1]
PERIODS = ("2026-01", "2026-02", "2026-03", "2026-04")
FORMS = ("enterprise_status", "labour_demand", "subsidy_payment")
INDUSTRIES = {
    "00": "未归类",
    "13": "农副食品加工业",
    "14": "食品制造业",
    "17": "纺织业",
    "18": "纺织服装、服饰业",
    "20": "木材加工和木、竹、藤、棕、草制品业",
    "21": "家具制造业",
    "26": "化学原料和化学制品制造业",
    "30": "非金属矿物制品业",
    "32": "有色金属冶炼和压延加工业",
    "36": "汽车制造业",
    "38": "电气机械和器材制造业",
    "39": "计算机、通信和其他电子设备制造业",
    "48": "土木工程建筑业",
}
POSTS = {
    "0-00-00-00": "未归类",
    "6-05-01-02": "缝纫工",
    "6-31-01-03": "电工",
    "6-18-02-04": "焊工",
    "6-06-01-01": "制材工",
    "6-25-04-07": "电子产品制版工",
    "6-18-01-01": "车工",
    "6-30-05-01": "叉车司机",
    "6-01-02-04": "食糖制造工",
    "6-22-02-01": "汽车装调工",
    "6-29-01-03": "混凝土工",
    "4-02-06-01": "仓储管理员",
    "6-24-02-01": "变压器互感器制造工",
}
ITEMS = {
    "upgrade_training": "岗位技能提升培训补贴",
    "apprenticeship": "企业新型学徒制补贴",
    "skill_assessment": "职业技能评价补贴",
    "employment_driving": "带动就业补贴",
    "social_insurance": "社会保险补贴",
    "stabilisation_refund": "失业保险稳岗返还",
}
FUNDS = {
    "upgrade_training": "职业技能提升行动专账",
    "apprenticeship": "职业技能提升行动专账",
    "stabilisation_refund": "失业保险基金",
}
SKILLS = ("junior", "intermediate", "senior", "technician", "senior_technician", "master", "chief")
MEASURES = (
    "headcount",
    "workers",
    "skilled",
    "high_skilled",
    "shortage_now",
    "shortage_expansion",
    "hired",
    "leavers",
    *(f"skill_{level}" for level in SKILLS),
)


def reporters() -> list[dict[str, str]]:
    """The configured reporters with their city's name."""
    with (ROOT / "include/config/reporters.csv").open(encoding="utf-8-sig") as file:
        found = list(csv.DictReader(file))
    with (ROOT / "dbt_project/seeds/regions.csv").open(encoding="utf-8-sig") as file:
        names = {row["region_code"]: row["region_name"] for row in csv.DictReader(file)}
    return [{**row, "city_name": names[row["city_code"]]} for row in found]


def enterprises(seed: int) -> list[dict[str, Any]]:
    """Enterprise rows of all periods and reporters; persistent, growing and shrinking ones among them."""
    dice = random.Random(seed)
    rows = []
    for reporter in reporters():
        for number in range(dice.randint(14, 32)):
            size = dice.choices(("大型", "中型", "小型", "微型", None), (1, 4, 9, 3, 0.3))[0]
            head = {"大型": 2400, "中型": 620, "小型": 130, "微型": 12, None: 80}[size] + dice.randint(0, 60)
            industry = dice.choice(list(INDUSTRIES)[1:]) if dice.random() > 0.03 else "00"
            short_prone = dice.random() < 0.55
            for period in PERIODS:
                festival = period == "2026-02"
                hired, leavers = dice.randint(0, head // 25 + 1), dice.randint(0, head // (9 if festival else 30) + 1)
                head = max(head + hired - leavers, 5)
                workers = int(head * 0.78)
                skill = [int(workers * part) for part in (0.13, 0.10, 0.06, 0.02, 0.006, 0.0008, 0.0002)]
                short = int(head * dice.uniform(0.01, 0.14)) if short_prone and dice.random() < 0.85 else 0
                rows.append(
                    {
                        "period": period,
                        "county": reporter["region_code"],
                        "city": reporter["city_code"],
                        "id": f"{reporter['region_code']}-{number}",
                        "industry": industry,
                        "size": size,
                        "headcount": head,
                        "workers": workers,
                        "skilled": sum(skill),
                        "high_skilled": sum(skill[2:]),
                        "shortage_now": short,
                        "shortage_expansion": int(head * 0.04) if dice.random() < 0.3 else 0,
                        "hired": hired,
                        "leavers": leavers,
                        **{f"skill_{level}": count for level, count in zip(SKILLS, skill, strict=True)},
                    }
                )
    return rows


def mart_rows(
    period: str = "2026-04",
    seed: int = 7,
    *,
    absent: dict[str, set[str]] | None = None,
    refused: set[str] = frozenset(),  # type: ignore[assignment]
    late: set[str] = frozenset(),  # type: ignore[assignment]
) -> MartRows:
    """Rows of every query for one period.

    Args:
        absent: period to the counties that sent nothing.
        refused: counties whose 企业情况表 of ``period`` was refused.
        late: counties that sent after the due day.
    """
    absent = absent or {}
    missing = {one: absent.get(one, set()) | (refused if one == period else set()) for one in PERIODS}
    kept = [row for row in enterprises(seed) if row["period"] <= period and row["county"] not in missing[row["period"]]]
    by_county: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in kept:
        by_county[row["period"], row["county"]].append(row)
    listed = reporters()
    summary = []
    for at in PERIODS[: PERIODS.index(period) + 1]:
        for code, members in _regions(listed).items():
            summary.append(_summary(at, code, members, by_county))
    current = [row for row in kept if row["period"] == period]
    previous = _before(period)
    lfl = {
        one["region_code"]
        for one in listed
        if (period, one["region_code"]) in by_county and (previous, one["region_code"]) in by_county
    }
    return MartRows(
        submissions=_submissions(listed, period, absent.get(period, set()), refused, late),
        summary=[row for row in summary if row["period"] == period],
        trend=summary,
        industries=_industries(current, [row for row in kept if row["period"] == previous], lfl),
        sizes=_sizes(current),
        persistent=_persistent(kept, period),
        posts=_posts(current),
        training=_training(current),
        subsidies=_subsidies({row["county"] for row in current}, seed),
        alerts=_alerts({row["county"] for row in current}),
        budgets=[],
        targets=_targets(listed, {row["county"] for row in current}),
        performance=_performance(_submissions(listed, period, absent.get(period, set()), refused, late)),
        findings=_findings([one for one in listed if one["region_code"] not in absent.get(period, set())]),
        definitions=_definitions(),
    )


def _before(period: str) -> str:
    at = PERIODS.index(period)
    return PERIODS[at - 1] if at else "2025-12"


def _regions(listed: list[dict[str, str]]) -> dict[str, list[str]]:
    regions: dict[str, list[str]] = {"450000": [one["region_code"] for one in listed]}
    for one in listed:
        regions.setdefault(one["city_code"], []).append(one["region_code"])
        regions[one["region_code"]] = [one["region_code"]]
    return regions


def _sum(rows: list[dict[str, Any]], measure: str) -> int | None:
    return sum(row[measure] for row in rows) if rows else None


def _summary(
    period: str, code: str, members: list[str], by_county: dict[tuple[str, str], list[dict[str, Any]]]
) -> dict[str, Any]:
    previous = _before(period)
    covered = [county for county in members if (period, county) in by_county]
    again = [county for county in covered if (previous, county) in by_county]
    rows = [row for county in covered for row in by_county[period, county]]
    lfl = [row for county in again for row in by_county[period, county]]
    lfl_before = [row for county in again for row in by_county[previous, county]]
    before = [row for county in members for row in by_county.get((previous, county), [])]
    out: dict[str, Any] = {
        "period": period,
        "region_code": code,
        "expected_reporters": len(members),
        "covered_reporters": len(covered),
        "lfl_reporters": len(again),
        "enterprises": len(rows) or None,
        "short_enterprises": sum(1 for row in rows if row["shortage_now"] > 0) if rows else None,
        "lfl_previous_enterprises": len(lfl_before) or None,
        "previous_enterprises": len(before) or None,
    }
    for measure in MEASURES:
        out[f"{measure}_persons"] = _sum(rows, measure)
        out[f"lfl_{measure}_persons"] = _sum(lfl, measure)
        out[f"lfl_previous_{measure}_persons"] = _sum(lfl_before, measure)
        out[f"previous_{measure}_persons"] = _sum(before, measure)
    return out


def _submissions(
    listed: list[dict[str, str]], period: str, absent: set[str], refused: set[str], late: set[str]
) -> list[dict[str, Any]]:
    year, month = map(int, period.split("-"))
    first = datetime(year, month + 1, 1, 2, 0, tzinfo=UTC)
    rows = []
    for place, one in enumerate(listed):
        county = one["region_code"]
        for form in FORMS:
            received = county not in absent
            accepted = received and not (county in refused and form == "enterprise_status")
            rows.append(
                {
                    "reporter_code": one["reporter_code"],
                    "reporter_name": one["reporter_name"],
                    "county_code": county,
                    "city_code": one["city_code"],
                    "city_name": one["city_name"],
                    "pilot_level": one["pilot_level"],
                    "form": form,
                    "is_expected": True,
                    "is_received": received,
                    "is_on_time": received and county not in late,
                    "is_accepted": accepted,
                    "is_first_pass": accepted and place % 6 != 0,
                    "accepted_at": first + timedelta(days=4 + (county in late) * 3, minutes=13 * place)
                    if accepted
                    else None,
                    "findings_e": (0 if accepted else 1) if received else None,
                    "findings_r": place % 3 if received else None,
                    "findings_w": place % 5 if received else None,
                    "is_sample": received,
                }
            )
    return rows


def _industries(rows: list[dict[str, Any]], before: list[dict[str, Any]], lfl: set[str]) -> list[dict[str, Any]]:
    out = []
    now, last = _split(rows, "industry"), _split(before, "industry")
    for county, code in sorted(set(now) | {place for place in last if place[0] in lfl}):
        mine = now.get((county, code), [])
        again = mine if county in lfl else []
        past = last.get((county, code), []) if county in lfl else []
        out.append(
            {
                "county_code": county,
                "industry_code": code,
                "industry_name": INDUSTRIES[code],
                "enterprises": len(mine),
                "short_enterprises": sum(1 for row in mine if row["shortage_now"] > 0),
                "headcount_persons": _sum(mine, "headcount") or 0,
                "shortage_now_persons": _sum(mine, "shortage_now") or 0,
                "shortage_expansion_persons": _sum(mine, "shortage_expansion") or 0,
                "lfl_shortage_now_persons": (_sum(again, "shortage_now") or 0) if county in lfl else None,
                "lfl_previous_shortage_now_persons": (_sum(past, "shortage_now") or 0) if county in lfl else None,
            }
        )
    return out


def _split(rows: list[dict[str, Any]], measure: str) -> dict[tuple[str, Any], list[dict[str, Any]]]:
    """Rows by county and one of their columns."""
    found: dict[tuple[str, Any], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        found[row["county"], row[measure]].append(row)
    return found


def _sizes(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "county_code": county,
            "size_class": size,
            "enterprises": len(mine),
            "short_enterprises": sum(1 for row in mine if row["shortage_now"] > 0),
            "headcount_persons": _sum(mine, "headcount"),
            "shortage_now_persons": _sum(mine, "shortage_now"),
        }
        for (county, size), mine in sorted(_split(rows, "size").items(), key=str)
    ]


def _persistent(rows: list[dict[str, Any]], period: str) -> list[dict[str, Any]]:
    window = [period, _before(period), _before(_before(period)) if _before(period) in PERIODS else "none"]
    short = {(row["id"], row["period"]) for row in rows if row["shortage_now"] > 0}
    counties = _split([row for row in rows if row["period"] == period], "city")
    return [
        {
            "county_code": county,
            "city_code": city,
            "short_enterprises": sum(1 for row in mine if row["shortage_now"] > 0),
            "persistently_short_enterprises": sum(1 for row in mine if all((row["id"], at) in short for at in window)),
            "persistent_shortage_persons": sum(
                row["shortage_now"] for row in mine if all((row["id"], at) in short for at in window)
            ),
        }
        for (county, city), mine in sorted(counties.items())
    ]


def _posts(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    totals: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    codes = list(POSTS)
    for place, row in enumerate(rows):
        cell = totals[row["county"], codes[place % 11]]
        cell[0] += row["headcount"] // 3
        cell[1] += row["shortage_now"]
        cell[2] += row["shortage_now"] // 2
    return [
        {
            "county_code": county,
            "occupation_code": code,
            "occupation_name": POSTS[code],
            "employed_persons": cell[0],
            "shortage_now_persons": cell[1],
            "planned_hires_persons": cell[2],
        }
        for (county, code), cell in sorted(totals.items())
    ]


def _training(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    codes, levels, types = (
        list(POSTS),
        ("初级工", "中级工", "高级工", None),
        ("岗前培训", "岗位技能提升培训", "企业新型学徒制"),
    )
    totals: dict[tuple[str, str, str | None, str], int] = defaultdict(int)
    for place, row in enumerate(rows):
        totals[row["county"], codes[place % 9], levels[place % 4], types[place % 3]] += row["headcount"] // 20
    return [
        {
            "county_code": county,
            "occupation_code": code,
            "occupation_name": POSTS[code],
            "training_level": level,
            "training_type": kind,
            "needed_persons": needed,
            "needed_subsidised_persons": needed // 2,
            "delivered_persons": needed // 5,
            "needed_both_persons": needed,
            "delivered_both_persons": needed // 5,
        }
        for (county, code, level, kind), needed in sorted(totals.items(), key=str)
    ]


def _subsidies(counties: set[str], seed: int) -> list[dict[str, Any]]:
    dice = random.Random(seed + 1)
    rows = []
    for county in sorted(counties):
        for code, item in sorted(ITEMS.items()):
            claims = dice.randint(2, 16)
            applied = Decimal(claims) * Decimal(dice.randint(60000, 240000)) / 100
            advanced = (applied / 5).quantize(Decimal("0.01")) if code == "apprenticeship" else Decimal(0)
            rows.append(
                {
                    "county_code": county,
                    "fund": FUNDS.get(code, "就业补助资金"),
                    "item_code": code,
                    "item": item,
                    "claims": claims,
                    "applied_yuan": applied,
                    "approved_yuan": (applied * Decimal("0.93")).quantize(Decimal("0.01")),
                    "advanced_yuan": advanced,
                    "paid_yuan": (applied * Decimal("0.71")).quantize(Decimal("0.01")),
                    "over_limit_claims": 2 if code == "skill_assessment" and county < "4503" else 0,
                }
            )
    return rows


def _alerts(counties: set[str]) -> list[dict[str, Any]]:
    rules = (
        ("review_working_days", "受理到审核完成不超过30个工作日", 3),
        ("advance_share", "预支不超过补贴标准的20%", 7),
    )
    return [
        {"county_code": county, "rule": rule, "rule_zh": words, "severity": "alert", "alerts": 1 + place % 2}
        for place, county in enumerate(sorted(counties))
        for rule, words, every in rules
        if place % every == 0
    ]


TARGETS = (
    # indicator, series, unit, target, done, status; 1000 of 1250 working days have passed
    ("累计培训", "八桂家政", "人次", 250000, 210000, "on_schedule"),
    ("累计培训", "八桂建工", "人次", 100000, 61250, "behind"),
    ("带动就业创业", None, "人次", 600000, 612000, "done"),
    ("自治区级劳务品牌龙头企业", None, "家", 60, 22, "behind"),
    ("自治区级劳务品牌专家工作室", None, "个", 30, None, "not_reported"),
)


def _targets(listed: list[dict[str, str]], covered: set[str]) -> list[dict[str, Any]]:
    """Five of the province (the fourth known by half only when half the counties sent), one of each place."""
    rows = []
    for number, (indicator, series, unit, target, done, status) in enumerate(TARGETS):
        rows.append(
            _target("450000", "广西壮族自治区", f"t{number}", indicator, series, unit, target, done, status)
            | {"projected_value": Decimal(done) * 1250 / 1000 if done is not None and status != "done" else None}
        )
    places = {one["city_code"]: one["city_name"] for one in listed}
    places |= {one["region_code"]: one["reporter_name"] for one in listed}
    for code, name in sorted(places.items()):
        held = code in covered or any(one[:4] == code[:4] for one in covered if code.endswith("00"))
        status = "done" if held else "not_reported"
        rows.append(
            _target(code, name, "meeting", "指挥部月调度", None, "次/月", 1, 1 if held else None, status)
            | {"basis": "monthly", "is_scheduled": False, "elapsed_working_days": 22, "window_working_days": 22}
        )
    return sorted(rows, key=lambda row: row["region_code"])


def _target(
    code: str,
    name: str,
    target_id: str,
    indicator: str,
    series: str | None,
    unit: str,
    target: int,
    done: int | None,
    status: str,
) -> dict[str, Any]:
    return {
        "region_code": code,
        "region_name": name,
        "level": "province" if code == "450000" else "city" if code.endswith("00") else "county",
        "target_id": target_id,
        "document_no": "桂政办发〔2021〕141号",
        "clause": "二",
        "indicator_zh": indicator,
        "group_zh": series,
        "basis": "cumulative",
        "bound": "min",
        "unit": unit,
        "target_value": Decimal(target),
        "done_value": None if done is None else Decimal(done),
        "missing_reason": "not_reported" if done is None else None,
        "window_working_days": 1250,
        "elapsed_working_days": 1000,
        "is_scheduled": done is not None,
        "projected_value": None,
        "status": status,
    }


def _performance(submissions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Reporters by on-time rate, then first-pass rate, then fewest findings; each ledger has 1,000 cells a form."""
    grouped: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in submissions:
        grouped[row["reporter_code"]].append(row)
    rows = []
    for code, forms in grouped.items():
        sent = [form for form in forms if form["is_received"]]
        rows.append(
            {
                "reporter_code": code,
                "county_code": forms[0]["county_code"],
                "city_code": forms[0]["city_code"],
                "expected_forms": len(forms),
                "received_forms": len(sent),
                "on_time_forms": sum(form["is_on_time"] for form in forms),
                "accepted_forms": sum(form["is_accepted"] for form in forms),
                "first_pass_forms": sum(form["is_first_pass"] for form in forms),
                "findings": sum(form["findings_e"] + form["findings_r"] + form["findings_w"] for form in sent)
                if sent
                else None,
                "cells_read": 1000 * len(sent) or None,
                "cells_filled": 900 * len(sent) or None,
                "is_accepted": all(form["is_accepted"] for form in forms),
            }
        )

    def merit(row: dict[str, Any]) -> tuple[int, int, int]:
        return -row["on_time_forms"], -row["first_pass_forms"], row["findings"]

    complete = [row for row in rows if row["is_accepted"]]
    for row in rows:
        row["rank"] = 1 + sum(merit(other) < merit(row) for other in complete) if row["is_accepted"] else None
        row["ranked_reporters"] = len(complete)
    return rows


def _findings(senders: list[dict[str, str]]) -> list[dict[str, Any]]:
    kinds = (
        ("R", "R-USC-001", "统一社会信用代码校验码不符", "C", 5),
        ("W", "W-VAL-020", "数字以文本保存", "I", 2),
        ("E", "E-HDR-001", "找不到表头", None, 9),
    )
    return [
        {
            "reporter_code": one["reporter_code"],
            "county_code": one["region_code"],
            "form": "enterprise_status",
            "code": code,
            "severity": severity,
            "rule": rule,
            "sheet": "企业情况表",
            "source_row": 10 + place if column else None,
            "cell": f"{column}{10 + place}" if column else None,
            "further_findings": 0,
        }
        for place, one in enumerate(senders)
        for severity, code, rule, column, every in kinds
        if place % every == 0
    ]


def _definitions() -> list[dict[str, Any]]:
    with (ROOT / "dbt_project/seeds/indicators.csv").open(encoding="utf-8-sig") as file:
        return [dict(row) for row in csv.DictReader(file)]


def report(**rows: Any) -> ReportFigures:
    """The province's report of April; one county sent nothing, one was refused, one was late unless ``rows`` say so.

    Args:
        rows: as of ``mart_rows``.
    """
    rows = rows or MONTH
    figures = assemble(mart_rows(**rows), "2026-04")
    return replace(figures, maturity="final", maturity_reason="报告期已封账")


COUNTIES = [one["region_code"] for one in reporters()]
MONTH: dict[str, Any] = {"absent": {"2026-04": {COUNTIES[19]}}, "refused": {COUNTIES[8]}, "late": {COUNTIES[4]}}
