"""The people's pages: right URLs, no foreign resources, health answers, and friendly words for what goes wrong."""

import re
from html.parser import HTMLParser

import pytest
from starlette.testclient import TestClient

from keepwell.model.names import Kind
from keepwell.services.drills import DrillResult
from keepwell.services.status.values import PEOPLES_KINDS, Status, VaultState, VaultStatus, Writes
from keepwell.services.vault_settings import Role
from keepwell.vault.independence import Grade, Independence
from keepwell.web.app import web_app

AT = "2026-11-23T08:00:00.000000Z"
OTHER_DISK = Independence(Grade.OTHER_DISK, "on another disk, /secret: protects against the loss of a disk")
VOID_ELEMENTS = {"meta", "link", "img", "br"}


def status_with(count: int = 1, **fields: object) -> Status:
    given = {"at": AT, "writes": Writes.TAKEN, "copies": dict.fromkeys(PEOPLES_KINDS, count)}
    return Status(**given | fields)  # type: ignore[arg-type]


def near(**fields: object) -> VaultStatus:
    given = {"name": "near", "url": "/secret/near", "role": Role.CONFIRMS, "encrypted": False}
    given |= {"state": VaultState.OPEN, "independence": OTHER_DISK}
    return VaultStatus(**given | fields)  # type: ignore[arg-type]


def client(base: str = "https://keep.example.org", *, ready: bool = True, status: Status | None = None) -> TestClient:
    app = web_app(version="1.2.3", status=lambda: status or status_with(), ready=lambda: ready)
    return TestClient(app, base_url=base, raise_server_exceptions=False)


class Elements(HTMLParser):
    """Every start tag of a page, and proof that each is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID_ELEMENTS:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_home_page_names_the_urls_of_the_server_that_was_asked() -> None:
    """The URLs on the page are made from the scheme and host by which the browser came."""
    page = client("https://keep.example.org").get("/").text
    assert "https://keep.example.org/dav/" in page
    assert "https://keep.example.org/.well-known/caldav" in page
    other = client("http://nas.local:8080").get("/").text
    assert "http://nas.local:8080/dav/" in other
    assert "keep.example.org" not in other


def test_home_page_tells_how_to_connect_each_sort_of_device() -> None:
    """Every sort of device and program has its own section, with an anchor."""
    tags = Elements(client().get("/").text).tags
    anchors = {attributes.get("id") for tag, attributes in tags if tag == "details"}
    assert anchors == {
        "apple-phone",
        "apple-desktop",
        "android",
        "thunderbird",
        "gnome",
        "kde",
        "outlook",
        "terminal",
        "curl",
    }


def test_vdirsyncer_section_is_a_whole_configuration() -> None:
    """The configuration for vdirsyncer names a pair and both storages for contacts and for calendars."""
    page = client().get("/").text
    for section in (
        "general",
        "pair contacts",
        "pair calendars",
        "storage contacts_keepwell",
        "storage calendars_keepwell",
    ):
        assert f"[{section}]" in page
    assert page.count('url = "https://keep.example.org/dav/"') == 2


@pytest.mark.parametrize("host", ["<script>", "a b", 'x"y', "evil.example/path", "x" * 300, "", "host:123456"])
def test_host_header_that_is_no_host_is_not_shown(host: str) -> None:
    """A Host header that is not plainly a host falls back to the address where the server listens."""
    page = client("http://listening.test:8080").get("/", headers={"host": host}).text
    assert "http://listening.test:8080/dav/" in page
    if host:
        assert host not in page.replace("<!doctype html>", "")


def test_internet_protocol_version_6_address_keeps_its_brackets() -> None:
    """An IPv6 address in the Host header is shown as a URL needs it."""
    page = client().get("/", headers={"host": "[2001:db8::7]:8443"}).text
    assert "https://[2001:db8::7]:8443/dav/" in page


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost:8080", "[::1]:8080", "127.0.0.2"])
def test_address_of_this_machine_says_that_a_phone_cannot_reach_it(host: str) -> None:
    """On a loopback address the page says that only this computer reaches it."""
    page = client(f"http://{host}").get("/").text
    assert "Only this computer reaches this address" in page


def test_unencrypted_address_is_said_to_be_unencrypted_and_encrypted_is_not() -> None:
    """The page warns of a connection without TLS, and only of that."""
    assert "not encrypted" in client("http://nas.local").get("/").text
    assert "not encrypted" not in client("https://nas.local").get("/").text


def test_home_page_says_how_many_copies_there_are() -> None:
    """Without a vault it says "one copy" plainly; else how many, what they survive, and what was proven."""
    assert "One copy" in client().get("/").text
    assert 'class="badge good"' not in client().get("/").text
    drill = DrillResult(at=AT, vault="near", passed=True, seconds_to_contacts=1.0, seconds_to_everything=2.0)
    page = client(status=status_with(2, vaults=(near(drill=drill),), drill=drill)).get("/").text
    assert '<span class="badge good">Two copies</span>' in page
    assert "on another disk of this machine" in page
    assert "synced in two copies" in page
    assert "A restore was last proven just now: contacts were back after 1.0 s" in page
    assert "/secret" not in page


def test_home_page_says_when_changes_are_refused_or_something_is_held() -> None:
    """Without the reasons, which may name places."""
    status = status_with(writes=Writes.REFUSED, refusal="/secret is gone", held={Kind.TASKS: 1}, held_accounts=1)
    page = client(status=status).get("/").text
    assert "Changes are refused for now" in page
    assert "Of one account something is not whole" in page
    assert "/secret" not in page


def test_home_page_counts_kinds_apart_where_they_differ() -> None:
    """The headline is about the kind that has fewest."""
    status = status_with(copies={Kind.CONTACTS: 2, Kind.PHOTOS: 1})
    page = client(status=status).get("/").text
    assert '<span class="badge">One copy</span>' in page
    assert "<dt>contacts</dt><dd>two copies</dd>" in page
    assert "<dt>photos</dt><dd>one copy</dd>" in page


def test_pages_need_no_script_and_nothing_from_elsewhere() -> None:
    """No page has a script, an inline style, or a resource of another host, and the policy header forbids them."""
    for path in ("/", "/nowhere"):
        response = client().get(path)
        elements = Elements(response.text)
        assert elements.open == []
        for tag, attributes in elements.tags:
            assert tag not in {"script", "style", "iframe", "form"}
            assert not any(name.startswith("on") or name == "style" for name in attributes)
            for name in ("src", "href"):
                assert (attributes.get(name) or "/").startswith(("/", "#"))
        assert response.headers["content-security-policy"].startswith("default-src 'none'")
        assert response.headers["x-content-type-options"] == "nosniff"


def test_every_resource_that_the_page_names_is_served() -> None:
    """The style sheet and the icon of the page exist."""
    web = client()
    tags = Elements(web.get("/").text).tags
    paths = {attributes.get("src") or attributes.get("href") or "" for _, attributes in tags}
    resources = {path for path in paths if path.startswith("/static/")}
    assert len(resources) == 2
    for path in resources:
        assert web.get(path).status_code == 200


def test_style_sheet_has_both_palettes_and_names_no_other_host() -> None:
    """The style sheet serves light and dark and loads nothing."""
    sheet = client().get("/static/keepwell.css")
    assert sheet.headers["content-type"].startswith("text/css")
    assert "prefers-color-scheme: dark" in sheet.text
    assert not re.search(r"url\(|@import|https?:", sheet.text)


def test_health_and_readiness_answers() -> None:
    """A server that can be used says so, with the copies of each kind and the state of each vault."""
    health = client().get("/healthz")
    assert (health.status_code, health.text) == (200, "ok")
    readiness = client(status=status_with(2, vaults=(near(),))).get("/readyz")
    assert (readiness.status_code, readiness.json()) == (
        200,
        {
            "ready": True,
            "writes": "taken",
            "copies": dict.fromkeys(PEOPLES_KINDS, 2),
            "vaults": [{"name": "near", "state": "open", "counts": True}],
        },
    )


def test_a_server_that_refuses_writes_is_ready_for_reading_and_says_so() -> None:
    """Who balances load by it must not take reading away too."""
    readiness = client(status=status_with(writes=Writes.REFUSED)).get("/readyz")
    assert (readiness.status_code, readiness.json()["writes"]) == (200, "refused")


def test_server_that_cannot_be_used_yet_says_when_to_ask_again() -> None:
    """While the server cannot be used, health and readiness are 503 with Retry-After."""
    for path in ("/healthz", "/readyz"):
        response = client(ready=False).get(path)
        assert response.status_code == 503
        assert response.headers["retry-after"] == "5"


def test_search_engines_are_kept_out_and_the_icon_is_served() -> None:
    """Nothing here is for search engines; browsers find the icon at its old address too."""
    assert "Disallow: /" in client().get("/robots.txt").text
    icon = client().get("/favicon.ico")
    assert icon.headers["content-type"] == "image/svg+xml"


def test_unknown_page_is_404_in_plain_words() -> None:
    """An address that is not there gets a friendly page with a way home."""
    response = client().get("/nowhere/at/all")
    assert response.status_code == 404
    assert "There is nothing here" in response.text
    assert 'href="/"' in response.text


def test_unknown_static_file_is_404_and_nothing_outside_the_folder_is_served() -> None:
    """The static folder serves its own files only."""
    for path in ("/static/none.css", "/static/../app.py", "/static/%2e%2e/app.py", "/static/"):
        assert client().get(path).status_code == 404


def test_other_methods_are_405_and_say_which_are_allowed() -> None:
    """A method that a page does not have is answered 405 with Allow."""
    response = client().post("/", content=b"x")
    assert response.status_code == 405
    assert set(response.headers["allow"].split(", ")) == {"GET", "HEAD"}


def test_failure_is_500_without_a_word_about_its_cause() -> None:
    """An exception becomes a plain page that tells nothing of the inside."""

    def broken() -> bool:
        raise RuntimeError("a secret of the inside")

    web = TestClient(web_app(status=status_with, ready=broken), raise_server_exceptions=False)
    response = web.get("/healthz")
    assert response.status_code == 500
    assert "Something went wrong" in response.text
    assert "secret" not in response.text


def test_head_is_get_without_the_body() -> None:
    """HEAD on the home page has the headers of GET."""
    response = client().head("/")
    assert response.status_code == 200
    assert response.text == ""
    assert int(response.headers["content-length"]) > 1000
