"""Pages of a Word document after GB/T 9704-2012: size, margins, line pitch, page numbers, and the mark of a demo."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from string import Template
from typing import Any

from docx.document import Document as DocxDocument
from docx.oxml import OxmlElement, parse_xml
from docx.oxml.ns import qn

from include.report.word_xml import field, paragraph, parse, run, twips

PAGE_MM = (210, 297)
MARGINS_MM = {"top": 37, "left": 28, "bottom": 35, "right": 26}
TEXT_WIDTH_MM = PAGE_MM[0] - MARGINS_MM["left"] - MARGINS_MM["right"]
TEXT_HEIGHT_MM = PAGE_MM[1] - MARGINS_MM["top"] - MARGINS_MM["bottom"]
LINE_PITCH_PT = 28
# The head of a page lying on its side is at the left of the upright page: at the binding edge of odd pages.
LYING_MARGINS_MM = {"top": 28, "left": 35, "bottom": 26, "right": 37}
HEADER_MM = 15
# The dashes of the page number are 7 mm under the text.
FOOTER_MM = MARGINS_MM["bottom"] - 7 - 5
_TEMPLATES = Path(__file__).parent / "templates"
# Before w:evenAndOddHeaders in the settings' schema.
_SETTINGS_BEFORE = ("zoom", "proofState", "mirrorMargins", "defaultTabStop")


class Pages:
    """The sections of one document: upright, and lying on their side for wide tables."""

    def __init__(self, document: DocxDocument, mark: str) -> None:
        """Give ``document`` the types of the standard and no pages but ours.

        Args:
            mark: printed at the head of every page; empty for none.
        """
        self.document = document
        self.mark = mark
        self._references: dict[bool, str] = {}  # by whether the section lies
        self._styles()
        self._settings()

    def section(self, *, lies: bool = False) -> str:
        """``w:sectPr`` of a section."""
        if lies not in self._references:
            self._references[lies] = self._edges(lies=lies)
        width, height = reversed(PAGE_MM) if lies else PAGE_MM
        margins = LYING_MARGINS_MM if lies else MARGINS_MM
        sides = " ".join(f'w:{side}="{twips(margins[side])}"' for side in ("top", "right", "bottom", "left"))
        return (
            f"<w:sectPr>{self._references[lies]}"
            f'<w:pgSz w:w="{twips(width)}" w:h="{twips(height)}" w:orient="{"landscape" if lies else "portrait"}"/>'
            f'<w:pgMar {sides} w:header="{twips(HEADER_MM)}" w:footer="{twips(FOOTER_MM)}" w:gutter="0"/>'
            f'<w:cols w:space="0"/><w:docGrid w:type="lines" w:linePitch="{LINE_PITCH_PT * 20}"/></w:sectPr>'
        )

    def _edges(self, *, lies: bool) -> str:
        """Headers and footers, odd pages and even ones; returns the references to them."""
        found = ""
        for kind, side in (("default", "right"), ("even", "left")):
            header, header_id = self.document.part.add_header_part()
            footer, footer_id = self.document.part.add_footer_part()
            _fill(header.element, paragraph(run(self.mark) if self.mark else "", "Header"))
            number = page_number(side)
            _fill(footer.element, _turned(number) if lies else number)
            found += f'<w:headerReference w:type="{kind}" r:id="{header_id}"/>'
            found += f'<w:footerReference w:type="{kind}" r:id="{footer_id}"/>'
        return found

    def _styles(self) -> None:
        part = self.document.part._styles_part
        part._element = parse_xml((_TEMPLATES / "word_styles.xml").read_bytes())

    def _settings(self) -> None:
        settings = self.document.settings.element
        before = [child for child in settings if child.tag in {qn(f"w:{name}") for name in _SETTINGS_BEFORE}]
        before[-1].addnext(OxmlElement("w:evenAndOddHeaders"))
        for language in settings.iter(qn("w:themeFontLang")):
            language.set(qn("w:eastAsia"), "zh-CN")


def page_number(side: str) -> str:
    """``— 1 —``, one character in from ``side``."""
    indent = f'w:{side}="280" w:{side}Chars="100"'
    return paragraph(run("— ") + field("PAGE") + run(" —"), "Footer", indent=indent, side=side)


def _turned(number: str) -> str:
    """The page number of a lying page where the upright pages have it: turned, at what is then the left edge."""
    template = Template((_TEMPLATES / "turned_number.xml").read_text(encoding="utf-8"))
    emu = 36000
    return template.substitute(
        x=int((LYING_MARGINS_MM["left"] - 7 - 6) * emu),
        y=LYING_MARGINS_MM["top"] * emu,
        width=6 * emu,
        height=TEXT_WIDTH_MM * emu,
        paragraph=number,
    )


def _fill(element: Any, content: str) -> None:
    for child in list(element):
        element.remove(child)
    for child in deepcopy(parse("w:body", content)):
        element.append(child)
