"""`keepwell restore --live`: what a copy had, back into an account that is served, by new records.

It shows what it would do and does it once that is confirmed: by a person at the terminal, or with `--yes`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from keepwell.app.copies import open_copy
from keepwell.app.wiring import open_keepwell
from keepwell.cli.common import Common, command, operator_for
from keepwell.cli.exit_codes import ExitCode
from keepwell.cli.live_options import LiveOptions, Wishes
from keepwell.cli.output import print_json, print_line, print_notice, print_table, progress_bar, shown
from keepwell.model.errors import BadRequest
from keepwell.model.names import Kind
from keepwell.model.record import Op
from keepwell.services.copies import Copy, account_in
from keepwell.services.live_plan import CollectionPlan, Keep, Placed, Tally
from keepwell.services.live_restore import LiveRestorer, Preview, Restored
from keepwell.services.live_then import Wish
from keepwell.vault.keys import load_identities

STEPS_SHOWN_MAX: Final = 40
"""Records that are listed for people; a document has all."""

_NOUNS: Final = {
    Kind.CONTACTS: "contacts",
    Kind.CALENDAR: "events",
    Kind.TASKS: "tasks",
    Kind.NOTES: "notes",
    Kind.PHOTOS: "files",
    Kind.SCORES: "scores",
    Kind.SYSTEM: "documents",
}


@dataclass(frozen=True, slots=True)
class LiveOrder:
    """What was asked for; `moment` is as the journal writes it, or empty, `sequence` 0 for the last record."""

    copy: str
    login: str
    keep: Keep
    kind: Kind | None
    moment: str
    sequence: int
    keys: Sequence[Path]
    dry_run: bool
    confirmed: bool
    based_on: int | None


def live_order(wishes: Wishes, how: LiveOptions) -> LiveOrder:
    """The order, when it is one that can be carried out. Raises BadRequest."""
    if len(wishes.copies) != 1 or len(wishes.logins) != 1 or len(wishes.kinds) > 1:
        raise BadRequest(
            "--live brings back one account, of one kind or all, from one copy", hint="Name one with --account."
        )
    return LiveOrder(
        copy=wishes.copies[0],
        login=wishes.logins[0],
        keep=how.keep,
        kind=wishes.kinds[0] if wishes.kinds else None,
        moment=wishes.moment,
        sequence=wishes.sequence,
        keys=wishes.keys,
        dry_run=wishes.dry_run,
        confirmed=how.yes,
        based_on=how.based_on,
    )


def restore_live(order: LiveOrder, common: Common) -> int:
    """Show what comes back, have it confirmed, and do it."""
    identities = [identity for file in order.keys for identity in load_identities(file)]
    with open_keepwell(common.data) as keepwell, open_copy(keepwell, order.copy, identities) as copy:
        actor = operator_for(keepwell, order.login)
        wish = Wish(account_in(copy, order.login, actor.account), order.keep, order.kind, order.sequence, order.moment)
        restorer = LiveRestorer(keepwell.store, keepwell.writers, copy)
        preview = restorer.preview(actor, wish)
        restored: Restored | None = None
        if not common.json:
            _print_preview(order, preview)
        if _is_confirmed(order, preview, common):
            based_on = order.based_on or preview.based_on
            with progress_bar("Restoring", unit="collections") as progress:
                restored = restorer.restore(actor, wish, only_if_based_on=based_on, progress=progress)
    if common.json:
        print_json(_document(order, preview, restored, copy))
    else:
        _print_end(order, preview, restored, common)
        for fault in copy.faults():
            print_notice(f"in {order.copy}: {fault}")
    return _code(order, preview, restored, copy)


def _is_confirmed(order: LiveOrder, preview: Preview, common: Common) -> bool:
    if order.dry_run or preview.is_empty:
        return False
    if order.confirmed:
        return True
    if common.json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return False
    sys.stdout.write("Do this? [y/N] ")
    sys.stdout.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _code(order: LiveOrder, preview: Preview, restored: Restored | None, copy: Copy) -> ExitCode:
    if restored is None and not order.dry_run and not preview.is_empty:
        return ExitCode.REFUSED
    return ExitCode.PARTLY if preview.missing or copy.faults() else ExitCode.OK


def _print_preview(order: LiveOrder, preview: Preview) -> None:
    print_line(f"In {order.copy}: {order.login} after record {preview.sequence}, of {preview.at}.")
    placed = [one for plan in preview.plan.collections for one in plan.placed]
    if placed:
        print_table(("WHAT", "COLLECTION", "ITEM", "BYTES"), [_row(one) for one in placed[:STEPS_SHOWN_MAX]])
    if len(placed) > STEPS_SHOWN_MAX:
        print_line(f"and {len(placed) - STEPS_SHOWN_MAX} more; --json lists all.")
    for plan in preview.plan.collections:
        print_line(_sentence(plan))
    if preview.supplies:
        print_line(f"The bytes of {len(preview.supplies)} items that are here without them come back.")
    for one in preview.missing:
        print_line(f"No copy has the bytes of {shown('/'.join((*one.spot, one.name)))}, or they were erased.")


def _print_end(order: LiveOrder, preview: Preview, restored: Restored | None, common: Common) -> None:
    if restored is not None:
        print_line(f"Done, by {restored.records} new records.{' Undo it with:' if restored.changed else ''}")
        for home, name in restored.changed:
            words = ("rewind", order.login, "--collection", f"{home}/{name}", "--to-seq", str(restored.based_on))
            print_line(f"  {command(common, *words)}")
    elif preview.is_empty:
        print_line("Everything that the copy has is here; there is nothing to do.")
    else:
        print_line("Nothing was changed. Do it with:")
        print_line(f"  {command(common, *_words(order), '--yes', '--based-on', str(preview.based_on))}")


def _words(order: LiveOrder) -> list[str]:
    """The command that was given, to be given again."""
    words = ["restore", "--live", "--from", order.copy, "--account", order.login, "--keep", order.keep]
    options = (
        ("--kind", order.kind or ""),
        ("--at", order.moment),
        ("--seq", str(order.sequence or "")),
        *(("--key", str(file)) for file in order.keys),
    )
    return words + [word for name, value in options if value for word in (name, value)]


def _sentence(plan: CollectionPlan) -> str:
    tally, noun = plan.tally, _NOUNS[plan.kind]
    parts = [f"{tally.back} of {tally.items + tally.missing} {noun} come back"]
    if tally.differ:
        parts.append(f"{tally.differ} differ: {_fate(tally)}")
    if tally.only_here:
        gone = f"{tally.removed} go" if tally.removed else "they stay"
        parts.append(f"{tally.only_here} are only here: {gone}")
    if tally.missing:
        parts.append(f"{tally.missing} have no bytes any more")
    return f"{shown('/'.join(plan.spot))}: {'; '.join(parts)}."


def _fate(tally: Tally) -> str:
    """What becomes of those that differ."""
    stay = tally.differ - tally.changed - tally.merged - tally.twice
    fates = (
        (tally.changed, "become what they were"),
        (tally.merged, "get the lines that they lost"),
        (tally.twice, "are kept twice"),
        (stay, "stay as they are"),
    )
    return ", ".join(f"{count} {fate}" for count, fate in fates if count)


_WORDS: Final = {Op.MAKE: "make the collection", Op.SET: "set its properties", Op.REMOVE: "remove"}


def _row(placed: Placed) -> tuple[object, ...]:
    step, where = placed.step, "/".join(placed.spot)
    if step.op is Op.PUT:
        return "bring back" if step.is_new else "change", where, step.name, step.item.size if step.item else ""
    return _WORDS[step.op], where, step.name, ""


def _document(order: LiveOrder, preview: Preview, restored: Restored | None, copy: Copy) -> dict[str, object]:
    plan = restored.preview.plan if restored else preview.plan
    return {
        "login": order.login,
        "from": order.copy,
        "seq": preview.sequence,
        "at": preview.at,
        "keep": order.keep,
        "based_on": restored.based_on if restored else preview.based_on,
        "done": restored is not None,
        "records": restored.records if restored else sum(len(one.placed) for one in plan.collections),
        "collections": [
            {"collection": "/".join(one.spot), "kind": one.kind, **asdict(one.tally)} for one in plan.collections
        ],
        "steps": [
            {"op": one.step.op, "collection": "/".join(one.spot), "item": one.step.name}
            for collection in plan.collections
            for one in collection.placed
        ],
        "bytes_supplied": len(preview.supplies),
        "missing": [{"collection": "/".join(one.spot), "item": one.name} for one in preview.missing],
        "faults": copy.faults(),
    }
