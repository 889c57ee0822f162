"""Requests are parsed without reaching outside; answers hold only what XML can carry."""

from __future__ import annotations

import pytest
from lxml import etree

from keepwell.dav.xml import escape, escape_octets, parse_request
from keepwell.model.errors import BadRequest

ENTITIES = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b SYSTEM "file:///etc/passwd">]><x>&a;&b;</x>'


@pytest.mark.parametrize(
    "body", [ENTITIES, ENTITIES.decode().encode("utf-16"), b"<x", b"<x:y/>", b'<b:x xmlns:b=""/>', b"\xff<x/>"]
)
def test_a_request_with_a_document_type_or_bad_xml_is_refused(body: bytes) -> None:
    """No DTD is read, in whatever encoding it comes, and what is not namespace well-formed is a bad request."""
    with pytest.raises(BadRequest):
        parse_request(body)


def test_deep_nesting_is_refused() -> None:
    """A request that nests without end is refused, not followed."""
    with pytest.raises(BadRequest):
        parse_request(b"<x>" * 5000 + b"</x>" * 5000)


@pytest.mark.parametrize("octets", [b"a\x00\x0b\x1fb", "a\ufffe\uffffb".encode(), b"\xff\xfe&<>]]>\r\nx\ry"])
def test_any_bytes_can_be_put_into_an_answer(octets: bytes) -> None:
    """A file with characters that XML cannot carry is served without them, and the answer stays readable."""
    text = escape_octets(octets)
    assert etree.fromstring(f"<x>{text}</x>").text is not None
    assert etree.fromstring(f'<x a="{escape(octets.decode(errors="replace"))}"/>') is not None
