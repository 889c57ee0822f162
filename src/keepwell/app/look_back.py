"""Looking back at a start: is everything here that was seen before, and what was not seen yet?

Comes after store and vaults were brought together: what a vault gave back is not missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress

from keepwell.model.errors import KeepwellError
from keepwell.model.names import AccountId
from keepwell.services.incidents import Cause, Incident
from keepwell.services.rollback import Rollbacks
from keepwell.services.witness import Sighting, WitnessFile, merged, sight
from keepwell.storage.contract import Head

Told = Callable[[str], None]


def look_back(
    rollbacks: Rollbacks, witness: WitnessFile, heads: Mapping[AccountId, Head | Exception], tell: Told
) -> list[Incident]:
    """Hold what is known to be missing, and note what was known and has moved; the new incidents.

    `heads` are those of the store. Accounts that nobody saw before are left to the noter, which has the time.
    Raises Damaged, StorageFault.
    """
    rollbacks.review()
    try:
        seen = witness.load()
        found = rollbacks.find(seen, heads)
        anew = {one for one in seen.keys() & heads.keys() if heads[one] != Head(seen[one].sequence, seen[one].hash)}
        anew |= {one.account for one in found} & heads.keys()
        if anew or not witness.path.exists():
            witness.replace(_noted(rollbacks, seen, anew))
    except OSError as error:
        tell(f"what the accounts came to cannot be noted at {witness.path}: {error}. Set KEEPWELL_WITNESS")
        return []
    for incident in found:
        for sentence in sentences(incident):
            tell(sentence)
    return found


def sentences(incident: Incident) -> Iterator[str]:
    """What an operator is told about an incident."""
    who = f"{incident.login} ({incident.account})" if incident.login else incident.account
    for kind, one in incident.kinds.items():
        yield f"the history of {who} went back, {kind} is not whole: {one.reason}"
    is_held = incident.cause is not Cause.MISSING or incident.formerly is not None
    what = "nothing of that is served until it is decided" if is_held else "see what is known of it"
    yield f"{what}: keepwell lineage show {incident.login or incident.account}"


def _noted(rollbacks: Rollbacks, seen: Mapping[AccountId, Sighting], anew: set[AccountId]) -> Iterator[Sighting]:
    """What is known now of every account: the missing ones as they were, and those in `anew` looked at."""
    moment = rollbacks.moment()
    yield from (one for account, one in seen.items() if account not in anew)
    for account in sorted(anew):
        now = None
        with suppress(KeepwellError), rollbacks.store.account(account).reading() as snapshot:
            now = sight(snapshot, rollbacks.login_of(account) or "", moment)
        before = seen.get(account)
        known = before if now is None else merged(before, now)
        if known is not None:
            yield known
