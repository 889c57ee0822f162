"""Headers: lines of a name, a colon and a value, read as every part of the DAV face would read them.

Checked: what cannot be read is ignored or refused as the client's mistake, never a fault; ranges lie within the file
and are no more than it; an If header asks about few resources; a Destination that is taken leads into this service and
means the same when it is written anew; nobody signs in, and nobody waits long for hearing it.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, cast

from keepwell.dav.conditions import (
    CONDITIONS_MAX,
    http_time,
    if_header_holds,
    range_applies,
    read_status,
    write_conditions,
)
from keepwell.dav.errors import verdict_on
from keepwell.dav.items import find_item
from keepwell.dav.origins import require_own_site
from keepwell.dav.paths import ROOT_PATH, parse_path
from keepwell.dav.ranges import parse_ranges, range_response
from keepwell.dav.request import DavRequest
from keepwell.dav.transfer import read_destination
from keepwell.model.errors import KeepwellError, NotSignedIn
from keepwell.model.names import AccountId
from keepwell.services.access_log import AccessLog
from keepwell.services.directory import Directory
from keepwell.services.signin import DELAY_SECONDS_MAX, SignIn
from keepwell.storage.contract import Item
from prove.fuzz.shelf import StillClock, request_for
from prove.fuzz.target import bounded, require, require_same, words

STEPS_FIXED: Final = 100_000
STEPS_PER_OCTET: Final = 300
BODY: Final = b"0123456789abcdef" * 4
ANSWERED_MAX: Final = 20 * 1024
"""Octets of a 206 for `BODY`: sixteen ranges with a head each, and the boundary."""

WORDS: Final = words(
    b"if: |if-match: |if-none-match: |if-modified-since: |if-unmodified-since: |if-range: |range: bytes=|depth: ",
    b"destination: |overwrite: |prefer: return=minimal|depth-noroot|authorization: Basic |sec-fetch-site: |origin: http://",
    b'host: example.invalid|x-forwarded-host: |content-length: |(<|>)|([\\"|\\"])|(Not <DAV:no-lock>)|W/\\"|*',
    b"http://example.invalid/dav/calendars/ada/work/3.ics|/dav/photos/ada/photos/|%2F|%00|%2e%2e|//|infinity|-,|0-0,",
    b"Mon, 05 Jan 2026 09:00:00 GMT|+9999|same-origin|https://[::1]:80|@|#|?|%C3%A4|%FF",
)


class _Nobody:
    """A directory and an access log of nobody."""

    def revision(self) -> int:
        return 1

    def password_by_hash(self, _secret_hash: str) -> None:
        return

    def account_document(self, _login: str) -> None:
        return

    def note(self, account: AccountId, credential: str, address: str, agent: str, outcome: str) -> None:
        raise AssertionError("a sign-in of nobody is noted")


_SIGN_IN: Final = SignIn(cast(Directory, _Nobody()), cast(AccessLog, _Nobody()), StillClock())


def check(data: bytes) -> None:
    """One head of a request."""
    lines = [line.partition(b":") for line in data.split(b"\n")]
    headers = [(name.strip().lower(), value.strip()) for name, _, value in lines if name.strip()]
    request = request_for("MOVE", "/dav/calendars/ada/work/1.ics", headers)
    item = find_item(request, None)
    if item is None:
        raise AssertionError("the item that everything here is asked about is gone")
    with bounded(data, STEPS_FIXED + STEPS_PER_OCTET * len(data)):
        for read in (_preferences, _destination, _conditions, _if_header, _origin):
            _refusing(read, request)
        _reading(request, item)
        _signing_in(request)


def _refusing(read: Callable[[DavRequest], None], request: DavRequest) -> None:
    try:
        read(request)
    except KeepwellError as error:
        status = verdict_on(error, request.target).status
        # 502: the Destination is on another server (RFC 4918 section 9.9.4).
        require(400 <= status < 500 or status == 502, f"{read.__name__}: answered {error!r}")


def _preferences(request: DavRequest) -> None:
    require(all(name == name.lower() for name in request.prefer), "a preference is not in lower case")
    require(request.depth in {"0", "1", "infinity"}, f"the depth {request.depth!r}")
    require(request.minimal in (True, False), "minimal or not")


def _destination(request: DavRequest) -> None:
    target = read_destination(request)
    require(target.href.startswith(ROOT_PATH), f"{target.href} is outside of this service")
    require("\0" not in target.name and ".." not in target.collection.split("/"), f"the destination {target}")
    require_same(parse_path(target.href).href, target.href, "a path, written and read again")


def _conditions(request: DavRequest) -> None:
    asked: list[str | None] = []

    def find(path: str | None) -> Item | None:
        asked.append(path)
        return find_item(request, path)

    try:
        conditions = write_conditions(request, find)
    finally:
        require(len(asked) <= CONDITIONS_MAX + 1, f"an If header asks about {len(asked)} resources")
    tags = (*(conditions.if_match or ()), *(conditions.if_none_match or ()))
    require(all(tag == "*" or tag.endswith('"') for tag in tags), f"entity tags {tags}")


def _if_header(request: DavRequest) -> None:
    """A list and its negation never both hold alone."""
    text = request.header(b"if")
    if (
        text is not None
        and text.count("(") == 1
        and "not" not in text.lower()
        and text.count("<") + text.count("[") == 1
    ):
        negated = text.replace("(", "(Not ")
        require(if_header_holds(text, _no_tag) is not if_header_holds(negated, _no_tag), f"the If header {text!r}")


def _no_tag(_path: str | None) -> str | None:
    return None


def _origin(request: DavRequest) -> None:
    require_own_site(request)


def _reading(request: DavRequest, item: Item) -> None:
    require(read_status(request, item) in (200, 304, 412), "the status of a read")
    require(range_applies(request, item) in (True, False), "a range applies or not")
    for name in (b"if-modified-since", b"if-unmodified-since", b"if-range"):
        since = http_time(request.header(name))
        require(since is None or (since < datetime.max.replace(tzinfo=UTC)) in (True, False), "a date that compares")
    spans = parse_ranges(request.headers.get(b"range", b"").decode("latin-1"), len(BODY))
    if spans is None:
        return
    require(all(0 <= one.first <= one.last < len(BODY) for one in spans), f"ranges outside of the file: {spans}")
    require(sum(one.last - one.first + 1 for one in spans) <= len(BODY), f"more than the file: {spans}")
    response = range_response(BODY, spans, [], b"text/plain", item.digest)
    require(response.status == (206 if spans else 416), f"{response.status} for {spans}")
    require(len(response.body) <= ANSWERED_MAX, f"{len(response.body)} octets for {spans}")


def _signing_in(request: DavRequest) -> None:
    for authorization in (
        request.headers.get(b"authorization"),
        b"Basic " + base64.b64encode(request.headers.get(b"if", b"")),
    ):
        try:
            _SIGN_IN.sign_in(authorization, "192.0.2.1", "")
        except NotSignedIn as error:
            require(0.0 <= error.delay_seconds <= DELAY_SECONDS_MAX, f"held back for {error.delay_seconds} s")
        else:
            raise AssertionError("nobody signed in")
