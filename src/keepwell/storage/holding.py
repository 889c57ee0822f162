"""Which places a held kind closes: every engine and everything above it asks here.

A collection that is there is closed when its kind is held. A name under which nothing is found is closed when any kind
of its home is held: what had that name may be among what is missing, and "not there" would have it deleted.

An account of which every kind is held is closed: nobody may append to its journal, not even the operator, because
another copy may have other records that follow its head, and the two would fork.
"""

from __future__ import annotations

from collections.abc import Mapping

from keepwell.model.errors import Held
from keepwell.model.names import HOME_OF, Home, Kind
from keepwell.storage.contract import Collection


def require_kind(held: Mapping[Kind, str], kind: Kind) -> None:
    """Raise Held when the kind is held."""
    if kind in held:
        raise Held(kind, held[kind])


def require_home(held: Mapping[Kind, str], home: Home | None) -> None:
    """Raise Held when any kind of the home is held (None: any kind at all), for whoever would list it."""
    for kind, reason in held.items():
        if home is None or HOME_OF[kind] is home:
            raise Held(kind, reason)


def require_place(held: Mapping[Kind, str], home: Home, found: Collection | None) -> None:
    """Raise Held when what was found under a name of the home, a collection or nothing, must not be told."""
    if found is None:
        require_home(held, home)
    else:
        require_kind(held, found.kind)


def require_open(held: Mapping[Kind, str]) -> None:
    """Raise Held when the account is closed."""
    if len(held) == len(Kind):
        require_kind(held, Kind.SYSTEM)
