"""The figures of the monthly report: of the province, of each city and of each reporter.

The queries of ``sql/figures`` run once a period, at the grain of the county; what an edition prints is chosen and
summed from their rows. Ratios are formed here from the marts' counts, unrounded, so that a rate printed for a city, an
industry or the province is rounded exactly once.
"""

from __future__ import annotations

from include.report.figures.assembly import assemble, collect_editions, collect_figures, edition_figures
from include.report.figures.places import PROVINCE, editions, editions_of
from include.report.figures.rows import TREND_MONTHS, MartRows, NoSuchPeriod, read_marts, shift_period
from include.report.figures.shortage import SIZE_CODES

__all__ = [
    "PROVINCE",
    "SIZE_CODES",
    "TREND_MONTHS",
    "MartRows",
    "NoSuchPeriod",
    "assemble",
    "collect_editions",
    "collect_figures",
    "edition_figures",
    "editions",
    "editions_of",
    "read_marts",
    "shift_period",
]
