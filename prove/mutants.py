"""Broken builds: what a case must be able to see.

A mutant is one text of one module of the product in place of another. It is put in when a process imports the module,
by a `sitecustomize` in a folder on PYTHONPATH, so the product's files stay as they are and every process that a case
starts is broken alike. A mutant whose text is not there any more, or more than once, does not fit, and says so.

`environment_of` gives the environment that breaks whatever is run in it; `prove.gate` runs cases against every mutant.
"""

from __future__ import annotations

import importlib.util
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_LOADER: Final = '''"""Puts one text of one module in place of another, when the module is imported."""

import json
import os
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import PathFinder, SourceFileLoader
from pathlib import Path

# Of several such folders on the path Python imports only the first one's module, which does for all of them.
FOLDERS = [Path(one) for one in dict.fromkeys(sys.path) if (Path(one) / "edits.json").exists()]
EDITS = {folder: json.loads((folder / "edits.json").read_text()) for folder in FOLDERS}


def edits_of(fullname):
    return [(folder, edit) for folder, edits in EDITS.items() for edit in edits if edit["module"] == fullname]


class Mutating(SourceFileLoader):
    def get_code(self, fullname):
        text = Path(self.path).read_text()
        for folder, edit in edits_of(fullname):
            if text.count(edit["old"]) != 1:
                os.write(2, b"the mutant does not fit " + fullname.encode() + b"\\n")
                os._exit(99)
            text = text.replace(edit["old"], edit["new"])
            (folder / "used").touch()
        return self.source_to_code(text.encode(), self.path)


class Finder(MetaPathFinder):
    def find_spec(self, fullname, path, target=None):
        if not edits_of(fullname):
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None:
            spec.loader = Mutating(fullname, spec.origin)
        return spec


sys.meta_path.insert(0, Finder())
'''

EAT_MY_DATA: Final = "libeatmydata.so"
"""Debian's library that makes every sync do nothing."""


class DoesNotFitError(Exception):
    """The product has changed, and the mutant's text is not in it any more."""


@dataclass(frozen=True, slots=True)
class Edit:
    """In this module, `new` in place of `old`, which is there once."""

    module: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mutant:
    """A build that breaks a promise, and the case (by name) that must fail on it."""

    name: str
    breaks: str
    case: str
    edits: tuple[Edit, ...] = ()
    preload: str = ""
    """A library that is loaded before all others."""
    seed: int = 1
    units: int = 4


def require_fit(mutant: Mutant) -> None:
    """Raise DoesNotFitError unless every edit's text is in its module exactly once."""
    for edit in mutant.edits:
        spec = importlib.util.find_spec(edit.module)
        text = Path(spec.origin).read_text() if spec is not None and spec.origin else ""
        if text.count(edit.old) != 1:
            raise DoesNotFitError(f"{mutant.name}: {edit.old!r} is {text.count(edit.old)} times in {edit.module}")


def environment_of(mutant: Mutant, folder: Path) -> dict[str, str]:
    """The environment that breaks what is run in it; the folder is the mutant's own. Raises DoesNotFitError."""
    require_fit(mutant)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sitecustomize.py").write_text(_LOADER)
    edits = [{"module": one.module, "old": one.old, "new": one.new} for one in mutant.edits]
    (folder / "edits.json").write_text(json.dumps(edits))
    path = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path, **({"LD_PRELOAD": mutant.preload} if mutant.preload else {})}


def was_used(mutant: Mutant, folder: Path) -> bool:
    """Whether the broken module was imported at all: what was never run cannot have been seen."""
    return not mutant.edits or (folder / "used").exists()


LOST_AT_ONCE: Final = 23
"""The seed of power cuts that loses the data disk, and cuts the vault's, in the first cuts after there is a vault."""

_DURABLE: Final = "keepwell.ground.durable"
_SNAPSHOT: Final = "keepwell.storage.sqlite_snapshot"

_FILES: Final = "keepwell.storage.sqlite_files"
_EARLY: Final = """\
        waiting.done(None)
        late = replace(waiting, done=lambda _fault: None)
        threading.Timer(0.2, self._batches.add, [late]).start()"""

_LINES: Final = "read_lines(vaults, account, after, findings)"
_PLACE: Final = "keepwell.services.restoring.place"

MUTANTS: Final = (
    Mutant(
        "removals-not-told",
        "a sync answer leaves out what was removed",
        "killed-under-load",
        (Edit(_SNAPSHOT, "removals=after > 0", "removals=False"),),
    ),
    Mutant(
        "commits-not-synced",
        "the store's log is not synced at a commit",
        "power-cuts",
        (Edit(_FILES, '"synchronous=FULL"', '"synchronous=NORMAL"'),),
    ),
    Mutant(
        "tail-not-synced",
        "the vault's tail is written, and not synced, before a write is confirmed",
        "power-cuts",
        (Edit("keepwell.vault.folder_log", "sync_data(self._descriptor)", "pass"),),
        seed=LOST_AT_ONCE,
        units=1,
    ),
    Mutant(
        "acknowledged-before-the-vault",
        "a write is answered before its confirming vault has it",
        "power-cuts",
        (Edit("keepwell.services.vault_link", "        self._batches.add(waiting)", _EARLY),),
        seed=LOST_AT_ONCE,
        units=1,
    ),
    Mutant(
        "last-record-not-restored",
        "reading an account from a vault leaves out its last record",
        "power-cuts",
        (Edit("keepwell.vault.reading", _LINES, f"list({_LINES})[:-1]"),),
        seed=LOST_AT_ONCE,
        units=1,
    ),
    Mutant(
        "restore-in-place",
        "a restore builds under the name that the folder gets when it is whole",
        "killed-at-every-call",
        (
            Edit(_PLACE, "building = into.with_name(into.name + BUILDING_SUFFIX)", "building = into"),
            Edit(_PLACE, "            require_free(self.into)\n            # What", "            # What"),
            Edit(_PLACE, "    require_free(into)\n    building", "    building"),
        ),
        units=1,
    ),
    Mutant(
        "not-now-is-an-error",
        "a medium that fails is answered 500",
        "io-errors",
        (Edit("keepwell.dav.errors", "return Verdict(503, headers=((b", "return Verdict(500, headers=((b"),),
        units=1,
    ),
    Mutant(
        "any-vault",
        "whatever vault lies there is taken for the right one",
        "vault-faults",
        (Edit("keepwell.services.vaults", "if vault.document.id != setting.id:", "if False:"),),
        units=1,
    ),
    Mutant(
        "error-is-a-yes",
        "an error of the confirming vault is treated as if it had confirmed",
        "unconfirmed-answers",
        (
            Edit(
                "keepwell.services.vault_link",
                "one.done(None if goes_on else _unconfirmed(self.name, error_of_one))",
                "one.done(None)",
            ),
        ),
        units=1,
    ),
    Mutant(
        "taken-without-fencing",
        "a server that lost its vault to another one goes on acknowledging",
        "second-servers",
        (Edit("keepwell.vault.vault", "if self.medium.exists(epoch_name(self.epoch + 1)):", "if False:"),),
        units=1,
    ),
    Mutant(
        "jump-is-believed",
        "by a clock that jumped ten years ahead, what was marked a minute ago is erased",
        "clocks",
        (
            Edit(
                "keepwell.services.retention.jumps",
                "if now - parse_moment(before.seen_at) > timedelta(days=JUMP_DAYS):",
                "if False:",
            ),
        ),
        units=1,
    ),
    Mutant(
        "objects-not-hashed",
        "verifying a vault does not compare an object with the hash in its name",
        "flipped-vault",
        (Edit("keepwell.vault.verify_content", "if _hash_of(vault, info) == hashed:", "if True:"),),
        units=1,
    ),
    Mutant(
        "bytes-in-lines-not-proven",
        "the bytes of a record are not compared with its digest when they are read from a vault",
        "flipped-vault",
        (Edit("keepwell.vault.lines", "if body is not None and digest_of(body) != facts.digest:", "if False:"),),
        units=1,
    ),
    Mutant(
        "blobs-not-proven",
        "large bytes are served from the store without a look at their digest",
        "flipped-store",
        (Edit("keepwell.storage.blobs", "if digest_of(body) != digest:", "if False:"),),
        units=1,
    ),
    Mutant(
        "tails-do-not-tell",
        "a restore does not go by what the lines of a tail tell of",
        "faulty-objects",
        (Edit("keepwell.vault.restore_plan", "if account in holding.tails:", "if False:"),),
    ),
    Mutant(
        "any-pack",
        "a pack of another vault is read for this one's",
        "faulty-objects",
        (Edit("keepwell.vault.vault", "if index.vault == self.document.id:", "if True:"),),
        units=8,
    ),
    Mutant(
        "second-copy-forgotten",
        "a salvage uses the records of the first place alone",
        "both-damaged",
        (
            Edit(
                "keepwell.vault.salvage.gather",
                "            self._shelf.add_record(record)",
                "            self._number == 0 and self._shelf.add_record(record)",
            ),
        ),
        units=1,
    ),
    Mutant(
        "only-names-are-lost",
        "the report of a salvage leaves out what no item names",
        "both-damaged",
        (
            Edit(
                "keepwell.vault.salvage.assess",
                "lost = max(sum(one.fate is Fate.LOST for one in current), missing, 0)",
                "lost = sum(one.fate is Fate.LOST for one in current)",
            ),
        ),
    ),
    Mutant("no-syncs", "no sync of the whole program reaches a disk", "power-cuts", preload=EAT_MY_DATA),
    Mutant(
        "bytes-not-synced",
        "a blob or an object of a vault gets its name before its bytes are synced",
        "power-cuts",
        (Edit(_DURABLE, "_sync(os.fsync, file.fileno())", "pass"),),
    ),
    Mutant(
        "no-folder-syncs",
        "no name of a file is made durable",
        "lossy-disk",
        (Edit(_DURABLE, "    _sync_path(folder, os.O_RDONLY | os.O_DIRECTORY)", "    return"),),
    ),
    Mutant(
        "log-not-synced",
        "the vault confirms what it did not sync",
        "lossy-disk",
        (Edit(_DURABLE, "    _sync(os.fdatasync, descriptor)", "    return"),),
    ),
    Mutant(
        "commits-never-synced",
        "SQLite syncs nothing of the store",
        "lossy-disk",
        (Edit(_FILES, '"journal_mode=WAL", "synchronous=FULL"', '"journal_mode=WAL", "synchronous=OFF"'),),
        seed=2,
    ),
)
