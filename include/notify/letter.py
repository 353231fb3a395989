"""A letter as people read it: one content, as a self-contained page and as plain text."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import jinja2

from include.notify.wording import texts

_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True, slots=True)
class Table:
    """A small table; every row has as many cells as the header."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Section:
    """A numbered part: what it is about, then a list or a table, then what to do."""

    title: str
    lines: tuple[str, ...] = ()
    table: Table | None = None
    request: str = ""


@dataclass(frozen=True, slots=True)
class Letter:
    """Everything that stands in a letter, in reading order.

    Attributes:
        subject: subject of the mail and title of the page.
        salutation: whom it addresses.
        opening: paragraphs before the facts.
        facts: label and value of what the reader must see at once.
        sections: the matters, numbered 一、二、….
        notes: what else is to be known, in small print.
        closing: paragraphs after the matters.
        signature, dated: who writes, and the day.
        is_urgent: the deadline is here or over.
        is_sample: made from 演示数据; said at the top.
    """

    subject: str
    salutation: str
    opening: tuple[str, ...]
    sections: tuple[Section, ...]
    signature: str
    dated: str
    facts: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    closing: tuple[str, ...] = ()
    is_urgent: bool = False
    is_sample: bool = False
    numbered: tuple[tuple[str, Section], ...] = field(init=False)

    def __post_init__(self) -> None:
        words = texts()["letter"]
        numerals = words["numerals"]
        heads = [
            words["section"].format(numeral=numerals[number] if number < len(numerals) else number + 1, title=one.title)
            for number, one in enumerate(self.sections)
        ]
        object.__setattr__(self, "numbered", tuple(zip(heads, self.sections, strict=True)))


def letter_html(letter: Letter) -> str:
    """The letter as a page that needs nothing from elsewhere; styles stand in the elements, for mail programs."""
    return _environment().get_template("letter.html.j2").render(letter=letter, words=texts()["letter"])


def letter_text(letter: Letter) -> str:
    """The letter as plain text, one thought a line."""
    words = texts()["letter"]
    lines: list[str] = []
    if letter.is_sample:
        lines += [words["sample_notice"], ""]
    lines += [letter.salutation, "", *letter.opening, ""]
    lines += [f"{label}：{value}" for label, value in letter.facts]
    for head, section in letter.numbered:
        lines += ["", head]
        lines += [f"  · {line}" for line in section.lines]
        if section.table is not None:
            lines += [f"  · {_row_text(section.table.header, row)}" for row in section.table.rows]
        if section.request:
            lines.append(f"  {section.request}")
    lines += ["", *letter.closing]
    lines += [words["note"].format(note=note) for note in letter.notes]
    lines += ["", letter.signature, letter.dated]
    return "\n".join(lines).replace("\n\n\n", "\n\n") + "\n"


def _row_text(header: tuple[str, ...], row: tuple[str, ...]) -> str:
    """``first｜label：value｜…``: the first cell names the row."""
    named = [f"{label}：{value}" for label, value in zip(header[1:], row[1:], strict=True) if value]
    return "｜".join([row[0], *named])


@lru_cache(maxsize=1)
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
