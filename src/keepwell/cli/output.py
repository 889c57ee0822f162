"""What commands print: tables and bars on a terminal, plain lines elsewhere, JSON when asked.

Text of people's data is shown without control characters, so that no name can play with a terminal. Octets of a file
name that are no UTF-8, which Python reads as lone surrogates, are shown as replacement characters.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import msgspec

Progress = Callable[[int, int], None]

_SURROGATE = re.compile(r"[\ud800-\udfff]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def print_line(text: str = "") -> None:
    """One line on standard output."""
    sys.stdout.write(text + "\n")


def print_json(value: object) -> None:
    """A JSON document on standard output."""
    try:
        octets = msgspec.json.encode(value, enc_hook=str)
    except UnicodeEncodeError:
        octets = msgspec.json.encode(_without_surrogates(msgspec.to_builtins(value, enc_hook=str)))
    print_line(msgspec.json.format(octets, indent=2).decode())


def print_error(message: str, hint: str = "") -> None:
    """What went wrong and what to do, on standard error."""
    sys.stderr.write(f"keepwell: {shown(message)}\n")
    if hint:
        sys.stderr.write(f"  hint: {shown(hint)}\n")


def print_notice(sentence: str) -> None:
    """What a person should know while a command goes on, on standard error."""
    sys.stderr.write(f"keepwell: {shown(sentence)}\n")
    sys.stderr.flush()


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table on a terminal; elsewhere lines of columns with a tabulator between, the headings first."""
    cells = [[shown(str(cell)) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _print_rich_table(columns, cells)
        return
    for row in [list(columns), *cells]:
        print_line("\t".join(row))


def shown(text: str) -> str:
    """`text` without control characters and lone surrogates."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def _without_surrogates(value: object) -> object:
    match value:
        case str():
            return _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", value)
        case list() | tuple():
            return [_without_surrogates(one) for one in value]
        case dict():
            return {_without_surrogates(key): _without_surrogates(one) for key, one in value.items()}
        case _:
            return value


def _print_rich_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)


@contextmanager
def progress_bar(title: str, *, unit: str = "items") -> Iterator[Progress]:
    """A bar on standard error while the block runs, when that is a terminal; call with (done, all)."""
    if not sys.stderr.isatty():
        yield lambda _done, _all: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TextColumn(unit), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
