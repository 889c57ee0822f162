"""khal, a calendar for the terminal, shows what is on the server and adds to it."""

from pathlib import Path

import pytest

from tests.programs.accounts import Account
from tests.programs.desk import Desk, set_up_desk
from tests.programs.items import event

SETTINGS = """
[calendars]
[[calendar]]
path = {calendar}
[sqlite]
path = {home}/khal.db
[locale]
local_timezone = Europe/Berlin
default_timezone = Europe/Berlin
timeformat = %H:%M
dateformat = %Y-%m-%d
longdateformat = %Y-%m-%d
datetimeformat = %Y-%m-%d %H:%M
longdatetimeformat = %Y-%m-%d %H:%M
[default]
default_calendar = calendar
"""


@pytest.fixture
def desk(home: Path, account: Account) -> Desk:
    desk = set_up_desk(home, account)
    settings = home / ".config" / "khal" / "config"
    settings.parent.mkdir(parents=True)
    settings.write_text(SETTINGS.format(calendar=desk.calendar, home=home))
    return desk


def test_an_event_on_the_server_is_listed(desk: Desk) -> None:
    desk.account.put(desk.account.calendar, "tea.ics", event("tea", "Tea with Ada", day="20270301"))
    desk.sync()
    assert "11:00-12:00 Tea with Ada" in desk.must_run("khal", "list", "2027-03-01", "1d")


def test_a_new_event_reaches_the_server(desk: Desk) -> None:
    desk.must_run("khal", "new", "-a", "calendar", "2027-03-02", "09:00", "10:30", "Choir :: bring the score")
    desk.sync()
    (stored,) = desk.account.texts(desk.account.calendar).values()
    assert "SUMMARY:Choir" in stored
    assert "DESCRIPTION:bring the score" in stored
    assert "DTSTART;TZID=Europe/Berlin:20270302T090000" in stored


def test_a_new_repeating_event_is_found_by_the_server_weeks_later(desk: Desk) -> None:
    desk.must_run("khal", "new", "-a", "calendar", "-r", "weekly", "2027-03-02", "09:00", "10:00", "Choir")
    desk.sync()
    ask = """<C:calendar-query xmlns="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><prop><getetag/></prop><C:filter>
        <C:comp-filter name="VCALENDAR"><C:comp-filter name="VEVENT">
        <C:time-range start="{start}" end="{end}"/></C:comp-filter></C:comp-filter></C:filter></C:calendar-query>"""
    hit = ask.format(start="20270330T060000Z", end="20270330T080000Z")  # 09:00 in Berlin, summer time by now
    miss = ask.format(start="20270331T060000Z", end="20270331T080000Z")
    (name,) = desk.account.names(desk.account.calendar)
    assert name in desk.account.request("REPORT", desk.account.calendar, hit, Depth="1").text
    assert name not in desk.account.request("REPORT", desk.account.calendar, miss, Depth="1").text
