"""`python -m bench`: measure Keepwell beside Radicale and Xandikos and print the table."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from bench import report
from bench.operations import OPERATIONS, Operation
from bench.servers import ROOT, Keepwell, Radicale, Server, ServerError, Xandikos
from bench.turns import Plan, carry_out

SERVERS: dict[str, Callable[[], Server]] = {
    "keepwell": Keepwell,
    # What its documentation starts first, as every other server here is started: by its own command.
    "radicale": Radicale,
    "xandikos": Xandikos,
    "radicale-gunicorn": partial(Radicale, gunicorn=True),
}
DEFAULT_SERVERS = "keepwell,radicale,xandikos"
FOLDER = ROOT / ".cache" / "bench"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code."""
    options = _parser().parse_args(arguments)
    names = options.servers.split(",")
    plan = Plan(
        servers={name: SERVERS[name] for name in names},
        operations=_chosen(options.only),
        sizes=[int(size) for size in options.sizes.split(",")] if not options.quick else [300],
        rounds=1 if options.quick else options.rounds,
        budget_seconds=0.5 if options.quick else options.budget,
        folder=FOLDER,
    )
    try:
        described = {name: f"{server.version()}; {server.configuration}" for name, server in _made(names).items()}
        results = carry_out(plan, lambda line: print(line, file=sys.stderr, flush=True))
    except ServerError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    command = shlex.join(["python", "-m", "bench", *(sys.argv[1:] if arguments is None else arguments)])
    text = report.conditions(FOLDER, command, described, plan.rounds, plan.budget_seconds)
    text += "\n" + report.table(results, plan.operations, names, plan.sizes)
    print(text)
    if options.write:
        report.replace_section(options.write, "bench", text)
    return 0


def _made(names: Sequence[str]) -> dict[str, Server]:
    return {name: SERVERS[name]() for name in names}


def _chosen(only: str | None) -> list[Operation]:
    """The operations that fill the cells asked for; all when nothing is asked for."""
    if only is None:
        return list(OPERATIONS)
    keys = set(only.split(","))
    known = {cell.key for operation in OPERATIONS for cell in operation.cells}
    if not keys <= known:
        raise SystemExit(f"bench: --only knows {', '.join(sorted(known))}; not {', '.join(sorted(keys - known))}")
    return [operation for operation in OPERATIONS if keys & {cell.key for cell in operation.cells}]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--sizes", default="1000,20000", help="numbers of items per collection, by comma")
    parser.add_argument("--rounds", type=int, default=3, help="how often every server has its turn at an operation")
    parser.add_argument("--budget", type=float, default=3.0, help="seconds that a turn may take")
    parser.add_argument("--servers", default=DEFAULT_SERVERS, help=f"which servers, by comma: {', '.join(SERVERS)}")
    parser.add_argument("--only", metavar="OP", help="only these operations, by comma")
    parser.add_argument(
        "--quick", action="store_true", help="one short round at 300 items: a minute, and numbers to match"
    )
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the table into this document's marked section")
    return parser


if __name__ == "__main__":
    sys.exit(main())
