"""Every report of a province month: what an edition costs, and what all of them take together.

``python -m tests.bench.bench_report [--counties 111] [--enterprises 1000] [--processes 4] [--limit 1.0]
[--memory-mb 2048]`` writes four months of a province (this one, the two before it, and the one a year ago) straight
into raw and ledger as ``bench_warehouse`` does, builds their marts, and then

* collects and reconciles all editions (1 + 14 + 111), with marts and raw each read once, as every release does;
* writes the edition of the province, the one of a city and the one of a county with the most enterprises alone, one
  after the other in one process that has written one before, and prints the seconds of each form;
* writes all editions in their three forms, side by side in the processes that a release uses, and prints the wall
  time, the seconds of an edition by level, and the largest memory of this process and its children together, without
  the database server (proportional set size: what processes share counts once).

The limit on the ratio is on an edition's whole cost against the province's: its part of collecting and reconciling
(by its figures) and its writing. Everything lies in a folder of its own, removed at the end. Ends with 1 beyond a
limit.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from tests.bench.bench_province import write_reporters
from tests.bench.bench_warehouse import build, periods, write_month

if TYPE_CHECKING:
    from include.report.render import Collected

#: Places of the months written, from the first month of ``bench_warehouse``: a year ago, and three in a row.
MONTHS = (0, 10, 11, 12)
INTERVAL_SECONDS = 0.25


class Memory(threading.Thread):
    """Watches the largest memory of this process and the writing processes it starts."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak_bytes = 0
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.wait(INTERVAL_SECONDS):
            self.peak_bytes = max(self.peak_bytes, _memory())

    def stop(self) -> int:
        self._ended.set()
        self.join()
        return self.peak_bytes


def _memory() -> int:
    own = psutil.Process()
    total = 0
    for process in (own, *own.children(recursive=True)):
        # a process that ends meanwhile needs none
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if "postgres" not in process.name():
                total += process.memory_full_info().pss
    return total


def fill(counties: int, enterprises: int) -> str:
    """Writes and builds the months; returns the last one."""
    from include.settings import get_settings
    from include.warehouse.connection import connect
    from include.warehouse.dbt import prepare
    from include.warehouse.migrate import migrate

    names = write_reporters(get_settings().reporters_file, counties)
    every = periods(max(MONTHS) + 1)
    chosen = [every[place] for place in MONTHS]
    started = time.monotonic()
    with connect() as conn:
        migrate(conn)
        rows = [
            write_month(conn, period, place, len(names), enterprises)
            for period, place in zip(chosen, MONTHS, strict=True)
        ]
        conn.commit()
        conn.execute("analyze")
        conn.commit()
    print(
        f"bench_report: {len(names)} counties x {enterprises} enterprises: {rows[-1]} rows a month; "
        f"{len(chosen)} months written in {time.monotonic() - started:.1f} s",
        flush=True,
    )
    prepare(chosen[0])
    started = time.monotonic()
    for period in chosen:
        build(period)
    print(f"bench_report: marts of {len(chosen)} months built in {time.monotonic() - started:.1f} s", flush=True)
    return chosen[-1]


def measure(period: str, processes: int) -> tuple[float, int]:
    """Prints the figures; returns (largest ratio of an edition to the province's, peak bytes of all processes)."""
    from include.report.render import collect_issue, write_issue
    from include.settings import get_settings
    from include.warehouse.connection import connect

    memory = Memory()
    memory.start()
    started = time.monotonic()
    with connect() as conn:
        collected = collect_issue(conn, period)
    collecting = time.monotonic() - started
    print(
        f"bench_report: {collected.checked} figures of {len(collected.editions)} editions collected and reconciled in "
        f"{collecting:.1f} s",
        flush=True,
    )
    ratio = measure_alone(collected, collecting)
    folder = get_settings().outbox / period
    started = time.monotonic()
    written = write_issue(collected, folder, maturity="final", maturity_reason="测", processes=processes)
    wall = time.monotonic() - started
    peak = memory.stop()
    size = sum(path.stat().st_size for paths in written.values() for path in paths.values())
    print(
        f"bench_report: {len(written)} editions x 3 forms ({size / 1e6:.0f} MB) written in {wall:.1f} s by {processes} "
        f"processes: {wall / len(written):.2f} s an edition; with collecting {wall + collecting:.1f} s"
    )
    print(f"bench_report: largest memory of all processes together {peak / 1048576:.0f} MB")
    return ratio, peak


def measure_alone(collected: Collected, collecting: float) -> float:
    """Seconds of one edition of each level in one process; returns the largest ratio to the province's."""
    from include.report.render import write_files

    of_level = defaultdict(list)
    for figures in collected.editions:
        of_level[figures.edition.level].append(figures)
    # The largest of its level stands for it.
    largest = {level: max(found, key=lambda one: len(one.figures)) for level, found in of_level.items()}
    cost = {}
    with tempfile.TemporaryDirectory() as folder:
        # the first pays for what is imported and cached
        write_files(largest["county"], Path(folder), collected.sources.of(largest["county"].edition))
        for level, figures in largest.items():
            taken = []
            for _ in range(3):
                started = time.monotonic()
                write_files(figures, Path(folder), collected.sources.of(figures.edition))
                taken.append(time.monotonic() - started)
            share = collecting * len(figures.figures) / collected.checked
            cost[level] = statistics.median(taken) + share
            print(
                f"bench_report: {level:8} ({figures.edition.region_name}, {len(figures.figures)} figures): "
                f"{statistics.median(taken):.2f} s written + {share:.2f} s collected and reconciled = "
                f"{cost[level]:.2f} s, {cost[level] / cost['province']:.2f} x the province's",
                flush=True,
            )
    return max(seconds / cost["province"] for level, seconds in cost.items() if level != "province")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the benchmark in a folder of its own; 1 when a limit is passed."""
    parser = argparse.ArgumentParser(description="cost of every report of a province month")
    parser.add_argument("--counties", type=int, default=111)
    parser.add_argument("--enterprises", type=int, default=1000, help="enterprises a county")
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--limit", type=float, default=1.0, help="largest ratio of an edition to the province's")
    parser.add_argument("--memory-mb", type=float, default=2048, help="largest memory of all processes together")
    given = parser.parse_args(arguments)
    # The server's own user must be able to reach its folder.
    folder = Path(tempfile.mkdtemp(prefix="labour-bench-")).resolve()
    folder.chmod(0o711)
    os.environ |= {"VAR_DIR": str(folder / "var"), "REPORTERS_FILE": str(folder / "reporters.csv")}
    for name in ("WAREHOUSE_URL", "INBOX_DIR", "LANDING_DIR", "OUTBOX_DIR", "WORK_DIR"):
        os.environ.pop(name, None)
    logging.basicConfig(level=logging.ERROR)
    logging.getLogger("include.report").setLevel(logging.INFO)
    from include.warehouse import embedded

    try:
        ratio, peak = measure(fill(given.counties, given.enterprises), given.processes)
    finally:
        embedded.stop()
        shutil.rmtree(folder, ignore_errors=True)
    beyond = ratio > given.limit or peak > given.memory_mb * 1048576
    if beyond:
        print(f"bench_report: beyond the limit of {given.limit:g} x or {given.memory_mb:g} MB")
    return int(beyond)


if __name__ == "__main__":
    sys.exit(main())
