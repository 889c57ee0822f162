"""Vaults' URLs: what each names, and what is refused with a hint."""

from __future__ import annotations

from pathlib import Path

import pytest

from keepwell.model.errors import BadRequest, StorageFault
from keepwell.vault.bucket_medium import BucketMedium, BucketPlace, Credentials
from keepwell.vault.folder_medium import FolderMedium
from keepwell.vault.media import credentials_of, open_medium, parse_url


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("/backup/keepwell", Path("/backup/keepwell")),
        ("file:///backup/keep%20well", Path("/backup/keep well")),
        ("file://localhost/backup", Path("/backup")),
        ("backup", Path.cwd() / "backup"),
        ("s3://vaults", BucketPlace("vaults", "", "https://s3.us-east-1.amazonaws.com", "us-east-1")),
        (
            "s3://vaults/a/b/?region=eu-central-1",
            BucketPlace("vaults", "a/b", "https://s3.eu-central-1.amazonaws.com", "eu-central-1"),
        ),
        (
            "s3://vaults/a?endpoint=http://127.0.0.1:8333/&region=garage",
            BucketPlace("vaults", "a", "http://127.0.0.1:8333", "garage"),
        ),
        (
            "s3://vaults/a?endpoint=https%3A%2F%2Fs3.example.org",
            BucketPlace("vaults", "a", "https://s3.example.org", "us-east-1"),
        ),
        ("s3://vaults?endpoint=http://[::1]:8333", BucketPlace("vaults", "", "http://[::1]:8333", "us-east-1")),
    ],
)
def test_a_url_names_a_folder_or_a_bucket(url: str, place: Path | BucketPlace) -> None:
    """Plain paths and file URLs are folders, s3 URLs are buckets."""
    assert parse_url(url) == place


@pytest.mark.parametrize(
    "url",
    [
        "",
        "a\0b",
        "http://example.org/vault",
        "sftp://example.org/vault",
        "file://example.org/vault",
        "file:///vault?x=1",
        "file:///vault#x",
        "file://",
        "s3://",
        "s3:///prefix",
        "s3://ab",
        "s3://vaults/../other",
        "s3://vaults/.hidden",
        "s3://vaults/a//b",
        "s3://vaults:80/a",
        "s3://id:secret@vaults/a",
        "s3://vaults/a#b",
        "s3://vaults?endpoint=127.0.0.1:8333",
        "s3://vaults?endpoint=ftp://example.org",
        "s3://vaults?endpoint=http://",
        "s3://vaults?endpoint=http://example.org/path",
        "s3://vaults?endpoint=http://id:secret@example.org",
        "s3://vaults?endpoint=http://example.org:port",
        "s3://vaults?endpoint=http://example.org:99999",
        "s3://vaults?endpoint=",
        "s3://vaults?region=",
        "s3://vaults?region=a/b",
        "s3://vaults?endpoint=http://a&endpoint=http://b",
        "s3://vaults?secret_access_key=x",
        "s3://vaults?endpoint",
        "s3://[vaults/a",
    ],
)
def test_nonsense_is_refused_with_a_hint(url: str) -> None:
    """What names neither a folder nor a bucket is refused, and the hint says what would; secrets are not repeated."""
    with pytest.raises(BadRequest) as caught:
        parse_url(url)
    assert caught.value.hint
    assert "secret@" not in caught.value.message


def test_the_access_key_comes_from_the_environment() -> None:
    """The vault's own variables go before the common ones, as a whole."""
    common = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_SESSION_TOKEN": "c"}
    own = {"KEEPWELL_VAULT_OFF_SITE_2_ACCESS_KEY_ID": "d", "KEEPWELL_VAULT_OFF_SITE_2_SECRET_ACCESS_KEY": "e"}
    assert credentials_of("off-site-2", common) == Credentials("a", "b", "c")
    assert credentials_of("off-site-2", common | own) == Credentials("d", "e")
    assert credentials_of("other", common | own) == Credentials("a", "b", "c")


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"AWS_ACCESS_KEY_ID": "a"},
        {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": ""},
        {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "KEEPWELL_VAULT_X_ACCESS_KEY_ID": "c"},
    ],
)
def test_a_missing_half_of_an_access_key_is_told(environment: dict[str, str]) -> None:
    """Without a whole access key the message or hint names the variable to set; halves of two are never joined."""
    with pytest.raises(BadRequest) as caught:
        credentials_of("x", environment)
    assert "SECRET_ACCESS_KEY" in caught.value.message + caught.value.hint


def test_opening_gives_the_medium_of_the_sort(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that is there gives a folder's medium, an s3 URL a bucket's, without asking the store."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    assert isinstance(open_medium(str(tmp_path), name="x"), FolderMedium)
    assert isinstance(open_medium(f"file://{tmp_path}", name="x"), FolderMedium)
    assert isinstance(open_medium("s3://vaults?endpoint=http://127.0.0.1:9", name="x"), BucketMedium)


def test_a_missing_folder_is_made_only_when_asked(tmp_path: Path) -> None:
    """An opened vault whose folder is missing is a fault; adding one makes the folder, and may be done again."""
    url = str(tmp_path / "vault")
    with pytest.raises(StorageFault):
        open_medium(url, name="x")
    open_medium(url, name="x", make=True).create("vault.json", b"{}")
    assert open_medium(url, name="x", make=True).read("vault.json") == b"{}"
    assert open_medium(url, name="x").read("vault.json") == b"{}"


def test_what_is_above_a_new_folder_is_not_made(tmp_path: Path) -> None:
    """A path through folders that are not there is more likely a disk that is not mounted than meant."""
    with pytest.raises(BadRequest, match="disk") as caught:
        open_medium(str(tmp_path / "disk" / "vault"), name="x", make=True)
    assert "mounted" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_a_fault(tmp_path: Path) -> None:
    """A file where the folder should be is told as such."""
    (tmp_path / "vault").write_bytes(b"")
    with pytest.raises(StorageFault, match="vault"):
        open_medium(str(tmp_path / "vault"), name="x", make=True)
    with pytest.raises(StorageFault, match="name too long"):
        open_medium(str(tmp_path / ("x" * 300)), name="x", make=True)
