"""Collect what the counties sent, and announce each reporting period that has something to do."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Param, dag, task

from labour_conventions import COUNTY_SUBMISSIONS, DEFAULT_ARGS, START_DATE, TIME_ZONE, done_within
from labour_timetables import CronWithRuntimePartitions


@dag(
    dag_id="collect_submissions",
    dag_display_name="1 收集报送 · Collect submissions",
    description="把收件夹里的新文件登记入台账，按报告期通知建库 / Ledger new files, announce their periods",
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
            description="文件夹的绝对路径；留空则用系统配置的收件夹。 Absolute path; empty for the configured folder.",
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
收件夹不存在或无权限，改好后点“清除”重跑；数据库连不上，会自动重试两次。重跑不会重复登记。坏文件不会让任务变红：
它在台账里记为“退回”，并有退回件。

**Collect submissions** runs every half hour on working days and by hand (`inbox` names another folder; a partition key
announces that one period alone). New files go into the landing store and the ledger; each period with work to do is
announced as one partition, which starts its build. *When a task is red*: read the last line of its log. A missing or
unreadable folder: mend it, then clear the task. A lost database is tried again twice by itself. Clearing is always
safe: a file is entered once. A bad workbook never turns a task red; the ledger shows it as refused.
See `docs/runbooks/red-task.md`.
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

    announce.expand(period=collect())


collect_submissions()
