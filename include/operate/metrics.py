"""Airflow's metrics by one setting, ``METRICS_URL``: the collector they go to. Empty: there are none.

``python -m include.operate.metrics COMMAND…`` becomes the command with what the setting means to Airflow in its
environment: compose files and container images know no other way to derive one variable from another.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from include.settings import Settings, get_settings

SERVICE = "labour-reporting"


def metrics_environment(settings: Settings) -> dict[str, str]:
    """Airflow's settings and OpenTelemetry's variables; empty without a collector.

    What stands in the environment already (``OTEL_METRIC_EXPORT_INTERVAL``, ``OTEL_EXPORTER_OTLP_HEADERS``, …) is
    OpenTelemetry's own and stays.
    """
    if not settings.metrics_url:
        return {}
    return {
        "AIRFLOW__METRICS__OTEL_ON": "True",
        # One name a metric, with DAG and task as its attributes, instead of one a task.
        "AIRFLOW__METRICS__LEGACY_NAMES_ON": "False",
        "OTEL_EXPORTER_OTLP_ENDPOINT": settings.metrics_url.rstrip("/"),
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_SERVICE_NAME": SERVICE,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Become the command; returns only when there is none."""
    command = list(sys.argv[1:] if arguments is None else arguments)
    if not command:
        print("error: name the command: python -m include.operate.metrics airflow scheduler", file=sys.stderr)
        return 2
    os.execvpe(command[0], command, {**os.environ, **metrics_environment(get_settings())})


if __name__ == "__main__":
    sys.exit(main())
