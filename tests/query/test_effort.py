"""The effort of a query: conditions and lines multiply, and what they come to is bounded."""

from collections.abc import Callable
from datetime import UTC

import pytest

from keepwell.formats.contentlines import Component, parse
from keepwell.services.query import calendar_match, card_match, effort
from keepwell.services.query.calendar_filter import CompFilter, ParamFilter, PropFilter
from keepwell.services.query.card_filter import CardFilter, CardPropFilter, Combination
from keepwell.services.query.card_index import cost_of
from keepwell.services.query.collation import Collation, TextMatch
from keepwell.services.query.effort import Effort, TooManyComparisons
from tests.query.building import alarm, calendar, event, span

OBJECT_MAX = 1000
NEVER = TextMatch("never", Collation.UNICODE_CASEMAP)
LAST = TextMatch("last", Collation.UNICODE_CASEMAP)
FAR = span("20300101T000000", "20300102T000000")
EVENT = ("DTSTART:20260105T090000Z", "DURATION:PT1H")


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """An object may cost little here, so that small ones show what large ones do."""
    monkeypatch.setattr(effort, "COMPARISONS_PER_OBJECT", OBJECT_MAX)


def asking(*conditions: PropFilter, alarms: int = 0) -> CompFilter:
    """The filter of these conditions on an event, and of so many on its alarms, all of which must hold."""
    many = tuple(CompFilter("VALARM", time_range=FAR) for _ in range(alarms))
    return CompFilter("VCALENDAR", comp_filters=(CompFilter("VEVENT", prop_filters=conditions, comp_filters=many),))


def lines(count: int) -> list[str]:
    """So many lines of one name, of which the last is another."""
    return ["X:first"] * (count - 1) + ["X:last"]


def finds(parsed: Component, wanted: CompFilter, limit: int = 1_000_000) -> bool:
    return calendar_match.matches(parsed, wanted, UTC, effort=Effort(limit))


TEXT, ABSENT = PropFilter("X", text_match=LAST), PropFilter("X", text_match=NEVER)
IN_TYPE = ParamFilter("TYPE", text_match=LAST)


@pytest.mark.parametrize(
    ("few", "many"),
    [
        ((lines(10), asking(TEXT, ABSENT)), (lines(100), asking(*[TEXT] * 20, ABSENT))),
        ((["X:" + "é" * 90], asking(ABSENT)), (["X:" + "é" * 90_000], asking(ABSENT))),
        (
            ([f"X;TYPE={','.join(['a'] * 10)}:x"], asking(PropFilter("X", param_filters=(IN_TYPE,)))),
            ([f"X;TYPE={','.join(['a'] * 2000)}:x"], asking(PropFilter("X", param_filters=(IN_TYPE,)))),
        ),
        (
            ([alarm("TRIGGER:-PT1S")] * 2, asking(ABSENT, alarms=2)),
            ([alarm("TRIGGER:-PT1S")] * 200 + [alarm("TRIGGER;VALUE=DATE-TIME:20300101T000500Z")], asking(alarms=9)),
        ),
    ],
    ids=["lines", "a long text", "parameters", "alarms"],
)
def test_an_object_that_costs_too_much_is_shown(
    few: tuple[list[str], CompFilter], many: tuple[list[str], CompFilter]
) -> None:
    """What can be decided within the limit is; what cannot is shown, and other objects are not concerned."""
    assert finds(calendar(event(*EVENT, *few[0])), few[1]) is False
    effort = Effort(1_000_000)
    assert calendar_match.matches(calendar(event(*EVENT, *many[0])), many[1], UTC, effort=effort) is True
    assert calendar_match.matches(calendar(event(*EVENT)), asking(ABSENT), UTC, effort=effort) is False


def test_a_request_that_costs_too_much_is_refused() -> None:
    """Objects that are each within the limit are not, when they are many."""
    parsed, effort = calendar(event(*EVENT, *lines(100))), Effort(1000)
    wanted = asking(TEXT)
    assert [calendar_match.matches(parsed, wanted, UTC, effort=effort) for _ in range(5)] == [True] * 5
    with pytest.raises(TooManyComparisons, match="more than 1,000 comparisons"):
        calendar_match.matches(parsed, wanted, UTC, effort=effort)


def card(*own: str) -> Component:
    return parse("\r\n".join(["BEGIN:VCARD", "VERSION:3.0", "FN:a", *own, "END:VCARD", ""]).encode()).components[0]


def on_x(group: str = "") -> CardFilter:
    """Twenty conditions that hold and one that does not, all of which must."""
    hold = [CardPropFilter("X", text_matches=(LAST,)) for _ in range(20)]
    return CardFilter(Combination.ALLOF, (*hold, CardPropFilter("X", group, text_matches=(NEVER,))))


def test_a_card_that_costs_too_much_is_shown() -> None:
    """The same of cards."""
    assert card_match.matches(card(*lines(5)), on_x()) is False
    assert card_match.matches(card(*lines(100)), on_x()) is True
    with pytest.raises(TooManyComparisons):
        card_match.matches(card(*lines(40)), on_x(), Effort(100))


@pytest.mark.parametrize("text", ["", "x" * 100_000])
def test_looking_at_the_index_is_counted(text: str) -> None:
    """Each condition and each long text costs."""
    one, many = CardFilter(prop_filters=(CardPropFilter("X"),)), on_x()
    assert 1 <= cost_of(one, text) < cost_of(many, text)
    assert cost_of(one, "") < cost_of(one, "x" * 100_000)


Spending = Callable[[Effort], None]


@pytest.mark.parametrize("spend", [lambda one: one.spend(11), lambda one: one.accepts(LAST, "x" * 10_000)])
def test_what_an_object_costs_is_taken_from_the_request(spend: Spending) -> None:
    """Both know when they are spent, and which of the two it was."""
    request = Effort(10)
    own = request.of_object()
    with pytest.raises(TooManyComparisons):
        spend(own)
    assert (own.is_spent, request.is_spent) == (False, True)
