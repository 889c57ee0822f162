"""From errors to answers: one table; every refusal is a problem document (RFC 9457).

A problem has a `type` (a word that programs compare), a `title`, the `status`, a `detail` (what was tried, on what, and
what happened) and a `hint` (what to do), and where the error has them `line`, `condition`, `limit` and `holder`. A
KeepwellError that is the caller's doing never becomes a 500.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.responses import Response

from keepwell.model.errors import (
    AlreadyThere,
    BadRequest,
    ContentRefused,
    Damaged,
    Forbidden,
    KeepwellError,
    NotSignedIn,
    NotThere,
    PreconditionFailed,
    Refused,
    StaleToken,
    TooLarge,
    TooManyResults,
    UidConflict,
    Unavailable,
)
from keepwell.services.state import StateMismatch

PROBLEM_TYPE: Final = "application/problem+json"
CHALLENGE: Final = 'Basic realm="Keepwell", charset="UTF-8"'
DAMAGED_RETRY_SECONDS: Final = 300


class UnsupportedMediaType(BadRequest):
    """The body is of a media type, or encoded in a way, that is not taken here."""


class MethodNotAllowed(BadRequest):
    """The path is there, but not this method; `allowed` are the methods that are."""

    def __init__(self, message: str, *, allowed: str) -> None:
        """Keep the methods."""
        super().__init__(message, hint=f"It has {allowed}.")
        self.allowed = allowed


class Failed(KeepwellError):
    """The server failed in a way that nobody foresaw; the log has it."""


@dataclass(frozen=True, slots=True)
class Sort:
    """One sort of problem: its status, its word, and its title."""

    status: int
    word: str
    title: str


SORTS: Final[dict[type[KeepwellError], Sort]] = {
    NotThere: Sort(404, "notFound", "It is not there"),
    Forbidden: Sort(403, "forbidden", "You may not do this"),
    NotSignedIn: Sort(401, "notSignedIn", "You are not signed in"),
    AlreadyThere: Sort(409, "alreadyExists", "The name is taken"),
    StateMismatch: Sort(412, "stateMismatch", "It is not in that state any more"),
    PreconditionFailed: Sort(412, "preconditionFailed", "A condition of yours does not hold"),
    UidConflict: Sort(409, "uidConflict", "Another item has this UID"),
    ContentRefused: Sort(422, "contentRefused", "The bytes do not fit here"),
    TooLarge: Sort(413, "tooLarge", "It is too large"),
    StaleToken: Sort(409, "cannotCalculateChanges", "The changes cannot be told from that state on"),
    TooManyResults: Sort(400, "tooManyResults", "The answer would be too long"),
    UnsupportedMediaType: Sort(415, "unsupportedMediaType", "The body is not taken in this form"),
    MethodNotAllowed: Sort(405, "methodNotAllowed", "That cannot be done here"),
    BadRequest: Sort(400, "invalidRequest", "The request is not understood"),
    Refused: Sort(400, "refused", "The rules do not allow it"),
    Unavailable: Sort(503, "unavailable", "Not now; nothing was changed"),
    Damaged: Sort(503, "damaged", "Stored data does not prove itself"),
    Failed: Sort(500, "serverFailed", "The server failed"),
}


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """What went wrong (RFC 9457)."""

    type: Annotated[str, Meta(description="A word that names the sort of problem.")]
    title: str
    status: int
    detail: Annotated[str, Meta(description="What was tried, on what, and what happened.")]
    hint: Annotated[str | UnsetType, Meta(description="What to do.")] = UNSET
    line: Annotated[int | UnsetType, Meta(description="The line at fault, of content that was refused.")] = UNSET
    condition: Annotated[str | UnsetType, Meta(description="The precondition in the content's RFC.")] = UNSET
    limit: Annotated[int | UnsetType, Meta(description="The largest size allowed, in bytes.")] = UNSET
    holder: Annotated[str | UnsetType, Meta(description="The item that has the UID.")] = UNSET


def sort_of(error: KeepwellError) -> Sort:
    """The row of the table for an error: that of its class or the nearest above it."""
    return next((SORTS[cls] for cls in type(error).__mro__ if cls in SORTS), SORTS[Failed])


def problem_of(error: KeepwellError) -> Problem:
    """The document for an error."""
    sort = sort_of(error)
    refused = error if isinstance(error, ContentRefused) else None
    return Problem(
        type=sort.word,
        title=sort.title,
        status=sort.status,
        detail=error.message,
        hint=error.hint or UNSET,
        line=refused.line if refused and refused.line else UNSET,
        condition=refused.condition if refused else UNSET,
        limit=error.limit if isinstance(error, TooLarge) else UNSET,
        holder=error.holder if isinstance(error, UidConflict) else UNSET,
    )


def problem_response(error: KeepwellError) -> Response:
    """The answer for an error."""
    problem = problem_of(error)
    headers = {"cache-control": "no-store", **_headers(error)}
    return Response(msgspec.json.encode(problem), problem.status, headers, PROBLEM_TYPE)


def _headers(error: KeepwellError) -> dict[str, str]:
    if isinstance(error, NotSignedIn):
        return {"www-authenticate": CHALLENGE}
    if isinstance(error, MethodNotAllowed):
        return {"allow": error.allowed}
    if isinstance(error, Unavailable):
        return {"retry-after": str(error.retry_after_seconds)}
    return {"retry-after": str(DAMAGED_RETRY_SECONDS)} if isinstance(error, Damaged) else {}
