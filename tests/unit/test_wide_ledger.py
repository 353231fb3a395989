"""The subsidy ledger with one amount column per item: every amount becomes a line, nothing is guessed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import pytest

from include.forms.model import FormError, load_forms, parse_form
from include.intake.headers import AmountHeader, header_index, match_amount
from include.intake.reading import FormTable
from include.quality.runner import examine
from tests.unit.sheets import CLAIM, Layout, codes, lay_out, only_table, to_xls, to_xlsx

FIXED = ("序号", "资金来源", "申领单位", "姓名", "状态")
TRAINING, ASSESSMENT = "职业培训补贴", "技能鉴定补贴"


def wide(
    groups: Sequence[tuple[str | None, Sequence[str]]],
    rows: Sequence[Sequence[Any]],
    *,
    fixed: Sequence[str] = FIXED,
    frame: str = "报告期：2026年10月",
) -> Layout:
    """A ledger whose fixed columns are followed by groups of amount columns; a row gives the amounts from left to right
    (header in rows 3 and 4, data from row 5; with five fixed columns the first amount stands in column F)."""
    layout = Layout()
    layout.cells[0, 0] = "灵山县补贴资金发放台账"
    layout.cells[1, 0] = frame
    for column, text in enumerate(fixed):
        layout.cells[2, column] = text
        layout.merges.append((2, column, 3, column))
    column = len(fixed)
    for group, leaves in groups:
        for offset, leaf in enumerate(leaves):
            layout.cells[3 if group else 2, column + offset] = leaf
            if group is None:
                layout.merges.append((2, column + offset, 3, column + offset))
        if group:
            layout.cells[2, column] = group
            if len(leaves) > 1:
                layout.merges.append((2, column, 2, column + len(leaves) - 1))
        column += len(leaves)
    known: Mapping[str, Any] = {"资金来源": "就业补助资金", "申领单位": "灵山糖业有限公司", "状态": "已拨付"}
    for number, amounts in enumerate(rows):
        values = [number + 1 if text == "序号" else known.get(text) for text in fixed]
        for place, value in enumerate((*values, *amounts)):
            if value is not None:
                layout.cells[4 + number, place] = value
    return layout


def lines(table: FormTable, measure: str = "paid") -> list[tuple[int, str, str | None, float | None]]:
    """(row of the sheet, letter of the column, item, amount) of every line."""
    columns = table.columns
    return list(zip(table.source_rows, table.source_columns, columns["item"], columns[measure], strict=True))


@pytest.mark.parametrize("write", [to_xlsx, to_xls])
def test_every_amount_becomes_a_line(write: Any) -> None:
    rows = [[1500.0, None, 300.5], [None, 800.0, None]]
    table = only_table(write(wide([("拨付金额（元）", [TRAINING, ASSESSMENT, "技能提升补贴"])], rows)))
    assert lines(table) == [
        (5, "F", TRAINING, 1500.0),
        (5, "H", "技能提升补贴", 300.5),
        (6, "G", ASSESSMENT, 800.0),
    ]
    assert table.columns["applied"] == [None, None, None]
    assert table.columns["payee_name"] == ["灵山糖业有限公司"] * 3 and table.columns["seq"] == [1, 1, 2]
    assert table.sheet_of_row == ["Sheet1"] * 3 and table.refused is False
    # that no amount was applied for is said once; the other optional columns of the template are missing as usual
    assert [finding.column for finding in table.findings if finding.code == "W-WID-002"] == ["applied"]
    assert {finding.code for finding in table.findings} == {"W-WID-002", "W-HDR-002"}
    missing = {finding.column for finding in table.findings if finding.code == "W-HDR-002"}
    assert "approved" in missing and missing.isdisjoint({"item", "paid", "applied"})
    # 5 fixed and 3 amount columns over 2 rows; filled: 4 fixed each (no name) and 3 amounts
    assert (table.cells_read, table.cells_filled) == (16, 11)


def test_the_places_of_a_line_are_known_by_its_column() -> None:
    table = only_table(to_xlsx(wide([("拨付金额", [TRAINING, ASSESSMENT])], [[1.0, 2.0]])))
    layout = table.layout["Sheet1"]
    assert layout["paid:F"] == (5, "拨付金额/职业培训补贴") and layout["paid:G"] == (6, "拨付金额/技能鉴定补贴")
    assert layout["item:G"] == (6, "拨付金额/技能鉴定补贴") and layout["payee_name"] == (2, "申领单位")
    assert "paid" not in layout and "item" not in layout


def test_a_single_header_row_of_items_is_read_as_paid_and_said() -> None:
    layout = wide([(None, [TRAINING, ASSESSMENT, "合计"])], [[10.0, 20.0, 30.0], [None, 5.0, 6.0]])
    table = only_table(to_xlsx(layout))
    assert lines(table) == [(5, "F", TRAINING, 10.0), (5, "G", ASSESSMENT, 20.0), (6, "G", ASSESSMENT, 5.0)]
    (said,) = [finding for finding in table.findings if finding.code == "W-WID-003"]
    assert "“职业培训补贴”、“技能鉴定补贴”" in said.message_zh and "已按“拨付金额”读取" in said.message_zh
    (wrong,) = [finding for finding in table.findings if finding.code == "W-TOT-003"]
    assert (wrong.cell, wrong.value) == ("H6", "6") and "各项目金额相加为 5" in wrong.message_zh


@pytest.mark.parametrize(
    ("group", "measure", "stated"),
    [("申请金额（元）", "applied", True), ("审核金额", "approved", True), ("预支金额", "advanced", True),
     ("发放金额", "paid", True), ("补贴金额", "paid", False)],
)  # fmt: skip
def test_the_group_says_which_amount_it_is(group: str, measure: str, stated: bool) -> None:
    table = only_table(to_xlsx(wide([(group, [TRAINING, ASSESSMENT])], [[7.0, None]])))
    assert lines(table, measure) == [(5, "F", TRAINING, 7.0)]
    assert ("W-WID-003" not in codes(table.findings)) is stated


def test_two_amounts_of_one_item_are_one_line() -> None:
    groups = [("申请金额", [TRAINING, ASSESSMENT]), ("拨付金额", [TRAINING, ASSESSMENT])]
    table = only_table(to_xlsx(wide(groups, [[100.0, 50.0, 90.0, None], [None, None, None, 40.0]])))
    assert lines(table, "applied") == [
        (5, "F", TRAINING, 100.0),
        (5, "G", ASSESSMENT, 50.0),
        (6, "G", ASSESSMENT, None),
    ]
    assert table.columns["paid"] == [90.0, None, 40.0]
    assert table.layout["Sheet1"]["paid:F"] == (7, "拨付金额/职业培训补贴")
    assert "W-WID-002" not in codes(table.findings)


def test_an_item_over_its_amounts_is_the_same() -> None:
    groups = [(TRAINING, ["申请金额", "拨付金额"]), (ASSESSMENT, ["申请金额", "拨付金额"])]
    table = only_table(to_xlsx(wide(groups, [[100.0, 90.0, None, 40.0]])))
    assert lines(table) == [(5, "F", TRAINING, 90.0), (5, "H", ASSESSMENT, 40.0)]
    assert table.columns["applied"] == [100.0, None]


def test_an_unknown_item_is_read_as_written_and_said() -> None:
    table = only_table(to_xlsx(wide([("拨付金额", [TRAINING, "灵活就业\n奖补"])], [[None, 60.0]])))
    assert lines(table) == [(5, "G", "灵活就业 奖补", 60.0)]
    (said,) = [finding for finding in table.findings if finding.code == "W-WID-001"]
    assert said.cell == "G4" and "灵活就业 奖补" in said.message_zh


def test_a_row_without_any_amount_is_held_back() -> None:
    table = only_table(to_xlsx(wide([("拨付金额", [TRAINING, ASSESSMENT])], [[None, "—"], [5.0, None]])))
    assert lines(table) == [(5, "", None, None), (6, "F", TRAINING, 5.0)]
    (held,) = [finding for finding in table.findings if finding.severity == "R"]
    assert (held.code, held.row, held.cell) == ("R-WID-001", 5, "F5") and table.log.held == {("Sheet1", 5)}


def test_an_amount_that_cannot_be_read_holds_its_row_back() -> None:
    table = only_table(to_xlsx(wide([("拨付金额", [TRAINING, ASSESSMENT])], [["约500", 20.0], [0.0, None]])))
    assert lines(table) == [(5, "F", TRAINING, None), (5, "G", ASSESSMENT, 20.0), (6, "F", TRAINING, 0.0)]
    (held,) = [finding for finding in table.findings if finding.severity == "R"]
    assert (held.code, held.cell, held.value) == ("R-VAL-002", "F5", "约500")


def test_totals_of_the_group_and_of_the_sheet_are_controls() -> None:
    layout = wide([("拨付金额", [TRAINING, ASSESSMENT, "小计"])], [[100.0, 20.0, 120.0], [30.0, None, 31.0]])
    for column, value in enumerate(["合计", None, None, None, None, 130.0, 21.0]):
        if value is not None:
            layout.cells[6, column] = value
    table = only_table(to_xlsx(layout))
    assert [line[3] for line in lines(table)] == [100.0, 20.0, 30.0]
    found = {finding.cell: finding.code for finding in table.findings if finding.code.startswith("W-TOT")}
    assert found == {"H6": "W-TOT-003", "G7": "W-TOT-001"}


def test_a_plain_amount_beside_its_items_is_their_total() -> None:
    groups = [("拨付金额", [TRAINING, ASSESSMENT]), (None, ["实发金额"])]
    table = only_table(to_xlsx(wide(groups, [[100.0, 20.0, 110.0]])))
    assert [line[3] for line in lines(table)] == [100.0, 20.0]
    (wrong,) = [finding for finding in table.findings if finding.code == "W-TOT-003"]
    assert wrong.cell == "H5"


def test_what_belongs_to_the_whole_row_is_not_divided() -> None:
    fixed = (*FIXED, "申请金额")
    layout = wide([("拨付金额", [TRAINING, ASSESSMENT])], [[100.0, 20.0], [5.0, None]], fixed=fixed)
    layout.cells[4, 5], layout.cells[5, 5] = 130.0, 6.0
    table = only_table(to_xlsx(layout))
    assert table.columns["applied"] == [None, None, 6.0]
    (said,) = [finding for finding in table.findings if finding.code == "W-WID-004"]
    assert (said.cell, said.value) == ("F5", "130")


def test_items_in_a_column_and_in_headers_refuse_the_sheet() -> None:
    fixed = (*FIXED, "补贴项目")
    table = only_table(to_xlsx(wide([("拨付金额", [TRAINING, ASSESSMENT])], [[1.0, 2.0]], fixed=fixed)))
    assert "E-WID-001" in codes(table.findings) and table.refused


@pytest.mark.parametrize(
    "groups",
    [
        [("申请金额", [TRAINING]), (None, [ASSESSMENT])],  # the group's text stands over its first leaf alone
        [("各类人员", [TRAINING, ASSESSMENT])],
    ],
)
def test_items_under_no_known_amount_refuse_the_sheet(groups: list[tuple[str | None, list[str]]]) -> None:
    table = only_table(to_xlsx(wide(groups, [[1.0, 2.0]])))
    finding = next(finding for finding in table.findings if finding.code == "E-WID-002")
    assert ASSESSMENT in finding.message_zh and "申请金额、审核金额、预支金额、拨付金额" in finding.message_zh
    assert table.columns["item"] == []


def test_an_item_twice_under_one_amount_refuses_the_sheet() -> None:
    table = only_table(to_xlsx(wide([("拨付金额", [TRAINING, "职业培训\n补贴"])], [[1.0, 2.0]])))
    assert "E-HDR-002" in codes(table.findings)


def test_another_unit_refuses_the_sheet() -> None:
    layout = wide([("拨付金额", [TRAINING, ASSESSMENT])], [[1.0, 2.0]], frame="报告期：2026年10月 单位：万元")
    found = [finding for finding in only_table(to_xlsx(layout)).findings if finding.code == "E-HDR-003"]
    assert [finding.cell for finding in found] == ["F4", "G4"] and "“万元”，应为“元”" in found[0].message_zh


def test_the_official_layout_reads_as_before() -> None:
    table = only_table(to_xlsx(lay_out("subsidy_payment", [CLAIM], version="2026.1")))
    assert lines(table, "applied") == [(5, "", "职业培训补贴", 1500.0)] and table.findings == []


def test_a_finding_of_a_rule_points_at_the_amount_of_its_line() -> None:
    groups = [(text, [TRAINING, ASSESSMENT]) for text in ("申请金额", "拨付金额", "审核金额")]
    table = only_table(to_xlsx(wide(groups, [[9.0, 9.0, 5.0, 8.0, 5.0, 7.0]])))
    frame = pd.DataFrame(table.columns).assign(
        submission_id="S", sheet=table.sheet_of_row, source_row=table.source_rows, source_column=table.source_columns,
        county_code="450721", period="2026-10",
    )  # fmt: skip
    layouts = {("S", "Sheet1"): table.layout["Sheet1"]}
    found = [one.finding for one in examine("subsidy_payment", frame, layout_of=layouts).findings]
    (over,) = [finding for finding in found if finding.code == "W-PAY-001"]
    assert (over.row, over.value, over.params["header"]) == (5, "8", "拨付金额/技能鉴定补贴") and over.cell == "I5"


def test_every_row_held_counts_rows_of_the_sheet() -> None:
    table = only_table(to_xlsx(wide([("拨付金额", [TRAINING, ASSESSMENT])], [["约1", 2.0]])))
    frame = pd.DataFrame(table.columns).assign(
        submission_id="S", sheet=table.sheet_of_row, source_row=table.source_rows, source_column=table.source_columns,
        county_code="450721", period="2026-10",
    )  # fmt: skip
    held = [("S", sheet, row) for sheet, row in table.log.held]
    assert "E-ALL-001" in [one.finding.code for one in examine("subsidy_payment", frame, held=held).findings]


def test_match_amount() -> None:
    index = header_index("subsidy_payment")
    known = AmountHeader("paid", TRAINING, is_known=True, is_stated=True)
    assert match_amount(index, ("补贴金额", "拨付金额（元）", TRAINING)) == known
    assert match_amount(index, (TRAINING,)) == AmountHeader("paid", TRAINING, is_known=True, is_stated=False)
    assert match_amount(index, ("上年拨付金额", TRAINING)) is None
    assert match_amount(index, ("备注",)) is None
    assert match_amount(header_index("enterprise_status"), (TRAINING,)) is None


def test_known_items_are_those_of_the_seed_with_their_older_names() -> None:
    layout = load_forms()["subsidy_payment"].wide
    assert layout is not None
    assert {"职业技能评价补贴", "鉴定补贴", "以工代训"} <= set(layout.items)


def test_a_layout_that_names_no_amount_is_refused() -> None:
    document: dict[str, Any] = {
        "form": "f", "title_zh": "表", "titles": ["表"], "grain_zh": "", "row_key": ["a"],
        "versions": {"1": {"since": "2026-01"}},
        "columns": [{"name": "a", "header": "甲", "type": "text"}],
        "wide_layout": {"note_zh": "", "item": "a", "measures": {"a": []}, "optional": [], "one_per_row": [],
                        "unstated": {"groups": [], "measure": "a"}, "items": {}},
    }  # fmt: skip
    with pytest.raises(FormError, match="a is no amount column"):
        parse_form(document)


def test_a_first_row_with_little_but_an_item_is_no_header() -> None:
    table = only_table(to_xlsx(lay_out("subsidy_payment", [{"item": "职业培训补贴"}, CLAIM])))
    assert table.source_rows == [5, 6] and table.columns["item"] == ["职业培训补贴"] * 2


def test_a_frame_right_above_the_items_is_no_group() -> None:
    layout = wide([(None, [TRAINING, ASSESSMENT])], [[10.0, 20.0]])
    # one header row only, and the month stands merged over just the item columns
    layout.merges = [(1, 5, 1, 6)]
    layout.cells[1, 5] = "报告期：2026年10月"
    table = only_table(to_xlsx(layout))
    assert [line[2:] for line in lines(table)] == [(TRAINING, 10.0), (ASSESSMENT, 20.0)]
