"""Collections: listed, made, changed and dropped by their owner, and guarded by their state."""

from __future__ import annotations

import pytest
from httpx2 import Response

from tests.api.desk import CALENDAR, CONTACTS, Desk, problem
from tests.services.samples import card


def test_every_starting_collection_is_listed(here: Desk) -> None:
    """A new account lists one collection of each kind, with its state and count."""
    listed = here.get("/collections").json()["collections"]
    assert {one["kind"] for one in listed} == {"contacts", "calendar", "tasks", "notes", "photos"}
    assert {one["owner"] for one in listed} == {"anna"}
    assert all(one["access"] == "owner" and one["count"] == 0 and one["state"] for one in listed)


def test_a_collection_is_made_under_the_clients_name(here: Desk) -> None:
    """What was made is there under its name, with what was said of it."""
    new = {"name": "friends & foes", "kind": "contacts", "displayName": "Friends", "color": "#1d6b52"}
    made = here.ask("POST", "/collections", json=new)
    assert made.status_code == 201
    found = here.get("/collections/contacts/friends%20%26%20foes")
    assert found.json() == made.json()
    assert (found.json()["displayName"], found.json()["color"]) == ("Friends", "#1d6b52")


def test_components_narrow_what_a_calendar_takes(here: Desk) -> None:
    """A calendar made for events alone says so, and an address book takes no components."""
    new = {"name": "events", "kind": "calendar", "components": ["VEVENT"]}
    assert here.ask("POST", "/collections", json=new).json()["components"] == ["VEVENT"]
    wrong = {"name": "x", "kind": "contacts", "components": ["VEVENT"]}
    assert problem(here.ask("POST", "/collections", json=wrong)) == (400, "invalidRequest")
    none = {"name": "x", "kind": "calendar", "components": []}
    assert problem(here.ask("POST", "/collections", json=none)) == (400, "invalidRequest")


def test_albums_nest_and_their_slash_is_encoded(here: Desk) -> None:
    """An album in an album has one path, with %2F in its name; without the outer one it cannot be made."""
    assert here.ask("POST", "/collections", json={"name": "photos/2026", "kind": "photos"}).status_code == 201
    assert here.get("/collections/photos/photos%2F2026").json()["name"] == "photos/2026"
    lost = here.ask("POST", "/collections", json={"name": "nowhere/2026", "kind": "photos"})
    assert problem(lost) == (404, "notFound")


@pytest.mark.parametrize(
    "body",
    [
        {"name": "x"},
        {"name": "x", "kind": "system"},
        {"name": "", "kind": "contacts"},
        {"name": "a/b", "kind": "contacts"},
        {"name": "..", "kind": "contacts"},
        {"name": "x", "kind": "contacts", "owner": "bert"},
        {"name": "x", "kind": "contacts", "displayName": 3},
        {"name": "x", "kind": "contacts", "transparency": "half"},
        [],
        None,
    ],
)
def test_what_is_not_understood_makes_nothing(here: Desk, body: object) -> None:
    """A body with missing, wrong or unknown fields is 400 and changes nothing."""
    before = here.get("/account").json()["state"]
    answer = here.ask("POST", "/collections", json=body) if body is not None else _post_text(here, b"{")
    assert problem(answer) == (400, "invalidRequest")
    assert here.get("/account").json()["state"] == before


def _post_text(here: Desk, body: bytes) -> Response:
    return here.ask("POST", "/collections", content=body, headers={"content-type": "application/json"})


def test_a_taken_name_is_refused(here: Desk) -> None:
    """Making a collection where there is one is 409."""
    again = here.ask("POST", "/collections", json={"name": "contacts", "kind": "contacts"})
    assert problem(again) == (409, "alreadyExists")


def test_a_patch_sets_removes_and_leaves(here: Desk) -> None:
    """A value sets a property, null removes it, and what is left out stays."""
    here.ask("PATCH", CONTACTS, json={"displayName": "Mine", "description": "all"})
    patched = here.ask("PATCH", CONTACTS, json={"description": None}).json()
    assert (patched["displayName"], patched["description"]) == ("Mine", None)
    assert problem(here.ask("PATCH", CONTACTS, json={})) == (400, "invalidRequest")
    assert problem(here.ask("PATCH", CONTACTS, json={"components": []})) == (400, "invalidRequest")


def test_a_patch_in_an_old_state_changes_nothing(here: Desk) -> None:
    """If-In-State lets a change through in that state only."""
    state = here.state()
    guarded = {"if-in-state": state}
    assert here.ask("PATCH", CONTACTS, json={"displayName": "A"}, headers=guarded).status_code == 200
    late = here.ask("PATCH", CONTACTS, json={"displayName": "B"}, headers=guarded)
    assert problem(late) == (412, "stateMismatch")
    assert here.get(CONTACTS).json()["displayName"] == "A"


def test_a_drop_in_an_old_state_drops_nothing(here: Desk) -> None:
    """A collection that changed since is not dropped; in its state it is."""
    state = here.state()
    here.put(f"{CONTACTS}/items/bob.vcf", card("b"))
    assert problem(here.ask("DELETE", CONTACTS, headers={"if-in-state": state})) == (412, "stateMismatch")
    assert here.ask("DELETE", CONTACTS, headers={"if-in-state": here.state()}).status_code == 204
    assert problem(here.get(CONTACTS)) == (404, "notFound")
    assert problem(here.ask("DELETE", CONTACTS, headers={"if-in-state": state})) == (404, "notFound")


def test_a_state_of_another_collection_is_no_state_of_this(here: Desk) -> None:
    """The state of one collection does not open another."""
    other = {"if-in-state": here.state(CALENDAR)}
    assert problem(here.ask("DELETE", CONTACTS, headers=other)) == (412, "stateMismatch")


def test_every_change_makes_another_state(here: Desk) -> None:
    """Put, removal and patch each change the collection's state and the account's, and no other collection's."""
    other = here.state(CALENDAR)
    seen = [(here.state(), here.get("/account").json()["state"])]
    for method, path, body, json in (
        ("PUT", f"{CONTACTS}/items/bob.vcf", card("b"), None),
        ("DELETE", f"{CONTACTS}/items/bob.vcf", None, None),
        ("PATCH", CONTACTS, None, {"color": "red"}),
    ):
        here.ask(method, path, content=body, json=json)
        seen.append((here.state(), here.get("/account").json()["state"]))
    assert len(set(seen)) == len(seen)
    assert here.state(CALENDAR) == other
