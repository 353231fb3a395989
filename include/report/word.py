"""The monthly report as a Word document in the format of official documents (GB/T 9704-2012)."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import docx

from include.report import wording
from include.report.charts import ChartSpec, chart
from include.report.model import ReportFigures, Table
from include.report.packaging import document_instant, repack
from include.report.word_charts import BESIDE_HEIGHT_MM, add_chart, height_mm, smallest_mm
from include.report.word_flow import PAGE_PT, Flow, body_lines
from include.report.word_page import LINE_PITCH_PT, TEXT_HEIGHT_MM, TEXT_WIDTH_MM, Pages
from include.report.word_tables import SMALLEST_UPRIGHT_PT, Grid, as_shown, grid_of, text_width
from include.report.word_xml import blank, paragraph, parse, run, twips
from include.report.wording import texts

# A table of few columns and rows stands beside the chart of the same figures, on this share of the line.
BESIDE_SHARE, BESIDE_COLUMNS, BESIDE_ROWS, BESIDE_GAP_MM = 0.52, 3, 9, 3.0
_DATE_PICKER = (
    '<w:date><w:dateFormat w:val="yyyy年M月d日"/><w:lid w:val="zh-CN"/><w:storeMappedDataAs w:val="dateTime"/>'
    '<w:calendar w:val="gregorian"/></w:date>'
)
_TITLE_LINE_PT, _CAPTION_PT = 34, 24
_HEAD_LINES = 5  # number and signer, two blank lines, month, one blank line
_ANNEX_HEAD_PT = LINE_PITCH_PT + 14 + _TITLE_LINE_PT + 8
_DESCENT_PT = 4.0  # under a drawing, of the line that it stands on
_AFTER_CHART_PT = 6
_LONGEST_NUMBER = 18  # characters
_RED_LINE = '<w:bottom w:val="single" w:sz="12" w:space="6" w:color="FF0000"/>'


def write_word(figures: ReportFigures, path: Path) -> None:
    """Write the report to ``path`` (.docx); the same figures give the same bytes."""
    path.write_bytes(word_bytes(figures))


def word_bytes(figures: ReportFigures) -> bytes:
    """The document's bytes."""
    report = _Report(figures)
    report.write()
    buffer = io.BytesIO()
    report.document.save(buffer)
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
    """The body is gathered as text, piece by piece, and parsed once."""

    def __init__(self, figures: ReportFigures) -> None:
        self.document = docx.Document()
        self.figures = figures
        self.pages = Pages(self.document, texts()["sample_mark"] if figures.is_sample else "")
        self.pieces: list[str] = []
        self.flow = Flow()
        self.tables = 0
        self.charts = 0

    def write(self) -> None:
        self.properties()
        self.head()
        self.text(wording.preamble(self.figures))
        if self.figures.issue_no:
            self.corrections()
        annexes = [(one["title"], *self.annex_content(one)) for one in self.chosen_annexes()]
        lying = [grid.fit(TEXT_WIDTH_MM)[1] < SMALLEST_UPRIGHT_PT for _, grid, _ in annexes]
        self.blocks(chosen_blocks(self.figures))
        # A section ends where pages turn; between annexes of one position a page break does.
        turns = [lies is not after for lies, after in zip([False, *lying], [*lying, None], strict=True)]
        ends = [
            self.pages.section(lies=lies) if turn else "" for lies, turn in zip([False, *lying], turns, strict=True)
        ]
        self.closing([title for title, _, _ in annexes], ends[0])
        for at, (title, grid, note) in enumerate(annexes):
            width = TEXT_HEIGHT_MM if lying[at] else TEXT_WIDTH_MM
            grid = grid if lying[at] else grid.snug(PAGE_PT - _ANNEX_HEAD_PT - note_pt(note))
            mark = wording.annex_mark(at + 1, len(annexes))
            self.annex(mark, title, grid.xml(width, has_note=bool(note)), breaks_page=not ends[at])
            self.note(note, section=ends[at + 1])
        body = self.document.element.body
        for child in list(body):
            body.remove(child)
        for child in parse("w:body", "".join(self.pieces)):
            body.append(child)

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

    # -- pieces ----------------------------------------------------------------------------------------------------

    def add(self, piece: str) -> None:
        self.pieces.append(piece)

    def head(self) -> None:
        """Places for number and signer over the red line, then the title, two lines below."""
        words = texts()["document"]
        number = blank(words["number"], "number", words["number_room"])
        signer = run(words["signer_lead"]) + blank(words["signer"], "signer", words["signer_room"], face="楷体_GB2312")
        self.add(
            paragraph(
                f"<w:r><w:tab/></w:r>{number}<w:r><w:tab/></w:r>{signer}",
                border=_RED_LINE,
                tabs=f'<w:tab w:val="left" w:pos="320"/><w:tab w:val="right" w:pos="{twips(TEXT_WIDTH_MM) - 320}"/>',
                side="left",
            )
        )
        self.add(paragraph() * 2)
        for line in wording.title_lines(self.figures):
            self.add(paragraph(run(line), "Title"))
        self.add(paragraph(run(f"（{wording.month_text(self.figures.period)}）"), "Subtitle"))
        if self.figures.issue_no:
            mark = texts()["reissue"]["mark"].format(number=self.figures.issue_no)
            self.add(paragraph(run(f"（{mark}）"), "Subtitle"))
        self.add(paragraph())
        self.flow.whole(len(wording.title_lines(self.figures)) * _TITLE_LINE_PT + _HEAD_LINES * LINE_PITCH_PT)

    def heading(self, text: str, level: int) -> None:
        self.add(paragraph(run(text), f"Heading{level}"))
        self.flow.heading()

    def text(self, text: str, *, keep: bool = False) -> None:
        self.add(paragraph(run(text), "BodyText", keep_next=keep))
        self.flow.lines(body_lines(text))

    def caption(self, text: str, *, keep: bool, after: int = 0) -> None:
        """The title over a table or under a chart; ``after`` in points."""
        spacing = f'w:after="{after * 20}" w:line="480" w:lineRule="exact"' if after else ""
        self.add(paragraph(run(text), "Caption", keep_next=keep, spacing=spacing))

    def note(self, text: str, *, section: str = "") -> None:
        """The note under a table, or a narrow gap where there is none; ``section`` ends with it."""
        spacing = "" if text else 'w:before="0" w:after="0" w:line="200" w:lineRule="exact"'
        self.add(paragraph(run(text) if text else "", "TableNote", spacing=spacing, section=section))

    def corrections(self) -> None:
        words = texts()["reissue"]
        if not self.figures.corrections:
            self.text(words["empty"])
            return
        body = tuple(
            (one.label, *(words["not_listed"] if text is None else text for text in (one.before, one.now)))
            for one in self.figures.corrections
        )
        # Numbers stand to the right; a column with a list of names wraps.
        numeric = tuple(at > 0 and all(len(row[at]) <= _LONGEST_NUMBER for row in body) for at in range(3))
        grid = Grid(tuple(words["columns"].values()), body, numeric, (50, 25, 25))
        self.caption(words["title"], keep=True)
        self.add(grid.xml())
        self.note("")
        self.flow.table(_CAPTION_PT, grid.heights(), grid.kept)
        self.flow.whole(note_pt(""))

    def blocks(self, blocks: list[wording.Block]) -> None:
        """The body; its last paragraph stays with the signature, which has no page without text."""
        while blocks:
            if len(blocks) > 1 and self.beside(blocks[0], blocks[1]):
                blocks = blocks[2:]
                continue
            if len(blocks) > 1 and self.should_change(blocks[0], blocks[1]):
                blocks[:2] = [blocks[1], blocks[0]]
            match blocks.pop(0):
                case wording.Heading(level, text):
                    self.heading(text, level)
                case wording.Paragraph(text):
                    self.text(text, keep=not blocks)
                case wording.TableBlock(table, is_cut):
                    self.numbered_table(table, is_cut)
                case wording.ChartBlock(key):
                    self.chart(key)

    def should_change(self, first: wording.Block, second: wording.Block) -> bool:
        """Whether a chart before its table would leave a hole at the page's end that the table fills."""
        match (first, second):
            case (wording.ChartBlock(key), wording.TableBlock(table)):
                spec = chart(key, self.figures)
                if spec is None or self.flow.fits(chart_pt(spec, smallest_mm(spec))):
                    return False
                grid = grid_of(as_shown(table))
                return self.flow.fits(_CAPTION_PT + sum(grid.heights()[: grid.kept + 1]))
        return False

    def numbered_table(self, table: Table, is_cut: bool) -> None:
        table = as_shown(table)
        count = sum(1 for row in table.rows if not row.is_total)
        note = wording.table_note(table, count if is_cut else None)
        grid = grid_of(table)
        self.caption(self.table_title(table), keep=True)
        self.add(grid.xml(has_note=bool(note)))
        self.note(note)
        self.flow.table(_CAPTION_PT, grid.heights(), grid.kept)
        self.flow.whole(note_pt(note))

    def table_title(self, table: Table) -> str:
        self.tables += 1
        return str(texts()["table_number"].format(number=self.tables, title=texts()["tables"][table.key]["title"]))

    def chart(self, key: str) -> None:
        spec = chart(key, self.figures)
        if spec is None:
            return
        full, least = height_mm(spec), smallest_mm(spec)
        height = least if not self.flow.fits(chart_pt(spec, full)) and self.flow.fits(chart_pt(spec, least)) else full
        drawing, caption = self.drawing(spec, TEXT_WIDTH_MM, height)
        self.add(paragraph(drawing, "Drawing"))
        self.caption(caption, keep=bool(spec.note), after=0 if spec.note else _AFTER_CHART_PT)
        if spec.note:
            self.note(spec.note)
        self.flow.whole(chart_pt(spec, height))

    def drawing(self, spec: ChartSpec, width_mm: float, height: float) -> tuple[str, str]:
        """Draw the next chart; returns its run and its caption."""
        self.charts += 1
        caption = texts()["chart_number"].format(number=self.charts, title=spec.caption)
        size = (width_mm, height)
        return add_chart(self.document, spec, self.charts, size, is_small=height < height_mm(spec)), str(caption)

    def beside(self, first: wording.Block, second: wording.Block) -> bool:
        """Set a small table and the chart of the same figures side by side; ``False`` when the two blocks are not."""
        match (first, second):
            case (wording.TableBlock(table), wording.ChartBlock(key)) | (
                wording.ChartBlock(key),
                wording.TableBlock(table),
            ) if table.key == texts()["charts"][key].get("table", key):
                pass
            case _:
                return False
        spec = chart(key, self.figures)
        if spec is None or len(table.columns) > BESIDE_COLUMNS or len(table.rows) > BESIDE_ROWS:
            return False
        left_mm = TEXT_WIDTH_MM * BESIDE_SHARE
        grid, note = grid_of(table), wording.table_note(table)
        left = paragraph(run(self.table_title(table)), "Caption", keep_next=True)
        left += grid.xml(left_mm - BESIDE_GAP_MM)
        left += paragraph(
            run(note) if note else "", "TableNote", spacing='w:before="60" w:after="0" w:line="280" w:lineRule="exact"'
        )
        drawing, caption = self.drawing(spec.upright(), TEXT_WIDTH_MM - left_mm, BESIDE_HEIGHT_MM)
        right = paragraph(drawing, "Drawing") + paragraph(run(caption), "Caption")
        widths = (twips(left_mm), twips(TEXT_WIDTH_MM) - twips(left_mm))
        columns = "".join(f'<w:gridCol w:w="{width}"/>' for width in widths)
        cells = "".join(
            f'<w:tc><w:tcPr><w:tcW w:w="{width}" w:type="dxa"/>{place}</w:tcPr>{content}</w:tc>'
            for width, place, content in zip(widths, ("", '<w:vAlign w:val="center"/>'), (left, right), strict=True)
        )
        margins = '<w:left w:w="0" w:type="dxa"/><w:right w:w="0" w:type="dxa"/>'
        self.add(
            f'<w:tbl><w:tblPr><w:tblW w:w="{sum(widths)}" w:type="dxa"/><w:tblLayout w:type="fixed"/>'
            f"<w:tblCellMar>{margins}</w:tblCellMar></w:tblPr><w:tblGrid>{columns}</w:tblGrid>"
            f"<w:tr><w:trPr><w:cantSplit/></w:trPr>{cells}</w:tr></w:tbl>"
        )
        self.note("")
        height = _CAPTION_PT + sum(grid.heights(left_mm - BESIDE_GAP_MM)) + 2 * note_pt(note)
        self.flow.whole(max(height, chart_pt(spec, BESIDE_HEIGHT_MM)))
        return True

    def chosen_annexes(self) -> list[Mapping[str, Any]]:
        brief = texts()["word_brief"].get(self.figures.edition.level)
        found = wording.annexes(self.figures)
        return [one for one in found if brief is None or one.get("table") in brief["annexes"]]

    # -- closing and annexes ---------------------------------------------------------------------------------------

    def closing(self, annexes: Sequence[str], section: str) -> None:
        """List of annexes, owner and date; ``section`` ends with them. A signature never stands alone on a page."""
        words = texts()["document"]
        self.add(paragraph(keep_next=True))
        for number, title in enumerate(annexes, start=1):
            lead = f"{texts()['annexes_title']}：" if number == 1 else ""
            indent = f'w:left="2240" w:hanging="{1600 if lead else 640}"'
            label = run(f"{lead}{number}. {title}" if len(annexes) > 1 else f"{lead}{title}")
            self.add(paragraph(label, keep_next=True, indent=indent, side="left"))
        self.add(paragraph(keep_next=True) * 2)
        # The date four characters from the right, the owner's name in the middle over it.
        room = words["date_room"]
        for content, length in (
            (run(texts()["owner"]), len(texts()["owner"])),
            (blank(words["date"], "date", room, kind=_DATE_PICKER), len(room)),
        ):
            right = int((4 + (len(room) - length) / 2) * 100)
            indent = f'w:right="{right * 16 * 20 // 100}" w:rightChars="{right}"'
            is_last = length == len(room)
            ending = section if is_last else ""
            self.add(paragraph(content, keep_next=not is_last, indent=indent, side="right", section=ending))

    def annex_content(self, annex: Mapping[str, Any]) -> tuple[Grid, str]:
        """Table of an annex and the note under it."""
        if annex.get("definitions"):
            columns = tuple(texts()["definitions_columns"].values())
            return Grid(columns, tuple(wording.definitions(self.figures)), (False,) * 3, (22, 78, 9)), ""
        table = as_shown(self.figures.tables[annex["table"]])
        return grid_of(table), wording.table_note(table)

    def annex(self, mark: str, title: str, grid: str, *, breaks_page: bool) -> None:
        self.add(paragraph(run(mark), "AnnexMark", page_break=breaks_page))
        self.add(paragraph(style="Title", spacing='w:line="280" w:lineRule="exact"', keep_next=True))
        self.add(paragraph(run(title), "Title"))
        self.add(paragraph(style="Title", spacing='w:line="160" w:lineRule="exact"', keep_next=True))
        self.add(grid)


def chosen_blocks(figures: ReportFigures) -> list[wording.Block]:
    """The body's blocks; in a short report (``word_brief`` of ``texts.yaml``) only its tables and charts."""
    found = list(wording.blocks(figures))
    brief = texts()["word_brief"].get(figures.edition.level)
    if brief is None:
        return found
    kept: list[wording.Block] = []
    section = ""
    for block in found:
        match block:
            case wording.Heading(1, text):
                section = text.partition("、")[2]
                kept.append(block)
            case wording.Heading(2) if section in brief["without_subtitles"]:
                continue
            case wording.ChartBlock(key):
                kept += [block] if key in brief["charts"] else []
            case wording.TableBlock(table, is_cut):
                top = brief["tables"].get(table.key)
                if top:
                    shorter, cuts = wording.cut(table, top)
                    kept.append(wording.TableBlock(shorter, is_cut or cuts))
                elif top is not None:
                    kept.append(block)
            case _:
                kept.append(block)
    filled: list[wording.Block] = []
    for block, after in zip(kept, [*kept[1:], None], strict=True):
        filled.append(block)
        if isinstance(block, wording.Heading) and (after is None or isinstance(after, wording.Heading)):
            filled += [wording.Paragraph(brief["nothing"])] if after is None or after.level <= block.level else []
    return [*filled, wording.Paragraph(brief["pointer"])]


def note_pt(text: str) -> float:
    """Height of the note under a table in points; of the gap where there is none."""
    lines = math.ceil(text_width(text, 10.5) / (TEXT_WIDTH_MM / 25.4 * 72))
    return lines * 14 + 11 if lines else 10.0


def chart_pt(spec: ChartSpec, height: float) -> float:
    """Height in points of a chart of ``height`` mm with the space over it, its caption and its note."""
    return 6 + height / 25.4 * 72 + _DESCENT_PT + _CAPTION_PT + (note_pt(spec.note) if spec.note else _AFTER_CHART_PT)
