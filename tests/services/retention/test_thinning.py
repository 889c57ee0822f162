"""Which versions stay when a history is thinned: a table of lives, and what is left of them."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest

from keepwell.ground.clock import render_moment
from keepwell.model.errors import BadRequest
from keepwell.model.names import Digest, Home, Kind
from keepwell.model.record import Op, Record, digest_of
from keepwell.services.retention.thinning import (
    DAILY_DAYS,
    WEEKLY_DAYS,
    Version,
    check_history_days,
    kept_of_item,
    plan_thinning,
    versions_of,
)
from tests.storage.contract_suite import resealed
from tests.vault.journals import Journal

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
WINDOW = 365
BOB = (Home.CONTACTS, "friends", "bob")


def ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


def life(*days: float, gone: float | None = None) -> list[Version]:
    """Versions put so many days ago, each until the next, the last until it went."""
    ends = [*map(ago, days[1:]), None if gone is None else ago(gone)]
    return [
        Version(BOB, number, ago(day), Digest(f"{number:064}"), 10, until)
        for number, (day, until) in enumerate(zip(days, ends, strict=True), 1)
    ]


def kept(versions: list[Version]) -> list[int]:
    return [one.sequence for one in kept_of_item(versions, NOW, WINDOW)]


def test_what_an_item_is_now_stays_however_old() -> None:
    """One version of ten years ago, never changed."""
    assert kept(life(3650)) == [1]


def test_every_version_that_was_there_in_the_window_stays() -> None:
    """Also one that was put long before and superseded in it: the window can be rewound to, all of it."""
    assert kept(life(3000, 364, 100, 100, 100, 1)) == [1, 2, 3, 4, 5, 6]


def test_a_version_that_ended_just_behind_the_window_is_thinned_by_day() -> None:
    """The last of each day stays, the earlier ones of that day go."""
    assert kept(life(400, 400, 400, 399, 398.9, 1)) == [3, 5, 6]


def test_further_back_it_is_the_last_of_each_week_and_then_of_each_month() -> None:
    """Seven versions of one week become one; thirty of one month become one."""
    week = [WINDOW + DAILY_DAYS + 30 - day / 10 for day in range(7)]
    assert len(kept(life(*week, 1))) <= 3
    month = [WINDOW + WEEKLY_DAYS + 100 - day / 10 for day in range(30)]
    assert len(kept(life(*month, 1))) <= 3
    assert kept(life(*month, 1))[-1] == 31


def test_an_old_version_gives_way_to_a_later_one_of_its_month_whatever_became_of_that() -> None:
    """Changed twice in one day three years ago, and never since: what it is now is the last of that month."""
    assert kept(life(1000, 1000, 1000)) == [3]


def test_of_an_item_that_was_removed_long_ago_its_last_version_stays() -> None:
    """It can be had back, for good."""
    assert kept(life(3000, 2999.99, gone=2000)) == [2]


def test_thinning_leaves_at_least_one_version_of_each_month_and_never_adds() -> None:
    """Over random lives: what stays is a part of what was, each month has one left, and later thinning keeps less."""
    generator = random.Random(7)
    for _ in range(200):
        days = sorted((generator.uniform(0, 2000) for _ in range(generator.randrange(1, 60))), reverse=True)
        versions = life(*days, gone=generator.choice([None, 0.0]))
        first = kept_of_item(versions, NOW, WINDOW)
        assert {one.sequence for one in first} <= {one.sequence for one in versions}
        assert {f"{one.at:%Y-%m}" for one in first} == {f"{one.at:%Y-%m}" for one in versions}
        later = kept_of_item(versions, NOW + timedelta(days=300), WINDOW)
        assert {one.sequence for one in later} <= {one.sequence for one in first}


def test_no_history_is_thinned_before_sixty_days() -> None:
    """However little an operator wants to keep."""
    assert check_history_days(60) == 60
    with pytest.raises(BadRequest, match="59 days"):
        check_history_days(59)


def dated(journal: Journal, days: list[float]) -> list[Record]:
    """The journal's records, made so many days ago."""
    found: list[Record] = []
    for one, day in zip(journal.carried, days, strict=True):
        prev = found[-1].hash if found else one.record.facts.prev
        found.append(resealed(one.record, at=render_moment(ago(day)), prev=prev))
    return found


def test_versions_end_when_they_are_superseded_removed_or_their_collection_dropped() -> None:
    """And an item that came again is another life."""
    journal = Journal()
    journal.put("a", b"1")
    journal.put("a", b"2")
    journal.remove("a")
    journal.put("b", b"3")
    journal.add(Op.DROP, Kind.CONTACTS, "friends")
    journal.add(Op.MAKE, Kind.CONTACTS, "friends", properties={})
    journal.put("b", b"4")
    versions, through = versions_of(dated(journal, [9, 8, 7, 6, 5, 4, 3, 2, 1]))
    ends = {one.sequence: None if one.until is None else (NOW - one.until).days for one in versions}
    assert ends == {3: 6, 4: 5, 6: 3, 9: None}
    assert through == 9


def test_bytes_that_a_kept_version_has_as_well_stay() -> None:
    """They are one content: an old version goes only when nothing that stays has the same bytes."""
    journal = Journal()
    for body in (b"old", b"same", b"new"):
        journal.put("a", body)
    journal.put("b", b"same")
    records = dated(journal, [3000, 3000, 2000, 1999.99, 1999.98, 1])
    thinning = plan_thinning(records, NOW, WINDOW)
    assert thinning.erased.digests == (digest_of(b"old"),)
    assert (thinning.versions, thinning.octets, thinning.erased.through) == (1, 3, 6)


def test_what_is_gone_already_is_not_planned_again() -> None:
    """Each thinning names only what it erases."""
    journal = Journal()
    for body in (b"old", b"older", b"new"):
        journal.put("a", body)
    records = dated(journal, [3000, 3000, 2000, 1999.99, 1999.98])
    assert plan_thinning(records, NOW, WINDOW, lambda _digest: True).erased.digests == ()
