"""Signing in to a restored copy as a device would, and comparing what it shows with the live store's journal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from keepwell.ground.entropy import Draw
from keepwell.model.names import Digest, Home
from keepwell.model.preconditions import etag_of
from keepwell.model.record import digest_of
from keepwell.services.drilling.ledgers import Contents
from keepwell.services.drilling.phone import CALDAV, CARDDAV, Listed, Phone, ProtocolProblem

READ_MAX: Final = 50
"""Items of one collection that are read; all are listed."""

_DIALECTS: Final = {Home.CONTACTS: CARDDAV, Home.CALENDARS: CALDAV}


@dataclass(slots=True)
class Seen:
    """What was compared, and what was not as it should be, a sentence each."""

    listed: int = 0
    read: int = 0
    problems: list[str] = field(default_factory=list)


def compare_by_protocol(phone: Phone, login: str, contents: Contents, draw: Draw) -> Seen:
    """Look at all address books and calendars of an account, and read some of the items."""
    seen = Seen()
    for home, dialect in _DIALECTS.items():
        expected = contents.get(home, {})
        try:
            shown = phone.collections(dialect)
            if shown.keys() != expected.keys():
                what = f"shows the collections {sorted(shown)}, not {sorted(expected)}"
                seen.problems.append(f"{home} of {login}: the restored server {what}")
            for name in sorted(shown.keys() & expected.keys()):
                _compare_collection(phone, f"{home}/{name} of {login}", shown[name], expected[name], draw, seen)
        except ProtocolProblem as problem:
            seen.problems.append(f"{home} of {login}: {problem}")
    return seen


def _compare_collection(
    phone: Phone, where: str, href: str, expected: Mapping[str, Digest], draw: Draw, seen: Seen
) -> None:
    shown = phone.items(href)
    seen.listed += len(shown)
    if missing := sorted(expected.keys() - shown.keys()):
        seen.problems.append(f"{where}: {len(missing)} items are missing, {missing[0]} among them")
    if extra := sorted(shown.keys() - expected.keys()):
        seen.problems.append(f"{where}: {len(extra)} items are there that should not be, {extra[0]} among them")
    both = sorted(shown.keys() & expected.keys())
    if unlike := [name for name in both if shown[name].etag != etag_of(expected[name])]:
        seen.problems.append(f"{where}: {len(unlike)} items have another entity tag, {unlike[0]} among them")
    for name in draw.shuffled(both)[:READ_MAX]:
        _compare_bytes(phone, where, shown[name], expected[name], seen)


def _compare_bytes(phone: Phone, where: str, item: Listed, digest: Digest, seen: Seen) -> None:
    seen.read += 1
    if digest_of(phone.read(item.href)) != digest:
        seen.problems.append(f"{where}: the bytes of {item.name} are others than in the store")
