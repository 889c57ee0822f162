"""The lossy disk as programs see it: a disk like any other until the cut, and afterwards it has what was synced."""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from random import Random

import apsw
import pytest
from prove.lossy.disk import LossyDisk
from prove.lossy.fate import Mode

from keepwell.storage.sqlite_files import require_sound_sqlite

CUTS = 12


def sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def cut(disk: LossyDisk, mode: Mode, seed: int) -> None:
    disk.cut(mode, str(seed))
    disk.restart()


def call(folder: Path, random: Random) -> str:
    """One call on a file or folder that the seed chooses; what came of it."""
    one, other = (folder / random.choice(("a", "b", "d/a", "d/b", "d", "e", "d/e")) for _ in range(2))
    place, octets = random.randrange(9000), random.randbytes(random.randrange(1, 9000))
    try:
        match random.choice(("write", "write", "cut", "link", "unlink", "rename", "mkdir", "rmdir", "chmod", "append")):
            case "write":
                with one.open("r+b" if one.exists() else "xb") as file:
                    file.seek(place)
                    file.write(octets)
            case "append":
                with one.open("ab") as file:
                    file.write(octets)
            case "cut":
                os.truncate(one, place)
            case "link":
                other.hardlink_to(one)
            case "unlink":
                one.unlink()
            case "rename":
                one.rename(other)
            case "mkdir":
                one.mkdir()
            case "rmdir":
                one.rmdir()
            case "chmod":
                one.chmod(0o600 | place % 64)
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return ""


def everything(folder: Path) -> dict[str, object]:
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        facts, name = path.stat(), str(path.relative_to(folder))
        found[name] = None if path.is_dir() else (path.read_bytes(), facts.st_size, facts.st_mode, facts.st_nlink)
    return found


@pytest.mark.parametrize("seed", range(4))
def test_it_behaves_as_any_disk(disk: LossyDisk, tmp_path: Path, seed: int) -> None:
    """The same calls come to the same, errors included, as in a folder of this machine's disk."""
    other = tmp_path / "other"
    other.mkdir()
    randoms = Random(seed), Random(seed)
    for _ in range(400):
        assert call(disk.folder, randoms[0]) == call(other, randoms[1])
    found = everything(disk.folder)
    assert found == everything(other)
    cut(disk, Mode.KEEP, seed)
    assert everything(disk.folder) == found


def test_what_was_synced_survives_every_cut(disk: LossyDisk) -> None:
    """Bytes by the sync of the file, names by that of the folder; the rest is there or not."""
    certain: dict[str, bytes] = {}
    lost = 0
    for seed in range(CUTS * 3):
        random = Random(seed)
        for number in range(8):
            path = disk.folder / f"{random.randrange(6)}"
            octets = random.randbytes(random.randrange(3000))
            if number % 2:
                path.unlink(missing_ok=True)
                path.write_bytes(octets)
                certain.pop(path.name, None)
            else:
                temporary = disk.folder / "temporary"
                temporary.write_bytes(octets)
                sync(temporary)
                temporary.rename(path)
                sync(disk.folder)
                certain[path.name] = octets
        cut(disk, random.choice(list(Mode)), seed)
        for name, octets in certain.items():
            assert (disk.folder / name).read_bytes() == octets
        lost += len({str(number) for number in range(6)} - {path.name for path in disk.folder.iterdir()})
    assert lost > 0
    assert set(disk.figures) == {f"writes {fate}" for fate in ("kept", "torn", "dropped")} | {
        "names kept",
        "names dropped",
    }


def test_a_dead_disk_answers_nothing(disk: LossyDisk) -> None:
    """From the cut on everything is EIO, for those who have files of it open also after it is there again."""
    path = disk.folder / "a"
    with path.open("w+b", buffering=0) as file:
        file.write(b"seen")
        disk.cut(Mode.KEEP, "1")
        assert disk.is_dead()
        for attempt in (lambda: file.write(b"x"), lambda: os.fsync(file), lambda: sync(disk.folder), path.unlink):
            with pytest.raises(OSError, match="Input/output error"):
                attempt()
        disk.restart()
        assert not disk.is_dead()
        assert path.read_bytes() == b"seen"
        with pytest.raises(OSError, match="Input/output error"):
            os.fsync(file)


def test_it_dies_at_the_request_that_was_named(disk: LossyDisk) -> None:
    """That one fails; whether it was carried out depends on the seed, and the ones before it were."""
    carried_out = set()
    for seed in range(CUTS):
        disk.cut(Mode.KEEP, str(seed), after=3)
        with suppress(OSError):
            for name in "abcd":
                (disk.folder / name).mkdir()
        assert disk.wait_until_dead(1)
        disk.restart()
        carried_out.add("".join(sorted(path.name for path in disk.folder.iterdir())))
        for path in disk.folder.iterdir():
            path.rmdir()
    assert carried_out == {"ab", "abc"}


def test_memory_maps_are_shared(disk: LossyDisk) -> None:
    """What one process writes into a map the next one sees, as SQLite's index of its log needs it."""
    path = disk.folder / "map"
    path.write_bytes(bytes(8192))
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 8192) as mapped:
        mapped[4096:4099] = b"one"
        code = f"import mmap; f = open({str(path)!r}, 'r+b'); m = mmap.mmap(f.fileno(), 0); m[5000:5003] = m[4096:4099]"
        subprocess.run([sys.executable, "-c", code], check=True)
        assert mapped[5000:5003] == b"one"
        mapped.flush()
    assert path.read_bytes()[5000:5003] == b"one"


def test_locks_hold_between_processes(disk: LossyDisk) -> None:
    """Both sorts, on files and on folders."""
    path = disk.folder / "lock"
    path.touch()
    with path.open("r+b") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        fcntl.flock(file, fcntl.LOCK_EX)
        code = (
            "import fcntl\n"
            f"file = open({str(path)!r}, 'r+b')\n"
            "for lock in (fcntl.lockf, fcntl.flock):\n"
            "    try: lock(file, fcntl.LOCK_EX | fcntl.LOCK_NB); print('free')\n"
            "    except BlockingIOError: print('locked')\n"
        )
        done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["locked", "locked"]


def test_a_file_without_a_name_stays_while_it_is_open(disk: LossyDisk) -> None:
    """As programs expect of every disk."""
    path = disk.folder / "a"
    with path.open("w+b", buffering=0) as file:
        path.unlink()
        file.write(b"still here")
        file.seek(0)
        assert file.read() == b"still here"
        assert os.fstat(file.fileno()).st_nlink == 0


def test_a_large_folder_is_listed_whole(disk: LossyDisk) -> None:
    """A listing takes several requests, and names come and go meanwhile."""
    names = {f"{number:05}-{'x' * 200}" for number in range(1500)}
    for name in names:
        (disk.folder / name).touch()
    with os.scandir(disk.folder) as entries:
        first = next(entries).name
        (disk.folder / first).unlink()
        assert {first, *(entry.name for entry in entries)} == names
    assert set(os.listdir(disk.folder)) == names - {first}  # noqa: PTH208  (the system's own call)


WRITER = """
import sys
from contextlib import closing
from pathlib import Path
import apsw
from keepwell.storage.sqlite_files import require_sound_sqlite
require_sound_sqlite()
path, first, synchronous = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
connection = apsw.Connection(str(path), vfs="cksmvfs")
for pragma in ("journal_mode=WAL", f"synchronous={synchronous}", "wal_autocheckpoint=20"):
    connection.execute(f"PRAGMA {pragma}").fetchall()
connection.execute("CREATE TABLE IF NOT EXISTS t (n INTEGER PRIMARY KEY, x TEXT)")
for number in range(first, first + 10_000):
    connection.execute("INSERT INTO t VALUES (?, ?)", (number, str(number) * 100))
    print(number, flush=True)
"""


def commits_lost(disk: LossyDisk, synchronous: str) -> int:
    """Let another process commit until a cut, again and again; how many commits that it told of are not there."""
    require_sound_sqlite()
    path, lost, last = disk.folder / "a.db", 0, 0
    for seed in range(CUTS):
        random = Random(seed)
        disk.cut(random.choice([Mode.DROP, Mode.SOME, Mode.TEAR]), str(seed), after=random.randint(30, 400))
        command = [sys.executable, "-c", WRITER, str(path), str(last + 1), synchronous]
        done = subprocess.run(command, capture_output=True, text=True)
        assert "disk I/O error" in done.stderr or "unable to open" in done.stderr
        told = max([last, *map(int, done.stdout.split())])
        disk.restart()
        connection = apsw.Connection(str(path), vfs="cksmvfs")
        try:
            assert connection.execute("PRAGMA integrity_check").get == "ok"
            last = connection.execute("SELECT max(n) FROM t").get or 0
        except apsw.Error:
            return lost + told
        finally:
            connection.close(True)
        lost += max(0, told - last)
    return lost


def test_sqlite_loses_nothing_that_it_synced(disk: LossyDisk) -> None:
    """In WAL mode with `synchronous=FULL` and the checksum VFS, as Keepwell uses it."""
    assert commits_lost(disk, "FULL") == 0


@pytest.mark.parametrize("synchronous", ["NORMAL", "OFF"])
def test_sqlite_loses_what_it_did_not_sync(disk: LossyDisk, synchronous: str) -> None:
    """Otherwise the disk could not see a missing sync."""
    assert commits_lost(disk, synchronous) > 0
