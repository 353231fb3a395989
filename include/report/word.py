"""The monthly report as a Word document in the format of official documents (GB/T 9704-2012)."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import docx
from docx.document import Document as DocxDocument
from docx.enum.text import WD_ALIGN_PARAGRAPH, WD_LINE_SPACING
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.section import Section
from docx.shared import Mm, Pt, RGBColor
from docx.text.paragraph import Paragraph as DocxParagraph
from docx.text.run import Run

from include.report import wording
from include.report.charts import chart
from include.report.model import Figure, ReportFigures, Table
from include.report.packaging import document_instant, repack
from include.report.word_charts import add_chart
from include.report.wording import cell_text, texts

PAGE_MM = (210, 297)
MARGINS_MM = {"top": 37, "left": 28, "bottom": 35, "right": 26}
TEXT_WIDTH_MM = PAGE_MM[0] - MARGINS_MM["left"] - MARGINS_MM["right"]
LINE_PITCH_PT = 28
LINES_PER_PAGE, CHARS_PER_LINE = 22, 28
BODY_PT, TITLE_PT, PAGE_NUMBER_PT = 16, 22, 14
BODY_FACE, TITLE_FACE, LEVEL1_FACE, LEVEL2_FACE, PAGE_FACE = (
    "仿宋_GB2312",
    "方正小标宋简体",
    "黑体",
    "楷体_GB2312",
    "宋体",
)
DIGIT_FACE = "Times New Roman"
TABLE_SIZES_PT = (10.5, 9.0, 8.0, 7.5)
CELL_MARGIN_TWIPS = 60
SHORT_TABLE_ROWS = 8
_TWIPS_PER_PT = 20
_MARK_COLOUR = RGBColor(0xC0, 0x00, 0x00)


def write_word(figures: ReportFigures, path: Path) -> None:
    """Write the report to ``path`` (.docx); the same figures give the same bytes."""
    path.write_bytes(word_bytes(figures))


def word_bytes(figures: ReportFigures) -> bytes:
    """The document's bytes."""
    document = docx.Document()
    _Report(document, figures).write()
    buffer = io.BytesIO()
    document.save(buffer)
    stamp = f"{document_instant(figures):%Y-%m-%dT%H:%M:%SZ}"

    def settle(name: str, content: bytes) -> bytes:
        # Each chart's workbook is a package of its own, stamped with the wall clock by its writer.
        return repack(content, settle_core) if name.endswith(".xlsx") else content

    def settle_core(name: str, content: bytes) -> bytes:
        if name != "docProps/core.xml":
            return content
        return re.sub(rb"(<dcterms:\w+ [^>]*>)[^<]*", rb"\g<1>" + stamp.encode(), content)

    return repack(buffer.getvalue(), settle)


class _Report:
    def __init__(self, document: DocxDocument, figures: ReportFigures) -> None:
        self.document = document
        self.figures = figures
        self.tables = 0
        self.charts = 0

    def write(self) -> None:
        self.properties()
        self.defaults()
        self.page(self.document.sections[0])
        self.title()
        self.text(wording.preamble(self.figures))
        for block in wording.blocks(self.figures):
            match block:
                case wording.Heading(level, text):
                    self.heading(text, level)
                case wording.Paragraph(text):
                    self.text(text)
                case wording.TableBlock(table, is_cut):
                    self.numbered_table(table, is_cut)
                case wording.ChartBlock(key):
                    self.chart(key)
        annexes = [one for one in texts()["annexes"] if one.get("definitions") or one["table"] in self.figures.tables]
        self.closing(annexes)
        for number, annex in enumerate(annexes, start=1):
            self.annex(number, annex)

    # -- page and styles -------------------------------------------------------------------------------------------

    def properties(self) -> None:
        core = self.document.core_properties
        instant = document_instant(self.figures)
        core.created = core.modified = instant
        core.author = core.last_modified_by = texts()["author"]
        core.title = wording.report_title(self.figures)
        core.subject = texts()["sample_mark"] if self.figures.is_sample else ""
        core.comments = core.keywords = ""
        core.revision = 1
        core.language = "zh-CN"
        package = self.document.part.package
        assert package is not None
        # python-docx's template carries a preview picture of an empty page.
        for key in [key for key, rel in package.rels.items() if rel.reltype.endswith("/thumbnail")]:
            del package.rels[key]

    def defaults(self) -> None:
        styles = self.document.styles
        for language in styles.element.iter(qn("w:lang")):
            language.set(qn("w:eastAsia"), "zh-CN")
        for name, face, level in (
            ("Normal", BODY_FACE, 0),
            ("Heading 1", LEVEL1_FACE, 1),
            ("Heading 2", LEVEL2_FACE, 2),
        ):
            style = styles[name]
            style.font.size = Pt(BODY_PT)
            style.font.bold = False
            style.font.italic = False
            style.font.color.rgb = RGBColor(0, 0, 0)
            _faces(style.element.get_or_add_rPr(), face)
            _tighten(style.element.get_or_add_rPr())
            form = style.paragraph_format
            form.space_before = form.space_after = Pt(0)
            form.line_spacing_rule = WD_LINE_SPACING.EXACTLY
            form.line_spacing = Pt(LINE_PITCH_PT)
            form.widow_control = False
            form.keep_with_next = level > 0

    def page(self, section: Section) -> None:
        section.page_width, section.page_height = Mm(PAGE_MM[0]), Mm(PAGE_MM[1])
        section.top_margin, section.bottom_margin = Mm(MARGINS_MM["top"]), Mm(MARGINS_MM["bottom"])
        section.left_margin, section.right_margin = Mm(MARGINS_MM["left"]), Mm(MARGINS_MM["right"])
        section.header_distance, section.footer_distance = Mm(15), Mm(23)
        grid = section._sectPr.find(qn("w:docGrid"))
        if grid is None:
            grid = OxmlElement("w:docGrid")
            section._sectPr.append(grid)
        grid.set(qn("w:type"), "lines")
        grid.set(qn("w:linePitch"), str(LINE_PITCH_PT * _TWIPS_PER_PT))
        self.document.settings.odd_and_even_pages_header_footer = True
        odd, even = WD_ALIGN_PARAGRAPH.RIGHT, WD_ALIGN_PARAGRAPH.LEFT
        for footer, side, indent in (
            (section.footer, odd, "rightChars"),
            (section.even_page_footer, even, "leftChars"),
        ):
            footer.is_linked_to_previous = False
            paragraph = footer.paragraphs[0]
            paragraph.alignment = side
            _indent(paragraph, {indent: "100"})
            for piece in ("— ", None, " —"):
                run = paragraph.add_run(piece or "")
                if piece is None:
                    _page_field(run)
                run.font.size = Pt(PAGE_NUMBER_PT)
                _faces(run._r.get_or_add_rPr(), PAGE_FACE, PAGE_FACE)
        for header in (section.header, section.even_page_header):
            header.is_linked_to_previous = False
            if self.figures.is_sample:
                paragraph = header.paragraphs[0]
                paragraph.alignment = WD_ALIGN_PARAGRAPH.CENTER
                run = self.run(paragraph, texts()["sample_mark"], LEVEL1_FACE, 14)
                run.font.color.rgb = _MARK_COLOUR

    # -- pieces ----------------------------------------------------------------------------------------------------

    def run(self, paragraph: DocxParagraph, text: str, face: str, size: float) -> Run:
        run = paragraph.add_run(text)
        run.font.size = Pt(size)
        _faces(run._r.get_or_add_rPr(), face)
        return run

    def centred(self, text: str, face: str, size: float, line_pt: float, *, keep: bool = True) -> DocxParagraph:
        paragraph = self.document.add_paragraph()
        paragraph.alignment = WD_ALIGN_PARAGRAPH.CENTER
        form = paragraph.paragraph_format
        form.line_spacing_rule = WD_LINE_SPACING.EXACTLY
        form.line_spacing = Pt(line_pt)
        form.keep_with_next = keep
        _off_grid(paragraph)
        self.run(paragraph, text, face, size)
        return paragraph

    def title(self) -> None:
        for line in texts()["title_lines"]:
            self.centred(line, TITLE_FACE, TITLE_PT, 34)
        self.centred(f"（{wording.month_text(self.figures.period)}）", LEVEL2_FACE, BODY_PT, LINE_PITCH_PT)
        self.document.add_paragraph()

    def heading(self, text: str, level: int) -> None:
        paragraph = self.document.add_paragraph(style=f"Heading {level}")
        _indent(paragraph, {"firstLineChars": "200", "firstLine": str(2 * BODY_PT * _TWIPS_PER_PT)})
        paragraph.add_run(text)

    def text(self, text: str) -> None:
        paragraph = self.document.add_paragraph()
        paragraph.alignment = WD_ALIGN_PARAGRAPH.JUSTIFY
        _indent(paragraph, {"firstLineChars": "200", "firstLine": str(2 * BODY_PT * _TWIPS_PER_PT)})
        self.run(paragraph, text, BODY_FACE, BODY_PT)

    def note(self, text: str) -> None:
        paragraph = self.document.add_paragraph()
        if not text:
            paragraph.paragraph_format.line_spacing = Pt(12)
            return
        paragraph.paragraph_format.line_spacing = Pt(16)
        _off_grid(paragraph)
        paragraph.paragraph_format.space_after = Pt(8)
        self.run(paragraph, text, BODY_FACE, 10.5)

    def chart(self, key: str) -> None:
        spec = chart(key, self.figures)
        if spec is None:
            return
        self.charts += 1
        paragraph = self.document.add_paragraph()
        paragraph.alignment = WD_ALIGN_PARAGRAPH.CENTER
        # A drawing in a line of exact height would be cut to that height.
        paragraph.paragraph_format.line_spacing_rule = WD_LINE_SPACING.SINGLE
        paragraph.paragraph_format.space_before = Pt(6)
        paragraph.paragraph_format.keep_with_next = True
        add_chart(self.document, paragraph, spec, self.charts, TEXT_WIDTH_MM)
        caption = texts()["chart_number"].format(number=self.charts, title=f"{spec.title}（{spec.unit}）")
        self.centred(caption, LEVEL1_FACE, 12, 24, keep=bool(spec.note))
        if spec.note:
            self.note(spec.note)

    def numbered_table(self, table: Table, is_cut: bool) -> None:
        self.tables += 1
        title = texts()["tables"][table.key]["title"]
        self.centred(texts()["table_number"].format(number=self.tables, title=title), LEVEL1_FACE, 12, 24)
        self.table(table)
        count = sum(1 for row in table.rows if not row.is_total)
        self.note(wording.table_note(table, count if is_cut else None))

    def table(self, table: Table) -> None:
        entry = texts()["tables"][table.key]
        header = [entry["columns"][name] for name in table.columns]
        body = [[cell_text(cell) for cell in row.cells] for row in table.rows]
        numeric = [any(isinstance(row.cells[at], Figure) for row in table.rows) for at in range(len(table.columns))]
        totals = {at for at, row in enumerate(table.rows) if row.is_total}
        self.grid(header, body, numeric, entry["widths"], totals)

    def grid(
        self,
        header: Sequence[str],
        body: Sequence[Sequence[str]],
        numeric: Sequence[bool],
        weights: Sequence[int],
        totals: set[int],
    ) -> None:
        """A bordered table across the text width: repeated header row, rows never split, numbers to the right."""
        widths, size = fit(header, body, numeric, weights)
        element = OxmlElement("w:tbl")
        properties = _child(element, "w:tblPr")
        _child(properties, "w:tblW", w=str(sum(widths)), type="dxa")
        _child(properties, "w:jc", val="center")
        borders = _child(properties, "w:tblBorders")
        for side in ("top", "left", "bottom", "right", "insideH", "insideV"):
            _child(borders, f"w:{side}", val="single", sz="4", space="0", color="000000")
        _child(properties, "w:tblLayout", type="fixed")
        margins = _child(properties, "w:tblCellMar")
        for side in ("left", "right"):
            _child(margins, f"w:{side}", w=str(CELL_MARGIN_TWIPS), type="dxa")
        grid = _child(element, "w:tblGrid")
        for width in widths:
            _child(grid, "w:gridCol", w=str(width))
        for index, cells in enumerate([header, *body]):
            is_header = index == 0
            row = _child(element, "w:tr")
            row_properties = _child(row, "w:trPr")
            _child(row_properties, "w:cantSplit")
            if is_header:
                _child(row_properties, "w:tblHeader")
            strong = is_header or index - 1 in totals
            # The last rows stay with the note below them, a short table stays on one page.
            keeps = is_header or index > len(body) - 3 or len(body) <= SHORT_TABLE_ROWS
            for at, span in wording.spans(
                cells, numeric, wording.spanning_absences() if not is_header else frozenset()
            ):
                side = "center" if is_header or span > 1 else "right" if numeric[at] else "left"
                width = sum(widths[at : at + span])
                _cell(row, cells[at], width, span, size, side, LEVEL1_FACE if strong else BODY_FACE, is_header, keeps)
        self.document.element.body.insert_element_before(element, "w:sectPr")

    # -- closing and annexes ---------------------------------------------------------------------------------------

    def closing(self, annexes: Sequence[dict[str, Any]]) -> None:
        start = len(self.document.paragraphs)
        self.document.add_paragraph()
        lead = f"{texts()['annexes_title']}："
        for number, annex in enumerate(annexes, start=1):
            paragraph = self.document.add_paragraph()
            hang = 5 * BODY_PT * _TWIPS_PER_PT
            _indent(
                paragraph,
                {
                    "left": str(hang + 32 * _TWIPS_PER_PT),
                    "hanging": str(hang if number == 1 else 2 * BODY_PT * _TWIPS_PER_PT),
                },
            )
            self.run(paragraph, f"{lead if number == 1 else ''}{number}. {annex['title']}", BODY_FACE, BODY_PT)
        for _ in range(2):
            self.document.add_paragraph()
        for text in (texts()["owner"], "　　年　　月　　日"):
            paragraph = self.document.add_paragraph()
            paragraph.alignment = WD_ALIGN_PARAGRAPH.RIGHT
            _indent(paragraph, {"rightChars": "400", "right": str(4 * BODY_PT * _TWIPS_PER_PT)})
            self.run(paragraph, text, BODY_FACE, BODY_PT)
        for paragraph in self.document.paragraphs[start:-1]:
            paragraph.paragraph_format.keep_with_next = True

    def annex(self, number: int, annex: dict[str, Any]) -> None:
        mark = self.document.add_paragraph()
        mark.paragraph_format.page_break_before = True
        self.run(mark, texts()["annex_mark"].format(number=number), LEVEL1_FACE, BODY_PT)
        self.centred(annex["title"], TITLE_FACE, TITLE_PT, 40)
        if annex.get("definitions"):
            columns = texts()["definitions_columns"]
            lines = wording.definitions(self.figures)
            self.grid(list(columns.values()), lines, [False] * 3, [25, 75, 12], set())
            return
        table = self.figures.tables[annex["table"]]
        self.table(table)
        self.note(wording.table_note(table))


def text_width(text: str, size: float) -> float:
    """Width in points: Chinese characters are one em wide, digits and Latin letters about half."""
    return sum(size if ord(char) > 0x2E7F or char in "—“”" else size * 0.52 for char in text)


def fit(
    header: Sequence[str], body: Sequence[Sequence[str]], numeric: Sequence[bool], weights: Sequence[int]
) -> tuple[list[int], float]:
    """Column widths in twips that fill the text width, and the largest type size at which no number breaks.

    Labels and headers may wrap; numbers may not, so number columns get at least their longest number.
    """
    total = int(TEXT_WIDTH_MM / 25.4 * 72 * _TWIPS_PER_PT)
    margin = 2 * CELL_MARGIN_TWIPS + 20
    widths: list[int] = []
    size = TABLE_SIZES_PT[-1]
    for size in TABLE_SIZES_PT:
        least = []
        for at, title in enumerate(header):
            column = [row[at] for row in body]
            widest = max((text_width(text, size) for text in column), default=0.0)
            # A label may take two lines, a header any number of lines of at least three characters.
            need = widest if numeric[at] else min(widest, max(widest / 2 + size, 4 * size))
            least.append(int(max(need, min(len(title), 3) * size) * _TWIPS_PER_PT) + margin)
        spare = total - sum(least)
        if spare < 0 and size != TABLE_SIZES_PT[-1]:
            continue
        wanted = [max(total * weight // sum(weights) - low, 0) for weight, low in zip(weights, least, strict=True)]
        share = min(1.0, max(spare, 0) / sum(wanted)) if sum(wanted) else 0.0
        widths = [low + int(want * share) for low, want in zip(least, wanted, strict=True)]
        break
    widths[-1 if numeric[0] else 0] += total - sum(widths)
    return widths, size


def _cell(
    row: Any, text: str, width: int, span: int, size: float, side: str, face: str, is_header: bool, keeps: bool
) -> None:
    cell = _child(row, "w:tc")
    properties = _child(cell, "w:tcPr")
    _child(properties, "w:tcW", w=str(width), type="dxa")
    if span > 1:
        _child(properties, "w:gridSpan", val=str(span))
    if is_header:
        _child(properties, "w:shd", val="clear", color="auto", fill="EDEDED")
    _child(properties, "w:vAlign", val="center")
    paragraph = _child(cell, "w:p")
    form = _child(paragraph, "w:pPr")
    if keeps:
        _child(form, "w:keepNext")
    _child(form, "w:snapToGrid", val="0")
    _child(form, "w:spacing", before="30", after="30", line="240", lineRule="auto")
    _child(form, "w:jc", val=side)
    if not text:
        return
    run = _child(paragraph, "w:r")
    look = _child(run, "w:rPr")
    _faces(look, face)
    _child(look, "w:sz", val=str(int(size * 2)))
    _child(look, "w:szCs", val=str(int(size * 2)))
    content = _child(run, "w:t")
    content.text = text
    content.set(qn("xml:space"), "preserve")


def _child(parent: Any, tag: str, **attributes: str) -> Any:
    element = OxmlElement(tag)
    for name, value in attributes.items():
        element.set(qn(f"w:{name}"), value)
    parent.append(element)
    return element


def _faces(properties: Any, face: str, latin: str = DIGIT_FACE) -> None:
    """Name the faces outright: theme references would win over names, and East Asian text has its own slot."""
    fonts = properties.find(qn("w:rFonts"))
    if fonts is None:
        fonts = OxmlElement("w:rFonts")
        properties.insert(0, fonts)
    fonts.attrib.clear()
    for slot, name in (("ascii", latin), ("hAnsi", latin), ("eastAsia", face), ("cs", latin)):
        fonts.set(qn(f"w:{slot}"), name)


def _tighten(properties: Any) -> None:
    """28 characters of 16 pt are wider than the 156 mm line: close them up by the difference.

    A character grid says the same, but office suites disagree on its unit; spacing they all draw alike.
    """
    spacing = properties.find(qn("w:spacing"))
    if spacing is None:
        spacing = OxmlElement("w:spacing")
        properties.append(spacing)
    excess = BODY_PT - TEXT_WIDTH_MM / 25.4 * 72 / CHARS_PER_LINE
    spacing.set(qn("w:val"), str(-math.ceil(excess * _TWIPS_PER_PT)))


def _off_grid(paragraph: DocxParagraph) -> None:
    """Lines of another height than the body's would be stretched to whole lines of the page's grid."""
    snap = OxmlElement("w:snapToGrid")
    snap.set(qn("w:val"), "0")
    properties = paragraph._p.get_or_add_pPr()
    properties.insert_element_before(snap, "w:spacing", "w:ind", "w:contextualSpacing", "w:jc", "w:rPr", "w:sectPr")


def _indent(paragraph: DocxParagraph, values: dict[str, str]) -> None:
    indent = paragraph._p.get_or_add_pPr().get_or_add_ind()
    for name, value in values.items():
        indent.set(qn(f"w:{name}"), value)


def _page_field(run: Run) -> None:
    for kind, text in (("begin", None), (None, "PAGE"), ("end", None)):
        if kind:
            run._r.append(OxmlElement("w:fldChar"))
            run._r[-1].set(qn("w:fldCharType"), kind)
        else:
            instruction = OxmlElement("w:instrText")
            instruction.set(qn("xml:space"), "preserve")
            instruction.text = f" {text} "
            run._r.append(instruction)
