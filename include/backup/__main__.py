"""``python -m include.backup save [FOLDER] | check FOLDER | restore FOLDER [--replace] | list`` (docs/backup.md)."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from types import FrameType

import psycopg

from include.backup import restoring, saving
from include.backup.checking import check
from include.backup.files import megabytes
from include.backup.manifest import BackupError, backups_in
from include.intake.calendar import SHANGHAI
from include.settings import get_settings
from include.warehouse.connection import WarehouseUnreachableError
from include.warehouse.embedded import EmbeddedPostgresError
from include.warehouse.migrate import MigrationError


def _say(line: str) -> None:
    print(f"{datetime.now(SHANGHAI):%H:%M:%S} {line}", flush=True)


def _save(folder: Path | None, env_file: str | None) -> int:
    given = None
    if env_file is not None:
        given = sys.stdin.buffer.read() if env_file == "-" else Path(env_file).read_bytes()
        if not given:
            raise BackupError(f"--env-file {env_file} gave nothing: hand over docker-compose's .env, e.g. < .env")
    target, manifest = saving.save(folder, env_file=given, say=_say)
    for note in manifest.notes:
        print(f"note: {note}")
    print(saving.summary(target, manifest))
    return 0


def _check(folder: Path) -> int:
    manifest, problems = check(folder)
    if problems:
        print(f"error: {folder} is damaged (备份已损坏):", file=sys.stderr)
        for line in problems:
            print(f"  {line}", file=sys.stderr)
        return 1
    print(
        f"备份完好 the backup is whole: {folder} of {manifest.made_at}, up to migration {manifest.level}, "
        f"{len(manifest.files)} files, {megabytes(manifest.size)}"
    )
    return 0


def _restore(folder: Path, *, replace: bool) -> int:
    done = restoring.restore(folder, replace=replace, say=_say)
    if done.differences:
        print("error: what stands now differs from the backup (恢复后与备份不一致):", file=sys.stderr)
        for line in done.differences:
            print(f"  {line}", file=sys.stderr)
        return 1
    print(restoring.summary(folder, done))
    return 0


def _list() -> int:
    folder = get_settings().backup
    found = backups_in(folder)
    for path, manifest in found:
        print(f"{path}  {manifest.made_at}  {manifest.level}  {megabytes(manifest.size)}")
    if not found:
        print(f"no backup in {folder} yet: make backup (还没有备份)")
    return 0


def _stopped(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; see the module's docstring. Returns 1 when it failed, 130 when it was stopped."""
    parser = argparse.ArgumentParser(prog="python -m include.backup", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    save = commands.add_parser("save", help="make a backup")
    save.add_argument("folder", nargs="?", type=Path, help="its folder; default <BACKUP_DIR>/<time>")
    save.add_argument("--env-file", help="docker-compose's .env, to be kept with it; - reads it from standard input")
    commands.add_parser("check", help="hold every byte against the manifest").add_argument("folder", type=Path)
    restore = commands.add_parser("restore", help="restore into an empty place and compare")
    restore.add_argument("folder", type=Path)
    restore.add_argument("--replace", action="store_true", help="replace what is there")
    commands.add_parser("list", help="backups of BACKUP_DIR")
    chosen = parser.parse_args(arguments)
    # A container is stopped by SIGTERM: what is half done is removed, as at Ctrl-C.
    signal.signal(signal.SIGTERM, _stopped)
    try:
        if chosen.command == "save":
            return _save(chosen.folder, chosen.env_file)
        if chosen.command == "check":
            return _check(chosen.folder)
        if chosen.command == "restore":
            return _restore(chosen.folder, replace=chosen.replace)
        return _list()
    except KeyboardInterrupt:
        print("\n已中断，再次运行即可 / interrupted: run it again", file=sys.stderr)
        return 130
    except (BackupError, WarehouseUnreachableError, EmbeddedPostgresError, MigrationError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except (psycopg.Error, OSError) as error:
        print(
            f"error: {str(error).strip()}: mend that and run it again; a half-made backup is removed, "
            "a half-made restore goes on where it stopped",
            file=sys.stderr,
        )
        return 1


if __name__ == "__main__":
    sys.exit(main())
