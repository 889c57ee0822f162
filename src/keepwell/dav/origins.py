"""Which hosts are this one, and whether a request was made by a page of another (RFC 6454, Fetch Metadata).

A browser that was once given a password sends it along with whatever a page makes it send. A form can POST, so a POST
that says that it comes from elsewhere is refused; the other methods that write cannot be sent across origins without
asking first, which is never allowed here. Programs that are no browsers say nothing of all this and are not concerned.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import SplitResult, urlsplit

from keepwell.dav.request import DavRequest
from keepwell.model.errors import Forbidden

_DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}
_OWN_SITES: Final = frozenset({"same-origin", "none"})


def is_own_host(request: DavRequest, uri: SplitResult) -> bool:
    """Whether a URI is on this host; its scheme's default port may be said or not (RFC 3986 section 6.2.3)."""
    port = _DEFAULT_PORTS.get(uri.scheme.lower(), "")
    name = uri.netloc.rpartition("@")[2].lower().removesuffix(port)
    return bool(name) and name in {own.removesuffix(port) for own in _own_hosts(request)}


def require_own_site(request: DavRequest) -> None:
    """Raise Forbidden when a browser says that a page of another site made the request."""
    site = request.header(b"sec-fetch-site")
    if site is not None and site.lower() not in _OWN_SITES:
        raise Forbidden(f"a page of another site may not {request.method} here")
    origin = request.header(b"origin")
    if origin is not None and not _is_own_origin(request, origin):
        raise Forbidden(f"a page of {origin} may not {request.method} here")


def _is_own_origin(request: DavRequest, origin: str) -> bool:
    try:
        return is_own_host(request, urlsplit(origin))
    except ValueError:
        return False


def _own_hosts(request: DavRequest) -> set[str]:
    """What this host is called; behind a proxy clients know it by another name, which the proxy tells."""
    names = (request.header(b"host"), request.header(b"x-forwarded-host"))
    return {name.lower() for name in names if name}
