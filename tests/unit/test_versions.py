"""Two versions of a report, compared by hand."""

from __future__ import annotations

from decimal import Decimal

import pandas as pd

from include.forms.model import load_forms
from include.ledger.versions import DIFFERENCES_KEPT, compare, row_identities

FORM = load_forms()["enterprise_status"]
CLAIMS = load_forms()["subsidy_payment"]
LAYOUT = {"Sheet1": {"uscc": (2, "统一社会信用代码"), "headcount": (12, "合计"), "wage_general": (34, "普工")}}


def frame(*rows: dict[str, object]) -> pd.DataFrame:
    full = [{"sheet": "Sheet1", "source_row": 5 + place} | row for place, row in enumerate(rows)]
    return pd.DataFrame(full).astype(object)


def test_a_changed_cell_names_both_places_and_values() -> None:
    before = frame({"uscc": "A", "enterprise_name": "甲", "headcount": 100}, {"uscc": "B", "headcount": 50})
    after = frame({"uscc": "B", "headcount": 50}, {"uscc": "A", "enterprise_name": "甲", "headcount": 120})
    found = compare(FORM, before, LAYOUT, after, LAYOUT)
    assert (found.rows_added, found.rows_removed, found.cells_changed) == (0, 0, 1)
    [one] = found.differences
    assert (one.change, one.column, one.row_label) == ("changed", "headcount", "甲 A")
    assert (one.cell_before, one.value_before, one.cell_after, one.value_after) == ("M5", "100", "M6", "120")
    assert found.summary_zh == "改动1格，增加0行，减少0行"


def test_equal_values_stored_otherwise_are_no_difference() -> None:
    before = frame({"uscc": "A", "headcount": 100, "wage_general": Decimal("3800.00"), "is_key": True})
    after = frame({"uscc": "A", "headcount": 100.0, "wage_general": 3800.0, "is_key": True})
    found = compare(FORM, before, LAYOUT, after, LAYOUT)
    assert found.is_same and found.summary_zh == "内容与上一版相同"


def test_a_blank_that_became_zero_is_a_difference() -> None:
    found = compare(FORM, frame({"uscc": "A", "headcount": None}), LAYOUT, frame({"uscc": "A", "headcount": 0}), LAYOUT)
    [one] = found.differences
    assert (one.value_before, one.value_after) == (None, "0")


def test_rows_more_and_less_are_told_apart_by_their_key() -> None:
    before = frame({"uscc": "A", "headcount": 1}, {"uscc": "B", "headcount": 2})
    after = frame({"uscc": "A", "headcount": 1}, {"uscc": "C", "headcount": 2})
    found = compare(FORM, before, LAYOUT, after, LAYOUT)
    assert (found.rows_added, found.rows_removed, found.cells_changed) == (1, 1, 0)
    assert {(one.change, one.row_label) for one in found.differences} == {("added", "C"), ("removed", "B")}


def test_rows_without_a_key_are_known_by_their_place_and_doubled_keys_by_their_order() -> None:
    rows = frame({"uscc": None, "headcount": 1}, {"uscc": "A", "headcount": 2}, {"uscc": "A", "headcount": 3})
    assert row_identities(FORM, rows) == {("Sheet1", 6): "A", ("Sheet1", 7): "A #2"}
    changed = rows.copy()
    changed.loc[2, "headcount"] = 4
    assert compare(FORM, rows, LAYOUT, changed, LAYOUT).cells_changed == 1


def test_detail_is_capped_and_the_count_is_not() -> None:
    many = DIFFERENCES_KEPT + 5
    before = frame(*({"uscc": f"{n}", "headcount": 1} for n in range(many)))
    after = frame(*({"uscc": f"{n}", "headcount": 2} for n in range(many)))
    found = compare(FORM, before, LAYOUT, after, LAYOUT)
    assert (found.cells_changed, len(found.differences)) == (many, DIFFERENCES_KEPT)


def test_lines_of_one_wide_row_are_compared_each_with_its_own_cell() -> None:
    layout = {"Sheet1": {"payee_name": (1, "申领单位"), "paid:E": (4, "培训补贴"), "paid:F": (5, "鉴定补贴")}}
    row = {"source_row": 5, "payee_name": "演示公司"}
    before = frame(
        row | {"item": "培训补贴", "source_column": "E", "paid": 500},
        row | {"item": "鉴定补贴", "source_column": "F", "paid": 80},
    )
    after = before.copy()
    after.loc[1, "paid"] = 90
    [one] = compare(CLAIMS, before, layout, after, layout).differences
    assert (one.column, one.cell_after, one.value_before, one.value_after) == ("paid", "F5", "80", "90")
