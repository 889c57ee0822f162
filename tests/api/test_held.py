"""A kind that is not whole, by the JSON face: 503 for everything of it, and the account says what is missing."""

from __future__ import annotations

import pytest

from keepwell.model.errors import Held
from keepwell.model.names import SYSTEM_ACCOUNT, Kind
from tests.api.desk import CALENDAR, CONTACTS, Desk, problem
from tests.services.samples import card

REASON = "15 items were known, 10 are here"
BOB = CONTACTS + "/items/bob.vcf"


def hold(here: Desk, *kinds: Kind) -> None:
    account = here.services.directory.account_of("anna")
    assert account is not None
    here.services.store.account(account).hold(dict.fromkeys(kinds, REASON))


@pytest.fixture
def filled(here: Desk) -> Desk:
    assert here.put(BOB, card("bob")).status_code == 201
    return here


REQUESTS = [
    ("GET", BOB, None),
    ("GET", CONTACTS + "/items", None),
    ("GET", CONTACTS + "/items/nobody.vcf", None),
    ("GET", CONTACTS, None),
    ("GET", CONTACTS + "/changes", None),
    ("GET", "/collections", None),
    ("DELETE", BOB, None),
    ("DELETE", CONTACTS, None),
    ("PATCH", CONTACTS, {"displayName": "Friends"}),
    ("POST", CONTACTS + "/rewind", {"toSequence": 1}),
]


@pytest.mark.parametrize(("method", "path", "body"), REQUESTS, ids=lambda value: str(value))
def test_every_request_about_a_held_kind_is_503(filled: Desk, method: str, path: str, body: object) -> None:
    """Whatever is asked of a held kind, there or not, the answer is 503 with Retry-After and the reason."""
    hold(filled, Kind.CONTACTS)
    answer = filled.ask(method, path, json=body)
    assert problem(answer) == (503, "unavailable")
    assert REASON in answer.json()["detail"]
    assert int(answer.headers["retry-after"]) > 0
    hold(filled)
    assert filled.get(BOB).status_code == 200


def test_a_put_into_a_held_kind_changes_nothing(filled: Desk) -> None:
    """New items and changes are refused, with and without a state to be in."""
    state = filled.state()
    hold(filled, Kind.CONTACTS)
    for headers in ({}, {"if-in-state": state}, {"if-in-state": "another"}):
        answer = filled.ask("PUT", BOB, content=card("bob", "Bob Changed"), headers=headers)
        assert problem(answer) == (503, "unavailable")
    hold(filled)
    assert filled.state() == state


def test_the_account_says_what_is_held(filled: Desk) -> None:
    """The summary has the kinds that are whole, and names the others with what is known to be missing."""
    hold(filled, Kind.CONTACTS)
    document = filled.get("/account").json()
    assert document["held"] == [{"kind": "contacts", "reason": REASON}]
    assert "contacts" not in [one["kind"] for one in document["kinds"]]
    hold(filled)
    assert filled.get("/account").json()["held"] == []


def test_other_kinds_and_the_history_go_on(filled: Desk) -> None:
    """Another home is served, and the journal can be read: it is what a decision is made from."""
    hold(filled, Kind.CONTACTS)
    assert filled.get(CALENDAR).status_code == 200
    assert filled.get(CONTACTS + "/history").status_code == 200
    assert filled.get("/history").status_code == 200


def test_nobody_signs_in_while_the_directory_is_held(filled: Desk) -> None:
    """When who may sign in is not known whole, everybody gets 503: a password that was taken back may be in it."""
    filled.services.store.account(SYSTEM_ACCOUNT).hold({Kind.SYSTEM: REASON})
    answer = filled.get(BOB)
    assert problem(answer) == (503, "unavailable")
    with pytest.raises(Held):
        filled.services.directory.revision()
    filled.services.store.account(SYSTEM_ACCOUNT).hold({})
    assert filled.get(BOB).status_code == 200


def test_a_state_of_the_future_is_503(filled: Desk) -> None:
    """What this server would have given out later was lost, also for a collection that is not here; never a 409."""
    lineage, number, sequence = filled.state().split(".")
    later = f"{lineage}.{number}.{int(sequence) + 5}"
    answer = filled.get(f"{CONTACTS}/changes?since={later}")
    assert problem(answer) == (503, "unavailable")
    assert int(answer.headers["retry-after"]) > 0
    lost = f"{lineage}.{int(sequence) + 3}.{int(sequence) + 5}"
    assert problem(filled.get(f"/collections/contacts/clients/changes?since={lost}")) == (503, "unavailable")
    stale = f"another.{number}.{int(sequence) + 5}"
    assert problem(filled.get(f"{CONTACTS}/changes?since={stale}")) == (409, "cannotCalculateChanges")
    assert problem(filled.get(f"/collections/contacts/clients/changes?since={stale}")) == (404, "notFound")
