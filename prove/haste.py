"""A keeper in haste: it does within a second what it else does within an hour, so that faults can meet it at work.

Only how long it waits is another; what it does is not touched. Put in like a mutant, which may be put in besides.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from prove.mutants import Edit, Mutant, environment_of

_KEEPER: Final = "keepwell.services.keeper"
_DUTIES: Final = "keepwell.app.duties"
_MERGING: Final = "keepwell.vault.merge_plan"
_TENDING: Final = "keepwell.services.tending"
_SCRUBBING: Final = "keepwell.app.scrubbing"

HASTE: Final = Mutant(
    "haste",
    "nothing: the keeper waits less",
    "none",
    (
        Edit(_KEEPER, "\nTICK_SECONDS: Final = 1.0\n", "\nTICK_SECONDS: Final = 0.03\n"),
        Edit(_TENDING, "\nREOPEN_SECONDS: Final = 5.0\n", "\nREOPEN_SECONDS: Final = 0.2\n"),
        Edit(_TENDING, "\nTAIL_SECONDS_MAX: Final = 300.0\n", "\nTAIL_SECONDS_MAX: Final = 0.06\n"),
        Edit(_SCRUBBING, "\nMEND_AGAIN_SECONDS: Final = 60.0\n", "\nMEND_AGAIN_SECONDS: Final = 0.2\n"),
        Edit(_DUTIES, "\nMANIFEST_SECONDS: Final = 900.0\n", "\nMANIFEST_SECONDS: Final = 0.25\n"),
        Edit(_DUTIES, "\nMERGE_SECONDS: Final = 30.0\n", "\nMERGE_SECONDS: Final = 0.1\n"),
        Edit(_MERGING, "\nTIER_PACKS_MAX: Final = 8\n", "\nTIER_PACKS_MAX: Final = 2\n"),
        Edit(_MERGING, "\nGRACE_SECONDS: Final = 3600.0\n", "\nGRACE_SECONDS: Final = 1.0\n"),
    ),
)


def hasty_environment(folder: Path) -> dict[str, str]:
    """What a world starts Keepwell with, so that its keeper is in haste; the folder is made for it."""
    return environment_of(HASTE, folder)
