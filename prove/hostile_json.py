"""Attacks on the JSON face: numbers beyond numbers, values within values, queries and names of any kind."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from prove.hostile import Ask, Attack

API: Final = "/api/v1"
JSON_OCTETS_MAX: Final = 256 * 1024
"""The product's limit on a body in JSON."""

_READ: Final = (
    "/account",
    "/access-log",
    "/app-passwords",
    "/collections",
    "/collections/contacts/contacts",
    "/collections/contacts/contacts/items",
    "/collections/contacts/contacts/items/x.vcf",
    "/collections/contacts/contacts/changes",
    "/collections/contacts/contacts/history",
    "/history",
    "/history/1",
)
_PARAMETERS: Final = (
    "limit",
    "after",
    "before",
    "since",
    "state",
    "at",
    "bodies",
    "owner",
    "kind",
    "cursor",
    "nonsense",
)
_VALUES: Final = (
    "-1",
    "0",
    "9" * 30,
    "1e400",
    "NaN",
    "null",
    "[]",
    "a" * 5000,
    "\x00",
    "\ud7ff",
    "%",
    "../..",
    "'; --",
    "",
)
_BODIES: Final = (
    b"",
    b"null",
    b"[" * 100_000 + b"]" * 100_000,
    b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
    b'{"name":"' + b"n" * 200_000 + b'"}',
    b'{"name":"\xff\xfe"}',
    b'{"name":"\\ud800"}',
    b'{"name":"a","name":"b","home":"contacts"}',
    b'{"name":1e999999,"home":' + b"9" * 5_000 + b"}",
    b'{"name":"..","home":"contacts","kind":"contacts"}',
    b'{"name":"a/../../b","home":"photos","kind":"photos"}',
    b'{"label":"' + "\U0001f600".encode() * 50_000 + b'"}',
    b'{"at":"9999-99-99T99:99:99Z","sequence":-1,"plan":true}',
    b'{"sequence":9223372036854775808}',
    "{}".encode("utf-16"),
    b"\xef\xbb\xbf{}",
    b" " * (JSON_OCTETS_MAX + 1),
)
_WRITE: Final = (
    ("POST", "/collections"),
    ("PATCH", "/collections/contacts/contacts"),
    ("POST", "/app-passwords"),
    ("POST", "/collections/contacts/contacts/rewind"),
)


def queries(ask: Ask) -> None:
    """Every parameter with every value: what is not known is refused, and nothing is a fault."""
    for number, path in enumerate(_READ):
        for other, name in enumerate(_PARAMETERS):
            values = _VALUES if ask.full else _VALUES[(number + other) % 4 :: 4]
            for value in values:
                ask("GET", f"{API}{path}?{name}={quote(value, safe='')}")
        ask("GET", f"{API}{path}?{'a=b&' * 10_000}")
        ask("GET", f"{API}{path}/" + quote("\x00\n/../\u202e", safe=""))


def bodies(ask: Ask) -> None:
    """Every body to whatever takes one."""
    for method, path in _WRITE:
        for body in _BODIES:
            ask(method, f"{API}{path}", body, Content_Type="application/json")
    for method in ("PUT", "DELETE"):
        for state in ("0", "x" * 5000, "a.1.999999999999999999"):
            headers = {"If_In_State": state, "Content_Type": "text/vcard"}
            ask(method, f"{API}/collections/contacts/contacts/items/x.vcf", b"BEGIN:VCARD", **headers)


ATTACKS: Final[tuple[Attack, ...]] = (queries, bodies)
