"""An account in memory for targets that ask the DAV face: one collection of each kind with a few items, never changed.

Nothing here leaves the thread that asks, and nothing that is asked changes anything: one input says all of a run.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from keepwell.dav.paths import parse_path
from keepwell.dav.reports import REPORTS
from keepwell.dav.request import DavRequest, Message, read_headers
from keepwell.model.names import AccountId, Home, Kind
from keepwell.model.record import Op
from keepwell.services.actor import Actor
from keepwell.services.content import prepare
from keepwell.services.library import Library
from keepwell.storage.contract import Entry, Transaction
from keepwell.storage.memory import MemoryStore
from keepwell.storage.writers import Writers

LOGIN: Final = "ada"
ACCOUNT: Final = AccountId("a_aaaaaaaaaaaaaaaa")
ACTOR: Final = Actor(ACCOUNT, LOGIN, "fuzzing")
HOST: Final = b"example.invalid"
PATHS: Final = (
    "/dav/",
    "/dav/principals/ada/",
    "/dav/calendars/ada/",
    "/dav/calendars/ada/work/",
    "/dav/calendars/ada/work/1.ics",
    "/dav/contacts/ada/friends/",
    "/dav/contacts/ada/friends/1.vcf",
    "/dav/photos/ada/photos/",
)

_CALENDAR: Final = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{}END:VCALENDAR\r\n"
_EVENT: Final = "BEGIN:VEVENT\r\nUID:{}\r\nDTSTART:20260105T090000Z\r\nRRULE:FREQ=WEEKLY\r\nEND:VEVENT\r\n"
_CARD: Final = "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:{}\r\nFN:A & <b>\r\nEND:VCARD\r\n"
_COLLECTIONS: Final = ((Kind.CONTACTS, "friends"), (Kind.CALENDAR, "work"), (Kind.PHOTOS, "photos"))
_ITEMS: Final = (
    (Home.CONTACTS, "friends", "1.vcf", _CARD.format(1)),
    (Home.CONTACTS, "friends", "2 ä.vcf", _CARD.format(2)),
    (Home.CALENDARS, "work", "1.ics", _CALENDAR.format(_EVENT.format(1))),
    (Home.CALENDARS, "work", "2.ics", _CALENDAR.format("BEGIN:VTODO\r\nUID:2\r\nDUE:20260105T090000\r\nEND:VTODO\r\n")),
)


class StillClock:
    """It is always the same moment, so that an input is the same input at any time."""

    def now(self) -> datetime:
        """The moment."""
        return datetime(2026, 11, 23, 8, 58, 54, tzinfo=UTC)

    def monotonic(self) -> float:
        """No time passes."""
        return 0.0


class SameEntropy:
    """Hands out the same bytes always."""

    def octets(self, count: int) -> bytes:
        """`count` of them."""
        return b"\x5a" * count


class People:
    """A directory of one."""

    def account_of(self, login: str) -> AccountId | None:
        """The account, for its login."""
        return ACCOUNT if login == LOGIN else None

    def login_of(self, account: AccountId) -> str | None:
        """The login, for its account."""
        return LOGIN if account == ACCOUNT else None

    def display_name(self, account: AccountId) -> str:
        """A name that XML has to escape."""
        return "Ada <& Co>"

    def revision(self) -> int:
        """Never changes."""
        return 1


def _fill(transaction: Transaction) -> None:
    transaction.append(Entry(Op.OPEN, "fuzzing"))
    for kind, name in _COLLECTIONS:
        transaction.append(
            Entry(Op.MAKE, "fuzzing", kind, name, properties={"displayname": "]]> & <", "{u:}x": "<x/>"})
        )
    for home, collection, name, text in _ITEMS:
        item, body, into = prepare(home, text.encode()), text.encode(), transaction.collection(home, collection)
        if into is not None:
            facts = (into.kind, collection, name, item.uid, item.media_type, item.digest, len(body))
            transaction.append(Entry(Op.PUT, "fuzzing", *facts), body, item.index)


def _library() -> Library:
    store = MemoryStore(StillClock(), SameEntropy())
    store.create(ACCOUNT, [_fill])
    writers = Writers(store, threads=1)
    writers.close()
    return Library(store, writers)


LIBRARY: Final = _library()
PEOPLE: Final = People()


async def _nothing() -> Message:
    return {"type": "http.disconnect"}


def request_for(method: str, path: str, headers: Sequence[tuple[bytes, bytes]] = ()) -> DavRequest:
    """A request of the account's owner, whose body nobody reads. Raises NotThere, BadRequest."""
    own = read_headers([*headers, (b"host", HOST)] if all(name != b"host" for name, _ in headers) else list(headers))
    return DavRequest(method, parse_path(path), own, ACTOR, LIBRARY, PEOPLE, _nothing, frozenset(REPORTS))
