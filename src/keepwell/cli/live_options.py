"""What is said of a restore into an account that is served; apart from what does it, which takes long to import."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from keepwell.model.names import Kind
from keepwell.services.live_plan import Keep


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class LiveOptions:
    """What is said of a restore into an account that is served."""

    live: Annotated[
        bool,
        Parameter(
            negative=(), help="Into the one --account as it is served, instead; --from may be a data folder too."
        ),
    ] = False
    keep: Annotated[
        Keep, Parameter(help="With --live, where both differ: the current, the restored, both, or merge contacts.")
    ] = Keep.CURRENT
    yes: Annotated[bool, Parameter(negative=(), help="With --live: do it without asking.")] = False
    based_on: Annotated[
        int | None,
        Parameter(help="With --live: refuse if the account changed since this record, which a preview told."),
    ] = None


NOT_LIVE = LiveOptions()
"""No option of these given."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is said of any restore."""

    copies: Sequence[str]
    logins: Sequence[str]
    kinds: Sequence[Kind]
    moment: str
    sequence: int
    keys: Sequence[Path]
    dry_run: bool
