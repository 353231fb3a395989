"""目标进度, 通报, 存在问题: rules on rows that a person can judge."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal
from functools import lru_cache
from typing import Any

import pytest

from include.report.charts import chart
from include.report.figures import assemble, edition_figures, editions_of
from include.report.model import Edition, ReportFigures, edition_key
from include.report.wording import ChartBlock, Paragraph, blocks, cell_text, problems, report_title, table_note
from tests.report_rows import mart_rows

COUNTIES = [row["reporter_code"] for row in mart_rows().performance]
BAD = {"2026-04": set(COUNTIES[::2])}


@lru_cache(maxsize=2)
def reports(bad: bool = False) -> dict[str, ReportFigures]:
    """Every edition of April; in the bad month every second county sent nothing, and no enterprise of industry 17."""
    rows = mart_rows(absent=BAD if bad else None, late={COUNTIES[1]})
    if bad:
        kept = [row for row in rows.industries if row["industry_code"] != "17"]
        rows = replace(rows, industries=kept)
    chosen = editions_of(rows.submissions, "2026-04")
    return {edition_key(one.edition): one for one in edition_figures(rows, "2026-04", chosen)}


def text(figures: ReportFigures) -> str:
    return "\n".join(block.text for block in blocks(figures) if isinstance(block, Paragraph))


# -- 目标进度 --------------------------------------------------------------------------------------------------------


def lines(figures: ReportFigures) -> dict[str, list[str]]:
    table = figures.tables["target_progress"]
    return {cell_text(row.cells[0]): [cell_text(cell) for cell in row.cells[2:]] for row in table.rows}


def test_a_target_is_set_against_the_time_that_has_passed() -> None:
    found = lines(reports()["province"])
    # 1000 of 1250 working days are 80 %; 61250 of 100000 are 61.3 % (half up), 18.8 points behind (61.25 - 80).
    assert found["累计培训（八桂建工）"] == [
        "人次", "61,250", "100,000", "61.3%", "80.0%", "-18.8", "76,563", "落后时序进度",
    ]  # fmt: skip
    assert found["累计培训（八桂家政）"][3:] == ["84.0%", "80.0%", "4.0", "262,500", "达到时序进度"]
    assert found["带动就业创业"][1:] == ["612,000", "600,000", "102.0%", "80.0%", "22.0", "—", "已完成"]


def test_a_target_without_data_is_said_to_be_and_never_0() -> None:
    figures = reports()["province"]
    found = lines(figures)["自治区级劳务品牌专家工作室"]
    assert found == ["个", "未报送", "30", "未报送", "80.0%", "未报送", "未报送", "未报送"]
    assert "“未报送”指本期未报送" in table_note(figures.tables["target_progress"])
    written = text(figures)
    assert "承担的目标共5项：已完成1项、达到时序进度1项、落后时序进度2项、未报送1项。" in written
    assert "未报送进展的1项不作评价，也不以0代替。" in written
    assert "完成率居后的为自治区级劳务品牌龙头企业36.7%、累计培训（八桂建工）61.3%。" in written


def test_targets_of_which_none_is_reported_and_industries_of_which_none_is_known_draw_no_chart() -> None:
    rows = mart_rows()
    silent = {"done_value": None, "missing_reason": "not_reported", "is_scheduled": False, "status": "not_reported"}
    unknown = {"industry_code": "00", "industry_name": "未归类"}
    figures = assemble(
        replace(
            rows,
            targets=[one | silent | {"projected_value": None} for one in rows.targets],
            industries=[one | unknown for one in rows.industries if one["industry_code"] == "17"],
        ),
        "2026-04",
    )
    assert "各项目标的完成情况均未报送，不作评价，也不以0代替。" in text(figures)
    assert chart("target_progress", figures) is None and chart("shortage_industry", figures) is None
    drawn = {block.key for block in blocks(figures) if isinstance(block, ChartBlock)}
    assert "shortage_post" in drawn and not drawn & {"target_progress", "shortage_industry"}


def row(**changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in mart_rows().targets if one["target_id"] == "t1")
    return found | changes


@pytest.mark.parametrize(
    ("changes", "cells"),
    [
        # An upper bound: below it by less than time has passed is ahead.
        ({"bound": "max"}, ["61.3%", "80.0%", "18.8", "—", "落后时序进度"]),
        # A rate has no schedule; one that is missed is 未达到目标.
        (
            {"basis": "rate", "is_scheduled": False, "done_value": Decimal(97), "target_value": Decimal(98)},
            ["99.0%", "80.0%", "—", "—", "未达到目标"],
        ),
        # No due day: nothing to be set against.
        (
            {"window_working_days": None, "elapsed_working_days": None, "is_scheduled": False, "status": "no_window"},
            ["61.3%", "—", "—", "—", "未定期限"],
        ),
        (
            {"done_value": None, "missing_reason": "not_additive", "status": "not_reported"},
            ["不宜加总", "80.0%", "不宜加总", "不宜加总", "未报送"],
        ),
        (
            {"done_value": Decimal(0), "status": "behind"},
            ["0.0%", "80.0%", "-80.0", "—", "落后时序进度"],
        ),
    ],
)
def test_kinds_of_targets(changes: dict[str, Any], cells: list[str]) -> None:
    rows = replace(mart_rows(), targets=[row(**{"projected_value": None, **changes})])
    assert lines(assemble(rows, "2026-04"))["累计培训（八桂建工）"][3:] == cells


def test_a_place_prints_its_own_targets_and_those_of_the_places_in_it() -> None:
    found = reports()
    city = found["city.450100"]
    assert list(lines(city)) == ["指挥部月调度"]
    assert [cell_text(row.cells[0]) for row in city.tables["target_places"].rows] == ["宾阳县", "横州市"]
    assert "target_places" not in found["county.450126"].tables
    assert {key.split(".")[1] for key in found["county.450126"].figures if key.startswith("target.")} == {"450126"}
    everywhere = found["province"].tables["target_places"]
    assert len(everywhere.rows) == 14 + 20


# -- 通报 ------------------------------------------------------------------------------------------------------------


def ranks(figures: ReportFigures) -> list[tuple[str, str]]:
    return [(cell_text(row.cells[0]), cell_text(row.cells[2])) for row in figures.tables["ranking"].rows]


def performance(code: str, rank: int | None, ranked: int) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in mart_rows().performance if one["reporter_code"] == code)
    return found | {"rank": rank, "ranked_reporters": ranked}


def test_ties_share_a_rank_and_the_incomplete_have_none() -> None:
    rows = mart_rows(absent={"2026-04": {COUNTIES[4]}}, refused={COUNTIES[8]})
    told = {COUNTIES[0]: 1, COUNTIES[1]: 2, COUNTIES[2]: 2, COUNTIES[3]: 4, COUNTIES[4]: None, COUNTIES[8]: None}
    chosen = [performance(code, rank, 4) for code, rank in told.items()]
    figures = assemble(replace(rows, performance=chosen), "2026-04")
    assert [rank for rank, _ in ranks(figures)] == ["1", "2", "2", "4"]
    written = text(figures)
    assert "居前的为宾阳县、横州市、柳江区。" in written
    assert figures.figures["ranking.last_names"].value == ()  # of four nobody is singled out
    table = figures.tables["not_ranked"]
    assert [[cell_text(cell) for cell in row.cells[1:]] for row in table.rows] == [
        ["荔浦市", "3", "0", "0", "未报送"],
        ["钦南区", "3", "3", "2", "退回待重报"],
    ]
    assert "未参与排名的报送单位2个：荔浦市、钦南区。" in written


def test_one_ranking_for_all_of_which_each_place_prints_its_lines() -> None:
    found = reports()
    province = ranks(found["province"])
    assert len(province) == 20 and [int(rank) for rank, _ in province] == sorted(int(rank) for rank, _ in province)
    assert dict((name, rank) for rank, name in province)["横州市"] == "20"  # late
    assert "居后的为" in text(found["province"]) and "横州市。" in text(found["province"])
    assert set(ranks(found["city.450100"])) == {one for one in province if one[1] in ("宾阳县", "横州市")}
    assert "在全区参与排名的20个报送单位中列第20位。" in text(found["county.450181"])


# -- 存在问题和下一步工作 ---------------------------------------------------------------------------------------------


def test_every_problem_and_every_step_carries_a_figure() -> None:
    seen = 0
    for bad in (False, True):
        for figures in reports(bad).values():
            for part in ("problem", "step"):
                for at, said in enumerate(problems(figures, part), start=1):
                    number, _, words = said.partition(". ")
                    assert number == str(at) and re.search(r"\d", words), said
                    seen += 1
    assert seen > 100


def test_problems_follow_from_figures_and_steps_from_problems() -> None:
    good, bad = (reports(one)["province"] for one in (False, True))
    found = "".join(problems(bad, "problem"))
    assert "未报送单位10个：" in found and "只占应报送单位的50.0%" in found
    assert "督促未报送的10个单位补报" in "".join(problems(bad, "step"))
    assert "未报送单位" not in "".join(problems(good, "problem"))
    assert "迟报单位1个：横州市，及时率为95.0%。" in "".join(problems(good, "problem"))
    assert "落后时序进度的目标2项，完成率居后的为自治区级劳务品牌龙头企业36.7%、累计培训（八桂建工）61.3%。" in "".join(
        problems(good, "problem")
    )
    assert len(problems(good, "step")) <= len(problems(good, "problem"))


def test_a_month_without_anything_to_complain_of_has_no_such_section() -> None:
    rows = mart_rows()
    figures = assemble(
        replace(rows, targets=[], findings=[], alerts=[], performance=[], posts=[], persistent=[], training=[],
              subsidies=[], summary=[], trend=[], industries=[], submissions=[
                  row | {"is_first_pass": True} for row in rows.submissions]),
        "2026-04",
    )  # fmt: skip
    assert [said for said in problems(figures, "problem") if "覆盖" not in said] == []


# -- open findings, alerts -------------------------------------------------------------------------------------------


def test_open_findings_are_counted_by_reporter_and_code_and_listed_one_by_one() -> None:
    one = {"reporter_code": "450126", "county_code": "450126", "form": "enterprise_status", "rule": "数字以文本保存"}
    one |= {"sheet": "企业情况表", "source_row": 10, "cell": "I10", "code": "W-VAL-020", "severity": "W"}
    found = [
        one | {"further_findings": 500},
        one | {"source_row": 11, "cell": "I11", "further_findings": 0},
        one | {"code": "E-HDR-001", "severity": "E", "rule": "找不到表头", "cell": None, "source_row": None}
        | {"further_findings": 0},
    ]  # fmt: skip
    rows = replace(mart_rows(), findings=found)
    figures = assemble(rows, "2026-04")
    table = figures.tables["open_findings"]
    assert [[cell_text(cell) for cell in row.cells] for row in table.rows] == [
        ["南宁市", "宾阳县", "企业情况表", "退回", "E-HDR-001", "找不到表头", "1"],
        ["南宁市", "宾阳县", "企业情况表", "提示", "W-VAL-020", "数字以文本保存", "502"],
    ]
    assert [row.cells[-1] for row in figures.tables["open_findings_detail"].rows] == ["", "I10", "I11"]
    assert figures.figures["findings.open"].value == 503 and figures.figures["findings.not_listed"].value == 500
    other = next(edition_figures(rows, "2026-04", [Edition("county", "450721", "灵山县", "450721")]))
    assert "open_findings" not in other.tables and other.figures["findings.open"].value == 0


def test_alerts_are_counted_by_kind_and_a_missing_ledger_is_no_clean_one() -> None:
    figures = reports()["province"]
    # review_working_days: every third of 20 counties, 1 or 2 each: places 0, 3, 6 ... 18 -> 1 2 1 2 1 2 1.
    assert figures.figures["alert.review_working_days.alert.alerts"].value == 10
    assert "“受理到审核完成不超过30个工作日”10条" in text(figures)
    empty = assemble(replace(mart_rows(), alerts=[], subsidies=[]), "2026-04")
    assert "alerts.alert" not in empty.figures and "未发现预警" not in text(empty)
    clean = assemble(replace(mart_rows(), alerts=[]), "2026-04")
    assert "按补贴政策核查，未发现预警。" in text(clean)


def test_a_rate_of_execution_stands_only_where_there_is_a_budget() -> None:
    assert "subsidy_execution" not in reports()["province"].tables
    one = {
        "region_code": "450000",
        "fund": "就业补助资金",
        "item_code": "a",
        "item": "甲",
        "paid_year_yuan": Decimal(30),
    }
    budgets = [
        one | {"budget_yuan": Decimal(100)},
        one | {"item_code": "b", "item": "乙", "budget_yuan": Decimal(50), "paid_year_yuan": None},
        one | {"region_code": "450100", "budget_yuan": Decimal(7)},
    ]
    figures = assemble(replace(mart_rows(), budgets=budgets), "2026-04")
    assert [[cell_text(cell) for cell in row.cells[1:]] for row in figures.tables["subsidy_execution"].rows] == [
        ["甲", "100.00", "30.00", "30.0%"],
        ["乙", "50.00", "—", "—"],
        ["合计", "150.00", "30.00", "20.0%"],
    ]
    assert "为预算0.02万元的20.0%" in text(figures)


# -- a bad month -----------------------------------------------------------------------------------------------------


def test_a_bad_month_invents_nothing_in_any_edition() -> None:
    for key, figures in reports(True).items():
        written = text(figures)
        assert not re.search(r"(缺工|职工总数|产业工人|企业|需求|拨付|申领)0", written), (key, report_title(figures))
        if key.startswith("county.") and figures.edition.region_code in BAD["2026-04"]:
            assert figures.figures["region.shortage_now"].value is None
            assert "ranking" not in figures.tables and "未参与排名" in written
            assert "training_type" not in figures.tables and "subsidy_fund" not in figures.tables
        assert "industry.17.shortage_now" not in figures.figures and "纺织业" not in written


# -- 同比 ------------------------------------------------------------------------------------------------------------


def test_the_month_a_year_ago_is_compared_where_it_is_there() -> None:
    rows = mart_rows()
    columns = {
        f"lfl_{kind}_{measure}_persons": value
        for measure in ("headcount", "workers", "skilled", "high_skilled", "shortage_now")
        for kind, value in (("yoy", 110), ("year_ago", 100))
    }
    summary = [row | columns | {"lfl_yoy_reporters": 1} for row in rows.summary]
    figures = assemble(replace(rows, summary=summary), "2026-04")
    assert figures.figures["region.headcount.change_yoy"].value == Decimal("0.1")
    assert "职工总数同比增长10.0%，产业工人同比增长10.0%" in text(figures)
    assert [cell_text(cell) for cell in figures.tables["year_on_year"].rows[0].cells] == [
        "职工总数",
        "110",
        "100",
        "10.0%",
    ]
    without = reports()["province"]
    assert "year_on_year" not in without.tables and "同比" not in text(without)
