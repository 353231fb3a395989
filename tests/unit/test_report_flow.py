"""Where blocks fall on the pages of the Word report: heights by hand, and what follows from them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from include.report.word import word_bytes
from include.report.word_flow import Flow, body_lines
from tests.official_document import Package, text_of
from tests.report_rows import report


def test_twenty_two_lines_fill_a_page() -> None:
    flow = Flow()
    flow.lines(22)
    assert flow.taken == 22 * 28 and not flow.fits(28)
    flow.lines(1)
    assert flow.taken == 28


def test_a_heading_takes_its_next_line_along() -> None:
    flow = Flow()
    flow.lines(21)  # 588 of 637.8 points: room for one line, not for a heading and what follows
    flow.heading()
    assert flow.taken == 28


def test_a_whole_block_goes_to_the_next_page_and_a_table_over_it() -> None:
    flow = Flow()
    flow.lines(20)  # 560
    flow.whole(100)
    assert flow.taken == 100
    flow.lines(15)  # 520
    flow.table(24, [20, *[16] * 10], kept=3)
    # Caption, header and four rows reach 628; six rows follow under a header of their own.
    assert flow.taken == 20 + 6 * 16
    flow.lines(17)  # 592: neither header with three rows nor a table of six in one piece has room
    flow.table(24, [20, *[16] * 6], kept=6)
    assert flow.taken == 24 + 20 + 6 * 16


@pytest.mark.parametrize(("text", "lines"), [("字" * 25, 1), ("字" * 26, 2), ("字" * 53, 2), ("12" * 25, 1)])
def test_a_line_holds_twenty_eight_characters_less_the_indent_and_a_ragged_end(text: str, lines: int) -> None:
    assert body_lines(text) == lines


def test_a_chart_without_room_stands_after_its_table() -> None:
    """The same report pushed on line by line: table and chart of the subsidies stay together in either order."""
    figures = report()
    orders = set()
    for lines in range(0, 20, 4):
        pushed = replace(figures, maturity_reason="报告期已封账" + "，情况说明如下" * 4 * lines)
        body = [text_of(one) for one in Package(word_bytes(pushed)).body]
        chart = next(at for at, text in enumerate(body) if text.endswith("分项目补贴审核和拨付金额（万元）"))
        table = next(at for at, text in enumerate(body) if text.endswith("分项目补贴发放情况"))
        orders.add(chart < table)
        assert abs(chart - table) <= 4
    assert orders == {True, False}
