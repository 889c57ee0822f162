"""One vault, opened: what lies in it, and how records come into it and out of it.

Opened for reading (`open_vault`) nothing is written. To write, a server claims an epoch (`claim`): it takes the next
number by a create-only write, and then reads what is there. Every write is followed by a look for a higher number; when
there is one, another server has taken over, `Fenced` is raised and nothing of this write may be acknowledged. The
other server claimed first and read after, so whatever was acknowledged before lies open to it.

Order of one shipment, and what a crash leaves at each step (each state is whole; later ones only add):

1. blobs: objects that no record names yet; the next shipment finds them there;
2. the pack: its records are in the vault, not listed in a manifest yet;
3. a look at the epochs;
4. later, by the keeper: a manifest that lists the pack.

A server that lost the vault may put one more pack, or append to its tail, before it learns so. Those records may
contradict those of the epoch that had begun, so they count for nothing (`vault.manifests`). Each epoch therefore begins
with a manifest, before anything is acknowledged in it (`services.epochs`).

All methods may be called from several threads.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from keepwell.ground.clock import Clock, render_moment
from keepwell.model.errors import CannotStart, Damaged, Fenced, KeepwellError, NotThere, StorageFault
from keepwell.model.names import AccountId, Lineage
from keepwell.model.record import digest_of
from keepwell.storage.contract import Head
from keepwell.vault.catalogue import Catalogue, FrameRef, Pack
from keepwell.vault.documents import (
    AccountNote,
    EpochDocument,
    Manifest,
    VaultDocument,
    parse_epoch_document,
    parse_vault_document,
    render_epoch_document,
    render_manifest,
)
from keepwell.vault.layout import (
    EPOCHS,
    MANIFESTS,
    PACKS,
    README,
    TAILS,
    VAULT_DOCUMENT,
    blob_name,
    epoch_name,
    epoch_of,
    manifest_name,
    manifest_number,
    pack_name,
    proves_itself,
    sealed_blob_name,
)
from keepwell.vault.lines import Line
from keepwell.vault.manifests import age, is_stray, newest_manifest, note_of_account, octets_that_count
from keepwell.vault.medium import Medium, ObjectInfo, claim, create_or_same
from keepwell.vault.pack import PackIndex, Run, read_frame, read_index, render_pack
from keepwell.vault.reindexing import reindexed
from keepwell.vault.sealing import Seal
from keepwell.vault.tail import parse_tail_object, written_in

INDEX_OCTETS_GUESS: Final = 64 * 1024
"""Read from a pack's end at first; an index of more than some hundred accounts needs a second look."""

SealFor = Callable[[VaultDocument], Seal]
"""Chooses how a vault with this document is sealed."""


@dataclass(frozen=True, slots=True)
class EndTold:
    """The number of an account's last record, as an object says it, and that record's lineage."""

    sequence: int
    lineage: Lineage


class Vault:
    """One opened vault. Invariant: the catalogue never says of a record that it is here before its sync returned."""

    def __init__(self, name: str, medium: Medium, document: VaultDocument, seal: Seal, clock: Clock) -> None:
        """Over a medium whose `vault.json` says `document`; what is there is read by `look`."""
        self.name = name
        self.medium = medium
        self.document = document
        self.seal = seal
        self.epoch = 0
        self.problems: list[KeepwellError] = []
        """What could not be read when looking."""
        self.broken_ends: list[str] = []
        """Tails whose last line could not be read: it is damaged, or was cut off by a crash and never confirmed."""
        self.strays: frozenset[str] = frozenset()
        """Objects that count for nothing, or of which only a part counts: who wrote the rest had lost the vault."""
        self._unread: set[str] = set()
        """Packs that are there, and of which nothing can be read."""
        self._clock = clock
        self._lock = threading.Lock()
        self._catalogue = Catalogue()
        self._tails: dict[str, int] = {}
        """The tails that were found, and how many bytes of each count."""
        self._manifest: Manifest | None = None

    def look(self) -> None:
        """Read what is there: packs' indexes, tails, the newest manifest. Raises StorageFault, Locked."""
        catalogue, tails, broken_ends, problems = Catalogue(), dict[str, int](), list[str](), list[KeepwellError]()
        # First the manifest: what is merged meanwhile is gone from a later one, and not listed here yet. Then the
        # tails, and only then the packs: what is taken from a tail meanwhile is in a pack before the tail goes.
        manifest, strays = newest_manifest(self.medium, self.name, self.document, self.epoch, problems)
        for info in self.medium.list(TAILS):
            try:
                written = written_in(self.medium.read(info.name))
            except NotThere:
                continue
            counted = written[: octets_that_count(info.name, manifest)]
            if len(counted) < len(written):
                strays.add(info.name)
            found = parse_tail_object(counted, self.seal)
            tails[info.name] = len(counted)
            catalogue.add_tail(found.lines)
            if found.damaged:
                problems.append(Damaged(f"{found.damaged} lines of {info.name} in vault {self.name} cannot be read"))
            if found.ends_broken:
                broken_ends.append(info.name)
        unread = set[str]()
        for info in self.medium.list(PACKS):
            pack = self._pack_at(info, problems)
            if pack is None:
                unread.add(info.name)
            elif is_stray(pack, manifest):
                strays.add(pack.name)
            else:
                catalogue.add_pack(pack)
        with self._lock:
            self._catalogue, self._tails, self._manifest, self.problems = catalogue, tails, manifest, problems
            self.broken_ends, self.strays, self._unread = broken_ends, frozenset(strays), unread

    def refresh(self) -> None:
        """Learn which packs and manifests other processes of this server put and removed. Raises StorageFault.

        A pack that is gone is forgotten when others have all of it; else something is lost, which verifying tells. What
        another epoch wrote after this one had begun does not count: its writer was told that it lost.
        """
        problems = list[KeepwellError]()
        manifest, strays = newest_manifest(self.medium, self.name, self.document, self.epoch, problems)
        known = {pack.name for pack in self.packs()}
        listed = {info.name: info for info in self.medium.list(PACKS)}
        come, unread = list[Pack](), set[str]()
        for name in sorted(listed.keys() - known):
            pack = self._pack_at(listed[name], problems)
            if pack is None:
                unread.add(name)
            elif self.epoch in {0, pack.index.epoch} and not is_stray(pack, manifest):
                come.append(pack)
            elif not pack.is_reindexed:
                strays.add(name)
        with self._lock:
            for pack in come:
                self._catalogue.add_pack(pack)
            for name in sorted(known - listed.keys()):
                if name in self._catalogue.packs and self._catalogue.is_superseded(name, listed):
                    self._catalogue.drop_pack(name)
            if manifest is not None and (self._manifest is None or age(manifest) > age(self._manifest)):
                self._manifest = manifest
            strays |= self.strays & self._tails.keys()  # tails are read once: later ones only tell what packs will
            self.problems, self.strays, self._unread = problems, frozenset(strays), unread

    def catalogue(self) -> Catalogue:
        """What `look` found, for another process that reads this vault with this one; it must not be changed."""
        with self._lock:
            return self._catalogue

    def adopt(self, catalogue: Catalogue) -> None:
        """Take for granted what another process found by `look`: reading proves it all the same."""
        with self._lock:
            self._catalogue = catalogue

    def claim(self, server: EpochDocument) -> int:
        """Take the right to write: the next epoch, whose number is returned; then look. Raises StorageFault.

        What is found is durable: writing goes on behind it, and people are shown what it has.
        """
        while True:
            number = self.newest_epoch() + 1
            document = EpochDocument(
                epoch=number, server=server.server, at=server.at, host=server.host, data=server.data
            )
            if not claim(self.medium, epoch_name(number), render_epoch_document(document)):
                continue
            self.epoch = number
            self.look()
            self.medium.settle(TAILS)
            return number

    def resume(self, epoch: int, server: str) -> None:
        """Write in an epoch that a process of the same server claimed; then look. Raises Fenced, Damaged."""
        self.epoch = epoch
        self.require_epoch()
        held = parse_epoch_document(self.medium.read(epoch_name(epoch)))
        if held.server != server:
            raise Fenced(self.name, f"{held.host}:{held.data}")
        self.look()
        self.medium.settle(TAILS)

    def is_from_before(self, epoch: int) -> bool:
        """Whether it is as it was before this epoch was claimed in it: an older copy was put in its place."""
        return not self.medium.exists(epoch_name(epoch)) and self.newest_epoch() < epoch

    def newest_epoch(self) -> int:
        """The highest number that was claimed; 0 when none was. Raises StorageFault."""
        return max((epoch_of(info.name) or 0 for info in self.medium.list(EPOCHS)), default=0)

    def require_epoch(self) -> None:
        """Raise Fenced when another server has taken over; StorageFault when that cannot be told."""
        if self.epoch == 0:
            raise CannotStart(f"vault {self.name} is open for reading only")
        if self.medium.exists(epoch_name(self.epoch + 1)):
            raise Fenced(self.name, self._holder())

    def put_blob(self, body: bytes) -> str:
        """Keep large bytes, durably; the object's name. May be called again, and by several at once."""
        if not self.seal.sealed:
            name = blob_name(digest_of(body))
            if not self.medium.keeps(name):  # another may be about to put the same
                create_or_same(self.medium, name, body)
            return name
        stored = self.seal.seal(body)
        name = sealed_blob_name(stored)
        create_or_same(self.medium, name, stored)
        return name

    def read_blob(self, name: str) -> bytes:
        """Large bytes by their object's name. Raises NotThere, Damaged, Locked, StorageFault."""
        stored = self.medium.read(name)
        if not proves_itself(name, stored):
            raise Damaged(f"{name} in vault {self.name} is not what was stored under that name")
        return self.seal.unseal(stored)

    def put_pack(self, runs: list[Run], *, level: int) -> Pack:
        """Keep a pack of these runs, durably, and count it in. Raises Fenced, StorageFault."""
        stored, index = render_pack(
            runs,
            vault=self.document.id,
            epoch=self.epoch,
            at=render_moment(self._clock.now()),
            seal=self.seal,
            level=level,
        )
        pack = Pack(pack_name(stored, sealed=self.seal.sealed), len(stored), index)
        create_or_same(self.medium, pack.name, stored)
        self.require_epoch()
        with self._lock:
            self._catalogue.add_pack(pack)
        return pack

    def read_index_of(self, info: ObjectInfo) -> PackIndex:
        """What a pack says of itself. Raises Damaged, NotThere, StorageFault."""
        length = INDEX_OCTETS_GUESS
        while True:
            index = read_index(self.medium.read_range(info.name, -length, length))
            if index is not None:
                return index
            if length >= info.size:
                raise Damaged(f"{info.name} in vault {self.name} has no index")
            length *= 8

    def read_frame(self, ref: FrameRef) -> list[Line]:
        """A frame's records, proven. Raises NotThere, Damaged, Locked, StorageFault."""
        frame = ref.frame
        return read_frame(self.medium.read_range(ref.pack, frame.offset, frame.length), frame, self.seal)

    def remove_pack(self, name: str) -> None:
        """Remove a pack whose records are all in others; whoever calls has read those."""
        self.forget_pack(name)
        self.medium.remove(name)

    def remove_tails(self, names: Iterable[str]) -> None:
        """Remove tails whose records are all in packs."""
        for name in names:
            self.medium.remove(name)
            with self._lock:
                self._tails.pop(name, None)

    def put_manifest(self) -> Manifest:
        """Publish what is here now as what must be here. Raises Fenced, StorageFault."""
        self.require_epoch()
        documents = self._documents_now()
        number = max((manifest_number(info.name) or 0 for info in self.medium.list(MANIFESTS)), default=0) + 1
        with self._lock:
            manifest = self._manifest_now(number, documents)
        stored = render_manifest(manifest)
        create_or_same(self.medium, manifest_name(manifest.number, stored), stored)
        self.require_epoch()
        for info in list(self.medium.list(MANIFESTS)):
            if (manifest_number(info.name) or 0) < manifest.number - 1:  # the one before stays
                self.medium.remove(info.name)
        with self._lock:
            self._manifest = manifest
        return manifest

    def is_published(self) -> bool:
        """Whether the newest manifest names the packs that are here."""
        with self._lock:
            return self._manifest is not None and self._manifest.packs == self._packs_to_name()

    def manifest(self) -> Manifest | None:
        """The newest that could be read."""
        with self._lock:
            return self._manifest

    def head(self, account: AccountId) -> Head:
        """Where the account's unbroken records end here."""
        with self._lock:
            return self._catalogue.head(account)

    def accounts(self) -> set[AccountId]:
        """Every account that anything here tells of."""
        with self._lock:
            return {*self._catalogue.accounts(), *(self._manifest.accounts if self._manifest else ())}

    def ends_told(self, account: AccountId) -> list[EndTold]:
        """Where objects here say that the account ends, whether what leads there can be read or not."""
        with self._lock:
            told = [EndTold(ref.frame.last, ref.frame.lineage) for ref in self._catalogue.frames(account)]
            tail = [line.record.facts for line in self._catalogue.tail_lines(account)[-1:]]
            note = self._manifest.accounts.get(account) if self._manifest else None
        told += [EndTold(facts.seq, facts.lineage) for facts in tail]
        return told if note is None else [*told, EndTold(note.seq, note.lineage)]

    def packed_head(self, account: AccountId) -> Head:
        """The same by packs alone."""
        with self._lock:
            return self._catalogue.packed_head(account)

    def heads(self) -> dict[AccountId, Head]:
        """Every account of which something is here."""
        with self._lock:
            return {account: self._catalogue.head(account) for account in self._catalogue.accounts()}

    def note(self, account: AccountId) -> AccountNote | None:
        """What the packs' indexes say of the account's end; None when no pack has it."""
        with self._lock:
            return note_of_account(self._catalogue, account)

    def covering(self, account: AccountId) -> list[FrameRef]:
        """The fewest frames that hold the account's unbroken records in packs, in order."""
        with self._lock:
            return self._catalogue.covering(account)

    def frames(self, account: AccountId) -> list[FrameRef]:
        """Every frame of the account."""
        with self._lock:
            return self._catalogue.frames(account)

    def tail_lines(self, account: AccountId) -> list[Line]:
        """The account's records in the tails that were found when looking."""
        with self._lock:
            return self._catalogue.tail_lines(account)

    def packs(self) -> list[Pack]:
        """Every pack."""
        with self._lock:
            return list(self._catalogue.packs.values())

    def tails(self) -> list[str]:
        """The tails that were found when looking."""
        with self._lock:
            return list(self._tails)

    def unread(self) -> frozenset[str]:
        """Packs that are there, and of which nothing can be read."""
        with self._lock:
            return frozenset(self._unread)

    def forget_pack(self, name: str) -> None:
        """Do not count on a pack any more: it is damaged or gone. What it alone had is shipped again."""
        with self._lock:
            self._catalogue.drop_pack(name)
            self._unread.discard(name)

    def remember_pack(self, pack: Pack) -> None:
        """Count on a pack again that was forgotten."""
        with self._lock:
            self._catalogue.add_pack(pack)

    def require_answers(self, fault: StorageFault) -> None:
        """Raise this fault, met with one object, when the medium as a whole does not answer.

        A bad sector below one object is that object's damage; a medium that is gone says nothing of its objects.
        """
        if not self.medium.exists(VAULT_DOCUMENT):
            raise fault

    def close(self) -> None:
        """Let go of the medium."""
        self.medium.close()

    def _holder(self) -> str:
        """Who holds the newest epoch, for people."""
        try:
            held = parse_epoch_document(self.medium.read(epoch_name(self.newest_epoch())))
        except (Damaged, NotThere):
            return "a server whose name cannot be read any more"
        return f"{held.host}:{held.data}"

    def pack_as_it_is(self, name: str) -> Pack | None:
        """What a pack holds by its index, or by its frames where that is damaged; whether or not it counts."""
        info = next((one for one in self.medium.list(name) if one.name == name), None)
        return None if info is None else self._pack_at(info, [])

    def _pack_at(self, info: ObjectInfo, problems: list[KeepwellError]) -> Pack | None:
        """A pack; one whose index is damaged with what its frames say, which is told. None when there is nothing."""
        try:
            index = self.read_index_of(info)
            if index.vault == self.document.id:
                return Pack(info.name, info.size, index)
            problems.append(Damaged(f"{info.name} in vault {self.name} is of another vault, {index.vault[:40]}"))
            return None
        except NotThere as error:
            problems.append(error)
            return None
        except Damaged as error:
            problems.append(Damaged(f"{info.name} in vault {self.name}: {error.message}"))
        with suppress(NotThere):
            index, is_all = reindexed(self.medium.read(info.name), self.document.id, self.seal)
            if index.frames:
                return Pack(info.name, info.size, index, is_reindexed=True, is_partial=not is_all)
        return None

    def _documents_now(self) -> dict[str, str]:
        """The hash of each small document, taken once: what is there at a later manifest may be damaged."""
        known = dict(self._manifest.documents) if self._manifest else {}
        names = [README, VAULT_DOCUMENT, *(info.name for info in self.medium.list(EPOCHS))]
        for name in (one for one in names if one not in known):
            with suppress(NotThere):
                known[name] = digest_of(self.medium.read(name))
        return known

    def _packs_to_name(self) -> dict[str, int]:
        """Those that count, and those that did and cannot be read now: what is damaged must not be forgotten.

        One that can be read in part is not named: nothing of it is known but that part.
        """
        named = self._manifest.packs if self._manifest else {}
        kept = {name: size for name, size in named.items() if name in self._unread}
        return kept | {name: pack.size for name, pack in self._catalogue.packs.items() if not pack.is_partial}

    def _manifest_now(self, number: int, documents: dict[str, str]) -> Manifest:
        catalogue = self._catalogue
        notes = {} if self._manifest is None else dict(self._manifest.accounts)
        for account in catalogue.accounts():
            note, before = note_of_account(catalogue, account), notes.get(account)
            # What must be there is never taken back: else a loss would vanish with the next manifest.
            if note is not None and (before is None or note.seq > before.seq):
                notes[account] = note
        return Manifest(
            manifest=1,
            vault=self.document.id,
            epoch=self.epoch,
            number=number,
            at=render_moment(self._clock.now()),
            packs=self._packs_to_name(),
            accounts=notes,
            documents=documents,
            tails={name: octets for name, octets in self._tails.items() if (epoch_of(name) or 0) < self.epoch},
        )


def open_vault(name: str, medium: Medium, seal_for: SealFor, clock: Clock) -> Vault:
    """Open a vault for reading; `look` comes next. Raises NotThere, Damaged, CannotStart, StorageFault."""
    try:
        stored = medium.read(VAULT_DOCUMENT)
    except NotThere:
        raise NotThere(f"there is no vault at {medium.identity().place}", hint="See: keepwell vault add") from None
    document = parse_vault_document(stored, medium.identity().place)
    return Vault(name, medium, document, seal_for(document), clock)
