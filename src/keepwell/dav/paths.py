"""The URL space, read and written in one place.

    /dav/                                          root
    /dav/principals/                               principals
    /dav/principals/{login}/                       principal
    /dav/{contacts|calendars|photos}/              home root
    /dav/{contacts|calendars|photos}/{login}/      home
    …/{login}/{collection}/                        collection
    …/{login}/{collection}/{item}                  item

In the photos home collections nest, so a path there without a closing slash may be an item or a collection:
`Target.as_collection` is the second reading, and `resources` decides which of the two is there. Elsewhere the
depth decides. Segments are decoded one by one; an encoded slash, a NUL or a dot segment is refused here, and what else
cannot be a name by the library.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from keepwell.model.errors import BadRequest, NotThere
from keepwell.model.names import AccountId, Home
from keepwell.services.place import Place

ROOT_PATH: Final = "/dav/"
PRINCIPALS_PATH: Final = "/dav/principals/"

SAFE: Final = "-._~!$()*+,:=@"
"""Characters that stay as they are in a path segment; the fewer surprises for clients that compare hrefs as text."""

_plain = re.compile(r"[A-Za-z0-9._~!$()*+,:=@-]*")


class Sort(StrEnum):
    """What sort of resource a path is about."""

    ROOT = "root"
    PRINCIPALS = "principals"
    PRINCIPAL = "principal"
    HOME_ROOT = "home-root"
    HOME = "home"
    COLLECTION = "collection"
    ITEM = "item"


@dataclass(frozen=True, slots=True)
class Target:
    """A path, parsed. Nothing says that there is anything at it."""

    sort: Sort
    login: str = ""
    home: Home | None = None
    collection: str = ""
    name: str = ""
    slashed: bool = True
    """Whether the path ended in a slash."""

    @property
    def is_item(self) -> bool:
        """Whether this is the path of an item."""
        return self.sort is Sort.ITEM

    @property
    def href(self) -> str:
        """The encoded path, with a closing slash unless this is an item."""
        if self.home is not None:
            if self.sort is Sort.ITEM:
                return collection_href(self.home, self.login, self.collection) + encode(self.name)
            if self.sort is Sort.COLLECTION:
                return collection_href(self.home, self.login, self.collection)
            return home_href(self.home, self.login) if self.login else f"{ROOT_PATH}{self.home}/"
        if self.sort is Sort.ROOT:
            return ROOT_PATH
        return principal_href(self.login) if self.login else PRINCIPALS_PATH

    @property
    def as_collection(self) -> Target:
        """The same path read as a collection (only photos nest)."""
        return replace(self, sort=Sort.COLLECTION, collection=f"{self.collection}/{self.name}", name="")

    def required_home(self) -> Home:
        """The home of a target that is in one. Raises NotThere."""
        if self.home is None:
            raise NotThere("there is no collection here")
        return self.home

    def place(self, owner: AccountId) -> Place:
        """The library's name of this collection or item."""
        return Place(owner, self.required_home(), self.collection, self.name)


_HOMES: Final = {"contacts": Home.CONTACTS, "calendars": Home.CALENDARS, "photos": Home.PHOTOS}
HOMES: Final = tuple(_HOMES.values())
"""The homes that this face shows."""


def parse_path(raw: str) -> Target:
    """Read an encoded URL path. Raises NotThere when it is outside the URL space, BadRequest when it is malformed."""
    if not raw.startswith(ROOT_PATH):
        if raw == "/dav":
            return Target(Sort.ROOT, slashed=False)
        raise NotThere("there is nothing at this path", hint=f"The DAV service is at {ROOT_PATH}.")
    segments = raw[len(ROOT_PATH) :].split("/")
    slashed = segments[-1] == ""
    if slashed:
        segments.pop()
    if "%" in raw or not _plain.fullmatch(raw.replace("/", "")) or "." in segments or ".." in segments:
        segments = [_decode(segment) for segment in segments]
    if "" in segments:
        raise NotThere("there is nothing at a path with an empty segment")
    return _target(segments, slashed)


def _target(segments: list[str], slashed: bool) -> Target:
    if not segments:
        return Target(Sort.ROOT, slashed=slashed)
    first, count = segments[0], len(segments)
    if count > 1:
        # As sign-in reads it, so that whoever can sign in finds the own home.
        segments[1] = segments[1].lower()
    if first == "principals":
        return _principal_target(segments, slashed)
    home = _HOMES.get(first)
    if home is None:
        raise NotThere(f"there is no {ROOT_PATH}{first}/")
    if count == 1:
        return Target(Sort.HOME_ROOT, home=home, slashed=slashed)
    if count == 2:
        return Target(Sort.HOME, segments[1], home, slashed=slashed)
    if count == 3:
        return Target(Sort.COLLECTION, segments[1], home, segments[2], slashed=slashed)
    if home is Home.PHOTOS and slashed:
        return Target(Sort.COLLECTION, segments[1], home, "/".join(segments[2:]))
    if home is Home.PHOTOS or count == 4:
        return Target(Sort.ITEM, segments[1], home, "/".join(segments[2:-1]), segments[-1], slashed)
    raise NotThere(f"collections do not nest in {first}")


def _principal_target(segments: list[str], slashed: bool) -> Target:
    if len(segments) == 1:
        return Target(Sort.PRINCIPALS, slashed=slashed)
    if len(segments) == 2:
        return Target(Sort.PRINCIPAL, segments[1], slashed=slashed)
    raise NotThere("there is nothing below a principal")


def _decode(segment: str) -> str:
    try:
        text = unquote_to_bytes(segment).decode()
    except UnicodeDecodeError as error:
        raise BadRequest(f"the path segment {segment!r} is not UTF-8") from error
    if text in {".", ".."} or "/" in text or "\0" in text:
        raise BadRequest(f"the path segment {segment!r} cannot be a name")
    return text


def encode(segment: str) -> str:
    """One segment, percent-encoded."""
    return segment if _plain.fullmatch(segment) else quote(segment, safe=SAFE)


def principal_href(login: str) -> str:
    """The path of a principal."""
    return f"{PRINCIPALS_PATH}{encode(login)}/"


def home_href(home: Home, login: str) -> str:
    """The path of an account's home."""
    return f"{ROOT_PATH}{home}/{encode(login)}/"


def collection_href(home: Home, login: str, collection: str) -> str:
    """The path of a collection, with its closing slash: the path of an item is this and the item's encoded name."""
    parts = "/".join(encode(part) for part in collection.split("/"))
    return f"{ROOT_PATH}{home}/{encode(login)}/{parts}/"
