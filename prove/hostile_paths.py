"""Attacks by paths and headers: names that lead elsewhere, ranges without end, heads of any size."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from prove.hostile import CARDS, FILES, Ask, Attack, times
from prove.raw import basic, exchange
from prove.siege import ATTACKER, NEIGHBOUR

_UP: Final = (
    "..",
    "%2e%2e",
    ".%2e",
    "%2E.",
    "..%2f",
    "..%5c",
    "..\\",
    "%c0%ae%c0%ae",
    "%e0%80%ae",
    "..;",
    "%252e%252e",
    "....",
)
_ODD: Final = (
    *("%00", "a%00.vcf", "%ff", "%", "%zz", "%2f", "%2fetc%2fpasswd", "%0d%0aX:%20y", "%0a", "a%20b", "\\", "C:\\x"),
    *("a:b", "~", "con", "*", "?", "%3f", "%23", ";x=y", "%ef%bf%bf", "%ed%a0%80", "%f0%9f%98%80", "%e2%80%ae"),
    *("'\"", "-", ".", "..."),
)
_METHODS: Final = ("GET", "PUT", "PROPFIND", "MKCOL", "DELETE", "COPY", "OPTIONS")
_SOURCE: Final = f"{CARDS}source.vcf"
_CARD: Final = "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:{}\r\nFN:x\r\nEND:VCARD\r\n"
_SECRET: Final = b"hidden from everybody"


def paths_that_lead_elsewhere(ask: Ask) -> None:
    """Whatever a path says, nothing outside of the attacker's own is read, made or changed."""
    outside = ask.under.world.ground / "outside.vcf"
    outside.write_bytes(_SECRET)
    ask("PUT", _SOURCE, _CARD.format("source"), 201)
    before = _files(ask.under.world.data)
    climbs = [
        f"{CARDS}{'/'.join([up] * depth)}/{rest}" for up in _UP for depth in (1, 4) for rest in _destinations(outside)
    ]
    paths = [
        *climbs,
        *(f"{base}{odd}" for odd in _ODD for base in (CARDS, FILES, "/", "/static/", "/dav/", "/api/v1/")),
    ]
    paths += [f"//{NEIGHBOUR}/", "/dav//contacts", f"/dav/contacts/{NEIGHBOUR}/", "/dav/./x", f"/dav/{'a/' * 5000}"]
    paths += [f"/static/{'../' * 8}etc/passwd", "/static/%2e%2e/app.py", "/static//etc/passwd", CARDS + "n" * 300]
    for number, path in enumerate(paths):
        for method in _METHODS if ask.full else (_METHODS[number % len(_METHODS)], "GET"):
            _ask_plainly(ask, method, path)
    after = _files(ask.under.world.data)
    strange = {name for name in after - before if not _is_ours(name)}
    ask.under.unit.require_that(not strange, f"files that nobody should make: {sorted(strange)[:5]}")
    ask.under.unit.require_that(outside.read_bytes() == _SECRET, "a file outside was changed")


def _destinations(outside: Path) -> tuple[str, ...]:
    return (f"contacts/{NEIGHBOUR}/contacts/", "etc/passwd", f"{outside}".lstrip("/"))


def _ask_plainly(ask: Ask, method: str, path: str) -> None:
    """The path as it stands, which no library would send; and as a Destination."""
    world, unit = ask.under.world, ask.under.unit
    head, more = f"{method} {path} HTTP/1.1", ""
    if method == "COPY":
        head, more = f"COPY {_SOURCE} HTTP/1.1", f"Destination: {path}\r\n"
    body = _CARD.format(path.encode().hex()[-60:]).encode() if method == "PUT" else b""
    more += f"Authorization: {basic(ATTACKER, ask.under.password)}\r\nContent-Length: {len(body)}\r\n"
    octets = f"{head}\r\nHost: x\r\nConnection: close\r\nDepth: 0\r\n{more}\r\n".encode("latin-1", "replace") + body
    found = exchange(world.port, octets)
    unit.figures["hostile requests"] += 1
    what = f"{method} {path[:100]!r}: answered {found.statuses}"
    unit.require_that(len(found.statuses) == 1 and (found.statuses[0] < 500 or found.statuses[0] == 502), what)
    told = b"".join(found.bodies)
    unit.require_that(_SECRET not in told and b"root:" not in told, f"{what} with what is outside")
    unit.require_that(NEIGHBOUR.encode() not in told or NEIGHBOUR in path, f"{what} with something of the neighbour's")


def _files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def _is_ours(name: str) -> bool:
    """Data folders have files of their own that come and go; none is named as somebody asked."""
    return name.startswith(("blobs/", "status/", "vaults/", "accounts/")) and ".." not in name


def ranges_without_end(ask: Ask) -> None:
    """Ranges that overlap, that are many, that are larger than numbers."""
    ask("PUT", f"{FILES}large.bin", bytes(range(256)) * 4000, 201, 204)
    many = ",".join(["0-"] * 2000)
    texts = (
        "0-,0-",
        many,
        "-" + "9" * 400,
        "9" * 400 + "-",
        "0-0," * 500,
        "5-1",
        "-0",
        "a-b",
        "0-" + "9" * 18,
        "--1",
        "",
    )
    for text in texts:
        ask("GET", f"{FILES}large.bin", b"", 200, 206, 416, Range=f"bytes={text}")
    ask("DELETE", f"{FILES}large.bin", b"", 204)


def heads_of_any_size(ask: Ask) -> None:
    """Headers that are long, many, or lists without end; what is refused is refused as the client's mistake."""
    tags = ", ".join(f'"{number:032x}"' for number in range(5_000))
    conditions = times(9_000, '(<urn:x> ["a{}"])')
    for name, text in {
        "If_Match": tags,
        "If_None_Match": tags,
        "If": conditions,
        "Prefer": "a=b," * 30_000,
        "Depth": "9" * 100_000,
        "Destination": "http://x/" + "a" * 200_000,
        "Cookie": "a=b; " * 40_000,
        "Accept": "a/b;q=0.1," * 20_000,
        "X_Forwarded_For": "192.0.2.1, " * 20_000,
        "Content_Type": "text/vcard;" + "a=b;" * 40_000,
        "User_Agent": "x" * 300_000,
        "If_Modified_Since": "Mon, " * 60_000,
    }.items():
        ask("GET", f"{CARDS}none.vcf", b"", 400, 404, 412, 431, **{name: text})
        ask("PROPFIND", CARDS, b"", 400, 207, 403, 412, 431, **{"Depth": "0", name: text})
    line = "X{}: " + "y" * 2_000 + "\r\n"
    for head in (times(2_000, line), "X: " + "y" * 10_000_000, "y" * 1_000_000, times(100_000, "\r\n"), "\x00" * 1000):
        found = exchange(
            ask.under.world.port, f"GET /dav/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{head}\r\n\r\n".encode()
        )
        fair = all(status < 500 for status in found.statuses) and found.closed
        ask.under.unit.require_that(fair, f"a head of {len(head):,} octets: {found.statuses}, closed: {found.closed}")


ATTACKS: Final[tuple[Attack, ...]] = (paths_that_lead_elsewhere, ranges_without_end, heads_of_any_size)
