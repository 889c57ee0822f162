"""One server for all programs, and an account of its own for each test."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from compat.places import install_programs

from tests.programs.accounts import Account
from tests.support.server import Server, running_server

# Not 127.0.0.1: a probe of caldav-server-tester is left out on hosts that it knows to be local.
HOST = "127.0.0.2"


@pytest.fixture(scope="session", autouse=True)
def programs() -> None:
    """The programs and suites of others, installed from their lock."""
    install_programs()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("keepwell") / "data", host=HOST) as server:
        yield server


@pytest.fixture(scope="session")
def new_account(server: Server) -> Callable[[], Account]:
    """Makes accounts with logins that look like mail addresses, as many people's do."""
    numbers = itertools.count(1)

    def make() -> Account:
        login = f"person{next(numbers)}@example.org"
        return Account(server.dav, login, server.add_account(login))

    return make


@pytest.fixture
def account(new_account: Callable[[], Account]) -> Account:
    return new_account()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The home folder of a person who runs a program."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder
