"""Every real file of the corpus, and every seed of fuzzing, PUT over the protocol: stored verbatim, or refused.

A file that is stored comes back octet for octet under the strong entity tag that the PUT gave; one that is refused is
refused with a precondition and a sentence. The corpus lies beside the checkout (`KEEPWELL_CORPUS` names another place);
where there is none, the seeds alone are put.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from lxml import etree

from prove.case import Case, Unit
from prove.client import Answer, Client
from prove.fuzz.target import CORPUS as SEEDS
from prove.siege import ATTACKER, Siege, siege

FOLDER: Final = Path(os.environ.get("KEEPWELL_CORPUS", Path(__file__).parents[2] / "shared" / "corpus"))
PLACES: Final = {
    ".vcf": f"/dav/contacts/{ATTACKER}/contacts/",
    ".ics": f"/dav/calendars/{ATTACKER}/calendar/",
    "": f"/dav/photos/{ATTACKER}/photos/",
}
"""Where a file of this ending belongs; a file of photos can be anything."""
OTHER_CALENDARS: Final = (f"/dav/calendars/{ATTACKER}/tasks/", f"/dav/calendars/{ATTACKER}/notes/")
REFUSED: Final = frozenset({403, 409, 413, 415})
_ERROR: Final = "{DAV:}error"
_MESSAGE: Final = "{https://keepwell.invalid/ns}message"


def run(unit: Unit) -> None:
    """Each file where it belongs, and as a file among the photos."""
    with siege(unit) as under:
        client = under.client()
        for path in _files(full=unit.full):
            body = path.read_bytes()
            _put(under, client, PLACES.get(path.suffix, PLACES[""]), path, body)
            if path.suffix == ".ics":
                for place in OTHER_CALENDARS:
                    _put(under, client, place, path, body)
            if unit.full:
                _put(under, client, PLACES[""], path, body)
        client.close()
    unit.require_that(unit.figures["files stored verbatim"] > 0, "not one file was stored")


def _files(*, full: bool) -> Iterator[Path]:
    """Of the corpus every file, in the small size every fourth; and all seeds."""
    real = sorted(path for path in FOLDER.rglob("*") if path.is_file())
    yield from real if full else real[::4]
    yield from sorted(path for path in SEEDS.rglob("*") if path.is_file())


def _put(under: Siege, client: Client, place: str, path: Path, body: bytes) -> None:
    """Store, read back, remove; or read why not. Raises FailedError."""
    where = f"{place}file{path.suffix}"
    answer = under.require_fair(client.ask("PUT", where, body), f"{where} from {path}")
    if answer.status != 201:
        under.unit.figures["files refused"] += 1
        reason = _reason(answer)
        under.unit.require_that(
            answer.status in REFUSED and reason != "", f"{path}: {answer.status} {answer.body[:300]!r}"
        )
        return
    under.unit.figures["files stored verbatim"] += 1
    again = client.ask("GET", where)
    tag = answer.headers.get("etag", "")
    same = again.body == body and again.headers.get("etag") == tag and tag.startswith('"')
    under.unit.require_that(same, f"{path}: came back otherwise, as {again.status} {again.headers}")
    under.require_fair(client.ask("DELETE", where), f"removing {where}")


def _reason(answer: Answer) -> str:
    """The precondition and the sentence of a refusal; empty when one of them is missing."""
    try:
        root = etree.fromstring(answer.body)
    except etree.XMLSyntaxError:
        return ""
    conditions = [str(child.tag) for child in root if child.tag != _MESSAGE]
    message = root.findtext(_MESSAGE) or ""
    return f"{conditions[0]} {message}" if root.tag == _ERROR and conditions and message else ""


CASE: Final = Case("corpus", "every real file is stored verbatim or refused with a reason", run)
