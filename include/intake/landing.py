"""The landing store: every file received, kept once under its own checksum and never changed again."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_BLOCK_BYTES = 1 << 20


class LandingDamaged(RuntimeError):
    """A stored file no longer has the checksum it is named after."""


class LandingUnwritable(RuntimeError):
    """The store itself cannot be written: no file is to blame. ``args[0]`` is the system's word."""


class LandingTooLarge(ValueError):
    """More bytes came than may be stored."""


def sha256_of(data: bytes) -> str:
    """Hex sha256 of the bytes."""
    return hashlib.sha256(data).hexdigest()


class LandingStore:
    """Content-addressed folder: ``<root>/<first two digits>/<sha256>``. The files carry personal columns: they are
    readable by their owner only."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path_of(self, sha256: str) -> Path:
        """Where the file with this checksum lies (or would lie)."""
        return self.root / sha256[:2] / sha256

    def put(self, content: Path | Iterable[bytes], *, limit: int | None = None) -> str:
        """Store a file without holding it in memory, return its checksum. Storing the same bytes again changes nothing
        but the time.

        The file appears under its name only when complete, so a killed process leaves no half file behind.

        Args:
            content: the file, or its bytes piece by piece. What it raises while it is read is passed on, and nothing
                is stored.
            limit: bytes beyond which nothing is stored.

        Raises:
            OSError: the source cannot be read.
            LandingTooLarge: the source is longer than ``limit``.
            LandingUnwritable: the store cannot be written, or is full.
        """
        digest = hashlib.sha256()
        size = 0
        with self._incoming() as incoming:
            for block in _blocks(content) if isinstance(content, Path) else content:
                size += len(block)
                if limit is not None and size > limit:
                    raise LandingTooLarge(f"longer than {limit} bytes")
                digest.update(block)
                incoming.write(block)
            incoming.keep(self.path_of(digest.hexdigest()))
        return digest.hexdigest()

    @contextmanager
    def _incoming(self) -> Iterator[_Incoming]:
        with _writing():
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle, temporary = tempfile.mkstemp(dir=self.root, prefix=".incoming-")
        incoming = _Incoming(Path(temporary), os.fdopen(handle, "wb"))
        try:
            yield incoming
        finally:
            with suppress(OSError):  # unwritten bytes of what is thrown away; what was kept is closed already
                incoming.stream.close()
            incoming.path.unlink(missing_ok=True)

    def remove(self, sha256: str) -> None:
        """Remove a file whose time is over; one that is gone already is no error. The record is the caller's."""
        self.path_of(sha256).unlink(missing_ok=True)

    def get(self, sha256: str) -> bytes:
        """The bytes of a checksum; raises :class:`LandingDamaged` when they no longer match it."""
        data = self.path_of(sha256).read_bytes()
        if sha256_of(data) != sha256:
            raise LandingDamaged(f"landing file {sha256} is damaged; restore it from backup before building again")
        return data


@dataclass(frozen=True, slots=True)
class _Incoming:
    """A file being written: thrown away unless it is kept."""

    path: Path
    stream: BinaryIO

    def write(self, block: bytes) -> None:
        with _writing():
            self.stream.write(block)

    def keep(self, target: Path) -> None:
        with _writing():
            self.stream.flush()
            os.fsync(self.stream.fileno())
            self.stream.close()
            if target.exists():
                # Received once more just now: whoever removes what is old must see that.
                os.utime(target)
            else:
                target.parent.mkdir(exist_ok=True, mode=0o700)
                os.chmod(self.path, 0o400)
                os.replace(self.path, target)


@contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise LandingUnwritable(error.strerror or str(error)) from error


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            yield block
