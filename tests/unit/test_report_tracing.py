"""The cells that a page embeds add up to what it prints, and are nobody else's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from include.report import tracing
from include.report.figures import edition_figures, editions_of
from include.report.model import Figure, ReportFigures
from include.report.numbers import percent
from include.report.tracing import Sources, traces
from tests.report_rows import mart_rows, reporters
from tests.trace_rows import trace_sources
from tests.trace_sums import lines, recomputed

COUNTIES = [one["region_code"] for one in reporters()]
MONTH: dict[str, Any] = {"absent": {"2026-04": {COUNTIES[19]}, "2026-03": {COUNTIES[3]}}, "refused": {COUNTIES[8]}}
# Without a sum of cells: persons that stand on several lines count once, a target is set by a document, and what is
# done of it is known to the system itself in this province.
LINES_ONLY = {"delivered", "delivered_share", "completion"}
OTHERS = {"order", "note", "standing", "lead"}


def editions(**month: Any) -> tuple[list[ReportFigures], Sources]:
    rows = mart_rows(**month)
    return list(edition_figures(rows, "2026-04", editions_of(rows.submissions, "2026-04"))), trace_sources(
        rows, **month
    )


@pytest.fixture(scope="module")
def month() -> tuple[list[ReportFigures], Sources]:
    return editions(**MONTH)


def differing(figures: ReportFigures, data: Mapping[str, Any]) -> tuple[list[str], int]:
    """Keys of figures that their cells do not come to, and how many were held against their cells."""
    wrong, checked = [], 0
    for key, figure in figures.figures.items():
        entry = data["entries"][key]
        if figure.value is None or entry["t"] in OTHERS:
            continue
        found = recomputed(data, key)
        if found is None:
            if key.split(".")[-1] not in LINES_ONLY and key != "reporting.data_cutoff":
                wrong.append(key)
            continue
        checked += 1
        if entry["t"] == "sum" and entry["v"] != found:
            wrong.append(key)
        if entry["t"] != "sum" and not _prints_alike(figure, found):
            wrong.append(key)
    return wrong, checked


def _prints_alike(figure: Figure, found: Fraction | int) -> bool:
    assert isinstance(figure.value, (int, Decimal))
    if figure.unit not in ("rate", "change", "points"):
        return figure.value == found
    return percent(Decimal(Fraction(found).numerator) / Decimal(Fraction(found).denominator)) == percent(figure.value)


def test_the_cells_of_every_figure_of_every_edition_come_to_it(month: tuple[list[ReportFigures], Sources]) -> None:
    collected, sources = month
    assert [figures.edition.level for figures in collected].count("county") == 20
    checked = {}
    for figures in collected:
        wrong, checked[figures.edition] = differing(figures, traces(sources, figures).payload())
        assert wrong == []
    assert checked[collected[0].edition] > 700 and sum(checked.values()) > 8000


def test_sums_by_workbook_come_to_the_figures_where_cells_are_too_many(
    month: tuple[list[ReportFigures], Sources], monkeypatch: pytest.MonkeyPatch
) -> None:
    collected, sources = month
    few = {**tracing.rules(), "cell_limit": 2000}
    monkeypatch.setattr(tracing, "rules", lambda: few)
    found = traces(sources, collected[0])
    assert "enterprise 2026-04" in found.summed and found.cell_count <= 2000
    wrong, checked = differing(collected[0], found.payload())
    assert wrong == [] and checked > 700
    entry = found.entries["industry.36.shortage_now"]
    behind = list(lines(found.payload(), entry))
    one_by_one = list(lines(_all_cells(sources, collected[0], monkeypatch), entry))
    # The page still says how many lines were added up, and in which workbook.
    assert sum(line.lines for line in behind) == len(one_by_one) > len(behind) > 1


def _all_cells(sources: Sources, figures: ReportFigures, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.undo()
    return traces(sources, figures).payload()


def test_a_page_holds_cells_of_its_own_place_only(month: tuple[list[ReportFigures], Sources]) -> None:
    collected, sources = month
    names = {one["region_code"]: one["reporter_name"] for one in reporters()}
    for figures in collected[1:]:
        data = traces(sources, figures).payload()
        code = figures.edition.region_code
        for file in data["files"]:
            assert file[5]["city" if figures.edition.level == "city" else "county"] == code
        ledger = [block for block in data["blocks"] if block["f"] == "ledger"]
        assert {block["k"]["county"] for block in ledger} <= {
            one["region_code"] for one in reporters() if code in (one["region_code"], one["city_code"])
        }
        if figures.edition.level == "county":
            foreign = {name for county, name in names.items() if county != code}
            assert not [name for name in foreign if name in str(data)]
        # What is sent to the process that writes it is no more than that.
        assert set(sources.of(figures.edition).files) <= set(sources.files)
        assert traces(sources.of(figures.edition), figures) == traces(sources, figures)


def test_a_planted_wrong_figure_does_not_come_out_of_its_cells(month: tuple[list[ReportFigures], Sources]) -> None:
    collected, sources = month
    province = collected[0]
    right = province.figures["region.shortage_now"]
    assert isinstance(right.value, int)
    wild = replace(province, figures={**province.figures, right.key: replace(right, value=right.value + 1)})
    wrong, _ = differing(wild, traces(sources, wild).payload())
    assert wrong == ["region.shortage_now"]


def test_a_cell_is_found_where_it_stands(month: tuple[list[ReportFigures], Sources]) -> None:
    collected, sources = month
    county = next(one for one in collected if one.edition.region_code == COUNTIES[0])
    data = traces(sources, county).payload()
    entry = data["entries"]["region.shortage_now"]
    found = list(lines(data, entry))
    rows = next(iter({line.block["r"] for line in found})).split(",")
    assert rows[:2] == ["5", "6"] and found[0].block["s"] == "企业情况表"
    assert found[0].block["h"]["shortage_now"] == ["N", "表头/shortage_now"]
    assert entry["m"] == ["mart_labour_shortage_summary", "shortage_now_persons", "2026-04", COUNTIES[0]]


def test_no_query_reads_a_person_a_payee_or_a_name() -> None:
    folder = tracing._SQL
    for path in folder.glob("*.sql"):
        text = path.read_text(encoding="utf-8")
        code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("--"))
        for word in ("person_key", "payee", "claim_key", "person_group", "enterprise_name", "batch_no", "uscc"):
            assert word not in code, f"{path.name}: {word}"


def test_every_rule_names_what_the_queries_read() -> None:
    rules = tracing.rules()
    texts = {path.stem: path.read_text(encoding="utf-8") for path in tracing._SQL.glob("*.sql")}
    unread = {name for names in tracing._UNREAD.values() for name in names}
    for group in rules["sums"].values():
        for measure, rule in group.items():
            for fact in tracing.CELL_FACTS:
                if fact != rule.get("fact", next(name for name in rules["sums"] if rules["sums"][name] is group)):
                    continue
                for column in rule.get("cells", ()):
                    assert column in unread or f"cell_{column}" in texts[fact], (measure, column)
                for key in rule.get("where", ()):
                    assert f"key_{key}" in texts[fact], (measure, key)
