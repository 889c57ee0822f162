"""Requests that ask for far more than they look: by entities, by depth, by repetition, by names that lead elsewhere.

Each attack is a function that asks as the attacker, with a password that is right: without one nothing is read at all.
What is required of every answer is in `Ask`; what an attack must come to besides, it says itself.
"""

from __future__ import annotations

from typing import Final

from prove import hostile_calendars, hostile_json, hostile_paths, hostile_xml
from prove.case import Case, Unit
from prove.hostile import NAMESPACES, Ask
from prove.siege import ATTACKER, NEIGHBOUR, siege


def run(unit: Unit) -> None:
    """Every attack; behind each the attacker is still who they are, and sees nothing of the neighbour's."""
    with siege(unit) as under:
        client = under.client()
        ask = Ask(under, client, unit.full)
        for attack in (*hostile_xml.ATTACKS, *hostile_calendars.ATTACKS, *hostile_paths.ATTACKS, *hostile_json.ATTACKS):
            unit.tell(attack.__name__)
            attack(ask)
            client.close()
            _require_own(ask)
            under.require_standing()
        client.close()


def _require_own(ask: Ask) -> None:
    asked = (
        f"<D:propfind {NAMESPACES}><D:prop><D:current-user-principal/><A:addressbook-home-set/></D:prop></D:propfind>"
    )
    told = ask.find(f"/dav/principals/{ATTACKER}/", asked, 207, depth="0").body.decode()
    ask.under.unit.require_that(ATTACKER in told and NEIGHBOUR not in told, f"who the attacker is: {told}")


CASE: Final = Case("hostile-requests", "requests that ask for far more than they look", run)
