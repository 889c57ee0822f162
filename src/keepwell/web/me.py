"""The page of the signed-in person: what they have here, which app passwords there are, and who used the account.

Promises: it shows one's own account and what others share with it, and nothing else; it changes nothing, because a
browser that remembers a Basic password would also send it with another site's form. How to make and revoke app
passwords is said in words instead. Days are those of UTC.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final, Protocol

from starlette.requests import Request

from keepwell.ground.clock import parse_moment, render_moment
from keepwell.model.names import HOME_OF, AccountId, Kind
from keepwell.services.access_log import SIGNED_IN, AccessLog
from keepwell.services.actor import Actor
from keepwell.services.directory import Directory
from keepwell.services.library import Library
from keepwell.services.signin import SignIn
from keepwell.services.whole import whole_collections
from keepwell.storage.access_table import AccessEntry

DAYS_SHOWN: Final = 7
ENTRIES_MAX: Final = 1000
CREDENTIAL_PREFIX: Final = "app-password:"

_KIND_WORDS: Final = {
    Kind.CONTACTS: "Address book",
    Kind.CALENDAR: "Calendar",
    Kind.TASKS: "Task list",
    Kind.NOTES: "Notebook",
    Kind.PHOTOS: "Album",
}


class People(Protocol):
    """What the page needs of the services below; the wired application has all of them."""

    @property
    def library(self) -> Library:
        """Collections, for actors."""
        ...

    @property
    def directory(self) -> Directory:
        """Who is who, and their app passwords."""
        ...

    @property
    def access_log(self) -> AccessLog:
        """Who used an account."""
        ...

    @property
    def sign_in(self) -> SignIn:
        """Turns a credential into an actor."""
        ...


@dataclass(frozen=True, slots=True)
class CollectionRow:
    """A collection that the person may see; `owner` is empty for their own."""

    sort: str
    title: str
    owner: str
    count: int
    octets: int


@dataclass(frozen=True, slots=True)
class HeldRow:
    """A kind of which nothing is shown for now, and what is known to be missing; `owner` is empty for their own."""

    sort: str
    owner: str
    reason: str


@dataclass(frozen=True, slots=True)
class PasswordRow:
    """An app password; `used` is empty when it was not used lately."""

    id: str
    label: str
    made: str
    used: str


@dataclass(frozen=True, slots=True)
class UseRow:
    """Uses within one day by one program with one app password from one address."""

    last: str
    day: str
    outcome: str
    label: str
    address: str
    agent: str
    count: int


@dataclass(frozen=True, slots=True)
class Me:
    """What the page shows."""

    login: str
    display_name: str
    collections: tuple[CollectionRow, ...]
    held: tuple[HeldRow, ...]
    passwords: tuple[PasswordRow, ...]
    uses: tuple[UseRow, ...]
    days: int = DAYS_SHOWN


def visitor(people: People, request: Request) -> Actor:
    """Who asks for the page. Raises NotSignedIn."""
    authorization = request.headers.get("authorization")
    credential = None if authorization is None else authorization.encode("latin-1")
    address = request.client.host if request.client else ""
    return people.sign_in.sign_in(credential, address, request.headers.get("user-agent", ""))


def page_of(people: People, actor: Actor) -> Me:
    """What the page shows to `actor`. Reads storage: for a worker thread."""
    entries = people.access_log.entries(actor.account, ENTRIES_MAX)
    return Me(
        login=actor.login,
        display_name=people.directory.display_name(actor.account),
        collections=tuple(row for owner in _owners(actor) for row in _collections(people, actor, owner)),
        held=tuple(row for owner in _owners(actor) for row in _held(people, actor, owner)),
        passwords=tuple(_passwords(people, actor, entries)),
        uses=tuple(_uses(entries)),
    )


def _owners(actor: Actor) -> list[AccountId]:
    """Whose collections the person may see: their own account's first."""
    return [actor.account, *sorted({owner for owner, _, _ in actor.shared} - {actor.account})]


def _collections(people: People, actor: Actor, owner: AccountId) -> list[CollectionRow]:
    shown_owner, order = _shown(people, actor, owner), list(_KIND_WORDS)
    with people.library.reading(owner) as snapshot:
        known = [one for one in whole_collections(snapshot) if one.kind in _KIND_WORDS]
        return [
            CollectionRow(
                _KIND_WORDS[one.kind], one.properties.get("displayname") or one.name, shown_owner, one.count, one.octets
            )
            for one in sorted(known, key=lambda one: order.index(one.kind))
            if actor.may_see(owner, HOME_OF[one.kind], one.name)
        ]


def _held(people: People, actor: Actor, owner: AccountId) -> list[HeldRow]:
    """What is held, of another's only in the homes from which something is shared."""
    homes = {home for sharer, home, _ in actor.shared if sharer == owner}
    shown_owner = _shown(people, actor, owner)
    with people.library.reading(owner) as snapshot:
        held = snapshot.held()
    return [
        HeldRow(words, shown_owner, held[kind])
        for kind, words in _KIND_WORDS.items()
        if kind in held and (owner == actor.account or HOME_OF[kind] in homes)
    ]


def _shown(people: People, actor: Actor, owner: AccountId) -> str:
    return "" if owner == actor.account else people.directory.display_name(owner)


def _passwords(people: People, actor: Actor, entries: list[AccessEntry]) -> list[PasswordRow]:
    # Uses are noted by label; app passwords that share one share their last use.
    used: dict[str, str] = {}
    for entry in entries:
        if entry.outcome == SIGNED_IN:
            label = entry.credential.removeprefix(CREDENTIAL_PREFIX)
            used[label] = max(used.get(label, ""), entry.last_at)
    documents = people.directory.password_documents(actor.account)
    return [PasswordRow(one.id, one.label, _minute(one.made_at), _minute(used.get(one.label, ""))) for one in documents]


def _uses(entries: list[AccessEntry]) -> list[UseRow]:
    """The uses of the last days, the latest first; the latest is this very visit, so it tells what day it is."""
    if not entries:
        return []
    newest = max(entry.last_at for entry in entries)
    since = render_moment(parse_moment(newest) - timedelta(days=DAYS_SHOWN))
    rows: dict[UseRow, UseRow] = {}
    for entry in entries:
        if entry.last_at > since:
            row = _use_row(entry)
            key = replace(row, last="", count=0)
            known = rows.get(key)
            rows[key] = row if known is None else _together(known, row)
    return sorted(rows.values(), key=lambda row: row.last, reverse=True)


def _use_row(entry: AccessEntry) -> UseRow:
    last, label = _minute(entry.last_at), entry.credential.removeprefix(CREDENTIAL_PREFIX)
    return UseRow(last, last[:10], entry.outcome, label, entry.address, entry.agent, entry.count)


def _together(one: UseRow, other: UseRow) -> UseRow:
    return replace(one, last=max(one.last, other.last), count=one.count + other.count)


def _minute(moment: str) -> str:
    """A journal's moment as people read it, to the minute; empty stays empty."""
    return moment[:16].replace("T", " ")
