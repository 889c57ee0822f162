"""Range requests (RFC 9110 section 14)."""

from __future__ import annotations

import pytest
from tests.dav.reports.face import PHOTOS, Face

from keepwell.dav.ranges import Span, parse_ranges


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("bytes=0-3", [Span(0, 3)]),
        ("bytes=8-", [Span(8, 9)]),
        ("bytes=-3", [Span(7, 9)]),
        ("bytes=-30", [Span(0, 9)]),
        ("bytes=5-100", [Span(5, 9)]),
        ("bytes=0-0, 9-9", [Span(0, 0), Span(9, 9)]),
        ("bytes=0-5,4-9", None),
        ("bytes=0-,0-", None),
        ("bytes=10-", []),
        ("bytes=-0", []),
        ("bytes=4-2", None),
        ("bytes=", None),
        ("bytes=a-b", None),
        ("pages=1-2", None),
        ("bytes=" + ",".join(["0-1"] * 100), None),
    ],
)
def test_a_range_header_is_read(text: str, spans: list[Span] | None) -> None:
    """Ranges outside the ten octets are left out; a header that cannot be read, or asks too much, is ignored."""
    assert parse_ranges(text, 10) == spans


@pytest.mark.parametrize(
    ("asked", "status", "body", "content_range"),
    [
        ("bytes=2-4", 206, b"234", b"bytes 2-4/10"),
        ("bytes=50-", 416, b"", b"bytes */10"),
        ("lines=1-2", 200, b"0123456789", None),
    ],
)
def test_a_get_of_a_range(face: Face, asked: str, status: int, body: bytes, content_range: bytes | None) -> None:
    """A part of a file is served as 206, a part that is not there refused as 416."""
    face.put(PHOTOS + "ten.bin", b"0123456789")
    answer = face.request("GET", PHOTOS + "ten.bin", headers={"Range": asked})
    assert (answer.status, answer.body, answer.headers.get(b"content-range")) == (status, body, content_range)


def test_several_ranges_come_as_parts(face: Face) -> None:
    """Several ranges are one multipart answer, each with its place."""
    face.put(PHOTOS + "ten.bin", b"0123456789")
    answer = face.request("GET", PHOTOS + "ten.bin", headers={"Range": "bytes=0-1,8-9"})
    assert answer.status == 206
    assert answer.headers[b"content-type"].startswith(b"multipart/byteranges; boundary=")
    assert b"bytes 0-1/10\r\n\r\n01\r\n" in answer.body
    assert b"bytes 8-9/10\r\n\r\n89\r\n" in answer.body


def test_if_range_of_other_bytes_gets_the_whole(face: Face) -> None:
    """A client that holds a part of an older version gets all of the new one (RFC 9110 section 13.1.5)."""
    face.put(PHOTOS + "ten.bin", b"0123456789")
    headers = {"Range": "bytes=0-1", "If-Range": '"old"'}
    answer = face.request("GET", PHOTOS + "ten.bin", headers=headers)
    assert (answer.status, answer.body) == (200, b"0123456789")


def test_the_boundary_comes_from_the_entity_tag(face: Face) -> None:
    """The bytes of a large file are not hashed once more for a few parts of it."""
    face.put(PHOTOS + "ten.bin", b"0123456789")
    answer = face.request("GET", PHOTOS + "ten.bin", headers={"Range": "bytes=0-1,8-9"})
    boundary = answer.headers[b"content-type"].rpartition(b"boundary=")[2]
    assert boundary
    assert boundary in answer.headers[b"etag"]
