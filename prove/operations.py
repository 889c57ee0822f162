"""What clients do: a seeded stream of every kind of write, over several connections, each with places of its own.

A client claims before it sends and tells after the answer. When its connection breaks it stops: the world decides
whether it goes on. Bodies are unique, so whatever is found tells which request made it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random

from prove.claims import Change, Claim, Claims, Verdict, digest_of
from prove.client import Answer, Client, NoAnswerError

BIG_OCTETS = 150_000
"""From 128 KiB on bytes are kept as a blob of their own."""
NOT_NOW = (503, 507)
"""Answers that a client may be given when the server cannot: nobody knows whether it was done."""
NAMES_EACH = 5
"""So many names a client has in each collection; more requests mean more changes, not more items."""

_WEIGHTS = {"put": 55, "big": 3, "remove": 14, "move": 8, "copy": 5, "conditional": 9, "collection": 6}


@dataclass(frozen=True, slots=True)
class Shelf:
    """A collection that every account has from its beginning."""

    path: str
    component: str

    def of(self, login: str) -> str:
        """Its path for an account."""
        return self.path.format(login)


SHELVES = (
    Shelf("/dav/contacts/{}/contacts/", "VCARD"),
    Shelf("/dav/calendars/{}/calendar/", "VEVENT"),
    Shelf("/dav/calendars/{}/tasks/", "VTODO"),
    Shelf("/dav/calendars/{}/notes/", "VJOURNAL"),
)


@dataclass
class Load:
    """A number of clients at work on one server. `until` is looked at between two requests."""

    port: int
    passwords: dict[str, str]
    claims: Claims
    seed: str
    clients: int = 8
    timeout: float = 30.0
    errors: list[str] = field(default_factory=list)
    """Answers that no client's request may be given: 5xx other than 503 and 507."""
    failures: list[BaseException] = field(default_factory=list)

    def run(self, *, each: int = 10**9, until: Callable[[], bool] = lambda: False) -> None:
        """Let every client make `each` requests, or until told, or until it has no answer any more."""
        threads = [
            threading.Thread(target=self._work, args=(number, each, until), name=f"client-{number}", daemon=True)
            for number in range(self.clients)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self.failures:
            raise self.failures[0]

    @contextmanager
    def going_on(self) -> Iterator[threading.Event]:
        """At work beside what the block does, until the event is set, at the latest at the end of the block.

        A client waits for the answer that it is owed, or for its connection to break.
        """
        stop, failures = threading.Event(), list[BaseException]()

        def work() -> None:
            try:
                self.run(until=stop.is_set)
            except Exception as error:
                failures.append(error)

        working = threading.Thread(target=work, name="load", daemon=True)
        working.start()
        try:
            yield stop
        finally:
            stop.set()
            working.join()
        if failures:
            raise failures[0]

    def _work(self, number: int, each: int, until: Callable[[], bool]) -> None:
        logins = sorted(self.passwords)
        login = logins[number % len(logins)]
        client = Client(self.port, login, self.passwords[login], timeout=self.timeout)
        worker = Worker(client, self.claims, f"c{number}", Random(f"{self.seed}/{number}"), self.errors)
        try:
            for _ in range(each):
                if until() or not worker.step():
                    return
        except Exception as error:
            self.failures.append(error)
        finally:
            client.close()


class Worker:
    """One client. Invariant: only it writes to its places, one request at a time."""

    def __init__(self, client: Client, claims: Claims, name: str, random: Random, errors: list[str]) -> None:
        """As `name`, whose places no other client has."""
        self._client, self._claims, self._name, self._random, self._errors = client, claims, name, random, errors
        self._made = 0

    def step(self) -> bool:
        """One request, of a kind that the seed chooses; False when the connection broke."""
        kind = self._random.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
        try:
            getattr(self, f"_{kind}")()
        except NoAnswerError:
            return False
        return True

    def _put(self) -> None:
        self._send_body(self._place(self._shelf()))

    def _big(self) -> None:
        shelf = SHELVES[0]
        self._send_body(self._place(shelf), padding=BIG_OCTETS)

    def _conditional(self) -> None:
        """Make what must not be there yet: refused or done, as the server finds."""
        self._send_body(self._place(self._shelf()), If_None_Match="*")

    def _remove(self) -> None:
        place = self._place(self._shelf())
        self._send("DELETE", place, (Change(place, None),))

    def _move(self) -> None:
        self._transfer("MOVE")

    def _copy(self) -> None:
        self._transfer("COPY")

    def _collection(self) -> None:
        """Make a collection of its own and fill it, or drop it with all that is in it."""
        base = f"/dav/contacts/{self._client.login}/{self._name}-own/"
        inside = [f"{base}{number}.vcf" for number in range(3)]
        if self._random.random() < 0.3:
            self._send("DELETE", base, (Change(base, None), *(Change(place, None) for place in inside)))
            return
        self._send("MKCOL", base, (Change(base, "collection"),))
        for place in inside:
            self._send_body(place)

    def _transfer(self, verb: str) -> None:
        shelf = self._shelf()
        source, target = self._random.sample(self._places(shelf), 2)
        value = self._claims.expectation.values.get(source, {None})
        if len(value) != 1:
            return  # What would be moved is not known: nothing could be claimed.
        (digest,) = value
        if digest is None:
            return
        moved = (Change(source, None),) if verb == "MOVE" else ()
        destination = f"http://127.0.0.1:{self._client.port}{target}"
        # One UID may be in a collection once: a copy into it is refused, and a move is not.
        self._send(verb, source, (*moved, Change(target, digest)), Destination=destination, Overwrite="T")

    def _send_body(self, place: str, *, padding: int = 0, **headers: str) -> None:
        self._made += 1
        body = body_for(place, f"{self._name} {self._random.getrandbits(64):x} {self._made}", padding)
        sort = "text/vcard" if place.endswith(".vcf") else "text/calendar"
        self._send("PUT", place, (Change(place, digest_of(body)),), body, Content_Type=sort, **headers)

    def _send(
        self, verb: str, path: str, changes: tuple[Change, ...], body: bytes | None = None, **headers: str
    ) -> None:
        claim = Claim(self._name, verb, changes)
        number = self._claims.intend(claim)
        try:
            answer = self._client.ask(verb, path, body, **headers)
        except NoAnswerError as error:
            self._claims.ended(number, claim, Verdict.UNKNOWN, str(error))
            raise
        self._claims.ended(number, claim, verdict_of(answer), f"{answer.status} {answer.body[:200]!r}")
        if answer.status >= 500 and answer.status not in NOT_NOW:
            self._errors.append(f"{verb} {path}: {answer.status} {answer.body[:300]!r}")

    def _shelf(self) -> Shelf:
        return self._random.choice(SHELVES)

    def _place(self, shelf: Shelf) -> str:
        return self._random.choice(self._places(shelf))

    def _places(self, shelf: Shelf) -> Sequence[str]:
        extension = "vcf" if shelf.component == "VCARD" else "ics"
        base = shelf.of(self._client.login)
        return [f"{base}{self._name}-{number}.{extension}" for number in range(NAMES_EACH)]


def verdict_of(answer: Answer) -> Verdict:
    """What a client may conclude from an answer."""
    if 200 <= answer.status < 300:
        return Verdict.OK
    return Verdict.REFUSED if answer.status < 500 else Verdict.UNKNOWN


def body_for(place: str, text: str, padding: int = 0) -> bytes:
    """An item that belongs at this place; its UID is that of the place, so a change keeps it."""
    uid = place.replace("/", ".")
    if place.endswith(".vcf"):
        lines = ["BEGIN:VCARD", "VERSION:3.0", f"UID:{uid}", f"FN:{text}", f"N:{text};;;;"]
        lines += [f"NOTE:{'x' * padding}"] if padding else []
        return _crlf([*lines, "END:VCARD"])
    component = next(shelf.component for shelf in SHELVES if shelf.path.split("/")[4] in place.split("/"))
    start = [] if component == "VTODO" else ["DTSTART:20260301T100000Z"]
    inside = [f"BEGIN:{component}", f"UID:{uid}", "DTSTAMP:20260101T000000Z", *start, f"SUMMARY:{text}"]
    around = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Keepwell//proving//EN"]
    return _crlf([*around, *inside, f"END:{component}", "END:VCALENDAR"])


def _crlf(lines: Sequence[str]) -> bytes:
    return "".join(f"{line}\r\n" for line in lines).encode()
