"""A look at the running containers from the outside and from inside: who runs, what listens, what opens.

Each finding is a sentence; a clean stack has none.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator

import psycopg

from tests.compose.stack import AIRFLOW_SERVICES, Stack, docker

#: Ports that listen inside each service's container, and what for (docs/deployment.md, "Ports").
DOCUMENTED_PORTS = {
    "postgres": {5432},
    "redis": {6379},
    "api-server": {8080},
    "scheduler": {8974},
    "dag-processor": set(),
    "triggerer": {8794},
    "worker": {8793},
}
#: Ports of the machine that lead into a container.
PUBLISHED = {"api-server": 8080, "postgres": 5432}
# Root may be an entrypoint that hands over to another user, and nothing that stays.
_MAY_BE_ROOT = ("docker-init", "/sbin/docker-init", "docker-entrypoint.sh", "gosu")
_GUESSES = ("postgres", "airflow", "warehouse", "labour", "admin", "password", "changeme", "123456", "")


def findings(stack: Stack) -> list[str]:
    """Everything wrong with the running containers."""
    found: list[str] = []
    for container in stack.containers():
        service = stack.service_of(container)
        found += [f"{service}: {words}" for words in _container(stack, container, service)]
    found += _logins(stack)
    return found


def _container(stack: Stack, container: str, service: str) -> Iterator[str]:
    for line in docker("top", container, "-eo", "uid,pid,args").splitlines()[1:]:
        uid, _, command = line.split(None, 2)
        program = command.split()[0]
        is_probe = "pg_isready" in command  # the engine's own health check enters as the container's first user
        if uid == "0" and not is_probe and program not in _MAY_BE_ROOT and "docker-entrypoint.sh" not in command:
            yield f"a process of root: {command[:120]}"
    state = stack.inspect(container)
    host = state["HostConfig"]
    if host["Privileged"] or "ALL" not in (host["CapDrop"] or []):
        yield "keeps capabilities"
    if not host["ReadonlyRootfs"]:
        yield "may write its own file system"
    if not any("no-new-privileges" in option for option in host["SecurityOpt"] or []):
        yield "may gain privileges by set-user-id programs"
    if not host["Memory"] or not host["PidsLimit"]:
        yield "has no limit of memory or processes"
    if host["LogConfig"]["Config"].get("max-size") is None:
        yield "its log is not rotated"
    if any("docker.sock" in str(mount) for mount in state["Mounts"]):
        yield "reaches the engine's socket"
    if service in AIRFLOW_SERVICES:
        status = stack.execute(container, "cat", "/proc/1/status")
        effective = next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff"))
        if int(effective, 16):
            yield f"has capabilities {effective}"
        if service != "api-server" and "WAREHOUSE_URL=postgresql://warehouse:" not in _environment(stack, container):
            yield "does not reach the warehouse as its owner"
        if service == "api-server" and stack.values["WAREHOUSE_PASSWORD"] in _environment(stack, container):
            yield "the web server holds the password of the warehouse's owner"
        written = stack.execute(container, "bash", "-c", "touch /opt/labour/dags/x 2>&1 || true")
        if "Read-only file system" not in written and "Permission denied" not in written:
            yield "may change its own DAGs"
    listening = _listening(stack, container)
    for port in sorted(listening - DOCUMENTED_PORTS[service]):
        yield f"listens on port {port}, which is not documented"
    for port in sorted(DOCUMENTED_PORTS[service] - listening):
        yield f"does not listen on port {port}, although that is documented"
    ports = state["NetworkSettings"]["Ports"] or {}
    published = {int(name.split("/")[0]): bindings for name, bindings in ports.items() if bindings}
    if set(published) != ({PUBLISHED[service]} if service in PUBLISHED else set()):
        yield f"publishes ports {sorted(published)}"
    for bindings in published.values():
        if any(binding["HostIp"] != "127.0.0.1" for binding in bindings):
            yield f"is reached from other machines: {bindings}"


def _environment(stack: Stack, container: str) -> str:
    return "\n".join(stack.inspect(container)["Config"]["Env"])


def _listening(stack: Stack, container: str) -> set[int]:
    """TCP ports on which something inside takes connections from other containers."""
    text = stack.execute(container, "bash", "-c", "cat /proc/net/tcp /proc/net/tcp6 2>/dev/null")
    ports = set()
    for line in text.splitlines():
        parts = line.split()
        if len(parts) > 3 and parts[3] == "0A":
            address, port = parts[1].rsplit(":", 1)
            # The engine's own name server listens on 127.0.0.11, which no other container reaches.
            if not address.endswith("7F") and address[-8:] not in ("0B00007F", "0100007F"):
                ports.add(int(port, 16))
    return ports


def _logins(stack: Stack) -> Iterator[str]:
    port = int(stack.values["WAREHOUSE_PORT"])
    for user in ("postgres", "warehouse", "airflow", "status_page", "labour"):
        for guess in dict.fromkeys((user, *_GUESSES)):
            for database in ("postgres", "labour", "airflow"):
                if _opens(port, user, guess, database):
                    yield f"postgres: {user} gets into {database} with the password {guess!r}"
    for guess in ("admin", *_GUESSES):
        body = json.dumps({"username": "admin", "password": guess}).encode()
        request = urllib.request.Request(
            f"{stack.url}/auth/token", body, {"Content-Type": "application/json"}, method="POST"
        )
        try:
            with urllib.request.urlopen(request, timeout=20):
                yield f"api-server: admin signs in with the password {guess!r}"
        except urllib.error.HTTPError as refused:
            if refused.code not in (400, 401, 403, 422, 429):
                yield f"api-server: a wrong password is answered with {refused.code}"
    for path in ("/api/v2/dags", "/api/v2/connections", "/labour/month"):
        try:
            with urllib.request.urlopen(f"{stack.url}{path}", timeout=20) as answer:
                yield f"api-server: {path} answers {answer.status} to whoever asks"
        except urllib.error.HTTPError as refused:
            if refused.code not in (401, 403):
                yield f"api-server: {path} answers {refused.code} to whoever asks"
    [redis] = stack.containers("redis")
    for prefix in ("env -u REDISCLI_AUTH", "REDISCLI_AUTH=redis"):
        answer = stack.execute(redis, "sh", "-c", f"{prefix} redis-cli --no-auth-warning ping 2>&1 || true")
        if "PONG" in answer:
            yield "redis: answers without its password"


def _opens(port: int, user: str, password: str, database: str) -> bool:
    try:
        with psycopg.connect(
            host="127.0.0.1", port=port, user=user, password=password or "x", dbname=database, connect_timeout=5
        ):
            return True
    except psycopg.OperationalError:
        return False
