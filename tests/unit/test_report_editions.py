"""The editions of one period: whose figures they hold, what they leave out, how they are named."""

from __future__ import annotations

import dataclasses
import pickle
import re
from functools import lru_cache

import pytest

from include.report.figures import PROVINCE, NoSuchPeriod, edition_figures, editions_of
from include.report.model import Edition, ReportFigures, edition_key
from include.report.wording import (
    Heading,
    Paragraph,
    TableBlock,
    blocks,
    cell_text,
    preamble,
    report_title,
    title_lines,
)
from tests.report_rows import mart_rows

NANNING = Edition("city", "450100", "南宁市")
BINYANG = Edition("county", "450126", "宾阳县", "450126")


@lru_cache(maxsize=1)
def reports() -> dict[Edition, ReportFigures]:
    """Every edition of April; 宾阳县 sent nothing."""
    rows = mart_rows(absent={"2026-04": {"450126"}})
    chosen = editions_of(rows.submissions, "2026-04")
    return {figures.edition: figures for figures in edition_figures(rows, "2026-04", chosen)}


def text(figures: ReportFigures) -> str:
    return preamble(figures) + "".join(
        block.text for block in blocks(figures) if isinstance(block, (Paragraph, Heading))
    )


def test_the_province_its_cities_and_its_reporters_have_one_each() -> None:
    found = list(reports())
    assert found[0] == PROVINCE
    cities = [one for one in found if one.level == "city"]
    counties = [one for one in found if one.level == "county"]
    assert len(cities) == len({one.region_code for one in cities}) == 14
    assert len(counties) == 20 and NANNING in cities and BINYANG in counties
    assert [one.region_code for one in cities] == sorted(one.region_code for one in cities)
    assert len({edition_key(one) for one in found}) == 35 and edition_key(BINYANG) == "county.450126"


def test_reporters_that_share_a_county_have_no_edition_of_their_own() -> None:
    rows = [row for row in mart_rows().submissions if row["reporter_code"] in ("450126", "450181")]
    park = [
        {**row, "reporter_code": "450181-1", "reporter_name": "园区"} for row in rows if row["county_code"] == "450181"
    ]
    assert [edition_key(one) for one in editions_of([*rows, *park], "2026-04")] == [
        "province",
        "city.450100",
        "county.450126",
    ]
    with pytest.raises(NoSuchPeriod, match="2026-04"):
        editions_of([{**row, "is_expected": False} for row in rows], "2026-04")


@pytest.mark.parametrize(
    "key",
    [
        "region.shortage_now",
        "region.headcount",
        "region.enterprises",
        "training.needed",
        "subsidy.paid",
        "industry.17.shortage_now",
        "post.6-31-01-03.shortage_now",
        "size.small.headcount",
        "region.persistent_shortage",
        "reporting.expected_forms",
        "reporting.absent_reporters",
    ],
)
def test_cities_add_up_to_the_province_and_counties_to_their_city(key: str) -> None:
    def value(figures: ReportFigures) -> int:
        figure = figures.get(key)
        return (figure.value if figure is not None else None) or 0  # type: ignore[return-value]

    def total(level: str, city: str) -> int:
        chosen = (one for one in reports() if one.level == level and one.region_code.startswith(city))
        return sum(value(reports()[one]) for one in chosen)

    assert value(reports()[PROVINCE]) == total("city", "45") == total("county", "45") > 0
    assert value(reports()[NANNING]) == total("county", "4501")


def test_an_edition_names_no_other_place() -> None:
    every = {one.region_name for one in reports()}
    for edition, figures in reports().items():
        if edition.level == "province":
            continue
        cells = {cell_text(cell) for table in figures.tables.values() for row in table.rows for cell in row.cells}
        inside = {one.region_name for one in reports() if one.region_code[:4] == edition.region_code[:4]}
        allowed = (
            inside
            if edition.level == "city"
            else {
                edition.region_name,
                *(
                    one.region_name
                    for one in reports()
                    if one.level == "city" and one.region_code[:4] == edition.region_code[:4]
                ),
            }
        )
        assert (cells & every) <= allowed
        written = text(figures)
        assert not [name for name in every - allowed if name in written]
        assert not [key for key in figures.figures if key.startswith("city.")]
        others = {key.split(".")[1] for key in figures.figures if key.startswith(("county.", "reporter."))}
        assert others <= {one.region_code for one in reports() if one.level == "county" and one.region_name in allowed}


def test_tables_of_places_stand_only_where_there_are_places() -> None:
    of_places = ("shortage_city", "shortage_county", "expansion_city", "expansion_county")
    of_places += ("shortage_persistent", "shortage_persistent_county")
    printed = {
        level: {key for key in of_places if key in reports()[one].tables}
        for level, one in (("province", PROVINCE), ("city", NANNING), ("county", BINYANG))
    }
    assert printed["province"] == set(of_places) - {"shortage_persistent_county"}
    assert printed["city"] == {"shortage_county", "expansion_county", "shortage_persistent_county"}
    assert printed["county"] == set()
    names = reports()[NANNING].tables["shortage_persistent_county"].column("name")
    assert names == ("宾阳县", "横州市")


def test_titles_and_words_follow_the_place() -> None:
    province, city, county = (reports()[one] for one in (PROVINCE, NANNING, BINYANG))
    assert report_title(province).startswith("加强产业工人") and report_title(city).startswith("南宁市加强产业工人")
    assert report_title(county).endswith("工作进展情况（2026年4月）") and title_lines(county)[0] == "宾阳县"
    assert len(title_lines(province)) == 2
    assert "现将南宁市2026年4月工作进展情况" in preamble(city)
    assert "分市看" in text(province) and "分市看" not in text(city) and "分县（市、区）看" in text(city)
    assert "报送单位" not in text(county) and "2026年4月宾阳县应报报表3份。" in text(county)


def test_a_county_that_sent_nothing_has_no_figure_and_no_zero() -> None:
    figures = reports()[BINYANG]
    assert "本期未报送" in text(figures) and not re.search(r"(缺工|职工|企业|缺工率)\d", text(figures))
    assert figures.is_sample  # as the rest of the province is
    assert {
        figure.absence for key, figure in figures.figures.items() if key.startswith("region.") and figure.value is None
    } <= {"not_received", "previous_missing", "undefined"}
    assert not [
        key
        for key, figure in figures.figures.items()
        if figure.value == 0 and figure.unit not in ("forms", "reporters", "targets", "findings", "rate")
    ]
    assert next(block.table.key for block in blocks(figures) if isinstance(block, TableBlock)) == "reporting_forms"


def test_figures_go_to_another_process_and_back() -> None:
    figures = reports()[BINYANG]
    again = pickle.loads(pickle.dumps(figures))
    assert again == figures
    assert dataclasses.replace(again, maturity="final").figures == figures.figures
