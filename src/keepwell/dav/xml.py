"""XML in and out: requests are parsed by lxml, answers are written as text.

Promises: nothing outside the request is read and nothing in it is expanded (no DTD, entities or network); what is
written can be read by every XML 1.0 parser, because `clean` drops the characters that XML cannot carry. One card with
a control character must not stop a client's whole sync.
"""

from __future__ import annotations

import re
from typing import Final

from lxml import etree

from keepwell.dav.names import PREFIXES, clark, split
from keepwell.formats.xmltext import fits_xml, for_xml
from keepwell.model.errors import BadRequest

XML_OCTETS_MAX: Final = 1024 * 1024
"""Largest XML request, in bytes."""

_namespace = re.compile(r'[^\s<>"{}|\\^`]*')
_RESERVED: Final = frozenset({"http://www.w3.org/XML/1998/namespace", "http://www.w3.org/2000/xmlns/"})

_special = re.compile(r'[&<>"\r]|[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]')
_uncarried = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def parse_request(body: bytes) -> etree._Element | None:
    """The root element of a request; None when there is no body. Raises BadRequest."""
    if not body.strip():
        return None
    if b"<!DOCTYPE" in body:
        raise BadRequest("the XML of the request has a document type declaration, which is not read here")
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise BadRequest(f"the XML of the request cannot be read: {error}") from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise BadRequest("the XML of the request has a document type declaration, which is not read here")
    return root


def property_name(tag: str) -> str:
    """The Clark name of a property, from an lxml tag. Raises BadRequest unless an answer can have such an element.

    lxml takes namespaces that are no URIs, and `xml:` names, which no prefix of an answer can stand for (Namespaces in
    XML 1.0 section 3).
    """
    name = clark(tag)
    namespace = name[1:].rpartition("}")[0]
    if namespace in _RESERVED or _namespace.fullmatch(namespace) is None:
        raise BadRequest(f"{namespace!r} cannot be the namespace of a property")
    return name


def clean(text: str) -> str:
    """`text` without the characters that XML 1.0 cannot carry (XML 1.0 section 2.2)."""
    return _uncarried.sub("", text)


def escape(text: str) -> str:
    """`text` as element content or in a quoted attribute; a carriage return is kept by reference."""
    if _special.search(text) is None:
        return text
    text = clean(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
    return text.replace("\r", "&#13;")


def escape_octets(body: bytes) -> str:
    """The content of an item as element content, clean.

    Line ends go as plain line feeds: parsers make that of CRLF anyway (XML 1.0 section 2.11), and a reference per
    line would make answers a tenth longer.
    """
    text = body.decode() if fits_xml(body) else for_xml(body)
    text = text.replace("\r\n", "\n")
    if "&" in text:
        text = text.replace("&", "&amp;")
    if "<" in text or ">" in text:
        text = text.replace("<", "&lt;").replace(">", "&gt;")
    return text.replace("\r", "&#13;") if "\r" in text else text


def empty(name: str) -> str:
    """An empty element of this Clark name."""
    return wrap(name, "")


def wrap(name: str, inner: str) -> str:
    """An element of this Clark name around XML text; names of foreign namespaces declare their own."""
    namespace, local = split(name)
    prefix = PREFIXES.get(namespace)
    if prefix is not None:
        tag, opening = f"{prefix}:{local}", f"{prefix}:{local}"
    elif namespace:
        tag, opening = f"x:{local}", f'x:{local} xmlns:x="{escape(namespace)}"'
    else:
        tag, opening = local, local
    return f"<{opening}>{inner}</{tag}>" if inner else f"<{opening}/>"


def href(path: str) -> str:
    """A `DAV:href` of an encoded path or URI."""
    return f"<D:href>{escape(path)}</D:href>"


def text_of(element: etree._Element) -> str:
    """The text of an element and its descendants, without white space around it."""
    return "".join(str(part) for part in element.itertext()).strip()
