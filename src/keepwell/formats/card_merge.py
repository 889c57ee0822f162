"""Merging two versions of one card, line by line (RFC 6350 sections 3.3 and 6).

For: bringing back what an older or another version of a contact has, without losing what the current one has.

Promises: every line of both versions is in the result, but for three things. Of a property that a card has once (N, FN,
BDAY …) the result has one value: that of the version that changed it since `base`, the last version that both come
from; when both changed it, or nobody knows who did, there is no result. REV and PRODID, which say when and with what a
version was made, are the current version's. And a line that both have is there once. Lines stay as they stood, octet
for octet, those of the current version first; a group that comes from the other version gets a free name when its own
is taken. Merging again what was merged changes nothing.

No result (None) says that a person has to decide: that, and cards of other versions (VERSION), with another UID, or
with a card inside them (AGENT). Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from keepwell.formats.contentlines import Component, Document, Line, Parameter, parse, render
from keepwell.formats.refusals import InvalidContent
from keepwell.formats.vcard import examine

ONCE: Final = frozenset({"N", "FN", "BDAY", "ANNIVERSARY", "GENDER", "KIND", "SORT-STRING", "CLASS", "NAME"})
"""What a card has once (cardinality 1 or *1 in RFC 6350 section 6 and RFC 2426); FN as people see it."""

_OF_THE_VERSION: Final = frozenset({"REV", "PRODID"})
_SAME_IN_BOTH: Final = ("VERSION", "UID")

_Key = tuple[tuple[str, tuple[Parameter, ...], str], ...]
"""What lines say, whatever their folds and the name of their group."""


@dataclass(frozen=True, slots=True)
class _Unit:
    """Lines that belong together: one line, or all lines of a group (`item1.TEL` and its `item1.X-ABLabel`)."""

    lines: tuple[Line, ...]

    @property
    def key(self) -> _Key:
        return tuple((line.name, line.parameters, line.value) for line in self.lines)

    @property
    def names(self) -> frozenset[str]:
        return frozenset(line.name for line in self.lines)


def merge_cards(current: bytes, other: bytes, base: bytes | None = None) -> bytes | None:
    """The current card with every line that only the other one has; None when a person has to decide.

    `base` is the last version that both come from, when it is known; it may be `other` itself.
    """
    try:
        ours, theirs = _only_card(current), _only_card(other)
        before = None if base is None else _only_card(base)
        if ours is None or theirs is None or not _are_versions(ours.components[0], theirs.components[0]):
            return None
        merged = _merged(ours, theirs.components[0], before.components[0] if before else None)
        if merged is not None:
            examine(merged)
    except InvalidContent:
        return None
    return merged


def _only_card(data: bytes) -> Document | None:
    """The document, when it is one card without others in it."""
    document = parse(data)
    if len(document.components) != 1 or document.components[0].components:
        return None
    return document


def _are_versions(ours: Component, theirs: Component) -> bool:
    return all(ours.value(name) == theirs.value(name) for name in _SAME_IN_BOTH)


def _merged(ours: Document, theirs: Component, base: Component | None) -> bytes | None:
    card = ours.components[0]
    units = _units(card.properties)
    others = [unit for unit in _units(theirs.properties) if not unit.names & {*_OF_THE_VERSION, *_SAME_IN_BOTH}]
    chosen = _chosen(units, others, _units(base.properties) if base else None)
    if chosen is None:
        return None
    kept, added = chosen
    lines = [line for unit in kept for line in unit.lines]
    groups = {line.group.lower() for line in lines}
    for unit in added:
        if not all(line.raw.startswith(line.group) for line in unit.lines):
            return None  # a fold tears the group's name apart
        lines += _in_free_group(unit, groups)
    return render(replace(ours, components=(replace(card, content=_in_order(card, lines)),)))


def _chosen(ours: list[_Unit], theirs: list[_Unit], base: list[_Unit] | None) -> tuple[list[_Unit], list[_Unit]] | None:
    """Units of ours that stay, and those of theirs that come; None when both changed what a card has once."""
    dropped, added = list[_Unit](), list[_Unit]()
    for name in sorted(ONCE):
        here, there = _having(ours, name), _having(theirs, name)
        if not there or _keys(here) == _keys(there):
            continue
        if any(len(unit.lines) > 1 for unit in (*here, *there)):
            return None  # in a group with other lines, which would go with it
        before = None if base is None else _having(base, name)
        if not here:
            added += there
        elif before is not None and _keys(before) == _keys(here):
            dropped += here
            added += there
        elif before is None or _keys(before) != _keys(there):
            return None
    known = {unit.key for unit in ours}
    added += [unit for unit in theirs if not unit.names & ONCE and unit.key not in known]
    return [unit for unit in ours if unit not in dropped], _once_each(added)


def _having(units: Iterable[_Unit], name: str) -> list[_Unit]:
    return [unit for unit in units if name in unit.names]


def _keys(units: Iterable[_Unit]) -> set[_Key]:
    return {unit.key for unit in units}


def _once_each(units: Iterable[_Unit]) -> list[_Unit]:
    return list({unit.key: unit for unit in units}.values())


def _units(lines: Sequence[Line]) -> list[_Unit]:
    """In order; a group is where its first line is."""
    units: dict[tuple[str, int], list[Line]] = {}
    for number, line in enumerate(lines):
        units.setdefault((line.group.lower(), 0) if line.group else ("", number), []).append(line)
    return [_Unit(tuple(one)) for one in units.values()]


def _in_free_group(unit: _Unit, taken: set[str]) -> list[Line]:
    group = unit.lines[0].group
    if not group:
        return list(unit.lines)
    name, number = group, 1
    while name.lower() in taken:
        name, number = f"item{number}", number + 1
    taken.add(name.lower())
    return [msgspec.structs.replace(line, group=name, raw=name + line.raw[len(line.group) :]) for line in unit.lines]


def _in_order(card: Component, lines: list[Line]) -> tuple[Line, ...]:
    """The card's own lines where they stood, the others behind them."""
    own = {id(line) for line in card.properties}
    wanted = {id(line) for line in lines}
    return (
        *(line for line in card.properties if id(line) in wanted),
        *(line for line in lines if id(line) not in own),
    )
