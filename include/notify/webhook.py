"""A web address that takes each message as JSON, signed after the Standard Webhooks specification.

Headers: ``webhook-id`` (the message's id, also as ``Idempotency-Key``: the same for a message sent twice),
``webhook-timestamp`` (seconds), and with a secret ``webhook-signature``: ``v1,`` and the Base64 of the HMAC-SHA256 over
``id.timestamp.body``. A secret that begins with ``whsec_`` is Base64, as the specification has it; any other is taken
as it stands.

Group robots of 企业微信 and 钉钉 take one text message at most (``WEBHOOK_STYLE``): subject and text, cut to what they
allow, the id at its end, by which a reader knows a double; they know no idempotency key. They answer 200 to
everything and say in ``errcode`` whether the message was taken. 钉钉 is signed by ``timestamp`` and ``sign`` in the
address; the address of 企业微信 is its own key.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time
import urllib.parse
from collections.abc import Callable
from typing import Any

import httpx

from include.notify.message import ChannelDown, Message, MessageRefused, NotifierConfigError
from include.notify.wording import reason

STANDARD, WECOM, DINGTALK = "standard", "wecom", "dingtalk"
STYLES = (STANDARD, WECOM, DINGTALK)
# Bytes of UTF-8 that a robot's text may have: 企业微信 says 2048; 钉钉 allows more, which nobody reads in a chat.
_ROBOT_BYTES = 2048
# 企业微信 on this one message (a bad parameter, no content, too long); every other code but 0 concerns the robot: a
# wrong key or signature, more than twenty messages a minute.
_ROBOT_ABOUT_THE_MESSAGE = frozenset({40058, 44004, 45002})
# Answers about this one message; every other answer but success concerns the address as a whole.
_ABOUT_THE_MESSAGE = frozenset({400, 413, 415, 422})


def payload(message: Message) -> bytes:
    """The JSON body (UTF-8): ``{"type", "timestamp", "data": {"id", "recipient", "subject", "text", "html"}}``; with
    files also ``"files": [{"name", "sha256"}]``."""
    document: dict[str, Any] = {
        "type": message.topic,
        "timestamp": message.written_at.isoformat(timespec="seconds"),
        "data": {
            "id": message.message_id,
            "recipient": message.recipient,
            "subject": message.subject,
            "text": message.body_text,
            "html": message.body_html,
        },
    }
    if message.attachments:
        document["data"]["files"] = [{"name": file.name, "sha256": file.sha256} for file in message.attachments]
    return json.dumps(document, ensure_ascii=False, sort_keys=True).encode("utf-8")


def robot_payload(message: Message) -> bytes:
    """The JSON body of a group robot: ``{"msgtype": "text", "text": {"content"}}``, at most 2048 bytes of text."""
    mark = reason("webhook_mark", id=message.message_id)
    text = f"{message.subject}\n{message.body_text.strip()}"
    room = _ROBOT_BYTES - len(mark.encode("utf-8")) - 1
    if len(text.encode("utf-8")) > room:
        cut = text.encode("utf-8")[: room - len("…".encode())]
        text = cut.decode("utf-8", errors="ignore") + "…"
    document = {"msgtype": "text", "text": {"content": f"{text}\n{mark}"}}
    return json.dumps(document, ensure_ascii=False).encode("utf-8")


def dingtalk_address(url: str, secret: str, milliseconds: int) -> str:
    """The robot's address with ``timestamp`` and ``sign``: Base64 of the HMAC-SHA256 of ``timestamp\\nsecret``."""
    digest = hmac.new(secret.encode("utf-8"), f"{milliseconds}\n{secret}".encode(), hashlib.sha256).digest()
    added = urllib.parse.urlencode({"timestamp": milliseconds, "sign": base64.b64encode(digest).decode()})
    return f"{url}{'&' if '?' in url else '?'}{added}"


def signing_key(secret: str) -> bytes:
    """Key of the HMAC; raises :class:`NotifierConfigError` for a ``whsec_`` that is not Base64."""
    if not secret.startswith("whsec_"):
        return secret.encode("utf-8")
    try:
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        raise NotifierConfigError("WEBHOOK_SECRET begins with whsec_ and is not Base64: copy it again") from None


def signature(key: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """Value of the ``webhook-signature`` header."""
    digest = hmac.new(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


class WebhookChannel:
    """POSTs each message; any answer 2xx means that the other side has it.

    Args:
        url: ``https://`` (or ``http://`` inside the own network).
        secret: signs the messages when given.
        seconds: how long to wait for an answer.
        style: see the module.
        clock: seconds since 1970, for the signature's time.

    Raises:
        NotifierConfigError: not a web address, an unknown style, or a secret that cannot be read.
    """

    name = "webhook"

    def __init__(
        self,
        url: str,
        secret: str | None = None,
        *,
        style: str = STANDARD,
        seconds: float = 20.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if style not in STYLES:
            raise NotifierConfigError(f"WEBHOOK_STYLE is {style!r}: write one of {', '.join(STYLES)}")
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise NotifierConfigError("WEBHOOK_URL must be a web address like https://example.cn/hook")
        self._url = url
        self._host = parts.hostname
        self._style = style
        self._secret = secret
        self._key = signing_key(secret) if secret and style == STANDARD else None
        self._clock = clock
        # A redirect is not followed: it could lead the message out of the network.
        self._client = httpx.Client(timeout=seconds, follow_redirects=False)

    def reaches(self, message: Message) -> bool:
        return True

    def send(self, message: Message) -> None:
        if self._style != STANDARD:
            self._tell_robot(message)
            return
        body = payload(message)
        timestamp = int(self._clock())
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Idempotency-Key": message.message_id,
            "webhook-id": message.message_id,
            "webhook-timestamp": str(timestamp),
        }
        if self._key is not None:
            headers["webhook-signature"] = signature(self._key, message.message_id, timestamp, body)
        self._post(self._url, body, headers)

    def _tell_robot(self, message: Message) -> None:
        url = self._url
        if self._style == DINGTALK and self._secret:
            url = dingtalk_address(url, self._secret, int(self._clock() * 1000))
        answer = self._post(url, robot_payload(message), {"Content-Type": "application/json; charset=utf-8"})
        try:
            code = int(answer.json()["errcode"])
        except (ValueError, KeyError, TypeError):
            raise ChannelDown(reason("webhook_status", status=answer.status_code)) from None
        if code in _ROBOT_ABOUT_THE_MESSAGE:
            raise MessageRefused(reason("webhook_refused", status=code))
        if code != 0:
            raise ChannelDown(reason("webhook_status", status=code))

    def _post(self, url: str, body: bytes, headers: dict[str, str]) -> httpx.Response:
        try:
            answer = self._client.post(url, content=body, headers=headers)
        except httpx.HTTPError as error:
            # Never the error's own words: they may carry the address with its key.
            raise ChannelDown(reason("webhook_unreachable", host=self._host, error=type(error).__name__)) from None
        if answer.status_code in _ABOUT_THE_MESSAGE:
            raise MessageRefused(reason("webhook_refused", status=answer.status_code))
        if not 200 <= answer.status_code < 300:
            raise ChannelDown(reason("webhook_status", status=answer.status_code))
        return answer

    def close(self) -> None:
        self._client.close()
