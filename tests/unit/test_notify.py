"""The notifier against a real mail server and a real web address on the loopback interface."""

from __future__ import annotations

import base64
import hashlib
import hmac
import ssl
import warnings
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path, PurePosixPath

import pytest

from include.intake.calendar import SHANGHAI
from include.notify.contacts import load_contacts
from include.notify.letter import Letter, Section, Table, letter_html, letter_text
from include.notify.message import ChannelDown, Message, MessageRefused, NotifierConfigError
from include.notify.notifier import Notifier, configured_channels
from include.notify.outbox import OutboxFolder
from include.notify.smtp import MailChannel, mail_server
from include.notify.webhook import WebhookChannel
from include.settings import get_settings
from tests import receivers
from tests.receivers import HOST, accepting, certificate, free_port, hook_server

SENDER = "专项行动指挥部办公室 <office@example.cn>"
MESSAGE = Message(
    topic="reminder",
    recipient="灵山县",
    address="lingshan@example.cn",
    subject="灵山县：2026年10月用工专项行动月报报送提醒（11月6日截止）",
    body_text="企业情况表\n",
    body_html="<p>企业情况表</p>",
    message_id="reminder.2026-10.450721.due.0",
    place=PurePosixPath("2026-10/提醒/灵山县/2-截止日提醒"),
    written_at=datetime(2026, 11, 6, 8, 30, tzinfo=SHANGHAI),
)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loopback interface is not behind the developer's proxy."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def mail_channel(port: int, url: str = "smtp://{host}:{port}") -> MailChannel:
    return MailChannel(mail_server(url.format(host=HOST, port=port), SENDER), seconds=5)


@pytest.fixture
def notified() -> Iterator[list[MailChannel | WebhookChannel]]:
    """Channels of the test, closed after it."""
    channels: list[MailChannel | WebhookChannel] = []
    yield channels
    for channel in channels:
        channel.close()


# --- outbox


def test_the_outbox_files_html_and_the_same_message_gives_the_same_file(tmp_path: Path) -> None:
    outbox = OutboxFolder(tmp_path)
    outbox.send(MESSAGE)
    outbox.send(MESSAGE)
    (written,) = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert written == tmp_path / "2026-10" / "提醒" / "灵山县" / "2-截止日提醒.html"
    assert written.read_text(encoding="utf-8") == "<p>企业情况表</p>"
    outbox.send(replace(MESSAGE, body_html=None))
    assert written.with_suffix(".txt").read_text(encoding="utf-8") == "企业情况表\n"


@pytest.mark.parametrize("place", ["/etc/letter", "2026-10/../../letter"])
def test_a_place_outside_the_outbox_is_refused(tmp_path: Path, place: str) -> None:
    with pytest.raises(ValueError, match="out of the outbox"):
        OutboxFolder(tmp_path / "outbox").send(replace(MESSAGE, place=PurePosixPath(place)))


def test_an_outbox_that_cannot_be_written_is_down(tmp_path: Path) -> None:
    (tmp_path / "outbox").write_text("a file where the folder should be")
    with pytest.raises(ChannelDown, match="发件箱写不进去"):
        OutboxFolder(tmp_path / "outbox").send(MESSAGE)


# --- mail


def test_a_mail_arrives_readable_with_an_id_that_stays_the_same(
    notified: list[MailChannel | WebhookChannel],
) -> None:
    with receivers.mail_server() as (port, box):
        channel = mail_channel(port)
        notified.append(channel)
        channel.send(MESSAGE)
        channel.send(MESSAGE)
        channel.close()
    assert box.connections == 1
    first, second = box.mails
    assert first["Message-ID"] == second["Message-ID"] == "<reminder.2026-10.450721.due.0@example.cn>"
    assert first["Subject"] == MESSAGE.subject
    assert str(first["To"]) == "灵山县 <lingshan@example.cn>"
    assert str(first["From"]) == SENDER
    assert first["Date"].datetime == MESSAGE.written_at
    assert first["Auto-Submitted"] == "auto-generated"
    text, html = first.get_body(("plain",)), first.get_body(("html",))
    assert text is not None and text.get_content().splitlines() == ["企业情况表"]
    assert html is not None and html.get_content().strip() == "<p>企业情况表</p>"


def test_who_has_no_address_gets_no_mail(tmp_path: Path) -> None:
    channel = mail_channel(free_port())
    with Notifier([OutboxFolder(tmp_path), channel]) as notifier:
        assert [way.name for way in notifier.ways(MESSAGE)] == ["outbox", "smtp"]
        assert [way.name for way in notifier.ways(MESSAGE, done=["outbox"])] == ["smtp"]
        assert [way.name for way in notifier.ways(replace(MESSAGE, address=None))] == ["outbox"]


def test_an_unknown_mailbox_is_refused_and_the_next_message_passes(
    notified: list[MailChannel | WebhookChannel],
) -> None:
    with receivers.mail_server(mailbox=receivers.Mailbox(unknown={"gone@example.cn"})) as (port, box):
        channel = mail_channel(port)
        notified.append(channel)
        with pytest.raises(MessageRefused, match=r"gone@example\.cn（550）"):
            channel.send(replace(MESSAGE, address="gone@example.cn"))
        channel.send(MESSAGE)
    assert len(box.mails) == 1


def test_a_server_that_hangs_up_between_two_mails_gets_the_second_on_a_new_connection(
    notified: list[MailChannel | WebhookChannel],
) -> None:
    box = receivers.Mailbox()
    with receivers.mail_server(mailbox=box) as (port, _):
        channel = mail_channel(port)
        notified.append(channel)
        channel.send(MESSAGE)
    with receivers.mail_server(port, box):
        channel.send(MESSAGE)
    assert len(box.mails) == 2
    assert box.connections == 2


@pytest.mark.parametrize("scheme", ["smtps", "smtp+starttls"])
def test_an_encrypted_login(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, notified: list[MailChannel | WebhookChannel], scheme: str
) -> None:
    path, context = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    encryption = {"ssl_context": context} if scheme == "smtps" else {"tls_context": context, "require_starttls": True}
    # This server counts a connection encrypted from its first byte as plain.
    login = {"authenticator": accepting("office", "p@ss/word"), "auth_require_tls": scheme != "smtps"}
    with receivers.mail_server(**encryption, **login) as (port, box):
        good = mail_channel(port, scheme + "://office:p%40ss%2Fword@{host}:{port}")
        bad = mail_channel(port, scheme + "://office:wrong-one@{host}:{port}")
        notified += [good, bad]
        good.send(MESSAGE)
        with pytest.raises(ChannelDown, match="拒绝登录（535）") as refused:
            bad.send(MESSAGE)
    assert len(box.mails) == 1
    assert "wrong-one" not in str(refused.value)


def test_a_certificate_of_nobody_known_is_not_trusted(
    tmp_path: Path, notified: list[MailChannel | WebhookChannel]
) -> None:
    _, context = certificate(tmp_path)
    with receivers.mail_server(tls_context=context) as (port, box):
        channel = mail_channel(port, "smtp+starttls://{host}:{port}")
        notified.append(channel)
        with pytest.raises(ChannelDown, match="连接不上"):
            channel.send(MESSAGE)
    assert box.mails == []


@pytest.mark.parametrize(("newest", "is_taken"), [(ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True)])
def test_nothing_older_than_tls_1_2(
    tmp_path: Path, notified: list[MailChannel | WebhookChannel], monkeypatch: pytest.MonkeyPatch,
    newest: ssl.TLSVersion, is_taken: bool,
) -> None:  # fmt: skip
    path, context = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    # As an old server would: its own system lets it.
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, newest
    with receivers.mail_server(tls_context=context) as (port, box):
        channel = mail_channel(port, "smtp+starttls://{host}:{port}")
        notified.append(channel)
        if is_taken:
            channel.send(MESSAGE)
        else:
            with pytest.raises(ChannelDown, match="连接不上"):
                channel.send(MESSAGE)
    assert len(box.mails) == is_taken


def test_a_server_without_encryption_is_not_used_where_it_is_asked_for(
    notified: list[MailChannel | WebhookChannel],
) -> None:
    with receivers.mail_server() as (port, box):
        channel = mail_channel(port, "smtp+starttls://{host}:{port}")
        notified.append(channel)
        with pytest.raises(ChannelDown, match="STARTTLS"):
            channel.send(MESSAGE)
    assert box.mails == []


@pytest.mark.parametrize(
    ("url", "sender", "words"),
    [
        ("mail.example.cn", SENDER, "must begin with smtps://"),
        ("smtp://mail.example.cn:many", SENDER, "cannot be read"),
        ("smtps://office@mail.example.cn", SENDER, "user or a password alone"),
        ("smtp://office:secret@mail.example.cn", SENDER, "in the clear"),
        ("smtps://mail.example.cn", None, "MAIL_FROM is not"),
        ("smtps://mail.example.cn", "办公室", "is not a mailbox"),
    ],
)
def test_a_wrong_mail_setting_is_named_without_its_password(url: str, sender: str | None, words: str) -> None:
    with pytest.raises(NotifierConfigError, match=words) as refused:
        mail_server(url, sender)
    assert "secret" not in str(refused.value)


def test_the_usual_ports_and_no_password_in_a_repr() -> None:
    servers = [mail_server(f"{scheme}://mail.example.cn", SENDER) for scheme in ("smtps", "smtp+starttls", "smtp")]
    assert [server.port for server in servers] == [465, 587, 25]
    assert "secret" not in repr(mail_server("smtps://office:secret@mail.example.cn", SENDER))


# --- webhook


def test_a_webhook_is_signed_and_carries_the_id(notified: list[MailChannel | WebhookChannel]) -> None:
    with hook_server() as (port, hook):
        url = f"http://{HOST}:{port}/hook"
        plain = WebhookChannel(url, "a secret", clock=lambda: 1793925000.9)
        encoded = WebhookChannel(url, "whsec_" + base64.b64encode(b"key").decode(), clock=lambda: 1793925000.9)
        unsigned = WebhookChannel(url)
        notified += [plain, encoded, unsigned]
        for channel in (plain, encoded, unsigned):
            channel.send(MESSAGE)
    for (headers, body), key in zip(hook.calls, (b"a secret", b"key", None), strict=True):
        assert headers["webhook-id"] == headers["idempotency-key"] == "reminder.2026-10.450721.due.0"
        if key is None:
            assert "webhook-signature" not in headers
            continue
        assert headers["webhook-timestamp"] == "1793925000"
        signed = hmac.new(key, b"reminder.2026-10.450721.due.0.1793925000." + body, hashlib.sha256).digest()
        assert headers["webhook-signature"] == "v1," + base64.b64encode(signed).decode()
    assert hook.documents[0] == {
        "type": "reminder",
        "timestamp": "2026-11-06T08:30:00+08:00",
        "data": {
            "id": "reminder.2026-10.450721.due.0",
            "recipient": "灵山县",
            "subject": MESSAGE.subject,
            "text": "企业情况表\n",
            "html": "<p>企业情况表</p>",
        },
    }


@pytest.mark.parametrize(
    ("answer", "error"), [(422, MessageRefused), (503, ChannelDown), (401, ChannelDown), (302, ChannelDown)]
)
def test_what_a_webhook_answers(
    notified: list[MailChannel | WebhookChannel], answer: int, error: type[Exception]
) -> None:
    with hook_server() as (port, hook):
        hook.answer = answer
        channel = WebhookChannel(f"http://{HOST}:{port}/hook?key=hidden")
        notified.append(channel)
        with pytest.raises(error, match=str(answer)) as refused:
            channel.send(MESSAGE)
    assert len(hook.calls) == 1
    assert "hidden" not in str(refused.value)


@pytest.mark.parametrize("url", ["example.cn/hook", "ftp://example.cn/hook", "https:///hook"])
def test_a_wrong_webhook_address_is_refused(url: str) -> None:
    with pytest.raises(NotifierConfigError, match="WEBHOOK_URL"):
        WebhookChannel(url)


def test_a_secret_copied_in_part_is_refused() -> None:
    with pytest.raises(NotifierConfigError, match="WEBHOOK_SECRET"):
        WebhookChannel("https://example.cn/hook", "whsec_abc")


# --- several channels


def test_a_channel_that_is_down_is_tried_once_and_stops_no_other(tmp_path: Path) -> None:
    port = free_port()
    mail = mail_channel(port)
    with Notifier([OutboxFolder(tmp_path), mail]) as notifier:
        attempts = [notifier.send(MESSAGE, way) for _ in range(2) for way in notifier.ways(MESSAGE)]
        assert [(one.channel, one.is_sent, one.is_down) for one in attempts] == [
            ("outbox", True, False), ("smtp", False, True), ("outbox", True, False), ("smtp", False, True),
        ]  # fmt: skip
        assert attempts[1].result_zh.startswith(f"未送达：邮件服务器连接不上（{HOST}:{port}，")
        assert attempts[3].result_zh.endswith("；本次运行不再尝试")
        with receivers.mail_server(port) as (_, box):
            # It came back too late for this run; the next one has a notifier of its own.
            assert not notifier.send(MESSAGE, mail).is_sent
            with Notifier([mail]) as fresh:
                assert fresh.send(MESSAGE, mail).is_sent
    assert len(box.mails) == 1


def test_the_channels_follow_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    get_settings.cache_clear()
    assert [channel.name for channel in configured_channels(get_settings())] == ["outbox"]
    monkeypatch.setenv("SMTP_URL", "smtps://office:secret@mail.example.cn")
    monkeypatch.setenv("MAIL_FROM", SENDER)
    monkeypatch.setenv("WEBHOOK_URL", "https://example.cn/hook?key=hidden")
    monkeypatch.setenv("WEBHOOK_SECRET", "concealed")
    get_settings.cache_clear()
    settings = get_settings()
    monkeypatch.undo()
    get_settings.cache_clear()
    assert [channel.name for channel in configured_channels(settings)] == ["outbox", "smtp", "webhook"]
    assert not [word for word in ("secret@", "hidden", "concealed") if word in repr(settings)]


# --- contacts


def test_contacts(tmp_path: Path) -> None:
    file = tmp_path / "contacts.csv"
    assert load_contacts(file, {"450721"}) == {}
    file.write_text("reporter_code,email\n450721, lingshan@example.cn\n", encoding="utf-8-sig")
    assert load_contacts(file, {"450721"}) == {"450721": "lingshan@example.cn"}


def test_the_shipped_list_of_contacts_is_empty() -> None:
    assert load_contacts(get_settings().contacts_file, set()) == {}


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("code,email\n", "columns missing: reporter_code"),
        ("reporter_code,email\n450199,a@example.cn\n", "line 2: reporter_code '450199' is not in the list"),
        (
            "reporter_code,email\n450721,a@example.cn\n450721,b@example.cn\n",
            "line 3: reporter_code 450721 stands twice",
        ),
        ("reporter_code,email\n450721,县人社局\n", "line 2: '县人社局' is not a mailbox"),
        ("reporter_code,email\n450721,\n", "line 2: '' is not a mailbox"),
        ('reporter_code,email\n450721,"a@example.cn\nBcc: b@example.cn"\n', "line 2: .* is not a mailbox"),
    ],
)
def test_a_wrong_contact_is_refused_with_its_line(tmp_path: Path, lines: str, words: str) -> None:
    file = tmp_path / "contacts.csv"
    file.write_text(lines, encoding="utf-8")
    with pytest.raises(NotifierConfigError, match=words):
        load_contacts(file, {"450721"})


# --- letters

LETTER = Letter(
    subject="提醒",
    salutation="灵山县：",
    opening=("截至11月4日。",),
    facts=(("截止日", "11月6日"),),
    sections=(
        Section("未报", lines=("企业情况表",), request="请报送。"),
        Section("暂扣", table=Table(("报表", "问题", "位置"), (("<b>表</b>", "", "第5行"),))),
    ),
    notes=("另收到文件1个。",),
    closing=("如已办理，请忽略。",),
    signature="办公室",
    dated="2026年11月4日",
    is_sample=True,
)


def test_a_letter_as_text() -> None:
    assert letter_text(LETTER) == (
        "演示数据：本件由演示数据生成，仅用于展示系统功能，不反映实际情况。\n\n灵山县：\n\n截至11月4日。\n\n截止日：11月6日\n\n"
        "一、未报\n  · 企业情况表\n  请报送。\n\n二、暂扣\n  · <b>表</b>｜位置：第5行\n\n"
        "如已办理，请忽略。\n注：另收到文件1个。\n\n办公室\n2026年11月4日\n"
    )


def test_a_letter_as_a_page_runs_nothing_and_needs_nothing() -> None:
    page = letter_html(LETTER)
    assert "一、未报" in page and "演示数据：本件" in page
    assert "&lt;b&gt;表&lt;/b&gt;" in page and "<b>" not in page
    assert "http" not in page and "<script" not in page
    assert letter_html(LETTER) == page
    assert "演示数据" not in letter_html(replace(LETTER, is_sample=False))
