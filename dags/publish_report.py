"""Publish one reporting period: pass the gate, render the report, deliver it."""

from __future__ import annotations

from typing import Any

from airflow.sdk import dag, task
from airflow.sdk.exceptions import AirflowSkipException

from labour_conventions import DEFAULT_ARGS, LABOUR_MARTS, START_DATE, TIME_ZONE
from labour_timetables import PartitionedAssetOrDeadline


@dag(
    dag_id="publish_report",
    dag_display_name="3 发布月报 · Publish report",
    description="把关、生成、送达月报，一次一个报告期 / Gate, render and deliver the monthly report of one period",
    # The tenth working day falls between the 12th and the 25th; a day on which nothing is due changes nothing.
    schedule=PartitionedAssetOrDeadline(assets=LABOUR_MARTS, cron="0 9 12-25 * *", timezone=TIME_ZONE),
    start_date=START_DATE,
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    tags=["用工专项行动", "labour", "发布"],
    doc_md="""
**发布月报** 每个报告期（分区键 `YYYY-MM`）一次运行：集市更新后触发，每月 12—25 日 9:00 另对上月检查一次，防止漏发。
覆盖率不足时发“初步”，达到或到期后发“正式”。*任务变红时*：“生成”红且日志写明“核对不一致”，说明报告数字与原始数据对不上，
**不得人工发出**，把日志交数据组；其他错误修好后点“清除”重跑。重跑安全：同样的数据得到完全相同的文件，不会重复送达。

**Publish report**: one run per period (partition key `YYYY-MM`), started by updated marts, and each morning from the
12th to the 25th for the month before so that no month is forgotten. Below the coverage threshold it issues a
provisional report, else the final one. *When a task is red*: `render` red with a reconciliation mismatch means that a
printed figure differs from the raw data: **do not issue by hand**, pass the log to the data team. Anything else: mend
and clear. Clearing is safe: the same data give the same bytes, and each delivery is sent once.
See `docs/runbooks/red-task.md`.
""",
)
def publish_report() -> None:
    @task(task_display_name="把关 Gate")
    def gate(partition_key: str | None = None) -> dict:
        from include.pipeline.publish import NothingToPublish, check_gate

        if not partition_key:
            raise ValueError("this run has no period: trigger publish_report with a partition key such as 2026-10")
        try:
            return check_gate(partition_key)
        except NothingToPublish as nothing:
            raise AirflowSkipException(str(nothing)) from nothing

    @task(task_display_name="生成 Render")
    def render(decision: Any) -> dict:
        from include.pipeline.publish import render as render_reports

        return render_reports(decision)

    @task(task_display_name="送达 Deliver")
    def deliver(rendered: Any) -> dict:
        from include.pipeline.publish import deliver as deliver_reports

        return deliver_reports(rendered)

    deliver(render(gate()))


publish_report()
