"""Timetables of the reporting chain, registered with Airflow as a plugin.

A reporting period (``YYYY-MM``) is the partition key of every run that builds or publishes.
"""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

from airflow.plugins_manager import AirflowPlugin
from airflow.timetables.base import DagRunInfo, DataInterval, TimeRestriction
from airflow.timetables.simple import PartitionedAssetTimetable
from airflow.timetables.trigger import CronTriggerTimetable

if TYPE_CHECKING:
    from airflow.sdk.definitions.asset import BaseAsset
    from airflow.serialization.definitions.assets import SerializedAssetBase
    from pendulum import DateTime

# A tick that passed this recently still fires. Ticks older than this, from before a DAG was first switched on, do not:
# switching a DAG on must not start a run that nobody asked for.
GRACE = datetime.timedelta(minutes=1)


class CronFromNowOn(CronTriggerTimetable):
    """A cron that begins when its DAG is first switched on; a tick missed while the system was down is made good once.

    Args:
        cron: cron expression.
        timezone: name of the time zone the expression is read in.
    """

    def __init__(self, cron: str, *, timezone: Any, **rest: Any) -> None:
        super().__init__(cron, timezone=timezone, **{"run_immediately": GRACE, **rest})

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        """Next tick after the last one; the first one after the DAG was switched on."""
        return super().next_dagrun_info(
            last_automated_data_interval=last_automated_data_interval,
            restriction=TimeRestriction(earliest=None, latest=restriction.latest, catchup=False),
        )


class CronWithRuntimePartitions(CronFromNowOn):
    """A :class:`CronFromNowOn` whose runs find out while running which periods they touch.

    The producing task emits one event per period with ``outlet_events[asset].add_partitions(period)``; Airflow
    accepts that only from a timetable that says ``partitioned_at_runtime``.
    """

    partitioned_at_runtime = True


class PartitionedAssetOrDeadline(PartitionedAssetTimetable):
    """Runs once per updated partition of an asset, and by the clock for the month before.

    The clock makes sure that a period is looked at around its deadline even when no event arrived for it (a partition
    event can stay pending). What runs must therefore be idempotent.

    Args:
        assets: the asset whose partitions (``YYYY-MM``) start a run each.
        cron: when to run for the previous calendar month.
        timezone: name of the time zone the expression is read in.
    """

    def __init__(self, *, assets: BaseAsset | SerializedAssetBase, cron: str, timezone: str) -> None:
        super().__init__(assets=assets)  # type: ignore[arg-type]  # the base class accepts SDK assets too
        self._cron = cron
        self._timezone = timezone
        self._deadline = CronFromNowOn(cron, timezone=timezone)
        self.description = f"Partitioned asset, or {self._deadline.description} for the month before"

    @property
    def summary(self) -> str:
        """What the DAG list shows."""
        return f"Partitioned Asset or {self._cron}"

    def next_dagrun_info_v2(
        self, *, last_dagrun_info: DagRunInfo | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        """The next tick, with the calendar month before it as partition."""
        last = DataInterval.exact(last_dagrun_info.run_after) if last_dagrun_info else None
        tick = self._deadline.next_dagrun_info(last_automated_data_interval=last, restriction=restriction)
        if tick is None:
            return None
        month = _month_before(tick.run_after.in_timezone(self._timezone))
        return DagRunInfo(
            run_after=tick.run_after,
            data_interval=None,
            partition_date=month.in_timezone("UTC"),
            partition_key=month.strftime("%Y-%m"),
        )

    def serialize(self) -> dict[str, Any]:
        """JSON-able form, read back by :meth:`deserialize`."""
        from airflow.serialization.encoders import encode_asset_like

        return {
            "asset_condition": encode_asset_like(self.asset_condition),
            "cron": self._cron,
            "timezone": self._timezone,
        }

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> PartitionedAssetOrDeadline:
        """The timetable from what :meth:`serialize` gave."""
        from airflow.serialization.decoders import decode_asset_like

        return cls(assets=decode_asset_like(data["asset_condition"]), cron=data["cron"], timezone=data["timezone"])


def _month_before(moment: DateTime) -> DateTime:
    return moment.start_of("month").subtract(months=1)


class LabourTimetables(AirflowPlugin):
    """Makes the timetables known to the scheduler and the API server."""

    name = "labour_timetables"
    timetables = [CronFromNowOn, CronWithRuntimePartitions, PartitionedAssetOrDeadline]  # noqa: RUF012 - as the base class has it
