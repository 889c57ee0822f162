"""Running Keepwell's own command as a process that ends when this one does, however that ends."""

from __future__ import annotations

import os
import sys
from typing import Final

_PROGRAM: Final = (
    "import sys; from keepwell.ground.process import end_with_parent; end_with_parent({parent}); "
    "from keepwell.cli.main import main; sys.exit(main())"
)
# Not `preexec_fn`: between fork and exec no Python may run in a process that has threads.


def own_command(*words: str) -> list[str]:
    """The arguments that start `keepwell` with these words, told to stop (SIGTERM) when whoever starts it dies."""
    return [sys.executable, "-c", _PROGRAM.format(parent=os.getpid()), *words]
