"""The only source of randomness. Everything drawn here is unguessable unless it says otherwise."""

from __future__ import annotations

import base64
import random
import secrets
from collections.abc import Sequence
from typing import Protocol, TypeVar

Thing = TypeVar("Thing")


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


class Draw:
    """Draws that are the same for the same seed: for samples that can be drawn again, never for secrets."""

    def __init__(self, seed: int) -> None:
        """By this seed."""
        self._random = random.Random(seed)  # noqa: S311  (guessable on purpose)

    def below(self, limit: int) -> int:
        """A number from 0 on, below `limit`, which is at least 1."""
        return self._random.randrange(limit)

    def one(self, among: Sequence[Thing]) -> Thing:
        """One of these; there must be one."""
        return among[self.below(len(among))]

    def shuffled(self, among: Sequence[Thing]) -> list[Thing]:
        """All of these, in an order that was drawn."""
        return self._random.sample(among, len(among))
