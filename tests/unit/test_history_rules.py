"""Rules that compare months, on figures that can be worked out by hand: usual figures are given, not computed here."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from include.quality.findings import DETAIL_PER_CODE
from include.quality.rules import ENTERPRISE_MEASURES, INDUSTRY_MEASURES
from include.quality.runner import NO_HISTORY, Validation, examine, examine_cross_form, not_run
from tests.unit.test_quality_runner import USCC, frame
from tests.workbooks import uscc

COUNTY = "450721"


def usual_enterprise(median: float | None, mad: float, months: int = 12, measure: str = "headcount") -> pd.DataFrame:
    row: dict[str, Any] = {"county_code": COUNTY, "uscc": USCC}
    for name in ENTERPRISE_MEASURES:
        row |= {f"{name}_{part}": None for part in ("median", "mad", "months")}
    row |= {f"{measure}_median": median, f"{measure}_mad": mad, f"{measure}_months": months}
    return pd.DataFrame([row])


def usual_industry(median: float, mad: float, months: int = 12, measure: str = "headcount") -> pd.DataFrame:
    row: dict[str, Any] = {"reporter_code": COUNTY, "division": "13"}
    for name in INDUSTRY_MEASURES:
        row |= {f"{name}_{part}": None for part in ("median", "mad", "months")}
    row |= {f"{measure}_median": median, f"{measure}_mad": mad, f"{measure}_months": months}
    return pd.DataFrame([row])


def last_month(*rows: dict[str, Any]) -> pd.DataFrame:
    place = {"reporter_code": COUNTY, "county_code": COUNTY, "is_held": False}
    columns = ["reporter_code", "county_code", "uscc", "enterprise_name", "is_held"]
    return pd.DataFrame([place | row for row in rows], columns=columns)


def state(validation: Validation, code: str, column: str) -> tuple[str, int, int]:
    (result,) = [r for r in validation.results if (r.code, r.column) == (code, column)]
    return result.state, result.checked, result.failed


def is_outlier(found: Any) -> bool:
    return bool(found.finding.code == "W-OUT-001")


# headcount: multiple 5, floors 10 % of the median and 4 persons; shortage: 20 % and 4; wages: 10 % and 200 yuan
OUTLIER_CASES: list[tuple[str, float | None, float | None, float, bool]] = [
    # the MAD decides: 5 x 1.4826 x 10 = 74.13
    ("headcount", 134, 60, 10, False),
    ("headcount", 135, 60, 10, True),
    # MAD of zero: the share decides upwards and downwards, 5 x 0.1 x 200 = 100
    ("headcount", 300, 200, 0, False),
    ("headcount", 301, 200, 0, True),
    ("headcount", 100, 200, 0, False),
    ("headcount", 99, 200, 0, True),
    # a small enterprise: the floor of 4 persons decides, 5 x 4 = 20
    ("headcount", 30, 10, 0, False),
    ("headcount", 31, 10, 0, True),
    # usually no shortage at all: 20 persons more are still ordinary
    ("shortage_now", 20, 0, 0, False),
    ("shortage_now", 21, 0, 0, True),
    # 5 x 0.2 x 50 = 50: twice the usual is ordinary, and no shortage any more is never unusual
    ("shortage_now", 100, 50, 0, False),
    ("shortage_now", 101, 50, 0, True),
    ("shortage_now", 0, 500, 0, False),
    # 5 x 200 yuan
    ("wage_general", 2500, 1500, 0, False),
    ("wage_general", 2501, 1500, 0, True),
    ("wage_skilled", 6000, 4000, 0, False),
    ("wage_skilled", 6001, 4000, 0, True),
    # a blank on either side
    ("wage_general", None, 4000, 0, False),
    ("wage_general", 4000, None, 0, False),
]


def test_an_enterprise_is_held_against_its_own_median() -> None:
    rows, usual = [], []
    for number, (measure, value, median, mad, _) in enumerate(OUTLIER_CASES):
        rows.append({"uscc": uscc(COUNTY, number), "enterprise_name": f"企业{number}", measure: value})
        usual.append(usual_enterprise(median, mad, measure=measure).assign(uscc=uscc(COUNTY, number)))
    validation = examine("enterprise_status", frame("enterprise_status", *rows), {"enterprise": pd.concat(usual)})
    found = {(f.finding.row, f.finding.column) for f in validation.findings if is_outlier(f)}
    assert found == {(5 + n, measure) for n, (measure, *_, unusual) in enumerate(OUTLIER_CASES) if unusual}


def test_blanks_on_either_side_are_not_judged() -> None:
    rows = frame("enterprise_status", {"headcount": 100})
    none = examine("enterprise_status", rows, {"enterprise": usual_enterprise(None, 0)})
    assert state(none, "W-OUT-001", "headcount") == ("no_data", 0, 0)
    some = examine("enterprise_status", rows, {"enterprise": usual_enterprise(100, 0)})
    assert state(some, "W-OUT-001", "headcount") == ("pass", 1, 0)


def test_the_text_says_what_is_usual_and_for_which_months() -> None:
    rows = frame("enterprise_status", {"headcount": 301, "managers": 211})
    usual = {"enterprise": usual_enterprise(200, 0, months=3)}
    found = [f.finding for f in examine("enterprise_status", rows, usual).findings if is_outlier(f)]
    assert found[0].message_zh.startswith(
        "“职工人数/合计”为301，而该企业近3个春节所在月份的中位数是200，通常在100至300之间。请核对"
    )
    april = frame("enterprise_status", {"headcount": 301, "managers": 211}).assign(period="2026-04")
    found = [f.finding for f in examine("enterprise_status", april, usual).findings if is_outlier(f)]
    assert "近3个平常月份的中位数" in found[0].message_zh


def test_a_wrong_unit_is_said_once() -> None:
    # persons for thousands: 1,000 times the month before is a unit jump, not an outlier too
    before = pd.DataFrame([{"county_code": COUNTY, "reporter_code": COUNTY, "uscc": USCC, "enterprise_name": "甲公司",
                            "is_held": False, "shortage_now": 8}])  # fmt: skip
    usual = {"previous": before, "enterprise": usual_enterprise(8, 0, measure="shortage_now")}
    validation = examine("enterprise_status", frame("enterprise_status", {"shortage_now": 8000}), usual)
    assert [(f.finding.code, f.finding.column) for f in validation.findings] == [("W-JMP-001", "shortage_now")]
    # yuan for thousands of yuan: out of the range of wages, which says it with the unit
    before = before.assign(wage_general=3.5)
    usual = {"previous": before, "enterprise": usual_enterprise(3500, 0, measure="wage_general")}
    validation = examine("enterprise_status", frame("enterprise_status", {"wage_general": 3_500_000}), usual)
    assert [(f.finding.code, f.finding.column) for f in validation.findings] == [("W-WAG-001", "wage_general")]
    # now the month before was wrong
    validation = examine("enterprise_status", frame("enterprise_status", {"wage_general": 3500}), {"previous": before})
    assert [(f.finding.code, f.finding.column) for f in validation.findings] == [("W-JMP-001", "wage_general")]


JUMP_CASES: list[tuple[str, float | None, float, bool]] = [
    ("headcount", 100_000, 100, True),
    ("headcount", 0, 100, False),
    ("shortage_now", 8, 0, False),
    ("shortage_now", 8, 3999, False),
    ("shortage_now", 8, 4000, True),
    ("shortage_expansion", 4000, 4, True),
    ("revenue_wan_yuan", 5_000_000, 500, True),
    ("revenue_wan_yuan", None, 500, False),
]


def test_unit_jumps_both_ways() -> None:
    rows, previous = [], []
    for number, (measure, before, now, _) in enumerate(JUMP_CASES):
        here = {"uscc": uscc(COUNTY, number), "enterprise_name": f"企业{number}"}
        rows.append(here | {measure: now})
        previous.append(last_month(here).assign(**{measure: before}))
    history = {"previous": pd.concat(previous)}
    validation = examine("enterprise_status", frame("enterprise_status", *rows), history)
    found = {(f.finding.row, f.finding.column) for f in validation.findings if f.finding.code == "W-JMP-001"}
    assert found == {(5 + n, measure) for n, (measure, _, _, jumps) in enumerate(JUMP_CASES) if jumps}


def three(headcount: int, **changes: Any) -> pd.DataFrame:
    """Three enterprises of one industry, one of them with the given headcount, the others with 100."""
    names = [{"uscc": uscc(COUNTY, number), "enterprise_name": f"企业{number}"} for number in range(3)]
    return frame("enterprise_status", names[0] | {"headcount": headcount}, names[1], names[2] | changes)


def test_an_industry_of_a_county_is_held_against_its_usual_sum() -> None:
    # median 200, MAD 10: 5 x max(1.4826 x 10, 0.1 x 200, 20 persons) = 100, so 100 to 300 is ordinary
    usual = {"industry": usual_industry(200, 10, months=7)}
    assert "W-OUT-002" not in codes(examine("enterprise_status", three(100), usual))
    validation = examine("enterprise_status", three(101), usual)
    (found,) = [f.finding for f in validation.findings if f.finding.code == "W-OUT-002"]
    assert (found.sheet, found.row, found.cell, found.column) == ("表", None, None, "headcount")
    assert found.message_zh.startswith(
        "“农副食品加工业”本月“职工人数/合计”合计301人，而本县该行业近7个春节所在月份合计的中位数是200人，通常在100至300人之间"
    )
    assert state(validation, "W-OUT-002", "headcount") == ("fail", 1, 1)
    assert state(validation, "W-OUT-002", "shortage_now") == ("no_data", 0, 0)


def test_two_enterprises_are_no_industry() -> None:
    usual = {"industry": usual_industry(2000, 10)}
    validation = examine("enterprise_status", three(100, industry="造纸和纸制品业"), usual)
    assert state(validation, "W-OUT-002", "headcount") == ("no_data", 0, 0)


def test_an_enterprise_sent_twice_counts_once_in_its_industry() -> None:
    usual = {"industry": usual_industry(200, 10)}
    rows = three(100)
    twice = pd.concat([rows, rows.iloc[[2]].assign(source_row=8)], ignore_index=True)
    assert "W-OUT-002" not in codes(examine("enterprise_status", twice, usual))


def codes(validation: Validation) -> set[str]:
    return {found.finding.code for found in validation.findings}


def several(numbers: range) -> list[dict[str, Any]]:
    return [{"uscc": uscc(COUNTY, number), "enterprise_name": f"企业{number}"} for number in numbers]


def test_vanished_enterprises_are_one_finding_with_names() -> None:
    rows = frame("enterprise_status", *several(range(10)))
    # two of twelve are ignored, three of thirteen are 23 %
    two = {"previous": last_month(*several(range(12)))}
    validation = examine("enterprise_status", rows, two)
    assert codes(validation) == set()
    (result,) = [r for r in validation.results if r.code == "W-VAN-001"]
    assert (result.state, result.detail) == ("pass", "2 of the 12 enterprises of last month are absent")
    validation = examine("enterprise_status", rows, {"previous": last_month(*several(range(14)))})
    (found,) = [f.finding for f in validation.findings]
    assert (found.code, found.sheet, found.row, found.column) == ("W-VAN-001", "表", None, "uscc")
    names = "、".join(f"企业{number}（{uscc(COUNTY, number)}）" for number in (10, 11, 12))
    assert found.message_zh.startswith(f"上月企业情况表中的14家企业有4家本月没有填报：{names}等。请补报")


def test_three_of_a_hundred_vanish_without_a_word() -> None:
    rows = frame("enterprise_status", *several(range(97)))
    validation = examine("enterprise_status", rows, {"previous": last_month(*several(range(100)))})
    assert state(validation, "W-VAN-001", "uscc") == ("pass", 1, 0)
    rows = frame("enterprise_status", *several(range(96)))
    validation = examine("enterprise_status", rows, {"previous": last_month(*several(range(100)))})
    assert state(validation, "W-VAN-001", "uscc") == ("fail", 1, 1)


def test_an_enterprise_under_another_code_or_held_back_did_not_vanish() -> None:
    renamed = [{"uscc": "9145072", "enterprise_name": f" 企业{number}"} for number in range(3)]
    rows = frame("enterprise_status", *several(range(3, 9)), *renamed)
    validation = examine("enterprise_status", rows, {"previous": last_month(*several(range(9)))})
    assert state(validation, "W-VAN-001", "uscc") == ("pass", 1, 0)
    # a row held back last month was not accepted: nobody misses it, and it is not new
    held = [row | {"is_held": True} for row in several(range(20, 24))]
    rows = frame("enterprise_status", *several(range(9)))
    validation = examine("enterprise_status", rows, {"previous": last_month(*several(range(9)), *held)})
    assert state(validation, "W-VAN-001", "uscc") == ("pass", 1, 0)


def test_many_new_enterprises() -> None:
    rows = frame("enterprise_status", *several(range(10)))
    # five new ones are ignored, six of ten are 60 %
    five = examine("enterprise_status", rows, {"previous": last_month(*several(range(5)))})
    (result,) = [r for r in five.results if r.code == "W-NEW-001"]
    assert (result.state, result.detail) == ("pass", "5 of the 10 enterprises were not sent last month")
    six = examine("enterprise_status", rows, {"previous": last_month(*several(range(4)))})
    (found,) = [f.finding for f in six.findings]
    assert found.message_zh.startswith("本表10家企业中有6家上月没有填报：企业4（")
    # six of thirty are 20 %, not more
    rows = frame("enterprise_status", *several(range(30)))
    fifth = examine("enterprise_status", rows, {"previous": last_month(*several(range(24)))})
    assert state(fifth, "W-NEW-001", "uscc") == ("pass", 1, 0)


def test_another_reporter_is_not_last_month() -> None:
    rows = frame("enterprise_status", *several(range(10)))
    elsewhere = last_month(*several(range(20))).assign(reporter_code="450722")
    validation = examine("enterprise_status", rows, {"previous": elsewhere})
    assert state(validation, "W-VAN-001", "uscc") == ("no_data", 0, 0)


# ------------------------------------------------------------------------------------------------------ four states


def test_four_states_of_one_rule() -> None:
    same = last_month({"uscc": USCC, "enterprise_name": "甲公司"})
    rows = pd.concat(
        [
            frame("enterprise_status", {}, submission="S1"),
            frame("enterprise_status", {"hired": 6}, submission="S2"),
            frame("enterprise_status", {"hired": None}, submission="S3"),
        ]
    )
    validation = examine("enterprise_status", rows, {"previous": same.assign(headcount=98)}, submissions=["S4"])
    found = {r.submission_id: (r.state, r.checked, r.failed) for r in validation.results if r.code == "W-FLW-001"}
    # 98 + 5 - 3 = 100; 98 + 6 - 3 = 101; unknown; no row
    assert found == {"S1": ("pass", 1, 0), "S2": ("fail", 1, 1), "S3": ("no_data", 0, 0), "S4": ("no_data", 0, 0)}
    without = examine("enterprise_status", rows)
    states = {(r.state, r.detail) for r in without.results if r.code in ("W-FLW-001", "W-VAN-001", "W-OUT-002")}
    assert states == {("did_not_run", NO_HISTORY)}
    assert {r.state for r in without.results if r.code == "W-ADD-001"} == {"pass"}


def test_a_refused_form_has_a_result_of_each_rule_that_did_not_run() -> None:
    results = not_run("enterprise_status", "S9", "refused when it was read")
    assert {(r.state, r.detail) for r in results} == {("did_not_run", "refused when it was read")}
    assert {r.suite for r in results} == {"enterprise_status", "history_enterprise_status"}


@pytest.mark.parametrize("form", ["enterprise_status", "labour_demand", "subsidy_payment"])
def test_a_result_is_told_apart_by_submission_suite_code_and_column(form: str) -> None:
    rows = pd.concat([frame(form, {}, submission="S1"), frame(form, {}, submission="S2")])
    results = examine(form, rows, {}).results
    assert len({(r.submission_id, r.suite, r.code, r.column) for r in results}) == len(results)


def test_four_states_of_the_cross_form_rules() -> None:
    status = pd.concat(
        [frame("enterprise_status", {}, submission="S1"), frame("enterprise_status", {}, submission="S2")]
    )
    status.loc[status["submission_id"] == "S2", "county_code"] = "450722"
    # the second county sent no form 2
    validation = examine_cross_form(status, frame("labour_demand", {"shortage_now": 9}, submission="S3"))
    found = {(r.submission_id, r.code): r.state for r in validation.results}
    assert found == {
        ("S1", "W-CRS-002"): "fail",
        ("S1", "W-CRS-003"): "pass",
        ("S1", "W-CRS-004"): "pass",
        ("S2", "W-CRS-002"): "no_data",
        ("S2", "W-CRS-003"): "no_data",
        ("S2", "W-CRS-004"): "no_data",
        ("S3", "W-CRS-001"): "pass",
    }


# -------------------------------------------------------------------------------------------------------------- cap


def test_detail_is_capped_counts_and_held_rows_are_not() -> None:
    assert DETAIL_PER_CODE == 1000
    rows = [
        {"uscc": uscc(COUNTY, number), "enterprise_name": f"企业{number}", "county": "浦北县"} for number in range(1500)
    ]
    good = [{"uscc": uscc(COUNTY, 1500 + number), "enterprise_name": f"企业{1500 + number}"} for number in range(3)]
    validation = examine("enterprise_status", frame("enterprise_status", *rows, *good))
    log = validation.logs["S1"]
    assert dict(log.counts) == {"R-CTY-001": 1500}
    assert [finding.row for finding in log.detail] == list(range(5, 1005))
    assert log.held == {("表", row) for row in range(5, 1505)}
    (result,) = [r for r in validation.results if r.code == "R-CTY-001"]
    assert (result.checked, result.failed) == (1503, 1500)


def test_a_form_of_which_every_row_is_held_is_refused_beyond_the_cap_too() -> None:
    rows = [
        {"uscc": uscc(COUNTY, number), "enterprise_name": f"企业{number}", "county": "浦北县"} for number in range(1500)
    ]
    log = examine("enterprise_status", frame("enterprise_status", *rows)).logs["S1"]
    assert dict(log.counts) == {"R-CTY-001": 1500, "E-ALL-001": 1}
    assert log.refused
