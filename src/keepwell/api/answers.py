"""How answers are sent: JSON documents, the bytes of items, and answers without a body."""

from __future__ import annotations

from typing import Final

import msgspec
from starlette.responses import Response

from keepwell.api.operation import Octets, Success
from keepwell.model.names import Digest
from keepwell.model.preconditions import etag_of

# What people keep is shown by browsers at the same origin as Keepwell's own pages; nothing in it may run there.
OCTETS_HEADERS: Final = {
    "cache-control": "private, no-cache",
    "content-security-policy": "default-src 'none'; sandbox",
    "x-content-type-options": "nosniff",
}
_JSON_HEADERS: Final = {"cache-control": "no-store"}

DONE: Final = Success(204, "It is done.")
OCTETS: Final = Success(200, "The bytes, as they came.", Octets, ("ETag",))
NOT_CHANGED: Final = Success(304, "The bytes are those that the caller has.", headers=("ETag",))


def json_answer(document: msgspec.Struct, status: int = 200, **headers: str) -> Response:
    """A document as JSON."""
    encoded = msgspec.json.encode(document)
    return Response(encoded, status, {**_JSON_HEADERS, **headers}, "application/json")


def done() -> Response:
    """What was asked is done, and there is nothing to say about it."""
    return Response(status_code=204, headers=_JSON_HEADERS)


def octets_answer(body: bytes, digest: Digest, media_type: str) -> Response:
    """Bytes that people keep, under their entity tag."""
    # Latin-1 is what a header can carry; a media type that a client made up must not break the answer.
    sent_type = media_type.encode("latin-1", "replace").decode("latin-1") or "application/octet-stream"
    return Response(body, 200, {**OCTETS_HEADERS, "etag": etag_of(digest), "content-type": sent_type})


def not_changed(digest: Digest) -> Response:
    """The caller has the bytes already."""
    return Response(status_code=304, headers={**OCTETS_HEADERS, "etag": etag_of(digest)})
