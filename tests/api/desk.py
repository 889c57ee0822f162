"""The JSON face over a store in memory, driven in-process, with two people: what these tests have in common."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from httpx2 import Response
from starlette.testclient import TestClient

from keepwell.api.app import PREFIX, api_app
from keepwell.model.names import Home
from keepwell.services.access_log import AccessLog
from keepwell.services.accounts import Accounts, ensure_system_account
from keepwell.services.directory import Directory
from keepwell.services.library import Library
from keepwell.services.signin import SignIn
from keepwell.services.status.values import PEOPLES_KINDS, Status, Writes
from keepwell.storage.access_table import AccessTable
from keepwell.storage.memory import MemoryStore
from keepwell.storage.writers import Writers
from tests.support.clock import FakeClock, SeededEntropy

CONTACTS = "/collections/contacts/contacts"
CALENDAR = "/collections/calendars/calendar"
PHOTOS = "/collections/photos/photos"


@dataclass
class Parts:
    """The services of one operator; every question moves the clock, so no two records have the same moment."""

    store: MemoryStore
    writers: Writers
    library: Library
    directory: Directory
    accounts: Accounts
    access_log: AccessLog
    sign_in: SignIn
    copies: int = 1

    def status(self) -> Status:
        return Status(at="", writes=Writes.TAKEN, copies=dict.fromkeys(PEOPLES_KINDS, self.copies))


@contextmanager
def parts(folder: Path) -> Iterator[Parts]:
    clock, entropy = FakeClock(step_seconds=0.001), SeededEntropy()
    store = MemoryStore(clock, entropy)
    ensure_system_account(store)
    writers = Writers(store, threads=1)
    directory = Directory(store)
    access_log = AccessLog(AccessTable(folder / "access.db"), clock)
    try:
        yield Parts(
            store,
            writers,
            Library(store, writers),
            directory,
            Accounts(store, writers, directory, clock, entropy),
            access_log,
            SignIn(directory, access_log, clock),
        )
    finally:
        writers.close()
        access_log.close()


@dataclass
class Desk:
    """A client of the face, which signs in as `anna` unless told otherwise."""

    services: Parts
    client: TestClient
    secrets: dict[str, str] = field(default_factory=dict)

    def add(self, login: str) -> None:
        self.services.accounts.add(login)
        self.secrets[login] = self.services.accounts.add_password(login, f"{login}s desk")

    def headers(self, login: str) -> dict[str, str]:
        pair = f"{login}:{self.secrets[login]}".encode()
        return {"authorization": "Basic " + base64.b64encode(pair).decode()}

    def ask(
        self,
        method: str,
        path: str,
        *,
        login: str = "anna",
        headers: Mapping[str, str] | None = None,
        json: object = None,
        content: bytes | None = None,
    ) -> Response:
        sent = {**self.headers(login), **(headers or {})}
        return self.client.request(method, PREFIX + path, headers=sent, json=json, content=content)

    def get(self, path: str, login: str = "anna", **headers: str) -> Response:
        return self.ask("GET", path, login=login, headers=headers)

    def put(self, path: str, body: bytes, login: str = "anna", **headers: str) -> Response:
        return self.ask("PUT", path, login=login, headers=headers, content=body)

    def state(self, path: str = CONTACTS) -> str:
        state = self.get(path).json()["state"]
        assert isinstance(state, str)
        return state

    def share(self, collection: str, *, write: bool, home: Home = Home.CONTACTS) -> None:
        self.services.accounts.grant("anna", home, collection, "bert", write=write)


@contextmanager
def desk(folder: Path) -> Iterator[Desk]:
    with parts(folder) as services, TestClient(api_app(services), raise_server_exceptions=True) as client:
        found = Desk(services, client)
        found.add("anna")
        found.add("bert")
        yield found


def problem(response: Response) -> tuple[int, str]:
    """Status and word of a problem, which must be a whole one."""
    assert response.headers["content-type"] == "application/problem+json"
    document = response.json()
    assert document["status"] == response.status_code
    assert document["title"]
    assert document["detail"]
    assert "Traceback" not in response.text
    return response.status_code, document["type"]
