"""A client such as a phone: it signs in, finds its address books and calendars, lists and reads what is in them.

It knows CardDAV and CalDAV (RFC 6352, RFC 4791, discovery by RFC 6764 and RFC 5397) and nothing of Keepwell, so what it
sees is what a device would see. Whatever is not as the standards say is a ProtocolProblem.
"""

from __future__ import annotations

import base64
import http.client
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote, urljoin, urlsplit

from lxml import etree

SECONDS_MAX: Final = 60.0
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})

_DAV: Final = "{DAV:}"
_NAMESPACES: Final = {
    "D": "DAV:",
    "C": "urn:ietf:params:xml:ns:caldav",
    "A": "urn:ietf:params:xml:ns:carddav",
}


class ProtocolProblem(Exception):
    """The server did not answer as a device expects; a sentence."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """One of the two protocols: where to begin, what names the home, and what a collection of it is."""

    well_known: str
    home_set: str
    collection: str


CARDDAV: Final = Dialect("/.well-known/carddav", "A:addressbook-home-set", "A:addressbook")
CALDAV: Final = Dialect("/.well-known/caldav", "C:calendar-home-set", "C:calendar")


@dataclass(frozen=True, slots=True)
class Listed:
    """One resource of a listing: its path, its last segment as a name, its entity tag, the names of its types."""

    href: str
    name: str
    etag: str
    types: frozenset[str]


class Phone:
    """One device of one person."""

    def __init__(self, url: str, login: str, password: str) -> None:
        """That signs in to this server."""
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=SECONDS_MAX)
        pair = base64.b64encode(f"{login}:{password}".encode()).decode()
        self._headers = {"authorization": f"Basic {pair}", "user-agent": "Keepwell drill"}

    def collections(self, dialect: Dialect) -> dict[str, str]:
        """The collections that a device finds, starting from the server's name alone: paths by name."""
        principal = self._property(self._resolved(dialect.well_known), "D:current-user-principal")
        home = self._property(principal, dialect.home_set)
        wanted = _clark(dialect.collection)
        listed = self._listing(home, "<D:resourcetype/>", depth=1)
        return {one.name: one.href for one in listed if wanted in one.types}

    def items(self, collection: str) -> dict[str, Listed]:
        """The items of a collection by their names."""
        listed = self._listing(collection, "<D:resourcetype/><D:getetag/>", depth=1)
        return {one.name: one for one in listed if _clark("D:collection") not in one.types}

    def read(self, href: str) -> bytes:
        """The bytes of an item."""
        status, _headers, body = self._ask("GET", href)
        if status != 200:
            raise ProtocolProblem(f"GET {href} was answered {status}")
        return body

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()

    def _resolved(self, path: str) -> str:
        """Where a well-known path leads to."""
        status, headers, _body = self._ask("PROPFIND", path, _propfind("<D:current-user-principal/>"), depth=0)
        location = headers.get("location", "")
        if status not in _REDIRECTS or not location:
            raise ProtocolProblem(f"{path} was answered {status}, which leads nowhere")
        return urlsplit(urljoin(path, location)).path

    def _property(self, path: str, name: str) -> str:
        """The href in a property of a resource."""
        status, _headers, body = self._ask("PROPFIND", path, _propfind(f"<{name}/>"), depth=0)
        hrefs = [one.text for one in _parsed(status, body, path).iterfind(f".//{_clark(name)}/{_DAV}href")]
        if len(hrefs) != 1 or not hrefs[0]:
            raise ProtocolProblem(f"{path} has no {name}")
        return urlsplit(hrefs[0]).path

    def _listing(self, path: str, properties: str, *, depth: int) -> list[Listed]:
        """What is in a collection, itself left out."""
        status, _headers, body = self._ask("PROPFIND", path, _propfind(properties), depth=depth)
        found = list(_listed(_parsed(status, body, path)))
        return [one for one in found if unquote(one.href).rstrip("/") != unquote(path).rstrip("/")]

    def _ask(
        self, method: str, path: str, body: bytes | None = None, *, depth: int | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        headers = dict(self._headers)
        if depth is not None:
            headers |= {"depth": str(depth), "content-type": "application/xml; charset=utf-8"}
        try:
            self._connection.request(method, path, body, headers)
            answer = self._connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise ProtocolProblem(f"{method} {path} got no answer: {error!r}") from error


def _propfind(properties: str) -> bytes:
    names = " ".join(f'xmlns:{prefix}="{namespace}"' for prefix, namespace in _NAMESPACES.items())
    return f"<D:propfind {names}><D:prop>{properties}</D:prop></D:propfind>".encode()


def _clark(name: str) -> str:
    prefix, _, local = name.partition(":")
    return f"{{{_NAMESPACES[prefix]}}}{local}"


def _parsed(status: int, body: bytes, path: str) -> etree._Element:
    if status != 207:
        raise ProtocolProblem(f"PROPFIND {path} was answered {status}")
    try:
        return etree.fromstring(body, etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True))
    except etree.XMLSyntaxError as error:
        raise ProtocolProblem(f"PROPFIND {path} was answered with what is no XML: {error}") from error


def _listed(multistatus: etree._Element) -> Iterator[Listed]:
    for response in multistatus.iterfind(f"{_DAV}response"):
        href = urlsplit(response.findtext(f"{_DAV}href") or "").path
        types = frozenset(str(one.tag) for kind in response.iterfind(f".//{_DAV}resourcetype") for one in kind)
        name = unquote(href.rstrip("/").rpartition("/")[2])
        yield Listed(href, name, response.findtext(f".//{_DAV}getetag") or "", types)
