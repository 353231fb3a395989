"""The embedded Airflow: one process group under ``var/airflow``, started, watched and ended as a whole.

Nothing here imports Airflow: settings go to it by environment variables, and :mod:`include.operate.supervisor` runs the
components. Everything that belongs to one stack carries ``LABOUR_STACK=<var folder>`` in its environment, which is how
:func:`stop` proves that nothing is left.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from include.operate.metrics import metrics_environment
from include.settings import PROJECT_ROOT, TIME_ZONE, get_settings
from include.warehouse import embedded
from include.warehouse.connection import airflow_metadata_url

HOST = "127.0.0.1"
USER = "admin"
UI_PORT = 8080
# Of stacks nobody opens in a browser. Not 8080: two checkouts that start at the same time would both find it free.
# Below the ranges from which Linux and macOS take the ports of outgoing connections.
PORTS = range(20000, 30000)
MARKER = "LABOUR_STACK"
DAG_IDS = ("collect_submissions", "build_warehouse", "publish_report")
START_SECONDS = 300.0
# Running tasks get this long to end by themselves; then the group is ended. A task cut off is run again, safely.
STOP_SECONDS = 12.0


class AirflowNotStarted(RuntimeError):
    """Airflow did not come up; the message names the log to read."""


class AirflowNotStopped(RuntimeError):
    """A process would not end; the message names it."""


@dataclass(frozen=True)
class Running:
    """A live stack.

    Attributes:
        pid: process id of the supervisor (also the process group).
        url: of UI and REST API, without a trailing slash.
        user, password: of the UI.
        owner: who started it: ``up``, ``demo`` or ``run``.
    """

    pid: int
    url: str
    user: str
    password: str
    owner: str


@dataclass(frozen=True)
class Home:
    """Folders and files of the embedded Airflow."""

    root: Path

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def state(self) -> Path:
        return self.run / "stack.json"

    @property
    def lock(self) -> Path:
        return self.run / "lock"

    @property
    def session(self) -> Path:
        """Locked by the ``demo`` or ``run`` that drives this stack, for as long as it lives."""
        return self.run / "session"

    @property
    def secrets(self) -> Path:
        return self.root / "secrets.json"

    @property
    def passwords(self) -> Path:
        return self.root / "passwords.json"

    def log_of(self, component: str) -> Path:
        """Log file of a component."""
        return self.logs / f"{component}.log"


def home() -> Home:
    """The stack's home under the configured ``var`` folder."""
    return Home(get_settings().var / "airflow")


def status() -> Running | None:
    """The live stack of this ``var`` folder, or ``None``."""
    place = home()
    try:
        state = json.loads(place.state.read_text(encoding="utf-8"))
        password = json.loads(place.passwords.read_text(encoding="utf-8"))[USER]
    except (FileNotFoundError, ValueError, KeyError):
        return None
    if not _belongs(state["pid"]):
        return None
    return Running(state["pid"], state["url"], USER, password, state["owner"])


def start(owner: str) -> Running:
    """Start the stack unless it runs; returns at once, see :func:`wait_until_ready`.

    Args:
        owner: ``up`` outlives the caller; ``demo`` and ``run`` end when the calling process ends, however it ends.

    Raises:
        EmbeddedPostgresError: the metadata database cannot be started.
    """
    place = home()
    for folder in (place.root, place.logs, place.run):
        folder.mkdir(parents=True, exist_ok=True)
    place.root.chmod(0o700)
    get_settings().inbox.mkdir(parents=True, exist_ok=True)
    with _locked(place):
        running = status()
        if running is not None:
            return running
        # A killed supervisor leaves components behind that would fight the new ones over runs and ports.
        end_leftovers()
        port = _port(UI_PORT if owner == "up" else None)
        url = f"http://{HOST}:{port}"
        environment = environment_of(place, url=url, port=port)
        # Nothing may go on by itself where an interrupted run stopped: the driver decides in which order.
        words = [] if owner == "up" else ["--parent", str(os.getpid()), "--paused"]
        if not os.environ.get("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"):
            words.append("--postgres")
        with place.log_of("supervisor").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "include.operate.supervisor", *words],
                cwd=PROJECT_ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        _write_private(place.state, json.dumps({"pid": process.pid, "url": url, "owner": owner}))
        return Running(process.pid, url, USER, _password(place), owner)


def wait_until_ready(running: Running, is_ready: Callable[[], bool], *, seconds: float = START_SECONDS) -> float:
    """Wait until ``is_ready``; returns the seconds it took.

    Raises:
        AirflowNotStarted: a component ended, or the time is over.
    """
    began = time.monotonic()
    while not is_ready():
        _reap(running.pid)
        if not _belongs(running.pid):
            raise AirflowNotStarted(f"Airflow ended while starting; its last words:\n{_last_words()}")
        if time.monotonic() - began > seconds:
            raise AirflowNotStarted(
                f"Airflow was not healthy after {seconds:.0f} s; read {home().logs}/*.log; last words:\n{_last_words()}"
            )
        time.sleep(0.25)
    return time.monotonic() - began


def stop() -> list[str]:
    """End the whole stack; returns the names of the processes that were ended, empty when nothing ran.

    Raises:
        AirflowNotStopped: a process would not end.
    """
    ended = [_describe(process) for process in members()]
    running = status()
    if running is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(running.pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while time.monotonic() < deadline and members():
            _reap(running.pid)
            time.sleep(0.1)
    end_leftovers()
    home().state.unlink(missing_ok=True)
    left = members()
    if left:
        raise AirflowNotStopped(f"still running after SIGKILL: {', '.join(map(_describe, left))}; end them by hand")
    return ended


def end_leftovers() -> None:
    """Kill whatever still carries this stack's marker."""
    for process in members():
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    deadline = time.monotonic() + 5
    while members() and time.monotonic() < deadline:
        time.sleep(0.05)


def members() -> list[psutil.Process]:
    """All live processes of this stack but the caller. PostgreSQL, which a task may have started, is not one."""
    mark = str(get_settings().var)
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                continue
            if process.environ().get(MARKER) == mark and not process.name().startswith("postgres"):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
            continue
    return found


def environment_of(place: Home, *, url: str, port: int) -> dict[str, str]:
    """Environment of the supervisor and all components: ours and Airflow's settings."""
    settings = get_settings()
    keys = _secrets(place)
    _password(place)
    metadata = airflow_metadata_url()
    asynchronous = metadata.replace("+psycopg2", "+asyncpg")
    if not os.environ.get("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"):
        asynchronous = embedded.url(embedded.AIRFLOW_DATABASE, driver="postgresql+asyncpg")
    cores = os.cpu_count() or 2
    airflow = {
        ("core", "dags_folder"): PROJECT_ROOT / "dags",
        ("core", "plugins_folder"): PROJECT_ROOT / "plugins",
        ("core", "executor"): "LocalExecutor",
        # The default starts 32 workers.
        ("core", "parallelism"): max(2, min(cores, 8)),
        ("core", "load_examples"): False,
        ("core", "default_timezone"): TIME_ZONE,
        ("core", "fernet_key"): keys["fernet_key"],
        ("core", "hostname_callable"): "socket.gethostname",
        ("core", "execution_api_server_url"): f"{url}/execution/",
        ("core", "auth_manager"): "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
        ("core", "simple_auth_manager_users"): f"{USER}:admin",
        ("core", "simple_auth_manager_passwords_file"): place.passwords,
        ("core", "min_serialized_dag_update_interval"): 5,
        ("database", "sql_alchemy_conn"): metadata,
        ("database", "sql_alchemy_conn_async"): asynchronous,
        ("api", "host"): HOST,
        ("api", "port"): port,
        ("api", "workers"): 1,
        ("api", "base_url"): url,
        ("api", "secret_key"): keys["api_secret"],
        ("api", "instance_name"): "产业工人用工专项行动 · 月报数据仓库",
        # Also how long a stopping server waits for open connections of browsers.
        ("api", "worker_timeout"): 10,
        ("api_auth", "jwt_secret"): keys["jwt_secret"],
        ("logging", "base_log_folder"): place.logs,
        ("logging", "dag_processor_child_process_log_directory"): place.logs / "dag_processor",
        ("logging", "colored_console_log"): False,
        # 200 lines about its own decorators at every import.
        ("logging", "namespace_levels"): "great_expectations=WARNING",
        ("dag_processor", "min_file_process_interval"): 30,
        ("dag_processor", "refresh_interval"): 30,
        ("dag_processor", "parsing_processes"): 1,
        ("scheduler", "scheduler_idle_sleep_time"): 0.25,
        ("scheduler", "enable_health_check"): False,
        # A killed process is noticed by its worker, a killed worker by the supervisor. This is for what hangs, and must
        # not take a task for dead that only waits its turn on a machine with too much to do.
        ("scheduler", "task_instance_heartbeat_timeout"): 120,
        ("scheduler", "task_instance_heartbeat_timeout_detection_interval"): 5,
        ("scheduler", "orphaned_tasks_check_interval"): 30,
        ("usage_data_collection", "enabled"): False,
    }
    return {
        **os.environ,
        MARKER: str(settings.var),
        "VAR_DIR": str(settings.var),
        # Airflow renames its processes, which would wipe the environment that the marker is read from.
        "SPT_NOENV": "1",
        "AIRFLOW_HOME": str(place.root),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(PROJECT_ROOT), os.environ.get("PYTHONPATH")])),
        "PYTHONUNBUFFERED": "1",
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "TZ": TIME_ZONE,
        "DO_NOT_TRACK": "1",
        "SCARF_ANALYTICS": "false",
        "GX_ANALYTICS_ENABLED": "false",
        "NO_PROXY": ",".join(filter(None, [HOST, "localhost", os.environ.get("NO_PROXY")])),
        "no_proxy": ",".join(filter(None, [HOST, "localhost", os.environ.get("no_proxy")])),
        # Two tasks at a time on a small machine: threads inside numpy would only get into each other's way.
        "OPENBLAS_NUM_THREADS": os.environ.get("OPENBLAS_NUM_THREADS", "1"),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
        **{f"AIRFLOW__{section.upper()}__{key.upper()}": str(value) for (section, key), value in airflow.items()},
        **metrics_environment(settings),
    }


def _secrets(place: Home) -> dict[str, str]:
    if place.secrets.exists():
        return json.loads(place.secrets.read_text(encoding="utf-8"))
    keys = {
        "fernet_key": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "jwt_secret": secrets.token_urlsafe(48),
        "api_secret": secrets.token_urlsafe(48),
    }
    _write_private(place.secrets, json.dumps(keys))
    return keys


def _password(place: Home) -> str:
    if not place.passwords.exists():
        _write_private(place.passwords, json.dumps({USER: secrets.token_urlsafe(12)}) + "\n")
    return json.loads(place.passwords.read_text(encoding="utf-8"))[USER]


def _write_private(path: Path, text: str) -> None:
    fresh = path.with_suffix(".fresh")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as handle:
        handle.write(text)
    os.replace(fresh, path)


@contextlib.contextmanager
def driving(owner: str) -> Iterator[None]:
    """Be the only ``demo``, ``run`` or ``up`` at work on this ``var`` folder; the lock ends with the process.

    Raises:
        AirflowNotStarted: another one is under way.
    """
    place = home()
    place.run.mkdir(parents=True, exist_ok=True)
    with place.session.open("a+", encoding="utf-8") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            other, pid = _driver(place)
            raise AirflowNotStarted(
                f"another `make {other}` is under way (process {pid}): wait for it, or `make down`"
            ) from None
        handle.truncate(0)
        handle.write(json.dumps({"pid": os.getpid(), "owner": owner}))
        handle.flush()
        yield


def end_driver(seconds: float = 40.0) -> bool:
    """End the ``demo`` or ``run`` under way, which stops its stack first; whether there was one.

    Raises:
        AirflowNotStopped: it would not end.
    """
    place = home()
    if not place.session.exists():
        return False
    deadline = time.monotonic() + seconds
    asked = killed = False
    with place.session.open("a+", encoding="utf-8") as handle:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return asked
            except BlockingIOError:
                _, pid = _driver(place)
            overdue = time.monotonic() > deadline
            if pid and (not asked or (overdue and not killed)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL if overdue else signal.SIGTERM)
                asked, killed = True, overdue
            if time.monotonic() > deadline + 10:
                raise AirflowNotStopped(f"process {pid} holds {place.session} and does not end: end it by hand")
            time.sleep(0.1)


def _driver(place: Home) -> tuple[str, int]:
    """Who wrote the session file last: (owner, process id); ("run", 0) while it is being written."""
    try:
        noted = json.loads(place.session.read_text(encoding="utf-8"))
        process = psutil.Process(int(noted["pid"]))
        # What a killed one wrote stays until the next has written: the id may be anybody's by now.
        is_driver = "include.operate" in process.cmdline()
        return str(noted["owner"]), process.pid if is_driver else 0
    except (OSError, ValueError, KeyError, psutil.Error):
        return "run", 0


def _port(preferred: int | None) -> int:
    """A free port: the preferred one, else any."""
    choices = [secrets.choice(PORTS) for _ in range(200)]
    for port in [*([preferred] if preferred else []), *choices]:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise AirflowNotStarted(f"no free port on {HOST}")


@contextlib.contextmanager
def _locked(place: Home) -> Iterator[None]:
    with place.lock.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _belongs(pid: int) -> bool:
    """Whether this process id is alive and is this stack's (ids are used again by others)."""
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and process.environ().get(MARKER) == str(get_settings().var)
    except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
        return False


def _reap(pid: int) -> None:
    """Take the exit of our own child off the process table, so that it does not count as alive."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def _describe(process: psutil.Process) -> str:
    try:
        return f"{' '.join(process.cmdline())[:60]} ({process.pid})"
    except psutil.Error:
        return str(process.pid)


def _last_words(lines: int = 15) -> str:
    place = home()
    logs = sorted(place.logs.glob("*.log"), key=lambda path: path.stat().st_mtime)[-2:]
    parts = []
    for log in logs:
        tail = log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]
        parts.append(f"--- {log}\n" + "\n".join(tail))
    return "\n".join(parts)


def as_json(running: Running) -> str:
    """The stack as JSON, without the password."""
    return json.dumps({key: value for key, value in asdict(running).items() if key != "password"})
