"""Kill -9 of any one process while a month is built and published: it completes, with the same marts and reports.

``python -m tests.endurance.kills --rounds 20``: one embedded stack (a real Airflow, its own PostgreSQL, in a folder of
its own) runs a small month undisturbed, twice, and then once a round, each time from the same warehouse: files
received, nothing read. In every round one process is killed in the middle of one step. The round is good when the month
ends published and every table of schema ``marts`` (every row) and every file of the outbox (every byte) is what the
undisturbed run left. Ends 1 when any round is not.

Counted apart: rounds that ended by themselves, and rounds in which the command had to be started again.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import psycopg
from psycopg import sql

from include.operate.airflow import AirflowNotStarted
from include.operate.chain import ChainFailed, drive
from include.operate.client import AirflowRefused
from include.operate.session import Clock, Session, session
from include.pipeline.collect import collect
from include.settings import get_settings
from include.warehouse import embedded
from include.warehouse.connection import WarehouseUnreachableError, connect
from include.warehouse.dbt import prepare
from include.warehouse.migrate import migrate
from tests.databases import settings_of
from tests.dbt.checksums import table_checksums
from tests.endurance.victims import STEPS, VICTIMS, Kill, Killer, Plan
from tests.workbooks import DEMAND_HEADERS, STATUS_HEADERS, enterprise, post, write_form

PERIOD = "2026-03"
COUNTIES = (("450126", "宾阳县", "450100"), ("450721", "灵山县", "450700"), ("450181", "横州市", "450100"))
ROUND_SECONDS = 3600.0
STARTS = 3
_TEMPLATE = "endurance_start"
_LOST = (ChainFailed, AirflowRefused, AirflowNotStarted, WarehouseUnreachableError, psycopg.OperationalError)


@dataclass(frozen=True, slots=True)
class Ending:
    """What a month left behind: table to checksum of its rows, file to checksum of its bytes."""

    marts: dict[str, str]
    files: dict[str, str]

    def differences(self, other: Ending) -> list[str]:
        """Tables and files that are not the same, by name."""
        pairs = [(self.marts, other.marts), (self.files, other.files)]
        return sorted(name for a, b in pairs for name in a.keys() | b.keys() if a.get(name) != b.get(name))


def ending(outbox: Path) -> Ending:
    """As the warehouse that settings lead to, and the outbox, stand now."""
    with connect() as conn:
        marts = table_checksums(conn)
    files = {
        str(path.relative_to(outbox)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(outbox.rglob("*"))
        if path.is_file()
    }
    return Ending(marts, files)


def write_month(inbox: Path) -> None:
    """Three counties, two forms each; one row lacks a required number, one county's forms contradict each other."""
    for position, (code, county, _) in enumerate(COUNTIES):
        good = enterprise(county, code, 1)
        other = enterprise(county, code, 2, **({"shortage_now": None} if position == 0 else {}))
        folder = inbox / PERIOD / county
        write_form(folder / "企业情况表.xlsx", "企业情况表", county, PERIOD, STATUS_HEADERS, [good, other])
        posts = [post(good, "木工", shortage_now=3 if position == 0 else 7)]
        write_form(folder / "企业用工需求表.xlsx", "企业用工需求表", county, PERIOD, DEMAND_HEADERS, posts)


def write_reporters(path: Path) -> None:
    """The list of these counties, so that a month has seven editions and not 35."""
    lines = ["reporter_code,reporter_name,region_code,city_code,pilot_level,valid_from,valid_to,is_sample"]
    lines += [f"{code},{name},{code},{city},市级试点,2022-02-25,,true" for code, name, city in COUNTIES]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def plans(rounds: int, seed: int, victims: Sequence[str], seconds: dict[str, float]) -> Iterator[Plan]:
    """Victims in turn, each time at another step, anywhere within the time the step takes undisturbed."""
    chance = random.Random(seed)
    steps = list(STEPS)
    for number in range(rounds):
        turn, position = divmod(number, len(victims))
        step = steps[(position + turn * (len(steps) // 2 + 1)) % len(steps)]
        yield Plan(victims[position], step, round(chance.uniform(0, 0.8) * seconds.get(step, 0.0), 2))


class Endurance:
    """One stack that stays up over the rounds; started again only when a round brought it down."""

    def __init__(self, folder: Path, log: TextIO) -> None:
        self.inbox = folder / "inbox"
        self.log = log
        self.clock = _LogClock(log)
        self._open = contextlib.ExitStack()
        self._session: Session | None = None

    def set_up(self) -> None:
        """The month received into a prepared warehouse, kept as a template."""
        with connect() as conn:
            migrate(conn)
        prepare(PERIOD)
        collect(self.inbox, reopen=PERIOD)
        with psycopg.connect(embedded.url("postgres"), autocommit=True) as admin:
            _copy(admin, embedded.WAREHOUSE_DATABASE, _TEMPLATE)

    def restore(self) -> None:
        """Files received, nothing read, nothing written."""
        embedded.start()
        with psycopg.connect(embedded.url("postgres"), autocommit=True) as admin:
            _copy(admin, _TEMPLATE, embedded.WAREHOUSE_DATABASE)
        settings = get_settings()
        for folder in (settings.outbox, settings.work, settings.drafts):
            shutil.rmtree(folder, ignore_errors=True)

    def month(self, plan: Plan | None) -> tuple[Kill | None, int, float, dict[str, float]]:
        """Run the month, with the kill if there is one.

        Returns:
            The kill, how often the command had to be started again, seconds, and each step's seconds.

        Raises:
            RuntimeError: the month does not complete.
        """
        self.restore()
        self._opened()
        began = time.monotonic()
        killer = Killer(get_settings().var, [plan] if plan else [])
        killer.start()
        for attempt in range(STARTS):
            starts = attempt
            try:
                opened = self._opened()
                result = drive(
                    opened.client, lambda: self._opened().conn, inbox=self.inbox, periods=[PERIOD],
                    say=self.clock.say, seconds=ROUND_SECONDS, reopen=True,
                )  # fmt: skip
                if not result.failed:
                    break
                self.clock.say(f"failed: {result.failed}")
            except _LOST as error:
                self.clock.say(f"lost: {type(error).__name__}: {error}")
            self.close()
        else:
            raise RuntimeError(f"not completed after {STARTS} starts")
        killer.over.set()
        killer.join()
        if killer.failure:
            raise killer.failure
        if plan and plan.victim == "supervisor":
            self.close()  # what it left goes on, but nothing that is killed would be started again
        seconds = {task.task_id: task.seconds or 0.0 for _, tasks in result.runs for task in tasks}
        return (killer.kills[0] if killer.kills else None), starts, time.monotonic() - began, seconds

    def close(self) -> None:
        """Stop the stack."""
        self._session = None
        self._open.close()

    def _opened(self) -> Session:
        if self._session is None:
            with contextlib.redirect_stdout(self.log):
                self._session = self._open.enter_context(session("run", self.clock))
        return self._session


class _LogClock(Clock):
    def __init__(self, log: TextIO) -> None:
        super().__init__()
        self._log = log

    def say(self, text: str) -> None:
        print(f"[{self.seconds:6.1f} s] {text}", file=self._log, flush=True)


def _copy(admin: psycopg.Connection, source: str, target: str) -> None:
    """Database ``target`` made anew from ``source``; whoever is connected to either is put out."""
    admin.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(target)))
    admin.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", (source,))
    admin.execute(sql.SQL("create database {} template {}").format(sql.Identifier(target), sql.Identifier(source)))


def endure(folder: Path, rounds: int, seed: int, victims: Sequence[str]) -> int:
    """All rounds; the number of bad ones. Settings must lead into ``folder``."""
    with (folder / "kills.log").open("w", encoding="utf-8") as log:
        endurance = Endurance(folder, log)
        began = time.monotonic()
        write_month(endurance.inbox)
        endurance.set_up()
        bad = by_itself = again = missed = 0
        hit: Counter[str] = Counter()
        try:
            _, _, first, seconds = endurance.month(None)
            undisturbed = ending(get_settings().outbox)
            steps = " ".join(f"{step} {seconds.get(step, 0):.1f}" for step in STEPS)
            print(
                f"undisturbed: {len(undisturbed.marts)} tables, {len(undisturbed.files)} files; {first:.0f} s: {steps}"
            )
            endurance.month(None)
            left = ending(get_settings().outbox)
            if left.differences(undisturbed):
                print(f"two undisturbed runs differ: {', '.join(left.differences(undisturbed))}")
                return rounds
            for number, plan in enumerate(plans(rounds, seed, victims, seconds), 1):
                endurance.clock.say(f"--- round {number}: {plan}")
                head = f"{number:3}  {plan.victim:16} at {plan.step:11} + {plan.after_seconds:4.1f} s"
                try:
                    kill, starts, took, _ = endurance.month(plan)
                    differences = ending(get_settings().outbox).differences(undisturbed)
                except RuntimeError as error:
                    bad += 1
                    print(f"{head}  BAD: {error}", flush=True)
                    endurance.close()
                    continue
                missed += kill is None
                bad += bool(differences)
                again += bool(starts)
                by_itself += kill is not None and not starts
                hit[plan.victim] += kill is not None
                while_ = f"killed {kill.pid} during {', '.join(kill.running) or 'no task'}" if kill else "NOT KILLED"
                how = "by itself" if not starts else f"after {starts} more start(s) of the command"
                verdict = f"BAD, differs: {', '.join(differences)}" if differences else "same marts, same files"
                print(f"{head}  {while_}; completed {how} in {took:.0f} s; {verdict}", flush=True)
        finally:
            endurance.close()
        print(
            f"{rounds - bad - missed} of {rounds} completed with the same marts and files: {by_itself} by itself, "
            f"{again} after the command was started again; {bad} bad, {missed} without a kill; "
            f"{', '.join(f'{name} {count}' for name, count in hit.items())}; {time.monotonic() - began:.0f} s"
        )
        return bad + missed


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; see the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m tests.endurance.kills", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1, help="of the moments at which is killed")
    parser.add_argument("--victims", nargs="+", choices=VICTIMS, default=list(VICTIMS))
    parser.add_argument("--keep", action="store_true", help="leave the folder with all logs behind")
    chosen = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="labour-endurance-")).resolve()
    folder.chmod(0o711)
    reporters = folder / "reporters.csv"
    write_reporters(reporters)
    for name in ("WAREHOUSE_URL", "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "LANDING_DIR", "OUTBOX_DIR", "WORK_DIR",
                 "DRAFTS_DIR", "INBOX_DIR", "SMTP_URL", "WEBHOOK_URL", "REPORT_APPROVAL"):  # fmt: skip
        os.environ.pop(name, None)
    bad = 1
    try:
        with settings_of({"VAR_DIR": str(folder / "var"), "REPORTERS_FILE": str(reporters)}):
            bad = endure(folder, chosen.rounds, chosen.seed, chosen.victims)
            embedded.stop()
    finally:
        if bad or chosen.keep:
            print(f"logs: {folder}", file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
