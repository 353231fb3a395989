"""Where the next block falls on its page, estimated, so that of two orders that say the same the fuller page is chosen.

Lines, rows and charts have fixed heights, but where a line of text ends is up to the program that lays it out: the
estimate is off by a line now and then, and nothing but the filling of pages hangs on it. All heights are in points.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from include.report.word_page import LINE_PITCH_PT, MARGINS_MM, PAGE_MM, TEXT_WIDTH_MM

PAGE_PT = (PAGE_MM[1] - MARGINS_MM["top"] - MARGINS_MM["bottom"]) / 25.4 * 72
_LINE_PT = TEXT_WIDTH_MM / 25.4 * 72
# A line ends before the character or number that has no room: so much of it stays empty on the average.
_RAGGED_PT = 6.0


class Flow:
    """The height of the current page that is taken."""

    def __init__(self) -> None:
        self.taken = 0.0

    @property
    def room(self) -> float:
        return PAGE_PT - self.taken

    def fits(self, height: float) -> bool:
        return height <= self.room

    def whole(self, height: float) -> None:
        """A block in one piece; it goes to the next page where it does not fit."""
        if not self.fits(height):
            self.taken = 0.0
        self.taken += height

    def lines(self, count: int) -> None:
        """Lines of the body, over as many pages as they need."""
        for _ in range(count):
            self.whole(LINE_PITCH_PT)

    def heading(self) -> None:
        """A heading, which stays with the first line of what follows."""
        if not self.fits(2 * LINE_PITCH_PT):
            self.taken = 0.0
        self.taken += LINE_PITCH_PT

    def table(self, caption: float, rows: Sequence[float], kept: int) -> None:
        """A table whose first row is repeated on every page; ``kept`` rows of the body stay together at each end."""
        head, body = rows[0], list(rows[1:])
        if len(body) <= kept:
            self.whole(caption + head + sum(body))
            return
        self.whole(caption + head + sum(body[:kept]))
        for height in [*body[kept:-kept], sum(body[-kept:])]:
            if not self.fits(height):
                self.taken = head
            self.taken += height


def body_lines(text: str, indent_pt: float = 32.0) -> int:
    """How many lines of the body ``text`` takes: Chinese characters of 15.75 pt, digits of half."""
    width = sum(15.75 if ord(char) > 0x2E7F or char in "—“”" else 7.75 for char in text)
    return max(1, math.ceil((width + indent_pt) / (_LINE_PT - _RAGGED_PT)))
