"""What the servers are filled with: a seeded address book and calendar, and what queries on them must find.

Promises: the same size and seed give the same bytes. Every item has facts (names, addresses, dates) from
which the right answer to a query can be worked out here, without trusting any server. No event lies
within a day of a month's edge where that alone would decide whether it matches, so the expected answer does
not hang on how a server reads a time zone.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import Enum

FIRST_YEAR = 2024
YEARS = 4


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_GIVEN_NAMES = _words(
    """
    Anna Amina Beatriz Chiara Chen Daria Elif Emma Fatima Freya Greta Hana Ines Ingrid Jana Jasmin
    Katarzyna Laila Lena Lucía Maja Mei Mila Nadia Noor Olga Paula Rosa Sara Sofia Tamar Vera Yuki
    Zoë Ahmed Ali Andrés Ben Björn Carlos David Dmitri Emil Enzo Felix Giorgos Hugo Ivan Jakob James
    Jonas Kenji Lars Luca Mateo Milan Noah Omar Oskar Paul Pavel Rafael Samuel Sven Tariq Theo Tomás
    Viktor Wei Yusuf
    """
)
_FAMILY_STARTS = _words(
    """
    Adler Berg Castel Dorn Eisen Falk Grün Hoff Iver Kessel Linden Mar Nord Ost Perl Quent Rosen
    Stein Tann Wald
    """
)
_FAMILY_ENDS = _words(
    """
    bauer er feld gren hart hus ini lund mann ov quist sen son strand tal ton wick
    """
)
_COMPANIES = _words(
    """
    Aurora Bluefin Cascade Dynamo Ember Fjord Granite Harbour Indigo Juniper Kestrel Lumen
    """
)
_TITLES = (
    "Accountant",
    "Engineer",
    "Head of Purchasing",
    "Nurse",
    "Office Manager",
    "Product Designer",
    "Teacher",
)
_STREETS = (
    "Birch Lane",
    "Canal Street",
    "Hauptstraße",
    "Mill Road",
    "Rue du Port",
    "Station Road",
    "Via Roma",
)
_CITIES = (
    ("Bergen", "5003"),
    ("Freiburg", "79098"),
    ("Kraków", "30-002"),
    ("Leeds", "LS1 4AP"),
    ("Lyon", "69001"),
    ("Porto", "4000-008"),
)
_SUBJECTS = (
    "Budget review",
    "Choir practice",
    "Dentist",
    "Interview",
    "Lunch",
    "Parents' evening",
    "Planning",
    "Stand-up",
    "Yoga",
)
_PLACES = ("Café Central", "Meeting room 2", "Meeting room 4", "Online", "Sports hall", "Town hall")
_ZONES = ("Europe/Berlin", "Europe/Lisbon", "America/New_York", "Asia/Tokyo")


class Repeat(Enum):
    """How an event recurs; the value is its RRULE, to which a COUNT may be added."""

    WEEKLY = "FREQ=WEEKLY"
    MONTHLY = "FREQ=MONTHLY"
    YEARLY = "FREQ=YEARLY"


@dataclass(frozen=True, slots=True)
class Item:
    """One resource as it is PUT: its name in the collection, its UID, and its bytes."""

    name: str
    uid: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Contact:
    """A person, and the vCard 3.0 that describes them."""

    uid: str
    given: str
    family: str
    email: str
    details: tuple[str, ...]

    def item(self, revision: int = 0) -> Item:
        """Render the vCard; another revision is another value of NOTE and REV, as after an edit."""
        stamp = datetime(FIRST_YEAR, 1, 1) + timedelta(minutes=revision)
        lines = (
            "BEGIN:VCARD",
            "VERSION:3.0",
            "PRODID:-//Example//Address Book 7.1//EN",
            f"UID:{self.uid}",
            f"N:{self.family};{self.given};;;",
            f"FN:{self.given} {self.family}",
            f"EMAIL;TYPE=INTERNET,WORK:{self.email}",
            *self.details,
            f"NOTE:Met at the fair\\, wants the new catalogue (edit {revision}).",
            f"REV:{stamp:%Y%m%dT%H%M%SZ}",
            "END:VCARD",
        )
        return Item(f"{self.uid}.vcf", self.uid, _joined(lines))

    def matches(self, fragment: str) -> bool:
        """True if the name or the address contains the fragment, whatever the case."""
        wanted = fragment.casefold()
        return wanted in f"{self.given} {self.family}".casefold() or wanted in self.email.casefold()


@dataclass(frozen=True, slots=True)
class Event:
    """An appointment of at most two hours, and the iCalendar object that describes it."""

    uid: str
    start: datetime
    minutes: int
    zone: str | None
    repeat: Repeat | None
    count: int | None
    details: tuple[str, ...]

    def item(self) -> Item:
        """Render the VCALENDAR: UTC when there is no zone, else a TZID by name without a VTIMEZONE."""
        end = self.start + timedelta(minutes=self.minutes)
        lines = (
            "BEGIN:VCALENDAR",
            "VERSION:2.0",
            "PRODID:-//Example//Calendar 7.1//EN",
            "BEGIN:VEVENT",
            f"UID:{self.uid}",
            f"DTSTAMP:{FIRST_YEAR}0101T000000Z",
            f"DTSTART{self._moment(self.start)}",
            f"DTEND{self._moment(end)}",
            *([self._rule()] if self.repeat else []),
            *self.details,
            "END:VEVENT",
            "END:VCALENDAR",
        )
        return Item(f"{self.uid}.ics", self.uid, _joined(lines))

    def happens_in(self, month: Month) -> bool:
        """True if an occurrence lies in the month."""
        return any(month.holds(day) for day in self.days())

    def days(self) -> Iterator[date]:
        """The days on which the event starts, up to the end of the years that are queried."""
        day = self.start.date()
        left = self.count if self.repeat else 1
        while day.year < FIRST_YEAR + YEARS and left != 0:
            yield day
            day = _next_day(day, self.repeat)
            left = None if left is None else left - 1

    def _moment(self, moment: datetime) -> str:
        return f":{moment:%Y%m%dT%H%M%SZ}" if self.zone is None else f";TZID={self.zone}:{moment:%Y%m%dT%H%M%S}"

    def _rule(self) -> str:
        assert self.repeat is not None
        return f"RRULE:{self.repeat.value}" + (f";COUNT={self.count}" if self.count else "")


@dataclass(frozen=True, slots=True)
class Month:
    """A calendar month, as queried: from midnight UTC of its first day to that of the next month's."""

    year: int
    number: int

    def holds(self, day: date) -> bool:
        """True if the day lies in this month."""
        return (day.year, day.month) == (self.year, self.number)

    def bounds(self) -> tuple[str, str]:
        """The start and end of a CalDAV time-range."""
        following = date(self.year + self.number // 12, self.number % 12 + 1, 1)
        return f"{self.year}{self.number:02}01T000000Z", f"{following:%Y%m%d}T000000Z"


@dataclass(frozen=True, slots=True)
class Dataset:
    """An address book and a calendar of `size` items each."""

    size: int
    contacts: tuple[Contact, ...]
    events: tuple[Event, ...]

    def names_matching(self, fragment: str) -> int:
        """How many contacts an addressbook-query for the fragment must return."""
        return sum(contact.matches(fragment) for contact in self.contacts)

    def events_in(self, month: Month) -> int:
        """How many events a calendar-query for the month must return."""
        return sum(event.happens_in(month) for event in self.events)


def dataset(size: int, seed: int = 1) -> Dataset:
    """Generate the data that every server is filled with."""
    chance = random.Random(seed)
    return Dataset(size, tuple(contacts(size, chance)), tuple(events(size, chance)))


def contacts(count: int, chance: random.Random) -> Iterator[Contact]:
    """Generate people that differ from all others by their UID."""
    for _ in range(count):
        given, family = (
            chance.choice(_GIVEN_NAMES),
            chance.choice(_FAMILY_STARTS) + chance.choice(_FAMILY_ENDS),
        )
        company, (city, postcode) = chance.choice(_COMPANIES), chance.choice(_CITIES)
        domain = f"{company.lower()}.example"
        details = (
            f"EMAIL;TYPE=INTERNET,HOME:person{chance.randrange(10**6)}@mail.example",
            f"TEL;TYPE=CELL,VOICE:+49 151 {chance.randrange(10**7, 10**8)}",
            f"TEL;TYPE=WORK,VOICE:+49 761 {chance.randrange(10**5, 10**6)}",
            f"ORG:{company} Ltd;Department {chance.randrange(1, 20)}",
            f"TITLE:{chance.choice(_TITLES)}",
            f"ADR;TYPE=HOME:;;{chance.choice(_STREETS)} {chance.randrange(1, 200)};{city};;{postcode};",
            f"BDAY:{chance.randrange(1940, 2010)}-{chance.randrange(1, 13):02}-{chance.randrange(1, 28):02}",
        )
        email = f"contact{chance.randrange(10**6)}@{domain}"
        yield Contact(_uid(chance), given, family, email, details)


def events(count: int, chance: random.Random) -> Iterator[Event]:
    """Generate appointments spread over the years, about one in ten of them recurring."""
    for _ in range(count):
        start = datetime(
            FIRST_YEAR + chance.randrange(YEARS),
            chance.randrange(1, 13),
            chance.randrange(2, 28),
            chance.randrange(7, 20),
            chance.choice((0, 15, 30)),
        )
        repeat = chance.choice(list(Repeat)) if chance.random() < 0.1 else None
        details = (
            f"SUMMARY:{chance.choice(_SUBJECTS)} with {chance.choice(_GIVEN_NAMES)}",
            f"LOCATION:{chance.choice(_PLACES)}",
            f"DESCRIPTION:Agenda item {chance.randrange(1, 400)}: bring the figures of last quarter\\, please.",
            "STATUS:CONFIRMED",
            f"SEQUENCE:{chance.randrange(4)}",
        )
        zone = chance.choice(_ZONES) if chance.random() < 0.6 else None
        minutes = chance.choice((30, 45, 60, 120))
        yield Event(_uid(chance), start, minutes, zone, repeat, _count(start, repeat, chance), details)


def months() -> tuple[Month, ...]:
    """Every month that events lie in."""
    return tuple(Month(FIRST_YEAR + index // 12, index % 12 + 1) for index in range(YEARS * 12))


def name_fragments() -> tuple[str, ...]:
    """What the addressbook-queries look for: parts of family names, in lower case, ASCII only."""
    pairs = [(start + end).lower() for start in _FAMILY_STARTS for end in _FAMILY_ENDS]
    return tuple(pair for pair in pairs if pair.isascii())


def _count(start: datetime, repeat: Repeat | None, chance: random.Random) -> int | None:
    """Choose a COUNT whose last occurrence is clear of a month's edge; one recurring event in ten never ends."""
    if repeat is None or chance.random() < 0.1:
        return None
    count = chance.randrange(2, 30 if repeat is Repeat.WEEKLY else 12)
    if repeat is Repeat.WEEKLY:
        while not 2 <= (start + timedelta(weeks=count - 1)).day <= 27:
            count += 1
    return count


def _next_day(day: date, repeat: Repeat | None) -> date:
    if repeat is Repeat.WEEKLY:
        return day + timedelta(weeks=1)
    if repeat is Repeat.MONTHLY:
        return date(day.year + day.month // 12, day.month % 12 + 1, day.day)
    return date(day.year + 1, day.month, day.day)


def _uid(chance: random.Random) -> str:
    return str(uuid.UUID(int=chance.getrandbits(128), version=4))


def _joined(lines: tuple[str, ...]) -> bytes:
    return "".join(f"{line}\r\n" for line in lines).encode()
