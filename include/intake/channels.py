"""Where files come from. A channel lists what lies there; everything behind it is the same for all channels."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Protocol

from include.intake.calendar import SHANGHAI

# Lock and partial files that office programs and file transfers leave beside the real ones.
_IGNORED_PREFIXES = ("~$", ".~", ".")
_IGNORED_SUFFIXES = (".tmp", ".part", ".crdownload", ".filepart")
_IGNORED_NAMES = {"thumbs.db", "desktop.ini"}


class InboxNotFound(FileNotFoundError):
    """The folder of a local channel does not exist."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One file as it lies in a channel.

    Attributes:
        path_in_channel: stable path below the channel's root, with ``/``.
        folder: the folders above the file (may name period and county), ``""`` at the root.
        received_at: when it arrived (Shanghai time).
    """

    channel: str
    path_in_channel: str
    file_name: str
    folder: str
    received_at: datetime
    size_bytes: int
    location: Path


class Channel(Protocol):
    """A place that can be listed again and again."""

    name: str

    def arrivals(self) -> Iterator[Arrival]:
        """All files now there, oldest first."""
        ...


class LocalFolder:
    """A folder on this machine (or a mounted share). Arrival time is the file's modification time."""

    name = "local"

    def __init__(self, root: Path) -> None:
        self.root = root

    def arrivals(self) -> Iterator[Arrival]:
        """Files below the folder, oldest first; office lock files and partial uploads are passed over.

        Raises:
            InboxNotFound: the folder does not exist.
        """
        if not self.root.is_dir():
            raise InboxNotFound(
                f"the inbox folder {self.root} does not exist; create it or name another with INBOX_DIR"
            )
        found = []
        for path in self.root.rglob("*"):
            name = path.name.lower()
            inside = path.relative_to(self.root)
            if path.is_symlink() or not path.is_file() or name in _IGNORED_NAMES:
                continue
            if name.endswith(_IGNORED_SUFFIXES) or any(part.startswith(_IGNORED_PREFIXES) for part in inside.parts):
                continue
            status = path.stat()
            shown = PurePosixPath(_readable(inside.as_posix()))
            found.append(
                Arrival(
                    channel=self.name,
                    path_in_channel=shown.as_posix(),
                    file_name=shown.name,
                    folder=shown.parent.as_posix() if shown.parent != PurePosixPath() else "",
                    received_at=datetime.fromtimestamp(status.st_mtime, tz=SHANGHAI),
                    size_bytes=status.st_size,
                    location=path,
                )
            )
        yield from sorted(found, key=lambda arrival: (arrival.received_at, arrival.path_in_channel))


def _readable(path: str) -> str:
    """A path as text that can be stored: archives packed on Chinese Windows unpack to names of GBK bytes, which Python
    keeps as lone surrogates and no database takes."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return os.fsencode(path).decode("gb18030", errors="replace")
    return path
