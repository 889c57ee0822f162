"""From domain errors to answers: one table, and one error of this face for what only DAV knows.

Every error body is a `DAV:error` with the precondition's element where an RFC names one, and a sentence for people; or
the sentence alone as plain text. A `KeepwellError` never becomes a 500.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from keepwell.dav.multistatus import DECLARATION
from keepwell.dav.names import DECLARATIONS, KEEPWELL, caldav, carddav, dav
from keepwell.dav.options import allow_header
from keepwell.dav.paths import Target, collection_href, encode
from keepwell.dav.request import DavResponse, xml_response
from keepwell.dav.xml import empty, escape, href, wrap
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
    StaleToken,
    TooLarge,
    TooManyResults,
    UidConflict,
    Unavailable,
)
from keepwell.model.names import Home

CHALLENGE: Final = (b"www-authenticate", b'Basic realm="Keepwell", charset="UTF-8"')
DAMAGED_RETRY_SECONDS: Final = 300

Header = tuple[bytes, bytes]


class DavRefused(KeepwellError):
    """What a DAV method refuses by itself: a status, and the XML text of a precondition element (may be empty)."""

    def __init__(self, status: int, message: str, *, condition: str = "", headers: tuple[Header, ...] = ()) -> None:
        """Keep status, element and headers."""
        super().__init__(message)
        self.status = status
        self.condition = condition
        self.headers = headers


@dataclass(frozen=True, slots=True)
class Verdict:
    """An error as this face answers it."""

    status: int
    condition: str = ""
    headers: tuple[Header, ...] = ()


Rule = Callable[[KeepwellError, Target | None], Verdict]


def verdict_on(error: KeepwellError, target: Target | None) -> Verdict:
    """Status, precondition and headers for an error that came from a request on `target`."""
    for sort in type(error).__mro__:
        rule = _RULES.get(sort)
        if rule is not None:
            return rule(error, target)
    return Verdict(500)


def error_response(error: KeepwellError, target: Target | None) -> DavResponse:
    """The whole answer."""
    verdict = verdict_on(error, target)
    sentence = f"{error.message}. {error.hint}" if error.hint else error.message
    if not verdict.condition:
        plain = (b"content-type", b"text/plain; charset=utf-8")
        return DavResponse(verdict.status, [plain, *verdict.headers], (sentence + "\n").encode(errors="replace"))
    message = f'<K:message xmlns:K="{KEEPWELL}">{escape(sentence)}</K:message>'
    text = f"{DECLARATION}<D:error {DECLARATIONS}>{verdict.condition}{message}</D:error>\n"
    return xml_response(verdict.status, text, *verdict.headers)


def condition_in(home: Home | None, local: str, inner: str = "") -> str:
    """A precondition element that RFC 4791 and RFC 6352 both name, in the namespace of the home; empty elsewhere."""
    if home is Home.CALENDARS:
        return wrap(caldav(local), inner)
    return wrap(carddav(local), inner) if home is Home.CONTACTS else ""


def _fixed(status: int, condition: str = "", *headers: Header) -> Rule:
    verdict = Verdict(status, condition, headers)
    return lambda _error, _target: verdict


def _home(target: Target | None) -> Home | None:
    return None if target is None else target.home


def _already_there(_error: KeepwellError, target: Target | None) -> Verdict:
    """RFC 4918 section 9.3.1 and RFC 4791 section 5.3.1: nothing is made where something is."""
    headers = () if target is None else (allow_header(target),)
    return Verdict(405, empty(dav("resource-must-be-null")), headers)


def _content_refused(error: KeepwellError, target: Target | None) -> Verdict:
    local = error.condition if isinstance(error, ContentRefused) else ""
    return Verdict(403, condition_in(_home(target), local) if local else "")


def _too_large(_error: KeepwellError, target: Target | None) -> Verdict:
    stored = target is not None and target.is_item
    return Verdict(413, condition_in(_home(target), "max-resource-size") if stored else "")


def _uid_conflict(error: KeepwellError, target: Target | None) -> Verdict:
    """RFC 4791 section 5.3.2.1 wants the href of the item that has the UID."""
    holder = ""
    if isinstance(error, UidConflict) and target is not None and target.home is not None:
        holder = href(collection_href(target.home, target.login, target.collection) + encode(error.holder))
    return Verdict(409, condition_in(_home(target), "no-uid-conflict", holder))


def _unavailable(error: KeepwellError, _target: Target | None) -> Verdict:
    seconds = error.retry_after_seconds if isinstance(error, Unavailable) else DAMAGED_RETRY_SECONDS
    return Verdict(503, headers=((b"retry-after", str(seconds).encode()),))


def _refused_here(error: KeepwellError, _target: Target | None) -> Verdict:
    if isinstance(error, DavRefused):
        return Verdict(error.status, error.condition, error.headers)
    return Verdict(500)


_RULES: Final[dict[type, Rule]] = {
    DavRefused: _refused_here,
    NotThere: _fixed(404),
    Forbidden: _fixed(403),
    NotSignedIn: _fixed(401, "", CHALLENGE),
    AlreadyThere: _already_there,
    PreconditionFailed: _fixed(412),
    UidConflict: _uid_conflict,
    ContentRefused: _content_refused,
    TooLarge: _too_large,
    StaleToken: _fixed(403, empty(dav("valid-sync-token"))),
    TooManyResults: _fixed(403, empty(dav("number-of-matches-within-limits"))),
    BadRequest: _fixed(400),
    Unavailable: _unavailable,
    Damaged: _unavailable,
}
