"""The table of all live properties, by Clark name."""

from __future__ import annotations

from typing import Final

from keepwell.dav import live_access, live_calendar, live_contacts, live_webdav
from keepwell.dav.liveproperty import LiveProperty
from keepwell.dav.names import CALDAV, CARDDAV, split
from keepwell.model.names import Home

LIVE: Final[dict[str, LiveProperty]] = {
    one.name: one
    for table in (
        live_webdav.PROPERTIES,
        live_access.PROPERTIES,
        live_calendar.PROPERTIES,
        live_contacts.PROPERTIES,
    )
    for one in table
}

_HOME_OF_NAMESPACE: Final = {CALDAV: Home.CALENDARS, CARDDAV: Home.CONTACTS}


def stored_name(name: str, home: Home) -> str:
    """The plain name under which a settable live property is kept on collections of this home; empty when it is not.

    The same name is a dead property elsewhere: a calendar description on an address book means nothing to Keepwell.
    """
    live = LIVE.get(name)
    if live is None or not live.stored_as:
        return ""
    if live.name == "{DAV:}displayname":
        return live.stored_as
    return live.stored_as if _HOME_OF_NAMESPACE.get(split(name)[0], Home.CALENDARS) is home else ""


def is_protected(name: str) -> bool:
    """Whether clients may never change a property of this name (RFC 4918 section 15: live and computed)."""
    live = LIVE.get(name)
    return live is not None and not live.stored_as
