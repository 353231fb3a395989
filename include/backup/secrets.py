"""The secrets without which the data are of little use: read for a backup, put back or compared at a restore.

With the key of persons lost, the persons of older months are not recognised again; with Airflow's Fernet key lost,
its stored connections cannot be read. The passwords of the databases are not among them: a new server has its own.
"""

from __future__ import annotations

import hmac
import json
import os
from pathlib import Path

from include.backup.files import private_folder
from include.backup.manifest import SECRETS, BackupError
from include.settings import PROJECT_ROOT, get_settings

#: Files of the embedded default, below ``VAR_DIR``.
_EMBEDDED = ("secrets/person_hash_key", "airflow/secrets.json", "airflow/passwords.json")
#: Variables that a restore must find as they were: variable to what is lost otherwise.
ESSENTIAL = {
    "PERSON_HASH_KEY": "persons of older months would not be recognised",
    "AIRFLOW__CORE__FERNET_KEY": "Airflow could not read its stored connections",
}
ENV_FILE = f"{SECRETS}/env"
ENVIRONMENT = f"{SECRETS}/environment.json"
_VAR = f"{SECRETS}/var"


def secret_files(env_file: bytes | None) -> dict[str, bytes]:
    """Path in the backup to content: the embedded default's own files, and ``.env`` (given, or of this checkout)."""
    var = get_settings().var
    found = {f"{_VAR}/{name}": (var / name).read_bytes() for name in _EMBEDDED if (var / name).is_file()}
    own = PROJECT_ROOT / ".env"
    if env_file is None and own.is_file() and os.access(own, os.R_OK):
        env_file = own.read_bytes()
    return found | ({ENV_FILE: env_file} if env_file else {})


def essential_environment() -> bytes:
    """The essential variables of this process, as JSON."""
    return json.dumps({name: os.environ[name] for name in ESSENTIAL if os.environ.get(name)}, indent=1).encode()


def require_same_secrets(backup: Path) -> None:
    """Raises :class:`BackupError` when the environment, or a file that is there, has other secrets than the backup."""
    kept = json.loads((backup / ENVIRONMENT).read_bytes())
    own = backup / _VAR / "secrets" / "person_hash_key"
    if own.is_file() and "PERSON_HASH_KEY" not in kept and os.environ.get("PERSON_HASH_KEY"):
        kept["PERSON_HASH_KEY"] = own.read_text(encoding="ascii").strip()
    for name, loss in ESSENTIAL.items():
        if name in kept and not hmac.compare_digest(kept[name].encode(), os.environ.get(name, "").encode()):
            raise BackupError(
                f"{name} is {'another one' if os.environ.get(name) else 'not set'} here: {loss}. Set it as in "
                f"{backup / ENV_FILE} (or {ENVIRONMENT}), then restore"
            )
    for source, target in _places(backup):
        if target.is_file() and target.read_bytes() != source.read_bytes():
            raise BackupError(
                f"{target} holds other secrets than the backup: restore into an empty VAR_DIR, or move the file away"
            )


def restore_secrets(backup: Path) -> list[Path]:
    """Put the files of the embedded default back where they are missing; returns those that were written."""
    written = []
    for source, target in _places(backup):
        if target.exists():
            continue
        private_folder(target.parent)
        fresh = target.with_name(f".restoring-{target.name}")
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(source.read_bytes())
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(fresh, target)
        written.append(target)
    return written


def _places(backup: Path) -> list[tuple[Path, Path]]:
    var = get_settings().var
    return [(backup / _VAR / name, var / name) for name in _EMBEDDED if (backup / _VAR / name).is_file()]
