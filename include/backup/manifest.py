"""What a backup holds: ``manifest.json`` beside its files, and ``manifest.sha256`` with the checksum of the manifest.

A backup is a folder::

    manifest.json, manifest.sha256
    warehouse.dump, airflow.dump      pg_dump's custom format
    logins.json                       roles, readers' logins, privileges on the database: what pg_dump leaves out
    secrets/                          what the data are useless without
    landing/, outbox/, drafts/        the files, as they lie in the folders of the flow

The folder has its name only when it is complete; the manifest is written last.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

FORMAT = 1
MANIFEST, CHECKSUM = "manifest.json", "manifest.sha256"
WAREHOUSE_DUMP, AIRFLOW_DUMP, LOGINS, SECRETS = "warehouse.dump", "airflow.dump", "logins.json", "secrets"
#: Folders of files, by their name in the backup and in :class:`include.settings.Settings`.
TREES = ("landing", "outbox", "drafts")
BLOCK_BYTES = 1 << 20


class BackupError(RuntimeError):
    """A backup cannot be made, read or restored; the message says what is wrong and what to do."""


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file of the backup: hex sha256 and size in bytes."""

    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class TableSum:
    """Content of a table whatever the order of its rows: their number, and the sum of their 128-bit digests."""

    rows: int
    digest: str


@dataclass(frozen=True, slots=True)
class DatabaseState:
    """A database at the moment of its dump.

    Attributes:
        name, owner: the database, and the login that made the dump.
        server_version: as PostgreSQL numbers it, 180004 for 18.4.
        tables: ``schema.table`` to content, of every table of every schema.
        definitions: kind of object (``trigger``, ``function``, ``policy``, ...) to sha256 over all definitions.
    """

    name: str
    owner: str
    server_version: int
    tables: Mapping[str, TableSum]
    definitions: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Manifest:
    """Attributes:
    format: version of this layout (:data:`FORMAT`).
    made_at: ISO time of the warehouse's snapshot; everything committed by then is in the backup.
    migrations: applied migration file to checksum.
    warehouse, airflow: the two databases.
    files: path below the backup to checksum and size, of every file but the manifest's own two.
    notes: what whoever restores should know.
    """

    format: int
    made_at: str
    migrations: Mapping[str, str]
    warehouse: DatabaseState
    airflow: DatabaseState
    files: Mapping[str, FileEntry]
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(entry.size for entry in self.files.values())

    @property
    def level(self) -> str:
        """The newest migration, e.g. ``0010_status_page.sql``."""
        return max(self.migrations, default="none")


def sha256_of_file(path: Path) -> str:
    """Hex sha256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest and its checksum, on the disk when this returns."""
    text = json.dumps(asdict(manifest), ensure_ascii=False, indent=1, sort_keys=True) + "\n"
    write_private(folder / MANIFEST, text.encode())
    write_private(folder / CHECKSUM, f"{hashlib.sha256(text.encode()).hexdigest()}  {MANIFEST}\n".encode())


def write_private(path: Path, data: bytes) -> None:
    """A new file that only its owner reads, on the disk when this returns."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a complete backup.

    Raises:
        BackupError: it is no backup, was changed after it was written, or has a layout this version does not know.
    """
    if not folder.is_dir():
        raise BackupError(f"there is no folder {folder}: name the folder of a backup (FROM=var/backup/<time>)")
    try:
        data = (folder / MANIFEST).read_bytes()
        expected = (folder / CHECKSUM).read_text(encoding="ascii").split()[0]
    except (OSError, ValueError, IndexError) as error:
        raise BackupError(
            f"{folder} is no complete backup: {MANIFEST} or {CHECKSUM} is missing or unreadable; take another backup"
        ) from error
    if hashlib.sha256(data).hexdigest() != expected:
        raise BackupError(
            f"{folder / MANIFEST} was changed or damaged after the backup was made: its checksum is not the one in "
            f"{CHECKSUM}; take another backup, or another copy of this one"
        )
    document = json.loads(data)
    if document.get("format") != FORMAT:
        raise BackupError(
            f"{folder} has format {document.get('format')}, this checkout reads format {FORMAT}: use the checkout "
            f"that made the backup"
        )
    return Manifest(
        **document
        | {
            "warehouse": _database(document["warehouse"]),
            "airflow": _database(document["airflow"]),
            "files": {path: FileEntry(**entry) for path, entry in document["files"].items()},
            "notes": tuple(document["notes"]),
        }
    )


def _database(document: dict) -> DatabaseState:
    return DatabaseState(
        **document | {"tables": {name: TableSum(**content) for name, content in document["tables"].items()}}
    )


def backups_in(folder: Path) -> list[tuple[Path, Manifest]]:
    """The complete backups in a folder, oldest first. What is no backup, or a damaged one, is left out."""
    found = []
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.name.startswith(".") or not path.is_dir():
            continue
        try:
            found.append((path, read_manifest(path)))
        except BackupError:
            continue
    return sorted(found, key=lambda one: (one[1].made_at, one[0].name))
