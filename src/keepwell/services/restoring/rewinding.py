"""Going back to a moment after everything has come back: by new records, so that nothing is lost by it.

The whole journal is restored first, whatever is asked for; then every collection of every account is rewound to what it
was (`services.rewind`), and can be rewound forward again. The system account stays as it last was: with an older state
of it app passwords that were revoked would open accounts again.

May be done again, after a crash in the midst: what is as it was then needs no record.
"""

from __future__ import annotations

from contextlib import suppress

import msgspec

from keepwell.model.errors import KeepwellError
from keepwell.model.names import HOME_OF, AccountId
from keepwell.model.record import Op
from keepwell.services.actor import Actor
from keepwell.services.history import Spot
from keepwell.services.restoring.settle import BY
from keepwell.services.rewind import Rewinder
from keepwell.storage.contract import Snapshot, Store
from keepwell.storage.writers import Writers


class RewindTask(msgspec.Struct, frozen=True):
    """An account, and the moment or the record to which its collections go back."""

    account: AccountId
    login: str
    moment: str
    sequence: int


class Rewound(msgspec.Struct, frozen=True):
    """How many records led back, and what could not be rewound, and why."""

    account: AccountId
    records: int
    refused: tuple[str, ...] = ()


def rewind_account(store: Store, task: RewindTask) -> Rewound:
    """Make every collection what it was; one that cannot be rewound stays as it is, and is told."""
    place = store.account(task.account)
    with place.reading() as snapshot:
        target = task.sequence or snapshot.sequence_at(task.moment)
        spots = _spots(snapshot)
    if target == 0:
        return Rewound(task.account, 0, (f"{task.login or task.account} began later and stays as it is",))
    writers = Writers(store, threads=1)
    try:
        return _rewound(Rewinder(store, writers), task, spots, target)
    finally:
        writers.close()


def _rewound(rewinder: Rewinder, task: RewindTask, spots: list[Spot], target: int) -> Rewound:
    """What goes, goes first, the deepest folder before the one that it lies in; then each before those in it."""
    actor = Actor(task.account, task.login, BY)
    records, refused = 0, list[str]()
    for spot in sorted(spots, key=lambda spot: (-spot[1].count("/"), spot)):
        with suppress(KeepwellError):  # its turn comes once more
            plan = rewinder.preview(actor, spot, target)
            if plan.count(Op.DROP):
                records += len(rewinder.rewind(actor, plan).result().steps)
    for spot in sorted(spots):
        try:
            plan = rewinder.preview(actor, spot, target)
            if plan.steps:
                records += len(rewinder.rewind(actor, plan).result().steps)
        except KeepwellError as error:
            refused.append(f"{'/'.join(spot)} of {task.login or task.account} stays as it is: {error.message}")
    return Rewound(task.account, records, tuple(refused))


def _spots(snapshot: Snapshot) -> list[Spot]:
    made = (record.facts for record in snapshot.records() if record.facts.op is Op.MAKE)
    return list(dict.fromkeys((HOME_OF[facts.kind], facts.collection) for facts in made if facts.kind))
