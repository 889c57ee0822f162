"""Small documents of a data folder or vault: JSON that people can read, each with the SHA-256 of its text at its end.

A flipped bit in them must not be believed: one in the name of a field would quietly give the field its default.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final, TypeVar

import msgspec

Document = TypeVar("Document", bound=msgspec.Struct)

_end: Final = re.compile(rb',\n  "hash": "([^"\n]*)"\n\}\n$')


def render_hashed(document: msgspec.Struct) -> bytes:
    """As it is stored."""
    text = msgspec.json.format(msgspec.json.encode(document), indent=2).removesuffix(b"\n}")
    return b'%s,\n  "hash": "%s"\n}\n' % (text, _hash_of(text))


def parse_hashed(stored: bytes, sort: type[Document]) -> Document:
    """Read one; of an older version, which had no hash, as it is. Raises msgspec.DecodeError, UnicodeDecodeError."""
    end = _end.search(stored)
    if end is not None and _hash_of(stored[: end.start()]) != end[1]:
        raise msgspec.DecodeError("its bytes are not those that were written")
    return msgspec.json.decode(stored, type=sort)


def _hash_of(text: bytes) -> bytes:
    return hashlib.sha256(text).hexdigest().encode()
