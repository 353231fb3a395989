"""``python -m include.retention [--apply]``: what is kept beyond its time; with ``--apply`` it is removed."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Sequence
from datetime import datetime

import psycopg

from include.backup.manifest import BackupError
from include.intake.calendar import SHANGHAI
from include.operate.summary import table
from include.retention.applying import apply, survey
from include.retention.finding_out import Found
from include.retention.rules import RetentionError
from include.warehouse.connection import WarehouseUnreachableError
from include.warehouse.embedded import EmbeddedPostgresError

_HEAD = ("内容 what", "保存期限 kept for", "到期 beyond it", "MB", "最早报告期 oldest", "备注 note")


def shown(found: Sequence[Found]) -> str:
    """One line a rule."""
    lines = []
    for one in found:
        items = sum(removal.item_count for removal in one.removals)
        size = sum(removal.byte_count for removal in one.removals)
        oldest = min((removal.period for removal in one.removals if removal.period), default="")
        lines.append((one.rule.title_zh, one.rule.kept_for, items, f"{size / 1e6:,.1f}", oldest, one.kept_back))
    return str(table(_HEAD, lines, right=(2, 3)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; see the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m include.retention", description=__doc__)
    parser.add_argument("--apply", action="store_true", help="remove it, and record it in intake.removal")
    chosen = parser.parse_args(arguments)
    try:
        if not chosen.apply:
            print(shown(survey()))
            print("以上尚未清除；确认后加 ARGS=--apply / nothing was removed: ARGS=--apply does")
            return 0
        found = apply(f"{getpass.getuser()} {datetime.now(SHANGHAI):%Y-%m-%d %H:%M:%S}")
    except (
        RetentionError, BackupError, WarehouseUnreachableError, EmbeddedPostgresError, psycopg.Error, OSError,
    ) as error:  # fmt: skip
        print(f"error: {str(error).strip()}", file=sys.stderr)
        return 1
    count = sum(len(one.removals) for one in found)
    print(f"清除完毕，已记入 intake.removal / done, {count} removals recorded in intake.removal")
    return 0


if __name__ == "__main__":
    sys.exit(main())
