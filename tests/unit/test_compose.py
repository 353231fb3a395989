"""docker-compose.yaml and .env: no password by default, health that means health, an executor that scales."""

from __future__ import annotations

import base64
import os
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from include.settings import PROJECT_ROOT
from include.warehouse.env import SECRETS, EnvFileExistsError, write_env

SERVICES = {
    "postgres", "redis", "airflow-init", "api-server", "scheduler", "dag-processor", "triggerer", "worker",
}  # fmt: skip
AIRFLOW = SERVICES - {"postgres", "redis"}
TEXT = (PROJECT_ROOT / "docker-compose.yaml").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load(TEXT)


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, Any]:
    return compose["services"]


def test_the_services_are_these(services: dict[str, Any]) -> None:
    assert set(services) == SERVICES


def test_every_secret_is_required_and_none_has_a_default() -> None:
    used = re.findall(r"\$\{(\w+)(:?[-?])?([^}]*)", TEXT)
    required = {name for name, operator, _ in used if operator == ":?"}
    # What is off unless it is set has an empty default: that is no password.
    optional = {name for name, operator, default in used if operator != ":?" and (operator, default) != (":-", "")}
    assert required == set(SECRETS)
    assert not optional & set(SECRETS)
    assert not [name for name in optional if re.search("PASSWORD|KEY|SECRET|TOKEN", name)]


def test_no_password_is_written_out(services: dict[str, Any]) -> None:
    secretive = re.compile(r"PASSWORD|SECRET|FERNET_KEY|HASH_KEY|AUTH$|URL$|CONN|BROKER|RESULT_BACKEND")
    harmless = re.compile(
        r"^(\d+|\$\{\w+:-\}|http://api-server:8080/execution/|\$\{AIRFLOW_BASE_URL:-http://localhost:8080\})$"
    )
    seen = 0
    for service in services.values():
        for name, given in service.get("environment", {}).items():
            if secretive.search(name) and not harmless.match(given):
                assert ":?" in given, f"{name} is not required"
                seen += 1
    assert seen > 40


def test_only_the_worker_learns_how_letters_are_sent(services: dict[str, Any]) -> None:
    holders = {name for name, service in services.items() if re.search("SMTP_URL|WEBHOOK_", str(service))}
    assert holders == {"worker"}


def test_a_person_approves_each_report_unless_told_otherwise(services: dict[str, Any]) -> None:
    for name in ("worker", "scheduler", "dag-processor"):
        assert services[name]["environment"]["REPORT_APPROVAL"] == "${REPORT_APPROVAL:-on}"


def test_the_admin_login_of_the_database_reaches_the_init_service_only(services: dict[str, Any]) -> None:
    holders = {name for name, service in services.items() if "${POSTGRES_PASSWORD:?" in str(service)}
    assert holders == {"postgres", "airflow-init"}


def test_the_web_server_does_not_hold_the_password_of_the_warehouses_owner(services: dict[str, Any]) -> None:
    holders = {name for name, service in services.items() if "${WAREHOUSE_PASSWORD:?" in str(service)}
    assert holders == AIRFLOW - {"api-server"}
    assert services["api-server"]["environment"]["WAREHOUSE_URL"].startswith("postgresql://status_page:")


def test_every_lasting_service_has_a_health_check(services: dict[str, Any]) -> None:
    for name in SERVICES - {"airflow-init"}:
        check = services[name]["healthcheck"]
        assert check["test"][0] in {"CMD", "CMD-SHELL"}, name
        assert check["retries"] >= 3, name


def test_every_service_is_limited_and_its_log_rotated(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert service["mem_limit"], name
        assert service["logging"]["options"] == {"max-size": "10m", "max-file": "5"}, name


def test_a_container_may_do_no_more_than_its_work(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["pids_limit"], name
        assert "privileged" not in service and "docker.sock" not in str(service), name
    assert {name: service["cap_add"] for name, service in services.items() if "cap_add" in service} == {
        # The entrypoint hands the data folder and itself over to the user postgres.
        "postgres": ["CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"]
    }
    users = {name: str(service.get("user")) for name, service in services.items()}
    assert users == {**dict.fromkeys(AIRFLOW, "50000:50000"), "postgres": "None", "redis": "redis"}


def test_only_what_must_has_a_way_out(compose: dict[str, Any], services: dict[str, Any]) -> None:
    assert compose["networks"] == {"inside": {"internal": True}, "outside": None}
    outside = {name for name, service in services.items() if "outside" in service["networks"]}
    assert outside == {"api-server", "postgres", "worker"}
    assert all("inside" in service["networks"] for service in services.values())


def test_the_ports_of_the_scan_are_the_documented_ones() -> None:
    from tests.compose.scan import DOCUMENTED_PORTS

    text = (PROJECT_ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
    listed: dict[str, set[int]] = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        name = re.match(r"`([a-z-]+)`", cells[0])
        if name and len(cells) == 4 and name[1] in SERVICES - {"airflow-init"}:
            listed[name[1]] = {int(port) for port in re.findall(r"^(\d{4})\b", cells[3])}
    assert listed == DOCUMENTED_PORTS


def test_a_lost_task_is_noticed_before_a_person_does(services: dict[str, Any]) -> None:
    environment = services["scheduler"]["environment"]
    assert int(environment["AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT"]) <= 120
    assert int(environment["AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT"]) <= 180
    # Else one that waits for a slot would be taken for lost: what the scheduler queues must find workers.
    slots = services["worker"]["scale"] * int(
        re.findall(r":-(\d+)", environment["AIRFLOW__CELERY__WORKER_CONCURRENCY"])[0]
    )
    assert slots >= int(re.findall(r":-(\d+)", environment["AIRFLOW__CORE__PARALLELISM"])[0])


def test_without_an_engine_the_proof_says_that_it_was_skipped(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.compose"], cwd=PROJECT_ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "PATH": str(tmp_path), "DOCKER_HOST": f"unix://{tmp_path}/none"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("SKIPPED: no Docker engine answers") and "已跳过" in done.stdout


def test_airflow_waits_for_databases_and_initialisation(services: dict[str, Any]) -> None:
    for name in AIRFLOW - {"airflow-init"}:
        assert {key: rule["condition"] for key, rule in services[name]["depends_on"].items()} == {
            "postgres": "service_healthy",
            "redis": "service_healthy",
            "airflow-init": "service_completed_successfully",
        }, name


def test_executor_sign_in_and_separate_databases(services: dict[str, Any]) -> None:
    for name in AIRFLOW:
        environment = services[name]["environment"]
        assert environment["AIRFLOW__CORE__EXECUTOR"] == "CeleryExecutor"
        assert environment["AIRFLOW__CORE__AUTH_MANAGER"] == "deploy.sign_in.FabAuthManager"
        assert environment["AIRFLOW__FAB__CONFIG_FILE"] == "/opt/labour/deploy/webserver_config.py"
        assert environment["WAREHOUSE_URL"].endswith("@postgres:5432/labour")
        assert environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].endswith("@postgres:5432/airflow")
        assert environment["TZ"] == "Asia/Shanghai"


def test_the_locked_packages_make_up_a_working_executor_and_sign_in() -> None:
    # A version of celery that the provider cannot work with shows in nothing else before a worker starts.
    from airflow.providers.celery.executors.celery_executor import CeleryExecutor

    from deploy.sign_in import FabAuthManager

    assert [CeleryExecutor.__name__, FabAuthManager.__name__] == ["CeleryExecutor", "FabAuthManager"]


def test_workers_import_before_they_fork_what_tasks_need(services: dict[str, Any]) -> None:
    # In a process of its own: the settings are read when the executor's module is first imported.
    program = (
        "from airflow.providers.celery.executors.celery_executor_utils import get_celery_configuration as read;"
        "from include.operate.supervisor import TASK_MODULES; found = read();"
        "assert found['imports'] == list(TASK_MODULES), found; assert found['task_acks_late'] is True"
    )
    setting = services["worker"]["environment"]["AIRFLOW__CELERY__CELERY_CONFIG_OPTIONS"]
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT_ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "AIRFLOW__CELERY__CELERY_CONFIG_OPTIONS": setting, "PYTHONPATH": str(PROJECT_ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]


def test_airflow_knows_every_setting(services: dict[str, Any]) -> None:
    from airflow.configuration import conf
    from airflow.providers_manager import ProvidersManager

    ProvidersManager().initialize_providers_configuration()
    known = conf.configuration_description
    for name in services["worker"]["environment"]:
        if name.startswith("AIRFLOW__"):
            section, key = name.removeprefix("AIRFLOW__").lower().split("__")
            assert key in known[section]["options"], name


def test_workers_can_be_added_and_share_the_folders(services: dict[str, Any]) -> None:
    worker = services["worker"]
    assert "container_name" not in worker
    assert "ports" not in worker
    mounted = {mount.removesuffix(":ro").rsplit(":", 1)[1] for mount in worker["volumes"]}
    assert mounted == {
        "/opt/airflow/logs", "/opt/labour/channels", *(f"/opt/labour/var/{name}" for name in ("inbox", "landing", "outbox", "work", "drafts")),
    }  # fmt: skip


def test_the_workers_share_what_all_share_and_alone_see_the_channels_with_their_secrets(
    services: dict[str, Any],
) -> None:
    holders = {name for name, service in services.items() if "CHANNELS_" in str(service)}
    assert holders == {"worker"}
    own = "${CHANNELS_FOLDER:-channels}:/opt/labour/channels:ro"
    assert set(services["worker"]["volumes"]) == {*services["scheduler"]["volumes"], own}


def test_only_web_and_database_are_reached_from_outside_and_only_locally(services: dict[str, Any]) -> None:
    assert {name: service["ports"] for name, service in services.items() if "ports" in service} == {
        "api-server": ["${AIRFLOW_BIND:-127.0.0.1}:${AIRFLOW_PORT:-8080}:8080"],
        "postgres": ["${WAREHOUSE_BIND:-127.0.0.1}:${WAREHOUSE_PORT:-15432}:5432"],
    }


def test_the_image_is_this_lock_without_root_or_new_syntax(services: dict[str, Any]) -> None:
    lines = (PROJECT_ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    assert "FROM python:3.11-slim-bookworm" in lines
    assert [line for line in lines if line.startswith("USER")] == ["USER labour"]
    assert not [line for line in lines if "--mount" in line or line.startswith("# syntax") or "<<" in line]
    assert "COPY requirements.lock ./" in lines
    assert services["postgres"]["image"] == "postgres:18"
    assert services["redis"]["image"] == "redis:7"


def test_example_and_secrets_name_the_same_things() -> None:
    example = (PROJECT_ROOT / ".env.example").read_text(encoding="utf-8")
    assert re.findall(r"^(\w+)=(.*)$", example, re.MULTILINE) == [(name, "") for name in SECRETS]
    documented = set(re.findall(r"^# ([A-Z_]+)=", example, re.MULTILINE))
    optional = set(re.findall(r"\$\{(\w+):-", TEXT))
    assert optional <= documented


def test_secrets_are_random_private_and_never_overwritten(tmp_path: Path) -> None:
    first, second = tmp_path / "a.env", tmp_path / "b.env"
    write_env(first)
    write_env(second)
    assert stat.S_IMODE(first.stat().st_mode) == 0o600
    values = [dict(re.findall(r"^(\w+)=(.+)$", path.read_text(), re.MULTILINE)) for path in (first, second)]
    assert set(values[0]) == set(SECRETS)
    assert not set(values[0].values()) & set(values[1].values())
    assert len(base64.urlsafe_b64decode(values[0]["AIRFLOW_FERNET_KEY"])) == 32
    before = first.read_text()
    with pytest.raises(EnvFileExistsError, match="move the file away first"):
        write_env(first)
    assert first.read_text() == before


# --------------------------------------------------------------------------------------------------------------- TLS


@pytest.fixture(scope="module")
def with_tls() -> dict[str, Any]:
    text = (PROJECT_ROOT / "docker-compose.tls.yaml").read_text(encoding="utf-8")
    return yaml.safe_load(text)["services"]


def test_with_tls_every_client_of_postgres_checks_its_certificate(with_tls: dict[str, Any]) -> None:
    assert set(with_tls) == SERVICES - {"redis"}
    for name in AIRFLOW:
        assert with_tls[name]["environment"] == {"PGSSLMODE": "verify-full", "PGSSLROOTCERT": "/tls/ca.crt"}, name
        assert with_tls[name]["volumes"] == ["${TLS_FOLDER:-./var/tls}/ca.crt:/tls/ca.crt:ro"], name


def test_with_tls_postgres_is_as_without_and_lets_nobody_in_unencrypted(
    services: dict[str, Any], with_tls: dict[str, Any]
) -> None:
    before, after = services["postgres"]["command"], with_tls["postgres"]["command"]
    assert after[: len(before)] == before
    assert {"ssl=on", "ssl_min_protocol_version=TLSv1.3", "hba_file=/run/tls/pg_hba.conf"} <= set(after)
    script = with_tls["postgres"]["entrypoint"][2]
    access = script.partition("<<ACCESS\n")[2].partition("ACCESS\n")[0]
    assert [line.split()[0] for line in access.splitlines()] == ["local", "hostssl"]
    assert "trust" not in access
    # The authority's key is nobody's business here.
    assert "ca.key" not in str(with_tls)
