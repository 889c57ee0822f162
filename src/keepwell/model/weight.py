"""How bad it is what a check or a verification finds.

`DAMAGE` means that something which was kept is not as it was kept; `STALE` that only what can be made anew from the
data is wrong; `UNREAD` that something could not be read for now, as on a full disk, so that nothing is known of it;
`NOTE` that something is worth knowing and harms nobody.
"""

from __future__ import annotations

from enum import StrEnum


class Weight(StrEnum):
    """How bad a finding is."""

    DAMAGE = "damage"
    STALE = "stale"
    UNREAD = "unread"
    NOTE = "note"
