"""History and rewind: every version can be read again, and a collection can be what it was."""

from __future__ import annotations

import pytest

from tests.api.desk import CONTACTS, Desk, problem
from tests.services.samples import card

BOB = f"{CONTACTS}/items/bob.vcf"


def last_sequence(here: Desk) -> int:
    sequence = here.get("/history?limit=1").json()["records"][0]["sequence"]
    assert isinstance(sequence, int)
    return sequence


def test_records_tell_who_changed_what(here: Desk) -> None:
    """The newest records come first, by the app password's label, without content."""
    here.put(BOB, card("b"))
    page = here.get("/history?limit=2").json()
    assert page["hasMore"] is True
    newest = page["records"][0]
    assert (newest["op"], newest["collection"], newest["name"]) == ("put", "contacts", "bob.vcf")
    assert newest["by"] == "app-password:annas desk"
    assert "body" not in newest


def test_the_whole_history_is_read_in_pages(here: Desk) -> None:
    """Following `after` from 0 gives every record once, in order."""
    seen: list[int] = []
    more = True
    while more:
        page = here.get(f"/history?after={seen[-1] if seen else 0}&limit=2").json()
        seen += [one["sequence"] for one in page["records"]]
        more = page["hasMore"]
    assert seen == list(range(1, last_sequence(here) + 1))


def test_an_items_versions_are_read_again(here: Desk) -> None:
    """Each version of an item is found by its record, also after its collection was dropped."""
    bodies = [card("b", f"Bob {number}") for number in range(3)]
    for body in bodies:
        here.put(BOB, body)
    here.ask("DELETE", CONTACTS)
    records = here.get(f"{CONTACTS}/history?item=bob.vcf").json()["records"]
    assert [here.get(f"/history/{one['sequence']}").content for one in records] == bodies[::-1]


@pytest.mark.parametrize("sequence", ["0", "-1", "999", "x", "9" * 30])
def test_a_record_that_is_not_there_is_404(here: Desk, sequence: str) -> None:
    """A sequence that is none, or not yet, is 404."""
    assert problem(here.get(f"/history/{sequence}")) == (404, "notFound")


def test_a_record_without_content_is_refused(here: Desk) -> None:
    """The making of a collection has no bytes, and says so."""
    assert problem(here.get("/history/2")) == (400, "invalidRequest")


def test_a_history_that_never_was_is_404(here: Desk) -> None:
    """A collection or item that never was has no empty history but none."""
    assert problem(here.get("/collections/contacts/none/history")) == (404, "notFound")
    assert problem(here.get(f"{CONTACTS}/history?item=none")) == (404, "notFound")


def test_a_rewind_is_previewed_and_done_and_undone(here: Desk) -> None:
    """A preview counts and changes nothing; the rewind does what it said; rewinding to its basedOn undoes it."""
    here.put(BOB, card("b"))
    here.put(f"{CONTACTS}/items/eve.vcf", card("e"))
    then = last_sequence(here)
    here.put(BOB, card("b", "Bobby"))
    here.ask("DELETE", f"{CONTACTS}/items/eve.vcf")
    here.put(f"{CONTACTS}/items/new.vcf", card("n"))
    state = here.state()
    preview = here.ask("POST", f"{CONTACTS}/rewind", json={"toSequence": then, "dryRun": True}).json()
    assert (preview["broughtBack"], preview["changedBack"], preview["removed"]) == (1, 1, 1)
    assert (preview["done"], preview["collection"]) == (False, "kept")
    assert here.state() == state
    wanted = {"toSequence": then, "onlyIfBasedOn": preview["basedOn"]}
    done = here.ask("POST", f"{CONTACTS}/rewind", json=wanted).json()
    assert done == preview | {"done": True}
    assert here.get(BOB).content == card("b")
    assert problem(here.ask("POST", f"{CONTACTS}/rewind", json=wanted)) == (412, "preconditionFailed")
    here.ask("POST", f"{CONTACTS}/rewind", json={"toSequence": done["basedOn"]})
    assert here.get(BOB).content == card("b", "Bobby")


def test_a_dropped_collection_is_rewound_to_a_moment(here: Desk) -> None:
    """A rewind to a moment brings a dropped collection back with its items."""
    here.put(BOB, card("b"))
    moment = here.get("/history?limit=1").json()["records"][0]["at"]
    here.ask("DELETE", CONTACTS)
    done = here.ask("POST", f"{CONTACTS}/rewind", json={"to": moment}).json()
    assert (done["collection"], done["broughtBack"]) == ("made", 1)
    assert here.get(BOB).content == card("b")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"to": "yesterday"}, 400),
        ({"to": "0001-01-01T00:00:00+14:00"}, 400),
        ({"to": "9999-12-31T23:59:59-14:00"}, 400),
        ({"to": "2026-11-23T10:00:00Z", "toSequence": 1}, 400),
        ({"toSequence": -1}, 400),
        ({"toSequence": 2**60}, 400),
        ({"toSequence": 0}, 404),
        ({"toSequence": 9999}, 404),
        ({"to": "1999-01-01T00:00:00Z"}, 404),
    ],
)
def test_a_rewind_to_nowhere_is_refused(here: Desk, body: object, status: int) -> None:
    """A rewind without a target that can be reached changes nothing."""
    state = here.state()
    assert problem(here.ask("POST", f"{CONTACTS}/rewind", json=body))[0] == status
    assert here.state() == state
