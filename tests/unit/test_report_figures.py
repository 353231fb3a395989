"""Figures of a province small enough to check by hand: two reporters, one of which sent nothing last month or this."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from include.report.figures import MartRows, NoSuchPeriod, assemble, shift_period
from include.report.model import Figure, ReportFigures, Row
from include.report.wording import Paragraph, blocks, cell_text

SKILLS = ("junior", "intermediate", "senior", "technician", "senior_technician", "master", "chief")
RECEIVED = datetime(2026, 4, 8, 8, 5, tzinfo=UTC)


def submission(
    code: str, name: str, *, received: bool, accepted: bool, on_time: bool = True, form: str = "enterprise_status"
) -> dict[str, Any]:
    return {
        "reporter_code": code,
        "reporter_name": name,
        "county_code": code,
        "city_code": code[:4] + "00",
        "city_name": {"4501": "南宁市", "4507": "钦州市"}[code[:4]],
        "pilot_level": "市级试点",
        "form": form,
        "is_expected": True,
        "is_received": received,
        "is_on_time": received and on_time,
        "is_accepted": accepted,
        "is_first_pass": accepted,
        "accepted_at": RECEIVED if accepted else None,
        "findings_e": 0 if received else None,
        "findings_r": 1 if received else None,
        "findings_w": 2 if received else None,
        "is_sample": received,
    }


def summary(code: str, **measures: int | None) -> dict[str, Any]:
    row: dict[str, Any] = {"region_code": code, "expected_reporters": 1, "covered_reporters": 1, "lfl_reporters": 1}
    names = [
        "headcount",
        "workers",
        "skilled",
        "high_skilled",
        "shortage_now",
        "shortage_expansion",
        "hired",
        "leavers",
    ]
    for name in names + [f"skill_{level}" for level in SKILLS]:
        row |= {
            f"{name}_persons": 0,
            f"lfl_{name}_persons": 0,
            f"lfl_previous_{name}_persons": 0,
            f"previous_{name}_persons": 0,
        }
    row |= {"enterprises": 2, "short_enterprises": 1, "lfl_previous_enterprises": 2, "previous_enterprises": 4}
    return row | measures


def small(**changes: Any) -> ReportFigures:
    """宾阳县 sent: 400 heads, 100 short (80 last month); 灵山县 sent nothing this month, 500 heads last month."""
    here = {
        "headcount_persons": 400,
        "workers_persons": 300,
        "skilled_persons": 100,
        "high_skilled_persons": 25,
        "skill_junior_persons": 75,
        "skill_senior_persons": 25,
        "shortage_now_persons": 100,
        "hired_persons": 10,
        "leavers_persons": 4,
        "shortage_expansion_persons": 60,
        "lfl_headcount_persons": 400,
        "lfl_previous_headcount_persons": 320,
        "lfl_shortage_now_persons": 100,
        "lfl_previous_shortage_now_persons": 80,
        "lfl_skilled_persons": 100,
        "lfl_previous_skilled_persons": 100,
        "lfl_high_skilled_persons": 25,
        "lfl_previous_high_skilled_persons": 20,
        "previous_headcount_persons": 820,
        "previous_shortage_now_persons": 200,
    }
    province = summary("450000", **here) | {"expected_reporters": 2}
    nothing = {name: None for name in summary("450721") if name.endswith(("_persons", "enterprises"))}
    absent = summary("450721", **nothing) | {"covered_reporters": 0, "lfl_reporters": 0}
    content: dict[str, Any] = {
        "submissions": [
            submission("450126", "宾阳县", received=True, accepted=True, on_time=False),
            submission("450721", "灵山县", received=False, accepted=False),
        ],
        "summary": [
            province,
            summary("450100", **here),
            summary("450126", **here),
            absent,
            absent | {"region_code": "450700"},
        ],
        "trend": [
            {
                "region_code": "450000",
                "period": "2026-03",
                "shortage_now_persons": 100,
                "headcount_persons": 400,
                "covered_reporters": 1,
                "expected_reporters": 2,
            }
        ],
        "industries": [],
        "sizes": [],
        "persistent": [],
        "posts": [],
        "training": [],
        "subsidies": [],
        "alerts": [],
        "budgets": [],
        "targets": [],
        "performance": [],
        "findings": [],
        "definitions": [],
    }
    return assemble(MartRows(**(content | changes)), "2026-03")


def value(figures: ReportFigures, key: str) -> Any:
    return figures.figures[key].value


def test_the_figures_a_person_can_compute() -> None:
    figures = small()
    assert value(figures, "region.shortage_rate") == Decimal("0.2")  # 100 / (400 + 100)
    assert value(figures, "region.short_enterprise_share") == Decimal("0.5")
    assert value(figures, "region.high_skilled_share") == Decimal("0.25")
    assert value(figures, "region.workers_share") == Decimal("0.75")
    assert value(figures, "region.net_hired") == 6
    # Like for like (100 - 80) / 80; plain (100 - 200) / 200, because 灵山县 was in last month's total.
    assert value(figures, "region.shortage_now.change_lfl") == Decimal("0.25")
    assert value(figures, "region.shortage_now.change_plain") == Decimal("-0.5")
    # 20 % now, 80 / (320 + 80) = 20 % last month; 25 % of the skilled now, 20 % last month.
    assert value(figures, "region.shortage_rate.points_lfl") == 0
    assert value(figures, "region.high_skilled_share.points_lfl") == Decimal("0.05")
    assert value(figures, "reporting.headcount_coverage") == Decimal(320) / Decimal(820)


def test_reporting_counts_come_from_what_was_expected() -> None:
    figures = small()
    assert [value(figures, f"reporting.{name}_forms") for name in ("expected", "received", "on_time", "accepted")] == [
        2,
        1,
        0,
        1,
    ]
    assert value(figures, "reporting.received_rate") == Decimal("0.5")
    assert value(figures, "reporting.on_time_rate") == 0
    assert value(figures, "reporting.first_pass_rate") == 1
    assert value(figures, "reporting.late_names") == ("宾阳县",)
    assert value(figures, "reporting.absent_names") == ("灵山县",)
    assert value(figures, "reporting.refused_names") == ()
    assert figures.is_sample
    assert figures.data_cutoff == RECEIVED


def test_a_county_without_data_has_no_figures_but_a_reason() -> None:
    figures = small()
    for measure in ("enterprises", "headcount", "shortage_now", "shortage_rate", "shortage_expansion"):
        assert value(figures, f"county.450721.{measure}") is None
        assert figures.figures[f"county.450721.{measure}"].absence == "not_received"
    assert figures.figures["reporter.450721.findings_e"].absence == "not_received"


def test_last_month_zero_and_last_month_missing_are_told_apart() -> None:
    base = small()
    zero = dict(summary=[summary("450000", headcount_persons=10, shortage_now_persons=5, lfl_shortage_now_persons=5)])
    figures = small(**zero)
    assert figures.figures["region.shortage_now.change_lfl"].absence == "previous_zero"
    none = {f"{kind}shortage_now_persons": None for kind in ("lfl_", "lfl_previous_", "previous_")}
    figures = small(summary=[summary("450000", **none) | {"lfl_reporters": 0}])
    assert figures.figures["region.shortage_now.change_lfl"].absence == "previous_missing"
    assert figures.figures["region.shortage_now.change_plain"].absence == "previous_missing"
    assert base.figures["region.shortage_now.change_lfl"].absence is None


def test_persistence_needs_three_months_on_file() -> None:
    figures = small()
    assert figures.figures["region.persistently_short_enterprises"].absence == "previous_missing"
    assert "shortage_persistent" not in figures.tables
    months = [
        {
            "region_code": "450000",
            "period": period,
            "shortage_now_persons": 100,
            "headcount_persons": 400,
            "covered_reporters": 1,
            "expected_reporters": 2,
        }
        for period in ("2026-01", "2026-02", "2026-03")
    ]
    one = {
        "county_code": "450126",
        "city_code": "450100",
        "short_enterprises": 1,
        "persistently_short_enterprises": 1,
        "persistent_shortage_persons": 100,
    }
    figures = small(trend=months, persistent=[one])
    assert value(figures, "region.persistently_short_enterprises") == 1
    assert value(figures, "region.persistent_shortage") == 100
    assert value(figures, "region.persistent_share") == 1


def industry(code: str, short: int, **more: Any) -> dict[str, Any]:
    return {
        "industry_code": code,
        "industry_name": f"行业{code}",
        "enterprises": 1,
        "short_enterprises": 1,
        "headcount_persons": 90,
        "shortage_now_persons": Decimal(short),
        "shortage_expansion_persons": 0,
        "lfl_shortage_now_persons": short,
        "lfl_previous_shortage_now_persons": 0,
    } | more


def test_industries_are_ranked_and_the_unclassified_is_not() -> None:
    figures = small(industries=[industry("13", 10), industry("00", 50), industry("39", 10), industry("14", 0)])
    rows = figures.tables["shortage_industry"].rows
    assert [(cell_text(row.cells[0]), row.cells[1]) for row in rows] == [
        ("1", "行业13"),
        ("2", "行业39"),
        ("—", "行业00"),
        ("—", "行业14"),
    ]
    assert value(figures, "industry.13.shortage_rate") == Decimal("0.1")
    text = "".join(block.text for block in blocks(figures) if isinstance(block, Paragraph))
    assert "缺工人数居前的为行业1310人、行业3910人。" in text


def claim(fund: str, item: str, paid: str | None, claims: int = 3) -> dict[str, Any]:
    amount = None if paid is None else Decimal(paid)
    return {
        "fund": fund,
        "item_code": item,
        "item": f"补贴{item}",
        "claims": Decimal(claims),
        "applied_yuan": amount,
        "approved_yuan": amount,
        "advanced_yuan": None,
        "paid_yuan": amount,
        "over_limit_claims": 0,
    }


def test_subsidies_add_up_by_fund_and_item_and_a_blank_stays_blank() -> None:
    figures = small(subsidies=[claim("甲", "a", "10.10"), claim("甲", "b", None), claim("乙", "a", "0.05")])
    assert value(figures, "subsidy.paid") == Decimal("10.15")
    assert value(figures, "subsidy_fund.甲.paid") == Decimal("10.10")
    assert value(figures, "subsidy_item.a.paid") == Decimal("10.15")
    assert value(figures, "subsidy_item.b.paid") is None
    assert value(figures, "subsidy.advanced") is None
    assert value(figures, "subsidy.claims") == 9


def test_training_delivered_against_needed() -> None:
    rows = [
        {
            "occupation_code": "6-31-01-03",
            "occupation_name": "电工",
            "training_level": level,
            "training_type": "岗前培训",
            "needed_persons": needed,
            "needed_subsidised_persons": None,
            "delivered_persons": done,
            "needed_both_persons": both,
            "delivered_both_persons": done,
        }
        # of the 30 needed at 高级工, 10 are of counties without a ledger
        for level, needed, both, done in (("高级工", 30, 20, 6), ("初级工", 10, 10, 6), (None, 0, 0, 0))
    ]
    figures = small(training=rows)
    assert value(figures, "training.needed") == 40
    assert value(figures, "training.delivered") == 12
    assert value(figures, "training.delivered_share") == Decimal("0.4")
    assert value(figures, "training.needed_subsidised") is None
    levels = [cell_text(row.cells[0]) for row in figures.tables["training_level"].rows]
    assert levels == ["初级工", "高级工", "未填报", "合计"]
    assert figures.figures["training_level.unstated.delivered_share"].value is None


def test_no_expected_report_is_an_error() -> None:
    with pytest.raises(NoSuchPeriod, match="2026-03"):
        small(submissions=[])


def test_periods_shift_over_years() -> None:
    assert shift_period("2026-01", -1) == "2025-12"
    assert shift_period("2026-12", 1) == "2027-01"
    assert shift_period("2026-04", -13) == "2025-03"


def test_figures_are_frozen_and_keys_are_unique() -> None:
    figures = small()
    with pytest.raises(TypeError):
        figures.figures["x"] = Figure("x", 1, "persons")  # type: ignore[index]
    for key, figure in figures.figures.items():
        assert figure.key == key
    assert all(isinstance(row, Row) for table in figures.tables.values() for row in table.rows)
