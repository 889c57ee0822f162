"""Escaped text: the TEXT value of both formats (RFC 5545 3.3.11, RFC 6350 3.4).

For: reading a value as people see it, also the quoted-printable of vCard 2.1. Promises: an unknown escape gives its
character, a lone backslash at the end stays; whatever a card says of its character set, there is some text. Leaves to
others: parting values at commas and semicolons, which must happen before.
"""

import re
from binascii import a2b_qp
from encodings import normalize_encoding
from encodings.aliases import aliases
from typing import Final

#: The character sets that a card may name. Codecs that are none (idna, unicode_escape) are slow or refuse in ways of
#: their own, and each unknown name that is looked up is remembered for ever.
_CHARSETS: Final = frozenset({*aliases, *aliases.values(), "cp720", "cp737", "cp874", "koi8_u"})
_CHARSET_CHARACTERS_MAX: Final = 40

_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)


def unescape(value: str) -> str:
    r"""The value with ``\n``, ``\,``, ``\;`` and ``\\`` replaced by what they stand for."""
    return _ESCAPE.sub(_meaning, value) if "\\" in value else value


def from_quoted_printable(value: str, charset: str | None) -> str:
    """The text that the value stands for, as UTF-8 where the character set is none that is known."""
    octets = a2b_qp(value.encode(errors="surrogateescape"))
    try:
        return octets.decode(_known(charset or "utf-8"), errors="replace")
    except (LookupError, ValueError):
        # The table of names has some that are none for text (hex, zlib).
        return octets.decode(errors="replace")


def _known(charset: str) -> str:
    if len(charset) > _CHARSET_CHARACTERS_MAX or not charset.isascii():
        return "utf-8"
    name = normalize_encoding(charset).lower()
    return name if name in _CHARSETS else "utf-8"


def _meaning(match: re.Match[str]) -> str:
    return "\n" if match[1] in "nN" else match[1]
