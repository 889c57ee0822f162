"""A rewind makes a collection what it was, by new records, and can itself be rewound."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from keepwell.ground.clock import render_moment
from keepwell.model.errors import AlreadyThere, BadRequest, ContentRefused, Forbidden, NotThere, PreconditionFailed
from keepwell.model.names import Digest, Home, Kind
from keepwell.model.record import Op, Properties
from keepwell.services import indexing
from keepwell.services.check import Checker
from keepwell.services.rewind import (
    CollectionThen,
    ItemThen,
    Rewinder,
    RewindPlan,
    parse_target,
    plan_rewind,
    sequence_at,
)
from tests.services.samples import Desk, card, desk, event

SPOT = (Home.CONTACTS, "contacts")


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path) as found:
        yield found


def rewind(here: Desk, target: int, spot: tuple[Home, str] = SPOT, based_on: int | None = None) -> RewindPlan:
    rewinder = Rewinder(here.keepwell.store, here.keepwell.writers)
    plan = rewinder.preview(here.actor, spot, target)
    return rewinder.rewind(here.actor, plan, only_if_based_on=based_on).result()


def sound(here: Desk) -> bool:
    return not Checker(here.keepwell.store).check(here.account)


def item(digest: str, properties: Properties | None = None) -> ItemThen:
    return ItemThen(Digest(digest), 1, digest, "text/vcard", properties)


def state(properties: Properties | None = None, kind: Kind = Kind.CONTACTS, **items: ItemThen) -> CollectionThen:
    return CollectionThen(kind, properties or {}, 1, items)


@pytest.mark.parametrize(
    ("now", "then", "steps"),
    [
        (None, None, []),
        (state(a=item("1")), state(a=item("1")), []),
        (state(), None, [(Op.DROP, "")]),
        (None, state(a=item("1")), [(Op.MAKE, ""), (Op.PUT, "a")]),
        (state({"x": "1"}), state({"x": "2"}), [(Op.SET, "")]),
        (state(a=item("1")), state(b=item("1")), [(Op.REMOVE, "a"), (Op.PUT, "b")]),
        (state(a=item("1")), state(a=item("2")), [(Op.PUT, "a")]),
        (state(a=item("1", {"x": "1"})), state(a=item("1")), [(Op.PUT, "a")]),
        (
            state(kind=Kind.TASKS, a=item("1")),
            state(kind=Kind.NOTES, a=item("1")),
            [(Op.DROP, ""), (Op.MAKE, ""), (Op.PUT, "a")],
        ),
    ],
)
def test_a_plan_has_the_fewest_steps(
    now: CollectionThen | None, then: CollectionThen | None, steps: list[tuple[Op, str]]
) -> None:
    """Only what differs is changed, and removals come before puts."""
    plan = plan_rewind(SPOT, 1, now, then, 2)
    assert [(step.op, step.name) for step in plan.steps] == steps


def test_items_are_brought_back_changed_back_and_removed(here: Desk) -> None:
    """After a rewind the collection holds the bytes that it held then."""
    here.put("contacts", "kept.vcf", card("k"))
    here.put("contacts", "changed.vcf", card("c", "Before"))
    here.put("contacts", "gone.vcf", card("g"))
    then, target = here.bodies("contacts"), here.head()
    here.put("contacts", "changed.vcf", card("c", "After"))
    here.remove("contacts", "gone.vcf")
    here.put("contacts", "new.vcf", card("n"))
    plan = rewind(here, target)
    assert [(step.op, step.name, step.is_new) for step in plan.steps] == [
        (Op.REMOVE, "new.vcf", False),
        (Op.PUT, "changed.vcf", False),
        (Op.PUT, "gone.vcf", True),
    ]
    assert here.bodies("contacts") == then
    assert sound(here)


def test_a_rewind_can_be_rewound(here: Desk) -> None:
    """The journal only grows, so the state before a rewind is reached like any other."""
    here.put("contacts", "bob.vcf", card("b"))
    target = here.head()
    here.put("contacts", "eve.vcf", card("e"))
    before, ledger = here.bodies("contacts"), here.ledger()
    plan = rewind(here, target)
    assert list(here.bodies("contacts")) == ["bob.vcf"]
    rewind(here, plan.based_on)
    assert here.bodies("contacts") == before
    assert here.ledger() == ledger


def test_nothing_is_written_when_nothing_differs(here: Desk) -> None:
    """A rewind to the present has no steps and leaves the journal as it is."""
    here.put("contacts", "bob.vcf", card("b"))
    head = here.head()
    assert rewind(here, head).steps == ()
    assert here.head() == head


def test_a_dropped_collection_is_made_again(here: Desk) -> None:
    """With its properties and all its items; queries find them again."""
    spot = (Home.CALENDARS, "trips")
    here.make("trips", Kind.CALENDAR, Home.CALENDARS, displayname="Trips", components="VEVENT")
    here.put("trips", "one.ics", event("1"), Home.CALENDARS)
    here.put("trips", "two.ics", event("2"), Home.CALENDARS)
    then, target = here.bodies("trips", Home.CALENDARS), here.head()
    here.drop("trips", Home.CALENDARS)
    rewind(here, target, spot)
    assert here.bodies("trips", Home.CALENDARS) == then
    with here.keepwell.library.reading(here.account) as snapshot:
        found = snapshot.collection(*spot)
        assert found is not None
        assert found.properties == {"displayname": "Trips", "components": "VEVENT"}
        assert {one.component for one in snapshot.items(found.id)} == {"VEVENT"}
    assert sound(here)


def test_properties_are_set_back(here: Desk) -> None:
    """A collection's name and color are part of what it was."""
    target = here.head()
    place = here.place("contacts")
    here.keepwell.library.set_collection_properties(here.actor, place, {"displayname": "Other"}).result()
    assert [step.op for step in rewind(here, target).steps] == [Op.SET]
    with here.keepwell.library.reading(here.account) as snapshot:
        found = snapshot.collection(*SPOT)
    assert found is not None
    assert found.properties == {"displayname": "Contacts"}


def test_a_collection_that_did_not_exist_is_dropped_and_comes_back(here: Desk) -> None:
    """To before it was made means that it goes; rewinding that brings it back whole."""
    target = here.head()
    here.make("friends")
    here.put("friends", "bob.vcf", card("b"))
    spot = (Home.CONTACTS, "friends")
    plan = rewind(here, target, spot)
    assert "friends" not in here.collections(Home.CONTACTS)
    rewind(here, plan.based_on, spot)
    assert here.bodies("friends") == {"bob.vcf": card("b")}


def test_a_folder_with_folders_in_it_is_not_dropped(here: Desk) -> None:
    """A rewind never takes a collection away from under another, nor makes one without its parent."""
    target = here.head()
    here.make("trip", Kind.PHOTOS, Home.PHOTOS)
    here.make("trip/day", Kind.PHOTOS, Home.PHOTOS)
    whole = here.head()
    with pytest.raises(Forbidden, match="trip/day"):
        rewind(here, target, (Home.PHOTOS, "trip"))
    here.drop("trip", Home.PHOTOS)
    with pytest.raises(NotThere, match="photos/trip, which is gone"):
        rewind(here, whole, (Home.PHOTOS, "trip/day"))


def test_a_rewind_takes_what_was_done_since_its_preview_too(here: Desk) -> None:
    """It is planned again in the transaction; only when asked does it refuse because something changed."""
    target = here.head()
    here.put("contacts", "bob.vcf", card("b"))
    rewinder = Rewinder(here.keepwell.store, here.keepwell.writers)
    preview = rewinder.preview(here.actor, SPOT, target)
    here.put("contacts", "eve.vcf", card("e"))
    with pytest.raises(PreconditionFailed):
        rewinder.rewind(here.actor, preview, only_if_based_on=preview.based_on).result()
    assert len(here.bodies("contacts")) == 2
    done = rewinder.rewind(here.actor, preview).result()
    assert done.count(Op.REMOVE) == 2
    assert here.bodies("contacts") == {}


def test_an_item_that_would_be_refused_today_is_not_lost(here: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes that were taken once come back even when the rules became stricter; only queries miss them."""
    here.put("contacts", "old.vcf", card("o"))
    target = here.head()
    here.remove("contacts", "old.vcf")

    def refuse(*_: object) -> None:
        raise ContentRefused("stricter now", condition="valid-address-data")

    monkeypatch.setattr(indexing, "examine", refuse)
    rewind(here, target)
    assert here.bodies("contacts") == {"old.vcf": card("o")}


def test_a_moment_is_the_last_record_at_or_before_it(here: Desk) -> None:
    """The state at a moment has everything that had happened by then, and nothing later."""
    here.put("contacts", "bob.vcf", card("b"))
    target = here.head()
    between = render_moment(here.clock.moment)
    here.clock.advance(60)
    here.put("contacts", "eve.vcf", card("e"))
    with here.keepwell.library.reading(here.account) as snapshot:
        assert sequence_at(snapshot, parse_target(between)) == target
        with pytest.raises(NotThere, match="no history"):
            sequence_at(snapshot, parse_target("2001-01-01"))


def test_a_moment_without_offset_is_local(monkeypatch: pytest.MonkeyPatch) -> None:
    """People write the time that their clock shows; RFC 3339 says its offset itself."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    __import__("time").tzset()
    try:
        assert parse_target("2026-11-23 10:00") == "2026-11-23T09:00:00.000000Z"
        assert parse_target("2026-11-23T10:00:00Z") == "2026-11-23T10:00:00.000000Z"
        assert parse_target("2026-11-23T10:00:00+05:00") == "2026-11-23T05:00:00.000000Z"
    finally:
        monkeypatch.undo()
        __import__("time").tzset()


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "10:00"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    """The refusal shows how to write one."""
    with pytest.raises(BadRequest) as refusal:
        parse_target(text)
    assert "2026" in refusal.value.hint


@pytest.mark.parametrize("target", [0, -1, 10_000])
def test_a_record_that_is_not_there_is_refused(here: Desk, target: int) -> None:
    """The hint says which there are."""
    with pytest.raises(NotThere):
        rewind(here, target)


def test_a_photo_does_not_come_back_where_a_folder_is_now(here: Desk) -> None:
    """A file and a folder of one name could not be exported, so the rewind is refused and changes nothing."""
    here.put("photos", "thing", b"a photo", Home.PHOTOS)
    target = here.head()
    here.remove("photos", "thing", Home.PHOTOS)
    here.make("photos/thing", Kind.PHOTOS, Home.PHOTOS)
    head = here.head()
    with pytest.raises(AlreadyThere, match="photos/photos/thing is a folder now"):
        rewind(here, target, (Home.PHOTOS, "photos"))
    assert here.head() == head


def test_a_folder_does_not_come_back_where_a_photo_is_now(here: Desk) -> None:
    """Nor the other way round."""
    here.make("photos/thing", Kind.PHOTOS, Home.PHOTOS)
    target = here.head()
    here.drop("photos/thing", Home.PHOTOS)
    here.put("photos", "thing", b"a photo", Home.PHOTOS)
    with pytest.raises(AlreadyThere, match="photos/photos/thing is a file now"):
        rewind(here, target, (Home.PHOTOS, "photos/thing"))
    assert here.collections(Home.PHOTOS) == ["photos"]
