"""`keepwell grant add|list|remove`: which collections an account shares with whom."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from keepwell.app.wiring import Keepwell, open_keepwell
from keepwell.cli.common import DEFAULTS, Common, operator_for
from keepwell.cli.output import print_json, print_line, print_table
from keepwell.services.history import Spot, find_spot

Owner = Annotated[str, Parameter(help="The login of the account that shares.")]
Collection = Annotated[str, Parameter(help="The collection: its name, or home/name when several have it.")]
Grantee = Annotated[str, Parameter(help="The login of the account that it is shared with.")]


def add(
    owner: Owner,
    collection: Collection,
    grantee: Grantee,
    /,
    *,
    write: Annotated[bool, Parameter(negative=(), help="Let them change it too.")] = False,
    common: Common = DEFAULTS,
) -> None:
    """Share a collection with another account; once more, to change what it may do."""
    with open_keepwell(common.data) as keepwell:
        home, name = _spot(keepwell, owner, collection)
        keepwell.accounts.grant(owner, home, name, grantee, write=write)
    if common.json:
        print_json({"owner": owner, "home": home, "collection": name, "grantee": grantee, "write": write})
        return
    print_line(f"{grantee} may {'read and change' if write else 'read'} {home}/{name} of {owner}.")


def list_grants(owner: Owner, /, *, common: Common = DEFAULTS) -> None:
    """List what an account shares."""
    with open_keepwell(common.data) as keepwell:
        rows: list[dict[str, object]] = [
            {
                "home": one.home,
                "collection": one.collection,
                "grantee": keepwell.directory.login_of(one.grantee) or one.grantee,
                "write": one.write,
                "made_at": one.made_at,
            }
            for one in keepwell.accounts.grants(owner)
        ]
    if common.json:
        print_json({"owner": owner, "grants": rows})
        return
    table = [(_shown(one), one["grantee"], "read, write" if one["write"] else "read", one["made_at"]) for one in rows]
    print_table(("COLLECTION", "SHARED WITH", "MAY", "SINCE"), table)


def remove(owner: Owner, collection: Collection, grantee: Grantee, /, *, common: Common = DEFAULTS) -> None:
    """Stop sharing a collection."""
    with open_keepwell(common.data) as keepwell:
        home, name = _spot(keepwell, owner, collection)
        keepwell.accounts.withdraw(owner, home, name, grantee)
    if common.json:
        print_json({"owner": owner, "home": home, "collection": name, "grantee": grantee})
        return
    print_line(f"{home}/{name} of {owner} is not shared with {grantee} any more.")


def _shown(grant: dict[str, object]) -> str:
    return f"{grant['home']}/{grant['collection']}"


def _spot(keepwell: Keepwell, owner: str, collection: str) -> Spot:
    actor = operator_for(keepwell, owner)
    with keepwell.library.reading(actor.account) as snapshot:
        return find_spot(snapshot, collection)
