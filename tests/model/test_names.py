"""Names are parsed once, at the border."""

from __future__ import annotations

import pytest

from keepwell.model.errors import BadRequest
from keepwell.model.names import Home, check_collection_name, check_item_name, parse_account_id, parse_login


@pytest.mark.parametrize("login", ["anna", "anna@example.org", "a", "0-b_c.d+e"])
def test_logins(login: str) -> None:
    """Lower-case letters, digits and . _ @ + - make a login."""
    assert parse_login(login) == login


@pytest.mark.parametrize("login", ["", "Anna", "-a", "a/b", "a b", "a" * 65, "ä", "..", "a\n"])
def test_other_logins_are_refused(login: str) -> None:
    """A login that would not be safe in a path is refused with what may be used."""
    with pytest.raises(BadRequest) as caught:
        parse_login(login)
    assert "lower-case" in caught.value.hint


def test_account_ids() -> None:
    """An account id has sixteen base32 letters."""
    assert parse_account_id("a_k3wq7m5d2xhv4tzs")
    for text in ("a_", "a_K3WQ7M5D2XHV4TZS", "k3wq7m5d2xhv4tzs", "a_k3wq7m5d2xhv4tz1"):
        with pytest.raises(BadRequest):
            parse_account_id(text)


@pytest.mark.parametrize("name", ["bob.vcf", "ünïcode 漢字", "with space", "line\nfeed", "x" * 255, "..."])
def test_item_names(name: str) -> None:
    """Anything but / and NUL is a name, line feeds included: vdirsyncer makes such."""
    assert check_item_name(name) == name


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\x00", "x" * 256, "ü" * 128, "\udce9.vcf"])
def test_other_item_names_are_refused(name: str) -> None:
    """What could leave its folder, is too long, or is no UTF-8, is no name."""
    with pytest.raises(BadRequest):
        check_item_name(name)


def test_only_photos_nest() -> None:
    """A slash in a collection's name is a folder in photos and refused elsewhere."""
    assert check_collection_name(Home.PHOTOS, "holiday/2026")
    for home, name in ((Home.CONTACTS, "a/b"), (Home.PHOTOS, "a//b"), (Home.PHOTOS, "../a"), (Home.PHOTOS, "/a")):
        with pytest.raises(BadRequest):
            check_collection_name(home, name)
