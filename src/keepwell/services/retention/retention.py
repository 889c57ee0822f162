"""Retention: plans what goes, marks it, waits, and then erases it from the store and from every vault.

States of an order, and what leads on. Each step may be repeated after a crash, and then finds less to do:

- *marked*: nothing has changed, and `undo` takes it back. When it is due and the gate is open, items that are to go are
  removed by records, and what goes is put down in the order (`_begin`);
- *begun*: the store has all, a part or none of it, and it cannot be taken back. The store drops it (`_seal`);
- *sealed*: the store has dropped all that the order names, and that counts as erased, whatever copy has it. Then it
  goes from other places of the data folder (`_sweep`), and from each vault (`erase_in`);
- *done*: no copy that is known has it any more. A vault that is added later is gone through as well, and what a restore
  brings back is erased at the next start (`reapplying`).

The store comes first: what is shipped from it afterwards has the bytes no more, so that vaults only ever lose them.
Which vaults an order has been carried out in is kept beside each vault's settings, on this side: when that is lost, the
vault is gone through again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

import msgspec

from keepwell.ground.clock import Clock, parse_moment, render_moment
from keepwell.ground.durable import make_folder, write_file
from keepwell.ground.entropy import Entropy, base32_word
from keepwell.model.erasures import Cause, Erased, ErasureOrder, Erasures, Scope
from keepwell.model.errors import Damaged, Forbidden, KeepwellError, NotThere, Unavailable
from keepwell.model.names import SYSTEM_ACCOUNT, AccountId
from keepwell.services.retention.gate import VaultFact, against_removal
from keepwell.services.retention.jumps import ClockFile, against_jump
from keepwell.services.retention.orders import Orders
from keepwell.services.retention.sealing import (
    begun,
    documents_about,
    in_scope,
    named_bytes,
    removing,
    removing_documents,
)
from keepwell.services.retention.thinning import Thinning, check_history_days, plan_thinning
from keepwell.services.vaults import Vaults
from keepwell.storage.contract import AccountStore, BlobStore, Store
from keepwell.storage.generations import forget_account
from keepwell.storage.writers import Writers
from keepwell.vault.erasing import Emptied, erase_from
from keepwell.vault.ship import ship
from keepwell.vault.vault import Vault
from keepwell.vault.verify import Grade

WAIT_DAYS: Final = 7.0
"""Between the mark and the erasing: the time in which a mistake can be taken back."""

ORDER_BITS: Final = 40
_FILE: Final = "erased.json"


class CarriedOut(msgspec.Struct, frozen=True):
    """Which orders have been carried out in the vault with this id."""

    vault: str
    orders: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Preview:
    """What an order would erase, as things are now."""

    versions: int
    octets: int
    stays: int
    """Versions whose bytes stay, because something else has the same."""


class Retention:
    """Removes bytes of one data folder for good; nothing else does."""

    def __init__(
        self,
        data: Path,
        store: Store,
        blobs: BlobStore,
        writers: Writers,
        vaults: Vaults,
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        """Of this folder, its store with the blobs beside it, and its vaults."""
        self.orders = Orders(store, writers)
        self._data = data
        self._store = store
        self._blobs = blobs
        self._writers = writers
        self._vaults = vaults
        self._clock = clock
        self._clock_file = ClockFile(data)
        self._entropy = entropy

    def plan_thinning(self, history_days: int) -> dict[AccountId, Thinning]:
        """What would go of each account's history, those left out of which nothing does. Raises BadRequest, Damaged."""
        check_history_days(history_days)
        return self._thinnings(history_days, render_moment(self._clock.now()))

    def preview(self, account: AccountId, scope: Scope | None) -> Preview:
        """What a request would erase. Raises NotThere when there never was such an item."""
        wanted = in_scope(scope)
        with self._store.account(account).reading() as snapshot:
            records = list(snapshot.records())
            erased, shared = named_bytes(records, wanted)
            going = {digest for digest in erased.digests if not snapshot.is_erased(digest)}
        puts = [one.facts for one in records if one.facts.digest is not None and wanted(one.facts)]
        if scope is not None and not puts:
            raise NotThere(
                f"there is no item {scope.collection}/{scope.item}, now or in the history",
                hint="See: keepwell history LOGIN",
            )
        sizes = {facts.digest: facts.size or 0 for facts in puts if facts.digest in going}
        return Preview(
            versions=sum(facts.digest in going for facts in puts),
            octets=sum(sizes.values()),
            stays=sum(facts.digest in shared for facts in puts),
        )

    def mark_history(self, history_days: int, wait_days: float = WAIT_DAYS) -> ErasureOrder:
        """Mark what a history has behind these days, as of now. Raises BadRequest, Unavailable."""
        check_history_days(history_days)
        self._require_clock()
        return self._mark(self._new_order(Cause.HISTORY, wait_days, history_days=history_days))

    def mark_request(
        self, account: AccountId, scope: Scope | None, *, wait_days: float = WAIT_DAYS, reason: str, override: str
    ) -> ErasureOrder:
        """Mark an item, or without a scope everything of an account. Raises NotThere, Unavailable."""
        self.preview(account, scope)
        if not override:
            self._require_clock()
        order = self._new_order(
            Cause.REQUEST, wait_days, account=account, scope=scope, reason=reason, override=override
        )
        return self._mark(order)

    def undo(self, order_id: str) -> ErasureOrder:
        """Take a mark back. Raises NotThere, and Forbidden once it was begun."""
        for order in self.orders.all():
            if order.id == order_id:
                if order.begun_at:
                    raise Forbidden(
                        f"order {order.id} was begun at {order.begun_at} and cannot be taken back",
                        hint="What was erased is gone; its records say that it was there.",
                    )
                self.orders.remove(order)
                return order
        raise NotThere(f"there is no order {order_id}", hint="See: keepwell retention --dry-run")

    def against(self, faults: Mapping[str, str] | None = None) -> tuple[str, ...]:
        """What stands against removing anything now; `faults` of vaults (empty: open), or else each is tried."""
        jump = self.look_at_clock()
        facts = [self._fact(one.name, faults) for one in self._vaults.settings.all()]
        return (*([jump] if jump else []), *against_removal(facts, self._clock.now()))

    def look_at_clock(self) -> str:
        """Note what time it is; why nothing may be removed by this clock for now, empty when it may."""
        return against_jump(self._clock_file.look(self._clock.now()))

    def trust_clock(self) -> None:
        """Somebody says that the clock is right, however far it went. Raises OSError."""
        self._clock_file.trust(self._clock.now())

    def advance(self, against: Sequence[str]) -> int:
        """Lead every order on that is due, up to where vaults come: how many bodies are gone from the store.

        Raises Damaged, StorageFault, Unavailable.
        """
        gone = 0
        now = render_moment(self._clock.now())
        for order in self._allowed(against):
            if not order.begun_at and order.due_at <= now:
                self._begin(order)
        for order in self._allowed(against):
            if order.begun_at and not order.sealed_at:
                gone += self._seal(order)
        for order in self._allowed(against):
            if order.sealed_at and not order.done_at:
                self._sweep(order)
        return gone

    def erase_in(self, vault: Vault, against: Sequence[str]) -> Emptied:
        """Carry out sealed orders in one vault that is open for writing. Raises what `erase_from` raises.

        It gets the orders first: a vault without them would miss what is gone from it.
        """
        known = self._carried_out(vault.name, vault.document.id)
        orders = [one for one in self._allowed(against) if one.sealed_at and one.id not in known]
        if not orders:
            return Emptied()
        for failure in ship(vault, self._store, [SYSTEM_ACCOUNT]).failures.values():
            raise failure
        emptied = erase_from(vault, Erasures(orders), self._blobs)
        if emptied.is_clean:
            carried_out = CarriedOut(vault.document.id, tuple(sorted({*known, *(order.id for order in orders)})))
            folder = self._vaults.settings.folder(vault.name)
            make_folder(folder)
            write_file(folder / _FILE, msgspec.json.encode(carried_out) + b"\n")
        return emptied

    def finish(self) -> list[ErasureOrder]:
        """Note the orders that have been carried out everywhere; which. Raises Unavailable."""
        everywhere = [self._carried_out(one.name, one.id) for one in self._vaults.settings.all()]
        done = [
            msgspec.structs.replace(one, done_at=render_moment(self._clock.now()))
            for one in self.orders.all()
            if one.sealed_at and not one.done_at and all(one.id in known for known in everywhere)
        ]
        if done:
            self.orders.put(*done)
        return done

    def is_anything_due(self) -> bool:
        """Whether there is anything to lead on now. Raises Damaged, StorageFault."""
        now = render_moment(self._clock.now())
        known = [self._carried_out(one.name, one.id) for one in self._vaults.settings.all()]
        return any(
            (one.due_at <= now and not one.done_at) or (one.sealed_at and any(one.id not in its for its in known))
            for one in self.orders.all()
        )

    def _allowed(self, against: Sequence[str]) -> list[ErasureOrder]:
        """The orders that may be led on now; every look is new, as each step changes them."""
        return [one for one in self.orders.all() if not against or one.override]

    def _begin(self, order: ErasureOrder) -> None:
        if order.cause is Cause.HISTORY:
            thinnings = self._thinnings(order.history_days, order.made_at)
            erased = {account: one.erased for account, one in thinnings.items()}
        else:
            erased = self._take_out_of_sight(order)
        self.orders.put(*begun(order, erased, render_moment(self._clock.now())))

    def _take_out_of_sight(self, order: ErasureOrder) -> dict[AccountId, Erased]:
        account = order.account
        if account is None:
            raise Damaged(f"the order {order.id} says of no account what to erase")
        self._writers.submit(account, removing(order.scope)).result()
        with self._store.account(account).reading() as snapshot:
            found = {account: named_bytes(snapshot.records(), in_scope(order.scope))[0]}
        if order.scope is None:
            with self._store.account(SYSTEM_ACCOUNT).reading() as snapshot:
                wanted = documents_about(snapshot, account)
            self._writers.submit(SYSTEM_ACCOUNT, removing_documents(account)).result()
            with self._store.account(SYSTEM_ACCOUNT).reading() as snapshot:
                found[SYSTEM_ACCOUNT] = named_bytes(snapshot.records(), wanted)[0]
        return found

    def _seal(self, order: ErasureOrder) -> int:
        """Drop it from the store; what somebody put again meanwhile stays, and the order does not name it."""
        erased = {
            account: Erased(one.through, tuple(place.erase(one.through, one.digests)))
            for account, one in order.erased.items()
            if (place := self._place(account)) is not None
        }
        at = render_moment(self._clock.now())
        self.orders.put(msgspec.structs.replace(order, sealed_at=at, erased=erased))
        return sum(len(one.digests) for one in erased.values())

    def _sweep(self, order: ErasureOrder) -> None:
        """Other places of the data folder that may have it."""
        for account, one in order.erased.items():
            if (place := self._place(account)) is not None:
                place.erase(one.through, one.digests)  # a restore may have brought it back
            forget_account(self._data, account, and_set_aside=order.cause is Cause.REQUEST)
        self._store.sweep_blobs(sorted({digest for one in order.erased.values() for digest in one.digests}))

    def _thinnings(self, history_days: int, moment: str) -> dict[AccountId, Thinning]:
        found: dict[AccountId, Thinning] = {}
        for account in self._store.accounts():
            if account == SYSTEM_ACCOUNT:
                continue
            with self._store.account(account).reading() as snapshot:
                thinning = plan_thinning(snapshot.records(), parse_moment(moment), history_days, snapshot.is_erased)
            if thinning.erased.digests:
                found[account] = thinning
        return found

    def _require_clock(self) -> None:
        """Nothing is marked by a clock that may be years ahead: it would not be due for as long, once that is right."""
        if jump := self.look_at_clock():
            raise Unavailable(
                jump,
                hint="Set the clock right. If it is, because nothing ran for so long: keepwell retention --trust-clock",
            )

    def _new_order(
        self,
        cause: Cause,
        wait_days: float,
        *,
        account: AccountId | None = None,
        scope: Scope | None = None,
        reason: str = "",
        override: str = "",
        history_days: int = 0,
    ) -> ErasureOrder:
        now = self._clock.now()
        return ErasureOrder(
            id=base32_word(self._entropy, ORDER_BITS),
            cause=cause,
            made_at=render_moment(now),
            due_at=render_moment(now + timedelta(days=wait_days)),
            reason=reason,
            account=account,
            scope=scope,
            history_days=history_days,
            override=override,
        )

    def _mark(self, order: ErasureOrder) -> ErasureOrder:
        self.orders.put(order)
        return order

    def _fact(self, name: str, faults: Mapping[str, str] | None) -> VaultFact:
        known = self._vaults.verified_file(name).read()
        grades = [known.grades[one] for one in (Grade.CONTENT, Grade.RECORDS) if one in known.grades]
        last = max(grades, key=lambda one: one.at, default=None)
        return VaultFact(
            name,
            fault=self._fault_of(name) if faults is None else faults.get(name, "it was not opened yet"),
            verified_at=last.at if last else "",
            damaged=last.damaged if last else 0,
        )

    def _fault_of(self, name: str) -> str:
        try:
            with closing(self._vaults.open(name)):
                return ""
        except KeepwellError as error:
            return error.message

    def _place(self, account: AccountId) -> AccountStore | None:
        """Where the account is; None for one that is lost, of which nothing is there to erase."""
        try:
            return self._store.account(account)
        except NotThere:
            return None

    def _carried_out(self, name: str, vault_id: str) -> set[str]:
        """The orders of which this very vault has nothing any more."""
        try:
            octets = (self._vaults.settings.folder(name) / _FILE).read_bytes()
            known = msgspec.json.decode(octets, type=CarriedOut)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return set()
        return set(known.orders) if known.vault == vault_id else set()
