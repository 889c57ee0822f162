"""Where scenes are played, killed at a system call, and what they left is looked at; every time in a new process.

This process has one thread and has the product imported, and forks for whatever it does: so a run takes a fraction of a
second. Scenes are played in one folder always, because settings of vaults have its name in them.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from prove.claims import Change
from prove.playing import INVENTED, LOST, Found, Json, Replicas, applied, changes_of, look, played, rehearsed, unlike
from prove.readback import Replica
from prove.scene import Scene, Work
from prove.stage import Stage
from prove.syscalls import CHANGING, Gate, KillAt, enter

SECONDS_MAX: Final = 120
START_CALLS: Final = 120
STARTS_KILLED: Final = 0.2
"""So often the start on what a kill left is killed as well, within so many calls."""

Task = Callable[[Stage], Json]


class BrokenError(Exception):
    """A run did not come to what it must; the message says how."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A scene as nobody killed it: what there was before it, what each step changed, and how many calls it made."""

    scene: Scene
    base: Path
    found: Found
    replicas: Replicas
    passwords: str
    changes: list[tuple[Change, ...]]
    calls: int


@dataclass(frozen=True, slots=True)
class Ended:
    """How a child ended: killed at its call, or with a value."""

    killed: bool
    value: Json = field(default_factory=dict)


class Theatre:
    """Invariant: between two calls nothing runs, and `place` is as the last scene left it."""

    def __init__(self, folder: Path) -> None:
        """In this folder, which is empty."""
        self.figures: Counter[str] = Counter()
        self._failed = folder / "failed"
        self._bases = folder / "bases"
        self._place, self._ground = folder / "place", folder / "ground"
        for one in (self._bases, self._place, self._ground):
            one.mkdir()
        self._found: Found = {}
        self._replicas: Replicas = {}
        os.environ["KEEPWELL_WITNESS"] = str(self._place / "witness.jsonl")

    def rehearse(self, scene: Scene) -> Reference:
        """Play a scene on what the one before left, and learn what it changes. Raises BrokenError."""
        if scene.before is not None:
            self._do(scene.before)
            self._read_aside(scene)
        if scene.damage is not None:
            self._do(scene.damage)
        base, found, replicas, passwords = self._save(scene.name), self._found, self._replicas, self._passwords()
        counting = KillAt(self._place, 0)
        steps = self._child(lambda stage: rehearsed(stage, scene), counting).value["found"]
        assert isinstance(steps, list)
        passwords_after, after = self._passwords(), self._save("after")
        self._require(self._child(lambda stage: {"wrong": scene.proof(stage, True)}), f"{scene.name}, not killed")
        self._read_here(scene)
        changes = changes_of(scene, [found, *(steps or [self._found])])
        self._lay(after)
        self._reset_ground(passwords_after)
        if applied(found, changes) != self._found:
            raise BrokenError(f"{scene.name} changes more than its steps do: {unlike(found, self._found)}")
        return Reference(scene, base, found, replicas, passwords, changes, counting.seen)

    def killed(self, one: Reference, number: int, *, torn: bool = False) -> KillAt | None:
        """Kill a scene at its call with this number, and prove what is left; None when it had no such call any more.

        `torn`: that is a write of more than a page, some of which are written. Raises BrokenError.
        """
        self._lay(one.base)
        self._reset_ground(one.passwords)
        rule = KillAt(self._place, number, torn=torn)
        try:
            is_killed = self._child(lambda stage: played(stage, one.scene, one.changes), rule).killed
            where = f"{one.scene.name}, not killed"
            if is_killed:
                where = f"{one.scene.name} killed at call {number}{', in its middle' if torn else ''}: {rule.told()}"
            self._prove_left(one, where, Random(f"{one.scene.name} {number} {torn}"), ended=not is_killed)
        except BrokenError:
            shutil.copytree(self._place, self._failed / f"{one.scene.name}-{number}", dirs_exist_ok=True)
            raise
        return rule if is_killed else None

    def _prove_left(self, one: Reference, where: str, random: Random, *, ended: bool) -> None:
        scene = one.scene
        self._require(self._child(lambda stage: {"wrong": scene.proof(stage, ended)}), where)
        if random.random() < STARTS_KILLED:
            rule = KillAt(self._place, random.randrange(1, START_CALLS))
            if self._look(one, rule).killed:
                self.figures["starts after a kill that were killed as well"] += 1
                where += f"; the start after it killed at call {rule.number}: {rule.told()}"
        self._require(self._look(one), where)
        if scene.again and not (scene.makes and (self._place / scene.makes).exists()):
            where += "; played again"
            self._child(lambda stage: played(stage, scene, one.changes))
            self._require(self._child(lambda stage: {"wrong": scene.proof(stage, True)}), where)
            self._require(self._look(one), where)

    def _look(self, one: Reference, rule: KillAt | None = None) -> Ended:
        return self._child(lambda stage: look(stage, one.scene, one.found, one.replicas), rule)

    def _require(self, ended: Ended, where: str) -> Json:
        """Count what was lost. Raises BrokenError when anything is wrong."""
        for name in (LOST, INVENTED):
            self.figures[name] += int(str(ended.value.get(name, 0)))
        self.figures["earlier sync tokens tried"] += int(str(ended.value.get("tokens", 0)))
        wrong = ended.value["wrong"]
        if wrong:
            assert isinstance(wrong, list)
            raise BrokenError(f"{where}\n  " + "\n  ".join(map(str, wrong)))
        return ended.value

    def _read_here(self, scene: Scene) -> None:
        """Learn what there is, by a start and readers; that changes the place."""
        value = self._require(self._child(lambda stage: look(stage, scene, None, self._replicas)), "read")
        found, replicas = value["found"], value["replicas"]
        assert isinstance(found, dict)
        assert isinstance(replicas, dict)
        self._found = found
        self._replicas = {path: [Replica(*pair) for pair in pairs] for path, pairs in replicas.items()}

    def _read_aside(self, scene: Scene) -> None:
        """The same, and leave the place as it is."""
        kept = self._save("aside")
        self._read_here(scene)
        self._lay(kept)

    def _do(self, work: Work) -> None:
        def task(stage: Stage) -> Json:
            work(stage)
            return {}

        self._child(task)

    def _child(self, task: Task, rule: KillAt | None = None) -> Ended:
        """Do something in a process of its own, behind a gate when there is a rule. Raises BrokenError."""
        result = self._ground / "result.json"
        ours, theirs = socket.socketpair()
        with ours, theirs:
            process = os.fork()
            if process == 0:
                _be_child(theirs, result, lambda: task(Stage(self._place, self._ground)), is_gated=rule is not None)
            if rule is not None:
                _octets, [listener], _flags, _sender = socket.recv_fds(ours, 1, 1)
                Gate(listener, rule).tend()
        _process, status = os.waitpid(process, 0)
        if os.WIFSIGNALED(status):
            if rule is not None and os.WTERMSIG(status) == signal.SIGKILL:
                return Ended(killed=True)
            raise BrokenError(f"a process ended by signal {os.WTERMSIG(status)}: {self._output()}")
        if os.WEXITSTATUS(status):
            raise BrokenError(f"a process failed: {result.read_text()}{self._output()}")
        return Ended(killed=False, value=json.loads(result.read_text()))

    def _output(self) -> str:
        return "\n".join((self._ground / OUTPUT).read_text(errors="replace").splitlines()[-20:])

    def _save(self, name: str) -> Path:
        target = self._bases / name
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(self._place, target)
        return target

    def _lay(self, base: Path) -> None:
        shutil.rmtree(self._place)
        shutil.copytree(base, self._place)

    def _passwords(self) -> str:
        path = self._ground / "passwords.json"
        return path.read_text() if path.exists() else "{}"

    def _reset_ground(self, passwords: str) -> None:
        for path in self._ground.iterdir():
            path.unlink()
        (self._ground / "passwords.json").write_text(passwords)


OUTPUT: Final = "output.txt"


def _be_child(link: socket.socket, result: Path, work: Callable[[], Json], *, is_gated: bool) -> None:
    """Never returns."""
    code = 1
    try:
        os.setsid()
        output = os.open(result.with_name(OUTPUT), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(output, 1)
        os.dup2(output, 2)
        signal.alarm(SECONDS_MAX)
        if is_gated:
            listener = enter(CHANGING)
            socket.send_fds(link, [b"g"], [listener])
            os.close(listener)
        result.write_text(json.dumps(work()))
        code = 0
    except BaseException:
        result.write_text(traceback.format_exc())
    finally:
        os._exit(code)
