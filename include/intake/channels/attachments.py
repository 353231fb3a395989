"""The files that a mail carries, whatever program wrote it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from email.header import decode_header
from email.message import Message

#: What a mail carries for its own sake.
_SIGNATURES = {"application/pkcs7-signature", "application/x-pkcs7-signature", "application/pgp-signature"}


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file of a mail."""

    name: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Attachments:
    """The files of a mail, in its order, those of mails forwarded in it included, and how many pictures its texts
    show."""

    files: tuple[Attachment, ...]
    pictures: int


def attachments_of(message: Message) -> Attachments:
    """See :class:`Attachments`. The message must have been parsed with the default (compat32) policy."""
    files: list[Attachment] = []
    pictures = 0
    for part in message.walk():
        if part.is_multipart() or part.get_content_type() in _SIGNATURES:
            continue
        _make_readable(part)
        name = _file_name(part)
        disposition = part.get_content_disposition()
        if part.get_content_maintype() == "image" and disposition != "attachment":
            pictures += 1
        elif name is not None or disposition == "attachment":
            content = part.get_payload(decode=True)
            assert isinstance(content, bytes)  # a leaf
            files.append(Attachment(name or f"附件{len(files) + 1}", content))
    return Attachments(tuple(files), pictures)


def shown_text(value: object) -> str:
    """A header as text: raw bytes and encoded words (RFC 2047) decoded, ``""`` for none."""
    if value is None:
        return ""
    pieces = []
    # Line breaks within are folding; between two encoded words blanks mean nothing.
    folded = re.sub(r"\?=\s+=\?", "?==?", re.sub(r"[\r\n]+\s*", " ", _text(str(value))))
    for piece, charset in decode_header(folded):
        pieces.append(piece if isinstance(piece, str) else _decoded(piece, charset))
    return "".join(pieces).strip()


def _make_readable(part: Message) -> None:
    """Headers of raw bytes (GBK, UTF-8) as text: the parser would replace each byte by a question mark."""
    for name, value in list(part.raw_items()):
        if name.lower() in ("content-disposition", "content-type") and not str(value).isascii():
            del part[name]
            part[name] = re.sub(r"[\r\n]+\s*", " ", _text(str(value)))


def _file_name(part: Message) -> str | None:
    for header, parameter in (("content-disposition", "filename"), ("content-type", "name")):
        value = part.get_param(parameter, None, header)
        if isinstance(value, tuple):  # RFC 2231
            charset, _, text = value
            return _decoded(text.encode("latin-1", "replace"), charset)
        if value:
            return shown_text(str(value).strip('"'))
    return None


def _text(value: str) -> str:
    """A header's raw text; bytes beyond ASCII are kept in it as lone surrogates."""
    return _decoded(value.encode("utf-8", "surrogateescape"), None)


def _decoded(value: bytes, charset: str | None) -> str:
    """Bytes as text. What calls itself GB 2312 is often GBK; what calls itself nothing is UTF-8 or GBK."""
    names = ["utf-8", "gb18030"]
    if charset and charset.lower() not in ("unknown-8bit", "us-ascii"):
        names.insert(0, "gb18030" if charset.lower() in ("gb2312", "gbk", "gb_2312-80", "cp936") else charset)
    for name in names:
        try:
            return value.decode(name)
        except (LookupError, UnicodeDecodeError):
            continue
    return value.decode("gb18030", "replace")
