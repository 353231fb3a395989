"""A mailbox: the attachments of the mails in it, each bound to the reporter whose role mailbox sent it.

A mail is known by the folder's ``UIDVALIDITY``, its ``UID``, and the place of the attachment among so many: together
they are the folder part of the path in the ledger. So which mails are done is read from the ledger alone, and of those
nothing but the number is asked again.
"""

from __future__ import annotations

import imaplib
import logging
import re
import ssl
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes
from email.message import Message
from email.utils import getaddresses
from pathlib import Path
from typing import Literal

from imapclient import IMAPClient, SocketTimeout
from imapclient.exceptions import CapabilityError, IMAPClientError, LoginError

from include.intake.calendar import SHANGHAI
from include.intake.channels.attachments import attachments_of, shown_text
from include.intake.channels.interface import (
    BLOCK_BYTES,
    Arrival,
    ChangedWhileRead,
    ChannelDown,
    Delivery,
    Kind,
    Known,
    Look,
    Sighting,
)
from include.quality.findings import Finding

log = logging.getLogger(__name__)

Security = Literal["tls", "starttls", "plain"]
Afterwards = Literal["keep", "seen", "move"]

#: Top folder in the ledger of mails that belong to no reporter.
UNKNOWN = "未登记发件人"
UNVERIFIED = "未通过验证的发件人"

_PLACE = re.compile(r"([^/]+)/(\d{10})-(\d{10})-(\d+)of(\d+)/")
_HEADERS = "BODY.PEEK[HEADER.FIELDS (FROM AUTHENTICATION-RESULTS)]"
_ASKED_AT_ONCE = 500
_TIMEOUT = SocketTimeout(connect=15.0, read=60.0)


@dataclass(frozen=True, slots=True)
class _Mail:
    """A mail not taken yet: its number, bytes, time of receipt, and whose it is (a code, or one of the two above)."""

    uid: int
    size_bytes: int
    received_at: datetime
    sender: str
    whose: str


class Mailbox:
    """A folder of an IMAP account.

    Args:
        senders: reporter code by mailbox (lower case).
        largest_mail_bytes: a larger mail is refused without being fetched.
        authenticated_by: ``authserv-id`` of the receiving mail server; when set, a sender counts only if that server
            vouches for its domain (``Authentication-Results``).
        afterwards: what happens to a mail that is in the ledger: nothing, marked as read, or moved to ``move_to``.
            Nothing is ever deleted; mails of nobody stay as they are.
    """

    kind: Kind = "imap"
    settle_seconds = 0.0

    def __init__(
        self,
        name: str,
        *,
        host: str,
        port: int,
        user: str,
        password: str,
        senders: Mapping[str, str],
        largest_mail_bytes: int,
        security: Security = "tls",
        folder: str = "INBOX",
        afterwards: Afterwards = "keep",
        move_to: str | None = None,
        authenticated_by: str | None = None,
        ca_file: Path | None = None,
    ) -> None:
        self.name = name
        self.where = f"{host}:{port}"
        self.marks = afterwards != "keep"
        self._host, self._port, self._user, self._password = host, port, user, password
        self._security, self._ca_file = security, ca_file
        self._senders = senders
        self._largest_mail_bytes = largest_mail_bytes
        self._folder, self._afterwards, self._move_to = folder, afterwards, move_to
        self._authenticated_by = authenticated_by
        self._client: IMAPClient | None = None
        self._validity = 0

    # ------------------------------------------------------------------------------------------------- connection

    @contextmanager
    def session(self) -> Iterator[None]:
        with self._while("unreachable"):
            self._client = self._connect()
            self._validity = self._select()
        try:
            with self._while("lost"):
                yield
        finally:
            client, self._client = self._client, None
            # All is done, or the connection is lost: how the farewell ends changes nothing.
            with suppress(OSError, IMAPClientError):
                client.logout()

    @contextmanager
    def _while(self, code: str) -> Iterator[None]:
        try:
            yield
        except ssl.SSLCertVerificationError as error:
            raise ChannelDown("certificate", where=self.where, detail=error.verify_message) from error
        except (OSError, imaplib.IMAP4.abort) as error:
            raise ChannelDown(code, passes=True, where=self.where, detail=_words(error)) from error
        except IMAPClientError as error:
            raise ChannelDown("answer", where=self.where, detail=_words(error)) from error

    def _connect(self) -> IMAPClient:
        context = ssl.create_default_context(cafile=self._ca_file)
        client = IMAPClient(self._host, self._port, ssl=self._security == "tls", ssl_context=context, timeout=_TIMEOUT)
        try:
            client.normalise_times = False
            if self._security == "starttls":
                client.starttls(context)
            client.login(self._user, self._password)
        except BaseException as error:
            with suppress(OSError, IMAPClientError):
                client.shutdown()
            if isinstance(error, LoginError):
                raise ChannelDown("login", where=self.where, user=self._user, detail=_words(error)) from error
            if isinstance(error, CapabilityError):
                raise ChannelDown("no_encryption", where=self.where) from error
            raise
        return client

    def _select(self) -> int:
        try:
            # Without the right to change anything where nothing is to be changed.
            return int(self._imap.select_folder(self._folder, readonly=not self.marks)[b"UIDVALIDITY"])
        except imaplib.IMAP4.abort:
            raise
        except IMAPClientError as error:
            raise ChannelDown("no_folder", where=self.where, folder=self._folder) from error

    @property
    def _imap(self) -> IMAPClient:
        assert self._client is not None, "within session() only"
        return self._client

    # ---------------------------------------------------------------------------------------------------- looking

    def look(self, known: Known) -> Look:
        present = self._imap.search("ALL")
        done = self._done(path for path, _, _ in known)
        unsure = [uid for uid in present if not any(_is_code(whose) for whose in done.get(uid, ()))]
        fresh = [mail for mail in self._mails(unsure) if mail.whose not in done.get(mail.uid, ())]
        fresh.sort(key=lambda mail: (mail.received_at, mail.uid))
        return Look(len(present), tuple(self._sighting(mail) for mail in fresh))

    def _sighting(self, mail: _Mail) -> Sighting:
        # A mail never changes.
        return Sighting(f"{self._validity}-{mail.uid}", None, mail.received_at, is_settled=True, handle=mail)

    def _done(self, paths: Iterable[str]) -> dict[int, set[str]]:
        """Mails of which the ledger has every attachment, and as whose."""
        places: dict[tuple[int, str, int], set[int]] = defaultdict(set)
        for path in paths:
            if (match := _PLACE.match(path)) and int(match[2]) == self._validity:
                places[int(match[3]), match[1], int(match[5])].add(int(match[4]))
        done: dict[int, set[str]] = defaultdict(set)
        for (uid, whose, count), numbers in places.items():
            if len(numbers) == count:
                done[uid].add(whose)
        return done

    def _mails(self, uids: Sequence[int]) -> Iterator[_Mail]:
        for start in range(0, len(uids), _ASKED_AT_ONCE):
            answer = self._imap.fetch(uids[start : start + _ASKED_AT_ONCE], ["RFC822.SIZE", "INTERNALDATE", _HEADERS])
            for uid, data in answer.items():
                raw = next(value for key, value in data.items() if key.startswith(b"BODY[HEADER.FIELDS"))
                headers = message_from_bytes(raw or b"")
                sender = _sender(headers)
                yield _Mail(
                    uid,
                    data[b"RFC822.SIZE"],
                    data[b"INTERNALDATE"].astimezone(SHANGHAI),
                    sender,
                    self._whose(sender, headers),
                )

    def _whose(self, sender: str, headers: Message) -> str:
        code = self._senders.get(sender)
        if code is None:
            return UNKNOWN
        if self._authenticated_by and not is_vouched_for(sender, headers, self._authenticated_by):
            return UNVERIFIED
        return code

    # ----------------------------------------------------------------------------------------------------- taking

    def take(self, sighting: Sighting, seen_before: datetime | None) -> Iterator[Delivery]:
        mail: _Mail = sighting.handle
        if mail.size_bytes > self._largest_mail_bytes:
            limit = self._largest_mail_bytes // (1 << 20)
            params = {"sender": mail.sender, "size": f"{mail.size_bytes / (1 << 20):.1f}", "limit": limit}
            arrival = self._arrival(mail, "邮件.eml", mail.size_bytes, 1, 1)
            yield Delivery(arrival, None, self._refusal(mail, arrival) or Finding("E-CHN-005", params=params))
            return
        raw = self._fetch(mail)
        message = message_from_bytes(raw)
        found = attachments_of(message)
        if found.pictures:
            log.info("%s: mail %s: %d pictures within its text are not taken", self.name, mail.uid, found.pictures)
        if not found.files:
            # Nothing to enter, but somebody sent something: the mail itself is kept, and the office sees it.
            subject = shown_text(message.get("Subject")) or "无主题"
            arrival = self._arrival(mail, f"{subject[:80]}.eml", len(raw), 1, 1)
            params = {"file": arrival.file_name, "sender": mail.sender}
            yield Delivery(arrival, (raw,), self._refusal(mail, arrival) or Finding("E-CHN-004", params=params))
            return
        for number, file in enumerate(found.files, start=1):
            arrival = self._arrival(mail, file.name, len(file.content), number, len(found.files))
            yield Delivery(arrival, (file.content,), self._refusal(mail, arrival))

    def _fetch(self, mail: _Mail) -> bytes:
        raw = bytearray()
        while len(raw) <= self._largest_mail_bytes:
            answer = self._imap.fetch([mail.uid], [f"BODY.PEEK[]<{len(raw)}.{BLOCK_BYTES}>"]).get(mail.uid)
            if answer is None:
                raise ChangedWhileRead(f"mail {mail.uid} is gone")
            block = next((value for key, value in answer.items() if key.startswith(b"BODY[]")), None) or b""
            raw += block
            if len(block) < BLOCK_BYTES:
                # Of a mail taken away meanwhile servers give what they like: nothing, or its end missing.
                self._imap.noop()
                if not raw or mail.uid not in self._imap.search(["UID", str(mail.uid)]):
                    raise ChangedWhileRead(f"mail {mail.uid} is gone")
                return bytes(raw)
        raise ChangedWhileRead(f"mail {mail.uid} is longer than the server said")

    def _arrival(self, mail: _Mail, name: str, size_bytes: int, number: int, count: int) -> Arrival:
        file_name = re.sub(r"[/\\\x00-\x1f\x7f]", "_", name).strip() or f"附件{number}"
        folder = f"{mail.whose}/{self._validity:010d}-{mail.uid:010d}-{number}of{count}"
        return Arrival(self.name, f"{folder}/{file_name}", file_name, folder, mail.received_at, size_bytes)

    def _refusal(self, mail: _Mail, arrival: Arrival) -> Finding | None:
        if _is_code(mail.whose):
            return None
        params = {"file": arrival.file_name, "sender": mail.sender or "（无发件人）"}
        return Finding("E-CHN-002" if mail.whose == UNKNOWN else "E-CHN-003", params=params)

    def finish(self, known: Known) -> None:
        done = self._done(path for path, _, _ in known)
        ours = {uid for uid, whose in done.items() if any(_is_code(one) for one in whose)}
        if self._afterwards == "seen":
            unread = sorted(ours & set(self._imap.search("UNSEEN")))
            if unread:
                self._imap.add_flags(unread, [rb"\Seen"], silent=True)
        elif self._afterwards == "move" and self._move_to:
            present = sorted(ours & set(self._imap.search("ALL")))
            if present:
                if not self._imap.has_capability("MOVE"):
                    raise ChannelDown("no_move", where=self.where)
                if not self._imap.folder_exists(self._move_to):
                    self._imap.create_folder(self._move_to)
                self._imap.move(present, self._move_to)


def is_vouched_for(sender: str, headers: Message, server: str) -> bool:
    """Whether the mail server ``server`` (its ``authserv-id``) found that the sender's domain sent the mail: DMARC, or
    DKIM or SPF of this very domain. Only its topmost word counts: what the sender wrote itself stands below (RFC 8601).
    """
    domain = sender.rpartition("@")[2]
    for value in headers.get_all("Authentication-Results", []):
        text = re.sub(r"\([^()]*\)", " ", str(value)).lower()
        name, _, results = text.partition(";")
        if (name.split() or [""])[0] != server.lower():
            continue
        for result in results.split(";"):
            words = dict(word.split("=", 1) for word in result.split() if "=" in word)
            passed = {method for method in ("dmarc", "dkim", "spf") if words.get(method) == "pass"}
            if "dmarc" in passed and words.get("header.from", domain) == domain:
                return True
            if "dkim" in passed and words.get("header.d", words.get("header.i", "").rpartition("@")[2]) == domain:
                return True
            if "spf" in passed and words.get("smtp.mailfrom", "").rpartition("@")[2] == domain:
                return True
        return False
    return False


def _sender(headers: Message) -> str:
    """The one mailbox that the mail is from, lower case; ``""`` when there is none, or more than one."""
    found = headers.get_all("From", [])
    addresses = getaddresses([str(value) for value in found])
    return addresses[0][1].strip().lower() if len(found) == len(addresses) == 1 else ""


def _is_code(whose: str) -> bool:
    return whose not in (UNKNOWN, UNVERIFIED)


def _words(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    word = error.args[0] if error.args else ""
    # the library makes a text of the bytes' own notation of some
    text = word.decode("utf-8", "replace") if isinstance(word, bytes) else re.sub(r"^b'(.*)'$", r"\1", str(word))
    return " ".join(text.split())[:200] or type(error).__name__
