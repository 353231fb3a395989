"""A person decides on a draft: what stands in front of them, and what becomes of the answer.

A decision is about the digest of the files that were rendered. It is entered once; a draft that was superseded
meanwhile takes none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from include.publishing.drafts import (
    Draft,
    EditionDraft,
    all_files,
    drafts_in,
    find_draft,
    folder_of,
    latest_draft,
    read_manifest,
    record,
)
from include.publishing.issues import Plan, plan_issue
from include.publishing.wording import issue_zh, maturity_zh, month_zh, texts
from include.settings import Settings

# A finding is open until it is mended or its explanation was accepted, as reminders count them.
_FINDINGS = """
    select reporter.reporter_name, count(*) filter (where severity = 'E'), count(*) filter (where severity = 'R'),
        count(*) filter (where severity = 'W')
    from intake.finding inner join intake.reporter using (reporter_code)
    where finding.period = %s and finding.state in ('open', 'explained')
    group by reporter.reporter_code, reporter.reporter_name
    order by count(*) filter (where severity = 'E') desc, count(*) desc, reporter.reporter_code
"""


class DecisionRefused(ValueError):
    """The draft cannot be decided upon as asked; the message says why, in Chinese."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a person is asked: one line, and the facts as Markdown."""

    subject: str
    body: str


def decide(
    conn: psycopg.Connection[Any],
    period: str,
    draft_no: int,
    files_sha256: str,
    *,
    is_approved: bool,
    actor: str,
    reason_zh: str,
    now: datetime,
) -> Draft:
    """Enter the decision; the same one again changes nothing. Commit is the caller's.

    Args:
        files_sha256: the digest that the person was shown.

    Raises:
        DecisionRefused: other files lie there now, another decision was made, or a refusal has no reason.
    """
    draft = find_draft(conn, period, draft_no, lock=True)
    words = texts()["decisions"]
    if draft is None or draft.files_sha256 != files_sha256:
        raise DecisionRefused(words["other_files"].format(period=period, draft_no=draft_no))
    taken = ("approved", "releasing", "issued") if is_approved else ("refused",)
    if draft.state in taken and draft.decided_by:
        return draft
    if draft.state != "waiting":
        raise DecisionRefused(
            words["not_waiting"].format(period=period, draft_no=draft_no, state=texts()["states"][draft.state])
        )
    reason_zh = reason_zh.strip()
    if not is_approved and not reason_zh:
        raise DecisionRefused(words["no_reason"])
    state = "approved" if is_approved else "refused"
    conn.execute(
        "update intake.report_draft set state = %s, decided_by = %s, decided_at = %s, decision_reason_zh = %s"
        " where period = %s and draft_no = %s",
        (state, actor, now, reason_zh, period, draft_no),
    )
    record(conn, draft, state, actor, reason_zh, now)
    decided = find_draft(conn, period, draft_no)
    assert decided is not None
    return decided


def pass_without_approval(conn: psycopg.Connection[Any], draft: Draft, now: datetime) -> Draft:
    """Approval is switched off: the draft goes on, and the ledger says that nobody approved it."""
    conn.execute(
        "update intake.report_draft set state = 'approved', decided_at = %s"
        " where period = %s and draft_no = %s and state = 'waiting'",
        (now, draft.period, draft.draft_no),
    )
    record(conn, draft, "approved", texts()["system"], texts()["without_approval"], now)
    passed = find_draft(conn, draft.period, draft.draft_no)
    assert passed is not None
    return passed


def resubmit(conn: psycopg.Connection[Any], period: str, *, actor: str, reason_zh: str, now: datetime) -> Draft:
    """Let a refused draft be asked about again, or one whose request was lost with Airflow's run.

    Raises:
        DecisionRefused: the period has no such draft.
    """
    draft = latest_draft(conn, period)
    if draft is None or draft.state not in ("refused", "waiting"):
        raise DecisionRefused(texts()["decisions"]["nothing_refused"].format(period=period))
    conn.execute(
        "update intake.report_draft set state = 'waiting', asked_in = null, decided_by = null, decided_at = null,"
        " decision_reason_zh = null where period = %s and draft_no = %s",
        (period, draft.draft_no),
    )
    record(conn, draft, "resubmitted", actor, reason_zh, now)
    again = find_draft(conn, period, draft.draft_no)
    assert again is not None
    return again


def asked_before(conn: psycopg.Connection[Any], period: str, run_id: str) -> set[int]:
    """Drafts about which this run has asked."""
    rows = conn.execute(
        "select draft_no from intake.report_event where period = %s and event = 'asked' and reason_zh = %s",
        (period, run_id),
    )
    return {number for (number,) in rows}


def enter_request(conn: psycopg.Connection[Any], draft: Draft, run_id: str, now: datetime) -> None:
    """Note in which run a person is asked."""
    if draft.asked_in == run_id:
        return
    conn.execute(
        "update intake.report_draft set asked_in = %s where period = %s and draft_no = %s",
        (run_id, draft.period, draft.draft_no),
    )
    record(conn, draft, "asked", texts()["system"], run_id, now)


def request_of(conn: psycopg.Connection[Any], draft: Draft, settings: Settings) -> Request:
    """The facts that a decision needs: reconciliation, coverage, who is missing, open findings, what changed."""
    words = texts()["request"]
    folder = folder_of(settings.drafts, draft.period, draft.draft_no)
    editions = read_manifest(folder)
    month, correction = month_zh(draft.period), issue_zh(draft.issue_no)
    named = {
        "month": month,
        "maturity": maturity_zh(draft.maturity),
        "correction": f"，{correction}" if correction else "",
    }
    missing = (
        words["missing"].format(count=len(draft.missing), names=texts()["gate"]["joiner"].join(draft.missing))
        if draft.missing
        else words["missing_none"]
    )
    parts = [
        f"### {words['heading'].format(**named)}",
        words["ask"],
        words["gate"].format(reason=draft.reason_zh),
        words["reconciled"].format(checked=draft.figures_checked),
        words["coverage"].format(coverage=draft.coverage),
        missing,
        *_findings(conn, draft.period),
        *_changes(conn, draft, editions),
        words["files"].format(
            editions=len(editions),
            files=len(all_files(editions)),
            folder=folder,
            digest=draft.files_sha256[:16],
        ),
    ]
    return Request(words["subject"].format(**named), "\n\n".join(parts))


def _findings(conn: psycopg.Connection[Any], period: str) -> list[str]:
    words = texts()["request"]
    rows = conn.execute(_FINDINGS, (period,)).fetchall()
    if not rows:
        return [words["findings_none"]]
    sums = {letter: sum(row[at] for row in rows) for at, letter in enumerate("ERW", start=1)}
    shown = rows[: int(words["findings_shown"])]
    parts = [words["findings"].format(total=sum(sums.values()), **sums), _table(words["findings_table"], shown)]
    if len(rows) > len(shown):
        parts.append(words["findings_more"].format(count=len(rows) - len(shown)))
    return parts


def _changes(conn: psycopg.Connection[Any], draft: Draft, editions: Sequence[EditionDraft]) -> list[str]:
    words = texts()["request"]
    printed = {one.key: one.printed for one in editions}
    plan: Plan = plan_issue(conn, draft.period, draft.maturity, draft.input_hash, printed)
    if plan.change in ("first", "upgrade", "unknown"):
        return [words[f"changes_{plan.change}"]]
    if plan.change == "replaces":
        return [words["changes_replaces"].format(maturity=maturity_zh(draft.maturity), count=plan.differing)]
    changed = [key for key, found in plan.corrections.items() if found]
    parts = [words["changes_corrected"].format(count=plan.differing, editions=len(changed))]
    province = plan.corrections.get(editions[0].key, ())
    shown = province[: int(words["changes_shown"])]
    if shown:
        lines = [(one.label, one.before or words["nothing"], one.now or words["nothing"]) for one in shown]
        parts.append(_table(words["changes_table"], lines))
    if len(province) > len(shown):
        parts.append(words["changes_more"].format(count=len(province) - len(shown)))
    return parts


def _table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def waiting_drafts(conn: psycopg.Connection[Any], period: str | None = None) -> list[Draft]:
    """Drafts that wait for a decision, were refused last, or are on their way out."""
    found = drafts_in(conn, ("waiting", "approved", "releasing", "refused"), period)
    latest: Mapping[str, int] = dict(
        conn.execute("select period, max(draft_no) from intake.report_draft group by period").fetchall()
    )
    return [draft for draft in found if draft.draft_no == latest[draft.period]]
