"""Accounts, app passwords and grants are journaled documents of the system account."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from keepwell.model.errors import AlreadyThere, BadRequest, CannotStart, NotThere
from keepwell.model.names import SYSTEM_ACCOUNT, AccountId, Home, Kind
from keepwell.services.accounts import ensure_system_account
from keepwell.services.directory import Directory
from keepwell.storage.memory import MemoryStore
from tests.services.people import People, people


@pytest.fixture
def here(tmp_path: Path) -> Iterator[People]:
    with people(tmp_path) as found:
        yield found


def test_an_account_starts_with_one_collection_of_each_kind(here: People) -> None:
    """A new account has contacts, calendar, tasks, notes and photos."""
    account = here.accounts.add("anna", "Anna")
    with here.store.account(account).reading() as snapshot:
        kinds = {one.kind for one in snapshot.collections()}
    assert kinds == {Kind.CONTACTS, Kind.CALENDAR, Kind.TASKS, Kind.NOTES, Kind.PHOTOS}
    assert here.directory.account_of("anna") == account
    assert here.directory.display_name(account) == "Anna"


def test_a_login_is_given_once(here: People) -> None:
    """The same login is not given twice, and what cannot be a login is refused."""
    here.accounts.add("anna")
    with pytest.raises(AlreadyThere):
        here.accounts.add("anna")
    with pytest.raises(BadRequest):
        here.accounts.add("Anna Berg")
    assert [one.login for one in here.accounts.all()] == ["anna"]


def test_two_processes_do_not_give_the_same_login(here: People) -> None:
    """A directory that has not seen the other's account yet is stopped by the transaction."""
    here.accounts.add("anna")
    stale = Directory(here.store)
    here.accounts._directory = stale
    stale.account_document = lambda _login: None  # type: ignore[method-assign]
    stale.account_of = lambda _login: None  # type: ignore[method-assign]
    with pytest.raises(AlreadyThere):
        here.accounts.add("anna")


def test_an_app_password_is_not_kept(here: People) -> None:
    """Neither the journal nor the documents hold the password; its label is listed."""
    here.accounts.add("anna")
    secret = here.accounts.add_password("anna", "phone")
    assert len(secret.replace("-", "")) == 26
    with here.store.account(SYSTEM_ACCOUNT).reading() as snapshot:
        for record in snapshot.records():
            body = snapshot.content(record.facts.digest) if record.facts.digest else None
            assert secret.encode() not in (body or b"")
            assert secret.replace("-", "").encode() not in (body or b"")
    assert [one.label for one in here.accounts.passwords("anna")] == ["phone"]


def test_revoking_names_what_it_took(here: People) -> None:
    """Passwords are revoked by label or id; what is not there is said."""
    here.accounts.add("anna")
    here.accounts.add_password("anna", "phone")
    here.accounts.add_password("anna", "desk")
    assert [one.label for one in here.accounts.revoke("anna", "phone")] == ["phone"]
    assert [one.label for one in here.accounts.passwords("anna")] == ["desk"]
    with pytest.raises(NotThere):
        here.accounts.revoke("anna", "phone")


def test_grants(here: People) -> None:
    """A grant is found by its grantee, can be changed, and withdrawn."""
    anna = here.accounts.add("anna")
    bert = here.accounts.add("bert")
    here.accounts.grant("anna", Home.CONTACTS, "contacts", "bert", write=False)
    assert here.directory.shared_with(bert) == {(anna, Home.CONTACTS, "contacts"): False}
    here.accounts.grant("anna", Home.CONTACTS, "contacts", "bert", write=True)
    assert here.directory.shared_with(bert) == {(anna, Home.CONTACTS, "contacts"): True}
    assert len(here.accounts.grants("anna")) == 1
    here.accounts.withdraw("anna", Home.CONTACTS, "contacts", "bert")
    assert here.directory.shared_with(bert) == {}
    with pytest.raises(NotThere):
        here.accounts.grant("anna", Home.CONTACTS, "nothing", "bert", write=True)


def test_unknown_logins_are_said(here: People) -> None:
    """Every act on a login that is not there raises NotThere with where to look."""
    for act in (here.accounts.disable, here.accounts.passwords, here.accounts.grants):
        with pytest.raises(NotThere) as caught:
            act("nobody")
        assert "account list" in caught.value.hint


def test_the_system_account_is_made_once(here: People) -> None:
    """Making it again changes nothing."""
    here.accounts.add("anna")
    ensure_system_account(here.store)
    assert here.directory.logins() == ["anna"]


def test_a_lost_system_account_is_not_made_anew_empty() -> None:
    """People's accounts without the system account are a loss, and an empty directory would hide it."""
    store = MemoryStore()
    store.create(AccountId("a_annaannaannaanna"))
    with pytest.raises(CannotStart, match="missing beside 1 account"):
        ensure_system_account(store)
    assert store.accounts() == ["a_annaannaannaanna"]


def test_a_directory_made_anew_knows_the_same(here: People) -> None:
    """The directory is only a reading of the system account."""
    anna = here.accounts.add("anna")
    here.accounts.add("bert")
    here.accounts.disable("bert")
    here.accounts.grant("anna", Home.CALENDARS, "tasks", "bert", write=True)
    anew = Directory(here.store)
    assert anew.logins() == here.directory.logins() == ["anna"]
    assert anew.login_of(anna) == "anna"
    assert anew.revision() == here.directory.revision()
