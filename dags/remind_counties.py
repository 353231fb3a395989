"""Remind the counties: before the due day, on it and after, one digest a reporter, month and stage."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Param, dag, task
from airflow.sdk.exceptions import AirflowSkipException

from labour_conventions import DEFAULT_ARGS, START_DATE, TIME_ZONE
from labour_timetables import CronFromNowOn


@dag(
    dag_id="remind_counties",
    dag_display_name="4 催报提醒 · Remind counties",
    description="截止前、截止日、逾期各提醒一次未报、退回和待说明的单位 / Who is missing, refused or owes an answer",
    # Every day: a make-up Saturday is a working day and may be the due day. On a day off the task skips itself.
    schedule=CronFromNowOn("30 8 * * *", timezone=TIME_ZONE),
    start_date=START_DATE,
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    tags=["用工专项行动", "labour", "提醒"],
    params={
        "period": Param(
            None,
            type=["null", "string"],
            pattern="^[0-9]{4}-(0[1-9]|1[0-2])$",
            title="报告期 Period",
            description="只提醒这一个月（YYYY-MM），非工作日也做；留空则提醒所有未封账的月份。"
            " One month alone, on any day; empty for all months not closed.",
        )
    },
    doc_md="""
**催报提醒** 每个工作日 8:30 一次（按国务院放假调休安排，调休上班的周六也算），也可手动运行（`period` 只提醒一个月）。
截止前、截止日、逾期三个阶段，每个单位每阶段一份：哪些表未报、哪些退回及原因、哪些行暂扣、哪些提示等待情况说明。无待办的单位
不提醒。提醒写入发件箱 `<报告期>/提醒/<单位>/`；配置了邮箱或消息推送的同时发送。*任务变红时*：看日志最后一行。邮件或推送
连接不上：其他提醒已全部发出，修好后点“清除”即可补发；收件地址被拒：改 `include/config/contacts.csv` 后清除。
重跑不会重复提醒。

**Remind counties** runs at 8:30 on every working day (make-up Saturdays included) and by hand (`period` names one
month). Three stages, one digest a reporter and stage: forms missing, refused and why, rows held back, warnings that
wait for an answer; who has nothing to do gets nothing. Digests lie in the outbox under `<period>/提醒/<reporter>/`, and
go by mail and webhook where these are set. *When a task is red*: read the last line of its log. A channel that is down:
all other digests are out; mend it, then clear the task, which sends what waits. A refused mailbox: mend
`include/config/contacts.csv`, clear. Clearing is safe: each digest is sent once.
See `docs/runbooks/red-task.md`.
""",
)
def remind_counties() -> None:
    @task(task_display_name="提醒 Remind")
    def remind(params: dict | None = None) -> dict[str, Any]:
        from include.pipeline.remind import remind as remind_reporters
        from include.pipeline.remind import require_delivered

        result = remind_reporters(period=(params or {}).get("period"))
        if not result["is_working_day"] and not result["periods"]:
            raise AirflowSkipException(f"{result['day']} is no working day: nobody is reminded")
        require_delivered(result)
        return result

    remind()


remind_counties()
