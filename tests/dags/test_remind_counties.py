"""The reminders' DAG: when it ticks, when it skips itself, what turns it red."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pendulum
import pytest

PROJECT_ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def dag() -> Any:
    from airflow.dag_processing.dagbag import DagBag

    return DagBag(str(PROJECT_ROOT / "dags" / "remind_counties.py")).dags["remind_counties"]


@pytest.mark.parametrize(
    ("now", "last", "expected"),
    [
        # Switched on at noon: nothing that is over is made good.
        ("2026-10-09T12:00:00", None, "2026-10-10T08:30:00"),
        # Saturday 10 October 2026 is worked for National Day: the clock ticks on it.
        ("2026-10-09T08:31:00", "2026-10-09T08:30:00", "2026-10-10T08:30:00"),
        # Down since Tuesday: the tick of today is made good, once.
        ("2026-10-16T10:00:00", "2026-10-13T08:30:00", "2026-10-16T08:30:00"),
    ],
)
def test_ticks(dag: Any, now: str, last: str | None, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.serialization.serialized_objects import DagSerialization
    from airflow.timetables import trigger
    from airflow.timetables.base import DataInterval, TimeRestriction

    timetable = DagSerialization.from_dict(DagSerialization.to_dict(dag)).timetable
    moment = pendulum.parse(now, tz="Asia/Shanghai").in_timezone("UTC")
    monkeypatch.setattr(trigger, "utcnow", lambda: moment)
    before = DataInterval.exact(pendulum.parse(last, tz="Asia/Shanghai").in_timezone("UTC")) if last else None
    earliest = pendulum.datetime(2026, 1, 1, tz="Asia/Shanghai")
    info = timetable.next_dagrun_info(
        last_automated_data_interval=before,
        restriction=TimeRestriction(earliest=earliest, latest=None, catchup=False),
    )
    assert info.run_after == pendulum.parse(expected, tz="Asia/Shanghai")


def outcome(**changes: Any) -> dict[str, Any]:
    return {"day": "2026-10-10", "is_working_day": True, "periods": [], "down": [], "refused": []} | changes


def run(dag: Any, monkeypatch: pytest.MonkeyPatch, result: dict[str, Any], **params: Any) -> Any:
    import include.pipeline.remind as pipeline

    asked: list[str | None] = []

    def remind(period: str | None = None) -> dict[str, Any]:
        asked.append(period)
        return result

    monkeypatch.setattr(pipeline, "remind", remind)
    returned = dag.get_task("remind").python_callable(params=params)
    return asked, returned


def test_a_period_is_handed_on(dag: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(dag, monkeypatch, outcome(), period="2026-09") == (["2026-09"], outcome())
    assert run(dag, monkeypatch, outcome(), period=None) == ([None], outcome())
    assert dag.params.get_param("period").schema["pattern"] == "^[0-9]{4}-(0[1-9]|1[0-2])$"
    assert dag.params.get_param("period").resolve() is None


def test_a_day_off_is_skipped(dag: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.sdk.exceptions import AirflowSkipException

    with pytest.raises(AirflowSkipException, match="2026-10-10 is no working day"):
        run(dag, monkeypatch, outcome(is_working_day=False))


def test_a_channel_that_is_down_is_tried_again_and_a_refused_mailbox_is_not(
    dag: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.sdk import RetryAction

    from include.pipeline.remind import ChannelsDown, DigestsRefused

    policy = dag.get_task("remind").retry_policy
    with pytest.raises(ChannelsDown) as down:
        run(dag, monkeypatch, outcome(down=["邮件：连接不上"], refused=["灵山县"]))
    assert policy.evaluate(down.value, 1, 2).action is RetryAction.RETRY
    with pytest.raises(DigestsRefused) as refused:
        run(dag, monkeypatch, outcome(refused=["灵山县"]))
    assert policy.evaluate(refused.value, 1, 2).action is RetryAction.FAIL
