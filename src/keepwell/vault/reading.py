"""Reading an account out of one or several vaults: the longest run of records that prove themselves, from whichever.

For each record the frames that hold it are tried, whichever vault they are in: those of the newest epoch first, of
these the one that leads farthest, then the tails. What is damaged or missing is passed over and told; only when nothing
anywhere has the next record does the run end. Bytes outside the lines are sought in the same way (`Bodies`).

Two vaults, or a vault to which two servers wrote, may have different records under one number. The run then follows the
newest epoch, whose writer had read what was there before it acknowledged anything; the other side is told as a fork,
never mixed in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

import msgspec

from keepwell.model.erasures import ERASURES, NO_ERASURES, Erasures, parse_order
from keepwell.model.errors import Damaged, Forked, KeepwellError, NotThere
from keepwell.model.names import SYSTEM_ACCOUNT, AccountId, Digest
from keepwell.model.record import Op, check_follows, digest_of
from keepwell.storage.contract import Carried, Head
from keepwell.vault.catalogue import NOTHING, FrameRef
from keepwell.vault.layout import blob_name
from keepwell.vault.lines import Line
from keepwell.vault.vault import Vault


@dataclass(frozen=True, slots=True)
class Fault:
    """What was passed over while reading: the vault and the object at fault, and why."""

    vault: str
    name: str
    error: KeepwellError


@dataclass(slots=True)
class Findings:
    """Everything that was passed over."""

    faults: list[Fault] = field(default_factory=list)


class FoundLine(msgspec.Struct, frozen=True):
    """A line, and the vault that it was read from."""

    vault: Vault
    line: Line


def read_account(
    vaults: Sequence[Vault], account: AccountId, after: Head = NOTHING, findings: Findings | None = None
) -> Iterator[Carried]:
    """The account's records behind `after`, in order, each proven to follow the one before, with the bytes they bring.

    Ends where nothing in the vaults continues the run. Bytes that nothing has are left out and told, unless an order
    in the vaults' system account says that they were erased. Raises Locked, StorageFault.
    """
    findings = findings if findings is not None else Findings()
    bodies = Bodies(vaults, account, findings)
    brought: set[Digest | None] = set()
    erasures: Erasures | None = None
    for found in read_lines(vaults, account, after, findings):
        facts = found.line.record.facts
        told = len(findings.faults)
        body = bodies.read(found)
        if body is not None:
            brought.add(facts.digest)
        elif facts.op is Op.PUT and facts.digest not in brought:
            erasures = erasures_in(vaults) if erasures is None else erasures
            if erasures.names(facts):
                del findings.faults[told:]
                yield Carried(found.line.record, erased=True)
                continue
            if len(findings.faults) == told:
                missing = Damaged(f"record {facts.seq}: its bytes {facts.digest} are nowhere")
                findings.faults.append(Fault(found.vault.name, account, missing))
        yield Carried(found.line.record, body)


_Known = tuple[tuple[tuple[str, Head], ...], Erasures]
_known: WeakKeyDictionary[Vault, _Known] = WeakKeyDictionary()
"""What was found for some vaults, by the first of them: thousands of accounts may ask, one after the other."""


def erasures_in(vaults: Sequence[Vault]) -> Erasures:
    """What was erased, as the orders in the vaults' system account say. Raises Locked, StorageFault, Damaged."""
    if not vaults:
        return NO_ERASURES
    at = tuple((vault.document.id, vault.head(SYSTEM_ACCOUNT)) for vault in vaults)
    known = _known.get(vaults[0])
    if known is None or known[0] != at:
        known = _known[vaults[0]] = at, _read_erasures(vaults)
    return known[1]


def _read_erasures(vaults: Sequence[Vault]) -> Erasures:
    findings = Findings()
    bodies = Bodies(vaults, SYSTEM_ACCOUNT, findings)
    contents: dict[Digest | None, bytes] = {}
    orders: dict[str, bytes] = {}
    for found in read_lines(vaults, SYSTEM_ACCOUNT, findings=findings):
        facts = found.line.record.facts
        if facts.collection != ERASURES or facts.op not in {Op.PUT, Op.REMOVE}:
            continue
        orders.pop(facts.name, None)
        if (body := bodies.read(found)) is not None:
            contents[facts.digest] = body
        if facts.op is Op.PUT and facts.digest in contents:
            orders[facts.name] = contents[facts.digest]
    return Erasures(parse_order(body) for body in orders.values())


def read_lines(
    vaults: Sequence[Vault], account: AccountId, after: Head = NOTHING, findings: Findings | None = None
) -> Iterator[FoundLine]:
    """The same as lines: bytes that are objects of their own are not read."""
    return _Run(vaults, account, after, findings if findings is not None else Findings()).lines()


class Bodies:
    """The bytes of one account's records, from whichever vault has them."""

    def __init__(self, vaults: Sequence[Vault], account: AccountId, findings: Findings) -> None:
        """What is passed over is added to the findings."""
        self._vaults = {vault.name: vault for vault in vaults}
        self._account = account
        self._findings = findings
        self._others: dict[Digest, list[FoundLine]] | None = None

    def read(self, found: FoundLine) -> bytes | None:
        """The bytes that this line's record brings, proven; None when it brings none, or no vault has them.

        Raises Locked, StorageFault.
        """
        digest = found.line.record.facts.digest
        if digest is None or found.line.blob is None:
            return found.line.body
        return self.find(digest, found.vault.name, found.line.blob)

    def find(self, digest: Digest, vault: str, blob: str | None) -> bytes | None:
        """Bytes by digest, proven, out of this object or whatever else has them. Raises Locked, StorageFault."""
        tried = set[tuple[str, str]]()
        for where, name in self._places(digest, vault, blob):
            if (where, name) not in tried and (body := self._read_blob(where, name, digest)) is not None:
                return body
            tried.add((where, name))
        lines = (found.line for found in self._elsewhere().get(digest, ()))
        return next((line.body for line in lines if line.body is not None), None)

    def _places(self, digest: Digest, vault: str, blob: str | None) -> Iterator[tuple[str, str]]:
        """Objects that may have the bytes, the likeliest first; those that only other lines name come last."""
        if blob is not None:
            yield vault, blob
        for name, other in self._vaults.items():
            if not other.seal.sealed and other.medium.exists(blob_name(digest)):
                yield name, blob_name(digest)
        for found in self._elsewhere().get(digest, ()):
            if found.line.blob is not None:
                yield found.vault.name, found.line.blob

    def _read_blob(self, vault: str, name: str, digest: Digest) -> bytes | None:
        try:
            body = self._vaults[vault].read_blob(name)
            if digest_of(body) != digest:
                raise Damaged(f"{name} in vault {vault} does not hold the bytes {digest}")
        except (Damaged, NotThere) as error:
            self._findings.faults.append(Fault(vault, name, error))
            return None
        return body

    def _elsewhere(self) -> dict[Digest, list[FoundLine]]:
        """Every line of the account that brings bytes, by their digest: all frames are read for it, once."""
        if self._others is None:
            self._others = {}
            for found in _all_lines(list(self._vaults.values()), self._account):
                digest = found.line.record.facts.digest
                if digest is not None and (found.line.blob is not None or found.line.body is not None):
                    self._others.setdefault(digest, []).append(found)
        return self._others


def _all_lines(vaults: Sequence[Vault], account: AccountId) -> Iterator[FoundLine]:
    """Every line of the account that proves itself, in whatever order."""
    for vault in vaults:
        for ref in vault.frames(account):
            try:
                lines = vault.read_frame(ref)
            except (Damaged, NotThere):
                continue
            yield from (FoundLine(vault, line) for line in lines)
        yield from (FoundLine(vault, line) for line in vault.tail_lines(account))


class _Run:
    """One run in the making. Invariant: `head` is the last record that was given out, or where the run began."""

    def __init__(self, vaults: Sequence[Vault], account: AccountId, after: Head, findings: Findings) -> None:
        self._vaults = vaults
        self._account = account
        self._head = after
        self._findings = findings
        found = [(vault, ref) for vault in vaults for ref in vault.frames(account)]
        self._refs = sorted(found, key=lambda one: (-one[1].epoch, -one[1].frame.last))

    def lines(self) -> Iterator[FoundLine]:
        while found := self._next():
            yield from found

    def _next(self) -> list[FoundLine]:
        """The lines that continue the run, from the best source that proves itself; none when there is none."""
        wanted = self._head.sequence + 1
        for source in [one for one in self._refs if one[1].frame.first <= wanted <= one[1].frame.last]:
            vault, ref = source
            try:
                lines = vault.read_frame(ref)[wanted - ref.frame.first :]
                self._require_continues(lines[0])
            except (Damaged, NotThere) as error:
                self._pass_over(source, error)
            else:
                return self._taken(vault, lines)
        tails = ((vault, self._from_tail(vault)) for vault in self._vaults)
        return next((self._taken(vault, lines) for vault, lines in tails if lines), [])

    def _pass_over(self, source: tuple[Vault, FrameRef], error: KeepwellError) -> None:
        """It leads on from nowhere in this run: records are chained, so none of its later ones would either."""
        self._refs.remove(source)
        self._findings.faults.append(Fault(source[0].name, source[1].pack, error))

    def _require_continues(self, line: Line) -> None:
        facts = line.record.facts
        if facts.prev != self._head.hash:
            raise self._fork(facts.seq - 1)
        check_follows(self._head.sequence, self._head.hash, line.record)

    def _from_tail(self, vault: Vault) -> list[Line]:
        lines: list[Line] = []
        head = self._head
        for line in vault.tail_lines(self._account):
            facts = line.record.facts
            if facts.seq == head.sequence + 1 and facts.prev == head.hash:
                lines.append(line)
                head = Head(facts.seq, line.record.hash)
        return lines

    def _taken(self, vault: Vault, lines: list[Line]) -> list[FoundLine]:
        first, last = lines[0].record.facts.seq, lines[-1].record
        self._head = Head(last.facts.seq, last.hash)
        ending = [one for one in self._refs if first <= one[1].frame.last <= last.facts.seq]
        for source in ending:
            end = source[1].frame
            if end.head != lines[end.last - first].record.hash:
                self._pass_over(source, self._fork(end.last))
        return [FoundLine(vault, line) for line in lines]

    def _fork(self, sequence: int) -> Forked:
        return Forked(f"record {sequence} of {self._account} is another one there")
