"""A checker of official documents: measures a written .docx against the figures of GB/T 9704-2012.

Reads the XML of the file alone; every figure it compares with is written down here.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lxml import etree

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
MM_PER_TWIP = 25.4 / 1440
UPRIGHT = {"w": 210, "h": 297, "top": 37, "left": 28, "bottom": 35, "right": 26}
# The same sheet turned: the head of a lying table at the binding edge of odd pages.
LYING = {"w": 297, "h": 210, "top": 28, "left": 35, "bottom": 26, "right": 37}
SONG, HEI, KAI, FANGSONG, TITLE = "宋体", "黑体", "楷体_GB2312", "仿宋_GB2312", "方正小标宋简体"
LEVELS = {
    r"[一二三四五六七八九十]+、": (HEI, 16),
    r"（[一二三四五六七八九十]+）": (KAI, 16),
    r"\d+\. ": (FANGSONG, 16),
    r"（\d+）": (FANGSONG, 16),
}
LOOSE_TYPE = re.compile(r"(?:表|图)\d+　|注：|.*不列入图中。$|更正情况$")
BLANKS = {"number", "signer", "date"}


@dataclass(frozen=True)
class Look:
    """What holds for a run of text after its styles: face of Chinese and Latin, size and closing up in points."""

    face: str
    latin: str
    size: float
    spacing: float


class Package:
    """The parts of a .docx."""

    def __init__(self, content: bytes) -> None:
        with zipfile.ZipFile(io.BytesIO(content)) as package:
            self.parts = {name: package.read(name) for name in package.namelist()}
        self.body = self.part("document.xml").find(f"{W}body")
        self.styles = {one.get(f"{W}styleId"): one for one in self.part("styles.xml").iter(f"{W}style")}
        relations = etree.fromstring(self.parts["word/_rels/document.xml.rels"])
        self.targets = {one.get("Id"): one.get("Target") for one in relations}

    def part(self, name: str) -> Any:
        return etree.fromstring(self.parts[f"word/{name}"])

    def chain(self, paragraph: Any) -> Iterator[Any]:
        """The paragraph and the styles it builds on, nearest first."""
        yield paragraph
        named = paragraph.find(f"{W}pPr/{W}pStyle")
        style = self.styles["Normal" if named is None else named.get(f"{W}val")]
        while style is not None:
            yield style
            base = style.find(f"{W}basedOn")
            style = None if base is None else self.styles[base.get(f"{W}val")]

    def of_paragraph(self, paragraph: Any, name: str, attribute: str) -> str | None:
        """An attribute of a paragraph's property ``name`` after its styles."""
        for one in self.chain(paragraph):
            found = one.find(f"{W}pPr/{W}{name}")
            if found is not None and found.get(f"{W}{attribute}") is not None:
                return str(found.get(f"{W}{attribute}"))
        return None

    def look(self, paragraph: Any, run: Any) -> Look:
        def value(name: str, attribute: str) -> str:
            for one in (run, *self.chain(paragraph)):
                # A paragraph's own w:rPr is that of its mark, not of its runs.
                found = None if one is paragraph else one.find(f"{W}rPr/{W}{name}")
                if found is not None and found.get(f"{W}{attribute}") is not None:
                    return str(found.get(f"{W}{attribute}"))
            return "0"

        return Look(
            value("rFonts", "eastAsia"),
            value("rFonts", "ascii"),
            int(value("sz", "val")) / 2,
            int(value("spacing", "val")) / 20,
        )


def complaints(content: bytes) -> list[str]:
    """What is not as the standard has it, one line each; empty when all is."""
    package = Package(content)
    return [
        *_pages(package),
        *_page_numbers(package),
        *_paragraphs(package),
        *_tables(package),
        *_annexes(package),
        *_blanks(package),
    ]


def text_of(element: Any) -> str:
    return "".join(one.text or "" for one in element.iter(f"{W}t"))


def _pages(package: Package) -> Iterator[str]:
    for number, section in enumerate(package.body.iter(f"{W}sectPr"), start=1):
        size, margins = section.find(f"{W}pgSz"), section.find(f"{W}pgMar")
        wanted = LYING if size.get(f"{W}orient") == "landscape" else UPRIGHT
        for name, millimetres in wanted.items():
            source = size if name in ("w", "h") else margins
            measured = int(source.get(f"{W}{name}")) * MM_PER_TWIP
            if abs(measured - millimetres) > 0.1:
                yield f"section {number}: {name} measures {measured:.1f} mm, not {millimetres}"
        grid = section.find(f"{W}docGrid")
        if grid is None or grid.get(f"{W}type") != "lines" or grid.get(f"{W}linePitch") != "560":
            yield f"section {number}: the grid of lines is not 28 pt"
    for name, element in (("styles", package.part("styles.xml")), ("document", package.body)):
        if any("Theme" in attribute for fonts in element.iter(f"{W}rFonts") for attribute in fonts.attrib):
            yield f"{name}: a face is named by the theme"
    if re.search(r"年0\d月|月0\d日", text_of(package.body)):
        yield "a date has a leading zero"


def _page_numbers(package: Package) -> Iterator[str]:
    if package.part("settings.xml").find(f"{W}evenAndOddHeaders") is None:
        yield "odd and even pages have the same footer"
    marks = set()
    for section in package.body.iter(f"{W}sectPr"):
        for kind, side in (("default", "right"), ("even", "left")):
            footer, header = (
                package.part(package.targets[one.get(f"{R}id")])
                for edge in ("footer", "header")
                for one in section.findall(f"{W}{edge}Reference")
                if one.get(f"{W}type") == kind
            )
            marks.add(text_of(header))
            # A lying page has its number in a box; the paragraph with the field is the innermost.
            number = footer.find(f".//{W}instrText")
            if number is None or number.text.strip() != "PAGE":
                yield f"{kind} footer: no page number"
                continue
            paragraph = next(number.iterancestors(f"{W}p"))
            if not re.fullmatch(r"— \d* ?—", text_of(paragraph)):
                yield f"{kind} footer: {text_of(paragraph)!r} is not — 1 —"
            if package.of_paragraph(paragraph, "jc", "val") != side:
                yield f"{kind} footer: the number is not on the {side}"
            if package.of_paragraph(paragraph, "ind", f"{side}Chars") != "100":
                yield f"{kind} footer: the number is not one character in"
            for run in paragraph.iter(f"{W}r"):
                look = package.look(paragraph, run)
                if (look.face, look.latin, look.size) != (SONG, SONG, 14):
                    yield f"{kind} footer: {look.face} of {look.size} pt, not {SONG} of 14"
    if len(marks) > 1:
        yield f"the head of the pages differs: {sorted(marks)}"


def _paragraphs(package: Package) -> Iterator[str]:
    """Text outside of tables: title, headings by level, body."""
    paragraphs = [one for one in package.body.findall(f"{W}p") if text_of(one)]
    title_ends = next(at for at, one in enumerate(paragraphs) if re.fullmatch(r"（\d{4}年\d+月）", text_of(one)))
    annex_titles = {at + 1 for at, one in enumerate(paragraphs) if re.fullmatch(r"附件\d*", text_of(one))}
    for at, paragraph in enumerate(paragraphs):
        text = text_of(paragraph)
        if at == 0 or LOOSE_TYPE.match(text):
            continue
        if at < title_ends or at in annex_titles:
            yield from _type(package, paragraph, TITLE, 22)
            if package.of_paragraph(paragraph, "jc", "val") != "center":
                yield f"{text[:12]}: the title is not centred"
            continue
        if re.fullmatch(r"附件\d*", text):
            yield from _type(package, paragraph, HEI, 16)
            continue
        if re.fullmatch(r"（(?:\d{4}年\d+月|第\d+次更正)）", text):
            yield from _type(package, paragraph, KAI, 16)
            continue
        is_heading = package.of_paragraph(paragraph, "outlineLvl", "val") is not None
        wanted = next((one for level, one in LEVELS.items() if re.match(level, text) and is_heading), (FANGSONG, 16))
        yield from _type(package, paragraph, *wanted)
        line = package.of_paragraph(paragraph, "spacing", "line")
        if (line, package.of_paragraph(paragraph, "spacing", "lineRule")) != ("560", "exact"):
            yield f"{text[:12]}: the line is not fixed at 28 pt"
        is_prose = package.of_paragraph(paragraph, "jc", "val") == "both"
        if is_prose and package.of_paragraph(paragraph, "ind", "firstLineChars") != "200":
            yield f"{text[:12]}: not indented by two characters"
    # 28 characters fill the line of 156 mm and a 29th has no room; 22 lines of 28 pt fill the page, no 23rd.
    body = next(one for one in paragraphs if len(text_of(one)) > 60)
    spacing = package.look(body, body.find(f"{W}r")).spacing
    if not 28 <= 156 / 25.4 * 72 / (16 + spacing) < 29:
        yield f"a line does not hold 28 characters ({spacing} pt between them)"


def _type(package: Package, paragraph: Any, face: str, size: float) -> Iterator[str]:
    for run in paragraph.iter(f"{W}r"):
        if run.find(f"{W}t") is None:
            continue
        look = package.look(paragraph, run)
        if (look.face, look.size) != (face, size):
            yield f"{text_of(paragraph)[:12]}: {look.face} of {look.size} pt, not {face} of {size}"
        if look.latin != "Times New Roman":
            yield f"{text_of(paragraph)[:12]}: digits in {look.latin}"


def _tables(package: Package) -> Iterator[str]:
    """Every table with rules (a frame around table and chart has none): header rows, whole rows, numbers that fit."""
    widths = _text_widths(package)
    for number, table in enumerate(package.body.iter(f"{W}tbl"), start=1):
        rows = table.findall(f"{W}tr")
        for at, row in enumerate(rows, start=1):
            if row.find(f"{W}trPr/{W}cantSplit") is None:
                yield f"table {number}, row {at}: may break over pages"
        if table.find(f"{W}tblPr/{W}tblBorders") is None:
            continue
        if rows[0].find(f"{W}trPr/{W}tblHeader") is None:
            yield f"table {number}: the header is not repeated"
        if any(row.find(f"{W}trPr/{W}tblHeader") is not None for row in rows[1:]):
            yield f"table {number}: a row of the body is repeated as a header"
        total = sum(int(one.get(f"{W}w")) for one in table.iter(f"{W}gridCol"))
        if total > widths[table] + 2:
            yield f"table {number}: {total / 20:.0f} pt wide, the text is {widths[table] / 20:.0f}"
        for cell in table.iter(f"{W}tc"):
            yield from _cell(package, cell, number)


def _cell(package: Package, cell: Any, number: int) -> Iterator[str]:
    room = (int(cell.find(f"{W}tcPr/{W}tcW").get(f"{W}w")) - 120) / 20
    for paragraph in cell.findall(f"{W}p"):
        for run in paragraph.iter(f"{W}r"):
            text, look = text_of(run), package.look(paragraph, run)
            if look.size < 7.5:
                yield f"table {number}: {text!r} of {look.size} pt"
            if re.fullmatch(r"-?[\d,.]+%?", text) and len(text) * look.size / 2 > room:
                yield f"table {number}: {text} has no room on a line"


def _text_widths(package: Package) -> dict[Any, int]:
    """Twips of the text of the section that each table stands in."""
    found, waiting = {}, []
    for element in package.body:
        waiting += list(element.iter(f"{W}tbl"))
        section = element if element.tag == f"{W}sectPr" else element.find(f"{W}pPr/{W}sectPr")
        if section is not None:
            margins = section.find(f"{W}pgMar")
            sides = sum(int(margins.get(f"{W}{side}")) for side in ("left", "right"))
            width = int(section.find(f"{W}pgSz").get(f"{W}w")) - sides
            found.update(dict.fromkeys(waiting, width))
            waiting = []
    return found


def _annexes(package: Package) -> Iterator[str]:
    before = None
    for element in package.body:
        if element.tag == f"{W}p" and re.fullmatch(r"附件\d*", text_of(element)):
            starts = element.find(f"{W}pPr/{W}pageBreakBefore") is not None
            if not starts and (before is None or before.find(f"{W}pPr/{W}sectPr") is None):
                yield f"{text_of(element)} does not begin a page"
        before = element


def _blanks(package: Package) -> Iterator[str]:
    """The places for number, signer and date are there, and empty."""
    found = {one.find(f"{W}sdtPr/{W}tag").get(f"{W}val"): text_of(one) for one in package.body.iter(f"{W}sdt")}
    if set(found) != BLANKS:
        yield f"blanks to fill: {sorted(found)}, not {sorted(BLANKS)}"
    for name, text in found.items():
        if text.strip("　〔〕号年月日"):
            yield f"{name} is filled in already: {text}"
