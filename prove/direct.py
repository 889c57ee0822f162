"""The server in this process, without HTTP: what `keepwell serve` does at a start, and its application asked directly.

For cases that run a server hundreds of times. Everything but the HTTP library is the product's own: the claim of the
folder, what a start does before it serves, and a worker's application with its threads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from keepwell.app.asgi import Application
from keepwell.app.config import ServeOptions
from keepwell.app.start import prepare
from keepwell.app.wiring import open_keepwell
from keepwell.ground.entropy import SystemEntropy, base32_word
from keepwell.services.catch_up import CaughtUp
from keepwell.storage.family import claim
from prove.client import Answer, Client

Message = dict[str, object]


class Direct:
    """A transport to an application of this process. Used on one thread."""

    def __init__(self, application: Application) -> None:
        """To this one, which is open."""
        self._application = application
        self._loop = asyncio.new_event_loop()

    def ask(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        """One request."""
        return self._loop.run_until_complete(self._ask(method, path, body or b"", headers))

    def close(self) -> None:
        """Nothing is held between requests."""

    def end(self) -> None:
        """No request comes any more."""
        self._loop.close()

    async def _ask(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        await self._application(_scope(method, path, body, headers), receive, send)
        start = sent[0]
        assert start["type"] == "http.response.start"
        pairs = start["headers"]
        assert isinstance(pairs, list)
        answered = {name.decode("latin-1").lower(): text.decode("latin-1") for name, text in pairs}
        pieces = [message.get("body", b"") for message in sent[1:]]
        return Answer(
            int(str(start["status"])), answered, b"".join(piece for piece in pieces if isinstance(piece, bytes))
        )


def _scope(method: str, path: str, body: bytes, headers: dict[str, str]) -> Message:
    parts = urlsplit(path)
    named = {"host": "127.0.0.1:1", "content-length": str(len(body)), **headers}
    return {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(parts.path),
        "raw_path": parts.path.encode(),
        "query_string": parts.query.encode(),
        "root_path": "",
        "client": ("127.0.0.1", 50_000),
        "server": ("127.0.0.1", 1),
        "headers": [(name.lower().encode(), text.encode()) for name, text in named.items()],
    }


class Served:
    """A data folder that is served in this process."""

    def __init__(self, direct: Direct, told: list[str], caught_up: CaughtUp) -> None:
        """By this transport; `told` is what the start had to say."""
        self._direct = direct
        self.told = told
        self.caught_up = caught_up

    def client(self, login: str, password: str) -> Client:
        """Signed in as one person."""
        return Client(1, login, password, transport=self._direct)


@contextmanager
def serving(data: Path) -> Iterator[Served]:
    """Serve a data folder while the block runs, as `keepwell serve` would; raises what that would raise."""
    family = base32_word(SystemEntropy(), 80)
    lock = claim(data, family)
    try:
        told: list[str] = []
        caught_up = prepare(data, family, told.append)
        with open_keepwell(data):
            pass
        application = Application(ServeOptions(data=data, family=family, drill_hours=0, log_requests=False))
        direct = Direct(application)
        try:
            application.open()
            yield Served(direct, told, caught_up)
        finally:
            application.close()
            direct.end()
    finally:
        lock.release()
