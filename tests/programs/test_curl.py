"""curl, the plainest of clients, sees what the standards promise: bytes, conditions, ranges, redirects."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from compat.places import system_program
from compat.suite_run import clean_environment

from tests.programs.accounts import Account
from tests.programs.items import card, event

XML = ("--header", "Content-Type: application/xml; charset=utf-8")

FIND_IN_MARCH = """<C:calendar-query xmlns="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav">
<prop><getetag/><C:calendar-data/></prop><C:filter><C:comp-filter name="VCALENDAR"><C:comp-filter name="VEVENT">
<C:time-range start="20270301T000000Z" end="20270401T000000Z"/>
</C:comp-filter></C:comp-filter></C:filter></C:calendar-query>"""

MAKE_TASK_LIST = """<C:mkcalendar xmlns="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><set><prop>
<displayname>Shopping</displayname>
<C:supported-calendar-component-set><C:comp name="VTODO"/></C:supported-calendar-component-set>
</prop></set></C:mkcalendar>"""


@dataclass(frozen=True, slots=True)
class Answer:
    """The last answer that curl received."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass(frozen=True, slots=True)
class Curl:
    """curl, signed in as an account."""

    account: Account
    folder: Path

    def __call__(self, method: str, url: str, *options: str, body: str | bytes | None = None) -> Answer:
        sign_in = ["--user", f"{self.account.login}:{self.account.password}"]
        return self.anonymously(method, url, *sign_in, *options, body=body)

    def anonymously(self, method: str, url: str, *options: str, body: str | bytes | None = None) -> Answer:
        """One request without signing in."""
        headers, content = self.folder / "headers", self.folder / "content"
        command = [str(system_program("curl")), "--silent", "--show-error", "--max-time", "20", "--request", method]
        command += ["--dump-header", str(headers), "--output", str(content), *options]
        if body is not None:
            sent = self.folder / "sent"
            sent.write_bytes(body if isinstance(body, bytes) else body.encode())
            command += ["--data-binary", f"@{sent}"]
        content.write_bytes(b"")
        subprocess.run([*command, url], check=True, env=clean_environment(self.folder))
        return _read_answer(headers, content)


def _read_answer(headers: Path, content: Path) -> Answer:
    last = headers.read_text().replace("\r\n", "\n").strip().split("\n\n")[-1].splitlines()
    named = [line.partition(":") for line in last[1:]]
    return Answer(
        status=int(last[0].split()[1]),
        headers={name.lower(): value.strip() for name, _, value in named},
        body=content.read_bytes(),
    )


@pytest.fixture
def curl(account: Account, home: Path) -> Curl:
    return Curl(account, home)


def test_what_was_put_is_what_is_got(curl: Curl) -> None:
    url = curl.account.contacts + "ada.vcf"
    stored = curl("PUT", url, "--header", "Content-Type: text/vcard", body=card("ada", "Ada"))
    assert stored.status == 201
    got = curl("GET", url)
    assert (got.status, got.text) == (200, card("ada", "Ada"))
    assert got.headers["etag"] == stored.headers["etag"]
    assert got.headers["content-type"].startswith("text/vcard")
    head = curl("HEAD", url, "--head")
    assert (head.status, head.headers["content-length"]) == (200, str(len(card("ada", "Ada"))))


def test_conditions_protect_from_overwriting_what_one_has_not_seen(curl: Curl) -> None:
    url = curl.account.contacts + "ada.vcf"
    first = curl("PUT", url, "--header", "If-None-Match: *", body=card("ada", "Ada"))
    assert first.status == 201
    assert curl("PUT", url, "--header", "If-None-Match: *", body=card("ada", "Ada again")).status == 412
    etag = first.headers["etag"]
    second = curl("PUT", url, "--header", f"If-Match: {etag}", body=card("ada", "Ada King"))
    assert second.status == 204
    assert curl("PUT", url, "--header", f"If-Match: {etag}", body=card("ada", "too late")).status == 412
    assert curl("DELETE", url, "--header", f"If-Match: {etag}").status == 412
    assert curl("GET", url).text == card("ada", "Ada King")


def test_what_has_not_changed_is_not_sent_again(curl: Curl) -> None:
    url = curl.account.contacts + "ada.vcf"
    etag = curl("PUT", url, body=card("ada", "Ada")).headers["etag"]
    again = curl("GET", url, "--header", f"If-None-Match: {etag}")
    assert (again.status, again.body) == (304, b"")


def test_ranges_of_a_file(curl: Curl) -> None:
    url = curl.account.photos + "photo.bin"
    content = bytes(range(256)) * 64
    assert curl("PUT", url, "--header", "Content-Type: application/octet-stream", body=content).status == 201
    middle = curl("GET", url, "--range", "1000-1999")
    assert (middle.status, middle.body) == (206, content[1000:2000])
    assert middle.headers["content-range"] == f"bytes 1000-1999/{len(content)}"
    end = curl("GET", url, "--range", "-100")
    assert (end.status, end.body) == (206, content[-100:])
    beyond = curl("GET", url, "--range", f"{len(content)}-")
    assert (beyond.status, beyond.headers["content-range"]) == (416, f"bytes */{len(content)}")


def test_a_listing_names_every_item(curl: Curl) -> None:
    for name in ("one", "two"):
        curl("PUT", f"{curl.account.contacts}{name}.vcf", body=card(name, name))
    listing = curl("PROPFIND", curl.account.contacts, "--header", "Depth: 1")
    assert listing.status == 207
    assert "one.vcf" in listing.text
    assert "two.vcf" in listing.text


def test_a_listing_without_end_is_refused_with_its_precondition(curl: Curl) -> None:
    refused = curl("PROPFIND", curl.account.contacts, "--header", "Depth: infinity")
    assert refused.status == 403
    assert "propfind-finite-depth" in refused.text


def test_a_query_finds_the_events_of_a_month(curl: Curl) -> None:
    curl("PUT", curl.account.calendar + "march.ics", body=event("march", "March", day="20270305"))
    curl("PUT", curl.account.calendar + "april.ics", body=event("april", "April", day="20270405"))
    found = curl("REPORT", curl.account.calendar, "--header", "Depth: 1", *XML, body=FIND_IN_MARCH)
    assert found.status == 207
    assert "SUMMARY:March" in found.text
    assert "SUMMARY:April" not in found.text


def test_a_new_task_list_takes_tasks_only(curl: Curl) -> None:
    shopping = curl.account.collection("calendars", "shopping")
    assert curl("MKCALENDAR", shopping, *XML, body=MAKE_TASK_LIST).status == 201
    assert curl("MKCALENDAR", shopping, *XML, body=MAKE_TASK_LIST).status == 405
    refused = curl("PUT", shopping + "tea.ics", body=event("tea", "Tea"))
    assert refused.status == 403
    assert "supported-calendar-component" in refused.text


@pytest.mark.parametrize("service", ["caldav", "carddav"])
def test_discovery_begins_at_the_well_known_address(curl: Curl, service: str) -> None:
    root = curl.account.dav.removesuffix("/dav/")
    sent = curl.anonymously("PROPFIND", f"{root}/.well-known/{service}")
    assert sent.status in (301, 302, 307, 308)
    assert sent.headers["location"].removeprefix(root) == "/dav/"
    found = curl("PROPFIND", f"{root}/.well-known/{service}", "--location", "--header", "Depth: 0")
    assert found.status == 207


def test_nobody_gets_in_without_the_password(curl: Curl) -> None:
    refused = curl.anonymously("PROPFIND", curl.account.contacts)
    assert refused.status == 401
    assert refused.headers["www-authenticate"].startswith("Basic ")
    wrong = curl.anonymously("GET", curl.account.contacts, "--user", f"{curl.account.login}:wrong")
    assert wrong.status == 401
