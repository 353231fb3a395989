"""Handing out files of a report: those of the ledger, from the outbox, with the bytes that were released.

What a request names is only looked up in the ledger; the path is made of the ledger's words, must lie in the month's
folder of the outbox without a link on the way, and its bytes must have the checksum that was entered at release. A
report that was changed by hand, or whose place a later issue took, is not handed out.
"""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import psycopg

MEDIA_TYPES = {
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".html": "text/html; charset=utf-8",
}


class NotReleased(LookupError):
    """The ledger has no such file of a report."""


class NotAsReleased(RuntimeError):
    """The file in the outbox is missing, is no plain file, or is not the one that was released."""


@dataclass(frozen=True, slots=True)
class ReleasedFile:
    """A file as it was released: its name without folders, its media type, its bytes."""

    name: str
    media_type: str
    content: bytes


def released_file(
    conn: psycopg.Connection[Any], outbox: Path, period: str, issue_no: int, file_name: str
) -> ReleasedFile:
    """The file of a report's issue that the ledger knows by this name.

    Raises:
        NotReleased: the ledger has none.
        NotAsReleased: what lies in the outbox is something else.
    """
    entry = conn.execute(
        """
        select period, file_name, sha256 from intake.publication_file
        where period = %s and issue_no = %s and file_name = %s
        """,
        (period, issue_no, file_name),
    ).fetchone()
    if entry is None:
        raise NotReleased(file_name)
    known_period, known_name, sha256 = entry
    place = PurePosixPath(known_name)
    if place.suffix not in MEDIA_TYPES:
        raise NotAsReleased(known_name)
    content = _read(outbox / known_period, place)
    if hashlib.sha256(content).hexdigest() != sha256:
        raise NotAsReleased(known_name)
    return ReleasedFile(place.name, MEDIA_TYPES[place.suffix], content)


def _read(folder: Path, place: PurePosixPath) -> bytes:
    """Bytes of a plain file below the folder, reached from it step by step without following a link."""
    if place.is_absolute() or ".." in place.parts or not place.parts:
        raise NotAsReleased(str(place))
    opened: list[int] = []
    try:
        opened.append(os.open(folder, os.O_RDONLY | os.O_DIRECTORY))
        for part in place.parts[:-1]:
            opened.append(os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=opened[-1]))
        # A pipe in the file's place would otherwise be waited for.
        opened.append(os.open(place.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=opened[-1]))
        if not stat.S_ISREG(os.fstat(opened[-1]).st_mode):
            raise NotAsReleased(str(place))
        with os.fdopen(opened.pop(), "rb") as handle:
            return handle.read()
    except OSError as error:
        raise NotAsReleased(str(place)) from error
    finally:
        for descriptor in opened:
            os.close(descriptor)
