"""`python -m bench.accounts`: many accounts, few of them busy; how much memory, and how long the first request takes.

An account is idle until its first request after the server started, so the server is started anew once the
accounts are filled. Devices are imitated at a steady rate of their own; only the last phase asks as fast as it can.
"""

from __future__ import annotations

import argparse
import json
import random
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import queries, report
from bench.client import drive
from bench.data import contacts, events
from bench.memory import Peak, pss_megabytes
from bench.pacing import Call, Outcome, play
from bench.servers import ROOT, Keepwell, ServerError, Target

FOLDER = ROOT / ".cache" / "bench" / "accounts"
MEMORY_GOAL_MEGABYTES = 250
FIRST_REQUEST_GOAL_MS = 20
_PROBES_PER_SECOND = 20
_PROBE_LANES = 16
_QUIET_PROBES = 500


@dataclass(frozen=True, slots=True)
class Plan:
    """How many accounts of how many items, how many of them busy, how often each asks, and for how long."""

    accounts: int
    items: int
    busy: int
    rate: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Phase:
    """One phase: the highest memory in it, how many requests were answered, and the first requests' times in ms."""

    title: str
    megabytes: float
    requests: int
    first_requests_ms: tuple[float, ...] = ()


class AccountsError(Exception):
    """A request was not answered as it should have been."""


def measure(plan: Plan) -> list[Phase]:
    """Make and fill the accounts, start anew, and go through the phases."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    server = Keepwell()
    try:
        passwords = make_accounts(FOLDER / "data", plan.accounts)
        _say(f"{plan.accounts:,} accounts made")
        _fill(server, plan, passwords)
        _say("accounts filled")
        return _phases(server, plan, passwords)
    finally:
        server.stop()
        shutil.rmtree(FOLDER, ignore_errors=True)


def make_accounts(data: Path, count: int) -> dict[str, str]:
    """Make accounts in bulk; the passwords by login."""
    script = Path(__file__).with_name("fill_accounts.py")
    command: list[str | Path] = [Keepwell.program.with_name("python"), script, data, str(count)]
    try:
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise ServerError(f"the accounts were not made: {getattr(error, 'stderr', error)}") from error
    return {str(login): str(password) for login, password in json.loads(done.stdout).items()}


def _fill(server: Keepwell, plan: Plan, passwords: dict[str, str]) -> None:
    """PUT the items of every account, then stop the server."""
    base = server.serve(FOLDER, FOLDER / "data")
    chance = random.Random("items")
    payloads = []
    for login, password in passwords.items():
        target = base.for_login(login, password)
        items = [contact.item() for contact in contacts((plan.items + 1) // 2, chance)]
        items += [event.item() for event in events(plan.items // 2, chance)]
        payloads += [target.put(item) for item in items]
    _require([answer.status for answer in drive(base.address, payloads, connections=16).answers])
    server.stop()


def _phases(server: Keepwell, plan: Plan, passwords: dict[str, str]) -> list[Phase]:
    base = server.serve(FOLDER, FOLDER / "data")
    targets = [base.for_login(login, password) for login, password in passwords.items()]
    busy, idle = targets[: plan.busy], iter(targets[plan.busy :])
    phases = [Phase("just started", pss_megabytes(server.process()), 0)]
    quiet = [_first_request(target) for target, _ in zip(idle, range(_QUIET_PROBES), strict=False)]
    probes = int(plan.seconds * _PROBES_PER_SECOND)
    probed = [_first_request(target) for target, _ in zip(idle, range(probes), strict=False)]
    calls = [Call(index * 0.01, index % _PROBE_LANES, payload) for index, payload in enumerate(quiet)]
    phases.append(_paced(server, base, "first requests of idle accounts, nothing else", calls, set(quiet)))
    calls = _busy_calls(plan, busy) + [
        Call(index / _PROBES_PER_SECOND, plan.busy + index % _PROBE_LANES, payload)
        for index, payload in enumerate(probed)
    ]
    calls.sort(key=lambda call: call.due_seconds)
    title = f"{plan.busy} busy accounts, {plan.rate:g} requests a second each, and first requests of idle ones"
    phases.append(_paced(server, base, title, calls, set(probed)))
    phases.append(
        _flat_out(server, base, f"{plan.busy} busy accounts as fast as they can", _busy_calls(plan, busy), plan.busy)
    )
    everybody = [Call(0, 0, _first_request(target)) for target in targets]
    phases.append(_flat_out(server, base, "every account asked once", everybody, 16))
    return phases


def _first_request(target: Target) -> bytes:
    return queries.propfind_all(target, target.contacts)


def _busy_calls(plan: Plan, targets: Sequence[Target]) -> list[Call]:
    """What the busy accounts ask: a device that saves, reads, lists and syncs, at random times of a steady rate."""
    chance = random.Random("busy")
    calls = []
    for lane, target in enumerate(targets):
        contact = next(contacts(1, chance))
        for turn in range(int(plan.seconds * plan.rate)):
            item = contact.item(turn)
            choices = (
                target.put(item),
                target.request("GET", target.path(item.name)) if turn else target.put(item),
                queries.propfind_all(target, target.contacts),
                queries.sync_collection(target, target.calendar),
            )
            payload = choices[0] if turn == 0 else chance.choices(choices, weights=(4, 3, 1.5, 1.5))[0]
            calls.append(Call((turn + chance.random()) / plan.rate, lane, payload))
    return sorted(calls, key=lambda call: call.due_seconds)


def _paced(server: Keepwell, base: Target, title: str, calls: Sequence[Call], firsts: set[bytes]) -> Phase:
    with Peak(server.process()) as peak:
        outcomes = play(base.address, calls)
    _require([outcome.status for outcome in outcomes])
    phase = Phase(title, peak.megabytes, len(outcomes), _milliseconds(outcomes, firsts))
    _say(f"{title}: {phase.megabytes:.0f} MB")
    return phase


def _flat_out(server: Keepwell, base: Target, title: str, calls: Sequence[Call], connections: int) -> Phase:
    with Peak(server.process()) as peak:
        run = drive(base.address, [call.payload for call in calls], connections=connections)
    _require([answer.status for answer in run.answers])
    _say(f"{title}: {peak.megabytes:.0f} MB, {len(run.answers) / run.seconds:,.0f} requests/s")
    return Phase(f"{title} ({len(run.answers) / run.seconds:,.0f} requests/s)", peak.megabytes, len(run.answers))


def _milliseconds(outcomes: Sequence[Outcome], payloads: set[bytes]) -> tuple[float, ...]:
    return tuple(sorted(outcome.seconds * 1000 for outcome in outcomes if outcome.call.payload in payloads))


def _require(statuses: Sequence[int]) -> None:
    wrong = [status for status in statuses if status not in (200, 201, 204, 207)]
    if wrong:
        raise AccountsError(f"{len(wrong)} of {len(statuses)} requests failed, the first with {wrong[0]}")


def render(plan: Plan, phases: Sequence[Phase], command: str) -> str:
    """The Markdown section."""
    title = f"### {plan.accounts:,} accounts of {plan.items} items, {plan.busy} of them busy"
    rows = ["| Phase | Requests | Memory | First request: median, p99, worst |", "|---|--:|--:|--:|"]
    for phase in phases:
        rows.append(f"| {phase.title} | {phase.requests:,} | {phase.megabytes:.0f} MB | {_quantiles(phase)} |")
    peak = max(phase.megabytes for phase in phases)
    p99 = max(_quantile(phase, 0.99) for phase in phases if phase.first_requests_ms)
    verdicts = (
        f"Memory at most {peak:.0f} MB (goal: under {MEMORY_GOAL_MEGABYTES}; "
        f"{_verdict(peak < MEMORY_GOAL_MEGABYTES)}). "
        f"99 of 100 first requests within {p99:.1f} ms (goal: {FIRST_REQUEST_GOAL_MS}; "
        f"{_verdict(p99 < FIRST_REQUEST_GOAL_MS)}). Memory is the proportional set size of all server processes, "
        "the highest of the phase; a first request is a PROPFIND of an address book, counted from when it was due."
    )
    conditions = report.conditions_in_brief(FOLDER.parent, command)
    return f"{title}\n\n{conditions}\n\n" + "\n".join(rows) + f"\n\n{verdicts}\n"


def _quantiles(phase: Phase) -> str:
    if not phase.first_requests_ms:
        return ""
    return " / ".join(f"{_quantile(phase, part):.1f}" for part in (0.5, 0.99, 1)) + " ms"


def _quantile(phase: Phase, part: float) -> float:
    times = phase.first_requests_ms
    return times[min(int(len(times) * part), len(times) - 1)]


def _verdict(met: bool) -> str:
    return "met" if met else "**missed**"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.accounts", description=__doc__)
    parser.add_argument("--accounts", type=int, default=10_000)
    parser.add_argument("--items", type=int, default=4, help="items per account")
    parser.add_argument("--busy", type=int, default=200, help="how many accounts are busy")
    parser.add_argument("--rate", type=float, default=2.0, help="requests a second of each busy account")
    parser.add_argument("--seconds", type=float, default=30.0, help="how long they are busy")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the table into this document's marked section")
    options = parser.parse_args(arguments)
    plan = Plan(options.accounts, options.items, options.busy, options.rate, options.seconds)
    try:
        phases = measure(plan)
    except (ServerError, AccountsError) as error:
        _say(f"bench: {error}")
        return 1
    command = shlex.join(["python", "-m", "bench.accounts", *(sys.argv[1:] if arguments is None else arguments)])
    text = render(plan, phases, command)
    print(text)
    if options.write:
        report.replace_section(options.write, "bench.accounts", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
