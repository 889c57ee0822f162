"""What the clients say they did: written down before a request is sent, and again once it is answered.

The file of claims lies outside of everything that is broken on purpose. From it alone follows what must be there
afterwards: `Expectation` has for every place the values that it may have.

    ok        the value is that of the request, and nothing else
    refused   nothing changed (4xx)
    unknown   no answer, or "not now" (503): done whole, or not at all

A client sends one request at a time, and a place is written by one client only, so what it claims about a place has an
order. An unknown request may have been carried out or not, until a later one of the same place is known.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from hashlib import sha256
from pathlib import Path

Digest = str


class Verdict(StrEnum):
    """How a request ended, as far as its client can know."""

    OK = "ok"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Change:
    """What one place is made: the digest of its bytes, or nothing."""

    place: str
    digest: Digest | None


@dataclass(frozen=True, slots=True)
class Claim:
    """One request: what it changes if it is carried out, all together or nothing of it."""

    client: str
    verb: str
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Doubt:
    """Places that one request of unknown fate changes, all or none: each with its value before and after."""

    before: tuple[Change, ...]
    after: tuple[Change, ...]
    is_divisible: bool = False
    """Whether what it puts may be there without what it removes: GUARANTEES.md says when."""

    def sides(self) -> Iterator[tuple[Change, ...]]:
        """What may be there."""
        yield self.before
        yield self.after
        if self.is_divisible:
            removed = {one.place for one in self.after if one.digest is None}
            yield (
                *(one for one in self.after if one.digest is not None),
                *(one for one in self.before if one.place in removed),
            )


@dataclass(slots=True)
class Expectation:
    """What may be found. `values`: place → the values that it may have; `doubts`: what must agree with each other."""

    values: dict[str, set[Digest | None]] = field(default_factory=dict)
    doubts: list[Doubt] = field(default_factory=list)
    known: set[Digest] = field(default_factory=set)
    """Everything that was ever sent: what is found besides is invented."""

    def divide(self) -> None:
        """The store is lost: of what was under way when the power was cut a vault may have the first records alone."""
        self.doubts = [replace(doubt, is_divisible=True) for doubt in self.doubts]

    def take(self, claim: Claim, verdict: Verdict) -> None:
        """Learn how a request ended."""
        self.known.update(one.digest for one in claim.changes if one.digest is not None)
        if verdict is Verdict.REFUSED:
            return
        touched = {change.place for change in claim.changes}
        if verdict is Verdict.OK:
            # What is known now settles nothing about requests before it but what they may leave at these places.
            self.doubts = [doubt for doubt in self.doubts if not touched & {one.place for one in doubt.after}]
            self.values.update({change.place: {change.digest} for change in claim.changes})
            return
        before = tuple(Change(place, self._only(place)) for place in sorted(touched) if self._is_certain(place))
        if len(before) == len(touched) > 1:
            self.doubts.append(Doubt(before, claim.changes))
        else:
            self.doubts = [doubt for doubt in self.doubts if not touched & {one.place for one in doubt.after}]
        for change in claim.changes:
            self.values.setdefault(change.place, {None}).add(change.digest)

    def settle(self, found: dict[str, Digest]) -> None:
        """Take what was found for what is: later claims go on from there."""
        self.values = {place: {digest} for place, digest in found.items()}
        self.doubts = []

    def _is_certain(self, place: str) -> bool:
        return len(self.values.get(place, {None})) == 1

    def _only(self, place: str) -> Digest | None:
        (value,) = self.values.get(place, {None})
        return value


class Claims:
    """The file, and what follows from it. Used by many threads; a line is in the file before its request is sent."""

    def __init__(self, path: Path) -> None:
        """A new file."""
        self._file = path.open("a", encoding="utf-8")
        self._lock = threading.Lock()
        self._number = 0
        self.expectation = Expectation()
        self.counted = dict.fromkeys(Verdict, 0)

    def intend(self, claim: Claim) -> int:
        """Write down what is about to be sent; the number under which its end is told."""
        with self._lock:
            self._number += 1
            changes = [[change.place, change.digest] for change in claim.changes]
            self._write({"n": self._number, "client": claim.client, "verb": claim.verb, "changes": changes})
            return self._number

    def ended(self, number: int, claim: Claim, verdict: Verdict, detail: str) -> None:
        """Write down how it ended."""
        with self._lock:
            self._write({"n": number, "verdict": verdict, "detail": detail})
            self.expectation.take(claim, verdict)
            self.counted[verdict] += 1

    def settle(self, found: dict[str, Digest]) -> None:
        """Write down that everything was read back, and what there was."""
        with self._lock:
            self._write({"found": len(found)})
            self.expectation.settle(found)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, line: dict[str, object]) -> None:
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()


def learn(expectation: Expectation, path: Path) -> None:
    """What follows from a file of claims besides: for whoever comes after its writer was killed.

    A claim whose end is not written down is one of unknown fate.
    """
    begun: dict[int, Claim] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        told = json.loads(line)
        if "verdict" in told:
            expectation.take(begun.pop(told["n"]), Verdict(told["verdict"]))
        elif "changes" in told:
            changes = tuple(Change(place, digest) for place, digest in told["changes"])
            begun[told["n"]] = Claim(told["client"], told["verb"], changes)
    for claim in begun.values():
        expectation.take(claim, Verdict.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Findings:
    """What is not as it must be; empty tuples when all is well. Each is (place, what was found there)."""

    lost: tuple[str, ...] = ()
    """Acknowledged and not there."""
    resurrected: tuple[str, ...] = ()
    """Removed, acknowledged, and there."""
    invented: tuple[str, ...] = ()
    """There, and never sent, or never to this place."""
    torn: tuple[str, ...] = ()
    """A request of several changes that is there in part."""
    inconsistent: tuple[str, ...] = ()
    """What one way of asking says and another does not."""

    def __bool__(self) -> bool:
        """Whether anything was found."""
        return any((self.lost, self.resurrected, self.invented, self.torn, self.inconsistent))

    def __add__(self, other: Findings) -> Findings:
        """Both."""
        return Findings(
            self.lost + other.lost,
            self.resurrected + other.resurrected,
            self.invented + other.invented,
            self.torn + other.torn,
            self.inconsistent + other.inconsistent,
        )

    def lines(self) -> list[str]:
        """A sentence for each."""
        sorts = ("lost", "resurrected", "invented", "torn", "inconsistent")
        return [f"{sort}: {one}" for sort in sorts for one in getattr(self, sort)]


def compare(expectation: Expectation, found: dict[str, Digest]) -> Findings:
    """What of the found places is not as it may be."""
    lost, resurrected, invented = [], [], []
    for place in sorted({*expectation.values, *found}):
        allowed, value = expectation.values.get(place, {None}), found.get(place)
        if value in allowed:
            continue
        shown = f"{place} (allowed: {_shown(allowed)}; found: {_shown([value])})"
        if value is None or (value in expectation.known and None not in allowed):
            lost.append(shown)
        elif value in expectation.known and allowed == {None}:
            resurrected.append(shown)
        else:
            invented.append(shown)
    torn = [_shown_doubt(doubt) for doubt in expectation.doubts if not _agrees(doubt, found)]
    return Findings(lost=tuple(lost), resurrected=tuple(resurrected), invented=tuple(invented), torn=tuple(torn))


def _agrees(doubt: Doubt, found: dict[str, Digest]) -> bool:
    return any(all(found.get(change.place) == change.digest for change in side) for side in doubt.sides())


def _shown(digests: Iterable[Digest | None]) -> str:
    return ", ".join(sorted("nothing" if one is None else one[:12] for one in digests))


def _shown_doubt(doubt: Doubt) -> str:
    return "; ".join(change.place for change in doubt.after)


def digest_of(body: bytes) -> Digest:
    """The name of these bytes."""
    return sha256(body).hexdigest()


def changes(*pairs: tuple[str, Digest | None]) -> Sequence[Change]:
    """Changes from pairs."""
    return [Change(place, digest) for place, digest in pairs]
