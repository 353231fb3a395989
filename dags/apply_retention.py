"""Remove what need not be kept any longer, once a month, and record what went."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Param, dag, get_current_context, task

from labour_conventions import DEFAULT_ARGS, START_DATE, TIME_ZONE
from labour_timetables import CronFromNowOn

# A task is kept from Airflow's database by a made-up address in place of the real one. This command is Airflow's own
# way of clearing old runs away, and is given the address back that its asynchronous side is configured with.
CLEAN = """\
{% set before = ti.xcom_pull(task_ids="remove")["metadata_before"] %}
{% if before and not params.dry_run %}
export AIRFLOW__DATABASE__SQL_ALCHEMY_CONN="${AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC/+asyncpg/+psycopg2}"
exec airflow db clean --yes --skip-archive --error-on-cleanup-failure --clean-before-timestamp "{{ before }}"
{% else %}
echo "kept: no time is set, or this is a dry run"
{% endif %}
"""


@dag(
    dag_id="apply_retention",
    dag_display_name="6 保存期限 · Apply retention",
    description="按规定的期限清除到期内容并记录 / Removes what has outlived its time and records it",
    schedule=CronFromNowOn("0 3 3 * *", timezone=TIME_ZONE),
    start_date=START_DATE,
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    tags=["用工专项行动", "labour", "保存期限"],
    params={
        "dry_run": Param(
            False,
            type="boolean",
            title="只看不清 Dry run",
            description="只列出到期内容，不清除。 Lists what would go and removes nothing.",
        )
    },
    doc_md="""
**保存期限** 每月3日凌晨3点一次，也可手动运行（勾选“只看不清”则只列出）。期限在 `include/config/retention.yaml`，
每条有负责人和理由；凭据（原件、个人信息、暂扣行、问题明细）未设期限的长期保存，未封账的月份一律不动，最近一次备份里没有的不清。
清除了什么记在 `intake.removal`；已建的集市和已发的月报不变，溯源时说明原件已清除。*任务变红时*：看日志最后一行，
排除原因后点“清除”重跑；中断的会接着做。

**Apply retention** runs on the 3rd of each month at 3:00 and by hand (tick *dry run* to see what would go). The times
are set in `include/config/retention.yaml`, each with owner and reason. Evidence without a time set is kept for good,
months that are not closed are left alone, and what the newest backup lacks stays. What went is recorded in
`intake.removal`; no mart and no report changes, and a trace says that the original was removed. *When a task is red*:
read the last line of its log, mend the cause, clear the task: what was interrupted is taken up.
See `docs/retention.md` and `docs/runbooks/red-task.md`.
""",
)
def apply_retention() -> None:
    @task(task_display_name="清除到期内容 Remove")
    def remove(params: dict | None = None) -> dict[str, Any]:
        from include.retention.applying import run_retention

        return run_retention(get_current_context()["run_id"], dry_run=bool((params or {}).get("dry_run")))

    @task.bash(task_display_name="清理运行记录 Clean metadata", append_env=True)
    def clean_metadata() -> str:
        return CLEAN

    remove() >> clean_metadata()


apply_retention()
