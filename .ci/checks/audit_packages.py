"""Known vulnerabilities of what the locks name: part of ``make lint``.

pip-audit asks a vulnerability service about every version of ``requirements-dev.lock``, which holds
``requirements.lock`` with the same versions. A closed network has no such service, and a mirror of the package index
may answer for one without knowing anything. So each service is first asked about a version that is known to be
vulnerable; one that does not know it is not used, and where none is left this says in words that nothing was checked,
and does not fail.

A vulnerability that is known fails, unless ``.ci/vulnerabilities.toml`` accepts it with a reason and a day on which the
acceptance ends. Once a day and lock is enough: ``.venv/audited`` remembers it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

PROJECT_ROOT = Path(__file__).resolve().parent.parent.parent
LOCK = PROJECT_ROOT / "requirements-dev.lock"
ACCEPTED = PROJECT_ROOT / ".ci" / "vulnerabilities.toml"
REMEMBERED = PROJECT_ROOT / ".venv" / "audited"
SERVICES = ("pypi", "osv")
# Vulnerable since 2019 (CVE-2019-10906), and nothing will change that.
CANARY = "jinja2==2.10"
ANSWER_SECONDS = 5
ALL_SECONDS = 180


class AcceptedFileError(ValueError):
    """The list of accepted vulnerabilities cannot be used; the message says what to write."""


@dataclass(frozen=True, order=True)
class Vulnerability:
    """A known vulnerability of a locked version. ``aliases`` are its other names (CVE, GHSA, PYSEC)."""

    package: str
    version: str
    name: str
    aliases: tuple[str, ...]
    fixed_in: tuple[str, ...]

    def __str__(self) -> str:
        fixed = f"mended in {', '.join(self.fixed_in)}" if self.fixed_in else "no mended version yet"
        return f"{self.package} {self.version}: {self.name} ({', '.join(self.aliases) or 'no other name'}), {fixed}"


@dataclass(frozen=True)
class Acceptance:
    """A vulnerability that is known and lived with, why, and the last day on which it may be."""

    name: str
    package: str
    reason: str
    until: date


def acceptances(path: Path) -> list[Acceptance]:
    """The accepted vulnerabilities of a TOML file; none where there is no file.

    Raises:
        AcceptedFileError: an entry lacks its id, package, reason or day.
    """
    if not path.exists():
        return []
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8")).get("accepted", [])
    except tomllib.TOMLDecodeError as error:
        raise AcceptedFileError(f"{path.name} is no TOML: {error}") from error
    found = []
    for entry in entries:
        until = entry.get("until")
        texts = {key: str(entry.get(key) or "").strip() for key in ("id", "package", "reason")}
        if not all(texts.values()) or not isinstance(until, date):
            raise AcceptedFileError(
                f'{path.name}: each [[accepted]] needs id, package, reason and until, like: id = "PYSEC-2026-1", '
                f'package = "jinja2", reason = "we render no templates of others", until = 2027-03-31; got {entry}'
            )
        found.append(Acceptance(texts["id"], texts["package"].lower(), texts["reason"], until))
    return found


def ask(service: str, lock: Path, *, osv_url: str | None = None) -> tuple[list[Vulnerability], list[str]] | None:
    """What a service knows of a lock: vulnerabilities, and packages it cannot say anything about.

    Returns:
        ``None`` when it does not answer.
    """
    command = [
        sys.executable, "-m", "pip_audit", "-r", str(lock), "--no-deps", "--disable-pip", "--vulnerability-service",
        service, "--timeout", str(ANSWER_SECONDS), "--format", "json", "--aliases", "on", "--desc", "off",
        "--progress-spinner", "off", *(["--osv-url", osv_url] if osv_url else []),
    ]  # fmt: skip
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=ALL_SECONDS, check=False)
        dependencies: list[dict[str, Any]] = json.loads(run.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, json.JSONDecodeError, KeyError):
        return None
    known = [
        Vulnerability(
            package["name"].lower(), package["version"], item["id"],
            tuple(sorted(item.get("aliases") or ())), tuple(item.get("fix_versions") or ()),
        )
        for package in dependencies for item in package.get("vulns", [])
    ]  # fmt: skip
    return sorted(known), sorted(package["name"] for package in dependencies if "skip_reason" in package)


def choose(services: Sequence[str], *, osv_url: str | None = None) -> str | None:
    """The first service that knows the vulnerable version, ``None`` where there is none."""
    with TemporaryDirectory() as folder:
        canary = Path(folder, "canary.txt")
        canary.write_text(f"{CANARY}\n", encoding="utf-8")
        for service in services:
            answer = ask(service, canary, osv_url=osv_url)
            if answer and answer[0]:
                return service
    return None


def judge(known: Sequence[Vulnerability], accepted: Sequence[Acceptance], today: date) -> tuple[list[str], list[str]]:
    """What fails and what is only to be told: unlisted and expired ones, and acceptances nobody needs any more."""
    failing, notes, used = [], [], set()
    for item in known:
        entry = next(
            (entry for entry in accepted if entry.package == item.package and entry.name in {item.name, *item.aliases}),
            None,
        )
        if entry is None:
            failing.append(str(item))
            continue
        used.add(entry)
        if entry.until < today:
            failing.append(f"{item}; accepted until {entry.until} only ({entry.reason})")
        else:
            notes.append(f"accepted until {entry.until}: {item} ({entry.reason})")
    notes += [f"no longer needed in {ACCEPTED.name}: {e.package} {e.name}" for e in accepted if e not in used]
    return failing, notes


def _state(lock: Path, accepted: Path) -> str:
    content = lock.read_bytes() + (accepted.read_bytes() if accepted.exists() else b"")
    return f"{date.today().isoformat()} {hashlib.sha256(content).hexdigest()}"


def main(arguments: Sequence[str] | None = None) -> int:
    """``audit_packages.py``: 0 when nothing is known against the lock, or nobody could be asked."""
    parser = argparse.ArgumentParser(description="known vulnerabilities of the locked packages")
    parser.add_argument("--lock", type=Path, default=LOCK)
    parser.add_argument("--accepted", type=Path, default=ACCEPTED)
    parser.add_argument(
        "--remembered", type=Path, default=REMEMBERED, help="skips what this file says was checked today"
    )
    parser.add_argument("--service", action="append", choices=("pypi", "osv", "esms"), help="default: pypi, then osv")
    parser.add_argument("--osv-url", help="an OSV service of the own network (its /v1/query)")
    parser.add_argument("--required", action="store_true", help="fail where no service can be asked (before a release)")
    options = parser.parse_args(arguments)
    try:
        accepted = acceptances(options.accepted)
    except AcceptedFileError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    state = _state(options.lock, options.accepted)
    if not options.required and options.remembered.exists() and options.remembered.read_text() == state:
        print("vulnerabilities: none known (checked earlier today)")
        return 0
    service = choose(options.service or SERVICES, osv_url=options.osv_url)
    answer = ask(service, options.lock, osv_url=options.osv_url) if service else None
    if answer is None:
        print(
            "vulnerabilities: NOT CHECKED, no vulnerability service can be reached from here (PyPI's JSON API, "
            "api.osv.dev). Run `make lint` once where there is one "
            "(漏洞库无法访问，本次未检查依赖漏洞；请在可联网的机器上运行)",
            file=sys.stderr,
        )
        return int(options.required)
    known, unknown = answer
    failing, notes = judge(known, accepted, date.today())
    for line in notes:
        print(f"vulnerabilities: {line}")
    if unknown:
        print(f"vulnerabilities: {service} knows nothing of {len(unknown)} packages: {', '.join(unknown)}")
    if failing:
        print("\n".join(failing), file=sys.stderr)
        print(
            'error: known vulnerabilities. Take mended versions (make lock ARGS="--upgrade-package NAME"), or accept '
            f"one in {ACCEPTED.relative_to(PROJECT_ROOT)} with reason and day "
            "(依赖存在已知漏洞：请升级，或写明理由和期限后暂予接受)",
            file=sys.stderr,
        )
        return 1
    options.remembered.write_text(state)
    print(f"vulnerabilities: none known to {service} that is not accepted")
    return 0


if __name__ == "__main__":
    sys.exit(main())
