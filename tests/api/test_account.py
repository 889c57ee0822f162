"""The account's summary, its access log, and its app passwords."""

from __future__ import annotations

import pytest

from tests.api.desk import CONTACTS, Desk, problem
from tests.services.samples import card


def test_the_account_says_what_it_holds_in_how_many_copies(here: Desk) -> None:
    """Counts and octets are those of the items that are there, with one copy of each kind."""
    here.put(f"{CONTACTS}/items/bob.vcf", card("b"))
    document = here.get("/account").json()
    assert (document["login"], document["displayName"]) == ("anna", "anna")
    assert document["account"].startswith("a_")
    assert document["lineage"]
    kinds = {one["kind"]: one for one in document["kinds"]}
    assert list(kinds) == ["contacts", "calendar", "notes", "tasks", "photos"]
    assert kinds["contacts"] == {
        "kind": "contacts",
        "collections": 1,
        "count": 1,
        "octets": len(card("b")),
        "copies": 1,
    }


def test_people_see_who_used_their_account(here: Desk) -> None:
    """The access log tells the program, the address and the app password, of one's own account only."""
    here.get("/account", **{"user-agent": "notebook/1.0"})
    here.get("/account", login="bert")
    entries = here.get("/access-log?limit=5").json()["entries"]
    assert "notebook/1.0" in {one["agent"] for one in entries}
    assert {one["credential"] for one in entries} == {"app-password:annas desk"}


def test_an_app_password_is_made_shown_once_and_revoked(here: Desk) -> None:
    """A new app password signs in until it is taken back, and no list shows its secret."""
    made = here.ask("POST", "/app-passwords", json={"label": "phone"}).json()
    here.secrets["anna"], before = made["password"], here.secrets["anna"]
    assert here.get("/account").status_code == 200
    listed = here.get("/app-passwords")
    assert made["password"] not in listed.text
    assert {"id": made["id"], "label": "phone", "madeAt": made["madeAt"]} in listed.json()["appPasswords"]
    assert here.ask("DELETE", f"/app-passwords/{made['id']}").status_code == 204
    assert problem(here.get("/account")) == (401, "notSignedIn")
    here.secrets["anna"] = before
    assert problem(here.ask("DELETE", f"/app-passwords/{made['id']}")) == (404, "notFound")


def test_a_label_is_no_id(here: Desk) -> None:
    """An app password is revoked by its id; the label in its place, or another person's id, is 404."""
    assert problem(here.ask("DELETE", "/app-passwords/annas%20desk")) == (404, "notFound")
    (berts,) = here.get("/app-passwords", login="bert").json()["appPasswords"]
    assert problem(here.ask("DELETE", f"/app-passwords/{berts['id']}")) == (404, "notFound")


@pytest.mark.parametrize("label", ["", "x" * 101, "line\nfeed", 3, None])
def test_labels_that_cannot_be_are_refused(here: Desk, label: object) -> None:
    """A label that is empty, too long or has control characters makes no password."""
    assert problem(here.ask("POST", "/app-passwords", json={"label": label})) == (400, "invalidRequest")
    assert len(here.get("/app-passwords").json()["appPasswords"]) == 1
