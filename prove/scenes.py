"""The scripted session, in scenes: every kind of write, ship, compact, verify, restore, upgrade, erase, mend, salvage.

A scene begins with what the one before left. First `before` goes on with that, then `damage` breaks something, which
the scene heals: there must be everything that was there before the damage. Neither is killed; the steps are, at every
system call. What a step changes is known, or is what it changed when nobody killed it. `proof` looks at what a kill
left before anything else touches it; a scene that may be played `again` must then come to its end.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from keepwell.app.retaining import retain
from prove.claims import Change, digest_of
from prove.copies import heads_in_vaults, heads_of
from prove.keeping import HandClock
from prove.operations import BIG_OCTETS, body_for
from prove.stage import CONFIRMING, FOLLOWING, Stage, StageError, head_of

CARDS: Final = "/dav/contacts/ada"
CALENDARS: Final = "/dav/calendars/ada"
Work = Callable[[Stage], None]


@dataclass(frozen=True, slots=True)
class Step:
    """A part of a scene. `changes` is what it changes, all `together` or one by one; None: what the reference shows."""

    name: str
    do: Work
    changes: tuple[Change, ...] | None = ()
    together: bool = True


@dataclass(frozen=True, slots=True)
class Scene:
    """`within` is around the steps."""

    name: str
    steps: tuple[Step, ...]
    within: Callable[[Stage], AbstractContextManager[object]] = lambda _stage: nullcontext()
    before: Work | None = None
    damage: Work | None = None
    again: bool = False
    later: Work | None = None
    """What the product does by itself in the hours after, when what was broken is to be whole again."""
    makes: str = ""
    """The folder that it makes; once that is there, there is nothing to play again."""
    proof: Callable[[Stage, bool], list[str]] = lambda _stage, _ended: []
    """What is wrong with what the scene makes besides; told whether it came to its end."""
    is_read: bool = False
    """The steps are requests to a server, and everything is read after each."""


def _command(
    name: str, *words: str, changes: tuple[Change, ...] | None = (), together: bool = True, code: int = 0
) -> Step:
    def do(stage: Stage) -> None:
        stage.command(*(word.format(place=stage.place) for word in words), code=code)

    return Step(name, do, changes, together)


def _account(login: str) -> Step:
    return _command(f"add {login}", "account", "add", login, changes=(Change(f"login {login}", "enabled"),))


def _password(login: str) -> Step:
    return Step(
        f"password {login}", lambda stage: stage.add_password(login), (Change(f"password {login} phone", "there"),)
    )


FOUND: Final = Scene(
    "found",
    (
        *(_account(login) for login in ("ada", "bob")),
        *(_password(login) for login in ("ada", "bob")),
        _command(
            "add the confirming vault",
            *("vault", "add", CONFIRMING, "{place}/vault", "--confirm"),
            changes=(Change(f"vault {CONFIRMING}", "confirms"),),
        ),
        _command(
            "add the following vault",
            *("vault", "add", FOLLOWING, "{place}/second", "--encrypt", "--key-file", "{place}/second.key"),
            changes=(Change(f"vault {FOLLOWING}", "follows"),),
        ),
    ),
)

SERVE: Final = Scene("serve", (), within=Stage.serving)

ACCOUNTS: Final = Scene(
    "accounts",
    (
        _account("carol"),
        _password("carol"),
        _command(
            "grant",
            *("grant", "add", "ada", "contacts", "bob", "--write"),
            changes=(Change("grant ada contacts/contacts bob", "write"),),
        ),
        _command("disable", "account", "disable", "carol", changes=(Change("login carol", "disabled"),)),
        _command("enable", "account", "enable", "carol", changes=(Change("login carol", "enabled"),)),
        _command(
            "withdraw",
            *("grant", "remove", "ada", "contacts", "bob"),
            changes=(Change("grant ada contacts/contacts bob", None),),
        ),
    ),
)


def _lay_out_files(stage: Stage) -> None:
    folder = stage.place / "files"
    folder.mkdir()
    cards = [body_for(f"imported-{number}.vcf", f"Imported {number}") for number in range(3)]
    (folder / "cards.vcf").write_bytes(b"".join(cards) + body_for("large.vcf", "Large", BIG_OCTETS))
    (folder / "events.ics").write_bytes(body_for("/dav/calendars/ada/calendar/imported.ics", "An event"))


IMPORT: Final = Scene(
    "import",
    (
        _command(
            "import",
            *("import", "ada", "{place}/files", "--rejected", "{place}/rejected"),
            changes=None,
            together=False,
        ),
    ),
    before=_lay_out_files,
    again=True,
)


def _request(verb: str, path: str, text: str = "", *, status: int = 0, padding: int = 0, **headers: str) -> Step:
    """A request of ada's; `text` makes the body of an item, or is the body itself when it is XML."""

    def do(stage: Stage) -> None:
        body = None
        if text:
            body = text.encode() if text.startswith("<") else body_for(path, text, padding)
        answer = stage.client("ada").ask(verb, path, body, **headers)
        if not (answer.status == status if status else 200 <= answer.status < 300):
            raise StageError(f"{verb} {path}: {answer.status} {answer.body[:300]!r}")

    return Step(f"{verb} {path}", do, None)


def _transfer(verb: str, source: str, target: str) -> Step:
    return _request(verb, source, Destination=f"http://127.0.0.1:1{target}", Overwrite="T")


_RENAME: Final = (
    '<propertyupdate xmlns="DAV:"><set><prop><displayname>Named</displayname>'
    '<x:dead xmlns:x="urn:x">told</x:dead></prop></set></propertyupdate>'
)
WRITE: Final = Scene(
    "write",
    (
        _request("PUT", f"{CARDS}/contacts/one.vcf", "One"),
        _request("PUT", f"{CARDS}/contacts/one.vcf", "One, changed"),
        _request("PUT", f"{CARDS}/contacts/one.vcf", "One, refused", status=412, If_None_Match="*"),
        _request("PUT", f"{CARDS}/contacts/big.vcf", "Big", padding=BIG_OCTETS),
        _request("PUT", f"{CARDS}/contacts/gone.vcf", "Gone"),
        _request("PUT", f"{CALENDARS}/calendar/one.ics", "An event"),
        _request("PUT", f"{CALENDARS}/tasks/one.ics", "A task"),
        _request("PUT", f"{CALENDARS}/notes/one.ics", "A note"),
        _request("PROPPATCH", f"{CARDS}/contacts/one.vcf", _RENAME),
        _transfer("MOVE", f"{CARDS}/contacts/one.vcf", f"{CARDS}/contacts/two.vcf"),
        _request("MKCOL", f"{CARDS}/own/"),
        _request("PROPPATCH", f"{CARDS}/own/", _RENAME),
        _transfer("COPY", f"{CARDS}/contacts/two.vcf", f"{CARDS}/own/two.vcf"),
        _transfer("MOVE", f"{CARDS}/contacts/gone.vcf", f"{CARDS}/own/gone.vcf"),
        _transfer("COPY", f"{CARDS}/own/", f"{CARDS}/copied/"),
        _transfer("MOVE", f"{CARDS}/copied/", f"{CARDS}/moved/"),
        _request("DELETE", f"{CARDS}/contacts/big.vcf"),
        _request("DELETE", f"{CARDS}/own/gone.vcf"),
        _request("DELETE", f"{CARDS}/own/"),
    ),
    within=Stage.serving,
    is_read=True,
)


def _rewind(stage: Stage) -> None:
    stage.command("rewind", "ada", "--collection", "contacts", "--to-seq", str(head_of(stage, "ada") - 8))


REWIND: Final = Scene("rewind", (Step("rewind", _rewind, None),))


def _ship_often(stage: Stage) -> None:
    """Each command ends with a pack of its own, and more than eight small ones are merged."""
    for number in range(10):
        stage.command("account", "enable" if number % 2 else "disable", "carol")


def _put_kept(number: int) -> Step:
    name = f"kept-{number}.vcf"
    body = body_for(f"{CARDS}/contacts/{name}", "Kept")
    changes = (Change(f"{CARDS}/contacts/{name}", digest_of(body)),)
    return Step(f"put {name}", lambda stage: stage.keeper.put(stage.account("ada"), "contacts", name, body), changes)


def _tick(name: str, span: timedelta, times: int = 1) -> Step:
    def do(stage: Stage) -> None:
        for _ in range(times):
            stage.keeper.tick(span)
        if faults := stage.keeper.faults():
            raise StageError(f"{name}: {faults}")

    return Step(name, do)


KEEP: Final = Scene(
    "keep",
    (
        _tick("first look", timedelta(0)),
        _put_kept(1),
        _tick("ship to the one that follows", timedelta(seconds=1)),
        _put_kept(2),
        _tick("pack the tail", timedelta(seconds=400)),
        _tick("merge", timedelta(seconds=40), 3),
        _tick("remove what was merged", timedelta(hours=1, seconds=40), 3),
        _put_kept(3),
        _tick("verify", timedelta(days=8), 6),
    ),
    within=Stage.keeping,
    before=_ship_often,
)

VERIFY: Final = Scene(
    "verify",
    (
        *(_command(grade, "verify", "--grade", grade) for grade in ("existence", "content", "records")),
        _command("check", "check"),
        _command("rebuild", "check", "--rebuild"),
    ),
    again=True,
)


def _restored(name: str, *, is_whole: bool = True) -> Callable[[Stage, bool], list[str]]:
    """The folder has its name only when everything is in it."""

    def proof(stage: Stage, ended: bool) -> list[str]:
        target = stage.place / name
        if not target.exists():
            return [f"{name} is not there"] if ended else []
        wrong = []
        if is_whole:
            stage.command("check", data=target)
            if heads_of(target) != heads_in_vaults(stage.data)[CONFIRMING]:
                wrong.append(f"{name} has other heads than the vault it was restored from")
        if (target / "loss-report.json").exists():
            wrong.append(f"{name} has a loss report")
        if (stage.place / f"{name}.restoring").exists():
            wrong.append(f"{name} is there, and still being built")
        return wrong

    return proof


RESTORE: Final = Scene(
    "restore",
    (
        _command(
            "restore",
            *("restore", "--from", "{place}/vault", "--into", "{place}/restored", "--workers", "1"),
        ),
    ),
    again=True,
    makes="restored",
    proof=_restored("restored"),
)


RESTORE_PART: Final = Scene(
    "restore-part",
    (
        _command(
            "rewound, without large bytes",
            *("restore", "--from", "{place}/vault", "--into", "{place}/rewound", "--workers", "1"),
            *("--account", "ada", "--kind", "calendar", "--seq", "20"),
        ),
    ),
    again=True,
    makes="rewound",
    proof=_restored("rewound", is_whole=False),
)


def _put_and_remove(stage: Stage) -> None:
    with stage.serving():
        client = stage.client("ada")
        for name in ("live-1.vcf", "live-2.vcf"):
            path = f"{CARDS}/contacts/{name}"
            client.ask("PUT", path, body_for(path, "Live"))
    shutil.copytree(stage.data, stage.place / "earlier")
    with stage.serving():
        stage.client("ada").ask("DELETE", f"{CARDS}/contacts/live-1.vcf")
        stage.client("ada").ask("DELETE", f"{CARDS}/contacts/two.vcf")


RESTORE_LIVE: Final = Scene(
    "restore-live",
    (
        _command(
            "live",
            *("restore", "--live", "--account", "ada", "--from", "{place}/earlier", "--yes"),
            changes=None,
            together=False,
        ),
    ),
    before=_put_and_remove,
)

UPGRADE: Final = Scene(
    "upgrade",
    (
        _command("rebuild", "upgrade", "--rebuild", "--override", "it is tried"),
        _command("back", "upgrade", "--back", "--override", "it is tried"),
    ),
    again=True,
)


def _keep_older(stage: Stage) -> None:
    shutil.copytree(stage.data, stage.place / "older")
    with stage.serving():
        for login in ("ada", "bob"):
            path = f"/dav/contacts/{login}/contacts/newer.vcf"
            stage.client(login).ask("PUT", path, body_for(path, "Newer"))


def _put_older_back(stage: Stage) -> None:
    shutil.rmtree(stage.data)
    (stage.place / "older").rename(stage.data)


OLDER_COPY: Final = Scene("older-copy", (), within=Stage.serving, before=_keep_older, damage=_put_older_back)


def _files_of(stage: Stage, login: str) -> list[Path]:
    return sorted(stage.data.glob(f"accounts/??/{stage.account(login)}.db*"))


def _lose_account(stage: Stage) -> None:
    for path in _files_of(stage, "ada"):
        path.unlink()


LOST_ACCOUNT: Final = Scene("lost-account", (), within=Stage.serving, damage=_lose_account)


def _damage_account(stage: Stage) -> None:
    """The first pages are zeros: a sector that is gone."""
    for path in _files_of(stage, "bob"):
        with path.open("r+b") as file:
            file.write(bytes(8192))


DAMAGED_ACCOUNT: Final = Scene("damaged-account", (), within=Stage.serving, damage=_damage_account)


def _lose_data(stage: Stage) -> None:
    for path in stage.data.iterdir():
        if path.name != "vaults":
            shutil.rmtree(path) if path.is_dir() else path.unlink()


LOST_DATA: Final = Scene("lost-data", (), within=Stage.serving, damage=_lose_data)


def _damage_vault(stage: Stage) -> None:
    """One pack is gone, and in another a bit has flipped."""
    lost, flipped, *_others = sorted(stage.vault.glob("packs/**/*.jsonl.zst"), key=lambda path: path.stat().st_size)
    lost.unlink()
    octets = bytearray(flipped.read_bytes())
    octets[len(octets) // 2] ^= 1
    flipped.chmod(0o600)
    flipped.write_bytes(octets)


def _keep_a_day(stage: Stage) -> None:
    with stage.keeping():
        for _ in range(8):
            stage.keeper.tick(timedelta(days=1, minutes=5))


MEND_VAULT: Final = Scene(
    "mend-vault",
    (_tick("find", timedelta(0)), _tick("mend", timedelta(days=1, minutes=5), 8)),
    within=Stage.keeping,
    damage=_damage_vault,
    later=_keep_a_day,
)


def _salvaged(stage: Stage, ended: bool) -> list[str]:
    target = stage.place / "salvaged"
    if not target.exists():
        return ["nothing was salvaged"] if ended else []
    stage.command("check", data=target)
    there = {account for account, head in heads_of(target).items() if not isinstance(head, Exception)}
    return [] if there >= set(heads_of(stage.data)) else [f"only {sorted(there)} were salvaged"]


SALVAGE: Final = Scene(
    "salvage",
    (
        _command(
            "salvage", "salvage", "--from", "{place}/data", "--from", "{place}/vault", "--into", "{place}/salvaged"
        ),
    ),
    again=True,
    makes="salvaged",
    proof=_salvaged,
)


def _retain(stage: Stage) -> None:
    done = retain(stage.data, clock=HandClock(timedelta(days=2)))
    if done.against or done.waiting:
        raise StageError(f"nothing is erased: {done}")


def _verify_all(stage: Stage) -> None:
    stage.command("verify")


def _erased(stage: Stage, ended: bool) -> list[str]:
    orders = json.loads(stage.command("retention", "--dry-run", "--json"))["orders"]
    return [f"an order is {one['state']}" for one in orders if ended and one["state"] != "done"]


ERASE: Final = Scene(
    "erase",
    (
        _command("mark", "erase", "ada", "--collection", "contacts", "--item", "two.vcf", "--wait-days", "1"),
        Step("carry out", _retain, (Change(f"{CARDS}/contacts/two.vcf", None),)),
    ),
    before=_verify_all,
    proof=_erased,
)

REMOVE_VAULT: Final = Scene(
    "remove-vault",
    (
        _command("remove", "vault", "remove", FOLLOWING, changes=(Change(f"vault {FOLLOWING}", None),)),
        _command(
            "add it again",
            *("vault", "add", FOLLOWING, "{place}/second", "--encrypt"),
            changes=(Change(f"vault {FOLLOWING}", "follows"),),
        ),
    ),
)

SCENES: Final = (
    FOUND,
    SERVE,
    ACCOUNTS,
    IMPORT,
    WRITE,
    REWIND,
    KEEP,
    VERIFY,
    RESTORE,
    RESTORE_PART,
    RESTORE_LIVE,
    UPGRADE,
    OLDER_COPY,
    LOST_ACCOUNT,
    DAMAGED_ACCOUNT,
    LOST_DATA,
    MEND_VAULT,
    SALVAGE,
    REMOVE_VAULT,
    ERASE,
)
