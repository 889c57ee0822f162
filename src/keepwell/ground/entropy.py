"""The only source of randomness. Everything drawn here is unguessable unless it says otherwise."""

from __future__ import annotations

import base64
import secrets
from typing import Protocol


class Entropy(Protocol):
    """Hands out random bytes."""

    def octets(self, count: int) -> bytes:
        """`count` random bytes."""
        ...


class SystemEntropy:
    """The operating system's generator."""

    def octets(self, count: int) -> bytes:
        """`count` unguessable bytes."""
        return secrets.token_bytes(count)


def base32_word(entropy: Entropy, bits: int) -> str:
    """`bits` random bits as lower-case base32 without padding (5 bits a letter)."""
    return base64.b32encode(entropy.octets((bits + 7) // 8)).decode("ascii").rstrip("=").lower()
