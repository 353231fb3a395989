"""The outbox: every message as a file that can be read, printed and handed on."""

from __future__ import annotations

import os
from pathlib import Path

from include.notify.message import ChannelDown, Message
from include.notify.wording import reason


class OutboxFolder:
    """Writes a message to ``<folder>/<place>.html`` (``.txt`` without HTML).

    The same message gives the same bytes under the same name, so sending it again leaves one file, not two.
    """

    name = "outbox"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def reaches(self, message: Message) -> bool:
        return True

    def path_of(self, message: Message) -> Path:
        """Where the message is filed; raises ``ValueError`` for a place outside the outbox."""
        if message.place.is_absolute() or ".." in message.place.parts:
            raise ValueError(f"place {str(message.place)!r} leads out of the outbox: give a path below it")
        suffix = ".txt" if message.body_html is None else ".html"
        return self._folder / message.place.parent / (message.place.name + suffix)

    def send(self, message: Message) -> None:
        path = self.path_of(message)
        content = message.body_text if message.body_html is None else message.body_html
        fresh = path.with_name(f".{path.name}.new")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Whole or not at all: a reader never finds half a letter.
            fresh.write_bytes(content.encode("utf-8"))
            os.replace(fresh, path)
        except OSError as error:
            raise ChannelDown(reason("outbox_unwritable", error=error.strerror or type(error).__name__)) from error

    def close(self) -> None:
        """Nothing is held open."""
