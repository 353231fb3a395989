"""A PostgreSQL server that lets nobody in without TLS, for the tests of it: ``python -m tests.tls_server`` finds one.

The embedded server's programs are built without TLS, so this takes those of the machine (Debian: ``postgresql``;
``POSTGRES_SERVER`` names another folder).
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

PASSWORD = "only for this test"  # pragma: allowlist secret


@dataclass(frozen=True)
class TlsServer:
    """Where it is, and the folder of the certificates it was given."""

    port: int
    certificates: Path
    programs: Path

    def url(self, database: str = "postgres", *, host: str = "localhost", driver: str = "postgresql") -> str:
        """URL of the superuser."""
        return f"{driver}://admin:{PASSWORD.replace(' ', '%20')}@{host}:{self.port}/{database}"


def programs() -> Path | None:
    """Folder of a PostgreSQL server's programs built with TLS, the newest of the machine."""
    given = os.environ.get("POSTGRES_SERVER")
    folders = [Path(given)] if given else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: -int(path.parent.name))
    folders += [Path(found).resolve().parent for found in [shutil.which("postgres")] if found]
    return next((folder for folder in folders if (folder / "postgres").is_file()), None)


@contextmanager
def tls_server(folder: Path) -> Iterator[TlsServer]:
    """A server for the block, in a folder that its user can reach, with a certificate for ``localhost`` alone."""
    from include.warehouse.certificates import make_certificates

    found = programs()
    assert found is not None, "no PostgreSQL with TLS: run .ci/postgresql"
    certificates, data = folder / "tls", folder / "data"
    make_certificates(certificates, ["localhost"])
    data.mkdir(mode=0o700)
    given = [data / name for name in ("server.key", "server.crt", "password", "pg_hba.conf.tls")]
    as_user: tuple[str, ...] = ()
    cluster = data / "cluster"
    given[0].write_bytes((certificates / "server.key").read_bytes())
    given[1].write_bytes((certificates / "server.crt").read_bytes())
    given[2].write_text(PASSWORD)
    given[3].write_text("hostssl all all all scram-sha-256\n")
    for path in given:
        path.chmod(0o600)
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        as_user = ("setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups")
        for path in (data, *given):
            os.chown(path, nobody.pw_uid, nobody.pw_gid)
    subprocess.run(
        [*as_user, str(found / "initdb"), "-D", str(cluster), "-U", "admin", "--encoding=UTF8", "--locale=C",
         "--auth=scram-sha-256", f"--pwfile={given[2]}", "--no-sync"],
        check=True, capture_output=True, cwd="/",
    )  # fmt: skip
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    settings = {
        "listen_addresses": "localhost", "port": port, "unix_socket_directories": "", "fsync": "off", "ssl": "on",
        "ssl_key_file": given[0], "ssl_cert_file": given[1], "hba_file": given[3],
        "ssl_min_protocol_version": "TLSv1.3",
    }  # fmt: skip
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*as_user, str(found / "postgres"), "-D", str(cluster), *(f"--{k}={v}" for k, v in settings.items())],
            stdout=log, stderr=subprocess.STDOUT, cwd="/",
        )  # fmt: skip
    server = TlsServer(port, certificates, found)
    try:
        _wait(server, process, folder / "log")
        yield server
    finally:
        process.send_signal(signal.SIGQUIT)
        process.wait(timeout=30)


def _wait(server: TlsServer, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            psycopg.connect(server.url(), sslmode="require", connect_timeout=5).close()
            return
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(log.read_text(errors="replace")[-2000:]) from None
            time.sleep(0.05)


if __name__ == "__main__":
    place = programs()
    print(place or "none")
    sys.exit(place is None)
