"""If-Match and If-None-Match (RFC 9110 section 13.1), and which library a write goes through (If-In-State)."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final, TypeVar

import msgspec

from keepwell.api.call import Call
from keepwell.model.errors import BadRequest, PreconditionFailed
from keepwell.model.names import Digest
from keepwell.model.preconditions import ANY, Conditions, etag_of
from keepwell.services.library import Library
from keepwell.services.place import Place
from keepwell.services.state import library_in_state

PathValues = TypeVar("PathValues", bound=msgspec.Struct)
QueryValues = TypeVar("QueryValues", bound=msgspec.Struct)
BodyValues = TypeVar("BodyValues", bound=msgspec.Struct)

_TAG: Final = r'(?:W/)?"[^"]*"'
_tags = re.compile(rf"{_TAG}(?:\s*,\s*{_TAG})*")
_tag = re.compile(_TAG)


class Reading(StrEnum):
    """What a conditional read comes to."""

    WHOLE = "whole"
    NOT_CHANGED = "not changed"


def conditions_of(call: Call[PathValues, QueryValues, BodyValues]) -> Conditions:
    """The conditions that a request sets on an item. Raises BadRequest."""
    matching = _parse_tags("If-Match", call.header("if-match"))
    other = _parse_tags("If-None-Match", call.header("if-none-match"))
    # If-None-Match compares weakly, so the mark of a weak tag does not count (RFC 9110 section 13.1.2).
    return Conditions(matching, None if other is None else tuple(tag.removeprefix("W/") for tag in other))


def _parse_tags(name: str, text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    if text.strip() == ANY:
        return (ANY,)
    if _tags.fullmatch(text.strip()) is None:
        raise BadRequest(f"{name} is {text[:80]!r}", hint='Send entity tags with their quotes, or "*".')
    return tuple(_tag.findall(text))


def read_under(conditions: Conditions, digest: Digest, where: str) -> Reading:
    """What a read of these bytes comes to under the conditions. Raises PreconditionFailed."""
    tag = etag_of(digest)
    if conditions.if_match is not None and not {ANY, tag} & set(conditions.if_match):
        raise PreconditionFailed(f"If-Match does not hold for {where}: its entity tag is {tag}")
    if conditions.if_none_match is not None and {ANY, tag} & set(conditions.if_none_match):
        return Reading.NOT_CHANGED
    return Reading.WHOLE


def library_for(call: Call[PathValues, QueryValues, BodyValues], place: Place) -> Library:
    """The library to write `place` through: one that looks at the state first when the request names one."""
    expected = call.header("if-in-state")
    if expected is None:
        return call.services.library
    return library_in_state(call.services.library, place, expected.strip())
