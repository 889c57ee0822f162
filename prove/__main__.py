"""`python -m prove`: run cases of the proving ground and tell what was tried and what was lost."""

from __future__ import annotations

import argparse
import os
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path

from prove.case import by_name, missing
from prove.cases import CASES
from prove.report import text_of, write
from prove.runner import Manner, carry_out

SEED_MAX = 1 << 31


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 0 when nothing was lost, 1 when something was, 2 when a case cannot be run here."""
    options = _parser().parse_args(arguments)
    if options.list:
        for case in CASES:
            print(f"{case.name:28} {case.what}")
        return 0
    try:
        chosen = by_name(CASES, options.case)
    except KeyError as error:
        print(f"prove: there is no case {error}; `python -m prove --list` names them", file=sys.stderr)
        return 2
    if lacking := [line for case in chosen for line in missing(case)]:
        print("\n".join(f"prove: {line}" for line in lacking), file=sys.stderr)
        return 2
    command = list(sys.argv[1:] if arguments is None else arguments)
    manner = Manner(options.jobs, options.folder, options.stop_at_first, full=not options.short)
    results = []
    for case in chosen:
        units = options.units or (case.short if options.short else case.full)
        first = secrets.randbelow(SEED_MAX) if options.seed is None else options.seed
        result = carry_out(case, range(first, first + units), manner)
        print(text_of(result, command), flush=True)
        if options.write:
            write(options.write, result, command)
        results.append(result)
    return 1 if any(one.failures for one in results) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m prove", description=__doc__)
    parser.add_argument("case", nargs="*", help="which cases; all when none is named")
    parser.add_argument("--list", action="store_true", help="name the cases")
    parser.add_argument("--seed", type=int, help="the first unit's seed; a random one when not given")
    parser.add_argument("--units", type=int, help="how many units, each with the next seed")
    parser.add_argument("--short", action="store_true", help="as many units as `make test` runs, and as small")
    parser.add_argument("--stop-at-first", action="store_true", help="run no further unit once one failed")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="units at once")
    parser.add_argument("--folder", type=Path, help="where units have their files; on a disk, not in memory")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put what came out into this document")
    return parser


if __name__ == "__main__":
    sys.exit(main())
