"""The table: medians and ranges, ratios to the faster peer, goals, and under what conditions it was made."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from bench.operations import Cell, Operation, Unit
from bench.turns import Results, Series

OURS = "keepwell"
_FLAT_MAX = 1.2


def table(results: Results, operations: Sequence[Operation], servers: Sequence[str], sizes: Sequence[int]) -> str:
    """One Markdown table per size, and the line on how syncing scales."""
    parts = []
    for size in sorted(sizes):
        parts.append(f"### {size:,} contacts and {size:,} events\n\n" + _table_of(results, operations, servers, size))
    parts += _wrong_answers(results)
    flat = _flatness(results, sizes)
    return "\n\n".join(parts + ([flat] if flat else [])) + "\n"


def conditions(folder: Path, command: str, servers: Mapping[str, str], rounds: int, budget_seconds: float) -> str:
    """When, where and how the numbers were made; `servers` says of each what it is and how it was set."""
    lines = [
        f"- Date: {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        f"- Machine: {machine(folder)}",
        f"- Command: `{command}`",
        f"- {rounds} rounds, one server after the other in each, the others idle; a turn lasts "
        f"{budget_seconds:g} s or one pass, whichever is longer. Shown: the median of the rounds (lowest to highest). "
        "The client shares the machine's cores.",
        "- GET, PUT and DELETE go to both collections in turn; PROPFIND, initial sync and multiget are the time for "
        "both together. Every answer is checked: status, number of members, bytes present.",
    ]
    return "\n".join(lines + [f"- {name.capitalize()}: {words}" for name, words in servers.items()]) + "\n"


def conditions_in_brief(folder: Path, command: str) -> str:
    """When, where and by which command."""
    date = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    return f"- Date: {date}\n- Machine: {machine(folder)}\n- Command: `{command}`"


def machine(folder: Path) -> str:
    """Cores, memory, kernel, Python, and the file system that holds the data."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{os.cpu_count()} cores ({_processor()}), {memory:.0f} GiB of memory, Linux {platform.release()}, "
        f"Python {platform.python_version()}, data on {file_system(folder)}, load {os.getloadavg()[0]:.1f} at the end"
    )


def file_system(folder: Path) -> str:
    """The type of the file system that a folder is on."""
    best, kind = "", "unknown"
    for line in Path("/proc/mounts").read_text().splitlines():
        _, point, found = line.split()[:3]
        if folder.resolve().is_relative_to(point) and len(point) >= len(best):
            best, kind = point, found
    return kind


def replace_section(document: Path, name: str, text: str) -> None:
    """Put the text between the document's two marks of that name, adding them at the end if they are not there."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    old = document.read_text() if document.exists() else "# Performance\n"
    section = f"{begin}\n\n{text}\n{end}"
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    new = pattern.sub(lambda _: section, old) if pattern.search(old) else f"{old.rstrip()}\n\n{section}\n"
    document.write_text(new)


def _table_of(results: Results, operations: Sequence[Operation], servers: Sequence[str], size: int) -> str:
    rows = [
        "| Operation | " + " | ".join(name.capitalize() for name in servers) + " | Against the faster peer | Goal | |"
    ]
    rows.append("|---" + "|--:" * len(servers) + "|--:|--:|---|")
    for cell in (cell for operation in operations for cell in operation.cells):
        found = {name: results.get((size, cell.key, name), Series()) for name in servers}
        shown = " | ".join(_shown(series, cell.unit) for series in found.values())
        ratio = _ratio(found)
        verdict = "" if ratio is None or cell.goal is None else "met" if ratio >= cell.goal else "**missed**"
        rows.append(f"| {cell.title} | {shown} | {_times(ratio)} | {_goal(cell)} | {verdict} |")
    return "\n".join(rows)


def _shown(series: Series, unit: Unit) -> str:
    if series.problem:
        return "wrong answer"
    if not series.turns:
        return ""
    values = sorted(_in_unit(turn.seconds, unit) for turn in series.turns)
    return f"{_number(median(values))} {unit.value} ({_number(values[0])}–{_number(values[-1])})"


def _in_unit(seconds: float, unit: Unit) -> float:
    return 1 / seconds if unit is Unit.RATE else seconds * 1000


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _ratio(found: Mapping[str, Series]) -> float | None:
    """How many times faster than the faster peer; None unless both have an answer."""
    ours = _seconds(found.get(OURS, Series()))
    theirs = [seconds for name, series in found.items() if name != OURS and (seconds := _seconds(series)) is not None]
    return min(theirs) / ours if ours is not None and theirs else None


def _seconds(series: Series) -> float | None:
    return median(turn.seconds for turn in series.turns) if series.turns and not series.problem else None


def _times(ratio: float | None) -> str:
    return "" if ratio is None else f"{_number(ratio)}×"


def _goal(cell: Cell) -> str:
    return "" if cell.goal is None else f"≥ {cell.goal:g}×"


def _flatness(results: Results, sizes: Sequence[int]) -> str | None:
    """The goal that a sync after ten changes does not depend on how many items there are."""
    smallest, largest = min(sizes), max(sizes)
    few = _seconds(results.get((smallest, "sync-changes", OURS), Series()))
    many = _seconds(results.get((largest, "sync-changes", OURS), Series()))
    if few is None or many is None or smallest == largest:
        return None
    verdict = "met" if many / few <= _FLAT_MAX else "**missed**"
    return (
        f"Keepwell's sync after 10 changes takes {many / few:.2f} times as long at {largest:,} items "
        f"as at {smallest:,} (goal: at most {_FLAT_MAX} times; {verdict})."
    )


def _wrong_answers(results: Results) -> list[str]:
    lines = [
        f"- {name}, {key} at {size:,}: {series.problem}"
        for (size, key, name), series in results.items()
        if series.problem
    ]
    return ["Wrong answers:\n\n" + "\n".join(lines)] if lines else []


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()
