"""The status says how many copies there are, and never more than can be known at that moment."""

from __future__ import annotations

import msgspec
import pytest

from keepwell.ground.clock import render_moment
from keepwell.model.names import AccountId, Kind, Lineage
from keepwell.services.drills import DrillResult
from keepwell.services.incidents import Cause, Incident, KindIncident
from keepwell.services.outages import Outage
from keepwell.services.status.judging import Facts, judge_status
from keepwell.services.status.reports import HeldReport, LinkReport, ProcessReport
from keepwell.services.status.values import PEOPLES_KINDS, Status, VaultState, Writes
from keepwell.services.status.words import age_words, duration_words, view_of
from keepwell.services.vault_settings import OnLoss, VaultSetting
from keepwell.services.verified import Pass, Repairs, Verification, Verified
from keepwell.vault.independence import Grade as Independent
from keepwell.vault.independence import Independence
from keepwell.vault.verify import Grade
from tests.support.clock import FakeClock

CLOCK = FakeClock()
NOW = CLOCK.now()
SAME_DISK = Independence(Independent.SAME_DISK, "on the same disk, 8:1")
OTHER_DISK = Independence(Independent.OTHER_DISK, "on another disk, 8:17")
OTHER_HOST = Independence(Independent.OTHER_HOST, "on another host, secret.example.org")


def setting(name: str = "near", **fields: object) -> VaultSetting:
    return VaultSetting(**{"name": name, "url": f"/secret/{name}", "id": f"v_{name}", "confirm": True} | fields)  # type: ignore[arg-type]


def link(vault: str = "near", **fields: object) -> LinkReport:
    return LinkReport(**{"vault": vault, "independence": OTHER_DISK} | fields)  # type: ignore[arg-type]


def report(*links: LinkReport, process: int = 1, refusal: str = "", held: HeldReport | None = None) -> ProcessReport:
    return ProcessReport(at=render_moment(NOW), process=process, refusal=refusal, links=links, held=held)


def verified(damaged: int = 0, seconds_ago: float = 0.0) -> Verified:
    clock = FakeClock()
    clock.advance(-seconds_ago)
    one = Verification(at=render_moment(clock.now()), objects=3, octets=300, seconds=0.1, damaged=damaged)
    return Verified(grades={Grade.CONTENT: one}, repairs=Repairs(objects=2))


def under_way(damaged: int) -> Verified:
    return verified().with_pass(Grade.RECORDS, Pass(began_at=render_moment(NOW), damaged=damaged))


def drill(vault: str = "near", *, passed: bool = True) -> DrillResult:
    clock = FakeClock()
    clock.advance(-7200)
    return DrillResult(
        at=render_moment(clock.now()), vault=vault, passed=passed, seconds_to_contacts=1.5, seconds_to_everything=4.0
    )


def judged(*reports: ProcessReport, settings: tuple[VaultSetting, ...] = (setting(),), **facts: object) -> Status:
    given = {"now": NOW, "served": True, "settings": settings, "reports": reports} | facts
    return judge_status(Facts(**given))  # type: ignore[arg-type]


def test_without_a_vault_there_is_one_copy_of_every_kind() -> None:
    """And it is said so."""
    status = judged(settings=())
    assert status.copies == dict.fromkeys(PEOPLES_KINDS, 1)
    assert Kind.SYSTEM not in status.copies
    view = view_of(status)
    assert (view.headline, view.is_good, view.kinds) == ("One copy", False, ())
    assert "There is no vault" in view.independence


def test_a_vault_that_is_open_and_lacks_nothing_is_a_copy() -> None:
    """Whatever its role: a vault that follows counts when it has everything."""
    for role in (setting(), setting(confirm=False), setting(on_loss=OnLoss.DEGRADE)):
        status = judged(report(link()), settings=(role,))
        assert set(status.copies.values()) == {2}
        assert (status.vaults[0].state, status.vaults[0].lacking) == (VaultState.OPEN, "")
        assert view_of(status).headline == "Two copies"


@pytest.mark.parametrize(
    ("links", "fields", "known", "why"),
    [
        ([link(fault="it is unmounted")], {}, Verified(), "it is down"),
        ([link(), link(fault="it is unmounted")], {}, Verified(), "it is down"),
        ([], {}, Verified(), "nobody has looked at it yet"),
        ([link(behind_accounts=1)], {}, Verified(), "it lacks something of 1 account"),
        ([link(behind_accounts=1), link(behind_accounts=2)], {}, Verified(), "it lacks something of 3 accounts"),
        ([link()], {"confirmed": False}, Verified(), "its recovery key was not typed back yet"),
        ([link()], {}, verified(damaged=2), "2 things in it are damaged or missing"),
        ([link()], {}, under_way(damaged=3), "3 things in it are damaged or missing"),
    ],
    ids=["down", "down in one", "unknown", "behind", "behind in two", "key not proven", "damaged", "damaged so far"],
)
def test_a_vault_that_may_lack_something_does_not_count(
    links: list[LinkReport], fields: dict[str, object], known: Verified, why: str
) -> None:
    """Of several processes the worst counts; an encrypted vault whose recovery key nobody typed counts for nothing."""
    reports = [report(one, process=number) for number, one in enumerate(links)]
    status = judged(*reports, settings=(setting(**fields),), verified={"near": known})
    assert status.vaults[0].lacking == why
    assert set(status.copies.values()) == {1}
    assert view_of(status).headline == "One copy"


def test_copies_on_one_disk_are_counted_and_called_what_they_are() -> None:
    """Two copies that fall with one disk are two copies, and do not survive it."""
    status = judged(report(link(independence=SAME_DISK)))
    assert status.copies_least == 2
    assert (status.survives_disk, status.survives_host) == (False, False)
    assert "not of the disk" in view_of(status).independence
    assert not view_of(status).is_good


def test_only_vaults_that_count_make_the_data_survive() -> None:
    """A vault on another host that is behind protects nothing of what it lacks."""
    settings = (setting(), setting("far"))
    far = link("far", independence=OTHER_HOST)
    whole = judged(report(link(), far), settings=settings)
    assert (whole.copies_least, whole.survives_host, view_of(whole).headline) == (3, True, "Three copies")
    behind = judged(report(link(), msgspec.structs.replace(far, behind_accounts=1)), settings=settings)
    assert (behind.copies_least, behind.survives_host, behind.survives_disk) == (2, False, True)


def test_how_many_copies_confirm_a_change_is_told_apart_from_how_many_there_are() -> None:
    """A vault that follows is a copy, and no change waits for it."""
    settings = (setting(), setting("far", confirm=False))
    status = judged(report(link(), link("far")), settings=settings)
    assert (status.copies_least, status.confirming) == (3, 2)
    assert "synced in two copies" in view_of(status).confirming
    down = judged(report(link(fault="gone"), link("far")), settings=settings)
    assert "synced to this server\u2019s disk" in view_of(down).confirming


def test_writes_are_refused_when_any_process_refuses_them() -> None:
    """With the reason for the operator; and without a server there are none."""
    status = judged(report(link()), report(link(), process=2, refusal="vault near cannot confirm"))
    assert (status.writes, status.refusal) == (Writes.REFUSED, "vault near cannot confirm")
    assert "refused for now" in view_of(status).writes
    assert judged(report(link())).writes is Writes.TAKEN
    assert judged(report(link()), served=False).writes is Writes.UNSERVED


def test_what_is_held_is_counted_by_kind() -> None:
    """By the one process that looks."""
    held = HeldReport(accounts=2, kinds={Kind.CONTACTS: 2, Kind.NOTES: 1})
    status = judged(report(link()), report(link(), process=2, held=held))
    assert (status.held_accounts, status.held) == (2, {Kind.CONTACTS: 2, Kind.NOTES: 1})
    view = view_of(status)
    assert "Of 2 accounts" in view.held
    assert "contacts, notes" in view.held
    assert not view.is_good


def test_verifications_have_their_age_and_repairs_their_count() -> None:
    """Per vault and grade."""
    status = judged(report(link()), verified={"near": verified(seconds_ago=90)})
    [vault] = status.vaults
    assert vault.verified[Grade.CONTENT].age_seconds == 90
    assert status.store is None
    assert Grade.RECORDS not in vault.verified
    assert vault.repairs.objects == 2


def test_incidents_that_wait_for_a_decision_are_told() -> None:
    """Those that were decided are not."""
    waiting = KindIncident(known=None, count=3, reason="items are missing")
    decided = msgspec.structs.replace(waiting, accepted_at=render_moment(NOW))
    one = Incident(
        id="1",
        account=AccountId("a_anna"),
        login="anna",
        found_at=render_moment(NOW),
        cause=Cause.WITNESS,
        sequence_known=9,
        sequence_here=3,
        lineage_before=Lineage("before"),
        kinds={Kind.CONTACTS: waiting},
    )
    other = msgspec.structs.replace(one, id="2", kinds={Kind.CONTACTS: decided})
    assert judged(incidents=(one, other)).incidents == (one,)
    assert "anna" not in repr(view_of(judged(incidents=(one,))))


def test_the_check_of_the_store_itself_is_told() -> None:
    """Its age, and how many accounts are damaged."""
    found = verified(damaged=1, seconds_ago=60).grades[Grade.CONTENT]
    status = judged(store=Verified(grades={Grade.RECORDS: found}))
    assert status.store is not None
    assert (status.store.age_seconds, status.store.damaged) == (60, 1)


def test_a_drill_is_told_with_its_age_and_its_times_and_a_failed_one_as_failed() -> None:
    """The last of each vault, and the last of all; what was never drilled is called unproven."""
    settings = (setting(), setting("far"))
    status = judged(report(link()), settings=settings, drills=[drill("far", passed=False), drill()])
    assert [one.drill and one.drill.passed for one in status.vaults] == [True, False]
    assert view_of(status).drill == (
        "A restore was last proven 2 hours ago: contacts were back after 1.5 s, everything after 4.0 s."
    )
    sample = msgspec.structs.replace(drill(), accounts=100, accounts_known=4000)
    assert "A restore of 100 of 4000 accounts was last proven" in view_of(judged(report(link()), drills=[sample])).drill
    failed = judged(report(link()), drills=[drill(), drill(passed=False)])
    assert "failed" in view_of(failed).drill
    assert "not proven yet" in view_of(judged(report(link()))).drill


def test_outages_of_all_processes_are_told_once_each() -> None:
    """In order of their beginnings."""
    first = Outage("2026-11-23T07:00:00.000000Z", "unmounted", "2026-11-23T07:01:00.000000Z")
    second = Outage("2026-11-23T07:30:00.000000Z", "unmounted")
    status = judged(report(link(outages=(first, second))), report(link(outages=(second,)), process=2))
    assert status.vaults[0].outages == (first, second)
    ended = msgspec.structs.replace(second, until="2026-11-23T07:40:00.000000Z")
    status = judged(report(link(outages=(ended,))), report(link(outages=(second,)), process=2))
    assert status.vaults[0].outages == (ended,)


def test_the_words_for_everybody_name_no_place_and_no_person() -> None:
    """Whatever the status knows: the home page is public."""
    status = judged(
        report(link(fault="/secret/near is unmounted", independence=OTHER_HOST), refusal="/secret/near cannot confirm"),
        verified={"near": verified(damaged=1)},
        drills=[msgspec.structs.replace(drill(), sampled=("anna",), problems=("/secret is gone",))],
    )
    words = repr(view_of(status))
    for secret in ("secret", "near", "anna"):
        assert secret not in words


def test_ages_and_durations_in_words() -> None:
    """Whole units, the largest that fits."""
    assert [age_words(one) for one in (3, 61, 7300, 86400 * 3)] == [
        "just now",
        "1 minute ago",
        "2 hours ago",
        "3 days ago",
    ]
    assert [duration_words(one) for one in (0.42, 12, 300, 9000)] == ["0.4 s", "12 s", "5 min", "2.5 h"]
