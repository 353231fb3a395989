import os
from pathlib import Path

import pytest

from include.intake.channels import InboxNotFound, LocalFolder


def _file(path: Path, mtime: int, text: str = "x") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (mtime, mtime))


def test_files_come_oldest_first_with_their_folder_and_arrival_time(tmp_path: Path) -> None:
    _file(tmp_path / "2026-10" / "灵山县" / "b.xlsx", 1_793_600_000)
    _file(tmp_path / "a.xls", 1_793_500_000)
    arrivals = list(LocalFolder(tmp_path).arrivals())
    assert [a.path_in_channel for a in arrivals] == ["a.xls", "2026-10/灵山县/b.xlsx"]
    assert [a.folder for a in arrivals] == ["", "2026-10/灵山县"]
    assert arrivals[0].received_at.isoformat() == "2026-11-01T10:26:40+08:00"


def test_lock_files_partial_uploads_and_links_are_not_arrivals(tmp_path: Path) -> None:
    for name in ("~$a.xlsx", ".hidden.xlsx", "a.xlsx.part", "Thumbs.db", ".sync/a.xlsx"):
        _file(tmp_path / name, 1)
    (tmp_path / "link.xlsx").symlink_to("/etc/hostname")
    assert list(LocalFolder(tmp_path).arrivals()) == []


def test_a_missing_inbox_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InboxNotFound, match="INBOX_DIR"):
        list(LocalFolder(tmp_path / "none").arrivals())


def test_a_name_in_gbk_bytes_is_read_and_can_be_stored(tmp_path: Path) -> None:
    folder = os.path.join(os.fsencode(tmp_path), "灵山县".encode("gb18030"))
    os.mkdir(folder)
    with open(os.path.join(folder, "企业情况表.xlsx".encode("gb18030")), "wb") as handle:
        handle.write(b"x")
    channel = LocalFolder(tmp_path)
    [arrival] = channel.arrivals()
    assert (arrival.path_in_channel, arrival.folder) == ("灵山县/企业情况表.xlsx", "灵山县")
    assert arrival.file_name == "企业情况表.xlsx"
    [sighting] = channel.look(frozenset()).fresh
    [delivery] = channel.take(sighting, None)
    assert b"".join(delivery.content or ()) == b"x"


def test_a_linked_folder_is_not_entered(tmp_path: Path) -> None:
    _file(tmp_path / "elsewhere" / "a.xlsx", 1)
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "link").symlink_to(tmp_path / "elsewhere")
    assert list(LocalFolder(tmp_path / "inbox").arrivals()) == []
