"""The names of things, parsed once at the border.

An `AccountId` is opaque and never reused: `a_` and base32 of 80 random bits. A login is an attribute of an account.
A collection is found by its home and its name; a name in the photos home may be a path (`holiday/2026`).
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import NewType

from keepwell.model.errors import BadRequest

AccountId = NewType("AccountId", str)
Digest = NewType("Digest", str)
"""SHA-256 of the bytes, 64 hexadecimal digits."""
Lineage = NewType("Lineage", str)


class Kind(StrEnum):
    """The six kinds of people's data, in the default order of restoration, and Keepwell's own records."""

    CONTACTS = "contacts"
    CALENDAR = "calendar"
    NOTES = "notes"
    TASKS = "tasks"
    PHOTOS = "photos"
    SCORES = "scores"
    SYSTEM = "system"


class Home(StrEnum):
    """Where collections are found: each kind lives in one home, and a collection's name is unique in its home."""

    CONTACTS = "contacts"
    CALENDARS = "calendars"
    PHOTOS = "photos"
    SCORES = "scores"
    SYSTEM = "system"


HOME_OF = {
    Kind.CONTACTS: Home.CONTACTS,
    Kind.CALENDAR: Home.CALENDARS,
    Kind.NOTES: Home.CALENDARS,
    Kind.TASKS: Home.CALENDARS,
    Kind.PHOTOS: Home.PHOTOS,
    Kind.SCORES: Home.SCORES,
    Kind.SYSTEM: Home.SYSTEM,
}

SYSTEM_ACCOUNT = AccountId("a_system")

NAME_OCTETS_MAX = 255
LOGIN_CHARACTERS_MAX = 64

_account_id = re.compile(r"a_(?:[a-z2-7]{16}|system)")
_digest = re.compile(r"[0-9a-f]{64}")
_login = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,63}")
# Line feeds and the like stay allowed: vdirsyncer makes names from UIDs that have them.
_unfit = re.compile(r"[\x00/]")


def is_account_id(text: str) -> bool:
    """Whether this is an account id, of which a file may be named."""
    return _account_id.fullmatch(text) is not None


def is_digest(text: str) -> bool:
    """Whether this is a digest, of which a file may be named."""
    return _digest.fullmatch(text) is not None


def parse_account_id(text: str) -> AccountId:
    """Read an account id. Raises BadRequest."""
    if not is_account_id(text):
        raise BadRequest(f"{text!r} is not an account id", hint="Account ids look like a_k3wq7m5d2xhv4tzs.")
    return AccountId(text)


def parse_login(text: str) -> str:
    """Read a login: what a person types to sign in, also a part of their URLs. Raises BadRequest."""
    if not _login.fullmatch(text):
        raise BadRequest(
            f"{text!r} cannot be a login",
            hint="Use 1 to 64 lower-case letters, digits and . _ @ + -, the first a letter or digit.",
        )
    return text


def check_item_name(name: str) -> str:
    """Return `name` when an item may have it. Raises BadRequest."""
    if name in {".", ".."} or _unfit.search(name) or not 0 < _octets(name) <= NAME_OCTETS_MAX:
        raise BadRequest(
            f"{name!r} cannot be a name",
            hint=f"Use 1 to {NAME_OCTETS_MAX} bytes of UTF-8, without / and NUL.",
        )
    return name


def _octets(name: str) -> int:
    """How long it is in UTF-8; 0 when that cannot say it, as with a file name of a system that used another."""
    try:
        return len(name.encode())
    except UnicodeEncodeError:
        return 0


def check_collection_name(home: Home, name: str) -> str:
    """Return `name` when a collection in `home` may have it; only photos nest. Raises BadRequest."""
    parts = name.split("/") if home is Home.PHOTOS else [name]
    for part in parts:
        check_item_name(part)
    return name
