"""PROPPATCH (RFC 4918 section 9.2)."""

from __future__ import annotations

import pytest
from tests.dav.reports.face import DECLARED, FRIENDS, NAMESPACES, WORK, Answer, Face, card

DEAD = '<x:note xmlns:x="urn:x" xml:lang="de"><x:b a="1">Grüße &amp; mehr</x:b></x:note>'


def proppatch(face: Face, path: str, instructions: str, **headers: str) -> Answer:
    return face.request("PROPPATCH", path, f"<D:propertyupdate {DECLARED}>{instructions}</D:propertyupdate>", headers)


def setting(props: str) -> str:
    return f"<D:set><D:prop>{props}</D:prop></D:set>"


def value(face: Face, path: str, prop: str) -> Answer:
    body = f"<D:propfind {DECLARED}><D:prop>{prop}</D:prop></D:propfind>"
    return face.request("PROPFIND", path, body, {"Depth": "0"})


@pytest.mark.parametrize("path", [WORK, FRIENDS + "bob.vcf"])
def test_a_dead_property_comes_back_as_it_was(face: Face, path: str) -> None:
    """XML, namespaces and language of a dead property are kept (RFC 4918 section 4.3), on collections and items."""
    face.put(FRIENDS + "bob.vcf", card("bob"))
    assert proppatch(face, path, setting(DEAD)).status == 207
    answer = value(face, path, '<x:note xmlns:x="urn:x"/>')
    note = answer.root.find(".//{urn:x}note")
    assert note is not None
    assert note.findtext("{urn:x}b") == "Grüße & mehr"
    assert note.get("{http://www.w3.org/XML/1998/namespace}lang") == "de"


def test_a_protected_property_stops_the_whole(face: Face) -> None:
    """One property that cannot be changed is 403, the others 424, and nothing is changed."""
    answer = proppatch(face, WORK, setting("<D:displayname>New</D:displayname><D:getetag>x</D:getetag>"))
    statuses = [text.split()[1] for text in answer.texts(".//D:propstat/D:status")]
    assert statuses == ["403", "424"]
    assert answer.root.find(".//D:cannot-modify-protected-property", NAMESPACES) is not None
    assert value(face, WORK, "<D:displayname/>").texts(".//D:displayname") == [""]


def test_instructions_hold_in_document_order(face: Face) -> None:
    """The last word about a property counts, and removing what is not there succeeds (RFC 4918 section 14.23)."""
    remove = "<D:remove><D:prop><D:displayname/><D:nonsense/></D:prop></D:remove>"
    assert proppatch(face, WORK, remove + setting("<D:displayname>Last</D:displayname>")).status == 207
    assert value(face, WORK, "<D:displayname/>").texts(".//D:displayname") == ["Last"]
    proppatch(face, WORK, setting("<D:displayname>First</D:displayname>") + remove)
    assert "404" in value(face, WORK, "<D:displayname/>").texts(".//D:status")[0]


@pytest.mark.parametrize(
    "prop",
    [
        "<I:calendar-color>#ff0000ff</I:calendar-color>",
        "<I:calendar-order>7</I:calendar-order>",
        "<C:calendar-description>Søn &amp; co</C:calendar-description>",
        "<C:schedule-calendar-transp><C:transparent/></C:schedule-calendar-transp>",
    ],
)
def test_what_clients_keep_on_a_calendar_stays(face: Face, prop: str) -> None:
    """Color, order, description and transparency come back as they were set."""
    assert proppatch(face, WORK, setting(prop)).status == 207
    name = prop[1:].partition(">")[0]
    assert prop in value(face, WORK, f"<{name}/>").body.decode()


def test_a_time_zone_must_be_one(face: Face) -> None:
    """calendar-timezone takes an iCalendar object with exactly one VTIMEZONE (RFC 4791 section 5.2.2)."""
    bad = proppatch(face, WORK, setting("<C:calendar-timezone>Europe/Oslo</C:calendar-timezone>"))
    assert bad.root.find(".//C:valid-calendar-data", NAMESPACES) is not None
    zone = (
        "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//t//EN\nBEGIN:VTIMEZONE\nTZID:Europe/Oslo\nBEGIN:STANDARD\n"
        "DTSTART:19701025T030000\nTZOFFSETFROM:+0200\nTZOFFSETTO:+0100\nEND:STANDARD\nEND:VTIMEZONE\nEND:VCALENDAR\n"
    )
    proppatch(face, WORK, setting(f"<C:calendar-timezone>{zone}</C:calendar-timezone>"))
    assert value(face, WORK, "<C:calendar-timezone/>").texts(".//C:calendar-timezone") == [zone]


def test_minimal_success_has_no_body(face: Face) -> None:
    """RFC 8144 section 2.2: when all went well there is nothing to say."""
    answer = proppatch(face, WORK, setting("<D:displayname>X</D:displayname>"), Prefer="return=minimal")
    assert (answer.status, answer.body) == (204, b"")


def test_an_empty_update_succeeds(face: Face) -> None:
    """Some clients send a set of nothing."""
    assert proppatch(face, WORK, setting("")).status == 207


def test_a_principal_has_nothing_to_change(face: Face) -> None:
    """What is no collection and no item has properties that only Keepwell sets."""
    answer = proppatch(face, "/dav/principals/anna/", setting("<D:displayname>X</D:displayname>"))
    assert answer.texts(".//D:propstat/D:status")[0].split()[1] == "403"


def test_a_request_changes_a_bounded_number_of_properties(face: Face) -> None:
    """Five hundred properties are set at once, more are refused as a whole, by PROPPATCH and MKCOL."""
    many = "".join(f'<x:n{number} xmlns:x="urn:x"/>' for number in range(501))
    assert proppatch(face, WORK, setting(many)).status == 403
    body = f"<D:mkcol {DECLARED}>{setting(many)}</D:mkcol>"
    assert face.request("MKCOL", "/dav/photos/anna/new/", body).status == 403
    assert proppatch(face, WORK, setting(many.replace('<x:n500 xmlns:x="urn:x"/>', ""))).status == 207


@pytest.mark.parametrize("path", [WORK, FRIENDS + "bob.vcf"])
def test_the_properties_of_a_resource_have_bounded_room(face: Face, path: str) -> None:
    """What would make them larger than a mebibyte is 507, and what makes them smaller is taken."""
    face.put(FRIENDS + "bob.vcf", card("bob"))

    def outcome(number: int, length: int = 60_000) -> str:
        text = setting(f'<x:n{number} xmlns:x="urn:x">{"x" * length}</x:n{number}>')
        return proppatch(face, path, text).texts(".//D:propstat/D:status")[0].split()[1]

    assert [outcome(number) for number in range(18)] == ["200"] * 17 + ["507"]
    assert outcome(0, 10) == "200"
