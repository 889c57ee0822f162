"""docs/COMPLIANCE.md says what the server announces, and the server announces what the document says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.dav.reports.face import FRIENDS, NAMESPACES, PHOTOS, WORK, Face, card, event, running_face

from keepwell.dav.live import LIVE
from keepwell.dav.methods import METHODS
from keepwell.dav.names import PREFIXES, split
from keepwell.dav.reports import REPORTS

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "COMPLIANCE.md").read_text(encoding="utf-8")
DONE = {"yes", "partly", "read-only"}
PATHS = {
    "root": "/dav/",
    "principals": "/dav/principals/",
    "principal": "/dav/principals/anna/",
    "home-root": "/dav/calendars/",
    "home": "/dav/calendars/anna/",
    "collection": WORK,
    "item": f"{WORK}a.ics",
}
REPORTED = {
    "address book": FRIENDS,
    "card": f"{FRIENDS}a.vcf",
    "calendar": WORK,
    "calendar item": f"{WORK}a.ics",
    "folder": PHOTOS,
    "file": f"{PHOTOS}a.jpg",
    "elsewhere": "/dav/",
}

Row = dict[str, str]


def table(heading: str) -> list[Row]:
    """The rows of the table under a heading, by the names of its columns."""
    section = DOCUMENT.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    columns, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    return [dict(zip(columns, row, strict=True)) for row in rows]


def done(heading: str, column: str) -> set[str]:
    """What a table says is done."""
    return {row[column] for row in table(heading) if row["state"] in DONE}


def prefixed(name: str) -> str:
    namespace, local = split(name)
    return f"{PREFIXES[namespace]}:{local}"


@pytest.fixture(scope="module")
def face() -> Iterator[Face]:
    with running_face() as face:
        face.put(f"{WORK}a.ics", event("a"))
        face.put(f"{FRIENDS}a.vcf", card("a"))
        face.put(f"{PHOTOS}a.jpg", b"\xff\xd8")
        yield face


@pytest.mark.parametrize(
    "heading",
    [
        "Standards",
        "Classes",
        "Methods",
        "Request headers",
        "Response headers",
        "Properties",
        "Reports",
        "Parts of requests",
        "Preconditions",
    ],
)
def test_every_row_has_a_state_and_what_is_not_done_has_a_reason(heading: str) -> None:
    rows = table(heading)
    reason = list(rows[0])[-1]
    names = [next(iter(row.values())) for row in rows]
    assert len(names) == len(set(names))
    for row in rows:
        assert row["state"] in DONE | {"no"}, row
        assert row["state"] not in {"no", "partly"} or row[reason], row


def test_the_classes_announced_are_those_documented(face: Face) -> None:
    announced = face.request("OPTIONS", "/dav/").headers[b"dav"].decode().split(", ")
    assert set(announced) == done("Classes", "class")


@pytest.mark.parametrize("sort", PATHS)
def test_the_methods_announced_are_those_documented(face: Face, sort: str) -> None:
    documented = {
        row["method"]
        for row in table("Methods")
        if row["state"] in DONE and ({sort, "everywhere"} & set(row["on"].split(", ")))
    }
    announced = face.request("OPTIONS", PATHS[sort]).headers[b"allow"].decode().split(", ")
    assert set(announced) == documented


def test_the_methods_documented_are_those_that_exist() -> None:
    assert done("Methods", "method") == set(METHODS)


def test_a_method_that_is_not_done_is_refused_with_what_is(face: Face) -> None:
    for row in table("Methods"):
        if row["state"] == "no":
            answer = face.request(row["method"], WORK)
            assert answer.status == 405, row
            assert b"allow" in answer.headers


def test_the_live_properties_are_those_documented() -> None:
    assert {prefixed(name) for name in LIVE} == done("Properties", "property")


def test_the_settable_properties_are_those_documented() -> None:
    settable = {prefixed(name) for name, live in LIVE.items() if live.stored_as}
    assert settable == {row["property"] for row in table("Properties") if row["state"] == "yes"}


def test_every_property_documented_can_be_found_somewhere(face: Face) -> None:
    found = set()
    for path in (*PATHS.values(), *REPORTED.values()):
        body = '<D:propfind xmlns:D="DAV:"><D:propname/></D:propfind>'
        answer = face.request("PROPFIND", path, body, {"Depth": "0"})
        found |= {prefixed(str(element.tag)) for element in answer.root.iterfind(".//D:prop/*", NAMESPACES)}
    settable = {prefixed(name) for name, live in LIVE.items() if live.stored_as}
    assert found | settable == done("Properties", "property")


def test_the_reports_are_those_documented() -> None:
    assert {prefixed(name) for name in REPORTS} == done("Reports", "report")


@pytest.mark.parametrize("sort", REPORTED)
def test_the_reports_announced_are_those_documented(face: Face, sort: str) -> None:
    body = '<D:propfind xmlns:D="DAV:"><D:prop><D:supported-report-set/></D:prop></D:propfind>'
    answer = face.request("PROPFIND", REPORTED[sort], body, {"Depth": "0"})
    announced = {prefixed(str(element.tag)) for element in answer.root.iterfind(".//D:report/*", NAMESPACES)}
    assert announced == {row["report"] for row in table("Reports") if sort in row["on"].split(", ")}


@pytest.mark.parametrize("sort", REPORTED)
def test_a_report_is_refused_where_it_is_not_documented(face: Face, sort: str) -> None:
    for row in table("Reports"):
        answer = face.report(REPORTED[sort], f"<{row['report']}/>", "0")
        refused = answer.status == 403 and answer.conditions() == ["D:supported-report"]
        assert refused == (sort not in row["on"].split(", ")), row


def test_the_preconditions_documented_are_those_in_the_source() -> None:
    """An element that the source never names cannot be answered."""
    source = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "src" / "keepwell").rglob("*.py"))
    for row in table("Preconditions"):
        local = row["element"].partition(":")[2]
        named = re.search(rf"[\"'<:]{re.escape(local)}[\"'/>]", source) is not None
        if row["state"] == "yes":
            assert named, row


def test_the_features_not_supported_have_reasons() -> None:
    rows = table("caldav-server-tester: unsupported features")
    assert all(row["feature"] and row["reason"] for row in rows)
