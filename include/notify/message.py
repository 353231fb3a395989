"""What is sent, and what a channel promises."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Protocol


class NotDelivered(RuntimeError):
    """A channel did not take a message. ``reason_zh`` says why in Chinese, without addresses' owners or passwords."""

    def __init__(self, reason_zh: str) -> None:
        super().__init__(reason_zh)
        self.reason_zh = reason_zh


class ChannelDown(NotDelivered):
    """The channel takes nothing at present (unreachable, login refused): the next message would fare no better."""


class MessageRefused(NotDelivered):
    """The channel works and refused this message (unknown mailbox): the next message may pass."""


class NotifierConfigError(ValueError):
    """A setting or an address of the notifier cannot be used; the message names it and says what to write."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that goes with a message.

    Attributes:
        name: as the recipient sees it.
        path: where its bytes are read when the message is sent.
        media_type: e.g. ``application/pdf``.
        sha256: of the bytes; a webhook is told of the file by it.
    """

    name: str
    path: Path
    media_type: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Message:
    """One message to one recipient.

    Attributes:
        topic: what kind of message, e.g. ``reminder``; receivers sort by it.
        recipient: name of the reporter or office.
        address: mailbox, or ``None`` where none is known: mail then leaves the message out.
        subject: one line.
        body_text: the whole message as plain text.
        body_html: the same as one self-contained page, or ``None``.
        message_id: the same for the same message however often it is sent, so that a receiver can drop doubles;
            letters, digits, ``.`` and ``-``.
        place: where the outbox files it: a path under the outbox without suffix, e.g. ``2026-10/提醒/灵山县/1-…``.
        written_at: when it was written (aware).
        attachments: files that a mail carries and a webhook names.
    """

    topic: str
    recipient: str
    address: str | None
    subject: str
    body_text: str
    body_html: str | None
    message_id: str
    place: PurePosixPath
    written_at: datetime
    attachments: tuple[Attachment, ...] = ()


class Channel(Protocol):
    """A way to a recipient."""

    @property
    def name(self) -> str:
        """Short name as the ledger has it: ``outbox``, ``smtp``, ``webhook``."""

    def reaches(self, message: Message) -> bool:
        """Whether this channel has a way to the recipient."""

    def send(self, message: Message) -> None:
        """Hand the message over; returning means that the other side has it.

        Raises:
            ChannelDown: nothing can be sent at present.
            MessageRefused: this message was refused.
        """

    def close(self) -> None:
        """Give up connections; nothing is sent afterwards."""
