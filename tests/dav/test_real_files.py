"""Real files over the face: what programs really wrote is kept to the octet, or refused with a reason."""

from __future__ import annotations

import pytest
from tests.dav.reports.face import ANNA, FRIENDS, WORK, Face, card, event
from tests.support.corpus import corpus_files

from keepwell.model.names import Home
from keepwell.model.record import Op

KEPT_AT_LEAST = {".vcf": 31, ".ics": 100}
"""Of the 36 and 362 files; fewer would mean that something was refused that can be held."""


@pytest.mark.parametrize(("suffix", "folder"), [(".vcf", FRIENDS), (".ics", WORK)])
def test_every_real_file_is_kept_or_refused_with_a_reason(face: Face, suffix: str, folder: str) -> None:
    """A PUT of any file answers 201 and gives the octets back under a strong ETag, or names a precondition."""
    kept = 0
    for path in corpus_files(suffix):
        body, where = path.read_bytes(), f"{folder}file{suffix}"
        answer = face.request("PUT", where, body)
        if answer.status == 201:
            again = face.request("GET", where)
            assert again.body == body, path
            assert again.headers[b"etag"] == answer.headers[b"etag"], path
            assert again.headers[b"etag"].startswith(b'"'), path
            face.remove(where)
            kept += 1
        else:
            assert answer.status in {403, 409, 413, 415}, (path, answer.status)
            assert answer.conditions(), path
            assert "".join(str(text) for text in answer.root.itertext()).strip(), path
    assert kept >= KEPT_AT_LEAST[suffix]


@pytest.mark.parametrize(("where", "body"), [(FRIENDS + "bob.vcf", card), (WORK + "meeting.ics", event)])
def test_a_uid_comes_and_goes(face: Face, where: str, body: object) -> None:
    """The same UID added and deleted five times works, and every version stays in the history with its octets."""
    assert callable(body)
    versions = [body("one", f"X-VERSION:{number}") for number in range(5)]
    for version in versions:
        face.put(where, version)
        face.remove(where)
    with face.store.account(ANNA).reading() as snapshot:
        home, collection = (Home.CONTACTS, "friends") if where.startswith(FRIENDS) else (Home.CALENDARS, "work")
        records = [one.facts for one in snapshot.records(collection=(home, collection)) if one.facts.name]
        assert [one.op for one in records] == [Op.PUT, Op.REMOVE] * 5
        kept = [snapshot.content(one.digest) for one in records if one.digest is not None]
    assert kept == versions
