"""Issuing the report of one period: gate -> render -> approve -> deliver; every step may be killed and run again.

* ``render`` collects and reconciles the figures of every edition and decides which issue they are. If they are news,
  it writes a draft; otherwise it finds the draft or issue that says the same.
* ``approval_request`` and ``decide_report`` put the draft in front of a person, where that is asked for.
* ``deliver`` releases an approved draft into the outbox as a whole and sends each edition to whom it is for.

One process at a time works on a period (``alone``).
"""

from __future__ import annotations

import logging
import shutil
import tempfile
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Protocol

import psycopg

from include.intake.calendar import SHANGHAI
from include.intake.reporters import load_reporters
from include.notify.contacts import known_codes, load_contacts
from include.notify.notifier import Notifier, configured_channels
from include.publishing.approval import (
    DecisionRefused,
    Request,
    asked_before,
    decide,
    enter_request,
    pass_without_approval,
    request_of,
)
from include.publishing.drafts import (
    FILES,
    Draft,
    DraftDamaged,
    EditionDraft,
    all_files,
    clear_away,
    drafts_in,
    enter_draft,
    file_sha256,
    files_digest,
    find_draft,
    folder_of,
    is_intact,
    latest_draft,
    put_in_place,
    read_manifest,
    set_state,
    write_manifest,
)
from include.publishing.gate import NothingToPublish, check_gate
from include.publishing.issues import Plan, PrintedByEdition, plan_issue, printed_digest
from include.publishing.releasing import release
from include.publishing.sending import Recipients, recipients_of, require_delivered, send_pending
from include.publishing.wording import texts
from include.settings import Settings, get_settings
from include.warehouse.connection import connect
from include.warehouse.locking import alone

__all__ = [
    "NothingToPublish", "ReportRefused", "ReportSuperseded", "ReportWaits", "approval_request", "check_gate",
    "decide_report", "deliver", "render",
]  # fmt: skip

log = logging.getLogger(__name__)


class ReportRefused(RuntimeError):
    """A person did not approve these figures, and nothing has changed since."""


class ReportSuperseded(RuntimeError):
    """Other figures were rendered meanwhile; the decision is about those."""


class ReportWaits(RuntimeError):
    """The draft waits for a person."""


class Reports(Protocol):
    """What renders: :mod:`include.report.render`."""

    def collect_issue(self, conn: psycopg.Connection[Any], period: str) -> Any:
        """Figures of all editions, reconciled."""

    def printed(self, collected: Any) -> PrintedByEdition:
        """What each edition prints."""

    def write_issue(self, collected: Any, folder: Path, **issue: Any) -> Mapping[str, Mapping[str, Path]]:
        """Edition to form to file."""


class _Report:
    """The report's own renderer, imported when it is needed: its document and chart libraries take seconds."""

    def collect_issue(self, conn: psycopg.Connection[Any], period: str) -> Any:
        from include.report.render import collect_issue

        return collect_issue(conn, period)

    def printed(self, collected: Any) -> PrintedByEdition:
        from include.report.model import edition_key
        from include.report.printed import printed_figures

        return {edition_key(one.edition): printed_figures(one) for one in collected.editions}

    def write_issue(self, collected: Any, folder: Path, **issue: Any) -> Mapping[str, Mapping[str, Path]]:
        from include.report.render import write_issue

        return write_issue(collected, folder, **issue)


def render(gate: Mapping[str, Any], reports: Reports | None = None) -> dict[str, Any]:
    """Reconcile every figure against ``raw`` and write the Word, Excel and HTML reports as a draft, if they are news.

    Args:
        gate: what :func:`check_gate` gave.
        reports: what renders.

    Returns:
        ``{"period", "draft_no", "issue_no", "maturity", "state", "files_sha256", "files", "figures_checked"}``;
        ``files`` has the province's files by form, where they lie now.

    Raises:
        include.report.reconcile.ReconciliationFailed: a printed number differs from its recomputation; nothing is
            written.
        ReportRefused: these very figures were not approved.
    """
    reports = reports or _Report()
    settings = get_settings()
    period = gate["period"]
    started = time.monotonic()
    with alone(f"publish {period}"), connect(autocommit=True) as conn:
        for begun in drafts_in(conn, ("releasing",), period):
            # Some of its files may lie in the outbox already: what was begun is ended first.
            try:
                release(conn, begun, settings, _recipients(settings), datetime.now(SHANGHAI))
            except DraftDamaged:
                # Its figures, should they still be the same, are written anew below and give the files approved.
                set_state(conn, begun, "approved", datetime.now(SHANGHAI))
        collected = reports.collect_issue(conn, period)
        printed = reports.printed(collected)
        plan = plan_issue(conn, period, gate["maturity"], gate["input_hash"], printed)
        draft = _known_draft(conn, period, plan, printed_digest(printed))
        if plan.is_issued:
            draft = _note_same_issue(conn, period, gate, plan)
        elif draft is None or (
            draft.state != "refused" and not is_intact(folder_of(settings.drafts, period, draft.draft_no), draft)
        ):
            draft = _write_draft(conn, gate, plan, reports, collected, printed, draft, settings, started)
        clear_away(conn, settings.drafts, period)
        if draft.state == "refused":
            raise ReportRefused(
                texts()["outcomes"]["refused"].format(
                    period=period, actor=draft.decided_by, reason=draft.decision_reason_zh
                )
            )
        log.info("period %s draft %d: issue %d, %s", period, draft.draft_no, draft.issue_no, draft.state)
        return _account(conn, draft, settings)


def _known_draft(conn: psycopg.Connection[Any], period: str, plan: Plan, digest: str) -> Draft | None:
    """The latest draft, when it is open or refused and says the same."""
    latest = latest_draft(conn, period)
    if latest is None or latest.state not in ("waiting", "approved", "refused"):
        return None
    says = (latest.printed_sha256, latest.maturity, latest.issue_no)
    return latest if says == (digest, plan.maturity, plan.issue_no) else None


def _note_same_issue(conn: psycopg.Connection[Any], period: str, gate: Mapping[str, Any], plan: Plan) -> Draft:
    """What the ledger holds now gives the issue that is out already: nothing is to be done for it."""
    now = datetime.now(SHANGHAI)
    with conn.transaction():
        for open_draft in drafts_in(conn, ("waiting", "approved"), period):
            set_state(conn, open_draft, "superseded", now)
        row = conn.execute(
            "update intake.publication set input_hash = %s where period = %s and issue_no = %s returning draft_no",
            (gate["input_hash"], period, plan.issue_no),
        ).fetchone()
        assert row is not None
        issued = find_draft(conn, period, row[0])
    assert issued is not None
    return issued


def _write_draft(
    conn: psycopg.Connection[Any],
    gate: Mapping[str, Any],
    plan: Plan,
    reports: Reports,
    collected: Any,
    printed: PrintedByEdition,
    known: Draft | None,
    settings: Settings,
    started: float,
) -> Draft:
    """Write files and manifest beside their place, move them in, enter the row; or mend a known draft's folder."""
    period = gate["period"]
    place = settings.drafts / period
    place.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=".new-", dir=place))
    try:
        written = reports.write_issue(
            collected,
            fresh / FILES,
            maturity=plan.maturity,
            maturity_reason=known.reason_zh if known else gate["reason_zh"],
            issue_no=plan.issue_no,
            corrections=plan.corrections,
        )
        editions = [
            EditionDraft(
                key=key,
                edition=figures.edition,
                is_sample=figures.is_sample,
                files={path.relative_to(fresh / FILES).as_posix(): file_sha256(path) for path in written[key].values()},
                printed=printed[key],
                differing=len(plan.corrections.get(key, ())),
            )
            for key, figures in zip(printed, collected.editions, strict=True)
        ]
        write_manifest(fresh, editions)
        digest = files_digest(all_files(editions))
        if known is not None and known.files_sha256 == digest:
            put_in_place(fresh, folder_of(settings.drafts, period, known.draft_no))
            return known
        latest = latest_draft(conn, period)
        draft = Draft(
            period=period,
            draft_no=latest.draft_no + 1 if latest else 1,
            issue_no=plan.issue_no,
            maturity=plan.maturity,
            reason_zh=gate["reason_zh"],
            coverage=gate["coverage"],
            missing=list(gate["missing"]),
            data_cutoff=datetime.fromisoformat(gate["data_cutoff"]) if gate["data_cutoff"] else None,
            input_hash=gate["input_hash"],
            figures_sha256=collected.figures_sha256,
            printed_sha256=printed_digest(printed),
            files_sha256=digest,
            figures_checked=collected.checked,
            seconds=round(time.monotonic() - started, 2),
            state="waiting",
            rendered_at=datetime.now(SHANGHAI),
            asked_in=None,
            decided_by=None,
            decided_at=None,
            decision_reason_zh=None,
        )
        put_in_place(fresh, folder_of(settings.drafts, period, draft.draft_no))
        with conn.transaction():
            enter_draft(conn, draft)
        return draft
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _account(conn: psycopg.Connection[Any], draft: Draft, settings: Settings) -> dict[str, Any]:
    return {
        "period": draft.period,
        "draft_no": draft.draft_no,
        "issue_no": draft.issue_no,
        "maturity": draft.maturity,
        "state": draft.state,
        "files_sha256": draft.files_sha256,
        "files": _files(conn, draft, settings),
        "figures_checked": draft.figures_checked,
    }


def _files(conn: psycopg.Connection[Any], draft: Draft, settings: Settings) -> dict[str, str]:
    """The province's files by form, where they lie."""
    if draft.state == "issued":
        names = [
            name
            for (name,) in conn.execute(
                "select file_name from intake.publication_file"
                " where period = %s and issue_no = %s and edition = 'province' order by file_name",
                (draft.period, draft.issue_no),
            )
        ]
        place = settings.outbox / draft.period
    else:
        place = folder_of(settings.drafts, draft.period, draft.draft_no)
        names = sorted(next(one for one in read_manifest(place) if one.key == "province").files)
        place = place / FILES
    return {Path(name).suffix.removeprefix("."): str(place / name) for name in names}


def approval_request(rendered: Mapping[str, Any], run_id: str, asked_elsewhere: Any = None) -> Request | None:
    """What a person is to be asked about the draft in this run; ``None`` when nobody needs to be asked.

    Args:
        run_id: the Airflow run that asks.
        asked_elsewhere: called with the id of the run that asked before; whether a person still sees that request.

    Raises:
        ReportRefused: it was not approved.
        ReportSuperseded: it was replaced.
        ReportWaits: another run has asked, and a person has not answered yet.
        DecisionRefused: this run has asked about another draft: Airflow would show its text.
    """
    settings = get_settings()
    period, draft_no = rendered["period"], rendered["draft_no"]
    words = texts()["outcomes"]
    with connect(autocommit=True) as conn:
        draft = find_draft(conn, period, draft_no)
        if draft is None or draft.state == "superseded":
            raise ReportSuperseded(words["superseded"].format(period=period, draft_no=draft_no))
        if draft.state == "refused":
            raise ReportRefused(
                words["refused"].format(period=period, actor=draft.decided_by, reason=draft.decision_reason_zh)
            )
        if draft.state != "waiting" or not settings.needs_approval:
            return None
        if draft.asked_in not in (None, run_id) and asked_elsewhere is not None and asked_elsewhere(draft.asked_in):
            raise ReportWaits(words["waits"].format(period=period, draft_no=draft_no, run=draft.asked_in))
        if asked_before(conn, period, run_id) - {draft_no}:
            raise DecisionRefused(words["ask_in_new_run"].format(period=period))
        request = request_of(conn, draft, settings)
        with conn.transaction():
            enter_request(conn, draft, run_id, datetime.now(SHANGHAI))
        return request


def decide_report(
    rendered: Mapping[str, Any], *, is_approved: bool, actor: str, reason_zh: str, now: datetime | None = None
) -> Literal["approved", "refused"]:
    """Enter a person's answer to the request about a rendered draft.

    Raises:
        DecisionRefused: the answer cannot be entered; the message says why.
    """
    with connect() as conn, conn.transaction():
        decide(
            conn,
            rendered["period"],
            rendered["draft_no"],
            rendered["files_sha256"],
            is_approved=is_approved,
            actor=actor,
            reason_zh=reason_zh,
            now=now or datetime.now(SHANGHAI),
        )
    return "approved" if is_approved else "refused"


def deliver(rendered: Mapping[str, Any]) -> dict[str, Any]:
    """Release the draft, if it is approved, and send every edition that was not sent yet.

    Returns:
        ``{"period", "issue_no", "maturity", "files", "sent"}``; ``sent`` counts messages by channel.

    Raises:
        ReportWaits, ReportRefused, ReportSuperseded: nothing may be delivered.
        DraftDamaged: the draft's files are not those that were approved.
        DeliveriesWait, DeliveriesRefused: some messages did not go out; all others did.
    """
    settings = get_settings()
    period, draft_no = rendered["period"], rendered["draft_no"]
    words = texts()["outcomes"]
    with alone(f"publish {period}"), connect(autocommit=True) as conn:
        now = datetime.now(SHANGHAI)
        draft = find_draft(conn, period, draft_no)
        if draft is None or draft.state == "superseded":
            raise ReportSuperseded(words["superseded"].format(period=period, draft_no=draft_no))
        if draft.state == "refused":
            raise ReportRefused(
                words["refused"].format(period=period, actor=draft.decided_by, reason=draft.decision_reason_zh)
            )
        if draft.state == "waiting":
            if settings.needs_approval:
                raise ReportWaits(words["not_approved"].format(period=period, draft_no=draft_no))
            with conn.transaction():
                draft = pass_without_approval(conn, draft, now)
        recipients = _recipients(settings)
        if draft.state in ("approved", "releasing"):
            release(conn, draft, settings, recipients, now)
            draft = find_draft(conn, period, draft_no)
            assert draft is not None
        with Notifier(configured_channels(settings)) as notifier:
            sent = send_pending(conn, draft, settings, recipients, notifier)
            down = notifier.down
        clear_away(conn, settings.drafts, period)
        files = _files(conn, draft, settings)
        log.info("period %s issue %d: %s; sent %s", period, draft.issue_no, ", ".join(files.values()), sent)
        require_delivered(conn, draft, down)
        return {
            "period": period,
            "issue_no": draft.issue_no,
            "maturity": draft.maturity,
            "files": files,
            "sent": sent,
        }


def _recipients(settings: Settings) -> Recipients:
    reporters = load_reporters(settings.reporters_file)
    return recipients_of(settings, load_contacts(settings.contacts_file, known_codes(reporters)), reporters)
