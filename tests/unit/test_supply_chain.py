"""What `make lint` and `make sbom` say of packages and secrets: vulnerable versions, planted keys, licences."""

from __future__ import annotations

import json
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from threading import Thread
from types import ModuleType

import pytest

from include.settings import PROJECT_ROOT

CHECKS = PROJECT_ROOT / ".ci" / "checks"


def check(name: str) -> ModuleType:
    """One of the programs in .ci/checks, as a module."""
    spec = spec_from_file_location(name, CHECKS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


audit = check("audit_packages")
bill = check("bill_of_materials")
scanner = check("scan_secrets")


# ------------------------------------------------------------------------------------------------- vulnerabilities

KNOWN = {
    ("jinja2", "2.10"): {"id": "PYSEC-2019-217", "aliases": ["CVE-2019-10906"], "fixed": "2.10.1"},
    ("leaky", "1.0"): {"id": "GHSA-leak-leak-leak", "aliases": ["CVE-2026-1"], "fixed": "1.1"},
}


class OsvService(BaseHTTPRequestHandler):
    """Speaks OSV's protocol over what it has been given to know."""

    known = KNOWN

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        name, version = asked["package"]["name"], asked["version"]
        entry = self.known.get((name, version))
        found = []
        if entry is not None:
            found = [{
                "id": entry["id"], "aliases": entry["aliases"], "summary": "-", "modified": "2026-01-01T00:00:00Z",
                "published": "2026-01-01T00:00:00Z",
                "affected": [{
                    "package": {"name": name, "ecosystem": "PyPI"},
                    "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": entry["fixed"]}]}],
                }],
            }]  # fmt: skip
        answer = json.dumps({"vulns": found} if found else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *arguments: object) -> None:
        """Not into the test's output."""


class IgnorantService(OsvService):
    """A mirror that answers and knows nothing."""

    known: dict[tuple[str, str], dict[str, object]] = {}  # type: ignore[assignment]  # noqa: RUF012


def serve(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1/query"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def osv() -> Iterator[str]:
    yield from serve(OsvService)


@pytest.fixture
def ignorant() -> Iterator[str]:
    yield from serve(IgnorantService)


def audited(
    tmp_path: Path, osv_url: str, *more: str, lock: str = "leaky==1.0\nsound==2.0\n", accepted: str = ""
) -> int:
    (tmp_path / "some.lock").write_text(lock)
    (tmp_path / "accepted.toml").write_text(accepted)
    return audit.main([
        "--lock", str(tmp_path / "some.lock"), "--accepted", str(tmp_path / "accepted.toml"),
        "--remembered", str(tmp_path / "audited"), "--service", "osv", "--osv-url", osv_url, *more,
    ])  # fmt: skip


def accept(until: str, package: str = "leaky", name: str = "CVE-2026-1") -> str:
    return f'[[accepted]]\nid = "{name}"\npackage = "{package}"\nreason = "not reachable"\nuntil = {until}\n'


def test_a_known_vulnerability_fails_and_says_what_mends_it(
    tmp_path: Path, osv: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audited(tmp_path, osv) == 1
    said = capsys.readouterr().err
    assert "leaky 1.0: CVE-2026-1 (GHSA-leak-leak-leak), mended in 1.1" in said
    assert "sound" not in said
    assert not (tmp_path / "audited").exists()


def test_accepted_with_reason_and_day_it_passes_and_is_remembered(
    tmp_path: Path, osv: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audited(tmp_path, osv, accepted=accept("2999-01-01")) == 0
    assert "accepted until 2999-01-01: leaky 1.0" in capsys.readouterr().out
    assert audited(tmp_path, "http://127.0.0.1:1/", accepted=accept("2999-01-01")) == 0
    assert "checked earlier today" in capsys.readouterr().out


def test_an_acceptance_ends_and_names_one_package(capsys: pytest.CaptureFixture[str]) -> None:
    known = [audit.Vulnerability("leaky", "1.0", "GHSA-leak-leak-leak", ("CVE-2026-1",), ("1.1",))]
    today = date(2026, 12, 1)

    def entry(package: str, until: date) -> object:
        return audit.Acceptance("CVE-2026-1", package, "not reachable", until)

    assert audit.judge(known, [entry("leaky", today)], today)[0] == []
    assert "accepted until 2026-11-30 only" in audit.judge(known, [entry("leaky", date(2026, 11, 30))], today)[0][0]
    failing, notes = audit.judge(known, [entry("other", today)], today)
    assert len(failing) == 1
    assert notes == ["no longer needed in vulnerabilities.toml: other CVE-2026-1"]


@pytest.mark.parametrize("missing", ["id", "package", "reason", "until"])
def test_an_acceptance_without_reason_or_day_is_refused(tmp_path: Path, missing: str) -> None:
    path = tmp_path / "accepted.toml"
    path.write_text(re.sub(rf"^{missing} = .*\n", "", accept("2999-01-01"), flags=re.MULTILINE))
    with pytest.raises(audit.AcceptedFileError, match="needs id, package, reason and until"):
        audit.acceptances(path)


def test_the_list_kept_here_can_be_read() -> None:
    assert isinstance(audit.acceptances(audit.ACCEPTED), list)
    assert audit.ACCEPTED.exists()


def test_where_nobody_can_be_asked_it_says_so_and_does_not_fail(
    tmp_path: Path, ignorant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audited(tmp_path, "http://127.0.0.1:1/v1/query") == 0
    assert "NOT CHECKED" in capsys.readouterr().err
    # One that answers without knowing anything is no better.
    assert audited(tmp_path, ignorant) == 0
    assert "NOT CHECKED" in capsys.readouterr().err
    assert audited(tmp_path, ignorant, "--required") == 1
    assert not (tmp_path / "audited").exists()


# --------------------------------------------------------------------------------------------------------- secrets


def scanned(folder: Path) -> tuple[int, set[str]]:
    done = subprocess.run(
        [sys.executable, str(CHECKS / "scan_secrets.py"), str(folder), "--remembered", str(folder / ".git" / "clean")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, {line.split(":")[0] for line in done.stderr.splitlines() if not line.startswith("error")}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of some tracked files, in a repository of its own."""
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    for name in (
        "include/warehouse/env.py",
        "include/notify/smtp.py",
        ".env.example",
        "docs/deployment.md",
        "Makefile",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes((PROJECT_ROOT / name).read_bytes())
    return tmp_path


def test_planted_keys_are_found_and_nothing_else(checkout: Path) -> None:
    assert scanned(checkout) == (0, set())
    planted = {
        "docs/deployment.md": f"\nPOSTGRES_PASSWORD={secrets.token_hex(32)}\n",
        "settings.yaml": f"fernet_key: {secrets.token_urlsafe(32)}=\n",
        "include/notify/smtp.py": f'\nURL = "postgresql://warehouse:{secrets.token_hex(12)}@db:5432/labour"\n',
        "key.pem": "-----BEGIN " + "PRIVATE KEY-----\nMIIEvQ\n",
        "plain.py": f'TOKEN = "{secrets.token_hex(32)}"\n',
        "notes.md": "see /" + "home/wang/labour and pip --index" + "-url https://mirror.example/simple\n",
    }
    for name, text in planted.items():
        with (checkout / name).open("a", encoding="utf-8") as handle:
            handle.write(text)
    assert scanned(checkout) == (1, set(planted))
    # Found again although the clean files were noted, and not what git does not keep.
    (checkout / ".gitignore").write_text("key.pem\n")
    assert scanned(checkout) == (1, set(planted) - {"key.pem"})


# ------------------------------------------------------------------------------------------------ bill of materials


def test_the_lock_is_read_with_hashes_and_markers() -> None:
    text = (
        "# made by\nfirst==1.0 \\\n    --hash=sha256:" + "a" * 64 + " \\\n    --hash=sha256:" + "b" * 64 + "\n"
        "    # via second\nsecond[extra]==2.0 ; sys_platform == 'no-such-platform' \\\n    --hash=sha256:"
        + "c"
        * 64
        + "\n"
        "Third.Name==3.0 ; python_version >= '3.11' \\\n    --hash=sha256:" + "d" * 64 + "\n"
    )
    found = bill.locked(text)
    assert {name: len(hashes) for name, (_, hashes) in found.items()} == {"first": 2, "third-name": 1}
    real = bill.locked(bill.LOCK.read_text(encoding="utf-8"))
    assert len(real) > 200
    assert all(hashes for _, hashes in real.values())
    assert not {"pytest", "moto", "pip-audit"} & set(real)


def test_only_what_production_installs_stays_with_its_hashes() -> None:
    whole = {
        "metadata": {"component": {"bom-ref": "root"}},
        "components": [
            {"bom-ref": "a", "name": "First", "version": "1.0", "externalReferences": [{"url": "file:///x"}]},
            {"bom-ref": "t", "name": "pytest", "version": "9"},
        ],
        "dependencies": [{"ref": "root", "dependsOn": ["a", "t"]}, {"ref": "a", "dependsOn": ["t"]}, {"ref": "t"}],
    }
    packages = bill.locked("first==1.0 --hash=sha256:" + "a" * 64 + "\n")
    kept = bill.production_only(whole, packages)
    assert [item["name"] for item in kept["components"]] == ["First"]
    assert kept["components"][0]["externalReferences"][0]["hashes"] == [{"alg": "SHA-256", "content": "a" * 64}]
    assert kept["dependencies"] == [{"ref": "root", "dependsOn": ["a"]}, {"ref": "a"}]
    with pytest.raises(bill.BillError, match=r"1\.0 installed"):
        bill.production_only(whole, bill.locked("first==2.0\n"))
    with pytest.raises(bill.BillError, match="not installed: absent"):
        bill.production_only(whole, packages | bill.locked("absent==1\n"))


@pytest.mark.parametrize(
    ("licence", "kind"),
    [
        ("MIT", None), ("BSD-3-Clause", None), ("Apache-2.0", None), ("unknown", None),
        ("LGPL-3.0-only", "weak"), ("MPL-2.0 AND MIT", "weak"), ("GNU Lesser General Public License v3", "weak"),
        ("GPL-2.0-or-later", "strong"), ("AGPL-3.0", "strong"), ("GNU General Public License (GPL)", "strong"),
        ("EPL-2.0 OR GPL-2.0-or-later", "weak"), ("MIT OR GPL-3.0-only", None),
    ],
)  # fmt: skip
def test_copyleft_is_told_by_name(licence: str, kind: str | None) -> None:
    assert bill.copyleft(licence) == kind
