"""`make demo`: the whole chain over the made-up province (演示数据), through a real Airflow."""

from __future__ import annotations

import os

from include.operate.chain import COLLECT, ChainResult, drive
from include.operate.session import Clock, heading, print_account, print_outputs, session, verdict
from include.settings import get_settings

SECONDS = 1800.0


def demo() -> int:
    """Run the demo to its end; 0 only when every period's report exists and reconciles.

    It may be interrupted anywhere and started again: what is done stays, what is left is done.
    """
    from include.sample.province import DEMO_PERIODS, write_inbox

    clock = Clock()
    set_up = float(os.environ.get("SETUP_SECONDS") or 0)
    inbox = get_settings().inbox
    periods = list(DEMO_PERIODS)

    def write_province() -> None:
        write_inbox(inbox)
        clock.say(f"演示数据已写入收件夹 / demo workbooks written to {inbox}")

    with session("demo", clock, write_province) as opened:
        result: ChainResult = drive(
            opened.client, lambda: opened.conn, inbox=inbox, periods=periods, say=clock.say, seconds=SECONDS
        )
        if all(run.dag_id == COLLECT for run, _ in result.runs):
            clock.say("没有新文件，一切照旧 / nothing new, nothing changed")
        chain_seconds = clock.seconds
        print_account(opened, periods)
        missing = print_outputs(opened, periods)
        code = verdict(result, missing)
        boot = opened.boot_seconds
    heading("用时 / time")
    if set_up:
        print(f"安装 set-up            {set_up:7.1f} s")
    print(f"启动 Airflow start     {boot:7.1f} s")
    print(f"收集至发布 the chain   {chain_seconds - boot:7.1f} s")
    print(f"合计 total             {set_up + clock.seconds:7.1f} s")
    heading("结果 / result")
    if code == 0:
        print(f"✓ {len(periods)} 个报告期的月报均已生成并核对一致（演示数据）/ every report exists and reconciles")
        print("  make up：打开 Airflow 界面和数据库查看 / keeps Airflow and the warehouse running to look around")
    else:
        print("✗ 未完成，原因见上；改正后再运行 make demo 即可接着做 / not complete; mend it and run make demo again")
    return code
