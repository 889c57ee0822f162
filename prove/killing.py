"""The program behind `killed-at-every-call`: a process of its own, because it forks and must have one thread.

    python -m prove.killing FOLDER FIRST STRIDE [SCENE…]

Each scene is rehearsed, then killed at its calls FIRST, FIRST + STRIDE and so on, until a run comes to its end. What
came out of each scene is a line of JSON.
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

FAILURES_MAX: Final = 10
"""After so many it goes on no further."""

KILLS: Final = "kills at a system call"
TORN: Final = "kills in the middle of a write"
UNKILLED: Final = "runs that had no call left"


def kill_at_calls(theatre: Theatre, one: Reference, numbers: range) -> list[str]:
    """Kill a scene at each of these calls, until it comes to its end; how it failed."""
    failures = []
    for number in numbers:
        try:
            rule = theatre.killed(one, number)
            if rule is None:
                theatre.figures[UNKILLED] += 1
                break
            theatre.figures[KILLS] += 1
            if rule.is_large_write:
                theatre.killed(one, number, torn=True)
                theatre.figures[TORN] += 1
        except BrokenError as error:
            failures.append(str(error))
            if len(failures) >= FAILURES_MAX:
                break
    return failures


def main(arguments: Sequence[str]) -> int:
    """Play the scenes; 0 when nothing failed."""
    folder, first, stride, *wanted = arguments
    theatre = Theatre(Path(folder))
    gc.freeze()
    failed = False
    for scene in SCENES:
        one = theatre.rehearse(scene)
        failures = []
        if not wanted or scene.name in wanted:
            failures = kill_at_calls(theatre, one, range(int(first), sys.maxsize, int(stride)))
            figures = dict(theatre.figures)
            print(json.dumps({"scene": scene.name, "calls": one.calls, "figures": figures, "failures": failures}))
            sys.stdout.flush()
            theatre.figures.clear()
        theatre.go_on()
        failed = failed or bool(failures)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
