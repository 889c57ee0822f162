"""How independent a vault is from the data it copies: judged from what both stand on, never from what someone says.

Pure: `devices.py` finds out what a folder stands on, each medium tells its own identity. Two copies on one disk are
allowed and called what they are.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from keepwell.vault.medium import MediumIdentity


class Grade(StrEnum):
    """What has to break for both copies to be lost at once, from the least to the most."""

    SAME_DISK = "same-disk"
    UNKNOWN = "unknown"
    OTHER_DISK = "other-disk"
    OTHER_HOST = "other-host"


class Independence(msgspec.Struct, frozen=True):
    """The judgement, and a sentence for people that says what the vault protects against."""

    grade: Grade
    sentence: str

    @property
    def survives_disk(self) -> bool:
        """Whether the vault is known to outlive the disk that the data is on."""
        return self.grade in (Grade.OTHER_DISK, Grade.OTHER_HOST)

    @property
    def survives_host(self) -> bool:
        """Whether the vault is known to outlive the machine that the data is on."""
        return self.grade is Grade.OTHER_HOST


def judge(data: MediumIdentity, vault: MediumIdentity) -> Independence:
    """How independent this vault is of this data."""
    if data.host != vault.host:
        return Independence(
            Grade.OTHER_HOST, f"on another host, {vault.host}: protects against the loss of this machine"
        )
    shared = sorted(set(data.devices) & set(vault.devices))
    if shared:
        return Independence(
            Grade.SAME_DISK, f"on the same disk, {', '.join(shared)}: protects against our bugs, not against the disk"
        )
    if _all_known(data) and _all_known(vault):
        return Independence(
            Grade.OTHER_DISK,
            f"on another disk of this host, {', '.join(vault.devices)}: protects against the loss of a disk, not of the"
            " machine",
        )
    return Independence(
        Grade.UNKNOWN,
        "on this host, on a disk that cannot be seen: count on no protection against the loss of the disk",
    )


def _all_known(identity: MediumIdentity) -> bool:
    """Whether every device is one that can be told from others: a number `0:…` is a file system's, not a disk's."""
    return bool(identity.devices) and not any(device.startswith("0:") for device in identity.devices)
