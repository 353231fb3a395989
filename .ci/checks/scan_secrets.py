"""No password, no key, no private path in what git keeps: part of ``make lint``.

detect-secrets looks through every tracked file, several files at once; it asks nobody whether a key works (its own
default would send what it finds to the vendor). Beside it stand two rules of ours: no secret in the form of those that
`make env` writes, in whatever kind of text, and no folder of somebody's machine nor address of a package index.

A file once found clean is not looked through again while it stays as it is (``.venv/secrets-clean.json``).

Not a secret after all? Write ``pragma: allowlist secret`` in a comment on that line, or, where a whole kind of value
is meant, add a line to :data:`MEANT` with the reason.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import partial
from pathlib import Path

from detect_secrets.core.potential_secret import PotentialSecret
from detect_secrets.core.scan import scan_file
from detect_secrets.settings import transient_settings

PROJECT_ROOT = Path(__file__).resolve().parent.parent.parent
REMEMBERED = PROJECT_ROOT / ".venv" / "secrets-clean.json"

_PLUGINS = (
    "KeywordDetector", "BasicAuthDetector", "PrivateKeyDetector", "JwtTokenDetector", "AWSKeyDetector",
    "AzureStorageKeyDetector", "GitHubTokenDetector", "GitLabTokenDetector", "NpmDetector", "OpenAIDetector",
    "PypiTokenDetector", "SendGridDetector", "SlackDetector", "StripeDetector", "TwilioKeyDetector",
)  # fmt: skip
_SETTINGS = {
    "plugins_used": [
        *({"name": name} for name in _PLUGINS),
        # Bits a letter: random hexadecimal has 3.5 and more, random base64 above 4.5; names and words have less.
        {"name": "HexHighEntropyString", "limit": 3.0},
        {"name": "Base64HighEntropyString", "limit": 4.5},
    ],
    "filters_used": [
        {"path": f"detect_secrets.filters.{name}"}
        for name in (
            "allowlist.is_line_allowlisted", "heuristic.is_indirect_reference", "heuristic.is_likely_id_string",
            "heuristic.is_not_alphanumeric_string", "heuristic.is_potential_uuid",
            "heuristic.is_prefixed_with_dollar_sign", "heuristic.is_sequential_string",
            "heuristic.is_templated_secret",
        )
    ],
}  # fmt: skip

# Files, values (whole), why they are none.
MEANT: tuple[tuple[str, str, str], ...] = (
    ("*", r"password|secret|s(@|%40)cret", "the word itself, in examples"),
    ("*", r"(scram-)?sha-?256", "a method, not a password"),
    ("*", r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+|PG[A-Z]+", "the name of a setting"),
    ("*", r"([A-Z_]+=)?(/[\w.-]+){2,}/?", "a folder"),
    ("include/warehouse/env.py", r"\S+ \S+ \S+.*", "a sentence: what a setting is for"),
    ("*", r"([A-Z_]+=)?\$\(openssl rand .*", "a command that makes one"),
    ("include/sample/*.py", r"[0-9A-Z]{31}", "the letters that credit codes are made of"),
    ("dbt_project/models/*.yml", r"[0-9a-f]{32}", "surrogate keys (md5) in unit tests of models"),
    ("requirements*.lock", r"[0-9a-f]{64}", "hashes of packages"),
    ("docs/*.md", r"docker-compose .*", "a command"),
    ("deploy/helm/*", r"labour-[a-z-]+|connection-async", "the name of a Kubernetes secret, and of a key in it"),
    ("include/backup/manifest.py", r"warehouse\.dump", "a file"),
    ("include/intake/channels/configuration.py", r"CHANNEL_", "how names of settings begin"),
    ("tests/*.py", r"SEC1|wrong|reports@example\.cn", "logins of servers in tests"),
)

# detect-secrets wants quotation marks round it, except in files of settings; a page of documentation has none.
_OUR_FORM = re.compile(
    r"(?:PASSWORD|SECRET|KEY|TOKEN)\w*[\"'`]?\s*[=:]\s*[\"'`]?(?:[0-9a-f]{40,}|[\w-]{43}=)", re.ASCII
)
_PRIVATE_PLACES = re.compile(
    r"""(?x)
    /(?: home/(?!labour\b) | Users/ | root/ )[\w.-]
    | \bfile:///\w
    | (?: index[-_]url | INDEX(?:_URL)? | find[-_]links | FIND_LINKS )["']?
      (?: \s*[=:]\s* | \s+ ) ["']? (?: https?|file )://
    """
)
# This file and its test say what is looked for.
_SAYS_THE_RULE = ("*/scan_secrets.py", "*/test_supply_chain.py")


@dataclass(frozen=True, order=True)
class Found:
    """Something that should not be in the repository: where, and what kind; never the value."""

    file: str
    line: int
    kind: str


def tracked(root: Path) -> list[str]:
    """Files that git keeps or would keep below ``root``, relative to it; of an unpacked archive, every file."""
    listed = subprocess.run(
        ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if listed.returncode == 0:
        names = listed.stdout.split("\0")
    else:
        left_out = {".venv", "var", ".git", "target", "logs", "__pycache__"}
        names = [
            str(path.relative_to(root)) for path in root.rglob("*")
            if path.name != ".env" and not left_out & {part for part in path.relative_to(root).parts}
        ]  # fmt: skip
    return sorted(name for name in set(names) if name and (root / name).is_file())


def scan(root: Path, files: Sequence[str]) -> list[Found]:
    """What is found in ``files`` of ``root``, sorted by place."""
    workers = min(os.cpu_count() or 1, 8)
    # Large files first, so that none of them is begun last.
    ordered = sorted(files, key=lambda name: -(root / name).stat().st_size)
    with ProcessPoolExecutor(workers) as pool:
        found = pool.map(partial(_scan_one, str(root)), ordered, chunksize=4)
        return sorted({item for items in found for item in items})


def clean_already(root: Path, files: Sequence[str], remembered: Path) -> tuple[set[str], dict[str, str]]:
    """Which files were found clean by this very check, and the fingerprints of all.

    Returns:
        names whose fingerprint ``remembered`` has; name to fingerprint (content, name and this file's own content).
    """
    rule = Path(__file__).read_bytes()
    prints = {
        name: hashlib.sha256(rule + name.encode() + b"\0" + (root / name).read_bytes()).hexdigest() for name in files
    }
    try:
        before = set(json.loads(remembered.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        before = set()
    return {name for name, fingerprint in prints.items() if fingerprint in before}, prints


def _scan_one(root: str, name: str) -> list[Found]:
    path = Path(root, name)
    with transient_settings(_SETTINGS):
        secrets = [secret for secret in scan_file(str(path)) if not _is_meant(name, secret)]
    return [*(Found(name, secret.line_number, secret.type) for secret in secrets), *_own_rules(path, name)]


def _is_meant(name: str, secret: PotentialSecret) -> bool:
    value = secret.secret_value or ""
    return any(fnmatch(name, files) and re.fullmatch(values, value) for files, values, _ in MEANT)


def _own_rules(path: Path, name: str) -> Iterator[Found]:
    if any(fnmatch(f"/{name}", pattern) for pattern in _SAYS_THE_RULE):
        return
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return  # a picture or a workbook
    for number, line in enumerate(text.splitlines(), start=1):
        if "pragma: allowlist secret" in line:
            continue
        if _PRIVATE_PLACES.search(line):
            yield Found(name, number, "folder of a machine, or address of a package index")
        if _OUR_FORM.search(line):
            yield Found(name, number, "Secret in the form of make env")


def main(arguments: Sequence[str] | None = None) -> int:
    """``scan_secrets.py [folder]``: 0 when nothing was found."""
    parser = argparse.ArgumentParser(description="passwords, keys and private places in the files that git keeps")
    parser.add_argument("folder", nargs="?", type=Path, default=PROJECT_ROOT)
    parser.add_argument("--remembered", type=Path, default=REMEMBERED, help="where clean files are noted")
    options = parser.parse_args(arguments)
    root = options.folder.resolve()
    files = tracked(root)
    clean, prints = clean_already(root, files, options.remembered)
    found = scan(root, [name for name in files if name not in clean])
    dirty = {item.file for item in found}
    if options.remembered.parent.is_dir():
        noted = sorted(fingerprint for name, fingerprint in prints.items() if name not in dirty)
        options.remembered.write_text(json.dumps(noted), encoding="utf-8")
    for item in found:
        print(f"{item.file}:{item.line}: {item.kind}", file=sys.stderr)
    if found:
        print(
            "error: looks like a secret. Take it out and make a new one (it is in the history already if it was "
            "committed: docs/runbooks/secret-leaked.md); if it is none, see .ci/checks/scan_secrets.py "
            "(疑似密钥或本机路径：请删除并更换；确非密钥的，按该文件说明标注)",
            file=sys.stderr,
        )
        return 1
    print(f"secrets: none in {len(files)} files")
    return 0


if __name__ == "__main__":
    sys.exit(main())
