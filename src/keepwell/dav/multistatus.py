"""The frame of a multistatus (RFC 4918 section 13) and the responses in it that carry no properties."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Final

from keepwell.dav.names import DECLARATIONS
from keepwell.dav.request import DavResponse, xml_response
from keepwell.dav.xml import escape

DECLARATION: Final = '<?xml version="1.0" encoding="utf-8"?>\n'
HEAD: Final = f"{DECLARATION}<D:multistatus {DECLARATIONS}>\n"
TAIL: Final = "</D:multistatus>\n"


def status_line(status: int) -> str:
    """A `DAV:status` element."""
    return f"<D:status>HTTP/1.1 {status} {_phrase(status)}</D:status>"


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase


def status_response(href: str, status: int, error: str = "") -> str:
    """A response that has a status of its own and no properties; `error` is the text of a precondition element."""
    condition = f"<D:error>{error}</D:error>" if error else ""
    return f"<D:response><D:href>{escape(href)}</D:href>{status_line(status)}{condition}</D:response>\n"


def not_found(href: str) -> str:
    """The response for something that is not there, or not any more (RFC 6578 section 3.4)."""
    return status_response(href, 404)


def truncated(href: str) -> str:
    """The response that says, for the collection itself, that the answer is not whole (RFC 6578 3.6, RFC 5323)."""
    return status_response(href, 507, "<D:number-of-matches-within-limits/>")


def document(responses: Iterable[str], tail: str = "") -> str:
    """A whole multistatus; `tail` is text after the responses, such as a sync token."""
    return "".join((HEAD, *responses, tail, TAIL))


def multistatus(responses: Iterable[str], *headers: tuple[bytes, bytes], tail: str = "") -> DavResponse:
    """The 207 answer; call it where joining a large text does not hold anybody up."""
    return xml_response(207, document(responses, tail), *headers)
