"""What is measured: each operation, how it is carried out, and how its answers are checked.

Every operation is the same requests for every server. An answer that is not the right one (a wrong status,
too few or too many members, bytes that are missing) is a `WrongAnswerError`, never a time.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from statistics import median
from time import perf_counter

from bench import queries
from bench.client import Answer, Run, drive
from bench.data import Dataset, Item, contacts, events, months, name_fragments
from bench.servers import Target

_CHANGES = 10
_REPETITIONS_MAX = 60


class WrongAnswerError(Exception):
    """A server answered, but not what it should have."""


class Unit(Enum):
    """How a cell is shown: so many in a second, or the time of one."""

    RATE = "/s"
    TIME = "ms"


@dataclass(frozen=True, slots=True)
class Cell:
    """One line of the table: its key for `--only`, its words, and the goal against the faster peer."""

    key: str
    title: str
    unit: Unit
    goal: float | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """What one turn gave: the seconds for one piece (a request, or a whole collection), and how many were done."""

    seconds: float
    pieces: int


@dataclass(frozen=True, slots=True)
class Fixture:
    """One filled server, and the chance that picks what is asked of it; the same for every server in a turn."""

    target: Target
    data: Dataset
    chance: random.Random
    budget_seconds: float

    def run(self, payloads: Sequence[bytes], connections: int = 1, budget_seconds: float | None = None) -> Run:
        """Send requests until they or the budget are used up."""
        budget = self.budget_seconds if budget_seconds is None else budget_seconds
        return drive(self.target.address, payloads, connections=connections, budget_seconds=budget)

    def all_of(self, payloads: Sequence[bytes]) -> Run:
        """Send all the requests, one after the other, however long it takes."""
        return drive(self.target.address, payloads)

    @property
    def collections(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Both collections with the names of their members."""
        return (
            (self.target.contacts, tuple(f"{contact.uid}.vcf" for contact in self.data.contacts)),
            (self.target.calendar, tuple(f"{event.uid}.ics" for event in self.data.events)),
        )


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing to do, and the cells that it fills."""

    cells: tuple[Cell, ...]
    measure: Callable[[Fixture], tuple[Measured, ...]]


def get(connections: int) -> Callable[[Fixture], tuple[Measured, ...]]:
    """GET items at random from both collections."""

    def measure(fixture: Fixture) -> tuple[Measured, ...]:
        names = [name for _, members in fixture.collections for name in members]
        wanted = fixture.chance.choices(names, k=30_000)
        requests = {name: fixture.target.request("GET", fixture.target.path(name)) for name in set(wanted)}
        run = fixture.run([requests[name] for name in wanted], connections)
        for answer in run.answers:
            expect(answer, 200)
            if wanted[answer.index].partition(".")[0].encode() not in answer.body:
                raise WrongAnswerError(f"GET of {wanted[answer.index]} answered other bytes")
        return (_mean(run),)

    return measure


def put_and_delete(connections: int) -> Callable[[Fixture], tuple[Measured, ...]]:
    """PUT new items into both collections, and DELETE them again; in bursts, so that the sizes stay what they are."""

    def measure(fixture: Fixture) -> tuple[Measured, ...]:
        burst = max(32, min(fixture.data.size // 4, 1000))
        puts: list[Run] = []
        deletes: list[Run] = []
        left = fixture.budget_seconds
        while left > 0:
            items = new_items(burst, fixture.chance)
            put = fixture.run([fixture.target.put(item) for item in items], connections, left)
            for answer in put.answers:
                expect(answer, 201)
            gone = [
                fixture.target.request("DELETE", fixture.target.path(items[answer.index].name))
                for answer in put.answers
            ]
            delete = drive(fixture.target.address, gone, connections=connections)
            for answer in delete.answers:
                expect(answer, 200, 204)
            puts.append(put)
            deletes.append(delete)
            left -= put.seconds
        return _mean(*puts), _mean(*deletes)

    return measure


def propfind_all(fixture: Fixture) -> tuple[Measured, ...]:
    """PROPFIND of both collections, all members."""
    payloads = [queries.propfind_all(fixture.target, collection) for collection, _ in fixture.collections]

    def once() -> float:
        run = fixture.all_of(payloads)
        for answer in run.answers:
            expect_members(answer, fixture.data.size + 1)
        return run.seconds

    return (_repeated(fixture, once),)


def initial_sync(fixture: Fixture) -> tuple[Measured, ...]:
    """sync-collection of both collections with an empty token, on to the last page."""
    return (
        _repeated(
            fixture,
            lambda: sum(sync_from_nothing(fixture, collection)[0] for collection, _ in fixture.collections),
        ),
    )


def multiget_all(fixture: Fixture) -> tuple[Measured, ...]:
    """Every item of both collections, a hundred at a time."""
    payloads = [
        payload
        for collection, names in fixture.collections
        for payload in queries.multigets(fixture.target, collection, names)
    ]

    def once() -> float:
        run = fixture.all_of(payloads)
        count = sum(expect(answer, 207).body.count(b"END:VCA") for answer in run.answers)
        if count != 2 * fixture.data.size:
            raise WrongAnswerError(f"multiget of all gave {count} bodies of {2 * fixture.data.size}")
        return run.seconds

    return (_repeated(fixture, once),)


def sync_after_changes(fixture: Fixture) -> tuple[Measured, ...]:
    """sync-collection of the address book after ten of its contacts were changed."""
    _, token = sync_from_nothing(fixture, fixture.target.contacts)
    times: list[float] = []
    started = perf_counter()
    while len(times) < _REPETITIONS_MAX and (not times or perf_counter() - started < 2 * fixture.budget_seconds):
        changed = fixture.chance.sample(fixture.data.contacts, _CHANGES)
        edits = [fixture.target.put(contact.item(fixture.chance.randrange(1, 10**6))) for contact in changed]
        for answer in fixture.all_of(edits).answers:
            expect(answer, 200, 201, 204)
        (answer,) = fixture.all_of([queries.sync_collection(fixture.target, fixture.target.contacts, token)]).answers
        expect_members(answer, _CHANGES)
        token = queries.sync_token(answer.body)
        times.append(answer.seconds)
    return (Measured(median(times), len(times)),)


def calendar_query(fixture: Fixture) -> tuple[Measured, ...]:
    """calendar-query of a month."""
    asked = fixture.chance.sample(months(), len(months()))
    return (
        _queried(
            fixture,
            [queries.calendar_query(fixture.target, month) for month in asked],
            [fixture.data.events_in(month) for month in asked],
        ),
    )


def addressbook_query(fixture: Fixture) -> tuple[Measured, ...]:
    """addressbook-query by a part of the name or address."""
    asked = fixture.chance.sample(name_fragments(), 100)
    return (
        _queried(
            fixture,
            [queries.addressbook_query(fixture.target, fragment) for fragment in asked],
            [fixture.data.names_matching(fragment) for fragment in asked],
        ),
    )


OPERATIONS = (
    Operation((Cell("get-1", "GET, 1 connection", Unit.RATE),), get(1)),
    Operation((Cell("get-16", "GET, 16 connections", Unit.RATE, goal=6),), get(16)),
    Operation((Cell("propfind", "PROPFIND of all", Unit.TIME, goal=4),), propfind_all),
    Operation((Cell("initial-sync", "Initial sync", Unit.TIME),), initial_sync),
    Operation((Cell("multiget", "Multiget of all, by 100", Unit.TIME, goal=5),), multiget_all),
    Operation((Cell("calendar-query", "calendar-query of a month", Unit.TIME, goal=8),), calendar_query),
    Operation((Cell("addressbook-query", "addressbook-query", Unit.TIME, goal=5),), addressbook_query),
    Operation((Cell("sync-changes", "Sync after 10 changes", Unit.TIME),), sync_after_changes),
    Operation(
        (
            Cell("put-1", "PUT, 1 connection", Unit.RATE, goal=9),
            Cell("delete-1", "DELETE, 1 connection", Unit.RATE, goal=9),
        ),
        put_and_delete(1),
    ),
    Operation(
        (
            Cell("put-16", "PUT, 16 connections", Unit.RATE, goal=60),
            Cell("delete-16", "DELETE, 16 connections", Unit.RATE, goal=9),
        ),
        put_and_delete(16),
    ),
)


def warm_up(fixture: Fixture) -> list[str]:
    """Let a server make, untimed, whatever it makes once: caches, indexes, lists of UIDs.

    Three queries of each kind, because Xandikos starts an index at the first and fills it at the second. Answers
    that are wrong are told, not raised: the operation itself will find them too.
    """
    steps = [propfind_all, initial_sync, multiget_all, *(calendar_query, addressbook_query) * 3, _put_and_delete_one]
    wrong = []
    for step in steps:
        try:
            step(fixture)
        except WrongAnswerError as error:
            wrong.append(str(error))
    return wrong


def _put_and_delete_one(fixture: Fixture) -> None:
    items = new_items(2, fixture.chance)
    for answer in fixture.all_of([fixture.target.put(item) for item in items]).answers:
        expect(answer, 201)
    gone = [fixture.target.request("DELETE", fixture.target.path(item.name)) for item in items]
    for answer in fixture.all_of(gone).answers:
        expect(answer, 200, 204)


def sync_from_nothing(fixture: Fixture, collection: str) -> tuple[float, str]:
    """Sync a whole collection; the seconds it took and the token it ended with."""
    token, seconds, count = "", 0.0, 0
    while True:
        (answer,) = fixture.all_of([queries.sync_collection(fixture.target, collection, token)]).answers
        body = expect(answer, 207).body
        seconds += answer.seconds
        count += queries.members(body) - queries.gone(body)
        token = queries.sync_token(body)
        if not queries.is_truncated(body):
            break
    if count != fixture.data.size or not token:
        raise WrongAnswerError(
            f"initial sync gave {count} members of {fixture.data.size}" + ("" if token else " and no token")
        )
    return seconds, token


def new_items(count: int, chance: random.Random) -> list[Item]:
    """So many contacts and events that no server has seen, in turn."""
    pairs = zip(contacts(count // 2, chance), events(count // 2, chance), strict=True)
    return [item for contact, event in pairs for item in (contact.item(), event.item())]


def expect(answer: Answer, *statuses: int) -> Answer:
    """The answer, if it has one of the statuses."""
    if answer.status not in statuses:
        raise WrongAnswerError(
            f"status {answer.status} instead of {' or '.join(map(str, statuses))}: {answer.body[:200]!r}"
        )
    return answer


def expect_members(answer: Answer, count: int) -> None:
    """Raise unless the multistatus speaks of so many resources."""
    found = queries.members(expect(answer, 207).body)
    if found != count:
        raise WrongAnswerError(f"{found} members instead of {count}")


def _queried(fixture: Fixture, payloads: Sequence[bytes], counts: Sequence[int]) -> Measured:
    """Ask in turn, again from the start when the budget is not used up, and check how many each gave."""
    rounds = max(1, _REPETITIONS_MAX * 10 // len(payloads))
    run = fixture.run(list(payloads) * rounds)
    for answer in run.answers:
        expect_members(answer, counts[answer.index % len(counts)])
        if answer.body.count(b"END:VCA") != counts[answer.index % len(counts)]:
            raise WrongAnswerError("a query gave members without their bytes")
    return _mean(run)


def _repeated(fixture: Fixture, once: Callable[[], float]) -> Measured:
    """Do it at least once, and again while the budget lasts."""
    times = [once()]
    while sum(times) < fixture.budget_seconds and len(times) < _REPETITIONS_MAX:
        times.append(once())
    return Measured(sum(times) / len(times), len(times))


def _mean(*runs: Run) -> Measured:
    pieces = sum(len(run.answers) for run in runs)
    return Measured(sum(run.seconds for run in runs) / pieces, pieces)
