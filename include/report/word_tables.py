"""Tables of a Word document: repeated header row, rows never split, no number broken over lines."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence, Set
from dataclasses import dataclass, replace

from include.report import wording
from include.report.model import Figure, Row, Table
from include.report.word_page import TEXT_WIDTH_MM
from include.report.word_xml import TWIPS_PER_PT, paragraph, run, twips
from include.report.wording import cell_text, texts

SIZES_PT = (10.5, 9.0, 8.0, 7.5)
# An annex that would need smaller type upright lies on its side.
SMALLEST_UPRIGHT_PT = 9.0
CELL_MARGIN_TWIPS = 60
# A table over a page break shows at least this many rows on either side; a shorter one stays in one piece.
ROWS_AT_BREAK = 3
# A table of two columns with more rows than this is set in two parts side by side, one with more than that in three.
FOLDED_ROWS = (8, 12)
# A label takes two lines, or as many as give it a column of this many characters.
LABEL_CHARACTERS = 14
# Labels of at most so many characters are not broken.
UNBROKEN = 6
# Labels no longer than this stand in the middle of their column.
SHORT_LABEL = 4
# Over and under the lines of a cell, with its rule.
_ROW_SPACE_PT = 3.5
_SIDES = ("top", "left", "bottom", "right", "insideH", "insideV")
_LATIN = {**dict.fromkeys("ABCDEFGHIJKLMNOPQRSTUVWXYZ", 0.74), "%": 0.84}
_WORD = re.compile(r"[!-~]+")
_BORDERS = "".join(f'<w:{side} w:val="single" w:sz="4" w:space="0" w:color="000000"/>' for side in _SIDES)


@dataclass(frozen=True, slots=True)
class Grid:
    """A table as printed.

    Attributes:
        header, body: texts; every row as long as the header.
        numeric: whether a column holds figures; they stand to the right and are never broken.
        weights: wanted shares of the width, by column.
        strong: (row, column) of the cells of totals.
        is_whole: never over two pages, whatever its length.
        largest: type size in points that is tried first.
    """

    header: tuple[str, ...]
    body: tuple[tuple[str, ...], ...]
    numeric: tuple[bool, ...]
    weights: tuple[int, ...]
    strong: Set[tuple[int, int]] = frozenset()
    is_whole: bool = False
    largest: float = SIZES_PT[0]

    @property
    def kept(self) -> int:
        """How many rows of the body stay together with the header, and as many at the end."""
        count = len(self.body)
        return count if self.is_whole or count <= 2 * ROWS_AT_BREAK else ROWS_AT_BREAK

    def xml(self, width_mm: float = TEXT_WIDTH_MM, *, has_note: bool = False) -> str:
        """``w:tbl`` of ``width_mm``.

        Args:
            has_note: the last row stays with the paragraph that follows.
        """
        widths, size = self.fit(width_mm)
        columns = "".join(f'<w:gridCol w:w="{width}"/>' for width in widths)
        margins = "".join(f'<w:{side} w:w="{CELL_MARGIN_TWIPS}" w:type="dxa"/>' for side in ("left", "right"))
        rows = [self._header(widths, size)]
        rows += [self._row(at, widths, size, has_note=has_note) for at in range(len(self.body))]
        return (
            f'<w:tbl><w:tblPr><w:tblW w:w="{sum(widths)}" w:type="dxa"/>'
            f'<w:jc w:val="{"left" if width_mm < TEXT_WIDTH_MM else "center"}"/><w:tblBorders>{_BORDERS}</w:tblBorders>'
            f'<w:tblLayout w:type="fixed"/><w:tblCellMar>{margins}</w:tblCellMar></w:tblPr>'
            f"<w:tblGrid>{columns}</w:tblGrid>{''.join(rows)}</w:tbl>"
        )

    def heights(self, width_mm: float = TEXT_WIDTH_MM) -> list[float]:
        """Heights of the rows in points, the header's first."""
        widths, size = self.fit(width_mm)
        rooms = [(width - 2 * CELL_MARGIN_TWIPS) / TWIPS_PER_PT for width in widths]
        head = max(
            len(wording.header_lines(title, room / size)) for title, room in zip(self.header, rooms, strict=True)
        )
        lines = [head] + [
            max(math.ceil(text_width(text, size) / room) for text, room in zip(row, rooms, strict=True))
            for row in self.body
        ]
        return [max(count, 1) * line_pt(size) + _ROW_SPACE_PT for count in lines]

    def fit(self, width_mm: float = TEXT_WIDTH_MM) -> tuple[list[int], float]:
        """Column widths in twips that fill ``width_mm``, and the largest type size at which no number breaks.

        Labels and headers may wrap; numbers may not, so number columns get at least their longest number.
        """
        total = twips(width_mm)
        widths: list[int] = []
        sizes = [size for size in SIZES_PT if size <= self.largest]
        size = sizes[-1]
        for size in sizes:
            widths = [self._least(at, size) for at in range(len(self.header))]
            if sum(widths) <= total:
                break
        # What is left, most of it for long ones, lets labels stand on one line, those first that lack least; the rest
        # goes by the weights.
        lines = [self._least(at, size, wraps=False) for at in range(len(self.header))]
        reserve = max(total - sum(widths), 0) // 3
        for at in sorted(range(len(widths)), key=lambda at: lines[at] - widths[at]):
            kept_back = reserve if lines[at] > LABEL_CHARACTERS * size * TWIPS_PER_PT else 0
            widths[at] += min(max(lines[at] - widths[at], 0), max(total - kept_back - sum(widths), 0))
        wanted = [
            max(total * weight // sum(self.weights) - low, 0) for weight, low in zip(self.weights, widths, strict=True)
        ]
        share = min(1.0, max(total - sum(widths), 0) / sum(wanted)) if sum(wanted) else 0.0
        widths = [low + int(want * share) for low, want in zip(widths, wanted, strict=True)]
        # The rest goes to the widest label, or is taken from it.
        labels = [at for at, is_number in enumerate(self.numeric) if not is_number] or [len(widths) - 1]
        widths[max(labels, key=lambda at: widths[at])] += total - sum(widths)
        return widths, size

    def snug(self, room_pt: float) -> Grid:
        """The grid in smaller type if that keeps it on one page where a few rows would run over."""
        smaller = replace(self, largest=SMALLEST_UPRIGHT_PT)
        is_over = sum(self.heights()) > room_pt
        return smaller if is_over and sum(smaller.heights()) <= room_pt else self

    def _least(self, at: int, size: float, *, wraps: bool = True) -> int:
        """Twips that a column needs: for its longest number or word, or for its labels in a few lines or in one."""
        column = [row[at] for row in self.body]
        widest = max((text_width(text, size) for text in column), default=0.0)
        if wraps and not self.numeric[at]:
            lines = max(min(widest / 2, LABEL_CHARACTERS * size) + size, UNBROKEN * size)
            word = max((text_width(one, size) for text in column for one in _WORD.findall(text)), default=0.0)
            widest = min(widest, max(lines, word))
        head = max(text_width(piece, size) for piece in wording.header_pieces(self.header[at]))
        return int(max(widest, head) * TWIPS_PER_PT) + 2 * CELL_MARGIN_TWIPS + 20

    def _header(self, widths: Sequence[int], size: float) -> str:
        cells = []
        for title, width in zip(self.header, widths, strict=True):
            room = (width - 2 * CELL_MARGIN_TWIPS) / TWIPS_PER_PT / size
            lines = "\n".join(wording.header_lines(title, room))
            cells.append(_cell(lines, width, 1, size, style="TableHead", keeps=True, fill="EDEDED"))
        return f"<w:tr><w:trPr><w:cantSplit/><w:tblHeader/></w:trPr>{''.join(cells)}</w:tr>"

    def _row(self, at: int, widths: Sequence[int], size: float, *, has_note: bool) -> str:
        cells, count = self.body[at], len(self.body)
        # Kept with the next row: the first rows with the header, the last ones with each other and with the note.
        keeps = has_note if at == count - 1 else at + 1 < self.kept or at + 1 > count - self.kept
        parts = wording.spans(cells, self.numeric, wording.spanning_absences())
        if len(parts) > 2 and not cells[0] and (at, 0) in self.strong:
            parts = [(0, 2), *parts[2:]]  # 合计 across the columns of city and county
        found = []
        for column, span in parts:
            text = cells[column] or (cells[column + 1] if span > 1 else "")
            is_strong = (at, column) in self.strong
            side = "center" if span > 1 or (is_strong and not self.numeric[column]) else self._side(column)
            width = sum(widths[column : column + span])
            style = "TableHead" if is_strong else "TableText"
            found.append(_cell(text, width, span, size, style=style, side=side, keeps=keeps))
        return f"<w:tr><w:trPr><w:cantSplit/></w:trPr>{''.join(found)}</w:tr>"

    def _side(self, column: int) -> str:
        if self.numeric[column]:
            return "right"
        is_short = column > 0 and all(len(row[column]) <= SHORT_LABEL for row in self.body)
        return "center" if is_short else "left"


def line_pt(size: float) -> float:
    """Height of a line of a cell: fixed, since programs and substitute faces differ in what a single line is."""
    return round(size * 4 / 3, 1)


def as_shown(table: Table) -> Table:
    """The table without the columns that the workbook alone has and those in which nothing stands."""
    left_out = texts()["word_columns"].get(table.key, ())
    shown = [at for at, name in enumerate(table.columns) if name not in left_out and not _is_empty(table, at)]
    rows = tuple(Row(tuple(row.cells[at] for at in shown), row.is_total) for row in table.rows)
    return Table(table.key, tuple(table.columns[at] for at in shown), rows)


def grid_of(table: Table) -> Grid:
    """The grid of a report's table; a long one of two columns is set in parts side by side."""
    entry = texts()["tables"][table.key]
    header = tuple(entry["columns"][name] for name in table.columns)
    body = tuple(tuple(cell_text(cell) for cell in row.cells) for row in table.rows)
    numeric = tuple(any(_is_number(row.cells[at]) for row in table.rows) for at in range(len(table.columns)))
    shares = dict(zip(entry["columns"], entry["widths"], strict=True))
    weights = tuple(shares[name] for name in table.columns)
    strong = {(at, column) for at, row in enumerate(table.rows) if row.is_total for column in range(len(header))}
    if len(header) == 2 and len(body) > FOLDED_ROWS[0]:
        parts = 3 if len(body) > FOLDED_ROWS[1] else 2
        rows, strong = fold(body, sum(1 for row in table.rows if row.is_total), parts)
        folded = tuple(tuple(row) for row in rows)
        return Grid(header * parts, folded, numeric * parts, weights * parts, strong, is_whole=True)
    return Grid(header, body, numeric, weights, strong)


def _is_empty(table: Table, column: int) -> bool:
    """Whether a column holds figures and not one of them has a value or a reason to tell."""
    cells = [row.cells[column] for row in table.rows]
    figures = [cell for cell in cells if isinstance(cell, Figure)]
    return bool(figures) and all(cell.value is None and cell.absence in (None, "undefined") for cell in figures)


def _is_number(cell: str | Figure) -> bool:
    return isinstance(cell, Figure) and cell.unit not in ("names", "instant", "state")


def fold(body: Sequence[Sequence[str]], totals: int, parts: int) -> tuple[list[list[str]], set[tuple[int, int]]]:
    """A long table of two columns as ``parts`` side by side, its ``totals`` last rows at the foot of the last part.

    Returns:
        Rows of twice as many cells as parts, and the (row, column) of the cells of the totals.
    """
    height = -(-len(body) // parts)
    empty = [["", ""]] * (parts * height - len(body))
    lines = [*body[: len(body) - totals], *empty, *body[len(body) - totals :]]
    rows = [[cell for part in range(parts) for cell in lines[part * height + row]] for row in range(height)]
    return rows, {(row, column) for row in range(height - totals, height) for column in (2 * parts - 2, 2 * parts - 1)}


def text_width(text: str, size: float) -> float:
    """Width in points: Chinese characters are one em wide, capitals and % about three quarters, digits half."""
    return size * sum(1.0 if ord(char) > 0x2E7F or char in "—“”" else _LATIN.get(char, 0.52) for char in text)


def _cell(
    text: str, width: int, span: int, size: float, *, style: str, keeps: bool, side: str = "", fill: str = ""
) -> str:
    own_size = None if size == SIZES_PT[0] else size
    spacing = f'w:line="{int(line_pt(size) * TWIPS_PER_PT)}" w:lineRule="exact"' if own_size else ""
    # An empty line is as high as its paragraph mark, whose type is the style's.
    content = run(text, size=own_size) if text else ""
    content = paragraph(content, style, keep_next=keeps, spacing=spacing, side=side)
    return (
        f'<w:tc><w:tcPr><w:tcW w:w="{width}" w:type="dxa"/>'
        + (f'<w:gridSpan w:val="{span}"/>' if span > 1 else "")
        + (f'<w:shd w:val="clear" w:color="auto" w:fill="{fill}"/>' if fill else "")
        + f'<w:vAlign w:val="center"/></w:tcPr>{content}</w:tc>'
    )
