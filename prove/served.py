"""Everything that an account answers to whoever reads it, asked of the library as the faces ask, against what is true.

An answer is right, or refused by an error that the faces know; anything else is a fault. "Nothing is there" is an
answer: of something that is there it is a wrong one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final, NoReturn

from keepwell.model.errors import KeepwellError
from keepwell.model.names import HOME_OF, SYSTEM_ACCOUNT, AccountId, Home
from keepwell.model.record import Op
from keepwell.services.actor import Actor
from keepwell.services.directory import Directory
from keepwell.services.library import Library
from keepwell.services.place import Place
from keepwell.storage.contract import Collection, Snapshot, Store, Transaction
from prove.case import FailedError
from prove.claims import digest_of
from prove.small_world import BLOB_OCTETS, SmallWorld

CHANGES_MAX: Final = 10_000

Names = Mapping[str, bytes]
"""Items of one collection."""
Question = tuple[str, Callable[[], object], object]
"""What is asked, how, and the true answer."""


class _Reading:
    """What a library writes through, for one that only reads."""

    def submit(self, account: AccountId, work: Callable[[Transaction], object]) -> NoReturn:
        """Nothing is written here."""
        raise NotImplementedError(f"{account}: {work}")


@dataclass(frozen=True, slots=True)
class Truth:
    """What an account has: the collections of each home, with their items."""

    account: AccountId
    homes: Mapping[Home, Mapping[str, Names]]

    @classmethod
    def of(cls, world: SmallWorld, account: AccountId) -> Truth:
        """As its clients left it."""
        found: dict[Home, dict[str, dict[str, bytes]]] = {home: {} for home in Home}
        for record in world.journals[account].records:
            facts = record.facts
            if facts.kind is not None and facts.op is Op.MAKE:
                found[HOME_OF[facts.kind]][facts.collection] = {}
            elif facts.kind is not None and facts.op is Op.DROP:
                del found[HOME_OF[facts.kind]][facts.collection]
        for (home, collection, name), body in world.truth[account].items():
            found[home][collection][name] = body
        return cls(account, found)


def require_right(store: Store, truth: Truth, items_one_of: int = 1, *, blobs_only: bool = False) -> int:
    """Ask for everything, but only for one of so many items alone; how many answers were refused.

    Raises FailedError for a wrong one.
    """
    library = Library(store, _Reading())
    questions = _large(library, truth) if blobs_only else _questions(library, truth, items_one_of)
    return sum(_is_refused(*question, truth.account) for question in questions)


def require_right_directory(store: Store, world: SmallWorld) -> int:
    """Ask who there is and by which passwords they come; how many answers were refused."""
    true = {login: (account, 1) for login, account in world.accounts.items()}
    return _is_refused("the directory", partial(_people, store), true, SYSTEM_ACCOUNT)


def _is_refused(what: str, question: Callable[[], object], true: object, account: AccountId) -> bool:
    try:
        answer = question()
    except KeepwellError:
        return True
    if answer != true:
        raise FailedError(f"{what} of {account} was answered {str(answer)[:200]} instead of {str(true)[:200]}")
    return False


def _people(store: Store) -> dict[str, tuple[AccountId, int]]:
    directory = Directory(store)
    found = directory.account_documents()
    return {one.login: (one.account, len(directory.password_documents(one.account))) for one in found}


def _questions(library: Library, truth: Truth, items_one_of: int) -> Iterator[Question]:
    account, asked = truth.account, 0
    for home, collections in truth.homes.items():
        yield f"the collections of {home}", partial(_collections, library, account, home), sorted(collections)
        for name, items in collections.items():
            place = Place(account, home, name)
            tags = {one: digest_of(body) for one, body in items.items()}
            yield f"the listing of {place}", partial(_asked, library, place, _listing), tags
            yield f"the bytes of {place}", partial(_asked, library, place, _bodies), dict(items)
            yield f"the changes of {place}", partial(_asked, library, place, _changes), tags
            for one, body in items.items():
                asked += 1
                if asked % items_one_of == 0:
                    yield _question_of(library, Place(account, home, name, one), body)


def _large(library: Library, truth: Truth) -> Iterator[Question]:
    for home, collections in truth.homes.items():
        for name, items in collections.items():
            for one, body in items.items():
                if len(body) >= BLOB_OCTETS:
                    yield _question_of(library, Place(truth.account, home, name, one), body)


def _question_of(library: Library, place: Place, body: bytes) -> Question:
    return f"{place}", partial(_item, library, place), body


def _collections(library: Library, account: AccountId, home: Home) -> list[str]:
    with library.reading(account) as snapshot:
        return sorted(one.name for one in snapshot.collections(home))


def _asked(library: Library, place: Place, what: Callable[[Snapshot, Collection], object]) -> object:
    with library.reading(place.owner) as snapshot:
        collection = snapshot.collection(place.home, place.collection)
        return None if collection is None else what(snapshot, collection)


def _listing(snapshot: Snapshot, collection: Collection) -> object:
    return {item.name: item.digest for item in snapshot.items(collection.id)}


def _bodies(snapshot: Snapshot, collection: Collection) -> object:
    return {item.name: body for item, body in snapshot.items_with_bodies(collection.id)}


def _changes(snapshot: Snapshot, collection: Collection) -> object:
    changes = snapshot.changes(collection.id, 0, CHANGES_MAX)
    return {one.name: one.item.digest for one in changes if one.item is not None}


def _item(library: Library, place: Place) -> bytes | None:
    found = library.read_item(Actor(place.owner, "", ""), place)
    return None if found is None else found[1]
