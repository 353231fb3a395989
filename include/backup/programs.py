"""``pg_dump``, ``pg_restore`` and ``psql`` of the installed PostgreSQL package, joined to this process by pipes.

The pipes see to it that a killed backup or restore takes its programs along: a dump without a reader ends, and a
restore without a writer never reaches the statement that commits it.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from include.backup.manifest import BLOCK_BYTES, BackupError, FileEntry
from include.warehouse.connection import client_environment
from include.warehouse.embedded import client

APPLICATION_NAME = "labour-backup"
#: What a dump of version 18 sets at its start and an older server does not know: setting to first version that has it.
_NEWER_SETTINGS = {b"transaction_timeout": 170000}


def dump(url: str, snapshot: str, destination: Path) -> FileEntry:
    """Dump a database in ``pg_dump``'s custom format into a new private file; on the disk when this returns.

    Args:
        snapshot: of ``pg_export_snapshot()``, whose transaction is still open.

    Raises:
        BackupError: ``pg_dump`` failed; the message has its words.
        OSError: the file cannot be written.
    """
    command = [str(client("pg_dump")), "--format=custom", "--compress=gzip:4", "--no-password"]
    command += ["--lock-wait-timeout=120s", f"--snapshot={snapshot}"]
    digest, size = hashlib.sha256(), 0
    descriptor = os.open(destination, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with ExitStack() as stack:
        target = stack.enter_context(os.fdopen(descriptor, "wb"))
        words = stack.enter_context(tempfile.TemporaryFile())
        process = stack.enter_context(_Program(command, url, stdin=subprocess.DEVNULL, stderr=words))
        while block := process.output.read(BLOCK_BYTES):
            digest.update(block)
            size += len(block)
            target.write(block)
        process.require("pg_dump", words)
        target.flush()
        os.fsync(target.fileno())
    return FileEntry(digest.hexdigest(), size)


def load(url: str, dump_file: Path, expected: FileEntry, server_version: int, preamble: str = "") -> None:
    """Restore a dump into an empty database in one transaction: all of it or, whatever happens, nothing.

    Objects belong to the login of ``url``. What only a superuser may set, privileges on PostgreSQL's own functions, is
    left to :func:`include.warehouse.server_functions.close_server_functions`.

    Args:
        expected: of the dump, as the manifest has it.
        server_version: as PostgreSQL numbers it.
        preamble: statements to begin the transaction with.

    Raises:
        BackupError: the dump is not what the manifest says, or the server refused a statement.
    """
    # Its own list without the system's functions: their privileges are not the database owner's to give.
    listed = subprocess.run(
        [str(client("pg_restore")), "--list", str(dump_file)], capture_output=True, text=True, check=False
    )
    if listed.returncode != 0:
        raise BackupError(f"{dump_file} cannot be read: {listed.stderr.strip()}; take another backup")
    wanted = [line for line in listed.stdout.splitlines() if " ACL pg_catalog " not in f"{line} "]
    with ExitStack() as stack:
        names = stack.enter_context(tempfile.NamedTemporaryFile("w", suffix=".list", encoding="utf-8"))
        names.write("\n".join(wanted) + "\n")
        names.flush()
        reader_words, writer_words = (stack.enter_context(tempfile.TemporaryFile()) for _ in range(2))
        psql = [str(client("psql")), "-X", "-q", "-w", "-v", "ON_ERROR_STOP=1", "-o", os.devnull, "-f", "-"]
        writer = stack.enter_context(_Program(psql, url, stdin=subprocess.PIPE, stderr=writer_words))
        restore = [str(client("pg_restore")), "--no-owner", f"--use-list={names.name}", "--file=-"]
        reader = stack.enter_context(_Program(restore, None, stdin=subprocess.PIPE, stderr=reader_words))
        feeder = _Feeder(dump_file, reader.input)
        feeder.start()
        try:
            writer.input.write(f"begin;\n{preamble}\n".encode())
            _copy_statements(reader.output, writer.input, server_version)
            feeder.join()
            reader.require("pg_restore", reader_words)
            if feeder.error is not None or feeder.entry != expected:
                raise BackupError(
                    f"{dump_file} changed while it was read, or cannot be read ({feeder.error}): nothing was restored"
                )
            writer.input.write(b"\ncommit;\n")
            writer.input.close()
        except BrokenPipeError:
            pass  # psql ended at an error of the server, which it has said
        writer.require("psql", writer_words)


def _copy_statements(source: IO[bytes], target: IO[bytes], server_version: int) -> None:
    """Hand the statements on; among the settings at the start leave out those that an older server does not know."""
    unknown = tuple(b"SET %s " % name for name, since in _NEWER_SETTINGS.items() if server_version < since)
    for line in source:
        if unknown and line.startswith(unknown):
            continue
        target.write(line)
        if line.startswith((b"CREATE ", b"COPY ", b"ALTER ")):
            break
    while block := source.read(BLOCK_BYTES):
        target.write(block)


class _Feeder(threading.Thread):
    """Writes a file into a pipe and keeps account of what it wrote."""

    def __init__(self, path: Path, target: IO[bytes]) -> None:
        super().__init__(daemon=True)
        self._path, self._target = path, target
        self.error: OSError | None = None
        self.entry: FileEntry | None = None

    def run(self) -> None:
        digest, size = hashlib.sha256(), 0
        try:
            with self._path.open("rb") as source, self._target as target:
                while block := source.read(BLOCK_BYTES):
                    digest.update(block)
                    size += len(block)
                    target.write(block)
            self.entry = FileEntry(digest.hexdigest(), size)
        except OSError as error:
            self.error = error


class _Program:
    """A running program that is ended when the block is left before it."""

    def __init__(self, command: Sequence[str], url: str | None, *, stdin: int, stderr: IO[bytes]) -> None:
        environment: Mapping[str, str] | None = None
        if url is not None:
            environment = client_environment(url) | {"PGAPPNAME": APPLICATION_NAME, "LC_ALL": "C"}
        self._process = subprocess.Popen(
            command, stdin=stdin, stdout=subprocess.PIPE, stderr=stderr, env=environment, cwd="/"
        )

    @property
    def output(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout

    @property
    def input(self) -> IO[bytes]:
        assert self._process.stdin is not None
        return self._process.stdin

    def require(self, name: str, words: IO[bytes]) -> None:
        """Wait for the end; raises :class:`BackupError` with the program's last words unless it succeeded."""
        self._process.wait()
        if self._process.returncode != 0:
            words.seek(0)
            said = words.read().decode(errors="replace").strip().splitlines()
            raise BackupError(f"{name} failed ({self._process.returncode}): {' / '.join(said[-6:])}")

    def __enter__(self) -> _Program:
        return self

    def __exit__(self, *_: Any) -> None:
        if self._process.poll() is None:
            self._process.kill()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                try:
                    stream.close()
                except BrokenPipeError:
                    continue  # the program ended before it had read all
        self._process.wait()
