"""``python -m include.sample --inbox PATH``: write the demo province's workbooks into a folder."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from include.sample.province import DEMO_PERIODS, DEMO_SEED, manifest_path, write_inbox
from include.settings import get_settings


def main() -> int:
    """Parse the command line and write the inbox; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m include.sample", description="write the demo province (演示数据)")
    parser.add_argument("--inbox", type=Path, default=get_settings().inbox, help="folder to fill (default: the inbox)")
    parser.add_argument("--periods", nargs="+", default=list(DEMO_PERIODS), metavar="YYYY-MM")
    parser.add_argument("--seed", type=int, default=DEMO_SEED)
    arguments = parser.parse_args()

    def show(done: int, total: int, county: str) -> None:
        print(f"\r{done}/{total} {county}      ", end="", file=sys.stderr, flush=True)

    manifest = write_inbox(arguments.inbox, arguments.periods, arguments.seed, show if sys.stderr.isatty() else None)
    print(
        f"{len(manifest.files)} files of {len(manifest.periods)} months, {len(manifest.planted)} planted mistakes "
        f"(演示数据); what to expect of them: {manifest_path(arguments.inbox)}"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
