"""The reporting period as partition: who emits it, who is started by it, and by the clock."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pendulum
import pytest

PROJECT_ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def dags() -> dict[str, Any]:
    from airflow.dag_processing.dagbag import DagBag

    return dict(DagBag(str(PROJECT_ROOT / "dags")).dags)


@pytest.fixture(scope="module")
def stored(dags: dict[str, Any]) -> dict[str, Any]:
    """The DAGs as the scheduler has them: written to the metadata database and read back."""
    from airflow.serialization.serialized_objects import DagSerialization

    return {dag_id: DagSerialization.from_dict(DagSerialization.to_dict(dag)) for dag_id, dag in dags.items()}


def _assets(timetable: Any) -> list[str]:
    return [key.name for key, _ in timetable.asset_condition.iter_assets()]


def test_each_consumer_listens_to_what_its_producer_emits(dags: dict[str, Any], stored: dict[str, Any]) -> None:
    announce = dags["collect_submissions"].get_task("announce")
    build_marts = dags["build_warehouse"].get_task("build_marts")
    assert [asset.name for asset in announce.outlets] == ["county_submissions"]
    assert _assets(stored["build_warehouse"].timetable) == ["county_submissions"]
    assert [asset.name for asset in build_marts.outlets] == ["labour_marts"]
    assert _assets(stored["publish_report"].timetable) == ["labour_marts"]


def test_consumers_are_partitioned_and_the_collection_finds_partitions_at_runtime(stored: dict[str, Any]) -> None:
    assert stored["build_warehouse"].timetable.partitioned
    assert stored["publish_report"].timetable.partitioned
    assert stored["collect_submissions"].timetable.partitioned_at_runtime
    assert not stored["collect_submissions"].timetable.partitioned


def test_a_period_passes_through_the_mapper_unchanged(stored: dict[str, Any]) -> None:
    for dag_id, asset in (("build_warehouse", "county_submissions"), ("publish_report", "labour_marts")):
        assert stored[dag_id].timetable.get_partition_mapper(name=asset).to_downstream("2026-10") == "2026-10"


def test_only_the_announcing_task_has_the_outlet(dags: dict[str, Any]) -> None:
    """A producer that adds no partition would emit a plain event, which starts nobody: `collect` has no outlet, and
    `announce` is mapped over the periods, so that with none it is skipped."""
    dag = dags["collect_submissions"]
    assert not dag.get_task("collect").outlets
    announce = dag.get_task("announce")
    assert announce.is_mapped
    assert announce.partial_kwargs["max_active_tis_per_dagrun"] == 1


class _Recorder(dict):
    """Outlet events as a task sees them, remembering the partitions added."""

    def __missing__(self, asset: Any) -> Any:
        self[asset] = accessor = type("Accessor", (), {"partitions": None})()
        accessor.add_partitions = lambda keys, to=accessor: setattr(to, "partitions", keys)
        return accessor


def test_announce_adds_its_period_and_marts_add_every_period_rebuilt(
    dags: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    import include.pipeline.build as build

    events = _Recorder()
    announce = dags["collect_submissions"].get_task("announce")
    announce.python_callable("2026-02", outlet_events=events)
    assert {asset.name: seen.partitions for asset, seen in events.items()} == {"county_submissions": "2026-02"}

    calls = []

    def build_marts(*given: Any) -> dict[str, Any]:
        calls.append(given)
        return {"period": "2026-02", "periods": ["2026-02", "2026-03"]}

    monkeypatch.setattr(build, "build_marts", build_marts)
    events = _Recorder()
    task = dags["build_warehouse"].get_task("build_marts")
    task.python_callable({"period": "2026-02", "run_key": "k", "seconds": {"read": 1.0}}, outlet_events=events)
    assert calls == [("2026-02", "k", {"read": 1.0})]
    assert {asset.name: seen.partitions for asset, seen in events.items()} == {"labour_marts": ["2026-02", "2026-03"]}


@pytest.mark.parametrize("dag_id", ["build_warehouse", "publish_report"])
def test_a_run_without_a_period_says_what_to_do(dags: dict[str, Any], dag_id: str) -> None:
    first = dags[dag_id].get_task("read" if dag_id == "build_warehouse" else "gate")
    with pytest.raises(ValueError, match="partition key such as 2026-10"):
        first.python_callable(partition_key=None)


def _next(timetable: Any, now: str, last: str | None, monkeypatch: pytest.MonkeyPatch) -> Any:
    from airflow.timetables import trigger
    from airflow.timetables.base import DagRunInfo, DataInterval, TimeRestriction

    moment = pendulum.parse(now, tz="Asia/Shanghai")
    monkeypatch.setattr(trigger, "utcnow", lambda: moment.in_timezone("UTC"))
    before = None
    if last:
        tick = pendulum.parse(last, tz="Asia/Shanghai").in_timezone("UTC")
        at_tick = DataInterval.exact(tick)
        before = DagRunInfo(run_after=tick, data_interval=at_tick, partition_date=None, partition_key=None)
    restriction = TimeRestriction(
        earliest=pendulum.datetime(2026, 1, 1, tz="Asia/Shanghai"), latest=None, catchup=False
    )
    return timetable.next_dagrun_info_v2(last_dagrun_info=before, restriction=restriction)


@pytest.mark.parametrize(
    ("now", "last", "expected"),
    [
        # Switched on for the first time on a Friday afternoon: the next half hour, not the one gone by.
        ("2026-10-16T14:10:00", None, "2026-10-16T14:30:00"),
        # After the last tick of Friday comes the first of Monday.
        ("2026-10-16T18:45:00", "2026-10-16T18:30:00", "2026-10-19T08:00:00"),
        # Three days down: one tick is made good, not sixty.
        ("2026-10-21T09:10:00", "2026-10-16T18:30:00", "2026-10-21T09:00:00"),
    ],
)
def test_collection_ticks(
    stored: dict[str, Any], now: str, last: str | None, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = _next(stored["collect_submissions"].timetable, now, last, monkeypatch)
    assert info.run_after == pendulum.parse(expected, tz="Asia/Shanghai")
    assert info.partition_key is None


@pytest.mark.parametrize(
    ("now", "last", "tick", "period"),
    [
        ("2026-11-05T08:00:00", None, "2026-11-12T09:00:00", "2026-10"),
        ("2026-11-12T09:00:01", "2026-11-12T09:00:00", "2026-11-13T09:00:00", "2026-10"),
        ("2026-11-25T10:00:00", "2026-11-25T09:00:00", "2026-12-12T09:00:00", "2026-11"),
        # The month before January is December of the year before.
        ("2027-01-10T10:00:00", "2026-12-25T09:00:00", "2027-01-12T09:00:00", "2026-12"),
    ],
)
def test_publication_by_the_clock_takes_the_month_before(
    stored: dict[str, Any], now: str, last: str | None, tick: str, period: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = _next(stored["publish_report"].timetable, now, last, monkeypatch)
    assert info.run_after == pendulum.parse(tick, tz="Asia/Shanghai")
    assert info.partition_key == period
    assert info.partition_date == pendulum.parse(f"{period}-01", tz="Asia/Shanghai")


def test_every_tenth_working_day_lies_within_the_days_of_the_clock() -> None:
    """The cron runs from the 12th to the 25th; the closing day of each month of 2025 and 2026 falls into it."""
    from include.intake.calendar import nth_working_day

    months = [f"{year}-{month:02d}" for year in (2025, 2026) for month in range(1, 13)][:-1]
    days = [(nth_working_day(period, 10) + timedelta(days=1)).day for period in months]
    assert min(days) >= 12
    assert max(days) <= 25


@pytest.mark.parametrize(
    ("asked_for", "announced"), [(None, ["2026-09", "2026-10"]), ("2026-10", ["2026-10"]), ("2026-08", [])]
)
def test_a_collection_of_one_period_announces_it_alone(
    dags: dict[str, Any], monkeypatch: pytest.MonkeyPatch, asked_for: str | None, announced: list[str]
) -> None:
    import include.pipeline.collect as pipeline

    found = pipeline.CollectResult(periods=["2026-09", "2026-10"], files=2, new=2, duplicates=0, refused=0)
    monkeypatch.setattr(pipeline, "collect", lambda inbox, reopen=None: found)
    collect = dags["collect_submissions"].get_task("collect").python_callable
    assert collect(params={"inbox": None}, partition_key=asked_for) == announced
