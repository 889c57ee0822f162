"""Whatever comes, the face answers, and a client's mistake is never the server's fault."""

from __future__ import annotations

import random

import pytest
from tests.dav.reports.face import DECLARED, FRIENDS, PHOTOS, WORK, Face, card, event

from keepwell.dav.methods import METHODS

PATHS = [
    "/dav/",
    "/dav",
    "/dav//",
    "/dav/x",
    "/dav/principals/anna/",
    "/dav/contacts/anna",
    FRIENDS,
    FRIENDS + "bob.vcf",
    FRIENDS + "bob.vcf/",
    FRIENDS + "%0A%00.vcf",
    FRIENDS + "%F0%9F%98%80" * 60,
    WORK + "a.ics",
    PHOTOS,
    PHOTOS + "a/b/c/",
    PHOTOS + "%ZZ",
    PHOTOS + "a;b?c=d",
]
BODIES = [
    b"",
    b"\x00\xff",
    b"<",
    card("bob"),
    event("a"),
    f"<D:propfind {DECLARED}><D:prop/></D:propfind>".encode(),
    f"<D:propfind {DECLARED}><D:prop>{'<D:owner/>' * 600}</D:prop></D:propfind>".encode(),
    f"<D:propertyupdate {DECLARED}><D:set/></D:propertyupdate>".encode(),
    f"<D:propertyupdate {DECLARED}><D:set><D:prop><color/><D:displayname><b/>x</D:displayname></D:prop></D:set>"
    f"</D:propertyupdate>".encode(),
    f"<D:mkcol {DECLARED}><D:set><D:prop><D:resourcetype>x</D:resourcetype></D:prop></D:set></D:mkcol>".encode(),
    f"<C:mkcalendar {DECLARED}/>".encode(),
]
HEADERS = [
    ("Depth", ["0", "1", "infinity", "2", ""]),
    ("Destination", [PHOTOS + "a", "http://[::1", "//", "http://x:y/dav/", FRIENDS, WORK + "b.ics", "\xff\x00"]),
    ("Overwrite", ["T", "F", "x"]),
    ("Host", ["x", ""]),
    ("If", ["(<a>)", "((", '<http://[> (["x"])', '(Not ["x"])', "([)"]),
    ("If-Match", ["*", "", ",,", '"x', "W/"]),
    ("If-None-Match", ["*", "\xff"]),
    ("If-Modified-Since", ["x", "Mon, 01 Jan 0000 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 +9999999999"]),
    ("If-Unmodified-Since", ["", "Sun, 06 Nov 1994 08:49:37 GMT"]),
    ("Range", ["bytes=0-", "bytes=-", "bytes=" + "9" * 500 + "-", ","]),
    ("Prefer", ["return=minimal", "depth-noroot", '="";,', "return"]),
    ("Content-Type", ["text/vcard", "", "\x00"]),
    ("Content-Length", ["99999999999999999999", "-1", "x"]),
]


@pytest.mark.parametrize("seed", range(8))
def test_no_request_is_a_fault_of_the_server(face: Face, seed: int) -> None:
    """Methods, paths, headers and bodies thrown together give answers below 500, other than a foreign host's."""
    dice = random.Random(seed)
    for _ in range(400):
        method, path, body = dice.choice([*METHODS, "LOCK"]), dice.choice(PATHS), dice.choice(BODIES)
        headers = {name: dice.choice(values) for name, values in HEADERS if dice.random() < 0.25}
        answer = face.request(method, path, body, headers)
        assert answer.status < 500 or answer.status == 502, (method, path, headers, body, answer.body)
