"""Where files come from: folders, SFTP and S3 servers, mailboxes. A channel lists what lies there and hands it over
piece by piece; everything behind it is the same for all channels (docs/channels.md)."""

from include.intake.channels.interface import (
    Arrival,
    ChangedWhileRead,
    Channel,
    ChannelDown,
    Delivery,
    Known,
    Look,
    Sighting,
)
from include.intake.channels.local import InboxNotFound, LocalFolder

__all__ = [
    "Arrival",
    "ChangedWhileRead",
    "Channel",
    "ChannelDown",
    "Delivery",
    "InboxNotFound",
    "Known",
    "LocalFolder",
    "Look",
    "Sighting",
]
