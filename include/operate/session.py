"""A stretch of time with warehouse and Airflow up: what `make demo` and `make run` have in common."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import psycopg

from include.operate import airflow, summary
from include.operate.chain import ChainResult, end_interrupted
from include.operate.client import AirflowClient
from include.settings import get_settings
from include.warehouse import embedded
from include.warehouse.connection import connect
from include.warehouse.migrate import migrate


@dataclass
class Session:
    """Live warehouse and Airflow.

    Attributes:
        boot_seconds: from the start command until Airflow was healthy; 0 when it ran already.
    """

    client: AirflowClient
    boot_seconds: float
    _conn: psycopg.Connection

    @property
    def conn(self) -> psycopg.Connection:
        """Autocommit connection to the warehouse; another one when the server was started again meanwhile."""
        if self._conn.closed:
            self._conn = connect(autocommit=True)
        return self._conn


class Clock:
    """Lines with the seconds since the start in front."""

    def __init__(self) -> None:
        self.began = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began

    def say(self, text: str) -> None:
        """Print a line at once, also into a pipe."""
        print(f"[{self.seconds:6.1f} s] {text}", flush=True)


@contextmanager
def session(owner: str, clock: Clock, meanwhile: Callable[[], None] | None = None) -> Iterator[Session]:
    """Warehouse and Airflow for the length of the block; a stack that ran before (`make up`) is used and left running.

    Args:
        owner: ``demo`` or ``run``.
        meanwhile: work to do while Airflow starts.

    Raises:
        AirflowNotStarted, EmbeddedPostgresError: with what to do about it.
    """
    with airflow.driving(owner), _ends_cleanly():
        running = airflow.status()
        if running is not None and running.owner != "up":
            clock.say("先停止上次中断后留下的进程 / stopping what an interrupted run left behind")
            airflow.stop()
            running = None
        is_ours = running is None
        try:
            conn = connect(autocommit=True)
            applied = migrate(conn)
            if applied:
                clock.say(f"数据仓库就绪 / warehouse ready, {len(applied)} migrations applied")
            began = time.monotonic()
            stack = airflow.start(owner)
            words = "正在启动 Airflow / starting Airflow" if is_ours else "使用已启动的 / using the live Airflow"
            clock.say(f"{words} {stack.url}")
            if meanwhile is not None:
                meanwhile()
            client = AirflowClient(stack.url, stack.user, stack.password, is_up=lambda: bool(airflow.members()))
            airflow.wait_until_ready(stack, client.is_healthy)
            airflow.wait_until_ready(stack, lambda: client.knows(airflow.DAG_IDS))
            boot = time.monotonic() - began if is_ours else 0.0
            if is_ours:
                clock.say(f"Airflow 就绪，用时 {boot:.1f} 秒 / Airflow is healthy after {boot:.1f} s")
                end_interrupted(client, clock.say)
            opened = Session(client, boot, conn)
            yield opened
            opened.conn.close()
        finally:
            if is_ours:
                _leave_alone()
                ended = airflow.stop()
                embedded.stop()
                clock.say(f"已停止 Airflow（{len(ended)} 个进程）和 PostgreSQL / stopped both, nothing is left running")


@contextmanager
def _ends_cleanly() -> Iterator[None]:
    """A termination signal, or a terminal that closes, takes the same way out as Ctrl-C: the stack is stopped."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    before[signal.SIGINT] = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave_alone() -> None:
    """While the stack is being stopped, which takes seconds, another Ctrl-C must not leave half of it running."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def heading(text: str) -> None:
    """A heading on the terminal."""
    print(f"\n== {text}", flush=True)


def print_account(opened: Session, periods: Sequence[str]) -> None:
    """Print who reported what, the files, Airflow's runs and the steps' seconds."""
    conn = opened.conn
    for period in periods:
        heading(f"{period} 报送与校验 / received and checked")
        print(summary.reporter_table(conn, period))
    heading("文件 / files")
    print(summary.file_line(conn, periods))
    unplaced = summary.unplaced_table(conn, periods)
    if unplaced:
        print("未能识别单位或报告期的文件 / files that could not be placed:")
        print(unplaced)
    waiting = summary.waiting_line(conn)
    if waiting:
        print(waiting)
    heading("Airflow 运行记录 / runs, as Airflow has them")
    runs = [run for dag_id in airflow.DAG_IDS for run in opened.client.runs(dag_id)]
    print(summary.run_table(runs, periods))
    heading("各步用时（秒）/ seconds by step")
    print(summary.timing_table(conn, periods))


def print_outputs(opened: Session, periods: Sequence[str]) -> list[str]:
    """Print where reports and returned workbooks lie; returns what is missing, empty when all is there."""
    outbox = get_settings().outbox
    issued = summary.publication_rows(opened.conn, periods)
    missing: list[str] = []
    heading("月报 / reports")
    for period in periods:
        files = summary.report_files(opened.conn, outbox, period)
        if period not in issued or not files:
            missing.append(period)
            print(f"{period}  {summary.refusal_line(opened.conn, period) or '没有发布 / not published'}")
            continue
        issue_no, maturity, reason, checked = issued[period]
        word = {"final": "定稿 final", "provisional": "初步 provisional"}[maturity]
        again = f"，第{issue_no}次更正" if issue_no else ""
        print(f"{period}  {word}{again}：{reason}；{checked} 个数字核对一致 / {checked} figures reconciled")
        for path in files:
            print(f"         {_short(path)}")
        editions = summary.edition_line(opened.conn, period)
        if editions:
            print(f"         {editions}，在 in {_short(outbox / period)}")
    heading("退回表 / returned workbooks")
    for period in periods:
        print(f"{period}  {summary.returned_line(outbox, period)}，在 in {_short(outbox / period / summary.RETURNS)}")
    return missing


def _short(path: Path) -> str:
    """A path as the user can type it where they stand."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def verdict(result: ChainResult, missing: Sequence[str]) -> int:
    """Say why it failed; the exit code."""
    for line in result.failed:
        print(f"失败 / failed: {line}", file=sys.stderr)
    for period in missing:
        print(f"失败 / failed: {period}: 没有经核对的月报 / no reconciled report", file=sys.stderr)
    return 1 if result.failed or missing else 0
