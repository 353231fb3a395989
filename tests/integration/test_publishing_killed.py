"""Killed anywhere between render, approve and send: after running again, everybody has exactly one message.

Each trial is a process of its own that ends by SIGKILL; mail server and web address are real and outlive it.
"""

from __future__ import annotations

import multiprocessing
import random
import shutil
import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from include.warehouse.connection import connect
from tests.integration.publishing_job import PRELOAD, run
from tests.receivers import HOST, Hook, Mailbox, hook_server, mail_server

CONTACTS = "reporter_code,email\n450000,office@example.cn\n450700,qinzhou@example.cn\n450721,lingshan@example.cn\n"
PUBLISH, DRAFTS = "include.pipeline.publish", "include.publishing.drafts"
RELEASING, SENDING = "include.publishing.releasing", "include.publishing.sending"
MAIL, HOOK = "include.notify.smtp:MailChannel", "include.notify.webhook:WebhookChannel"
READY = "tests.ready_reports:ReadyReports"

# Where a process dies: module, function, number of the call, before or after.
PLACES = {
    "nothing written yet": (READY, "write_issue", 1, "before"),
    "written, not yet in its place": (PUBLISH, "write_manifest", 1, "after"),
    "in its place, not in the ledger": (PUBLISH, "enter_draft", 1, "before"),
    "in the ledger, not committed": (PUBLISH, "enter_draft", 1, "after"),
    "rendered": (PUBLISH, "_account", 1, "before"),
    "asked": (PUBLISH, "decide_report", 1, "before"),
    "approved, not committed": (PUBLISH, "decide", 1, "after"),
    "approved": (PUBLISH, "decide_report", 1, "after"),
    "marked as releasing": (RELEASING, "stage_files", 1, "before"),
    "copied in part": (f"{RELEASING}:shutil", "copyfile", 5, "before"),
    "copied": (RELEASING, "move_in", 1, "before"),
    "moved in part": (f"{RELEASING}:os", "replace", 8, "before"),
    "moved, not in the ledger": (RELEASING, "move_in", 1, "after"),
    "issue entered, not its deliveries": (RELEASING, "enter_deliveries", 1, "before"),
    "issue and deliveries entered, not committed": (RELEASING, "enter_deliveries", 1, "after"),
    "issued, nothing sent": (PUBLISH, "release", 1, "after"),
    "first mail announced, not sent": (MAIL, "send", 1, "before"),
    "first mail sent and entered": (SENDING, "end_sending", 1, "after"),
    "mails sent, a message announced": (HOOK, "send", 2, "before"),
    "all sent, the draft not cleared away": (PUBLISH, "clear_away", 2, "before"),
}
# The other side has the message, and the row does not say so yet: nothing can tell this from a lost one.
UNCERTAIN = {
    "mail taken, not entered": (MAIL, "send", 2, "after"),
    "message taken, not entered": (HOOK, "send", 3, "after"),
}


@dataclass
class Stage:
    """An installation with its receivers, prepared once."""

    folder: Path
    environment: dict[str, str]
    mailbox: Mailbox
    hook: Hook

    def clear(self) -> None:
        """As if nothing had been published yet."""
        for name in ("OUTBOX", "DRAFTS"):
            shutil.rmtree(self.environment[f"{name}_DIR"], ignore_errors=True)
        with connect(autocommit=True) as conn:
            conn.execute(
                "truncate intake.report_draft, intake.report_event, intake.publication, intake.publication_file,"
                " intake.publication_figure, intake.delivery"
            )
        self.mailbox.mails.clear()
        self.hook.calls.clear()

    def publish(self, place: Any = None, after: float | None = None, kind: str = "ready") -> int:
        """Run a publication in a process of its own; its exit code."""
        context = multiprocessing.get_context("forkserver")
        process = context.Process(target=run, args=(self.environment, kind, place, after))
        process.start()
        process.join(120)
        assert process.exitcode is not None
        return process.exitcode

    def received(self) -> tuple[Counter[str], Counter[str]]:
        """How often each mail and each message came, by what its receiver knows it by."""
        mails = Counter(f"{mail['To'].addresses[0].addr_spec} {mail['Message-ID']}" for mail in self.mailbox.mails)
        return mails, Counter(headers["idempotency-key"] for headers, _ in self.hook.calls)

    def end(self) -> dict[str, Any]:
        """All that must be the same whether or not a process was killed on the way."""
        outbox = Path(self.environment["OUTBOX_DIR"])
        with connect() as conn:
            rows = {
                "deliveries": "select edition, channel, recipient, message_id, sha256, state from intake.delivery",
                "issues": "select issue_no, maturity, files_sha256, approved_by from intake.publication",
                "figures": "select edition, key, label, printed from intake.publication_figure",
                "drafts": "select draft_no, files_sha256, state from intake.report_draft",
            }
            found: dict[str, Any] = {name: sorted(conn.execute(query).fetchall()) for name, query in rows.items()}
        found["files"] = {p.relative_to(outbox).as_posix(): p.read_bytes() for p in outbox.rglob("*") if p.is_file()}
        found["drafts left"] = [path for path in Path(self.environment["DRAFTS_DIR"]).rglob("*") if path.is_file()]
        found["mails"], found["messages"] = ({*counts} for counts in self.received())
        return found


@pytest.fixture(scope="module")
def stage(warehouse: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    from tests.databases import empty_warehouse

    empty_warehouse()
    multiprocessing.set_forkserver_preload(PRELOAD)
    folder = tmp_path_factory.mktemp("killed")
    (folder / "contacts.csv").write_text(CONTACTS)
    with mail_server() as (mail_port, mailbox), hook_server() as (hook_port, hook):
        environment = {
            "OUTBOX_DIR": str(folder / "outbox"),
            "DRAFTS_DIR": str(folder / "drafts"),
            "CONTACTS_FILE": str(folder / "contacts.csv"),
            "REPORT_APPROVAL": "on",
            "SMTP_URL": f"smtp://{HOST}:{mail_port}",
            "MAIL_FROM": "office@example.cn",
            "WEBHOOK_URL": f"http://{HOST}:{hook_port}/hook",
            "WEBHOOK_SECRET": "secret",
            "NO_PROXY": HOST,
            "no_proxy": HOST,
        }
        yield Stage(folder, environment, mailbox, hook)


@pytest.fixture(scope="module")
def undisturbed(stage: Stage) -> dict[str, Any]:
    """What a publication ends in that nothing disturbed."""
    stage.clear()
    assert stage.publish() == 0
    mails, messages = stage.received()
    assert sorted(mails.values()) == [1, 1, 1] and sorted(messages.values()) == [1, 1, 1, 1]
    ended = stage.end()
    assert len(ended["files"]) == 12
    assert [(row[5]) for row in ended["deliveries"]] == ["sent"] * 11
    assert ended["drafts left"] == []
    return ended


@pytest.mark.parametrize("place", PLACES)
def test_killed_at_a_marked_place_and_run_again_everybody_has_one_message(
    stage: Stage, undisturbed: dict[str, Any], place: str
) -> None:
    stage.clear()
    assert stage.publish(PLACES[place]) == -signal.SIGKILL
    assert stage.publish() == 0
    assert stage.end() == undisturbed
    for counts in stage.received():
        assert set(counts.values()) == {1}
    # Once more changes nothing.
    assert stage.publish() == 0
    assert stage.end() == undisturbed
    for counts in stage.received():
        assert set(counts.values()) == {1}


@pytest.mark.parametrize("place", UNCERTAIN)
def test_killed_between_the_answer_and_the_row_the_same_message_comes_again_and_is_known_by_its_id(
    stage: Stage, undisturbed: dict[str, Any], place: str
) -> None:
    stage.clear()
    assert stage.publish(UNCERTAIN[place]) == -signal.SIGKILL
    assert stage.publish() == 0
    # Whoever keeps one message an id, as mail stores do, has one.
    assert stage.end() == undisturbed
    mails, messages = stage.received()
    twice, other = (mails, messages) if place.startswith("mail") else (messages, mails)
    assert sorted(twice.values()) == [*[1] * (len(twice) - 1), 2]
    assert set(other.values()) == {1}
    [again] = [key for key, times in twice.items() if times == 2]
    if place.startswith("mail"):
        first, second = (mail.as_bytes() for mail in stage.mailbox.mails if mail["Message-ID"] in again)
    else:
        first, second = (body for headers, body in stage.hook.calls if headers["idempotency-key"] == again)
    assert first == second
    with connect() as conn:
        [(result,)] = conn.execute("select result_zh from intake.delivery where attempts = 2").fetchall()
    assert "以同一编号重发" in result


def test_killed_at_any_moment_and_run_again_everybody_has_one_message(
    stage: Stage, undisturbed: dict[str, Any]
) -> None:
    dice = random.Random(20260409)
    doubles = 0
    for _ in range(8):
        stage.clear()
        # Several times over, each time a little later: as on a machine that is about to fail.
        for _ in range(3):
            if stage.publish(after=dice.uniform(0.01, 0.5)) == 0:
                break
        assert stage.publish() == 0
        assert stage.end() == undisturbed
        for counts in stage.received():
            assert all(times <= 2 for times in counts.values())
            doubles += sum(times == 2 for times in counts.values())
    # The uncertain moment is short; a double outside it would come often.
    assert doubles <= 2


@pytest.fixture(scope="module")
def undisturbed_render(stage: Stage) -> dict[str, Any]:
    """The same with the report's own writers."""
    stage.clear()
    assert stage.publish(kind="real") == 0
    ended = stage.end()
    assert {Path(name).suffix for name in ended["files"]} == {".docx", ".xlsx", ".html"}
    return ended


@pytest.mark.parametrize(
    "place",
    [("include.report.render:Workers", "map", 1, "after"), ("include.report.render", "_move", 1, "after")],
    ids=["while it writes", "written"],
)
def test_the_real_render_killed_and_run_again(stage: Stage, undisturbed_render: dict[str, Any], place: Any) -> None:
    stage.clear()
    assert stage.publish(place, kind="real") == -signal.SIGKILL
    assert not list((stage.folder / "outbox").rglob("*.docx"))
    assert stage.publish(kind="real") == 0
    ended = stage.end()
    assert ended == undisturbed_render
