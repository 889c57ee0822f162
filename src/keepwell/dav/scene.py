"""What a request says about the form of its answer: who it is for, and which preferences hold (RFC 7240, RFC 8144)."""

from __future__ import annotations

from typing import Final

from keepwell.dav.liveproperty import Scene
from keepwell.dav.request import DavRequest

Header = tuple[bytes, bytes]

MINIMAL_APPLIED: Final[Header] = (b"preference-applied", b"return=minimal")


def scene_of(request: DavRequest) -> Scene:
    """What is the same for every resource of the answer to this request."""
    return Scene(request.actor, request.directory, request.reports, request.minimal)
