"""Attacks by XML: entities, documents elsewhere, depth, and names and conditions that multiply."""

from __future__ import annotations

import socket
from typing import Final

from prove.hostile import CARDS, HOMES, NAMESPACES, Ask, Attack, times

DEPTH: Final = 100_000
XML_OCTETS_MAX: Final = 1024 * 1024
"""The product's limit on a request in XML."""

_FIND: Final = '<propfind xmlns="DAV:"><prop>{}</prop></propfind>'


def billion_laughs(ask: Ask) -> None:
    """Ten levels of ten entities each, a long entity many times, and one that holds itself."""
    levels = times(10, '<!ENTITY l{} "x">').replace('"x"', '"lol"', 1)
    for number in range(1, 10):
        levels = levels.replace(f'<!ENTITY l{number} "x">', f'<!ENTITY l{number} "{f"&l{number - 1};" * 10}">')
    ask.find("/dav/", f"<!DOCTYPE a [{levels}]>{_FIND.format('&l9;')}", 400)
    long = f'<!DOCTYPE a [<!ENTITY b "{"x" * 100_000}">]>' + _FIND.format("&b;" * 100_000)
    ask.find("/dav/", long, 400)
    ask.find("/dav/", '<!DOCTYPE a [<!ENTITY a "&b;"><!ENTITY b "&a;">]>' + _FIND.format("&a;"), 400)
    parameters = "<!DOCTYPE a [<!ENTITY % b \"<!ENTITY c 'x'>\"> %b; %b;]>"
    ask.find("/dav/", parameters + _FIND.format("&c;"), 400)


def documents_elsewhere(ask: Ask) -> None:
    """Nothing is read for a request, neither a file nor over the network, whatever the encoding hides."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.5)
        here = f"http://127.0.0.1:{listening.getsockname()[1]}/x"
        for place in ("file:///etc/passwd", here):
            for subset in (f'<!ENTITY b SYSTEM "{place}">', f'<!ENTITY % b SYSTEM "{place}"> %b;'):
                ask.find("/dav/", f"<!DOCTYPE a [{subset}]>" + _FIND.format("&b;"), 400)
            text = f'<!DOCTYPE propfind SYSTEM "{place}">' + _FIND.format("<displayname/>")
            ask.find("/dav/", text, 400)
            for encoding in ("utf-16", "utf-32", "utf-7", "ebcdic-cp-us"):
                declared = f'<?xml version="1.0" encoding="{encoding}"?>{text}'
                octets = declared.encode(
                    "utf-16" if encoding == "utf-16" else "utf-32" if encoding == "utf-32" else "utf-8"
                )
                ask("PROPFIND", "/dav/", octets, 400, Depth="0")
            include = f'<x:include xmlns:x="http://www.w3.org/2001/XInclude" href="{place}" parse="text"/>'
            changed = f"<D:set><D:prop><D:displayname>{include}</D:displayname></D:prop></D:set>"
            ask("PROPPATCH", CARDS, f"<D:propertyupdate {NAMESPACES}>{changed}</D:propertyupdate>", 207)
            ask.find(CARDS, _FIND.format("<displayname/>"), 207, depth="0")
        try:
            listening.accept()
        except TimeoutError:
            return
        ask.under.unit.require_that(False, "the server fetched a document that a request named")


def depth_and_size(ask: Ask) -> None:
    """Elements in elements, attributes and namespaces without end, and more octets than may be."""
    ask.find("/dav/", "<a>" * DEPTH + "</a>" * DEPTH, 400)
    ask.find("/dav/", "<a " + times(DEPTH // 2, "a{}='' ") + "/>", 400)
    ask.find("/dav/", "<a " + times(DEPTH // 4, "xmlns:n{}='u{}' ") + "/>", 400)
    ask.find("/dav/", _FIND.format("<displayname/>" * 501), 400)
    ask.find("/dav/", _FIND.format("<!--x-->" * 50_000 + "<?x?>" * 50_000 + "<displayname/>"), 207)
    ask.find("/dav/", _FIND.format("<![CDATA[" + "x" * 900_000 + "]]><displayname/>"), 207, 400)
    ask.find("/dav/", _FIND.format("x" * (XML_OCTETS_MAX + 1)), 413)
    nested = "<D:property name='owner'>" * 300 + "</D:property>" * 300
    ask.report("/dav/", f"<D:expand-property {NAMESPACES}>{nested}</D:expand-property>", 400, depth="0")


def names_that_multiply(ask: Ask) -> None:
    """What is asked for and missing stands in the answer for every item."""
    count = 2000 if ask.full else 100
    for number in range(count):
        card = f"BEGIN:VCARD\r\nVERSION:3.0\r\nUID:{number}\r\nFN:a\r\nEND:VCARD\r\n"
        ask("PUT", f"{CARDS}m{number}.vcf", card, 201, 204)
    for size, wanted in ((900_000, (400,)), (60_000, (207, 403))):
        prop = f'<D:prop><x:a xmlns:x="{"u" * size}"/></D:prop>'
        ask.find(CARDS, f"<D:propfind {NAMESPACES}>{prop}</D:propfind>", *wanted)
        sync = f"<D:sync-token/><D:sync-level>1</D:sync-level>{prop}"
        ask.report(CARDS, f"<D:sync-collection {NAMESPACES}>{sync}</D:sync-collection>", *wanted)
        hrefs = times(count, f"<D:href>{CARDS}m{{}}.vcf</D:href>")
        ask.report(CARDS, f"<A:addressbook-multiget {NAMESPACES}>{prop}{hrefs}</A:addressbook-multiget>", *wanted)
    many = '<D:property name="supported-report-set"/>' * 490
    body = f'<D:expand-property {NAMESPACES}><D:property name="owner">{many}</D:property></D:expand-property>'
    for home in HOMES:
        ask.report(home, body, 207, 403)
    for number in range(count):
        ask("DELETE", f"{CARDS}m{number}.vcf", b"", 204)


def ten_thousand_hrefs(ask: Ask) -> None:
    """A multiget of what is not there, of what is elsewhere, and of the same again and again."""
    count = 40_000 if ask.full else 10_000
    for href in (
        f"{CARDS}{{}}",
        "x{}",
        "%2e%2e/{}",
        "//{}",
        "http://[/{}",
        "/dav/contacts/bob/contacts/{}.vcf",
        "same",
    ):
        body = f"<D:prop><D:getetag/></D:prop>{times(count, f'<D:href>{href}</D:href>')}"
        ask.report(
            CARDS,
            f"<A:addressbook-multiget {NAMESPACES}>{body}</A:addressbook-multiget>"[:XML_OCTETS_MAX],
            207,
            400,
            413,
        )


def conditions_without_end(ask: Ask) -> None:
    """Filters of many conditions, in each other and beside each other, and a text that is a megabyte."""
    deep = '<C:comp-filter name="VEVENT">' * 200 + "</C:comp-filter>" * 200
    wide = times(300, '<C:prop-filter name="P{}"/>')
    calendars = HOMES[1] + "calendar/"
    for inside in (deep, wide):
        whole = f'<C:filter><C:comp-filter name="VCALENDAR">{inside}</C:comp-filter></C:filter>'
        ask.report(calendars, f"<C:calendar-query {NAMESPACES}>{whole}</C:calendar-query>", 403, 400)
    for collation in ("i;unicode-casemap", "i;octet"):
        text = f'<A:text-match collation="{collation}">{"é" * 400_000}</A:text-match>'
        query = f'<A:filter><A:prop-filter name="FN">{text}</A:prop-filter></A:filter>'
        ask.report(CARDS, f"<A:addressbook-query {NAMESPACES}>{query}</A:addressbook-query>", 207)


ATTACKS: Final[tuple[Attack, ...]] = (
    billion_laughs,
    documents_elsewhere,
    depth_and_size,
    names_that_multiply,
    ten_thousand_hrefs,
    conditions_without_end,
)
