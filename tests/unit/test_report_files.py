"""The three files: format, honesty (no number that is no figure), and the same bytes wherever they are made."""

from __future__ import annotations

import hashlib
import io
import os
import re
import subprocess
import sys
import zipfile
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import docx
import openpyxl
import pytest
from docx.oxml.ns import qn
from docx.shared import Mm, Pt

from include.report import wording
from include.report.excel import excel_bytes
from include.report.figures import assemble
from include.report.html import html_text
from include.report.model import Figure, ReportFigures
from include.report.numbers import instant_text
from include.report.render import write_files
from include.report.word import word_bytes
from include.report.word_page import TEXT_WIDTH_MM
from include.report.word_tables import Grid, fold
from tests.report_rows import ROOT, mart_rows, reporters

COUNTIES = [one["region_code"] for one in reporters()]


def report(**rows: Any) -> ReportFigures:
    rows = rows or {"absent": {"2026-04": {COUNTIES[19]}}, "refused": {COUNTIES[8]}, "late": {COUNTIES[4]}}
    figures = assemble(mart_rows(**rows), "2026-04")
    return replace(figures, maturity="final", maturity_reason="报告期已封账")


@pytest.fixture(scope="module")
def figures() -> ReportFigures:
    return report()


@pytest.fixture(scope="module")
def document(figures: ReportFigures) -> Any:
    return docx.Document(io.BytesIO(word_bytes(figures)))


@pytest.fixture(scope="module")
def page(figures: ReportFigures) -> str:
    return html_text(figures)


@pytest.fixture(scope="module")
def workbook(figures: ReportFigures) -> Any:
    return openpyxl.load_workbook(io.BytesIO(excel_bytes(figures)))


# -- Word --------------------------------------------------------------------------------------------------------------


def test_page_and_margins_follow_the_standard(document: Any) -> None:
    for section in document.sections:
        assert abs(section.page_width - Mm(210)) < 700 and abs(section.page_height - Mm(297)) < 700
        margins = (section.top_margin, section.left_margin, section.bottom_margin, section.right_margin)
        for margin, millimetres in zip(margins, (37, 28, 35, 26), strict=True):
            assert abs(margin - Mm(millimetres)) < 700
        assert section._sectPr.find(qn("w:docGrid")).get(qn("w:linePitch")) == "560"


def test_body_type_is_sixteen_points_on_a_pitch_of_twenty_eight(document: Any) -> None:
    faces = {"Normal": "仿宋_GB2312", "Heading 1": "黑体", "Heading 2": "楷体_GB2312"}
    for name, face in faces.items():
        style = document.styles[name]
        assert style.font.size == Pt(16)
        assert style.paragraph_format.line_spacing == Pt(28)
        fonts = style.element.rPr.find(qn("w:rFonts"))
        assert fonts.get(qn("w:eastAsia")) == face
        assert not [name for name in fonts.attrib if "Theme" in name]
    spacing = int(document.styles["Normal"].element.rPr.find(qn("w:spacing")).get(qn("w:val"))) / 20
    # 28 characters fill a line and a 29th does not fit; 22 lines fill a page and a 23rd does not fit.
    width, height = TEXT_WIDTH_MM / 25.4 * 72, (297 - 37 - 35) / 25.4 * 72
    assert 28 <= width / (16 + spacing) < 29
    assert 22 <= height / 28 < 23


def test_the_title_is_centred_in_its_face(document: Any) -> None:
    lines = document.paragraphs[:3]
    assert [line.text for line in lines] == [
        "加强产业工人队伍建设支持企业用工",
        "专项行动工作进展情况",
        "（2026年4月）",
    ]
    for line in lines[:2]:
        assert line.alignment == 1
        assert line.runs[0].font.size == Pt(22)
        assert line.runs[0]._r.rPr.find(qn("w:rFonts")).get(qn("w:eastAsia")) == "方正小标宋简体"


def test_headings_are_numbered_by_level(document: Any) -> None:
    first = [p.text for p in document.paragraphs if p.style.name == "Heading 1"]
    assert first == ["一、报送情况", "二、总体情况", "三、缺工情况", "四、培训需求", "五、补贴发放"]
    second = [p.text for p in document.paragraphs if p.style.name == "Heading 2"]
    assert second[0] == "（一）当期生产缺工" and second[-1] == "（七）扩大产能后预计缺工"


def test_page_numbers_stand_outside(document: Any) -> None:
    assert document.settings.odd_and_even_pages_header_footer
    section = document.sections[0]
    for footer, alignment in ((section.footer, 2), (section.even_page_footer, 0)):
        paragraph = footer.paragraphs[0]
        assert paragraph.alignment == alignment
        assert [run.text for run in paragraph.runs] == ["— ", "", " —"]
        assert "PAGE" in paragraph._p.xml
        for run in paragraph.runs:
            assert run.font.size == Pt(14)
            assert run._r.rPr.find(qn("w:rFonts")).get(qn("w:eastAsia")) == "宋体"


def test_sample_data_is_marked_on_every_page_and_only_then(figures: ReportFigures, document: Any) -> None:
    section = document.sections[0]
    assert section.header.paragraphs[0].text == section.even_page_header.paragraphs[0].text == "演示数据"
    real = docx.Document(io.BytesIO(word_bytes(replace(figures, is_sample=False))))
    assert "演示数据" not in real.sections[0].header.paragraphs[0].text
    assert "演示数据" not in html_text(replace(figures, is_sample=False))


def test_tables_fit_the_page_and_repeat_their_header(document: Any) -> None:
    frames = [table for table in document.tables if table._tbl.tblPr.find(qn("w:tblBorders")) is None]
    nested = [table for frame in frames for cell in frame.rows[0].cells for table in cell.tables]
    assert len(frames) == len(nested) == 1
    elements = {id(frame._tbl) for frame in frames}
    tables = [table for table in [*document.tables, *nested] if id(table._tbl) not in elements]
    assert len(tables) > 12
    for table in tables:
        widths = [int(column.get(qn("w:w"))) for column in table._tbl.tblGrid.findall(qn("w:gridCol"))]
        assert sum(widths) / 20 <= TEXT_WIDTH_MM / 25.4 * 72 + 0.1
        assert min(widths) > 300
        rows = table._tbl.findall(qn("w:tr"))
        assert rows[0].trPr.find(qn("w:tblHeader")) is not None
        assert all(row.trPr.find(qn("w:cantSplit")) is not None for row in rows)
        assert all(row.trPr.find(qn("w:tblHeader")) is None for row in rows[1:])


def test_a_number_is_never_broken_over_lines() -> None:
    header, body = ["项目", "金额（元）", "笔数"], [["甲" * 30, "9,999,999,999.99", "1,234"]]
    widths, size = Grid(tuple(header), tuple(map(tuple, body)), (False, True, True), (80, 10, 10)).fit()
    assert widths[1] / 20 > len(body[0][1]) * size * 0.5
    assert sum(widths) <= TEXT_WIDTH_MM / 25.4 * 72 * 20


def test_charts_are_native_and_carry_their_workbook(figures: ReportFigures) -> None:
    package = zipfile.ZipFile(io.BytesIO(word_bytes(figures)))
    charts = [name for name in package.namelist() if re.fullmatch(r"word/charts/chart\d+\.xml", name)]
    assert len(charts) == 7
    assert b"stacked" not in b"".join(package.read(name) for name in charts)
    cities = next(name for name in charts if "柳州市" in package.read(name).decode())
    data = package.read(cities.replace("charts", "embeddings").replace(".xml", ".xlsx"))
    sheet = openpyxl.load_workbook(io.BytesIO(data)).active
    drawn = [(row[0].value, row[1].value) for row in sheet.iter_rows(min_row=2)]
    wanted = [
        (row.cells[0], row.cells[7].value)
        for row in figures.tables["shortage_city"].rows
        if not row.is_total and isinstance(row.cells[7], Figure) and row.cells[7].value is not None
    ]
    assert sorted(drawn) == sorted(wanted)
    assert drawn == sorted(drawn, key=lambda pair: -pair[1])


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
    return found | numbers(str(wording.texts())) | numbers(str(wording.definitions(figures))) | {"2026", "4"}


def test_every_number_printed_in_word_and_html_is_a_figure(figures: ReportFigures, document: Any, page: str) -> None:
    known = allowed(figures)
    structure = {str(number) for number in range(1, 25)}  # numbers of tables, charts, annexes; months of the trend
    body = "\n".join(p.text for p in document.paragraphs)
    body += "\n".join(cell.text for table in document.tables for row in table.rows for cell in row.cells)
    assert numbers(body) - known - structure == set()
    text = re.sub(r"<svg.*?</svg>|<style>.*?</style>|<[^>]*>", " ", page, flags=re.S)
    assert numbers(text) - known - structure == set()


# -- Excel -------------------------------------------------------------------------------------------------------------


def test_the_workbook_holds_every_table_raw_and_ready_to_print(figures: ReportFigures, workbook: Any) -> None:
    names = wording.texts()["workbook"]["sheets"]
    assert workbook.sheetnames[0] == "说明" and workbook.sheetnames[-1] == "指标口径"
    for key, table in figures.tables.items():
        sheet = workbook[names[key]]
        assert sheet.freeze_panes and sheet.print_title_rows == "$4:$4"
        assert sheet.page_setup.orientation in ("portrait", "landscape") and sheet.page_setup.paperSize == 9
        assert sheet.sheet_properties.pageSetUpPr.fitToPage
        assert sheet.page_setup.fitToWidth in (None, 1)  # left out means 1
        assert sheet.page_setup.fitToHeight == 0 or sheet._charts
        assert "演示数据" in sheet.oddHeader.center.text and "演示数据" in sheet["A2"].value
        for row, line in enumerate(table.rows, start=5):
            for at, cell in enumerate(line.cells, start=1):
                value = sheet.cell(row, at).value
                if isinstance(cell, Figure) and isinstance(cell.value, int):
                    assert value == cell.value
                elif isinstance(cell, Figure) and cell.value is None:
                    assert value in wording.texts()["absences"].values()


def test_rates_keep_their_digits_in_excel(figures: ReportFigures, workbook: Any) -> None:
    total = workbook["缺工_分市"].max_row
    rate = next(
        workbook["缺工_分市"].cell(row, 9)
        for row in range(5, total)
        if workbook["缺工_分市"].cell(row, 1).value == "合计"
    )
    assert rate.number_format == "0.0%"
    assert rate.value == pytest.approx(float(figures.figures["region.shortage_rate"].value), abs=1e-12)  # type: ignore[arg-type]


def test_the_workbook_has_native_charts(figures: ReportFigures) -> None:
    package = zipfile.ZipFile(io.BytesIO(excel_bytes(figures)))
    assert sum(name.startswith("xl/charts/chart") for name in package.namelist()) == 8


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
    assert not {tag for tag, _ in tags.seen} & {"script", "link", "img", "iframe", "object", "form", "base"}
    for _, attributes in tags.seen:
        for name in ("src", "href", "xlink:href", "action", "srcset"):
            assert (attributes.get(name) or "#").startswith("#")
        assert not any(name.startswith("on") for name in attributes)
    style = page[page.index("<style>") : page.index("</style>")]
    assert "url(" not in style and "@import" not in style
    assert "default-src 'none'" in page
    assert len(page.encode()) < 1_000_000


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
    assert "<script" not in html_text(wild) and "&lt;script&gt;" in html_text(wild)


# -- All three ---------------------------------------------------------------------------------------------------------

MAKE = """
import hashlib, sys
from pathlib import Path
from tests.unit.test_report_files import report
from include.report.render import figures_digest, write_files
figures = report()
print(figures_digest(figures))
for path in write_files(figures, Path(sys.argv[1])).values():
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
        assert "未报送" in text and "None" not in text and "nan" not in text


def test_a_writer_that_fails_leaves_the_folder_as_it_was(
    figures: ReportFigures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = write_files(figures, tmp_path)
    before = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths.values()}

    def broken(figures: ReportFigures, path: Path) -> None:
        raise OSError("disk full")

    monkeypatch.setitem(__import__("include.report.render", fromlist=["WRITERS"]).WRITERS, "html", broken)
    with pytest.raises(OSError, match="disk full"):
        write_files(report(absent={}), tmp_path)
    assert {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("count", [9, 10, 15, 16])
def test_a_long_narrow_table_is_folded_with_its_total_at_the_foot(count: int) -> None:
    body = [[f"市{at}", str(at)] for at in range(count)]
    rows, strong = fold(body, 1)
    assert rows[-1][2:] == body[-1] and strong == {(len(rows) - 1, 2), (len(rows) - 1, 3)}
    shown = [half for row in rows for half in (row[:2], row[2:]) if half != ["", ""]]
    assert sorted(shown) == sorted(body)
