"""Every rule has a row that passes and a row that fails; the figures are small enough to add up by hand."""

from __future__ import annotations

import json
import string
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from include.forms.model import load_forms
from include.quality import runner
from include.quality.findings import catalogue
from include.quality.rules import CROSS_FORM, HELPERS, county_name_forms, industry_names, typed
from include.quality.runner import (
    Validation,
    examine,
    examine_cross_form,
    load_suite,
    readable,
    suites_of,
)
from include.quality.size_classes import ruled_size_class
from include.settings import get_settings

USCC = "91110000600037341L"
OTHER_USCC = "N2450722MF10000019"
OTHER_ENTERPRISE = {"uscc": OTHER_USCC, "enterprise_name": "乙合作社"}
SUITES = ("enterprise_status", "labour_demand", "subsidy_payment", CROSS_FORM)

STATUS: dict[str, Any] = {
    "enterprise_name": "甲公司",
    "uscc": USCC,
    "county": "灵山县",
    "industry": "农副食品加工业",
    "operating_state": "正常",
    "size_class": "小型",
    "revenue_wan_yuan": Decimal("500.00"),
    "headcount": 100,
    "managers": 10,
    "professionals": 20,
    "workers": 70,
    "women": 40,
    "local_county": 60,
    "other_county": 30,
    "other_province": 10,
    "lifted_poverty": 3,
    "dispatched": 0,
    "skill_junior": 5,
    "skill_intermediate": 3,
    "skill_senior": 2,
    "skill_technician": 0,
    "skill_senior_technician": 0,
    "skill_master": 0,
    "skill_chief": 0,
    "skilled_total": 10,
    "insured": 90,
    "hired": 5,
    "leavers": 3,
    "wage_general": 1000,
    "wage_skilled": 30000,
    "shortage_now": 8,
    "shortage_expansion": 4,
    "training_needed": 6,
}
DEMAND: dict[str, Any] = {
    "enterprise_name": "甲公司",
    "uscc": USCC,
    "county": "灵山县",
    "post": "焊工",
    "post_category": "技工",
    "shortage_now": 8,
    "shortage_expansion": 4,
    "expansion_month": "2026-02",
    "wage_min": 3500,
    "wage_max": 5000,
    "training_post": "焊工",
    "training_persons": 6,
    "training_subsidised": True,
}
CLAIM: dict[str, Any] = {
    "item": "技能提升补贴(初级工)",
    "fund": "失业保险基金",
    "payee_name": "甲公司",
    "payee_uscc": USCC,
    "person_name": "张三丰",
    "person_id": "11010519491231002X",
    "covered_from": date(2026, 1, 1),
    "covered_to": date(2026, 1, 31),
    "standard": Decimal("1000.10"),
    "quantity": 3,
    "applied": Decimal("3000.30"),
    "approved": Decimal("3000.30"),
    "paid": Decimal("3000.30"),
    "applied_on": date(2026, 1, 5),
    "accepted_on": date(2026, 1, 5),
    "reviewed_on": date(2026, 1, 20),
    "notice_from": date(2026, 1, 21),
    "notice_to": date(2026, 3, 1),
    "decided_on": date(2026, 2, 10),
    "paid_on": date(2026, 2, 28),
    "payment_type": "核拨",
    "status": "已拨付",
}
BASE = {"enterprise_status": STATUS, "labour_demand": DEMAND, "subsidy_payment": CLAIM}


def frame(form: str, *changes: Mapping[str, Any], submission: str = "S1") -> pd.DataFrame:
    """Rows 5, 6, … of one submission: the passing row with the given changes."""
    place = {"submission_id": submission, "sheet": "表", "county_code": "450721", "period": "2026-02"}
    return pd.DataFrame([BASE[form] | place | {"source_row": 5 + n} | change for n, change in enumerate(changes)])


def each_alone(form: str, changes: Sequence[Mapping[str, Any]]) -> dict[int, list[tuple[int | None, str, str | None]]]:
    """Findings (row, code, column) of each change, each in a submission of its own beside a good row; one run."""
    other = OTHER_ENTERPRISE if form != "subsidy_payment" else {"batch_no": "1"}
    frames = [frame(form, other, change, submission=str(place)) for place, change in enumerate(changes)]
    found: dict[int, list[tuple[int | None, str, str | None]]] = {place: [] for place in range(len(changes))}
    for submission, finding in examine(form, pd.concat(frames)).findings:
        found[int(submission)].append((finding.row, finding.code, finding.column))
    return found


def codes(validation: Validation) -> set[tuple[str, str | None]]:
    return {(found.finding.code, found.finding.column) for found in validation.findings}


@pytest.mark.parametrize("form", list(BASE))
def test_the_plain_row_passes_every_rule(form: str) -> None:
    validation = examine(form, frame(form, {}), {})
    assert validation.findings == []
    assert {result.state for result in validation.results} <= {"pass", "no_data"}
    assert [(result.suite, result.code) for result in validation.results] == [
        (suite, rule.code) for suite in suites_of(form) for rule in load_suite(suite)
    ]


STATUS_CASES: list[tuple[dict[str, Any], str, str]] = [
    ({"uscc": "91110000600037342L"}, "R-USC-001", "uscc"),
    ({"uscc": "450721200012345"}, "R-USC-002", "uscc"),
    ({"uscc": "9111000060003734OL"}, "R-USC-003", "uscc"),
    ({"county": "浦北县"}, "R-CTY-001", "county"),
    ({"industry": "造船厂子"}, "W-IND-001", "industry"),
    ({"size_class": "中型"}, "W-SIZ-001", "size_class"),
    ({"managers": 9}, "W-ADD-001", "headcount"),
    ({"local_county": 59}, "W-ADD-002", "headcount"),
    ({"skilled_total": 11}, "W-ADD-003", "skilled_total"),
    ({"women": 101}, "W-LEQ-001", "women"),
    ({"lifted_poverty": 101}, "W-LEQ-001", "lifted_poverty"),
    ({"dispatched": 101}, "W-LEQ-001", "dispatched"),
    ({"insured": 101}, "W-LEQ-002", "insured"),
    ({"skill_junior": 86, "skilled_total": 91}, "W-LEQ-003", "skilled_total"),
    ({"wage_general": 999.99}, "W-WAG-001", "wage_general"),
    ({"wage_skilled": 30000.01}, "W-WAG-001", "wage_skilled"),
    ({"operating_state": "停产"}, "W-STP-001", "shortage_now"),
]


def test_each_status_rule_fails_alone() -> None:
    found = each_alone("enterprise_status", [change for change, _, _ in STATUS_CASES])
    assert found == {place: [(6, code, column)] for place, (_, code, column) in enumerate(STATUS_CASES)}


def test_a_household_part_above_headcount_breaks_the_sum_too() -> None:
    parts = ["local_county", "other_county", "other_province"]
    found = each_alone("enterprise_status", [{part: 101} for part in parts])
    assert found == {place: [(6, "W-ADD-002", "headcount"), (6, "W-LEQ-001", part)] for place, part in enumerate(parts)}


def test_stopped_enterprise_without_shortage_passes() -> None:
    rows = frame("enterprise_status", {"operating_state": "停产", "shortage_now": 0})
    assert examine("enterprise_status", rows).findings == []


def test_blanks_are_not_zero() -> None:
    blank = {"skill_junior": None, "other_county": None, "managers": None, "women": None, "revenue_wan_yuan": None}
    assert examine("enterprise_status", frame("enterprise_status", blank)).findings == []
    # 60 + 41 already exceed 100, whatever the blank part is
    excess = {"other_county": None, "other_province": 41}
    found = codes(examine("enterprise_status", frame("enterprise_status", excess)))
    assert found == {("W-ADD-002", "headcount")}


def test_sum_message_shows_the_figures() -> None:
    (found,) = examine("enterprise_status", frame("enterprise_status", {"workers": 71})).findings
    assert found.finding.message_zh == (
        "职工总数100人，而管理人员10＋专业技术人员20＋生产操作人员71＝101人。请核对这四个数，使合计等于三项之和。"
    )


def test_duplicates_name_the_other_row_and_are_held() -> None:
    rows = frame("enterprise_status", {}, OTHER_ENTERPRISE, {"sheet": "续表"})
    found = examine("enterprise_status", rows).findings
    assert [(f.finding.sheet, f.finding.row, f.finding.code) for f in found] == [
        ("续表", 7, "R-DUP-001"),
        ("表", 5, "R-DUP-001"),
    ]
    assert found[0].finding.params["other_rows"] == "“表”第5行"
    assert found[1].finding.params["other_rows"] == "“续表”第7行"


def test_many_duplicates_name_three_rows_and_the_count() -> None:
    found = examine("enterprise_status", frame("enterprise_status", *[{}] * 6)).findings
    first = next(f.finding for f in found if f.finding.row == 5)
    assert first.params["other_rows"] == "第6行、第7行、第8行等共5行"


def test_the_same_code_in_two_submissions_is_no_duplicate() -> None:
    rows = pd.concat([frame("enterprise_status", {}), frame("enterprise_status", {}, submission="S2")])
    assert examine("enterprise_status", rows).findings == []


def test_one_name_with_two_codes() -> None:
    rows = frame("enterprise_status", {}, {"uscc": OTHER_USCC})
    found = examine("enterprise_status", rows).findings
    assert [(f.finding.row, f.finding.code) for f in found] == [(5, "W-NAM-001"), (6, "W-NAM-001")]
    assert found[0].finding.params["other_rows_of_name"] == "第6行"


def test_a_submission_without_a_row_left_is_refused() -> None:
    good_elsewhere = frame("enterprise_status", {}, submission="S2")
    rows = pd.concat([frame("enterprise_status", {"county": "浦北县"}), good_elsewhere])
    found = examine("enterprise_status", rows).findings
    assert [(f.submission_id, f.finding.code) for f in found] == [("S1", "E-ALL-001"), ("S1", "R-CTY-001")]
    assert found[0].finding.params == {"rows": 1}


def test_rows_held_by_the_reader_count_as_held() -> None:
    rows = frame("enterprise_status", {"county": "浦北县"}, OTHER_ENTERPRISE)
    assert ("E-ALL-001", None) not in codes(examine("enterprise_status", rows))
    assert ("E-ALL-001", None) in codes(examine("enterprise_status", rows, held=[("S1", "表", 6)]))


def test_cell_and_header_come_from_the_layout() -> None:
    layout = {("S1", "表"): {"county": (27, "县（区）"), "wage_min": (1, "月薪")}}
    (found,) = examine(
        "enterprise_status", frame("enterprise_status", {"county": "浦北县"}, OTHER_ENTERPRISE), layout_of=layout
    ).findings
    assert (found.finding.cell, found.finding.params["header"]) == ("AB5", "县（区）")
    # the upper end of a range stands in the cell of the lower one
    (found,) = examine("labour_demand", frame("labour_demand", {"wage_max": 30001}), layout_of=layout).findings
    assert (found.finding.column, found.finding.cell, found.finding.params["header"]) == ("wage_max", "B5", "月薪")


def previous(**measures: float) -> dict[str, pd.DataFrame]:
    before = {
        "reporter_code": "450721",
        "county_code": "450721",
        "uscc": USCC,
        "enterprise_name": "甲公司",
        "is_held": False,
        "headcount": 98,
        "revenue_wan_yuan": 500,
    } | measures
    return {"previous": pd.DataFrame([before])}


def test_headcount_flow_against_last_month() -> None:
    rows = frame("enterprise_status", {})
    # 98 + 5 - 3 = 100
    assert examine("enterprise_status", rows, previous()).findings == []
    (found,) = examine("enterprise_status", rows, previous(headcount=97)).findings
    assert (found.finding.code, found.finding.params["headcount_by_flow"]) == ("W-FLW-001", "99")


def test_unit_jumps_of_revenue() -> None:
    rows = frame("enterprise_status", {})
    # 500 against 1.01 is 495 times, against 1 it is 500 times; 元 for 万元 is 10,000 times, one way or the other
    assert examine("enterprise_status", rows, previous(revenue_wan_yuan=1.01)).findings == []
    for before, times in ((1, "500"), (0.05, "10000"), (5_000_000, "10000"), (500_000, "1000")):
        (found,) = examine("enterprise_status", rows, previous(revenue_wan_yuan=before)).findings
        assert (found.finding.code, found.finding.column) == ("W-JMP-001", "revenue_wan_yuan")
        assert found.finding.params["times"] == times


def test_rules_that_compare_months_say_when_they_had_nothing() -> None:
    results = {(r.code, r.column): r for r in examine("enterprise_status", frame("enterprise_status", {}), {}).results}
    assert results["W-FLW-001", "headcount"].state == "no_data"
    assert results["R-USC-001", "uscc"].state == "pass"
    assert results["R-USC-001", "uscc"].checked == 1


DEMAND_CASES: list[tuple[dict[str, Any], str, str]] = [
    ({"uscc": "91110000600037341M"}, "R-USC-001", "uscc"),
    ({"county": "钦南区"}, "R-CTY-001", "county"),
    ({"wage_min": 5001}, "R-WAG-001", "wage_min"),
    ({"wage_min": 350}, "W-WAG-001", "wage_min"),
    ({"expansion_month": "2026-01"}, "W-MON-001", "expansion_month"),
    ({"training_persons": None}, "W-TRN-001", "training_post"),
    ({"training_post": None}, "W-TRN-001", "training_post"),
    ({"training_post": None, "training_persons": None}, "W-TRN-001", "training_post"),
]


def test_each_demand_rule_fails_alone() -> None:
    found = each_alone("labour_demand", [change for change, _, _ in DEMAND_CASES])
    assert found == {place: [(6, code, column)] for place, (_, code, column) in enumerate(DEMAND_CASES)}


def test_no_training_asked_for_is_complete() -> None:
    nothing = {"training_post": None, "training_persons": None, "training_subsidised": False}
    zero = nothing | {"training_persons": 0, "post": "普工"}
    assert examine("labour_demand", frame("labour_demand", nothing, zero)).findings == []


def test_open_wage_and_later_month_pass() -> None:
    rows = frame("labour_demand", {"wage_min": None, "wage_max": None, "expansion_month": "2027-01"})
    assert examine("labour_demand", rows).findings == []


def test_repeated_post_and_names_of_a_code() -> None:
    rows = frame("labour_demand", {}, {}, {"post": "钳工", "enterprise_name": "甲公司（总部）"})
    found = codes(examine("labour_demand", rows))
    assert found == {("W-DUP-002", "post"), ("W-NAM-002", "enterprise_name")}


CLAIM_CASES: list[tuple[dict[str, Any], str, str]] = [
    ({"payee_uscc": "91110000600037341M"}, "R-USC-001", "payee_uscc"),
    ({"person_id": "110105194912310021"}, "R-PID-001", "person_id"),
    ({"fund": "财政资金"}, "R-ENU-001", "fund"),
    ({"payment_type": "发放"}, "R-ENU-001", "payment_type"),
    ({"status": "完成"}, "R-ENU-001", "status"),
    ({"paid": Decimal("3000.31")}, "W-PAY-001", "paid"),
    ({"applied": Decimal("3000.32")}, "W-PAY-002", "applied"),
    ({"accepted_on": date(2026, 1, 4)}, "W-DAT-001", "accepted_on"),
    ({"reviewed_on": date(2026, 1, 4)}, "W-DAT-001", "reviewed_on"),
    ({"paid_on": date(2026, 2, 9)}, "W-DAT-001", "paid_on"),
    ({"notice_to": date(2026, 1, 20)}, "W-DAT-002", "notice_to"),
    ({"covered_to": date(2025, 12, 31)}, "W-DAT-002", "covered_to"),
    ({"paid_on": date(2026, 3, 1)}, "W-DAT-003", "paid_on"),
    ({"applied_on": date(2023, 1, 31)}, "W-DAT-004", "applied_on"),
]


def test_each_claim_rule_fails_alone() -> None:
    found = each_alone("subsidy_payment", [change for change, _, _ in CLAIM_CASES])
    assert found == {place: [(6, code, column)] for place, (_, code, column) in enumerate(CLAIM_CASES)}


def test_one_cent_is_rounding_and_blank_steps_are_passed_over() -> None:
    cent = {"applied": Decimal("3000.31"), "batch_no": "1"}
    early = {"applied_on": date(2023, 2, 1), "batch_no": "2"}
    assert examine("subsidy_payment", frame("subsidy_payment", cent, early)).findings == []
    gap = {"accepted_on": None, "reviewed_on": None, "decided_on": date(2026, 1, 4)}
    (found,) = examine("subsidy_payment", frame("subsidy_payment", gap)).findings
    assert found.finding.params["earlier_step"] == "申请日期2026-01-05"


def test_repeated_claim_line() -> None:
    validation = examine("subsidy_payment", frame("subsidy_payment", {}, {}, {"certificate_no": "2"}))
    assert [(f.finding.row, f.finding.code) for f in validation.findings] == [(5, "W-DUP-003"), (6, "W-DUP-003")]


def test_personal_values_are_masked() -> None:
    number = "110105194912310021"
    (_, found) = examine("subsidy_payment", frame("subsidy_payment", {"person_id": number})).findings
    assert found.finding.value == "1101************21"
    assert number not in repr(found) + found.finding.message_zh


def test_great_expectations_never_sees_a_persons_number(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    real = runner._batch

    def watch(gx: Any, name: str, rows: pd.DataFrame) -> Any:
        seen.extend(rows.columns)
        return real(gx, name, rows)

    monkeypatch.setattr(runner, "_batch", watch)
    examine("subsidy_payment", frame("subsidy_payment", {}))
    assert "person_id_is_valid" in seen
    assert not set(seen) & set(load_forms()["subsidy_payment"].personal_columns)


def test_cross_form_agreement() -> None:
    status = frame("enterprise_status", {"shortage_now": 8})
    second = {"shortage_now": 3, "shortage_expansion": 0}
    posts = frame("labour_demand", {"shortage_now": 5, "training_persons": 6}, second)
    posts.loc[1, ["training_post", "training_persons"]] = None
    assert examine_cross_form(status, posts).findings == []


def test_cross_form_sums_differ() -> None:
    posts = frame("labour_demand", {"shortage_now": 5}, {"shortage_now": 2}, submission="S2")
    found = examine_cross_form(frame("enterprise_status", {}), posts).findings
    assert [(f.submission_id, f.finding.form, f.finding.code, f.finding.column) for f in found] == [
        ("S1", "enterprise_status", "W-CRS-003", "shortage_expansion"),
        ("S1", "enterprise_status", "W-CRS-002", "shortage_now"),
        ("S1", "enterprise_status", "W-CRS-004", "training_needed"),
    ]
    assert found[1].finding.message_zh.startswith("企业情况表当期生产缺工8人，而用工需求表中该企业2个岗位相加为7人")
    assert found[0].finding.params["demand_shortage_expansion"] == "8"
    assert found[2].finding.params["demand_training_persons"] == "12"


def test_enterprise_absent_from_either_form() -> None:
    quiet = {"uscc": OTHER_USCC, "shortage_now": 0, "shortage_expansion": 0, "training_needed": 0}
    posts = frame("labour_demand", {"uscc": "91450721MA5000001X"}, submission="S2")
    found = examine_cross_form(frame("enterprise_status", {}, quiet), posts).findings
    assert [(f.submission_id, f.finding.row, f.finding.code) for f in found] == [
        ("S1", 5, "W-CRS-003"),
        ("S1", 5, "W-CRS-002"),
        ("S1", 5, "W-CRS-004"),
        ("S2", 5, "W-CRS-001"),
    ]


def test_cross_form_compares_only_what_can_be_compared() -> None:
    status = frame("enterprise_status", {})
    other_county = frame("labour_demand", {"shortage_now": 1}).assign(county_code="450722")
    assert examine_cross_form(status, other_county).findings == []
    # a required figure left blank is the reader's finding; the sum is unknown, not smaller
    blank = frame("labour_demand", {"shortage_now": 8}, {"shortage_now": None, "shortage_expansion": 0})
    blank.loc[1, ["training_post", "training_persons"]] = None
    assert examine_cross_form(status, blank).findings == []
    assert {r.state for r in examine_cross_form(status, pd.DataFrame()).results} == {"no_data"}


@pytest.mark.parametrize("form", list(BASE))
def test_empty_frames(form: str) -> None:
    for empty in (pd.DataFrame(), frame(form, {}).iloc[:0]):
        validation = examine(form, empty, {}, submissions=["S1"])
        assert validation.findings == []
        assert {(result.submission_id, result.state) for result in validation.results} == {("S1", "no_data")}


def test_empty_cross_form() -> None:
    assert examine_cross_form(pd.DataFrame(), pd.DataFrame()).findings == []


@pytest.mark.parametrize("form", list(BASE))
def test_nullable_types_and_odd_index_change_nothing(form: str) -> None:
    rows = frame(form, {}, {"county": "浦北县", "person_id": "110105194912310021"}).convert_dtypes()
    rows.index = pd.Index([7, 7])
    assert codes(examine(form, rows)) == codes(examine(form, frame(form, {}, {"county": "浦北县", "person_id": "1"})))


def test_an_expectation_that_cannot_run_is_said_and_stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = runner.Expectation(
        type="expect_column_values_to_be_between",
        kwargs={"column": "county", "min_value": 0},
        code="W-WAG-001",
        column="county",
        shows={},
    )
    rules = load_suite("enterprise_status")
    monkeypatch.setattr(runner, "load_suite", lambda name: (broken, *rules))
    validation = examine("enterprise_status", frame("enterprise_status", {"women": 101}))
    assert validation.results[0].state == "did_not_run"
    assert validation.results[0].detail
    assert codes(validation) == {("W-LEQ-001", "women")}


# ------------------------------------------------------------------------------------------------- suites and texts


@pytest.mark.parametrize("suite", SUITES)
def test_every_expectation_can_be_put_into_words(suite: str) -> None:
    for rule in load_suite(suite):
        words = catalogue()[rule.code]
        asked = {
            name
            for text in (words.message_zh, words.mend_zh)
            for _, name, _, _ in string.Formatter().parse(text)
            if name is not None
        }
        given = {"value", "cell", "header", *rule.shows, *(set(rule.kwargs) & {"min_value", "max_value", "value_set"})}
        assert asked <= given, (rule.code, rule.column)


@pytest.mark.parametrize("suite", SUITES)
def test_suite_files_are_readable_in_a_diff(suite: str) -> None:
    path = get_settings().expectations / f"{suite}.json"
    text = path.read_text(encoding="utf-8")
    document = json.loads(text)
    assert document["name"] == suite
    assert "\\u" not in text
    assert text.endswith("}\n")
    for entry in document["expectations"]:
        assert set(entry) == {"type", "kwargs", "meta"}


@pytest.mark.parametrize("form", list(BASE))
def test_suites_name_only_columns_that_exist(form: str) -> None:
    reference = runner._reference()
    columns = set(HELPERS[form](typed(form, frame(form, {})), reference).columns)
    for rule in load_suite(form):
        assert set(runner._columns_of(rule)) | {rule.column} | set(rule.shows.values()) <= columns, rule.code


def test_a_suite_without_a_code_is_refused(tmp_path: Path) -> None:
    entry = {"type": "expect_column_values_to_be_between", "kwargs": {"column": "women"}, "meta": {}}
    (tmp_path / "bad.json").write_text(json.dumps({"name": "bad", "expectations": [entry]}), encoding="utf-8")
    with pytest.raises(runner.SuiteError, match="needs code and column"):
        load_suite("bad", tmp_path)


# ---------------------------------------------------------------------------------------------------- small parts


def test_county_names() -> None:
    forms = county_name_forms(["灵山县"], "钦州市")
    assert forms[0] == "灵山县"
    assert {"灵山", "钦州市灵山县", "钦州灵山县", "广西壮族自治区钦州市灵山县"} <= set(forms)


def test_county_cell() -> None:
    written = ["灵山", " 灵 山 县 ", "钦州市灵山县", "灵山县新圩镇", "灵川县", "本县"]
    found = each_alone("enterprise_status", [{"county": text} for text in written])
    assert [text for place, text in enumerate(written) if found[place]] == ["灵川县", "本县"]


def test_industry_wordings() -> None:
    names = industry_names()
    assert {names[text] for text in ("13", "C13", "农副食品加工业", "C13农副食品加工业", "糖")} == {"13"}
    assert "造船厂子" not in names


def test_size_class_needs_every_lower_limit() -> None:
    assert ruled_size_class("13", 300, 2000) == "中型"
    assert ruled_size_class("13", 300, 1999) == "小型"
    assert ruled_size_class("13", 19, 50_000) == "微型"
    assert ruled_size_class("13", 1000, 40_000) == "大型"
    assert ruled_size_class("01", float("nan"), 500) == "中型"
    assert ruled_size_class("47", 5000, 90_000) is None
    assert ruled_size_class(None, 5000, 90_000) is None
    assert ruled_size_class("13", float("nan"), 2000) is None


def test_readable() -> None:
    assert [readable(value) for value in (30.0, 0.5, 1234.567, None, float("nan"), True, date(2026, 3, 5), "铝")] == [
        "30",
        "0.5",
        "1234.57",
        "（空）",
        "（空）",
        "是",
        "2026-03-05",
        "铝",
    ]
    assert readable(pd.NaT) == "（空）"


def test_a_blank_county_among_filled_ones_is_not_judged() -> None:
    rows = frame("enterprise_status", {}, {"county": None})
    assert "R-CTY-001" not in {code for code, _ in codes(examine("enterprise_status", rows))}
