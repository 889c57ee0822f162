"""Requests with two readings: where one ends and the next begins must never depend on who reads.

Each attempt carries a second request inside of the first, which would add a card if anyone took it for one. None of
them may. Where the head itself has two readings, the connection must be closed as well, so that nothing behind it is
read by the wrong one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

from prove.case import Case, Unit
from prove.raw import basic, exchange
from prove.siege import ALLOWED_5XX, ATTACKER, NEIGHBOUR, Siege, siege

HIDDEN: Final = "smuggled"
CARDS: Final = f"/dav/contacts/{ATTACKER}/contacts/"
"""The attacker attacks with a password: without one nothing would be done whoever reads."""


LENGTH: Final = "Content-Length: {}"
CHUNKED: Final = "Transfer-Encoding: chunked"
FAR_OCTETS: Final = 100_000

_ASKED: Final = b'<propfind xmlns="DAV:"><prop><current-user-principal/></prop></propfind>'
_WHO: Final = (
    b"PROPFIND /dav/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\nDepth: 0\r\nAuthorization: %%b\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(_ASKED), _ASKED)
)


@dataclass(frozen=True, slots=True)
class Attempt:
    """The head and body of a request, made of what is hidden in it. `closes`: the connection must not live on."""

    name: str
    build: Callable[[bytes], tuple[str, bytes]]
    method: str = "PROPFIND"
    path: str = "/dav/"
    closes: bool = False
    signed: bool = True


def chunked(octets: bytes) -> bytes:
    """One chunk and the end."""
    return b"%x\r\n%b\r\n0\r\n\r\n" % (len(octets), octets)


def plain(head: str, hidden: bytes) -> tuple[str, bytes]:
    """A body that is what is hidden; each pair of braces in the head is its length."""
    return head.format(*[len(hidden)] * head.count("{")), hidden


def coded(head: str, hidden: bytes) -> tuple[str, bytes]:
    """The same as a chunk."""
    return plain(head, hidden)[0], chunked(hidden)


def behind(begin: bytes, hidden: bytes) -> tuple[str, bytes]:
    """What is hidden behind a beginning of chunks."""
    return CHUNKED, begin + hidden


def _heads() -> Iterator[Attempt]:
    """Heads whose length has two readings, or none."""
    for text in ("+{}", "0x{:x}", "{},{}", "0, {}", "-{}", "{}.0", "{};a", "{} {}", "1e3", "\x0b{}", "{}\x00"):
        yield Attempt(f"a length of {text!r}", partial(plain, f"Content-Length: {text}"), closes=True)
    for text in ("xchunked", "chunked, identity", "chunked;q=1", "identity", "\x0bchunked", "chunked\x00", "chunk ed"):
        yield Attempt(f"a coding of {text!r}", partial(coded, f"Transfer-Encoding: {text}"), closes=True)
    both = {"shorter": "4", "as long": "{}", "none": "0"}
    for name, text in both.items():
        yield Attempt(
            f"chunks and a length, {name}", partial(coded, f"Content-Length: {text}\r\n{CHUNKED}"), closes=True
        )
        yield Attempt(
            f"a length, {name}, and chunks", partial(coded, f"{CHUNKED}\r\nContent-Length: {text}"), closes=True
        )
    heads = {
        "two lengths, the first shorter": "Content-Length: 0\r\nContent-Length: {}",
        "two lengths, the second shorter": "Content-Length: {}\r\nContent-Length: 0",
        "a folded length": "Content-Length:\r\n {}",
        "a space before the colon": "Content-Length : {}",
        "a return inside of a line": "X: a\rContent-Length: {}",
        "a zero in a header": "X: a\x00\r\nContent-Length: {}",
        "a header without a name": ": a\r\nContent-Length: {}",
    }
    for name, head in heads.items():
        yield Attempt(name, partial(plain, head), closes=True)
    yield Attempt("a folded coding", partial(coded, "Transfer-Encoding:\r\n chunked"), closes=True)
    yield Attempt("two codings", partial(coded, f"{CHUNKED}\r\nTransfer-Encoding: identity"), closes=True)


def _bodies() -> Iterator[Attempt]:
    """Bodies that nobody reads, or that are not what was announced."""
    for method in ("GET", "HEAD", "OPTIONS", "DELETE", "PROPFIND", "REPORT", "MKCOL", "COPY", "LOCK", "NONSENSE"):
        yield Attempt(f"the body of {method}", partial(plain, LENGTH), method, f"{CARDS}none.vcf")
        yield Attempt(f"chunks of {method}", partial(coded, CHUNKED), method, f"{CARDS}none.vcf")
    for path in ("/healthz", "/api/v1/collections", "/static/none", "/none", "/.well-known/caldav"):
        yield Attempt(f"the body of GET {path}", partial(plain, LENGTH), "GET", path)
    put = ("PUT", f"{CARDS}x.vcf")
    yield Attempt("behind a refusal", partial(plain, LENGTH), *put, signed=False)
    yield Attempt("far behind a refusal", _far, *put, signed=False)
    yield Attempt("in more than may be", partial(plain, "Content-Length: 4294967296"), *put, closes=True)
    begins = {
        "a negative chunk": b"-5\r\n",
        "a chunk of 0x10": b"0x10\r\n",
        "a chunk larger than numbers": b"FFFFFFFFFFFFFFFFF\r\n",
        "a chunk without a size": b"\r\n",
        "a chunk of two sizes": b"5 5\r\n",
        "more than the chunk": b"1\r\nab\r\n",
        "a line end in an extension": b'1;a="\n"\r\na\r\n',
        "bare line ends": b"1\na\n",
    }
    for name, begin in begins.items():
        yield Attempt(name, partial(behind, begin), *put, closes=True)
    yield Attempt("a trailer", lambda h: (CHUNKED, b"0\r\nContent-Length: %d\r\nHost: y\r\n\r\n" % len(h)), *put)


def _far(hidden: bytes) -> tuple[str, bytes]:
    before = b"x" * FAR_OCTETS
    return f"Content-Length: {len(before + hidden)}", before + hidden


ATTEMPTS: Final = (*_heads(), *_bodies())


def run(unit: Unit) -> None:
    """Every attempt, and behind each an ordinary request of its own."""
    with siege(unit) as under:
        for number, attempt in enumerate(ATTEMPTS):
            _try(under, attempt, number)
        client = under.client()
        status, members = client.listing(CARDS)
        client.close()
        hidden = [href for href in members if HIDDEN in href]
        unit.require_that(status == 207 and not hidden, f"taken for requests: {hidden}")


def _try(under: Siege, attempt: Attempt, number: int) -> None:
    """The attempt, and behind it on the same connection a question of the neighbour's who they are."""
    require, authorization = under.unit.require_that, f"Authorization: {basic(ATTACKER, under.password)}\r\n"
    head, body = attempt.build(_request_to_add(f"{HIDDEN}-{number}", authorization))
    signed = authorization if attempt.signed else ""
    octets = f"{attempt.method} {attempt.path} HTTP/1.1\r\nHost: x\r\n{signed}{head}\r\n\r\n".encode("latin-1") + body
    neighbour = basic(NEIGHBOUR, under.world.passwords[NEIGHBOUR])
    found = exchange(under.world.port, octets + _WHO % neighbour.encode(), bodiless=attempt.method == "HEAD")
    under.unit.figures["hostile requests"] += 1
    fair = all(status < 500 or status in ALLOWED_5XX for status in found.statuses)
    require(fair, f"{attempt.name}: answered {found.statuses}")
    require(found.closed, f"{attempt.name}: the connection lives on after {found.statuses}")
    if len(found.statuses) == 2 and not attempt.closes:
        own = f"/dav/principals/{NEIGHBOUR}/".encode()
        mixed = found.statuses[1] != 207 or own not in found.bodies[1] or ATTACKER.encode() in found.bodies[1]
        require(not mixed, f"{attempt.name}: the neighbour behind it was told {found.bodies[1]!r}")
    else:
        require(len(found.statuses) <= 1, f"{attempt.name}: answered {found.statuses}, and what came first is unclear")


def _request_to_add(name: str, authorization: str) -> bytes:
    card = f"BEGIN:VCARD\r\nVERSION:3.0\r\nUID:{name}\r\nFN:x\r\nEND:VCARD\r\n".encode()
    head = f"PUT {CARDS}{name}.vcf HTTP/1.1\r\nHost: x\r\n{authorization}Content-Length: {len(card)}\r\n\r\n"
    return head.encode() + card


CASE: Final = Case("smuggling", "requests hidden in requests, past whatever reads them", run)
