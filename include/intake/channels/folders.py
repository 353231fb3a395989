"""What channels of folders have in common: names that are passed over, whose folder it is, reading without tearing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import PurePosixPath
from typing import Any

from include.intake.calendar import SHANGHAI
from include.intake.channels.interface import Arrival, ChangedWhileRead, Delivery, Kind, Known, Look, Sighting
from include.intake.identity import code_of_folder
from include.quality.findings import Finding

# Lock and partial files that office programs and file transfers leave beside the real ones.
_IGNORED_PREFIXES = ("~$", ".~", ".")
_IGNORED_SUFFIXES = (".tmp", ".part", ".partial", ".crdownload", ".filepart", ".uploading", ".swp")
_IGNORED_NAMES = {"thumbs.db", "desktop.ini"}


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a listing.

    Attributes:
        path: below the channel's root, with ``/``; bytes that are no UTF-8 as lone surrogates.
        version: the server's tag of the content (S3), ``""`` where there is none.
    """

    path: str
    size_bytes: int
    modified_at: datetime
    version: str = ""

    @property
    def state(self) -> tuple[int, datetime, str]:
        return self.size_bytes, self.modified_at, self.version


class FolderChannel(ABC):
    """A tree of folders with files, on this machine or on a server.

    Args:
        name: the channel's.
        settle_seconds: see :class:`~include.intake.channels.interface.Channel`.
        reporter_code: everything in the channel is of this reporter.
        reporters: codes of all reporters when each top folder is one reporter's account, named by its code (``450721``
            or ``450721-灵山县``); ``None`` when folders are free.
    """

    kind: Kind
    marks = False

    #: A file not changed for so long is complete by any clock: no second look.
    settled_after = timedelta(hours=1)

    def __init__(
        self,
        name: str,
        *,
        settle_seconds: float,
        reporter_code: str | None = None,
        reporters: Collection[str] | None = None,
    ) -> None:
        self.name = name
        self.settle_seconds = settle_seconds
        self._reporter_code = reporter_code
        self._reporters = reporters
        #: Folders that the last look was not allowed into.
        self.unreadable: list[str] = []

    @abstractmethod
    def session(self) -> AbstractContextManager[None]: ...

    @abstractmethod
    def _entries(self) -> Iterator[Entry]:
        """All files of the tree, no links; what :func:`is_passed_over` names may be left out."""

    @abstractmethod
    def _entry(self, path: str) -> Entry:
        """The file as it is now; ``FileNotFoundError`` when it is gone."""

    @abstractmethod
    def _blocks(self, path: str) -> Iterator[bytes]:
        """The bytes of the file, piece by piece."""

    def arrivals(self) -> Iterator[Arrival]:
        """All files now there, oldest first; lock files and partial uploads are passed over."""
        for sighting in self.look(frozenset()).fresh:
            yield self._arrival(sighting.handle, None)

    def look(self, known: Known) -> Look:
        present = 0
        fresh = []
        self.unreadable = []
        settled_before = datetime.now(SHANGHAI) - self.settled_after
        for entry in self._entries():
            if is_passed_over(entry.path):
                continue
            present += 1
            if (self._path_in_channel(entry.path), entry.modified_at, entry.size_bytes) in known:
                continue
            is_settled = self.settle_seconds == 0 or entry.modified_at < settled_before
            fresh.append(Sighting(entry.path, entry.state, entry.modified_at, is_settled, entry))
        fresh.sort(key=lambda sighting: (sighting.received_at, sighting.key))
        return Look(present, tuple(fresh))

    def take(self, sighting: Sighting, seen_before: datetime | None) -> Iterator[Delivery]:
        entry: Entry = sighting.handle
        arrival = self._arrival(entry, seen_before)
        yield Delivery(arrival, self._unchanged(entry), self._refusal(arrival))

    def finish(self, known: Known) -> None:  # noqa: B027 - complete as it is
        """Nothing: files stay where they are."""

    def _unchanged(self, entry: Entry) -> Iterator[bytes]:
        # Before as well as after: between the look and now it may have been replaced as a whole.
        self._check(entry)
        yield from self._blocks(entry.path)
        self._check(entry)

    def _check(self, entry: Entry) -> None:
        try:
            now = self._entry(entry.path)
        except FileNotFoundError as error:
            raise ChangedWhileRead(f"{readable(entry.path)} is gone") from error
        if now.state != entry.state:
            raise ChangedWhileRead(f"{readable(entry.path)} is being written")

    def _received_at(self, entry: Entry, seen_before: datetime | None) -> datetime:
        """The time of change, where the channel itself sets it."""
        return entry.modified_at

    def _path_in_channel(self, path: str) -> str:
        shown = readable(path)
        return f"{self._reporter_code}/{shown}" if self._reporter_code else shown

    def _arrival(self, entry: Entry, seen_before: datetime | None) -> Arrival:
        shown = PurePosixPath(self._path_in_channel(entry.path))
        received_at = self._received_at(entry, seen_before)
        return Arrival(
            channel=self.name,
            path_in_channel=shown.as_posix(),
            file_name=shown.name,
            folder=shown.parent.as_posix() if shown.parent != PurePosixPath() else "",
            received_at=received_at,
            size_bytes=entry.size_bytes,
            modified_at=None if received_at == entry.modified_at else entry.modified_at,
        )

    def _refusal(self, arrival: Arrival) -> Finding | None:
        if self._reporters is None or self._reporter_code is not None:
            return None
        top, _, _ = arrival.folder.partition("/")
        if code_of_folder(top, self._reporters) is not None:
            return None
        params: dict[str, Any] = {"file": arrival.file_name, "folder": top or "（根目录）"}
        return Finding("E-CHN-001", params=params)


def is_passed_over(path: str) -> bool:
    """Whether a path is a lock file, a hidden file, or an upload that is still under its temporary name."""
    parts = path.lower().split("/")
    return (
        parts[-1] in _IGNORED_NAMES
        or parts[-1].endswith(_IGNORED_SUFFIXES)
        or any(part.startswith(_IGNORED_PREFIXES) for part in parts)
    )


def readable(path: str) -> str:
    """A path as text that can be stored: archives packed on Chinese Windows unpack to names of GBK bytes, which Python
    keeps as lone surrogates and no database takes."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return path.encode("utf-8", "surrogateescape").decode("gb18030", errors="replace")
    return path
