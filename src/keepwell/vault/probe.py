"""Whether a medium does what a vault relies on: tried out when a vault is added and at each start.

Some S3-compatible stores accept the condition of a create-only write and ignore it, some list what was written only
later. On such a store two servers could overwrite each other, and a listing could miss what is there; so it is refused,
with the reason. Trying costs some thirty requests, on objects below `probe/` with a random word in their names; they
are removed again, also after a refusal. A crash may leave some behind; no reader looks there.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final

from keepwell.ground.entropy import Entropy, base32_word
from keepwell.model.errors import AlreadyThere, KeepwellError, NotThere, UnfitMedium
from keepwell.vault.layout import PROBE
from keepwell.vault.medium import Medium, ObjectInfo, create_or_same

_OBJECTS: Final = 4
_RACERS: Final = 2


def probe(medium: Medium, entropy: Entropy) -> None:
    """Try a medium out. Raises UnfitMedium when it cannot hold a vault, StorageFault when it does not answer."""
    prefix = f"{PROBE}{base32_word(entropy, 80)}/"
    names = [f"{prefix}{number}" for number in range(_OBJECTS)]
    race, octets = f"{prefix}race", entropy.octets(64)
    try:
        _try_creating(medium, names[0], octets)
        _try_ranges(medium, names[0], octets)
        _try_listing(medium, prefix, names)
        _try_racing(medium, race, entropy)
    finally:
        for name in (*names, race):
            # What went wrong before is the news; what a medium that fails leaves behind is in nobody's way.
            with suppress(KeepwellError):
                medium.remove(name)


def _try_creating(medium: Medium, name: str, octets: bytes) -> None:
    create_or_same(medium, name, octets)
    if medium.read(name) != octets:
        raise _unfit("a read does not give back what was just written")
    if not _is_refused(medium, name, octets[::-1] + b"other"):
        raise _unfit("it takes a second object under a name that is taken, instead of refusing it")
    if medium.read(name) != octets:
        raise _unfit("it says that it refuses a second object under a name that is taken, and changes the first")


def _is_refused(medium: Medium, name: str, octets: bytes) -> bool:
    try:
        medium.create(name, octets)
    except AlreadyThere:
        return True
    return False


def _try_racing(medium: Medium, name: str, entropy: Entropy) -> None:
    """Of creates at once one must win: two servers that start together decide so who may write."""
    rivals = [entropy.octets(32) for _ in range(_RACERS)]
    with ThreadPoolExecutor(_RACERS) as pool:
        refused = list(pool.map(lambda octets: _is_refused(medium, name, octets), rivals))
    won = [octets for octets, was_refused in zip(rivals, refused, strict=True) if not was_refused]
    if len(won) > 1:
        raise _unfit("of several objects written under one name at once it takes more than one")
    # Without a winner the answer to it was lost on the way, and it was refused for its own object when it asked again.
    if medium.read(name) not in (won or rivals):
        raise _unfit("of several objects written under one name at once it keeps another than it says")


def _try_ranges(medium: Medium, name: str, octets: bytes) -> None:
    size = len(octets)
    for offset, length, expected in (
        (0, 1, octets[:1]),
        (3, 10, octets[3:13]),
        (size - 2, 10, octets[-2:]),
        (size + 5, 10, b""),
        (-5, 5, octets[-5:]),
        (-5, 2, octets[-5:-3]),
        (-size - 5, size + 5, octets),
    ):
        if medium.read_range(name, offset, length) != expected:
            raise _unfit(f"asked for {length} bytes from {offset} on, of {size}, it gives others")


def _try_listing(medium: Medium, prefix: str, names: list[str]) -> None:
    for number, name in enumerate(names[1:], 1):
        create_or_same(medium, name, b"x" * number)
    expected = [ObjectInfo(name, len(medium.read(name))) for name in names]
    if list(medium.list(prefix)) != expected:
        raise _unfit("a listing is not what was just written")
    medium.remove(names[1])
    if list(medium.list(prefix)) != [expected[0], *expected[2:]]:
        raise _unfit("a listing is not what is left after one object was removed")
    if medium.exists(names[1]) or not _is_gone(medium, names[1]):
        raise _unfit("it still has an object that was just removed")


def _is_gone(medium: Medium, name: str) -> bool:
    try:
        medium.read(name)
    except NotThere:
        return True
    return False


def _unfit(reason: str) -> UnfitMedium:
    return UnfitMedium(
        f"this medium cannot hold a vault: {reason}",
        hint="Use a folder, or a store that keeps `If-None-Match: *`: AWS S3, Cloudflare R2, MinIO and SeaweedFS do.",
    )
