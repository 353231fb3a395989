"""The status page in Airflow's navigation: its pages below ``/labour``, shown in a frame of the UI.

Airflow does not authenticate what a plugin mounts. Every address of the page therefore asks Airflow's own dependency
first: it takes a signed-in user who may read the DAG that publishes the report, under any auth manager.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

from airflow.plugins_manager import AirflowPlugin

DAG_ID = "publish_report"
PREFIX = "labour"


class LabourStatusPage(AirflowPlugin):
    """Who has reported, what was found, which reports were issued, what waits for the office."""

    name = "labour_status_page"
    external_views = [  # noqa: RUF012 - as the base class has it
        {
            "name": "月报情况",
            "href": f"{PREFIX}/",
            "url_route": PREFIX,
            "destination": "nav",
            "nav_top_level": True,
            "icon": f"{PREFIX}/icon.svg",
            "icon_dark_mode": f"{PREFIX}/icon-dark.svg",
        }
    ]

    @cached_property
    def fastapi_apps(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """Made when the API server asks: the other components load this file too, and need none of it."""
        from airflow.api_fastapi.core_api.security import requires_access_dag

        from include.status.app import create_app

        app = create_app(requires_access_dag("GET", param_dag_id=DAG_ID))
        return [{"app": app, "url_prefix": f"/{PREFIX}", "name": self.name}]
