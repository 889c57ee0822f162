"""A second server where one may be: on the same data folder, in the moment the first is killed, and on a copy.

- On a folder that is served a second server ends and says who serves it; the first one goes on, disturbed by nothing.
- When the first is killed the second serves, at once or after it said why not yet.
- A copy of the folder, started elsewhere against the same vault while the first serves clients, takes the vault over.
  The first acknowledges nothing any more, goes on reading, and says who has taken over. The second has all that the
  first ever acknowledged, takes writes though the first still asks, and when its folder is lost the vault has the
  acknowledged writes of both. Started again, the loser overwrites nothing: it serves what the vault has, or holds the
  accounts that went different ways, and says so.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path
from typing import Final

from prove.case import Case, Unit
from prove.haste import hasty_environment
from prove.readback import Reader
from prove.trial import RECOVERY_SECONDS_MAX, WARM_REQUESTS, Trial, wait_until
from prove.world import VAULT_NAME, World

ROUNDS: Final = 4
ROUNDS_SHORT: Final = 1
BOTH_SECONDS: Final = 0.3
"""How long the loser is asked beside the second server."""
REFUSAL_SECONDS_MAX: Final = 15.0
APART_SECONDS: Final = 0.3
REFUSALS: Final = ("another Keepwell (process", "cannot be listened on")
"""What a start may say that comes while another server still holds the folder or the port."""
TAKEN_OVER: Final = "another server"
FORKED: Final = ("is another here than in the vault", "is held", "ends with record")


class SecondServers:
    """The server that has the vault. Invariant: between two steps it serves, and no other server runs."""

    def __init__(self, unit: Unit) -> None:
        """Nothing is started yet."""
        self.unit, self.random = unit, unit.random("rounds")
        self.environment = hasty_environment(unit.folder / "haste")
        self.vault = unit.folder / "vault"
        self.trial = Trial(unit, self.server(unit.folder / "server-0" / "data"))
        self.others: list[World] = []

    @property
    def world(self) -> World:
        """The server that has the vault."""
        return self.trial.world

    def server(self, data: Path) -> World:
        """One that serves this folder, with a witness and a port of its own."""
        ground = data.with_name("ground")
        logins = ("ada", "bob") if self.unit.full else ("ada",)
        return World(ground, data, str(self.vault), logins, environment=self.environment)

    def run(self) -> None:
        """All rounds."""
        first = self.trial
        try:
            self.world.found()
            self.trial.start("at first")
            for number in range(1, (ROUNDS if self.unit.full else ROUNDS_SHORT) + 1):
                self.on_the_same_folder(number)
                self.when_the_first_is_killed()
                self.on_a_copy(self.unit.folder / f"server-{number}" / "data")
            self.prove_what_is_left()
        finally:
            first.count()  # the claims are the same for all of them
            for world in (self.world, *self.others):
                world.close()

    def on_the_same_folder(self, number: int) -> None:
        """The second is refused, while clients are at work with the first."""
        where = "a second server on the same folder"
        second = World(self.unit.folder / f"refused-{number}", self.world.data, environment=self.environment)
        self.others.append(second)
        with self.trial.under_load(where):
            second.spawn()
            has_ended = wait_until(second.has_ended)
            code = None if second.process is None else second.process.poll()
            self.unit.require_that(has_ended and bool(code), f"{where}: it did not refuse, but ended with {code}")
            self.unit.require_that(REFUSALS[0] in second.logged(), f"{where}: it said only\n{second.tail()}")
            self.trial.wait_for_writes(WARM_REQUESTS, where)
        self.trial.check(where)
        self.unit.figures["second servers refused"] += 1

    def when_the_first_is_killed(self) -> None:
        """The second is started in the same moment, sometimes a little before."""
        where = "a second server when the first is killed"
        first = self.world.process
        if first is None:
            raise ValueError("the first server does not run")
        with self.trial.under_load(where):
            if self.random.random() < 0.5:
                self.world.spawn()
                time.sleep(self.random.uniform(0, APART_SECONDS))
                os.killpg(first.pid, signal.SIGKILL)
            else:
                os.killpg(first.pid, signal.SIGKILL)
                self.world.spawn()
        first.wait(RECOVERY_SECONDS_MAX)
        deadline = time.monotonic() + RECOVERY_SECONDS_MAX
        while not self.world.answers():
            self.unit.require_that(time.monotonic() < deadline, f"{where}: it does not serve\n{self.world.tail()}")
            if self.world.has_ended():
                self.unit.require_that(
                    any(one in self.world.tail() for one in REFUSALS), f"{where}: it said only\n{self.world.tail()}"
                )
                self.unit.figures["starts that came too early"] += 1
                self.world.spawn()
            time.sleep(0.01)
        self.trial.check(where)
        self.unit.figures["servers killed"] += 1

    def on_a_copy(self, data: Path) -> None:
        """The second takes the vault from the first, loses its folder, and the loser is started again."""
        where = "a second server on a copy"
        loser = self.trial
        self.world.stop()
        data.parent.mkdir()
        shutil.copytree(loser.world.data, data)
        loser.start(where)
        winner = self.winner(data)
        logged = len(loser.world.logged())
        with loser.under_load(where):
            winner.world.start()
            loser.wait_for_refusals(where, REFUSAL_SECONDS_MAX)
            winner.check(f"{where}: the second")
            winner.loads = loser.loads
            with winner.under_load(f"{where}: the second beside the first"):
                time.sleep(BOTH_SECONDS)
        # Not the loser's own reader: what it reads now is not the vault's history, and no device may come with it.
        loser.wait_for_reads(where)
        told = loser.world.logged(logged)
        self.unit.require_that(TAKEN_OVER in told, f"{where}: the first did not say who took over\n{told[-2000:]}")
        winner.check(f"{where}: the second, after load")
        loser.world.stop()
        self.lose_and_restore(winner)
        self.start_the_loser_again(loser, winner)
        self.trial = winner
        self.unit.figures["vaults taken over"] += 1

    def prove_what_is_left(self) -> None:
        """Everything was read at the last start; now the product itself finds nothing wrong with either copy."""
        self.world.stop()
        self.world.command("check")
        self.world.command("verify", "--grade", "records")
        refused = self.trial.reader.tokens_refused
        self.unit.require_that(refused == 0, f"{refused} sync tokens were refused")

    def winner(self, data: Path) -> Trial:
        """The second server, on this copy: claims, passwords and devices are those of the first."""
        world = self.server(data)
        world.claims.close()
        world.claims, world.passwords = self.world.claims, self.world.passwords
        trial = Trial(self.unit, world)
        trial.reader = self.trial.reader
        trial.reader.world = world
        self.others.append(world)
        return trial

    def lose_and_restore(self, trial: Trial) -> None:
        """Its folder is lost: what both acknowledged is in the vault."""
        trial.world.kill()
        shutil.rmtree(trial.world.data)
        trial.world.command("restore", "--from", str(self.vault), "--into", str(trial.world.data))
        trial.world.command("vault", "add", VAULT_NAME, str(self.vault), "--confirm")
        trial.start("a second server on a copy, restored from the vault")
        trial.world.stop()

    def start_the_loser_again(self, loser: Trial, winner: Trial) -> None:
        """It changes nothing of what the vault has: it has the same, or holds what went another way and says so."""
        where = "the loser, started again"
        logged = len(loser.world.logged())
        loser.world.start()
        told = loser.world.logged(logged)
        for login in self.world.passwords:
            client = loser.world.client(login)
            try:
                statuses = {client.collections(f"/dav/{home}/{login}/")[0] for home in ("contacts", "calendars")}
            finally:
                client.close()
            if statuses != {207}:
                self.unit.require_that(statuses == {503}, f"{where}: {login} is answered {statuses}")
                self.unit.require_that(any(one in told for one in FORKED), f"{where}: it does not say why\n{told}")
                self.unit.figures["accounts held by the loser"] += 1
            else:
                self.same_as_told(loser.world, login, where)
                self.unit.figures["accounts that the loser caught up"] += 1
        loser.world.stop()
        winner.start(f"{where}, and then the other")

    def same_as_told(self, world: World, login: str, where: str) -> None:
        """Everything that it serves of an account is what the claims say."""
        only = _Only(world, login)
        found, findings = Reader(only).read()
        wrong = [
            place
            for place, allowed in world.claims.expectation.values.items()
            if place.split("/")[3] == login and found.get(place) not in allowed
        ]
        self.unit.require(findings, where)
        self.unit.require_that(not wrong, f"{where}: not as acknowledged: {wrong[:5]}")


class _Only:
    """A world of which one account is read."""

    def __init__(self, world: World, login: str) -> None:
        self.claims, self.passwords, self.client = world.claims, {login: world.passwords[login]}, world.client


def run(unit: Unit) -> None:
    """One vault, and server after server."""
    SecondServers(unit).run()


CASE: Final = Case(
    "second-servers",
    "a second server on the same folder, when the first is killed, and on a copy with the same vault",
    run,
    full=20,
)
