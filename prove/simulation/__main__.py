"""`python -m prove.simulation SEED`: make one schedule again, and tell all that happened in it."""

from __future__ import annotations

import sys

from prove.simulation.bounds import small_bounds
from prove.simulation.choices import SeededChoices
from prove.simulation.schedule import failure_of


def main(arguments: list[str]) -> int:
    """0 when nothing is wrong with it, 1 when something is, 2 when no seed was given."""
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    with small_bounds():
        failure = failure_of(lambda: SeededChoices(arguments[0]), lines_shown=1 << 30)
    print(failure or f"schedule {arguments[0]}: nothing is lost, and nothing is invented")
    return 1 if failure else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
