"""Sealing: what turns bytes into those that a vault stores, and back.

An encrypted vault stores age files (https://age-encryption.org/v1) for several X25519 recipients, each of whose secret
keys opens them alone. Who only seals needs no secret key. The library holds Python's one lock while it works, so
sealing stops every other thread: 0.35 ms for up to 20 kB and three recipients, then about 2 ms for each megabyte.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

import pyrage
from pyrage.x25519 import Identity, Recipient

from keepwell.model.errors import Damaged, Locked
from keepwell.vault.keys import public_key

_NO_KEY_FITS: Final = "No matching keys found"


class Seal(Protocol):
    """How one vault's bytes are stored. May be used from many threads at once."""

    @property
    def sealed(self) -> bool:
        """Whether what is stored cannot be read without a key."""
        ...

    def seal(self, octets: bytes) -> bytes:
        """The bytes to store; of an encrypted vault other ones at every call."""
        ...

    def unseal(self, octets: bytes) -> bytes:
        """The bytes that were sealed, proven to be those. Raises Locked, Damaged."""
        ...


class PlainSeal:
    """Stores bytes as they are."""

    sealed = False

    def seal(self, octets: bytes) -> bytes:
        """The same bytes."""
        return octets

    def unseal(self, octets: bytes) -> bytes:
        """The same bytes: nothing here proves them."""
        return octets


class AgeSeal:
    """Stores age files that each of the recipients' secret keys opens; `identities` are those at hand for reading."""

    sealed = True

    def __init__(self, recipients: Sequence[str], identities: Sequence[Identity] = ()) -> None:
        """For these public keys (`age1…`), one or more. Raises Damaged: they come from the vault's own document."""
        if not recipients:
            raise Damaged("an encrypted vault names no public key")
        self._recipients = [_parse_recipient(text) for text in recipients]
        self._identities = list(identities)
        self._key_fits = not {str(one) for one in self._recipients}.isdisjoint(map(public_key, identities))

    def seal(self, octets: bytes) -> bytes:
        """An age file of these bytes for every recipient; another one at every call."""
        return pyrage.encrypt(octets, self._recipients)

    def unseal(self, octets: bytes) -> bytes:
        """The bytes in an age file. Raises Locked when no key here is the vault's, else Damaged."""
        try:
            return pyrage.decrypt(octets, self._identities)
        except pyrage.DecryptError as error:
            # The library has one class for every reason. With a key of this vault's an object that does not know it is
            # damaged: one flipped bit among the keys of its header looks the same.
            if str(error) == _NO_KEY_FITS and not self._key_fits:
                raise _locked() from error
            raise Damaged(f"{len(octets)} encrypted bytes cannot be opened: {error}") from error


def _locked() -> Locked:
    return Locked(
        "this vault is encrypted, and no key here opens it",
        hint="Give the file with the operator's secret key, or one with the key on the recovery sheet: --key FILE.",
    )


def _parse_recipient(text: str) -> Recipient:
    try:
        return Recipient.from_str(text)
    except pyrage.RecipientError as error:
        raise Damaged(f"an encrypted vault names {text!r}, which is no public key of age") from error
