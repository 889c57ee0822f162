"""Everything read back over the protocols, as a device would, and compared with what the clients claim.

Checked: the listing of every collection against the claims; the bytes of every item against its entity tag; every
earlier sync token: the changes since, applied to what the device had then, must give what is listed now.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from prove.claims import Claims, Digest, Findings, compare, digest_of
from prove.client import Client
from prove.operations import SHELVES
from prove.world import WorldError

REPLICAS_KEPT = 12
"""Earlier states of a collection that are synced from, besides the first."""


@dataclass(frozen=True, slots=True)
class Replica:
    """What a device had of a collection, and the token for it."""

    token: str
    members: dict[str, str]


class Readable(Protocol):
    """Somewhere to read accounts, and what is claimed of them."""

    claims: Claims
    passwords: dict[str, str]

    def client(self, login: str) -> Client:
        """A client that is signed in to one of the accounts."""
        ...


@dataclass(slots=True)
class Reader:
    """Reads a world's accounts. Keeps replicas of before, to sync from them again."""

    world: Readable
    replicas: dict[str, list[Replica]] = field(default_factory=dict)
    tokens_tried: int = 0
    tokens_refused: int = 0

    def check(self, *, settle: bool = True, forget: Callable[[str], bool] = lambda _path: False) -> Findings:
        """What is wrong; with `settle`, what was found is what later claims go on from.

        `forget` tells which collections' replicas are of no use any more.
        """
        claims = self.world.claims
        found, findings = self.read()
        self.replicas = {path: kept for path, kept in self.replicas.items() if not forget(path)}
        findings = compare(claims.expectation, found) + findings
        if settle:
            claims.settle(found)
        return findings

    def read(self) -> tuple[dict[str, Digest], Findings]:
        """(place → digest of everything there is, what is inconsistent in itself)."""
        found: dict[str, Digest] = {}
        wrong: list[str] = []
        for login in self.world.passwords:
            client = self.world.client(login)
            try:
                for path in self._collections(client):
                    found.update(self._read_collection(client, path, wrong))
            finally:
                client.close()
        return found, Findings(inconsistent=tuple(wrong))

    def _collections(self, client: Client) -> Iterable[str]:
        for home in ("contacts", "calendars"):
            status, paths = client.collections(f"/dav/{home}/{client.login}/")
            if status != 207:
                raise WorldError(f"the {home} of {client.login} answered {status}")
            yield from paths

    def _read_collection(self, client: Client, path: str, wrong: list[str]) -> dict[str, Digest]:
        status, members = client.listing(path)
        if status != 207:
            raise WorldError(f"{path} answered {status}")
        fixed = path in {shelf.of(client.login) for shelf in SHELVES}
        found = {} if fixed else {path: "collection"}
        for href, etag in members.items():
            answer = client.ask("GET", href)
            if answer.status != 200:
                wrong.append(f"{href} is listed, and answers {answer.status}")
                continue
            if answer.headers.get("etag") != etag:
                wrong.append(f"{href} has the entity tag {answer.headers.get('etag')}, and {etag} in the listing")
            found[href] = digest_of(answer.body)
        if fixed:
            self._sync(client, path, members, wrong)
        return found

    def _sync(self, client: Client, path: str, members: dict[str, str], wrong: list[str]) -> None:
        kept = self.replicas.setdefault(path, [])
        for replica in list(kept):
            self.tokens_tried += 1
            status, _token, changed = client.sync(path, replica.token)
            if status != 207:
                self.tokens_refused += 1
                kept.remove(replica)
                continue
            now = {**replica.members, **changed}
            left = {href: etag for href, etag in now.items() if etag is not None}
            if left != members:
                wrong.append(f"{path}: synced from {replica.token} it has {_difference(left, members)}")
        status, token, everything = client.sync(path)
        if status != 207 or everything != members:
            wrong.append(f"{path}: an initial sync ({status}) has {_difference(everything, members)}")
            return
        if len(kept) > REPLICAS_KEPT:
            del kept[1]
        kept.append(Replica(token, members))


def _difference(one: dict[str, str] | dict[str, str | None], other: dict[str, str]) -> str:
    changed = {href for href in {*one, *other} if one.get(href) != other.get(href)}
    return f"{len(changed)} members otherwise than the listing: {', '.join(sorted(changed)[:3])}"


def claimed(claims: Claims) -> str:
    """How many requests ended how."""
    return ", ".join(f"{count} {verdict}" for verdict, count in claims.counted.items())
