"""Kill -9 of one process in the middle of a month, again and again: the month must end as if nothing had happened.

Between two rounds the warehouse is set back to a copy taken before anything had arrived, and the outbox emptied; so
every round does all of the work.
"""

from __future__ import annotations

import itertools
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from include.operate.client import TaskRun
from tests.compose.month import Month, differences, fingerprint
from tests.compose.stack import Stack, StackFailed, hand_over
from tests.workbooks import DEMAND_HEADERS, STATUS_HEADERS, enterprise, post, write_form

PERIOD = "2026-03"
COUNTIES = (("宾阳县", "450126"), ("灵山县", "450721"), ("横州市", "450181"))
#: Which process of which service dies, by its command line (``None``: all of the container at once).
VICTIMS: dict[str, tuple[str, str | None]] = {
    "scheduler": ("scheduler", None),
    "worker": ("worker", None),
    "task process": ("worker", r"^airflow worker -- "),
    "API server": ("api-server", None),
    "PostgreSQL": ("postgres", None),
    "a session of PostgreSQL": ("postgres", r"^postgres: warehouse labour"),
    "Redis": ("redis", None),
}
#: The first four are what the must of "any one process" names; they come first and most often.
ORDER = ("scheduler", "worker", "API server", "PostgreSQL")
#: Tasks during which it happens, in turn.
MOMENTS = ("read", "validate", "load", "build_marts", "render", "deliver", "collect")


@dataclass(frozen=True)
class Round:
    """One killing: what, while which task ran, how long until the month was out, and what differed."""

    number: int
    victim: str
    moment: str
    was_killed: bool
    seconds: float
    differs: tuple[str, ...]

    @property
    def is_good(self) -> bool:
        return self.was_killed and not self.differs


def write_month(inbox: Path) -> None:
    """Three counties, two forms each, one row with a blank required number."""
    for position, (county, code) in enumerate(COUNTIES):
        good = enterprise(county, code, 1)
        bad = enterprise(county, code, 2, **({"shortage_now": None} if position == 0 else {}))
        folder = inbox / PERIOD / county
        write_form(folder / "企业情况表.xlsx", "企业情况表", county, PERIOD, STATUS_HEADERS, [good, bad])
        write_form(
            folder / "企业用工需求表.xlsx", "企业用工需求表", county, PERIOD, DEMAND_HEADERS, [post(good, "木工")]
        )
    hand_over(inbox)


def remember_start(stack: Stack) -> None:
    """Keep a copy of the warehouse as it is, before anything arrived."""
    stack.administer("drop database if exists labour_start with (force)")
    _copy(stack, "labour", "labour_start")


def set_back(stack: Stack) -> None:
    """The warehouse as :func:`remember_start` found it, outbox and drafts empty."""
    stack.administer("drop database if exists labour with (force)")
    _copy(stack, "labour_start", "labour")
    for folder in (stack.outbox, stack.folder / "drafts"):
        for path in folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _copy(stack: Stack, source: str, target: str) -> None:
    stack.administer(
        f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{source}' and pid <> pg_backend_pid()"
    )
    stack.administer(f"create database {target} template {source} owner warehouse")
    # Who may connect is not copied with a template.
    stack.administer(
        f"update pg_database set datacl = (select datacl from pg_database where datname = '{source}')"
        f" where datname = '{target}'"
    )


def run_rounds(stack: Stack, number: int, seconds: float = 900) -> list[Round]:
    """The undisturbed month, then ``number`` disturbed ones; a line for each is said.

    Raises:
        StackFailed: the undisturbed month does not end, or a disturbed one does not.
    """
    write_month(stack.inbox)
    remember_start(stack)
    first = Month(stack, [PERIOD])
    first.collect()
    took = first.finish(seconds)
    expected = fingerprint(stack, [PERIOD])
    files = [name for name in expected if "/" in name]
    stack.say(f"undisturbed: {took:.0f} s; {len(expected) - len(files)} tables, {len(files)} files to be found again")
    if not files or not any(name.endswith(".docx") for name in files):
        raise StackFailed("the undisturbed month left no report")
    others = [victim for victim in VICTIMS if victim not in ORDER]
    plan = itertools.cycle([*ORDER, *ORDER, *others])
    rounds = []
    for count, victim in zip(range(1, number + 1), plan, strict=False):
        moment = MOMENTS[(count * 5 + count // len(MOMENTS)) % len(MOMENTS)]
        rounds.append(_round(stack, count, victim, moment, expected, seconds))
        done = rounds[-1]
        word = "same" if done.is_good else f"DIFFERS: {', '.join(done.differs) or 'nothing was killed'}"
        stack.say(
            f"round {count:2}/{number}  kill -9 {victim} during {moment}: issued after {done.seconds:.0f} s, {word}"
        )
    return rounds


def _round(
    stack: Stack, number: int, victim: str, moment: str, expected: dict[str, str], seconds: float
) -> Round:  # fmt: skip
    stack.wait_until_healthy(300)
    set_back(stack)
    service, pattern = VICTIMS[victim]
    killed: list[float] = []
    seen: dict[str, float] = {}

    def strike(tasks: list[TaskRun]) -> None:
        for task in tasks:
            seen.setdefault(task.task_id, time.monotonic())
        # A little later in every round, so that not always the task's first second is hit.
        if killed or moment not in seen or time.monotonic() - seen[moment] < (number % 4):
            return
        for container in stack.containers(service):
            try:
                stack.kill(container, pattern)
            except StackFailed:
                continue  # of two workers only one runs the task; no session is open just now
            killed.append(time.monotonic())
            if service != "worker" or pattern is None:
                break

    month = Month(stack, [PERIOD], strike)
    month.collect()
    took = month.finish(seconds)
    stack.wait_until_healthy(300)
    return Round(number, victim, moment, bool(killed), took, tuple(differences(expected, fingerprint(stack, [PERIOD]))))
