"""Where a schedule's decisions come from. 0 is always the plain choice: go on, nothing happens, all of it stays.

So whatever shrinks a schedule by making its numbers smaller (hypothesis does) makes it plainer.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Protocol, TypeVar

Thing = TypeVar("Thing")


class Choices(Protocol):
    """Makes decisions."""

    def below(self, count: int) -> int:
        """A number from 0 on, below `count`, which is at least 1."""
        ...


class SeededChoices:
    """The same decisions for the same seed."""

    def __init__(self, seed: str) -> None:
        """By this seed."""
        self._random = Random(seed)

    def below(self, count: int) -> int:
        """Any number, all as likely."""
        return int(self._random.random() * count)


class PlainChoices:
    """Always the plain choice."""

    def below(self, count: int) -> int:
        """0."""
        return 0


def one_of(choices: Choices, among: Sequence[Thing]) -> Thing:
    """One of these; there must be one."""
    return among[choices.below(len(among))]


def weighed(choices: Choices, among: Sequence[tuple[int, Thing]]) -> Thing:
    """One of these, each as likely as its weight says; the first is the plain one."""
    number = choices.below(sum(weight for weight, _thing in among))
    for weight, thing in among:
        number -= weight
        if number < 0:
            return thing
    raise ValueError("nothing to choose from")
