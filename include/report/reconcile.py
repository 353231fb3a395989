"""Every printed figure recomputed from ``raw``, ``intake`` and ``reference``, sharing nothing with the marts.

The queries of ``sql/reconcile`` go from the rows as sent to ``(edition, key, value)`` in one step, for all editions in
one reading; ratios and comparisons are formed there too. A figure agrees when both sides print the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from include.report.figures.rows import PROGRESS_MONTHS, TREND_MONTHS, shift_period
from include.report.model import Edition, Figure, ReportFigures, edition_key
from include.report.numbers import printed_value

_SQL = Path(__file__).parent / "sql" / "reconcile"
_QUERIES = (
    "reporting",
    "names",
    "cutoff",
    "enterprises",
    "trend",
    "posts",
    "training",
    "subsidies",
    "budgets",
    "alerts",
    "targets",
    "ranking",
    "ranking_names",
    "findings",
)
# A member of these that exists in raw must have its line in the report: (prefix, measure that every line has).
_COMPLETE = (
    ("industry.", ".shortage_now"),
    ("post.", ".shortage_now"),
    ("size.", ".shortage_now"),
    ("training_", ".needed"),
    ("subsidy_", ".claims"),
    ("alert.", ".alerts"),
    ("target.", ".state"),
    ("finding.", ".open"),
)
_SHOWN_MISMATCHES = 12
_SHOWN_OF_ONE = 4


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A figure that would be printed otherwise than raw says; ``None`` is no value."""

    key: str
    printed: Any
    recomputed: Any

    def __str__(self) -> str:
        return f"{self.key}: printed {_words(self.printed)}, recomputed {_words(self.recomputed)}"


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """``checked`` figures were compared; the report may be released when ``mismatches`` is empty."""

    checked: int
    mismatches: tuple[Mismatch, ...]


class ReconciliationFailed(RuntimeError):
    """A printed figure differs from its recomputation; nothing was released.

    Attributes:
        results: the editions that differ, each with what was compared.
    """

    def __init__(self, period: str, results: Mapping[Edition, Reconciliation]) -> None:
        self.period = period
        self.results = {edition: result for edition, result in results.items() if result.mismatches}
        differing = sum(len(result.mismatches) for result in self.results.values())
        shown = [
            f"{edition.region_name} {mismatch}"
            for edition, result in self.results.items()
            for mismatch in result.mismatches[:_SHOWN_OF_ONE]
        ][:_SHOWN_MISMATCHES]
        rest = f"; and {differing - len(shown)} more" if differing > len(shown) else ""
        super().__init__(
            f"reconciliation of {period}: {differing} of {sum(result.checked for result in results.values())} figures "
            f"differ in {len(self.results)} of {len(results)} reports, nothing was released. "
            f"{'; '.join(shown)}{rest}. Rebuild the marts of {period} (build_warehouse), publish "
            "again; if it stays, a mart or a query is wrong."
        )


@dataclass(frozen=True, slots=True)
class Recomputed:
    """A value; or without one a word: why a comparison has none, or what a state is called."""

    value: Any
    word: str | None = None


def reconcile(conn: psycopg.Connection, figures: ReportFigures) -> Reconciliation:
    """Recompute and compare every figure.

    Args:
        conn: open connection that may read ``raw``, ``intake`` and ``reference``.

    Returns:
        The number of figures compared, and those that differ (sorted by key).
    """
    found = recompute(conn, figures.period, [figures.edition])
    return compare(figures, found[figures.edition])


def recompute(
    conn: psycopg.Connection, period: str, editions: Iterable[Edition]
) -> dict[Edition, dict[str, Recomputed]]:
    """Key to value of everything that the reports of ``period`` may print, by edition; raw is read once for all.

    Raises:
        ValueError: two queries give the same key.
    """
    chosen = {edition_key(edition): edition for edition in editions}
    parameters = {
        "period": period,
        "previous_period": shift_period(period, -1),
        "period_before_previous": shift_period(period, -2),
        "period_year_ago": shift_period(period, -12),
        "trend_from": shift_period(period, 1 - TREND_MONTHS),
        "progress_from": shift_period(period, 1 - PROGRESS_MONTHS),
        "editions": list(chosen),
    }
    found: dict[Edition, dict[str, Recomputed]] = {edition: {} for edition in chosen.values()}
    with _hash_joins(conn):
        for name in _QUERIES:
            statement = (_SQL / f"{name}.sql").read_text(encoding="utf-8")
            for edition, key, value, *word in conn.execute(statement.encode(), parameters):
                values = found[chosen[edition]]
                if key in values:
                    raise ValueError(f"sql/reconcile/{name}.sql gives {key} of {edition} a second time")
                values[key] = Recomputed(tuple(value) if isinstance(value, list) else value, *word)
    return found


@contextmanager
def _hash_joins(conn: psycopg.Connection) -> Iterator[None]:
    """No nested loops meanwhile: rows just loaded have no statistics yet, and the planner would take them for few."""
    with conn.transaction():
        conn.execute("set local enable_nestloop = off")
        yield
        conn.execute("set local enable_nestloop = on")


def compare(figures: ReportFigures, recomputed: Mapping[str, Recomputed]) -> Reconciliation:
    """Compare at printed precision; also look for members of raw that the report leaves out."""
    mismatches = []
    for key, figure in figures.figures.items():
        other = recomputed.get(key, Recomputed(None))
        recomputed_value = other.word if figure.unit == "state" else other.value
        printed, expected = printed_value(figure.value, figure.unit), printed_value(recomputed_value, figure.unit)
        if printed != expected:
            mismatches.append(Mismatch(key, printed, expected))
        elif printed is None and _reason(figure) != (other.word or _reason(figure)):
            mismatches.append(Mismatch(key, figure.absence, other.word))
    for key, other in recomputed.items():
        is_member = any(key.startswith(prefix) and key.endswith(measure) for prefix, measure in _COMPLETE)
        if is_member and key not in figures.figures:
            mismatches.append(Mismatch(key, None, other.value))
    return Reconciliation(len(figures.figures), tuple(sorted(mismatches, key=lambda one: one.key)))


def _reason(figure: Figure) -> str | None:
    # Only a comparison is given a reason by the queries: that last month was 0 is itself a statement about raw.
    return figure.absence if figure.unit == "change" else None


def _words(value: Any) -> str:
    if value is None:
        return "nothing"
    return "、".join(value) or "nobody" if isinstance(value, tuple) else str(value)
