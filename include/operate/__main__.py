"""``python -m include.operate demo | run --period YYYY-MM --inbox FOLDER | up | down | status``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import psycopg

from include.operate import airflow
from include.operate.chain import ChainFailed
from include.operate.client import AirflowClient, AirflowRefused
from include.operate.session import Clock
from include.settings import get_settings
from include.warehouse import embedded
from include.warehouse.connection import WarehouseUnreachableError, connect
from include.warehouse.migrate import MigrationError, migrate


def up() -> int:
    """Start warehouse and Airflow and leave them running."""
    clock = Clock()
    with airflow.driving("up"):
        return _up(clock)


def _up(clock: Clock) -> int:
    already = airflow.status()
    if already is not None and already.owner != "up":
        airflow.stop()  # left behind by a run that was killed
        already = None
    with connect(autocommit=True) as conn:
        migrate(conn)
    stack = airflow.start("up")
    client = AirflowClient(stack.url, stack.user, stack.password, is_up=lambda: bool(airflow.members()))
    if already is None:
        clock.say("正在启动 Airflow / starting Airflow")
    try:
        airflow.wait_until_ready(stack, client.is_healthy)
        airflow.wait_until_ready(stack, lambda: client.knows(airflow.DAG_IDS))
    except BaseException:
        airflow.stop()
        raise
    for dag_id in airflow.DAG_IDS:
        client.unpause(dag_id)
    clock.say("Airflow 就绪 / Airflow is up" if already is None else "Airflow 已在运行 / Airflow was up already")
    print(f"\n  网页 UI        {stack.url}")
    print(f"  用户 user      {stack.user}")
    print(f"  密码 password  {stack.password}")
    if get_settings().warehouse_url is None:
        server = embedded.status()
        print(f"  数据库 warehouse  {server.host}:{server.port}, database {embedded.WAREHOUSE_DATABASE}")
        print(f"                 login in {server.data.parent / 'connection.json'}；命令行 shell: make psql")
    print("  停止 stop      make down\n")
    return 0


def down() -> int:
    """Stop Airflow and the embedded PostgreSQL, and say what was ended and that nothing is left."""
    if airflow.end_driver():
        print("已中断正在进行的 make demo 或 make run / interrupted the `make demo` or `make run` under way")
    ended = airflow.stop()
    had_postgres = embedded.stop()
    if ended:
        print(f"已停止 Airflow（{len(ended)} 个进程）/ stopped Airflow, {len(ended)} processes:")
        for line in ended:
            print(f"  {line}")
    else:
        print("Airflow 没有在运行 / Airflow was not running")
    print("已停止 PostgreSQL / stopped" if had_postgres else "PostgreSQL 没有在运行 / was not running")
    left = airflow.members()
    print(f"剩余进程 processes left: {len(left)}；数据保留在 data stay in {get_settings().var}")
    return 1 if left else 0


def status() -> int:
    """Say what runs; 3 when Airflow does not."""
    stack = airflow.status()
    print(airflow.as_json(stack) if stack else "Airflow 没有在运行 / Airflow is not running")
    return 0 if stack else 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; see the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m include.operate", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("demo", "up", "down", "status"):
        commands.add_parser(name)
    own = commands.add_parser("run")
    own.add_argument("--period", required=True)
    own.add_argument("--inbox", required=True)
    chosen = parser.parse_args(arguments)
    try:
        if chosen.command == "demo":
            from include.operate.demo import demo

            return demo()
        if chosen.command == "run":
            from include.operate.run import run

            return run(chosen.period, chosen.inbox)
        return {"up": up, "down": down, "status": status}[chosen.command]()
    except KeyboardInterrupt:
        print("\n已中断；再次运行会接着做 / interrupted; run it again to go on", file=sys.stderr)
        return 130
    except (AirflowRefused, ChainFailed) as error:
        print(
            f"error: {error}\n已做完的都已保存，再次运行会接着做 / what was done stays; run it again to go on",
            file=sys.stderr,
        )
        return 1
    except (
        airflow.AirflowNotStarted,
        airflow.AirflowNotStopped,
        WarehouseUnreachableError,
        embedded.EmbeddedPostgresError,
        MigrationError,
    ) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except psycopg.OperationalError as error:
        print(
            f"error: the connection to the warehouse was lost ({str(error).strip()}): what was done stays, run it "
            "again to go on; if it is lost again, see the log of the PostgreSQL server",
            file=sys.stderr,
        )
        return 1


if __name__ == "__main__":
    sys.exit(main())
