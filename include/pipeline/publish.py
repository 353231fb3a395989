"""Issuing the report of one period: gate -> render -> deliver."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from include.intake.calendar import SHANGHAI, check_period, load_rules
from include.settings import get_settings
from include.warehouse.connection import connect
from include.warehouse.locking import alone

log = logging.getLogger(__name__)

OFFICE = "专项行动指挥部"


class NothingToPublish(RuntimeError):
    """The period has no marts yet."""


def check_gate(period: str) -> dict[str, Any]:
    """Decide whether the period's report is final or provisional.

    Final when the month is closed, or when the share of expected reporters whose forms are all accepted reaches the
    configured threshold; provisional otherwise, with the reason in words.

    Returns:
        ``{"period", "maturity", "reason_zh", "coverage", "data_cutoff", "input_hash"}``; coverage is a share (0..1).

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
                count(*) filter (where is_covered),
                (select state from intake.reporting_period where period = %(period)s),
                (select max(received_at) from intake.submission where period = %(period)s and outcome <> 'refused'),
                (select max(revision_no) from intake.submission where period = %(period)s and outcome <> 'refused')
            from reporter
            """,
            {"period": period},
        ).fetchone()
    assert row is not None
    expected, covered, state, cutoff, revision_no = row
    coverage = covered / expected if expected else 0.0
    share = f"应报单位{expected}个，报表全部审核采用的{covered}个，占{coverage:.1%}"
    threshold = f"{rules.coverage_threshold:.0%}的定稿标准"
    if expected and coverage >= rules.coverage_threshold:
        maturity, reason = "final", f"{share}，达到{threshold}"
    elif state != "open":
        maturity, reason = "final", f"{share}，未达到{threshold}，因报送期限已过，按已采用数据定稿"
    else:
        maturity, reason = "provisional", f"{share}，未达到{threshold}，且报送期限未过"
    if revision_no:
        reason += f"；封账后已更正{revision_no}次"
    return {
        "period": period,
        "maturity": maturity,
        "reason_zh": reason,
        "coverage": coverage,
        "data_cutoff": cutoff.isoformat() if cutoff else None,
        "input_hash": built[0],
    }


def render(gate: Mapping[str, Any]) -> dict[str, Any]:
    """Reconcile every figure against ``raw`` and write the Word, Excel and HTML report into the outbox.

    Raises:
        include.report.reconcile.ReconciliationFailed: a printed number differs from its recomputation;
            no file is released.
    """
    from include.report.render import render_reports  # imports the document and chart libraries: seconds

    started = time.monotonic()
    folder = get_settings().outbox / gate["period"]
    with alone(f"render {gate['period']}"), connect() as conn:
        rendered = render_reports(
            conn, gate["period"], folder, maturity=gate["maturity"], maturity_reason=gate["reason_zh"]
        )
    return {
        **gate,
        "files": {kind: str(path) for kind, path in rendered.paths.items()},
        "figures_checked": rendered.checked,
        "figures_sha256": rendered.figures_sha256,
        "seconds": round(time.monotonic() - started, 2),
    }


def deliver(rendered: Mapping[str, Any]) -> dict[str, Any]:
    """Enter the issue and its delivery to the outbox folder into the ledger.

    The same figures again are the same issue; other figures are the next one.
    """
    period = rendered["period"]
    now = datetime.now(SHANGHAI)
    with connect() as conn, conn.transaction():
        last = conn.execute(
            "select issue_no, figures_sha256 from intake.publication where period = %s order by issue_no desc limit 1",
            (period,),
        ).fetchone()
        issue_no = 0
        if last is not None:
            issue_no = last[0] if last[1] == rendered["figures_sha256"] else last[0] + 1
        conn.execute(
            """
            insert into intake.publication
                (period, issue_no, maturity, reason_zh, coverage, data_cutoff, input_hash, figures_sha256,
                 figures_checked, seconds, published_at)
            values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
            on conflict (period, issue_no) do update set
                maturity = excluded.maturity, reason_zh = excluded.reason_zh, coverage = excluded.coverage,
                data_cutoff = excluded.data_cutoff, input_hash = excluded.input_hash,
                figures_checked = excluded.figures_checked, seconds = excluded.seconds
            """,
            (
                period, issue_no, rendered["maturity"], rendered["reason_zh"], rendered["coverage"],
                rendered["data_cutoff"], rendered["input_hash"], rendered["figures_sha256"],
                rendered["figures_checked"], rendered["seconds"], now,
            ),
        )  # fmt: skip
        for path in rendered["files"].values():
            digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
            conn.execute(
                """
                insert into intake.delivery (period, issue_no, channel, recipient, file_name, sha256, result)
                values (%s, %s, 'outbox', %s, %s, %s, '已放入发件箱')
                on conflict (period, issue_no, channel, recipient, file_name) do update set sha256 = excluded.sha256
                """,
                (period, issue_no, OFFICE, Path(path).name, digest),
            )
    log.info("period %s issue %d: %s", period, issue_no, ", ".join(rendered["files"].values()))
    return {"period": period, "issue_no": issue_no, "maturity": rendered["maturity"], "files": rendered["files"]}
