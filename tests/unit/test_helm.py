"""deploy/helm: the chart's values say what docker-compose says, by keys that the chart has, without a password.

``AIRFLOW_CHART`` (an unpacked chart) adds the chart's own schema and, with ``helm-python-sdk``, all rendered pods.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from include.settings import PROJECT_ROOT

FOLDER = PROJECT_ROOT / "deploy" / "helm"
TEXT = (FOLDER / "values.yaml").read_text(encoding="utf-8")
VALUES: dict[str, Any] = yaml.safe_load(TEXT)
README = (FOLDER / "README.md").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load((PROJECT_ROOT / "docker-compose.yaml").read_text(encoding="utf-8"))
CHART = os.environ.get("AIRFLOW_CHART")
#: Keys below which the chart takes whatever Kubernetes or Airflow takes.
FREE = ("config", "enableBuiltInSecretEnvVars", "securityContexts.pod", "securityContexts.containers")
FREE_ENDS = ("resources", "env", "secret", "args", "command", "extraVolumes", "extraVolumeMounts",
             "extraInitContainers", "config", "container", "hosts")  # fmt: skip
KEYS = (Path(__file__).parent / "chart_keys.txt").read_text(encoding="utf-8").split()

needs_chart = pytest.mark.skipif(not CHART, reason="AIRFLOW_CHART names no unpacked Airflow chart")


def paths(values: Any, above: str = "") -> Iterator[str]:
    """Every key of the values as a dotted path, down to what the chart hands through."""
    if not isinstance(values, dict) or not values or above in FREE or above.rpartition(".")[2] in FREE_ENDS:
        yield above
        return
    for key, value in values.items():
        yield from paths(value, f"{above}.{key}" if above else key)


def references(value: Any) -> Iterator[tuple[str, str]]:
    """(Secret, key) of every secretKeyRef below."""
    if isinstance(value, dict):
        if "secretKeyRef" in value:
            yield value["secretKeyRef"]["name"], value["secretKeyRef"]["key"]
        for below in value.values():
            yield from references(below)
    elif isinstance(value, list):
        for below in value:
            yield from references(below)


def names(env: list[dict[str, Any]]) -> dict[str, Any]:
    return {one["name"]: one.get("value") for one in env}


def test_every_key_is_one_that_the_chart_documents() -> None:
    assert sorted(set(paths(VALUES)) - set(KEYS)) == []


def test_the_list_of_keys_names_nothing_that_is_not_used() -> None:
    assert sorted(set(KEYS) - set(paths(VALUES))) == []


def test_no_secret_stands_in_the_values() -> None:
    assert not re.search(r"(?i)(password|secret|token|key)\w*: *[\"']?[A-Za-z0-9+/=_-]{24,}", TEXT)
    assert "://" not in TEXT.replace("https://airflow.apache.org", "").replace("https://labour.example.cn", "").replace(
        "http://localhost:8974", ""
    )
    secretive = re.compile(r"PASSWORD|SECRET|HASH_KEY|_URL$|CONN")
    for env in (VALUES["env"], VALUES["workers"]["kubernetes"]["env"], VALUES["apiServer"]["env"]):
        assert [one["name"] for one in env if secretive.search(one["name"]) and "value" in one] == []


def test_every_secret_asked_for_is_one_that_the_page_makes() -> None:
    made = set()
    for command in re.findall(r"create secret generic (.+?)(?=\nkubectl|\n#|\n```)", README, re.DOTALL):
        name = command.split()[0]
        made |= {(name, key) for key in re.findall(r"--from-literal=([a-z-]+)=", command)}
    asked = set(references(VALUES))
    asked |= {(one["secretName"], one["secretKey"]) for one in VALUES["secret"]}
    asked |= {("labour-airflow", key) for key in ("fernet-key", "api-secret-key", "jwt-secret")}
    asked.add((VALUES["data"]["metadataSecretName"], "connection"))
    assert asked == made
    assert {VALUES[key] for key in ("fernetKeySecretName", "apiSecretKeySecretName", "jwtSecretName")} == {
        "labour-airflow"
    }


def test_every_claim_mounted_is_made_and_can_be_shared_by_nodes() -> None:
    claims = list(yaml.safe_load_all((FOLDER / "claims.yaml").read_text(encoding="utf-8")))
    assert {claim["spec"]["accessModes"][0] for claim in claims} == {"ReadWriteMany"}
    tasks = VALUES["workers"]["kubernetes"]
    mounted = {
        volume["persistentVolumeClaim"]["claimName"]
        for volume in tasks["extraVolumes"] + VALUES["apiServer"]["extraVolumes"]
        if "persistentVolumeClaim" in volume
    }
    assert mounted | {VALUES["logs"]["persistence"]["existingClaim"]} == {claim["metadata"]["name"] for claim in claims}
    # the folders that docker-compose shares between its workers, at the same places
    shared = {volume.rpartition(":")[2] for volume in COMPOSE["x-airflow"]["volumes"]}
    assert shared <= {mount["mountPath"] for mount in tasks["extraVolumeMounts"]} | {"/opt/airflow/logs"}
    for part in (tasks, VALUES["apiServer"], VALUES["scheduler"], VALUES["migrateDatabaseJob"]):
        assert {mount["name"] for mount in part["extraVolumeMounts"]} == {
            volume["name"] for volume in part["extraVolumes"]
        }


def test_tasks_have_the_settings_of_the_compose_worker() -> None:
    worker = COMPOSE["services"]["worker"]["environment"]
    tasks = names(VALUES["env"]) | names(VALUES["workers"]["kubernetes"]["env"])
    tasks |= {one["envName"]: None for one in VALUES["secret"]}
    in_config = {
        f"AIRFLOW__{s.upper()}__{key.upper()}": value
        for s, part in VALUES["config"].items()
        for key, value in part.items()
    }
    by_chart = {
        # set by the chart from executor, release name and Secrets
        "AIRFLOW__CORE__EXECUTOR", "AIRFLOW__CORE__EXECUTION_API_SERVER_URL", "AIRFLOW__CORE__FERNET_KEY",
        "AIRFLOW__API__SECRET_KEY", "AIRFLOW__API_AUTH__JWT_SECRET", "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN",
        # its default is the same
        "AIRFLOW__CORE__LOAD_EXAMPLES", "AIRFLOW__LOGGING__BASE_LOG_FOLDER",
    }  # fmt: skip
    missing = {
        name for name in worker
        if name not in tasks and name not in in_config and name not in by_chart and "__CELERY" not in name
    }  # fmt: skip
    assert missing == set()
    same = {
        "CORE__DAGS_FOLDER", "CORE__PLUGINS_FOLDER", "CORE__AUTH_MANAGER", "CORE__DEFAULT_TIMEZONE",
        "CORE__DAGS_ARE_PAUSED_AT_CREATION", "API__INSTANCE_NAME", "LOGGING__NAMESPACE_LEVELS",
    }  # fmt: skip
    for name in same:
        assert in_config[f"AIRFLOW__{name}"] == worker[f"AIRFLOW__{name}"], name
    assert tasks["TZ"] == worker["TZ"] == "Asia/Shanghai"


def test_nothing_but_tasks_and_migrations_has_the_warehouse_s_login() -> None:
    holders = {part for part in VALUES if ("labour-warehouse", "url") in set(references(VALUES[part]))}
    assert holders == {"workers", "migrateDatabaseJob"}
    assert set(references(VALUES["apiServer"])) == {("labour-warehouse", "status-page-url")}


def test_the_image_is_what_the_dockerfile_builds() -> None:
    dockerfile = (PROJECT_ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert f"useradd --uid {VALUES['uid']} --gid {VALUES['gid']}" in dockerfile
    assert f"AIRFLOW_HOME={'/opt/airflow'}" in dockerfile and "VAR_DIR=/opt/labour/var" in dockerfile
    assert "ENTRYPOINT" not in dockerfile, "the chart gives arguments only: an entry point would take them"
    assert re.match(r"3\.3\.\d+$", VALUES["airflowVersion"])
    lock = (PROJECT_ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert f"apache-airflow=={VALUES['airflowVersion']}" in lock
    assert VALUES["executor"] == "KubernetesExecutor" and "\napache-airflow-providers-cncf-kubernetes==" in lock


@needs_chart
def test_the_values_fit_the_chart_s_schema_and_its_keys() -> None:
    import jsonschema

    assert CHART is not None
    schema = json.loads((Path(CHART) / "values.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft7Validator(schema).validate(VALUES)
    own = yaml.safe_load((Path(CHART) / "values.yaml").read_text(encoding="utf-8"))
    unknown = []
    for path in paths(VALUES):
        here: Any = own
        for key in path.split("."):
            if not isinstance(here, dict) or key not in here:
                unknown.append(path)
                break
            here = here[key]
    assert unknown == []


@needs_chart
@pytest.mark.skipif(importlib.util.find_spec("helm_python") is None, reason="package helm-python-sdk is not installed")
def test_every_rendered_pod_runs_without_root_and_writes_to_volumes_only() -> None:
    from helm_python import Chart  # type: ignore[import-not-found]

    rendered = Chart.load(str(CHART)).render(VALUES, name="labour", namespace="labour")
    templates = [text for name, text in rendered.items() if name.endswith(".yaml")]
    manifests = [one for text in templates for one in yaml.safe_load_all(text) if one]
    pods = {one["metadata"]["name"]: one["spec"].get("jobTemplate", one)["spec"]["template"]["spec"]
            for one in manifests if one.get("kind") in ("Deployment", "StatefulSet", "Job", "CronJob")}  # fmt: skip
    config = next(one for one in manifests if one.get("kind") == "ConfigMap" and "airflow.cfg" in one["data"])
    pods["task"] = yaml.safe_load(config["data"]["pod_template_file.yaml"])["spec"]
    assert set(pods) == {
        "labour-api-server", "labour-scheduler", "labour-dag-processor", "labour-triggerer", "labour-cleanup",
        "labour-run-airflow-migrations", "labour-create-user", "task",
    }  # fmt: skip
    for name, pod in pods.items():
        assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] == 50000, name
        for container in [*pod["containers"], *(pod.get("initContainers") or [])]:
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] or name == "labour-cleanup", (name, container["name"])
            assert not context["allowPrivilegeEscalation"] and context["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["limits"]["memory"], (name, container["name"])
            assert container["image"] == "registry.example.cn/labour-reporting:1.0.0"
            assert "/clean-logs" not in str(container)
    cfg = config["data"]["airflow.cfg"]
    assert "execution_api_server_url = http://labour-api-server:8080/execution/" in cfg
    assert "executor = KubernetesExecutor" in cfg and "dags_folder = /opt/labour/dags" in cfg
    migration = [one["name"] for one in pods["labour-run-airflow-migrations"]["initContainers"]]
    assert migration == ["provision-warehouse", "migrate-warehouse"]
