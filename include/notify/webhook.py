"""A web address that takes each message as JSON, signed after the Standard Webhooks specification.

Headers: ``webhook-id`` (the message's id, also as ``Idempotency-Key``: the same for a message sent twice),
``webhook-timestamp`` (seconds), and with a secret ``webhook-signature``: ``v1,`` and the Base64 of the HMAC-SHA256 over
``id.timestamp.body``. A secret that begins with ``whsec_`` is Base64, as the specification has it; any other is taken
as it stands.
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

import httpx

from include.notify.message import ChannelDown, Message, MessageRefused, NotifierConfigError
from include.notify.wording import reason

# Answers about this one message; every other answer but success concerns the address as a whole.
_ABOUT_THE_MESSAGE = frozenset({400, 413, 415, 422})


def payload(message: Message) -> bytes:
    """The JSON body (UTF-8): ``{"type", "timestamp", "data": {"id", "recipient", "subject", "text", "html"}}``."""
    document = {
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
    return json.dumps(document, ensure_ascii=False, sort_keys=True).encode("utf-8")


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
        clock: seconds since 1970, for the signature's time.

    Raises:
        NotifierConfigError: not a web address, or a secret that cannot be read.
    """

    name = "webhook"

    def __init__(
        self, url: str, secret: str | None = None, *, seconds: float = 20.0, clock: Callable[[], float] = time.time
    ) -> None:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise NotifierConfigError("WEBHOOK_URL must be a web address like https://example.cn/hook")
        self._url = url
        self._host = parts.hostname
        self._key = signing_key(secret) if secret else None
        self._clock = clock
        # A redirect is not followed: it could lead the message out of the network.
        self._client = httpx.Client(timeout=seconds, follow_redirects=False)

    def reaches(self, message: Message) -> bool:
        return True

    def send(self, message: Message) -> None:
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
        try:
            status = self._client.post(self._url, content=body, headers=headers).status_code
        except httpx.HTTPError as error:
            # Never the error's own words: they may carry the address with its key.
            raise ChannelDown(reason("webhook_unreachable", host=self._host, error=type(error).__name__)) from None
        if status in _ABOUT_THE_MESSAGE:
            raise MessageRefused(reason("webhook_refused", status=status))
        if not 200 <= status < 300:
            raise ChannelDown(reason("webhook_status", status=status))

    def close(self) -> None:
        self._client.close()
