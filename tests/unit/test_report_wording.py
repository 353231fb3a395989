"""Wording rules: what is said about a change, and what is not said when a figure is missing."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace
from typing import cast

import pytest

from include.report import wording
from include.report.figures import assemble
from include.report.model import Absence, Figure, ReportFigures, Unit
from include.report.numbers import percent, plain_text, ratio, table_text
from tests.report_rows import mart_rows, reporters

COUNTIES = [one["region_code"] for one in reporters()]


def change(value: str | None, absence: Absence | None = None, unit: Unit = "change") -> Figure:
    return Figure("x", None if value is None else Decimal(value), unit, absence)


@pytest.mark.parametrize(
    ("figure", "phrases", "words"),
    [
        (change("0.0325"), "change", "环比增长3.3%"),
        (change("-0.12"), "change", "环比下降12.0%"),
        (change("0"), "change", "与上月持平"),
        (change("0.0004"), "change", "与上月基本持平"),
        (change("-0.0004"), "change", "与上月基本持平"),
        (change("1.5"), "plain_change", "增长150.0%"),
        (change("0.004", unit="points"), "points", "比上月提高0.4个百分点"),
        (change("-0.0105", unit="points"), "points", "比上月降低1.1个百分点"),
        (change(None, "previous_zero"), "change", "上月为0，不作环比"),
        (change(None, "previous_missing"), "change", "上月无可比数据，不作环比"),
    ],
)
def test_a_comparison_is_said_by_rule(figure: Figure, phrases: str, words: str) -> None:
    assert wording.comparison(figure, phrases) == words


def test_ratios_round_half_up_and_never_divide_by_zero() -> None:
    assert percent(Decimal("0.0525")) == Decimal("5.3")
    assert percent(Decimal("-0.0001")) == 0 and str(percent(Decimal("-0.0001"))) == "0.0"
    assert ratio(1, 8) == Decimal("0.125")
    assert ratio(1, 0) is None and ratio(None, 5) is None


def test_money_is_wan_yuan_in_text_and_yuan_in_tables() -> None:
    paid = Figure("subsidy.paid", Decimal("1234567.89"), "yuan")
    assert wording.with_unit(paid) == "123.46万元"
    assert wording.cell_text(paid) == "1,234,567.89"
    assert plain_text(Figure("n", 12345, "persons")) == "12345"
    assert table_text(Figure("n", 12345, "persons"), {}) == "12,345"


def good() -> ReportFigures:
    return assemble(mart_rows(), "2026-04")


def test_a_sentence_with_a_missing_figure_is_not_written() -> None:
    figures = good()
    entry = {"text": "职工总数{region.headcount}，缺工{region.shortage_now}。"}
    assert wording.sentence(entry, figures)
    short = dict(figures.figures)
    short["region.headcount"] = Figure("region.headcount", None, "persons", "not_received")
    assert wording.sentence(entry, replace(figures, figures=short)) is None
    assert wording.sentence({"text": "{no.such.figure}人"}, figures) is None


def test_conditions_choose_between_sentences() -> None:
    figures = good()
    assert wording.holds({"reporting.absent_reporters": "zero"}, figures)
    assert not wording.holds({"reporting.absent_reporters": "positive"}, figures)
    assert wording.holds({"no.such": "absent", "region.headcount": "present"}, figures)


def everything(figures: ReportFigures) -> str:
    parts = [wording.preamble(figures)]
    for block in wording.blocks(figures):
        match block:
            case wording.Heading(_, text) | wording.Paragraph(text):
                parts.append(text)
            case wording.TableBlock(table, _):
                parts += [wording.cell_text(cell) for row in table.rows for cell in row.cells]
                parts.append(wording.table_note(table))
    return "\n".join(parts)


def test_a_month_without_a_comparable_one_before_says_so_and_invents_nothing() -> None:
    rows = mart_rows(absent={"2026-04": set(COUNTIES[::2]), "2026-03": set(COUNTIES)}, refused={COUNTIES[7]})
    text = everything(assemble(rows, "2026-04"))
    assert "上月无可比数据，不作环比" in text
    assert "已有数据不足连续三个月，暂不统计持续缺工" in text
    assert "未报送单位10个：宾阳县、柳江区" in text
    assert "环比增长" not in text and "环比下降" not in text
    for wrong in ("None", "nan", "NaN", "{", "}", "。。", "；。", "，。"):
        assert wrong not in text


def test_a_county_that_sent_nothing_is_never_a_zero() -> None:
    figures = assemble(mart_rows(absent={"2026-04": {COUNTIES[19]}}, refused={COUNTIES[8]}), "2026-04")
    table = figures.tables["shortage_county"]
    lines = {row.cells[1]: [wording.cell_text(cell) for cell in row.cells[2:]] for row in table.rows}
    assert set(lines["扶绥县"]) == {"未报送"}
    assert set(lines["钦南区"]) == {"退回"}
    cities = {row.cells[0]: row.cells for row in figures.tables["shortage_city"].rows}
    assert [wording.cell_text(cell) for cell in cities["崇左市"]][:3] == ["崇左市", "1", "0"]
    assert {wording.cell_text(cell) for cell in cities["崇左市"][3:]} == {"未报送"}


def test_a_month_in_which_nothing_came_still_makes_a_report() -> None:
    figures = assemble(mart_rows(absent={"2026-04": set(COUNTIES)}), "2026-04")
    text = everything(figures)
    assert "截至汇总时，尚未收到报表。" in text and "截至目前尚无审核采用的报送数据" in text
    assert figures.get("region.headcount") == Figure("region.headcount", None, "persons", "not_received")
    assert "职工总数0" not in text and "缺工0" not in text


def test_the_two_shortages_share_no_sentence_and_no_table() -> None:
    figures = good()
    for block in wording.blocks(figures):
        if isinstance(block, wording.Paragraph) and "扩大产能后预计缺工" in block.text:
            now = figures.figures["region.shortage_now"].value
            expansion = figures.figures["region.shortage_expansion"].value
            assert isinstance(now, int) and isinstance(expansion, int)
            assert str(now) not in block.text and str(now + expansion) not in block.text
    for table in figures.tables.values():
        measures = {cell.key.split(".")[-1] for row in table.rows for cell in row.cells if isinstance(cell, Figure)}
        assert not {"shortage_now", "shortage_expansion"} <= measures, table.key


def test_every_table_and_label_has_its_words() -> None:
    words = wording.texts()
    for table in good().tables.values():
        entry = words["tables"][table.key]
        assert list(entry["columns"]) == list(table.columns), table.key
        assert len(entry["widths"]) == len(table.columns), table.key
        assert table.key in words["workbook"]["sheets"], table.key
        for row in table.rows:
            for column, cell in zip(table.columns, row.cells, strict=True):
                if column in ("code", "cell"):  # as the catalogue and the workbook have them
                    continue
                assert not (isinstance(cell, str) and wording.cell_text(cell).isascii() and cell), (table.key, cell)


def test_a_sentence_gives_way_when_two_comparisons_print_alike() -> None:
    change = {name: Figure(name, Decimal(value), "change") for name, value in (("a", "0.0216"), ("b", "0.0221"))}
    figures = cast(ReportFigures, SimpleNamespace(get={**change, "c": Figure("c", Decimal("0.05"), "change")}.get))
    assert wording.holds({"a": "same as b"}, figures)
    assert not wording.holds({"a": "same as c"}, figures) and not wording.holds({"a": "same as missing"}, figures)
    assert wording.sentence({"text": "可比。", "unless": {"a": "same as b"}}, figures) is None
    assert wording.sentence({"text": "可比。", "unless": {"a": "same as c"}}, figures) == "可比。"


@pytest.mark.parametrize(
    ("title", "room", "lines"),
    [
        ("当期生产缺工（人）", 20, ["当期生产缺工（人）"]),
        ("当期生产缺工（人）", 6, ["当期生产缺工", "（人）"]),
        ("当期生产缺工（人）", 4, ["当期生产", "缺工", "（人）"]),
        ("县（市、区）", 4, ["县", "（市、区）"]),
    ],
)
def test_a_header_breaks_between_words(title: str, room: float, lines: list[str]) -> None:
    assert wording.header_lines(title, room) == lines


def test_every_header_break_is_of_a_header() -> None:
    names = {
        title.partition("（")[0] for table in wording.texts()["tables"].values() for title in table["columns"].values()
    }
    assert {one.replace("|", "") for one in wording.texts()["header_breaks"]} - names == set()
