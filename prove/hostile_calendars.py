"""Attacks by calendar objects and cards: depth, recurrence that never ends, all of time, repetition."""

from __future__ import annotations

from typing import Final

from prove.hostile import CALENDAR, CARDS, NAMESPACES, Ask, Attack, numbered, times

FROM_THE_BEGINNING: Final = 'start="00010101T000000Z" end="99991231T235959Z"'
_MONTH: Final = 'start="20260101T000000Z" end="20260201T000000Z"'
_DAYS: Final = ("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", "FREQ=YEARLY;BYWEEKNO=53;BYDAY=MO;BYMONTH=6")
_RULES: Final = (
    *_DAYS,
    "FREQ=SECONDLY",
    "FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30",
    "FREQ=MINUTELY;BYHOUR=3;BYMINUTE=7;BYSECOND=9;COUNT=999999999",
    "FREQ=SECONDLY;INTERVAL=999999999;COUNT=999999999",
    "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;COUNT=999999",
    "FREQ=DAILY;BYHOUR=" + ",".join(map(str, range(24))) + ";BYMINUTE=" + ",".join(map(str, range(60))),
)


def calendar_of(*lines: str) -> bytes:
    """A calendar object."""
    return "\r\n".join(("BEGIN:VCALENDAR", "VERSION:2.0", *lines, "END:VCALENDAR", "")).encode()


def event_of(uid: str, *lines: str, start: str = ":20250105T090000Z") -> tuple[str, ...]:
    """The lines of an event."""
    return ("BEGIN:VEVENT", f"UID:{uid}", f"DTSTART{start}", *lines, "END:VEVENT")


def ask_about(ask: Ask, *inside: str) -> None:
    """Every question about the calendar that follows recurrences, of a month and of all time."""
    conditions = "".join(inside)
    for asked in (_MONTH, FROM_THE_BEGINNING):
        events = f'<C:comp-filter name="VEVENT"><C:time-range {asked}/>{conditions}</C:comp-filter>'
        found = f'<C:filter><C:comp-filter name="VCALENDAR">{events}</C:comp-filter></C:filter>'
        for form in ("expand", "limit-recurrence-set"):
            data = f"<D:prop><C:calendar-data><C:{form} {asked}/></C:calendar-data></D:prop>"
            ask.report(CALENDAR, f"<C:calendar-query {NAMESPACES}>{data}{found}</C:calendar-query>", 207, 403)
        ask.report(CALENDAR, f"<C:free-busy-query {NAMESPACES}><C:time-range {asked}/></C:free-busy-query>", 200, 403)


def put_and_ask(ask: Ask, objects: dict[str, bytes], *inside: str) -> None:
    """Store objects, ask about them, remove them."""
    for name, body in objects.items():
        ask("PUT", CALENDAR + name, body, 201, 403)
    ask_about(ask, *inside)
    for name in objects:
        ask("DELETE", CALENDAR + name, b"", 204, 404)


def depth(ask: Ask) -> None:
    """Components in components, and a card in a card, a hundred thousand times."""
    for name, folder in (("VEVENT", CALENDAR), ("VCARD", CARDS), ("X", CALENDAR)):
        nested = f"BEGIN:{name}\r\n" * 100_000 + f"END:{name}\r\n" * 100_000
        ask("PUT", f"{folder}deep", nested, 403, 413)
    agents = "BEGIN:VCARD\r\nVERSION:2.1\r\nAGENT:\r\n" * 50_000 + "END:VCARD\r\n" * 50_000
    ask("PUT", f"{CARDS}deep.vcf", agents, 403, 413)


def recurrence_that_never_ends(ask: Ask) -> None:
    """Rules that never match, match every second, or are counted without end."""
    count = 400 if ask.full else len(_RULES)
    objects = {
        f"r{number}.ics": calendar_of(
            *event_of(f"r{number}", f"RRULE:{_RULES[number % len(_RULES)]}", start=f":20250105T09{number % 60:02}00Z")
        )
        for number in range(count)
    }
    put_and_ask(ask, objects)


def clocks_that_never_rest(ask: Ask) -> None:
    """Time zones of absurd rules, each of them another one."""
    count = 300 if ask.full else 6
    objects = {}
    for number in range(count):
        observance = ("BEGIN:STANDARD", f"DTSTART:0001{1 + number % 12:02}{1 + number % 28:02}T000000")
        rules = tuple(f"RRULE:{rule};INTERVAL={1 + number}" for rule in (*_DAYS, "FREQ=DAILY"))
        zone = ("BEGIN:VTIMEZONE", f"TZID:Z{number}", *observance, "TZOFFSETFROM:+2359", "TZOFFSETTO:-2359", *rules)
        event = event_of(f"z{number}", "RRULE:FREQ=DAILY", start=f";TZID=Z{number}:20260105T090000")
        objects[f"z{number}.ics"] = calendar_of(*zone, "END:STANDARD", "END:VTIMEZONE", *event)
    put_and_ask(ask, objects)


def repetition(ask: Ask) -> None:
    """Alarms, dates, overrides and lines by the ten thousand, with a condition for each of many."""
    count = 60_000 if ask.full else 1_000
    alarms = ("BEGIN:VALARM", "TRIGGER:-PT1S", "REPEAT:999999999", "DURATION:PT1S", "END:VALARM") * count
    dates = ",".join(f"2026{1 + n % 12:02}{1 + n % 28:02}T{n % 24:02}{n % 60:02}00Z" for n in range(count))
    overrides = [line for number in range(count // 4) for line in _override(number)]
    objects = {
        "alarms.ics": calendar_of(*event_of("a", *alarms)),
        "dates.ics": calendar_of(*event_of("d", "RRULE:FREQ=HOURLY", f"EXDATE:{dates}", f"RDATE:{dates}")),
        "overrides.ics": calendar_of(*event_of("o", "RRULE:FREQ=HOURLY"), *overrides),
        "lines.ics": calendar_of(*event_of("l", *["X:" + "é" * 20] * count)),
    }
    texts = times(60, '<C:prop-filter name="X"><C:text-match negate-condition="yes">{}</C:text-match></C:prop-filter>')
    late = '<C:comp-filter name="VALARM"><C:time-range start="20250105T085959Z"/></C:comp-filter>' * 60
    put_and_ask(ask, objects, texts)
    put_and_ask(ask, objects, late)


def _override(number: int) -> tuple[str, ...]:
    """The lines of one that moves all that follow, at an hour of its own."""
    day = f"{2025 + number // 8000}{1 + number // 672 % 12:02}{1 + number // 24 % 28:02}"
    return event_of("o", f"RECURRENCE-ID;RANGE=THISANDFUTURE:{day}T{number % 24:02}0000Z")


def cards_of_many_lines(ask: Ask) -> None:
    """Searching cards of many lines by many conditions."""
    count = 100_000 if ask.full else 1_000
    for number in numbered(ask, 2, 10):
        card = f"BEGIN:VCARD\r\nVERSION:3.0\r\nUID:c{number}\r\nFN:a\r\n" + "X:é first\r\n" * count + "END:VCARD\r\n"
        ask("PUT", f"{CARDS}c{number}.vcf", card, 201)
    match = '<A:text-match match-type="{}">never</A:text-match>'
    for test in ("anyof", "allof"):
        for kind in ("contains", "ends-with", "equals"):
            one = '<A:prop-filter name="X"><A:is-not-defined/></A:prop-filter>'
            many = times(90, f'<A:prop-filter name="X">{match.replace("{}", kind)}</A:prop-filter>')
            body = f'<A:filter test="{test}">{many}{one}</A:filter>'
            ask.report(CARDS, f"<A:addressbook-query {NAMESPACES}>{body}</A:addressbook-query>", 207, 403)
    for number in numbered(ask, 2, 10):
        ask("DELETE", f"{CARDS}c{number}.vcf", b"", 204)


ATTACKS: Final[tuple[Attack, ...]] = (
    depth,
    recurrence_that_never_ends,
    clocks_that_never_rest,
    repetition,
    cards_of_many_lines,
)
