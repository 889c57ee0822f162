"""The URL space is read and written in one place, and nothing gets around it."""

from __future__ import annotations

import pytest

from keepwell.dav.paths import Sort, parse_path
from keepwell.model.errors import BadRequest, NotThere
from keepwell.model.names import Home


@pytest.mark.parametrize(
    ("path", "sort", "collection", "name"),
    [
        ("/dav/", Sort.ROOT, "", ""),
        ("/dav", Sort.ROOT, "", ""),
        ("/dav/principals/", Sort.PRINCIPALS, "", ""),
        ("/dav/principals/anna", Sort.PRINCIPAL, "", ""),
        ("/dav/calendars/", Sort.HOME_ROOT, "", ""),
        ("/dav/calendars/anna/", Sort.HOME, "", ""),
        ("/dav/calendars/anna/work", Sort.COLLECTION, "work", ""),
        ("/dav/calendars/anna/work/a.ics", Sort.ITEM, "work", "a.ics"),
        ("/dav/photos/anna/one/two/", Sort.COLLECTION, "one/two", ""),
        ("/dav/photos/anna/one/two", Sort.ITEM, "one", "two"),
    ],
)
def test_depth_and_home_say_what_a_path_is_about(path: str, sort: Sort, collection: str, name: str) -> None:
    """A path is a home, collection or item by its depth; in the photos home the closing slash decides."""
    target = parse_path(path)
    assert (target.sort, target.collection, target.name) == (sort, collection, name)


def test_both_spellings_of_a_character_are_one_resource() -> None:
    """`@` and `%40` are the same name, and the href that is given out is the literal one."""
    literal = parse_path("/dav/calendars/anna@example.org/work/a@b.ics")
    assert literal == parse_path("/dav/calendars/anna%40example.org/work/a%40b.ics")
    assert literal.href == "/dav/calendars/anna@example.org/work/a@b.ics"


@pytest.mark.parametrize("path", ["/dav/principals/Anna/", "/dav/calendars/ANNA/Work/A.ics"])
def test_a_login_is_read_as_sign_in_reads_it(path: str) -> None:
    """The case of a login does not matter, that of the names below it does."""
    target = parse_path(path)
    assert target.login == "anna"
    assert (target.collection, target.name) in (("", ""), ("Work", "A.ics"))


@pytest.mark.parametrize("name", ["a b", "ä.ics", "100%.ics", "a?b", "a#b", "a\nb", "<&>", "..."])
def test_an_href_leads_back_to_its_name(name: str) -> None:
    """Whatever a name holds, its href is read as that name again."""
    target = parse_path("/dav/contacts/anna/friends/x")
    href = target.href[:-1] + parse_path(_encoded(name)).href.rpartition("/")[2]
    assert parse_path(href).name == name


def _encoded(name: str) -> str:
    return "/dav/contacts/anna/friends/" + "".join(f"%{octet:02X}" for octet in name.encode())


@pytest.mark.parametrize(
    "path",
    [
        "/dav/contacts/anna/../berta",
        "/dav/contacts/anna/%2e%2E/berta",
        "/dav/contacts/anna/a%2Fb",
        "/dav/contacts/anna/a%00b",
        "/dav/contacts/anna/%ff",
        "/dav/contacts//anna/",
        "/dav/contacts/anna/friends/sub/item.vcf",
        "/dav/nothing/",
        "/other",
    ],
)
def test_what_cannot_be_a_path_is_refused(path: str) -> None:
    """Dot segments, encoded slashes, NUL and bad UTF-8 never become a name."""
    with pytest.raises((BadRequest, NotThere)):
        parse_path(path)


def test_a_photo_path_can_be_read_as_a_folder() -> None:
    """Without a closing slash a path among the photos may be a folder as well."""
    target = parse_path("/dav/photos/anna/one/two")
    assert target.home is Home.PHOTOS
    assert target.as_collection.href == "/dav/photos/anna/one/two/"
