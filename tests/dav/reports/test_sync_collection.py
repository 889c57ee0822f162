"""DAV:sync-collection, RFC 6578."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.dav.reports.face import ANNA, BERTA, FRIENDS, PHOTOS, WORK, Answer, Face, card, event

from keepwell.model.names import Home

PROP = "<D:prop><D:getetag/></D:prop>"


def sync(
    face: Face,
    path: str,
    token: str = "",
    *,
    limit: int | str | None = None,
    prop: str = PROP,
    level: str = "<D:sync-level>1</D:sync-level>",
    depth: str | None = "0",
    login: str = "anna",
) -> Answer:
    asked_limit = "" if limit is None else f"<D:limit><D:nresults>{limit}</D:nresults></D:limit>"
    body = f"<D:sync-collection><D:sync-token>{token}</D:sync-token>{level}{asked_limit}{prop}</D:sync-collection>"
    return face.report(path, body, depth, login)


def pages(face: Face, path: str, token: str, limit: int) -> Iterator[Answer]:
    """Every page of a sync, until one is not truncated."""
    while True:
        answer = sync(face, path, token, limit=limit)
        assert answer.status == 207, answer.body
        yield answer
        token = answer.token
        if answer.statuses().get(path) != "507":
            return


def test_an_initial_sync_lists_every_member_and_gives_a_token(face: Face) -> None:
    for name in ("a", "b"):
        face.put(f"{FRIENDS}{name}.vcf", card(name))
    answer = sync(face, FRIENDS)
    assert answer.status == 207
    assert answer.statuses() == {f"{FRIENDS}a.vcf": "200", f"{FRIENDS}b.vcf": "200"}
    assert answer.token


def test_the_collection_is_no_member_of_itself(face: Face) -> None:
    assert sync(face, WORK).statuses() == {}


def test_nothing_changed_means_no_responses_and_a_token_that_works_on(face: Face) -> None:
    face.put(f"{WORK}a.ics", event("a"))
    token = sync(face, WORK).token
    again = sync(face, WORK, token)
    assert (again.statuses(), again.token) == ({}, token)


def test_the_token_is_the_property_sync_token(face: Face) -> None:
    face.put(f"{WORK}a.ics", event("a"))
    body = '<D:propfind xmlns:D="DAV:"><D:prop><D:sync-token/></D:prop></D:propfind>'
    answer = face.request("PROPFIND", WORK, body, {"Depth": "0"})
    assert answer.texts("D:response/D:propstat/D:prop/D:sync-token") == [sync(face, WORK).token]


def test_one_change_is_one_response(face: Face) -> None:
    for name in ("a", "b"):
        face.put(f"{WORK}{name}.ics", event(name))
    token = sync(face, WORK).token
    face.put(f"{WORK}b.ics", event("b", "SUMMARY:new"))
    assert sync(face, WORK, token).statuses() == {f"{WORK}b.ics": "200"}


def test_a_removed_member_is_a_404_without_propstat(face: Face) -> None:
    face.put(f"{WORK}a.ics", event("a"))
    token = sync(face, WORK).token
    face.remove(f"{WORK}a.ics")
    answer = sync(face, WORK, token)
    assert answer.statuses() == {f"{WORK}a.ics": "404"}
    assert answer.texts("D:response/D:propstat") == []


def test_a_member_that_came_and_went_between_two_syncs_is_not_told(face: Face) -> None:
    token = sync(face, WORK).token
    face.put(f"{WORK}a.ics", event("a"))
    face.remove(f"{WORK}a.ics")
    assert sync(face, WORK, token).statuses() == {}


def test_an_initial_sync_tells_no_removals(face: Face) -> None:
    face.put(f"{WORK}a.ics", event("a"))
    face.remove(f"{WORK}a.ics")
    assert sync(face, WORK).statuses() == {}


def test_a_member_that_was_moved_away_is_a_404_here_and_new_there(face: Face) -> None:
    face.put(f"{WORK}a.ics", event("a", "SUMMARY:x"))
    token = sync(face, WORK).token
    to = {"Destination": f"{WORK}b.ics"}
    assert face.request("MOVE", f"{WORK}a.ics", headers=to).status == 201
    assert sync(face, WORK, token).statuses() == {f"{WORK}a.ics": "404", f"{WORK}b.ics": "200"}


@pytest.mark.parametrize(
    "token",
    [
        "http://example.invalid/never-issued",
        "0" * 40,
        "data:,",
        "data:,lineage/1/1",
        "data:,lineage/1/x",
        "&#x660;",
    ],
)
def test_a_token_that_was_never_given_is_refused_by_its_precondition(face: Face, token: str) -> None:
    answer = sync(face, WORK, token)
    assert (answer.status, answer.conditions()) == (403, ["D:valid-sync-token"])


def test_a_token_of_another_collection_is_refused(face: Face) -> None:
    answer = sync(face, WORK, sync(face, FRIENDS).token)
    assert (answer.status, answer.conditions()) == (403, ["D:valid-sync-token"])


def test_a_token_of_a_dropped_collection_is_refused_by_one_of_the_same_name(face: Face) -> None:
    token = sync(face, WORK).token
    face.remove(WORK)
    assert face.request("MKCALENDAR", WORK).status == 201
    assert sync(face, WORK, token).conditions() == ["D:valid-sync-token"]


def test_a_limited_answer_says_507_for_the_collection_and_continues(face: Face) -> None:
    face.fill(Home.CONTACTS, "friends", {f"{number}.vcf": card(str(number)) for number in range(5)})
    first, second, third = pages(face, FRIENDS, "", 2)
    assert [len(page.hrefs()) for page in (first, second, third)] == [2, 2, 1]
    (error,) = first.root.iterfind("{DAV:}response/{DAV:}error")
    assert [element.tag for element in error] == ["{DAV:}number-of-matches-within-limits"]
    assert first.hrefs() | second.hrefs() | third.hrefs() == {f"{number}.vcf" for number in range(5)}


def test_a_limit_that_is_just_met_is_no_truncation(face: Face) -> None:
    face.fill(Home.CONTACTS, "friends", {f"{number}.vcf": card(str(number)) for number in range(2)})
    assert "507" not in sync(face, FRIENDS, limit=2).statuses().values()


def test_pages_lose_nothing_while_members_change_between_them(face: Face) -> None:
    face.fill(Home.CONTACTS, "friends", {f"{number}.vcf": card(str(number)) for number in range(20)})
    known: dict[str, str] = {}
    for number, page in enumerate(pages(face, FRIENDS, "", 3)):
        for href, status in page.statuses().items():
            known[href] = status
        if number < 4:
            face.put(f"{FRIENDS}{number}.vcf", card(str(number), name="again"))
            face.remove(f"{FRIENDS}{19 - number}.vcf")
            face.put(f"{FRIENDS}new{number}.vcf", card(f"new{number}"))
    there = {href for href, status in known.items() if status == "200"}
    assert there == set(sync(face, FRIENDS).statuses())


def test_an_initial_sync_of_twenty_thousand_pages_without_loss_while_members_change(face: Face) -> None:
    face.fill(Home.CONTACTS, "friends", {f"{number}.vcf": card(str(number)) for number in range(20_000)})
    known: set[str] = set()
    for number, page in enumerate(pages(face, FRIENDS, "", 5_000)):
        statuses = page.statuses()
        assert len(statuses) <= 5_001
        known |= page.hrefs()
        known -= {href.rpartition("/")[2] for href, status in statuses.items() if status == "404"}
        if number < 4:
            face.remove(f"{FRIENDS}{number}.vcf")
            face.put(f"{FRIENDS}{number + 19_000}.vcf", card(str(number + 19_000), name="again"))
            face.put(f"{FRIENDS}new{number}.vcf", card(f"new{number}"))
    assert known == sync(face, FRIENDS).hrefs()
    assert len(known) == 20_000


def test_removals_count_toward_the_limit(face: Face) -> None:
    face.fill(Home.CONTACTS, "friends", {f"{number}.vcf": card(str(number)) for number in range(4)})
    token = sync(face, FRIENDS).token
    for number in range(4):
        face.remove(f"{FRIENDS}{number}.vcf")
    told = [page.statuses() for page in pages(face, FRIENDS, token, 3)]
    assert [list(statuses.values()).count("404") for statuses in told] == [3, 1]


def test_a_limit_of_zero_is_refused_because_it_would_never_end(face: Face) -> None:
    answer = sync(face, WORK, limit=0)
    assert (answer.status, answer.conditions()) == (403, ["D:number-of-matches-within-limits"])


@pytest.mark.parametrize("limit", ["", "-1", "many", "²"])
def test_a_limit_that_is_no_number_is_a_bad_request(face: Face, limit: str) -> None:
    assert sync(face, WORK, limit=limit).status == 400


@pytest.mark.parametrize("depth", ["0", "1", "infinity", None])
def test_the_depth_header_does_not_matter(face: Face, depth: str | None) -> None:
    face.put(f"{WORK}a.ics", event("a"))
    assert sync(face, WORK, depth=depth).hrefs() == {"a.ics"}


def test_a_calendar_is_synced_to_any_level(face: Face) -> None:
    face.put(f"{WORK}a.ics", event("a"))
    assert sync(face, WORK, level="<D:sync-level>infinite</D:sync-level>").hrefs() == {"a.ics"}


def test_folders_are_not_synced_to_infinite_level(face: Face) -> None:
    answer = sync(face, PHOTOS, level="<D:sync-level>infinite</D:sync-level>")
    assert (answer.status, answer.conditions()) == (403, ["D:sync-traversal-supported"])


@pytest.mark.parametrize("level", ["<D:sync-level>2</D:sync-level>", "<D:sync-level/>", ""])
def test_another_level_is_a_bad_request(face: Face, level: str) -> None:
    assert sync(face, WORK, level=level, depth="0").status == 400


def test_the_depth_stands_for_a_level_that_is_absent(face: Face) -> None:
    assert sync(face, WORK, level="", depth="1").status == 207


def test_a_request_without_a_token_element_is_a_bad_request(face: Face) -> None:
    body = f"<D:sync-collection><D:sync-level>1</D:sync-level>{PROP}</D:sync-collection>"
    assert face.report(WORK, body).status == 400


def test_properties_that_a_member_does_not_have_are_404_in_its_propstat(face: Face) -> None:
    face.put(f"{WORK}a.ics", event("a"))
    answer = sync(face, WORK, prop="<D:prop><D:getetag/><D:quota-used-bytes/></D:prop>")
    assert answer.texts("D:response/D:propstat/D:status") == ["HTTP/1.1 200 OK", "HTTP/1.1 404 Not Found"]


def test_a_folder_lists_files_and_folders_that_came_and_went(face: Face) -> None:
    face.put(f"{PHOTOS}a.jpg", b"\xff\xd8a")
    face.request("MKCOL", f"{PHOTOS}old/")
    first = sync(face, PHOTOS)
    assert first.statuses() == {f"{PHOTOS}a.jpg": "200", f"{PHOTOS}old/": "200"}
    face.remove(f"{PHOTOS}old/")
    face.request("MKCOL", f"{PHOTOS}new/")
    face.put(f"{PHOTOS}new/b.jpg", b"\xff\xd8b")
    second = sync(face, PHOTOS, first.token)
    assert second.statuses() == {f"{PHOTOS}old/": "404", f"{PHOTOS}new/": "200"}
    assert sync(face, PHOTOS, second.token).statuses() == {}


def test_a_folder_that_came_and_went_is_not_told(face: Face) -> None:
    token = sync(face, PHOTOS).token
    face.request("MKCOL", f"{PHOTOS}sub/")
    face.remove(f"{PHOTOS}sub/")
    assert sync(face, PHOTOS, token).statuses() == {}


def test_a_folder_that_was_made_anew_is_told_as_it_is_now(face: Face) -> None:
    face.request("MKCOL", f"{PHOTOS}sub/")
    token = sync(face, PHOTOS).token
    face.remove(f"{PHOTOS}sub/")
    face.request("MKCOL", f"{PHOTOS}sub/")
    assert sync(face, PHOTOS, token).statuses() == {f"{PHOTOS}sub/": "200"}


def test_pages_of_a_folder_mix_files_and_folders_without_loss(face: Face) -> None:
    for number in range(3):
        face.put(f"{PHOTOS}{number}.jpg", b"\xff\xd8" + bytes([number]))
        face.request("MKCOL", f"{PHOTOS}{number}/")
    found = [href for page in pages(face, PHOTOS, "", 2) for href, status in page.statuses().items() if status == "200"]
    wanted = [f"{PHOTOS}{number}{end}" for number in range(3) for end in (".jpg", "/")]
    assert sorted(found) == sorted(wanted)


def test_a_grantee_syncs_what_is_shared_and_nothing_else(face: Face) -> None:
    face.put(f"{WORK}a.ics", event("a"))
    face.door.shared[BERTA] = {(ANNA, Home.CALENDARS, "work"): False}
    assert sync(face, WORK, login="berta@example.org").hrefs() == {"a.ics"}
    assert sync(face, FRIENDS, login="berta@example.org").status == 404


def test_an_item_cannot_be_synced(face: Face) -> None:
    face.put(f"{WORK}a.ics", event("a"))
    answer = sync(face, f"{WORK}a.ics")
    assert (answer.status, answer.conditions()) == (403, ["D:supported-report"])


def test_a_collection_that_is_not_there_is_not_found(face: Face) -> None:
    assert sync(face, "/dav/calendars/anna/nothing/").status == 404


@pytest.mark.parametrize(("limit", "status"), [("9" * 6000, 207), ("0" * 6000 + "5", 207), ("0" * 6000, 403)])
def test_a_limit_of_many_digits_is_a_number(face: Face, limit: str, status: int) -> None:
    """A limit that no integer of the store can hold is as good as none."""
    face.put(f"{FRIENDS}a.vcf", card("a"))
    assert sync(face, FRIENDS, limit=limit).status == status
