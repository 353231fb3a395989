from pathlib import Path

import pytest

from include.intake.landing import LandingDamaged, LandingStore

# echo -n abc | sha256sum
ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # pragma: allowlist secret


@pytest.fixture
def abc(tmp_path: Path) -> Path:
    path = tmp_path / "abc.xlsx"
    path.write_bytes(b"abc")
    return path


def test_bytes_lie_under_their_own_checksum_once(tmp_path: Path, abc: Path) -> None:
    store = LandingStore(tmp_path / "landing")
    assert store.put(abc) == ABC
    assert store.put(abc) == ABC
    assert [p.relative_to(store.root).as_posix() for p in store.root.rglob("*") if p.is_file()] == [f"ba/{ABC}"]
    assert store.get(ABC) == b"abc"


def test_stored_files_are_their_owners_alone(tmp_path: Path, abc: Path) -> None:
    store = LandingStore(tmp_path / "landing")
    path = store.path_of(store.put(abc))
    assert [p.stat().st_mode & 0o777 for p in (path, path.parent, store.root)] == [0o400, 0o700, 0o700]


def test_a_changed_file_is_noticed(tmp_path: Path, abc: Path) -> None:
    store = LandingStore(tmp_path / "landing")
    store.put(abc)
    path = store.path_of(ABC)
    path.chmod(0o640)
    path.write_bytes(b"abd")
    with pytest.raises(LandingDamaged, match="restore it from backup"):
        store.get(ABC)
