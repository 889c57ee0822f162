"""Attacking by requests: asking as the attacker, and what is required of every answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from prove.client import Answer, Client
from prove.siege import ATTACKER, Siege

HOMES: Final = f"/dav/contacts/{ATTACKER}/", f"/dav/calendars/{ATTACKER}/", f"/dav/photos/{ATTACKER}/"
CARDS: Final = f"/dav/contacts/{ATTACKER}/contacts/"
CALENDAR: Final = f"/dav/calendars/{ATTACKER}/calendar/"
FILES: Final = f"/dav/photos/{ATTACKER}/photos/"
NAMESPACES: Final = 'xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav" xmlns:A="urn:ietf:params:xml:ns:carddav"'
XML: Final = {"Content_Type": "application/xml"}
CLOSING: Final = frozenset({413, 431})
"""After these the server closes the connection: it has not read the rest."""
ANSWER_OCTETS_MAX: Final = 80 * 1024 * 1024
"""Reports are cut at 64 MiB; what comes besides is little."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Asks as the attacker. `size` is how much of everything: the small size or the full one."""

    under: Siege
    client: Client
    full: bool

    def __call__(self, method: str, path: str, body: str | bytes = b"", *wanted: int, **headers: str) -> Answer:
        """One request, answered fairly, with one of the statuses when any is wanted. Raises FailedError."""
        octets = body.encode() if isinstance(body, str) else body
        answer = self.client.ask(method, path, octets, **headers)
        if answer.status in CLOSING:
            self.client.close()
        what = f"{method} {path[:80]} of {len(octets):,} octets"
        self.under.require_fair(answer, what)
        require = self.under.unit.require_that
        require(not wanted or answer.status in wanted, f"{what}: {answer.status}, not {wanted}: {answer.body[:300]!r}")
        require(len(answer.body) <= ANSWER_OCTETS_MAX, f"{what}: answered {len(answer.body):,} octets")
        require(b"root:" not in answer.body, f"{what}: a file of the system is in the answer")
        return answer

    def find(self, path: str, body: str, *wanted: int, depth: str = "1") -> Answer:
        """A PROPFIND."""
        return self("PROPFIND", path, body, *wanted, Depth=depth, **XML)

    def report(self, path: str, body: str, *wanted: int, depth: str = "1") -> Answer:
        """A REPORT."""
        return self("REPORT", path, body, *wanted, Depth=depth, **XML)


Attack = Callable[[Ask], None]


def times(count: int, text: str) -> str:
    """The text so often, each with its number for braces."""
    return "".join(text.replace("{}", str(number)) for number in range(count))


def numbered(ask: Ask, small: int, full: int) -> Iterator[int]:
    """Numbers up to the size of the unit."""
    return iter(range(full if ask.full else small))
