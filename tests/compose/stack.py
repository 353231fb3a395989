"""The services of docker-compose.yaml, brought up as a project of their own: own secrets, own ports, own folders.

What stands on the machine already is not touched: project, image tag, ports and volumes all carry names of the test.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from include.operate.client import AirflowClient, AirflowRefused
from include.settings import PROJECT_ROOT
from include.warehouse.env import write_env

CONTAINER_USER = 50000
AIRFLOW_SERVICES = ("api-server", "scheduler", "dag-processor", "triggerer", "worker")
APPROVER = "approver"
BASE_IMAGES = ("python:3.11-slim-bookworm", "postgres:18", "redis:7")


class NoEngine(RuntimeError):
    """There is no Docker engine, or no docker-compose, on this machine."""


class StackFailed(RuntimeError):
    """A container is not as it must be; the message carries its last words."""


def docker(*arguments: str, is_checked: bool = True, seconds: float = 120) -> str:
    """Standard output of a ``docker`` command.

    Raises:
        StackFailed: it ended with an error.
    """
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=seconds, check=False)
    if done.returncode and is_checked:
        raise StackFailed(f"docker {' '.join(arguments[:3])}: {done.stderr.strip()[-2000:]}")
    return done.stdout


def compose_command() -> list[str]:
    """``docker-compose`` (1.29 or later), or the plugin of the same purpose.

    Raises:
        NoEngine: neither is here, or no engine answers.
    """
    try:
        docker("info", "--format", "{{.ServerVersion}}", seconds=30)
    except (OSError, StackFailed, subprocess.TimeoutExpired) as error:
        raise NoEngine(f"no Docker engine answers ({str(error).splitlines()[0][:160]})") from None
    for command in (["docker-compose"], ["docker", "compose"]):
        if shutil.which(command[0]) is None:
            continue
        if subprocess.run([*command, "version"], capture_output=True, check=False).returncode == 0:
            return command
    raise NoEngine("neither docker-compose nor the compose plugin of docker is installed")


def missing_images() -> list[str]:
    """Base images that are neither here nor to be had from a registry."""
    return [
        image for image in BASE_IMAGES
        if not docker("images", "--quiet", image).strip() and not _pulled(image)
    ]  # fmt: skip


def _pulled(image: str) -> bool:
    return subprocess.run(["docker", "pull", "--quiet", image], capture_output=True, check=False).returncode == 0


@dataclass
class Stack:
    """One running project.

    Attributes:
        project: its name in compose.
        folder: holds ``.env``, ``inbox``, ``outbox``, ``drafts`` and ``backup``.
        values: what ``.env`` says.
        say: told what goes on.
    """

    project: str
    folder: Path
    command: list[str]
    values: dict[str, str]
    say: Callable[[str], None]
    log: Path
    clients: dict[str, AirflowClient] = field(default_factory=dict)

    @property
    def inbox(self) -> Path:
        return self.folder / "inbox"

    @property
    def outbox(self) -> Path:
        return self.folder / "outbox"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.values['AIRFLOW_PORT']}"

    @property
    def client(self) -> AirflowClient:
        """Airflow's REST API, signed in as the first user."""
        return self.signed_in("admin", self.values["AIRFLOW_ADMIN_PASSWORD"])

    def signed_in(self, user: str, password: str) -> AirflowClient:
        """The REST API as this user, who stays signed in."""
        if user not in self.clients:
            self.clients[user] = AirflowClient(self.url, user, password)
        return self.clients[user]

    def make_approver(self) -> None:
        """An account of the office that approves from now on, made by the documented command."""
        password = secrets.token_hex(12)
        self.compose(
            "exec", "-T", "api-server", "airflow", "users", "create", "--username", APPROVER, "--role",
            "OfficeApprover", "--firstname", "演示", "--lastname", "批准人", "--email", "approver@example.cn",
            "--password", password,
        )  # fmt: skip
        self.signed_in(APPROVER, password)

    def compose(self, *arguments: str, is_checked: bool = True, seconds: float = 1200, given: str | None = None) -> str:
        """Standard output of a compose command on this project, with ``given`` as standard input; both outputs go to
        the log.

        Raises:
            StackFailed: it ended with an error.
        """
        environment = {name: value for name, value in os.environ.items() if name not in self.values}
        done = subprocess.run(
            [*self.command, "--project-name", self.project, "--env-file", str(self.folder / ".env"),
             "--file", str(PROJECT_ROOT / "docker-compose.yaml"), "--project-directory", str(PROJECT_ROOT), *arguments],
            capture_output=True, text=True, env=environment, timeout=seconds, check=False, input=given,
        )  # fmt: skip
        with self.log.open("a", encoding="utf-8") as log:
            log.write(f"$ compose {' '.join(arguments)}\n{done.stdout}{done.stderr}\n")
        if done.returncode and is_checked:
            raise StackFailed(f"compose {' '.join(arguments)} ended with {done.returncode}:\n{done.stderr[-3000:]}")
        return done.stdout

    def containers(self, service: str | None = None, *, is_all: bool = False) -> list[str]:
        """Ids of the project's containers, running ones unless ``is_all``."""
        filters = ["--filter", f"label=com.docker.compose.project={self.project}"]
        if service:
            filters += ["--filter", f"label=com.docker.compose.service={service}"]
        return docker("ps", "--quiet", "--no-trunc", *(["--all"] if is_all else []), *filters).split()

    def inspect(self, container: str) -> dict[str, Any]:
        """What the engine knows of a container."""
        return json.loads(docker("inspect", container))[0]

    def service_of(self, container: str) -> str:
        return str(self.inspect(container)["Config"]["Labels"]["com.docker.compose.service"])

    def is_healthy(self) -> bool:
        """Whether every container that lasts is running and says that it is healthy."""
        found = self.containers()
        states = [self.inspect(container)["State"] for container in found]
        return len(found) >= len(AIRFLOW_SERVICES) + 3 and all(
            state["Running"] and state.get("Health", {}).get("Status") == "healthy" for state in states
        )

    def wait_until_healthy(self, seconds: float) -> float:
        """Seconds until every service is healthy.

        Raises:
            StackFailed: one is not; the message carries its log.
        """
        began = time.monotonic()
        told = began
        while not self.is_healthy():
            if time.monotonic() - began > seconds:
                raise StackFailed(f"not healthy after {seconds:.0f} s:\n{self.last_words()}")
            if time.monotonic() - told > 30:
                told = time.monotonic()
                self.say(f"… waiting for {', '.join(self.unhealthy())}")
            time.sleep(2)
        return time.monotonic() - began

    def unhealthy(self) -> list[str]:
        """Services with a container that is not healthy yet."""
        return sorted(
            {
                self.service_of(container)
                for container in self.containers()
                if self.inspect(container)["State"].get("Health", {}).get("Status") != "healthy"
            }
        )

    def last_words(self, lines: int = 25) -> str:
        """End of the logs of whatever is not well."""
        parts = []
        for container in self.containers(is_all=True):
            state = self.inspect(container)["State"]
            if state["Running"] and state.get("Health", {}).get("Status") == "healthy":
                continue
            if not state["Running"] and state["ExitCode"] == 0:
                continue
            done = subprocess.run(
                ["docker", "logs", "--tail", str(lines), container], capture_output=True, text=True, check=False
            )
            health = [probe["Output"][-300:] for probe in (state.get("Health") or {}).get("Log") or []][-1:]
            parts.append(f"--- {self.service_of(container)} ({state['Status']}) {health}\n{done.stdout}{done.stderr}")
        return "\n".join(parts)

    def execute(self, container: str, *arguments: str, user: str | None = None, is_checked: bool = True) -> str:
        """Standard output of a command inside a container."""
        return docker(
            "exec", *(["--user", user] if user else []), container, *arguments, is_checked=is_checked, seconds=300
        )

    def kill(self, container: str, pattern: str | None = None) -> None:
        """End processes inside a container by SIGKILL: those whose command line matches, else all.

        Not by ``docker kill``, after which the engine would not start the container again: this is how a crash, or the
        kernel when memory is short, ends them.
        """
        script = (
            "for entry in /proc/[0-9]*; do pid=${entry#/proc/}; "
            '[ "$pid" = $$ ] || [ "$pid" = 1 ] && continue; '
            'line=$(tr "\\0" " " <"$entry/cmdline" 2>/dev/null) || continue; '
            '[ -n "$line" ] && printf "%s %s\\n" "$pid" "$line"; done'
        )
        listed = [line.split(" ", 1) for line in self.execute(container, "bash", "-c", script).splitlines()]
        chosen = [
            pid for pid, line in listed
            if "/proc/[0-9]" not in line and (pattern is None or re.search(pattern, line))
        ]  # fmt: skip
        if not chosen:
            raise StackFailed(f"nothing to kill in {self.service_of(container)}: {listed}")
        self.execute(container, "bash", "-c", f"kill -9 {' '.join(chosen)}", is_checked=False)

    def warehouse(self) -> psycopg.Connection[Any]:
        """A connection to the warehouse as its owner, through the published port."""
        return psycopg.connect(
            host="127.0.0.1", port=int(self.values["WAREHOUSE_PORT"]), user="warehouse", dbname="labour",
            password=self.values["WAREHOUSE_PASSWORD"], autocommit=True, connect_timeout=10,
        )  # fmt: skip

    def administer(self, statements: str) -> str:
        """What psql prints for SQL run by the superuser inside the container of PostgreSQL."""
        [container] = self.containers("postgres")
        script = 'PGPASSWORD=$POSTGRES_PASSWORD exec psql -U postgres -d postgres -qAt -v ON_ERROR_STOP=1 -c "$1"'
        return self.execute(container, "bash", "-c", script, "psql", statements)

    def api(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """An answer of the REST API below ``/api/v2``."""
        return self.client._send(method, f"/api/v2{path}", body)

    def waiting_approvals(self) -> list[dict[str, Any]]:
        """Task instances of ``publish_report`` that wait for a person."""
        path = "/dags/publish_report/dagRuns/~/taskInstances?task_id=approve&limit=100"
        found = self.api("GET", path)["task_instances"]
        return [task for task in found if task["state"] in ("awaiting_input", "deferred")]

    def approve_all(self) -> int:
        """Approve every report that waits, as the office does in the web page; how many there were."""
        approved = 0
        for task in self.waiting_approvals():
            path = f"/dags/publish_report/dagRuns/{task['dag_run_id']}/taskInstances/approve/-1/hitlDetails"
            try:
                self.clients[APPROVER]._send(
                    "PATCH", f"/api/v2{path}", {"chosen_options": ["Approve"], "params_input": {"reason": ""}}
                )
            except AirflowRefused as error:
                if error.status not in (404, 409):
                    raise
            else:
                approved += 1
        return approved


def free_ports(number: int) -> list[int]:
    """Ports of 127.0.0.1 that nothing listens on at present, all different."""
    probes = [socket.socket() for _ in range(number)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


@contextmanager
def project(command: list[str], say: Callable[[str], None], log: Path, *, is_kept: bool = False) -> Iterator[Stack]:
    """A project that does not run yet; at the end its containers, networks, volumes and folder are gone."""
    folder = Path(tempfile.mkdtemp(prefix="labour-compose-")).resolve()
    folder.chmod(0o711)
    write_env(folder / ".env")
    web, database = free_ports(2)
    chosen = {
        "AIRFLOW_PORT": str(web), "WAREHOUSE_PORT": str(database), "LABOUR_VERSION": "compose-test",
        "INBOX_FOLDER": str(folder / "inbox"), "OUTBOX_FOLDER": str(folder / "outbox"),
        "DRAFTS_FOLDER": str(folder / "drafts"), "AIRFLOW_BASE_URL": f"http://127.0.0.1:{web}",
    }  # fmt: skip
    for name in ("inbox", "outbox", "drafts", "backup"):
        (folder / name).mkdir()
        hand_over(folder / name)
    with (folder / ".env").open("a", encoding="utf-8") as file:
        file.writelines(f"{name}={value}\n" for name, value in chosen.items())
    lines = (folder / ".env").read_text(encoding="utf-8").splitlines()
    values = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    stack = Stack(f"labour-test-{secrets.token_hex(3)}", folder, command, values, say, log)
    try:
        yield stack
    finally:
        if is_kept:
            say(f"left running: project {stack.project}, folder {folder}; `docker-compose -p {stack.project} down -v`")
        else:
            stack.compose("logs", "--no-color", "--tail", "400", is_checked=False)
            stack.compose("down", "--volumes", "--timeout", "20", is_checked=False)
            shutil.rmtree(folder, ignore_errors=True)


def hand_over(folder: Path) -> None:
    """Let the containers' user write here, as an administrator would with ``chown 50000``."""
    if os.geteuid() == 0:
        for path in [folder, *folder.rglob("*")]:
            os.chown(path, CONTAINER_USER, CONTAINER_USER)
    else:
        for path in [folder, *folder.rglob("*")]:
            path.chmod(0o777 if path.is_dir() else 0o666)


def names(items: Sequence[str]) -> str:
    """``a, b and c`` for the terminal."""
    return ", ".join(items) if items else "none"
