"""Records prove themselves and each other; anyone can check them with jq and sha256sum."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepwell.model.errors import Damaged
from keepwell.model.names import AccountId, Digest, Kind, Lineage
from keepwell.model.record import GENESIS, Facts, Op, Record, canonical, check_link, digest_of, seal

text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x7f"), max_size=20)


def facts(sequence: int = 1, previous: str = GENESIS, **others: object) -> Facts:
    given_fields = {"op": Op.PUT, "kind": Kind.CONTACTS, "collection": "friends", "name": "bob.vcf"} | others
    return msgspec.convert(
        {
            "account": "a_annaannaannaanna",
            "at": "2026-11-23T08:58:54.123456Z",
            "by": "app-password:phone",
            "lineage": "lineage",
            "seq": sequence,
            "prev": previous,
            **given_fields,
        },
        Facts,
    )


def test_a_chain_is_accepted() -> None:
    """Records sealed one after the other follow each other."""
    first = seal(facts())
    check_link(None, first)
    check_link(first, seal(facts(2, first.hash)))


@pytest.mark.parametrize(
    "broken",
    [
        lambda first: seal(facts(3, first.hash)),
        lambda first: seal(facts(2, GENESIS)),
        lambda first: Record(facts(2, first.hash, name="eve.vcf"), seal(facts(2, first.hash)).hash),
        lambda first: Record(facts(2, first.hash), "0" * 64),
    ],
    ids=["a gap", "another record before", "a field changed", "another hash"],
)
def test_a_broken_link_is_named(broken: object) -> None:
    """A gap, a foreign predecessor, a changed field and a changed hash are each found."""
    first = seal(facts())
    assert callable(broken)
    with pytest.raises(Damaged, match=r"record [23] of a_anna"):
        check_link(first, broken(first))


@given(name=text, uid=text, by=text, size=st.integers(0, 2**53 - 1), properties=st.dictionaries(text, text))
def test_the_canonical_form_is_sorted_json(name: str, uid: str, by: str, size: int, properties: dict[str, str]) -> None:
    """The hashed bytes are the record's JSON with sorted keys and nothing else, absent fields left out."""
    octets = canonical(facts(name=name, uid=uid, by=by, size=size, properties=properties))
    fields = json.loads(octets)
    again = json.dumps(fields, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    assert octets.decode() == again
    assert fields["op"] == "put"
    assert "digest" not in fields


def test_jq_and_sha256sum_agree() -> None:
    """`jq -cS` prints exactly the bytes that the hash covers, also for control characters and other scripts."""
    if shutil.which("jq") is None:
        pytest.fail("this test needs jq: apt-get install jq")
    record = seal(facts(name='tab\t line\n bell\x07 del\x7f ünï 漢字 \U0001f600 "quoted\\"', digest=digest_of(b"")))
    line = json.dumps(json.loads(canonical(record.facts)) | {"hash": record.hash, "body": "BEGIN:VCARD"})
    printed = subprocess.run(
        ["jq", "-cSj", "del(.hash,.body)"], input=line.encode(), capture_output=True, check=True
    ).stdout
    assert hashlib.sha256(printed).hexdigest() == record.hash


def test_types_are_what_they_say() -> None:
    """A sealed record keeps its facts."""
    record = seal(facts(digest=digest_of(b"x")))
    assert record.facts.account == AccountId("a_annaannaannaanna")
    assert record.facts.lineage == Lineage("lineage")
    assert record.facts.digest == Digest(hashlib.sha256(b"x").hexdigest())
