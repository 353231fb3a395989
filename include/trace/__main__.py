"""The cells behind a figure: ``make trace ARGS="…"``, or ``python -m include.trace …``.

Results are Chinese, for the office; errors are English, for engineers.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Sequence
from dataclasses import fields
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any

import psycopg
import yaml

from include.intake.calendar import SHANGHAI, PeriodError, check_period
from include.intake.landing import LandingDamaged, LandingStore
from include.intake.reporters import load_reporters
from include.ledger.removals import removed_originals
from include.operate.summary import table
from include.settings import get_settings
from include.trace.measures import TraceError, find_measure, load_measures
from include.trace.tracing import Cell, Question, Trace, described, random_questions, trace
from include.trace.verifying import Verification, verify
from include.warehouse.connection import WarehouseUnreachableError, connect
from include.warehouse.embedded import EmbeddedPostgresError

CELLS_SHOWN = 40
_UNSAFE_START = ("=", "+", "-", "@", "\t", "\r")


@lru_cache(maxsize=1)
def texts() -> dict[str, Any]:
    """The words, from ``texts.yaml``."""
    words: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("texts.yaml").read_text(encoding="utf-8"))
    return words


def account_zh(found: Trace) -> str:
    """A trace for the terminal: the figure, its first cells, and whether they add up."""
    words, question, measure = texts(), found.question, found.measure
    filters = "".join(f"，{name}={value or ''}" for name, value in question.filters.items())
    heading = {"mart": question.mart, "measure": question.measure, "period": question.period, "filters": filters}
    lines = [
        words["figure"].format(region=question.region_code or words["province"], **heading),
        words["note"].format(note=measure.note_zh),
        words["value"].format(figure=words["nothing"] if found.figure is None else _number(found.figure)),
    ]
    counted = words["cells"] if measure.form else words["files"]
    lines.append(counted.format(cells=found.cell_count, files=found.file_count, seconds=found.seconds))
    if found.cells:
        lines.append(table(words["columns"], map(_shown, found.cells[:CELLS_SHOWN]), right=(7, 8)))
    if found.cell_count > CELLS_SHOWN:
        lines.append(words["more"].format(shown=CELLS_SHOWN))
    if measure.is_additive:
        verdict = words["equal"] if found.is_equal else words["unequal"]
        lines.append(words["total"].format(total=_number(found.total or Decimal(0)), verdict=verdict))
    else:
        lines.append(words["no_total"].format(kind=measure.kind))
    return "\n".join(lines)


def verification_zh(result: Verification) -> str:
    """What reading the cells again gave, the differences one by one."""
    words = texts()
    lines = [words["verified"].format(cells=result.cells, files=result.files, differences=len(result.differences))]
    for one in result.differences[:CELLS_SHOWN]:
        cell = one.cell
        known = cell.value if cell.value is not None else cell.value_on
        place = {"file": cell.file_name, "sheet": cell.sheet, "cell": cell.cell}
        lines.append(words["difference"].format(value=known, found=one.found, **place))
    for gone in result.removed:
        day = f"{gone.removed_at.astimezone(SHANGHAI):%Y-%m-%d}"
        lines.append(words["removed"].format(file=gone.file_name, sha256=gone.sha256[:12], day=day, cells=gone.cells))
    return "\n".join(lines)


def write_csv(path: Path, cells: Sequence[Cell]) -> None:
    """Every cell of a trace, one a line, in an encoding that spreadsheet programs open as it is.

    Raises:
        OSError: the file cannot be written.
    """
    names = [field.name for field in fields(Cell)]
    with path.open("w", encoding="utf-8-sig", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow([texts()["csv_columns"][name] for name in names])
        for cell in cells:
            writer.writerow([_harmless(getattr(cell, name)) for name in names])


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point: 0 when the cells add up to the figure, 1 when they do not or something fails, 2 for a question that
    cannot be answered."""
    options = _parser().parse_args(arguments)
    try:
        with connect() as conn:
            conn.read_only = True
            if options.list:
                return _list(conn, options.mart)
            if options.random is not None:
                return _random(conn, options.random, options.seed)
            return _one(conn, options)
    except (TraceError, PeriodError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except psycopg.errors.QueryCanceled as error:
        print(f"error: {error}: ask for one region, or raise the role's statement_timeout", file=sys.stderr)
        return 1
    except psycopg.errors.InsufficientPrivilege as error:
        print(f"error: {error}: ask as a role that may read the marts", file=sys.stderr)
        return 1
    except (WarehouseUnreachableError, EmbeddedPostgresError, LandingDamaged, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m include.trace", description=__doc__)
    parser.add_argument("--period", help="reporting month, e.g. 2026-04")
    parser.add_argument("--mart", help="table of schema marts, e.g. mart_labour_shortage")
    parser.add_argument("--measure", help="numeric column of it, e.g. shortage_now_persons")
    parser.add_argument("--region", help="code of a county or city; left out: the whole province")
    parser.add_argument(
        "--filter", action="append", default=[], metavar="COLUMN=VALUE",
        help="only rows of the mart with that value (nothing after = means blank); may be given several times",
    )  # fmt: skip
    parser.add_argument("--csv", type=Path, metavar="PATH", help="write all cells to this file")
    parser.add_argument("--verify", action="store_true", help="open the received files and read every cell again")
    parser.add_argument("--list", action="store_true", help="all measures (of --mart)")
    parser.add_argument("--random", type=int, metavar="N", help="draw N figures at random and trace each")
    parser.add_argument("--seed", type=int, default=1, help="of --random; the same seed draws the same figures")
    return parser


def _one(conn: psycopg.Connection[Any], options: argparse.Namespace) -> int:
    asked = {"--period": options.period, "--mart": options.mart, "--measure": options.measure}
    if missing := [name for name, value in asked.items() if not value]:
        raise TraceError(f"{', '.join(missing)} not given: name a figure, or see what there is with --list")
    check_period(options.period)
    measure = find_measure(load_measures(conn), options.mart, options.measure)
    question = Question(options.mart, options.measure, options.period, options.region, _filters(options.filter))
    found = trace(conn, question, measure, limit=None if options.csv or options.verify else CELLS_SHOWN)
    print(account_zh(found))
    if options.csv:
        write_csv(options.csv, found.cells)
        print(texts()["written"].format(path=options.csv))
    is_right = found.is_equal or not measure.is_additive
    if options.verify:
        settings = get_settings()
        removals = removed_originals(conn, sorted({cell.sha256 for cell in found.cells}))
        reporters = load_reporters(settings.reporters_file)
        result = verify(found, LandingStore(settings.landing), reporters, removals)
        print(verification_zh(result))
        is_right = is_right and not result.differences
    return 0 if is_right else 1


def _list(conn: psycopg.Connection[Any], mart: str | None) -> int:
    rows = [(one.mart, one.measure, one.kind, one.note_zh) for one in load_measures(conn) if mart in (None, one.mart)]
    if not rows:
        raise TraceError(f"there is no mart {mart}: leave --mart out to see all")
    print(table(texts()["list_columns"], rows))
    return 0


def _random(conn: psycopg.Connection[Any], number: int, seed: int) -> int:
    if number < 1:
        raise TraceError(f"--random {number} draws nothing: write how many figures, e.g. --random 10")
    words = texts()
    measures = load_measures(conn)
    print(words["drawn"].format(number=number, seed=seed))
    found = [
        trace(conn, question, find_measure(measures, question.mart, question.measure), limit=CELLS_SHOWN)
        for question in random_questions(conn, measures, number, seed)
    ]
    rows = [
        (
            described(one.question), _number(one.figure or Decimal(0)), _number(one.total or Decimal(0)),
            one.cell_count, f"{one.seconds:.3f}", words["equal" if one.is_equal else "unequal"],
        )
        for one in found
    ]  # fmt: skip
    print(table(words["drawn_columns"], rows, right=(1, 2, 3, 4)))
    equal = sum(one.is_equal for one in found)
    slowest = max(one.seconds for one in found)
    print(words["drawn_result"].format(number=len(found), equal=equal, slowest=slowest))
    return 0 if equal == len(found) else 1


def _filters(given: Sequence[str]) -> dict[str, str | None]:
    filters: dict[str, str | None] = {}
    for text in given:
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise TraceError(f"--filter {text} is not understood: write COLUMN=VALUE, e.g. --filter industry_code=32")
        filters[name] = value or None
    return filters


def _shown(cell: Cell) -> tuple[Any, ...]:
    value = cell.value_on if cell.value is None else _number(cell.value)
    counts = None if cell.contribution is None else _number(cell.contribution)
    return (
        cell.line_period, cell.reporter_code, cell.file_name, cell.version, cell.sheet, cell.cell, cell.header, value,
        counts,
    )  # fmt: skip


def _number(value: Decimal) -> str:
    return f"{value:,f}"


def _harmless(value: Any) -> Any:
    """A text that a spreadsheet program would take for a formula, as text."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_UNSAFE_START) else value


if __name__ == "__main__":
    sys.exit(main())
