"""Scenes of every day: founding, every kind of write, importing, rewinding, keeping, verifying, upgrading, erasing."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Final

from keepwell.app.retaining import retain
from prove.claims import Change, digest_of
from prove.keeping import HandClock
from prove.operations import BIG_OCTETS, body_for
from prove.scene import CALENDARS, CARDS, Scene, Step, command, tick
from prove.stage import CONFIRMING, FOLLOWING, Stage, StageError, head_of


def _account(login: str) -> Step:
    return command(f"add {login}", "account", "add", login, changes=(Change(f"login {login}", "enabled"),))


def _password(login: str) -> Step:
    return Step(
        f"password {login}", lambda stage: stage.add_password(login), (Change(f"password {login} phone", "there"),)
    )


FOUND: Final = Scene(
    "found",
    (
        *(_account(login) for login in ("ada", "bob")),
        *(_password(login) for login in ("ada", "bob")),
        command(
            "add the confirming vault",
            *("vault", "add", CONFIRMING, "{place}/vault", "--confirm"),
            changes=(Change(f"vault {CONFIRMING}", "confirms"),),
        ),
        command(
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
        command(
            "grant",
            *("grant", "add", "ada", "contacts", "bob", "--write"),
            changes=(Change("grant ada contacts/contacts bob", "write"),),
        ),
        command("disable", "account", "disable", "carol", changes=(Change("login carol", "disabled"),)),
        command("enable", "account", "enable", "carol", changes=(Change("login carol", "enabled"),)),
        command(
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
        command(
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


KEEP: Final = Scene(
    "keep",
    (
        tick("first look", timedelta(0)),
        _put_kept(1),
        tick("ship to the one that follows", timedelta(seconds=1)),
        _put_kept(2),
        tick("pack the tail", timedelta(seconds=400)),
        tick("merge", timedelta(seconds=40), 3),
        tick("remove what was merged", timedelta(hours=1, seconds=40), 3),
        _put_kept(3),
        tick("verify", timedelta(days=8), 6),
    ),
    within=Stage.keeping,
    before=_ship_often,
)

VERIFY: Final = Scene(
    "verify",
    (
        *(command(grade, "verify", "--grade", grade) for grade in ("existence", "content", "records")),
        command("check", "check"),
        command("rebuild", "check", "--rebuild"),
    ),
    again=True,
)


UPGRADE: Final = Scene(
    "upgrade",
    (
        command("rebuild", "upgrade", "--rebuild", "--override", "it is tried"),
        command("back", "upgrade", "--back", "--override", "it is tried"),
    ),
    again=True,
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
        command("mark", "erase", "ada", "--collection", "contacts", "--item", "two.vcf", "--wait-days", "1"),
        Step("carry out", _retain, (Change(f"{CARDS}/contacts/two.vcf", None),)),
    ),
    before=_verify_all,
    proof=_erased,
)

REMOVE_VAULT: Final = Scene(
    "remove-vault",
    (
        command("remove", "vault", "remove", FOLLOWING, changes=(Change(f"vault {FOLLOWING}", None),)),
        command(
            "add it again",
            *("vault", "add", FOLLOWING, "{place}/second", "--encrypt"),
            changes=(Change(f"vault {FOLLOWING}", "follows"),),
        ),
    ),
)
