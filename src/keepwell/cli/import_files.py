"""`keepwell import LOGIN FILE…`: bring in what people have, losing nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from keepwell.app.wiring import open_keepwell
from keepwell.cli.common import DEFAULTS, Common, operator_for
from keepwell.cli.exit_codes import ExitCode
from keepwell.cli.output import print_error, print_json, print_line, print_table, progress_bar, shown
from keepwell.services.import_report import ImportReport
from keepwell.services.importing import Importer
from keepwell.services.rejected import RejectedFolder


def import_files(
    login: Annotated[str, Parameter(help="The login of the account.")],
    files: Annotated[
        list[Path],
        Parameter(
            consume_multiple=True,
            help="vCard or iCalendar files, folders of them (each folder below is a collection), or what"
            " `keepwell export` made.",
        ),
    ],
    /,
    *,
    into: Annotated[
        str | None, Parameter(help="The collection to import into; else the first that takes the items.")
    ] = None,
    rejected: Annotated[Path, Parameter(help="Where to keep copies of what could not be imported.")] = Path("rejected"),
    common: Common = DEFAULTS,
) -> int:
    """Import vCard and iCalendar files or folders into an account."""
    with open_keepwell(common.data) as keepwell, progress_bar("Importing", unit="bytes") as progress:
        actor = operator_for(keepwell, login)
        importer = Importer(keepwell.library, actor, RejectedFolder(rejected), into=into, progress=progress)
        report = importer.run(files)
    if common.json:
        print_json(report)
    else:
        _print_report(report)
    if report.stopped:
        return ExitCode.DAMAGED if report.stopped.is_damage else ExitCode.UNAVAILABLE
    return ExitCode.PARTLY if report.rejected else ExitCode.OK


def _print_report(report: ImportReport) -> None:
    for name in report.made:
        print_line(f"Made the collection {shown(name)}.")
    rows = [(kind, one.added, one.updated, one.unchanged) for kind, one in sorted(report.counts.items())]
    if rows:
        print_table(("KIND", "NEW", "UPDATED", "UNCHANGED"), rows)
    for note in report.notes:
        print_line(f"note: {_where(note.file, note.line)}: {shown(note.text)}")
    for one in report.rejected:
        kept = f" (kept as {one.kept})" if one.kept else ""
        print_line(f"rejected: {_where(one.file, one.line)}: {shown(one.reason)}{shown(kept)}")
    for miss in report.not_taken:
        print_line(f"not taken: {_where(miss.file, miss.line)}: {shown(miss.text)}")
    files, items = _counted(report.files, "file"), _counted(report.taken, "item")
    print_line(f"{files} read: {items} taken, {len(report.rejected)} rejected.")
    if report.stopped:
        hint = "What was taken is safe. Import the same again afterwards; what is there already stays as it is."
        print_error(f"the import was stopped: {report.stopped.message}", f"{report.stopped.hint} {hint}".strip())


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _where(file: Path, line: int) -> str:
    return shown(f"{file}:{line}" if line else str(file))
