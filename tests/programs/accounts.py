"""An account on the running server, as a person knows it: where to start, login and password."""

import re
from dataclasses import dataclass
from urllib.parse import quote

import httpx2

MULTIPLE = 207


@dataclass(frozen=True, slots=True)
class Account:
    """One person on the server; `dav` is where their programs start to look."""

    dav: str
    login: str
    password: str

    def collection(self, home: str, name: str) -> str:
        """The URL of a collection in one of the account's homes."""
        return f"{self.dav}{home}/{quote(self.login, safe='@')}/{name}/"

    @property
    def contacts(self) -> str:
        """The address book every account starts with."""
        return self.collection("contacts", "contacts")

    @property
    def calendar(self) -> str:
        """The calendar every account starts with."""
        return self.collection("calendars", "calendar")

    @property
    def tasks(self) -> str:
        """The task list every account starts with."""
        return self.collection("calendars", "tasks")

    @property
    def photos(self) -> str:
        """The folder of plain files every account starts with."""
        return self.collection("photos", "photos")

    def request(self, method: str, url: str, body: str = "", **headers: str) -> httpx2.Response:
        """One request, signed in as this account; header names are written with underscores."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx2.request(
            method, url, content=body.encode(), headers=named, auth=(self.login, self.password), timeout=30
        )

    def put(self, collection: str, name: str, body: str, **headers: str) -> str:
        """Store an item and return its ETag."""
        answer = self.request("PUT", collection + name, body, **headers)
        assert answer.status_code in (201, 204), answer.text
        return str(answer.headers["etag"])

    def names(self, collection: str) -> set[str]:
        """The names of the items in a collection."""
        answer = self.request("PROPFIND", collection, Depth="1")
        assert answer.status_code == MULTIPLE, answer.text
        hrefs = re.findall(r"<(?:\w+:)?href>([^<]+)</", answer.text)
        found = {href.rpartition("/")[2] for href in hrefs}
        return found - {""}

    def texts(self, collection: str) -> dict[str, str]:
        """The items in a collection by name, as GET gives them."""
        return {name: self.request("GET", collection + name).text for name in self.names(collection)}
