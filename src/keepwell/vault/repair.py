"""Repairing a vault: what verifying found damaged or missing is made good from the store, or from other vaults.

Nothing is overwritten with what is not proven, and nothing damaged is removed before what is in it is somewhere else:

- a pack: it is counted on no more, its accounts are shipped again from the store, or from other vaults where the store
  cannot; when each of them can be read whole from this vault up to where the pack led, the pack is removed as a merged
  one is (`merge.retire`). Until then it stays: some frames of it may be whole. One of which nobody knows what it had
  goes when nothing that it still proves lies in it alone (`spent`);
- a blob in a plain vault, `README.md`, `vault.json`: put again under their name, with the same bytes (`_replace`);
- a blob in an encrypted vault cannot be made again, as every sealing gives other bytes: the packs that name it are
  replaced as above, then nobody needs it;
- a manifest: the next is published, then the damaged one removed;
- a tail: everything is shipped in packs, and tails of ended epochs removed;
- an epoch's document: nobody knows what was in it. It is told.

Create-only names: the damaged object is in the way of the good one. Order of replacing, and what a crash leaves:

1. the good bytes are in hand and proven: nothing;
2. what is there is read once more; when it is those bytes after all, that is the end;
3. it is removed: the object is missing, which the next verification finds, and repairs from 1 on;
4. the good one is created, and read back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from keepwell.model.errors import Damaged, KeepwellError, NotThere, StorageFault, Unavailable
from keepwell.model.names import AccountId, Digest
from keepwell.model.record import digest_of
from keepwell.storage.contract import Head, Store
from keepwell.vault.catalogue import Pack
from keepwell.vault.documents import render_document
from keepwell.vault.findings import VaultFinding
from keepwell.vault.layout import (
    BLOBS,
    MANIFESTS,
    PACKS,
    README,
    TAILS,
    VAULT_DOCUMENT,
    manifest_number,
    proves_itself,
    stored_hash,
)
from keepwell.vault.medium import Medium, create_or_same
from keepwell.vault.merge import retire
from keepwell.vault.prove import prove_account
from keepwell.vault.reading import Bodies, Findings, read_lines
from keepwell.vault.readme import render_readme
from keepwell.vault.ship import Relation, pack_tails, plan_ship, ship, ship_from
from keepwell.vault.spent import is_spent
from keepwell.vault.vault import Vault


@dataclass(slots=True)
class Repaired:
    """What was made good, and what could not be."""

    objects: list[str] = field(default_factory=list)
    accounts: list[AccountId] = field(default_factory=list)
    """Those that reach again what they must."""
    failures: dict[str, KeepwellError] = field(default_factory=dict)


def repair_vault(
    vault: Vault, findings: Iterable[VaultFinding], store: Store, others: Sequence[Vault] = ()
) -> Repaired:
    """Make good what was found, as far as possible. Raises Fenced, and StorageFault of the vault's medium."""
    return _Repair(vault, store, others).carry_out(sorted({one.object for one in findings}))


class _Repair:
    """One repair of one vault."""

    def __init__(self, vault: Vault, store: Store, others: Sequence[Vault]) -> None:
        self._vault = vault
        self._store = store
        self._others = list(others)
        self._done = Repaired()

    def carry_out(self, names: Sequence[str]) -> Repaired:
        self._vault.refresh()
        packs = [name for name in names if name.startswith(PACKS)]
        for name in names:
            if name.startswith(BLOBS):
                packs += self._attempt_blob(name)
            elif name in {README, VAULT_DOCUMENT}:
                self._attempt(name, self._document_of(name))
        accounts = [AccountId(name) for name in names if name.startswith("a_")]
        if packs or accounts:
            self._replace_packs(sorted(set(packs)), accounts)
        if any(name.startswith(TAILS) for name in names):
            self._ship_what_tails_hold(names)
        if any(name.startswith(MANIFESTS) for name in names):
            self._publish_again([name for name in names if stored_hash(name) and name.startswith(MANIFESTS)])
        self._tell_the_rest(names)
        return self._done

    def _tell_the_rest(self, names: Iterable[str]) -> None:
        for name in names:
            if name not in {*self._done.objects, *self._done.accounts, *self._done.failures}:
                self._done.failures[name] = Damaged(f"{name} in vault {self._vault.name} cannot be made good")

    def _attempt(self, name: str, octets: bytes | None) -> bool:
        """Put these bytes under the name; without any it is told."""
        if octets is None:
            self._done.failures[name] = Damaged(f"no copy that proves itself has {name} of vault {self._vault.name}")
            return False
        _replace(self._vault.medium, name, octets)
        self._done.objects.append(name)
        return True

    def _document_of(self, name: str) -> bytes | None:
        """README.md or vault.json made anew; None unless that is what the manifest names."""
        manifest = self._vault.manifest()
        document = self._vault.document
        octets = render_document(document) if name == VAULT_DOCUMENT else render_readme(document)
        hashed = manifest.documents.get(name) if manifest else None
        return octets if hashed == digest_of(octets) else None

    def _attempt_blob(self, name: str) -> list[str]:
        """Make a blob good; the packs to replace instead when it cannot be made again."""
        packs = [pack for pack in self._vault.packs() if any(name in frame.blobs for frame in pack.index.frames)]
        if self._vault.seal.sealed:
            return [pack.name for pack in packs]
        digest = Digest(stored_hash(name) or "")
        accounts = {frame.account for pack in packs for frame in pack.index.frames if name in frame.blobs}
        body = self._body_from_store(digest) or self._body_from_vaults(digest, accounts)
        self._attempt(name, body)
        return []

    def _body_from_store(self, digest: Digest) -> bytes | None:
        """Whichever account has it: a tail may need it that no pack holds yet."""
        for account in self._store.accounts():
            with suppress(Damaged, NotThere, Unavailable), self._store.account(account).reading() as snapshot:
                body = snapshot.content(digest)
                if body is not None:
                    return body
        return None

    def _body_from_vaults(self, digest: Digest, accounts: Iterable[AccountId]) -> bytes | None:
        findings = Findings()
        for account in sorted(accounts):
            bodies = Bodies(self._others, account, findings)
            for found in read_lines(self._others, account, findings=findings):
                if found.line.record.facts.digest == digest and (body := bodies.read(found)) is not None:
                    return body
        return None

    def _replace_packs(self, names: Sequence[str], accounts: Sequence[AccountId]) -> None:
        chosen = [pack for pack in self._vault.packs() if pack.name in names and not pack.is_partial]
        counted = {pack.name for pack in chosen}
        known = {pack.name: pack for pack in [*chosen, *self._uncounted(names)] if self._is_believed(pack)}
        wanted = _heads_in(known.values())
        for account in [*accounts, *self._unreached()]:
            wanted.setdefault(account, [])
        for account, heads in wanted.items():
            heads += self._noted(account)
        for name in names:
            self._vault.forget_pack(name)
        self._ship_again(wanted)
        good = {account for account in wanted if self._is_proven(account, wanted[account])}
        for name in names:
            may_hold = _heads_in([known[name]]) if name in known else wanted
            is_known = name in known or self._is_listed(name)
            if good.issuperset(may_hold) and (is_known or is_spent(self._vault, name, self._store)):
                self._done.objects.append(name)
            else:
                self._count_again(name, known.get(name) if name in counted else None)
        self._done.accounts += [account for account in accounts if account in good]
        self._retire([name for name in names if name in self._done.objects], known)

    def _uncounted(self, names: Iterable[str]) -> list[Pack]:
        """Those of these packs that are not counted on, by what their frames say, where all of them can be read.

        One with a damaged index that came after the last manifest: nothing else says that it belongs here.
        """
        counted = {pack.name for pack in self._vault.packs()}
        found = (self._vault.pack_as_it_is(name) for name in names if name not in counted)
        return [pack for pack in found if pack is not None and not pack.is_partial]

    def _is_believed(self, pack: Pack) -> bool:
        """Whether the index of a pack can be gone by: it is its bytes' that prove it, or the store says the same."""
        agreed = (self._store_agrees(account, heads) for account, heads in _heads_in([pack]).items())
        return self._is_good(pack.name) or all(agreed)

    def _store_agrees(self, account: AccountId, heads: Iterable[Head]) -> bool:
        """Whether the store has these records, as far as it has any so late; False when it cannot be read."""
        try:
            with self._store.account(account).reading() as snapshot:
                return all(
                    record is None or record.hash == head.hash
                    for head in heads
                    for record in [next(snapshot.records(head.sequence - 1), None)]
                )
        except NotThere:
            return True
        except (Damaged, Unavailable):
            return False

    def _unreached(self) -> list[AccountId]:
        """Accounts that do not reach what the manifest says of them."""
        manifest = self._vault.manifest()
        notes = manifest.accounts.items() if manifest else ()
        return [account for account, note in notes if self._vault.packed_head(account).sequence < note.seq]

    def _is_listed(self, name: str) -> bool:
        """Whether the manifest knows a pack: then, without its index, no account leads farther in it than there."""
        manifest = self._vault.manifest()
        return manifest is not None and name in manifest.packs and not self._unreached()

    def _ship_again(self, wanted: dict[AccountId, list[Head]]) -> None:
        here = wanted.keys() & set(self._store.accounts())
        # A store that tells another story must not put it into the vault: readers would follow what came last.
        agreeing = [account for account in sorted(here) if self._store_agrees(account, wanted[account])]
        ship(self._vault, self._store, agreeing)
        for account, heads in wanted.items():
            if any(self._vault.packed_head(account).sequence < head.sequence for head in heads) and self._others:
                try:
                    ship_from(self._vault, self._others, account)
                except KeepwellError as error:
                    self._done.failures[account] = error

    def _noted(self, account: AccountId) -> list[Head]:
        """Where the manifest says that the account ends."""
        manifest = self._vault.manifest()
        note = manifest.accounts.get(account) if manifest else None
        return [Head(note.seq, note.head)] if note else []

    def _is_proven(self, account: AccountId, heads: Sequence[Head]) -> bool:
        try:
            prove_account([self._vault], account, heads)
        except KeepwellError as error:
            self._done.failures[account] = error
            return False
        self._done.failures.pop(account, None)
        return True

    def _count_again(self, name: str, pack: Pack | None) -> None:
        if pack is not None:
            self._vault.remember_pack(pack)
        self._done.failures[name] = Damaged(
            f"{name} in vault {self._vault.name} stays as it is: nothing else has all that it should have"
        )

    def _retire(self, names: Sequence[str], known: dict[str, Pack]) -> None:
        """Remove replaced packs, and the encrypted blobs that only they named.

        One that was put again under the same name, with the same bytes, was sound: it stays.
        """
        counted = {pack.name for pack in self._vault.packs()}
        names = [name for name in names if name not in counted]
        retire(self._vault, names)
        if not self._vault.seal.sealed:
            return
        needed = {blob for pack in self._vault.packs() for frame in pack.index.frames for blob in frame.blobs}
        named = {blob for name in names if name in known for frame in known[name].index.frames for blob in frame.blobs}
        for blob in sorted(named - needed):
            self._vault.medium.remove(blob)
            self._done.objects.append(blob)

    def _ship_what_tails_hold(self, names: Iterable[str]) -> None:
        heads = {account: head for account, head in self._store.read_heads() if isinstance(head, Head)}
        packed = {account: self._vault.packed_head(account) for account in self._vault.heads()}
        behind = [one.account for one in plan_ship(heads, packed) if one.relation is Relation.STORE_AHEAD]
        ship(self._vault, self._store, behind)
        pack_tails(self._vault, self._store)
        self._done.objects += [name for name in names if name.startswith(TAILS) and not self._vault.medium.exists(name)]

    def _publish_again(self, damaged: Sequence[str]) -> None:
        """A manifest that is good comes before those that are not go."""
        published = self._vault.put_manifest()
        stored = [info.name for info in self._vault.medium.list(MANIFESTS)]
        if not any(manifest_number(name) == published.number and self._is_good(name) for name in stored):
            raise StorageFault(f"the manifest that vault {self._vault.name} was just given cannot be read")
        for name in damaged:
            if not self._is_good(name):
                self._vault.medium.remove(name)
            self._done.objects.append(name)
        self._done.objects.append(MANIFESTS)

    def _is_good(self, name: str) -> bool:
        """Whether an object is what was stored under its name, as it can be read now."""
        with suppress(NotThere, StorageFault):
            return proves_itself(name, self._vault.medium.read(name))
        return False


def _heads_in(packs: Iterable[Pack]) -> dict[AccountId, list[Head]]:
    """The records that these packs lead to, by account."""
    found: dict[AccountId, list[Head]] = {}
    for pack in packs:
        for frame in pack.index.frames:
            found.setdefault(frame.account, []).append(Head(frame.last, frame.head))
    return found


def _replace(medium: Medium, name: str, octets: bytes) -> None:
    """Put proven bytes under a name that may be taken by damaged ones. Raises StorageFault."""
    with suppress(NotThere, StorageFault):
        if medium.read(name) == octets:
            return
    medium.remove(name)
    create_or_same(medium, name, octets)
    if medium.read(name) != octets:
        raise StorageFault(f"{name} was put anew and reads back otherwise", hint="The vault's medium is failing.")
