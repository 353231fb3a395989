"""Build one reporting period: read its pending files, check them, load them, build the marts."""

from __future__ import annotations

from typing import Any

from airflow.sdk import PartitionedAssetTimetable, dag, task

from labour_conventions import COUNTY_SUBMISSIONS, DEFAULT_ARGS, LABOUR_MARTS, START_DATE, done_within


@dag(
    dag_id="build_warehouse",
    dag_display_name="2 建库 · Build warehouse",
    description="读取、校验、入库、生成集市，一次一个报告期 / Read, validate, load and build the marts of one period",
    schedule=PartitionedAssetTimetable(assets=COUNTY_SUBMISSIONS),
    start_date=START_DATE,
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    deadline=done_within("late_build_minutes"),
    tags=["用工专项行动", "labour", "建库"],
    doc_md="""
**建库** 每个报告期（分区键 `YYYY-MM`）一次运行，由“收集报送”触发；手动运行时在“分区键”一栏填报告期。
*任务变红时*：数据问题不会变红（记入问题清单并退回填报单位），变红是系统问题。“读取”“校验”“入库”红：看日志，修好后
点“清除”重跑本次运行；“生成集市”红：多为数据库断开或模型测试不过，日志列出是哪个模型，修好后只清除这一步即可。
任何一步重跑都安全，入库在一个事务里，要么全部、要么没有。

**Build warehouse**: one run per period (partition key `YYYY-MM`), started by the collection; by hand, type the period
as partition key. *When a task is red*: bad data never turns a task red (it becomes findings and returned workbooks), so
red is the system's fault. `read`, `validate`, `load`: read the log, mend, clear the run. `build_marts`: the log names
the dbt model or test; mend and clear this task alone. Clearing is safe at every step: each load is one transaction.
See `docs/runbooks/red-task.md`.
""",
)
def build_warehouse() -> None:
    @task(task_display_name="读取 Read")
    def read(partition_key: str | None = None, run_id: str | None = None) -> dict:
        from include.pipeline.build import read_pending

        if not partition_key:
            raise ValueError("this run has no period: trigger build_warehouse with a partition key such as 2026-10")
        return read_pending(partition_key, str(run_id))

    @task(task_display_name="校验 Validate")
    def validate(batch: Any) -> dict:
        from include.pipeline.validate import validate_batch

        return validate_batch(batch)

    @task(task_display_name="入库 Load")
    def load(batch: Any) -> dict:
        from include.pipeline.load import load_batch

        return load_batch(batch)

    # A correction of an earlier month changes the comparisons of later ones: each month rebuilt is published anew.
    @task(task_display_name="生成集市 Build marts", outlets=[LABOUR_MARTS])
    def build_marts(batch: Any, outlet_events: Any = None) -> dict:
        from include.pipeline.build import build_marts as build

        built = build(batch["period"], batch["run_key"], batch["seconds"])
        outlet_events[LABOUR_MARTS].add_partitions(built["periods"])
        return built

    build_marts(load(validate(read())))


build_warehouse()
