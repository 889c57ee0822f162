"""OPTIONS: what the server announces (RFC 4918 section 10.1, 18; RFC 9110 section 9.3.7).

Class 2 is not announced, because there are no locks: an announcement without LOCK makes clients fail.
"""

from __future__ import annotations

from typing import Final

from keepwell.dav.paths import Sort, Target
from keepwell.dav.request import DavRequest, DavResponse
from keepwell.model.names import Home

CLASSES: Final = "1, 3, access-control, calendar-access, addressbook, extended-mkcol"

_ANYWHERE: Final = ("OPTIONS", "GET", "HEAD", "PROPFIND", "REPORT")
_COLLECTION: Final = (*_ANYWHERE, "PROPPATCH", "DELETE", "COPY", "MOVE", "POST", "MKCOL")
_ITEM: Final = (*_ANYWHERE, "PROPPATCH", "PUT", "DELETE", "COPY", "MOVE", "MKCOL")


def methods_on(target: Target) -> tuple[str, ...]:
    """The methods that make sense on a target; MKCOL and MKCALENDAR where nothing is yet, which a path cannot tell."""
    if target.sort is Sort.COLLECTION:
        return (*_COLLECTION, "MKCALENDAR") if target.home is Home.CALENDARS else _COLLECTION
    return _ITEM if target.sort is Sort.ITEM else _ANYWHERE


def allow_header(target: Target) -> tuple[bytes, bytes]:
    """The Allow header of a target."""
    return b"allow", ", ".join(methods_on(target)).encode()


def options_response(target: Target) -> DavResponse:
    """The answer to OPTIONS on a target."""
    return DavResponse(200, [(b"dav", CLASSES.encode()), allow_header(target)])


async def options(request: DavRequest) -> DavResponse:
    """OPTIONS, for whoever is signed in, whether or not there is something."""
    return options_response(request.target)
