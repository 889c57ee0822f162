"""What may happen in a world, and how often.

What is promised has bounds: either copy may be lost, not both in the same moment. So the world knows which copies are
whole. A store is, unless it was lost, damaged, or an older copy was put back; a vault is, once a check found everything
in it. A fault that takes from one copy what was whole happens only while another is whole; everything else may happen
at any moment.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from keepwell.model.errors import StorageFault
from keepwell.model.names import AccountId
from prove.simulation.choices import one_of, weighed
from prove.simulation.disk import Site
from prove.simulation.restores import begin_restore
from prove.simulation.tasks import TO_THE_END, Process, Task
from prove.simulation.world import World, whole_vaults

RUN_ON_MAX: Final = 12
"""Effects that a task passes without anything else happening between them, unless it goes on to its end."""

TIMES: Final = ((4, 1.0), (4, 6.0), (4, 31.0), (4, 301.0), (2, 3601.0), (1, 25 * 3600.0))
"""Seconds that pass, and how often."""

FALLIBLE: Final = ("before v", "syncing v", "after v", "before store transact", "after store transact")


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happens, while it is possible, as often as its weight says."""

    name: str
    weight: int
    happen: Callable[[World], None]
    is_possible: Callable[[World], bool] = lambda _world: True


def _go_on(world: World) -> None:
    """One of those that can; most often it goes on to its end."""
    going = world.could_go_on()
    if going:
        name, begin = one_of(world.choices, going)
        run_on = world.choices.below(2 * RUN_ON_MAX + 1)
        world.trace(f"  {name}")
        world.go_on(begin, TO_THE_END if run_on == 0 or run_on > RUN_ON_MAX else run_on - 1)


def ask(world: World) -> None:
    """A client that is idle asks something of a process that serves."""
    idle = [client for client in world.clients if client.waiting is None]
    client = one_of(world.choices, idle)
    world.trace(client.ask(one_of(world.choices, world.server.workers), world.choices))


def can_ask(world: World) -> bool:
    """Whether a client is idle, and a process serves."""
    return bool(world.server.workers) and any(client.waiting is None for client in world.clients)


def tick(world: World) -> None:
    """A keeper looks at its links."""
    one_of(world.choices, world.workers()).begin_tick()


def _pass_time(world: World) -> None:
    world.clock.advance(weighed(world.choices, TIMES))


def _is_serving(world: World) -> bool:
    return bool(world.workers())


def _scrub(world: World) -> None:
    """An account is read whole, and made good if it must be."""
    one_of(world.choices, world.server.workers).begin_mending(one_of(world.choices, world.accounts))


DEEDS: Final = (
    Event("going on", 60, _go_on),
    Event("requests", 25, ask, can_ask),
    Event("starts", 20, World.start, lambda world: not world.server.is_up),
    Event("ticks of a keeper", 8, tick, _is_serving),
    Event("time passing", 4, _pass_time),
    Event("scrubs of an account", 1, _scrub, lambda world: bool(world.server.workers)),
)
"""What happens without any fault."""


def _fallible(world: World) -> list[Task]:
    return [task for task in world.scheduler.tasks if task.can_go_on and task.at.startswith(FALLIBLE)]


def _fail(world: World) -> None:
    """A task's medium fails where it pauses: what it does there is not done, not synced, or its answer lost."""
    task = one_of(world.choices, _fallible(world))
    task.fault = StorageFault(f"the medium fails {task.at}")
    world.trace(f"  {task} at {task.at}")


def _part(world: World) -> None:
    """A vault cannot be reached any more, or can be again."""
    site = one_of(world.choices, world.sites)
    site.is_gone = not site.is_gone
    world.trace(f"  vault {site.name} is {'gone' if site.is_gone else 'back'}")


def _kill_worker(world: World) -> None:
    """One process is killed, and another started in its place."""
    world.server.kill_worker(one_of(world.choices, world.server.workers))
    world.server.add_worker()


def kill(world: World) -> None:
    """The server is killed."""
    world.server.kill()


def cut_power(world: World) -> None:
    """The power is cut: of what a vault had not synced some, all or nothing is there."""
    world.end_all()
    world.may_be_torn = True
    for site in world.sites:
        site.medium.cut(lambda most: most - world.choices.below(most + 1))


def _copy_folder(world: World) -> None:
    """The operator copies the data folder, as it is at this moment."""
    world.keep_copy(world.server.disk.copied())


def _begin_restore(world: World) -> None:
    """Somebody restores from a vault, beside the server."""
    site = one_of(world.choices, whole_vaults(world.sites))
    begin = partial(world.scheduler.begin, Process("restore"), f"from {site.name}")
    world.restores.append(begin_restore(site, begin, world.clock, world.answered))


def lose_store(world: World) -> None:
    """The data folder is lost, but for the vaults' settings."""
    if world.may_be_torn:
        world.answered.expectation.divide()
    world.replace_disk(None)


def cut_power_and_lose_store(world: World) -> None:
    """Both at once: what the vault had synced is all there is."""
    cut_power(world)
    lose_store(world)


def _put_back(world: World) -> None:
    """An older copy of the data folder is put in its place."""
    world.replace_disk(one_of(world.choices, world.copies))


def _take_over(world: World) -> None:
    """A server on a copy of the data folder starts beside the other."""
    world.take_over(one_of(world.choices, [world.server.disk, *world.copies]))


def _damage_store(world: World) -> None:
    """Bytes of an account are not what they were."""
    account = one_of(world.choices, world.server.disk.store.accounts())
    # What is not confirmed yet has one copy: nothing could bring that back. And of what lies in no pack the account is
    # not made good once records follow that the vault has not: they would be shipped with bytes that only a tail has.
    if world.server.disk.damage(account, _packed(world, account), world.choices.below(1 << 16)):
        world.store_is_whole = False
        world.trace(f"  {account}")


def _packed(world: World, account: AccountId) -> int:
    """Up to which record each whole vault has an account in packs, and clients know it."""
    ends = [world.answered.confirmed.get(account, 0)]
    for site in whole_vaults(world.sites):
        vault = site.opened(world.clock)
        vault.look()
        ends.append(vault.packed_head(account).sequence)
    return min(ends)


def _unconfirmed(world: World, site: Site) -> set[str]:
    """The packs of a vault, and blobs, with records or bytes of which no client knows that they are there."""
    vault = site.opened(world.clock)
    vault.look()
    known = world.answered.confirmed
    names = set[str]()
    for pack in vault.packs():
        frames = pack.index.frames
        if any(frame.last > known.get(frame.account, 0) for frame in frames):
            names |= {pack.name, *(blob for frame in frames for blob in frame.blobs)}
    for account in vault.accounts():
        lines = [line for line in vault.tail_lines(account) if line.record.facts.seq > known.get(account, 0)]
        names |= {line.blob for line in lines if line.blob is not None}
    return names


def lose_vault(world: World) -> None:
    """A vault is lost, and an empty one put in its place."""
    world.replace_vault(one_of(world.choices, world.sites))


def _damage_vault(world: World) -> None:
    """An object of a vault is gone, or has one bit flipped."""
    site = one_of(world.choices, world.sites)
    # What is not confirmed yet may have no other copy than this: were the store lost next, the account would be held.
    unconfirmed = _unconfirmed(world, site)
    names = [name for name in site.may_be_damaged() if name not in unconfirmed]
    if names:
        name = one_of(world.choices, names)
        site.damage(name, world.choices.below(1 << 16))
        world.trace(f"  {name} of {site.name}")


def _can_damage_store(world: World) -> bool:
    return _has_whole_vault(world) and bool(world.server.disk.store.accounts())


def _has_whole_vault(world: World) -> bool:
    return bool(whole_vaults(world.sites))


def _store_alone_is_enough(world: World) -> bool:
    return world.store_is_whole and not world.former


FAULTS: Final = (
    Event("faults of a medium", 15, _fail, lambda world: bool(_fallible(world))),
    Event("vaults that part", 2, _part),
    Event("kills of a process", 3, _kill_worker, lambda world: bool(world.server.workers)),
    Event("kills of the server", 2, kill, lambda world: world.server.is_up),
    Event("power cuts", 3, cut_power, lambda world: world.server.is_up),
    Event("copies of the folder", 2, _copy_folder),
    Event("restores beside the server", 2, _begin_restore, _has_whole_vault),
    Event("lost stores", 2, lose_store, _has_whole_vault),
    Event("power cuts that cost the store", 3, cut_power_and_lose_store, _has_whole_vault),
    Event("older copies put back", 3, _put_back, lambda world: bool(world.copies) and _has_whole_vault(world)),
    Event("takeovers by another server", 3, _take_over, _has_whole_vault),
    Event("damaged accounts", 2, _damage_store, _can_damage_store),
    Event("lost vaults", 1, lose_vault, _store_alone_is_enough),
    Event("damaged objects of a vault", 2, _damage_vault, _store_alone_is_enough),
)
"""What goes wrong."""


def possible(world: World, events: tuple[Event, ...]) -> list[tuple[int, Event]]:
    """Those that may happen now, with their weights."""
    return [(event.weight, event) for event in events if event.is_possible(world)]
