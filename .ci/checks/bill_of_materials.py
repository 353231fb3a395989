"""The software bill of materials of what production installs: ``make sbom``.

CycloneDX 1.6 as JSON. Names, licences and who needs whom come from the installed packages (cyclonedx-py), which
packages and with which hashes from ``requirements.lock``; what only tests and checks need is left out. The same lock in
the same environment gives the same bytes. The result is validated against the schema before it is written.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT_ROOT = Path(__file__).resolve().parent.parent.parent
LOCK = PROJECT_ROOT / "requirements.lock"
OUTPUT = PROJECT_ROOT / "var" / "sbom" / "labour-reporting.cdx.json"
# Licences that ask something of whoever passes the software on; the weak ones only for the library itself.
COPYLEFT = re.compile(
    r"(?<![a-z])(?:(?P<weak>lgpl|mpl|epl|cddl|lesser general public|mozilla public)|agpl|gpl|eupl|general public)", re.I
)
_CLASSIFIER = re.compile(r"License :: (OSI Approved :: )?")


class BillError(RuntimeError):
    """No bill can be made; the message says what to do."""


def locked(lock: str) -> dict[str, tuple[Requirement, tuple[str, ...]]]:
    """Packages of a lock that this platform installs: canonical name to requirement and its SHA-256 hashes."""
    found = {}
    for entry in re.split(r"\n(?=[^\s#])", re.sub(r"^\s*#.*\n?", "", lock, flags=re.MULTILINE)):
        hashes = tuple(re.findall(r"--hash=sha256:([0-9a-f]{64})", entry))
        text = re.sub(r"\\\n|--hash=\S+", " ", entry).strip()
        if not text:
            continue
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate():
            found[canonicalize_name(requirement.name)] = requirement, hashes
    return found


def installed(python: str = sys.executable) -> dict[str, Any]:
    """The bill of everything installed beside this Python, as cyclonedx-py has it."""
    run = subprocess.run(
        [sys.executable, "-m", "cyclonedx_py", "environment", "--pyproject", str(PROJECT_ROOT / "pyproject.toml"),
         "--spec-version", "1.6", "--output-reproducible", "--no-validate", "--output-file", "-", python],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if run.returncode:
        raise BillError(f"cyclonedx-py failed: {run.stderr.strip()[-500:]}; run `make install-dev`")
    return json.loads(run.stdout)


def production_only(
    bill: Mapping[str, Any], packages: Mapping[str, tuple[Requirement, tuple[str, ...]]]
) -> dict[str, Any]:
    """The part of a bill that the lock names, each package with the hashes by which it is installed.

    Raises:
        BillError: a package of the lock is not installed, or in another version.
    """
    components = []
    for component in bill["components"]:
        name = canonicalize_name(component["name"])
        if name not in packages:
            continue
        requirement, hashes = packages[name]
        if not requirement.specifier.contains(component["version"], prereleases=True):
            raise BillError(f"{requirement} is locked, {component['version']} installed: run `make install-dev`")
        # Several files may be installed under one version (a wheel for each platform): their hashes belong to the
        # place they come from, not to the component, which would then have to be all of them at once.
        source = {
            "type": "distribution", "url": f"https://pypi.org/project/{name}/{component['version']}/#files",
            "comment": "files that requirements.lock admits",
            "hashes": [{"alg": "SHA-256", "content": value} for value in hashes],
        }  # fmt: skip
        references = [ref for ref in component.get("externalReferences", []) if not ref["url"].startswith("file:")]
        components.append({**component, "externalReferences": [*references, source]})
    missing = sorted(set(packages) - {canonicalize_name(component["name"]) for component in components})
    if missing:
        raise BillError(f"locked but not installed: {', '.join(missing)}: run `make install-dev`")
    kept = {component["bom-ref"] for component in components} | {bill["metadata"]["component"]["bom-ref"]}
    dependencies = []
    for entry in bill.get("dependencies", []):
        if entry["ref"] in kept:
            needs = [ref for ref in entry.get("dependsOn", []) if ref in kept]
            dependencies.append({"ref": entry["ref"], **({"dependsOn": needs} if needs else {})})
    return {**bill, "components": components, "dependencies": dependencies}


def licences(component: Mapping[str, Any]) -> str:
    """A component's licences in one line; ``unknown`` where its metadata name none."""
    names = []
    for entry in component.get("licenses", []):
        licence = entry.get("license", {})
        names.append(entry.get("expression") or licence.get("id") or licence.get("name") or "")
    # Metadata may say it twice: as an identifier and by a classifier, which is vaguer ("BSD License").
    exact = [name for name in names if not _CLASSIFIER.match(name)]
    if exact and not any(copyleft(name) for name in names):
        names = exact
    # Some packages put the whole text where the name belongs.
    lines = [_CLASSIFIER.sub("", name.strip().splitlines()[0])[:90] for name in names if name.strip()]
    return " and ".join(dict.fromkeys(lines)) or "unknown"


def copyleft(licence: str) -> str | None:
    """``strong``, ``weak`` or ``None``, by the licence's name.

    A choice (``or``) with a free hand is none. Classifiers do not say whether they are a choice: all are taken to hold.
    """
    kinds = []
    for choice in re.split(r"\s+or\s+(?!later)", licence, flags=re.IGNORECASE):
        found = list(COPYLEFT.finditer(choice))
        kinds.append("strong" if any(not m["weak"] for m in found) else "weak" if found else None)
    return None if None in kinds else "weak" if "weak" in kinds else "strong"


def summary(bill: Mapping[str, Any]) -> list[str]:
    """What there is to read for people: how many under which licence, and the copyleft ones by name."""
    names = {f"{item['name']} {item['version']}": licences(item) for item in bill["components"]}
    lines = [f"{count:4d}  {licence}" for licence, count in Counter(names.values()).most_common()]
    for kind, meaning in (("strong", "passing on asks for the source"), ("weak", "changes to the library itself")):
        listed = [f"{name} ({licence})" for name, licence in names.items() if copyleft(licence) == kind]
        lines.append(f"{kind} copyleft, {meaning}: " + ("; ".join(listed) or "none"))
    return lines


def main(arguments: Sequence[str] | None = None) -> int:
    """``bill_of_materials.py [--output FILE]``."""
    parser = argparse.ArgumentParser(description="software bill of materials of requirements.lock")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    output = parser.parse_args(arguments).output
    try:
        bill = production_only(installed(), locked(LOCK.read_text(encoding="utf-8")))
    except BillError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    text = json.dumps(bill, ensure_ascii=False, indent=2, sort_keys=True) + "\n"
    fault = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if fault is not None:
        print(f"error: not valid CycloneDX 1.6: {str(fault)[:500]}", file=sys.stderr)
        return 1
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(text, encoding="utf-8")
    print("\n".join(summary(bill)))
    shown = output.relative_to(PROJECT_ROOT) if output.is_relative_to(PROJECT_ROOT) else output
    print(f"{len(bill['components'])} packages, CycloneDX 1.6, valid: {shown}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
