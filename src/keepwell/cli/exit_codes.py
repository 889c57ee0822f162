"""The exit codes of every command, in one table."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from keepwell.model.errors import BadRequest, CannotStart, Damaged, KeepwellError, Locked, Refused, Unavailable


class ExitCode(IntEnum):
    """How a command ended."""

    OK = 0
    PARTLY = 1
    USAGE = 2
    REFUSED = 3
    UNAVAILABLE = 4
    DAMAGED = 5
    INTERNAL = 70


MEANINGS: Final = {
    ExitCode.OK: "everything was done",
    ExitCode.PARTLY: "partly done: something in the data was not right, and what it was is told",
    ExitCode.USAGE: "the command was not understood",
    ExitCode.REFUSED: "refused, or something is not there; nothing was changed",
    ExitCode.UNAVAILABLE: "not now: in use, or a medium failed; try again",
    ExitCode.DAMAGED: "stored data does not prove itself",
    ExitCode.INTERNAL: "a fault in Keepwell itself",
}

_CODE_OF: Final[tuple[tuple[type[Exception], ExitCode], ...]] = (
    (BadRequest, ExitCode.USAGE),
    (Refused, ExitCode.REFUSED),
    (Locked, ExitCode.REFUSED),
    (Unavailable, ExitCode.UNAVAILABLE),
    (CannotStart, ExitCode.UNAVAILABLE),
    (Damaged, ExitCode.DAMAGED),
    (OSError, ExitCode.UNAVAILABLE),
)


def exit_code_of(error: KeepwellError | OSError) -> ExitCode:
    """The code for an error; the first line of the table that fits."""
    return next((code for kind, code in _CODE_OF if isinstance(error, kind)), ExitCode.INTERNAL)


def describe_exit_codes() -> str:
    """The table for `--help`."""
    return "Exit codes: " + "; ".join(f"{code:d} {meaning}" for code, meaning in MEANINGS.items()) + "."
