"""Escaped text: the TEXT value of both formats (RFC 5545 3.3.11, RFC 6350 3.4).

For: reading a value as people see it. Promises: an unknown escape gives its character, a lone backslash at
the end stays. Leaves to others: parting values at commas and semicolons, which must happen before.
"""

import re
from typing import Final

_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)


def unescape(value: str) -> str:
    r"""The value with ``\n``, ``\,``, ``\;`` and ``\\`` replaced by what they stand for."""
    return _ESCAPE.sub(_meaning, value) if "\\" in value else value


def _meaning(match: re.Match[str]) -> str:
    return "\n" if match[1] in "nN" else match[1]
