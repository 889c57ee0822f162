"""Character sets: telling a person which other encoding a file seems to have, and how to mend it.

For: the refusal of old files in an import; both formats are UTF-8 today (RFC 6350 3.1, RFC 5545 3.1.4).

Promises: a name that iconv knows. It is a guess from the octets, or what the card itself says (CHARSET of
vCard 2.1).

Leaves to others: converting. Keepwell keeps what it was given, so the person decides.
"""

import re
from typing import Final

_WIDE_MARKS: Final = (
    (b"\xff\xfe\x00\x00", "UTF-32"),
    (b"\x00\x00\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)
#: The octets of BEGIN in UTF-16.
_LOOKED_AT: Final = 10
_DECLARED: Final = re.compile(rb";CHARSET=\"?([A-Za-z0-9_.-]{2,40})", re.IGNORECASE)
#: Windows-1252 has letters and dashes where ISO-8859-1 has control characters.
_ONLY_IN_WINDOWS: Final = re.compile(rb"[\x80-\x9f]")


def wide_charset(data: bytes) -> str:
    """UTF-16 or UTF-32 when the file is written in one of them, or nothing."""
    for mark, charset in _WIDE_MARKS:
        if data.startswith(mark):
            return charset
    # Both formats start with ASCII letters, so zeros beside them betray the width.
    first, second = data[:_LOOKED_AT:2], data[1:_LOOKED_AT:2]
    if not any(second) and first.isalpha():
        return "UTF-16LE"
    return "UTF-16BE" if not any(first) and second.isalpha() else ""


def likely_charset(data: bytes) -> str:
    """The encoding that octets which are not UTF-8 seem to have."""
    declared = _DECLARED.search(data)
    if declared and declared[1].upper() not in (b"UTF-8", b"UTF8"):
        return declared[1].decode().upper()
    return wide_charset(data) or ("WINDOWS-1252" if _ONLY_IN_WINDOWS.search(data) else "ISO-8859-1")


def advice(charset: str) -> str:
    """What mends a file of that encoding."""
    return f"it seems to be {charset}; `iconv -f {charset} -t UTF-8` mends it"
