"""Who may see and do what at the DAV face."""

from __future__ import annotations

import pytest
from tests.dav.reports.face import ANNA, BERTA, DECLARED, FRIENDS, PHOTOS, WORK, Answer, Door, Face, People, card, event

from keepwell.dav.app import DavApp
from keepwell.dav.methods import METHODS
from keepwell.model.names import Home
from keepwell.services.library import Library

BERTAS = "berta@example.org"
OTHERS = [
    "/dav/principals/anna/",
    "/dav/contacts/anna/",
    FRIENDS,
    FRIENDS + "bob.vcf",
    WORK,
    WORK + "a.ics",
    PHOTOS,
    PHOTOS + "a",
]


def nobody(face: Face, method: str, path: str) -> Answer:
    """The answer to a request without credentials."""
    messages: list[dict[str, object]] = []

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b""}

    async def send(message: dict[str, object]) -> None:
        messages.append(message)

    scope: dict[str, object] = {"type": "http", "method": method, "path": path, "headers": []}
    face.loop.run_until_complete(face.app(scope, receive, send))
    status, headers = messages[0]["status"], messages[0]["headers"]
    assert isinstance(status, int)
    assert isinstance(headers, list)
    return Answer(status, dict(headers), b"")


@pytest.mark.parametrize("path", ["/dav/", "/dav/nothing", *OTHERS])
@pytest.mark.parametrize("method", [*METHODS, "LOCK"])
def test_nobody_learns_anything(face: Face, method: str, path: str) -> None:
    """Without a sign-in every path answers the same challenge, but for the announcement at the root."""
    answer = nobody(face, method, path)
    if method == "OPTIONS" and path == "/dav/":
        assert answer.status == 200
    else:
        assert answer.status == 401
        assert answer.headers[b"www-authenticate"].startswith(b'Basic realm="')


@pytest.mark.parametrize("path", ["/.well-known/caldav", "/.well-known/carddav", "/.well-known/caldav/"])
def test_discovery_needs_no_sign_in(face: Face, path: str) -> None:
    """RFC 6764 section 5: the well-known paths lead to the root, for any method."""
    for method in ("GET", "PROPFIND"):
        answer = nobody(face, method, path)
        assert (answer.status, answer.headers[b"location"]) == (301, b"/dav/")


@pytest.mark.parametrize("path", OTHERS)
@pytest.mark.parametrize("method", sorted(METHODS.keys() - {"OPTIONS", "REPORT"}))
def test_what_belongs_to_others_is_not_there(face: Face, method: str, path: str) -> None:
    """An account cannot tell another's resources from what does not exist, whatever it tries."""
    face.put(FRIENDS + "bob.vcf", card("bob"))
    face.put(WORK + "a.ics", event("a"))
    face.put(PHOTOS + "a", b"x")
    headers = {
        "Depth": "0" if method == "PROPFIND" else "infinity",
        "Destination": "/dav/photos/berta@example.org/photos/a",
    }
    body = f"<D:propertyupdate {DECLARED}/>" if method == "PROPPATCH" else ""
    answer = face.request(method, path, body, headers, login=BERTAS)
    missing = face.request(method, path.replace("anna", "nobody"), body, headers, login=BERTAS)
    assert answer.status == missing.status
    assert answer.status in (403, 404, 405)
    assert face.request("GET", FRIENDS + "bob.vcf").status == 200


@pytest.mark.parametrize(("may_write", "status"), [(True, 201), (False, 403)])
def test_a_shared_calendar_is_reached_under_its_owner(face: Face, may_write: bool, status: int) -> None:
    """A grantee finds the owner's home from their own principal, sees what is shared, and no more."""
    face.door.shared[BERTA] = {(ANNA, Home.CALENDARS, "work"): may_write}
    body = f"<D:propfind {DECLARED}><D:prop><C:calendar-home-set/></D:prop></D:propfind>"
    homes = face.request("PROPFIND", f"/dav/principals/{BERTAS}/", body, {"Depth": "0"}, login=BERTAS)
    assert homes.texts(".//C:calendar-home-set/D:href") == [f"/dav/calendars/{BERTAS}/", "/dav/calendars/anna/"]
    listed = face.request("PROPFIND", "/dav/calendars/anna/", "", {"Depth": "1"}, login=BERTAS)
    assert set(listed.statuses()) == {"/dav/calendars/anna/", WORK}
    assert face.request("PUT", WORK + "a.ics", event("a"), login=BERTAS).status == status
    assert face.request("DELETE", WORK, login=BERTAS).status == 403
    assert face.request("PROPFIND", "/dav/calendars/anna/tasks/", "", {"Depth": "0"}, login=BERTAS).status == 404


def test_an_unknown_failure_tells_nothing(face: Face) -> None:
    """A fault of the server is a 500 without a word about its inside."""

    class Broken(Library):
        def read_item(self, actor: object, place: object) -> None:  # type: ignore[override]
            raise ZeroDivisionError("secret")

    face.app = DavApp(Broken(face.store, face.writers), People(), Door())
    answer = face.request("GET", FRIENDS + "bob.vcf")
    assert answer.status == 500
    assert b"secret" not in answer.body


@pytest.mark.parametrize("method", ["LOCK", "UNLOCK", "PATCH", "ACL"])
def test_a_method_that_is_not_there_says_which_are(face: Face, method: str) -> None:
    """Class 2 is not announced, and LOCK answers so, with Allow."""
    answer = face.request(method, WORK)
    assert answer.status == 405
    assert set(answer.headers[b"allow"].decode().split(", ")) <= METHODS.keys()


def test_what_is_announced(face: Face) -> None:
    """OPTIONS names the classes that are whole, and the methods of each resource."""
    answer = face.request("OPTIONS", "/dav/principals/anna/")
    classes = answer.headers[b"dav"].decode().split(", ")
    assert {"1", "3", "calendar-access", "addressbook", "extended-mkcol"} <= set(classes)
    assert "2" not in classes
    assert b"MKCALENDAR" not in face.request("OPTIONS", FRIENDS).headers[b"allow"]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PROPFIND", "PROPPATCH", "MKCOL", "POST", "COPY"])
@pytest.mark.parametrize(
    "path", ["/dav/principals/anna/", "/dav/photos/anna/", PHOTOS, PHOTOS + "a", FRIENDS + "a.vcf"]
)
def test_accounts_cannot_be_told_apart(face: Face, method: str, path: str) -> None:
    """An account that shares nothing answers in the very words of one that does not exist."""
    body = f"<D:propertyupdate {DECLARED}/>" if method == "PROPPATCH" else ""
    headers = {"Depth": "0"} if method == "PROPFIND" else {"Destination": f"/dav/photos/{BERTAS}/photos/x"}
    there = face.request(method, path, body, headers, login=BERTAS)
    nowhere = face.request(method, path.replace("anna", "nobody"), body, headers, login=BERTAS)
    assert there.status == nowhere.status
    assert there.body.replace(b"anna", b"nobody") == nowhere.body


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 201),
        ({"Sec-Fetch-Site": "same-origin"}, 201),
        ({"Sec-Fetch-Site": "none", "Origin": "https://keepwell.test"}, 201),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "https://elsewhere.test"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
def test_a_page_of_another_site_adds_no_members(face: Face, headers: dict[str, str], status: int) -> None:
    """A browser sends its password along with the form of any page, so a POST from elsewhere is refused."""
    answer = face.request("POST", FRIENDS, card("bob"), {"Host": "keepwell.test", **headers})
    assert answer.status == status


def test_only_owners_learn_what_is_used(face: Face) -> None:
    """To whom one collection is shared, the size of everything else is nobody's business."""
    face.door.shared[BERTA] = {(ANNA, Home.CALENDARS, "work"): True}
    body = f"<D:propfind {DECLARED}><D:prop><D:quota-used-bytes/></D:prop></D:propfind>"
    for path in ("/dav/principals/anna/", "/dav/calendars/anna/", WORK):
        own = face.request("PROPFIND", path, body, {"Depth": "0"})
        others = face.request("PROPFIND", path, body, {"Depth": "0"}, login=BERTAS)
        assert own.texts(".//D:propstat/D:status") == ["HTTP/1.1 200 OK"]
        assert others.texts(".//D:propstat/D:status") == ["HTTP/1.1 404 Not Found"]
