"""The keys of an encrypted vault: three pairs, each of whose secret halves opens everything alone.

The operator's secret key is written to a file that the operator names, or shown once; the recovery key is shown once,
on a sheet for paper; the server keeps neither. The drill's lies in the data folder, so that drills need nobody: whoever
can read that can read the live data beside it. The public halves stand in the vault and in the server's settings.

What an encrypted vault goes through when it is added, and what a crash leaves behind:

    nothing ──1──► begun ──2──► made ──3──► made, keys handed out ──4──► confirmed

1. `make_drill_key` keeps the drill's key, synced. A crash after it leaves a key that seals nothing; the next attempt
   takes it.
2. The settings name the public keys, synced, as not confirmed: the vault counts as no copy, and no write waits for it.
3. The operator's key goes out, then the recovery sheet. After a crash before the end of this step nobody may have them,
   and no one can tell: who has no sheet removes the vault and adds it anew, with new keys.
4. The recovery key is typed back from the sheet, now or later; `prove_recovery` compares public keys, and the settings
   say confirmed, synced. Only now does the vault count. A crash before the sync leaves it made, to be typed again.

Secret keys are never logged, and no error quotes what was typed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
from pyrage import IdentityError
from pyrage.x25519 import Identity

from keepwell.ground import durable
from keepwell.model.errors import AlreadyThere, BadRequest, Damaged, NotThere

DRILL_KEY_FILE: Final = "drill.key"

_PREFIX: Final = "AGE-SECRET-KEY-1"
_BODY_CHARACTERS: Final = 58
_GROUP_CHARACTERS: Final = 4
_ROW_GROUPS: Final = 5
_ALPHABET: Final = "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L"
"""Bech32 (BIP 173): without the letters B, I and O and the digit 1, which look like others."""
_LOOK_ALIKES: Final = str.maketrans("BIO1", "8L0L")
_TYPED_PREFIX: Final = re.compile("AGESECRETKEY[1IL]")
_BETWEEN: Final = re.compile(r"[\s\u2010-\u2015\u2212-]+")

_SHEET: Final = """\
Keepwell recovery key of the vault {vault}
Keep this on paper, far from the server. Whoever has it can read everything in the vault, and so can you when
nothing else is left. Keepwell does not keep it and cannot show it again.

{groups}

It belongs to the public key {public}

To use it without Keepwell, put the key into a file key.txt, on one line and without spaces, as in

{prefix}EPNL52GT…

and follow the README.md that lies in the vault.
"""


class Recipients(msgspec.Struct, frozen=True):
    """The public keys (`age1…`) that a vault is sealed to."""

    operator: str
    recovery: str
    drill: str

    def public_keys(self) -> tuple[str, str, str]:
        """All three, as a seal wants them."""
        return (self.operator, self.recovery, self.drill)


class NewKeys(msgspec.Struct, frozen=True):
    """The keys of a vault that is being made; the secret halves are still in memory."""

    operator: Identity
    recovery: Identity
    drill: Identity

    def recipients(self) -> Recipients:
        """Their public halves."""
        return Recipients(public_key(self.operator), public_key(self.recovery), public_key(self.drill))


def make_keys(drill: Identity) -> NewKeys:
    """New keys for operator and recovery, beside the drill's from `make_drill_key`; the library draws them."""
    return NewKeys(Identity.generate(), Identity.generate(), drill)


def public_key(identity: Identity) -> str:
    """The public half (`age1…`)."""
    return str(identity.to_public())


def prove_recovery(recipients: Recipients, typed: str) -> None:
    """Prove that what was typed is the vault's recovery key. Raises BadRequest, which says what is wrong with it."""
    public = public_key(parse_secret_key(typed))
    if public == recipients.operator:
        raise BadRequest(
            "this is the operator's key, not the recovery key",
            hint="Type the key on the recovery sheet: it must open the vault when the operator's is lost.",
        )
    if public != recipients.recovery:
        raise BadRequest(
            "this is a key, but not the recovery key of this vault",
            hint=f"Take the sheet that names the public key {recipients.recovery}.",
        )


def render_recovery_sheet(recovery: Identity, vault: str) -> str:
    """What a person prints or writes down: the secret key in groups of four, and how to use it."""
    body = str(recovery).removeprefix(_PREFIX)
    groups = [body[start : start + _GROUP_CHARACTERS] for start in range(0, len(body), _GROUP_CHARACTERS)]
    rows = [" ".join(groups[start : start + _ROW_GROUPS]) for start in range(0, len(groups), _ROW_GROUPS)]
    text = "\n".join([_PREFIX, *(f"    {row}" for row in rows)])
    return _SHEET.format(vault=vault, groups=text, public=public_key(recovery), prefix=_PREFIX)


def parse_secret_key(typed: str) -> Identity:
    """Read a secret key as people type it: in any case, with spaces, line ends and hyphens, with or without its prefix.

    Raises BadRequest, which names the group of four that is wrong when only one is; that is told by the checksum.
    """
    text = _BETWEEN.sub("", typed).upper()
    if text.startswith("AGE1"):
        raise BadRequest("this is a public key", hint=f"Type the secret key; it begins with {_PREFIX}.")
    body = _TYPED_PREFIX.sub("", text, count=1).translate(_LOOK_ALIKES)
    identity = _identity(body)
    if identity is None:
        raise _what_is_wrong(body)
    return identity


def render_key_file(identity: Identity, about: str) -> str:
    """A key file as age reads it: comments, and the secret key on a line."""
    return f"# {about}\n# public key: {public_key(identity)}\n{identity}\n"


def write_key_file(path: Path, identity: Identity, about: str) -> None:
    """Keep a secret key in a new file that only its owner reads, durably. Raises AlreadyThere, OSError."""
    if path.is_symlink() or path.exists():
        raise AlreadyThere(f"{path} is there already", hint="Keys never replace a file. Name another.")
    durable.write_file(path, render_key_file(identity, about).encode(), mode=0o600)


def load_identities(path: Path) -> list[Identity]:
    """The secret keys in a key file, as `age-keygen` or `write_key_file` wrote it, one or more. Raises BadRequest."""
    hint = f"A key file has comments (#) and secret keys ({_PREFIX}…), one on a line."
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise BadRequest(f"the key file {path} cannot be read: {reason}", hint=hint) from error
    if lines and lines[0].startswith(("age-encryption.org/", "-----BEGIN AGE ")):
        raise BadRequest(f"the key file {path} is itself encrypted", hint="Open it with age -d first.")
    found = []
    for number, line in enumerate(lines, start=1):
        if line.strip() and not line.startswith("#"):
            found.append(_key_on_line(line, f"line {number} of the key file {path}", hint))
    if not found:
        raise BadRequest(f"the key file {path} holds no key", hint=hint)
    return found


def make_drill_key(folder: Path, vault: str) -> Identity:
    """The drill's key in a vault's folder below the data folder: made and kept durably, unless it is there already.

    Raises Damaged, OSError. The caller sees to it that no other process adds the same vault.
    """
    path = folder / DRILL_KEY_FILE
    if not path.exists():
        durable.make_folder(folder)
        write_key_file(path, Identity.generate(), f"The secret key for drills of the Keepwell vault {vault}.")
    return read_drill_key(folder)


def read_drill_key(folder: Path) -> Identity:
    """The drill's key. Raises NotThere, Damaged."""
    path = folder / DRILL_KEY_FILE
    if not path.exists():
        raise NotThere(f"the drill's key {path} is not there", hint="Drill with another key of the vault: --key FILE.")
    try:
        return load_identities(path)[0]
    except BadRequest as error:
        raise Damaged(error.message, hint="Drill with another key of the vault: --key FILE.") from error


def _key_on_line(line: str, where: str, hint: str) -> Identity:
    try:
        return parse_secret_key(line)
    except BadRequest as error:
        raise BadRequest(f"{where}: {error.message}", hint=hint) from error


def _identity(body: str) -> Identity | None:
    try:
        return Identity.from_str(_PREFIX + body)
    except IdentityError:
        return None


def _what_is_wrong(body: str) -> BadRequest:
    strange = [place for place, character in enumerate(body) if character not in _ALPHABET]
    place = strange[0] if strange else _place_at_fault(body)
    if place is not None:
        row, column = divmod(place // _GROUP_CHARACTERS, _ROW_GROUPS)
        where = f"row {row + 1}, group {column + 1}"
        return BadRequest(
            f"the key is not right in {where}", hint="Compare that group with the sheet, and type the key again."
        )
    if len(body) != _BODY_CHARACTERS:
        return BadRequest(
            f"the key has {len(body)} characters after {_PREFIX}, and should have {_BODY_CHARACTERS}",
            hint="Compare it with the sheet, group by group, and type it again.",
        )
    return BadRequest(
        "the key's checksum does not fit: more than one character is wrong",
        hint="The checksum cannot tell which. Compare the key with the sheet, group by group, and type it again.",
    )


def _place_at_fault(body: str) -> int | None:
    """Where a slip of one character is, when mending it makes the checksum right: at most 2,000 tries, 5 ms.

    Of keys that are wrong in any other way one in half a million would be taken for such a slip.
    """
    if abs(len(body) - _BODY_CHARACTERS) > 1:
        return None
    return next((place for place, mended in _mended(body) if _identity(mended) is not None), None)


def _mended(body: str) -> Iterator[tuple[int, str]]:
    """(place, the key without the slip there) for every slip of one character."""
    for place in range(max(len(body), _BODY_CHARACTERS)):
        before, after = body[:place], body[place:]
        if len(body) > _BODY_CHARACTERS:
            yield place, before + after[1:]
        elif len(body) < _BODY_CHARACTERS:
            yield from ((place, before + character + after) for character in _ALPHABET)
        else:
            yield from ((place, before + character + after[1:]) for character in _ALPHABET)
            yield place, before + after[1::-1] + after[2:]
