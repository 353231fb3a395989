"""A folder of this machine, or a mounted share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from include.intake.calendar import SHANGHAI
from include.intake.channels.folders import Entry, FolderChannel, is_passed_over
from include.intake.channels.interface import BLOCK_BYTES, ChangedWhileRead, ChannelDown, Kind, Known, Look


class InboxNotFound(FileNotFoundError):
    """The folder of a local channel does not exist."""


class LocalFolder(FolderChannel):
    """A folder on this machine (or a mounted share). Arrival time is the file's modification time."""

    name = "local"
    kind: Kind = "local"

    def __init__(self, root: Path, name: str = "local", *, settle_seconds: float = 1.0, **options: Any) -> None:
        super().__init__(name, settle_seconds=settle_seconds, **options)
        self.root = root
        # The clock that stamps the files is this machine's: what was not written to for that long is complete.
        self.settled_after = timedelta(seconds=settle_seconds)

    @contextmanager
    def session(self) -> Iterator[None]:
        try:
            yield
        except InboxNotFound as error:
            raise ChannelDown("no_folder", where=self.name, folder=self.root) from error

    def look(self, known: Known) -> Look:
        """See :class:`FolderChannel`; lock files and partial uploads are passed over.

        Raises:
            InboxNotFound: the folder does not exist.
            ChannelDown: it may not be read.
        """
        if not self.root.is_dir():
            raise InboxNotFound(
                f"the inbox folder {self.root} does not exist; create it or name another with INBOX_DIR"
            )
        if not os.access(self.root, os.R_OK | os.X_OK):
            raise ChannelDown("forbidden", where=self.name, folder=self.root, detail="permission denied")
        return super().look(known)

    def _entries(self) -> Iterator[Entry]:
        for path in self.root.rglob("*"):
            inside = path.relative_to(self.root).as_posix()
            if is_passed_over(inside) or path.is_symlink() or not path.is_file():
                continue
            try:
                yield _entry(inside, path.stat())
            except FileNotFoundError:
                continue  # renamed or taken away between the listing and here: a later look finds it

    def _entry(self, path: str) -> Entry:
        return _entry(path, (self.root / path).stat(follow_symlinks=False))

    def _blocks(self, path: str) -> Iterator[bytes]:
        # Not through a link that took the file's place after the look.
        try:
            handle = os.open(self.root / path, os.O_RDONLY | os.O_NOFOLLOW)
        except FileNotFoundError as error:
            raise ChangedWhileRead(f"{path} is gone") from error
        with os.fdopen(handle, "rb") as stream:
            while block := stream.read(BLOCK_BYTES):
                yield block


def _entry(path: str, status: os.stat_result) -> Entry:
    return Entry(
        path,
        status.st_size,
        datetime.fromtimestamp(status.st_mtime, tz=SHANGHAI),
        f"{status.st_mtime_ns}-{status.st_ino}",
    )
