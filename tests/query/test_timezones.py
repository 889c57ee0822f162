"""Time zones: which zone a TZID means, and which instant a clock time near a change of the clock is."""

from datetime import UTC, datetime, timedelta

import pytest

from keepwell.formats.contentlines import Component
from keepwell.formats.expansion import Budget
from keepwell.formats.times import InvalidValue, instant_of, later, parse_duration, parse_moment, parse_utc_offset
from keepwell.formats.timezones import Zones, iana_zone, zones_of
from tests.query.building import BERLIN, NEW_YORK, calendar, event

EASTERN = """BEGIN:VTIMEZONE
TZID:Office
BEGIN:STANDARD
DTSTART:20001029T020000
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10;UNTIL=20061029T060000Z
TZOFFSETFROM:-0400
TZOFFSETTO:-0500
END:STANDARD
BEGIN:STANDARD
DTSTART:20071104T020000
RRULE:FREQ=YEARLY;BYDAY=1SU;BYMONTH=11
TZOFFSETFROM:-0400
TZOFFSETTO:-0500
END:STANDARD
BEGIN:DAYLIGHT
DTSTART:20000402T020000
RRULE:FREQ=YEARLY;BYDAY=1SU;BYMONTH=4;UNTIL=20060402T070000Z
TZOFFSETFROM:-0500
TZOFFSETTO:-0400
END:DAYLIGHT
BEGIN:DAYLIGHT
DTSTART:20070311T020000
RRULE:FREQ=YEARLY;BYDAY=2SU;BYMONTH=3
TZOFFSETFROM:-0500
TZOFFSETTO:-0400
END:DAYLIGHT
END:VTIMEZONE"""


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2000, 4, 2, 1, 59, 59),
        datetime(2000, 4, 2, 2, 30),
        datetime(2000, 4, 2, 3),
        datetime(2003, 7, 1),
        datetime(2006, 12, 31, 23),
        datetime(2007, 3, 11, 2, 30),
        datetime(2007, 3, 20),
        datetime(2026, 3, 8, 1, 59, 59),
        datetime(2026, 3, 8, 2),
        datetime(2026, 3, 8, 2, 59, 59),
        datetime(2026, 3, 8, 3),
        datetime(2026, 11, 1, 0, 59),
        datetime(2026, 11, 1, 1, 30),
        datetime(2026, 11, 1, 2),
        datetime(2099, 12, 31),
    ],
)
def test_described_zone_agrees_with_the_database(moment: datetime) -> None:
    """A VTIMEZONE with the rules of New York gives the instants of New York, gaps and repeated hours included."""
    zone = zones_of(calendar(EASTERN, event("DTSTART:20260101T000000Z"))).named("Office")

    assert zone is not None
    assert instant_of(moment, zone) == instant_of(moment, NEW_YORK)


def test_time_in_a_gap_is_read_with_the_offset_before_it() -> None:
    """02:30 on the night that has no 02:30 is 03:30 summer time (RFC 5545 3.3.5)."""
    assert instant_of(datetime(2026, 3, 29, 2, 30), BERLIN) == instant_of(datetime(2026, 3, 29, 3, 30), BERLIN)


def test_time_that_occurs_twice_is_its_first_occurrence() -> None:
    """02:30 on the night that has it twice is the one in summer time (RFC 5545 3.3.5)."""
    assert instant_of(datetime(2026, 10, 25, 2, 30), BERLIN) == instant_of(datetime(2026, 10, 25, 0, 30), UTC)


def test_name_of_the_database_wins_over_a_description() -> None:
    """A VTIMEZONE that describes Berlin wrongly does not move appointments in Berlin."""
    wrong = EASTERN.replace("TZID:Office", "TZID:Europe/Berlin")

    assert zones_of(calendar(wrong)).named("Europe/Berlin") == BERLIN


@pytest.mark.parametrize(
    ("tzid", "name"),
    [
        ("W. Europe Standard Time", "Europe/Berlin"),
        ("/mozilla.org/20070129_1/America/New_York", "America/New_York"),
        ("/freeassociation.sourceforge.net/Tzfile/America/Argentina/Buenos_Aires", "America/Argentina/Buenos_Aires"),
        ("/Europe/Stockholm", "Europe/Stockholm"),
        ("UTC", "UTC"),
    ],
)
def test_foreign_name_is_understood(tzid: str, name: str) -> None:
    """Names of Windows and prefixed names mean what the programs that write them mean."""
    assert zones_of(calendar()).named(tzid) == iana_zone(name)


@pytest.mark.parametrize("tzid", ["Nowhere/Atlantis", "", "../../etc/passwd", "America", "x" * 5000, "\0", "/"])
def test_unknown_name_has_no_zone(tzid: str) -> None:
    """A TZID that nothing explains is no zone and no error."""
    assert zones_of(calendar()).named(tzid) is None


@pytest.mark.parametrize(
    "rule", ["FREQ=SECONDLY", "FREQ=DAILY;BYHOUR=0,1,2,3,4,5,6,7,8,9,10,11,12;BYMINUTE=0,1,2,3,4,5,6,7,8,9", "FREQ=X"]
)
def test_absurd_description_costs_bounded_work(rule: str) -> None:
    """A VTIMEZONE whose clock changes all the time is answered at once, somehow."""
    text = EASTERN.replace("FREQ=YEARLY;BYDAY=1SU;BYMONTH=11", rule)
    zone = zones_of(calendar(text)).named("Office")

    assert zone is None or zone.utcoffset(datetime(2026, 6, 1)) is not None


@pytest.mark.parametrize(
    ("text", "days", "seconds"),
    [("P1W", 7, 0), ("P1DT2H", 1, 7200), ("-PT15M", 0, -900), ("+PT5S", 0, 5), ("PT1H30M", 0, 5400), ("P0D", 0, 0)],
)
def test_duration_is_days_and_seconds(text: str, days: int, seconds: int) -> None:
    """A duration keeps calendar days apart from exact seconds."""
    duration = parse_duration(text)

    assert (duration.days, duration.seconds) == (days, seconds)


def test_day_is_a_day_on_the_calendar() -> None:
    """A day after noon is noon, also over a change of the clock; 24 hours after it is not."""
    noon = datetime(2026, 3, 28, 12)

    assert later(noon, BERLIN, parse_duration("P1D")) == instant_of(datetime(2026, 3, 29, 12), BERLIN)
    assert later(noon, BERLIN, parse_duration("PT24H")) == instant_of(datetime(2026, 3, 29, 13), BERLIN)


@pytest.mark.parametrize(
    "text",
    ["", "2026", "20260230", "20260105T2500", "20260105X090000", "20260105T090000+", "20260105T256000Z", "00000101"],
)
def test_time_that_does_not_exist_is_refused(text: str) -> None:
    """What is no date and no date-time raises InvalidValue."""
    with pytest.raises(InvalidValue):
        parse_moment(text)


@pytest.mark.parametrize("text", ["P", "PT", "P1", "1D", "P1DT", "P-1D", "P1H", "P9999999999D", ""])
def test_length_that_does_not_exist_is_refused(text: str) -> None:
    """What is no duration raises InvalidValue."""
    with pytest.raises(InvalidValue):
        parse_duration(text)


def test_offset_of_a_day_is_refused() -> None:
    """A UTC offset is smaller than a day."""
    assert parse_utc_offset("-053015") == -(5 * 3600 + 30 * 60 + 15)
    with pytest.raises(InvalidValue):
        parse_utc_offset("+2400")


def test_leap_second_is_the_second_before_it() -> None:
    """A time that ends in 60 seconds is understood (RFC 5545 3.3.12)."""
    assert parse_moment("20161231T235960Z") == parse_moment("20161231T235959Z")


def test_ends_of_the_calendar_do_not_fail() -> None:
    """Times in the years 1 and 9999 have instants in every zone."""
    assert later(datetime(9999, 12, 31), NEW_YORK, parse_duration("P999999999D")) > 0
    assert later(datetime(1, 1, 1), BERLIN, parse_duration("-P999999999D")) < 0


def described(*observance: str, tzid: str = "Office") -> str:
    """A VTIMEZONE with one part, of these lines besides what it must have."""
    head = ["BEGIN:VTIMEZONE", f"TZID:{tzid}", "BEGIN:STANDARD", "DTSTART:20000101T000000"]
    offsets = ["TZOFFSETFROM:+0100", "TZOFFSETTO:+0200"]
    return "\n".join([*head, *offsets, *observance, "END:STANDARD", "END:VTIMEZONE"])


def steps_taken(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What is spent from now on."""
    taken: list[int] = []
    spend = Budget.spend

    def counting(budget: Budget, steps: int = 1) -> None:
        taken.append(steps)
        spend(budget, steps)

    monkeypatch.setattr(Budget, "spend", counting)
    return taken


def test_description_takes_one_budget_for_its_life(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of rules that look at every day take no more steps for all years together than one zone may."""
    rules = [f"RRULE:FREQ=YEARLY;BYYEARDAY=-366;BYSECOND={number % 60}" for number in range(1_000)]
    zone = zones_of(calendar(described(*rules))).named("Office")
    taken = steps_taken(monkeypatch)

    assert zone is not None
    for year in range(1990, 2400):
        assert zone.utcoffset(datetime(year, 6, 1)) is not None
    # Each step is spent of the rule and of the zone.
    assert sum(taken) <= 2 * 210_000


def test_description_of_a_usual_zone_lasts_for_centuries() -> None:
    """Asking about every year there is does not wear out the rules of a zone."""
    zone = zones_of(calendar(EASTERN)).named("Office")

    assert zone is not None
    for year in range(9999, 2000, -1):
        zone.utcoffset(datetime(year, 7, 1))
    assert zone.utcoffset(datetime(2199, 7, 1)) == NEW_YORK.utcoffset(datetime(2099, 7, 1))
    assert zone.utcoffset(datetime(2007, 7, 1)) == NEW_YORK.utcoffset(datetime(2007, 7, 1))


def test_rule_of_leap_days_is_found_from_eight_years_away() -> None:
    """A zone that changes on 29 February only has changed in the years between as well."""
    text = described("RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29").replace("20000101", "18960229")
    zone = zones_of(calendar(text)).named("Office")

    assert zone is not None
    assert zone.utcoffset(datetime(1903, 6, 1)) == timedelta(hours=2)


def test_dates_of_a_description_count_in_any_order() -> None:
    """The last change before a time decides, wherever among the RDATEs it stands."""
    text = described("RDATE:20200101T000000,20100101T000000").replace(
        "END:VTIMEZONE",
        "BEGIN:DAYLIGHT\nDTSTART:20150101T000000\nTZOFFSETFROM:+0200\nTZOFFSETTO:+0300\nEND:DAYLIGHT\nEND:VTIMEZONE",
    )
    zone = zones_of(calendar(text)).named("Office")

    assert zone is not None
    hours = [zone.utcoffset(datetime(year, 6, 1)) for year in (2005, 2012, 2016, 2021)]
    assert hours == [timedelta(hours=number) for number in (2, 2, 3, 2)]


def test_description_of_a_book_is_none() -> None:
    """A VTIMEZONE of more than 64 KiB is not read, so none is remembered."""
    dates = ",".join(["20200101T000000"] * 5_000)

    assert zones_of(calendar(described(f"RDATE:{dates}"))).named("Office") is None


@pytest.mark.parametrize("tzid", ["x" * 256, "/" + "a/" * 200 + "Europe/Berlin"])
def test_long_name_is_not_looked_up(tzid: str) -> None:
    """A TZID over 255 characters is no zone, and is not remembered."""
    assert iana_zone(tzid) is None
    assert zones_of(calendar()).named(tzid) is None


def test_descriptions_are_fetched_once() -> None:
    """However many unknown TZIDs an object has, it is not read again for each."""
    fetched: list[int] = []

    def fetch() -> list[Component]:
        fetched.append(1)
        return list(calendar(EASTERN).components)

    zones = Zones(fetch)
    for number in range(1_000):
        assert zones.named(f"Nowhere/{number}") is None
    assert len(fetched) == 1
