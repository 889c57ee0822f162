"""Conditional requests: RFC 9110 section 13 (once 7232) and the If header of RFC 4918 section 10.4.

For writes, what depends on an item's bytes becomes `Conditions` that the storage transaction checks; a date or an If
header is evaluated on a snapshot and then pinned to the entity tag found there, so that nothing slips in between.
There are no locks, so a state token in an If header never holds, and `Not <DAV:no-lock>` always does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Final
from urllib.parse import urlsplit

from keepwell.dav.request import DavRequest
from keepwell.model.errors import BadRequest, PreconditionFailed
from keepwell.model.preconditions import ANY, UNCONDITIONAL, Conditions, etag_of
from keepwell.storage.contract import Item

_tag = re.compile(r'(?:W/)?"[^"]*"|\*|[^\s,"]+')
"""Without white space around it, which would be looked at again and again where no tag follows."""

_if_token = re.compile(r"\s*(?:(\()|(\))|(Not)\b|<([^>]*)>|\[([^\]]*)\])", re.IGNORECASE)

CONDITIONS_MAX: Final = 100
"""Conditions that one If header may have; each may be about another resource."""

_SLOW: Final = (b"if", b"if-unmodified-since")
"""Headers that need the present item before the write."""


def write_conditions(request: DavRequest, find: Callable[[str | None], Item | None]) -> Conditions:
    """The conditions of a write. Raises PreconditionFailed, BadRequest.

    `find` gives the present item of a path of an If header, or of the request itself (None).
    """
    headers = request.headers
    if b"if-match" in headers or b"if-none-match" in headers:
        conditions = Conditions(_tags(request, b"if-match"), _weak_tags(request, b"if-none-match"))
    else:
        conditions = UNCONDITIONAL
    if not any(name in headers for name in _SLOW):
        return conditions
    return _pinned(request, conditions, find)


def _pinned(request: DavRequest, conditions: Conditions, find: Callable[[str | None], Item | None]) -> Conditions:
    item = find(None)
    text = request.header(b"if")
    if text is not None and not if_header_holds(text, lambda path: _tag_of(find(path))):
        raise PreconditionFailed("the If header does not hold")
    since = None if conditions.if_match is not None else http_time(request.header(b"if-unmodified-since"))
    if item is None:
        return conditions
    if since is not None and modified_at(item) > since:
        raise PreconditionFailed(f"{item.name} was changed since {request.header(b'if-unmodified-since')}")
    if conditions.if_match is not None:
        return conditions
    return Conditions((etag_of(item.digest),), conditions.if_none_match)


def read_status(request: DavRequest, item: Item) -> int:
    """200, 304 or 412 for a GET or HEAD of `item`, in the order of RFC 9110 section 13.2.2."""
    headers = request.headers
    tag = etag_of(item.digest)
    matching = _tags(request, b"if-match")
    if matching is not None:
        if ANY not in matching and tag not in matching:
            return 412
    elif b"if-unmodified-since" in headers:
        since = http_time(request.header(b"if-unmodified-since"))
        if since is not None and modified_at(item) > since:
            return 412
    known = _weak_tags(request, b"if-none-match")
    if known is not None:
        return 304 if ANY in known or tag in known else 200
    since = http_time(request.header(b"if-modified-since"))
    return 304 if since is not None and modified_at(item) <= since else 200


def range_applies(request: DavRequest, item: Item) -> bool:
    """Whether If-Range, when sent, names these bytes (RFC 9110 section 13.1.5)."""
    text = request.header(b"if-range")
    if text is None:
        return True
    if text.startswith(('"', "W/")):
        return text == etag_of(item.digest)
    return http_time(text) == modified_at(item)


def modified_at(item: Item) -> datetime:
    """When the item was last changed, to the second, as its Last-Modified header says."""
    return datetime.fromisoformat(item.modified[:19]).replace(tzinfo=UTC)


def http_time(text: str | None) -> datetime | None:
    """An HTTP-date; None when there is none or it cannot be read, which is then ignored (RFC 9110 13.1.3)."""
    if text is None:
        return None
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def _tag_of(item: Item | None) -> str | None:
    return None if item is None else etag_of(item.digest)


def _tags(request: DavRequest, name: bytes) -> tuple[str, ...] | None:
    """The entity tags of a header; a tag without quotes, as some clients send it, gets them."""
    text = request.header(name)
    if text is None:
        return None
    found = (match.group() for match in _tag.finditer(text))
    return tuple(tag if tag == ANY or tag.endswith('"') else f'"{tag}"' for tag in found)


def _weak_tags(request: DavRequest, name: bytes) -> tuple[str, ...] | None:
    """The same for a header that is compared weakly (RFC 9110 section 13.1.2): the mark of a weak tag goes."""
    tags = _tags(request, name)
    return None if tags is None else tuple(tag.removeprefix("W/") for tag in tags)


@dataclass(frozen=True, slots=True)
class _Condition:
    """One condition of a list: on the state token or the entity tag of the resource at `path` (None: the request's)."""

    path: str | None
    token: str | None
    tag: str | None
    negated: bool


def if_header_holds(text: str, tag_at: Callable[[str | None], str | None]) -> bool:
    """Whether an If header holds: one of its lists does (RFC 4918 section 10.4.3). Raises BadRequest."""
    lists = list(_lists(text))
    if not lists:
        raise BadRequest("the If header has no list of conditions")
    if sum(map(len, lists)) > CONDITIONS_MAX:
        raise BadRequest(f"an If header may have {CONDITIONS_MAX} conditions")
    remembered = cache(tag_at)
    return any(all(_holds(condition, remembered) for condition in conditions) for conditions in lists)


def _holds(condition: _Condition, tag_at: Callable[[str | None], str | None]) -> bool:
    holds = condition.tag is not None and condition.tag == tag_at(condition.path)
    return holds is not condition.negated


def _lists(text: str) -> Iterator[list[_Condition]]:
    path: str | None = None
    conditions: list[_Condition] | None = None
    negated = False
    position, text = 0, text.strip()
    while position < len(text):
        match = _if_token.match(text, position)
        if match is None:
            raise BadRequest(f"the If header cannot be read at {text[position : position + 20]!r}")
        position = match.end()
        opening, closing, negation, coded, tag = match.groups()
        if conditions is None:
            path, conditions = _before_list(opening, coded, path)
        elif closing:
            if not conditions:
                raise BadRequest("the If header has an empty list")
            yield conditions
            conditions = None
        elif negation:
            negated = True
        elif coded is not None or tag is not None:
            conditions.append(_Condition(path, coded, tag, negated))
            negated = False
        else:
            raise BadRequest("the If header has a list in a list")
    if conditions is not None:
        raise BadRequest("the If header has a list without an end")


def _before_list(
    opening: str | None, coded: str | None, path: str | None
) -> tuple[str | None, list[_Condition] | None]:
    """Between lists: a list begins, or a resource tag says about which resource the next lists speak."""
    if opening:
        return path, []
    if coded is None:
        raise BadRequest("the If header has a condition outside a list")
    try:
        return urlsplit(coded).path, None
    except ValueError as error:
        raise BadRequest(f"the If header speaks of {coded!r}, which is no URI") from error
