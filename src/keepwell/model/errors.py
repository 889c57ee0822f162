"""Every error that Keepwell raises on purpose, in one tree.

    KeepwellError                 cause, fields, hint
    ├── Refused                   the caller asked for something that the rules do not allow
    │   ├── NotThere              the account, collection or item does not exist (or may not be known to exist)
    │   ├── Forbidden             the actor may not do this
    │   ├── NotSignedIn           no valid credential came with the request
    │   ├── AlreadyThere          the name is taken
    │   ├── PreconditionFailed    If-Match, If-None-Match or another condition of the caller's does not hold
    │   ├── UidConflict           another item of the collection has this UID
    │   ├── ContentRefused        the bytes are not what the collection holds; says which line
    │   ├── TooLarge              over a size limit
    │   ├── StaleToken            a sync token that this history cannot answer
    │   ├── TooManyResults        a query whose answer is over the limit
    │   ├── UnfitMedium           a medium does not do what a vault relies on
    │   └── BadRequest            anything else that the caller can mend
    ├── Unavailable               for now; nothing was changed; trying again is right
    │   ├── StorageFault          a medium failed; it takes no more writes until it was verified
    │   ├── Held                  a kind of an account is not whole; nothing of it is listed, served or changed
    │   └── Fenced                another server writes into the vault now
    ├── Damaged                   stored data does not prove itself
    │   └── Forked                two copies of one journal went different ways
    ├── Locked                    a vault is encrypted, and no key at hand opens it
    └── CannotStart               the server or command refuses to run on this data folder

Faces turn these into statuses and exit codes in one table each; the message says what was tried, on what, and what
happened, the hint says what to do.
"""

from __future__ import annotations

from typing import Final

HELD_RETRY_SECONDS: Final = 600
"""What is held waits for a person's decision, so that trying more often would only cost batteries."""


class KeepwellError(Exception):
    """The root: a sentence for people, and a hint what to do (may be empty)."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        """Keep the sentence and the hint."""
        super().__init__(message)
        self.message = message
        self.hint = hint


class Refused(KeepwellError):
    """The rules do not allow what was asked; nothing was changed."""


class NotThere(Refused):
    """The account, collection or item does not exist, or the actor may not know that it does."""


class Forbidden(Refused):
    """The actor may see this but not do that to it."""


class NotSignedIn(Refused):
    """No valid credential came with the request; the answer is held back by `delay_seconds`."""

    def __init__(self, message: str, *, hint: str = "", delay_seconds: float = 0.0) -> None:
        """Keep how long to hold the answer back."""
        super().__init__(message, hint=hint)
        self.delay_seconds = delay_seconds


class AlreadyThere(Refused):
    """The name is taken."""


class PreconditionFailed(Refused):
    """A condition that the caller set does not hold."""


class UidConflict(Refused):
    """Another item of the collection already has this UID; `holder` is its name."""

    def __init__(self, message: str, *, holder: str) -> None:
        """Keep the name of the item that has the UID."""
        super().__init__(message, hint="Change that item instead, or give this one a UID of its own.")
        self.holder = holder


class ContentRefused(Refused):
    """The bytes are not what the collection can hold.

    `condition` is the precondition's name in its RFC (`valid-address-data`, RFC 6352 5.3.2.1; `valid-calendar-data`
    and others, RFC 4791 5.3.2.1), `line` the 1-based line at fault, 0 when it is the whole.
    """

    def __init__(self, message: str, *, condition: str, line: int = 0, hint: str = "") -> None:
        """Keep the precondition's name and the line at fault."""
        super().__init__(message, hint=hint)
        self.condition = condition
        self.line = line


class TooLarge(Refused):
    """The bytes are over a size limit; `limit` is the largest size allowed, in bytes."""

    def __init__(self, message: str, *, limit: int) -> None:
        """Keep the limit."""
        super().__init__(message)
        self.limit = limit


class StaleToken(Refused):
    """A sync token that this history cannot answer; the caller starts over with an initial sync."""


class TooManyResults(Refused):
    """The answer would be over the limit; the caller narrows the question."""


class UnfitMedium(Refused):
    """A medium does not do what a vault relies on: it takes what it should refuse, or hides what it has."""


class BadRequest(Refused):
    """The caller can mend this; the message says how."""


class Unavailable(KeepwellError):
    """Not now; nothing was changed. `retry_after_seconds` says when to try again."""

    def __init__(self, message: str, *, hint: str = "", retry_after_seconds: int = 30) -> None:
        """Keep when to try again."""
        super().__init__(message, hint=hint)
        self.retry_after_seconds = retry_after_seconds


class StorageFault(Unavailable):
    """A medium failed. What was not acknowledged may or may not be there; nothing more is acknowledged on it."""


class Held(Unavailable):
    """Of this kind of an account nothing is listed, served or changed for now: the answer could be a short one."""

    def __init__(self, kind: str, reason: str) -> None:
        """Keep which kind."""
        super().__init__(
            f"{kind} cannot be shown or changed now, because what is here is known not to be whole: {reason}",
            hint="Delete nothing on your devices. The operator decides: keepwell lineage show",
            retry_after_seconds=HELD_RETRY_SECONDS,
        )
        self.kind = kind
        self.reason = reason


class Fenced(Unavailable):
    """Another server, `holder` (host and data folder), has taken over the vault; this one must not write there."""

    def __init__(self, vault: str, holder: str) -> None:
        """Keep whose the vault is now."""
        super().__init__(
            f"vault {vault} was taken over by another server ({holder})",
            hint="Only one server may write into a vault. Stop one of the two, then start the other again.",
        )
        self.vault = vault
        self.holder = holder


class Damaged(KeepwellError):
    """Stored data does not prove itself: a digest, hash, chain, ledger or page checksum is wrong."""


class Forked(Damaged):
    """Two copies of one account's journal have different records under one number."""


class Locked(KeepwellError):
    """What is stored is encrypted, and none of the keys at hand opens it."""


class CannotStart(KeepwellError):
    """The program refuses to run on this data folder, as it is now."""
