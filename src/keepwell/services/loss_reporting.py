"""The loss report of a live data folder: every account that any copy knows of, against all copies together.

What was expected also comes from the witness and from incidents that nobody decided about (`services.rollback`): they
know how many items there were when no copy does.

It only reads, and works when the system account is lost: logins come from whichever copy has it. Vaults are looked at
before the store is read, so that a write under way is never taken for something that the store lost. A copy that cannot
be read is told; then the report is of what can be seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from keepwell.ground.clock import Clock, render_moment
from keepwell.model.errors import NotThere
from keepwell.model.names import SYSTEM_ACCOUNT, AccountId, Kind
from keepwell.services.check import SYSTEM_LOGIN, logins_of
from keepwell.services.incidents import Cause, Incident
from keepwell.services.losses import STORE, Said, assess, own_of
from keepwell.services.outages import Outage
from keepwell.services.restoring.logins import read_logins
from keepwell.services.restoring.sources import broken_ends, holding_of
from keepwell.services.vault_settings import Role, VaultSetting
from keepwell.services.witness import Mark, Sighting
from keepwell.storage.contract import Store
from keepwell.vault.loss import AccountLoss, KindLoss, LossReport
from keepwell.vault.pack import LedgerNote
from keepwell.vault.restore_plan import notes_of
from keepwell.vault.vault import Vault

WITNESS: Final = "witness"
"""How what is noted outside the data folder is called among the copies."""

NOTHING_SEEN: Final[Mapping[AccountId, Sighting]] = {}

FAULTS_MAX: Final = 1000
"""Objects that were passed over and are listed."""

Progress = Callable[[int, int], None]


class CopyState(msgspec.Struct, frozen=True, kw_only=True):
    """One copy, as its own indexes say: what it holds, and how many of the known records it lacks."""

    name: str
    accounts: int
    records: int
    behind: int
    problems: tuple[str, ...] = ()


class ConfirmingOutage(msgspec.Struct, frozen=True, kw_only=True):
    """A time in which a confirming vault took no part; `until` is empty while it lasts.

    Writes of that time were refused, or where `went_on` kept with one copy less, until the vault had caught up.
    """

    vault: str
    since: str
    until: str
    reason: str
    went_on: bool


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What is lost, kind by kind over all accounts, account by account, and how the copies are."""

    loss: LossReport
    totals: tuple[KindLoss, ...]
    copies: tuple[CopyState, ...]
    unread: dict[str, str]
    """Copies that could not be read, and why."""
    outages: tuple[ConfirmingOutage, ...] = ()
    """As far as the server that runs knows them: since its start."""

    @property
    def is_whole(self) -> bool:
        """Whether nothing is missing, as far as all copies could be asked."""
        return not self.loss.accounts and not self.unread


class LossReporting:
    """Reports on one store and its vaults."""

    def __init__(
        self,
        store: Store,
        vaults: Sequence[Vault],
        unread: Mapping[str, str],
        clock: Clock,
        *,
        seen: Mapping[AccountId, Sighting] = NOTHING_SEEN,
        incidents: Sequence[Incident] = (),
    ) -> None:
        """With the vaults that were looked at, and why others were not, by name; what the witness saw; open incidents.

        A vault that is in both gives its indexes only: it is encrypted, and no key opens it.
        """
        self._store = store
        self._looked_at = vaults
        self._vaults = [vault for vault in vaults if vault.name not in unread]
        self._unread = dict(unread)
        self._clock = clock
        self._holdings = [holding_of(vault) for vault in vaults]
        self._incidents = [one for one in incidents if one.is_open]
        self._noted = dict(_noted(seen, self._incidents))
        logins = {account: one.login for account, one in seen.items() if one.login}
        self._logins = logins | read_logins(self._vaults) | logins_of(store)

    def accounts(self, logins: Sequence[str] = ()) -> list[AccountId]:
        """Every account that is known of, or those with these logins or ids. Raises NotThere."""
        known = {*self._store.accounts(), *self._noted, *(self._logins.keys() - {SYSTEM_ACCOUNT})}
        known |= {account for holding in self._holdings for account in holding.accounts()}
        known |= {SYSTEM_ACCOUNT} if known else set()
        if not logins:
            return sorted(known, key=lambda account: (account != SYSTEM_ACCOUNT, account))
        by_login = {login: account for account, login in self._logins.items()}
        chosen = [by_login.get(text, AccountId(text)) for text in logins]
        for text, account in zip(logins, chosen, strict=True):
            if account not in known:
                raise NotThere(f"no copy knows of an account {text}", hint="See: keepwell account list")
        return chosen

    def report(
        self,
        accounts: Sequence[AccountId],
        progress: Progress = lambda _done, _all: None,
        outages: Sequence[ConfirmingOutage] = (),
    ) -> Report:
        """What is lost of these accounts, beside known outages. Raises Locked, StorageFault."""
        losses, faults = list[AccountLoss](), [fault for vault in self._vaults for fault in broken_ends(vault)]
        heads: dict[AccountId, int] = {}
        for number, account in enumerate(accounts, start=1):
            with own_of(self._store, account) as own:
                assessed = assess(own, self._vaults, account, self._said(account), self._login(account))
            heads[account] = max(own.records, default=0)
            losses.append(with_incidents(assessed.loss, self._incidents))
            faults += assessed.faults
            progress(number, len(accounts))
        missing = [loss for loss in losses if not loss.is_whole]
        return Report(
            loss=LossReport(
                at=render_moment(self._clock.now()),
                sources=(STORE, *(vault.name for vault in self._vaults)),
                accounts_whole=len(losses) - len(missing),
                accounts=tuple(missing),
                faults=tuple(faults[:FAULTS_MAX]),
            ),
            totals=tuple(totals_of(losses)),
            copies=tuple(self._copies(losses, heads)),
            unread=self._unread,
            outages=tuple(outages),
        )

    def _said(self, account: AccountId) -> list[Said]:
        said = [
            Said(note.vault, note.name, note.head.sequence, note.head.hash, note.ledger)
            for note in notes_of(self._holdings, account)
        ]
        said += self._noted.get(account, [])
        return [*said, Said("directory", "its login", 1)] if account in self._logins else said

    def _login(self, account: AccountId) -> str:
        return SYSTEM_LOGIN if account == SYSTEM_ACCOUNT else self._logins.get(account, "")

    def _copies(self, losses: Sequence[AccountLoss], heads: Mapping[AccountId, int]) -> Iterator[CopyState]:
        known = {loss.account: loss.records_expected for loss in losses}
        yield _copy_state(STORE, known, heads, ())
        for vault, holding in zip(self._looked_at, self._holdings, strict=True):
            held = {account: head.sequence for account, head in holding.heads.items()}
            yield _copy_state(vault.name, known, held, tuple(problem.message for problem in vault.problems))


def _noted(seen: Mapping[AccountId, Sighting], incidents: Sequence[Incident]) -> Iterator[tuple[AccountId, list[Said]]]:
    """What was noted outside the data folder of where accounts ended, also of those that are missing."""
    gone = {one.formerly or one.account: one for one in incidents if one.formerly or one.cause is Cause.MISSING}
    for account in seen.keys() | gone.keys():
        said = list[Said]()
        if account in seen:
            one = seen[account]
            said.append(Said(WITNESS, "what it saw", one.sequence, one.hash, _ledger(one.kinds)))
        if account in gone:
            marks = {kind: one.known for kind, one in gone[account].kinds.items() if one.known is not None}
            said.append(Said(WITNESS, "an incident", gone[account].sequence_known, None, _ledger(marks)))
        yield account, said


def _ledger(marks: Mapping[Kind, Mark]) -> dict[Kind, LedgerNote]:
    """As a ledger says it."""
    return {kind: (mark.sequence, mark.count, mark.set_hash) for kind, mark in marks.items()}


def with_incidents(loss: AccountLoss, incidents: Sequence[Incident]) -> AccountLoss:
    """The loss with what an account had before its history went back, where nobody has decided about that yet.

    Records of the new history may have the numbers of the old, so only counts can be compared.
    """
    known: dict[Kind, int] = {}
    for incident in incidents:
        if incident.account == loss.account and incident.formerly is None:
            for kind, one in incident.kinds.items():
                if one.is_open and one.known is not None:
                    known[kind] = max(known.get(kind, 0), one.known.count)
    kinds = (_at_least(one, known[one.kind]) if one.kind in known else one for one in loss.kinds)
    return msgspec.structs.replace(loss, kinds=tuple(kinds))


def _at_least(one: KindLoss, count: int) -> KindLoss:
    expected = max(one.expected, count)
    lost = max(one.lost, expected - one.recovered - one.elsewhere - one.incomplete)
    return msgspec.structs.replace(one, expected=expected, lost=lost, proven=False)


def outages_of(settings: Sequence[VaultSetting], outages: Mapping[str, Sequence[Outage]]) -> list[ConfirmingOutage]:
    """When confirming vaults took no part, of all outages that are known; pure."""
    confirming = {one.name: one.role is Role.CONFIRMS_WHILE_THERE for one in settings if one.role is not Role.FOLLOWS}
    found = [(vault, one) for vault in confirming for one in outages.get(vault, ())]
    return [
        ConfirmingOutage(vault=vault, since=one.since, until=one.until, reason=one.reason, went_on=confirming[vault])
        for vault, one in sorted(found, key=lambda pair: (pair[1].since, pair[0]))
    ]


def totals_of(losses: Sequence[AccountLoss]) -> Iterator[KindLoss]:
    """Each kind over all accounts."""
    for kind in Kind:
        found = [one for loss in losses for one in loss.kinds if one.kind is kind]
        if found:
            yield KindLoss(
                kind=kind,
                expected=sum(one.expected for one in found),
                recovered=sum(one.recovered for one in found),
                incomplete=sum(one.incomplete for one in found),
                lost=sum(one.lost for one in found),
                proven=all(one.proven for one in found),
                elsewhere=sum(one.elsewhere for one in found),
            )


def _copy_state(
    name: str, known: Mapping[AccountId, int], heads: Mapping[AccountId, int], problems: tuple[str, ...]
) -> CopyState:
    held = {account: min(heads.get(account, 0), last) for account, last in known.items()}
    return CopyState(
        name=name,
        accounts=sum(last > 0 for last in held.values()),
        records=sum(held.values()),
        behind=sum(last - held[account] for account, last in known.items()),
        problems=problems,
    )
