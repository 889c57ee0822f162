"""Real files: what programs really wrote comes back as it was, and what is refused is refused for a reason."""

import pytest
from tests.support.corpus import corpus_files

from keepwell.formats import icalendar, vcard
from keepwell.formats.contentlines import InvalidContent, parse, render
from keepwell.formats.split import Good, sniff, split_calendar, split_cards


def _reason(data: bytes) -> str:
    try:
        parse(data)
    except InvalidContent as refusal:
        return str(refusal)
    return ""


def test_every_well_formed_file_is_rendered_octet_for_octet() -> None:
    """Parsing and rendering changes no octet of any file that is accepted."""
    accepted = [path for path in corpus_files(".vcf", ".ics") if not _reason(path.read_bytes())]
    assert [path for path in accepted if render(parse(path.read_bytes())) != path.read_bytes()] == []
    assert len(accepted) > 300


@pytest.mark.parametrize(("suffix", "kind"), [(".vcf", "address"), (".ics", "calendar")])
def test_every_refusal_has_a_precondition(suffix: str, kind: str) -> None:
    """No real file makes the examination fail in another way than refused, with its precondition."""
    examine = vcard.examine if suffix == ".vcf" else icalendar.examine
    for path in corpus_files(suffix):
        try:
            facts = examine(path.read_bytes())
        except InvalidContent as refusal:
            named = refusal.condition
            assert kind in named, path
        else:
            assert facts.uid or suffix == ".vcf", path


def test_every_good_piece_of_a_file_is_valid() -> None:
    """Splitting finds thousands of resources in the files, each of which a PUT would take."""
    good = 0
    for path in corpus_files(".vcf", ".ics"):
        data = path.read_bytes()
        kind = sniff(data)
        split, examine = (split_cards, vcard.examine) if kind == "vcard" else (split_calendar, icalendar.examine)
        for piece in split(data):
            if isinstance(piece, Good):
                assert examine(piece.body).uid == piece.uid, path
                good += 1
    assert good > 4_000
