"""Comparing printed and recomputed figures, without a database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from include.report.model import Absence, Edition, Figure, FigureValue, ReportFigures, Unit
from include.report.reconcile import Mismatch, Recomputed, ReconciliationFailed, compare


def printed(*figures: Figure) -> ReportFigures:
    return ReportFigures(
        "2026-04",
        "2026-03",
        Edition("province", "450000", "广西"),
        {one.key: one for one in figures},
        {},
        (),
        is_sample=True,
        data_cutoff=None,
    )


def figure(value: FigureValue, unit: Unit = "persons", absence: Absence | None = None) -> Figure:
    return Figure("region.x", value, unit, absence)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (figure(7), Recomputed(Decimal(7))),
        # 5.249 % and 5.2451 % both print 5.2 %.
        (figure(Decimal("0.05249"), "rate"), Recomputed(Decimal("0.052451"))),
        (figure(Decimal("10.10"), "yuan"), Recomputed(Decimal("10.1"))),
        (figure(("甲", "乙"), "names"), Recomputed(("甲", "乙"))),
        (figure(None, "persons", "not_received"), Recomputed(None)),
        (figure(None, "change", "previous_zero"), Recomputed(None, "previous_zero")),
        (
            figure(datetime(2026, 5, 8, 4, 36, 12, tzinfo=UTC), "instant"),
            Recomputed(datetime(2026, 5, 8, 12, 36, 12, tzinfo=timezone(timedelta(hours=8)))),
        ),
    ],
)
def test_what_prints_the_same_agrees(one: Figure, other: Recomputed) -> None:
    result = compare(printed(one), {one.key: other})
    assert (result.checked, result.mismatches) == (1, ())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (figure(8), Recomputed(Decimal(7))),
        (figure(Decimal("0.0525"), "rate"), Recomputed(Decimal("0.0524"))),
        (figure(Decimal("10.10"), "yuan"), Recomputed(Decimal("10.11"))),
        (figure(("甲", "乙"), "names"), Recomputed(("乙", "甲"))),
        (figure(None, "persons", "not_received"), Recomputed(Decimal(0))),
        (figure(0), Recomputed(None)),
        (figure(None, "change", "previous_zero"), Recomputed(None, "previous_missing")),
    ],
)
def test_what_prints_otherwise_is_found(one: Figure, other: Recomputed) -> None:
    result = compare(printed(one), {one.key: other})
    assert [mismatch.key for mismatch in result.mismatches] == ["region.x"]


def test_an_industry_that_the_report_leaves_out_is_found() -> None:
    result = compare(
        printed(figure(1)), {"region.x": Recomputed(1), "industry.13.shortage_now": Recomputed(Decimal(4))}
    )
    assert result.mismatches == (Mismatch("industry.13.shortage_now", None, Decimal(4)),)


def test_the_error_names_the_figure_and_both_values() -> None:
    result = compare(printed(figure(8)), {"region.x": Recomputed(Decimal(7))})
    fine = Edition("city", "450100", "南宁市")
    wrong = Edition("county", "450126", "宾阳县", "450126")
    error = ReconciliationFailed("2026-04", {fine: compare(printed(figure(7)), {}), wrong: result})
    assert list(error.results) == [fine, wrong]
    error = ReconciliationFailed(
        "2026-04", {fine: compare(printed(figure(7)), {"region.x": Recomputed(7)}), wrong: result}
    )
    assert list(error.results) == [wrong]
    message = str(error)
    assert "1 of 2 figures differ in 1 of 2 reports" in message and "Rebuild the marts of 2026-04" in message
    assert "宾阳县 region.x: printed 8, recomputed 7" in message
