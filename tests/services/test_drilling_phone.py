"""The drill's phone sees what a device sees, and says what is not as it should be instead of passing over it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from keepwell.ground.entropy import Draw
from keepwell.model.names import Digest, Home
from keepwell.model.preconditions import etag_of
from keepwell.model.record import digest_of
from keepwell.services.drilling.phone import CALDAV, CARDDAV, Dialect, Listed, Phone, ProtocolProblem
from keepwell.services.drilling.signing_in import READ_MAX, compare_by_protocol

Answer = Callable[[str, str], tuple[int, dict[str, str], str]]
MULTISTATUS = '<D:multistatus xmlns:D="DAV:" xmlns:A="urn:ietf:params:xml:ns:carddav">{}</D:multistatus>'


@contextmanager
def answering(answer: Answer) -> Iterator[Phone]:
    """A phone in front of a server that answers every request as it is told."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            status, headers, body = answer(self.command, self.path)
            self.send_response(status)
            for name, value in {**headers, "content-length": str(len(body.encode()))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body.encode())

        do_GET = do_PROPFIND = answer  # noqa: N815

        def log_message(self, *_arguments: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        with closing(Phone(f"http://127.0.0.1:{server.server_port}", "anna", "secret")) as phone:
            yield phone
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ((200, {}, ""), "leads nowhere"),
        ((401, {}, ""), "was answered 401, which leads nowhere"),
        ((301, {"location": "/elsewhere"}, ""), "PROPFIND /elsewhere was answered 301"),
    ],
)
def test_discovery_that_leads_nowhere_is_told(answer: tuple[int, dict[str, str], str], sentence: str) -> None:
    """A server that answers at the well-known path with anything but a redirect is none that a device finds."""
    with answering(lambda _method, _path: answer) as phone, pytest.raises(ProtocolProblem, match=sentence):
        phone.collections(CARDDAV)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [("no XML", "no XML"), (MULTISTATUS.format(""), "has no D:current-user-principal")],
)
def test_an_answer_that_says_nothing_is_told(body: str, sentence: str) -> None:
    """Neither broken XML nor a missing property is taken for an empty account."""

    def answer(_method: str, path: str) -> tuple[int, dict[str, str], str]:
        return (301, {"location": "/dav/"}, "") if path.startswith("/.well-known") else (207, {}, body)

    with answering(answer) as phone, pytest.raises(ProtocolProblem, match=sentence):
        phone.collections(CALDAV)


def test_an_item_that_is_refused_is_told() -> None:
    """What a listing names must be there."""
    with answering(lambda _method, _path: (503, {}, "")) as phone, pytest.raises(ProtocolProblem, match="answered 503"):
        phone.read("/dav/x")


def test_a_server_that_is_gone_is_told() -> None:
    """And not waited for."""
    with (
        closing(Phone("http://127.0.0.1:1", "anna", "secret")) as phone,
        pytest.raises(ProtocolProblem, match="no answer"),
    ):
        phone.read("/")


class Shown(Phone):
    """A phone that sees what the test says: an address book `friends`, and no calendar."""

    def __init__(self, items: dict[str, tuple[bytes, str]], *, books: tuple[str, ...] = ("friends",)) -> None:
        self._items = items
        self._books = books

    def collections(self, dialect: Dialect) -> dict[str, str]:
        return {name: f"/{name}/" for name in self._books} if dialect is CARDDAV else {}

    def items(self, collection: str) -> dict[str, Listed]:
        return {name: Listed(f"{collection}{name}", name, tag, frozenset()) for name, (_, tag) in self._items.items()}

    def read(self, href: str) -> bytes:
        return self._items[href.rpartition("/")[2]][0]


def shown(*names: str, **bodies: bytes) -> dict[str, tuple[bytes, str]]:
    found = dict.fromkeys(names, b"body") | bodies
    return {name: (body, etag_of(digest_of(b"body"))) for name, body in found.items()}


def expected(*names: str) -> dict[Home, dict[str, dict[str, Digest]]]:
    return {Home.CONTACTS: {"friends": {name: digest_of(b"body") for name in names}}, Home.CALENDARS: {}}


def test_what_is_the_same_is_counted() -> None:
    """Everything is listed, and so many read."""
    names = [f"card{number}" for number in range(READ_MAX + 5)]
    seen = compare_by_protocol(Shown(shown(*names)), "anna", expected(*names), Draw(1))
    assert (seen.problems, seen.listed, seen.read) == ([], READ_MAX + 5, READ_MAX)


@pytest.mark.parametrize(
    ("phone", "sentence"),
    [
        (Shown(shown("bob")), "1 items are missing, eve among them"),
        (Shown(shown("bob", "eve", "mallory")), "1 items are there that should not be, mallory among them"),
        (Shown(shown("bob") | {"eve": (b"body", '"other"')}), "1 items have another entity tag, eve among them"),
        (Shown(shown("bob", eve=b"spoilt")), "the bytes of eve are others than in the store"),
        (Shown(shown("bob", "eve"), books=()), "shows the collections [], not ['friends']"),
        (Shown(shown("bob", "eve"), books=("friends", "more")), "shows the collections ['friends', 'more']"),
    ],
    ids=["missing", "extra", "tag", "bytes", "no collection", "extra collection"],
)
def test_whatever_differs_is_told(phone: Phone, sentence: str) -> None:
    """One sentence each, with an example."""
    seen = compare_by_protocol(phone, "anna", expected("bob", "eve"), Draw(1))
    assert len(seen.problems) == 1
    assert sentence in seen.problems[0]


def test_a_server_that_breaks_a_protocol_is_a_problem_of_the_drill() -> None:
    """For each of the two protocols."""
    with closing(Phone("http://127.0.0.1:1", "anna", "secret")) as phone:
        seen = compare_by_protocol(phone, "anna", expected(), Draw(1))
    assert len(seen.problems) == 2
