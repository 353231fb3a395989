"""From one county to the nation, on paper: what a month takes, from what was measured.

``python -m tests.bench.model`` reads ``tests/bench/scaling.yaml`` (runs of ``bench_scale``, places, assumptions) and
prints the tables of docs/scaling.md; ``--write`` puts them there. A test compares the page with this program, so a new
measurement changes both or fails.

Every step's processor seconds are taken as ``fixed + a x counties + b x rows`` (reports: editions for counties), fitted
to the runs with no part below zero, each run counting by its relative error. How long a step takes on so many cores
follows from what of it can work side by side:

* ``task`` and dbt's own process: one core;
* reading, validating and writing workbooks: ``READ_WORKERS`` processes, no more than there are cores;
* reports: :data:`REPORT_PROCESSES`;
* PostgreSQL: a session for each of dbt's four threads in ``marts``, one elsewhere.
"""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from scipy.optimize import nnls

FACTS = Path(__file__).parent / "scaling.yaml"
PAGE = Path(__file__).resolve().parents[2] / "docs" / "scaling.md"
STEPS = ("collect", "read", "validate", "load", "marts", "figures", "reports")
PARTS = ("task", "helpers", "server")
#: Processes that write reports side by side (include.report.render.PROCESSES), and dbt's threads.
REPORT_PROCESSES = 4
DBT_THREADS = 4


@dataclass(frozen=True, slots=True)
class Size:
    """A month of a place."""

    counties: int
    cities: int
    rows: int

    @property
    def editions(self) -> int:
        """Reports: the province's, one a city, one a county."""
        return 1 + self.cities + self.counties


@dataclass(frozen=True, slots=True)
class Line:
    """``fixed + each x places + row x rows``, in seconds or megabytes."""

    fixed: float
    each: float
    row: float

    def at(self, places: int, rows: int) -> float:
        return self.fixed + self.each * places + self.row * rows


@lru_cache(maxsize=1)
def facts() -> dict[str, Any]:
    """What was measured and assumed."""
    found: dict[str, Any] = yaml.safe_load(FACTS.read_text(encoding="utf-8"))
    return found


def fit(points: Sequence[tuple[int, int, float]]) -> Line:
    """Least squares over (places, rows, value), relative to the value, no part below zero."""
    floor = max(value for _, _, value in points) / 100 or 1.0
    weights = [1 / max(value, floor) for _, _, value in points]
    left = np.array([[w, w * places, w * rows] for w, (places, rows, _) in zip(weights, points, strict=True)])
    right = np.array([w * value for w, (_, _, value) in zip(weights, points, strict=True)])
    # columns of one size, or rows of a hundred thousand would drown the rest
    scale = np.abs(left).max(axis=0)
    found, _ = nnls(left / scale, right)
    return Line(*(float(x) for x in found / scale))


def _places(step: str, counties: int, editions: int) -> int:
    return editions if step in ("figures", "reports") else counties


@lru_cache(maxsize=1)
def seconds() -> dict[str, dict[str, Line]]:
    """Step -> part -> processor seconds."""
    runs = facts()["runs"]
    return {
        step: {
            part: fit(
                [
                    (_places(step, run["counties"], run["editions"]), run["rows"], run["steps"][step][part])
                    for run in runs
                ]
            )
            for part in PARTS
        }
        for step in STEPS
    }


@lru_cache(maxsize=1)
def megabytes() -> dict[str, Line]:
    """What lies on disk -> megabytes a month."""
    runs = facts()["runs"]
    return {
        name: fit([(_places(name, run["counties"], run["editions"]), run["rows"], run["mb"][name]) for run in runs])
        for name in runs[0]["mb"]
    }


def busy(step: str, size: Size) -> dict[str, float]:
    """Processor seconds of a step by part."""
    places = _places(step, size.counties, size.editions)
    return {part: line.at(places, size.rows) for part, line in seconds()[step].items()}


def wall(step: str, size: Size, cores: int) -> float:
    """Seconds of a step where it has so many cores and as many READ_WORKERS, and PostgreSQL as many of its own."""
    cost = busy(step, size)
    match step:
        case "validate":
            chunks = chunks_of(size, cores)
            start = seconds()[step]["task"].fixed  # every process imports Great Expectations
            work = cost["task"] + cost["helpers"] - start
            return start * math.ceil(chunks / min(chunks, cores)) + work / min(chunks, cores) + cost["server"]
        case "marts":
            return cost["task"] + cost["helpers"] + cost["server"] / min(DBT_THREADS, cores)
        case "reports":
            return cost["task"] + cost["helpers"] / min(REPORT_PROCESSES, cores) + cost["server"]
        case "figures":
            return sum(cost.values())
        case _:
            return cost["task"] + cost["helpers"] / cores + cost["server"]


def chunks_of(size: Size, processes: int) -> int:
    """Chunks that validation makes (include.pipeline.validate.chunks_of)."""
    limit = facts()["rows_a_chunk"]
    if size.rows <= limit:
        return 1
    return math.ceil(size.rows / limit / processes) * processes


def memory_mb(size: Size, cores: int) -> int:
    """Of the processes of the hungriest step together."""
    peaks = {step: max(run["steps"][step]["peak_mb"] for run in facts()["runs"]) for step in STEPS}
    validating = facts()["mb_a_chunk"] if chunks_of(size, cores) > 1 else peaks["validate"]
    return max(
        peaks["read"] * (cores + 1),
        validating * min(chunks_of(size, cores), cores),
        peaks["reports"] * min(REPORT_PROCESSES, cores)
        + facts()["mb_figures_an_edition"] * size.editions,
    )


def size_of(place: Mapping[str, Any]) -> Size:
    rows = place["counties"] * facts()["enterprises_a_county"] * facts()["rows_an_enterprise"]
    return Size(place["counties"], place["cities"], round(rows))


# ------------------------------------------------------------------------------------------------------------- tables


def _number(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 1 else f"{value:.2f}"


def _duration(given: float) -> str:
    if given >= 5400:
        return f"{given / 3600:.1f} h"
    return f"{given / 60:.0f} min" if given >= 90 else f"{given:.0f} s"


def _bytes(mb: float) -> str:
    return f"{mb / 1000:,.1f} GB" if mb >= 1000 else f"{mb:,.0f} MB"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def sizes_table() -> str:
    rows = []
    for place in facts()["places"]:
        size = size_of(place)
        mb = {
            name: line.at(_places(name, size.counties, size.editions), size.rows) for name, line in megabytes().items()
        }
        counts = (size.counties, size.counties * facts()["enterprises_a_county"], size.rows, size.editions)
        kept = (mb["landing"], mb["raw"], mb["ledger"], mb["marts"], mb["reports"] + mb["returned"])
        rows.append([place["name"], *(f"{count:,}" for count in counts), *map(_bytes, kept)])
    head = ("a month of", "counties", "enterprises", "rows", "reports", "landing store", "raw", "ledger", "marts")
    return _table((*head, "outbox"), rows)


def steps_table() -> str:
    rows = []
    for step in STEPS:
        lines = seconds()[step]
        unit = "report" if step in ("figures", "reports") else "county"
        total = [sum(getattr(line, part) for line in lines.values()) for part in ("fixed", "each", "row")]
        serial = "dbt's process" if step == "marts" else "one core"
        side = {"validate": "READ_WORKERS past one chunk", "marts": "4 sessions", "reports": "4 processes",
                "figures": "nothing"}.get(step, "READ_WORKERS")  # fmt: skip
        rows.append(
            [f"`{step}`", f"{total[0]:.1f} s", f"{total[1]:.2f} s a {unit}", f"{total[2] * 1e5:.1f} s", serial, side]
        )
    return _table(("step", "fixed", "each", "100,000 rows", "serial part", "side by side"), rows)


def time_table() -> str:
    cores = facts()["cores"]
    limit = facts()["task_seconds"]
    rows = []
    for place in facts()["places"]:
        size = size_of(place)
        total = sum(sum(busy(step, size).values()) for step in STEPS)
        row = [place["name"], _duration(total)]
        for count in cores:
            taken = {step: wall(step, size, count) for step in STEPS}
            # a task of the DAG is ended after so long: figures and reports are one task
            tasks = {**taken, "reports": taken["figures"] + taken["reports"]}
            late = [step for step in STEPS if step != "figures" and tasks[step] > limit]
            row.append(_duration(sum(taken.values())) + (f" ({', '.join(late)} over 1 h)" if late else ""))
        row.append(f"{memory_mb(size, cores[-1]) / 1000:.1f} GB")
        rows.append(row)
    head = [
        "a month of",
        "processor time",
        *(f"{count} cores" for count in cores),
        f"memory of tasks at {cores[-1]} cores",
    ]
    return _table(head, rows)


def breakdown_table() -> str:
    cores = facts()["cores"]
    rows = []
    for place in facts()["places"]:
        size = size_of(place)
        rows.append([place["name"], *(_duration(wall(step, size, cores[1])) for step in STEPS)])
    return _table(("a month of", *(f"`{step}`" for step in STEPS)), rows)


def runs_table() -> str:
    rows = []
    for run in facts()["runs"]:
        size = Size(run["counties"], run["editions"] - 1 - run["counties"], run["rows"])
        measured = sum(sum(run["steps"][step][part] for part in PARTS) for step in STEPS)
        modelled = sum(sum(busy(step, size).values()) for step in STEPS)
        rows.append([
            f"`--counties {run['counties']} --enterprises {run['enterprises']}`", f"{run['rows']:,}",
            *(_number(sum(run["steps"][step][part] for part in PARTS)) for step in STEPS),
            _number(measured), f"{modelled / measured - 1:+.0%}",
        ])  # fmt: skip
    return _table(("run", "rows", *(f"`{step}`" for step in STEPS), "all", "model"), rows)


TABLES = {
    "runs": runs_table,
    "constants": steps_table,
    "sizes": sizes_table,
    "times": time_table,
    "steps": breakdown_table,
}


def rendered(page: str) -> str:
    """The page with every table computed anew, between ``<!-- model: name -->`` and ``<!-- end -->``."""

    def fill(match: re.Match[str]) -> str:
        return f"<!-- model: {match[1]} -->\n{TABLES[match[1]]()}\n<!-- end -->"

    return re.sub(r"<!-- model: (\w+) -->\n.*?<!-- end -->", fill, page, flags=re.DOTALL)


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the tables, or writes them into the page."""
    parser = argparse.ArgumentParser(description="the tables of docs/scaling.md")
    parser.add_argument("--write", action="store_true", help="put them into the page")
    if parser.parse_args(arguments).write:
        PAGE.write_text(rendered(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
        return 0
    for name, table in TABLES.items():
        print(f"## {name}\n\n{table()}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
