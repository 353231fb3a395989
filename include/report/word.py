"""The monthly report as a Word document in the format of official documents (GB/T 9704-2012)."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence, Set
from pathlib import Path
from typing import Any

import docx
from docx.document import Document as DocxDocument
from docx.enum.table import WD_CELL_VERTICAL_ALIGNMENT
from docx.enum.text import WD_ALIGN_PARAGRAPH, WD_LINE_SPACING
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.section import Section
from docx.shared import Mm, Pt, RGBColor
from docx.text.paragraph import Paragraph as DocxParagraph
from docx.text.run import Run

from include.report import wording
from include.report.charts import ChartSpec, chart
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
# A table over a page break shows at least this many rows on either side; a shorter one stays in one piece.
ROWS_AT_BREAK = 3
# A short table of few columns stands beside its chart: (share of the line for the table, rows it may have).
BESIDE = {"skill_structure": (0.52, 9)}
# A table of two columns with more rows than this is set in two halves side by side.
FOLDED_ROWS = 8
_TWIPS_PER_PT = 20
_MARK_COLOUR = RGBColor(0xC0, 0x00, 0x00)
# Children in the order of the schema (CT_PPr, CT_RPr, CT_TblPr): Word refuses or repairs a file that mixes them.
_PARAGRAPH_ORDER = (
    "w:pStyle", "w:keepNext", "w:keepLines", "w:pageBreakBefore", "w:framePr", "w:widowControl", "w:numPr",
    "w:suppressLineNumbers", "w:pBdr", "w:shd", "w:tabs", "w:suppressAutoHyphens", "w:kinsoku", "w:wordWrap",
    "w:overflowPunct", "w:topLinePunct", "w:autoSpaceDE", "w:autoSpaceDN", "w:bidi", "w:adjustRightInd",
    "w:snapToGrid", "w:spacing", "w:ind", "w:contextualSpacing", "w:mirrorIndents", "w:suppressOverlap", "w:jc",
    "w:textDirection", "w:textAlignment", "w:textboxTightWrap", "w:outlineLvl", "w:divId", "w:cnfStyle", "w:rPr",
    "w:sectPr", "w:pPrChange",
)  # fmt: skip
_RUN_ORDER = (
    "w:rStyle", "w:rFonts", "w:b", "w:bCs", "w:i", "w:iCs", "w:caps", "w:smallCaps", "w:strike", "w:dstrike",
    "w:outline", "w:shadow", "w:emboss", "w:imprint", "w:noProof", "w:snapToGrid", "w:vanish", "w:webHidden",
    "w:color", "w:spacing", "w:w", "w:kern", "w:position", "w:sz", "w:szCs", "w:highlight", "w:u", "w:effect",
    "w:bdr", "w:shd", "w:fitText", "w:vertAlign", "w:rtl", "w:cs", "w:em", "w:lang", "w:eastAsianLayout",
    "w:specVanish", "w:oMath",
)  # fmt: skip
_TABLE_ORDER = (
    "w:tblStyle", "w:tblpPr", "w:tblOverlap", "w:bidiVisual", "w:tblStyleRowBandSize", "w:tblStyleColBandSize",
    "w:tblW", "w:jc", "w:tblCellSpacing", "w:tblInd", "w:tblBorders", "w:shd", "w:tblLayout", "w:tblCellMar",
    "w:tblLook", "w:tblCaption", "w:tblDescription",
)  # fmt: skip


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
        blocks = list(wording.blocks(self.figures))
        while blocks:
            if len(blocks) > 1 and self.beside(blocks[0], blocks[1]):
                blocks = blocks[2:]
                continue
            match blocks.pop(0):
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
        for language in self.document.settings.element.iter(qn("w:themeFontLang")):
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
            # Punctuation moves to the next line with its character instead of hanging over the right margin
            # (LibreOffice 7.4 reads the switch the wrong way round).
            _put(style.element.get_or_add_pPr(), _PARAGRAPH_ORDER, "w:overflowPunct", val="0")
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

    def centred(self, text: str, face: str, size: float, line_pt: float, *, keep: bool = True) -> None:
        self.caption(self.document.add_paragraph(), text, face, size, line_pt, keep=keep)

    def caption(
        self, paragraph: DocxParagraph, text: str, face: str, size: float, line_pt: float, *, keep: bool = True
    ) -> None:
        paragraph.alignment = WD_ALIGN_PARAGRAPH.CENTER
        form = paragraph.paragraph_format
        form.line_spacing_rule = WD_LINE_SPACING.EXACTLY
        form.line_spacing = Pt(line_pt)
        form.keep_with_next = keep
        _off_grid(paragraph)
        self.run(paragraph, text, face, size)

    def title(self) -> None:
        for line in wording.title_lines(self.figures):
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
        """The note under a table, or a narrow gap where there is none."""
        paragraph = self.document.add_paragraph()
        form = paragraph.paragraph_format
        form.line_spacing_rule = WD_LINE_SPACING.EXACTLY
        form.line_spacing = Pt(14)
        _off_grid(paragraph)
        if text:
            form.space_before, form.space_after = Pt(3), Pt(8)
            form.keep_together = True
            self.run(paragraph, text, BODY_FACE, 10.5)

    def chart(self, key: str) -> None:
        spec = chart(key, self.figures)
        if spec is None:
            return
        paragraph = self.document.add_paragraph()
        paragraph.paragraph_format.space_before = Pt(6)
        caption = self.drawing(paragraph, spec, TEXT_WIDTH_MM)
        self.centred(caption, LEVEL1_FACE, 12, 24, keep=bool(spec.note))
        if spec.note:
            self.note(spec.note)

    def drawing(self, paragraph: DocxParagraph, spec: ChartSpec, width_mm: float) -> str:
        """Draw the next chart in ``paragraph``; returns its caption."""
        self.charts += 1
        paragraph.alignment = WD_ALIGN_PARAGRAPH.CENTER
        # A drawing in a line of exact height would be cut to that height.
        paragraph.paragraph_format.line_spacing_rule = WD_LINE_SPACING.SINGLE
        paragraph.paragraph_format.keep_with_next = True
        _off_grid(paragraph)
        add_chart(self.document, paragraph, spec, self.charts, width_mm)
        return str(texts()["chart_number"].format(number=self.charts, title=spec.caption))

    def beside(self, first: wording.Block, second: wording.Block) -> bool:
        """Set a short table and the chart of the same figures side by side; ``False`` when the two blocks are not."""
        match (first, second):
            case (wording.TableBlock(table), wording.ChartBlock(key)) | (
                wording.ChartBlock(key),
                wording.TableBlock(table),
            ) if table.key == key and key in BESIDE:
                pass
            case _:
                return False
        share, most = BESIDE[key]
        spec = chart(key, self.figures)
        if spec is None or len(table.rows) > most:
            return False
        self.tables += 1
        gap = 3.0
        left_mm = TEXT_WIDTH_MM * share
        frame = self.document.add_table(1, 2)
        frame.autofit = False
        _put(frame._tbl.tblPr, _TABLE_ORDER, "w:tblW", w=str(_twips(TEXT_WIDTH_MM)), type="dxa")
        margins = _put(frame._tbl.tblPr, _TABLE_ORDER, "w:tblCellMar")
        for side in ("left", "right"):
            _child(margins, f"w:{side}", w="0", type="dxa")
        for column, width in zip(frame.columns, (left_mm, TEXT_WIDTH_MM - left_mm), strict=True):
            column.width = Mm(width)
            column.cells[0].width = Mm(width)
        _child(frame.rows[0]._tr.get_or_add_trPr(), "w:cantSplit")
        left, right = frame.rows[0].cells
        title = texts()["table_number"].format(number=self.tables, title=texts()["tables"][key]["title"])
        self.caption(left.paragraphs[0], title, LEVEL1_FACE, 12, 24)
        left._tc.append(self.table_element(table, left_mm - gap))
        end = left.add_paragraph()
        end.paragraph_format.line_spacing_rule = WD_LINE_SPACING.EXACTLY
        end.paragraph_format.line_spacing = Pt(14)
        end.paragraph_format.space_before = Pt(3)
        _off_grid(end)
        note = wording.table_note(table)
        if note:
            self.run(end, note, BODY_FACE, 10.5)
        right.vertical_alignment = WD_CELL_VERTICAL_ALIGNMENT.CENTER
        caption = self.drawing(right.paragraphs[0], spec.upright(), TEXT_WIDTH_MM - left_mm)
        self.caption(right.add_paragraph(), caption, LEVEL1_FACE, 12, 24)
        self.note("")
        return True

    def numbered_table(self, table: Table, is_cut: bool) -> None:
        self.tables += 1
        title = texts()["tables"][table.key]["title"]
        self.centred(texts()["table_number"].format(number=self.tables, title=title), LEVEL1_FACE, 12, 24)
        count = sum(1 for row in table.rows if not row.is_total)
        self.table(table, wording.table_note(table, count if is_cut else None))

    def table(self, table: Table, note: str) -> None:
        self.place(self.table_element(table, TEXT_WIDTH_MM, has_note=bool(note)))
        self.note(note)

    def place(self, element: Any) -> None:
        self.document.element.body.insert_element_before(element, "w:sectPr")

    def table_element(self, table: Table, width_mm: float, *, has_note: bool = False) -> Any:
        entry = texts()["tables"][table.key]
        header = [entry["columns"][name] for name in table.columns]
        body = [[cell_text(cell) for cell in row.cells] for row in table.rows]
        numeric = [any(isinstance(row.cells[at], Figure) for row in table.rows) for at in range(len(table.columns))]
        weights = list(entry["widths"])
        strong = {(at, column) for at, row in enumerate(table.rows) if row.is_total for column in range(len(header))}
        if len(header) == 2 and len(body) > FOLDED_ROWS:
            body, strong = fold(body, sum(1 for row in table.rows if row.is_total))
            header, numeric, weights = header * 2, numeric * 2, weights * 2
        return grid(header, body, numeric, weights, strong, width_mm, has_note=has_note)

    # -- closing and annexes ---------------------------------------------------------------------------------------

    def closing(self, annexes: Sequence[dict[str, Any]]) -> None:
        # With the sentence before it, so that the signature never stands on a page of its own.
        start = max(len(self.document.paragraphs) - 1, 0)
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
            self.place(grid(list(columns.values()), lines, [False] * 3, [25, 75, 12], set(), TEXT_WIDTH_MM))
            return
        table = self.figures.tables[annex["table"]]
        self.table(table, wording.table_note(table))


def fold(body: Sequence[Sequence[str]], totals: int) -> tuple[list[list[str]], set[tuple[int, int]]]:
    """A long table of two columns as two halves side by side, its ``totals`` last rows at the foot of the second.

    Returns:
        Rows of four cells, and the (row, column) of the cells of the totals.
    """
    half = -(-len(body) // 2)
    blank = [["", ""]] * (2 * half - len(body))
    right = [*body[half : len(body) - totals], *blank, *body[len(body) - totals :]]
    rows = [[*one, *other] for one, other in zip(body[:half], right, strict=True)]
    return rows, {(row, column) for row in range(half - totals, half) for column in (2, 3)}


def grid(
    header: Sequence[str],
    body: Sequence[Sequence[str]],
    numeric: Sequence[bool],
    weights: Sequence[int],
    strong: Set[tuple[int, int]],
    width_mm: float,
    *,
    has_note: bool = False,
) -> Any:
    """A bordered ``w:tbl`` of ``width_mm``: repeated header row, rows never split, numbers to the right.

    Args:
        weights: wanted shares of the width, by column.
        strong: (row, column) of the cells of totals.
        has_note: the last row stays with the paragraph that follows.
    """
    widths, size = fit(header, body, numeric, weights, width_mm)
    element = OxmlElement("w:tbl")
    properties = _child(element, "w:tblPr")
    _child(properties, "w:tblW", w=str(sum(widths)), type="dxa")
    _child(properties, "w:jc", val="left" if width_mm < TEXT_WIDTH_MM else "center")
    borders = _child(properties, "w:tblBorders")
    for side in ("top", "left", "bottom", "right", "insideH", "insideV"):
        _child(borders, f"w:{side}", val="single", sz="4", space="0", color="000000")
    _child(properties, "w:tblLayout", type="fixed")
    margins = _child(properties, "w:tblCellMar")
    for side in ("left", "right"):
        _child(margins, f"w:{side}", w=str(CELL_MARGIN_TWIPS), type="dxa")
    columns = _child(element, "w:tblGrid")
    for width in widths:
        _child(columns, "w:gridCol", w=str(width))
    absences = wording.spanning_absences()
    for index, cells in enumerate([header, *body]):
        is_header = index == 0
        row = _child(element, "w:tr")
        row_properties = _child(row, "w:trPr")
        _child(row_properties, "w:cantSplit")
        if is_header:
            _child(row_properties, "w:tblHeader")
        # Kept with the next row: the first rows with the header, the last ones with each other and with the note.
        is_last = index == len(body)
        keeps = has_note if is_last else index < ROWS_AT_BREAK or index > len(body) - ROWS_AT_BREAK
        parts = wording.spans(cells, numeric, absences if not is_header else frozenset())
        if len(parts) > 2 and not cells[0] and (index - 1, 0) in strong:
            parts = [(0, 2), *parts[2:]]  # 合计 across the columns of city and county
        for at, span in parts:
            width = sum(widths[at : at + span])
            text = cells[at] or (cells[at + 1] if span > 1 else "")
            is_strong = is_header or (index - 1, at) in strong
            side = "center" if is_header or span > 1 else "right" if numeric[at] else "left"
            if is_strong and not is_header and not numeric[at]:
                side = "center"
            room = (width - 2 * CELL_MARGIN_TWIPS) / _TWIPS_PER_PT / size
            lines = wording.header_lines(text, room) if is_header else [text]
            _cell(row, lines, width, span, size, side, LEVEL1_FACE if is_strong else BODY_FACE, is_header, keeps)
    return element


def text_width(text: str, size: float) -> float:
    """Width in points: Chinese characters are one em wide, digits and Latin letters about half."""
    return sum(size if ord(char) > 0x2E7F or char in "—“”" else size * 0.52 for char in text)


def fit(
    header: Sequence[str],
    body: Sequence[Sequence[str]],
    numeric: Sequence[bool],
    weights: Sequence[int],
    width_mm: float = TEXT_WIDTH_MM,
) -> tuple[list[int], float]:
    """Column widths in twips that fill ``width_mm``, and the largest type size at which no number breaks.

    Labels and headers may wrap; numbers may not, so number columns get at least their longest number.
    """
    total = _twips(width_mm)
    margin = 2 * CELL_MARGIN_TWIPS + 20
    widths: list[int] = []
    size = TABLE_SIZES_PT[-1]
    for size in TABLE_SIZES_PT:
        least = []
        for at, title in enumerate(header):
            column = [row[at] for row in body]
            widest = max((text_width(text, size) for text in column), default=0.0)
            # A label may take two lines, a header a line for each of its pieces.
            need = widest if numeric[at] else min(widest, max(widest / 2 + size, 4 * size))
            head = max(text_width(piece, size) for piece in wording.header_pieces(title))
            least.append(int(max(need, head) * _TWIPS_PER_PT) + margin)
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
    row: Any,
    lines: Sequence[str],
    width: int,
    span: int,
    size: float,
    side: str,
    face: str,
    is_header: bool,
    keeps: bool,
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
    if not any(lines):
        # An empty line is as high as its paragraph mark.
        _child(_child(form, "w:rPr"), "w:sz", val=str(int(size * 2)))
        return
    run = _child(paragraph, "w:r")
    look = _child(run, "w:rPr")
    _faces(look, face)
    _child(look, "w:sz", val=str(int(size * 2)))
    _child(look, "w:szCs", val=str(int(size * 2)))
    for number, text in enumerate(lines):
        if number:
            _child(run, "w:br")
        content = _child(run, "w:t")
        content.text = text
        content.set(qn("xml:space"), "preserve")


def _twips(millimetres: float) -> int:
    return int(millimetres / 25.4 * 72 * _TWIPS_PER_PT)


def _put(properties: Any, order: Sequence[str], tag: str, **attributes: str) -> Any:
    """Set a child of ``w:pPr``, ``w:rPr`` or ``w:tblPr`` at the place the schema gives it; an old one is replaced."""
    for old in properties.findall(qn(tag)):
        properties.remove(old)
    element = OxmlElement(tag)
    for name, value in attributes.items():
        element.set(qn(f"w:{name}"), value)
    properties.insert_element_before(element, *order[order.index(tag) + 1 :])
    return element


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
    excess = BODY_PT - TEXT_WIDTH_MM / 25.4 * 72 / CHARS_PER_LINE
    _put(properties, _RUN_ORDER, "w:spacing", val=str(-math.ceil(excess * _TWIPS_PER_PT)))


def _off_grid(paragraph: DocxParagraph) -> None:
    """Lines of another height than the body's would be stretched to whole lines of the page's grid."""
    _put(paragraph._p.get_or_add_pPr(), _PARAGRAPH_ORDER, "w:snapToGrid", val="0")


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
