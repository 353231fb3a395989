"""The production shape, brought up for real: ``make compose-test``.

Builds the image, brings the services up under a project of their own, waits until all are healthy, looks at the running
containers (root, ports, passwords, capabilities), drops the demonstration province into the inbox, kills a worker in
the middle of building a month, approves the reports as an approver of the office, compares with the workbooks'
manifest, starts everything a second time with a changed password, makes a backup, throws everything else away, restores
and compares, stops it gracefully and takes it down. ``--rounds 20`` kills one process after another during a small
month. Everything said is kept in ``var/compose-test/``.

Ends with 0 when all is well or there is no Docker engine (and says so), else 1.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from include.operate.client import TaskRun
from include.sample.province import DEMO_PERIODS, write_inbox
from include.settings import get_settings
from tests.compose import rounds as killing
from tests.compose.month import BUILD, Month, fingerprint
from tests.compose.scan import DOCUMENTED_PORTS, findings
from tests.compose.stack import (
    BASE_IMAGES,
    NoEngine,
    Stack,
    StackFailed,
    compose_command,
    docker,
    hand_over,
    missing_images,
    names,
    project,
)


class Report:
    """Says every line with the seconds since the start, on the terminal and into the log."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.began = time.monotonic()
        self.failed: list[str] = []

    def say(self, text: str) -> None:
        line = f"[{time.monotonic() - self.began:6.0f} s] {text}"
        print(line, flush=True)
        with self.log.open("a", encoding="utf-8") as log:
            log.write(line + "\n")

    def check(self, is_good: bool, text: str) -> None:
        self.say(("✓ " if is_good else "✗ ") + text)
        if not is_good:
            self.failed.append(text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m tests.compose", description=__doc__)
    parser.add_argument("--months", type=int, default=1, help="months of the demonstration (1 to 4; 0: none)")
    parser.add_argument("--rounds", type=int, default=0, help="kill one process after another, so many times")
    parser.add_argument("--keep", action="store_true", help="leave the project running at the end")
    chosen = parser.parse_args(arguments)
    try:
        command = compose_command()
    except NoEngine as reason:
        print(f"SKIPPED: {reason}. Install and start one (Debian: apt-get install docker.io docker-compose) and run "
              f"`make compose-test` again (已跳过：本机没有可用的 Docker 引擎)")  # fmt: skip
        return 0
    folder = get_settings().var / "compose-test"
    folder.mkdir(parents=True, exist_ok=True)
    report = Report(folder / f"{datetime.now():%Y%m%d-%H%M%S}.log")
    stand_ins = os.environ.get("STANDINS")
    if stand_ins and any(not docker("images", "--quiet", image).strip() for image in BASE_IMAGES):
        report.say(f"building stand-ins of the base images with {stand_ins}")
        subprocess.run(["bash", stand_ins], check=True)
    missing = missing_images()
    if missing:
        print(f"SKIPPED: the base images {names(missing)} are neither here nor to be had from a registry; "
              f"STANDINS=script builds them (已跳过：缺少基础镜像)")  # fmt: skip
        return 0
    try:
        with project(command, report.say, report.log, is_kept=chosen.keep) as stack:
            _prove(stack, report, chosen.months, chosen.rounds)
    except (StackFailed, subprocess.TimeoutExpired) as error:
        report.check(False, str(error))
    if not chosen.keep:
        left = docker("ps", "--all", "--quiet", "--filter", "name=labour-test-").split()
        report.check(not left, "taken down; no container of it is left" if not left else f"left behind: {left}")
    verdict = "everything holds" if not report.failed else f"{len(report.failed)} failed: " + "; ".join(report.failed)
    report.say(f"result: {verdict}. The whole log: {report.log}")
    return 1 if report.failed else 0


def _prove(stack: Stack, report: Report, months: int, rounds: int) -> None:
    _bring_up(stack, report)
    found = findings(stack)
    for line in found:
        report.check(False, f"scan: {line}")
    ports = ", ".join(f"{name} {sorted(ports)}" for name, ports in DOCUMENTED_PORTS.items() if ports)
    words = f"scan of {len(stack.containers())} containers: no process of root, no password that can be guessed"
    report.check(not found, f"{words}, nothing listens but {ports}")
    if rounds:
        outcome = killing.run_rounds(stack, rounds)
        good = [one for one in outcome if one.is_good]
        tally = Counter(one.victim for one in good)
        report.check(
            len(good) == len(outcome),
            f"kill -9: same marts and reports in {len(good)} of {len(outcome)} rounds "
            f"({', '.join(f'{victim} {count}' for victim, count in tally.items())})",
        )
        killing.set_back(stack)
        _empty(stack.inbox)
    periods = list(DEMO_PERIODS)[:months]
    if periods:
        _demonstrate(stack, report, periods)
    _look_after(stack, report)
    _again(stack, report)
    if periods:
        _recover(stack, report, periods)
    _stop(stack, report)


def _bring_up(stack: Stack, report: Report) -> None:
    report.say("building the image")
    options = []
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST"):
        if os.environ.get(name):
            options += ["--build-arg", f"{name}={os.environ[name]}"]
    stack.compose("build", *options)
    report.say("bringing the services up")
    stack.compose("up", "--detach")
    took = stack.wait_until_healthy(600)
    workers = len(stack.containers("worker"))
    report.check(workers == 2, f"every service is healthy after {took:.0f} s; {workers} workers")
    stack.make_approver()


def _demonstrate(stack: Stack, report: Report, periods: list[str]) -> None:
    manifest = write_inbox(stack.inbox, periods)
    hand_over(stack.inbox)
    report.say(f"{len(manifest.files)} demonstration workbooks of {names(periods)} lie in the inbox")
    struck: list[str] = []

    def strike(tasks: list[TaskRun]) -> None:
        building = [task for task in tasks if task.dag_id == BUILD and task.task_id == "build_marts"]
        if struck or not building:
            return
        host = stack.api(
            "GET", f"/dags/{BUILD}/dagRuns/{building[0].run_id}/taskInstances/build_marts"
        )["hostname"]  # fmt: skip
        for container in stack.containers("worker"):
            if container.startswith(str(host)) or stack.inspect(container)["Config"]["Hostname"] == host:
                report.say(f"kill -9 of everything in worker {host} while it builds the marts of {building[0].run_id}")
                stack.kill(container)
                struck.append(container)

    month = Month(stack, periods, strike)
    month.collect()
    took = month.finish(1800 * len(periods))
    report.check(bool(struck), "a worker was killed in the middle of building the marts")
    report.check(not month.failed_runs(), f"reports issued {took:.0f} s after the collection began, "
                                          f"{month.approved} approved by hand, no run red")  # fmt: skip
    if struck:
        state = stack.inspect(struck[0])
        report.check(state["RestartCount"] > 0 and state["State"]["Running"], "the engine started the worker again")
    with stack.warehouse() as conn:
        rows = conn.execute("select outcome, count(*) from intake.received_file group by 1 order by 1").fetchall()
        issued = conn.execute("select period, maturity, figures_checked from intake.publication order by 1").fetchall()
    received = sum(count for _, count in rows)
    report.check(
        received == len(manifest.files) and not [1 for outcome, _ in rows if outcome == "pending"],
        f"every workbook has its outcome: {', '.join(f'{outcome} {count}' for outcome, count in rows)}",
    )
    report.check([row[0] for row in issued] == periods, f"issued: {issued}")
    for period in periods:
        kinds = {path.suffix for path in (stack.outbox / period).iterdir() if path.is_file()}
        report.check({".docx", ".xlsx", ".html"} <= kinds, f"{period}: Word, Excel and HTML lie in the outbox")


def _look_after(stack: Stack, report: Report) -> None:
    """Commands of the runbooks, as they stand there."""
    health = stack.compose("exec", "-T", "worker", "python", "-m", "include.health", is_checked=False)
    report.check(
        bool(health.strip()) and "airflow_unreachable" not in health and "check_failed" not in health,
        f"health check: {health.strip().splitlines()[-1]}",
    )
    stack.compose("exec", "-T", "scheduler", "airflow", "rotate-fernet-key")
    waiting = stack.compose("exec", "-T", "worker", "python", "-m", "include.operate.office")
    report.check(True, f"rotate-fernet-key; office: {waiting.strip().splitlines()[0]}")


def _recover(stack: Stack, report: Report, periods: list[str]) -> None:
    """Everything is lost but the backup: docs/runbooks/restore.md, step by step."""
    before = fingerprint(stack, periods)
    run = ("run", "--rm", "--no-deps", "-T", "-v", f"{stack.folder / 'backup'}:/backup", "airflow-init")
    module = ("python", "-m", "include.backup")
    secrets = (stack.folder / ".env").read_text(encoding="utf-8")
    saved = stack.compose(*run, *module, "save", "/backup/one", "--env-file", "-", given=secrets)
    report.say(saved.strip().splitlines()[-1])
    stack.compose(*run, *module, "check", "/backup/one")
    stack.compose("down", "--volumes")
    for name in ("inbox", "outbox", "drafts"):
        _empty(stack.folder / name)
    # Written by the containers' user, and closed to others.
    kept = docker("run", "--rm", "--entrypoint", "cat", "-v", f"{stack.folder / 'backup'}:/backup:ro",
                  "labour-reporting:compose-test", "/backup/one/secrets/env")  # fmt: skip
    report.check(kept == secrets, "volumes and folders are gone; the secrets come from the backup")
    stack.compose("up", "--detach", "postgres")
    stack.compose("run", "--rm", "--no-deps", "-T", "airflow-init", "python", "-m", "include.warehouse.provision")
    restored = stack.compose(*run, *module, "restore", "/backup/one")
    report.check("all checksums equal" in restored, restored.strip().splitlines()[-1])
    stack.compose("up", "--detach")
    stack.clients.clear()
    took = stack.wait_until_healthy(600)
    after = fingerprint(stack, periods)
    report.check(
        after == before and len(after) > len(periods),
        f"healthy after {took:.0f} s: {len(after)} tables and files of the outbox as before the loss",
    )


def _again(stack: Stack, report: Report) -> None:
    """Starting again is safe; a changed password is taken over."""
    report.say("changing a password in .env and bringing everything up again")
    with stack.warehouse() as conn:
        before = conn.execute("select count(*) from intake.received_file").fetchone()
    path = stack.folder / ".env"
    old = stack.values["STATUS_PAGE_PASSWORD"]
    stack.values["STATUS_PAGE_PASSWORD"] = old[::-1]
    path.write_text(path.read_text(encoding="utf-8").replace(old, old[::-1]), encoding="utf-8")
    stack.compose("up", "--detach")
    took = stack.wait_until_healthy(600)
    [init] = [one for one in stack.containers(is_all=True) if stack.service_of(one) == "airflow-init"]
    state = stack.inspect(init)["State"]
    with stack.warehouse() as conn:
        after = conn.execute("select count(*) from intake.received_file").fetchone()
    report.check(
        state["ExitCode"] == 0 and before == after,
        f"roles, databases, migrations and users a second time: nothing changed; healthy after {took:.0f} s",
    )


def _stop(stack: Stack, report: Report) -> None:
    report.say("stopping")
    began = time.monotonic()
    containers = {container: stack.service_of(container) for container in stack.containers()}
    stack.compose("stop")
    codes = {service: stack.inspect(container)["State"]["ExitCode"] for container, service in containers.items()}
    report.check(
        137 not in codes.values(),
        f"stopped by themselves in {time.monotonic() - began:.0f} s, none was killed ({codes})",
    )


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


if __name__ == "__main__":
    sys.exit(main())
