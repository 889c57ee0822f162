"""The embedded store: one SQLite file per account, in `accounts/ab/a_….db`.

Only so many accounts stay open; the one that was unused longest is closed by a thread of its own, because closing may
checkpoint and that must not delay a request.

Making an account, empty or from another copy's records: the file is built under a temporary name of its own, closed,
synced, and put in its place (`sqlite_places`); a crash before that leaves a stray `.tmp-…` file, which `keepwell check`
tells.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from queue import SimpleQueue

import apsw

from keepwell.ground.clock import Clock, SystemClock, render_moment
from keepwell.ground.durable import make_folder, sync_file
from keepwell.ground.entropy import Entropy, SystemEntropy, base32_word
from keepwell.ground.process import open_files_max
from keepwell.model.errors import AlreadyThere, CannotStart, NotThere, StorageFault
from keepwell.model.names import SYSTEM_ACCOUNT, AccountId, Digest, Kind, Lineage
from keepwell.storage.blobs import FileBlobs
from keepwell.storage.carrying import written_meanwhile
from keepwell.storage.contract import BlobStore, Carried, Head, Indexer, Work
from keepwell.storage.generations import ACCOUNTS, SET_ASIDE, SharedHold
from keepwell.storage.moves import Moves
from keepwell.storage.sqlite_account import SqliteAccount, storage_fault
from keepwell.storage.sqlite_check import is_damage
from keepwell.storage.sqlite_files import (
    building,
    read_head,
    read_head_of_nobody,
    read_meta,
    require_sound_sqlite,
)
from keepwell.storage.sqlite_places import appear, files_of_accounts, folder_of, vanish
from keepwell.storage.sqlite_restore import restore_into
from keepwell.storage.sqlite_snapshot import HELD_KEY, parse_held
from keepwell.storage.sqlite_sweeping import sweep
from keepwell.storage.sqlite_transaction import SqliteTransaction
from keepwell.storage.suspects import Suspects

OPEN_ACCOUNTS_MAX = 256
"""Accounts whose connections stay open."""

_FILES_OF_ACCOUNT = 8
_OTHER_FILES = 256
_HEAP_OCTETS_SOFT_MAX = 64 * 1024 * 1024


class SqliteStore:
    """All accounts of a data folder."""

    def __init__(
        self,
        folder: Path,
        clock: Clock | None = None,
        entropy: Entropy | None = None,
        *,
        generation: str = ACCOUNTS,
    ) -> None:
        """Over `folder`; of another `generation` than the one that is served only while that is held alone.

        Raises CannotStart when this machine's SQLite is not sound, Unavailable while generations change.
        """
        require_sound_sqlite()
        apsw.soft_heap_limit(_HEAP_OCTETS_SOFT_MAX)
        self._hold = SharedHold(folder) if generation == ACCOUNTS else None
        self._data = folder
        self._folder = folder / generation
        self._clock = clock or SystemClock()
        self._entropy = entropy or SystemEntropy()
        self._blobs = FileBlobs(folder / "blobs")
        self.suspects = Suspects(folder)
        self._moves = Moves(folder, self._entropy)
        self._open: OrderedDict[AccountId, SqliteAccount] = OrderedDict()
        self._open_max = _open_accounts_max()
        self._lock = threading.Lock()
        self._closing: SimpleQueue[SqliteAccount | None] = SimpleQueue()
        self._closer: threading.Thread | None = None

    @property
    def blobs(self) -> BlobStore:
        """The blobs beside the accounts."""
        return self._blobs

    def accounts(self) -> list[AccountId]:
        """Every account that has a file here, in order; another file that someone put among them is none."""
        return [account for account, _path in files_of_accounts(self._folder)]

    def account(self, account: AccountId) -> SqliteAccount:
        """The account's file. Raises NotThere, StorageFault."""
        with self._lock:
            found = self._open.get(account)
            if found is not None and self._is_current(found):
                self._open.move_to_end(account)
                return found
            if found is not None:
                self._close_later(self._open.pop(account))
        try:
            opened = SqliteAccount(self._path(account), account, self._blobs, self._clock, self.suspects.note)
        except FileNotFoundError:
            raise NotThere(f"there is no account {account}") from None
        except OSError as error:
            raise storage_fault(account, "look for its file", error) from error
        return self._remember(account, opened)

    def create(self, account: AccountId, works: Sequence[Work] = ()) -> SqliteAccount:
        """Make the account's file, whole or not at all, with these works done. Raises AlreadyThere."""
        with self._making(account) as temporary, building(temporary, account, self._new_lineage()) as connection:
            connection.execute("BEGIN")
            transaction = SqliteTransaction(connection, account, self._blobs, self._clock)
            for verdict in [transaction.run(work) for work in works]:
                if isinstance(verdict, BaseException):
                    raise verdict
            transaction.flush()
            connection.execute("COMMIT")
        return self.account(account)

    def restore(
        self, account: AccountId, carried: Iterable[Carried], indexer: Indexer, *, may_lack: bool = False
    ) -> SqliteAccount:
        """Make the account's file from another copy's records, whole or not at all. Raises AlreadyThere, Damaged."""
        with self._making(account) as temporary, building(temporary, account, self._new_lineage()) as connection:
            restore_into(connection, account, self._blobs, carried, indexer, may_lack=may_lack)
        return self.account(account)

    def set_aside(self, account: AccountId, *, last: Head | None = None) -> str:
        """Take an account that is damaged out of use; it is kept under the name that is returned.

        With `last` only while that is its last record. Raises NotThere, Unavailable, StorageFault.
        """
        opened, aside = self.account(account), self._new_aside(account)
        with self._lock:
            self._open.pop(account, None)
        try:
            self._moves.prepare()
            with suppress(apsw.Error):  # it is damaged: closing may try what cannot be done with it any more
                opened.close()
            try:
                vanish(self._path(account), aside, partial(_require_last, self._path(account), account, last))
            finally:
                self._moves.note()
        except (OSError, apsw.Error) as error:
            raise storage_fault(account, "set it aside", error) from error
        return str(aside.relative_to(self._data))

    def sweep_blobs(self, digests: Iterable[Digest]) -> list[Digest]:
        """Remove those of the blobs that no account has any more; which went. Raises StorageFault, Unavailable."""
        try:
            return sweep(self._blobs, digests, self._needing)
        except OSError as error:
            raise StorageFault(f"blobs could not be removed: {error}", hint="See the log of the system.") from error

    def _needing(self) -> Iterator[Callable[[Sequence[Digest]], set[Digest]]]:
        for account in self.accounts():
            yield self.account(account).needed_blobs
        if next(self._folder.glob("??/.tmp-*"), None) is not None:
            yield set

    def read_heads(self) -> Iterator[tuple[AccountId, Head | Exception]]:
        """Every account's head, or why it cannot be read."""
        for account, path in files_of_accounts(self._folder):
            try:
                yield account, read_head(path)
            except CannotStart:
                raise  # of another format: it is not for this program to judge it unreadable
            except (apsw.Error, OSError) as error:
                if is_damage(error):
                    self.suspects.note(account)
                yield account, error

    def read_held(self, account: AccountId) -> Mapping[Kind, str]:
        """What is held of an account. Raises NotThere, StorageFault."""
        try:
            return parse_held(read_meta(self._path(account), HELD_KEY))
        except FileNotFoundError:
            raise NotThere(f"there is no account {account}") from None
        except (apsw.Error, OSError) as error:
            raise storage_fault(account, "read what is held", error) from error

    def close(self) -> None:
        """Close every file; may be called twice."""
        with self._lock:
            opened = list(self._open.values())
            self._open.clear()
        for one in opened:
            one.close()
        if self._closer is not None:
            self._closing.put(None)
            self._closer.join()
            self._closer = None
        if self._hold is not None:
            self._hold.release()
        self._moves.close()

    @contextmanager
    def _making(self, account: AccountId) -> Iterator[Path]:
        """Where to build the account's file; at the end it is synced and put in its place, or taken away."""
        path = self._path(account)
        if path.exists():
            raise AlreadyThere(f"there is an account {account} already")
        make_folder(path.parent)
        temporary = path.with_name(f".tmp-{account}-{base32_word(self._entropy, 40)}.db")
        try:
            yield temporary
            sync_file(temporary)
            if temporary.with_name(temporary.name + "-wal").exists():
                raise StorageFault(f"the file of {account} could not be closed", hint="See the log of the system.")
            appear(temporary, path, self._new_aside(account))
        except FileExistsError:
            raise AlreadyThere(f"there is an account {account} already") from None
        except (apsw.Error, OSError) as error:
            raise storage_fault(account, "create it", error) from error
        finally:
            for file in path.parent.glob(temporary.name + "*"):
                file.unlink(missing_ok=True)

    def _new_lineage(self) -> Lineage:
        return Lineage(base32_word(self._entropy, 80))

    def _new_aside(self, account: AccountId) -> Path:
        day = render_moment(self._clock.now())[:10]
        return self._data / SET_ASIDE / f"{account}-{day}-{base32_word(self._entropy, 40)}"

    def _remember(self, account: AccountId, opened: SqliteAccount) -> SqliteAccount:
        with self._lock:
            known = self._open.setdefault(account, opened)
            if SYSTEM_ACCOUNT in self._open:
                self._open.move_to_end(SYSTEM_ACCOUNT)  # every request asks for its version
            if len(self._open) > self._open_max:
                self._close_later(self._open.popitem(last=False)[1])
        return known

    def _is_current(self, opened: SqliteAccount) -> bool:
        """Whether the account still has this file: looked up only when some account was set aside since."""
        try:
            word = self._moves.word()
        except OSError as error:
            raise storage_fault(opened.account, "look whether it was moved", error) from error
        if opened.seen_in_place != word:
            if not opened.is_in_place():
                return False
            opened.seen_in_place = word
        return True

    def _close_later(self, unused: SqliteAccount) -> None:
        self._closing.put(unused)
        if self._closer is None:
            self._closer = threading.Thread(target=self._close_unused, name="keepwell-closer", daemon=True)
            self._closer.start()

    def _close_unused(self) -> None:
        while (unused := self._closing.get()) is not None:
            with suppress(apsw.Error):  # what is wrong with the file is told to whoever opens it next
                unused.close()

    def _path(self, account: AccountId) -> Path:
        return self._folder / folder_of(account) / f"{account}.db"


def _require_last(path: Path, account: AccountId, last: Head | None) -> None:
    if last is not None and read_head_of_nobody(path) != last:
        raise written_meanwhile(account)


def _open_accounts_max() -> int:
    """As many as the process may have files for: an open account has up to eight."""
    return min(OPEN_ACCOUNTS_MAX, max(8, (open_files_max() - _OTHER_FILES) // _FILES_OF_ACCOUNT))


def files_of_accounts_max() -> int:
    """How many files the accounts that stay open may take of those that this process may have."""
    return _open_accounts_max() * _FILES_OF_ACCOUNT
