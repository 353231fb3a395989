"""WordprocessingML as text: paragraphs and runs with their properties in the order the schema asks for.

Written as text and parsed once, a table of a hundred rows costs milliseconds; built cell by cell it costs seconds.
"""

from __future__ import annotations

from typing import Any
from xml.sax.saxutils import escape, quoteattr

from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls

TWIPS_PER_PT = 20
_NAMESPACES = nsdecls("w", "r", "a", "c", "wp")


def twips(millimetres: float) -> int:
    return int(millimetres / 25.4 * 72 * TWIPS_PER_PT)


def parse(tag: str, content: str) -> Any:
    """Element ``tag`` (``w:body`` …) with ``content``."""
    return parse_xml(f"<{tag} {_NAMESPACES}>{content}</{tag}>")


def run(text: str, *, size: float | None = None, face: str | None = None) -> str:
    """A run of ``text`` in the type of its paragraph's style, but for ``size`` (points) and ``face``; ``\\n`` breaks.

    The hint gives marks that both scripts know (“ ” — …) to the Chinese face.
    """
    fonts = f' w:eastAsia="{face}"' if face else ""
    sizes = f'<w:sz w:val="{int(size * 2)}"/><w:szCs w:val="{int(size * 2)}"/>' if size else ""
    words = "<w:br/>".join(f'<w:t xml:space="preserve">{escape(line)}</w:t>' for line in text.split("\n"))
    return f'<w:r><w:rPr><w:rFonts w:hint="eastAsia"{fonts}/>{sizes}</w:rPr>{words}</w:r>'


def field(code: str) -> str:
    """A field that Word computes, e.g. ``PAGE``."""
    return (
        '<w:r><w:fldChar w:fldCharType="begin"/></w:r>'
        f'<w:r><w:instrText xml:space="preserve"> {code} </w:instrText></w:r>'
        '<w:r><w:fldChar w:fldCharType="separate"/></w:r><w:r><w:t>1</w:t></w:r>'
        '<w:r><w:fldChar w:fldCharType="end"/></w:r>'
    )


def blank(title: str, name: str, room: str, *, kind: str = "<w:text/>", face: str | None = None) -> str:
    """A place for the office to fill: a content control with ``room`` (blanks) in it."""
    return (
        f"<w:sdt><w:sdtPr><w:alias w:val={quoteattr(title)}/><w:tag w:val={quoteattr(name)}/>{kind}</w:sdtPr>"
        f"<w:sdtContent>{run(room, face=face)}</w:sdtContent></w:sdt>"
    )


def paragraph(
    content: str = "",
    style: str = "Normal",
    *,
    keep_next: bool = False,
    page_break: bool = False,
    border: str = "",
    tabs: str = "",
    spacing: str = "",
    indent: str = "",
    side: str = "",
    section: str = "",
) -> str:
    """``w:p`` of ``content`` (runs), its look that of ``style`` but for what is given.

    Args:
        border, tabs: content of ``w:pBdr`` and ``w:tabs``.
        spacing, indent: attributes of ``w:spacing`` and ``w:ind``.
        side: ``left``, ``center``, ``right``, ``both``.
        section: ``w:sectPr`` of the section that ends with this paragraph.
    """
    properties = "".join(
        (
            f'<w:pStyle w:val="{style}"/>' if style != "Normal" else "",
            "<w:keepNext/>" if keep_next else "",
            "<w:pageBreakBefore/>" if page_break else "",
            f"<w:pBdr>{border}</w:pBdr>" if border else "",
            f"<w:tabs>{tabs}</w:tabs>" if tabs else "",
            f"<w:spacing {spacing}/>" if spacing else "",
            f"<w:ind {indent}/>" if indent else "",
            f'<w:jc w:val="{side}"/>' if side else "",
            section,
        )
    )
    return f"<w:p><w:pPr>{properties}</w:pPr>{content}</w:p>"
