"""Every way of this system to PostgreSQL goes by TLS and checks the server's certificate when it is told to."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cryptography import x509

from include.settings import PROJECT_ROOT, get_settings
from include.warehouse import connection
from include.warehouse.certificates import AUTHORITY_DAYS, CertificateError, main, make_certificates
from include.warehouse.connection import WarehouseUnreachableError, connect
from include.warehouse.dbt import connection_environment
from include.warehouse.provision import Owner, provision
from tests.conftest import SESSION_FOLDER
from tests.tls_server import TlsServer, tls_server

ENCRYPTED = "select ssl, version from pg_stat_ssl where pid = pg_backend_pid()"


@pytest.fixture(scope="module")
def server() -> Iterator[TlsServer]:
    folder = SESSION_FOLDER / "tls-server"
    folder.mkdir(mode=0o711)
    with tls_server(folder) as running:
        yield running
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The certificate of an authority that signed nothing here."""
    folder = tmp_path_factory.mktemp("stranger")
    make_certificates(folder)
    return folder / "ca.crt"


class Checking:
    """The environment of a process that checks certificates: WAREHOUSE_URL, PGSSLMODE, PGSSLROOTCERT."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._patch = monkeypatch

    def __call__(self, url: str, authority: Path | None, mode: str = "verify-full") -> None:
        self._patch.setenv("WAREHOUSE_URL", url)
        self._patch.setenv("PGSSLMODE", mode)
        if authority is not None:
            self._patch.setenv("PGSSLROOTCERT", str(authority))
        get_settings.cache_clear()


@pytest.fixture
def checking(monkeypatch: pytest.MonkeyPatch) -> Iterator[Checking]:
    yield Checking(monkeypatch)
    monkeypatch.undo()
    get_settings.cache_clear()


def test_our_own_connections(server: TlsServer, checking: Checking) -> None:
    checking(server.url(), server.certificates / "ca.crt")
    with connect(wait_seconds=0) as conn:
        assert conn.execute(ENCRYPTED).fetchone() == (True, "TLSv1.3")


def test_a_url_may_say_it_too(server: TlsServer, checking: Checking, stranger: Path) -> None:
    # What the URL says wins over the environment.
    checking(f"{server.url()}?sslmode=verify-full&sslrootcert={server.certificates / 'ca.crt'}", stranger, "disable")
    with connect(wait_seconds=0) as conn:
        assert conn.execute(ENCRYPTED).fetchone() == (True, "TLSv1.3")


def test_another_authority_another_name_and_no_encryption_are_refused(
    server: TlsServer, checking: Checking, stranger: Path
) -> None:
    authority = server.certificates / "ca.crt"
    for url, given, mode, words in (
        (server.url(), stranger, "verify-full", "certificate verify failed"),
        (server.url(host="127.0.0.1"), authority, "verify-full", "does not match host name"),
        (server.url(), authority, "disable", "no encryption"),
    ):
        checking(url, given, mode)
        with pytest.raises(WarehouseUnreachableError, match=words) as refused:
            connect(wait_seconds=0)
        assert "only for this test" not in str(refused.value)


def test_airflows_connections_synchronous_and_not(server: TlsServer, checking: Checking, stranger: Path) -> None:
    from sqlalchemy import create_engine, text
    from sqlalchemy.ext.asyncio import create_async_engine

    def synchronous() -> Any:
        with create_engine(server.url(driver="postgresql+psycopg2")).connect() as conn:
            return tuple(conn.execute(text(ENCRYPTED)).one())

    async def asynchronous() -> Any:
        engine = create_async_engine(server.url(driver="postgresql+asyncpg"))
        async with engine.connect() as conn:
            return tuple((await conn.execute(text(ENCRYPTED))).one())

    checking(server.url(), server.certificates / "ca.crt")
    assert synchronous() == (True, "TLSv1.3")
    assert asyncio.run(asynchronous()) == (True, "TLSv1.3")
    checking(server.url(), stranger)
    with pytest.raises(Exception, match="certificate verify failed"):
        synchronous()
    with pytest.raises(Exception, match="CERTIFICATE_VERIFY_FAILED"):
        asyncio.run(asynchronous())


def test_dbt_checks_the_certificate(server: TlsServer, checking: Checking, stranger: Path, tmp_path: Path) -> None:
    checking(server.url(), stranger)
    project = PROJECT_ROOT / "dbt_project"
    environment = {
        **os.environ, **connection_environment(server.url()), "DBT_PERIOD": "2026-10", "DBT_TARGET_PATH": str(tmp_path),
        "DBT_PROJECT_DIR": str(project), "DBT_PROFILES_DIR": str(project), "DBT_LOG_PATH": str(tmp_path),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "dbt.cli.main", "debug", "--connection"], env=environment, cwd=project, text=True,
        capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "certificate verify failed" in done.stdout


def test_a_mode_of_the_installation_reaches_dbt_and_a_urls_own_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGSSLMODE", "verify-full")
    assert connection_environment("postgresql://etl@db/labour")["DBT_SSLMODE"] == "verify-full"
    assert connection_environment("postgresql://etl@db/labour?sslmode=require")["DBT_SSLMODE"] == "require"


def test_psql_of_the_machine_by_tls_and_the_embedded_ones_plain_words(
    server: TlsServer, checking: Checking, monkeypatch: pytest.MonkeyPatch
) -> None:
    checking(server.url(), server.certificates / "ca.crt")
    command = [sys.executable, "-m", "include.warehouse.connection", "psql", "-X", "-A", "-t", "-c", ENCRYPTED]
    plain = subprocess.run(command, capture_output=True, text=True, cwd=PROJECT_ROOT, check=False)
    assert plain.returncode == 1
    assert "POSTGRES_PROGRAMS=" in plain.stderr
    monkeypatch.setenv("POSTGRES_PROGRAMS", str(server.programs))
    done = subprocess.run(command, capture_output=True, text=True, cwd=PROJECT_ROOT, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "t|TLSv1.3"), done.stderr
    environment = connection.client_environment("postgresql://etl@db/labour?sslcert=/a.crt&sslkey=/a.key")
    assert [environment[name] for name in ("PGSSLMODE", "PGSSLCERT", "PGSSLKEY")] == ["verify-full", "/a.crt", "/a.key"]


def test_roles_are_made_by_tls(server: TlsServer, checking: Checking, stranger: Path) -> None:
    owners = [Owner("airflow", "airflow", "any password")]
    checking(server.url(), stranger)
    with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
        provision(server.url(), owners)
    checking(server.url(), server.certificates / "ca.crt")
    provision(server.url(), owners)
    with psycopg.connect(server.url("airflow")) as conn:
        assert conn.execute("select 1 from pg_roles where rolname = 'airflow'").fetchone() == (1,)


# ----------------------------------------------------------------------------------------------------- certificates


def certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_the_next_certificate_is_of_the_same_authority(tmp_path: Path) -> None:
    folder = tmp_path / "tls"
    assert main(["--folder", str(folder), "--name", "db.example.cn"]) == 0
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert modes == {"ca.crt": 0o644, "ca.key": 0o600, "server.crt": 0o644, "server.key": 0o600}
    authority, first = certificate(folder / "ca.crt"), certificate(folder / "server.crt")
    names = first.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["postgres", "localhost", "db.example.cn"]
    assert first.not_valid_after_utc - datetime.now(UTC) > timedelta(days=396)
    assert main(["--folder", str(folder)]) == 0
    second = certificate(folder / "server.crt")
    assert second.serial_number != first.serial_number
    assert second.public_key() != first.public_key()
    assert certificate(folder / "ca.crt") == authority
    second.verify_directly_issued_by(authority)


def test_without_the_authoritys_key_nothing_is_changed(tmp_path: Path) -> None:
    make_certificates(tmp_path)
    before = (tmp_path / "server.crt").read_bytes()
    (tmp_path / "ca.key").rename(tmp_path / "elsewhere")
    with pytest.raises(CertificateError, match="bring the authority's key back"):
        make_certificates(tmp_path)
    assert (tmp_path / "server.crt").read_bytes() == before


def test_no_certificate_outlives_its_authority(tmp_path: Path) -> None:
    until = make_certificates(tmp_path, days=AUTHORITY_DAYS + 100)
    assert until == certificate(tmp_path / "ca.crt").not_valid_after_utc
