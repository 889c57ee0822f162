"""`keepwell salvage`: what is left is united on the command line, checked clean, and served to a device."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from pathlib import Path

from keepwell.cli.exit_codes import ExitCode
from tests.cli.command import Command
from tests.services.samples import card
from tests.support.server import Server, running_server

CARDS = 12


def begun(command: Command) -> str:
    """Anna with cards, in a data folder and a vault; her app password."""
    command.must("account", "add", "anna")
    password = json.loads(command.must("app-password", "add", "anna", "--label", "phone", "--json").output)["password"]
    assert isinstance(password, str)
    (command.folder / "vault").mkdir()
    command.must("vault", "add", "near", str(command.folder / "vault"))
    for number in range(CARDS):
        (command.folder / f"card{number}.vcf").write_bytes(card(f"card{number}"))
    command.must("import", "anna", *(f"card{number}.vcf" for number in range(CARDS)))
    return password


def anna_file(command: Command) -> Path:
    [path] = (path for path in command.data.glob("accounts/??/a_*.db") if path.name != "a_system.db")
    return path


def lose_a_card(command: Command) -> None:
    """One card's record and bytes are damaged in the only copy that is salvaged."""
    path = anna_file(command)
    octets = path.read_bytes()
    path.write_bytes(octets.replace(b"UID:card5", b"UID:carX5"))


def get(server: Server, path: str, password: str) -> tuple[int, bytes]:
    token = base64.b64encode(f"anna:{password}".encode()).decode()
    request = urllib.request.Request(f"{server.dav}{path}", headers={"Authorization": f"Basic {token}"})
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_a_damaged_store_and_its_vault_are_united_and_served(command: Command) -> None:
    """The code is zero, a check finds nothing, and the phone signs in with its old password and has its cards."""
    password = begun(command)
    lose_a_card(command)
    command.must("salvage", "--from", "data", "--from", "vault", "--into", "new")
    command.must("check", "--data", "new")
    with running_server(command.folder / "new") as server:
        assert get(server, "contacts/anna/contacts/card5.vcf", password) == (200, card("card5"))


def test_a_loss_is_told_and_held(command: Command) -> None:
    """The lost card is named, the code says so, a check finds nothing, and its kind answers 503."""
    password = begun(command)
    lose_a_card(command)
    outcome = command.run("salvage", "--from", "data", "--into", "new")
    assert outcome.code == ExitCode.PARTLY
    assert "contacts\t12\t11\t1\t0" in outcome.output
    assert "anna: incomplete: contacts contacts/card5.vcf" in outcome.output
    command.must("check", "--data", "new")
    report = json.loads((command.folder / "new/loss-report.json").read_bytes())
    assert [item["name"] for account in report["accounts"] for item in account["items"]] == ["card5.vcf"]
    with running_server(command.folder / "new") as server:
        assert get(server, "contacts/anna/contacts/card4.vcf", password)[0] == 503


def test_a_dry_run_tells_and_makes_nothing(command: Command) -> None:
    """As JSON: what each source has, what would be lost, and which files are proven by nothing."""
    begun(command)
    lose_a_card(command)
    outcome = command.run("salvage", "--from", "data", "--from", "card3.vcf", "--into", "new", "--dry-run", "--json")
    assert outcome.code == ExitCode.PARTLY
    [data, file] = outcome.list("places")
    objects = data["objects"]
    assert isinstance(objects, dict)
    assert (objects["account files"], file["objects"]) == (2, {"other files": 1})
    [anna] = [one for one in outcome.list("accounts") if one["login"] == "anna"]
    kinds = anna["kinds"]
    assert isinstance(kinds, list)
    assert [(one["expected"], one["recovered"], one["incomplete"]) for one in kinds if one["expected"]] == [(12, 11, 1)]
    assert outcome.document["salvaged"] is None
    assert not (command.folder / "new").exists()


def test_a_file_that_no_record_knows_is_not_used_and_told(command: Command) -> None:
    """A card that was never in the data folder stays out of it, and is listed."""
    begun(command)
    (command.folder / "other.vcf").write_bytes(card("other"))
    outcome = command.must("salvage", "--from", "data", "--from", "other.vcf", "--into", "new")
    assert "not used: other.vcf: other.vcf" in outcome.output


def test_a_place_that_is_taken_is_refused(command: Command) -> None:
    """Nothing is overwritten, and nothing is read before that is said."""
    begun(command)
    outcome = command.run("salvage", "--from", "vault", "--into", "data")
    assert outcome.code == ExitCode.REFUSED
    assert "not empty" in outcome.errors
