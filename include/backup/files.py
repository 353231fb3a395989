"""Files of a backup: copied with their checksum, or linked to those of an earlier backup that holds the same bytes."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from include.backup.manifest import BLOCK_BYTES, BackupError, FileEntry, Manifest, sha256_of_file

#: Names under which half-written files lie; they are of no backup.
_HALF = (".incoming-", ".restoring-", ".before-restore-")


def files_under(root: Path) -> Iterator[str]:
    """Paths of all files below a folder, with ``/``, sorted folder by folder; half-written ones are left out.

    A link is not followed: a backup holds what lies in the folder, not what somebody pointed it at.
    """
    if not root.is_dir():
        return
    for entry in sorted(os.scandir(root), key=lambda one: one.name):
        if entry.name.startswith(_HALF):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from (f"{entry.name}/{below}" for below in files_under(Path(entry.path)))
        elif entry.is_file(follow_symlinks=False):
            yield entry.name


def private_folder(path: Path) -> Path:
    """Make a folder, and those above it that are missing, for their owner alone."""
    if not path.is_dir():
        private_folder(path.parent)
        path.mkdir(exist_ok=True, mode=0o700)
    return path


def shared_mode() -> int:
    """The mode that a new file of this process has: who approves a report must be able to open it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return 0o666 & ~mask


def copy(source: Path, destination: Path, *, mode: int = 0o600) -> FileEntry:
    """Copy a file, its times included, into a new one; on the disk when this returns.

    Raises:
        OSError: one cannot be read, or the other not written.
    """
    digest, size = hashlib.sha256(), 0
    with source.open("rb") as reader:
        descriptor = os.open(destination, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as writer:
            while block := reader.read(BLOCK_BYTES):
                digest.update(block)
                size += len(block)
                writer.write(block)
            writer.flush()
            os.fsync(writer.fileno())
        times = os.fstat(reader.fileno())
    os.utime(destination, ns=(times.st_atime_ns, times.st_mtime_ns))
    destination.chmod(mode)
    return FileEntry(digest.hexdigest(), size)


@dataclass(frozen=True, slots=True)
class Earlier:
    """The backup before, whose files are linked to instead of copied where they are the same."""

    folder: Path
    manifest: Manifest

    def link(self, path: str, wanted_sha256: str, destination: Path) -> FileEntry | None:
        """Link to this backup's file and read it once more; ``None`` when it has none of these bytes, or they were
        damaged since, or this file system has no links."""
        entry = self.manifest.files.get(path)
        if entry is None or entry.sha256 != wanted_sha256:
            return None
        try:
            os.link(self.folder / path, destination)
        except OSError:
            return None
        if destination.stat().st_size == entry.size and sha256_of_file(destination) == entry.sha256:
            return entry
        destination.unlink()
        return None


def require_space(folder: Path, needed: int) -> None:
    """Raises :class:`BackupError` when the file system of the folder has less room than ``needed`` bytes."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise BackupError(
            f"{folder} has {megabytes(free)} free and at least {megabytes(needed)} are needed: free space, or name "
            f"another folder (磁盘空间不足)"
        )


def is_full(error: OSError) -> bool:
    """Whether the disk or the quota had no room left."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def megabytes(size: int) -> str:
    """Bytes for people: ``0.4 MB``, ``1,203.0 MB``."""
    return f"{size / 1e6:,.1f} MB"
