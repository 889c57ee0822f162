"""Journal lines: what is rendered parses to the same, and nothing that was changed passes for it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepwell.model.errors import Damaged
from keepwell.model.record import Record, is_proven
from keepwell.vault.lines import Line, TailLines, parse_exact_line, parse_lines, parse_tail, render_line
from tests.vault.journals import Journal


def lines_of(journal: Journal) -> bytes:
    return b"".join(render_line(one) for one in journal.carried)


@given(body=st.binary(max_size=200), name=st.text(min_size=1, max_size=20).filter(lambda text: text.isprintable()))
def test_whatever_is_rendered_parses_to_the_same(body: bytes, name: str) -> None:
    """Record and bytes survive, whatever the bytes are: UTF-8 travels as text, the rest as base64."""
    journal = Journal()
    journal.put(name, body)
    found = parse_lines(lines_of(journal))
    assert found == [Line(one.record, one.body) for one in journal.carried]


def test_bytes_in_a_blob_are_named() -> None:
    """With a blob the line names the object and has no bytes."""
    journal = Journal()
    journal.put("bob")
    [line] = parse_lines(render_line(journal.carried[-1], "blobs/ab/abc"))
    assert (line.body, line.blob) == (None, "blobs/ab/abc")


def test_a_changed_field_is_found() -> None:
    """A record whose name was changed does not prove itself."""
    journal = Journal()
    journal.put("bob")
    with pytest.raises(Damaged, match=r"record 3 of .*: its hash does not match its fields"):
        parse_lines(lines_of(journal).replace(b'"bob"', b'"rob"'))


def test_changed_bytes_are_found() -> None:
    """Bytes that are not those of the digest are found."""
    journal = Journal()
    journal.put("bob", b"one")
    with pytest.raises(Damaged, match="the bytes it brings do not match its digest"):
        parse_lines(lines_of(journal).replace(b'"one"', b'"two"'))


@pytest.mark.parametrize("text", ["//?4=", "//4", "é"], ids=["another sign", "cut off", "no ASCII"])
def test_bytes_that_are_no_base64_are_found(text: str) -> None:
    """What is no text travels as base64, all of which is read strictly."""
    journal = Journal()
    journal.put("bob", b"\xff\xfe")
    octets = lines_of(journal)
    assert parse_lines(octets)[-1].body == b"\xff\xfe"
    with pytest.raises(Damaged, match=r"record 3 of .*: its bytes are no base64"):
        parse_lines(octets.replace(b'"//4="', f'"{text}"'.encode()))


def test_a_record_with_fields_of_a_newer_format_proves_itself() -> None:
    """What is not known here is covered by the hash all the same, and does not make a record wrong."""
    journal = Journal()
    fields = json.loads(render_line(journal.carried[0]))
    fields["colour"] = "blue"
    del fields["hash"]
    canonical = json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()
    import hashlib

    fields["hash"] = hashlib.sha256(canonical).hexdigest()
    [line] = parse_lines(json.dumps(fields).encode() + b"\n")
    assert line.strange
    assert not is_proven(line.record)
    fields["colour"] = "red"
    with pytest.raises(Damaged):
        parse_lines(json.dumps(fields).encode() + b"\n")


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_tail_that_was_cut_off_gives_what_is_whole(cut: int) -> None:
    """A crash in the middle of the last line leaves the lines before it; of that line nothing counts."""
    journal = Journal()
    journal.put("bob")
    found = parse_tail(lines_of(journal)[:-cut])
    assert records(found) == [one.record for one in journal.carried[:2]]
    assert (found.damaged, found.ends_broken) == (0, True)


@pytest.mark.parametrize("behind", [b"\n" * 1000, b'{"account":' + b"\n" * 1000, b"\n" * 10 + b"\0" * 1000])
def test_space_taken_beforehand_is_no_line(behind: bytes) -> None:
    """Line feeds behind the lines of a tail, a line begun in them, and zeros of a crash are nothing confirmed."""
    journal = Journal()
    journal.put("bob")
    found = parse_tail(lines_of(journal) + behind)
    assert records(found) == [one.record for one in journal.carried]
    assert (found.damaged, found.ends_broken) == (0, bool(behind.strip()))


def test_what_stands_behind_a_damaged_line_of_a_tail_is_read() -> None:
    """One flipped bit costs the line that it is in, and tells; what follows was confirmed and proves itself."""
    journal = Journal()
    for name in ("bob", "eve", "joe"):
        journal.put(name)
    octets = lines_of(journal)
    found = parse_tail(octets.replace(b'"eve"', b'"eva"'))
    assert records(found) == [one.record for one in journal.carried if one.record.facts.name != "eve"]
    assert (found.damaged, found.ends_broken) == (1, False)


def bob_and_eve() -> tuple[bytes, list[Record]]:
    """The lines of a journal with two cards, and its records."""
    journal = Journal()
    journal.put("bob", b"his card")
    journal.put("eve", b"her card")
    return lines_of(journal), [one.record for one in journal.carried]


def test_a_line_of_a_tail_that_names_its_bytes_wrongly_is_damaged() -> None:
    """The record proves itself, and would be read as one that brings none; of the last line nothing counts."""
    octets, every = bob_and_eve()
    found = parse_tail(octets.replace(b'"body":"her', b'"bodx":"her'))
    assert (records(found), found.damaged, found.ends_broken) == (every[:3], 0, True)
    found = parse_tail(octets.replace(b'"body":"his', b'"bodx":"his'))
    assert (records(found), found.lines[2].body, found.damaged) == (every, None, 1)


def test_a_line_of_a_tail_whose_bytes_are_damaged_still_gives_its_record() -> None:
    """So the chain goes on, and what is missing is known by name; of the last line nothing counts."""
    octets, every = bob_and_eve()
    found = parse_tail(octets.replace(b"his card", b"no cards"))
    assert (records(found), found.lines[2].body, found.lines[3].body) == (every, None, b"her card")
    assert records(parse_tail(octets.replace(b"her card", b"no cards"))) == every[:3]


def test_one_line_is_exactly_one() -> None:
    """A tail's line that the disk made into two or none is not as it was written."""
    journal = Journal()
    [first, second] = [render_line(one) for one in journal.carried]
    assert parse_exact_line(first).record == journal.carried[0].record
    for text in (first + second, b"\n"):
        with pytest.raises(Damaged, match="where one should be"):
            parse_exact_line(text)


def strange(journal: Journal, name: bytes) -> bytes:
    """A line with a field that is unknown here, hashed as a newer Keepwell would."""
    text = render_line(journal.carried[0]).rstrip(b"\n")
    return text[:-1] + b',"' + name + b'":1}'


def test_a_field_whose_name_is_no_text_is_damage() -> None:
    """What is unknown is decoded only to prove the line by it."""
    journal = Journal()
    unproven = strange(journal, b"\xff").replace(journal.carried[0].record.hash.encode(), b"0" * 64)
    with pytest.raises(Damaged, match="cannot be read"):
        parse_lines(unproven + b"\n")


def test_two_records_on_one_line_are_damage() -> None:
    """Nothing here writes such a line, so it cannot be told what each of them was hashed over."""
    journal = Journal()
    first = render_line(journal.carried[0]).rstrip(b"\n")
    with pytest.raises(Damaged):
        parse_lines(first + b" " + strange(journal, b"later").replace(b'"at":"2026', b'"at":"2027') + b"\n")


def records(found: TailLines) -> list[Record]:
    return [line.record for line in found.lines]
