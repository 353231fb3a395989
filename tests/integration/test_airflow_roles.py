"""Roles of production's Airflow, asked over HTTP: who approves, who looks, who mends, and what each may not."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest
from psycopg import sql

from deploy import airflow_roles
from include.settings import PROJECT_ROOT
from include.warehouse import embedded
from tests.conftest import SESSION_FOLDER
from tests.fab_airflow import DAG, PASSWORD, RUN, TASK, USERS
from tests.receivers import free_port

HITL = f"/api/v2/dags/{DAG}/dagRuns/{RUN}/taskInstances/{TASK}/-1/hitlDetails"
APPROVE = {"chosen_options": ["Approve"], "params_input": {"reason": ""}}


class Visitor:
    """Somebody with a browser or a program: a user, or nobody."""

    def __init__(self, url: str, name: str | None) -> None:
        self._client = httpx.Client(base_url=url, timeout=60, trust_env=False, follow_redirects=False)
        if name is not None:
            answer = self._client.post("/auth/token", json={"username": name, "password": PASSWORD})
            assert answer.status_code == 201, answer.text
            self._client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def get(self, path: str) -> int:
        return self._client.get(path).status_code

    def read(self, path: str) -> Any:
        return self._client.get(path).json()

    def send(self, method: str, path: str, body: Any) -> int:
        return self._client.request(method, path, json=body).status_code


@pytest.fixture(scope="module")
def airflow(warehouse: str) -> Iterator[str]:
    """Address of the API server."""
    name = f"fab_{uuid4().hex[:8]}"
    with psycopg.connect(embedded.url("postgres"), autocommit=True) as admin:
        admin.execute(sql.SQL("create database {} template template0").format(sql.Identifier(name)))
        # Flask-AppBuilder commits each of its 300 permissions by itself.
        admin.execute(sql.SQL("alter database {} set synchronous_commit = off").format(sql.Identifier(name)))
    port = free_port()
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(SESSION_FOLDER / "fab-airflow"),
        "AIRFLOW__CORE__AUTH_MANAGER": "deploy.sign_in.FabAuthManager",
        "AIRFLOW__FAB__CONFIG_FILE": str(PROJECT_ROOT / "deploy" / "webserver_config.py"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": embedded.url(name, driver="postgresql+psycopg2"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": embedded.url(name, driver="postgresql+asyncpg"),
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
        "AIRFLOW__API__SECRET_KEY": secrets.token_hex(32),
        "PYTHONPATH": str(PROJECT_ROOT),
    }
    log = SESSION_FOLDER / "fab-airflow.log"
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.fab_airflow", str(port)], cwd=PROJECT_ROOT, env=environment, stdout=errors,
            stderr=errors,
        )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 900
        while True:
            try:
                httpx.get(f"{url}/api/v2/version", trust_env=False, timeout=30)
                break
            except httpx.TransportError:
                assert process.poll() is None and time.monotonic() < deadline, log.read_text(errors="replace")[-3000:]
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=30)
        with psycopg.connect(embedded.url("postgres"), autocommit=True) as admin:
            admin.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


@pytest.fixture(scope="module")
def people(airflow: str) -> dict[str, Visitor]:
    """By role; ``None`` signed in as nobody."""
    return {role: Visitor(airflow, name) for name, role in USERS.items()} | {"anonymous": Visitor(airflow, None)}


# What each role gets for a question: status by role, in this order.
ROLES = ("OfficeViewer", "OfficeApprover", "DataEngineer", "Public", "anonymous")
LOOKS = {
    f"/api/v2/dags/{DAG}": (200, 200, 200, 403, 401),
    f"/api/v2/dags/{DAG}/dagRuns": (200, 200, 200, 403, 401),
    f"/api/v2/dags/{DAG}/dagRuns/{RUN}/taskInstances": (200, 200, 200, 403, 401),
    HITL: (200, 200, 200, 403, 401),
    "/labour/": (200, 200, 200, 403, 401),
    "/api/v2/plugins": (200, 200, 200, 403, 401),
    f"/api/v2/dags/{DAG}/dagRuns/{RUN}/taskInstances/{TASK}/logs/1": (403, 403, 404, 403, 401),
    f"/api/v2/dags/{DAG}/dagRuns/{RUN}/taskInstances/{TASK}/xcomEntries": (403, 403, 200, 403, 401),
    f"/api/v2/dagSources/{DAG}": (403, 403, 200, 403, 401),
    "/api/v2/eventLogs": (403, 403, 200, 403, 401),
    "/api/v2/pools": (403, 403, 200, 403, 401),
    "/api/v2/connections": (403, 403, 403, 403, 401),
    "/api/v2/variables": (403, 403, 403, 403, 401),
    "/api/v2/config": (403, 403, 403, 403, 401),
    "/auth/fab/v1/users": (403, 403, 403, 403, 401),
    "/auth/fab/v1/roles": (403, 403, 403, 403, 401),
}


@pytest.mark.parametrize("path", LOOKS)
def test_who_sees_what(people: dict[str, Visitor], path: str) -> None:
    seen = {role: people[role].get(path) for role in ROLES}
    assert seen == dict(zip(ROLES, LOOKS[path], strict=True))
    # Airflow shows its configuration to nobody as long as `expose_config` is off.
    assert people["Admin"].get(path) in ({403} if path.endswith("/config") else {200, 404})


def test_the_account_of_the_health_check_looks_and_changes_nothing(airflow: str) -> None:
    # Signing in proves that its password is the last one given, as that of `admin` is the first (tests/fab_airflow.py).
    health = Visitor(airflow, "health")
    assert [health.get(f"/api/v2/dags/{DAG}/dagRuns"), health.get("/api/v2/importErrors")] == [200, 200]
    assert health.send("POST", f"/api/v2/dags/{DAG}/dagRuns", {"logical_date": None, "conf": {}}) == 403
    assert health.send("PATCH", f"/api/v2/dags/{DAG}?update_mask=is_paused", {"is_paused": True}) == 403


# Method, path, body, who may. Asked of those who may not; of those who may, further down.
DEEDS: dict[str, tuple[str, str, Any, set[str]]] = {
    "decide": ("PATCH", HITL, APPROVE, {"OfficeApprover"}),
    "trigger": ("POST", f"/api/v2/dags/{DAG}/dagRuns", {"logical_date": None, "conf": {}}, {"DataEngineer"}),
    "pause": ("PATCH", f"/api/v2/dags/{DAG}?update_mask=is_paused", {"is_paused": True}, {"DataEngineer"}),
    "clear": (
        "POST", f"/api/v2/dags/{DAG}/clearTaskInstances", {"dry_run": True, "dag_run_id": RUN}, {"DataEngineer"},
    ),
    "mark": (
        "PATCH", f"/api/v2/dags/{DAG}/dagRuns/{RUN}/taskInstances/{TASK}/dry_run", {"new_state": "success"},
        {"DataEngineer"},
    ),
    "delete a run": ("DELETE", f"/api/v2/dags/{DAG}/dagRuns/none", None, {"DataEngineer"}),
    "make a connection": ("POST", "/api/v2/connections", {"connection_id": "x", "conn_type": "http"}, set()),
    "make a variable": ("POST", "/api/v2/variables", {"key": "x", "value": "y"}, set()),
    "make a user": ("POST", "/auth/fab/v1/users", {}, set()),
}  # fmt: skip


@pytest.mark.parametrize("deed", DEEDS)
def test_nobody_does_what_is_not_theirs(people: dict[str, Visitor], deed: str) -> None:
    method, path, body, may = DEEDS[deed]
    for role in ROLES:
        if role not in may:
            assert people[role].send(method, path, body) == (401 if role == "anonymous" else 403), role


def test_each_does_what_is_theirs(people: dict[str, Visitor]) -> None:
    engineer, approver = people["DataEngineer"], people["OfficeApprover"]
    for deed, expected in (("clear", 200), ("mark", 200), ("delete a run", 404), ("pause", 200)):
        method, path, body, _ = DEEDS[deed]
        assert engineer.send(method, path, body) == expected, deed
    assert approver.send("PATCH", HITL, APPROVE) == 200
    decided = approver.read(HITL)
    assert (decided["chosen_options"], decided["responded_by_user"]["name"]) == (["Approve"], "wang")
    assert approver.send("PATCH", HITL, APPROVE) == 409


def test_a_wrong_password_and_a_chosen_weak_one(airflow: str) -> None:
    answer = httpx.post(f"{airflow}/auth/token", json={"username": "wang", "password": "guess"}, trust_env=False)
    assert answer.status_code == 401
    done = subprocess.run(
        [sys.executable, "-c", "import runpy,sys; c=runpy.run_path(sys.argv[1])['FAB_PASSWORD_COMPLEXITY_VALIDATOR']\n"
         "c('Twelve letters 12')\n"
         "for weak in ('Short 1', 'twelvelettersandmore', 'twelve letters 12'[:11]):\n"
         "    try: c(weak)\n"
         "    except Exception as e: print(type(e).__name__)\n",
         str(PROJECT_ROOT / "deploy" / "webserver_config.py")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["PasswordComplexityValidationError"] * 3


# --------------------------------------------------------------------------------------------------- the roles' file


class Pair:
    def __init__(self, action: str, resource: str) -> None:
        self.action, self.resource = type("A", (), {"name": action})(), type("R", (), {"name": resource})()


class Book:
    """Roles as the security manager keeps them, without a database."""

    def __init__(self) -> None:
        self.roles: dict[str, Any] = {}

    def add_role(self, name: str) -> Any:
        return self.roles.setdefault(name, type("Role", (), {"permissions": []})())

    def create_permission(self, action: str, resource: str) -> Pair:
        return Pair(action, resource)

    def add_permission_to_role(self, role: Any, pair: Pair) -> None:
        role.permissions.append(pair)

    def remove_permission_from_role(self, role: Any, pair: Pair) -> None:
        role.permissions.remove(pair)


def test_a_role_becomes_what_the_file_says_and_stays_so() -> None:
    book = Book()
    assert airflow_roles.apply(book, {"Office": {("can_read", "DAGs"), ("can_edit", "DAGs")}}) == [
        "Office: given can_edit on DAGs", "Office: given can_read on DAGs",
    ]  # fmt: skip
    assert airflow_roles.apply(book, {"Office": {("can_read", "DAGs")}}) == ["Office: taken away can_edit on DAGs"]
    assert airflow_roles.apply(book, {"Office": {("can_read", "DAGs")}}) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "needs a list of"),
        ('[{"name": "Office", "resource": "DAGs"}]', "needs a list of"),
        ('[{"name": "Admin", "resource": "DAGs", "action": "can_read"}]', "Airflow's own"),
        ('[{"name": "Office", "resource": "Dags", "action": "can_read"}]', "'can_read' on 'Dags'"),
        ('[{"name": "Office", "resource": "DAGs", "action": "can_se"}]', "'can_se' on 'DAGs'"),
    ],
)
def test_a_file_that_will_not_do_is_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "roles.json"
    path.write_text(text)
    with pytest.raises(airflow_roles.RolesFileError, match=words):
        airflow_roles.read_roles(path, ["DAGs"], ["can_read", "can_edit"])


def test_only_one_role_decides_and_it_changes_nothing_else() -> None:
    entries = json.loads(airflow_roles.FILE.read_text())
    changing = {
        (entry["name"], entry["resource"])
        for entry in entries
        if {"can_edit", "can_create", "can_delete"} & set(entry["action"].split(","))
        and not entry["resource"].startswith("My ")
    }
    assert {resource for name, resource in changing if name == "OfficeApprover"} == {"HITL Detail"}
    assert not {resource for name, resource in changing if name == "OfficeViewer"}
    assert "HITL Detail" not in {resource for name, resource in changing if name == "DataEngineer"}
