"""The server's clock is back a year, ten years ahead, jumps between two starts or under load, or is not the vault's.

The product asks one place for the time, and there the shift is put in, like a mutant: a file says by how many days the
clock of every process is wrong, and may be changed while they run. (SQLite, the system and granian are not shifted;
nothing of the product asks them for the time.)

Nothing acknowledged is lost and nothing invented, sync tokens and app passwords of before stay good, both copies prove
themselves, a restore to a moment before a jump brings what was there then, and a clock that is ten years ahead removes
nothing for good: no history is thinned, and what was marked to be erased a minute ago is not due.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from keepwell.ground.clock import render_moment
from keepwell.storage.sqlite import SqliteStore
from prove.case import Case, Unit
from prove.mutants import Edit, Mutant, environment_of
from prove.readback import Reader
from prove.trial import Trial
from prove.vault_faults import LOOKING_OFTEN
from prove.world import World

YEAR_DAYS: Final = 365.25
BACK_A_YEAR: Final = -YEAR_DAYS
TEN_YEARS_AHEAD: Final = 10 * YEAR_DAYS
LITTLE_DAYS: Final = 1 / 24
ROUNDS_EACH: Final = 2
LOAD_SECONDS: Final = 0.4
KEEPER_SECONDS: Final = 0.6
"""In which the keeper in haste would carry out what is due."""

_SHIFTED: Final = """\
from datetime import timedelta
        from pathlib import Path

        return datetime.now(UTC) + timedelta(days=float(Path({!r}).read_text()))"""


def shifted(by: Path) -> Mutant:
    """The product in haste, with a clock that is wrong by as many days as the file says."""
    edits = (
        *LOOKING_OFTEN.edits,
        Edit("keepwell.ground.clock", "return datetime.now(UTC)", _SHIFTED.format(str(by))),
        Edit(
            "keepwell.app.retention_chore", "\nRETENTION_SECONDS: Final = 60.0\n", "\nRETENTION_SECONDS: Final = 0.1\n"
        ),
    )
    return replace(LOOKING_OFTEN, edits=edits)


class WrongClock:
    """By how many days the clock of a server is wrong."""

    def __init__(self, folder: Path) -> None:
        """Right, at first; the folder is the clock's own."""
        folder.mkdir(parents=True)
        self._file = folder / "days"
        self.days = 0.0
        self.be(0.0)
        self.environment = environment_of(shifted(self._file), folder)

    def be(self, days: float) -> None:
        """Wrong by so much from now on."""
        new = self._file.with_name("new")
        new.write_text(str(days))
        new.replace(self._file)  # a process may read it at this moment
        self.days = days

    def now(self) -> str:
        """What it shows."""
        return render_moment(datetime.now(UTC) + timedelta(days=self.days))


class Clocks:
    """A world whose clock is wrong by turns. Invariant: between two steps it serves, with the clock right."""

    def __init__(self, unit: Unit) -> None:
        """Nothing is started yet."""
        self.unit, self.random, self.vault = unit, unit.random("steps"), unit.folder / "vault"
        self.clock = WrongClock(unit.folder / "clock-0")
        logins = ("ada", "bob") if unit.full else ("ada",)
        world = World(
            unit.folder / "ground-0",
            unit.folder / "data-0",
            str(self.vault),
            logins,
            environment=self.clock.environment,
        )
        self.trial, self.moves, self.first_passwords = Trial(unit, world), 0, dict[str, str]()

    def run(self) -> None:
        """Every sort of step, in an order of its own, behind the worst one."""
        sorts: list[Callable[[], None]] = [
            self.back_under_load,
            self.jumping_between_starts,
            self.another_server,
            self.ten_years_ahead,
        ]
        short = [self.ten_years_ahead, self.back_under_load, self.another_server]
        mixed = self.random.sample(sorts * ROUNDS_EACH, len(sorts) * ROUNDS_EACH)
        steps = [self.ten_years_ahead, *mixed] if self.unit.full else short
        first = self.trial
        try:
            first.world.found()
            self.first_passwords = dict(first.world.passwords)
            self.trial.start("at first")
            with self.trial.under_load("at first"):
                pass
            self.trial.check("at first")
            self.mark_one()
            for step in steps:
                step()
                self.unit.figures[step.__name__.replace("_", " ")] += 1
            self.trial.end("after all steps")
            self.require_nothing_removed("after all steps")
        finally:
            first.count()
            self.trial.world.close()

    def back_under_load(self) -> None:
        """A year back while clients write, and right again while they write."""
        self.go_through("a clock that goes back a year", BACK_A_YEAR)

    def jumping_between_starts(self) -> None:
        """Another time at each start, after an end in order or a kill."""
        days = [BACK_A_YEAR, LITTLE_DAYS, TEN_YEARS_AHEAD, -LITTLE_DAYS]
        for one in [*self.random.sample(days, len(days)), 0.0]:
            where = f"a start with a clock that is wrong by {one:.2f} days"
            self.random.choice([self.trial.world.kill, self.trial.world.stop])()
            self.clock.be(one)
            self.trial.start(where)
            self.be_used(where)

    def ten_years_ahead(self) -> None:
        """Ten years ahead under load, with everything that removes at work; and back to the moment before."""
        where = "a clock that is ten years ahead"
        found, _ = Reader(self.trial.world).read()
        moment = self.clock.now()
        self.clock.be(TEN_YEARS_AHEAD)
        self.be_used(where)
        world = self.trial.world
        world.command("verify", "--grade", "content")
        told = world.command("retention", "--history-days", "60", code=range(1, 256))
        time.sleep(KEEPER_SECONDS)
        self.trial.check(f"{where}, after {told[-200:]!r}")
        self.restore_at(moment, found, where)
        self.clock.be(0.0)
        self.be_used(f"{where}, and then right")

    def go_through(self, where: str, days: float) -> None:
        """Wrong for a while under load; everything is the same for clients, and right again."""
        with self.trial.under_load(where):
            self.clock.be(days)
            time.sleep(LOAD_SECONDS)
            self.renew_passwords()
            self.trial.wait_for_writes(1, where)
        self.trial.check(where)
        self.clock.be(0.0)
        self.be_used(f"{where}, and then right")

    def another_server(self) -> None:
        """The vault goes to a server on a copy of the folder, whose clock is not that of what lies there."""
        days = self.random.choice([BACK_A_YEAR, -LITTLE_DAYS, LITTLE_DAYS])
        where = f"another server, whose clock is wrong by {days:.2f} days"
        before, self.moves = self.trial, self.moves + 1
        before.world.stop()
        folder = self.unit.folder
        self.clock = WrongClock(folder / f"clock-{self.moves}")
        world = World(
            folder / f"ground-{self.moves}",
            folder / f"data-{self.moves}",
            str(self.vault),
            environment=self.clock.environment,
        )
        shutil.move(before.world.data, world.data)
        world.claims.close()
        world.claims, world.passwords = before.world.claims, before.world.passwords
        self.trial = Trial(self.unit, world)
        self.trial.reader, self.trial.loads = before.reader, before.loads
        self.trial.reader.world = world
        self.clock.be(days)
        self.trial.start(where)
        self.be_used(where)
        self.clock.be(0.0)
        self.be_used(f"{where}, and then right")

    def be_used(self, where: str) -> None:
        """Clients write, and everything is read."""
        with self.trial.under_load(where):
            time.sleep(LOAD_SECONDS)
        self.trial.check(where)

    def renew_passwords(self) -> None:
        """Another app password, made by the clock as it is; those of before stay good."""
        world = self.trial.world
        for login in world.passwords:
            answer = json.loads(world.command("app-password", "add", login, "--label", "shifted", "--json"))
            world.passwords[login] = answer["password"]
        for login, password in self.first_passwords.items():
            newest = world.passwords[login]
            world.passwords[login] = password
            with closing(world.client(login)) as client:
                status, _ = client.collections(f"/dav/contacts/{login}/")
            world.passwords[login] = newest
            self.unit.require_that(status == 207, f"an app password of before is answered {status}")

    def mark_one(self) -> None:
        """An item is to be erased in a week, which is not over before this unit is."""
        base = "/dav/contacts/ada/contacts/"
        values = self.trial.world.claims.expectation.values
        name = next(place for place in sorted(values) if place.startswith(base) and values[place] != {None})
        item = name.removeprefix(base)
        self.trial.world.command("erase", "ada", "--collection", "contacts/contacts", "--item", item)

    def restore_at(self, moment: str, found: dict[str, str], where: str) -> None:
        """What was there at this moment is what a restore to it brings."""
        old = World(
            self.unit.folder / "old-ground", self.unit.folder / "old-data", environment=self.trial.world.environment
        )
        old.passwords = self.trial.world.passwords
        try:
            old.command("restore", "--from", str(self.vault), "--into", str(old.data), "--at", moment)
            old.start()
            back, findings = Reader(old).read()
        finally:
            old.close()
        self.unit.require(findings, f"{where}: restored to {moment}")
        wrong = sorted(place for place in {*back, *found} if back.get(place) != found.get(place))
        self.unit.require_that(not wrong, f"{where}: restored to {moment}, other than it was: {wrong[:5]}")
        shutil.rmtree(old.data)
        self.unit.figures["restores to a moment"] += 1

    def require_nothing_removed(self, where: str) -> None:
        """No byte of any history went, and the order is still one that can be taken back; no server runs."""
        with closing(SqliteStore(self.trial.world.data)) as store:
            for account in store.accounts():
                with store.account(account).reading() as snapshot:
                    gone = [one.record.facts.seq for one in snapshot.carried() if one.erased]
                self.unit.require_that(not gone, f"{where}: of {account} the bytes of records {gone[:9]} were removed")
        told = json.loads(self.trial.world.command("retention", "--dry-run", "--json", code=range(256)))
        states = [one["state"] for one in told["orders"]]
        self.unit.require_that(states == ["marked"], f"{where}: orders to erase are {states}")


def run(unit: Unit) -> None:
    """One world, its clock wrong in every way."""
    Clocks(unit).run()


CASE: Final = Case(
    "clocks", "the server's clock goes back a year, ten years ahead, jumps, or is not the vault's", run, full=20
)
