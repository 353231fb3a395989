"""Collect what the counties sent, announce each reporting period that has something to do, and say which channel is
down."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Param, dag, task

from labour_conventions import COUNTY_SUBMISSIONS, DEFAULT_ARGS, START_DATE, TIME_ZONE, done_within
from labour_timetables import CronWithRuntimePartitions


@dag(
    dag_id="collect_submissions",
    dag_display_name="1 收集报送 · Collect submissions",
    description="把各渠道的新文件登记入台账，按报告期通知建库 / Ledger new files, announce their periods",
    schedule=CronWithRuntimePartitions("*/30 8-18 * * 1-5", timezone=TIME_ZONE),
    start_date=START_DATE,
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    deadline=done_within("late_collect_minutes"),
    tags=["用工专项行动", "labour", "收集"],
    params={
        "inbox": Param(
            None,
            type=["null", "string"],
            title="收件夹 Inbox",
            description="文件夹的绝对路径；留空则收取所有渠道。 Absolute path; empty for all configured channels.",
        ),
        "reopen": Param(
            False,
            type="boolean",
            title="重新开放 Reopen",
            description="分区键所指月份已封账的，有新文件即重新开放。 Reopen the closed month of the partition key.",
        ),
    },
    doc_md="""
**收集报送** 工作日 8:00—18:30 每半小时一次，也可手动运行（`inbox` 填其他文件夹；“分区键”填报告期则只通知该期）。
新文件存入原件库、登记台账；每个有事可做的报告期发出一个分区事件，建库随之开始。*任务变红时*：先看日志最后一行。
`inbox` 填的文件夹不存在，改好后点“清除”重跑；数据库连不上，会自动重试两次。重跑不会重复登记。坏文件不会让任务变红：
它在台账里记为“退回”，并有退回件。*只有“渠道检查”变红*：某个渠道（SFTP、对象存储、邮箱、文件夹）收取失败，
日志写明是哪个、为什么；其他渠道的文件照常入库。排除后不必重跑，下次收集自动补收。

**Collect submissions** runs every half hour on working days and by hand (`inbox` names another folder; a partition key
announces that one period alone). New files go into the landing store and the ledger; each period with work to do is
announced as one partition, which starts its build. *When a task is red*: read the last line of its log. A missing
folder named by `inbox`: mend it, then clear the task. A lost database is tried again twice by itself. Clearing is
always safe: a file is entered once. A bad workbook never turns a task red; the ledger shows it as refused. *Only
`check_channels` is red*: a channel could not be read; its log says which and why, and all others went on. Mend it; the
next collection takes what waits there. See `docs/channels.md` and `docs/runbooks/red-task.md`.
""",
)
def collect_submissions() -> None:
    @task(task_display_name="收集 Collect")
    def collect(params: dict | None = None, partition_key: str | None = None) -> list[str]:
        from pathlib import Path

        from include.pipeline.collect import collect as collect_files

        inbox, reopen = (params or {}).get("inbox"), (params or {}).get("reopen")
        periods = collect_files(Path(inbox) if inbox else None, reopen=partition_key if reopen else None).periods
        # A run asked for one period announces this one; what else arrived waits for the next run without a key.
        return [period for period in periods if partition_key in (None, period)]

    # One mapped task per period, one after another: Airflow starts consumers in the order their events were written,
    # and an earlier month must be built first. No period: nothing to map over, so the task is skipped.
    @task(
        task_display_name="通知 Announce",
        outlets=[COUNTY_SUBMISSIONS],
        max_active_tis_per_dagrun=1,
        map_index_template="{{ task.op_kwargs['period'] }}",
    )
    def announce(period: str, outlet_events: Any = None) -> None:
        outlet_events[COUNTY_SUBMISSIONS].add_partitions(period)

    # Beside the announcement, not before it: what the other channels gave moves on while somebody mends this one.
    @task(task_display_name="渠道检查 Channels")
    def check_channels(params: dict | None = None) -> None:
        from include.pipeline.collect import check_channels as check

        if not (params or {}).get("inbox"):
            check()

    collected = collect()
    announce.expand(period=collected)
    collected >> check_channels()


collect_submissions()
