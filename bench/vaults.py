"""`python -m bench.vaults`: what a confirming vault costs, and whether many accounts make it dearer.

Two servers on the same disk, one with a confirming vault in a folder beside it, have their turns at the same PUTs. Then
one server with few accounts and one with many, both with a vault, have theirs; and the start of the second is timed, in
which every account's head is compared with the vault's.
"""

from __future__ import annotations

import argparse
import json
import random
import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from time import perf_counter

from bench import report
from bench.accounts import make_accounts
from bench.client import drive
from bench.data import contacts
from bench.servers import LOGIN, ROOT, Keepwell, ServerError, Target

FOLDER = ROOT / ".cache" / "bench" / "vaults"
CONFIRMED_RATE_GOAL = 0.75
FLAT_GOAL = 1.2
START_SECONDS_GOAL = 10.0


@dataclass(slots=True)
class Side:
    """One server of a comparison, and the rates of its turns by number of connections."""

    title: str
    server: Keepwell
    target: Target
    rates: dict[int, list[float]] = field(default_factory=dict)

    def rate(self, connections: int) -> float:
        """The median of its turns."""
        return median(self.rates[connections])


@dataclass(frozen=True, slots=True)
class Plan:
    """How many accounts are many, how often each side has its turn, and for how long."""

    accounts: int
    rounds: int
    seconds: float


def compare(sides: Sequence[Side], connections: int, plan: Plan) -> None:
    """Let the sides have their turns at PUTs of new contacts, all with the same ones."""
    for turn in range(plan.rounds):
        for side in sides:
            chance = random.Random(f"turn {turn}")
            items = [contact.item() for contact in contacts(20_000, chance)]
            run = drive(
                side.target.address,
                [side.target.put(item) for item in items],
                connections=connections,
                budget_seconds=plan.seconds,
            )
            wrong = [answer.status for answer in run.answers if answer.status not in (201, 204)]
            if wrong:
                raise ServerError(f"{side.title}: {len(wrong)} PUTs failed, the first with {wrong[0]}")
            side.rates.setdefault(connections, []).append(len(run.answers) / run.seconds)
            _say(f"{side.title}, {connections} connections: {side.rates[connections][-1]:,.0f} PUT/s")


def one_account(name: str, title: str, *, vault: bool) -> Side:
    """A server with one account, with a confirming vault or without."""
    folder, server = FOLDER / name, Keepwell()
    folder.mkdir(parents=True)
    store = folder / "data"
    server.run("account", "add", LOGIN, "--data", str(store))
    answer = json.loads(server.run("app-password", "add", LOGIN, "--data", str(store), "--json", "--label", "bench"))
    if vault:
        server.run("vault", "add", "disk", str(folder / "vault"), "--confirm", "--data", str(store))
    return Side(title, server, server.serve(folder, store).for_login(LOGIN, answer["password"]))


def many_accounts(count: int) -> tuple[Side, float]:
    """A server with so many accounts and a confirming vault, and how many seconds its start took."""
    folder, server = FOLDER / f"many-{count}", Keepwell()
    folder.mkdir(parents=True)
    login, password = next(iter(make_accounts(folder / "data", count).items()))
    _say(f"{count:,} accounts made")
    server.run("vault", "add", "disk", str(folder / "vault"), "--confirm", "--data", str(folder / "data"))
    _say("shipped")
    started = perf_counter()
    target = server.serve(folder, folder / "data")
    return Side(f"{count:,} accounts", server, target.for_login(login, password)), perf_counter() - started


def measure(plan: Plan) -> str:
    """Everything; the Markdown section without its conditions."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    sides: list[Side] = []
    try:
        without = one_account("without", "without a vault", vault=False)
        sides.append(without)
        confirmed = one_account("with", "with a confirming vault", vault=True)
        sides.append(confirmed)
        for connections in (16, 1):
            compare(sides, connections, plan)
        few, few_seconds = many_accounts(10)
        sides.append(few)
        many, many_seconds = many_accounts(plan.accounts)
        sides.append(many)
        compare([few, many], 1, plan)
        return "\n\n".join([_confirming(without, confirmed), _many(few, many, few_seconds, many_seconds)])
    finally:
        for side in sides:
            side.server.stop()
        shutil.rmtree(FOLDER, ignore_errors=True)


def _confirming(without: Side, confirmed: Side) -> str:
    rows = [f"| Connections | {without.title} | {confirmed.title} | Ratio | Goal | |", "|---|--:|--:|--:|--:|---|"]
    for connections, goal in ((16, CONFIRMED_RATE_GOAL), (1, None)):
        ratio = confirmed.rate(connections) / without.rate(connections)
        verdict = "" if goal is None else _verdict(ratio >= goal)
        words = "" if goal is None else f"≥ {goal:.2f}"
        rates = f"{without.rate(connections):,.0f} /s | {confirmed.rate(connections):,.0f} /s"
        rows.append(f"| {connections} | {rates} | {ratio:.2f} | {words} | {verdict} |")
    return "PUT of new contacts into one account:\n\n" + "\n".join(rows)


def _many(few: Side, many: Side, few_seconds: float, many_seconds: float) -> str:
    slower = few.rate(1) / many.rate(1)
    start = f"(goal: under {START_SECONDS_GOAL:.0f} s; {_verdict(many_seconds < START_SECONDS_GOAL)})"
    return (
        f"With {many.title} a confirmed PUT at one connection takes {slower:.2f} times as long as with {few.title} "
        f"(goal: at most {FLAT_GOAL}; {_verdict(slower <= FLAT_GOAL)}). The server answers {many_seconds:.1f} s after "
        f"its start, in which every account's head was compared with the vault's {start}; with {few.title} it does "
        f"after {few_seconds:.1f} s."
    )


def _verdict(met: bool) -> str:
    return "met" if met else "**missed**"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.vaults", description=__doc__)
    parser.add_argument("--accounts", type=int, default=10_000, help="how many accounts are many")
    parser.add_argument("--rounds", type=int, default=5, help="how often each side has its turn")
    parser.add_argument("--seconds", type=float, default=3.0, help="how long a turn takes")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the table into this document's marked section")
    options = parser.parse_args(arguments)
    try:
        text = measure(Plan(options.accounts, options.rounds, options.seconds))
    except ServerError as error:
        _say(f"bench: {error}")
        return 1
    command = shlex.join(["python", "-m", "bench.vaults", *(sys.argv[1:] if arguments is None else arguments)])
    text = f"### A confirming vault\n\n{report.conditions_in_brief(FOLDER.parent, command)}\n\n{text}\n"
    print(text)
    if options.write:
        report.replace_section(options.write, "bench.vaults", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
