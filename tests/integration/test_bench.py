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


def test_the_benchmark_of_the_warehouse_builds_every_month_and_asks_every_query(tmp_path: Path) -> None:
    page = tmp_path / "questions.md"
    page.write_text(
        "### 1. 全区缺多少人\n\n```sql\nselect shortage_now_persons from marts.mart_labour_shortage_summary\n"
        "where period = :'period' and level = 'province'\n```\n\n### 2. 问不了的\n\n```sql\nselect nothing\n```\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "tests.bench.bench_warehouse", "--months", "3", "--counties", "2"]
    run = subprocess.run(
        [*command, "--enterprises", "20", "--limit", "100000", "--query-limit-ms", "100000", "--queries", str(page)],
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        timeout=600,
    )
    # in each of two counties 20 enterprises, 60 posts, 10 claims, 4 indicators, 2 brands, a class
    assert "2 counties x 20 enterprises x 3 months: 194 rows a month, 582 in all" in run.stdout, run.stdout + run.stderr
    assert re.findall(r"month +(\d) (\S+): models", run.stdout) == [
        ("1", "2024-01"),
        ("2", "2024-02"),
        ("3", "2024-03"),
    ]
    assert re.search(r"work: median of the last 1 months [0-9.]+ : of months 2 to 2", run.stdout)
    assert re.search(r"p50 +[0-9.]+  p95 +[0-9.]+ ms  1. 全区缺多少人", run.stdout)
    # a question that cannot be asked is named and fails the run
    assert "does not run: 2. 问不了的" in run.stdout
    assert run.returncode == 1
