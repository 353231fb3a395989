"""What an issue keeps of each figure: the words for its place, and the text as printed."""

from __future__ import annotations

from include.report.figures import assemble
from include.report.printed import Printed, printed_figures
from tests.report_rows import mart_rows


def test_every_figure_has_chinese_words_for_its_place() -> None:
    figures = assemble(mart_rows(), "2026-04")
    printed = printed_figures(figures)
    assert set(printed) == set(figures.figures)
    unnamed = [key for key, one in printed.items() if not any("一" <= letter <= "鿿" for letter in one.label)]
    assert unnamed == [], "give these words in include/report/printed.yaml"


def test_a_figure_is_named_by_table_line_and_column_and_kept_as_it_stands_on_paper() -> None:
    figures = assemble(mart_rows(), "2026-04")
    short = figures.figures["county.450721.shortage_now"].value
    assert isinstance(short, int)
    label = printed_figures(figures)["county.450721.shortage_now"].label
    assert printed_figures(figures)["county.450721.shortage_now"] == Printed(label, f"{short:,}")
    state = printed_figures(figures)["target.450000.t1.state"]
    assert state.text == "落后时序进度"
    assert label.startswith("各县（市、区）当期生产缺工情况：") and label.endswith("灵山县，当期生产缺工（人）")
