"""Make many accounts at once, each with an app password, and print their passwords as JSON.

The command line makes one account per process, which would take an hour for ten thousand. This goes through
the same service inside one process, and is run by `bench.accounts` with the Python that Keepwell is installed in.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from keepwell.app.wiring import open_keepwell


def fill(data: Path, count: int) -> dict[str, str]:
    """Add accounts `p00000`, `p00001`, …; the passwords by login."""
    with open_keepwell(data) as keepwell:
        passwords = {}
        for number in range(count):
            login = f"p{number:05}"
            keepwell.accounts.add(login)
            passwords[login] = keepwell.accounts.add_password(login, "bench")
        return passwords


if __name__ == "__main__":
    json.dump(fill(Path(sys.argv[1]), int(sys.argv[2])), sys.stdout)
