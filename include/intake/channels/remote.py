"""Folders on servers: SFTP (sshfs) and S3-compatible stores (s3fs), both through fsspec."""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncssh
import botocore.exceptions
from fsspec.asyn import AsyncFileSystem, sync
from s3fs import S3FileSystem
from s3fs.utils import FileExpired
from sshfs import SSHFileSystem

from include.intake.calendar import SHANGHAI
from include.intake.channels.folders import Entry, FolderChannel, is_passed_over
from include.intake.channels.interface import BLOCK_BYTES, ChangedWhileRead, ChannelDown, Kind

log = logging.getLogger(__name__)

#: Seconds within which a server must take a connection and answer a question; a listing may be long.
CONNECT_SECONDS = 15.0
ANSWER_SECONDS = 60.0
LISTING_SECONDS = 600.0

_GONE = (FileNotFoundError, asyncssh.SFTPNoSuchFile)
_FORBIDDEN = (PermissionError, asyncssh.SFTPPermissionDenied)
_LOST = (
    ConnectionError,
    TimeoutError,
    socket.gaierror,
    asyncssh.ConnectionLost,
    asyncssh.SFTPConnectionLost,
    asyncssh.SFTPNoConnection,
    botocore.exceptions.ConnectionError,
    botocore.exceptions.HTTPClientError,
)


class RemoteFolder(FolderChannel):
    """A tree of folders behind an fsspec file system, opened anew for every session."""

    where: str

    def __init__(self, name: str, *, root: str, **options: Any) -> None:
        super().__init__(name, **options)
        self.root = root
        self._open_system: AsyncFileSystem | None = None

    @property
    def _system(self) -> AsyncFileSystem:
        assert self._open_system is not None, "within session() only"
        return self._open_system

    def _ask(
        self,
        question: Callable[..., Coroutine[Any, Any, Any]],
        *arguments: Any,
        seconds: float = ANSWER_SECONDS,
        **options: Any,
    ) -> Any:
        """The answer to a question of the file system, within a time: its own methods would wait for ever."""
        return sync(self._system.loop, question, *arguments, timeout=seconds, **options)

    @contextmanager
    def _while(self, code: str) -> Iterator[None]:
        """Whatever says that the server is lost becomes :class:`ChannelDown`; of one file alone it stays as it is."""
        try:
            yield
        except _LOST as error:
            raise ChannelDown(code, passes=True, where=self.where, detail=_words(error)) from error

    def _opened(self, path: str) -> Any:
        return self._system.open(f"{self.root.rstrip('/')}/{path}", "rb", block_size=4 * BLOCK_BYTES)

    def _blocks(self, path: str) -> Iterator[bytes]:
        with self._while("lost"):
            try:
                with self._opened(path) as stream:
                    while block := stream.read(BLOCK_BYTES):
                        yield block
            except _GONE as error:
                raise ChangedWhileRead(f"{path} is gone") from error
            except FileExpired as error:
                raise ChangedWhileRead(f"{path} is being written") from error
            except _FORBIDDEN as error:
                raise PermissionError(13, "Permission denied") from error
            except asyncssh.SFTPError as error:
                raise OSError(5, str(error)) from error


class SftpFolder(RemoteFolder):
    """A folder of an SFTP server. The server's key must be on record: nothing is sent to another.

    Args:
        host, port, user: whom to ask, as whom.
        root: the folder there that holds everything.
        known_hosts: text of an OpenSSH ``known_hosts`` file.
        password, key_file, passphrase: how to sign in; a key, a password, or both.
    """

    kind: Kind = "sftp"

    def __init__(
        self,
        name: str,
        *,
        host: str,
        port: int,
        user: str,
        root: str,
        known_hosts: str,
        password: str | None = None,
        key_file: Path | None = None,
        passphrase: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(name, root=root, **options)
        self.where = f"{host}:{port}"
        self._host = host
        self._user = user
        self._options: dict[str, Any] = {
            "port": port,
            "username": user,
            "password": password,
            "client_keys": [str(key_file)] if key_file else None,
            "passphrase": passphrase,
            "known_hosts": known_hosts.encode(),
            # Nothing of whoever runs the process: no settings, keys or agent.
            "config": None,
            "agent_path": None,
            "gss_host": None,
            "connect_timeout": CONNECT_SECONDS,
            "login_timeout": CONNECT_SECONDS,
            # A server that fell silent is noticed in the middle of a file.
            "keepalive_interval": 10,
            "keepalive_count_max": 3,
            # File names from Windows may be GBK bytes.
            "sftp_client_kwargs": {"path_encoding": "utf-8", "path_errors": "surrogateescape"},
        }

    @contextmanager
    def session(self) -> Iterator[None]:
        with self._while("unreachable"):
            self._open_system = self._connect()
        try:
            yield
        finally:
            system, self._open_system = self._open_system, None
            system.client.abort()

    def _connect(self) -> SSHFileSystem:
        try:
            return SSHFileSystem(self._host, skip_instance_cache=True, **self._options)
        except (asyncssh.HostKeyNotVerifiable, asyncssh.KeyExchangeFailed) as error:
            raise ChannelDown("host_key", where=self.where, detail=_words(error)) from error
        except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError, FileNotFoundError) as error:
            raise ChannelDown("secret", detail=f"{self._options['client_keys']}: {_words(error)}") from error
        except PermissionError as error:
            raise ChannelDown("login", where=self.where, user=self._user, detail=_words(error)) from error
        except _LOST:
            raise
        except (OSError, asyncssh.Error, ValueError) as error:
            raise ChannelDown("unreachable", passes=True, where=self.where, detail=_words(error)) from error

    def _received_at(self, entry: Entry, seen_before: datetime | None) -> datetime:
        # Many programs upload a file together with its old time of change: by that a late report would be in time.
        return entry.modified_at if seen_before is None else max(entry.modified_at, seen_before)

    def _entries(self) -> Iterator[Entry]:
        with self._while("lost"):
            yield from self._below("")

    def _below(self, folder: str) -> Iterator[Entry]:
        path = f"{self.root.rstrip('/')}/{folder}".rstrip("/") or "/"
        try:
            listing = self._ask(self._system._ls, path, seconds=LISTING_SECONDS)
        except _GONE as error:
            if folder:
                return  # taken away meanwhile
            raise ChannelDown("no_folder", where=self.where, folder=self.root) from error
        except _FORBIDDEN as error:
            if not folder:
                raise ChannelDown("forbidden", where=self.where, folder=self.root, detail=_words(error)) from error
            self.unreadable.append(folder)
            return
        for info in sorted(listing, key=lambda info: str(info["name"])):
            inside = f"{folder}/{info['name'].rpartition('/')[2]}".lstrip("/")
            if is_passed_over(inside):
                continue
            # links are neither: what they lead to may be another county's
            if info["type"] == "directory":
                yield from self._below(inside)
            elif info["type"] == "file":
                yield _sftp_entry(inside, info)

    def _entry(self, path: str) -> Entry:
        with self._while("lost"):
            try:
                # The listing, unlike a question about one file, does not follow a link that took the file's place.
                folder, _, name = path.rpartition("/")
                listing = self._ask(self._system._ls, f"{self.root.rstrip('/')}/{folder}".rstrip("/") or "/")
            except _GONE as error:
                raise FileNotFoundError(path) from error
            for info in listing:
                if info["name"].rpartition("/")[2] == name and info["type"] == "file":
                    return _sftp_entry(path, info)
            raise FileNotFoundError(path)


class S3Folder(RemoteFolder):
    """Objects of a bucket below a prefix, of Amazon's service or of any store that speaks its language (MinIO, Ceph).

    An object appears as a whole, so one look is enough; its ``ETag`` tells whether it changed.

    Args:
        endpoint: address of the service.
        root: ``bucket/prefix``.
        ca_file: certificate of the authority that signed the server's, where the system does not know it.
    """

    kind: Kind = "s3"

    def __init__(
        self,
        name: str,
        *,
        endpoint: str,
        root: str,
        access_key: str,
        secret_key: str,
        region: str | None = None,
        ca_file: Path | None = None,
        **options: Any,
    ) -> None:
        super().__init__(name, root=root, **options)
        self.where = endpoint
        self._access_key = access_key
        self._options: dict[str, Any] = {
            "key": access_key,
            "secret": secret_key,
            "endpoint_url": endpoint,
            "use_listings_cache": False,
            "client_kwargs": {
                **({"region_name": region} if region else {}),
                **({"verify": str(ca_file)} if ca_file else {}),
            },
            "config_kwargs": {
                "connect_timeout": CONNECT_SECONDS,
                "read_timeout": ANSWER_SECONDS,
                # Trying again is the collection's business.
                "retries": {"max_attempts": 1},
                # A store of one's own rarely has a name for every bucket.
                "s3": {"addressing_style": "path"},
            },
        }

    @contextmanager
    def session(self) -> Iterator[None]:
        system = S3FileSystem(skip_instance_cache=True, **self._options)
        system.retries = 1
        self._open_system = system
        try:
            with self._while("unreachable"):
                self._greet()
            yield
        finally:
            self._open_system = None

    def _greet(self) -> None:
        """Ask for one object: a listing of nothing and a bucket that is not there look alike otherwise."""
        bucket, _, prefix = self.root.partition("/")
        try:
            self._ask(self._system._call_s3, "list_objects_v2", Bucket=bucket, Prefix=prefix, MaxKeys=1)
        except FileNotFoundError as error:
            raise ChannelDown("no_bucket", where=self.where, bucket=bucket) from error
        except PermissionError as error:
            if _error_code(error) in {"InvalidAccessKeyId", "SignatureDoesNotMatch", "403"}:
                raise ChannelDown("login", where=self.where, user=self._access_key, detail=_words(error)) from error
            raise ChannelDown("forbidden", where=self.where, folder=self.root, detail=_words(error)) from error
        except botocore.exceptions.SSLError as error:
            raise ChannelDown("certificate", where=self.where, detail=_words(error)) from error
        except _LOST:
            raise
        except (OSError, botocore.exceptions.BotoCoreError, ValueError) as error:
            raise ChannelDown("answer", passes=True, where=self.where, detail=_words(error)) from error

    def _entries(self) -> Iterator[Entry]:
        with self._while("lost"):
            found = self._ask(self._system._find, self.root, detail=True, seconds=LISTING_SECONDS)
        root = self.root.rstrip("/") + "/"
        for path, info in sorted(found.items()):
            # A prefix ends where its name ends: "inbox" is not "inbox-old".
            if info["type"] == "file" and path.startswith(root) and not path.endswith("/"):
                yield _s3_entry(path.removeprefix(root), info)

    def _entry(self, path: str) -> Entry:
        with self._while("lost"):
            return _s3_entry(path, self._ask(self._system._info, f"{self.root.rstrip('/')}/{path}", refresh=True))


def _sftp_entry(path: str, info: dict[str, Any]) -> Entry:
    return Entry(path, int(info["size"]), info["mtime"].astimezone(SHANGHAI))


def _s3_entry(path: str, info: dict[str, Any]) -> Entry:
    # A listing gives milliseconds, a question about one object whole seconds.
    changed = info["LastModified"].astimezone(SHANGHAI).replace(microsecond=0)
    return Entry(path, int(info["size"]), changed, str(info.get("ETag", "")).strip('"'))


def _error_code(error: BaseException) -> str | None:
    response = getattr(error.__cause__, "response", None)
    return None if response is None else response["Error"].get("Code")


def _words(error: BaseException) -> str:
    """What an error says in one line; never a secret, since none is ever part of one."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error.__cause__, ssl.SSLError):
        return str(error.__cause__)
    return " ".join(str(error).split())[:200] or type(error).__name__
