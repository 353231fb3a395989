"""Which channels there are: ``CHANNELS_FILE``, one entry a channel. Secrets stand beside it, never in it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from include.intake.channels.interface import Channel, ChannelDown, Delivery, Kind, Known, Look, Sighting
from include.intake.channels.local import LocalFolder
from include.intake.channels.senders import SenderListError, load_senders
from include.intake.reporters import Reporter
from include.settings import environment_secret

#: Of a mail, that of a file: attachments grow by a third on their way, and there may be several.
MAIL_OVER_FILE = 3


#: Variables with secrets of channels begin so: reading processes, which open hostile files, are started without them.
SECRET_PREFIX = "CHANNEL_"


class ChannelsFileError(ValueError):
    """The channels file cannot be used; the message names the channel, the key and what to write."""


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    # Stands in the ledger with every file: renamed, a channel gives all its files once more.
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")
    enabled: bool = True


class _Folder(_Entry):
    reporter: str | None = None
    top_folders: Literal["free", "reporters"] = "free"
    settle_seconds: float = Field(default=5.0, ge=0, le=600)

    @model_validator(mode="after")
    def _one_owner(self) -> _Folder:
        if self.reporter is not None and self.top_folders == "reporters":
            raise ValueError("either reporter (all of it is one county's) or top_folders: reporters, not both")
        return self


class _Local(_Folder):
    kind: Literal["local"]
    path: str | None = None
    settle_seconds: float = Field(default=1.0, ge=0, le=600)


class _Sftp(_Folder):
    kind: Literal["sftp"]
    host: str = Field(min_length=1)
    port: int = Field(default=22, ge=1, le=65535)
    user: str = Field(min_length=1)
    path: str = Field(default="/", pattern="^/")
    top_folders: Literal["free", "reporters"] = "reporters"
    host_key: str | None = Field(default=None, pattern=r"^(ssh|ecdsa|sk)-[a-z0-9@.-]+ [A-Za-z0-9+/=]+( .*)?$")
    known_hosts_file: str | None = None
    password_env: str | None = None
    password_file: str | None = None
    key_file: str | None = None
    passphrase_env: str | None = None
    passphrase_file: str | None = None

    @model_validator(mode="after")
    def _checks(self) -> _Sftp:
        if (self.host_key is None) == (self.known_hosts_file is None):
            raise ValueError(
                "write host_key (a line of `ssh-keyscan -t ed25519 HOST`, without the host) or known_hosts_file: "
                "without either nobody knows whom the files are asked from"
            )
        _one_of(self, "password", required=self.key_file is None)
        _one_of(self, "passphrase", required=False)
        return self


class _S3(_Folder):
    kind: Literal["s3"]
    endpoint: str = Field(pattern="^https?://")
    bucket: str = Field(min_length=3)
    prefix: str = ""
    top_folders: Literal["free", "reporters"] = "reporters"
    settle_seconds: float = Field(default=0.0, ge=0, le=600)
    region: str | None = None
    ca_file: str | None = None
    access_key_env: str | None = None
    access_key_file: str | None = None
    secret_key_env: str | None = None
    secret_key_file: str | None = None
    allow_http: bool = False

    @model_validator(mode="after")
    def _checks(self) -> _S3:
        if self.endpoint.startswith("http://") and not self.allow_http:
            raise ValueError("endpoint http:// sends reports in the clear: use https://, or write allow_http: true")
        _one_of(self, "access_key", required=True)
        _one_of(self, "secret_key", required=True)
        return self


class _Imap(_Entry):
    kind: Literal["imap"]
    host: str = Field(min_length=1)
    port: int | None = Field(default=None, ge=1, le=65535)
    security: Literal["tls", "starttls", "plain"] = "tls"
    user: str = Field(min_length=1)
    password_env: str | None = None
    password_file: str | None = None
    folder: str = "INBOX"
    senders_file: str = "senders.csv"
    authenticated_by: str | None = None
    afterwards: Literal["keep", "seen", "move"] = "keep"
    move_to: str | None = None
    ca_file: str | None = None

    @model_validator(mode="after")
    def _checks(self) -> _Imap:
        _one_of(self, "password", required=True)
        if (self.afterwards == "move") != (self.move_to is not None):
            raise ValueError("afterwards: move and move_to (the folder) go together")
        return self


_AnyEntry = Annotated[_Local | _Sftp | _S3 | _Imap, Field(discriminator="kind")]


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    channels: tuple[_AnyEntry, ...] = Field(min_length=1)


def load_channels(path: Path, *, inbox: Path, reporters: Sequence[Reporter], file_bytes: int) -> list[Channel]:
    """The channels of a file, in its order.

    Args:
        inbox: folder of a local channel that names none.
        file_bytes: what one received file may have.

    Raises:
        ChannelsFileError: the file is missing or wrong. A secret or a list of senders that cannot be read is the
            matter of one channel: it comes as a :class:`BrokenChannel`.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ChannelsFileError(
            f"there is no channels file {path}: correct CHANNELS_FILE (docs/channels.md)"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ChannelsFileError(f"{path.name} is no YAML: {' '.join(str(error).split())}") from error
    try:
        file = _File.model_validate(document)
    except ValidationError as error:
        raise ChannelsFileError(f"{path.name}: {_explained(error, document)} (docs/channels.md)") from None
    names = [entry.name for entry in file.channels]
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise ChannelsFileError(f"{path.name}: the name {', '.join(doubled)} stands twice; each channel needs its own")
    codes = {reporter.reporter_code for reporter in reporters}
    for entry in file.channels:
        if isinstance(entry, _Folder) and entry.reporter is not None and entry.reporter not in codes:
            raise ChannelsFileError(
                f"{path.name}: channel {entry.name}: reporter {entry.reporter!r} is not in the list of reporters"
            )
    made: list[Channel] = []
    for entry in file.channels:
        if entry.enabled:
            try:
                made.append(_made(entry, path.parent, inbox, frozenset(codes), file_bytes))
            except (OSError, UnicodeDecodeError, SenderListError) as error:
                made.append(BrokenChannel(entry.name, entry.kind, ChannelDown("secret", detail=str(error))))
    return made


class BrokenChannel:
    """A channel that cannot even be asked: reported like one that is down, and no hindrance to the others."""

    settle_seconds = 0.0
    marks = False

    def __init__(self, name: str, kind: Kind, down: ChannelDown) -> None:
        self.name = name
        self.kind: Kind = kind
        self._down = down

    @contextmanager
    def session(self) -> Iterator[None]:
        raise self._down
        yield

    def look(self, known: Known) -> Look:
        raise self._down

    def take(self, sighting: Sighting, seen_before: datetime | None) -> Iterator[Delivery]:
        raise self._down

    def finish(self, known: Known) -> None:
        raise self._down


def _made(entry: _AnyEntry, base: Path, inbox: Path, codes: Collection[str], file_bytes: int) -> Channel:
    # What signs in to servers is not loaded where there are none: a third of a second.
    if isinstance(entry, _Imap):
        from include.intake.channels.mailbox import Mailbox

        return Mailbox(
            entry.name,
            host=entry.host,
            port=entry.port or (993 if entry.security == "tls" else 143),
            user=entry.user,
            password=_secret(entry, "password", base) or "",
            senders=load_senders(base / entry.senders_file, codes),
            largest_mail_bytes=MAIL_OVER_FILE * file_bytes,
            security=entry.security,
            folder=entry.folder,
            afterwards=entry.afterwards,
            move_to=entry.move_to,
            authenticated_by=entry.authenticated_by,
            ca_file=_beside(base, entry.ca_file),
        )
    options: dict[str, Any] = {
        "settle_seconds": entry.settle_seconds,
        "reporter_code": entry.reporter,
        "reporters": codes if entry.top_folders == "reporters" and entry.reporter is None else None,
    }
    if isinstance(entry, _Local):
        return LocalFolder(base / entry.path if entry.path else inbox, entry.name, **options)
    if isinstance(entry, _Sftp):
        from include.intake.channels.remote import SftpFolder

        return SftpFolder(
            entry.name,
            host=entry.host,
            port=entry.port,
            user=entry.user,
            root=entry.path,
            known_hosts=_known_hosts(entry, base),
            password=_secret(entry, "password", base),
            key_file=_beside(base, entry.key_file),
            passphrase=_secret(entry, "passphrase", base),
            **options,
        )
    from include.intake.channels.remote import S3Folder

    return S3Folder(
        entry.name,
        endpoint=entry.endpoint,
        root=f"{entry.bucket}/{entry.prefix.strip('/')}".rstrip("/"),
        access_key=_secret(entry, "access_key", base) or "",
        secret_key=_secret(entry, "secret_key", base) or "",
        region=entry.region,
        ca_file=_beside(base, entry.ca_file),
        **options,
    )


def _beside(base: Path, name: str | None) -> Path | None:
    """A file that the channels file names: relative to where that lies."""
    if name is None:
        return None
    path = base / name
    # Opened here, so that the error names it; what reads it later says only that something is wrong.
    path.open("rb").close()
    return path


def _known_hosts(entry: _Sftp, base: Path) -> str:
    if entry.host_key is not None:
        # The key counts for this connection alone, whatever the host is called.
        return f"* {entry.host_key}\n"
    path = _beside(base, entry.known_hosts_file)
    assert path is not None
    return path.read_text(encoding="utf-8")


def _one_of(entry: BaseModel, name: str, *, required: bool) -> None:
    """A secret is named by a variable or by a file; raises ``ValueError``."""
    variable, file = getattr(entry, f"{name}_env"), getattr(entry, f"{name}_file")
    if variable is not None and file is not None:
        raise ValueError(f"write {name}_env or {name}_file, not both")
    if required and variable is None and file is None:
        raise ValueError(f"write {name}_env (a variable, {SECRET_PREFIX}…) or {name}_file (a file beside this one)")
    if variable is not None and not variable.startswith(SECRET_PREFIX):
        raise ValueError(f"{name}_env must name a variable that begins with {SECRET_PREFIX}, not {variable!r}")


def _secret(entry: BaseModel, name: str, base: Path) -> str | None:
    """The secret itself; ``None`` where none is named. Raises ``OSError`` when it cannot be had."""
    variable, file = getattr(entry, f"{name}_env"), getattr(entry, f"{name}_file")
    if variable is not None:
        value = environment_secret(variable)
        if value is None:
            raise OSError(f"the variable {variable} is not set")
        return value
    if file is not None:
        value = (base / file).read_text(encoding="utf-8").strip("\r\n")
        if not value:
            raise OSError(f"the file {base / file} is empty")
        return value
    return None


def _explained(error: ValidationError, document: Any) -> str:
    """The first thing wrong: which channel, which key, what to write; never what stood there, which may be a secret."""
    first = error.errors(include_url=False, include_input=False)[0]
    words = []
    place = [part for part in first["loc"]]
    if len(place) > 1 and place[0] == "channels" and isinstance(place[1], int):
        entry = document["channels"][place[1]]
        name = entry.get("name") if isinstance(entry, dict) else None
        words.append(f"channel {name or place[1] + 1}")
        # after the number stands the kind
        place = place[3:] if len(place) > 2 else []
    if place:
        words.append(".".join(str(part) for part in place))
    message = {
        "missing": "is missing",
        "extra_forbidden": "is not known: check the spelling; secrets never stand in this file",
        "union_tag_invalid": "kind must be local, sftp, s3 or imap",
        "union_tag_not_found": "kind is missing: local, sftp, s3 or imap",
    }.get(first["type"], first["msg"].removeprefix("Value error, "))
    return f"{': '.join(words)}: {message}" if words else message
