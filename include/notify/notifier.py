"""One message through every channel that is configured."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType

from include.notify.message import Channel, ChannelDown, Message, NotDelivered
from include.notify.outbox import OutboxFolder
from include.notify.smtp import MailChannel, mail_server
from include.notify.webhook import WebhookChannel
from include.notify.wording import reason, texts
from include.settings import Settings

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Attempt:
    """What a channel made of a message.

    Attributes:
        recipient: as this channel knows the recipient: the mailbox, else the name.
        is_sent: the other side has it.
        is_down: the channel takes nothing at present; the cause lies with the channel, not with the message.
        result_zh: in words.
    """

    channel: str
    recipient: str
    is_sent: bool
    is_down: bool
    result_zh: str


class Notifier:
    """Sends through several channels; one that is down is left alone until the next run and stops no other.

    Use as a context manager: it closes the channels' connections.
    """

    def __init__(self, channels: Sequence[Channel]) -> None:
        self.channels = tuple(channels)
        self._down: dict[str, str] = {}

    def __enter__(self) -> Notifier:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for channel in self.channels:
            channel.close()

    @property
    def down(self) -> Mapping[str, str]:
        """Channels found down so far, and why, in Chinese."""
        return dict(self._down)

    def ways(self, message: Message, *, done: Collection[str] = ()) -> list[Channel]:
        """The channels that reach the recipient, but those of the names in ``done``."""
        return [channel for channel in self.channels if channel.name not in done and channel.reaches(message)]

    def send(self, message: Message, channel: Channel) -> Attempt:
        """Hand the message to one channel. A failure is an answer, not an exception."""
        recipient = message.recipient
        if channel.name == MailChannel.name and message.address is not None:
            recipient = message.address
        words = texts()["results"]
        why = reason("given_up", reason=self._down[channel.name]) if channel.name in self._down else None
        if why is None:
            try:
                channel.send(message)
                return Attempt(channel.name, recipient, True, False, words["sent"])
            except NotDelivered as failure:
                log.warning("%s: %s: %s", channel.name, message.message_id, failure.reason_zh)
                if not isinstance(failure, ChannelDown):
                    return Attempt(
                        channel.name, recipient, False, False, words["not_sent"].format(reason=failure.reason_zh)
                    )
                # Waiting for a dead server once for every county would take an hour.
                self._down[channel.name] = why = failure.reason_zh
        return Attempt(channel.name, recipient, False, True, words["not_sent"].format(reason=why))


def configured_channels(settings: Settings) -> list[Channel]:
    """The outbox, then mail and webhook where they are set.

    Raises:
        NotifierConfigError: a setting cannot be used.
    """
    channels: list[Channel] = [OutboxFolder(settings.outbox)]
    if settings.smtp_url:
        channels.append(MailChannel(mail_server(settings.smtp_url, settings.mail_from)))
    if settings.webhook_url:
        channels.append(WebhookChannel(settings.webhook_url, settings.webhook_secret, style=settings.webhook_style))
    return channels
