"""Errors: one table for all, and no word about the inside."""

from __future__ import annotations

import pytest
import structlog

from keepwell.api.errors import SORTS, Failed, problem_of, sort_of
from keepwell.model import errors
from keepwell.model.errors import Damaged, KeepwellError, StorageFault, Unavailable
from keepwell.services.library import Library
from tests.api.desk import CONTACTS, Desk, problem


def test_every_refusal_has_a_status_of_its_own() -> None:
    """No refusal of the error tree falls through to 500, and no two rows have the same word."""
    tree = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, errors.Refused)]
    statuses = [next(SORTS[cls].status for cls in one.__mro__ if cls in SORTS) for one in tree]
    assert max(statuses) < 500
    words = [sort.word for sort in SORTS.values()]
    assert len(set(words)) == len(words)


def test_the_nearest_row_counts() -> None:
    """A sort of error without a row of its own has that of the one above it."""
    assert sort_of(StorageFault("disk")) == SORTS[Unavailable]
    assert sort_of(KeepwellError("what")) == SORTS[Failed]


def test_the_hint_and_the_sentence_are_told() -> None:
    """A problem says what happened and what to do."""
    told = problem_of(errors.BadRequest("no such thing", hint="Ask for another."))
    assert (told.detail, told.hint) == ("no such thing", "Ask for another.")


@pytest.mark.parametrize(
    ("error", "status", "retry"),
    [
        (Unavailable("later", retry_after_seconds=7), 503, "7"),
        (Damaged("a page is wrong"), 503, "300"),
        (RuntimeError("a secret of the inside"), 500, None),
    ],
)
def test_what_is_not_the_callers_doing(
    here: Desk, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int, retry: str | None
) -> None:
    """What is not whole is 503 with Retry-After; what nobody foresaw is 500, logged, without a word of its cause."""

    def fail(*_arguments: object) -> None:
        raise error

    monkeypatch.setattr(Library, "reading", fail)
    with structlog.testing.capture_logs() as logged:
        answer = here.get(CONTACTS)
    assert problem(answer)[0] == status
    assert answer.headers.get("retry-after") == retry
    assert "secret" not in answer.text
    assert len(logged) == (0 if isinstance(error, Unavailable) else 1)


def test_a_wrong_method_is_told_the_right_ones(here: Desk) -> None:
    """A method that a path does not have is 405 with all that it has."""
    answer = here.ask("PUT", CONTACTS)
    assert problem(answer) == (405, "methodNotAllowed")
    assert answer.headers["allow"] == "DELETE, GET, HEAD, PATCH"
