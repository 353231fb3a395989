"""The key that stands for a person: a keyed hash of the ID number, the same every month."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from include.settings import get_settings


class PersonKeyMissing(RuntimeError):
    """The key that turns ID numbers into keyed hashes cannot be read."""


def person_key(person_id: str, key: bytes) -> str:
    """Keyed hash (HMAC-SHA256, 32 hex digits) of an ID number: the same person, without the number."""
    return hmac.new(key, person_id.encode(), hashlib.sha256).hexdigest()[:32]


def person_hash_key() -> bytes:
    """Key of :func:`person_key`, from ``PERSON_HASH_KEY`` or a file under ``var`` made once; never in the database.

    Raises:
        PersonKeyMissing: the file exists but is empty or unreadable.
    """
    given = os.environ.get("PERSON_HASH_KEY")
    if given:
        return given.encode()
    path = get_settings().var / "secrets" / "person_hash_key"
    if not path.exists():
        _create_once(path, secrets.token_hex(32))
    try:
        key = path.read_bytes().strip()
    except OSError as error:
        raise PersonKeyMissing(f"cannot read {path}: {error}; mend its permissions or set PERSON_HASH_KEY") from error
    if not key:
        raise PersonKeyMissing(f"{path} is empty; restore it from backup or set PERSON_HASH_KEY")
    return key


def _create_once(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as handle:
        handle.write(text)
    try:
        # A hard link fails where another process was first; then its key stands.
        os.link(temporary, path)
    except FileExistsError:
        return
    finally:
        temporary.unlink(missing_ok=True)
