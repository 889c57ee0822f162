"""Who may see and do what: nothing without a sign-in, and of others' things only what they share."""

from __future__ import annotations

import asyncio

import pytest

from keepwell.api.app import OPERATIONS, PREFIX
from keepwell.api.operation import Operation
from tests.api.desk import CONTACTS, Desk, problem
from tests.services.samples import card

BOB = f"{CONTACTS}/items/bob.vcf"
FILLED = {"home": "contacts", "name": "contacts", "item": "bob.vcf", "sequence": "1", "id": "x"}


@pytest.fixture(autouse=True)
def filled(here: Desk) -> None:
    here.put(BOB, card("b", "Bob of Anna"))
    here.ask("POST", "/collections", json={"name": "secret", "kind": "contacts"})
    here.put("/collections/contacts/secret/items/bob.vcf", card("s", "Secret of Anna"))


def each() -> list[Operation]:
    return sorted(OPERATIONS, key=lambda one: (one.path, one.method))


@pytest.mark.parametrize("operation", each(), ids=lambda one: one.name)
def test_nothing_without_a_sign_in(here: Desk, operation: Operation) -> None:
    """Every operation is 401 with a challenge for a stranger and for a wrong password, and does nothing."""
    before = here.get("/account").json()["state"]
    path = PREFIX + operation.path.format(**FILLED)
    for headers in ({}, {"authorization": "Basic eDp5"}, {"authorization": "Bearer x"}):
        answer = here.client.request(operation.method, path, headers=headers)
        assert problem(answer) == (401, "notSignedIn")
        assert answer.headers["www-authenticate"].startswith("Basic")
    assert here.get("/account").json()["state"] == before


def test_a_wrong_password_is_answered_late(here: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The delay that the sign-in asks for is waited before the answer."""
    waited: list[float] = []

    async def note(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", note)
    here.secrets["bert"] = "wrong"
    for _ in range(6):
        here.get("/account", login="bert")
    assert waited[0] == 0.0
    assert waited[-1] > waited[3] > 0.0


@pytest.mark.parametrize("operation", [one for one in each() if "{home}" in one.path], ids=lambda one: one.name)
def test_others_collections_are_404_in_every_operation(here: Desk, operation: Operation) -> None:
    """What is not shared is 404 or not asked for by owner at all, and neither changed nor told."""
    before = here.get("/account").json()["state"]
    path = operation.path.format(**FILLED | {"name": "secret"})
    bodies = {"changeCollection": {"color": "red"}, "rewindCollection": {"toSequence": 1}}
    for query in ("?owner=anna", ""):
        answer = here.ask(operation.method, path + query, login="bert", json=bodies.get(operation.name))
        assert answer.status_code in ({400, 404} if query else {404})
        assert "Secret of Anna" not in answer.text
    assert here.get("/account").json()["state"] == before


def test_an_unknown_owner_is_told_in_the_same_words(here: Desk) -> None:
    """Nobody learns who else has an account."""
    path = "/collections/contacts/secret?owner="
    details = [here.get(path + login, login="bert").json()["detail"] for login in ("anna", "nobody")]
    assert details[0] == details[1]


def test_a_reader_reads_and_does_not_write(here: Desk) -> None:
    """A collection shared for reading is listed and read, and every write of it is 403."""
    here.share("contacts", write=False)
    listed = here.get("/collections", login="bert").json()["collections"]
    assert [(one["name"], one["access"]) for one in listed if one["owner"] == "anna"] == [("contacts", "reader")]
    owner = "?owner=anna"
    assert here.get(BOB + owner, login="bert").content == card("b", "Bob of Anna")
    assert here.get(f"{CONTACTS}/changes{owner}", login="bert").json()["created"]
    assert problem(here.put(BOB + owner, card("b"), login="bert")) == (403, "forbidden")
    assert problem(here.ask("DELETE", BOB + owner, login="bert")) == (403, "forbidden")
    assert problem(here.get(f"/collections/contacts/secret{owner}", login="bert")) == (404, "notFound")


def test_a_writer_writes_items_and_owns_nothing(here: Desk) -> None:
    """A collection shared for writing takes items, in the grantee's name; its own making stays the owner's."""
    here.share("contacts", write=True)
    assert here.put(f"{BOB}?owner=anna", card("b", "Changed"), login="bert").status_code == 200
    assert here.get(BOB).content == card("b", "Changed")
    assert here.get("/history?limit=1").json()["records"][0]["by"] == "app-password:berts desk"
    assert problem(here.ask("DELETE", f"{CONTACTS}?owner=anna", login="bert"))[0] == 400
    assert here.ask("DELETE", CONTACTS, login="bert").status_code == 204
    assert here.get(CONTACTS).status_code == 200


def test_the_history_is_ones_own(here: Desk) -> None:
    """A grantee sees neither records nor old versions of the owner."""
    here.share("contacts", write=True)
    assert "bob.vcf" not in here.get("/history", login="bert").text
    last = here.get("/history?limit=1").json()["records"][0]["sequence"]
    assert problem(here.get(f"/history/{last}", login="bert")) == (404, "notFound")


@pytest.mark.parametrize("sort", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_a_page_of_another_site_cannot_act(here: Desk, sort: str) -> None:
    """What a browser sends across sites without asking first is no JSON, and is 415 before it is read."""
    headers = {"content-type": sort} if sort else {}
    for path in ("/app-passwords", "/collections", f"{CONTACTS}/rewind"):
        answer = here.ask("POST", path, content=b'{"label":"evil"}', headers=headers)
        assert problem(answer) == (415, "unsupportedMediaType")
        assert "access-control-allow-origin" not in answer.headers


def test_an_owner_who_is_lost_is_not_left_out(here: Desk) -> None:
    """When the data of somebody who shares is not there, the list is 503, not shorter."""
    here.share("contacts", write=False)
    assert here.get("/collections", login="bert").status_code == 200
    anna = here.services.directory.account_of("anna")
    assert anna is not None
    del here.services.store._accounts[anna]
    assert problem(here.get("/collections", login="bert")) == (503, "damaged")
