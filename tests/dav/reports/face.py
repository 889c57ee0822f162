"""The DAV face over a store in memory, driven in-process: what the tests of reports have in common."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from lxml import etree

from keepwell.dav.app import DavApp
from keepwell.dav.names import PREFIXES
from keepwell.model.errors import NotSignedIn
from keepwell.model.names import AccountId, Home, Kind
from keepwell.model.record import Op
from keepwell.services.actor import Actor, Shared
from keepwell.services.content import prepare
from keepwell.services.library import Library
from keepwell.storage.contract import Entry, Transaction
from keepwell.storage.memory import MemoryStore
from keepwell.storage.writers import Writers

ANNA = AccountId("a_aaaaaaaaaaaaaaaa")
BERTA = AccountId("a_bbbbbbbbbbbbbbbb")
LOGINS = {"anna": ANNA, "berta@example.org": BERTA}

STARTING = (
    (Kind.CONTACTS, "friends"),
    (Kind.CALENDAR, "work"),
    (Kind.TASKS, "tasks"),
    (Kind.NOTES, "notes"),
    (Kind.PHOTOS, "photos"),
)

NAMESPACES = {prefix: namespace for namespace, prefix in PREFIXES.items()}
DECLARED = " ".join(f'xmlns:{prefix}="{namespace}"' for prefix, namespace in NAMESPACES.items())

WORK = "/dav/calendars/anna/work/"
FRIENDS = "/dav/contacts/anna/friends/"
PHOTOS = "/dav/photos/anna/photos/"


class People:
    """A directory of two."""

    def account_of(self, login: str) -> AccountId | None:
        return LOGINS.get(login)

    def login_of(self, account: AccountId) -> str | None:
        return next((login for login, one in LOGINS.items() if one == account), None)

    def display_name(self, account: AccountId) -> str:
        return {ANNA: "Anna Ångström", BERTA: "Berta"}[account]

    def revision(self) -> int:
        return 1


@dataclass
class Door:
    """Signs in whoever says a login; `shared` is what others share with an account."""

    shared: dict[AccountId, Shared] = field(default_factory=dict)

    def sign_in(self, authorization: bytes | None, address: str, agent: str) -> Actor:
        if authorization is None:
            raise NotSignedIn("say who you are")
        login = base64.b64decode(authorization.partition(b" ")[2]).decode().partition(":")[0]
        account = LOGINS[login]
        return Actor(account, login, "test", self.shared.get(account, {}))


@dataclass(frozen=True)
class Answer:
    """What the face answered."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes

    @property
    def root(self) -> etree._Element:
        return etree.fromstring(self.body)

    def texts(self, path: str) -> list[str]:
        """The texts of the elements at this path, with the prefixes that answers use."""
        return [element.text or "" for element in self.root.iterfind(path, NAMESPACES)]

    def statuses(self) -> dict[str, str]:
        """Href → the number of its own status; 200 when it has properties instead, whatever became of them."""
        found = {}
        for response in self.root.iterfind("D:response", NAMESPACES):
            status = response.findtext("D:status", namespaces=NAMESPACES)
            href = response.findtext("D:href", namespaces=NAMESPACES)
            properties = response.find("D:propstat/D:prop", NAMESPACES)
            assert (status is None) != (properties is None), "a response has either a status or properties"
            assert href not in found, f"{href} is in the answer twice"
            found[href or ""] = "200" if status is None else status.split()[1]
        return found

    def hrefs(self) -> set[str]:
        """The last segments of the hrefs that were found."""
        return {href.rpartition("/")[2] for href, status in self.statuses().items() if status == "200"}

    def conditions(self) -> list[str]:
        """The elements of a DAV:error, by prefix and local name, without the sentence for people."""
        prefixes = {namespace: prefix for prefix, namespace in NAMESPACES.items()}
        names = (etree.QName(element) for element in self.root)
        known = [(prefixes.get(str(name.namespace)), name.localname) for name in names]
        return [f"{prefix}:{local}" for prefix, local in known if prefix]

    @property
    def token(self) -> str:
        (token,) = self.texts("D:sync-token")
        return token


class Face:
    """Two accounts with a collection of each kind, and a client to reach them."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        for account in LOGINS.values():
            self.store.create(account, [_open])
        self.writers = Writers(self.store, threads=1)
        self.library = Library(self.store, self.writers)
        self.door = Door()
        self.app = DavApp(self.library, People(), self.door)
        self.loop = asyncio.new_event_loop()

    def close(self) -> None:
        self.writers.close()
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()

    def request(
        self,
        method: str,
        path: str,
        body: str | bytes = b"",
        headers: Mapping[str, str] | None = None,
        login: str = "anna",
    ) -> Answer:
        sent = body.encode() if isinstance(body, str) else body
        secret = base64.b64encode(f"{login}:x".encode())
        pairs = [(b"authorization", b"Basic " + secret), (b"content-length", str(len(sent)).encode())]
        pairs += [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
        return self.loop.run_until_complete(_ask(self.app, method, path, pairs, sent))

    def report(self, path: str, body: str, depth: str | None = "1", login: str = "anna") -> Answer:
        """A REPORT whose body's outermost start tag is completed by the namespaces."""
        name = re.match(r"<[\w:-]+", body)
        assert name is not None
        text = f"{name[0]} {DECLARED} {body[name.end() :]}"
        return self.request("REPORT", path, text, {} if depth is None else {"Depth": depth}, login)

    def put(self, path: str, body: str | bytes) -> None:
        answer = self.request("PUT", path, body)
        assert answer.status in (201, 204), answer.body

    def remove(self, path: str) -> None:
        assert self.request("DELETE", path).status == 204

    def fill(self, home: Home, collection: str, bodies: Mapping[str, bytes]) -> None:
        """Put many items at once, without HTTP and without the library's checks."""

        def work(transaction: Transaction) -> None:
            into = transaction.collection(home, collection)
            assert into is not None
            for name, body in bodies.items():
                item = prepare(home, body)
                entry = Entry(
                    Op.PUT, "test", into.kind, collection, name, item.uid, item.media_type, item.digest, len(body)
                )
                transaction.append(entry, body, item.index)

        assert self.store.account(ANNA).transact([work]) == [None]


def _open(transaction: Transaction) -> None:
    transaction.append(Entry(Op.OPEN, "test"))
    for kind, name in STARTING:
        transaction.append(Entry(Op.MAKE, "test", kind, name, properties={}))


async def _ask(app: DavApp, method: str, path: str, pairs: list[tuple[bytes, bytes]], body: bytes) -> Answer:
    sent: list[dict[str, object]] = []

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    scope: dict[str, object] = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "headers": pairs,
        "client": ("127.0.0.1", 1),
    }
    await app(scope, receive, send)
    status, headers = sent[0]["status"], sent[0]["headers"]
    assert isinstance(status, int)
    assert isinstance(headers, list)
    whole = b"".join(part for message in sent[1:] if isinstance(part := message.get("body"), bytes))
    return Answer(status, dict(headers), whole)


@contextmanager
def running_face() -> Iterator[Face]:
    """A face that is closed at the end."""
    face = Face()
    try:
        yield face
    finally:
        face.close()


def card(uid: str, *lines: str, name: str = "") -> bytes:
    """A vCard 3.0."""
    inside = [f"UID:{uid}", f"FN:{name or uid}", f"N:{name or uid};;;;", *lines]
    return "\r\n".join(("BEGIN:VCARD", "VERSION:3.0", *inside, "END:VCARD", "")).encode()


def calendar(component: str, uid: str, *lines: str) -> bytes:
    """An iCalendar object with one component."""
    inside = [f"BEGIN:{component}", f"UID:{uid}", "DTSTAMP:20260101T000000Z", *lines, f"END:{component}"]
    return "\r\n".join(("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//t//t//EN", *inside, "END:VCALENDAR", "")).encode()


def event(uid: str, *lines: str) -> bytes:
    """An iCalendar object with one event; lasts an hour from 1 June 2026, 10:00 UTC, unless `lines` say otherwise."""
    when = () if any(line.startswith("DTSTART") for line in lines) else ("DTSTART:20260601T100000Z", "DURATION:PT1H")
    return calendar("VEVENT", uid, *when, *lines)
