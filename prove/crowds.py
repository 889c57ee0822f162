"""Crowds: thousands of connections that ask at once, hardly ask, or say nothing, while others go on working."""

from __future__ import annotations

import asyncio
import re
import resource
import time
from dataclasses import dataclass
from typing import Final

from prove.case import Case, Unit
from prove.claims import Change, Claim, Verdict, digest_of
from prove.operations import body_for
from prove.raw import basic
from prove.siege import ATTACKER, Siege, siege

DEVICES: Final = 2_000
DEVICES_SMALL: Final = 300
LORISES: Final = 600
LORISES_SMALL: Final = 150
SILENT: Final = 10_000
SILENT_SMALL: Final = 800
HEAD_SECONDS_MAX: Final = 30
"""What the server gives a client for a request's head."""
PATIENCE_SECONDS: Final = 240.0
"""A device's, for everything that it wants: two thousand wait for two cores."""
NEWCOMER_SECONDS_MAX: Final = 20.0
"""Less than what silent connections are given: whoever is served by then did not wait for their end."""
FILES_FEW: Final = 400
"""What a process may have open on a system that allows little."""
BOOK: Final = f"/dav/contacts/{ATTACKER}/contacts/"

_PRINCIPAL: Final = '<propfind xmlns="DAV:"><prop><current-user-principal/></prop></propfind>'
_SYNC: Final = (
    '<sync-collection xmlns="DAV:"><sync-token>{}</sync-token><sync-level>1</sync-level><prop><getetag/></prop>'
    "</sync-collection>"
)
_TOKEN: Final = re.compile(rb"sync-token>([^<]+)</")


@dataclass(slots=True)
class Device:
    """One connection. Asked one thing at a time; a 503 is asked again, as Retry-After says, but sooner."""

    siege: Siege
    name: str
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def ask(self, method: str, path: str, body: bytes = b"", *headers: str) -> tuple[int, bytes]:
        """(status, body). Raises FailedError for any 5xx but 503."""
        lines = (f"{method} {path} HTTP/1.1", "Host: x", f"User-Agent: {self.name}", *headers)
        head = "\r\n".join((*lines, f"Authorization: {basic(ATTACKER, self.siege.password)}"))
        octets = f"{head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
        while True:
            self.writer.write(octets)
            status, answer = await self._answer()
            self.siege.unit.figures["requests of the crowd answered"] += 1
            fair = status < 500 or status == 503
            self.siege.unit.require_that(fair, f"{self.name}: {method} {path}: {status} {answer[:300]!r}")
            if status != 503:
                return status, answer
            self.siege.unit.figures["asked to come again"] += 1
            await asyncio.sleep(0.5)

    async def _answer(self) -> tuple[int, bytes]:
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        return int(head.split(b" ", 2)[1]), await self.reader.readexactly(int(length[1]) if length else 0)


def reconnect_storm(unit: Unit) -> None:
    """As after a power cut: every device connects, signs in, syncs, brings a change and syncs again, all at once."""
    with siege(unit) as under:
        raise_file_limit()
        asyncio.run(_storm(under, DEVICES if unit.full else DEVICES_SMALL))
        under.world.passwords[ATTACKER] = under.password  # what the devices brought is read back with the rest


async def _storm(under: Siege, count: int) -> None:
    started = time.monotonic()
    async with asyncio.timeout(PATIENCE_SECONDS):
        await asyncio.gather(*(_device(under, number) for number in range(count)))
    under.unit.figures["devices at once"] += count
    under.unit.tell(f"{count} devices served in {time.monotonic() - started:.1f} s")


async def _device(under: Siege, number: int) -> None:
    require = under.unit.require_that
    device = Device(under, f"device-{number}", *await asyncio.open_connection("127.0.0.1", under.world.port))
    status, told = await device.ask("PROPFIND", "/dav/", _PRINCIPAL.encode(), "Depth: 0")
    require(status == 207 and f"/dav/principals/{ATTACKER}/".encode() in told, f"{device.name}: who it is: {told!r}")
    status, told = await device.ask("REPORT", BOOK, _SYNC.format("").encode(), "Depth: 0")
    token = _TOKEN.search(told)
    require(status == 207 and token is not None, f"{device.name}: its first sync: {status} {told[:300]!r}")
    place = f"{BOOK}{device.name}.vcf"
    body = body_for(place, f"{under.unit.seed} {number}")
    claim = Claim(device.name, "PUT", (Change(place, digest_of(body)),))
    claimed = under.world.claims.intend(claim)
    status, told = await device.ask("PUT", place, body, "Content-Type: text/vcard")
    require(status == 201, f"{device.name}: its change: {status} {told[:300]!r}")
    under.world.claims.ended(claimed, claim, Verdict.OK, str(status))
    since = token[1].decode() if token else ""
    status, told = await device.ask("REPORT", BOOK, _SYNC.format(since).encode(), "Depth: 0")
    require(status == 207 and f"{device.name}.vcf".encode() in told, f"{device.name}: its own change is not synced")
    device.writer.close()


def slow_loris(unit: Unit) -> None:
    """Connections that send an octet now and then, some in the head of a request, some in its body."""
    with siege(unit) as under:
        raise_file_limit()
        asyncio.run(_lorises(under, LORISES if unit.full else LORISES_SMALL))


async def _lorises(under: Siege, count: int) -> None:
    seconds = HEAD_SECONDS_MAX + 15 if under.unit.full else 3
    ended = await asyncio.gather(*(_loris(under, number, seconds) for number in range(count)))
    under.unit.figures["slow connections"] += count
    if under.unit.full:
        unknown = [closed for number, closed in enumerate(ended) if number % len(_SLOW) < _UNKNOWN]
        under.unit.require_that(all(unknown), f"{unknown.count(False)} who did not sign in are waited for {seconds} s")


_SLOW: Final = (
    "GET /dav/ HTTP/1.1\r\nHost: x\r\nX-Slow: ",
    "PROPFIND /dav/ HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n",
    "PUT {book}slow.vcf HTTP/1.1\r\nHost: x\r\nAuthorization: {password}\r\nContent-Length: 9000000\r\n\r\n",
    "PUT {book}slow.vcf HTTP/1.1\r\nHost: x\r\nAuthorization: {password}\r\nTransfer-Encoding: chunked\r\n\r\n1",
)
"""How each begins; what follows are letters, one at a time."""
_UNKNOWN: Final = 2
"""Of these the first two have not signed in: for whoever has, nobody's patience is limited."""


async def _loris(under: Siege, number: int, seconds: float) -> bool:
    """Whether the server closed the connection within the time."""
    reader, writer = await asyncio.open_connection("127.0.0.1", under.world.port)
    begin = _SLOW[number % len(_SLOW)].format(book=BOOK, password=basic(ATTACKER, under.password))
    writer.write(begin.encode())
    deadline = time.monotonic() + seconds
    try:
        while time.monotonic() < deadline and not reader.at_eof():
            writer.write(b"0")
            await writer.drain()
            try:
                await asyncio.wait_for(reader.read(1 << 16), 0.5)
            except TimeoutError:
                continue
    except OSError:
        return True
    finally:
        writer.close()
    return reader.at_eof()


def half_open(unit: Unit) -> None:
    """Connections that say nothing at all; in the full size, until the server has closed every one of them."""
    with siege(unit) as under:
        raise_file_limit()
        asyncio.run(_silence(under, SILENT if unit.full else SILENT_SMALL))


async def _silence(under: Siege, count: int) -> None:
    room = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    under.unit.require_that(
        room > count + 100, f"{count} connections need as many open files, and {room} may be: ulimit -n"
    )
    opened = []
    for _ in range(0, count, 500):
        opened += await asyncio.gather(
            *(asyncio.open_connection("127.0.0.1", under.world.port) for _ in range(min(500, count)))
        )
    under.unit.figures["silent connections"] += len(opened)
    deadline = time.monotonic() + (HEAD_SECONDS_MAX + 15 if under.unit.full else 2)
    while time.monotonic() < deadline:
        await asyncio.wait_for(_newcomer(under), NEWCOMER_SECONDS_MAX)
        await asyncio.sleep(0.2)
    if under.unit.full:
        left = sum(not reader.at_eof() for reader, _ in opened)
        under.unit.require_that(left == 0, f"{left} of them are still open after {HEAD_SECONDS_MAX + 15} s")
    for _, writer in opened:
        writer.close()


def few_files(unit: Unit) -> None:
    """A server that may have few files open: more connections than that must not take those that storing needs."""
    with siege(unit, before=("prlimit", f"--nofile={FILES_FEW}:{FILES_FEW}")) as under:
        raise_file_limit()
        asyncio.run(_beside_storing(under, 2 * FILES_FEW))


async def _beside_storing(under: Siege, count: int) -> None:
    """The neighbour, who is connected, writes on; whoever comes anew may have to wait."""
    opened = await asyncio.gather(
        *(asyncio.open_connection("127.0.0.1", under.world.port) for _ in range(count)), return_exceptions=True
    )
    under.unit.figures["silent connections"] += count
    before = sum(under.world.claims.counted.values())
    await asyncio.sleep(HEAD_SECONDS_MAX + 15 if under.unit.full else 2)
    served = sum(under.world.claims.counted.values()) - before
    under.unit.require_that(served > 0, "the neighbour was not served any more")
    for one in opened:
        if not isinstance(one, BaseException):
            one[1].close()


async def _newcomer(under: Siege) -> None:
    """Somebody who was not connected before: the neighbour's connections are as old as the server."""
    device = Device(under, "newcomer", *await asyncio.open_connection("127.0.0.1", under.world.port))
    status, told = await device.ask("PROPFIND", "/dav/", _PRINCIPAL.encode(), "Depth: 0")
    under.unit.require_that(status == 207, f"a newcomer was answered {status} {told[:300]!r}")
    under.unit.figures["newcomers served beside them"] += 1
    device.writer.close()


def raise_file_limit() -> None:
    """Let this process open as many files as it may."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


CASES: Final = (
    Case("reconnect-storm", "two thousand devices connect and sync at once", reconnect_storm, alone=True),
    Case("slow-loris", "hundreds of connections that send an octet now and then", slow_loris, alone=True),
    Case("half-open", "ten thousand connections that say nothing", half_open, alone=True),
    Case("few-files", "more connections than a server may have files", few_files, needs=("prlimit",), alone=True),
)
