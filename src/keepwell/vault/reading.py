"""Reading an account out of a vault: the longest run of records that prove themselves, whichever object has them.

For each record the frames that hold it are tried, the one that leads farthest first, then the tails. What is damaged or
missing is passed over and told; only when nothing has the next record does the run end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from keepwell.model.errors import Damaged, KeepwellError, NotThere
from keepwell.model.names import AccountId
from keepwell.model.record import check_follows
from keepwell.storage.contract import Carried, Head
from keepwell.vault.catalogue import NOTHING, FrameRef
from keepwell.vault.lines import Line
from keepwell.vault.vault import Vault


@dataclass(slots=True)
class Findings:
    """What was passed over while reading: the object at fault, and why."""

    faults: list[tuple[str, KeepwellError]] = field(default_factory=list)


def read_account(
    vault: Vault, account: AccountId, after: Head = NOTHING, findings: Findings | None = None
) -> Iterator[Carried]:
    """The account's records behind `after`, in order, each proven to follow the one before, with the bytes they bring.

    Ends where nothing in the vault continues the run. Raises Locked, StorageFault.
    """
    findings = findings if findings is not None else Findings()
    head, bad = after, set[FrameRef]()
    while True:
        lines = _next_lines(vault, account, head, bad, findings)
        if not lines:
            return
        for line in lines:
            carried = _carried(vault, line, findings)
            head = Head(line.record.facts.seq, line.record.hash)
            yield carried


def _next_lines(vault: Vault, account: AccountId, head: Head, bad: set[FrameRef], findings: Findings) -> list[Line]:
    """The lines that continue `head`, from the best source that proves itself; none when there is none."""
    wanted = head.sequence + 1
    refs = [ref for ref in vault.frames(account) if ref.frame.first <= wanted <= ref.frame.last and ref not in bad]
    for ref in sorted(refs, key=lambda one: -one.frame.last):
        try:
            lines = vault.read_frame(ref)[wanted - ref.frame.first :]
            check_follows(head.sequence, head.hash, lines[0].record)
        except (Damaged, NotThere) as error:
            bad.add(ref)
            findings.faults.append((ref.pack, error))
        else:
            return lines
    return _from_tails(vault.tail_lines(account), head)


def _from_tails(tail: list[Line], head: Head) -> list[Line]:
    lines: list[Line] = []
    for line in tail:
        facts = line.record.facts
        if facts.seq == head.sequence + 1 and facts.prev == head.hash:
            lines.append(line)
            head = Head(facts.seq, line.record.hash)
    return lines


def _carried(vault: Vault, line: Line, findings: Findings) -> Carried:
    """The record with its bytes; without them when the object that should have them does not."""
    if line.blob is None:
        return Carried(line.record, line.body)
    try:
        return Carried(line.record, vault.read_blob(line.blob))
    except (Damaged, NotThere) as error:
        findings.faults.append((line.blob, error))
        return Carried(line.record, None)
