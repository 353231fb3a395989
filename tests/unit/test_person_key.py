"""The keyed hash that stands for an ID number: the same person, without the number."""

from pathlib import Path

import pytest

from include.settings import get_settings
from include.warehouse.person_key import PersonKeyMissing, person_hash_key, person_key


@pytest.fixture
def secrets_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VAR_DIR", str(tmp_path))
    monkeypatch.delenv("PERSON_HASH_KEY", raising=False)
    get_settings.cache_clear()
    yield tmp_path / "secrets" / "person_hash_key"
    monkeypatch.undo()
    get_settings.cache_clear()


def test_the_hash_is_keyed() -> None:
    # printf %s 450721199001011234 | openssl dgst -sha256 -hmac k | cut -c1-32
    assert person_key("450721199001011234", b"k") == "9fff90f8ca7294703d928ff6276956bf"  # pragma: allowlist secret
    assert person_key("450721199001011234", b"other") != person_key("450721199001011234", b"k")


def test_the_key_is_made_once_for_its_owner_alone(secrets_file: Path) -> None:
    key = person_hash_key()
    assert len(key) == 64 and person_hash_key() == key
    assert [path.stat().st_mode & 0o777 for path in (secrets_file, secrets_file.parent)] == [0o600, 0o700]


def test_a_key_from_the_environment_comes_first(secrets_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERSON_HASH_KEY", "given")
    assert person_hash_key() == b"given"
    assert not secrets_file.exists()


def test_an_emptied_key_file_is_no_new_key(secrets_file: Path) -> None:
    secrets_file.parent.mkdir(parents=True)
    secrets_file.write_text("\n")
    with pytest.raises(PersonKeyMissing, match="restore it from backup"):
        person_hash_key()
