"""The program behind `killed-at-every-call`: a process of its own, because it forks and must have one thread.

    python -m prove.killing FOLDER FIRST STRIDE [SCENE…]

All scenes are rehearsed, one after the other. Then each is killed at its calls FIRST, FIRST + STRIDE and so on, in
turns, until a run comes to its end; the first failure ends it all. What came out is told as a line of JSON.
"""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from prove.scenes import SCENES
from prove.theatre import BrokenError, Reference, Theatre

KILLS: Final = "kills at a system call"
TORN: Final = "kills in the middle of a write"
UNKILLED: Final = "runs that had no call left"


def kill(theatre: Theatre, one: Reference, number: int) -> bool:
    """Kill a scene at a call, and prove what it leaves; False when it had no such call. Raises BrokenError."""
    rule = theatre.killed(one, number)
    if rule is None:
        theatre.figures[UNKILLED] += 1
        return False
    theatre.figures[KILLS] += 1
    theatre.figures[f"kills: {one.scene.name}"] += 1
    if rule.is_large_write:
        theatre.killed(one, number, torn=True)
        theatre.figures[TORN] += 1
    return True


def kill_all(theatre: Theatre, references: Sequence[Reference], first: int, stride: int) -> None:
    """Kill every scene at every wanted call of it. Raises BrokenError."""
    left, number = list(references), first
    while left:
        left = [one for one in left if kill(theatre, one, number)]
        number += stride


def main(arguments: Sequence[str]) -> int:
    """Play the scenes; 0 when nothing failed."""
    folder, first, stride, *wanted = arguments
    theatre = Theatre(Path(folder))
    gc.freeze()
    failure = ""
    try:
        references = [theatre.rehearse(scene) for scene in SCENES]
        chosen = [one for one in references if not wanted or one.scene.name in wanted]
        kill_all(theatre, chosen, int(first), int(stride))
    except BrokenError as error:
        failure = str(error)
    print(json.dumps({"figures": theatre.figures, "failure": failure}))
    return 1 if failure else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
