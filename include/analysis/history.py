"""From months of county reports to series that may be compared: like for like, or not at all.

A county that did not report is missing, not without shortage. So a city's series is the sum over a panel: counties of
which every month of the window is complete. A county that joined later or missed a month is left out of all months of
the window alike; where too few counties are left, there is no series.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil

from include.analysis.parameters import Parameters


@dataclass(frozen=True, slots=True)
class Reports:
    """What the counties reported over consecutive months, the last of which is the origin.

    Attributes:
        periods: ``YYYY-MM``, consecutive, oldest first.
        city_of: county to city, of every county from which a report was expected at the origin.
        expected: county to the reporters expected at the origin.
        accepted: (period, county) to the reporters whose status form stands accepted.
        persons: (period, county) to industry to persons short; an industry without enterprises is not named.
    """

    periods: Sequence[str]
    city_of: Mapping[str, str]
    expected: Mapping[str, frozenset[str]]
    accepted: Mapping[tuple[str, str], frozenset[str]]
    persons: Mapping[tuple[str, str], Mapping[str, int]]

    def is_complete(self, period: str, county: str) -> bool:
        """Whether exactly the reporters expected at the origin were accepted, and their rows are there."""
        return self.accepted.get((period, county)) == self.expected[county] and (period, county) in self.persons

    def months_complete(self, county: str) -> int:
        """Complete months without a gap up to the origin."""
        months = 0
        for period in reversed(self.periods):
            if not self.is_complete(period, county):
                break
            months += 1
        return months


@dataclass(frozen=True, slots=True)
class Panel:
    """The counties of one city that a forecast may rest on.

    Attributes:
        months_available: months of the window; where they do not suffice, how many months enough counties have.
        counties: of the panel, sorted; empty where the months do not suffice.
        expected_counties: counties expected at the origin.
    """

    city_code: str
    months_available: int
    counties: tuple[str, ...]
    expected_counties: int


@dataclass(frozen=True, slots=True)
class Series:
    """One city and industry.

    Attributes:
        values: persons short of the panel, one a month, oldest first; empty where the history does not suffice.
    """

    city_code: str
    industry_code: str
    panel: Panel
    values: tuple[int, ...] = field(default=())


def panels(reports: Reports, parameters: Parameters) -> list[Panel]:
    """The panel of every city with counties expected at the origin, by city code."""
    by_city: dict[str, list[str]] = {}
    for county, city in reports.city_of.items():
        by_city.setdefault(city, []).append(county)
    found = []
    for city, counties in sorted(by_city.items()):
        months = {county: reports.months_complete(county) for county in sorted(counties)}
        needed_counties = max(1, ceil(parameters.panel_share_needed * len(counties)))
        available = sorted(months.values(), reverse=True)[needed_counties - 1]
        panel: tuple[str, ...] = ()
        if available >= parameters.history_months_needed:
            panel = tuple(one for one, n in months.items() if n >= parameters.history_months_needed)
            available = min(months[county] for county in panel)
        found.append(Panel(city, available, panel, len(counties)))
    return found


def series(reports: Reports, panel: Panel, without: str) -> list[Series]:
    """The series of a city: one for each industry that any of its counties named in the months read.

    Args:
        reports: what the counties reported.
        panel: of the city.
        without: code of 未归类, which is no industry and has no future of its own.
    """
    counties = [county for county, city in reports.city_of.items() if city == panel.city_code]
    industries = {
        industry
        for period in reports.periods
        for county in panel.counties or counties
        for industry in reports.persons.get((period, county), {})
    } - {without}
    window = reports.periods[-panel.months_available :] if panel.counties else ()
    return [
        Series(
            panel.city_code,
            industry,
            panel,
            tuple(
                sum(reports.persons[period, county].get(industry, 0) for county in panel.counties) for period in window
            ),
        )
        for industry in sorted(industries)
    ]
