"""Signing in: right passwords always work, wrong ones are answered ever later, and people see who was there."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from keepwell.model.errors import NotSignedIn
from keepwell.services.directory import Directory
from keepwell.services.signin import DELAY_SECONDS_MAX, FORGET_SECONDS, FREE_FAILURES, SignIn
from tests.services.people import People, basic, people


@pytest.fixture
def here(tmp_path: Path) -> Iterator[People]:
    with people(tmp_path) as found:
        found.accounts.add("anna")
        yield found


def delay_of(here: People, authorization: bytes | None, address: str = "127.0.0.9") -> float:
    with pytest.raises(NotSignedIn) as caught:
        here.sign_in.sign_in(authorization, address, "tests")
    return caught.value.delay_seconds


def test_an_app_password_signs_in(here: People) -> None:
    """Login and app password give the actor, with the credential's label for the records."""
    secret = here.accounts.add_password("anna", "phone")
    actor = here.sign_in.sign_in(basic("anna", secret), "127.0.0.1", "tests")
    assert (actor.login, actor.by) == ("anna", "app-password:phone")
    assert here.sign_in.sign_in(basic("anna", secret), "127.0.0.1", "tests") is actor


def test_how_it_is_typed_does_not_matter(here: People) -> None:
    """Case, dashes and spaces of an app password do not count."""
    secret = here.accounts.add_password("anna", "phone")
    typed = secret.replace("-", " ").upper()
    assert here.sign_in.sign_in(basic("Anna", typed), "127.0.0.1", "tests").login == "anna"


def test_what_was_read_before_is_not_read_for_a_request(here: People, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first to sign in does not wait until every account and password is read."""
    secret = here.accounts.add_password("anna", "phone")
    directory = Directory(here.store)
    directory.read()
    monkeypatch.setattr(Directory, "_take", lambda *_: pytest.fail("a record is read for a request"))
    sign_in = SignIn(directory, here.access_log, here.clock)
    assert sign_in.sign_in(basic("anna", secret), "127.0.0.1", "tests").login == "anna"


@pytest.mark.parametrize(
    "header", [None, b"", b"Bearer x", b"Basic", b"Basic !!!", b"Basic aGVsbG8=", b"Basic /////w==", b"\xff \xff"]
)
def test_other_headers_do_not(here: People, header: bytes | None) -> None:
    """What is no Basic header with a colon is refused, not an error of the server."""
    assert delay_of(here, header) == 0.0


def test_another_accounts_password_does_not(here: People) -> None:
    """A password works for its own account only."""
    here.accounts.add("bert")
    secret = here.accounts.add_password("anna", "phone")
    delay_of(here, basic("bert", secret))


def test_a_revoked_password_stops_at_once(here: People) -> None:
    """Revoking and disabling count for the very next request, also for a credential in the cache."""
    secret = here.accounts.add_password("anna", "phone")
    other = here.accounts.add_password("anna", "desk")
    here.sign_in.sign_in(basic("anna", secret), "127.0.0.1", "tests")
    here.accounts.revoke("anna", "phone")
    delay_of(here, basic("anna", secret))
    here.sign_in.sign_in(basic("anna", other), "127.0.0.1", "tests")
    here.accounts.disable("anna")
    delay_of(here, basic("anna", other))
    here.accounts.enable("anna")
    here.sign_in.sign_in(basic("anna", other), "127.0.0.1", "tests")


def test_guessing_gets_slower(here: People) -> None:
    """After a few free failures every wrong password is answered later, up to a limit, and it is forgotten in time."""
    delays = [delay_of(here, basic("anna", f"wrong{number}")) for number in range(20)]
    assert delays[:FREE_FAILURES] == [0.0] * FREE_FAILURES
    assert all(earlier <= later for earlier, later in itertools.pairwise(delays))
    assert delays[FREE_FAILURES] > 0
    assert delays[-1] == DELAY_SECONDS_MAX
    here.clock.advance(FORGET_SECONDS + 1)
    assert delay_of(here, basic("anna", "wrong")) == 0.0


def test_guessing_many_logins_gets_slower_too(here: People) -> None:
    """One address that tries many logins is slowed; another address is not."""
    delays = [delay_of(here, basic(f"login{number}", "x")) for number in range(10)]
    assert delays[-1] > 0
    assert delay_of(here, basic("someone", "x"), "127.0.0.77") == 0.0


def test_a_right_password_always_works(here: People) -> None:
    """However many failures came before, the right password is let in at once."""
    secret = here.accounts.add_password("anna", "phone")
    for number in range(30):
        delay_of(here, basic("anna", f"wrong{number}"))
    assert here.sign_in.sign_in(basic("anna", secret), "127.0.0.9", "tests").login == "anna"


def test_the_access_log_tells_who_used_the_account(here: People) -> None:
    """Uses are counted by credential, address and program; failures are in it too."""
    secret = here.accounts.add_password("anna", "phone")
    for _ in range(3):
        here.sign_in.sign_in(basic("anna", secret), "127.0.0.1", "DAVx5")
    delay_of(here, basic("anna", "wrong"))
    account = here.directory.account_of("anna")
    assert account is not None
    found = {
        (one.credential, one.address, one.agent, one.outcome): one.count for one in here.access_log.entries(account)
    }
    assert found == {
        ("app-password:phone", "127.0.0.1", "DAVx5", "signed in"): 3,
        ("", "127.0.0.9", "", "refused"): 1,
    }


def test_the_access_log_is_written_in_hours(here: People) -> None:
    """Uses within an hour are one entry, also over several flushes; the next hour begins another."""
    secret = here.accounts.add_password("anna", "phone")
    account = here.directory.account_of("anna")
    assert account is not None
    for _ in range(4):
        here.sign_in.sign_in(basic("anna", secret), "127.0.0.1", "DAVx5")
        here.access_log.flush()
        here.clock.advance(1000)
    counts = [one.count for one in here.access_log.entries(account)]
    assert counts == [4]
    here.clock.advance(3600)
    here.sign_in.sign_in(basic("anna", secret), "127.0.0.1", "DAVx5")
    assert len(here.access_log.entries(account)) == len(counts) + 1
