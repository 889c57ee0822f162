"""vdirsyncer brings folders of files and the server together, in both directions."""

from pathlib import Path

import pytest

from tests.programs.accounts import Account
from tests.programs.desk import Desk, set_up_desk
from tests.programs.items import card, event


@pytest.fixture
def desk(home: Path, account: Account) -> Desk:
    return set_up_desk(home, account)


def local_texts(folder: Path) -> list[str]:
    """The items in a local folder; vdirsyncer writes LF for the CRLF that it was given inside XML."""
    items = [path for path in sorted(folder.iterdir()) if path.suffix in (".vcf", ".ics")]
    return [path.read_bytes().decode().replace("\r\n", "\n").replace("\n", "\r\n") for path in items]


def test_what_is_written_here_arrives_on_the_server_octet_for_octet(desk: Desk) -> None:
    (desk.contacts / "ada.vcf").write_bytes(card("ada", "Ada Lovelace").encode())
    (desk.calendar / "tea.ics").write_bytes(event("tea", "Tea with Ada").encode())
    desk.sync()
    assert list(desk.account.texts(desk.account.contacts).values()) == [card("ada", "Ada Lovelace")]
    assert list(desk.account.texts(desk.account.calendar).values()) == [event("tea", "Tea with Ada")]


def test_what_is_on_the_server_arrives_here(desk: Desk) -> None:
    desk.account.put(desk.account.contacts, "bob.vcf", card("bob", "Bøb «Ünïcode»"))
    desk.account.put(desk.account.calendar, "lunch.ics", event("lunch", "Lunch"))
    desk.sync()
    assert local_texts(desk.contacts) == [card("bob", "Bøb «Ünïcode»")]
    assert local_texts(desk.calendar) == [event("lunch", "Lunch")]


def test_changes_on_both_sides_meet_in_one_sync(desk: Desk) -> None:
    etag = desk.account.put(desk.account.contacts, "one.vcf", card("one", "One"))
    desk.account.put(desk.account.contacts, "two.vcf", card("two", "Two"))
    desk.sync()
    desk.account.put(desk.account.contacts, "one.vcf", card("one", "One from there"), If_Match=etag)
    (desk.contacts / "two.vcf").write_bytes(card("two", "Two from here").encode())
    desk.sync()
    there = desk.account.texts(desk.account.contacts)
    assert there == {"one.vcf": card("one", "One from there"), "two.vcf": card("two", "Two from here")}
    assert sorted(local_texts(desk.contacts)) == sorted(there.values())


def test_a_deletion_here_deletes_there(desk: Desk) -> None:
    desk.account.put(desk.account.contacts, "one.vcf", card("one", "One"))
    desk.account.put(desk.account.contacts, "two.vcf", card("two", "Two"))
    desk.sync()
    (desk.contacts / "one.vcf").unlink()
    desk.sync()
    assert desk.account.names(desk.account.contacts) == {"two.vcf"}


def test_a_deletion_there_deletes_here(desk: Desk) -> None:
    desk.account.put(desk.account.calendar, "one.ics", event("one", "One"))
    desk.account.put(desk.account.calendar, "two.ics", event("two", "Two"))
    desk.sync()
    assert desk.account.request("DELETE", desk.account.calendar + "one.ics").is_success
    desk.sync()
    assert local_texts(desk.calendar) == [event("two", "Two")]


def test_the_name_of_a_collection_travels(desk: Desk) -> None:
    desk.must_run("vdirsyncer", "metasync")
    (desk.calendar / "displayname").write_text("Rehearsals")
    desk.must_run("vdirsyncer", "metasync")
    ask = '<propfind xmlns="DAV:"><prop><displayname/></prop></propfind>'
    answer = desk.account.request("PROPFIND", desk.account.calendar, ask, Depth="0")
    assert "Rehearsals" in answer.text


def diverge(desk: Desk) -> tuple[str, str]:
    """Change one card in two ways, here and there, after it was the same in both; returns both versions."""
    here, there = card("one", "One from here"), card("one", "One from there")
    etag = desk.account.put(desk.account.contacts, "one.vcf", card("one", "One"))
    desk.sync()
    (desk.contacts / "one.vcf").write_bytes(here.encode())
    desk.account.put(desk.account.contacts, "one.vcf", there, If_Match=etag)
    return here, there


@pytest.mark.parametrize(("rule", "winner"), [("a wins", 0), ("b wins", 1)])
def test_a_conflict_ends_as_the_person_decided(home: Path, account: Account, rule: str, winner: int) -> None:
    desk = set_up_desk(home, account, conflicts=f'conflict_resolution = "{rule}"')
    kept = diverge(desk)[winner]
    desk.sync()
    assert account.texts(account.contacts) == {"one.vcf": kept}
    assert local_texts(desk.contacts) == [kept]


def test_a_conflict_that_nobody_decided_is_reported_and_loses_nothing(desk: Desk) -> None:
    here, there = diverge(desk)
    run = desk.run("vdirsyncer", "sync")
    assert run.status != 0
    assert "conflict" in run.output.lower()
    assert local_texts(desk.contacts) == [here]
    assert desk.account.texts(desk.account.contacts) == {"one.vcf": there}
