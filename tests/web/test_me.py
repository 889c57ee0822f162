"""The page of the signed-in person: their own things, all of them, and nothing that changes anything."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from keepwell.model.errors import Damaged
from keepwell.model.names import Home, Kind
from keepwell.services.library import Library
from keepwell.services.place import Place
from keepwell.storage.access_table import AccessEntry
from keepwell.web.app import web_app
from keepwell.web.me import DAYS_SHOWN
from tests.api.desk import Desk, parts
from tests.services.samples import card
from tests.web.test_home import Elements, status_with


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Desk]:
    with (
        parts(tmp_path) as services,
        TestClient(web_app(status=services.status, people=services), base_url="https://keep.test") as client,
    ):
        desk = Desk(services, client)
        desk.add("anna")
        desk.add("bert")
        yield desk


def page(here: Desk, login: str = "anna", **headers: str) -> str:
    answer = here.client.get("/me", headers={**here.headers(login), **headers})
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    return answer.text


def words(html: str) -> str:
    """The text of a page without its tags and with single spaces."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html))


def put(here: Desk, login: str, name: str) -> None:
    actor = here.services.sign_in.sign_in(here.headers(login)["authorization"].encode(), "192.0.2.7", "phone/1")
    place = Place(actor.account, Home.CONTACTS, "contacts", name)
    here.services.library.put(actor, place, card(name)).result()


def test_a_stranger_is_asked_to_sign_in(here: Desk) -> None:
    """Without a sign-in, and with a wrong password, the page is 401 with a challenge and friendly words."""
    for headers in ({}, {"authorization": "Basic eDp5"}):
        answer = here.client.get("/me", headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Basic")
        assert answer.headers["cache-control"] == "no-store"
        assert "Please sign in" in answer.text


def test_a_wrong_password_is_answered_late(here: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The delay that the sign-in asks for is waited before the answer."""
    waited: list[float] = []

    async def note(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", note)
    here.secrets["anna"] = "wrong"
    for _ in range(5):
        assert here.client.get("/me", headers=here.headers("anna")).status_code == 401
    assert waited[-1] > waited[0] == 0.0


def test_people_see_what_they_have(here: Desk) -> None:
    """Every collection is there with its count and bytes, and how many copies there are."""
    put(here, "anna", "bob.vcf")
    text = words(page(here))
    assert f"Address book Contacts 1 {len(card('bob.vcf'))}" in text
    for row in ("Calendar Calendar 0 0", "Task list Tasks 0 0", "Notebook Notes 0 0", "Album Photos 0 0"):
        assert row in text
    assert "One copy" in text


def test_what_others_share_is_shown_with_its_owner(here: Desk) -> None:
    """A shared collection is listed as its owner's, and what is not shared is not."""
    put(here, "anna", "bob.vcf")
    assert "of anna" not in words(page(here, "bert"))
    here.services.accounts.grant("anna", Home.CONTACTS, "contacts", "bert", write=False)
    text = words(page(here, "bert"))
    assert text.count("of anna") == 1
    assert "Contacts of anna 1" in text


def test_app_passwords_show_label_and_last_use(here: Desk) -> None:
    """Each app password is there with when it was made and last used, and no secret is."""
    secret = here.services.accounts.add_password("anna", "never used")
    html = page(here)
    text = words(html)
    assert re.search(r"annas desk 2026-11-23 08:0\d 2026-11-23 08:0\d", text)
    assert re.search(r"never used 2026-11-23 08:0\d not lately", text)
    for hidden in (secret, here.secrets["anna"]):
        assert hidden not in html
    (document, _) = here.services.accounts.passwords("anna")
    assert document.id in html
    assert document.secret_hash not in html


def test_people_see_who_used_their_account(here: Desk) -> None:
    """Uses are one line a day for each program, with failures among them, and none of another account."""
    put(here, "anna", "bob.vcf")
    put(here, "anna", "eve.vcf")
    put(here, "bert", "bob.vcf")
    wrong = {**here.headers("anna"), "authorization": "Basic YW5uYTp3cm9uZw=="}
    assert here.client.get("/me", headers={**wrong, "user-agent": "guesser"}).status_code == 401
    text = words(page(here))
    assert re.search(r"08:0\d signed in annas desk 192.0.2.7 phone/1 2 ", text)
    assert re.search(r"refused a wrong password \S+ (\S+ )?1 ", text)
    assert "guesser" not in text  # a stranger could choose a new name for each attempt
    assert "berts desk" not in text


def test_old_uses_are_left_out_and_hours_of_a_day_are_one_line(here: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the last days are shown, counted from this visit."""
    account = here.services.directory.account_of("anna")
    assert account is not None
    entries = [
        AccessEntry(account, "app-password:p", "::1", "sync", "signed in", moment, moment, 3)
        for moment in (
            "2026-11-23T09:00:00.0Z",
            "2026-11-23T08:00:00.0Z",
            "2026-11-17T08:00:00.0Z",
            "2026-11-15T08:00:00.0Z",
        )
    ]
    monkeypatch.setattr(here.services.access_log, "entries", lambda _account, _limit: entries)
    rows = re.findall(r"(2026-11-\d\d) \d\d:\d\d signed in p ::1 sync (\d+)", words(page(here)))
    assert rows == [("2026-11-23", "6"), ("2026-11-17", "3")]
    assert DAYS_SHOWN == 7


def test_what_programs_and_people_wrote_is_text(here: Desk) -> None:
    """Names of programs and collections are shown as text, whatever is in them."""
    html = page(here, **{"user-agent": "<script>alert(1)</script>"})
    assert "<script" not in html
    assert "&lt;script&gt;" in html


def test_the_page_changes_nothing_and_needs_no_script(here: Desk) -> None:
    """There is no form, script or foreign resource in the page, and no other method than reading it."""
    answer = here.client.get("/me", headers=here.headers("anna"))
    elements = Elements(answer.text)
    assert elements.open == []
    assert {tag for tag, _ in elements.tags} & {"form", "script", "button", "input", "iframe"} == set()
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    for method in ("POST", "PUT", "DELETE"):
        assert here.client.request(method, "/me", headers=here.headers("anna")).status_code == 405
    assert "keepwell app-password revoke anna" in answer.text
    assert "https://keep.test/api/v1/app-passwords/" in answer.text


def test_what_is_not_whole_is_not_shown_in_part(here: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """While storage cannot be read whole the page is 503 with Retry-After and shows no listing."""

    def fail(*_arguments: object) -> None:
        raise Damaged("a page is wrong")

    monkeypatch.setattr(Library, "reading", fail)
    answer = here.client.get("/me", headers=here.headers("anna"))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert "Address book" not in answer.text


def test_without_people_there_is_no_such_page() -> None:
    """The pages can be served without accounts; then this one is not there."""
    assert TestClient(web_app(status=status_with)).get("/me").status_code == 404


def test_what_is_held_is_told_instead_of_shown(here: Desk) -> None:
    """A kind that is not whole is missing from the list, and what is known to be missing of it stands above."""
    put(here, "anna", "bob.vcf")
    account = here.services.directory.account_of("anna")
    assert account is not None
    assert "Not shown for now" not in page(here)
    here.services.store.account(account).hold({Kind.CONTACTS: "15 items were known, 10 are here"})
    text = words(page(here))
    assert "Not shown for now" in text
    assert "Address book 15 items were known, 10 are here" in text
    assert "Address book Contacts 1" not in text
    assert "Calendar Calendar" in text
