"""Random secrets for ``docker-compose.yaml``, written once into an untracked ``.env``: ``make env``.

Needs nothing but Python itself, so that it also runs on a server that has only Docker.
"""

from __future__ import annotations

import argparse
import base64
import os
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path

PROJECT_ROOT = Path(__file__).resolve().parent.parent.parent

# Name and what it is for. Values hold no character that .env files, URLs or shells treat specially.
SECRETS: dict[str, str] = {
    "POSTGRES_PASSWORD": "superuser of the PostgreSQL service; used by airflow-init only",
    "WAREHOUSE_PASSWORD": "role `warehouse`, owner of the database `labour`",
    "AIRFLOW_DB_PASSWORD": "role `airflow`, owner of the database `airflow`",
    "STATUS_PAGE_PASSWORD": "role `status_page`, by which the page in Airflow's UI reads the ledger of `labour`",
    "REDIS_PASSWORD": "the queue between scheduler and workers",
    "AIRFLOW_FERNET_KEY": "encrypts connections and variables in Airflow's metadata",
    "AIRFLOW_API_SECRET_KEY": "signs sessions of the web interface",
    "AIRFLOW_JWT_SECRET": "signs the tokens by which tasks speak to the API server",
    "AIRFLOW_ADMIN_PASSWORD": "first sign-in as `admin`; change it there afterwards",
    "AIRFLOW_HEALTH_PASSWORD": "user `health`, by which the health check reads what runs in Airflow",
    "PERSON_HASH_KEY": "keyed hash of ID numbers; when it changes, persons of older months are no longer recognised",
}


class EnvFileExistsError(FileExistsError):
    """There is an ``.env`` already; the message says what to do."""


def secret(name: str) -> str:
    """A fresh random value for a name of :data:`SECRETS`: a Fernet key, or 256 bits as 64 hex digits."""
    if name == "AIRFLOW_FERNET_KEY":
        return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode("ascii")
    return secrets.token_hex(32)


def write_env(path: Path) -> None:
    """Write every secret to a new file of mode 0600.

    Raises:
        EnvFileExistsError: the file exists; it is never overwritten, since running databases know its passwords.
    """
    lines = ["# Made by `make env`. Keep it out of version control, and keep a copy where backups are kept."]
    for name, purpose in SECRETS.items():
        lines += ["", f"# {purpose}", f"{name}={secret(name)}"]
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise EnvFileExistsError(
            f"{path} exists and is left as it is: the databases know the passwords in it. "
            f"Add a missing line by hand, or move the file away first "
            f"(.env 已存在，未作改动：数据库沿用其中的密码；缺少的行请手工补上，或先移走该文件)"
        ) from None
    with os.fdopen(descriptor, "w", encoding="ascii") as handle:
        handle.write("\n".join(lines) + "\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """``python -m include.warehouse.env [file]``."""
    parser = argparse.ArgumentParser(prog="python -m include.warehouse.env")
    parser.add_argument("file", nargs="?", type=Path, default=PROJECT_ROOT / ".env")
    path = parser.parse_args(arguments).file
    try:
        write_env(path)
    except EnvFileExistsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"已写入 {len(SECRETS)} 个随机密钥 / wrote {len(SECRETS)} random secrets to {path} (mode 0600)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
