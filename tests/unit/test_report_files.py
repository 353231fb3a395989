"""The three files: format, honesty (no number that is no figure), and the same bytes wherever they are made."""

from __future__ import annotations

import hashlib
import io
import os
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import docx
import pytest

from include.report import wording
from include.report.html import html_text
from include.report.model import Figure, ReportFigures
from include.report.numbers import big_text, instant_text, percent
from include.report.render import write_files
from include.report.word import word_bytes
from tests.report_rows import COUNTIES, ROOT, report


@pytest.fixture(scope="module")
def figures() -> ReportFigures:
    return report()


@pytest.fixture(scope="module")
def document(figures: ReportFigures) -> Any:
    return docx.Document(io.BytesIO(word_bytes(figures)))


@pytest.fixture(scope="module")
def page(figures: ReportFigures) -> str:
    return html_text(figures)


def test_sample_data_is_marked_on_every_page_and_only_then(figures: ReportFigures, document: Any) -> None:
    section = document.sections[0]
    assert section.header.paragraphs[0].text == section.even_page_header.paragraphs[0].text == "演示数据"
    real = docx.Document(io.BytesIO(word_bytes(replace(figures, is_sample=False))))
    assert "演示数据" not in real.sections[0].header.paragraphs[0].text
    assert "演示数据" not in html_text(replace(figures, is_sample=False))


def numbers(text: str) -> set[str]:
    return set(re.findall(r"\d[\d,]*(?:\.\d+)?", text))


def allowed(figures: ReportFigures) -> set[str]:
    """Digits of every figure as text or table cell, and of the fixed wording (titles, notes, dates, definitions)."""
    found: set[str] = set()
    for figure in figures.figures.values():
        if figure.value is not None:
            found |= numbers(wording.cell_text(figure))
            if figure.unit != "names":
                found |= numbers(wording.with_unit(figure))
            if figure.unit == "instant":
                found |= numbers(instant_text(figure.value))  # type: ignore[arg-type]
            if isinstance(figure.value, int):
                found |= {str(abs(figure.value))}
    for table in figures.tables.values():  # names: of documents and clauses, of codes, of cells
        found |= numbers(" ".join(cell for row in table.rows for cell in row.cells if isinstance(cell, str)))
    return found | numbers(str(wording.texts())) | numbers(str(wording.definitions(figures))) | {"2026", "4"}


def test_every_number_printed_in_word_and_html_is_a_figure(figures: ReportFigures, document: Any, page: str) -> None:
    known = allowed(figures)
    structure = {str(number) for number in range(1, 25)}  # numbers of tables, charts, annexes; months of the trend
    body = "\n".join(p.text for p in document.paragraphs)
    body += "\n".join(cell.text for table in document.tables for row in table.rows for cell in row.cells)
    assert numbers(body) - known - structure == set()
    text = re.sub(r"<svg.*?</svg>|<style>.*?</style>|<script.*?</script>|<[^>]*>", " ", page, flags=re.S)
    assert numbers(text) - known - structure - compared(figures) == set()


def compared(figures: ReportFigures) -> set[str]:
    """Digits of the differences to earlier months, and of key figures in 万."""
    found: set[str] = set()
    table = figures.tables["trend"]
    for row in table.rows[:-1]:
        for now, then in zip(table.rows[-1].cells[1:], row.cells[1:], strict=True):
            assert isinstance(now, Figure) and isinstance(then, Figure)
            if now.value is not None and then.value is not None:
                difference = now.value - then.value  # type: ignore[operator]
                found |= numbers(str(abs(percent(difference))) if now.unit == "rate" else f"{abs(difference):,}")
    for card in wording.texts()["page"]["cards"]:
        figure = figures.get(card["key"])
        if figure is not None and figure.value is not None:
            found |= numbers(big_text(figure, wording.texts()["units"])[0])
    return found


# -- HTML --------------------------------------------------------------------------------------------------------------


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def test_the_page_asks_nothing_of_anyone(page: str) -> None:
    tags = Tags()
    tags.feed(page)
    assert not {tag for tag, _ in tags.seen} & {"link", "img", "iframe", "object", "form", "base"}
    for _, attributes in tags.seen:
        for name in ("src", "href", "xlink:href", "action", "srcset"):
            assert (attributes.get(name) or "#").startswith("#")
        assert not any(name.startswith("on") for name in attributes)
        assert "style" not in attributes
    style = page[page.index("<style>") : page.index("</style>")]
    assert "url(" not in style and "@import" not in style
    policy = next(attributes["content"] or "" for _, attributes in tags.seen if attributes.get("http-equiv"))
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy and "http" not in policy and "*" not in policy
    assert len(page.encode()) < 1_500_000


def test_the_page_is_structured_for_every_reader(page: str) -> None:
    tags = Tags()
    tags.feed(page)
    names = [tag for tag, _ in tags.seen]
    assert names.count("h1") == 1 and names.count("main") == 1
    identifiers = [attributes["id"] for _, attributes in tags.seen if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    targets = {(attributes["href"] or "")[1:] for tag, attributes in tags.seen if tag == "a"}
    assert targets <= set(identifiers)
    assert ("html", {"lang": "zh-CN"}) in tags.seen
    boxes = [attributes for tag, attributes in tags.seen if tag == "div" and attributes.get("class") == "box"]
    assert len(boxes) == names.count("table")
    assert all(box["tabindex"] == "0" and box["aria-label"] for box in boxes)
    assert all(attributes.get("scope") for tag, attributes in tags.seen if tag == "th")


def test_hostile_names_stay_text(figures: ReportFigures) -> None:
    names = Figure("reporting.late_names", ("<script>alert(1)</script>",), "names")
    count = Figure("reporting.late_reporters", 1, "reporters")
    wild = replace(figures, figures={**figures.figures, names.key: names, count.key: count})
    assert "<script>alert" not in html_text(wild) and "&lt;script&gt;alert" in html_text(wild)


# -- All three ---------------------------------------------------------------------------------------------------------

MAKE = """
import hashlib, sys
from pathlib import Path
from tests.report_rows import MONTH, mart_rows, report
from tests.trace_rows import trace_sources
from include.report.render import figures_digest, write_files
figures = report()
sources = trace_sources(mart_rows(**MONTH), **{name: MONTH[name] for name in ("absent", "refused")})
print(figures_digest(figures))
for path in write_files(figures, Path(sys.argv[1]), sources).values():
    print(path.name, hashlib.sha256(path.read_bytes()).hexdigest())
"""


def test_the_same_figures_give_the_same_bytes_elsewhere(tmp_path: Path) -> None:
    outputs = []
    for zone, seed in (("Asia/Shanghai", "1"), ("America/New_York", "271828")):
        environment = os.environ | {"TZ": zone, "PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", MAKE, str(tmp_path / seed)]
        run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
        outputs.append(run.stdout)
    assert outputs[0] == outputs[1]
    assert "（2026年4月）.docx" in outputs[0] and len(outputs[0].splitlines()) == 4


def test_a_bad_month_and_an_empty_month_render_too(tmp_path: Path) -> None:
    for rows in (
        {"absent": {"2026-04": set(COUNTIES[::2]), "2026-03": set(COUNTIES)}, "refused": {COUNTIES[7]}},
        {"absent": {"2026-04": set(COUNTIES)}},
    ):
        paths = write_files(report(**rows), tmp_path)
        assert sorted(path.suffix for path in tmp_path.iterdir()) == [".docx", ".html", ".xlsx"]
        text = paths["html"].read_text(encoding="utf-8")
        text = re.sub(r"<script.*?</script>", "", text, flags=re.S)
        assert "未报送" in text and "None" not in text and "nan" not in text


def test_a_writer_that_fails_leaves_the_folder_as_it_was(
    figures: ReportFigures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = write_files(figures, tmp_path)
    before = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths.values()}

    def broken(figures: ReportFigures, path: Path) -> None:
        raise OSError("disk full")

    monkeypatch.setitem(__import__("include.report.render", fromlist=["WRITERS"]).WRITERS, "xlsx", broken)
    with pytest.raises(OSError, match="disk full"):
        write_files(report(absent={}), tmp_path)
    assert {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in tmp_path.iterdir()} == before
