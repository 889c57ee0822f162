"""The small documents of a vault: what is of a newer format is not taken for damage."""

from __future__ import annotations

import pytest

from keepwell.model.errors import CannotStart, Damaged
from keepwell.vault.documents import (
    EpochDocument,
    VaultDocument,
    parse_epoch_document,
    parse_vault_document,
    render_document,
    render_epoch_document,
)

OURS = VaultDocument(keepwell_vault=1, id="v_vaultvaultvault2", made_at="2026-11-23T08:00:00.000000Z")


def test_a_newer_vault_is_told_from_a_damaged_one() -> None:
    """The hint says what to do, and nobody tries to repair it."""
    stored = render_document(OURS)
    assert parse_vault_document(stored, "/backup") == OURS
    with pytest.raises(CannotStart, match="/backup has format 2") as caught:
        parse_vault_document(stored.replace(b'"keepwell_vault": 1', b'"keepwell_vault": 2'), "/backup")
    assert "newer" in caught.value.hint
    with pytest.raises(Damaged):
        parse_vault_document(stored[:-5], "/backup")


def test_every_flipped_bit_of_an_epochs_document_is_seen() -> None:
    """No manifest has its hash before the first one of that epoch; one without a hash is of the first Keepwells."""
    document = EpochDocument(epoch=3, server="word", at="2026-11-23T08:00:00.000000Z", host="here", data="/data")
    stored = render_epoch_document(document)
    assert parse_epoch_document(stored) == document
    for place in range(8 * len(stored)):
        flipped = bytearray(stored)
        flipped[place // 8] ^= 1 << place % 8
        with pytest.raises(Damaged):
            parse_epoch_document(bytes(flipped))
    first = stored[: stored.index(b',\n  "hash"')] + b"\n}\n"
    assert parse_epoch_document(first) == document
