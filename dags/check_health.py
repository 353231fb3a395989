"""Look whether the system is well, and say so when it is not: one digest to whoever runs it."""

from __future__ import annotations

from typing import Any

from airflow.sdk import dag, task

from labour_conventions import DEFAULT_ARGS, START_DATE, TIME_ZONE
from labour_timetables import CronFromNowOn


@dag(
    dag_id="check_health",
    dag_display_name="5 运行检查 · Check health",
    description="每半小时检查系统是否正常，有问题只发一份通知 / Is the system well? One digest when it is not",
    schedule=CronFromNowOn("*/30 * * * *", timezone=TIME_ZONE),
    start_date=START_DATE,
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    tags=["用工专项行动", "labour", "运维"],
    doc_md="""
**运行检查** 每半小时一次，也可手动运行：停滞的报告期、超时和失败的运行、没有读取的文件、等待批准的更正和月报稿、没有送
出的月报和提醒、不通的渠道、磁盘、数据库、备份。问题出现、变化、恢复时发一份通知（在发件箱“运行状况”；配置了邮箱
`HEALTH_MAIL` 或消息推送的同时发送），没有恢复的每天早上再说一次；一切正常时不打扰。`make health` 随时查看。检查项目、
阈值和处置办法见 `docs/monitoring.md`。*任务变红时*：检查本身没有做成。`DigestNotSent`：邮件或推送连接不上，
通知已在发件箱，下次检查自动补发；数据库连接不上：已另行通知，修好后自动恢复。只读不改，随时可以清除重跑，不会重复通知。

**Check health** runs every half hour and by hand: stuck periods, late and failed runs, files not read, corrections and
reports that wait for a person, letters not sent, channels that are down, disk, database, backups. A digest goes out
when a problem appears, changes or ends, and each morning while it lasts (outbox `运行状况`; mail to `HEALTH_MAIL` and
webhook where these are set); all well, all quiet. `make health` shows the same at any time. What is checked,
thresholds, what to do: `docs/monitoring.md`. *When a task is red*: the check itself could not be made. `DigestNotSent`:
mail or webhook is down; the digest lies in the outbox and the next check sends it. Database unreachable: said
separately, once a day. It only reads; clearing is safe and says nothing twice. See `docs/runbooks/red-task.md`.
""",
)
def check_health() -> None:
    @task(task_display_name="检查 Check")
    def look() -> dict[str, Any]:
        from airflow.sdk.observability import stats

        from include.health.run import check, require_sent

        result = check()
        for name, of, value in result["figures"]:
            stats.gauge(f"labour.{name}", value, tags={"folder": of} if of else None)
        require_sent(result)
        return result

    look()


check_health()
