"""Mail through an SMTP server, with the standard library.

``SMTP_URL`` says how: ``smtps://`` encrypts from the first byte (port 465), ``smtp+starttls://`` before the login
(port 587) and never without, ``smtp://`` not at all (port 25; a relay of the own network, without login).
"""

from __future__ import annotations

import contextlib
import hashlib
import smtplib
import ssl
import urllib.parse
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import parseaddr

from include.notify.message import ChannelDown, Message, MessageRefused, NotifierConfigError
from include.notify.wording import reason

PORTS = {"smtps": 465, "smtp+starttls": 587, "smtp": 25}
_EXAMPLE = "smtp+starttls://user:password@mail.example.cn:587"


@dataclass(frozen=True, slots=True)
class MailServer:
    """How the server is reached and who sends. The password is in no ``repr``."""

    security: str
    host: str
    port: int
    user: str | None
    _password: str | None
    sender_name: str
    sender_address: str

    def __repr__(self) -> str:
        return f"MailServer({self.security}://{self.host}:{self.port})"

    @property
    def password(self) -> str | None:
        return self._password

    @property
    def domain(self) -> str:
        """Domain of the sender, which makes message ids unique in the world."""
        return self.sender_address.rpartition("@")[2]


def mail_server(url: str, sender: str | None) -> MailServer:
    """The server of ``SMTP_URL`` with ``MAIL_FROM`` as sender.

    Args:
        url: ``smtps|smtp+starttls|smtp://[user:password@]host[:port]``; user and password percent-encoded.
        sender: ``address`` or ``name <address>``.

    Raises:
        NotifierConfigError: with what to write; never with the password.
    """
    try:
        parts = urllib.parse.urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise NotifierConfigError(f"SMTP_URL cannot be read ({error}); write it like {_EXAMPLE}") from None
    if parts.scheme not in PORTS or not parts.hostname:
        raise NotifierConfigError(f"SMTP_URL must begin with smtps://, smtp+starttls:// or smtp://, like {_EXAMPLE}")
    if bool(parts.username) != bool(parts.password):
        raise NotifierConfigError(f"SMTP_URL has a user or a password alone; write both, like {_EXAMPLE}, or neither")
    if parts.scheme == "smtp" and parts.username:
        raise NotifierConfigError(
            "SMTP_URL smtp:// would send the password in the clear: use smtp+starttls:// or smtps://, or leave the "
            "login out"
        )
    if not sender:
        raise NotifierConfigError("SMTP_URL is set, MAIL_FROM is not: set it to the mailbox that letters come from")
    name, address = parseaddr(sender)
    return MailServer(
        security=parts.scheme,
        host=parts.hostname,
        port=port or PORTS[parts.scheme],
        user=urllib.parse.unquote(parts.username) if parts.username else None,
        _password=urllib.parse.unquote(parts.password) if parts.password else None,
        sender_name=name,
        sender_address=check_address(address, "MAIL_FROM"),
    )


def check_address(address: str, where: str) -> str:
    """The mailbox itself when it is one (ASCII, one line); raises :class:`NotifierConfigError` naming ``where``."""
    try:
        parsed = Address(addr_spec=address)
    except (ValueError, IndexError) as error:
        raise NotifierConfigError(f"{where}: {address!r} is not a mailbox like office@example.cn") from error
    if not parsed.domain or not address.isascii() or any(letter.isspace() for letter in address):
        raise NotifierConfigError(f"{where}: {address!r} is not a mailbox like office@example.cn")
    return address


def as_mail(message: Message, server: MailServer) -> EmailMessage:
    """The message as a mail: plain text, HTML beside it, files; the same message gives the same bytes and id."""
    assert message.address is not None
    mail = EmailMessage(policy=SMTP)
    mail["Subject"] = message.subject
    mail["From"] = Address(display_name=server.sender_name, addr_spec=server.sender_address)
    mail["To"] = Address(display_name=message.recipient, addr_spec=message.address)
    mail["Date"] = message.written_at
    mail["Message-ID"] = f"<{message.message_id}@{server.domain}>"
    # Holiday notices and the like must not answer a machine (RFC 3834).
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(message.body_text, cte="base64")
    if message.body_html is not None:
        mail.add_alternative(message.body_html, subtype="html", cte="base64")
    for file in message.attachments:
        main, _, sub = file.media_type.partition("/")
        mail.add_attachment(file.path.read_bytes(), maintype=main, subtype=sub, filename=file.name)
    # Else they are drawn at random.
    digest = hashlib.sha256(message.message_id.encode()).hexdigest()[:24]
    for number, part in enumerate(part for part in mail.walk() if part.is_multipart()):
        part.set_boundary(f"=_{digest}_{number}")
    return mail


class MailChannel:
    """Sends through one connection, opened with the first message and kept for the rest.

    Args:
        server: see :func:`mail_server`.
        seconds: how long to wait for any answer of the server.
    """

    name = "smtp"

    def __init__(self, server: MailServer, *, seconds: float = 20.0) -> None:
        self._server = server
        self._seconds = seconds
        self._connection: smtplib.SMTP | None = None

    def reaches(self, message: Message) -> bool:
        return message.address is not None

    def send(self, message: Message) -> None:
        mail = as_mail(message, self._server)
        was_open = self._connection is not None
        try:
            self._hand_over(mail, message)
        except smtplib.SMTPServerDisconnected as error:
            self.close()
            if not was_open:
                raise self._unreachable(error) from error
            # Servers end a connection after so many messages: a new one takes the message, which has an id of its own.
            try:
                self._hand_over(mail, message)
            except smtplib.SMTPServerDisconnected as again:
                self.close()
                raise self._unreachable(again) from again

    def _hand_over(self, mail: EmailMessage, message: Message) -> None:
        if self._connection is None:
            self._connection = self._connect()
        try:
            self._connection.send_message(mail, self._server.sender_address, [str(message.address)])
        except smtplib.SMTPRecipientsRefused as error:
            (code, _), *_ = error.recipients.values()
            raise MessageRefused(reason("smtp_recipient", address=message.address, code=code)) from error
        except smtplib.SMTPSenderRefused as error:
            self.close()
            raise ChannelDown(reason("smtp_sender", code=error.smtp_code)) from error
        except smtplib.SMTPDataError as error:
            raise MessageRefused(reason("smtp_content", code=error.smtp_code)) from error
        except smtplib.SMTPServerDisconnected:
            raise
        except (OSError, smtplib.SMTPException) as error:
            self.close()
            raise self._unreachable(error) from error

    def _connect(self) -> smtplib.SMTP:
        server = self._server
        connection: smtplib.SMTP | None = None
        try:
            if server.security == "smtps":
                connection = smtplib.SMTP_SSL(server.host, server.port, timeout=self._seconds, context=_encryption())
            else:
                connection = smtplib.SMTP(server.host, server.port, timeout=self._seconds)
            if server.security == "smtp+starttls":
                connection.starttls(context=_encryption())
            if server.user is not None and server.password is not None:
                connection.login(server.user, server.password)
        except smtplib.SMTPNotSupportedError as error:
            _hang_up(connection)
            raise ChannelDown(reason("smtp_no_starttls", host=server.host)) from error
        except smtplib.SMTPAuthenticationError as error:
            _hang_up(connection)
            raise ChannelDown(reason("smtp_login", code=error.smtp_code)) from error
        except (OSError, smtplib.SMTPException) as error:
            _hang_up(connection)
            raise self._unreachable(error) from error
        return connection

    def _unreachable(self, error: Exception) -> ChannelDown:
        words = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        return ChannelDown(reason("smtp_unreachable", host=f"{self._server.host}:{self._server.port}", error=words))

    def close(self) -> None:
        connection, self._connection = self._connection, None
        _hang_up(connection)


def _encryption() -> ssl.SSLContext:
    """The server's certificate and name are checked; nothing older than TLS 1.2, whatever the system would allow."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _hang_up(connection: smtplib.SMTP | None) -> None:
    if connection is not None:
        # Every message was answered for already; how the farewell ends changes nothing.
        with contextlib.suppress(OSError, smtplib.SMTPException):
            connection.quit()
