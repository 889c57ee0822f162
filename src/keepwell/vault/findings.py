"""What verifying a vault finds: each thing with the object, a sentence and its weight, and how much was looked at."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from keepwell.model.weight import Weight


class VaultFinding(msgspec.Struct, frozen=True):
    """One thing in a vault that is not as it should be. `object` is the object's name, or an account."""

    object: str
    message: str
    weight: Weight = Weight.DAMAGE


@dataclass(slots=True)
class Found:
    """What was found, and in how many objects and stored bytes it was looked for."""

    objects: int = 0
    octets: int = 0
    findings: list[VaultFinding] = field(default_factory=list)

    def damage(self, name: str, message: str) -> None:
        """Something that was kept is not as it was kept."""
        self.findings.append(VaultFinding(name, message))

    def note(self, name: str, message: str) -> None:
        """Something worth knowing, which harms nobody."""
        self.findings.append(VaultFinding(name, message, Weight.NOTE))

    def add(self, other: Found) -> None:
        """Count in what was found elsewhere; what is known already is not listed twice."""
        self.objects += other.objects
        self.octets += other.octets
        self.findings += [one for one in other.findings if one not in self.findings]

    @property
    def is_whole(self) -> bool:
        """Whether nothing is damaged."""
        return all(one.weight is not Weight.DAMAGE for one in self.findings)
