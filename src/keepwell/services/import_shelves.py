"""Finding or making the collection in which an imported piece belongs.

A collection that is there is used when its kind fits and it takes what comes; otherwise one is made, under the name
wanted or, when something else has that name, the first of `name-2`, `name-3` … that fits. A collection that is made,
or has nothing in it, gets the properties of the folder it comes from; one with items keeps its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from keepwell.model.errors import NotThere
from keepwell.model.names import HOME_OF, Home, Kind
from keepwell.model.record import Properties
from keepwell.services.actor import Actor
from keepwell.services.content import Prepared, components_of, kind_of_components
from keepwell.services.history import Spot, find_spot
from keepwell.services.import_shelf import Shelf
from keepwell.services.import_sources import Exported, Target, Vdir, components_in
from keepwell.services.library import Library
from keepwell.services.place import Place
from keepwell.services.steps import merged
from keepwell.services.transfer_layout import CollectionDocument
from keepwell.storage.contract import Collection


@dataclass(frozen=True, slots=True)
class _Wish:
    """The collection wanted: what it must be, and what it gets when it is made."""

    kind: Kind
    name: str
    components: tuple[str, ...]
    properties: Properties
    are_whole: bool = False
    """Whether the properties are all there were, so that an empty collection loses its own."""


class Shelves:
    """The shelves of one account's import, each made when the first piece for it comes."""

    def __init__(self, library: Library, actor: Actor, into: str | None) -> None:
        """For an actor's own account; everything goes `into` this collection when it is given. Raises NotThere."""
        self._library = library
        self._actor = actor
        self._documents: dict[Target, CollectionDocument] = {}
        self._shelves: dict[Spot, Shelf] = {}
        self._spots: dict[tuple[Target, Home], Spot] = {}
        self._into = None if into is None else self._existing(into)
        self.made: list[str] = []

    def expect(self, target: Exported, document: CollectionDocument) -> None:
        """Make the shelf of an exported collection, which may have no files."""
        self._documents[target] = document
        if self._into is None:
            self._spot_of(target, document.home)

    def home_of(self, target: Target) -> Home | None:
        """The home that an exported file belongs to; None when its content decides."""
        document = self._documents.get(target)
        return None if document is None else document.home

    def shelf_for(self, target: Target, home: Home, prepared: Prepared) -> Shelf:
        """Where a piece of this home goes. Raises Refused: no collection takes it, or none can be made."""
        if self._into is not None:
            return self._shelf(self._into)
        if isinstance(target, Vdir | Exported):
            return self._shelf(self._spot_of(target, home))
        return self._shelf(self._first_that_takes(home, prepared.index.component))

    def forget(self, shelf: Shelf) -> None:
        """Read the shelf again when it is next asked for, because another writer was faster."""
        self._shelves.pop((shelf.home, shelf.collection.name), None)

    def _existing(self, text: str) -> Spot:
        with self._library.reading(self._actor.account) as snapshot:
            home, name = find_spot(snapshot, text)
            if snapshot.collection(home, name) is None:
                raise NotThere(f"the collection {home}/{name} was dropped", hint="Rewind it, or choose another.")
        return home, name

    def _shelf(self, spot: Spot) -> Shelf:
        if spot not in self._shelves:
            with self._library.reading(self._actor.account) as snapshot:
                collection = snapshot.collection(*spot)
                if collection is None:
                    raise NotThere(f"there is no collection {'/'.join(spot)} any more")
                self._shelves[spot] = Shelf(collection, snapshot.items(collection.id))
        return self._shelves[spot]

    def _first_that_takes(self, home: Home, component: str) -> Spot:
        """The oldest collection that takes the component, those that were made for it first."""
        with self._library.reading(self._actor.account) as snapshot:
            found = snapshot.collections(home)
        if home is Home.CONTACTS:
            fitting = found
        else:
            fitting = [one for one in found if component in components_of(one.kind, one.properties)]
        if not fitting:
            raise NotThere(f"no collection in {home} takes a {component}")
        wanted = kind_of_components((component,)) if home is Home.CALENDARS else Kind.CONTACTS
        first = min(fitting, key=lambda one: (one.kind is not wanted, one.id))
        return home, first.name

    def _spot_of(self, target: Vdir | Exported, home: Home) -> Spot:
        if (target, home) not in self._spots:
            self._spots[target, home] = self._granted(self._wish(target, home))
        return self._spots[target, home]

    def _wish(self, target: Vdir | Exported, home: Home) -> _Wish:
        if isinstance(target, Exported):
            one = self._documents[target]
            return _Wish(one.kind, one.name, components_of(one.kind, one.properties), one.properties, True)
        properties = target.properties
        if home is Home.CONTACTS:
            return _Wish(Kind.CONTACTS, target.folder.name, (), properties)
        components = components_in(target.folder)
        if components:
            properties["components"] = ",".join(components)
        return _Wish(kind_of_components(components), target.folder.name, components, properties)

    def _granted(self, wish: _Wish) -> Spot:
        """The spot of a collection as wished, found or made."""
        home = HOME_OF[wish.kind]
        with self._library.reading(self._actor.account) as snapshot:
            known = {one.name: one for one in snapshot.collections(home)}
        name = next(name for name in _names(wish.name) if name not in known or _fits(known[name], wish))
        place = Place(self._actor.account, home, name)
        if name not in known:
            self._library.make_collection(self._actor, place, wish.kind, wish.properties).result()
            self.made.append(f"{home}/{name}")
        elif known[name].count == 0:
            self._set_properties(place, known[name].properties, wish)
        return home, name

    def _set_properties(self, place: Place, now: Properties, wish: _Wish) -> None:
        changes: dict[str, str | None] = dict.fromkeys(now) if wish.are_whole else {}
        changes.update(wish.properties)
        if merged(now, changes) != now:
            self._library.set_collection_properties(self._actor, place, changes).result()


def _fits(known: Collection, wish: _Wish) -> bool:
    if known.kind is not wish.kind:
        return False
    taken = components_of(known.kind, known.properties)
    return known.count == 0 or set(wish.components) <= set(taken)


def _names(name: str) -> Iterator[str]:
    yield name
    for number in count(2):
        yield f"{name}-{number}"
