"""The landing store: every file received, kept once under its own checksum and never changed again."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

_BLOCK_BYTES = 1 << 20


class LandingDamaged(RuntimeError):
    """A stored file no longer has the checksum it is named after."""


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

    def put(self, source: Path) -> str:
        """Store a file without holding it in memory, return its checksum. Storing the same bytes again changes nothing
        but the time.

        The file appears under its name only when complete, so a killed process leaves no half file behind.

        Raises:
            OSError: the source cannot be read.
        """
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, temporary = tempfile.mkstemp(dir=self.root, prefix=".incoming-")
        try:
            digest = hashlib.sha256()
            with os.fdopen(handle, "wb") as stream, source.open("rb") as origin:
                while block := origin.read(_BLOCK_BYTES):
                    digest.update(block)
                    stream.write(block)
                stream.flush()
                os.fsync(stream.fileno())
            target = self.path_of(digest.hexdigest())
            if target.exists():
                # Received once more just now: whoever removes what is old must see that.
                os.utime(target)
                Path(temporary).unlink()
            else:
                target.parent.mkdir(exist_ok=True, mode=0o700)
                os.chmod(temporary, 0o400)
                os.replace(temporary, target)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        return digest.hexdigest()

    def remove(self, sha256: str) -> None:
        """Remove a file whose time is over; one that is gone already is no error. The record is the caller's."""
        self.path_of(sha256).unlink(missing_ok=True)

    def get(self, sha256: str) -> bytes:
        """The bytes of a checksum; raises :class:`LandingDamaged` when they no longer match it."""
        data = self.path_of(sha256).read_bytes()
        if sha256_of(data) != sha256:
            raise LandingDamaged(f"landing file {sha256} is damaged; restore it from backup before building again")
        return data
