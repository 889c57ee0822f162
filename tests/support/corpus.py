"""Where the real-world files are: beside the checkout, or where KEEPWELL_CORPUS says; a user's checkout has none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

FOLDER = Path(os.environ.get("KEEPWELL_CORPUS", Path(__file__).parents[3] / "shared" / "corpus"))


def corpus_files(*suffixes: str) -> list[Path]:
    """The files with these suffixes, in order; skips the test where there are none."""
    found = sorted(path for path in FOLDER.rglob("*") if path.suffix in suffixes)
    if not found:
        pytest.skip(f"corpus not there: {FOLDER} has no {' or '.join(suffixes)} files (KEEPWELL_CORPUS names another)")
    return found
