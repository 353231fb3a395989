"""Publish one reporting period: pass the gate, render the report, have it approved, deliver it."""

from __future__ import annotations

from typing import Any

from airflow.sdk import dag, task
from airflow.sdk.exceptions import AirflowSkipException

from labour_approval import ReportApproval
from labour_conventions import DEFAULT_ARGS, LABOUR_MARTS, START_DATE, TIME_ZONE, done_within
from labour_timetables import PartitionedAssetOrDeadline


@dag(
    dag_id="publish_report",
    dag_display_name="3 发布月报 · Publish report",
    description="把关、生成、批准、送达月报，一次一个报告期 / Gate, render, approve and deliver one period's report",
    # The tenth working day falls between the 12th and the 25th; a day on which nothing is due changes nothing.
    schedule=PartitionedAssetOrDeadline(assets=LABOUR_MARTS, cron="0 9 12-25 * *", timezone=TIME_ZONE),
    start_date=START_DATE,
    catchup=False,
    # A run that waits for a person must not hold back another month, nor newer figures of its own. The tasks that work
    # run one at a time all the same.
    max_active_runs=32,
    default_args={**DEFAULT_ARGS, "max_active_tis_per_dag": 1},
    deadline=done_within("late_publish_minutes"),
    tags=["用工专项行动", "labour", "发布"],
    doc_md="""
**发布月报** 每个报告期（分区键 `YYYY-MM`）一次运行：集市更新后触发，每月 12—25 日 9:00 另对上月检查一次，防止漏发。
覆盖率不足时发“初步”，达到或到期后发“正式”。
*等待批准（橙色）时*：打开该运行的“批准”任务，在“需要的操作”中看核对结果、覆盖率、未报单位、未处理问题、与上一期的差别和稿件位置，选
Approve 或 Reject；不批准必须写理由。等待不影响其他月份；数字变了，旧的请示作废，按新的请示决定。
*不批准后（送达为粉色“跳过”）*：理由已记入台账，什么也没有发出；数字不变不再请示。改正数据后会自动重新请示；数字不改而要再议的，
`make office ARGS="resubmit --period 2026-10 --reason 理由"`，再以该报告期为分区键触发本流程。
*任务变红时*：“生成”红且日志写明“核对不一致”，说明报告数字与原始数据对不上，**不得人工发出**，把日志交数据组；“送达”红说明邮件或推送
没有全部送出（月报已在发件箱），按日志排除后点“清除”，只补发没有送出的。其他错误修好后点“清除”重跑。重跑安全：同样的数据得到完全相同的文件，
不会重复送达。

**Publish report**: one run per period (partition key `YYYY-MM`), started by updated marts, and each morning from the
12th to the 25th for the month before so that no month is forgotten. Below the coverage threshold it issues a
provisional report, else the final one.
*Waiting for approval (orange)*: open the task `approve` of the run, *Required actions*: reconciliation, coverage, who
is missing, open findings, what changed, where the draft lies. Approve, or Reject with a reason. Other months go on
meanwhile; when the figures change, the old request lapses and a new one is made.
*After a refusal (`deliver` is skipped)*: the reason is in the ledger, nothing went out, and the same figures are not
asked about again. Mended data are asked about by themselves; to reconsider the same figures, use the command
above and trigger this DAG with the period as partition key.
*When a task is red*: `render` red with a reconciliation mismatch means that a printed figure differs from the raw data:
**do not issue by hand**, pass the log to the data team. `deliver` red: the report lies in the outbox, and some mails or
webhook messages did not go out; mend what the log names and clear, which sends those alone. Anything else: mend and
clear. Clearing is safe: the same data give the same bytes, and each delivery is sent once.
See `docs/publishing.md` and `docs/runbooks/red-task.md`.
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
        from include.pipeline.publish import ReportRefused
        from include.pipeline.publish import render as render_reports

        try:
            return render_reports(decision)
        except ReportRefused as refused:
            raise AirflowSkipException(str(refused)) from refused

    @task(task_display_name="送达 Deliver")
    def deliver(rendered: Any) -> dict:
        from include.pipeline.publish import ReportSuperseded
        from include.pipeline.publish import deliver as deliver_reports

        try:
            return deliver_reports(rendered)
        except ReportSuperseded as superseded:
            raise AirflowSkipException(str(superseded)) from superseded

    rendered = render(gate())
    approve = ReportApproval(
        # Any number may wait: the limit is for tasks that work.
        task_id="approve",
        task_display_name="批准 Approve",
        draft=rendered,
        max_active_tis_per_dag=None,
    )
    approve >> deliver(rendered)


publish_report()
