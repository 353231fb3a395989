"""From mart rows to the frozen figures of an edition."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import psycopg

from include.report.figures import findings, overview, ranking, reporting, shortage, subsidies, targets, training
from include.report.figures.places import PROVINCE, Places, editions_of
from include.report.figures.rows import MartRows, NoSuchPeriod, read_marts, shift_period
from include.report.figures.sheet import Sheet
from include.report.model import Definition, Edition, ReportFigures, Table
from include.report.wording import texts

# In printing order; what comes later may use the figures put before.
_SECTIONS: tuple[Callable[[Sheet], list[Table]], ...] = (
    reporting.reporting,
    overview.overview,
    shortage.shortage_by_region,
    shortage.shortage_by_industry,
    shortage.shortage_by_post,
    shortage.shortage_by_size,
    shortage.persistent_shortage,
    shortage.expansion,
    shortage.trend,
    training.training,
    subsidies.subsidies,
    subsidies.execution,
    subsidies.alerts,
    targets.targets,
    ranking.ranking,
    findings.open_findings,
)


def collect_figures(conn: psycopg.Connection, period: str, edition: Edition = PROVINCE) -> ReportFigures:
    """The figures of one edition for ``period`` (``YYYY-MM``).

    For more than one edition read the marts once: :func:`collect_editions`.

    Raises:
        NoSuchPeriod: the marts know no expected report of the period.
    """
    return next(edition_figures(read_marts(conn, period), period, [edition]))


def collect_editions(conn: psycopg.Connection, period: str) -> Iterator[ReportFigures]:
    """The figures of every edition of ``period``, the province first, from one reading of the marts.

    Raises:
        NoSuchPeriod: the marts know no expected report of the period.
    """
    rows = read_marts(conn, period)
    return edition_figures(rows, period, editions_of(rows.submissions, period))


def edition_figures(rows: MartRows, period: str, chosen: Iterable[Edition]) -> Iterator[ReportFigures]:
    """The figures of the editions ``chosen``, each when it is asked for."""
    places = Places(rows)
    of_samples = _holds_samples(rows)
    return (assemble(places.of(edition), period, edition, of_samples) for edition in chosen)


def _holds_samples(rows: MartRows) -> bool:
    return any(row["is_sample"] for row in rows.submissions)


def assemble(rows: MartRows, period: str, edition: Edition = PROVINCE, of_samples: bool = False) -> ReportFigures:
    """Turn an edition's mart rows into figures and tables. Pure: the same rows give the same figures.

    Args:
        of_samples: the period holds 演示数据; says what a place is that has sent nothing of its own.

    Raises:
        NoSuchPeriod: ``rows.submissions`` holds no expected report.
    """
    if not any(row["is_expected"] for row in rows.submissions):
        raise NoSuchPeriod(
            f"no expected report of {edition.region_name} for {period} in marts.fct_submission; "
            f"build the warehouse for {period}"
        )
    sheet = Sheet(rows, period, edition, frozenset(texts()["editions"][edition.level]["left_out"]))
    tables = [table for section in _SECTIONS for table in section(sheet) if sheet.has(table.key)]
    return ReportFigures(
        period=period,
        previous_period=shift_period(period, -1),
        edition=edition,
        figures=sheet.figures,
        tables={table.key: table for table in tables},
        definitions=tuple(
            Definition(row["indicator"], row["name_zh"], row["definition_zh"], row["unit"] or "")
            for row in sorted(rows.definitions, key=lambda row: row["indicator"])
        ),
        is_sample=_holds_samples(rows) or (of_samples and not any(row["is_received"] for row in rows.submissions)),
        data_cutoff=sheet.cutoff(),
    )
