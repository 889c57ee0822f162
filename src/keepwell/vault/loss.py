"""The loss report: what is known to have been, what came back, and what did not, with names and times where known.

What is expected comes from the ledgers that copies noted (`Expected`), what is there from the store that was made anew
(`There`); `loss_of` compares, purely. For each kind of an account

    expected      items that the newest known ledger counts
    recovered     items that are there with their bytes
    elsewhere     items that are not there, or not with their bytes, and that another copy has whole
    incomplete    items that are there, whose bytes no copy has
    lost          items that are not there and should be: by count, or by name where more names are known

`proven` says that what is there is exactly what the ledger says, by its set-hash: only then nothing is wrong in a
kind. Counts alone cannot tell an item that was changed from its older version; the set-hash can.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import msgspec

from keepwell.model.names import AccountId, Kind
from keepwell.vault.pack import LedgerNote

ITEMS_MAX: Final = 1000
"""Items of one account that are listed by name; how many more there are is told."""


class Fate(StrEnum):
    """What became of an item."""

    ELSEWHERE = "elsewhere"
    """Another copy has it, and it comes back from there."""
    INCOMPLETE = "incomplete"
    """Its record is there; its bytes are nowhere."""
    LOST = "lost"
    """A record says that it was there, and what led to that record is nowhere."""


class LostItem(msgspec.Struct, frozen=True, kw_only=True):
    """One version of an item that did not come back. `seq` and `at` are those of the record that put it."""

    kind: Kind
    collection: str
    name: str
    seq: int
    at: str
    size: int
    fate: Fate
    is_current: bool
    """Whether it was the item as it last was; otherwise only an older version."""


class Gap(msgspec.Struct, frozen=True):
    """Records of an account that nothing has, and between which moments they were made, as far as known."""

    first: int
    last: int
    since: str = ""
    until: str = ""


class KindLoss(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of one account."""

    kind: Kind
    expected: int
    recovered: int
    incomplete: int
    lost: int
    proven: bool
    elsewhere: int = 0


class AccountLoss(msgspec.Struct, frozen=True, kw_only=True):
    """One account: its records, its kinds, and the items that are known by name."""

    account: AccountId
    login: str
    records_expected: int
    records_recovered: int
    kinds: tuple[KindLoss, ...]
    gaps: tuple[Gap, ...] = ()
    items: tuple[LostItem, ...] = ()
    items_left_out: int = 0
    records_elsewhere: int = 0
    """Of the recovered: those that only another copy has."""
    forks: tuple[str, ...] = ()
    """Copies that have another record under a number: two histories, of which this is one."""
    held: dict[Kind, str] = {}
    """Kinds that are not served because they are known not to be whole, and why."""

    @property
    def is_whole(self) -> bool:
        """Whether everything that is known to have been came back, older versions included."""
        lacks = self.gaps or self.items or self.records_elsewhere or self.forks or self.held
        return not lacks and all(one.proven for one in self.kinds)


class ObjectFault(msgspec.Struct, frozen=True):
    """An object of a copy that was passed over, and why; it costs nothing when another copy had what it should have."""

    copy: str
    name: str
    message: str


class LossReport(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that did not come back; `accounts` are those that are not whole."""

    loss_report: int = 1
    at: str
    sources: tuple[str, ...]
    accounts_whole: int
    accounts: tuple[AccountLoss, ...]
    faults: tuple[ObjectFault, ...]


@dataclass(frozen=True, slots=True)
class Expected:
    """What the copies know of an account's end: `seq` of its last record, and the newest ledger that is known.

    The ledger is that after record `ledger_seq`, by default the last; empty when no copy noted one.
    """

    account: AccountId
    seq: int
    ledger: Mapping[Kind, LedgerNote] = field(default_factory=dict)
    ledger_seq: int | None = None

    def tells_all(self, there: int) -> bool:
        """Whether the ledger counts everything that may be missing when records come to an end with number `there`."""
        return there >= self.seq or (bool(self.ledger) and (self.ledger_seq is None or self.ledger_seq >= self.seq))


@dataclass(frozen=True, slots=True)
class There:
    """What came back: `seq` of the last record, the ledger of that, and versions that lack their bytes or record there.

    `records_elsewhere` are those that only another copy has.
    """

    seq: int
    ledger: Mapping[Kind, LedgerNote]
    lacking: Sequence[LostItem] = ()
    records_elsewhere: int = 0


def loss_of(
    expected: Expected, there: There, login: str = "", behind: Iterable[LostItem] = (), gaps: Sequence[Gap] = ()
) -> AccountLoss:
    """What one account lost; `behind` are items of records that were found behind a gap; pure."""
    items = sorted([*there.lacking, *behind], key=lambda one: one.seq)
    kinds = [kind for kind in Kind if kind in expected.ledger or kind in there.ledger]
    return AccountLoss(
        account=expected.account,
        login=login,
        records_expected=max(expected.seq, there.seq),
        records_recovered=there.seq,
        kinds=tuple(_kind_loss(kind, expected, there, items) for kind in kinds),
        gaps=tuple(gaps) or _whole_gap(expected, there),
        items=tuple(items[:ITEMS_MAX]),
        items_left_out=max(0, len(items) - ITEMS_MAX),
        records_elsewhere=there.records_elsewhere,
    )


def _whole_gap(expected: Expected, there: There) -> tuple[Gap, ...]:
    return (Gap(there.seq + 1, expected.seq),) if expected.seq > there.seq else ()


def _kind_loss(kind: Kind, expected: Expected, there: There, items: Sequence[LostItem]) -> KindLoss:
    noted, found = expected.ledger.get(kind), there.ledger.get(kind)
    count, here = noted[1] if noted else 0, found[1] if found else 0
    current = [one for one in items if one.kind is kind and one.is_current]
    incomplete = sum(one.fate is Fate.INCOMPLETE for one in current)
    elsewhere = sum(one.fate is Fate.ELSEWHERE for one in current)
    known_lost = sum(one.fate is Fate.LOST for one in current)
    is_known = bool(expected.ledger)  # else what came back is all that is known to have been
    lost = max(known_lost, count - here if is_known else 0)
    is_same = noted == found if is_known else expected.seq == there.seq
    return KindLoss(
        kind=kind,
        expected=count if is_known else here,
        recovered=here - incomplete - elsewhere,
        incomplete=incomplete,
        lost=lost,
        proven=incomplete == elsewhere == lost == 0 and is_same and expected.tells_all(there.seq),
        elsewhere=elsewhere,
    )
