"""The Word report: measured against the standard by its own XML, and its tables, charts and annexes."""

from __future__ import annotations

import io
import re
import zipfile
from dataclasses import replace
from decimal import Decimal
from typing import Any

import docx
import openpyxl
import pytest
from lxml import etree

from include.report import wording
from include.report.figures import edition_figures
from include.report.model import Correction, Edition, Figure, ReportFigures, Row, Table
from include.report.word import word_bytes
from include.report.word_tables import Grid, fold
from tests.official_document import Package, complaints, text_of
from tests.report_rows import COUNTIES, mart_rows, report

C = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
WIDE_COLUMNS = 8

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"


@pytest.fixture(scope="module")
def figures() -> ReportFigures:
    return report()


@pytest.fixture(scope="module")
def written(figures: ReportFigures) -> bytes:
    return word_bytes(figures)


@pytest.fixture(scope="module")
def document(written: bytes) -> Any:
    return docx.Document(io.BytesIO(written))


@pytest.fixture(scope="module")
def small() -> bytes:
    """The report of a city of two counties."""
    return word_bytes(edition(Edition("city", "450100", "南宁市")))


def edition(place: Edition) -> ReportFigures:
    return next(edition_figures(mart_rows(), "2026-04", [place]))


@pytest.fixture
def wide(figures: ReportFigures, monkeypatch: pytest.MonkeyPatch) -> ReportFigures:
    """The report with an annex of eight columns of money."""
    names = [f"m{at}" for at in range(WIDE_COLUMNS)]
    words = {"title": "各单位补贴情况", "columns": {"name": "报送单位", **dict.fromkeys(names, "申请金额（元）")}}
    texts = {**wording.texts(), "tables": {**wording.texts()["tables"], "wide": {**words, "widths": [10] * 9}}}
    annexes = [{"title": "各单位补贴情况", "table": "wide"}, *wording.texts()["annexes"]]
    for module in ("wording", "word", "word_tables"):
        monkeypatch.setattr(f"include.report.{module}.texts", lambda: {**texts, "annexes": annexes})
    rows = tuple(
        Row((f"第{row}县", *(Figure(f"wide.{row}.{at}", Decimal(12345678), "yuan") for at in range(WIDE_COLUMNS))))
        for row in range(60)
    )
    return replace(figures, tables={**figures.tables, "wide": Table("wide", ("name", *names), rows)})


# -- The standard ------------------------------------------------------------------------------------------------------


def test_the_report_is_as_the_standard_has_it(written: bytes, small: bytes, wide: ReportFigures) -> None:
    assert complaints(written) == []
    assert complaints(small) == []
    assert complaints(word_bytes(wide)) == []
    again = replace(wide, issue_no=1, corrections=(Correction("k", "柳州市：当期生产缺工（人）", "1,200", None),))
    assert complaints(word_bytes(again)) == []


def test_the_report_of_a_county_is_short(document: Any) -> None:
    content = word_bytes(edition(Edition("county", "450126", "宾阳县", "450126")))
    assert complaints(content) == []
    short = docx.Document(io.BytesIO(content))
    assert paragraphs(short)[1:3] == ["宾阳县", "加强产业工人队伍建设支持企业用工"]
    assert paragraphs(short)[-2] == "各项明细数据、尚未整改的问题和指标口径见Excel附表。"
    assert list(charts(content)) == ["当期生产缺工人数和缺工率逐月情况（人、%）"]
    second = [p.text for p in short.paragraphs if p.style.name == "Heading 2"]
    assert second == ["（一）存在问题", "（二）下一步工作"]
    first = [p.text for p in short.paragraphs if p.style.name == "Heading 1"]
    assert first == [p.text for p in document.paragraphs if p.style.name == "Heading 1"]


def test_a_bad_month_and_an_empty_one_are_as_the_standard_has_them() -> None:
    bad = {"absent": {"2026-04": set(COUNTIES[::2]), "2026-03": set(COUNTIES)}, "refused": {COUNTIES[7]}}
    for rows in (bad, {"absent": {"2026-04": set(COUNTIES)}}):
        assert complaints(word_bytes(report(**rows))) == []


DOCUMENT, STYLES, ODD, EVEN = "word/document.xml", "word/styles.xml", "word/footer1.xml", "word/footer2.xml"
NORMAL = r'(styleId="Normal">.*?)'
CELL = r'w:tcW w:w="\d+"((?:(?!</w:tc>).)*?w:jc w:val="right")'  # one of a number


def of_style(name: str) -> str:
    return f'(styleId="{name}".*?)'


@pytest.mark.parametrize(
    ("part", "pattern", "instead", "complaint"),
    [
        (DOCUMENT, r'w:top="2097"', 'w:top="1440"', "top measures 25.4 mm, not 37"),
        (DOCUMENT, r'w:left="1587" w:header', 'w:left="1800" w:header', "left measures 31.8 mm, not 28"),
        (DOCUMENT, r'w:bottom="1984"', 'w:bottom="1440"', "bottom measures 25.4 mm, not 35"),
        (DOCUMENT, r'w:right="1474"', 'w:right="1800"', "right measures 31.8 mm, not 26"),
        (DOCUMENT, r'w:h="16837"', 'w:h="15840"', "h measures 279.4 mm, not 297"),
        (DOCUMENT, r'w:linePitch="560"', 'w:linePitch="312"', "the grid of lines is not 28 pt"),
        (STYLES, NORMAL + r'w:line="560" w:lineRule="exact"', r'\1w:line="360" w:lineRule="auto"', "not fixed at 28"),
        (STYLES, NORMAL + r'w:sz w:val="32"', r'\1w:sz w:val="28"', "仿宋_GB2312 of 14.0 pt, not 仿宋_GB2312 of 16"),
        (STYLES, NORMAL + r'w:eastAsia="仿宋_GB2312"', r'\1w:eastAsia="宋体"', "宋体 of 16.0 pt, not 仿宋"),
        (STYLES, NORMAL + r'w:ascii="Times New Roman"', r'\1w:ascii="Calibri"', "digits in Calibri"),
        (STYLES, NORMAL + r'w:ascii="Times New Roman"', r'\1w:asciiTheme="minorHAnsi"', "named by the theme"),
        (STYLES, NORMAL + r'w:spacing w:val="-5"', r'\1w:spacing w:val="0"', "does not hold 28 characters"),
        (STYLES, r'w:firstLineChars="200"', 'w:firstLineChars="0"', "not indented by two characters"),
        (STYLES, r'w:eastAsia="方正小标宋简体"', 'w:eastAsia="黑体"', "黑体 of 22.0 pt, not 方正小标宋简体 of 22"),
        (STYLES, r'w:sz w:val="44"', 'w:sz w:val="36"', "方正小标宋简体 of 18.0 pt, not 方正小标宋简体 of 22"),
        (STYLES, of_style("Title") + r'w:jc w:val="center"', r'\1w:jc w:val="left"', "the title is not centred"),
        (STYLES, of_style("Heading1") + r'w:eastAsia="黑体"', r'\1w:eastAsia="宋体"', "一、报送情况: 宋体 of 16.0"),
        (STYLES, of_style("Heading2") + r'w:eastAsia="楷体_GB2312"', r'\1w:eastAsia="宋体"', "（一）当期生产缺工: 宋"),
        (STYLES, of_style("AnnexMark") + r'w:eastAsia="黑体"', r'\1w:eastAsia="宋体"', "附件1: 宋体 of 16.0"),
        (STYLES, of_style("Footer") + r'w:sz w:val="28"', r'\1w:sz w:val="21"', "宋体 of 10.5 pt, not 宋体 of 14"),
        (STYLES, of_style("Footer") + r'w:eastAsia="宋体"', r'\1w:eastAsia="黑体"', "黑体 of 14.0 pt, not 宋体 of 14"),
        (ODD, r'w:jc w:val="right"', 'w:jc w:val="center"', "default footer: the number is not on the right"),
        (EVEN, r'w:jc w:val="left"', 'w:jc w:val="right"', "even footer: the number is not on the left"),
        (ODD, r'w:rightChars="100"', 'w:rightChars="0"', "not one character in"),
        (ODD, "— ", "- ", "is not — 1 —"),
        (EVEN, " PAGE ", " NUMPAGES ", "even footer: no page number"),
        ("word/settings.xml", r"<w:evenAndOddHeaders/>", "", "odd and even pages have the same footer"),
        ("word/header2.xml", "演示数据", "", "the head of the pages differs"),
        (DOCUMENT, r"<w:tblHeader/>", "", "table 1: the header is not repeated"),
        (DOCUMENT, r"<w:cantSplit/></w:trPr>", "</w:trPr>", "may break over pages"),
        (DOCUMENT, r'w:gridCol w:w="\d+"', 'w:gridCol w:w="9000"', "pt wide, the text is 442"),
        (DOCUMENT, CELL, r'w:tcW w:w="200"\1', "has no room on a line"),
        (DOCUMENT, r"<w:pageBreakBefore/>", "", "附件1 does not begin a page"),
        (DOCUMENT, r"年5月", "年05月", "a date has a leading zero"),
        (DOCUMENT, r"〔　　　　〕", "〔2026〕", "number is filled in already"),
        (DOCUMENT, r'w:tag w:val="signer"', 'w:tag w:val="other"', "blanks to fill"),
    ],
)  # fmt: skip
def test_the_checker_sees_each_property_that_is_broken(
    small: bytes, part: str, pattern: str, instead: str, complaint: str
) -> None:
    assert any(complaint in one for one in complaints(changed(small, part, pattern, instead)))


def changed(content: bytes, part: str, pattern: str, instead: str) -> bytes:
    """The package with the first match of ``pattern`` in ``part`` replaced."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(target, "w") as out:
        for name in source.namelist():
            text = source.read(name)
            if name == part:
                broken, count = re.subn(pattern, instead, text.decode(), count=1, flags=re.S)
                assert count == 1, f"{pattern} is not in {part}"
                text = broken.encode()
            out.writestr(name, text)
    return target.getvalue()


def test_a_wide_annex_lies_on_pages_of_its_own(wide: ReportFigures) -> None:
    package = Package(word_bytes(wide))
    sections = list(package.body.iter(f"{W}sectPr"))
    turned = [one.find(f"{W}pgSz").get(f"{W}orient") for one in sections]
    assert turned == ["portrait", "landscape", "portrait"]
    body = list(package.body)
    ends = [at for at, one in enumerate(body) if one.find(f"{W}pPr/{W}sectPr") is not None]
    inside = body[ends[0] + 1 : ends[1] + 1]
    assert [text_of(one) for one in inside if text_of(one).startswith("附件")] == ["附件1"]
    tables = [one for one in inside if one.tag == f"{W}tbl"]
    assert len(tables) == 1 and len(tables[0].findall(f"{W}tr")) == 61
    sizes = {one.get(f"{W}val") for one in tables[0].iter(f"{W}sz")}
    assert sizes in ({"18"}, set())  # 9 pt, or the 10.5 of the style


# -- Contents ----------------------------------------------------------------------------------------------------------


def paragraphs(document: Any) -> list[str]:
    return [one.text for one in document.paragraphs if one.text]


def test_the_title_follows_the_blanks_and_bears_the_month(document: Any, figures: ReportFigures) -> None:
    title = ["加强产业工人队伍建设支持企业用工", "专项行动工作进展情况", "（2026年4月）"]
    assert paragraphs(document)[1:4] == title
    again = docx.Document(io.BytesIO(word_bytes(replace(figures, issue_no=2))))
    assert paragraphs(again)[1:5] == [*title, "（第2次更正）"]
    assert "本次更正未改动已公布的数字。" in paragraphs(again) and "更正情况" not in paragraphs(again)


def test_headings_are_numbered_by_level(document: Any) -> None:
    first = [p.text for p in document.paragraphs if p.style.name == "Heading 1"]
    assert first == [
        "一、报送情况",
        "二、总体情况",
        "三、缺工情况",
        "四、培训需求",
        "五、补贴发放",
        "六、目标进度",
        "七、通报",
        "八、存在问题和下一步工作",
    ]
    second = [p.text for p in document.paragraphs if p.style.name == "Heading 2"]
    assert second[0] == "（一）当期生产缺工" and second[6] == "（七）扩大产能后预计缺工"
    assert second[7:] == ["（一）存在问题", "（二）下一步工作"]


def test_the_corrections_stand_before_the_first_section(figures: ReportFigures) -> None:
    changes = (
        Correction("a", "各市当期生产缺工情况：柳州市，当期生产缺工（人）", "1,200", "1,250"),
        Correction("b", "报送情况：未报送单位名单", "扶绥县", None),
    )
    body = Package(word_bytes(replace(figures, issue_no=1, corrections=changes))).body
    at = next(at for at, one in enumerate(body) if text_of(one) == "更正情况")
    assert body[at + 1].tag == f"{W}tbl"
    rows = [[text_of(cell) for cell in row.iter(f"{W}tc")] for row in body[at + 1].iter(f"{W}tr")]
    assert rows == [
        ["更正项目", "原数", "更正后"],
        ["各市当期生产缺工情况：柳州市，当期生产缺工（人）", "1,200", "1,250"],
        ["报送情况：未报送单位名单", "扶绥县", "未列"],
    ]
    assert [text_of(one) for one in body[at + 2 : at + 4]] == ["", "一、报送情况"]


def test_the_annexes_are_listed_and_cited_by_the_number_they_have(figures: ReportFigures, document: Any) -> None:
    text = paragraphs(document)
    numbered = [one["title"] for one in wording.annexes(figures)]
    start = next(at for at, one in enumerate(text) if one.startswith("附件："))
    listed = [one.removeprefix("附件：") for one in text[start : start + len(numbered)]]
    assert listed == [f"{number}. {title}" for number, title in enumerate(numbered, start=1)]
    marks = [at for at, one in enumerate(text) if re.fullmatch(r"附件\d+", one)]
    assert [text[at + 1] for at in marks] == numbered
    assert any("各市情况见附件1。" in one and "各县（市、区）情况见附件2。" in one for one in text)
    less = replace(figures, tables={key: one for key, one in figures.tables.items() if key != "shortage_city"})
    other = paragraphs(docx.Document(io.BytesIO(word_bytes(less))))
    assert any("各县（市、区）情况见附件1。" in one for one in other) and not any("各市情况见" in one for one in other)


def test_nothing_of_today_is_in_the_file(written: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(written)) as package:
        assert {entry.date_time for entry in package.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        core = package.read("docProps/core.xml").decode()
        books = [name for name in package.namelist() if name.endswith(".xlsx")]
        inner = [zipfile.ZipFile(io.BytesIO(package.read(name))).read("docProps/core.xml").decode() for name in books]
    assert len(inner) == 8
    for text in (core, *inner):
        assert set(re.findall(r"\d{4}-\d\d-\d\dT[\d:]*", text)) == {"2026-05-08T02:52:00"}


# -- Tables ------------------------------------------------------------------------------------------------------------


def test_a_number_is_never_broken_over_lines() -> None:
    header, body = ("项目", "金额（元）", "笔数"), (("甲" * 30, "9,999,999,999.99", "1,234"),)
    widths, size = Grid(header, body, (False, True, True), (80, 10, 10)).fit()
    assert widths[1] / 20 > len(body[0][1]) * size * 0.5
    assert sum(widths) <= 156 / 25.4 * 72 * 20


def test_a_long_text_wraps_and_a_code_does_not() -> None:
    body = (("北海市合浦县", "E-HEADCOUNT-NEGATIVE", "职工总数不能小于0，请核对后重新报送。" * 4, "12"),)
    widths, size = Grid(("报送单位", "代码", "说明", "条数"), body, (False, False, False, True), (1, 1, 1, 1)).fit()
    assert size == 10.5
    assert widths[1] / 20 > len("E-HEADCOUNT-NEGATIVE") * 10.5 * 0.5
    assert widths[2] == max(widths) and sum(widths) <= 156 / 25.4 * 72 * 20


@pytest.mark.parametrize(("count", "parts"), [(9, 2), (10, 2), (15, 3), (16, 3), (17, 3)])
def test_a_long_narrow_table_is_folded_with_its_total_at_the_foot(count: int, parts: int) -> None:
    body = [[f"市{at}", str(at)] for at in range(count)]
    rows, strong = fold(body, 1, parts)
    assert rows[-1][-2:] == body[-1]
    assert strong == {(len(rows) - 1, 2 * parts - 2), (len(rows) - 1, 2 * parts - 1)}
    assert all(len(row) == 2 * parts for row in rows)
    shown = [row[at : at + 2] for row in rows for at in range(0, 2 * parts, 2) if row[at : at + 2] != ["", ""]]
    assert sorted(shown) == sorted(body)


# -- Charts ------------------------------------------------------------------------------------------------------------


def charts(content: bytes) -> dict[str, tuple[Any, list[list[Any]]]]:
    """Alternative text of each chart to its XML and the cells of its workbook."""
    package = zipfile.ZipFile(io.BytesIO(content))
    relations = etree.fromstring(package.read("word/_rels/document.xml.rels"))
    targets = {one.get("Id"): one.get("Target") for one in relations}
    found = {}
    for inline in Package(content).body.iter(
        "{http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing}inline"
    ):
        relation = next(inline.iter(f"{C}chart")).get(
            "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
        )
        name = f"word/{targets[relation]}"
        data = package.read(name.replace("charts", "embeddings").replace(".xml", ".xlsx"))
        cells = openpyxl.load_workbook(io.BytesIO(data)).active.values
        label = next(one.get("descr") for one in inline if one.get("descr"))
        found[label] = (etree.fromstring(package.read(name)), [list(row) for row in cells])
    return found


def test_charts_are_native_and_carry_their_workbook(figures: ReportFigures, written: bytes) -> None:
    drawn = charts(written)
    assert list(drawn) == [
        "技能人才结构（人）",
        "当期生产缺工人数和缺工率逐月情况（人、%）",
        "各市当期生产缺工人数（人）",
        "当期生产缺工人数居前的行业（人）",
        "当期生产缺工人数居前的岗位（职业）（人）",
        "分类型培训需求和已培训人数（人）",
        "分项目补贴审核和拨付金额（万元）",
        "目标完成率与时序进度（%）",
    ]
    _, cells = drawn["各市当期生产缺工人数（人）"]
    wanted = [
        [row.cells[0], row.cells[7].value]
        for row in figures.tables["shortage_city"].rows
        if not row.is_total and isinstance(row.cells[7], Figure) and row.cells[7].value is not None
    ]
    assert cells[1:] == sorted(wanted, key=lambda pair: -pair[1])
    for space, _ in drawn.values():
        assert space.find(f"{C}externalData") is not None
        assert {one.get("val") for one in space.iter(f"{C}grouping")} <= {"clustered", "standard"}
        assert {
            one.get("typeface") for one in space.iter("{http://schemas.openxmlformats.org/drawingml/2006/main}ea")
        } == {"仿宋_GB2312"}


def test_a_month_without_data_is_a_gap_in_the_course() -> None:
    space, cells = charts(word_bytes(report(absent={"2026-03": set(COUNTIES)})))[
        "当期生产缺工人数和缺工率逐月情况（人、%）"
    ]
    assert [row[0] for row in cells[1:]] == ["2026年1月", "2026年2月", "2026年3月", "2026年4月"]
    assert cells[3][1:] == [None, None] and all(None not in cells[row] for row in (1, 2, 4))
    assert space.find(f".//{C}dispBlanksAs").get("val") == "gap"
    for values in space.iter(f"{C}val"):
        assert [one.get("idx") for one in values.iter(f"{C}pt")] == ["0", "1", "3"]
