"""``make docs``: the page, the data dictionary and the diagram, from the project as dbt parses it."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook

from include.documentation.diagram import diagram
from include.documentation.dictionary import dictionary_bytes
from include.documentation.model import tables_of
from include.documentation.pages import Described, write_pages

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def documented(tmp_path_factory: pytest.TempPathFactory, warehouse: str) -> tuple[Path, Described]:
    return write_pages(tmp_path_factory.mktemp("docs"))


@pytest.mark.slow
def test_dbts_page_is_one_file(documented: tuple[Path, Described]) -> None:
    text = documented[0].read_text("utf-8")
    assert "mart_labour_shortage" in text
    assert 'src="http' not in text


@pytest.mark.slow
def test_the_dictionary_lists_every_table_column_and_indicator(
    documented: tuple[Path, Described], tmp_path: Path
) -> None:
    described = documented[1]
    path = tmp_path / "dictionary.xlsx"
    path.write_bytes(dictionary_bytes(described))
    book = load_workbook(path, read_only=True)
    assert book.sheetnames == ["说明", "数据表", "字段", "总线矩阵", "指标口径", "报表栏目"]
    tables = tables_of(described.manifest)
    rows = list(book["数据表"].iter_rows(min_row=2, values_only=True))
    assert {row[1] for row in rows} == {one.name for one in tables}
    columns = list(book["字段"].iter_rows(min_row=2, values_only=True))
    assert len(columns) == sum(len(one.columns) for one in tables)
    found = next(row for row in columns if row[1:4:2] == ("mart_labour_shortage", "shortage_now_persons"))
    assert found[4:7] == ("bigint", "是", None) and "不与预计缺工相加" in found[8]
    assert "缺工率" in [row[1] for row in book["指标口径"].iter_rows(min_row=2, values_only=True)]
    assert ("企业情况表", "enterprise_status") in {row[:2] for row in book["报表栏目"].iter_rows(values_only=True)}


@pytest.mark.slow
def test_the_same_project_gives_the_same_files(documented: tuple[Path, Described]) -> None:
    described = documented[1]
    assert dictionary_bytes(described) == dictionary_bytes(described)
    assert diagram(described.manifest) == diagram(described.manifest)


@pytest.mark.slow
def test_the_diagram_draws_every_mart_and_every_reference(documented: tuple[Path, Described]) -> None:
    manifest: dict[str, Any] = documented[1].manifest
    marts = [one for one in tables_of(manifest) if one.schema == "marts"]
    page = ElementTree.fromstring(diagram(manifest))
    words = [element.text for element in page.iter(f"{SVG}text")]
    assert {one.name for one in marts} <= set(words)
    drawn = {element.findtext(f"{SVG}title") for element in page.iter(f"{SVG}path")}
    names = {one.name for one in marts}
    assert drawn == {
        f"{one.name}.{reference.column} → {reference.to}.{reference.to_column}"
        for one in marts
        for reference in one.references
        if reference.to in names
    }
    assert "fct_enterprise_month.industry_code → dim_industry.industry_code" in drawn
