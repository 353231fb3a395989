"""The four channels against real servers: every way in which fetching goes wrong, and what the ledger says then."""

from __future__ import annotations

import os
import ssl
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import asyncssh
import pytest
import yaml
from imapclient import IMAPClient

from include.intake.calendar import SHANGHAI
from include.intake.channels import Channel, ChannelDown
from include.intake.channels.configuration import load_channels
from include.intake.landing import LandingStore
from include.intake.reporters import load_reporters
from include.pipeline import gather as gathering
from include.pipeline.collect import ChannelsDown, check_channels, collect
from include.pipeline.gather import gather
from include.settings import get_settings
from include.warehouse.connection import connect
from tests.databases import database, settings_of
from tests.receivers import HOST
from tests.servers import IS_ROOT, MailServer, S3Server, SftpServer, imap_server, s3_server, sftp_server
from tests.workbooks import STATUS_HEADERS, enterprise, write_form

CODE, COUNTY = "450126", "宾阳县"
OTHER_CODE, OTHER = "450721", "灵山县"
# This very month takes files that arrive now, whatever the clock says.
PERIOD = f"{datetime.now(SHANGHAI):%Y-%m}"
MAILBOX, OTHER_MAILBOX = "rsj@binyang.example.cn", "rsj@lingshan.example.cn"
MB = 1 << 20
KINDS = ("local", "sftp", "s3", "imap")


class Place(ABC):
    """A channel with its server, and what a county does there."""

    kind: str
    entry: dict[str, Any]

    @abstractmethod
    def put(self, name: str, content: bytes, code: str = CODE) -> None:
        """The county hands a file over, as a whole."""

    @abstractmethod
    def stop(self) -> None: ...

    @abstractmethod
    def start(self) -> None: ...

    @abstractmethod
    def clear(self) -> None:
        """Take everything away."""


class LocalPlace(Place):
    kind = "local"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.folder.mkdir(exist_ok=True)
        self.entry = {"name": "local", "kind": "local", "path": str(folder), "settle_seconds": 0.5}

    def put(self, name: str, content: bytes, code: str = CODE) -> None:
        path = self.folder / code / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)

    def stop(self) -> None:
        self.folder.rename(self.folder.with_name("away"))

    def start(self) -> None:
        self.folder.with_name("away").rename(self.folder)

    def clear(self) -> None:
        for path in sorted(self.folder.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()


class SftpPlace(Place):
    kind = "sftp"

    def __init__(self, server: SftpServer) -> None:
        self.server = server
        self.entry = {
            "name": "counties", "kind": "sftp", "host": HOST, "port": server.port, "user": server.users["collector"],
            "key_file": str(server.keys["collector"]), "host_key": server.host_key, "path": server.root,
            "settle_seconds": 0.5,
        }  # fmt: skip

    def put(self, name: str, content: bytes, code: str = CODE) -> None:
        # Read by the group as what a county uploads is: the folder hands its group down, the umask is 027.
        path = self.server.upload(code) / name
        path.write_bytes(content)
        path.chmod(0o640)

    def stop(self) -> None:
        self.server.daemon.stop()

    def start(self) -> None:
        self.server.daemon.start()

    def clear(self) -> None:
        for path in self.server.tree.glob("*/upload/*"):
            path.unlink()


class S3Place(Place):
    kind = "s3"
    bucket = "labour-reports"

    def __init__(self, server: S3Server, secrets: Path) -> None:
        self.server = server
        self.client = server.client()
        self.client.create_bucket(Bucket=self.bucket)
        for name in ("access", "secret"):
            (secrets / name).write_text("testing\n")
        self.entry = {
            "name": "store", "kind": "s3", "endpoint": server.endpoint, "allow_http": True, "bucket": self.bucket,
            "prefix": "inbox/", "region": "us-east-1", "access_key_file": str(secrets / "access"),
            "secret_key_file": str(secrets / "secret"),
        }  # fmt: skip

    def put(self, name: str, content: bytes, code: str = CODE) -> None:
        self.client.put_object(Bucket=self.bucket, Key=f"inbox/{code}/{name}", Body=content)

    def stop(self) -> None:
        self.server.stop()

    def start(self) -> None:
        self.server.start()

    def clear(self) -> None:
        for item in self.client.list_objects_v2(Bucket=self.bucket).get("Contents", []):
            self.client.delete_object(Bucket=self.bucket, Key=item["Key"])


class MailPlace(Place):
    kind = "imap"

    def __init__(self, server: MailServer, folder: Path) -> None:
        self.server = server
        self.senders = folder / "senders.csv"
        (folder / "mail-password").write_text(server.password)
        self.register(**{MAILBOX: CODE, OTHER_MAILBOX: OTHER_CODE})
        self.entry = {
            "name": "mail", "kind": "imap", "host": HOST, "port": server.port, "user": server.user,
            "password_file": str(folder / "mail-password"), "senders_file": str(self.senders),
            "ca_file": str(server.certificate),
        }  # fmt: skip

    def register(self, **senders: str) -> None:
        self.senders.write_text("email,reporter_code\n" + "".join(f"{one},{code}\n" for one, code in senders.items()))

    @contextmanager
    def client(self) -> Iterator[IMAPClient]:
        context = ssl.create_default_context(cafile=self.server.certificate)
        with IMAPClient(HOST, self.server.port, ssl_context=context) as client:
            client.login(self.server.user, self.server.password)
            yield client

    def send(self, mail: bytes) -> None:
        with self.client() as client:
            client.append("INBOX", mail)

    def put(self, name: str, content: bytes, code: str = CODE) -> None:
        self.send(letter((name, content), sender=MAILBOX if code == CODE else OTHER_MAILBOX).as_bytes())

    def stop(self) -> None:
        self.server.daemon.stop()

    def start(self) -> None:
        self.server.daemon.start()

    def clear(self) -> None:
        with self.client() as client:
            for folder in ("INBOX", "已收取"):
                if client.folder_exists(folder):
                    client.select_folder(folder)
                    client.delete_messages(client.search("ALL"))
                    client.expunge()


def letter(*files: tuple[str, bytes], sender: str = MAILBOX, **headers: str) -> EmailMessage:
    mail = EmailMessage()
    for name, value in {"From": f"人社局 <{sender}>", "Subject": "报送", **headers}.items():
        mail[name.replace("_", "-")] = value
    mail.set_content("附件请查收。")
    for name, content in files:
        mail.add_attachment(content, maintype="application", subtype="octet-stream", filename=name)
    return mail


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Place]]:
    """All four channels, with their servers, for the tests of this module."""
    folder = tmp_path_factory.mktemp("channels")
    with ExitStack() as stack:
        sftp = stack.enter_context(sftp_server([CODE, OTHER_CODE]))
        s3 = stack.enter_context(s3_server())
        imap = stack.enter_context(imap_server())
        made: list[Place] = [
            LocalPlace(folder / "inbox"), SftpPlace(sftp), S3Place(s3, folder), MailPlace(imap, folder),
        ]  # fmt: skip
        yield {place.kind: place for place in made}


@pytest.fixture(autouse=True)
def quick_and_empty(places: dict[str, Place], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Attempts follow at once, and no test finds files of another."""
    monkeypatch.setattr(gathering, "PAUSES", (0.0, 0.0))
    yield
    for place in places.values():
        place.clear()


@pytest.fixture(scope="module")
def warehouse_url(var_dir: Path) -> Iterator[str]:
    with database("channels", is_prepared=False) as url:
        yield url


@pytest.fixture
def ledger(warehouse_url: str, tmp_path: Path) -> Iterator[Callable[..., None]]:
    """An empty ledger and empty folders; called with places (and changes of their entries), it configures them."""
    file = tmp_path / "channels.yaml"
    environment = {f"{one}_DIR": str(tmp_path / one.lower()) for one in ("LANDING", "OUTBOX", "WORK")}
    with settings_of(environment | {"WAREHOUSE_URL": warehouse_url, "CHANNELS_FILE": str(file)}):
        with connect() as conn:
            conn.execute("truncate intake.received_file, intake.reporting_period, intake.channel_state cascade")

        def configure(*of: Place, **changes: Any) -> None:
            file.write_text(yaml.safe_dump({"channels": [place.entry | changes for place in of]}))

        yield configure


@pytest.fixture(scope="module")
def workbook(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., bytes]:
    folder = tmp_path_factory.mktemp("workbooks")

    def make(county: str = COUNTY, code: str = CODE, number: int = 1) -> bytes:
        path = folder / f"{county}{number}.xlsx"
        if not path.exists():
            write_form(path, "企业情况表", county, PERIOD, STATUS_HEADERS, [enterprise(county, code, number)])
        return path.read_bytes()

    return make


def channel_of(place: Place, tmp_path: Path, **changes: Any) -> Any:
    """The channel as it is configured, and a landing store for :func:`fetch`."""
    file = tmp_path / "one.yaml"
    file.write_text(yaml.safe_dump({"channels": [place.entry | changes]}))
    [channel] = load_channels(
        file, inbox=tmp_path, reporters=load_reporters(get_settings().reporters_file), file_bytes=8 * MB
    )
    return channel


def fetch(channel: Channel, tmp_path: Path, known: frozenset[Any] = frozenset()) -> gathering.Gathered:
    result = gather(channel, LandingStore(tmp_path / "landing"), known, None, 8 * MB)
    assert result.down is None
    return result


def names(result: gathering.Gathered) -> list[str]:
    return sorted(item.arrival.file_name for item in result.landed)


def rows(statement: str) -> list[tuple[Any, ...]]:
    with connect() as conn:
        return conn.execute(statement).fetchall()


def outcomes() -> list[tuple[str, str]]:
    return rows("select channel, outcome from intake.received_file order by receipt_id")


# -------------------------------------------------------------------------------------------- the faults, each channel


@pytest.mark.parametrize("kind", ["local", "sftp", "s3"])
def test_an_upload_under_its_temporary_name_is_not_read(places: dict[str, Place], tmp_path: Path, kind: str) -> None:
    place = places[kind]
    for name in ("甲.xlsx.part", "乙.xlsx.filepart", ".丙.xlsx.k3Jq", "~$丁.xlsx"):
        place.put(name, b"half")
    place.put("戊.xlsx", b"whole")
    assert names(fetch(channel_of(place, tmp_path), tmp_path)) == ["戊.xlsx"]
    place.put("甲.xlsx", b"whole as well")
    assert names(fetch(channel_of(place, tmp_path), tmp_path)) == ["戊.xlsx", "甲.xlsx"]


@pytest.mark.parametrize("kind", ["local", "sftp"])
def test_a_file_that_grows_between_two_looks_waits(
    places: dict[str, Place], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    place = places[kind]
    place.put("完整.xlsx", b"whole")
    place.put("上传中.xlsx", b"half")
    pauses: list[float] = []

    def meanwhile(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 1:
            place.put("上传中.xlsx", b"half and the rest")

    monkeypatch.setattr(gathering.time, "sleep", meanwhile)
    first = fetch(channel_of(place, tmp_path), tmp_path)
    assert (names(first), first.waiting, first.present, pauses) == (["完整.xlsx"], 1, 2, [0.5])
    later = fetch(channel_of(place, tmp_path), tmp_path, frozenset(item.arrival.key for item in first.landed))
    assert (names(later), later.waiting) == (["上传中.xlsx"], 0)
    assert later.landed[0].arrival.size_bytes == len(b"half and the rest")


def test_an_object_of_many_parts_is_read_when_it_is_complete(places: dict[str, Place], tmp_path: Path) -> None:
    place = places["s3"]
    assert isinstance(place, S3Place)
    of = {"Bucket": place.bucket, "Key": f"inbox/{CODE}/大.xlsx"}
    upload = place.client.create_multipart_upload(**of)["UploadId"]
    part = place.client.upload_part(**of, UploadId=upload, PartNumber=1, Body=b"x" * (5 * MB))
    assert names(fetch(channel_of(place, tmp_path), tmp_path)) == []
    place.client.complete_multipart_upload(
        **of, UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    )
    assert names(fetch(channel_of(place, tmp_path), tmp_path)) == ["大.xlsx"]


def test_a_mail_that_is_still_being_handed_over_is_not_there(places: dict[str, Place], tmp_path: Path) -> None:
    place = places["imap"]
    assert isinstance(place, MailPlace)
    mail = letter(("表.xlsx", b"x" * 10_000)).as_bytes().replace(b"\n", b"\r\n")
    with place.client() as client:
        line = client._imap.send
        line(b"A1 APPEND INBOX {%d}\r\n" % len(mail))
        assert client._imap.readline().startswith(b"+")
        line(mail[:5000])
        assert fetch(channel_of(place, tmp_path), tmp_path).present == 0
        line(mail[5000:] + b"\r\n")
        assert b"OK" in client._imap.readline()
    assert names(fetch(channel_of(place, tmp_path), tmp_path)) == ["表.xlsx"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_changes_while_it_is_read_is_taken_again(
    places: dict[str, Place], tmp_path: Path, kind: str
) -> None:
    place = places[kind]
    place.put("变.xlsx", b"a" * (5 * MB))
    channel = channel_of(place, tmp_path, **({} if kind == "imap" else {"settle_seconds": 0}))
    reading = "_blocks" if kind != "imap" else "_fetch"
    original = getattr(channel, reading)

    def disturbed(of: Any) -> Any:
        if kind == "imap":  # a mail never changes; it can be taken away and come anew
            place.clear()
            place.put("变.xlsx", b"b" * (2 * MB))
            return original(of)
        return blocks(of)

    def blocks(of: Any) -> Iterator[bytes]:
        pieces = original(of)
        yield next(pieces)
        place.put("变.xlsx", b"b" * (5 * MB - 1))
        yield from pieces

    setattr(channel, reading, disturbed)
    first = fetch(channel, tmp_path)
    assert (first.landed, first.waiting) == ([], 1)
    # and nothing of it is left behind
    assert [path for path in (tmp_path / "landing").rglob("*") if path.is_file()] == []
    setattr(channel, reading, original)
    second = fetch(channel, tmp_path)
    assert names(second) == ["变.xlsx"]
    stored = (LandingStore(tmp_path / "landing")).get(second.landed[0].sha256)
    assert set(stored) == {ord("b")}


def test_the_same_file_through_four_channels_is_one_submission(
    places: dict[str, Place], ledger: Callable[..., None], workbook: Callable[..., bytes]
) -> None:
    ledger(*places.values())
    for place in places.values():
        place.put("企业情况表.xlsx", workbook())
    collected = collect()
    assert (collected.files, collected.new, collected.duplicates, collected.down) == (4, 4, 3, ())
    assert sorted(outcome for _, outcome in outcomes()) == ["duplicate", "duplicate", "duplicate", "pending"]
    assert {channel for channel, _ in outcomes()} == {"local", "counties", "store", "mail"}
    assert rows("select distinct period, reporter_code, sha256 from intake.received_file") == [
        (PERIOD, CODE, rows("select sha256 from intake.received_file limit 1")[0][0])
    ]
    # and the second time nothing is new, nor read
    assert collect().new == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_channel_that_is_down_is_asked_again_reported_and_stops_nothing(
    places: dict[str, Place],
    ledger: Callable[..., None],
    workbook: Callable[..., bytes],
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    down, up = places[kind], places["local" if kind != "local" else "s3"]
    ledger(down, up)
    down.put("一.xlsx", workbook(number=1))
    up.put("二.xlsx", workbook(OTHER, OTHER_CODE, 2), OTHER_CODE)
    name = down.entry["name"]
    asked: list[float] = []
    monkeypatch.setattr(gathering, "PAUSES", (0.25, 0.75))
    monkeypatch.setattr(gathering.time, "sleep", asked.append)
    down.stop()
    try:
        collected = collect()
        # the other channel's month goes on
        assert (collected.new, collected.periods, collected.down) == (1, [PERIOD], (name,))
        # a missing folder does not come back within a second; a server may
        assert [pause for pause in asked if pause in (0.25, 0.75)] == ([] if kind == "local" else [0.25, 0.75])
        with pytest.raises(ChannelsDown, match=f"(?s){name}.*Channels not collected: {name}\\."):
            check_channels()
        assert collect().down == (name,)
    finally:
        down.start()
    [(failures, lasted, error_zh, success)] = rows(
        "select failures, last_tried_at > down_since, error_zh, last_success_at from intake.channel_state"
        f" where channel = '{name}'"
    )
    assert (failures, lasted, success) == (2, True, None)
    assert "连接不上" in error_zh or (kind == "local" and "没有文件夹" in error_zh)
    back = collect()
    assert (back.new, back.down) == (1, ())
    check_channels()
    assert rows(
        "select failures, down_since, error_zh, last_success_at = last_tried_at, waiting from intake.channel_state"
        f" where channel = '{name}'"
    ) == [(0, None, None, True, 0)]


# ----------------------------------------------------------------------------------------------- whose file is it


@pytest.mark.parametrize("kind", ["sftp", "s3", "imap"])
def test_the_account_binds(
    places: dict[str, Place], ledger: Callable[..., None], workbook: Callable[..., bytes], kind: str
) -> None:
    """A workbook of another county in a county's folder, or from its mailbox, is refused; one that names no county by
    its file name is the account's own."""
    place = places[kind]
    ledger(place)
    place.put("表.xlsx", workbook(OTHER, OTHER_CODE, 3), CODE)
    place.put("表一.xlsx", workbook(OTHER, OTHER_CODE, 4), OTHER_CODE)
    collect()
    assert rows("select reporter_code, outcome from intake.received_file order by outcome") == [
        (OTHER_CODE, "pending"), (None, "refused"),
    ]  # fmt: skip
    [(code, message)] = rows("select code, message_zh from intake.finding")
    assert code == "E-IDN-004"
    assert "灵山县" in message and f"所在文件夹（{CODE}" in message


def test_a_top_folder_of_no_reporter_is_refused(
    places: dict[str, Place], ledger: Callable[..., None], workbook: Callable[..., bytes]
) -> None:
    place = places["s3"]
    ledger(place)
    place.put("表.xlsx", workbook(), "binyang")
    assert collect().refused == 1
    assert rows("select code, reporter_code, period from intake.finding") == [("E-CHN-001", None, None)]
    # put where it belongs it is no duplicate of what was refused
    place.put("表.xlsx", workbook(), CODE)
    collect()
    assert [outcome for _, outcome in outcomes()] == ["refused", "pending"]


def test_a_whole_channel_may_be_one_reporters(
    places: dict[str, Place], ledger: Callable[..., None], workbook: Callable[..., bytes]
) -> None:
    place = places["s3"]
    ledger(place, prefix=f"inbox/{CODE}", reporter=CODE, top_folders="free")
    place.put("一.xlsx", workbook())
    place.put("二.xlsx", workbook(OTHER, OTHER_CODE, 3))
    collect()
    assert rows("select channel_path, reporter_code, outcome from intake.received_file order by channel_path") == [
        (f"{CODE}/一.xlsx", CODE, "pending"), (f"{CODE}/二.xlsx", None, "refused"),
    ]  # fmt: skip


# ------------------------------------------------------------------------------------------------------------- SFTP


def test_another_host_key_is_refused_before_anything_is_sent(places: dict[str, Place], tmp_path: Path) -> None:
    place = places["sftp"]
    other = " ".join(asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().split()[:2])
    (tmp_path / "known_hosts").write_text(f"elsewhere.example.cn {other}\n")
    for changes in ({"host_key": other}, {"host_key": None, "known_hosts_file": "known_hosts"}):
        channel = channel_of(place, tmp_path, **changes)
        with pytest.raises(ChannelDown, match="another host key") as raised, channel.session():
            pass
        assert not raised.value.passes and "主机密钥" in raised.value.reason_zh


def test_a_refused_login_is_not_tried_twice(places: dict[str, Place], tmp_path: Path) -> None:
    """Servers lock accounts after a few."""
    place = places["sftp"]
    assert isinstance(place, SftpPlace)
    wrong = tmp_path / "wrong.key"
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(wrong)
    channel = channel_of(place, tmp_path, key_file=str(wrong))
    sessions: list[int] = []
    connect_once = channel._connect
    channel._connect = lambda: (sessions.append(1), connect_once())[1]
    result = gather(channel, LandingStore(tmp_path / "landing"), frozenset(), None, MB)
    assert result.down is not None and "拒绝登录" in result.down.reason_zh
    assert len(sessions) == 1


@pytest.mark.skipif(not IS_ROOT, reason="only root can give accounts root folders of their own: run as root to see it")
def test_a_county_sees_its_own_folder_alone(places: dict[str, Place], tmp_path: Path) -> None:
    import asyncio

    place = places["sftp"]
    assert isinstance(place, SftpPlace)
    server = place.server
    place.put("别县.xlsx", b"of the other county", OTHER_CODE)

    async def as_county() -> tuple[list[str], list[str]]:
        known = asyncssh.import_known_hosts(f"* {server.host_key}\n")
        async with (
            asyncssh.connect(
                HOST, server.port, username=server.users[CODE], client_keys=[str(server.keys[CODE])],
                known_hosts=known, config=None,
            ) as connection,
            connection.start_sftp_client() as sftp,
        ):  # fmt: skip
            with pytest.raises(asyncssh.SFTPError):
                await sftp.listdir(f"../{OTHER_CODE}/upload")
            with pytest.raises(asyncssh.SFTPError):
                await sftp.symlink(f"/{OTHER_CODE}/upload/别县.xlsx", "/upload/链接.xlsx")
            async with sftp.open("/upload/本县.xlsx", "wb") as file:
                await file.write(b"own")
            return sorted(map(str, await sftp.listdir("/"))), sorted(map(str, await sftp.listdir("/upload")))

    root, upload = asyncio.run(as_county())
    assert [name for name in root if name not in (".", "..")] == ["upload"]
    assert [name for name in upload if name not in (".", "..")] == ["本县.xlsx"]
    # what a county uploaded through the server the collector can read, and nobody else
    assert (server.upload(CODE) / "本县.xlsx").stat().st_mode & 0o777 == 0o640
    assert names(fetch(channel_of(place, tmp_path), tmp_path)) == ["别县.xlsx", "本县.xlsx"]


def test_a_link_to_another_countys_file_is_not_followed(places: dict[str, Place], tmp_path: Path) -> None:
    place = places["sftp"]
    assert isinstance(place, SftpPlace)
    place.put("别县.xlsx", b"of the other county", OTHER_CODE)
    (place.server.upload(CODE) / "链接.xlsx").symlink_to(f"../../{OTHER_CODE}/upload/别县.xlsx")
    assert names(fetch(channel_of(place, tmp_path), tmp_path)) == ["别县.xlsx"]


def test_a_folder_closed_to_the_account_is_said_and_keeps_no_other_file(
    places: dict[str, Place], tmp_path: Path
) -> None:
    place = places["sftp"]
    assert isinstance(place, SftpPlace)
    place.put("表.xlsx", b"of a county that is all right")
    closed = place.server.upload(OTHER_CODE) / "关闭"
    closed.mkdir(mode=0o700)
    try:
        result = gather(channel_of(place, tmp_path), LandingStore(tmp_path / "landing"), frozenset(), None, 8 * MB)
    finally:
        closed.rmdir()
    assert names(result) == ["表.xlsx"]
    assert result.down is not None and f"{OTHER_CODE}/upload/关闭" in str(result.down)


def test_an_old_time_of_change_does_not_make_a_late_report_early(
    places: dict[str, Place], ledger: Callable[..., None], workbook: Callable[..., bytes]
) -> None:
    """WinSCP keeps a file's time of change: what the look before did not see arrived after it."""
    place = places["sftp"]
    assert isinstance(place, SftpPlace)
    ledger(place)
    collect()
    [(looked_at,)] = rows("select last_success_at from intake.channel_state")
    place.put("表.xlsx", workbook())
    saved = datetime(2026, 11, 2, 9, 0, tzinfo=SHANGHAI)
    os.utime(place.server.upload(CODE) / "表.xlsx", (saved.timestamp(), saved.timestamp()))
    collect()
    assert rows("select received_at, modified_at from intake.received_file") == [(looked_at, saved)]
    assert collect().new == 0


def test_names_of_gbk_bytes_are_read_on_the_server(places: dict[str, Place], tmp_path: Path) -> None:
    place = places["sftp"]
    assert isinstance(place, SftpPlace)
    path = os.path.join(os.fsencode(place.server.upload(CODE)), "企业情况表.xlsx".encode("gb18030"))
    with open(path, "wb") as file:
        file.write(b"x")
    os.chmod(path, 0o644)
    result = fetch(channel_of(place, tmp_path), tmp_path)
    assert [item.arrival.path_in_channel for item in result.landed] == [f"{CODE}/upload/企业情况表.xlsx"]


# ------------------------------------------------------------------------------------------ size and number of files


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_over_the_limit_is_in_the_ledger_and_not_on_the_disk(
    places: dict[str, Place], tmp_path: Path, kind: str
) -> None:
    place = places[kind]
    place.put("大.xlsx", b"x" * (9 * MB))
    result = fetch(channel_of(place, tmp_path), tmp_path)
    [item] = result.landed
    assert item.refusal is not None and item.refusal.code == "E-FILE-003"
    assert item.arrival.size_bytes == 9 * MB
    note = LandingStore(tmp_path / "landing").get(item.sha256)
    assert len(note) < 1000 and "原件过大" in note.decode()


@pytest.mark.parametrize("kind", ["local", "sftp"])
def test_ten_thousand_known_files_are_listed_and_none_is_read(
    places: dict[str, Place], tmp_path: Path, kind: str
) -> None:
    place = places[kind]
    folder = place.folder / CODE if isinstance(place, LocalPlace) else place.server.upload(CODE)  # type: ignore[attr-defined]
    folder.mkdir(exist_ok=True)
    old = time.time() - 7200
    for number in range(10_000):
        path = folder / f"{number}.xlsx"
        path.touch(0o644)
        os.utime(path, (old, old))
    channel = channel_of(place, tmp_path)
    with channel.session():
        known = frozenset(channel._arrival(sighting.handle, None).key for sighting in channel.look(frozenset()).fresh)
    assert len(known) == 10_000

    def read(path: str) -> Iterator[bytes]:
        raise AssertionError(f"{path} is read")

    channel._blocks = read
    started = time.monotonic()
    result = fetch(channel, tmp_path, known)
    assert (result.present, result.landed, result.unreadable) == (10_000, [], 0)
    assert time.monotonic() - started < 30


# ------------------------------------------------------------------------------------------------------------ mail


def test_attachments_whatever_program_wrote_them(places: dict[str, Place], tmp_path: Path) -> None:
    place = places["imap"]
    assert isinstance(place, MailPlace)
    encoded = "=?gb2312?B?" + __import__("base64").b64encode("情况表，邕宁.xlsx".encode("gb18030")).decode() + "?="
    raw = "\r\n".join(
        [
            f"From: {MAILBOX}",
            "Subject: =?utf-8?B?5oql6YCB?=",
            "MIME-Version: 1.0",
            "Content-Type: multipart/mixed; boundary=b",
            "",
            "--b",
            "Content-Type: text/plain",
            "",
            "text",
            "--b",
            f'Content-Type: application/octet-stream; name="{encoded}"',
            "Content-Transfer-Encoding: base64",
            "",
            "MQ==",
            "--b",
            "Content-Type: application/octet-stream",
            "Content-Disposition: attachment; filename*=gb2312''%C6%F3%D2%B5.xlsx",
            "",
            "2",
            "--b",
            "Content-Type: application/octet-stream",
            "Content-Disposition: attachment; filename*0*=utf-8''%E4%B8%80%E5%8F%A5; filename*1*=%E8%AF%9D.xlsx",
            "",
            "3",
            "--b",
            "Content-Type: application/octet-stream",
            'Content-Disposition: attachment; filename="台账.xlsx"',
            "",
            "4",
            "--b",
            'Content-Type: image/png; name="logo.png"',
            "Content-Disposition: inline",
            "Content-ID: <l>",
            "",
            "picture",
            "--b",
            "Content-Type: message/rfc822",
            "",
            "From: someone@else.cn",
            "Subject: forwarded",
            "MIME-Version: 1.0",
            "Content-Type: multipart/mixed; boundary=c",
            "",
            "--c",
            "Content-Type: application/zip",
            'Content-Disposition: attachment; filename="../月报/包.zip"',
            "",
            "5",
            "--c--",
            "--b--",
            "",
        ]
    ).encode("gb18030")
    place.send(raw)
    result = fetch(channel_of(place, tmp_path), tmp_path)
    stored = LandingStore(tmp_path / "landing")
    assert [(item.arrival.file_name, stored.get(item.sha256).strip()) for item in result.landed] == [
        ("情况表，邕宁.xlsx", b"1"), ("企业.xlsx", b"2"), ("一句话.xlsx", b"3"), ("台账.xlsx", b"4"),
        (".._月报_包.zip", b"5"),
    ]  # fmt: skip
    folders = [item.arrival.folder for item in result.landed]
    assert [folder.rpartition("-")[2] for folder in folders] == ["1of5", "2of5", "3of5", "4of5", "5of5"]
    assert {folder.partition("/")[0] for folder in folders} == {CODE}
    # known by the ledger alone; with one attachment missing there, that one is taken
    known = frozenset(item.arrival.key for item in result.landed)
    assert fetch(channel_of(place, tmp_path), tmp_path, known).landed == []
    assert names(fetch(channel_of(place, tmp_path), tmp_path, known - {result.landed[2].arrival.key})) == [
        "一句话.xlsx"
    ]


def test_mail_of_an_unknown_sender_is_kept_refused_and_taken_once_the_sender_is_registered(
    places: dict[str, Place], ledger: Callable[..., None], workbook: Callable[..., bytes]
) -> None:
    place = places["imap"]
    assert isinstance(place, MailPlace)
    ledger(place)
    place.send(letter(("宾阳县企业情况表.xlsx", workbook()), sender="new@binyang.example.cn").as_bytes())
    place.send(letter(sender=MAILBOX).as_bytes())
    place.send(letter(("两人.xlsx", workbook()), From=f"{MAILBOX}, other@example.cn").as_bytes())
    assert collect().refused == 3
    assert rows("select code, period, reporter_code from intake.finding order by code") == [
        ("E-CHN-002", None, None), ("E-CHN-002", None, None), ("E-CHN-004", None, CODE),
    ]  # fmt: skip
    [(sha256,)] = rows("select sha256 from intake.received_file where file_name = '宾阳县企业情况表.xlsx'")
    assert LandingStore(get_settings().landing).get(sha256) == workbook()
    assert collect().new == 0
    place.register(**{MAILBOX: CODE, "new@binyang.example.cn": CODE})
    try:
        assert collect().new == 1
    finally:
        place.register(**{MAILBOX: CODE, OTHER_MAILBOX: OTHER_CODE})
    assert rows("select outcome, reporter_code from intake.received_file order by receipt_id desc limit 1") == [
        ("pending", CODE)
    ]
    # struck off the list again, what was taken stays taken
    assert collect().new == 0


@pytest.mark.parametrize(
    ("results", "code"),
    [
        ("mx.gov.example.cn; dmarc=pass header.from=binyang.example.cn", None),
        ("mx.gov.example.cn; dkim=pass header.d=binyang.example.cn; spf=fail", None),
        ("mx.gov.example.cn; spf=pass smtp.mailfrom=x@elsewhere.cn", "E-CHN-003"),
        ("mx.gov.example.cn; dmarc=fail (p=none) header.from=binyang.example.cn", "E-CHN-003"),
        ("mx.attacker.cn; dmarc=pass header.from=binyang.example.cn", "E-CHN-003"),
        (None, "E-CHN-003"),
    ],
)
def test_a_sender_that_the_mail_server_does_not_vouch_for_is_refused_where_it_must(
    places: dict[str, Place], tmp_path: Path, results: str | None, code: str | None
) -> None:
    place = places["imap"]
    assert isinstance(place, MailPlace)
    place.send(letter(("表.xlsx", b"x"), **({} if results is None else {"Authentication_Results": results})).as_bytes())
    [item] = fetch(channel_of(place, tmp_path, authenticated_by="mx.gov.example.cn"), tmp_path).landed
    assert (item.refusal.code if item.refusal else None) == code
    assert fetch(channel_of(place, tmp_path), tmp_path).landed[0].refusal is None


@pytest.mark.parametrize("afterwards", ["keep", "seen", "move"])
def test_mails_stay_are_marked_or_moved_and_never_deleted(
    places: dict[str, Place], ledger: Callable[..., None], workbook: Callable[..., bytes], afterwards: str
) -> None:
    place = places["imap"]
    assert isinstance(place, MailPlace)
    ledger(place, afterwards=afterwards, **({"move_to": "已收取"} if afterwards == "move" else {}))
    place.put("表.xlsx", workbook())
    place.send(letter(("谁的.xlsx", b"x"), sender="nobody@example.cn").as_bytes())
    assert collect().new == 2
    with place.client() as client:
        client.select_folder("INBOX", readonly=True)
        inbox = client.search("ALL")
        seen = client.search("SEEN")
        moved = client.folder_status("已收取", ["MESSAGES"])[b"MESSAGES"] if client.folder_exists("已收取") else 0
    assert (len(inbox), len(seen), moved) == {"keep": (2, 0, 0), "seen": (2, 1, 0), "move": (1, 0, 1)}[afterwards]
    assert collect().new == 0


@pytest.mark.parametrize(("security", "port"), [("starttls", "plain_port"), ("plain", "plain_port")])
def test_encryption_is_a_setting_and_the_certificate_is_checked(
    places: dict[str, Place], tmp_path: Path, security: str, port: str
) -> None:
    place = places["imap"]
    assert isinstance(place, MailPlace)
    place.put("表.xlsx", b"x")
    options = {"security": security, "port": getattr(place.server, port)}
    assert names(fetch(channel_of(place, tmp_path, **options), tmp_path)) == ["表.xlsx"]
    untrusting = channel_of(place, tmp_path, ca_file=None, **(options if security == "starttls" else {}))
    with pytest.raises(ChannelDown, match="is not trusted"), untrusting.session():
        pass


def test_a_wrong_password_and_a_missing_folder_are_said(places: dict[str, Place], tmp_path: Path) -> None:
    place = places["imap"]
    (tmp_path / "wrong").write_text("wrong")
    for changes, words in (({"password_file": "wrong"}, "refuses the login"), ({"folder": "Nowhere"}, "has no folder")):
        with pytest.raises(ChannelDown, match=words), channel_of(place, tmp_path, **changes).session():
            pass


def test_a_missing_bucket_and_a_file_gone_are_said(places: dict[str, Place], tmp_path: Path) -> None:
    with (
        pytest.raises(ChannelDown, match="has no bucket nothing-there"),
        channel_of(places["s3"], tmp_path, bucket="nothing-there").session(),
    ):
        pass
    # a neighbour of the prefix is not of the channel
    place = places["s3"]
    assert isinstance(place, S3Place)
    place.client.put_object(Bucket=place.bucket, Key=f"inbox-old/{CODE}/x.xlsx", Body=b"x")
    assert fetch(channel_of(place, tmp_path), tmp_path).present == 0


def test_a_full_disk_is_said_of_the_store_and_nothing_is_lost(
    places: dict[str, Place], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = places["local"]
    place.put("表.xlsx", b"x")
    channel = channel_of(place, tmp_path)
    full = LandingStore(Path("/dev/full/landing"))
    result = gather(channel, full, frozenset(), None, MB)
    assert result.down is not None and "原件库写不进去" in result.down.reason_zh
    assert names(fetch(channel, tmp_path)) == ["表.xlsx"]
    assert timedelta(0) <= datetime.now(SHANGHAI) - result.tried_at < timedelta(minutes=5)
