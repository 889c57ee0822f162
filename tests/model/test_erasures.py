"""Which bytes are erased: those that an order names, up to its record, once it was begun."""

from __future__ import annotations

import msgspec
import pytest

from keepwell.model.erasures import Cause, Erased, ErasureOrder, Erasures, order_name, parse_order, render_order
from keepwell.model.errors import Damaged
from keepwell.model.record import Facts, digest_of
from tests.vault.journals import ANNA, BERT, Journal

SECRET = digest_of(b"secret")
MOMENT = "2026-11-23T08:00:00.000000Z"
ORDER = ErasureOrder(
    id="aaaa",
    cause=Cause.REQUEST,
    made_at=MOMENT,
    due_at=MOMENT,
    begun_at=MOMENT,
    erased={ANNA: Erased(4, (SECRET,))},
)


def facts() -> list[Facts]:
    """Records 3 to 6 put the secret, other bytes, the secret again, and remove it."""
    journal = Journal()
    journal.put("bob", b"secret")
    journal.put("eve", b"other")
    journal.put("bob", b"secret")
    journal.remove("bob")
    return [one.record.facts for one in journal.carried]


def test_an_order_names_puts_of_its_bytes_up_to_its_record() -> None:
    """Not other bytes, not what came again later, no record that puts nothing, and nobody else's."""
    erasures = Erasures([ORDER])
    assert [one.seq for one in facts() if erasures.names(one)] == [3]
    assert not any(erasures.names(msgspec.structs.replace(one, account=BERT)) for one in facts())
    assert erasures.accounts() == [ANNA]
    assert erasures.of(BERT) == {}


def test_of_several_orders_the_one_that_reaches_farthest_counts() -> None:
    """Whatever their order; so what came again and was erased again is named twice."""
    later = msgspec.structs.replace(ORDER, id="bbbb", erased={ANNA: Erased(5, (SECRET,))})
    for orders in ([ORDER, later], [later, ORDER]):
        erasures = Erasures(orders)
        assert [one.seq for one in facts() if erasures.names(one)] == [3, 5]
        assert erasures.of(ANNA) == {SECRET: 5}


def test_a_mark_names_nothing() -> None:
    """It can be taken back."""
    assert Erasures([msgspec.structs.replace(ORDER, begun_at="")]).accounts() == []


def test_an_order_is_read_as_it_was_written_and_fields_unknown_here_are_passed_over() -> None:
    """A newer Keepwell may say more."""
    body = render_order(ORDER)
    assert parse_order(body) == ORDER
    assert parse_order(body.replace(b'"id"', b'"new": [1], "id"')) == ORDER
    assert order_name(ORDER) == "request-aaaa.json"


@pytest.mark.parametrize("body", [b"", b"{}", b"\xff", b'{"id": 1}'])
def test_an_order_that_cannot_be_read_is_damage(body: bytes) -> None:
    """It is never taken for one that names nothing."""
    with pytest.raises(Damaged):
        parse_order(body)
