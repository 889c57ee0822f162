"""`python -m prove.fuzz TARGET …`: one process of atheris on one target.

With files it tries these and ends: that is how a finding is run again. Otherwise it goes on from the corpus until it
finds something, or for so many runs or seconds; what it found on its way it keeps in `--work`.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import sys
from collections.abc import Callable, Sequence
from mmap import mmap
from pathlib import Path
from typing import Final

import atheris

from prove.fuzz.target import TARGETS, TRIED, TRIED_FILE, Target, target_named

INSTRUMENTED = ("keepwell",)
MEMORY_MEGABYTES_MAX = 2048
SECONDS_MAX = 120
"""For one input, on however slow a machine: what takes longer never ends. How much work may be done is counted in steps
by the targets."""

_ASK: Final = 0xFFFFFFFF
_NOT_RANDOM: Final = 0x0040000
"""ADDR_NO_RANDOMIZE of personality(2)."""
_FAILED: Final = -1


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; libFuzzer ends the process: with 0, or with 77 when a property did not hold."""
    options = _parser().parse_args(arguments)
    _stand_still()
    target = target_named(options.target)
    with atheris.instrument_imports(include=list(INSTRUMENTED)):
        module = target.load()
    atheris.Setup([sys.argv[0], *_flags(target, options, module.WORDS)], _counted(module.check, options))
    atheris.Fuzz()


def _stand_still() -> None:
    """Begin again in a process in which addresses and hashes are not random: libFuzzer goes by them as well.

    Where the system does not let addresses be still, the same seed does not try quite the same inputs.
    """
    personality = ctypes.CDLL(None).personality
    now = personality(_ASK)
    stands = bool(now & _NOT_RANDOM) or personality(now | _NOT_RANDOM) == _FAILED
    if stands and os.environ.get("PYTHONHASHSEED") == "0":
        return
    os.environ["PYTHONHASHSEED"] = "0"
    os.execv(sys.executable, [sys.executable, "-m", "prove.fuzz", *sys.argv[1:]])


def _counted(check: Callable[[bytes], None], options: argparse.Namespace) -> Callable[[bytes], None]:
    """The same, which notes how much was tried in a file, because libFuzzer ends the process by itself."""
    if options.file:
        return check
    path: Path = options.work / TRIED_FILE
    path.write_bytes(bytes(TRIED.size))
    with path.open("r+b") as file:
        noted = mmap(file.fileno(), TRIED.size)
    inputs = octets = 0

    def counting(data: bytes) -> None:
        nonlocal inputs, octets
        inputs, octets = inputs + 1, octets + len(data)
        TRIED.pack_into(noted, 0, inputs, octets)
        check(data)

    return counting


def _flags(target: Target, options: argparse.Namespace, words: Sequence[bytes]) -> list[str]:
    flags = [f"-rss_limit_mb={MEMORY_MEGABYTES_MAX}", f"-timeout={SECONDS_MAX}"]
    if options.file:
        return [*flags, *map(str, options.file)]
    work: Path = options.work
    found, dictionary = work / "found", work / "words"
    found.mkdir(parents=True)
    dictionary.write_text("".join(f'"{_escaped(word)}"\n' for word in words))
    limit = f"-max_total_time={options.seconds}" if options.seconds else f"-runs={options.runs}"
    return [
        *flags,
        limit,
        f"-seed={options.seed}",
        f"-max_len={target.octets_max}",
        f"-dict={dictionary}",
        f"-artifact_prefix={work}/",
        # Seeds may be long from the beginning.
        "-len_control=0",
        str(found),
        str(target.corpus),
    ]


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{octet:02X}" for octet in word)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m prove.fuzz", description=__doc__)
    parser.add_argument("target", choices=[target.name for target in TARGETS])
    parser.add_argument("file", nargs="*", type=Path, help="files to try")
    parser.add_argument("--seed", type=int, default=1, help="where the changes begin")
    parser.add_argument("--runs", type=int, default=-1, help="how many inputs; without end when not given")
    parser.add_argument("--seconds", type=int, help="how long, instead")
    parser.add_argument("--work", type=Path, default=Path("fuzz-work"), help="a new folder for what is found")
    return parser


if __name__ == "__main__":
    main()
