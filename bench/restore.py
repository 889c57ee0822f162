"""`python -m bench.restore`: everything back out of a vault, beside restic; one account; the size; what a drill costs.

Run with the Python that Keepwell is installed in: data folder and vault are made in this process. Keepwell and restic
(Debian's package) have their turns after each other, each with the files of its copy out of the system's cache, and
whatever comes back is compared with what was there.
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from bench import report
from bench.commands import Run, apparent_octets, files_below, forget_cached, run_timed
from bench.filled_vault import VAULT, Filled, fill, ledgers
from bench.inside import READS
from bench.restic import Restic
from bench.servers import ROOT, ServerError

FOLDER = ROOT / ".cache" / "bench" / "restore"
EVERYTHING_GOAL = 3.0
OWN_WORK_GOAL_MS = 100.0
SIZE_GOAL = 0.35


@dataclass(frozen=True, slots=True)
class Plan:
    """How much there is, and how often each measure is taken."""

    accounts: int
    cards: int
    shipments: int
    rounds: int


@dataclass(slots=True)
class Found:
    """Every run, by what it did; and how large the copies are."""

    runs: dict[str, list[Run]] = field(default_factory=dict)
    vault_octets: int = 0
    repository_octets: int = 0
    cards_octets: int = 0
    drill_reads: int = 0
    drill_octets_read: int = 0

    def add(self, what: str, run: Run) -> None:
        """One more run."""
        self.runs.setdefault(what, []).append(run)
        _say(f"{what}: {run.seconds:.2f} s, {run.cpu_seconds:.2f} s of processors")

    def seconds(self, what: str) -> float:
        """The median of its runs."""
        return median(run.seconds for run in self.runs[what])


class Bench:
    """A filled vault and a repository of the same cards."""

    def __init__(self, folder: Path, filled: Filled, restic: Restic) -> None:
        """In this folder there is room for what is restored."""
        self._filled = filled
        self._restic = restic
        self._place = folder / "restored"
        self._result = folder / "own-work.json"
        self._reads = folder / "reads"
        self._environment = {"PYTHONPYCACHEPREFIX": str(folder.parent / "bytecode")}
        self._wanted = ledgers(filled.data)
        self.found = Found(
            vault_octets=apparent_octets(filled.vault),
            repository_octets=apparent_octets(restic.repository),
            cards_octets=apparent_octets(filled.tree),
        )

    def warm_up(self, login: str) -> None:
        """Every command once, on little, so that programs and their modules are in the system's cache, and compiled."""
        try:
            self._keepwell(self._place, login)
            self._restic.restore(self._place, login)
            run_timed([*self._drill_command(), "--accounts", "1"], self._environment)
        finally:
            shutil.rmtree(self._place, ignore_errors=True)

    def turn(self, login: str) -> None:
        """Every measure once, Keepwell and restic after each other."""
        self._measure("keepwell, everything", self._keepwell, self._check_everything)
        self._measure("restic, everything", self._restic.restore, lambda place: self._check_files(place, ""))
        self._measure("keepwell, one account", lambda place: self._keepwell(place, login), self._check_one)
        self._measure("keepwell, own work", lambda place: self._own_work(place, login), self._check_one)
        self._measure(
            "restic, one account",
            lambda place: self._restic.restore(place, login),
            lambda place: self._check_files(place, login),
        )
        self._measure("drill", lambda _place: self._drill(), lambda _place: None)

    def count_reads(self) -> None:
        """Drill once more, and count what is read of the vault."""
        command = [*_inside(self._result), *self._drill_command()[1:]]
        run_timed(command, {**self._environment, READS: str(self._reads)})
        lengths = [int(line) for line in self._reads.read_text().split()]
        self.found.drill_reads, self.found.drill_octets_read = len(lengths), sum(lengths)

    def _measure(self, what: str, carry_out: Callable[[Path], Run], check: Callable[[Path], None]) -> None:
        for copy in (self._filled.vault, self._restic.repository, self._restic.cache):
            forget_cached(copy)
        try:
            self.found.add(what, carry_out(self._place))
            check(self._place)
        finally:
            shutil.rmtree(self._place, ignore_errors=True)

    def _restore(self, place: Path, login: str) -> list[str | Path]:
        only = ["--account", login] if login else []
        return ["restore", "--json", "--from", self._filled.vault, "--into", place, *only]

    def _keepwell(self, place: Path, login: str = "") -> Run:
        return run_timed([_program(), *self._restore(place, login)], self._environment)

    def _own_work(self, place: Path, login: str) -> Run:
        run_timed([*_inside(self._result), *self._restore(place, login)], self._environment)
        told = json.loads(self._result.read_text())
        return Run(told["seconds"], told["cpu_seconds"], "")

    def _drill(self) -> Run:
        return run_timed(self._drill_command(), self._environment)

    def _drill_command(self) -> list[str | Path]:
        return [_program(), "drill", VAULT, "--json", "--data", self._filled.data]

    def _check_everything(self, place: Path) -> None:
        if ledgers(place) != self._wanted:
            raise ServerError("what Keepwell restored is not what was there")

    def _check_one(self, place: Path) -> None:
        there = ledgers(place)
        if len(there) != 2 or any(there[account] != self._wanted[account] for account in there):
            raise ServerError("the account that Keepwell restored is not what was there")

    def _check_files(self, place: Path, login: str) -> None:
        wanted = self._filled.tree / login
        there = self._restic.restored(place) / login
        names = {path.relative_to(wanted) for path in files_below(wanted)}
        if names != {path.relative_to(there) for path in files_below(there)}:
            raise ServerError("what restic restored is not what was there")
        if any((there / name).read_bytes() != (wanted / name).read_bytes() for name in names):
            raise ServerError("a file that restic restored is another one")


def _program() -> Path:
    return Path(sys.executable).with_name("keepwell")


def _inside(result: Path) -> list[str | Path]:
    return [sys.executable, Path(__file__).with_name("inside.py"), result]


def measure(plan: Plan) -> Found:
    """Everything. Raises ServerError."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    try:
        filled = fill(FOLDER, plan.accounts, plan.cards, plan.shipments)
        _say("vault filled and merged")
        restic = Restic(FOLDER / "restic", filled.tree)
        restic.back_up()
        _say("repository made")
        bench = Bench(FOLDER, filled, restic)
        bench.warm_up(filled.logins[0])
        for number in range(plan.rounds):
            bench.turn(filled.logins[number * 37 % len(filled.logins)])
        bench.count_reads()
        return bench.found
    finally:
        shutil.rmtree(FOLDER, ignore_errors=True)


def render(plan: Plan, found: Found) -> str:
    """The section's tables and sentences."""
    faster = found.seconds("restic, everything") / found.seconds("keepwell, everything")
    one = found.seconds("restic, one account") / found.seconds("keepwell, one account")
    own_ms = found.seconds("keepwell, own work") * 1000
    ratio = found.vault_octets / found.repository_octets
    rows = [
        f"| everything | {_shown(found, 'keepwell, everything')} | {_shown(found, 'restic, everything')} | "
        f"{faster:.1f}× | ≥ {EVERYTHING_GOAL:.0f}× | {_verdict(faster >= EVERYTHING_GOAL)} |",
        f"| … time of processors | {_cpu(found, 'keepwell, everything')} | {_cpu(found, 'restic, everything')} | | | |",
        f"| one account, the whole command | {_shown(found, 'keepwell, one account')} | "
        f"{_shown(found, 'restic, one account')} | {one:.1f}× | | |",
        f"| one account, the command's own work | {_shown(found, 'keepwell, own work')} | | | "
        f"< {OWN_WORK_GOAL_MS:.0f} ms | {_verdict(own_ms < OWN_WORK_GOAL_MS)} |",
        f"| … time of processors | {_cpu(found, 'keepwell, own work')} | {_cpu(found, 'restic, one account')} | | | |",
        f"| size of the copy, bytes | {found.vault_octets:,} | {found.repository_octets:,} | "
        f"{ratio:.0%} | ≤ {SIZE_GOAL:.0%} | {_verdict(ratio <= SIZE_GOAL)} |",
    ]
    head = ["| Restore | Keepwell | restic | Ratio | Goal | |", "|---|--:|--:|--:|--:|---|"]
    items = plan.accounts * plan.cards
    return "\n".join(head + rows) + (
        f"\n\nThe {items:,} cards are {found.cards_octets:,} bytes. A drill of that vault (everything restored and "
        "proven, a server started on it, accounts signed in to, faults planted and found) takes "
        f"{_shown(found, 'drill')}, and {_cpu(found, 'drill')} of the processors' time; it reads "
        f"{found.drill_octets_read:,} bytes of the vault, {found.drill_octets_read / found.vault_octets:.1f} times "
        f"its size, in {found.drill_reads:,} reads."
    )


def _shown(found: Found, what: str) -> str:
    return _median_and_range([run.seconds for run in found.runs[what]])


def _cpu(found: Found, what: str) -> str:
    return _median_and_range([run.cpu_seconds for run in found.runs[what]])


def _median_and_range(seconds: Sequence[float]) -> str:
    if median(seconds) < 1:
        return f"{median(seconds) * 1000:.0f} ms ({min(seconds) * 1000:.0f}–{max(seconds) * 1000:.0f})"
    return f"{median(seconds):.1f} s ({min(seconds):.1f}–{max(seconds):.1f})"


def _verdict(met: bool) -> str:
    return "met" if met else "**missed**"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _conditions(plan: Plan, command: str, version: str) -> str:
    return (
        f"{report.conditions_in_brief(FOLDER.parent, command)}\n"
        f"- {plan.accounts} accounts of {plan.cards:,} contacts. In the vault: four fifths shipped at once, the rest "
        f"in {plan.shipments} shipments, then merged as the keeper does. In restic's repository: the same cards as "
        "files, a folder for each account, in one snapshot.\n"
        f"- {version}; its defaults: compression `auto`, its cache kept. It does not sync what it restores; Keepwell "
        "syncs every account, and indexes it for searches.\n"
        f"- {plan.rounds} rounds, turn by turn: the median (lowest to highest). Before each run the files of both "
        "copies are put out of the system's cache. All that comes back is compared with what was there: ledgers, last "
        "records; files, byte for byte.\n"
        "- A command's own work: from reading its arguments to its last line of output, without Python's start and "
        "imports, timed in its process.\n"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.restore", description=__doc__)
    parser.add_argument("--accounts", type=int, default=100)
    parser.add_argument("--cards", type=int, default=1000, help="of each account")
    parser.add_argument("--shipments", type=int, default=20, help="after the first, each with some cards of everybody")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the table into this document's marked section")
    options = parser.parse_args(arguments)
    plan = Plan(options.accounts, options.cards, options.shipments, options.rounds)
    try:
        version = Restic.version()
        found = measure(plan)
    except ServerError as error:
        _say(f"bench: {error}")
        return 1
    command = shlex.join(["python", "-m", "bench.restore", *(sys.argv[1:] if arguments is None else arguments)])
    text = f"### Restoring, beside restic\n\n{_conditions(plan, command, version)}\n{render(plan, found)}\n"
    print(text)
    if options.write:
        report.replace_section(options.write, "bench.restore", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
