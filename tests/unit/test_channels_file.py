"""The channels file and what stands beside it: every mistake is named, no secret is repeated."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from include.intake.channels import ChannelDown, LocalFolder
from include.intake.channels.configuration import ChannelsFileError, load_channels
from include.intake.channels.senders import SenderListError, load_senders
from include.intake.identity import code_of_folder, evidence_of_folder
from include.intake.reporters import load_reporters
from include.settings import PROJECT_ROOT, get_settings

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0+x3Vf5bq0N8bQf9hXl7tqVw0mVt0xVbRrVb7yGm4N"
SFTP = {"name": "s", "kind": "sftp", "host": "h", "user": "u", "password_env": "CHANNEL_SFTP_PASSWORD", "host_key": KEY}
S3 = {
    "name": "b", "kind": "s3", "endpoint": "https://s3.example.cn", "bucket": "reports",
    "access_key_env": "CHANNEL_S3_ACCESS", "secret_key_env": "CHANNEL_S3_SECRET",
}  # fmt: skip
MAIL = {"name": "m", "kind": "imap", "host": "h", "user": "u", "password_env": "CHANNEL_MAIL_PASSWORD"}


def load(folder: Path, *entries: Any) -> list[Any]:
    path = folder / "channels.yaml"
    path.write_text(yaml.safe_dump({"channels": list(entries)}))
    reporters = load_reporters(get_settings().reporters_file)
    return load_channels(path, inbox=folder / "inbox", reporters=reporters, file_bytes=1 << 20)


def without(entry: dict[str, Any], *keys: str, **changes: Any) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key not in keys} | changes


def test_as_shipped_there_is_the_inbox_alone() -> None:
    reporters = load_reporters(get_settings().reporters_file)
    path = PROJECT_ROOT / "include" / "config" / "channels.yaml"
    [channel] = load_channels(path, inbox=Path("/inbox"), reporters=reporters, file_bytes=1)
    assert isinstance(channel, LocalFolder)
    assert (channel.name, channel.root, channel.settle_seconds) == ("local", Path("/inbox"), 1)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"name": "x", "kind": "ftp"}, "channel x: kind must be local, sftp, s3 or imap"),
        ({"name": "x"}, "channel x: kind is missing"),
        ({"name": "收件", "kind": "local"}, "channel 收件: name"),
        (without(SFTP, "host"), "channel s: host: is missing"),
        (without(SFTP, "host_key"), "channel s: write host_key .* or known_hosts_file"),
        (without(SFTP, host_key="any"), "channel s: host_key"),
        (without(SFTP, "password_env"), "channel s: write password_env .* or password_file"),
        (without(SFTP, "password_env", password="s@cret"), "channel s: password: is not known: .*never stand"),
        (without(SFTP, password_env="SFTP_PASSWORD"), "must name a variable that begins with CHANNEL_"),
        (without(SFTP, password_file="p"), "write password_env or password_file, not both"),
        (without(SFTP, reporter="450126", top_folders="reporters"), "either reporter .* or top_folders"),
        (without(SFTP, reporter="999999", top_folders="free"), "channel s: reporter '999999' is not in the list"),
        (without(S3, endpoint="http://s3.example.cn"), "allow_http: true"),
        (without(S3, "secret_key_env"), "channel b: write secret_key_env"),
        (without(MAIL, afterwards="move"), "channel m: afterwards: move and move_to"),
        (without(MAIL, afterwards="delete"), "channel m: afterwards"),
        (without(MAIL, security="none"), "channel m: security"),
    ],
)  # fmt: skip
def test_a_wrong_entry_is_named_with_what_to_write(tmp_path: Path, entry: dict[str, Any], words: str) -> None:
    with pytest.raises(ChannelsFileError, match=words) as raised:
        load(tmp_path, entry)
    assert "s@cret" not in str(raised.value)


def test_a_wrong_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ChannelsFileError, match="local stands twice"):
        load(tmp_path, {"name": "local", "kind": "local"}, {"name": "local", "kind": "local", "path": "b"})
    with pytest.raises(ChannelsFileError, match="at least 1"):
        load(tmp_path)
    reporters = load_reporters(get_settings().reporters_file)
    (tmp_path / "broken.yaml").write_text("channels: [")
    for name, words in (("none.yaml", "correct CHANNELS_FILE"), ("broken.yaml", "is no YAML")):
        with pytest.raises(ChannelsFileError, match=words):
            load_channels(tmp_path / name, inbox=tmp_path, reporters=reporters, file_bytes=1)


def test_what_stands_beside_the_file_is_the_matter_of_its_channel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing secret does not keep the other channels from being read."""
    (tmp_path / "senders.csv").write_text("email,reporter_code\nx@example.cn,999999\n")
    monkeypatch.setenv("CHANNEL_MAIL_PASSWORD", "secret")
    entries = ({"name": "l", "kind": "local"}, SFTP, MAIL, without(MAIL, name="n", enabled=False))
    local, sftp, mail = load(tmp_path, *entries)
    assert isinstance(local, LocalFolder)
    for channel, words in ((sftp, "CHANNEL_SFTP_PASSWORD is not set"), (mail, "senders.csv line 2")):
        with pytest.raises(ChannelDown, match=words) as raised, channel.session():
            pass
        assert "请检查渠道配置" in raised.value.reason_zh


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("email\nx@example.cn\n", "columns missing: reporter_code"),
        ("email,reporter_code\nx.example.cn,450126\n", "line 2: 'x.example.cn' is not a mailbox"),
        ("email,reporter_code\nx@example.cn,450126\nX@example.cn,450721\n", "line 3: x@example.cn stands twice"),
    ],
)
def test_a_wrong_list_of_senders_is_named(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "senders.csv").write_text(text)
    with pytest.raises(SenderListError, match=words):
        load_senders(tmp_path / "senders.csv", {"450126", "450721"})


@pytest.mark.parametrize(
    ("name", "code"),
    [("450721", "450721"), ("450721-灵山县", "450721"), ("450721（灵山县）", "450721"), ("4507210", None),
     ("灵山县", None), ("450721x", None), ("2026-10", None), ("", None)],
)  # fmt: skip
def test_a_folder_named_by_a_code_is_that_reporters(name: str, code: str | None) -> None:
    assert code_of_folder(name, {"450721", "450126"}) == code


def test_a_folder_of_a_code_binds_whatever_stands_below() -> None:
    reporters = load_reporters(get_settings().reporters_file)
    assert evidence_of_folder("450721/upload/2026-10", reporters).reporters == ("450721",)
    assert evidence_of_folder("450721/2026-10", reporters).period == "2026-10"
    # another county within an account contradicts it, and refuses the file
    assert evidence_of_folder("450721/宾阳县", reporters).reporters == ("450721", "450126")
    # the numbers of a mail are no month
    assert evidence_of_folder("450126/1795966186-0000202610-1of2", reporters).period is None


def test_channels_import_no_airflow_and_the_inbox_alone_loads_no_network_library() -> None:
    program = (
        "import sys, include.pipeline.collect\n"
        "heavy = {'airflow', 'asyncssh', 's3fs', 'botocore', 'imapclient', 'sshfs'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "import include.intake.channels.remote, include.intake.channels.mailbox\n"
        "assert 'airflow' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT_ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
