"""Whether a period's report is final or provisional, and why."""

from __future__ import annotations

from typing import Any

from include.intake.calendar import check_period, load_rules
from include.publishing.wording import texts
from include.settings import get_settings
from include.warehouse.connection import connect


class NothingToPublish(RuntimeError):
    """The period has no marts yet."""


def check_gate(period: str) -> dict[str, Any]:
    """Decide whether the period's report is final or provisional.

    Final when the month is closed, or when the share of expected reporters whose forms are all accepted reaches the
    configured threshold; provisional otherwise. The reason says which, why, and who is missing.

    Returns:
        ``{"period", "maturity", "reason_zh", "coverage", "missing", "data_cutoff", "input_hash"}``; coverage is a share
        (0..1), missing the names of the reporters whose forms are not all accepted.

    Raises:
        NothingToPublish: the period was not built.
    """
    check_period(period)
    rules = load_rules(get_settings().reporting_file)
    with connect() as conn:
        built = conn.execute("select input_hash from intake.build where period = %s", (period,)).fetchone()
        if built is None:
            raise NothingToPublish(f"period {period} has no marts; run build_warehouse for it first")
        row = conn.execute(
            """
            with reporter as (
                select
                    expected.reporter_code,
                    bool_and(exists (
                        select 1 from intake.submission as s
                        where s.period = expected.period and s.reporter_code = expected.reporter_code
                            and s.form = expected.form and s.outcome <> 'refused'
                    )) as is_covered
                from intake.expected_report as expected
                where expected.period = %(period)s
                group by expected.reporter_code
            )
            select
                count(*),
                coalesce(
                    array_agg(known.reporter_name order by reporter.reporter_code) filter (where not is_covered), '{}'
                ),
                (select state from intake.reporting_period where period = %(period)s),
                (select max(received_at) from intake.submission where period = %(period)s and outcome <> 'refused'),
                (select max(revision_no) from intake.submission where period = %(period)s and outcome <> 'refused')
            from reporter inner join intake.reporter as known using (reporter_code)
            """,
            {"period": period},
        ).fetchone()
    assert row is not None
    expected, missing, state, cutoff, revision_no = row
    covered = expected - len(missing)
    coverage = covered / expected if expected else 0.0
    words = texts()["gate"]
    if expected and coverage >= rules.coverage_threshold:
        maturity, why = "final", words["reached"]
    elif state != "open":
        maturity, why = "final", words["closed"]
    else:
        maturity, why = "provisional", words["open"]
    reason = words["share"].format(expected=expected, covered=covered, coverage=coverage)
    reason += why.format(threshold=rules.coverage_threshold)
    if missing:
        reason += words["missing"].format(names=named(missing))
    if revision_no:
        reason += words["revised"].format(number=revision_no)
    return {
        "period": period,
        "maturity": maturity,
        "reason_zh": reason,
        "coverage": coverage,
        "missing": list(missing),
        "data_cutoff": cutoff.isoformat() if cutoff else None,
        "input_hash": built[0],
    }


def named(names: list[str]) -> str:
    """The names, or of many the first and how many there are; the report's first section names all."""
    words = texts()["gate"]
    shown = words["joiner"].join(names[: int(words["names_shown"])])
    return shown if len(names) <= int(words["names_shown"]) else words["and_more"].format(names=shown, all=len(names))
