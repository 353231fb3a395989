"""Whether a backup is whole: every byte of it against its manifest, without restoring anything."""

from __future__ import annotations

import subprocess
from pathlib import Path

from include.backup.files import files_under
from include.backup.manifest import (
    AIRFLOW_DUMP,
    CHECKSUM,
    MANIFEST,
    WAREHOUSE_DUMP,
    Manifest,
    read_manifest,
    sha256_of_file,
)
from include.warehouse.embedded import client


def check(folder: Path) -> tuple[Manifest, list[str]]:
    """The manifest, and what is wrong with the files, one line each; no line when all is as it was written.

    Raises:
        include.backup.manifest.BackupError: it is no backup, or its manifest was changed.
    """
    manifest = read_manifest(folder)
    problems = []
    for path, entry in sorted(manifest.files.items()):
        file = folder / path
        if not file.is_file():
            problems.append(f"{path} is missing")
        elif (size := file.stat().st_size) != entry.size:
            problems.append(f"{path} has {size} bytes instead of {entry.size}")
        elif sha256_of_file(file) != entry.sha256:
            problems.append(f"{path} is damaged: its checksum is not the manifest's")
    known = {*manifest.files, MANIFEST, CHECKSUM}
    problems += [
        f"{path} is not in the manifest: it was put there later" for path in files_under(folder) if path not in known
    ]
    if not problems:
        problems = [words for name in (WAREHOUSE_DUMP, AIRFLOW_DUMP) if (words := _unreadable(folder / name))]
    return manifest, problems


def _unreadable(dump: Path) -> str:
    """What ``pg_restore`` says to a dump that it cannot list; empty when it can."""
    done = subprocess.run([str(client("pg_restore")), "--list", str(dump)], capture_output=True, text=True, check=False)
    return f"{dump.name} cannot be read by pg_restore: {done.stderr.strip()}" if done.returncode else ""
