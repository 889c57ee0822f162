"""Sync tokens from a future that the server lost: 503 and held, never the start of a short initial sync."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.dav.reports.face import ANNA, BERTA, FRIENDS, LOGINS, PHOTOS, Answer, Face, People, card, running_face
from tests.support.clock import FakeClock, SeededEntropy

from keepwell.dav.app import DavApp
from keepwell.model.names import Home, Kind
from keepwell.services.incidents import Incidents
from keepwell.services.library import Library
from keepwell.services.rollback import Rollbacks
from keepwell.storage.contract import Work

SYNC = "<D:sync-collection><D:sync-token>{}</D:sync-token><D:sync-level>1</D:sync-level><D:prop/></D:sync-collection>"


@pytest.fixture
def face(tmp_path: Path) -> Iterator[Face]:
    """A face that is told of lost futures; anna has two cards."""
    with running_face() as face:

        def append(account: str, work: Work) -> None:
            assert not isinstance(face.writers.submit(LOGINS["anna"], work).result(), BaseException), account

        rollbacks = Rollbacks(
            store=face.store,
            incidents=Incidents(tmp_path),
            clock=FakeClock(),
            entropy=SeededEntropy(7),
            account_of=LOGINS.get,
            login_of=lambda _account: "anna",
            append=append,
            may_append=lambda: True,
        )
        face.library = Library(face.store, face.writers, futures=rollbacks)
        face.app = DavApp(face.library, People(), face.door)
        for name in ("bob", "eve"):
            face.put(f"{FRIENDS}{name}.vcf", card(name))
        yield face


def later(token: str, by: int, *, collection: int = 0) -> str:
    """A token that this server would have given out later; of a later collection when asked."""
    lineage, number, sequence = token.removeprefix("data:,").split(".")
    return f"data:,{lineage}.{int(number) + collection}.{int(sequence) + by}"


def sync(face: Face, token: str = "", path: str = FRIENDS, login: str = "anna") -> Answer:
    return face.report(path, SYNC.format(token), login=login)


def held(face: Face) -> set[Kind]:
    with face.store.account(ANNA).reading() as snapshot:
        return set(snapshot.held())


def test_a_token_of_the_future_holds_the_account(face: Face) -> None:
    """The answer is 503 with Retry-After, and from then on every device gets the same, for every kind."""
    token = sync(face).token
    answer = sync(face, later(token, 5))
    assert answer.status == 503
    assert int(answer.headers[b"retry-after"]) > 0
    assert b"the server lost it" in answer.body
    assert held(face) == set(Kind) - {Kind.SYSTEM}
    assert sync(face).status == 503
    assert face.request("PROPFIND", "/dav/calendars/anna/", headers={"Depth": "1"}).status == 503
    assert face.request("GET", FRIENDS + "bob.vcf").status == 503


def test_tokens_of_before_are_not_answered_after_it_was_opened(face: Face) -> None:
    """The lineage is another one: each device compares everything once, with what is there."""
    token = sync(face).token
    sync(face, later(token, 5))
    face.store.account(ANNA).hold({})
    answer = sync(face, token)
    assert (answer.status, answer.conditions()) == (403, ["D:valid-sync-token"])
    assert sync(face).hrefs() == {"bob.vcf", "eve.vcf"}


def test_a_token_of_a_collection_that_was_lost_with_it(face: Face) -> None:
    """Its collection is not here at all, and the answer is not 404, which would take it from the device."""
    token = sync(face).token
    answer = sync(face, later(token, 7, collection=100), path="/dav/contacts/anna/clients/")
    assert answer.status == 503
    assert held(face) == set(Kind) - {Kind.SYSTEM}


def test_a_later_collection_of_the_same_name(face: Face) -> None:
    """Its collection was dropped and made again in the part that is missing: the number says so."""
    assert sync(face, later(sync(face).token, 7, collection=100)).status == 503


def test_photos_count_by_the_whole_account(face: Face) -> None:
    """Where folders nest, a token is of the account's last record."""
    face.put(PHOTOS + "sea.jpg", b"sea")
    token = sync(face, path=PHOTOS).token
    assert sync(face, token, PHOTOS).status == 207
    assert sync(face, later(token, 1), PHOTOS).status == 503


def test_who_shares_gets_503_and_holds_nothing(face: Face) -> None:
    """A token can be invented: another's account is not held by it, and its owner goes on."""
    face.door.shared = {BERTA: {(ANNA, Home.CONTACTS, "friends"): True}}
    token = sync(face).token
    assert sync(face, later(token, 5), login="berta@example.org").status == 503
    assert held(face) == set()
    assert sync(face, token).status == 207


def test_nonsense_and_the_tokens_of_others_hold_nothing(face: Face) -> None:
    """What is no token, of another lineage, or of a collection that was dropped is refused as ever."""
    token = sync(face).token
    lineage = token.removeprefix("data:,").split(".")[0]
    for text in ("data:,nonsense", "http://other/token", f"data:,{lineage[::-1]}.2.999", f"data:,{lineage}.1.2"):
        answer = sync(face, text)
        assert (answer.status, answer.conditions()) == (403, ["D:valid-sync-token"])
        assert sync(face, text, "/dav/contacts/anna/unknown/").status == 404
    assert held(face) == set()


def test_an_entity_tag_that_nobody_knows_holds_nothing(face: Face) -> None:
    """It may come from another server, or be invented: the condition does not hold, and that is all."""
    answer = face.request("PUT", FRIENDS + "bob.vcf", card("bob"), {"If-Match": '"' + "0" * 64 + '"'})
    assert answer.status == 412
    assert held(face) == set()
