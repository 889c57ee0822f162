"""Documents with the hash of their own text: whatever bit is flipped, they are refused or read as they were."""

from __future__ import annotations

import msgspec
import pytest

from keepwell.model.hashed import parse_hashed, render_hashed


class Part(msgspec.Struct, frozen=True):
    name: str
    confirm: bool = False


class Whole(msgspec.Struct, frozen=True):
    format: int = 1
    parts: tuple[Part, ...] = ()


DOCUMENT = Whole(parts=(Part("næar", confirm=True), Part('f"ar\n')))


@pytest.mark.parametrize("document", [DOCUMENT, Whole()])
def test_what_is_rendered_is_read_as_it_was(document: Whole) -> None:
    """It is JSON for other programs as well."""
    stored = render_hashed(document)
    assert parse_hashed(stored, Whole) == document
    assert msgspec.json.decode(stored, type=Whole) == document
    assert stored.endswith(b'"\n}\n')


def test_every_flipped_bit_is_refused_or_changes_nothing() -> None:
    """Of a document without a hash one would quietly take the default for `confirm`."""
    stored = render_hashed(DOCUMENT)
    read = []
    for place in range(len(stored)):
        for bit in range(8):
            octets = stored[:place] + bytes([stored[place] ^ 1 << bit]) + stored[place + 1 :]
            try:
                read.append(parse_hashed(octets, Whole))
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue
    assert set(read) == {DOCUMENT}
    assert len(read) < 100


def test_one_of_an_older_version_is_read() -> None:
    """Which had no hash."""
    assert parse_hashed(msgspec.json.format(msgspec.json.encode(DOCUMENT)), Whole) == DOCUMENT


def test_a_document_that_somebody_changed_is_refused() -> None:
    """It says so, and not that it is no JSON."""
    with pytest.raises(msgspec.DecodeError, match="not those that were written"):
        parse_hashed(render_hashed(DOCUMENT).replace(b"true", b"false"), Whole)
