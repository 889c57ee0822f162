"""The folder that a restore fills: built beside its place, and given its name when it is whole and proven.

    nothing ──1──► INTO.restoring, begun ──2──► … filled, proven … ──3──► finished ──4──► INTO

1. The folder is made, then `restore.json` in it says from which vaults and to what end; synced. A crash between leaves
   an empty folder, or one with a temporary file in it, which the next run takes.
2. Accounts and large bytes come, each whole and synced. A run that was killed is taken up by the next one with the same
   vaults: what is there is proven and not made again. Temporary files of the killed run are cleared away.
3. `loss-report.json`, if anything is missing, then `restore.json` with the end; synced. From here on the next run goes
   on with 4 and finds nothing to do before.
4. The folder is renamed to INTO (which is not there, or empty), and the folder above it synced. A crash before leaves
   no INTO, or an empty one as before; afterwards it is whole.

While it works, a run holds a lock on the folder. A finished folder may be *filled* by a later run, which adds large
bytes of kinds that were left out; that changes nothing that is there, so a server may run on it meanwhile.
"""

from __future__ import annotations

import errno
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from keepwell.ground.durable import make_folder, sync_folder, write_file
from keepwell.ground.process import try_lock_folder
from keepwell.model.errors import AlreadyThere, BadRequest, Damaged, Unavailable
from keepwell.model.names import AccountId

BUILDING_SUFFIX: Final = ".restoring"
LOSS_REPORT: Final = "loss-report.json"
SET_ASIDE: Final = "set-aside"
_NOTE: Final = "restore.json"
_STRAYS: Final = ".tmp-*"


class RestoreNote(msgspec.Struct, frozen=True, kw_only=True):
    """What lies in a restored folder: out of which vaults, to what end, since when, and when it was finished."""

    restore: int = 1
    vaults: tuple[str, ...]
    accounts: tuple[AccountId, ...] | None
    """Which accounts besides the system's; None: all."""
    target: str
    """To which moment or record collections were rewound; empty for the newest state."""
    began_at: str
    finished_at: str = ""

    def is_same_restore(self, other: RestoreNote) -> bool:
        """Whether both would make the same folder; large bytes may be of other kinds."""
        return (self.accounts, self.target) == (other.accounts, other.target) and set(self.vaults) == set(other.vaults)


@dataclass(slots=True)
class Place:
    """A folder that is being filled. `is_finished`: it has its final name already, and only large bytes are added."""

    into: Path
    folder: Path
    note: RestoreNote
    is_resumed: bool
    is_finished: bool
    _lock: int

    def finish(self, at: str, loss_report: bytes | None) -> None:
        """Put what is missing into words, then the folder in its place (steps 3 and 4). Raises OSError."""
        if loss_report is not None:
            write_file(self.folder / LOSS_REPORT, loss_report)
        elif self.is_finished:
            (self.folder / LOSS_REPORT).unlink(missing_ok=True)
        if not self.note.finished_at:
            self.note = msgspec.structs.replace(self.note, finished_at=at)
            _write_note(self.folder, self.note)
        if not self.is_finished:
            require_free(self.into)
            # What an earlier run made and this one replaced by more.
            shutil.rmtree(self.folder / SET_ASIDE, ignore_errors=True)
            self.folder.rename(self.into)
            sync_folder(self.into.parent)

    def release(self) -> None:
        """Let go of the lock; what was built stays for the next run."""
        os.close(self._lock)


def require_place(into: Path) -> None:
    """Refuse a place that is taken or nothing can be renamed to, before anything is read. Raises Refused, Damaged."""
    if _note_in(into) is None:
        require_free(into)


def open_place(into: Path, wanted: RestoreNote) -> Place:
    """Begin to fill `into`, or go on with it. Raises AlreadyThere, BadRequest, Damaged, Unavailable, OSError."""
    into = into.absolute()
    finished = _note_in(into)
    if finished is not None:
        return _place_to_fill(into, finished, wanted)
    require_free(into)
    building = into.with_name(into.name + BUILDING_SUFFIX)
    make_folder(building)
    lock = _locked(building)
    try:
        begun = _note_in(building)
        if begun is None:
            _require_empty(building)
            _write_note(building, wanted)
        elif not begun.is_same_restore(wanted):
            raise AlreadyThere(
                f"in {building} another restore was begun: from other vaults, of other accounts, or to another moment",
                hint="Run it again as it was begun, or remove that folder.",
            )
        _clear_strays(building)
    except BaseException:
        os.close(lock)
        raise
    return Place(into, building, begun or wanted, begun is not None, False, lock)


def _place_to_fill(into: Path, finished: RestoreNote, wanted: RestoreNote) -> Place:
    if not set(wanted.vaults) & set(finished.vaults) or wanted.target != finished.target:
        raise AlreadyThere(
            f"{into} is there already, restored from another vault or to another moment",
            hint="A restore never overwrites anything. Name another place.",
        )
    return Place(into, into, finished, True, True, _locked(into))


def require_free(into: Path) -> None:
    """Refuse a place where something is, or to which nothing can be renamed. Raises AlreadyThere, BadRequest."""
    if into.is_symlink() or (into.exists() and not into.is_dir()):
        raise AlreadyThere(f"{into} is there already, and no folder", hint="Name another place.")
    if into.is_dir() and any(into.iterdir()):
        raise AlreadyThere(
            f"{into} is there already, and not empty",
            hint="Nothing is ever overwritten: name an empty folder, or one that is not there.",
        )
    if into.is_mount():
        raise BadRequest(
            f"{into} is where a file system is mounted, so no finished folder can be put in its place",
            hint=f"Name a folder in it: {into / 'data'}",
        )


def _require_empty(building: Path) -> None:
    if any(not path.match(_STRAYS) for path in building.iterdir()):
        raise AlreadyThere(f"{building} is there, and no restore began it", hint="Move it away.")


def _locked(folder: Path) -> int:
    lock = try_lock_folder(folder)
    if lock is None:
        raise Unavailable(f"another restore works in {folder}", hint="Wait for it to end.")
    return lock


def _note_in(folder: Path) -> RestoreNote | None:
    path = folder / _NOTE
    try:
        return msgspec.json.decode(path.read_bytes(), type=RestoreNote)
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ENOTDIR}:
            return None
        raise
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Damaged(f"{path} cannot be read: {error}", hint="Restore into another place.") from error


def _write_note(folder: Path, note: RestoreNote) -> None:
    write_file(folder / _NOTE, msgspec.json.format(msgspec.json.encode(note), indent=2) + b"\n")


def _clear_strays(building: Path) -> None:
    """Temporary files that a killed run left: nobody else works here."""
    for pattern in (_STRAYS, f"accounts/??/{_STRAYS}", f"blobs/??/{_STRAYS}"):
        for path in building.glob(pattern):
            path.unlink(missing_ok=True)
