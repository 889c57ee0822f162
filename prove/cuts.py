"""The cuts of one unit of power cuts: which disks, when, in which order. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Final


class Cut(StrEnum):
    """Which disks lose power; the words are those of the figures."""

    DATA = "of the data disk alone"
    VAULT = "of the vault disk alone"
    BOTH = "of both disks"
    LOST = "of a data disk that is lost"
    BOTH_LOST = "of both disks, the data disk is lost"

    @property
    def takes_data(self) -> bool:
        """Whether the data disk loses power."""
        return self is not Cut.VAULT

    @property
    def takes_vault(self) -> bool:
        """Whether the vault's disk does."""
        return self in (Cut.VAULT, Cut.BOTH, Cut.BOTH_LOST)

    @property
    def loses_data(self) -> bool:
        """Whether the data disk is thrown away."""
        return self in (Cut.LOST, Cut.BOTH_LOST)


class Moment(StrEnum):
    """When they do."""

    LOAD = "under load"
    RECOVERY = "during a recovery"
    END = "during an orderly end"


@dataclass(frozen=True, slots=True)
class Step:
    """One cut."""

    cut: Cut
    moment: Moment

    @property
    def goes_on(self) -> bool:
        """Whether the server has to go on, without its vault."""
        return self.cut is Cut.VAULT and self.moment is Moment.LOAD


ALONE: Final = (*[Step(Cut.DATA, Moment.LOAD)] * 3, Step(Cut.DATA, Moment.RECOVERY))
"""The cuts while there is one copy."""

WITH_VAULT: Final = (
    *[Step(cut, moment) for cut in (Cut.DATA, Cut.VAULT, Cut.BOTH) for moment in Moment],
    *[Step(cut, Moment.LOAD) for cut in (Cut.VAULT, Cut.BOTH, Cut.LOST, Cut.BOTH_LOST, Cut.BOTH_LOST)],
    *[Step(cut, Moment.RECOVERY) for cut in (Cut.DATA, Cut.BOTH)],
)
"""The cuts once there is a confirming vault."""

CUTS: Final = len(ALONE) + len(WITH_VAULT)


def plan(random: Random) -> tuple[list[Step], list[Step]]:
    """The cuts of a unit, before and after it gets a vault, in an order of its own."""
    return random.sample(ALONE, len(ALONE)), random.sample(WITH_VAULT, len(WITH_VAULT))
