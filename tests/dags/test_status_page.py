"""The status page within a real Airflow: in the navigation, and for nobody but its signed-in users."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from include.warehouse.connection import connect

PERIOD = "2026-03"


@pytest.fixture(scope="module")
def airflow(airflow_core: Any) -> Iterator[TestClient]:
    """The web interface as a visitor without anything sees it."""
    with TestClient(airflow_core.app, follow_redirects=False) as client:
        yield client


@pytest.fixture
def ledger(clean_warehouse: str) -> None:
    """A month in which one county is expected."""
    with connect() as conn:
        conn.execute(
            "insert into intake.reporter values"
            " ('450721', '灵山县', '450721', '450700', '市级试点', '2022-02-25', null, true)"
        )
        conn.execute(
            "insert into intake.reporting_period (period, due_on, closes_on) values (%s, '2026-04-08', '2026-04-15')",
            (PERIOD,),
        )
        conn.execute(
            "insert into intake.expected_report values (%s, '450721', 'enterprise_status', '2026-04-08')", (PERIOD,)
        )


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_it_stands_in_the_navigation(airflow: TestClient, airflow_core: Any) -> None:
    headers = bearer(airflow_core.token("王五", "ADMIN"))
    answer = airflow.get("/api/v2/plugins", headers=headers).json()
    [plugin] = [one for one in answer["plugins"] if one["name"] == "labour_status_page"]
    [view] = plugin["external_views"]
    assert (view["name"], view["destination"], view["nav_top_level"]) == ("月报情况", "nav", True)
    assert airflow.get("/api/v2/plugins/importErrors", headers=headers).json()["total_entries"] == 0
    # Relative to Airflow's own address, so that it holds behind a proxy with a prefix too.
    for address, kind in (
        (view["href"], "text/html"), (view["icon"], "image/svg+xml"), (view["icon_dark_mode"], "image/svg+xml"),
    ):  # fmt: skip
        assert not address.startswith("/")
        assert airflow.get(f"/{address}", headers=headers).headers["content-type"].startswith(kind)


def test_nobody_sees_it_without_signing_in(airflow: TestClient, airflow_core: Any, ledger: None) -> None:
    [mounted] = [route for route in airflow_core.app.routes if getattr(route, "path", "") == "/labour"]
    paths = [route.path for route in mounted.app.routes if isinstance(route, APIRoute)]
    assert {"/", "/month", "/findings", "/reporter", "/reports", "/waiting", "/download"} <= set(paths)
    for path in paths:
        for headers, status in (
            ({}, 401),
            ({"Authorization": "Basic YWRtaW46YWRtaW4="}, 401),
            (bearer("nonsense"), 403),
            ({"Cookie": "_token=nonsense"}, 403),
        ):
            answer = airflow.get(f"/labour{path}", headers=headers)
            assert answer.status_code == status, (path, headers)
            assert "灵山县" not in answer.text


def test_who_may_read_the_reports_dag_sees_it(airflow: TestClient, airflow_core: Any, ledger: None) -> None:
    for role, status in (("VIEWER", 200), ("ADMIN", 200), (None, 403)):
        token = airflow_core.token("王五", role)
        # The frame in Airflow's page comes with the cookie, a program with the header.
        for headers in (bearer(token), {"Cookie": f"_token={token}"}):
            answer = airflow.get(f"/labour/month?period={PERIOD}", headers=headers)
            assert answer.status_code == status, (role, headers)
            assert ("灵山县" in answer.text) == (status == 200)
            assert "frame-ancestors 'self'" in answer.headers["content-security-policy"]
    assert "没有权限" in answer.text
