"""vCard: what must be known of a card before it is kept (RFC 6350, RFC 2426, vCard 2.1; RFC 6352 5.1).

For: deciding on every PUT whether the octets are one card, and taking from them what lists and searches need.

Promises: what is accepted is well-formed, holds exactly one card, and has a known VERSION. Nothing else is
demanded, because real exports lack FN, N or UID and their owners want them back all the same. A refusal names
the line and its precondition. It runs on the event loop, so it costs microseconds and is linear in the size.

Leaves to others: what a card without UID shall get (``split`` gives it one, a PUT may refuse it), and
uniqueness.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final

import msgspec

from keepwell.formats.contentlines import parse_parameters
from keepwell.formats.refusals import DEFAULT_CAPS, Caps, InvalidContent
from keepwell.formats.rows import Block, Row, Rows, outline, property_name, read_rows
from keepwell.formats.texts import from_quoted_printable, unescape
from keepwell.formats.xmltext import fits_xml

#: The known versions, also as some programs abbreviate them.
VERSIONS: Final[Mapping[str, str]] = {"2.1": "2.1", "3.0": "3.0", "4.0": "4.0", "3": "3.0", "4": "4.0"}

#: Longer values are cut to this in ``CardFacts.texts``; ``CardFacts.truncated`` says that one was.
TEXT_CHARACTERS_MAX: Final = 1_000

#: What short parameters say of the encoding is remembered; they repeat from card to card.
_REMEMBERED_CHARACTERS: Final = 64

#: Properties that carry pictures, sounds and keys; nobody searches their text.
BINARY_PROPERTIES: Final = frozenset({"PHOTO", "LOGO", "SOUND", "KEY"})


class CardFacts(msgspec.Struct, frozen=True, gc=False):
    """What is known of an accepted card.

    ``uid`` is empty when it has none. ``full_name`` is FN or, without one, the parts of N. ``texts`` holds
    upper-case name and decoded value of each property that is not binary, in order. ``control_characters``
    means that XML cannot carry the card as it stands (``xmltext.for_xml`` makes it fit).
    """

    version: str
    uid: str
    full_name: str
    texts: tuple[tuple[str, str], ...]
    truncated: bool
    control_characters: bool


def examine(data: bytes, caps: Caps = DEFAULT_CAPS) -> CardFacts:
    """The facts of the one card in the octets; raises InvalidContent when they are not one valid card."""
    try:
        found = read_rows(data, caps)
        card = _only_card(found, outline(found, caps))
        texts = _texts([found.rows[index] for index in card.direct()])
        first = dict(reversed(texts))
        return _facts(data, texts, first, _version(found, card, first))
    except InvalidContent as refusal:
        refusal.condition = refusal.condition or "valid-address-data"
        raise


def _only_card(found: Rows, blocks: list[Block]) -> Block:
    if not blocks:
        raise InvalidContent(0, "there is no card in it")
    for block in blocks:
        if block.name != "VCARD":
            reason = f"BEGIN:{block.name} found where BEGIN:VCARD was expected"
            raise InvalidContent(found.number(block.begin), reason, condition="supported-address-data")
    if len(blocks) > 1:
        reason = "a second card begins here, and a resource holds exactly one"
        raise InvalidContent(found.number(blocks[1].begin), reason)
    for inner in blocks[0].blocks():
        _check_inner(found, inner)
    return blocks[0]


def _check_inner(found: Rows, inner: Block) -> None:
    # vCard 2.1 puts the card of an agent into the card; without AGENT before it, an END is missing.
    if inner.name == "VCARD" and property_name(found.rows[inner.begin - 1]) != "AGENT":
        raise InvalidContent(found.number(inner.begin), "BEGIN:VCARD found where END:VCARD was expected")


def _version(found: Rows, card: Block, first: Mapping[str, str]) -> str:
    version = _value(first, "VERSION")
    if version in VERSIONS:
        return VERSIONS[version]
    number = next(
        (found.number(row) for row in card.direct() if property_name(found.rows[row]) == "VERSION"),
        found.number(card.begin),
    )
    reason = f"VERSION is {version!r}, and only 2.1, 3.0 and 4.0 are known" if version else "the card has no VERSION"
    raise InvalidContent(number, reason, condition="supported-address-data")


def _facts(data: bytes, texts: list[tuple[str, str]], first: Mapping[str, str], version: str) -> CardFacts:
    # No value has more characters than the card has octets.
    truncated = len(data) > TEXT_CHARACTERS_MAX and any(len(value) > TEXT_CHARACTERS_MAX for _, value in texts)
    return CardFacts(
        version=version,
        uid=_value(first, "UID"),
        full_name=_value(first, "FN") or _name_from_parts(_value(first, "N")),
        texts=tuple([(name, value[:TEXT_CHARACTERS_MAX]) for name, value in texts] if truncated else texts),
        truncated=truncated,
        control_characters=not fits_xml(data),
    )


def _texts(rows: Iterable[Row]) -> list[tuple[str, str]]:
    texts = []
    for row in rows:
        name, parameters, value = property_name(row), row[2], row[3]
        if name in BINARY_PROPERTIES:
            continue
        if parameters:
            is_short = len(parameters) <= _REMEMBERED_CHARACTERS
            encoding = _remembered_encoding(parameters) if is_short else _encoding(parameters)
            if encoding in ("B", "BASE64"):
                continue
            if encoding == "QUOTED-PRINTABLE":
                value = from_quoted_printable(value, _parameter(parameters, "CHARSET"))
        texts.append((name, unescape(value)))
    return texts


def _encoding(parameters: str) -> str:
    # Few properties have an encoding, and those that do are told from the others faster than they are read.
    upper = parameters.upper()
    if "ENCODING" in upper or "QUOTED" in upper or "BASE64" in upper:
        return _parameter(parameters, "ENCODING").upper()
    return ""


_remembered_encoding = lru_cache(maxsize=4096)(_encoding)


def _parameter(parameters: str, name: str) -> str:
    return next((one.values[0] for one in parse_parameters(parameters) if one.name == name), "")


def _value(first: Mapping[str, str], name: str) -> str:
    return first.get(name, "").strip(" \t\r")


def _name_from_parts(parts: str) -> str:
    # RFC 6350 6.2.2: family; given; additional; prefixes; suffixes.
    family, given, additional, prefix, suffix, *_ = (*parts.split(";"), "", "", "", "", "")
    return " ".join(word for word in (prefix, given, additional, family, suffix) if word)
