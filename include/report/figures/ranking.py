"""通报: reporters compared with each other, and those that cannot be compared."""

from __future__ import annotations

from include.report.figures.rows import RowDict
from include.report.figures.sheet import Reporter, Sheet
from include.report.model import Row, Table
from include.report.numbers import ratio

# How many ranks count as the first and as the last ones; the last are named only where many more were ranked.
NAMED_RANKS = 3
LEAST_RANKED = 10


def ranking(sheet: Sheet) -> list[Table]:
    """One ranking over the whole province; a city's and a county's report print their own lines of it."""
    found = {row["reporter_code"]: row for row in sheet.rows.performance}
    known = [(one, found[one.code]) for one in sheet.reporters if one.code in found]
    ranked = [(one, row) for one, row in known if row["rank"] is not None]
    ranked.sort(key=lambda pair: (pair[1]["rank"], pair[0].city_code, pair[0].code))
    unranked = [(one, row) for one, row in known if row["rank"] is None]
    everywhere = max((row["ranked_reporters"] for _, row in known), default=0)
    sheet.put("ranking.ranked_everywhere", everywhere, "reporters")
    sheet.put("ranking.ranked_reporters", len(ranked), "reporters")
    sheet.put("ranking.not_ranked_reporters", len(unranked), "reporters")
    sheet.put("ranking.not_ranked_names", tuple(one.name for one, _ in unranked), "names")
    _named(sheet, ranked, everywhere)
    if sheet.edition.level == "county" and ranked:
        sheet.put("region.rank", ranked[0][1]["rank"], "rank")
    tables = []
    if ranked:
        tables.append(Table("ranking", _RANKING_COLUMNS, tuple(_line(sheet, one, row) for one, row in ranked)))
    if unranked:
        rows = tuple(_unranked_line(sheet, one) for one, _ in unranked)
        tables.append(Table("not_ranked", ("city", "name", "expected", "received", "accepted", "reason"), rows))
    return tables


_RANKING_COLUMNS = ("rank", "city", "name", "on_time_rate", "first_pass_rate", "findings_per_1000", "completeness")


def _named(sheet: Sheet, ranked: list[tuple[Reporter, RowDict]], everywhere: int) -> None:
    first = tuple(one.name for one, row in ranked if row["rank"] <= NAMED_RANKS)
    last: tuple[str, ...] = ()
    if everywhere >= LEAST_RANKED:
        last = tuple(one.name for one, row in ranked if row["rank"] > everywhere - NAMED_RANKS)
    sheet.put("ranking.first_names", first, "names")
    sheet.put("ranking.last_names", last, "names")


def _line(sheet: Sheet, one: Reporter, row: RowDict) -> Row:
    scope = f"reporter.{one.code}"
    return Row(
        (
            sheet.put(f"{scope}.rank", row["rank"], "rank"),
            one.city_name,
            one.name,
            sheet.share(f"{scope}.on_time_rate", row["on_time_forms"], row["expected_forms"]),
            sheet.share(f"{scope}.first_pass_rate", row["first_pass_forms"], row["received_forms"]),
            sheet.put(
                f"{scope}.findings_per_1000",
                None if row["findings"] is None else ratio(1000 * row["findings"], row["cells_read"]),
                "per_thousand",
            ),
            sheet.share(f"{scope}.completeness", row["cells_filled"], row["cells_read"]),
        )
    )


def _unranked_line(sheet: Sheet, one: Reporter) -> Row:
    scope = f"reporter.{one.code}"
    if not any(form["is_received"] for form in one.expected):
        reason = "absent"
    else:
        reason = "refused" if one.is_received else "partial"
    counts = (sheet.figures[f"{scope}.{measure}_forms"] for measure in ("expected", "received", "accepted"))
    return Row((one.city_name, one.name, *counts, sheet.put(f"{scope}.unranked_because", reason, "state")))
