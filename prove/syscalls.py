"""A gate that a process's system calls must pass: counted, let through, refused with an error, delayed, or its death.

It is the system's own means (seccomp's user notification): the process gives a filter to the kernel, and each call
that the filter names waits, before anything of it is done, until whoever holds the other end has decided. So the count
is one for all threads and children of the process (`strace` counts for each thread by itself), nothing is missed that
a library does by itself, and what is let through is done by the kernel as ever.

    decide  ←  the call, with its path  ←  gate  ←  kernel  ←  the process, stopped before the call

Run as a program it puts itself into such a filter, hands the other end over, and becomes the command:

    python -m prove.syscalls SOCKET fsync,fdatasync -- keepwell serve …
"""

from __future__ import annotations

import ctypes
import fcntl
import heapq
import os
import platform
import select
import signal
import socket
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_NUMBERS: Final = {
    # name: (x86-64, aarch64; None where the call is not there, which then is done by another of these)
    "read": (0, 63),
    "write": (1, 64),
    "open": (2, None),
    "openat": (257, 56),
    "openat2": (437, 437),
    "creat": (85, None),
    "pread64": (17, 67),
    "pwrite64": (18, 68),
    "writev": (20, 66),
    "pwritev": (296, 70),
    "pwritev2": (328, 287),
    "copy_file_range": (326, 285),
    "sendfile": (40, 71),
    "fsync": (74, 82),
    "fdatasync": (75, 83),
    "sync_file_range": (277, 84),
    "truncate": (76, 45),
    "ftruncate": (77, 46),
    "fallocate": (285, 47),
    "rename": (82, None),
    "renameat": (264, 38),
    "renameat2": (316, 276),
    "link": (86, None),
    "linkat": (265, 37),
    "symlink": (88, None),
    "symlinkat": (266, 36),
    "unlink": (87, None),
    "unlinkat": (263, 35),
    "mkdir": (83, None),
    "mkdirat": (258, 34),
    "rmdir": (84, None),
}
CHANGING: Final = tuple(name for name in _NUMBERS if name not in {"read", "pread64"})
"""Every call that changes what lies on a disk; an open is one when it may make or empty a file."""

_BY_DESCRIPTOR: Final = {
    *("read", "write", "pread64", "pwrite64", "writev", "pwritev", "pwritev2", "sendfile", "fsync", "fdatasync"),
    *("sync_file_range", "ftruncate", "fallocate"),
}
_BY_PATH: Final = {"open": 0, "creat": 0, "truncate": 0, "rename": 1, "link": 1, "symlink": 1} | {
    "unlink": 0,
    "mkdir": 0,
    "rmdir": 0,
}
"""Which argument names the file: of two the new one."""
_BY_FOLDER: Final = {
    **dict.fromkeys(("openat", "openat2", "unlinkat", "mkdirat"), (0, 1)),
    **dict.fromkeys(("renameat", "renameat2", "linkat"), (2, 3)),
    "symlinkat": (1, 2),
}
_OPEN_FLAGS: Final = {"open": 1, "openat": 2}
_MAKING: Final = os.O_CREAT | os.O_TRUNC

_MACHINES: Final = {"x86_64": (0, 0xC000003E, 317), "aarch64": (1, 0xC00000B7, 277)}
"""machine → (column of the numbers, the kernel's name for it, the number of the call `seccomp`)."""

_LOAD, _EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_ASK, _ALLOW = 0x7FC00000, 0x7FFF0000
_NEW_LISTENER, _NO_NEW_PRIVILEGES = 8, 38
_RECEIVE, _SEND, _GO_ON = 0xC0502100, 0xC0182101, 1
_NOTICE: Final = struct.Struct("QIIiIQ6Q")
_ANSWER: Final = struct.Struct("QqiI")
_AT_FOLDER: Final = -100
_PATH_OCTETS_MAX: Final = 4096
PAGE_OCTETS: Final = 4096
"""What the kernel writes at once: a kill can part a write between two pages."""


class GateError(Exception):
    """The kernel does not let a gate be put up here."""


@dataclass(frozen=True, slots=True)
class Call:
    """A system call that waits. `path` is the file that it is about, empty where it is about none."""

    name: str
    thread: int
    arguments: tuple[int, ...]
    path: str


@dataclass(frozen=True, slots=True)
class Ruling:
    """What becomes of a call: it is done, after some seconds; or it fails with `errno`; or its process group ends."""

    seconds: float = 0.0
    errno: int = 0
    kill: bool = False


PASS: Final = Ruling()
KILL: Final = Ruling(kill=True)
Rule = Callable[[Call], Ruling]


class _Instruction(ctypes.Structure):
    _fields_ = (("code", ctypes.c_ushort), ("yes", ctypes.c_ubyte), ("no", ctypes.c_ubyte), ("k", ctypes.c_uint))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.POINTER(_Instruction)))


class KillAt:
    """A rule: the process dies at its call with this number, of those about files in a folder; 0: at none.

    With `torn` that is a write, of which some pages are done: a process that is killed may leave that too.
    """

    def __init__(self, folder: Path, number: int, *, torn: bool = False) -> None:
        """In this folder."""
        self._folder = f"{folder}/"
        self.number = number
        self.seen = 0
        self.is_large_write = False
        self._torn = torn
        self._call: Call | None = None

    def __call__(self, call: Call) -> Ruling:
        """Count it, and let it pass until it is the one."""
        if not call.path.startswith(self._folder):
            return PASS
        self.seen += 1
        if self.seen != self.number:
            return PASS
        self._call = call
        self.is_large_write = call.name in {"write", "pwrite64"} and call.arguments[2] > PAGE_OCTETS
        if self._torn and self.is_large_write:
            _write_half(call)
        return KILL

    def told(self) -> str:
        """Where it was killed."""
        return "" if self._call is None else f"{self._call.name} {self._call.path.removeprefix(self._folder)}"


def _write_half(call: Call) -> None:
    """Do the first pages of a write for the process that waits."""
    descriptor, address, length = call.arguments[:3]
    octets = _octets_at(call.thread, address, max(PAGE_OCTETS, length // 2 // PAGE_OCTETS * PAGE_OCTETS))
    offset = call.arguments[3] if call.name == "pwrite64" else _position(call.thread, descriptor)
    file = os.open(f"/proc/{call.thread}/fd/{descriptor}", os.O_WRONLY)
    try:
        os.pwrite(file, octets, offset)
    finally:
        os.close(file)


def _position(thread: int, descriptor: int) -> int:
    lines = Path(f"/proc/{thread}/fdinfo/{descriptor}").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("pos:"))


def enter(calls: Iterable[str]) -> int:
    """Put this process behind a gate for these calls, for good; the descriptor of the other end. Raises GateError.

    For a process with one thread: threads and children that it starts afterwards are behind the gate too.
    """
    column, kernel_name, seccomp = _machine()
    code = [(_LOAD, 0, 0, 4), (_EQUAL, 1, 0, kernel_name), (_RETURN, 0, 0, _ALLOW), (_LOAD, 0, 0, 0)]
    for name in calls:
        number = _NUMBERS[name][column]
        if number is None:
            continue
        if name in _OPEN_FLAGS:
            code += [(_EQUAL, 0, 4, number), (_LOAD, 0, 0, 16 + 8 * _OPEN_FLAGS[name])]
            code += [(_ANY_BIT, 0, 1, _MAKING), (_RETURN, 0, 0, _ASK), (_RETURN, 0, 0, _ALLOW)]
        else:
            code += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ASK)]
    code.append((_RETURN, 0, 0, _ALLOW))
    instructions = (_Instruction * len(code))(*(_Instruction(*one) for one in code))
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0):
        raise GateError(f"prctl: {os.strerror(ctypes.get_errno())}")
    program = _Program(len(code), instructions)
    descriptor = int(library.syscall(seccomp, 1, _NEW_LISTENER, ctypes.byref(program)))
    if descriptor < 0:
        raise GateError(f"seccomp: {os.strerror(ctypes.get_errno())}; a gate needs Linux 5.5 and no gate around it")
    return descriptor


def _machine() -> tuple[int, int, int]:
    if sys.platform != "linux" or platform.machine() not in _MACHINES:
        raise GateError(f"there are no numbers of system calls for {sys.platform} on {platform.machine()}")
    return _MACHINES[platform.machine()]


class Gate:
    """The other end. Calls wait until `tend` decides about them by the rule."""

    def __init__(self, listener: int, rule: Rule) -> None:
        """Take over the descriptor that `enter` gave."""
        self._rule = rule
        self._listener = listener
        self._names = {numbers[_machine()[0]]: name for name, numbers in _NUMBERS.items()}
        self._waiting: list[tuple[float, int]] = []

    def tend(self) -> None:
        """Decide about calls until no process is left behind the gate, then let go of it."""
        poll = select.poll()
        poll.register(self._listener, select.POLLIN)
        try:
            while True:
                now = time.monotonic()
                while self._waiting and self._waiting[0][0] <= now:
                    self._answer(heapq.heappop(self._waiting)[1], PASS)
                seconds = self._waiting[0][0] - now if self._waiting else 60.0
                for _descriptor, events in poll.poll(max(1.0, seconds * 1000)):
                    if not events & select.POLLIN:
                        return
                    self._decide()
        finally:
            os.close(self._listener)

    def _decide(self) -> None:
        notice = bytearray(_NOTICE.size)
        try:
            fcntl.ioctl(self._listener, _RECEIVE, notice)
        except OSError:
            return  # it was killed while it waited
        identity, thread, _flags, number, _kernel_name, _pointer, *arguments = _NOTICE.unpack(notice)
        name = self._names[number]
        ruling = self._rule(Call(name, thread, tuple(arguments), _path_of(name, thread, arguments)))
        if ruling.kill:
            with suppress(ProcessLookupError):
                os.killpg(os.getpgid(thread), signal.SIGKILL)
        elif ruling.seconds:
            heapq.heappush(self._waiting, (time.monotonic() + ruling.seconds, identity))
        else:
            self._answer(identity, ruling)

    def _answer(self, identity: int, ruling: Ruling) -> None:
        flags = 0 if ruling.errno else _GO_ON
        with suppress(OSError):  # it was killed while it waited
            fcntl.ioctl(self._listener, _SEND, _ANSWER.pack(identity, 0, -ruling.errno, flags))


def _path_of(name: str, thread: int, arguments: Sequence[int]) -> str:
    try:
        if name in _BY_DESCRIPTOR:
            return _link(thread, f"fd/{arguments[0]}")
        if name == "copy_file_range":
            return _link(thread, f"fd/{arguments[2]}")
        if name in _BY_PATH:
            return str(Path(_link(thread, "cwd"), _text_at(thread, arguments[_BY_PATH[name]])))
        folder, text = (arguments[index] for index in _BY_FOLDER[name])
        number = folder - (1 << 32) if folder & 0x80000000 and folder < 1 << 32 else ctypes.c_int64(folder).value
        base = _link(thread, "cwd" if number == _AT_FOLDER else f"fd/{number}")
        return str(Path(base, _text_at(thread, text)))
    except OSError:
        return ""


def _link(process: int, name: str) -> str:
    return str(Path(f"/proc/{process}", name).readlink())


def _octets_at(process: int, address: int, length: int) -> bytes:
    descriptor = os.open(f"/proc/{process}/mem", os.O_RDONLY)
    try:
        return os.pread(descriptor, length, address)
    finally:
        os.close(descriptor)


def _text_at(process: int, address: int) -> str:
    """The text at an address of another process: it ends before the page behind, which may not be there."""
    octets = b""
    while b"\0" not in octets and len(octets) < _PATH_OCTETS_MAX:
        start = address + len(octets)
        octets += _octets_at(process, start, min(256, PAGE_OCTETS - start % PAGE_OCTETS))
    return os.fsdecode(octets.partition(b"\0")[0])


class Gatehouse:
    """Waits for programs that are started behind its gate, one after the other, and tends it in a thread of its own."""

    def __init__(self, calls: Sequence[str], rule: Rule = lambda _call: PASS) -> None:
        """For these calls; with a socket in a folder of its own, as a socket's path must be short."""
        self.rule = rule
        """By which the calls are decided about; may be exchanged at any time."""
        self._calls = calls
        self._folder = tempfile.TemporaryDirectory(prefix="gate-", dir="/tmp")  # TMPDIR may be long
        self._path = Path(self._folder.name) / "gate.sock"
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(self._path))
        self._socket.listen(1)
        self._thread = threading.Thread(target=self._tend, daemon=True)
        self._thread.start()

    def before(self) -> list[str]:
        """What stands before the command that goes behind the gate."""
        return [sys.executable, "-m", "prove.syscalls", str(self._path), ",".join(self._calls), "--"]

    def close(self) -> None:
        """After the program has ended: let go."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(30)
        self._socket.close()
        self._folder.cleanup()

    def _tend(self) -> None:
        with suppress(OSError):  # closed
            while True:
                connection, _address = self._socket.accept()
                with connection:
                    _octets, listeners, _flags, _sender = socket.recv_fds(connection, 1, 1)
                for listener in listeners:
                    Gate(listener, lambda call: self.rule(call)).tend()


def main(arguments: Sequence[str]) -> None:
    """Go behind a gate, hand over its other end, become the command."""
    path, calls, separator, *command = arguments
    if separator != "--":
        raise SystemExit("usage: python -m prove.syscalls SOCKET CALL,CALL -- COMMAND…")
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        listener = enter(calls.split(","))
        socket.send_fds(connection, [b"g"], [listener])
        os.close(listener)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
