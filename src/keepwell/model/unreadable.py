"""What reading JSON of unknown origin may raise: one tuple for every place that turns it into an error of the tree.

`RecursionError` is what msgspec raises for thousands of brackets within each other, also in a field that nobody knows.
"""

from __future__ import annotations

from typing import Final

import msgspec

UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
