"""GET and HEAD (RFC 4918 section 9.4): the bytes of an item as they came, or a readable listing of anything else."""

from __future__ import annotations

from html import escape
from typing import Final

from keepwell.dav.conditions import range_applies, read_status
from keepwell.dav.live_webdav import content_type, http_date
from keepwell.dav.paths import Sort, Target
from keepwell.dav.ranges import parse_ranges, range_response
from keepwell.dav.request import DavRequest, DavResponse, in_worker
from keepwell.dav.resources import Resource, collections_in, load, locate, members, require_visible
from keepwell.model.errors import NotThere, PreconditionFailed
from keepwell.model.names import Home
from keepwell.model.preconditions import etag_of
from keepwell.storage.contract import Item

# What people keep is shown by browsers at the same origin as Keepwell's own pages; nothing in it may run there.
_ITEM_HEADERS: Final = (
    (b"accept-ranges", b"bytes"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; sandbox"),
)
_LISTING_HEADERS: Final = (
    (b"content-type", b"text/html; charset=utf-8"),
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'"),
)


async def get(request: DavRequest) -> DavResponse:
    """Answer GET and HEAD; the body of a HEAD is left out when it is sent."""
    if request.target.is_item:
        # Files may be hundreds of megabytes; cards and events are read faster than a thread is woken.
        is_file = request.target.home is Home.PHOTOS
        found = await in_worker(lambda: _read(request)) if is_file else _read(request)
        if found is not None:
            return _item_response(request, *found)
        if request.target.home is not Home.PHOTOS:
            raise NotThere(f"there is no {request.target.href}")
    return await in_worker(lambda: _listing(request))


def _read(request: DavRequest) -> tuple[Item, bytes] | None:
    return request.library.read_item(request.actor, request.target.place(request.owner()))


def _item_response(request: DavRequest, item: Item, body: bytes) -> DavResponse:
    headers = [
        (b"etag", etag_of(item.digest).encode()),
        (b"last-modified", http_date(item.modified).encode()),
        *_ITEM_HEADERS,
    ]
    status = read_status(request, item)
    if status == 412:
        raise PreconditionFailed(f"a condition does not hold for {request.target.href}")
    if status == 304:
        return DavResponse(304, headers)
    media_type = content_type(item).encode("latin-1", "replace")
    if request.method == "GET" and b"range" in request.headers and range_applies(request, item):
        spans = parse_ranges(request.headers[b"range"].decode("latin-1"), len(body))
        if spans is not None:
            return range_response(body, spans, headers, media_type, item.digest)
    headers.append((b"content-type", media_type))
    return DavResponse(200, headers, body)


def _listing(request: DavRequest) -> DavResponse:
    """A page for whoever follows a collection's address in a browser."""
    target = request.target
    if not target.login:
        resource = locate(request.library, request.directory, request.actor, target)
        inside = list(members(resource, request.library, request.directory, request.actor))
        return _page(resource, [_row(member.href, _last_of(member.target)) for member in inside])
    owner = require_visible(request.directory, request.actor, target)
    with request.library.reading(owner) as snapshot:
        resource = load(snapshot, request.actor, owner, target)
        inside = list(collections_in(snapshot, resource, request.actor))
        rows = [_row(member.href, _last_of(member.target)) for member in inside]
        if resource.collection is not None:
            base = resource.target
            for item in snapshot.items(resource.collection.id):
                rows.append(_row(_item_target(base, item).href, item.name))
    return _page(resource, rows)


def _item_target(base: Target, item: Item) -> Target:
    return Target(Sort.ITEM, base.login, base.home, base.collection, item.name)


def _last_of(target: Target) -> str:
    return target.href.rstrip("/").rpartition("/")[2] + "/"


def _row(href: str, text: str) -> str:
    return f'<li><a href="{escape(href)}">{escape(text)}</a></li>'


def _page(resource: Resource, rows: list[str]) -> DavResponse:
    title = escape(resource.href)
    text = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>'
        f"<body><h1>{title}</h1><p>Programs reach this by WebDAV, CardDAV or CalDAV. It holds {len(rows)}:</p>"
        f"<ul>{''.join(rows)}</ul></body></html>\n"
    )
    location = (b"content-location", resource.href.encode())
    return DavResponse(200, [location, *_LISTING_HEADERS], text.encode(errors="replace"))
