"""Each edition to whom it is for: a row before, a message, the row after.

A row that is found ``sending`` was interrupted between the two: whether the other side has the message is not known.
It is sent again, byte for byte and under the same id (``Message-ID``, ``Idempotency-Key``), by which the receiver knows
a double; reminders do the same. So no message is lost, and one is seen twice only where a process died in the moment
between the receiver's answer and the row, and the receiver keeps doubles.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

import psycopg
import yaml

from include.intake.calendar import SHANGHAI
from include.intake.reporters import Reporter
from include.notify.contacts import province_of
from include.notify.letter import Letter, Section, letter_html, letter_text
from include.notify.message import Attachment, Message
from include.notify.notifier import Notifier
from include.notify.outbox import OutboxFolder
from include.notify.smtp import MailChannel
from include.notify.webhook import WebhookChannel
from include.publishing.drafts import FILES, Draft, EditionDraft, file_sha256, folder_of, read_manifest
from include.publishing.wording import issue_zh, maturity_zh, month_zh, texts
from include.report.model import Edition
from include.settings import Settings

TOPIC = "report"


class DeliveriesWait(ConnectionError):
    """Messages wait for a channel that takes nothing at present; running again sends them."""


class DeliveriesRefused(RuntimeError):
    """A channel refused single messages; running again helps only after the cause was mended."""


class OutboxChanged(RuntimeError):
    """A file in the outbox is not the one that was issued, and the draft is gone."""


@lru_cache(maxsize=1)
def rules() -> dict[str, Any]:
    """The content of ``delivery.yaml``."""
    loaded: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "delivery.yaml").read_text(encoding="utf-8"))
    return loaded


@dataclass(frozen=True, slots=True)
class Recipients:
    """Who gets what.

    Attributes:
        addresses: mailbox by code: reporters, cities, the province.
        province: its code.
        channels: those configured, without the outbox: ``smtp``, ``webhook``.
        webhook_style: see :mod:`include.notify.webhook`.
    """

    addresses: Mapping[str, str]
    province: str
    channels: tuple[str, ...]
    webhook_style: str

    def name_of(self, edition: Edition) -> str:
        """Whom the edition is for, in words."""
        if edition.level == "province":
            return str(texts()["office"])
        if edition.level == "city":
            return str(texts()["city_bureau"]).format(city=edition.region_name)
        return edition.region_name

    def address_of(self, edition: Edition) -> str | None:
        """The mailbox, ``None`` where none is known."""
        if edition.level == "province":
            return self.addresses.get(self.province)
        return self.addresses.get(edition.reporter_code or edition.region_code)

    def ways(self, edition: Edition, *, is_changed: bool) -> list[str]:
        """Channels beside the outbox by which this edition is sent."""
        if not is_changed and edition.level not in rules()["unchanged_in_correction"]:
            return []
        levels: Mapping[str, Collection[str]] = rules()["levels"]
        found = []
        for channel in self.channels:
            style = channel if channel == MailChannel.name else self.webhook_style
            if edition.level not in levels[style]:
                continue
            if channel == MailChannel.name and self.address_of(edition) is None:
                continue
            found.append(channel)
        return found


def recipients_of(settings: Settings, addresses: Mapping[str, str], reporters: Sequence[Reporter]) -> Recipients:
    """Recipients by the settings and the contacts."""
    channels = [MailChannel.name] if settings.smtp_url else []
    channels += [WebhookChannel.name] if settings.webhook_url else []
    province = province_of(reporters[0].city_code) if reporters else ""
    return Recipients(addresses, province, tuple(channels), settings.webhook_style)


def enter_deliveries(
    conn: psycopg.Connection[Any],
    draft: Draft,
    editions: Sequence[EditionDraft],
    recipients: Recipients,
    now: datetime,
) -> None:
    """A row for every message to be sent; the outbox has its files already. What older drafts did not send, stays so.

    Runs in the transaction that enters the issue.
    """
    words = texts()["results"]
    conn.execute(
        "update intake.delivery set state = 'superseded', result_zh = %s"
        " where period = %s and draft_no <> %s and state in ('pending', 'sending', 'refused')",
        (words["superseded"], draft.period, draft.draft_no),
    )
    rows = []
    for one in editions:
        is_changed = draft.issue_no == 0 or one.differing > 0
        name = recipients.name_of(one.edition)
        for channel in (OutboxFolder.name, *recipients.ways(one.edition, is_changed=is_changed)):
            is_filed = channel == OutboxFolder.name
            recipient = recipients.address_of(one.edition) if channel == MailChannel.name else None
            rows.append(
                (
                    draft.period, draft.draft_no, draft.issue_no, one.key, channel, recipient or name,
                    f"{_message_id(draft, one)}.{channel}", one.sha256, "sent" if is_filed else "pending",
                    1 if is_filed else 0, words["filed"] if is_filed else words["waiting"], now,
                    now if is_filed else None, now if is_filed else None,
                )
            )  # fmt: skip
    with conn.cursor() as cursor:
        cursor.executemany(
            """
            insert into intake.delivery
                (period, draft_no, issue_no, edition, channel, recipient, message_id, sha256, state, attempts,
                 result_zh, entered_at, tried_at, sent_at)
            values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
            """,
            rows,
        )


def _message_id(draft: Draft, one: EditionDraft) -> str:
    # The digest keeps ids apart where a warehouse was made anew and counts its drafts from 1 again.
    return f"report.{draft.period}.{draft.draft_no}.{one.key}.{one.sha256[:12]}"


def send_pending(
    conn: psycopg.Connection[Any],
    draft: Draft,
    settings: Settings,
    recipients: Recipients,
    notifier: Notifier,
) -> dict[str, int]:
    """Send what waits of an issued draft, one after another; returns how many messages each channel took.

    The connection is in autocommit: a row says that something is being sent, so it must stand at once. Only one process
    at a time may do this for a period (see :func:`include.warehouse.locking.alone`).

    Raises:
        OutboxChanged: the files to be sent are not those that were issued.
    """
    rows = conn.execute(
        "select edition, channel, message_id, state, entered_at from intake.delivery"
        " where period = %s and draft_no = %s and state in ('pending', 'sending', 'refused')"
        " order by channel, case when edition = 'province' then 0 else 1 end, edition",
        (draft.period, draft.draft_no),
    ).fetchall()
    if not rows:
        return {}
    by_name = {channel.name: channel for channel in notifier.channels}
    folder = folder_of(settings.drafts, draft.period, draft.draft_no)
    editions = {one.key: one for one in read_manifest(folder)}
    sent: dict[str, int] = {}
    for edition, name, message_id, state, entered_at in rows:
        key = (draft.period, draft.draft_no, edition, name)
        if name not in by_name:
            _set_result(conn, key, "pending", texts()["results"]["no_channel"])
            continue
        one = editions[edition]
        message = message_of(draft, one, recipients, message_id, entered_at, _sources(one, folder, settings, draft))
        if not by_name[name].reaches(message):
            _set_result(conn, key, "pending", texts()["results"]["no_address"])
            continue
        was_interrupted = state == "sending"
        begin_sending(conn, key, message.address if name == MailChannel.name else None)
        attempt = notifier.send(message, by_name[name])
        result = attempt.result_zh
        if was_interrupted and attempt.is_sent:
            result = texts()["results"]["interrupted"].format(result=result)
        end_sending(conn, key, attempt.is_sent, attempt.is_down, result)
        sent[name] = sent.get(name, 0) + attempt.is_sent
    return sent


def begin_sending(conn: psycopg.Connection[Any], key: tuple[str, int, str, str], address: str | None) -> None:
    """The row before: from here on the message may be with the other side."""
    conn.execute(
        "update intake.delivery set state = 'sending', attempts = attempts + 1, tried_at = %s,"
        " recipient = coalesce(%s, recipient)"
        " where period = %s and draft_no = %s and edition = %s and channel = %s",
        (datetime.now(SHANGHAI), address, *key),
    )


def end_sending(
    conn: psycopg.Connection[Any], key: tuple[str, int, str, str], is_sent: bool, is_down: bool, result_zh: str
) -> None:
    """The row after: what the other side answered."""
    state = "sent" if is_sent else "pending" if is_down else "refused"
    _set_result(conn, key, state, result_zh, datetime.now(SHANGHAI) if is_sent else None)


def _set_result(
    conn: psycopg.Connection[Any],
    key: tuple[str, int, str, str],
    state: str,
    result_zh: str,
    sent_at: datetime | None = None,
) -> None:
    conn.execute(
        "update intake.delivery set state = %s, result_zh = %s, sent_at = %s"
        " where period = %s and draft_no = %s and edition = %s and channel = %s",
        (state, result_zh, sent_at, *key),
    )


def require_delivered(conn: psycopg.Connection[Any], draft: Draft, down: Mapping[str, str]) -> None:
    """Make undelivered messages visible once all others are out.

    Raises:
        DeliveriesWait: a channel was down, or is not configured any more: try again.
        DeliveriesRefused: a channel refused single messages.
    """
    left = conn.execute(
        "select edition, channel, state, result_zh from intake.delivery"
        " where period = %s and draft_no = %s and state in ('pending', 'refused') order by edition, channel",
        (draft.period, draft.draft_no),
    ).fetchall()
    if not left:
        return
    shown = "; ".join(f"{edition} {channel}: {result}" for edition, channel, _, result in left[:5])
    more = f"; and {len(left) - 5} more" if len(left) > 5 else ""
    if down:
        raise DeliveriesWait(
            f"{len(left)} messages of {draft.period} wait for a channel that is down; the report lies in the outbox, "
            f"all others are out, and running again sends these: {shown}{more}"
        )
    raise DeliveriesRefused(
        f"{len(left)} messages of {draft.period} were not taken; the report lies in the outbox and all others are out. "
        f"Mend what is named, then clear this task: {shown}{more}"
    )


def message_of(
    draft: Draft,
    one: EditionDraft,
    recipients: Recipients,
    message_id: str,
    written_at: datetime,
    sources: Mapping[str, Path],
) -> Message:
    """The letter that carries an edition; the same row gives the same bytes."""
    words = texts()["letter"]
    month, correction = month_zh(draft.period), issue_zh(draft.issue_no)
    place = one.edition.region_name
    subject = words["subject"].format(
        place=place,
        month=month,
        maturity=maturity_zh(draft.maturity),
        correction=f"，{correction}" if correction else "",
    )
    if one.is_sample:
        subject = words["sample_subject"].format(subject=subject)
    opening = words["opening_corrected" if correction else "opening"]
    written = written_at.astimezone(SHANGHAI)
    letter = Letter(
        subject=subject,
        salutation=words["salutation"].format(recipient=recipients.name_of(one.edition)),
        opening=(opening.format(place=place, month=month, correction=correction),),
        facts=(
            (words["facts"]["maturity"], maturity_zh(draft.maturity)),
            (words["facts"]["basis"], draft.reason_zh),
            (words["facts"]["cutoff"], _instant(draft.data_cutoff)),
        ),
        sections=(
            Section(
                words["files_title"],
                lines=tuple(
                    words["file_line"].format(name=PurePosixPath(name).name, sha256=digest[:16])
                    for name, digest in one.files.items()
                ),
            ),
        ),
        closing=tuple(words["closing"]),
        notes=(words["identifier"].format(id=message_id),),
        signature=words["signature"],
        dated=words["dated"].format(year=written.year, month=written.month, day=written.day),
        is_sample=one.is_sample,
    )
    return Message(
        topic=TOPIC,
        recipient=recipients.name_of(one.edition),
        address=recipients.address_of(one.edition),
        subject=subject,
        body_text=letter_text(letter),
        body_html=letter_html(letter),
        message_id=message_id,
        place=PurePosixPath(draft.period, message_id),
        written_at=written,
        attachments=tuple(
            Attachment(
                PurePosixPath(name).name, sources[name], rules()["media_types"][PurePosixPath(name).suffix], digest
            )
            for name, digest in one.files.items()
        ),
    )


def path_suffix(name: str) -> str:
    """``.docx`` of a path."""
    return PurePosixPath(name).suffix


def _instant(instant: datetime | None) -> str:
    if instant is None:
        return str(texts()["letter"]["no_cutoff"])
    at = instant.astimezone(SHANGHAI)
    return str(texts()["instant"]).format(year=at.year, month=at.month, day=at.day, hour=at.hour, minute=at.minute)


def _sources(one: EditionDraft, folder: Path, settings: Settings, draft: Draft) -> dict[str, Path]:
    """Where each file's bytes are read: the draft, which stays until everything is sent; checked once more."""
    found = {}
    for name, digest in one.files.items():
        for path in (folder / FILES / name, settings.outbox / draft.period / name):
            if path.is_file() and file_sha256(path) == digest:
                found[name] = path
                break
        else:
            raise OutboxChanged(
                f"{name} of {draft.period} is neither in {folder} nor in the outbox as it was issued: put the issued "
                f"file (sha256 {digest}) back, then clear this task"
            )
    return found
