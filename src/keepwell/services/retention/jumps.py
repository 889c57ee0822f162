"""Whether the clock went on as clocks do: behind a jump ahead nothing is removed for good.

How old a version is, and whether the time to take a mark back is over, is told by the clock alone. One that is ten
years ahead would make everything old at once. So whoever may remove something notes now and then what time it is, and
when the clock has gone on by more than `JUMP_DAYS` since, nothing is removed for `HELD_DAYS`: by then what was changed
before the jump is that old in truth. Who knows that the clock is right, because nothing ran for so long, says so.

A clock that is put right again ends it: what it showed meanwhile counts for nothing.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec

from keepwell.ground.clock import parse_moment, render_moment
from keepwell.ground.durable import make_folder, write_file
from keepwell.model.hashed import parse_hashed, render_hashed
from keepwell.services.retention.thinning import HISTORY_DAYS_MIN

JUMP_DAYS: Final = 30.0
"""How far the clock may go on between two looks: a server may be off for some weeks."""

HELD_DAYS: Final = float(HISTORY_DAYS_MIN)
"""How long nothing is removed behind a jump: no history is thinned that is younger."""

NOTE_DAYS: Final = 1 / 24
"""A look is noted when the last note is this old: a note is a sync."""

FOLDER: Final = "retention"
_FILE: Final = "clock.json"


class ClockSeen(msgspec.Struct, frozen=True):
    """What the clock showed at the last look; and from where to where it jumped, if that still counts."""

    seen_at: str
    jumped_from: str = ""
    jumped_to: str = ""


def looked(before: ClockSeen | None, now: datetime) -> ClockSeen:
    """What is known of the clock when it shows `now`."""
    shown = render_moment(now)
    if before is None:
        return ClockSeen(shown)
    if now - parse_moment(before.seen_at) > timedelta(days=JUMP_DAYS):
        return ClockSeen(shown, before.seen_at, shown)
    if before.jumped_to and not timedelta() <= now - parse_moment(before.jumped_to) < timedelta(days=HELD_DAYS):
        return ClockSeen(shown)
    return ClockSeen(shown, before.jumped_from, before.jumped_to)


def against_jump(seen: ClockSeen) -> str:
    """Why nothing is removed for now; empty when the clock went on as clocks do."""
    if not seen.jumped_to:
        return ""
    until = render_moment(parse_moment(seen.jumped_to) + timedelta(days=HELD_DAYS))
    return f"the clock went from {seen.jumped_from} to {seen.jumped_to} at once, so that nothing goes before {until}"


class ClockFile:
    """What is known of the clock, in a data folder. Lost, it begins anew with what the clock shows then."""

    def __init__(self, data: Path) -> None:
        """Of this data folder."""
        self._folder = data / FOLDER

    def look(self, now: datetime) -> ClockSeen:
        """What is known at this look, noted if that can be: on a full disk the next look finds the same jump."""
        before = self._read()
        seen = looked(before, now)
        if before is None or _is_worth_noting(before, seen):
            with suppress(OSError):
                self._note(seen)
        return seen

    def trust(self, now: datetime) -> None:
        """Somebody says that the clock is right. Raises OSError."""
        self._note(ClockSeen(render_moment(now)))

    def _read(self) -> ClockSeen | None:
        try:
            return parse_hashed((self._folder / _FILE).read_bytes(), ClockSeen)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return None

    def _note(self, seen: ClockSeen) -> None:
        make_folder(self._folder)
        write_file(self._folder / _FILE, render_hashed(seen))


def _is_worth_noting(before: ClockSeen, seen: ClockSeen) -> bool:
    passed = parse_moment(seen.seen_at) - parse_moment(before.seen_at)
    return before.jumped_to != seen.jumped_to or not timedelta() <= passed < timedelta(days=NOTE_DAYS)
