"""What a restore would do: from what one or several vaults hold to a plan that is printed first; pure.

How a restore is staged, and what that is worth:

1. the system account, so that logins are there;
2. every account's journal. It is one chain, and small: all records come, of whatever kind, with every byte that lies
   in their lines (whatever is under 128 KiB: contacts, events, tasks, notes, most scores). After this stage everybody
   has everything but large bytes;
3. the large bytes (photographs, attachments) kind by kind, in the order that was asked for, each kind for all accounts
   before the next. Kinds that are not asked for are left out here, and only here: what lies in a journal always comes.

The folder gets its name when all that was asked for is there and proven. A restore that takes too long may be stopped
and run again with fewer kinds: then it ends with what it has, and a later run brings the rest into the same place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from keepwell.model.names import SYSTEM_ACCOUNT, AccountId, Kind
from keepwell.storage.contract import Head
from keepwell.vault.catalogue import FrameRef, chain
from keepwell.vault.documents import Manifest
from keepwell.vault.pack import LedgerNote

KIND_ORDER: Final = (Kind.CONTACTS, Kind.CALENDAR, Kind.NOTES, Kind.TASKS, Kind.PHOTOS, Kind.SCORES)
"""In which order large bytes come unless another is asked for."""


@dataclass(frozen=True, slots=True)
class Holding:
    """What one vault says that it holds: of each account the end of its unbroken records, and every frame."""

    vault: str
    heads: Mapping[AccountId, Head]
    frames: Mapping[AccountId, Sequence[FrameRef]]
    tails: Mapping[AccountId, Head] = field(default_factory=dict)
    """The last record of each account in the tails, whether anything leads to it or not."""
    manifest: Manifest | None = None
    blob_sizes: Mapping[str, int] = field(default_factory=dict)
    """Stored lengths of large bytes, as far as they were looked up."""

    def accounts(self) -> set[AccountId]:
        """Every account that it knows of."""
        return {*self.heads, *(self.manifest.accounts if self.manifest else ())}


@dataclass(frozen=True, slots=True)
class Note:
    """What one object of a vault says of an account's end; `ledger` is None when it says nothing of that."""

    vault: str
    name: str
    head: Head
    ledger: Mapping[Kind, LedgerNote] | None


@dataclass(frozen=True, slots=True)
class Choice:
    """What is asked for: these accounts (None: all), and the large bytes of these kinds, in this order."""

    accounts: frozenset[AccountId] | None = None
    kinds: tuple[Kind, ...] = KIND_ORDER


@dataclass(frozen=True, slots=True)
class AccountPlan:
    """One account: which vaults have something of it, and how much there is."""

    account: AccountId
    login: str
    sources: tuple[str, ...]
    records: int
    """Up to the last one that any vault knows of."""
    reachable: int
    """Up to the last one that the indexes lead to without a gap; less than `records` when something is gone."""
    counts: Mapping[Kind, int]
    octets: int
    octets_stored: int
    blobs: int
    blob_octets: int


@dataclass(frozen=True, slots=True)
class RestorePlan:
    """The accounts in the order in which they come, the system account first."""

    sources: tuple[str, ...]
    accounts: tuple[AccountPlan, ...]
    kinds: tuple[Kind, ...]
    left_out: int
    """Accounts that are in the vaults and were not asked for."""

    @property
    def records(self) -> int:
        """Of all accounts together."""
        return sum(one.records for one in self.accounts)

    @property
    def octets(self) -> int:
        """Of all records together, unpacked."""
        return sum(one.octets for one in self.accounts)

    @property
    def octets_stored(self) -> int:
        """Of all records together, as they lie in the vaults."""
        return sum(one.octets_stored for one in self.accounts)

    @property
    def blobs(self) -> int:
        """Objects with large bytes, of whatever kind."""
        return sum(one.blobs for one in self.accounts)

    @property
    def blob_octets(self) -> int:
        """Their stored lengths, as far as they were looked up."""
        return sum(one.blob_octets for one in self.accounts)


def plan_restore(holdings: Sequence[Holding], choice: Choice, logins: Mapping[AccountId, str]) -> RestorePlan:
    """What comes back from these vaults together; the system account always does."""
    known = {account for holding in holdings for account in holding.accounts()}
    chosen = known if choice.accounts is None else known & {*choice.accounts, SYSTEM_ACCOUNT}
    ordered = sorted(chosen, key=lambda account: (account != SYSTEM_ACCOUNT, account))
    return RestorePlan(
        sources=tuple(holding.vault for holding in holdings),
        accounts=tuple(_plan_account(holdings, account, logins.get(account, "")) for account in ordered),
        kinds=choice.kinds,
        left_out=len(known - chosen),
    )


def _plan_account(holdings: Sequence[Holding], account: AccountId, login: str) -> AccountPlan:
    refs = [ref for holding in holdings for ref in holding.frames.get(account, ())]
    covering = [ref.frame for ref in chain(refs)]
    blobs = {name for frame in covering for name in frame.blobs}
    newest = newest_note(notes_of(holdings, account))
    counts = newest_ledger(notes_of(holdings, account)) or {}
    return AccountPlan(
        account=account,
        login=login,
        sources=tuple(holding.vault for holding in holdings if account in holding.accounts()),
        records=newest.head.sequence if newest else 0,
        reachable=max([covering[-1].last if covering else 0, *(_head(holding, account) for holding in holdings)]),
        counts={kind: note[1] for kind, note in counts.items()},
        octets=sum(frame.octets for frame in covering),
        octets_stored=sum(frame.length for frame in covering),
        blobs=len(blobs),
        blob_octets=sum(_blob_size(holdings, name) for name in blobs),
    )


def _head(holding: Holding, account: AccountId) -> int:
    return holding.heads[account].sequence if account in holding.heads else 0


def _blob_size(holdings: Sequence[Holding], name: str) -> int:
    return next((holding.blob_sizes[name] for holding in holdings if name in holding.blob_sizes), 0)


def notes_of(holdings: Sequence[Holding], account: AccountId) -> list[Note]:
    """Everything that the vaults say of where an account ends: manifests, frames, tails."""
    return [note for holding in holdings for note in _notes_of(holding, account)]


def _notes_of(holding: Holding, account: AccountId) -> Iterator[Note]:
    manifest = holding.manifest
    if manifest is not None and account in manifest.accounts:
        one = manifest.accounts[account]
        yield Note(holding.vault, f"manifest {manifest.number}", Head(one.seq, one.head), one.ledger)
    for ref in holding.frames.get(account, ()):
        frame = ref.frame
        yield Note(holding.vault, ref.pack, Head(frame.last, frame.head), frame.ledger)
    if account in holding.tails:
        yield Note(holding.vault, "a tail", holding.tails[account], None)


def newest_note(notes: Iterable[Note]) -> Note | None:
    """The one that leads farthest; of several one with a ledger."""
    return max(notes, key=lambda note: (note.head.sequence, note.ledger is not None), default=None)


def newest_ledger(notes: Iterable[Note]) -> Mapping[Kind, LedgerNote] | None:
    """The newest ledger that any of them says; None when none says any."""
    found = newest_note(note for note in notes if note.ledger is not None)
    return found.ledger if found else None
