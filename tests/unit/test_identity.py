"""Whose file, which month: the sheet, the name and the folder must not contradict each other."""

from datetime import date, datetime

import pytest

from include.intake.identity import (
    evidence_of_folder,
    evidence_of_frame,
    evidence_of_meta,
    evidence_of_name,
    find_period,
    find_reporters,
    identify,
)
from tests.unit.sheets import REPORTERS, codes, reporter


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2026年10月", ("2026-10", 10)),
        ("2026-03", ("2026-03", 3)),
        ("202603", ("2026-03", 3)),
        ("２０２６年３月份", ("2026-03", 3)),
        ("二〇二六年十一月", ("2026-11", 11)),
        ("灵山县企业情况表（10月）", (None, 10)),
        ("2026年1-3月", (None, None)),
        ("2026年11月3日", (None, None)),
        ("20261103报送", (None, None)),
        ("企业情况表", (None, None)),
        ("2026.10", ("2026-10", 10)),
    ],
)
def test_find_period(text: str, found: tuple[str | None, int | None]) -> None:
    assert find_period(text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("灵山县人力资源和社会保障局", ("450721",)),
        ("钦州市灵山县", ("450721",)),
        ("灵山企业情况表（10月）", ("450721",)),
        ("灵山 县", ("450721",)),
        ("东兴市", ("450681",)),
        ("东兴路商会", ()),
        ("容县", ("450921",)),
        ("企业情况表-最终版(2)", ()),
    ],
)
def test_find_reporters(text: str, found: tuple[str, ...]) -> None:
    assert find_reporters(text, REPORTERS) == found


def test_human_resources_are_no_county() -> None:
    """资源县 stands inside 人力资源县级中心, where nobody means it."""
    ziyuan = reporter("450329", "资源县", "450300", "桂林市")
    assert find_reporters("灵山县人力资源县级中心", (*REPORTERS, ziyuan)) == ("450721",)
    assert find_reporters("资源县人力资源和社会保障局", (*REPORTERS, ziyuan)) == ("450329",)


def test_second_row_in_one_cell_and_in_several() -> None:
    one = [["填报单位（盖章）：灵山县人社局 填报时间：2026年11月3日 报告期：2026年10月 单位：人、元"]]
    several = [
        ["填报单位（盖章）：", "灵山县人社局", "", "填报时间：", datetime(2026, 11, 3), "报告期：", "2026年10月"]
    ]
    for rows in (one, several):
        evidence = evidence_of_frame(rows, REPORTERS, "Sheet1")
        assert (evidence.period, evidence.reporters, evidence.filled_on) == ("2026-10", ("450721",), date(2026, 11, 3))


def test_period_and_county_in_the_title() -> None:
    evidence = evidence_of_frame([["2026年10月灵山县企业情况表"]], REPORTERS, "Sheet1")
    assert (evidence.period, evidence.reporters) == ("2026-10", ("450721",))


def test_meta_sheet() -> None:
    rows = [["form", "enterprise_status"], ["version", "2026.1"], ["county_code", 450721.0], ["period", "2026-10"]]
    evidence = evidence_of_meta(rows, REPORTERS)
    assert (evidence.period, evidence.reporters) == ("2026-10", ("450721",))


def test_everything_agrees() -> None:
    identity = identify(
        [
            evidence_of_frame([["灵山县企业情况表", "报告期：2026年10月"]], REPORTERS, "Sheet1"),
            evidence_of_name("灵山县企业情况表（10月）.xls", REPORTERS),
            evidence_of_folder("2026-10/灵山县", REPORTERS),
        ],
        REPORTERS,
        "灵山县企业情况表（10月）.xls",
    )
    assert (identity.period, identity.reporter_code, identity.findings) == ("2026-10", "450721", [])


def test_two_periods_are_both_named() -> None:
    identity = identify(
        [
            evidence_of_frame([["灵山县企业情况表", "报告期：2026年9月"]], REPORTERS, "表1"),
            evidence_of_folder("2026-10/灵山县", REPORTERS),
        ],
        REPORTERS,
        "a.xlsx",
    )
    (finding,) = identity.findings
    assert finding.code == "E-IDN-002" and identity.period is None
    assert "2026年9月" in finding.message_zh and "2026年10月" in finding.message_zh


def test_month_in_the_file_name_only_confirms() -> None:
    frame = evidence_of_frame([["灵山县企业情况表", "报告期：2026年9月"]], REPORTERS, "表1")
    identity = identify([frame, evidence_of_name("灵山县（10月）.xls", REPORTERS)], REPORTERS, "灵山县（10月）.xls")
    assert codes(identity.findings) == ["E-IDN-002"]


def test_month_without_a_year_needs_the_day_of_filling_in() -> None:
    name = evidence_of_name("灵山县企业情况表（12月）.xls", REPORTERS)
    assert codes(identify([name], REPORTERS, "x").findings) == ["E-IDN-001"]
    frame = evidence_of_frame([["填报时间：2027年1月4日"]], REPORTERS, "表1")
    assert identify([frame, name], REPORTERS, "x").period == "2026-12"


def test_two_counties_are_both_named() -> None:
    identity = identify(
        [
            evidence_of_frame([["填报单位：灵山县人社局"]], REPORTERS, "表1"),
            evidence_of_folder("2026-10/东兴市", REPORTERS),
        ],
        REPORTERS,
        "a.xlsx",
    )
    (finding,) = identity.findings
    assert finding.code == "E-IDN-004" and "灵山县" in finding.message_zh and "东兴市" in finding.message_zh


def test_a_county_not_in_the_list() -> None:
    frame = evidence_of_frame([["填报单位：大新县人社局", "报告期：2026年10月"]], REPORTERS, "表1")
    (finding,) = identify([frame], REPORTERS, "a.xlsx").findings
    assert finding.code == "E-IDN-005" and "大新县" in finding.message_zh


def test_nothing_known() -> None:
    assert codes(identify([evidence_of_name("附件1.xlsx", REPORTERS)], REPORTERS, "附件1.xlsx").findings) == [
        "E-IDN-001",
        "E-IDN-003",
    ]


def test_unit_without_a_place_is_no_contradiction() -> None:
    frame = evidence_of_frame([["填报单位（盖章）：人力资源和社会保障局", "报告期：2026年10月"]], REPORTERS, "表1")
    assert identify([frame, evidence_of_folder("灵山县", REPORTERS)], REPORTERS, "a.xlsx").reporter_code == "450721"
