"""Range requests (RFC 9110 section 14): one range as 206, several as multipart/byteranges, none that fits as 416."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from keepwell.dav.request import DavResponse
from keepwell.model.names import Digest

RANGES_MAX: Final = 16
"""More ranges than this are ignored, as RFC 9110 section 14.2 allows: the whole is cheaper than many pieces."""

_range = re.compile(r"\s*(\d{0,18})-(\d{0,18})\s*")


@dataclass(frozen=True, slots=True)
class Span:
    """Octets `first` to `last`, both included."""

    first: int
    last: int

    def header(self, size: int) -> bytes:
        """The value of Content-Range."""
        return b"bytes %d-%d/%d" % (self.first, self.last, size)


def parse_ranges(text: str, size: int) -> list[Span] | None:
    """The spans that a Range header asks for and that exist; None when the header is to be ignored."""
    unit, equals, specs = text.partition("=")
    if unit.strip().lower() != "bytes" or not equals:
        return None
    parts = specs.split(",")
    if len(parts) > RANGES_MAX:
        return None
    matches = [_range.fullmatch(part) for part in parts]
    if any(match is None or match[0].strip() == "-" or _is_backward(match) for match in matches):
        return None
    found = (_span(match[1], match[2], size) for match in matches if match is not None)
    spans = [span for span in found if span is not None]
    # Overlapping ranges would make a large answer of a small file (RFC 9110 section 14.2).
    return spans if sum(span.last - span.first + 1 for span in spans) <= size else None


def _is_backward(match: re.Match[str]) -> bool:
    return bool(match[1] and match[2]) and int(match[1]) > int(match[2])


def _span(first: str, last: str, size: int) -> Span | None:
    if not first:
        length = min(int(last), size)
        return Span(size - length, size - 1) if length else None
    if int(first) >= size:
        return None
    return Span(int(first), min(int(last), size - 1) if last else size - 1)


def range_response(
    body: bytes, spans: list[Span], headers: list[tuple[bytes, bytes]], media_type: bytes, digest: Digest
) -> DavResponse:
    """The 206 or 416 answer; `headers` are those of the whole, without Content-Type, and `digest` is that of `body`.

    The boundary is made of the digest: bytes that hold a part of their own digest are not to be found.
    """
    size = len(body)
    if not spans:
        return DavResponse(416, [(b"content-range", b"bytes */%d" % size)])
    if len(spans) == 1:
        span = spans[0]
        own = [(b"content-type", media_type), (b"content-range", span.header(size))]
        return DavResponse(206, [*headers, *own], body[span.first : span.last + 1])
    boundary = digest[:24].encode()
    parts = [_part(body, span, boundary, media_type) for span in spans]
    own = [(b"content-type", b"multipart/byteranges; boundary=" + boundary)]
    return DavResponse(206, [*headers, *own], b"".join(parts) + b"--" + boundary + b"--\r\n")


def _part(body: bytes, span: Span, boundary: bytes, media_type: bytes) -> bytes:
    head = b"--%b\r\nContent-Type: %b\r\nContent-Range: %b\r\n\r\n"
    return head % (boundary, media_type, span.header(len(body))) + body[span.first : span.last + 1] + b"\r\n"
