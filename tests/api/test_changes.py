"""Changes since a state: complete, in pages, and refused rather than guessed."""

from __future__ import annotations

import pytest

from tests.api.desk import CALENDAR, CONTACTS, Desk, problem
from tests.services.samples import card


def changes(here: Desk, since: str, limit: int = 1000) -> dict[str, object]:
    answer = here.get(f"{CONTACTS}/changes?since={since}&limit={limit}")
    assert answer.status_code == 200
    document = answer.json()
    assert isinstance(document, dict)
    return document


def names(document: dict[str, object], kind: str) -> list[str]:
    listed = document[kind]
    assert isinstance(listed, list)
    return [one if isinstance(one, str) else one["name"] for one in listed]


def put(here: Desk, name: str, text: str = "Bob") -> None:
    assert here.put(f"{CONTACTS}/items/{name}", card(name, text)).status_code in {200, 201}


def remove(here: Desk, name: str) -> None:
    assert here.ask("DELETE", f"{CONTACTS}/items/{name}").status_code == 204


def test_created_updated_and_removed_are_told_apart(here: Desk) -> None:
    """Each name is in the list of what became of it since the state, and one that came and went is in none."""
    for name in ("kept", "changed", "gone"):
        put(here, name)
    since = here.state()
    put(here, "new")
    put(here, "changed", "Bobby")
    remove(here, "gone")
    put(here, "brief")
    remove(here, "brief")
    found = changes(here, since)
    assert (found["oldState"], found["newState"]) == (since, here.state())
    assert found["hasMoreChanges"] is False
    assert names(found, "created") == ["new"]
    assert names(found, "updated") == ["changed"]
    assert names(found, "removed") == ["gone"]


def test_entity_tags_come_with_the_names(here: Desk) -> None:
    """What was created or updated is told with its tag, so that what the client has need not be read again."""
    since = here.state()
    put(here, "new")
    tag = here.get(f"{CONTACTS}/items/new").headers["etag"]
    assert changes(here, since)["created"] == [{"name": "new", "etag": tag}]


def test_the_present_state_has_no_changes(here: Desk) -> None:
    """Asking with the state that is now answers no change and the same state."""
    put(here, "a")
    state = here.state()
    found = changes(here, state)
    assert (found["newState"], found["created"], found["updated"], found["removed"]) == (state, [], [], [])


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_pages_continue_exactly(here: Desk, limit: int) -> None:
    """However short the pages and whatever is written between them, following the states loses nothing."""
    for number in range(5):
        put(here, f"{number}")
    have: set[str] = set()
    found = here.get(f"{CONTACTS}/changes?limit={limit}").json()
    steps = 0
    while True:
        have |= set(names(found, "created")) | set(names(found, "updated"))
        have -= set(names(found, "removed"))
        if steps == 1:
            remove(here, "0")
            put(here, "late")
        if not found["hasMoreChanges"] and steps > 1:
            break
        steps += 1
        found = changes(here, str(found["newState"]), limit)
    assert have == {"1", "2", "3", "4", "late"}
    assert found["newState"] == here.state()


@pytest.mark.parametrize("since", ["", "x", "1.2", "lineage.1.1", "%00", "data:,a/1/1"])
def test_an_unknown_state_is_refused(here: Desk, since: str) -> None:
    """What is no state of this history is 409 cannotCalculateChanges, never an empty answer."""
    assert problem(here.get(f"{CONTACTS}/changes?since={since}")) == (409, "cannotCalculateChanges")


def test_a_foreign_state_is_refused(here: Desk) -> None:
    """A state of another collection, or of the account, is 409."""
    for since in (here.state(CALENDAR), here.get("/account").json()["state"]):
        assert problem(here.get(f"{CONTACTS}/changes?since={since}")) == (409, "cannotCalculateChanges")


def test_a_state_of_a_dropped_collection_of_the_same_name_is_refused(here: Desk) -> None:
    """A collection made again under an old name has no changes since the old one's state."""
    put(here, "a")
    since = here.state()
    here.ask("DELETE", CONTACTS)
    here.ask("POST", "/collections", json={"name": "contacts", "kind": "contacts"})
    assert problem(here.get(f"{CONTACTS}/changes?since={since}")) == (409, "cannotCalculateChanges")
