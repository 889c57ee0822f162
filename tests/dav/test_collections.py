"""MKCOL, extended MKCOL and MKCALENDAR, and dropping what they made."""

from __future__ import annotations

import pytest
from tests.dav.reports.face import DECLARED, NAMESPACES, Answer, Face, calendar, event

HOME = "/dav/calendars/anna/"


def make(face: Face, method: str, path: str, root: str = "", props: str = "") -> Answer:
    body = f"<{root} {DECLARED}><D:set><D:prop>{props}</D:prop></D:set></{root}>" if root else ""
    return face.request(method, path, body)


@pytest.mark.parametrize(
    ("path", "type_of_new"),
    [
        ("/dav/contacts/anna/new", "A:addressbook"),
        ("/dav/calendars/anna/new/", "C:calendar"),
        ("/dav/photos/anna/photos/new", "D:collection"),
    ],
)
def test_a_plain_mkcol_makes_what_its_home_holds(face: Face, path: str, type_of_new: str) -> None:
    """Among contacts it is an address book, among calendars a calendar, among photos a folder."""
    assert make(face, "MKCOL", path).status == 201
    answer = face.request("PROPFIND", path.rstrip("/") + "/", headers={"Depth": "0"})
    assert answer.root.find(f".//D:resourcetype/{type_of_new}", NAMESPACES) is not None
    assert make(face, "MKCOL", path).status == 405


@pytest.mark.parametrize(
    ("path", "status", "condition"),
    [
        ("/dav/photos/anna/missing/new/", 409, []),
        ("/dav/calendars/anna/work/new/", 403, ["C:calendar-collection-location-ok"]),
        ("/dav/contacts/anna/friends/new", 403, ["A:addressbook-collection-location-ok"]),
        ("/dav/calendars/anna/", 405, []),
        ("/dav/calendars/nobody/new/", 404, []),
    ],
)
def test_a_collection_is_made_only_where_it_can_be(face: Face, path: str, status: int, condition: list[str]) -> None:
    """Its parent must be there, and nothing nests in calendars and address books."""
    answer = make(face, "MKCOL", path)
    assert answer.status == status
    assert not condition or answer.conditions() == condition


def test_a_body_of_another_type_is_not_understood(face: Face) -> None:
    """RFC 4918 section 9.3: a MKCOL body that the server does not know is 415."""
    headers = {"Content-Type": "xzy-foo/bar-512"}
    assert face.request("MKCOL", "/dav/photos/anna/new/", "what", headers).status == 415


def test_mkcalendar_sets_everything_at_once(face: Face) -> None:
    """The name and the components of the request are those of the calendar, which then takes nothing else."""
    components = '<C:supported-calendar-component-set><C:comp name="VTODO"/></C:supported-calendar-component-set>'
    props = f"<D:displayname>Yølp</D:displayname>{components}"
    assert make(face, "MKCALENDAR", HOME + "new/", "C:mkcalendar", props).status == 201
    body = f"<D:propfind {DECLARED}><D:prop><D:displayname/><C:supported-calendar-component-set/></D:prop></D:propfind>"
    answer = face.request("PROPFIND", HOME + "new/", body, {"Depth": "0"})
    assert answer.texts(".//D:displayname") == ["Yølp"]
    assert [comp.get("name") for comp in answer.root.iterfind(".//C:comp", NAMESPACES)] == ["VTODO"]
    assert face.request("PUT", HOME + "new/a.ics", event("a")).status == 403
    assert face.request("PUT", HOME + "new/a.ics", calendar("VTODO", "a")).status == 201


def test_a_calendar_without_components_takes_all(face: Face) -> None:
    """A client that says nothing gets a calendar for events, tasks and notes."""
    assert make(face, "MKCALENDAR", HOME + "new/").status == 201
    for component in ("VEVENT", "VTODO", "VJOURNAL"):
        body = calendar(component, component, "DTSTART:20260601T100000Z")
        assert face.request("PUT", f"{HOME}new/{component}.ics", body).status == 201


def test_extended_mkcol_makes_an_address_book(face: Face) -> None:
    """RFC 5689: the type and properties come with the making, to a path without a closing slash too."""
    kind = "<D:resourcetype><D:collection/><A:addressbook/></D:resourcetype>"
    props = f"{kind}<A:addressbook-description>D</A:addressbook-description>"
    assert make(face, "MKCOL", "/dav/contacts/anna/a%20%40%20%C3%A4", "D:mkcol", props).status == 201
    answer = face.request("PROPFIND", "/dav/contacts/anna/a%20@%20%C3%A4/", headers={"Depth": "0"})
    assert answer.status == 207


@pytest.mark.parametrize(
    ("method", "root", "bad", "condition"),
    [
        (
            "MKCOL",
            "D:mkcol",
            "<D:resourcetype><D:collection/><A:addressbook/></D:resourcetype>",
            "D:valid-resourcetype",
        ),
        ("MKCALENDAR", "C:mkcalendar", "<D:getetag>x</D:getetag>", "D:cannot-modify-protected-property"),
    ],
)
def test_a_property_that_cannot_be_set_stops_the_making(
    face: Face, method: str, root: str, bad: str, condition: str
) -> None:
    """RFC 5689 section 3.3: nothing is made, and the answer says which property stood in the way."""
    answer = make(face, method, HOME + "new/", root, f"<D:displayname>N</D:displayname>{bad}")
    assert answer.status == 403
    assert str(answer.root.tag).endswith(f"{root[2:]}-response")
    assert answer.root.find(f".//D:error/{condition}", NAMESPACES) is not None
    assert [text.split()[1] for text in answer.texts(".//D:status")] == ["403", "424"]
    assert face.request("PROPFIND", HOME + "new/", headers={"Depth": "0"}).status == 404


def test_a_name_is_free_again_after_a_drop(face: Face) -> None:
    """A calendar that was dropped, with what was in it, can be made again, empty."""
    for _ in range(3):
        assert make(face, "MKCALENDAR", HOME + "again/").status == 201
        face.put(HOME + "again/a.ics", event("a"))
        assert face.request("DELETE", HOME + "again/").status == 204
        assert face.request("GET", HOME + "again/a.ics").status == 404
    assert face.request("DELETE", HOME + "again/").status == 404
