"""The history tells every change and gives back every version, whatever happened since."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from keepwell.model.errors import BadRequest, NotThere
from keepwell.model.names import Home
from keepwell.model.record import Op, Record
from keepwell.services.history import HistoryQuery, Spot, find_spot, list_records, read_version
from tests.services.samples import Desk, card, desk


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path) as found:
        yield found


def listed(here: Desk, query: HistoryQuery) -> list[Record]:
    with here.keepwell.library.reading(here.account) as snapshot:
        return list_records(snapshot, query)


def spot(here: Desk, text: str) -> Spot:
    with here.keepwell.library.reading(here.account) as snapshot:
        return find_spot(snapshot, text)


def test_the_newest_change_comes_first(here: Desk) -> None:
    """Records of an item are listed with who, when and what, the newest first unless asked otherwise."""
    here.put("contacts", "bob.vcf", card("b"))
    here.put("contacts", "eve.vcf", card("e"))
    here.put("contacts", "bob.vcf", card("b", "Bobby"))
    here.remove("contacts", "bob.vcf")
    query = HistoryQuery((Home.CONTACTS, "contacts"), "bob.vcf")
    facts = [record.facts for record in listed(here, query)]
    assert [one.op for one in facts] == [Op.REMOVE, Op.PUT, Op.PUT]
    assert {one.by for one in facts} == {"operator"}
    assert [one.at for one in facts] == sorted((one.at for one in facts), reverse=True)
    in_order = listed(here, HistoryQuery(query.spot, query.item, oldest_first=True))
    assert [one.facts for one in in_order] == facts[::-1]


def test_a_limit_keeps_the_newest(here: Desk) -> None:
    """A limit leaves out the oldest records in either order."""
    for number in range(5):
        here.put("contacts", f"{number}.vcf", card(str(number)))
    newest = [one.facts.name for one in listed(here, HistoryQuery(limit=2))]
    assert newest == ["4.vcf", "3.vcf"]
    in_order = [one.facts.name for one in listed(here, HistoryQuery(limit=2, oldest_first=True))]
    assert in_order == ["3.vcf", "4.vcf"]


def test_every_version_can_be_read(here: Desk) -> None:
    """The bytes of each put are given back, though the item was changed and its collection dropped since."""
    here.make("friends")
    bodies = [card("b", f"Bob {number}") for number in range(3)]
    for body in bodies:
        here.put("friends", "bob.vcf", body)
    here.drop("friends")
    puts = [one for one in listed(here, HistoryQuery(oldest_first=True)) if one.facts.op is Op.PUT]
    with here.keepwell.library.reading(here.account) as snapshot:
        assert [read_version(snapshot, one.facts.seq)[1] for one in puts] == bodies


@pytest.mark.parametrize(("sequence", "error"), [(0, NotThere), (-3, NotThere), (999, NotThere), (1, BadRequest)])
def test_what_has_no_content_is_refused(here: Desk, sequence: int, error: type[Exception]) -> None:
    """A record that is not there, or puts nothing, has no version to read."""
    with here.keepwell.library.reading(here.account) as snapshot, pytest.raises(error):
        read_version(snapshot, sequence)


def test_a_collection_is_found_by_name(here: Desk) -> None:
    """A name that only one home has is enough; with its home it is found too."""
    assert spot(here, "calendar") == (Home.CALENDARS, "calendar")
    assert spot(here, "contacts/contacts") == (Home.CONTACTS, "contacts")


def test_an_ambiguous_name_is_refused_with_the_choices(here: Desk) -> None:
    """When two homes have the name, the hint says how to tell them apart."""
    here.make("notes")
    with pytest.raises(BadRequest) as refusal:
        spot(here, "notes")
    assert "contacts/notes" in refusal.value.hint
    assert "calendars/notes" in refusal.value.hint
    assert spot(here, "calendars/notes") == (Home.CALENDARS, "notes")


def test_a_dropped_collection_is_still_found(here: Desk) -> None:
    """History and rewind reach what is gone; one that is there now wins over one that was dropped."""
    here.make("friends")
    here.drop("friends")
    assert spot(here, "friends") == (Home.CONTACTS, "friends")
    here.make("tasks")
    here.drop("tasks")
    assert spot(here, "tasks") == (Home.CALENDARS, "tasks")
    with pytest.raises(NotThere, match="nothing-like-it"):
        spot(here, "nothing-like-it")
