"""Real servers on the loopback interface for the channels that files come from: SFTP (OpenSSH), S3 (moto), IMAP
(Dovecot). Each has its own port, settings and folders, needs no service of the machine, and leaves nothing behind.

``python -m tests.servers`` ends with 0 when the two that are no Python packages can be started here.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.receivers import HOST, certificate, free_port

# Where administrators' programs lie; whoever runs tests may have a PATH without it.
_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin:/sbin"
SSHD = shutil.which("sshd", path=_PATH)
DOVECOT = shutil.which("dovecot", path=_PATH)
USERADD = shutil.which("useradd", path=_PATH) or "useradd"
USERDEL = shutil.which("userdel", path=_PATH) or "userdel"
IS_ROOT = os.geteuid() == 0


@dataclass
class Daemon:
    """A server process that can be stopped and started again on its port."""

    command: list[str]
    port: int
    log: Path
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> None:
        # Ends with these tests, however they end.
        setpriv = shutil.which("setpriv")
        command = [setpriv, "--pdeathsig", "TERM", *self.command] if setpriv else self.command
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
        end = time.monotonic() + 30
        while time.monotonic() < end:
            if self.process.poll() is not None:
                break
            with socket.socket() as probe:
                if probe.connect_ex((HOST, self.port)) == 0:
                    return
            time.sleep(0.02)
        raise RuntimeError(f"{self.command[0]} does not listen: {self.log.read_text(errors='replace')[-2000:]}")

    def stop(self) -> None:
        """End it and, with its group, whatever it started for connections that are still open."""
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None


@dataclass
class SftpServer:
    """An OpenSSH server that gives every county a root folder of its own, and the collector all of them, read only.

    Attributes:
        tree: the collector's root on this machine; ``tree/<code>/upload`` is where a county's files arrive.
        keys: private key by account: ``collector`` and each county's code.
        users: login by account.
        is_chrooted: whether accounts are locked in (needs root).
    """

    daemon: Daemon
    tree: Path
    folder: Path
    host_key: str
    keys: dict[str, Path]
    users: dict[str, str]
    is_chrooted: bool

    @property
    def port(self) -> int:
        return self.daemon.port

    @property
    def root(self) -> str:
        """The collector's root folder as the server shows it."""
        return "/" if self.is_chrooted else str(self.tree)

    def upload(self, code: str) -> Path:
        return self.tree / code / "upload"


@contextmanager
def sftp_server(codes: Iterable[str]) -> Iterator[SftpServer]:
    """An SFTP server for the block. As root it makes a system user for each account and takes them away again; else
    every account is the user's own and not locked in, since only root can change a root folder."""
    import asyncssh

    assert SSHD is not None, "OpenSSH's server is missing: .ci/servers"
    if IS_ROOT:
        _sweep()
    # A root folder must be root's alone all the way up, which /tmp is not.
    folder = Path(tempfile.mkdtemp(prefix="labour-sftp-", dir="/srv" if IS_ROOT else None))
    folder.chmod(0o755)
    accounts = ["collector", *codes]
    me = pwd.getpwuid(os.geteuid()).pw_name
    users = {one: f"lab{os.getpid()}-{one[:9]}" if IS_ROOT else me for one in accounts}
    try:
        if IS_ROOT:
            Path("/run/sshd").mkdir(exist_ok=True, mode=0o755)
            for user in users.values():
                # Not locked, and no password that would fit.
                _run(USERADD, "--no-create-home", "--system", "--shell", "/usr/sbin/nologin", "--password", "*", user)
        tree, settings = folder / "tree", folder / "settings"
        for one in (tree, settings):
            one.mkdir(mode=0o755)
        host = asyncssh.generate_private_key("ssh-ed25519")
        host.write_private_key(settings / "host_key")
        (settings / "host_key").chmod(0o600)
        keys = {}
        for one in accounts:
            key = asyncssh.generate_private_key("ssh-ed25519")
            keys[one] = settings / f"{one}.key"
            key.write_private_key(keys[one])
            keys[one].chmod(0o600)
            key.write_public_key(settings / f"{users[one]}.pub", "openssh")
            if not IS_ROOT:  # one user: every key is its
                with (settings / "all.pub").open("ab") as together:
                    together.write(key.export_public_key())
        for code in accounts[1:]:
            upload = tree / code / "upload"
            upload.mkdir(parents=True)
            upload.parent.chmod(0o755)
            if IS_ROOT:
                county, collector = pwd.getpwnam(users[code]), pwd.getpwnam(users["collector"])
                os.chown(upload, county.pw_uid, collector.pw_gid)
                # What the county uploads is the collector's to read, by the group; nobody else's.
                upload.chmod(0o2750)
        port = free_port()
        lines = [
            f"ListenAddress {HOST}", f"Port {port}", f"HostKey {settings}/host_key", "PidFile none", "UsePAM no",
            "UseDNS no",
            "PasswordAuthentication no", "KbdInteractiveAuthentication no", "StrictModes no",
            f"AuthorizedKeysFile {settings}/{'%u.pub' if IS_ROOT else 'all.pub'}", "Subsystem sftp internal-sftp",
            "AllowTcpForwarding no", "X11Forwarding no", "PermitTunnel no",
        ]  # fmt: skip
        if IS_ROOT:
            lines += [
                f"Match User {users['collector']}",
                f"  ChrootDirectory {tree}",
                "  ForceCommand internal-sftp -R",
            ]
            for code in accounts[1:]:
                lines += [
                    f"Match User {users[code]}", f"  ChrootDirectory {tree / code}",
                    "  ForceCommand internal-sftp -d /upload -u 0027 -P symlink,hardlink",
                ]  # fmt: skip
        else:
            lines += ["ForceCommand internal-sftp"]
        (settings / "sshd_config").write_text("\n".join(lines) + "\n")
        daemon = Daemon([SSHD, "-D", "-e", "-f", f"{settings}/sshd_config"], port, settings / "sshd.log")
        daemon.start()
        try:
            public = host.export_public_key().decode().split()
            yield SftpServer(daemon, tree, settings, " ".join(public[:2]), keys, users, IS_ROOT)
        finally:
            daemon.stop()
    finally:
        if IS_ROOT:
            for user in users.values():
                # Nothing of theirs runs any more but what answered a connection just now.
                subprocess.run(["pkill", "-KILL", "-u", user], check=False, capture_output=True)
                subprocess.run([USERDEL, "--force", user], check=False, capture_output=True)
        shutil.rmtree(folder, ignore_errors=True)


@dataclass
class S3Server:
    """moto's S3 server: any key pair signs in unless :meth:`check_logins` was called."""

    port: int
    server: Any = field(repr=False)

    @property
    def endpoint(self) -> str:
        return f"http://{HOST}:{self.port}"

    def client(self, access_key: str = "testing", secret_key: str = "testing") -> Any:
        """A client of the county's side."""
        import boto3
        from botocore.config import Config

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
            region_name="us-east-1",
            config=Config(s3={"addressing_style": "path"}),
        )

    def start(self) -> None:
        from moto.server import ThreadedMotoServer

        self.server = ThreadedMotoServer(HOST, self.port, verbose=False)
        self.server.start()

    def stop(self) -> None:
        self.server.stop()


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """An S3 server for the block; what it holds outlives :meth:`S3Server.stop`."""
    import logging

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = S3Server(free_port(), None)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@dataclass
class MailServer:
    """A Dovecot server with one account; its certificate signs itself."""

    daemon: Daemon
    plain_port: int
    user: str
    password: str
    certificate: Path

    @property
    def port(self) -> int:
        return self.daemon.port


@contextmanager
def imap_server() -> Iterator[MailServer]:
    """An IMAP server for the block: TLS on ``port``, STARTTLS on ``plain_port``."""
    assert DOVECOT is not None, "Dovecot is missing: .ci/servers"
    # Short: the sockets in it may have 107 characters.
    folder = Path(tempfile.mkdtemp(prefix="lab-imap-", dir="/tmp"))
    folder.chmod(0o755)
    certificate_file, _ = certificate(folder)
    port, plain_port = free_port(), free_port()
    me = pwd.getpwuid(os.geteuid())
    owner = pwd.getpwnam("dovecot") if IS_ROOT else me
    mails = folder / "mails"
    mails.mkdir(mode=0o700)
    if IS_ROOT:
        os.chown(mails, owner.pw_uid, owner.pw_gid)
    user, password = "reports@example.cn", "correct horse"
    (folder / "users").write_text(f"{user}:{{PLAIN}}{password}\n")
    (folder / "users").chmod(0o644)
    (folder / "dovecot.conf").write_text(
        f"""
protocols = imap
listen = {HOST}
base_dir = {folder}/run
state_dir = {folder}/run
log_path = /dev/stderr
ssl = yes
ssl_cert = <{certificate_file}
ssl_key = <{folder}/key.pem
disable_plaintext_auth = no
auth_failure_delay = 0
mail_location = maildir:{mails}
mail_uid = {owner.pw_uid}
mail_gid = {owner.pw_gid}
first_valid_uid = 1
first_valid_gid = 1
default_login_user = {"dovenull" if IS_ROOT else me.pw_name}
default_internal_user = {"dovecot" if IS_ROOT else me.pw_name}
default_internal_group = {"dovecot" if IS_ROOT else os.getegid()}
{"" if IS_ROOT else "service anvil { chroot = }"}
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {folder}/users
}}
userdb {{
  driver = static
  args = uid={owner.pw_uid} gid={owner.pw_gid} home={mails}
}}
service imap-login {{
  {"" if IS_ROOT else "chroot ="}
  inet_listener imap {{
    port = {plain_port}
  }}
  inet_listener imaps {{
    port = {port}
    ssl = yes
  }}
}}
"""
    )
    daemon = Daemon([DOVECOT, "-F", "-c", f"{folder}/dovecot.conf"], port, folder / "dovecot.log")
    try:
        daemon.start()
        yield MailServer(daemon, plain_port, user, password, certificate_file)
    finally:
        daemon.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _sweep() -> None:
    """Take away the accounts of tests that were killed."""
    for entry in pwd.getpwall():
        match = re.fullmatch(r"lab(\d+)-\w+", entry.pw_name)
        if match and not Path(f"/proc/{match[1]}").exists():
            subprocess.run([USERDEL, "--force", entry.pw_name], check=False, capture_output=True)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")


if __name__ == "__main__":
    sys.exit(0 if SSHD and DOVECOT else 1)
