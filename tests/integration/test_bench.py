"""The benchmark of a province runs and finds what it put in; its figures are for machines that do nothing else."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path


def test_the_benchmark_reads_and_validates_every_row_it_wrote() -> None:
    command = [sys.executable, "-m", "tests.bench.bench_province", "--counties", "2", "--enterprises", "20"]
    run = subprocess.run(
        [*command, "--limit", "100000"],
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    # in each of two counties 20 enterprises, 70 posts, 10 claims; a vague number, a yearly wage, a blank
    assert "2 counties x 20 enterprises: 6 files" in run.stdout and "200 rows" in run.stdout
    assert "collect" in run.stdout and "6 files, 0 refused" in run.stdout
    assert "findings: E 0, R 2, W 4" in run.stdout
    assert re.search(r"ratio [0-9.]+ x calamine \(reading alone [0-9.]+ x\)", run.stdout)
    peak = re.search(r"peak of the largest process ([0-9]+) MB", run.stdout)
    assert peak and 20 < int(peak.group(1)) < 1000
